#include "cli/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 256 * 1024 };

static enum rc open_source(int dir, const char *name, int *fd)
{
    struct stat found;

    *fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s is not there", name)
                               : fault_errno("open %s", name);
    if (fstat(*fd, &found) != 0 || !S_ISREG(found.st_mode))
        return fault(RC_DENIED, "%s is no regular file", name);
    return RC_OK;
}

static enum rc pump(int from, int to)
{
    AUTO_BUF(room, CHUNK);
    uint8_t *at = buf_extend(&room, CHUNK);

    if (at == NULL)
        return fault(RC_NOMEM, "copy");
    for (;;) {
        ssize_t n = read(from, at, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno("read");
        if (n == 0)
            return fsync(to) == 0 ? RC_OK : fault_errno("sync");
        TRY(file_write_all(to, (struct bytes){ at, (size_t)n }));
    }
}

enum rc cli_copy_file(int from, const char *from_name, int to, const char *to_name, mode_t mode)
{
    AUTO_FD source = -1;

    TRY(open_source(from, from_name, &source));
    AUTO_FD target =
        openat(to, to_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (target < 0)
        return errno == EEXIST ? fault(RC_EXISTS, "%s exists", to_name)
                               : fault_errno("make %s", to_name);
    enum rc rc = pump(source, target);
    if (rc != RC_OK) {
        unlinkat(to, to_name, 0);
        return fault_while(rc, "copy %s", from_name);
    }
    return RC_OK;
}

static enum rc remove_tree(const char *path)
{
    char start[PATH_MAX] = "";
    char *paths[] = { start, NULL };
    enum rc rc = RC_OK;

    memcpy(start, path, strnlen(path, sizeof start - 1));
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return fault_errno("walk %s", path);
    for (FTSENT *entry; rc == RC_OK && (entry = fts_read(tree)) != NULL;)
        if (entry->fts_info != FTS_D && remove(entry->fts_accpath) != 0 && errno != ENOENT)
            rc = fault_errno("remove %s", entry->fts_path);
    fts_close(tree);
    return rc;
}

enum rc cli_copy_remove(int dir, const char *name)
{
    AUTO_BUF(path, PATH_MAX);
    const char *text = NULL;

    /* fts(3) takes paths only. */
    buf_addf(&path, "/proc/self/fd/%d/%s", dir, name);
    if (dir == AT_FDCWD) {
        buf_reset(&path);
        buf_addf(&path, "%s", name);
    }
    TRY(buf_text(&path, &text));
    return remove_tree(text);
}
