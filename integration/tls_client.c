#include "integration/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

enum { DROP_ROOM = 4096, DROPS_MAX = 64 };

struct integration_tls_identity {
    SSL_CTX *context;
};

struct integration_tls {
    SSL *ssl;
};

AUTO_STRUCT(integration_tls_identity, integration_tls_identity_free)
AUTO_STRUCT(integration_tls, integration_tls_free)

static enum rc fault_tls(enum rc rc, const char *what, const char *subject)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);

    ERR_clear_error();
    return fault(rc, "%s%s%s: %s", what, *subject != '\0' ? " " : "", subject,
                 reason != NULL ? reason : "no reason given");
}

/* ---- Who we are, who it must be ---- */

static enum rc demand_name(SSL_CTX *context, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
    uint8_t room[sizeof(struct in6_addr)];
    bool address = inet_pton(AF_INET, name, room) == 1 || inet_pton(AF_INET6, name, room) == 1;

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if ((address ? X509_VERIFY_PARAM_set1_ip_asc(param, name)
                 : X509_VERIFY_PARAM_set1_host(param, name, 0)) != 1)
        return fault_tls(RC_MALFORMED, "server_name", name);
    return RC_OK;
}

static enum rc load_own(SSL_CTX *context, const struct integration_tls_setup *setup)
{
    if (*setup->certificate == '\0')
        return RC_OK;
    if (SSL_CTX_use_certificate_chain_file(context, setup->certificate) != 1)
        return fault_tls(RC_MALFORMED, "certificate", setup->certificate);
    if (SSL_CTX_use_PrivateKey_file(context, setup->key, SSL_FILETYPE_PEM) != 1)
        return fault_tls(RC_MALFORMED, "key", setup->key);
    if (SSL_CTX_check_private_key(context) != 1)
        return fault_tls(RC_MALFORMED, "key is not the certificate's:", setup->key);
    return RC_OK;
}

static enum rc set_bounds(SSL_CTX *context)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
        return fault_tls(RC_CRYPTO, "TLS 1.2", "");
    return RC_OK;
}

static enum rc fill(SSL_CTX *context, const struct integration_tls_setup *setup)
{
    TRY(set_bounds(context));
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_load_verify_file(context, setup->authorities) != 1)
        return fault_tls(RC_MALFORMED, "authorities", setup->authorities);
    TRY(demand_name(context, setup->server_name));
    return load_own(context, setup);
}

enum rc integration_tls_identity_new(const struct integration_tls_setup *setup,
                                     struct integration_tls_identity **identity)
{
    AUTO_OF(integration_tls_identity) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "TLS");
    made->context = SSL_CTX_new(TLS_client_method());
    if (made->context == NULL)
        return fault_tls(RC_CRYPTO, "TLS", "");
    TRY(fill(made->context, setup));
    *identity = TAKE(made);
    return RC_OK;
}

void integration_tls_identity_free(struct integration_tls_identity *identity)
{
    if (identity != NULL)
        SSL_CTX_free(identity->context);
    free(identity);
}

enum rc integration_tls_identity_lend(const struct integration_tls_identity *identity,
                                      void *context)
{
    TRY(set_bounds(context));
    SSL_CTX_set1_cert_store(context, SSL_CTX_get_cert_store(identity->context));
    if (SSL_CTX_set1_param(context, SSL_CTX_get0_param(identity->context)) != 1)
        return fault_tls(RC_NOMEM, "TLS", "");
    return RC_OK;
}

/* ---- A connection ---- */

/* RFC 6066 3: a host name, no address. The library's macro wants it writable. */
static bool say_name(SSL *ssl, const struct integration_tls_identity *identity)
{
    const char *host = X509_VERIFY_PARAM_get0_host(SSL_CTX_get0_param(identity->context), 0);
    char *name = host == NULL ? NULL : strdup(host);
    bool said = host == NULL || (name != NULL && SSL_set_tlsext_host_name(ssl, name) == 1);

    free(name);
    return said;
}

enum rc integration_tls_new(const struct integration_tls_identity *identity, int fd,
                            struct integration_tls **tls)
{
    AUTO_OF(integration_tls) *made = calloc(1, sizeof *made);

    if (made != NULL)
        made->ssl = SSL_new(identity->context);
    if (made == NULL || made->ssl == NULL || SSL_set_fd(made->ssl, fd) != 1 ||
        !say_name(made->ssl, identity))
        return fault(RC_NOMEM, "TLS");
    SSL_set_connect_state(made->ssl);
    *tls = TAKE(made);
    return RC_OK;
}

void integration_tls_free(struct integration_tls *tls)
{
    if (tls != NULL)
        SSL_free(tls->ssl);
    free(tls);
}

/* RC_BUSY, or why it cannot go on. */
static enum rc judge(const struct integration_tls *tls, int result, const char *what,
                     bool *wants_write)
{
    int error = SSL_get_error(tls->ssl, result);
    int number = errno;

    *wants_write = error == SSL_ERROR_WANT_WRITE;
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ)
        return RC_BUSY;
    if (error == SSL_ERROR_ZERO_RETURN)
        return fault(RC_CLOSED, "the receiver ended the connection");
    if (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0) {
        if (number == 0)
            return fault(RC_CLOSED, "the receiver ended the connection");
        errno = number;
        return fault_errno("%s", what);
    }
    return fault_tls(RC_IO, what, "");
}

enum rc integration_tls_handshake(struct integration_tls *tls, bool *wants_write)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(tls->ssl);
    long verdict = SSL_get_verify_result(tls->ssl);

    if (result == 1)
        return RC_OK;
    if (verdict != X509_V_OK) {
        ERR_clear_error();
        return fault(RC_DENIED, "the receiver's certificate: %s",
                     X509_verify_cert_error_string(verdict));
    }
    return judge(tls, result, "TLS handshake", wants_write);
}

enum rc integration_tls_write(struct integration_tls *tls, struct bytes bytes, size_t *taken,
                              bool *wants_write)
{
    *taken = 0;
    *wants_write = false;
    if (bytes.len == 0)
        return RC_OK;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(tls->ssl, bytes.at, bytes.len, taken);
    return result == 1 ? RC_OK : judge(tls, result, "write", wants_write);
}

/* A FIN without close_notify says the same to us: a kernel sends it when its process has read
 * all, and a reset otherwise. */
static bool is_plain_end(const struct integration_tls *tls, int result)
{
    return SSL_get_error(tls->ssl, result) == SSL_ERROR_SSL &&
           ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

enum rc integration_tls_watch(struct integration_tls *tls)
{
    uint8_t dropped[DROP_ROOM];
    size_t got = 0;
    int result = 1;
    bool unused;

    for (unsigned i = 0; i < DROPS_MAX && result == 1; i++) {
        ERR_clear_error();
        errno = 0;
        result = SSL_read_ex(tls->ssl, dropped, sizeof dropped, &got);
    }
    if (result == 1)
        return fault(RC_LIMIT, "the receiver talks: syslog goes one way");
    if (is_plain_end(tls, result)) {
        ERR_clear_error();
        return fault(RC_CLOSED, "the receiver ended the connection");
    }
    return judge(tls, result, "read", &unused);
}

enum rc integration_tls_finish(struct integration_tls *tls, bool *wants_write)
{
    ERR_clear_error();
    errno = 0;
    *wants_write = false;
    int result = SSL_shutdown(tls->ssl);
    return result >= 0 ? RC_OK : judge(tls, result, "close", wants_write);
}

uint64_t integration_tls_written(const struct integration_tls *tls)
{
    return BIO_number_written(SSL_get_wbio(tls->ssl));
}
