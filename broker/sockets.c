#include "broker/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static void write_address(const union address *from, char to[REGISTRY_PEER_MAX + 1])
{
    bool v6 = from->any.sa_family == AF_INET6;
    char host[INET6_ADDRSTRLEN] = "";
    const char *text = "";
    AUTO_BUF(written, REGISTRY_PEER_MAX + 1);

    inet_ntop(from->any.sa_family,
              v6 ? (const void *)&from->v6.sin6_addr : (const void *)&from->v4.sin_addr, host,
              sizeof host);
    buf_addf(&written, v6 ? "[%s]:%u" : "%s:%u", host,
             ntohs(v6 ? from->v6.sin6_port : from->v4.sin_port));
    *to = '\0';
    if (buf_text(&written, &text) == RC_OK && strlen(text) <= REGISTRY_PEER_MAX)
        memcpy(to, text, strlen(text) + 1);
}

int broker_sockets_accept(int listener, char address[REGISTRY_PEER_MAX + 1])
{
    union address peer = { 0 };
    socklen_t len = sizeof peer;
    int fd = accept4(listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        write_address(&peer, address);
    return fd;
}

void broker_sockets_address(int listener, char address[REGISTRY_PEER_MAX + 1])
{
    union address own = { 0 };
    socklen_t len = sizeof own;

    *address = '\0';
    if (getsockname(listener, &own.any, &len) == 0)
        write_address(&own, address);
}
