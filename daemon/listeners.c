#include "daemon/listeners.h"

#include "base/own.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum {
    BACKLOG = 4096,
    /* A peer that is gone without a word holds its place this long and no longer, whatever
     * MQTT's keep alive says: silence, then probes; and the same where what we sent stays
     * unread. */
    SILENT_S = 300,
    PROBE_EVERY_S = 30,
    PROBES = 4,
    UNREAD_MS = (SILENT_S + PROBE_EVERY_S * PROBES) * 1000
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static enum rc read_host(const char *text, struct bytes host, uint16_t port, union address *to)
{
    char name[INET6_ADDRSTRLEN] = "";
    bool v6 = host.len > 2 && *host.at == '[' && host.at[host.len - 1] == ']';

    if (v6)
        host = (struct bytes){ host.at + 1, host.len - 2 };
    if (host.len == 0 || host.len >= sizeof name)
        return fault(RC_MALFORMED, "%s: expected 127.0.0.1:8883 or [::1]:8883", text);
    memcpy(name, host.at, host.len);
    *to = (union address){ 0 };
    if (v6)
        to->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
    else
        to->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(to->any.sa_family, name,
                  v6 ? (void *)&to->v6.sin6_addr : (void *)&to->v4.sin_addr) != 1)
        return fault(RC_MALFORMED, "%s: %s is no IP address", text, name);
    return RC_OK;
}

static enum rc read_address(const char *text, union address *to)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;

    if (colon == NULL || text_read_u64(bytes_of_text(colon + 1), UINT16_MAX, &port) != RC_OK)
        return fault(RC_MALFORMED, "%s: expected an address and a port below 65536", text);
    return read_host(text, (struct bytes){ (const uint8_t *)text, (size_t)(colon - text) },
                     (uint16_t)port, to);
}

static enum rc set_to(int fd, int level, int option, const char *name, int value)
{
    if (setsockopt(fd, level, option, &value, sizeof value) != 0)
        return fault_errno("set %s", name);
    return RC_OK;
}

static enum rc set(int fd, int level, int option, const char *name)
{
    return set_to(fd, level, option, name, 1);
}

/* An accepted socket inherits them: no call for each connection. */
static enum rc outlive_no_peer(int fd)
{
    TRY(set(fd, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE"));
    TRY(set_to(fd, IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE", SILENT_S));
    TRY(set_to(fd, IPPROTO_TCP, TCP_KEEPINTVL, "TCP_KEEPINTVL", PROBE_EVERY_S));
    TRY(set_to(fd, IPPROTO_TCP, TCP_KEEPCNT, "TCP_KEEPCNT", PROBES));
    return set_to(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT", UNREAD_MS);
}

static enum rc listen_one(const char *text, const union address *at, bool shared, int *fd)
{
    AUTO_FD made =
        socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    bool v6 = at->any.sa_family == AF_INET6;

    if (made < 0)
        return fault_errno("%s: socket", text);
    TRY(set(made, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"));
    if (shared)
        TRY(set(made, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT"));
    if (v6)
        TRY(set(made, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"));
    TRY(set(made, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY"));
    TRY(outlive_no_peer(made));
    if (bind(made, &at->any, v6 ? sizeof at->v6 : sizeof at->v4) != 0)
        return fault_errno("bind %s", text);
    if (listen(made, BACKLOG) != 0)
        return fault_errno("listen on %s", text);
    *fd = TAKE_FD(made);
    return RC_OK;
}

enum rc daemon_listeners_open(const char *address, size_t count, int *fds)
{
    union address at = { 0 };
    enum rc rc = read_address(address, &at);
    size_t opened = 0;

    for (; rc == RC_OK && opened < count; opened++) {
        socklen_t len = sizeof at;
        int fd = -1;
        rc = listen_one(address, &at, count > 1, &fd);
        if (rc != RC_OK)
            break;
        fds[opened] = fd;
        /* The first may have chosen the port; the others share it. */
        if (getsockname(fd, &at.any, &len) != 0)
            rc = fault_errno("%s: read the port", address);
    }
    while (rc != RC_OK && opened > 0)
        close(fds[--opened]);
    return rc;
}
