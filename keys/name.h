/* X.501 Names (RFC 5280 4.1.2.4) as one line for people. */
#pragma once

#include "base/buf.h"

/*
 * "commonName=Acme Devices, organizationName=Acme": in the order of the DER; several attributes
 * of one RDN are joined by " + ", unknown types are dotted, values escaped. Only what RFC 5280
 * has new names use is read: PrintableString and UTF8String, and IA5String for domain
 * components and mail addresses. RC_MALFORMED for anything else, and for an empty Name.
 */
enum rc keys_name_describe(struct bytes der, struct buf *text);
