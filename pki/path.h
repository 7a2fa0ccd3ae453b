/* RFC 5280 section 6: does a chain lead to a trust anchor? libcrypto's answer, for certificates
 * that we did not make. */
#pragma once

#include "base/buf.h"

enum { PKI_PATH_MAX = 16 };

/*
 * certificate and the others are DER; anchors are those of the others that are self-issued.
 * RC_DENIED says what libcrypto found wrong and at which depth; RC_MALFORMED for what is not a
 * certificate. No revocation is looked up.
 */
enum rc pki_path_check(struct bytes certificate, const struct bytes *others, size_t count,
                       int64_t now_s);
