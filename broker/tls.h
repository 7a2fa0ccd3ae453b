/* TLS 1.2 and 1.3 as both doors speak it; OpenSSL alone (DESIGN.md D1). */
#pragma once

#include "broker/own_key.h"
#include "registry/projection.h"

/*
 * AEAD suites only, X25519 and P-256, no renegotiation, no compression, no tickets: sessions
 * are resumed from a bounded cache in memory, so that a cut certificate's can be taken out of
 * it, and so that resuming is cheap (PEERS.md section 8). A chain is not built: the leaf is
 * judged by its fingerprint (D2).
 *
 * The factory is shared by all threads; a stream (struct ssl_st) is one thread's.
 */
struct broker_tls;
struct ssl_st;
struct x509_st;

struct broker_tls_setup {
    int64_t session_timeout_s;
    size_t sessions; /* in the cache */
    /*
     * Judge a leaf in a full handshake. ACCEPTED and UNKNOWN go on (of the latter the owner
     * asks the authority, with no application data passed until it answers), anything else ends
     * the handshake with the alert that names it. with is the stream's.
     */
    enum registry_verdict (*judge)(void *with, const struct x509_st *leaf);
};

enum rc broker_tls_new(const struct broker_tls_setup *setup, struct broker_tls **tls);
/* When no stream is left. */
void broker_tls_free(struct broker_tls *tls);
AUTO_STRUCT(broker_tls, broker_tls_free)
/* From now on new streams show this certificate. What was cached for resumption is gone. */
enum rc broker_tls_use(struct broker_tls *tls, const struct broker_own_key *key);

enum broker_tls_demand { BROKER_TLS_OPTIONAL, BROKER_TLS_REQUIRED }; /* a client certificate */

/* A server's stream over a non-blocking socket, which stays the caller's. Sessions are resumed
 * within one context ("mqtts"). */
enum rc broker_tls_open(struct broker_tls *tls, int fd, const char *context,
                        enum broker_tls_demand demand, void *with, struct ssl_st **stream);
void broker_tls_close(struct ssl_st *stream); /* without a word, NULL is fine */

/* Of the last two fault_text() says how. */
enum broker_tls_step {
    BROKER_TLS_DONE,
    BROKER_TLS_WANT_READ,
    BROKER_TLS_WANT_WRITE,
    BROKER_TLS_ENDED, /* the other side said so */
    BROKER_TLS_BROKEN
};
enum broker_tls_step broker_tls_handshake(struct ssl_st *stream);
/* At most a record at a time. */
enum broker_tls_step broker_tls_read(struct ssl_st *stream, uint8_t *to, size_t room,
                                     size_t *got);
enum broker_tls_step broker_tls_write(struct ssl_st *stream, struct bytes bytes, size_t *sent);
bool broker_tls_has_more(const struct ssl_st *stream); /* read, and not yet asked for */
void broker_tls_say_goodbye(struct ssl_st *stream);    /* close_notify, if it can be sent now */

bool broker_tls_was_resumed(const struct ssl_st *stream);
const struct x509_st *broker_tls_leaf(const struct ssl_st *stream); /* borrowed; NULL */
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" */
void broker_tls_describe(const struct ssl_st *stream, struct buf *text);
/* For RFC 7030 3.5, see peer.h; returns its length, 0 for none. */
size_t broker_tls_binding(struct ssl_st *stream, uint8_t *to, size_t room);
/* Its session is not resumed again. */
void broker_tls_forget(struct ssl_st *stream);
