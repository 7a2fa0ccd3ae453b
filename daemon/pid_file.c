#include "daemon/pid_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

enum rc daemon_pid_file_open(const char *path, int *fd)
{
    AUTO_FD opened = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    AUTO_BUF(text, 32);

    if (opened < 0)
        return fault_errno("pid file %s", path);
    if (flock(opened, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? fault(RC_EXISTS, "pid file %s: another touchmarkd holds it", path)
                   : fault_errno("lock pid file %s", path);
    if (fchmod(opened, 0644) != 0 || ftruncate(opened, 0) != 0)
        return fault_errno("pid file %s", path);
    buf_addf(&text, "%d\n", getpid());
    TRY(file_write_all(opened, buf_bytes(&text)));
    *fd = TAKE_FD(opened);
    return RC_OK;
}
