/* Textual encoding: RFC 7468, written strictly, 64 columns. */
#pragma once

#include "base/buf.h"

/* label: "CERTIFICATE" (section 5), "CERTIFICATE REQUEST" (7), "X509 CRL" (6). */
void pki_pem_add(struct buf *out, const char *label, struct bytes der);
/*
 * The next block of this label in *text, appended to der; *text moves behind it. What lies
 * around blocks is skipped (RFC 7468 section 2 allows explanatory text). RC_NOT_FOUND when
 * there is no further one.
 */
enum rc pki_pem_next(struct bytes *text, const char *label, struct buf *der);
