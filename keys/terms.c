#include "keys/terms.h"

#include "keys/rules.h"

#define TERMS(table) ((struct keys_terms){ (table), sizeof(table) / sizeof *(table) })

/* RFC 5280 A.1 (id-at is 2.5.4). */
static const struct keys_term ATTRIBUTES[KEYS_ATTRIBUTES] = {
    [KEYS_COUNTRY_NAME] = { "countryName", BYTES("\x55\x04\x06") },
    [KEYS_STATE_NAME] = { "stateOrProvinceName", BYTES("\x55\x04\x08") },
    [KEYS_LOCALITY_NAME] = { "localityName", BYTES("\x55\x04\x07") },
    [KEYS_ORGANIZATION_NAME] = { "organizationName", BYTES("\x55\x04\x0a") },
    [KEYS_UNIT_NAME] = { "organizationalUnitName", BYTES("\x55\x04\x0b") },
    [KEYS_COMMON_NAME] = { "commonName", BYTES("\x55\x04\x03") },
    [KEYS_SERIAL_NUMBER] = { "serialNumber", BYTES("\x55\x04\x05") },
};

/* RFC 5280 4.2.1 (id-ce is 2.5.29), 4.2.2.1 (id-pe is 1.3.6.1.5.5.7.1). */
static const struct keys_term EXTENSIONS[KEYS_EXTENSIONS] = {
    [KEYS_AUTHORITY_KEY_IDENTIFIER] = { "authorityKeyIdentifier", BYTES("\x55\x1d\x23") },
    [KEYS_SUBJECT_KEY_IDENTIFIER] = { "subjectKeyIdentifier", BYTES("\x55\x1d\x0e") },
    [KEYS_KEY_USAGE] = { "keyUsage", BYTES("\x55\x1d\x0f") },
    [KEYS_EXTENDED_KEY_USAGE] = { "extKeyUsage", BYTES("\x55\x1d\x25") },
    [KEYS_BASIC_CONSTRAINTS] = { "basicConstraints", BYTES("\x55\x1d\x13") },
    [KEYS_SUBJECT_ALT_NAME] = { "subjectAltName", BYTES("\x55\x1d\x11") },
    [KEYS_CRL_DISTRIBUTION_POINTS] = { "cRLDistributionPoints", BYTES("\x55\x1d\x1f") },
    [KEYS_AUTHORITY_INFO_ACCESS] = { "authorityInfoAccess",
                                     BYTES("\x2b\x06\x01\x05\x05\x07\x01\x01") },
};

static const struct keys_term KEY_USAGES[] = {
    { .word = "digitalSignature" }, { .word = "nonRepudiation" }, { .word = "keyEncipherment" },
    { .word = "dataEncipherment" }, { .word = "keyAgreement" },   { .word = "keyCertSign" },
    { .word = "cRLSign" },
};

/* RFC 5280 4.2.1.12 (id-kp is 1.3.6.1.5.5.7.3). */
static const struct keys_term EXTENDED_KEY_USAGES[] = {
    { "serverAuth", BYTES("\x2b\x06\x01\x05\x05\x07\x03\x01") },
    { "clientAuth", BYTES("\x2b\x06\x01\x05\x05\x07\x03\x02") },
};

static const struct keys_term KINDS[] = { { .word = "certificate" },
                                          { .word = "crl" },
                                          { .word = "checkpoint" } };

static const struct keys_term PURPOSES[] = { { .word = "" },
                                             [KEYS_PURPOSE_CA] = { .word = "ca" },
                                             [KEYS_PURPOSE_CHECKPOINT] = { .word =
                                                                               "checkpoint" } };

static const struct keys_term PRESENCES[] = { [KEYS_FORBIDDEN] = { .word = "forbidden" },
                                              [KEYS_OPTIONAL] = { .word = "optional" },
                                              [KEYS_REQUIRED] = { .word = "required" } };

static const struct keys_term SANS[] = { [KEYS_SAN_URI] = { .word = "uri" },
                                         [KEYS_SAN_DNS] = { .word = "dns" },
                                         [KEYS_SAN_IP] = { .word = "ip" } };

struct keys_terms keys_terms_attribute(void)
{
    return TERMS(ATTRIBUTES);
}

struct keys_terms keys_terms_extension(void)
{
    return TERMS(EXTENSIONS);
}

struct keys_terms keys_terms_key_usage(void)
{
    return TERMS(KEY_USAGES);
}

struct keys_terms keys_terms_extended_key_usage(void)
{
    return TERMS(EXTENDED_KEY_USAGES);
}

struct keys_terms keys_terms_kind(void)
{
    return TERMS(KINDS);
}

struct keys_terms keys_terms_purpose(void)
{
    return TERMS(PURPOSES);
}

struct keys_terms keys_terms_presence(void)
{
    return TERMS(PRESENCES);
}

struct keys_terms keys_terms_san(void)
{
    return TERMS(SANS);
}

size_t keys_terms_find_word(struct keys_terms terms, struct bytes word)
{
    for (size_t i = 0; i < terms.count; i++)
        if (word.len > 0 && bytes_equal_text(word, terms.term[i].word))
            return i;
    return terms.count;
}

size_t keys_terms_find_oid(struct keys_terms terms, struct bytes oid)
{
    for (size_t i = 0; i < terms.count; i++)
        if (bytes_equal(oid, terms.term[i].oid))
            return i;
    return terms.count;
}
