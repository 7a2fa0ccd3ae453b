/* Extensions of certificates, requests and CRLs: the list, and the values that we know.
 * RFC 5280 4.2. */
#pragma once

#include "base/der.h"

enum { PKI_EXTENSIONS_MAX = 24 };

struct pki_extension {
    struct bytes oid;   /* content */
    struct bytes value; /* content of extnValue: DER of the extension's own type */
    bool critical;
};

struct pki_extensions {
    struct pki_extension at[PKI_EXTENSIONS_MAX];
    size_t count;
};

/* Bits of keyUsage as der_take_named_bits() gives them: RFC 5280 4.2.1.3. */
enum {
    PKI_DIGITAL_SIGNATURE = 1 << 0,
    PKI_KEY_CERT_SIGN = 1 << 5,
    PKI_CRL_SIGN = 1 << 6,
};

/* Purposes of extendedKeyUsage, a set: RFC 5280 4.2.1.12. */
enum {
    PKI_SERVER_AUTH = 1 << 0,
    PKI_CLIENT_AUTH = 1 << 1,
    PKI_ANY_PURPOSE = 1 << 2,   /* anyExtendedKeyUsage */
    PKI_OTHER_PURPOSE = 1 << 3, /* one or more that are not named here */
};

/* Reads SEQUENCE OF Extension; breaks the cursor when one comes twice (RFC 5280 4.2), when
 * there is none, or more than PKI_EXTENSIONS_MAX. */
void pki_extension_take_all(struct der *der, struct pki_extensions *all);
/* NULL if there is none of this type. */
const struct pki_extension *pki_extension_find(const struct pki_extensions *all,
                                               const char *oid);

/* The values, whole: a value with anything behind it breaks the cursor. A path length of -1
 * says that there is none; it may only stand with CA true (RFC 5280 4.2.1.9). */
struct pki_constraints {
    bool ca;
    int path_length;
};
enum rc pki_extension_read_constraints(struct bytes value, struct pki_constraints *constraints);
/* RC_MALFORMED also where no bit is set. */
enum rc pki_extension_read_key_usage(struct bytes value, uint16_t *bits);
enum rc pki_extension_read_purposes(struct bytes value, unsigned *purposes);
enum rc pki_extension_read_key_id(struct bytes value, struct bytes *key_id);
/* authorityKeyIdentifier; empty when it names issuer and serial only. */
enum rc pki_extension_read_authority(struct bytes value, struct bytes *key_id);

/* Write one: begin, then the value's DER, then end. */
struct pki_extension_mark {
    size_t extension, octets;
};
struct pki_extension_mark pki_extension_begin(struct buf *buf, const char *oid, bool critical);
void pki_extension_end(struct buf *buf, struct pki_extension_mark mark);

void pki_extension_add_constraints(struct buf *buf, const struct pki_constraints *constraints);
void pki_extension_add_key_usage(struct buf *buf, uint16_t bits);
/* purposes: PKI_SERVER_AUTH, PKI_CLIENT_AUTH; others break the buffer. */
void pki_extension_add_purposes(struct buf *buf, unsigned purposes);
void pki_extension_add_key_id(struct buf *buf, struct bytes key_id);
void pki_extension_add_authority(struct buf *buf, struct bytes key_id);
/* One distribution point, one full name. RFC 5280 4.2.1.13. */
void pki_extension_add_crl_url(struct buf *buf, const char *url);
/* caIssuers. RFC 5280 4.2.2.1. */
void pki_extension_add_issuer_url(struct buf *buf, const char *url);
/* keyUsage, or the dotted OID: for messages. */
void pki_extension_add_text(struct buf *buf, struct bytes oid);
