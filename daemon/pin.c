#include "daemon/pin.h"

#include "base/buf.h"
#include "base/sealed.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CREDENTIAL "credential:"

static enum rc find(const char *from, struct buf *path)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");

    if (*from == '/') {
        buf_addf(path, "%s", from);
        return RC_OK;
    }
    if (!bytes_start_with(bytes_of_text(from), BYTES(CREDENTIAL)))
        return fault(RC_MALFORMED, "PIN from %s: expected an absolute path or credential:NAME",
                     from);
    const char *name = from + sizeof CREDENTIAL - 1;
    if (*name == '\0' || strchr(name, '/') != NULL)
        return fault(RC_MALFORMED, "PIN from %s: a credential has a name without a folder",
                     from);
    if (folder == NULL || *folder != '/')
        return fault(RC_NOT_FOUND,
                     "PIN from %s: $CREDENTIALS_DIRECTORY is not set; systemd sets it for "
                     "LoadCredential=%s:FILE",
                     from, name);
    buf_addf(path, "%s/%s", folder, name);
    return RC_OK;
}

static enum rc check_file(int fd, const char *path)
{
    struct stat is;

    if (fstat(fd, &is) != 0)
        return fault_errno("%s", path);
    if (!S_ISREG(is.st_mode))
        return fault(RC_DENIED, "%s: not a regular file", path);
    if (is.st_uid != 0 && is.st_uid != geteuid())
        return fault(RC_DENIED, "%s: belongs to uid %u, not to root or to us", path, is.st_uid);
    if (is.st_mode & (S_IRWXG | S_IRWXO))
        return fault(RC_DENIED, "%s: mode %03o lets others read the PIN, expected 400 or 600",
                     path, is.st_mode & 0777);
    return RC_OK;
}

enum rc daemon_pin_open(const char *from, int *fd)
{
    AUTO_BUF(whole, 4096);
    AUTO_SECRET(pin);
    AUTO_FD file = -1;
    AUTO_FD sealed = -1;
    const char *path = NULL;

    TRY(find(from, &whole));
    TRY(buf_text(&whole, &path));
    file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s: no such file", path)
                               : fault_errno("open %s", path);
    TRY(check_file(file, path));
    enum rc rc = secret_read_fd(&pin, file);
    if (rc != RC_OK)
        return fault_while(rc, "%s", path);
    TRY(sealed_make("pin", secret_bytes(&pin), &sealed));
    TRY(sealed_lock(sealed));
    *fd = TAKE_FD(sealed);
    return RC_OK;
}
