#include "pki/path.h"

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/own.h"

AUTO_TYPE(X509, X509_free)
AUTO_TYPE(X509_STORE, X509_STORE_free)
AUTO_TYPE(X509_STORE_CTX, X509_STORE_CTX_free)

static void free_all(STACK_OF(X509) * *all)
{
    sk_X509_pop_free(*all, X509_free);
}

static enum rc decode(struct bytes der, X509 **certificate)
{
    const unsigned char *end = der.at;

    *certificate = d2i_X509(NULL, &end, (long)der.len);
    if (*certificate == NULL || end != der.at + der.len)
        return fault(RC_MALFORMED, "RFC 5280 4.1: not a certificate");
    return RC_OK;
}

static bool is_self_issued(X509 *certificate)
{
    return X509_NAME_cmp(X509_get_subject_name(certificate),
                         X509_get_issuer_name(certificate)) == 0;
}

static enum rc sort_others(const struct bytes *others, size_t count, X509_STORE *anchors,
                           STACK_OF(X509) * between)
{
    for (size_t i = 0; i < count; i++) {
        AUTO(X509) *other = NULL;
        TRY(decode(others[i], &other));
        if (is_self_issued(other)) {
            if (X509_STORE_add_cert(anchors, other) != 1)
                return fault(RC_CRYPTO, "a trust anchor that libcrypto does not take");
        } else if (sk_X509_push(between, other) > 0) {
            other = NULL;
        } else {
            return fault(RC_NOMEM, "chain");
        }
    }
    return RC_OK;
}

enum rc pki_path_check(struct bytes certificate, const struct bytes *others, size_t count,
                       int64_t now_s)
{
    AUTO(X509) *leaf = NULL;
    AUTO(X509_STORE) *anchors = X509_STORE_new();
    AUTO(X509_STORE_CTX) *context = X509_STORE_CTX_new();
    [[gnu::cleanup(free_all)]] STACK_OF(X509) *between = sk_X509_new_null();

    if (anchors == NULL || context == NULL || between == NULL)
        return fault(RC_NOMEM, "path validation");
    if (count > PKI_PATH_MAX)
        return fault(RC_LIMIT, "a chain of %zu certificates, limit %d", count, PKI_PATH_MAX);
    TRY(decode(certificate, &leaf));
    TRY(sort_others(others, count, anchors, between));
    if (X509_STORE_CTX_init(context, anchors, leaf, between) != 1)
        return fault(RC_CRYPTO, "path validation");
    X509_STORE_CTX_set_time(context, 0, (time_t)now_s);
    if (X509_verify_cert(context) != 1)
        return fault(RC_DENIED, "RFC 5280 6: %s (depth %d)",
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)),
                     X509_STORE_CTX_get_error_depth(context));
    return RC_OK;
}
