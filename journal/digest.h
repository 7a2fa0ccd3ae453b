/* SHA-256 with the algorithm fetched once, for callers that hash many small things. */
#pragma once

#include "base/bytes.h"
#include "base/own.h"
#include "base/rc.h"

/* Fetching costs libcrypto 3 more than hashing a hundred bytes does. For one thread at a time.
 */
struct journal_digest;

enum { DIGEST_BYTES = 32 };

enum rc journal_digest_new(struct journal_digest **digest);
void journal_digest_free(struct journal_digest *digest);
AUTO_STRUCT(journal_digest, journal_digest_free)

/*
 * SHA-256 over both, one after the other. After journal_digest_new() nothing in it allocates or
 * is looked up: a failure would mean broken memory, and ends the process. hash may be a itself.
 */
void journal_digest_of(struct journal_digest *digest, struct bytes a, struct bytes b,
                       uint8_t hash[DIGEST_BYTES]);
