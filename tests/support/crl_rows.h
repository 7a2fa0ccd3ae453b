/* To-be-signed CRLs in exchangeable pieces, and the ones that a hostile authority would ask
 * for. */
#pragma once

#include "keys/check.h"

/* Pieces of a TBSCertList in hexadecimal; NULL is the good one, whose number is 5. */
struct crl_pieces {
    const char *version, *algorithm, *issuer, *times, *revoked, *extensions;
};

/* Under the key "devices" of the example (tests/support/tbs.h). */
struct bytes crl_build(const struct keys_rules *rules, const struct crl_pieces *pieces,
                       struct buf *out);

/* A good one with so many entries, by which its last one has the greatest serial number. */
void crl_build_long(const struct keys_rules *rules, unsigned entries, struct buf *out);

/* The fault must say `expected`. A few rows are good: RC_OK. */
struct crl_row {
    const char *claim;
    struct crl_pieces pieces;
    enum rc rc;
    const char *expected;
};
extern const struct crl_row CRL_ROWS[];
extern const size_t CRL_COUNT;
