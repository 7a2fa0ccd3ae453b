#include "daemon/notify.h"

#include "base/own.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static int64_t watchdog_ms(void)
{
    const char *interval = getenv("WATCHDOG_USEC"), *whose = getenv("WATCHDOG_PID");
    uint64_t usec = 0, pid = 0;

    if (interval == NULL || text_read_u64(bytes_of_text(interval), INT64_MAX, &usec) != RC_OK)
        return 0;
    if (whose != NULL && (text_read_u64(bytes_of_text(whose), INT32_MAX, &pid) != RC_OK ||
                          pid != (uint64_t)getpid()))
        return 0;
    return (int64_t)(usec / 2000);
}

enum rc daemon_notify_open(struct daemon_notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    AUTO_FD fd = -1;

    *notify = (struct daemon_notify){ .fd = -1 };
    if (name == NULL)
        return RC_OK;
    size_t len = strlen(name);
    if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof to.sun_path)
        return fault(RC_MALFORMED, "$NOTIFY_SOCKET: %s is no Unix socket", name);
    memcpy(to.sun_path, name, len);
    if (*name == '@')
        to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0)
        return fault_errno("$NOTIFY_SOCKET: %s", name);
    notify->fd = TAKE_FD(fd);
    notify->watchdog_ms = watchdog_ms();
    return RC_OK;
}

void daemon_notify_close(struct daemon_notify *notify)
{
    own_close(&notify->fd);
    notify->fd = -1;
}

void daemon_notify_tell(const struct daemon_notify *notify, const char *state)
{
    if (notify->fd >= 0 && send(notify->fd, state, strlen(state), MSG_NOSIGNAL) < 0)
        return; /* the manager's queue is full or it is gone: its own timeouts speak for it */
}
