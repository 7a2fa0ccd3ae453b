#include "pki/lint.h"

#include "pki/certificate.h"
#include "pki/oid.h"

enum { SERIAL_DISTINCT_LEAST = 6 };

/* What a rule looks at. */
struct view {
    const struct pki_profile *profile;
    const struct pki_issuer *issuer;
    struct pki_verifier *verifier;
    const struct pki_certificate *c;
};

static bool serial_length(const struct view *v)
{
    return v->c->serial.len == PKI_SERIAL_LEN && v->c->serial.at[0] < 0x80;
}

/* A broken generator shows as repetition: 16 random octets have fewer than six values among
 * them about once in 10^18. */
static bool serial_random(const struct view *v)
{
    bool seen[256] = { false };
    size_t distinct = 0;

    for (size_t i = 0; i < v->c->serial.len; i++) {
        distinct += !seen[v->c->serial.at[i]];
        seen[v->c->serial.at[i]] = true;
    }
    return distinct >= SERIAL_DISTINCT_LEAST;
}

static bool signature_algorithm(const struct view *v)
{
    return pki_key_check_algorithm(v->c->algorithm) == RC_OK;
}

static bool issuer_name(const struct view *v)
{
    return bytes_equal(v->c->issuer, v->issuer->name);
}

static bool dates_in_order(const struct view *v)
{
    return v->c->not_before < v->c->not_after;
}

static bool dates_within_issuer(const struct view *v)
{
    return v->c->not_before >= v->issuer->not_before && v->c->not_after <= v->issuer->not_after;
}

static bool lifetime(const struct view *v)
{
    return v->c->not_after - v->c->not_before <=
           v->profile->lifetime_most_s + v->profile->backdate_s;
}

static const char *id_oid(const struct pki_profile *profile)
{
    return profile->id_place == PKI_ID_IN_SERIAL_NUMBER ? PKI_OID_SERIAL_NUMBER
                                                        : PKI_OID_COMMON_NAME;
}

static bool subject_attributes(const struct view *v)
{
    struct bytes id, organization;
    size_t known = pki_name_find(v->c->subject, PKI_OID_ORGANIZATION_NAME, &organization);

    known += pki_name_find(v->c->subject, id_oid(v->profile), &id);
    return pki_name_find(v->c->subject, id_oid(v->profile), &id) &&
           pki_name_count(v->c->subject) == known;
}

static bool is_self_issued(const struct view *v)
{
    return bytes_equal(v->c->subject, v->issuer->name);
}

/* Only a root, which alone may have CAs below its issuing CAs, names itself. */
static bool subject_not_issuer(const struct view *v)
{
    return is_self_issued(v) == (v->profile->constraints.path_length > 0);
}

static bool uri_matches_subject(const struct view *v)
{
    struct bytes uri = { 0 }, id = { 0 };

    if (v->profile->uri_prefix == NULL)
        return !pki_certificate_uri(v->c, &uri);
    struct bytes prefix = bytes_of_text(v->profile->uri_prefix);
    return pki_certificate_uri(v->c, &uri) &&
           pki_name_find(v->c->subject, id_oid(v->profile), &id) &&
           bytes_start_with(uri, prefix) &&
           bytes_equal((struct bytes){ uri.at + prefix.len, uri.len - prefix.len }, id);
}

static bool alt_name_kinds(const struct view *v)
{
    struct der der = der_open(v->c->alt_names);
    struct der names = der_enter(&der, DER_SEQUENCE);
    struct pki_alt_name name;
    size_t hosts = 0;

    if (v->c->alt_names.len == 0)
        return v->profile->uri_prefix == NULL && !v->profile->hosts;
    while (pki_alt_name_next(&names, &name)) {
        bool host = name.kind == PKI_ALT_DNS || name.kind == PKI_ALT_ADDRESS;
        if (host ? !v->profile->hosts
                 : name.kind != PKI_ALT_URI || v->profile->uri_prefix == NULL)
            return false;
        hosts += host;
    }
    return (hosts > 0) == v->profile->hosts && hosts <= PKI_HOSTS_MAX;
}

static bool key_type(const struct view *v)
{
    struct bytes point;

    return pki_key_read(v->c->public_key, &point) == RC_OK;
}

static bool key_on_curve(const struct view *v)
{
    struct bytes point;

    return pki_key_read(v->c->public_key, &point) == RC_OK &&
           pki_verifier_check_point(v->verifier, point) == RC_OK;
}

static bool key_identifier(const struct view *v)
{
    uint8_t key_id[PKI_KEY_ID_LEN];
    struct bytes point;

    return pki_key_read(v->c->public_key, &point) == RC_OK &&
           pki_key_identifier(point, key_id) == RC_OK &&
           bytes_equal(v->c->key_id, BYTES_OF(key_id));
}

static bool authority_key_identifier(const struct view *v)
{
    return bytes_equal(v->c->authority_key_id, v->issuer->key_id);
}

static bool key_not_issuers(const struct view *v)
{
    return is_self_issued(v) || !bytes_equal(v->c->key_id, v->issuer->key_id);
}

static bool basic_constraints(const struct view *v)
{
    return v->c->constraints.ca == v->profile->constraints.ca &&
           v->c->constraints.path_length == v->profile->constraints.path_length;
}

static bool key_usage(const struct view *v)
{
    return v->c->key_usage == v->profile->key_usage;
}

static bool key_usage_agrees(const struct view *v)
{
    return ((v->c->key_usage & PKI_KEY_CERT_SIGN) != 0) == v->c->constraints.ca;
}

static bool extended_key_usage(const struct view *v)
{
    return v->c->purposes == v->profile->purposes;
}

/* What may stand in a certificate of ours. */
struct allowed {
    const char *oid;
    bool critical, wanted;
};

static struct allowed allowed(const struct view *v, struct bytes oid)
{
    bool alt_names = v->profile->uri_prefix != NULL || v->profile->hosts;
    const struct allowed ALL[] = {
        { PKI_OID_AUTHORITY_KEY_IDENTIFIER, false, true },
        { PKI_OID_SUBJECT_KEY_IDENTIFIER, false, true },
        { PKI_OID_BASIC_CONSTRAINTS, true, true },
        { PKI_OID_KEY_USAGE, true, true },
        { PKI_OID_EXTENDED_KEY_USAGE, false, v->profile->purposes != 0 },
        { PKI_OID_SUBJECT_ALT_NAME, false, alt_names },
        { PKI_OID_CRL_DISTRIBUTION_POINTS, false, v->issuer->crl_url != NULL },
        { PKI_OID_AUTHORITY_INFO_ACCESS, false, v->issuer->issuer_url != NULL },
    };

    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        if (der_oid_is(oid, ALL[i].oid))
            return ALL[i];
    return (struct allowed){ 0 };
}

static bool extensions_allowed(const struct view *v)
{
    size_t wanted = 4U + (v->profile->purposes != 0) +
                    (v->profile->uri_prefix != NULL || v->profile->hosts) +
                    (v->issuer->crl_url != NULL) + (v->issuer->issuer_url != NULL);

    for (size_t i = 0; i < v->c->extensions.count; i++)
        if (!allowed(v, v->c->extensions.at[i].oid).wanted)
            return false;
    return v->c->extensions.count == wanted;
}

static bool extensions_critical(const struct view *v)
{
    for (size_t i = 0; i < v->c->extensions.count; i++)
        if (v->c->extensions.at[i].critical != allowed(v, v->c->extensions.at[i].oid).critical)
            return false;
    return true;
}

/* Does the extension, where it must be, equal this encoding of it? */
static bool equals(const struct view *v, const struct buf *encoded, const char *oid)
{
    const struct pki_extension *e = pki_extension_find(&v->c->extensions, oid);
    struct der der = der_open(buf_bytes(encoded));
    struct der in = der_enter(&der, DER_SEQUENCE);

    der_take_oid(&in);
    return e != NULL && bytes_equal(e->value, der_take_octets(&in)) && der_done(&in);
}

static bool urls(const struct view *v)
{
    AUTO_BUF(crl, 1024);
    AUTO_BUF(issuer, 1024);

    if (v->issuer->crl_url != NULL) {
        pki_extension_add_crl_url(&crl, v->issuer->crl_url);
        if (!equals(v, &crl, PKI_OID_CRL_DISTRIBUTION_POINTS))
            return false;
    }
    if (v->issuer->issuer_url == NULL)
        return true;
    pki_extension_add_issuer_url(&issuer, v->issuer->issuer_url);
    return equals(v, &issuer, PKI_OID_AUTHORITY_INFO_ACCESS);
}

/* One row each: what people read, and the function that knows. */
static const struct {
    struct pki_lint_rule rule;
    bool (*holds)(const struct view *v);
} RULES[] = {
    { { "serial_length", "RFC 5280 4.1.2.2", "a serial number has 16 octets and is positive" },
      serial_length },
    { { "serial_random", "RFC 5280 4.1.2.2, 8", "a serial number is random" }, serial_random },
    { { "signature_algorithm", "RFC 5758 3.2", "the signature is ecdsa-with-SHA256" },
      signature_algorithm },
    { { "issuer_name", "RFC 5280 4.1.2.4", "the issuer is named as in its own certificate" },
      issuer_name },
    { { "dates_in_order", "RFC 5280 4.1.2.5", "notBefore comes before notAfter" },
      dates_in_order },
    { { "dates_within_issuer", "RFC 5280 4.1.2.5", "the dates lie within the issuer's" },
      dates_within_issuer },
    { { "lifetime", "profile", "the lifetime is at most the profile's" }, lifetime },
    { { "subject_attributes", "RFC 5280 4.1.2.6",
        "the subject has the profile's attribute, an organization or none, and nothing else" },
      subject_attributes },
    { { "subject_not_issuer", "RFC 5280 6.1", "the issuer's name is for the root's own only" },
      subject_not_issuer },
    { { "alt_name_kinds", "RFC 5280 4.2.1.6", "alternative names are of the profile's kinds" },
      alt_name_kinds },
    { { "uri_matches_subject", "RFC 5280 4.2.1.6",
        "the URI is the profile's prefix and the subject's id" },
      uri_matches_subject },
    { { "key_type", "RFC 5480 2", "the key is an uncompressed point for P-256" }, key_type },
    { { "key_on_curve", "SP 800-56A 5.6.2.3.3", "the key's point lies on the curve" },
      key_on_curve },
    { { "key_identifier", "RFC 7093 2", "the key identifier is made from the key" },
      key_identifier },
    { { "authority_key_identifier", "RFC 5280 4.2.1.1", "the authority's key is the issuer's" },
      authority_key_identifier },
    { { "key_not_issuers", "RFC 5280 4.2.1.2", "the key is not the issuer's own" },
      key_not_issuers },
    { { "basic_constraints", "RFC 5280 4.2.1.9", "CA and path length are the profile's" },
      basic_constraints },
    { { "key_usage", "RFC 5280 4.2.1.3", "the key usage is the profile's" }, key_usage },
    { { "key_usage_agrees", "RFC 5280 4.2.1.9", "keyCertSign goes with CA and only with it" },
      key_usage_agrees },
    { { "extended_key_usage", "RFC 5280 4.2.1.12", "the purposes are the profile's" },
      extended_key_usage },
    { { "extensions_allowed", "RFC 5280 4.2",
        "the extensions are those of profile and issuer" },
      extensions_allowed },
    { { "extensions_critical", "RFC 5280 4.2.1",
        "critical are constraints and key usage only" },
      extensions_critical },
    { { "urls", "RFC 5280 4.2.1.13, 4.2.2.1", "the URLs are the issuer's" }, urls },
};

enum { RULE_COUNT = sizeof RULES / sizeof *RULES };

const struct pki_lint_rule *pki_lint_rule_at(size_t i)
{
    return i < RULE_COUNT ? &RULES[i].rule : NULL;
}

enum rc pki_lint_certificate(const struct pki_template *template, struct pki_verifier *verifier,
                             struct bytes tbs)
{
    struct pki_certificate certificate;
    struct view v = { template->profile, &template->issuer, verifier, &certificate };
    enum rc rc = pki_certificate_read_tbs(tbs, &certificate);

    if (rc != RC_OK)
        return fault_while(rc, "lint: profile %s", template->profile->name);
    for (size_t i = 0; i < RULE_COUNT; i++)
        if (!RULES[i].holds(&v))
            return fault(RC_DENIED, "lint: profile %s: %s: %s: broken is: %s",
                         template->profile->name, RULES[i].rule.name, RULES[i].rule.source,
                         RULES[i].rule.text);
    return RC_OK;
}
