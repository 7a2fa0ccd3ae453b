/* What each key may sign: fixed at the ceremony, signed by the root, held by the signer. */
#pragma once

#include "base/buf.h"

/*
 * The rules are a text file (docs/protocol/key-rules.md) that people can read and diff. There
 * is one way to write given rules and only that way is accepted, so that what was read aloud at
 * the ceremony, what was signed and what is in force are the same bytes.
 *
 * All of this is plain data without ownership: zero-terminated texts and octets in place.
 * All-zero means forbidden or absent everywhere.
 */
enum {
    KEYS_NAME_MAX = 32, /* of a key: lower-case letters, digits, hyphens */
    KEYS_PER_RULES_MAX = 32,
    KEYS_NAME_DER_MAX = 512, /* an issuer's Name */
    KEYS_PUBLIC_KEY = 91,    /* SubjectPublicKeyInfo of an uncompressed P-256 point: RFC 5480 */
    KEYS_KEY_ID_MIN = 8,
    KEYS_KEY_ID_MAX = 32,
    KEYS_VALUE_MAX = 64,    /* a subject attribute: RFC 5280 A.1, ub-common-name and others */
    KEYS_PATTERN_MAX = 128, /* a SAN pattern, a URI prefix, a checkpoint's origin */
    KEYS_SAN_RULES_MAX = 8,
    KEYS_SAN_NAMES_MAX = 16, /* in one certificate */
    KEYS_RULES_TEXT_MAX = 128 * 1024,
};

/* Kinds of to-be-signed bytes; a set of them is their sum. */
enum keys_kind {
    KEYS_CERTIFICATE = 1, /* RFC 5280 4.1 TBSCertificate */
    KEYS_CRL = 2,         /* RFC 5280 5.1 TBSCertList */
    KEYS_CHECKPOINT = 4,  /* C2SP tlog-checkpoint: the text of a signed note */
};

/* A key has one purpose, and so one family of kinds (DESIGN.md D3). */
enum keys_purpose {
    KEYS_PURPOSE_CA = 1,         /* certificates, CRLs */
    KEYS_PURPOSE_CHECKPOINT = 2, /* checkpoints */
};

enum keys_presence { KEYS_FORBIDDEN, KEYS_OPTIONAL, KEYS_REQUIRED };

/* RFC 5280 A.1 and X.520 names, in the order that the file lists them. */
enum keys_attribute {
    KEYS_COUNTRY_NAME,
    KEYS_STATE_NAME,
    KEYS_LOCALITY_NAME,
    KEYS_ORGANIZATION_NAME,
    KEYS_UNIT_NAME,
    KEYS_COMMON_NAME,
    KEYS_SERIAL_NUMBER,
    KEYS_ATTRIBUTES
};

/* RFC 5280 4.2 names, in the order that the file lists them. No other extension can be allowed.
 */
enum keys_extension {
    KEYS_AUTHORITY_KEY_IDENTIFIER,
    KEYS_SUBJECT_KEY_IDENTIFIER,
    KEYS_KEY_USAGE,
    KEYS_EXTENDED_KEY_USAGE,
    KEYS_BASIC_CONSTRAINTS,
    KEYS_SUBJECT_ALT_NAME,
    KEYS_CRL_DISTRIBUTION_POINTS,
    KEYS_AUTHORITY_INFO_ACCESS,
    KEYS_EXTENSIONS
};

/* Bits of keyUsage as der_take_named_bits() gives them: RFC 5280 4.2.1.3. */
enum {
    KEYS_DIGITAL_SIGNATURE = 1 << 0,
    KEYS_NON_REPUDIATION = 1 << 1,
    KEYS_KEY_ENCIPHERMENT = 1 << 2,
    KEYS_DATA_ENCIPHERMENT = 1 << 3,
    KEYS_KEY_AGREEMENT = 1 << 4,
    KEYS_KEY_CERT_SIGN = 1 << 5,
    KEYS_CRL_SIGN = 1 << 6,
};

/* A set of these; anyExtendedKeyUsage cannot be written down. RFC 5280 4.2.1.12. */
enum { KEYS_SERVER_AUTH = 1 << 0, KEYS_CLIENT_AUTH = 1 << 1 };

struct keys_subject_rule {
    enum keys_presence presence;
    char equals[KEYS_VALUE_MAX + 1]; /* "": any value of the attribute's own form */
};

struct keys_extension_rule {
    enum keys_presence presence;
    bool critical;
    char uri_prefix[KEYS_PATTERN_MAX + 1]; /* of every URI in a CDP or an AIA; else "" */
};

enum keys_san_kind { KEYS_SAN_URI, KEYS_SAN_DNS, KEYS_SAN_IP };

/*
 * least to most names that match the pattern; a name belongs to the first rule that it matches.
 *   uri  a URI; at its end may stand {attribute}, the subject's value of it, or * (either is 1
 *        to 64 letters, digits, '.', '_' and '-')
 *   dns  a host name in lower case, or ".suffix" for any host below it
 *   ip   "10.0.0.0/8" or "2001:db8::/32": an address within
 */
struct keys_san_rule {
    enum keys_san_kind kind;
    unsigned least, most;
    char pattern[KEYS_PATTERN_MAX + 1];
};

/* What a CA key's certificates must be like. */
struct keys_certificate_rule {
    bool ca;                     /* basicConstraints.cA that its certificates carry */
    int path_length;             /* with ca: pathLenConstraint exactly, -1 for absent; else 0 */
    uint16_t key_usage;          /* exactly these bits */
    unsigned extended_key_usage; /* exactly these; 0 when the extension is forbidden */
    int64_t lifetime_most_s;     /* notAfter - notBefore */
    struct keys_subject_rule subject[KEYS_ATTRIBUTES];
    struct keys_extension_rule extension[KEYS_EXTENSIONS];
    struct keys_san_rule san[KEYS_SAN_RULES_MAX];
    size_t san_count;
};

struct keys_rule {
    char name[KEYS_NAME_MAX + 1]; /* "devices": the word used in requests and as CKA_LABEL */
    enum keys_purpose purpose;
    unsigned kinds;                      /* set of enum keys_kind */
    uint8_t public_key[KEYS_PUBLIC_KEY]; /* the key's own SubjectPublicKeyInfo, DER */
    uint32_t rate_per_s, rate_burst;     /* signatures, kept by the signer; 0 and 0: no limit */

    /* A CA key's own certificate: issuer, authority key identifier and end of what it signs. */
    uint8_t issuer[KEYS_NAME_DER_MAX]; /* Name, DER */
    size_t issuer_len;
    uint8_t key_id[KEYS_KEY_ID_MAX];
    size_t key_id_len;
    int64_t not_after_s; /* nothing that it signs is valid beyond */
    /* notBefore and thisUpdate against the signer's clock */
    int64_t backdate_most_s, postdate_most_s;

    struct keys_certificate_rule certificate; /* with KEYS_CERTIFICATE in kinds */
    int64_t next_update_most_s;               /* with KEYS_CRL: nextUpdate - thisUpdate */
    char origin[KEYS_PATTERN_MAX + 1];        /* with KEYS_CHECKPOINT: its first line */
};

struct keys_rules {
    uint64_t revision; /* rises with each ceremony: the caller refuses one below what it knew */
    size_t count;
    struct keys_rule rule[KEYS_PER_RULES_MAX];
};

/*
 * Read the text. *rules is the caller's to free(); untouched on failure. RC_MALFORMED "line N
 * column M: ..." for an unknown, missing, repeated or misplaced word, a bad value, rules that
 * contradict each other (keys_rules_check), or text that is not what keys_rules_write() writes.
 * The signature is not looked at: call keys_rules_verify() first.
 */
enum rc keys_rules_read(struct bytes text, struct keys_rules **rules);
/* The one text for these rules, appended. RC_MALFORMED as keys_rules_check(); RC_LIMIT. */
enum rc keys_rules_write(const struct keys_rules *rules, struct buf *text);
/*
 * Do the rules make sense as a whole? Names, public keys, issuers and key identifiers are
 * unique; kinds belong to the purpose; CA bits and key usage agree; each bound is in its range.
 */
enum rc keys_rules_check(const struct keys_rules *rules);
/* NULL if there is none of this name. Borrowed from rules. */
const struct keys_rule *keys_rules_find(const struct keys_rules *rules, struct bytes name);

/*
 * Was this text signed by the ceremony's key? signature is an ECDSA P-256 signature over
 * SHA-256 of the text, DER; ceremony_key its SubjectPublicKeyInfo, whose SHA-256 must be the
 * pin (32 octets) from the settings. RC_DENIED if not, RC_MALFORMED for a key that is not
 * P-256.
 */
enum rc keys_rules_verify(struct bytes text, struct bytes signature, struct bytes ceremony_key,
                          struct bytes pin);
