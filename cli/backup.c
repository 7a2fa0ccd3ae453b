#include "cli/commands.h"
#include "cli/conf.h"
#include "cli/copy.h"
#include "cli/history.h"
#include "cli/manifest.h"
#include "cli/remote.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/log.h"
#include "registry/registry.h"
#include "store/backup.h"

enum { CONFIG, WITH_PINS, OFFLINE };
static const struct cli_option OPTIONS[] = {
    [CONFIG] = { "--config", "FILE", "touchmark.conf of the place (./touchmark.conf)" },
    [WITH_PINS] = { "--with-pins", NULL,
                    "also the issuing HSM token's PINs: then the backup is "
                    "the keys" },
    [OFFLINE] = { "--offline", NULL, "touchmarkd is stopped: read the registry itself" },
};

/* Settings that say where the special folders are, and where init puts them. */
struct folders {
    struct buf registry, backups, journal, retained;
};

struct backup {
    const struct cli_call *call;
    const struct cli_conf *conf;
    struct folders at;
    struct cli_manifest *manifest;
    int dir, place; /* of the backup */
    struct cli_log_head log;
    struct journal_head journal;
};

/* ---- What belongs in it ---- */

static bool below(const char *path, struct bytes folder)
{
    struct bytes text = bytes_of_text(path);

    return bytes_start_with(text, folder) && text.len > folder.len &&
           text.at[folder.len] == '/';
}

static bool is(const char *path, const struct buf *name)
{
    return bytes_equal_text(buf_bytes(name), path);
}

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), tail = strlen(ending);

    return len >= tail && strcmp(path + len - tail, ending) == 0;
}

/* Everything else in the place is none of ours: the root's token above all, csr, logs. */
static bool is_ours(const char *path)
{
    static const char *const TOP[] = { "ca",          "keys",          "policy",  "operator",
                                       "hsm",         "signer",        "secrets", "authority",
                                       "device-door", "operator-door", "tiles" };
    size_t len = strcspn(path, "/");

    for (size_t i = 0; i < sizeof TOP / sizeof *TOP; i++)
        if (bytes_equal_text((struct bytes){ (const uint8_t *)path, len }, TOP[i]))
            return true;
    return false;
}

/* Files that are copied as they lie there. An operator's private key is that person's. */
static bool is_wanted(const struct backup *b, const char *path)
{
    static const char *const WHOLE[] = { "ca", "keys", "policy", "hsm" };

    for (size_t i = 0; i < sizeof WHOLE / sizeof *WHOLE; i++)
        if (below(path, bytes_of_text(WHOLE[i])))
            return true;
    if (below(path, BYTES("operator")))
        return !ends_with(path, ".key");
    if (below(path, BYTES("secrets")))
        return b->call->values[WITH_PINS] != NULL;
    return below(path, buf_bytes(&b->at.retained)) && ends_with(path, ".segment");
}

/* ---- Copying the place ---- */

static enum rc add_folder(struct backup *b, const char *path, const struct stat *like)
{
    if (mkdirat(b->place, path, 0700) != 0)
        return fault_errno("make %s", path);
    return cli_manifest_add_folder(b->manifest, path, like);
}

static enum rc add_file(struct backup *b, const char *path, const struct stat *like)
{
    enum rc rc = cli_copy_file(b->conf->dir, path, b->place, path, 0600);

    /* A door trimmed what it no longer needs, between the listing and now. */
    if (rc == RC_NOT_FOUND && below(path, buf_bytes(&b->at.retained)))
        return RC_OK;
    TRY(rc);
    return cli_manifest_add_file(b->manifest, b->place, path, like);
}

static enum rc take(struct backup *b, FTS *tree, FTSENT *entry)
{
    size_t above = b->conf->place.len;

    if (entry->fts_pathlen <= above + 1 || entry->fts_info == FTS_DP)
        return RC_OK;
    const char *path = entry->fts_path + above + 1;
    if (entry->fts_info == FTS_D) {
        if (!is_ours(path) || is(path, &b->at.registry) || is(path, &b->at.journal) ||
            is(path, &b->at.backups) || strcmp(path, "tiles") == 0) /* they are derived */
            fts_set(tree, entry, FTS_SKIP);
        return is_ours(path) ? add_folder(b, path, entry->fts_statp) : RC_OK;
    }
    if (entry->fts_info == FTS_F && is_wanted(b, path))
        return add_file(b, path, entry->fts_statp);
    if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
        return fault(RC_IO, "%s: %s", path, strerrordesc_np(entry->fts_errno));
    return RC_OK;
}

static enum rc copy_place(struct backup *b)
{
    char start[PATH_MAX] = "";
    char *paths[] = { start, NULL };
    struct bytes place = buf_bytes(&b->conf->place);
    struct stat like;
    enum rc rc = RC_OK;

    memcpy(start, place.at, place.len < sizeof start ? place.len : 0);
    if (fstatat(b->conf->dir, "touchmark.conf", &like, 0) != 0)
        return fault_errno("touchmark.conf");
    TRY(add_file(b, "touchmark.conf", &like));
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return fault_errno("walk %s", start);
    for (FTSENT *entry; rc == RC_OK && (entry = fts_read(tree)) != NULL;)
        rc = take(b, tree, entry);
    fts_close(tree);
    return rc;
}

/* ---- The registry, first: what the journal has beyond it is found as orphans ---- */

static enum rc open_below(int dir, const struct buf *name, int *fd)
{
    AUTO_BUF(room, PATH_MAX);
    const char *text = NULL;

    buf_add(&room, buf_bytes(name));
    TRY(buf_text(&room, &text));
    return cli_copy_open_dir(dir, text, fd);
}

static enum rc ask_for_copy(const struct backup *b, struct buf *name)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(b->call, &remote));
    TRY(cli_remote_post(&remote, "/v1/backups", NULL, &answer));
    const char *told = json_string_value(json_object_get(answer, "name"));
    if (told == NULL || strchr(told, '/') != NULL || told[0] == '.' || told[0] == '\0')
        return fault(RC_IO, "the server's answer names no copy");
    buf_addf(name, "%s", told);
    return RC_OK;
}

/* Beside the store's file, in the registry and in its copy: what the audit log is sealed under.
 */
static const char AUDIT_KEY[] = "audit.key";

/* The authority owns these folders: only the three files that we know are removed, each below
 * the very folder that was opened. */
static enum rc remove_copy(int backups, int copy, const struct buf *name)
{
    AUTO_BUF(room, 256);
    const char *text = NULL;

    buf_add(&room, buf_bytes(name));
    TRY(buf_text(&room, &text));
    if (unlinkat(copy, "data.mdb", 0) != 0 || unlinkat(copy, "store.copy", 0) != 0 ||
        unlinkat(copy, AUDIT_KEY, 0) != 0 || unlinkat(backups, text, AT_REMOVEDIR) != 0)
        return fault_errno("remove the authority's copy %s", text);
    return RC_OK;
}

static enum rc copy_serving(const struct backup *b, int registry, struct stat *like)
{
    AUTO_BUF(name, 256);
    AUTO_FD backups = -1;
    AUTO_FD copy = -1;

    TRY(ask_for_copy(b, &name));
    TRY(open_below(b->conf->dir, &b->at.backups, &backups));
    TRY(open_below(backups, &name, &copy));
    if (fstatat(copy, "data.mdb", like, AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("the authority's copy");
    TRY(cli_copy_file(copy, "data.mdb", registry, "data.mdb", 0600));
    TRY(cli_copy_file(copy, STORE_BACKUP_MANIFEST, registry, STORE_BACKUP_MANIFEST, 0600));
    TRY(cli_copy_file(copy, AUDIT_KEY, registry, AUDIT_KEY, 0600));
    return remove_copy(backups, copy, &name);
}

/* store_open() refuses while somebody has it open (RC_BUSY). */
static enum rc copy_stopped(const struct backup *b, int registry, struct stat *like)
{
    const struct clock clock = clock_system();
    struct store_table tables[CLI_HISTORY_TABLES];
    struct store_schema schema;
    struct store_settings settings = { .clock = &clock };
    AUTO_OF(store) *store = NULL;
    AUTO_FD live = -1;
    struct store_copy copy;
    struct bytes how;

    TRY(open_below(b->conf->dir, &b->at.registry, &live));
    if (fstatat(live, "data.mdb", like, AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("the registry");
    cli_history_schema(tables, &schema, like, &settings);
    TRY(store_open(live, &schema, &settings, &store));
    TRY(cli_copy_file(live, AUDIT_KEY, registry, AUDIT_KEY, 0600));
    if (store_backup_unrecorded(store, &how))
        return fault(RC_DENIED,
                     "this place was restored, and not served since: start touchmarkd "
                     "first, which writes that down");
    return store_backup_copy(store, registry, &copy);
}

static enum rc list_registry(struct backup *b, const struct stat *like)
{
    static const char *const FILES[] = { "data.mdb", STORE_BACKUP_MANIFEST, AUDIT_KEY };

    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        AUTO_BUF(room, PATH_MAX);
        const char *path = NULL;
        buf_add(&room, buf_bytes(&b->at.registry));
        buf_addf(&room, "/%s", FILES[i]);
        TRY(buf_text(&room, &path));
        TRY(cli_manifest_add_file(b->manifest, b->place, path, like));
    }
    return RC_OK;
}

static enum rc copy_registry(struct backup *b)
{
    AUTO_FD registry = -1;
    struct stat like;

    TRY(open_below(b->place, &b->at.registry, &registry));
    TRY(b->call->values[OFFLINE] != NULL ? copy_stopped(b, registry, &like)
                                         : copy_serving(b, registry, &like));
    TRY(cli_history_look(registry, b->dir, NULL, &b->log));
    TRY(cli_manifest_set_head(b->manifest, "log", "size", b->log.size, "root",
                              BYTES_OF(b->log.root.at)));
    return list_registry(b, &like);
}

/* ---- The signer's journal, after it ---- */

static enum rc list_segment(struct backup *b, const char *name, const struct stat *like)
{
    AUTO_BUF(room, PATH_MAX);
    const char *path = NULL;

    if (!ends_with(name, ".segment"))
        return RC_OK;
    buf_add(&room, buf_bytes(&b->at.journal));
    buf_addf(&room, "/%s", name);
    TRY(buf_text(&room, &path));
    return cli_manifest_add_file(b->manifest, b->place, path, like);
}

static enum rc list_journal(struct backup *b, int copy, const struct stat *like)
{
    enum rc rc = RC_OK;
    int fd = openat(copy, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (list == NULL) {
        own_close(&fd);
        return fault_errno("list the copy of the journal");
    }
    for (const struct dirent *entry; rc == RC_OK && (entry = readdir(list)) != NULL;)
        rc = list_segment(b, entry->d_name, like);
    closedir(list);
    return rc;
}

static enum rc copy_journal(struct backup *b)
{
    AUTO_FD from = -1;
    AUTO_FD to = -1;
    struct stat like;

    TRY(open_below(b->conf->dir, &b->at.journal, &from));
    TRY(open_below(b->place, &b->at.journal, &to));
    if (fstat(from, &like) != 0)
        return fault_errno("the signer's journal");
    like.st_mode = 0600;
    TRY(cli_history_copy_journal(from, to, b->log.size, &b->journal));
    TRY(cli_history_check(&b->log, &b->journal));
    unlinkat(to, "lock", 0);
    TRY(cli_manifest_set_head(b->manifest, "journal", "sequence", b->journal.sequence, "hash",
                              BYTES_OF(b->journal.hash)));
    return list_journal(b, to, &like);
}

/* ---- The command ---- */

/* A restore puts these where init does. */
static enum rc require(const struct buf *name, const char *usual)
{
    return is(usual, name) ? RC_OK
                           : fault(RC_DENIED,
                                   "the settings have %.*s in place of %s: not backed "
                                   "up by this command",
                                   BYTES_FMT(buf_bytes(name)), usual);
}

static enum rc find_folders(struct backup *b)
{
    TRY(cli_conf_inside(b->conf, "authority", "registry", "authority/registry",
                        &b->at.registry));
    TRY(cli_conf_inside(b->conf, "authority", "backups", "authority/backups", &b->at.backups));
    TRY(cli_conf_inside(b->conf, "device-door", "journal", "device-door/journal",
                        &b->at.retained));
    TRY(cli_conf_inside(b->conf, "signer", "journal", "signer/journal", &b->at.journal));
    TRY(require(&b->at.registry, "authority/registry"));
    return require(&b->at.journal, "signer/journal");
}

static enum rc fill(struct backup *b)
{
    const struct clock clock = clock_system();
    CLI_MANIFEST(manifest);

    TRY(cli_manifest_new(buf_bytes(&b->conf->place), clock_wall_ms(&clock), &manifest));
    b->manifest = &manifest;
    TRY(file_make_dir(b->dir, "place", 0700, &b->place));
    TRY(copy_place(b));
    TRY(copy_registry(b));
    TRY(copy_journal(b));
    return cli_manifest_write(&manifest, b->dir);
}

static void clear(struct backup *b)
{
    buf_clear(&b->at.registry);
    buf_clear(&b->at.backups);
    buf_clear(&b->at.journal);
    buf_clear(&b->at.retained);
    own_close(&b->place);
    own_close(&b->dir);
}

static enum rc tell(const struct backup *b)
{
    const char *name = b->call->words[0];
    bool pins = b->call->values[WITH_PINS] != NULL;
    AUTO(json_value) *answer =
        json_pack("{s:s, s:I, s:I, s:b}", "folder", name, "records", (json_int_t)b->log.size,
                  "journal", (json_int_t)b->journal.sequence, "pins", pins);

    return cli_show_line(b->call, answer,
                         "%s holds %" PRIu64 " audit records and %" PRIu64
                         " entries of the signer's journal%s.\n",
                         name, b->log.size, b->journal.sequence,
                         pins ? ", and the PINs: guard it as the keys themselves"
                              : ", without the token's PIN: keep that elsewhere");
}

static enum rc run(const struct cli_call *call)
{
    CLI_CONF(conf);
    [[gnu::cleanup(clear)]] struct backup b = {
        .call = call,
        .conf = &conf,
        .at = { BUF_MAX(PATH_MAX), BUF_MAX(PATH_MAX), BUF_MAX(PATH_MAX), BUF_MAX(PATH_MAX) },
        .dir = -1,
        .place = -1,
    };

    TRY(cli_conf_read(cli_command_value(call, CONFIG, "touchmark.conf"), &conf));
    TRY(find_folders(&b));
    TRY(file_make_dir(AT_FDCWD, call->words[0], 0700, &b.dir));
    enum rc rc = fill(&b);
    if (rc != RC_OK) {
        AUTO_BUF(reason, 1024);
        buf_addf(&reason, "%s", fault_text());
        (void)cli_copy_remove(call->words[0]); /* the first failure is what is told */
        return fault(rc, "%.*s", BYTES_FMT(buf_bytes(&reason)));
    }
    return tell(&b);
}

const struct cli_command CLI_BACKUP = {
    .name = "backup",
    .arguments = "DIR",
    .words_least = 1,
    .words_most = 1,
    .summary = "at the machine: copy everything that cannot be made again",
    .teaching =
        "Makes the folder DIR (mode 0700) with the registry and its audit log, the "
        "signer's journal, the\n"
        "issuing HSM token, CA certificates, key rules, settings, policies and retained "
        "messages, and\n"
        "a manifest with the SHA-256 of each file. While touchmarkd runs, the authority "
        "makes the\n"
        "registry's copy; with it stopped, give --offline.\n"
        "\n"
        "Not in it: the root's token, operators' private keys, and unless you say "
        "--with-pins the issuing\n"
        "token's PINs, without which the copy of the token signs nothing.\n"
        "\n"
        "Example, as root:\n"
        "  touchmark backup /mnt/backup-2026-11-27 --config /srv/touchmark/touchmark.conf "
        "\\\n      --profile /root/admin/operator.conf\n",
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof *OPTIONS,
    .run = run,
    .remote = true,
};
