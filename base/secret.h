/* Bytes that must not outlive their use: PINs, keys, one-time tokens. */
#pragma once

#include "base/bytes.h"
#include "base/rc.h"

enum { SECRET_MAX = 128 };

/*
 * Fixed room, so that no reallocation leaves a copy behind. There is no way
 * to print one. A process that holds secrets keeps its memory locked and out
 * of dumps (sandbox.h); this type keeps the time short.
 */
struct secret {
    uint8_t at[SECRET_MAX];
    size_t len;
};

#define AUTO_SECRET(name) [[gnu::cleanup(secret_clear)]] struct secret name = { 0 }

/* RC_LIMIT if it does not fit. */
enum rc secret_set(struct secret *secret, struct bytes from);
/*
 * Read all of a regular file or memfd from its start, by pread, so that the
 * descriptor may be shared; one trailing newline is dropped. RC_LIMIT if
 * longer than the room, RC_MALFORMED if empty, RC_IO.
 */
enum rc secret_read_fd(struct secret *secret, int fd);
/* len random bytes from the system's generator; len <= SECRET_MAX. */
enum rc secret_make_random(struct secret *secret, size_t len);
/* len random characters of the 32-letter alphabet of RFC 4648 section 6, lower case: five bits
 * each. */
enum rc secret_make_text(struct secret *secret, size_t len);
bool secret_equals(const struct secret *secret, struct bytes other);
struct bytes secret_bytes(const struct secret *secret); /* borrowed; do not store */
void secret_clear(struct secret *secret);
