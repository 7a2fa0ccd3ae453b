/* A policy's text as messages, rows and the feed have it: itself while it is short, else its
 * name; its octets are then kept, and travel, in parts. */
#pragma once

#include "base/buf.h"

enum {
    REGISTRY_TEXT_PART = 48 * 1024,        /* also the longest that is there itself */
    REGISTRY_POLICY_MAX = 8 * 1024 * 1024, /* of a whole text */
    REGISTRY_TEXT_HASH = 32,
};

/* len 0: the text is there itself, and this says nothing. */
struct registry_name {
    uint32_t len;                     /* of the whole text, above REGISTRY_TEXT_PART */
    uint8_t hash[REGISTRY_TEXT_HASH]; /* SHA-256 of it */
};
struct registry_text {
    struct bytes octets; /* the whole text; of a named one empty where only its name is known */
    struct registry_name name;
};

/* RC_MALFORMED: a text and a name of one, a length that is none, a hash of nothing. */
enum rc registry_text_check(const struct registry_text *text);
bool registry_name_equal(const struct registry_name *one, const struct registry_name *other);

/* In rows and in the feed: length u32 and hash, then the text itself if that length is 0. */
void registry_text_write(const struct registry_text *text, struct buf *out);
/* RC_MALFORMED. octets are borrowed. */
enum rc registry_text_read(struct bytes form, struct registry_text *text);

/* The number of parts, and the length of one; 0 behind the last. */
uint32_t registry_text_parts(const struct registry_name *name);
size_t registry_text_part_len(const struct registry_name *name, uint32_t part);
