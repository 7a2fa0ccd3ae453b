#include "base/sealed.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { FIXED = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

enum rc sealed_make(const char *name, struct bytes bytes, int *fd)
{
    AUTO_FD made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return fault_errno("memory for %s", name);
    TRY(file_write_all(made, bytes));
    if (fcntl(made, F_ADD_SEALS, F_SEAL_SEAL | FIXED) != 0)
        return fault_errno("seal %s", name);
    *fd = TAKE_FD(made);
    return RC_OK;
}

enum rc sealed_lock(int fd)
{
    struct stat is;
    void *at;

    if (fstat(fd, &is) != 0 || is.st_size <= 0)
        return fault(RC_IO, "lock sealed memory: it has no size");
    at = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return fault_errno("map sealed memory");
    if (mlock(at, (size_t)is.st_size) != 0 ||
        madvise(at, (size_t)is.st_size, MADV_DONTDUMP) != 0) {
        enum rc rc = fault_errno("lock sealed memory; RLIMIT_MEMLOCK is too low");
        munmap(at, (size_t)is.st_size);
        return rc;
    }
    return RC_OK; /* the mapping stays, and with it the lock */
}

enum rc sealed_check(int fd, size_t len)
{
    struct stat is;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & FIXED) != FIXED)
        return fault(RC_MALFORMED, "sealed memory: what came can still be changed");
    if (fstat(fd, &is) != 0 || is.st_size < 0 || (uint64_t)is.st_size != len)
        return fault(RC_MALFORMED, "sealed memory: %lld octets, expected %zu",
                     (long long)is.st_size, len);
    return RC_OK;
}

enum rc sealed_read(int fd, size_t from, size_t len, struct buf *out)
{
    size_t before = out->len, done = 0;
    uint8_t *at = buf_extend(out, len);

    if (at == NULL)
        return fault(RC_LIMIT, "sealed memory: no room for %zu octets", len);
    while (done < len) {
        ssize_t got = pread(fd, at + done, len - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            buf_cut(out, before);
            return got < 0 ? fault_errno("read sealed memory")
                           : fault(RC_IO, "sealed memory: it ends at %zu", from + done);
        }
        done += (size_t)got;
    }
    return RC_OK;
}
