#include "keys/issuer.h"

#include "keys/name.h"

enum { SHOWN_MAX = 200 };

/* ecdsa-with-SHA256, parameters absent: RFC 5758 3.2. */
static const uint8_t ECDSA_WITH_SHA256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                             0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

static enum rc refuse_issuer(const struct keys_rule *rule, struct bytes issuer)
{
    AUTO_BUF(expected, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(found, KEYS_RULES_TEXT_MAX);
    struct bytes wanted = { rule->issuer, rule->issuer_len };

    TRY(keys_name_describe(wanted, &expected));
    if (keys_name_describe(issuer, &found) != RC_OK)
        buf_addf(&found, "no Name of string types that we use");
    buf_cut(&expected, expected.len < SHOWN_MAX ? expected.len : SHOWN_MAX);
    buf_cut(&found, found.len < SHOWN_MAX ? found.len : SHOWN_MAX);
    return fault(RC_DENIED,
                 "RFC 5280 4.1.2.4: issuer expected, octet by octet, %.*s; found %.*s",
                 BYTES_FMT(buf_bytes(&expected)), BYTES_FMT(buf_bytes(&found)));
}

enum rc keys_issuer_check(const struct keys_rule *rule, struct bytes algorithm,
                          struct bytes issuer)
{
    if (!bytes_equal(algorithm, BYTES_OF(ECDSA_WITH_SHA256)))
        return fault(RC_DENIED,
                     "RFC 5280 4.1.2.3: signature algorithm is not ecdsa-with-SHA256 "
                     "without parameters (RFC 5758 3.2)");
    if (!bytes_equal(issuer, (struct bytes){ rule->issuer, rule->issuer_len }))
        return refuse_issuer(rule, issuer);
    return RC_OK;
}

enum rc keys_issuer_check_key_id(const struct keys_rule *rule, struct bytes extension)
{
    struct der whole = der_open(extension);
    struct der sequence = der_enter(&whole, DER_SEQUENCE);
    struct bytes key_id = der_take(&sequence, DER_CONTEXT(0));

    der_leave(&whole, &sequence);
    TRY(der_finish(&whole, "RFC 5280 4.2.1.1 authorityKeyIdentifier, keyIdentifier only"));
    if (!bytes_equal(key_id, (struct bytes){ rule->key_id, rule->key_id_len }))
        return fault(RC_DENIED,
                     "RFC 5280 4.2.1.1: authorityKeyIdentifier is not the key-id of %s",
                     rule->name);
    return RC_OK;
}

enum rc keys_issuer_check_span(const struct keys_rule *rule, const char *what, int64_t from_s,
                               int64_t to_s, int64_t most_s, int64_t now_s)
{
    if (from_s < now_s - rule->backdate_most_s)
        return fault(RC_DENIED, "%s starts %lld s before now, expected %lld at most", what,
                     (long long)(now_s - from_s), (long long)rule->backdate_most_s);
    if (from_s > now_s + rule->postdate_most_s)
        return fault(RC_DENIED, "%s starts %lld s after now, expected %lld at most", what,
                     (long long)(from_s - now_s), (long long)rule->postdate_most_s);
    if (to_s <= from_s)
        return fault(RC_DENIED, "%s ends before it starts", what);
    if (to_s - from_s > most_s)
        return fault(RC_DENIED, "%s lasts %lld s, expected %lld at most", what,
                     (long long)(to_s - from_s), (long long)most_s);
    if (to_s > rule->not_after_s)
        return fault(RC_DENIED, "%s ends %lld s after the issuer's own notAfter", what,
                     (long long)(to_s - rule->not_after_s));
    return RC_OK;
}
