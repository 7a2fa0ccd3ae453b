/* Values sealed at rest: AES-256-GCM under a data key, bound to the place where they lie. */
#pragma once

#include "base/buf.h"
#include "base/own.h"
#include "base/secret.h"

/*
 * A sealed value:
 *
 *   offset  bytes
 *   0       1      version, 1
 *   1       4      key id, big-endian
 *   5       12     nonce
 *   17      n      ciphertext, as long as the plain bytes
 *   17+n    16     tag
 *
 * Additional data: the first 5 bytes, then table and key, each after its length as
 * two bytes. A sealed value that is moved to another key or table, or altered in any bit, does
 * not open. An older sealed value of the same place does: revisions are not bound.
 *
 * Nonces are random (NIST SP 800-38D 8.2.2): a counter would have to survive
 * crashes and, worse, never run again after a backup is put back, and one repeated
 * nonce gives GCM's authentication key away. The price is a bound of 2^32 values a
 * key (8.3); DESIGN.md D9 has a key per device. Within one process the bound is kept here:
 * RC_LIMIT.
 *
 * A seal does not cross fork(): parent and child would use the same nonces.
 *
 * Where the key comes from, how it is wrapped and when it changes is the caller's.
 */
enum { STORE_SEAL_KEY = 32, STORE_SEAL_OVERHEAD = 1 + 4 + 12 + 16 };

struct store_seal;

/* Where a sealed value lies. */
struct store_place {
    struct bytes table;
    struct bytes key;
};

/* key: STORE_SEAL_KEY bytes, copied. RC_MALFORMED for another length, RC_CRYPTO, RC_NOMEM. */
enum rc store_seal_new(const struct secret *key, uint32_t key_id, struct store_seal **seal);
void store_seal_free(struct store_seal *seal); /* wipes the key */
AUTO_STRUCT(store_seal, store_seal_free)
/* The same seal with another key from here on: what a bounded cache of keys does. The count
 * that holds 2^32 begins anew; whoever comes back to a key keeps its bound himself. After an
 * error the seal is only to be freed. */
enum rc store_seal_change_key(struct store_seal *seal, const struct secret *key,
                              uint32_t key_id);

/* Append the sealed bytes to out. RC_LIMIT if they do not fit. Sealing twice gives different
 * bytes: in a change that runs again that is fine, what opens is the same. */
enum rc store_seal_add(struct store_seal *seal, const struct store_place *place,
                       struct bytes plain, struct buf *out);
/*
 * Append the plain bytes to out. RC_CORRUPT: altered, or not of this place. RC_NOT_FOUND:
 * sealed under another key id. out is not wiped by buf_clear(): do not open keys into it.
 */
enum rc store_seal_open(struct store_seal *seal, const struct store_place *place,
                        struct bytes sealed, struct buf *out);
/* Which key opens it, as it says itself, unchecked. RC_CORRUPT if it is no sealed value. */
enum rc store_seal_key_id(struct bytes sealed, uint32_t *key_id);
