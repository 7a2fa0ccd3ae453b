#include "audit/tile_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/note.h"
#include "base/file.h"

#define CHECKPOINT "checkpoint"

enum { FOLDER_MODE = 0755, FILE_MODE = 0644 };

/* ---- Paths: folder by folder, so that each is synced into the one above ---- */

static enum rc open_below(int dir, const char *name, bool make, int *fd)
{
    enum rc rc = file_open_dir(dir, name, fd);

    if (rc == RC_NOT_FOUND && make)
        rc = file_make_dir(dir, name, FOLDER_MODE, fd);
    return rc;
}

/* The folder of the last name in path, and that name. */
static enum rc open_folder(int dir, struct buf *path, bool make, int *fd, const char **name)
{
    const char *text = NULL;
    AUTO_FD at = -1;

    TRY(buf_text(path, &text));
    char *begin = (char *)path->at;
    for (char *slash = strchr(begin, '/'); slash != NULL; slash = strchr(begin, '/')) {
        int below = -1;
        *slash = '\0';
        TRY(open_below(at < 0 ? dir : at, begin, make, &below));
        own_close(&at);
        at = below;
        begin = slash + 1;
    }
    *fd = TAKE_FD(at);
    *name = begin;
    return RC_OK;
}

/* ---- Into files, and out of them ---- */

enum rc audit_tile_file_get(int dir, const struct audit_tile *tile, struct buf *content)
{
    AUTO_BUF(path, AUDIT_TILE_PATH_MAX);
    AUTO_FD folder = -1;
    const char *name = NULL;

    audit_tile_write_path(tile, &path);
    TRY(open_folder(dir, &path, false, &folder, &name));
    return file_read(folder, name, content);
}

/* What is longer, a link, or cannot be read is something else, too. */
static enum audit_tile_found look(int folder, const char *name, struct bytes content,
                                  struct buf *found)
{
    struct bytes bytes;
    enum rc rc = file_read(folder, name, found);

    if (rc == RC_NOT_FOUND)
        return AUDIT_TILE_ABSENT;
    return rc == RC_OK && buf_done(found, &bytes) == RC_OK && bytes_equal(bytes, content)
               ? AUDIT_TILE_SAME
               : AUDIT_TILE_ALTERED;
}

/* What cannot be removed is in nobody's way: it is right, and the next full tile of that place
 * comes after a restart. */
static void remove_partials(int folder, const char *name)
{
    AUTO_BUF(partials, AUDIT_TILE_PATH_MAX);
    const char *text = NULL;
    int fd = -1;

    buf_addf(&partials, "%s.p", name);
    if (buf_text(&partials, &text) != RC_OK || file_open_dir(folder, text, &fd) != RC_OK)
        return;
    DIR *list = fdopendir(fd);
    if (list == NULL) {
        own_close(&fd);
        return;
    }
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        unlinkat(dirfd(list), one->d_name, 0);
    closedir(list);
    unlinkat(folder, text, AT_REMOVEDIR);
}

enum rc audit_tile_file_put(int dir, const struct audit_tile *tile, struct bytes content,
                            bool mend, enum audit_tile_found *found)
{
    AUTO_BUF(path, AUDIT_TILE_PATH_MAX);
    AUTO_BUF(room, AUDIT_TILE_BYTES_MAX + 1);
    AUTO_FD folder = -1;
    const char *name = NULL;

    audit_tile_write_path(tile, &path);
    TRY(open_folder(dir, &path, true, &folder, &name));
    *found = look(folder, name, content, &room);
    if (*found == AUDIT_TILE_ABSENT || (*found == AUDIT_TILE_ALTERED && mend))
        TRY(file_write(folder, name, content, FILE_MODE));
    if (tile->width == AUDIT_TILE_WIDTH)
        remove_partials(folder, name);
    return RC_OK;
}

enum rc audit_tile_file_publish(int dir, struct bytes note, struct bytes former, bool mend,
                                enum audit_tile_found *found)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    bool expected = former.len == 0;

    *found = look(dir, CHECKPOINT, note, &room);
    if (*found == AUDIT_TILE_SAME)
        return RC_OK;
    expected = expected || bytes_equal(buf_bytes(&room), former);
    if (*found == AUDIT_TILE_ALTERED && !expected && !mend)
        return RC_OK;
    if (expected)
        *found = AUDIT_TILE_ABSENT;
    return file_write(dir, CHECKPOINT, note, FILE_MODE);
}

enum rc audit_tile_file_published(int dir, struct buf *note)
{
    return file_read(dir, CHECKPOINT, note);
}

enum rc audit_tile_file_withdraw(int dir)
{
    if (unlinkat(dir, CHECKPOINT, 0) != 0 && errno != ENOENT)
        return fault_errno("remove %s", CHECKPOINT);
    return file_sync_dir(dir);
}
