#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 16 * 1024 };

enum rc file_read_fd(int fd, struct buf *out)
{
    size_t before = out->len;

    for (off_t offset = 0;;) {
        size_t room = out->max - out->len < CHUNK ? out->max - out->len : CHUNK;
        uint8_t past = 0, *at = room > 0 ? buf_extend(out, room) : &past;
        if (at == NULL)
            return fault(RC_NOMEM, "read a file");
        ssize_t n = pread(fd, at, room > 0 ? room : 1, offset);
        if (n < 0 || (n > 0 && room == 0)) {
            enum rc rc = n < 0
                             ? fault_errno("read a file")
                             : fault(RC_LIMIT, "file longer than %zu bytes", out->max - before);
            buf_cut(out, before);
            return rc;
        }
        buf_cut(out, out->len - room + (size_t)n);
        if (n == 0)
            return RC_OK;
        offset += n;
    }
}

static enum rc fault_open(const char *name)
{
    if (errno == ENOENT)
        return fault(RC_NOT_FOUND, "%s: no such file", name);
    if (errno == ELOOP)
        return fault(RC_DENIED, "%s: is a symbolic link", name);
    return fault_errno("open %s", name);
}

enum rc file_read(int dir, const char *name, struct buf *out)
{
    /* O_NONBLOCK: a pipe of that name must not hold us up until somebody writes to it. */
    AUTO_FD fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd < 0)
        return fault_open(name);
    enum rc rc = file_read_fd(fd, out);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", name);
}

static bool is_link(int dir, const char *name)
{
    struct stat is;

    return fstatat(dir, name, &is, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(is.st_mode);
}

/* The folder that its last level is in. */
static enum rc descend(int dir, const char **name, int *fd)
{
    *fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char *end; *fd >= 0 && (end = strchr(*name, '/')) != NULL; *name = end + 1) {
        char level[NAME_MAX + 1] = "";
        if ((size_t)(end - *name) >= sizeof level)
            return fault(RC_NOT_FOUND, "%s: a level of more than %d octets", *name, NAME_MAX);
        memcpy(level, *name, (size_t)(end - *name));
        int next = openat(*fd, level, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && is_link(*fd, level))
            return fault(RC_DENIED, "%s: is a symbolic link", level);
        if (next < 0 && (errno == ENOENT || errno == ENOTDIR))
            return fault(RC_NOT_FOUND, "%s: no such folder", level);
        own_close(fd);
        *fd = next;
    }
    return *fd >= 0 ? RC_OK : fault_errno("open %s", *name);
}

enum rc file_read_below(int dir, const char *name, struct buf *out)
{
    const char *last = name;
    AUTO_FD fd = -1;
    struct stat is;

    TRY(descend(dir, &last, &fd));
    if (fstatat(fd, last, &is, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(is.st_mode))
        return fault(RC_NOT_FOUND, "%s: is a folder", name);
    return file_read(fd, last, out);
}

enum rc file_write_all(int fd, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.at, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno("write");
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    return RC_OK;
}

enum rc file_sync_dir(int dir)
{
    /* A descriptor opened with O_PATH, or AT_FDCWD, cannot be synced itself. */
    AUTO_FD fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return fault_errno("sync a folder");
    return RC_OK;
}

static enum rc write_new(int dir, const char *name, struct bytes bytes, mode_t mode)
{
    AUTO_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return errno == EEXIST ? fault(RC_EXISTS, "%s: exists", name) : fault_open(name);
    TRY(file_write_all(fd, bytes));
    if (fchmod(fd, mode) != 0 || fsync(fd) != 0)
        return fault_errno("sync %s", name);
    return RC_OK;
}

/* The temporary name is fixed: one writer a folder is our rule, and a stale one is our own
 * debris. */
static enum rc put(int dir, const char *name, struct bytes bytes, mode_t mode, unsigned flags)
{
    AUTO_BUF(path, 4096);
    const char *temporary = NULL;

    buf_addf(&path, "%s.new", name);
    TRY(buf_text(&path, &temporary));
    if (unlinkat(dir, temporary, 0) != 0 && errno != ENOENT)
        return fault_errno("remove %s", temporary);

    enum rc rc = write_new(dir, temporary, bytes, mode);
    if (rc == RC_OK && renameat2(dir, temporary, dir, name, flags) != 0)
        rc = errno == EEXIST ? fault(RC_EXISTS, "%s: exists", name)
                             : fault_errno("rename to %s", name);
    if (rc != RC_OK) {
        unlinkat(dir, temporary, 0);
        return rc;
    }
    return file_sync_dir(dir);
}

enum rc file_write(int dir, const char *name, struct bytes bytes, mode_t mode)
{
    return put(dir, name, bytes, mode, 0);
}

enum rc file_create(int dir, const char *name, struct bytes bytes, mode_t mode)
{
    return put(dir, name, bytes, mode, RENAME_NOREPLACE);
}

enum rc file_open_dir(int dir, const char *name, int *fd)
{
    int opened = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (opened < 0)
        return fault_open(name);
    *fd = opened;
    return RC_OK;
}

/* The mode is the caller's, whatever the umask. */
enum rc file_make_dir(int dir, const char *name, mode_t mode, int *fd)
{
    AUTO_FD made = -1;

    if (mkdirat(dir, name, 0700) != 0)
        return errno == EEXIST ? fault(RC_EXISTS, "%s: exists", name)
                               : fault_errno("make folder %s", name);
    TRY(file_open_dir(dir, name, &made));
    if (fchmod(made, mode) != 0)
        return fault_errno("set the mode of folder %s", name);
    TRY(file_sync_dir(dir));
    *fd = TAKE_FD(made);
    return RC_OK;
}
