#include "broker/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

AUTO_TYPE(SSL_CTX, SSL_CTX_free)
AUTO_TYPE(SSL, SSL_free)

enum {
    READ_AHEAD = 64 * 1024,
    CHAIN_MAX = 16 * 1024, /* octets of certificates that a client may send */
    EMPTY_MAX = 32,        /* records in a row that bring no data: key updates */
    BINDING = 32           /* RFC 9266: octets of tls-exporter */
};

static const char SUITES_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305";
static const char SUITES_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* A context cannot be changed while others make streams of it: it is replaced whole. */
struct broker_tls {
    struct broker_tls_setup setup;
    pthread_mutex_t lock;
    SSL_CTX *context; /* NULL before the first key */
};

static enum rc refused(const char *what)
{
    const char *why = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return fault(RC_CRYPTO, "%s: %s", what, why == NULL ? "no reason given" : why);
}

/* ---- The client's certificate ---- */

static int alert_of(enum registry_verdict verdict)
{
    switch (verdict) {
    case REGISTRY_ACCEPTED:
    case REGISTRY_UNKNOWN:
        return X509_V_OK;
    case REGISTRY_NOT_YET_VALID:
        return X509_V_ERR_CERT_NOT_YET_VALID;
    case REGISTRY_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case REGISTRY_CERTIFICATE_WAS_REVOKED:
    case REGISTRY_SUBJECT_SUSPENDED:
    case REGISTRY_SUBJECT_REVOKED:
        return X509_V_ERR_CERT_REVOKED;
    case REGISTRY_ALTERED:
    case REGISTRY_FOREIGN:
        break;
    }
    return X509_V_ERR_INVALID_PURPOSE; /* unsupported_certificate */
}

static int verify(X509_STORE_CTX *store, void *with)
{
    const struct broker_tls *tls = with;
    SSL *stream = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const X509 *leaf = X509_STORE_CTX_get0_cert(store);
    int error = alert_of(tls->setup.judge(SSL_get_app_data(stream), leaf));

    X509_STORE_CTX_set_error(store, error);
    return error == X509_V_OK;
}

/* Offering a protocol is optional; what is offered and not spoken here is not chosen. */
static int choose_protocol(SSL *stream, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *with)
{
    static const unsigned char SPOKEN[] = "\x04mqtt\x08http/1.1";
    unsigned char *chosen = NULL;

    (void)stream;
    (void)with;
    if (SSL_select_next_proto(&chosen, out_len, SPOKEN, sizeof SPOKEN - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- Contexts ---- */

static void set_sessions(const struct broker_tls_setup *setup, SSL_CTX *context)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context, (long)setup->sessions);
    SSL_CTX_set_timeout(context, (long)setup->session_timeout_s);
    SSL_CTX_set_num_tickets(context, 1);
}

static enum rc make_context(struct broker_tls *tls, const struct broker_own_key *key,
                            SSL_CTX **context)
{
    char groups[] = "X25519:P-256"; /* the macro drops const */
    AUTO(SSL_CTX) *made = SSL_CTX_new(TLS_server_method());

    if (made == NULL || SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(made, SUITES_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(made, SUITES_1_3) != 1 ||
        SSL_CTX_set1_groups_list(made, groups) != 1)
        return refused("TLS context");
    /* An end without close_notify is an end like another: MQTT and HTTP know what is whole. As
     * a fatal error it would also take the session out of the cache, and most devices just
     * close. */
    SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET |
                                  SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_clear_mode(made, SSL_MODE_AUTO_RETRY); /* broker_tls_read() counts */
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(made, 1);
    SSL_CTX_set_default_read_buffer_len(made, READ_AHEAD);
    SSL_CTX_set_max_cert_list(made, CHAIN_MAX);
    SSL_CTX_set_cert_verify_callback(made, verify, tls);
    SSL_CTX_set_alpn_select_cb(made, choose_protocol, NULL);
    set_sessions(&tls->setup, made);
    TRY(broker_own_key_install(key, made));
    *context = TAKE(made);
    return RC_OK;
}

enum rc broker_tls_new(const struct broker_tls_setup *setup, struct broker_tls **tls)
{
    AUTO_OF(broker_tls) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "TLS");
    made->setup = *setup;
    if (pthread_mutex_init(&made->lock, NULL) != 0)
        return fault(RC_NOMEM, "mutex of TLS");
    *tls = TAKE(made);
    return RC_OK;
}

void broker_tls_free(struct broker_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

enum rc broker_tls_use(struct broker_tls *tls, const struct broker_own_key *key)
{
    SSL_CTX *context = NULL;

    TRY(make_context(tls, key, &context));
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* its streams hold it as long as they live */
    return RC_OK;
}

/* ---- Streams ---- */

static SSL *new_stream(struct broker_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *stream = tls->context == NULL ? NULL : SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    return stream;
}

enum rc broker_tls_open(struct broker_tls *tls, int fd, const char *context,
                        enum broker_tls_demand demand, void *with, struct ssl_st **stream)
{
    int mode = SSL_VERIFY_PEER;
    AUTO(SSL) *made = new_stream(tls);

    if (demand == BROKER_TLS_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    if (made == NULL ||
        SSL_set_session_id_context(made, (const uint8_t *)context, (unsigned)strlen(context)) !=
            1 ||
        SSL_set_fd(made, fd) != 1 || SSL_set_app_data(made, with) != 1)
        return refused("TLS stream");
    SSL_set_verify(made, mode, NULL);
    SSL_set_accept_state(made);
    *stream = TAKE(made);
    return RC_OK;
}

void broker_tls_close(struct ssl_st *stream)
{
    SSL_free(stream);
}

/* Also an end that is no error has its words: the thread's last ones are another stream's. */
static enum broker_tls_step ended(enum broker_tls_step step, const char *what)
{
    fault_at(__FILE_NAME__, __LINE__, "%s: ended by the other side", what);
    return step;
}

static enum broker_tls_step step_of(SSL *stream, int result, const char *what)
{
    switch (SSL_get_error(stream, result)) {
    case SSL_ERROR_WANT_READ:
        return BROKER_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return BROKER_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return ended(BROKER_TLS_ENDED, what);
    case SSL_ERROR_SYSCALL:
        if (ERR_peek_error() == 0)
            return ended(BROKER_TLS_BROKEN, what);
        break;
    default:
        break;
    }
    enum rc rc = refused(what);
    (void)rc; /* the text is what counts */
    return BROKER_TLS_BROKEN;
}

enum broker_tls_step broker_tls_handshake(struct ssl_st *stream)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream);
    return result == 1 ? BROKER_TLS_DONE : step_of(stream, result, "TLS handshake");
}

enum broker_tls_step broker_tls_read(struct ssl_st *stream, uint8_t *to, size_t room,
                                     size_t *got)
{
    /* Left alone, OpenSSL goes on as long as a peer sends records without data: nobody else
     * would be served. After one of them it wants to read, as it does when the socket is dry.
     */
    for (size_t i = 0; i < EMPTY_MAX; i++) {
        ERR_clear_error();
        errno = 0;
        int result = SSL_read_ex(stream, to, room, got);
        if (result == 1)
            return BROKER_TLS_DONE;
        bool dry = errno == EAGAIN;
        enum broker_tls_step step = step_of(stream, result, "TLS read");
        if (step != BROKER_TLS_WANT_READ || dry || !broker_tls_has_more(stream))
            return step;
    }
    fault_at(__FILE_NAME__, __LINE__, "TLS read: %d records in a row without data", EMPTY_MAX);
    return BROKER_TLS_BROKEN;
}

enum broker_tls_step broker_tls_write(struct ssl_st *stream, struct bytes bytes, size_t *sent)
{
    ERR_clear_error();
    int result = SSL_write_ex(stream, bytes.at, bytes.len, sent);
    return result == 1 ? BROKER_TLS_DONE : step_of(stream, result, "TLS write");
}

bool broker_tls_has_more(const struct ssl_st *stream)
{
    return SSL_has_pending(stream) == 1;
}

void broker_tls_say_goodbye(struct ssl_st *stream)
{
    ERR_clear_error();
    if (SSL_is_init_finished(stream))
        SSL_shutdown(stream);
    ERR_clear_error();
}

bool broker_tls_was_resumed(const struct ssl_st *stream)
{
    return SSL_session_reused(stream) == 1;
}

const struct x509_st *broker_tls_leaf(const struct ssl_st *stream)
{
    return SSL_get0_peer_certificate(stream);
}

void broker_tls_describe(const struct ssl_st *stream, struct buf *text)
{
    buf_addf(text, "%s %s", SSL_get_version(stream), SSL_get_cipher_name(stream));
}

size_t broker_tls_binding(struct ssl_st *stream, uint8_t *to, size_t room)
{
    static const char LABEL[] = "EXPORTER-Channel-Binding"; /* RFC 9266 section 2 */

    if (room < BINDING)
        return 0;
    if (SSL_version(stream) == TLS1_3_VERSION)
        return SSL_export_keying_material(stream, to, BINDING, LABEL, sizeof LABEL - 1,
                                          (const uint8_t *)"", 0, 1) == 1
                   ? BINDING
                   : 0;
    /* RFC 5929 section 3: the first Finished, which in a full handshake is the client's. */
    return SSL_session_reused(stream) ? 0 : SSL_get_peer_finished(stream, to, room);
}

void broker_tls_forget(struct ssl_st *stream)
{
    SSL_SESSION *session = SSL_get_session(stream);

    if (session != NULL)
        SSL_CTX_remove_session(SSL_get_SSL_CTX(stream), session);
}
