/*
 * SipHash-1-3: the hash of topic levels in tables that devices fill. Under a random key the
 * writer of the levels cannot make them collide.
 */
#pragma once

#include "base/bytes.h"

/* From the system's randomness, once per table; tests give their own. */
struct topic_hash_key {
    uint64_t k0, k1;
};

uint64_t broker_topic_hash(const struct topic_hash_key *key, struct bytes bytes);
