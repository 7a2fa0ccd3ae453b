/* What a backup holds: every folder and file with its owner, mode and SHA-256. */
#pragma once

#include "cli/show.h"

#include <sys/stat.h>

/*
 * A backup is a folder with "manifest.json" and "place", a copy of the place:
 *   {"format":"touchmark backup 1","made":"...","place":"/srv/touchmark",
 *    "log":{"size":n,"root":"hex"},"journal":{"sequence":n,"hash":"hex"},
 *    "folders":[{"path","mode","uid","gid"}],
 *    "files":[{"path","mode","uid","gid","size","sha256"}]}
 * It shows damage, not forgery: whoever can alter the backup can alter its manifest. A
 * checkpoint kept elsewhere shows that.
 */
struct cli_manifest {
    json_t *document;
};
#define CLI_MANIFEST(name) [[gnu::cleanup(cli_manifest_clear)]] struct cli_manifest name = { 0 }

enum rc cli_manifest_new(struct bytes place, int64_t now_ms, struct cli_manifest *manifest);
void cli_manifest_clear(struct cli_manifest *manifest);

enum rc cli_manifest_add_folder(struct cli_manifest *manifest, const char *path,
                                const struct stat *like);
/* The file path in dir, which is complete: hashed here. Owner and mode are those of `like`. */
enum rc cli_manifest_add_file(struct cli_manifest *manifest, int dir, const char *path,
                              const struct stat *like);
/* {"<name>":{"<number's name>":n,"<hash's name>":"hex"}} */
enum rc cli_manifest_set_head(struct cli_manifest *manifest, const char *name,
                              const char *number_name, uint64_t number, const char *hash_name,
                              struct bytes hash);
/* Is it what was set? */
bool cli_manifest_head_is(const struct cli_manifest *manifest, const char *name,
                          const char *number_name, uint64_t number, const char *hash_name,
                          struct bytes hash);

/* Last, mode 0600: a backup with a manifest is a finished one. */
enum rc cli_manifest_write(const struct cli_manifest *manifest, int backup);
/* RC_NOT_FOUND: no backup, or an unfinished one. RC_CORRUPT. */
enum rc cli_manifest_read(int backup, struct cli_manifest *manifest);
/* Hold every file of the copy against it. RC_CORRUPT names the first that is missing or
 * altered. */
enum rc cli_manifest_check(const struct cli_manifest *manifest, int place);

/* One row, read back: RC_CORRUPT for a path that leaves the place. path is borrowed. */
struct cli_manifest_row {
    const char *path;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};
enum rc cli_manifest_row(const json_t *row, struct cli_manifest_row *read);
