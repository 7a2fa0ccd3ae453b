/* TLS towards a receiver: who it must be, and one connection to it. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

#include <sys/socket.h>

/* Private to integration/. Non-blocking; calls return RC_BUSY when they wait for the socket,
 * and say for what. */
struct integration_tls_setup {
    const char *server_name;
    const char *authorities, *certificate, *key; /* files; the latter two may be "" */
};

struct integration_tls_identity; /* an SSL_CTX */
enum rc integration_tls_identity_new(const struct integration_tls_setup *setup,
                                     struct integration_tls_identity **identity);
void integration_tls_identity_free(struct integration_tls_identity *identity);
/* For who makes its own connections (libcurl): authorities, name and bounds onto its context,
 * an SSL_CTX; not our certificate. */
enum rc integration_tls_identity_lend(const struct integration_tls_identity *identity,
                                      void *context);

struct integration_tls;
/* fd is connected or connecting, and stays the caller's. */
enum rc integration_tls_new(const struct integration_tls_identity *identity, int fd,
                            struct integration_tls **tls);
void integration_tls_free(struct integration_tls *tls);

/* RC_OK, RC_BUSY; RC_DENIED when the receiver is not whom it must be, RC_CLOSED, RC_IO. */
enum rc integration_tls_handshake(struct integration_tls *tls, bool *wants_write);
/* *taken of the octets are with the kernel; RC_BUSY when there is no room for more. */
enum rc integration_tls_write(struct integration_tls *tls, struct bytes bytes, size_t *taken,
                              bool *wants_write);
/* Look for the end of the connection; what else comes is dropped. RC_BUSY: none. RC_CLOSED: in
 * order, nothing lost; RC_IO: broken. */
enum rc integration_tls_watch(struct integration_tls *tls);
/* Say that nothing more comes. RC_OK, RC_BUSY. */
enum rc integration_tls_finish(struct integration_tls *tls, bool *wants_write);
/* Octets given to the kernel so far. */
uint64_t integration_tls_written(const struct integration_tls *tls);
