/* Word to the service manager about our state: sd_notify(3)'s protocol, without its library. */
#pragma once

#include "base/rc.h"

#include <stdint.h>

struct daemon_notify {
    int fd;              /* -1: nobody listens, and telling does nothing */
    int64_t watchdog_ms; /* say WATCHDOG=1 at least this often; 0: not asked for */
};

/*
 * Connects to $NOTIFY_SOCKET, before the jail: later an abstract name is out of reach. Nothing
 * is a failure when it is not set; RC_MALFORMED for a form that is no Unix socket. The watchdog
 * counts if $WATCHDOG_PID is ours or absent; we report at half of $WATCHDOG_USEC.
 */
enum rc daemon_notify_open(struct daemon_notify *notify);
void daemon_notify_close(struct daemon_notify *notify);
/* "READY=1" and the like, one state a datagram. What cannot be delivered at once is lost. */
void daemon_notify_tell(const struct daemon_notify *notify, const char *state);
