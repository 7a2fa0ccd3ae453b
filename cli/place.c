#include "cli/place.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { PIN_LETTERS = 32, DEPTH_MAX = 16 };

static const struct cli_place NOWHERE = {
    .final_path = { .max = PATH_MAX },
    .working_path = { .max = PATH_MAX },
    .dir = -1,
    .finished = true,
};

/* The parent must exist; what is below it need not. */
static enum rc set_paths(const char *name, struct cli_place *place)
{
    char whole[PATH_MAX];
    AUTO_BUF(parent, PATH_MAX);
    const char *text = NULL;
    struct bytes given = bytes_of_text(name);

    while (given.len > 1 && given.at[given.len - 1] == '/')
        given.len--;
    const uint8_t *slash = given.len > 0 ? memrchr(given.at, '/', given.len) : NULL;
    struct bytes last = given;
    if (slash != NULL)
        last = (struct bytes){ slash + 1, (size_t)(given.at + given.len - slash) - 1 };
    if (last.len == 0 || bytes_equal(last, BYTES(".")) || bytes_equal(last, BYTES("..")))
        return fault(RC_MALFORMED, "%s: name the folder that is to be made", name);
    if (slash == given.at)
        buf_addf(&parent, "/");
    else if (slash != NULL)
        buf_add(&parent, (struct bytes){ given.at, (size_t)(slash - given.at) });
    else
        buf_addf(&parent, ".");
    TRY(buf_text(&parent, &text));
    if (realpath(text, whole) == NULL)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s: no such folder", text)
                               : fault_errno("%s", text);
    buf_addf(&place->final_path, "%s/%.*s", strcmp(whole, "/") == 0 ? "" : whole,
             BYTES_FMT(last));
    buf_add(&place->working_path, buf_bytes(&place->final_path)); /* begin() appends */
    return place->final_path.broken ? fault(RC_LIMIT, "a path of more than %d bytes", PATH_MAX)
                                    : RC_OK;
}

static bool exists(const char *path)
{
    struct stat found;

    return lstat(path, &found) == 0;
}

static enum rc begin(const char *name, struct cli_place *place)
{
    const char *final = NULL, *working = NULL;

    TRY(set_paths(name, place));
    buf_addf(&place->working_path, ".partial");
    TRY(buf_text(&place->final_path, &final));
    TRY(buf_text(&place->working_path, &working));
    if (exists(final))
        return fault(RC_EXISTS, "%s exists; a new folder is made, and none is changed", final);
    /* Its folders are given away before it is complete: until then nobody else may enter. */
    enum rc rc = file_make_dir(AT_FDCWD, working, 0700, &place->dir);
    if (rc == RC_EXISTS)
        return fault(RC_EXISTS, "%s is left from an interrupted run: remove it, then try again",
                     working);
    place->finished = rc != RC_OK;
    return rc;
}

enum rc cli_place_make(const char *name, struct cli_place *place)
{
    struct cli_place made = NOWHERE;
    enum rc rc = begin(name, &made);

    if (rc == RC_OK)
        *place = made;
    else
        cli_place_close(&made);
    return rc;
}

enum rc cli_place_open(const char *name, struct cli_place *place)
{
    struct cli_place opened = NOWHERE;
    const char *final = NULL;
    enum rc rc = set_paths(name, &opened);

    if (rc == RC_OK)
        rc = buf_text(&opened.final_path, &final);
    if (rc == RC_OK)
        rc = file_open_dir(AT_FDCWD, final, &opened.dir);
    opened.opened = true;
    if (rc == RC_OK)
        *place = opened;
    else
        cli_place_close(&opened);
    return rc;
}

enum rc cli_place_finish(struct cli_place *place)
{
    const char *final = NULL, *working = NULL;

    TRY(buf_text(&place->final_path, &final));
    TRY(buf_text(&place->working_path, &working));
    if (fchmod(place->dir, 0755) != 0)
        return fault_errno("set the mode of %s", working);
    TRY(file_sync_dir(place->dir));
    if (renameat2(AT_FDCWD, working, AT_FDCWD, final, RENAME_NOREPLACE) != 0)
        return errno == EEXIST ? fault(RC_EXISTS, "%s exists", final)
                               : fault_errno("rename to %s", final);
    place->finished = true;
    return RC_OK;
}

/* fts(3) visits folders twice: before and after what is in them. */
static enum rc walk(const char *path, enum rc (*visit)(const FTSENT *entry, const void *with),
                    const void *with)
{
    char start[PATH_MAX] = "";
    char *paths[] = { start, NULL };
    enum rc rc = RC_OK;

    memcpy(start, path, strnlen(path, sizeof start - 1));
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return fault_errno("walk %s", path);
    for (FTSENT *entry; rc == RC_OK && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_level > DEPTH_MAX)
            rc = fault(RC_LIMIT, "%s: deeper than %d folders", path, DEPTH_MAX);
        else if (entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR ||
                 entry->fts_info == FTS_NS)
            rc = fault(RC_IO, "%s: %s", entry->fts_path, strerrordesc_np(entry->fts_errno));
        else
            rc = visit(entry, with);
    }
    fts_close(tree);
    return rc;
}

static enum rc remove_one(const FTSENT *entry, const void *with)
{
    (void)with;
    if (entry->fts_info == FTS_D)
        return RC_OK;
    return remove(entry->fts_accpath) == 0 ? RC_OK : fault_errno("remove %s", entry->fts_path);
}

void cli_place_close(struct cli_place *place)
{
    const char *working = NULL;

    if (!place->finished && buf_text(&place->working_path, &working) == RC_OK)
        (void)walk(working, remove_one, NULL); /* the failure that led here is what is told */
    own_close(&place->dir);
    buf_clear(&place->final_path);
    buf_clear(&place->working_path);
    *place = NOWHERE;
}

enum rc cli_place_add_folder(const struct cli_place *place, const char *name, bool secret)
{
    AUTO_FD made = -1;

    return file_make_dir(place->dir, name, secret ? 0700 : 0755, &made);
}

enum rc cli_place_add_file(const struct cli_place *place, const char *name, struct bytes bytes,
                           bool secret)
{
    mode_t mode = secret ? 0600 : 0644;

    return place->opened ? file_write(place->dir, name, bytes, mode)
                         : file_create(place->dir, name, bytes, mode);
}

enum rc cli_place_read_file(const struct cli_place *place, const char *name, struct buf *out)
{
    return file_read(place->dir, name, out);
}

enum rc cli_place_add_pin(const struct cli_place *place, const char *name, struct secret *pin)
{
    TRY(secret_make_text(pin, PIN_LETTERS));
    return cli_place_add_file(place, name, secret_bytes(pin), true);
}

enum rc cli_place_read_pin(const struct cli_place *place, const char *name, struct secret *pin)
{
    AUTO_FD fd = openat(place->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s: no such file", name)
                               : fault_errno("open %s", name);
    return secret_read_fd(pin, fd);
}

struct owner {
    uid_t uid;
    gid_t gid;
};

static enum rc give_one(const FTSENT *entry, const void *with)
{
    const struct owner *owner = with;

    if (lchown(entry->fts_accpath, owner->uid, owner->gid) != 0)
        return fault_errno("give %s away", entry->fts_path);
    return RC_OK;
}

enum rc cli_place_give(const struct cli_place *place, const char *name, uid_t uid, gid_t gid)
{
    AUTO_BUF(path, PATH_MAX);
    const char *text = NULL;

    buf_add(&path, buf_bytes(&place->working_path));
    buf_addf(&path, "/%s", name);
    TRY(buf_text(&path, &text));
    return walk(text, give_one, &(const struct owner){ uid, gid });
}

enum rc cli_place_open_to_group(const struct cli_place *place, const char *name)
{
    return fchmodat(place->dir, name, 0750, 0) == 0 ? RC_OK
                                                    : fault_errno("open %s to its group", name);
}

static enum rc seal_one(const FTSENT *entry, const void *with)
{
    size_t len = strlen(with);

    if (entry->fts_info != FTS_F || entry->fts_namelen < len ||
        strcmp(entry->fts_name + entry->fts_namelen - len, with) != 0)
        return RC_OK;
    if (chmod(entry->fts_accpath, S_IRUSR) != 0)
        return fault_errno("make %s read-only", entry->fts_path);
    return RC_OK;
}

enum rc cli_place_seal(const struct cli_place *place, const char *name, const char *ending)
{
    AUTO_BUF(path, PATH_MAX);
    const char *text = NULL;

    buf_add(&path, buf_bytes(&place->working_path));
    buf_addf(&path, "/%s", name);
    TRY(buf_text(&path, &text));
    return walk(text, seal_one, ending);
}

void cli_place_add_path(const struct cli_place *place, const char *name, struct buf *out)
{
    buf_add(out, buf_bytes(&place->final_path));
    buf_addf(out, "/%s", name);
}
