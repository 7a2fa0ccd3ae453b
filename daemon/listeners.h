/* Listening sockets that outlive the process which serves them. */
#pragma once

#include "base/rc.h"

#include <stddef.h>

/*
 * Open count TCP sockets listening on address ("127.0.0.1:8883", "[::1]:8883", numbers only;
 * port 0 is any free one), to be kept and handed to each life of a door: connections that come
 * while it restarts wait in the backlog. More than one shares the port by SO_REUSEPORT, one a
 * worker thread. All are close-on-exec, non-blocking and have TCP_NODELAY for what they accept;
 * an IPv6 address takes IPv6 only. Privileged ports need root: open before the jail. On failure
 * none stays open.
 */
enum rc daemon_listeners_open(const char *address, size_t count, int *fds);
