/* subjectAltName: a list of GeneralNames, written and read one by one. RFC 5280 4.2.1.6. */
#pragma once

#include "base/der.h"

/* The CHOICE's tag numbers; kinds without a name here are read, never written. */
enum pki_alt_kind {
    PKI_ALT_MAIL = 1,
    PKI_ALT_DNS = 2,
    PKI_ALT_URI = 6,
    PKI_ALT_ADDRESS = 7, /* 4 octets of IPv4 or 16 of IPv6 */
};

struct pki_alt_name {
    unsigned kind;
    struct bytes value; /* content of the element, borrowed */
};

/*
 * The next GeneralName of the list entered by der_enter(.., DER_SEQUENCE); breaks the cursor
 * for letters outside printable ASCII where text is meant, and for addresses of other sizes.
 * False at the end or when broken.
 */
bool pki_alt_name_next(struct der *names, struct pki_alt_name *name);
/* RC_MALFORMED for a value that its kind cannot hold: dNSName letters, digits, hyphens and dots
 * (a leading "*." is refused: RFC 9525 6.3), at most 253; URI printable and without spaces. */
enum rc pki_alt_name_check(const struct pki_alt_name *name);
/* Append one GeneralName; it must have passed pki_alt_name_check(). */
void pki_alt_name_add(struct buf *buf, const struct pki_alt_name *name);
/* URI "urn:...", DNS "host", address 10.0.0.1: for messages. */
void pki_alt_name_add_text(struct buf *buf, const struct pki_alt_name *name);
