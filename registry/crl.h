/* A CRL as doors hear of it: which one there is, and how long it is. Its octets they ask for in
 * parts. */
#pragma once

#include "base/buf.h"

enum {
    REGISTRY_CRL_KEY_MAX = 32,
    REGISTRY_CRL_MAX = 16 * 1024 * 1024 + 1024, /* the signer's bound, and the signature */
    /* With what the store and its pages add, fifteen pages; and it fits into an answer. */
    REGISTRY_CRL_PART = 60 * 1024 - 64,
};

struct registry_crl {
    char key[REGISTRY_CRL_KEY_MAX + 1]; /* the issuing key's name at the signer */
    uint64_t number;
    uint32_t len; /* DER; 1 to REGISTRY_CRL_MAX */
};

/* Its form in the feed (registry_change_kind) and in the store. */
void registry_crl_write(const struct registry_crl *crl, struct buf *out);
/* RC_MALFORMED. */
enum rc registry_crl_read(struct bytes form, struct registry_crl *crl);

/* The number of parts, and the length of one; 0 behind the last. */
uint32_t registry_crl_parts(const struct registry_crl *crl);
size_t registry_crl_part_len(const struct registry_crl *crl, uint32_t part);
