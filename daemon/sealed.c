#include "daemon/sealed.h"

#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum rc daemon_sealed_make(const char *name, struct bytes bytes, int *fd)
{
    AUTO_FD made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return fault_errno("memory for %s", name);
    TRY(file_write_all(made, bytes));
    if (fcntl(made, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        return fault_errno("seal %s", name);
    *fd = TAKE_FD(made);
    return RC_OK;
}

enum rc daemon_sealed_lock(int fd)
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
