#include "cli/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { CHUNK = 256 * 1024 };

/* We are root, and the folders belong to processes that may be broken: no part of the name may
 * lead away. */
static enum rc open_below(int dir, const char *name, uint64_t flags, int *fd)
{
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };

    *fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (*fd >= 0)
        return RC_OK;
    if (errno == ELOOP || errno == EXDEV)
        return fault(RC_DENIED, "%s: a symbolic link, or one on its way", name);
    return errno == ENOENT ? fault(RC_NOT_FOUND, "%s is not there", name)
                           : fault_errno("open %s", name);
}

enum rc cli_copy_open_dir(int dir, const char *name, int *fd)
{
    int opened = -1;

    TRY(open_below(dir, name, O_DIRECTORY, &opened));
    *fd = opened;
    return RC_OK;
}

static enum rc open_source(int dir, const char *name, int *fd)
{
    struct stat found;

    TRY(open_below(dir, name, 0, fd));
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

enum rc cli_copy_remove(const char *path)
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
