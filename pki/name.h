/* X.501 Names in DER: written from a few attributes, checked, looked into, compared, printed.
 * RFC 5280 4.1.2.4 and 4.1.2.6. */
#pragma once

#include "base/buf.h"

/* Upper bounds of RFC 5280 appendix A.1, here in octets. */
enum { PKI_NAME_VALUE_MAX = 64 };

/* What our own Names are made of; an empty one is left out. */
struct pki_name {
    struct bytes organization;  /* UTF8String */
    struct bytes common_name;   /* UTF8String */
    struct bytes serial_number; /* PrintableString, as X.520 and IEEE 802.1AR 8.6 have it */
};

/* Append the Name, in the order of the members. RC_MALFORMED for a value that its type cannot
 * hold or when all are empty, RC_LIMIT for one too long. */
enum rc pki_name_write(struct buf *buf, const struct pki_name *name);

/*
 * Is this a well-formed Name? Values in UTF8String, PrintableString or IA5String, not empty;
 * the other string types of X.520 are refused, since RFC 5280 4.1.2.4 has new names not use
 * them. The empty Name is well-formed. RC_MALFORMED.
 */
enum rc pki_name_check(struct bytes der);
/* Same attributes in the same order with the same octets, whatever their string types: stricter
 * than RFC 5280 7.1, which also folds case and spaces. */
bool pki_name_matches(struct bytes a, struct bytes b);
/* The value of the only attribute of this type; false if there is none, or more than one. */
bool pki_name_find(struct bytes der, const char *type, struct bytes *value);
/* How many attributes it has in all. */
size_t pki_name_count(struct bytes der);
/* organizationName="Acme", serialNumber="7": in the order of the DER, values escaped. */
void pki_name_add_text(struct buf *buf, struct bytes der);
