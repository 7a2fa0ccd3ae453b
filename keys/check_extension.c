#include "keys/check_extension.h"

#include <openssl/evp.h>

#include "base/der.h"
#include "base/text.h"
#include "keys/issuer.h"
#include "keys/san.h"
#include "keys/terms.h"

enum { OID_TEXT_MAX = 1024, SHOWN_MAX = 64, POINT = 65, SHA1 = 20, LOCATIONS_MAX = 4 };

static enum rc check_authority_key_id(const struct keys_rule *rule,
                                      const struct keys_certificate *c, struct bytes value)
{
    (void)c;
    return keys_issuer_check_key_id(rule, value);
}

/* RFC 5280 4.2.1.2 (1): SHA-1 of the point; RFC 7093 2 (1): the first 160 bits of its SHA-256.
 */
static bool is_hash_of_point(struct bytes id, struct bytes public_key, const char *hash)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t len = 0;

    if (public_key.len < POINT || id.len != SHA1)
        return false;
    return EVP_Q_digest(NULL, hash, NULL, public_key.at + public_key.len - POINT, POINT, digest,
                        &len) == 1 &&
           bytes_equal(id, (struct bytes){ digest, SHA1 });
}

static enum rc check_subject_key_id(const struct keys_rule *rule,
                                    const struct keys_certificate *c, struct bytes value)
{
    struct der whole = der_open(value);
    struct bytes id = der_take_octets(&whole);

    (void)rule;
    TRY(der_finish(&whole, "RFC 5280 4.2.1.2 subjectKeyIdentifier"));
    if (!is_hash_of_point(id, c->public_key, "SHA256") &&
        !is_hash_of_point(id, c->public_key, "SHA1"))
        return fault(
            RC_DENIED,
            "RFC 5280 4.2.1.2: subjectKeyIdentifier is not made from the key, expected "
            "its SHA-1 or 160 bits of its SHA-256 (RFC 7093 2)");
    return RC_OK;
}

static enum rc check_key_usage(const struct keys_rule *rule, const struct keys_certificate *c,
                               struct bytes value)
{
    struct der whole = der_open(value);
    uint16_t bits = der_take_named_bits(&whole);

    (void)c;
    TRY(der_finish(&whole, "RFC 5280 4.2.1.3 keyUsage"));
    if (bits != rule->certificate.key_usage)
        return fault(RC_DENIED, "RFC 5280 4.2.1.3: keyUsage expected bits 0x%03x, found 0x%03x",
                     rule->certificate.key_usage, bits);
    return RC_OK;
}

static enum rc refuse_usage(struct bytes oid)
{
    AUTO_BUF(dotted, OID_TEXT_MAX);

    der_add_oid_text(&dotted, oid);
    return fault(RC_DENIED, "RFC 5280 4.2.1.12: extended key usage %.*s%s is never signed",
                 BYTES_FMT(buf_bytes(&dotted)),
                 der_oid_is(oid, "2.5.29.37.0") ? " (anyExtendedKeyUsage)" : "");
}

static enum rc check_extended_key_usage(const struct keys_rule *rule,
                                        const struct keys_certificate *c, struct bytes value)
{
    struct keys_terms terms = keys_terms_extended_key_usage();
    struct der whole = der_open(value);
    struct der list = der_enter(&whole, DER_SEQUENCE);
    unsigned found = 0, times = 0;

    (void)c;
    do {
        struct bytes oid = der_take_oid(&list);
        size_t which = keys_terms_find_oid(terms, oid);

        if (list.why == NULL && which == terms.count)
            return refuse_usage(oid);
        found |= 1u << which;
    } while (der_peek(&list) != 0 && ++times < terms.count);
    der_leave(&whole, &list);
    TRY(der_finish(&whole, "RFC 5280 4.2.1.12 extKeyUsage"));
    if (found != rule->certificate.extended_key_usage ||
        times + 1 != (unsigned)__builtin_popcount(found))
        return fault(
            RC_DENIED,
            "RFC 5280 4.2.1.12: extKeyUsage expected set 0x%x, found 0x%x, or one twice",
            rule->certificate.extended_key_usage, found);
    return RC_OK;
}

static enum rc check_basic_constraints(const struct keys_rule *rule,
                                       const struct keys_certificate *c, struct bytes value)
{
    struct der whole = der_open(value);
    struct der sequence = der_enter(&whole, DER_SEQUENCE);
    bool ca = der_take_flag(&sequence);
    int length = -1;

    (void)c;
    if (ca && der_peek(&sequence) != 0) {
        uint64_t found = der_take_u63(&sequence);
        length = found > 9 ? 10 : (int)found;
    }
    der_leave(&whole, &sequence);
    TRY(der_finish(&whole, "RFC 5280 4.2.1.9 basicConstraints"));
    if (ca != rule->certificate.ca)
        return fault(RC_DENIED, "RFC 5280 4.2.1.9: basicConstraints expected cA %s, found %s",
                     rule->certificate.ca ? "TRUE" : "absent", ca ? "TRUE" : "absent");
    if (ca && length != rule->certificate.path_length)
        return fault(RC_DENIED,
                     "RFC 5280 4.2.1.9: pathLenConstraint expected %d, found %d (-1: absent)",
                     rule->certificate.path_length, length);
    return RC_OK;
}

static enum rc refuse_name(const char *kind, struct bytes name, const char *why)
{
    AUTO_BUF(shown, 4 * SHOWN_MAX);

    text_add_escaped(&shown,
                     (struct bytes){ name.at, name.len < SHOWN_MAX ? name.len : SHOWN_MAX });
    return fault(RC_DENIED, "RFC 5280 4.2.1.6: subjectAltName %s \"%.*s\" %s", kind,
                 BYTES_FMT(buf_bytes(&shown)), why);
}

static enum rc check_name(const struct keys_rule *rule, const struct keys_san_subject *subject,
                          enum keys_san_kind kind, struct bytes name, unsigned *counts)
{
    const struct keys_certificate_rule *cr = &rule->certificate;
    const char *word = keys_terms_san().term[kind].word;

    for (size_t i = 0; i < cr->san_count; i++) {
        if (cr->san[i].kind != kind || !keys_san_matches(&cr->san[i], name, subject))
            continue;
        if (++counts[i] > cr->san[i].most)
            return refuse_name(word, name, "is one more than the rule allows");
        return RC_OK;
    }
    return refuse_name(word, name, "matches no pattern of the rule");
}

/* GeneralName is IMPLICIT: RFC 5280 4.2.1.6. */
static enum rc take_name(struct der *list, enum keys_san_kind *kind, struct bytes *name)
{
    uint8_t tag = der_peek(list);

    if (tag != DER_CONTEXT(6) && tag != DER_CONTEXT(2) && tag != DER_CONTEXT(7))
        return fault(RC_DENIED,
                     "RFC 5280 4.2.1.6: subjectAltName of tag 0x%02x, expected a URI, a host "
                     "name or an address",
                     tag);
    *kind = tag == DER_CONTEXT(6)   ? KEYS_SAN_URI
            : tag == DER_CONTEXT(2) ? KEYS_SAN_DNS
                                    : KEYS_SAN_IP;
    *name = der_take(list, tag);
    return RC_OK;
}

static enum rc check_subject_alt_name(const struct keys_rule *rule,
                                      const struct keys_certificate *c, struct bytes value)
{
    struct keys_san_subject subject = { 0 };
    unsigned counts[KEYS_SAN_RULES_MAX] = { 0 };
    struct der whole = der_open(value);
    struct der list = der_enter(&whole, DER_SEQUENCE);

    for (size_t i = 0; i < KEYS_ATTRIBUTES; i++)
        subject.value[i] = c->attribute[i];
    while (der_peek(&list) != 0) {
        enum keys_san_kind kind = KEYS_SAN_URI;
        struct bytes name = { 0 };

        TRY(take_name(&list, &kind, &name));
        if (list.why == NULL)
            TRY(check_name(rule, &subject, kind, name, counts));
    }
    der_leave(&whole, &list);
    TRY(der_finish(&whole, "RFC 5280 4.2.1.6 subjectAltName"));
    for (size_t i = 0; i < rule->certificate.san_count; i++)
        if (counts[i] < rule->certificate.san[i].least)
            return fault(
                RC_DENIED,
                "RFC 5280 4.2.1.6: subjectAltName has %u of \"%s\", expected at least %u",
                counts[i], rule->certificate.san[i].pattern, rule->certificate.san[i].least);
    return RC_OK;
}

static enum rc check_location(const struct keys_extension_rule *rule, struct bytes uri)
{
    struct bytes prefix = bytes_of_text(rule->uri_prefix);
    bool good = uri.len <= 2 * KEYS_PATTERN_MAX && bytes_start_with(uri, prefix) &&
                text_is_printable(uri);

    return good ? RC_OK
                : fault(RC_DENIED, "RFC 5280 4.2.1.13, 4.2.2.1: a location is not below %s",
                        rule->uri_prefix);
}

/* Only a full name of one URI: no reasons, and no cRLIssuer, which would let another CA revoke.
 */
static enum rc check_distribution_points(const struct keys_rule *rule,
                                         const struct keys_certificate *c, struct bytes value)
{
    const struct keys_extension_rule *er =
        &rule->certificate.extension[KEYS_CRL_DISTRIBUTION_POINTS];
    struct der whole = der_open(value);
    struct der list = der_enter(&whole, DER_SEQUENCE);
    unsigned times = 0;

    (void)c;
    do {
        struct der point = der_enter(&list, DER_SEQUENCE);
        struct der choice = der_enter(&point, DER_CONTEXT_CONSTRUCTED(0));
        struct der names = der_enter(&choice, DER_CONTEXT_CONSTRUCTED(0));
        struct bytes uri = der_take(&names, DER_CONTEXT(6));

        if (names.why == NULL)
            TRY(check_location(er, uri));
        der_leave(&choice, &names);
        der_leave(&point, &choice);
        der_leave(&list, &point);
    } while (der_peek(&list) != 0 && ++times < LOCATIONS_MAX);
    der_leave(&whole, &list);
    return der_finish(&whole, "RFC 5280 4.2.1.13 cRLDistributionPoints");
}

static enum rc check_info_access(const struct keys_rule *rule, const struct keys_certificate *c,
                                 struct bytes value)
{
    const struct keys_extension_rule *er =
        &rule->certificate.extension[KEYS_AUTHORITY_INFO_ACCESS];
    struct der whole = der_open(value);
    struct der list = der_enter(&whole, DER_SEQUENCE);
    unsigned times = 0;

    (void)c;
    do {
        struct der access = der_enter(&list, DER_SEQUENCE);
        struct bytes method = der_take_oid(&access);
        struct bytes uri = der_take(&access, DER_CONTEXT(6));

        /* id-ad-ocsp, id-ad-caIssuers */
        if (access.why == NULL && !der_oid_is(method, "1.3.6.1.5.5.7.48.1") &&
            !der_oid_is(method, "1.3.6.1.5.5.7.48.2"))
            return fault(RC_DENIED,
                         "RFC 5280 4.2.2.1: authorityInfoAccess with an access method "
                         "other than OCSP and caIssuers");
        if (access.why == NULL)
            TRY(check_location(er, uri));
        der_leave(&list, &access);
    } while (der_peek(&list) != 0 && ++times < LOCATIONS_MAX);
    der_leave(&whole, &list);
    return der_finish(&whole, "RFC 5280 4.2.2.1 authorityInfoAccess");
}

static enum rc (*const CHECKS[KEYS_EXTENSIONS])(const struct keys_rule *rule,
                                                const struct keys_certificate *c,
                                                struct bytes value) = {
    [KEYS_AUTHORITY_KEY_IDENTIFIER] = check_authority_key_id,
    [KEYS_SUBJECT_KEY_IDENTIFIER] = check_subject_key_id,
    [KEYS_KEY_USAGE] = check_key_usage,
    [KEYS_EXTENDED_KEY_USAGE] = check_extended_key_usage,
    [KEYS_BASIC_CONSTRAINTS] = check_basic_constraints,
    [KEYS_SUBJECT_ALT_NAME] = check_subject_alt_name,
    [KEYS_CRL_DISTRIBUTION_POINTS] = check_distribution_points,
    [KEYS_AUTHORITY_INFO_ACCESS] = check_info_access,
};

enum rc keys_check_extensions(const struct keys_rule *rule, const struct keys_certificate *c)
{
    for (size_t i = 0; i < KEYS_EXTENSIONS; i++) {
        const struct keys_extension_rule *er = &rule->certificate.extension[i];
        const struct keys_certificate_extension *found = &c->extension[i];
        const char *word = keys_terms_extension().term[i].word;

        if (er->presence == KEYS_REQUIRED && !found->present)
            return fault(RC_DENIED, "RFC 5280 4.2: %s is missing", word);
        if (er->presence == KEYS_FORBIDDEN && found->present)
            return fault(RC_DENIED, "RFC 5280 4.2: %s is not allowed", word);
        if (!found->present)
            continue;
        if (found->critical != er->critical)
            return fault(RC_DENIED, "RFC 5280 4.2: %s expected %s critical", word,
                         er->critical ? "to be" : "not to be");
        TRY(CHECKS[i](rule, c, found->value));
    }
    return RC_OK;
}
