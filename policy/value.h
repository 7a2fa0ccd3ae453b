/* Typed values of facts and of what conditions compare them with. */
#pragma once

#include "base/buf.h"

enum policy_type {
    POLICY_UNKNOWN, /* a fact that is not there: no comparison with it is true or false */
    POLICY_STRING,
    POLICY_NUMBER,
    POLICY_BOOLEAN,
    POLICY_TIME,     /* number: milliseconds since 1970, UTC */
    POLICY_DURATION, /* number: milliseconds */
    POLICY_ADDRESS,  /* one address, or with prefix < 128 a network */
    POLICY_VERSION,  /* up to four numbers and a text after - (semver 2.0 section 11 orders) */
    POLICY_GROUPED,  /* a device and the registry's groups of it; no literal is one */
    POLICY_TYPES
};
const char *policy_type_name(enum policy_type type);

/* Texts are borrowed. */
struct policy_value {
    enum policy_type type;
    struct bytes text;          /* STRING; VERSION as written; GROUPED: the device */
    int64_t number;             /* NUMBER, BOOLEAN, TIME, DURATION; GROUPED: how many groups */
    const struct bytes *groups; /* GROUPED */
    uint8_t address[16];        /* ADDRESS: IPv6; IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2) */
    uint8_t prefix;             /* ADDRESS: bits that count, 128 for one address */
    bool untold;         /* UNKNOWN here, but perhaps not where it is judged in earnest */
    uint32_t version[4]; /* VERSION: 1.2 is 1.2.0.0 */
    struct bytes pre;    /* VERSION: what follows -, empty for a release */
};

/* Below, at or above 0; both of one type. Addresses: a network stands before what it holds. */
int policy_value_compare(const struct policy_value *left, const struct policy_value *right);
bool policy_value_equal(const struct policy_value *left, const struct policy_value *right);
/* Goes on with a hash: alike for equal values, and likely not for others. */
uint64_t policy_value_mix(uint64_t hash, const struct policy_value *value);
/* Does the network hold the address? */
bool policy_value_holds(const struct policy_value *network, const struct policy_value *address);

/* Where something stands in a policy: file 0 is the policy itself, others are its imports in
 * the order in which they stand in the text; line and column from 1, columns count bytes. */
struct policy_place {
    unsigned file, line, column;
};

/* From a fact's text ("192.0.2.7", "1.2.3-rc1"): RC_MALFORMED says what was expected. */
enum rc policy_value_address(struct bytes text, struct policy_value *value);
enum rc policy_value_version(struct bytes text, struct policy_value *value);
