/* What a record is found by, and what a query looks for: the two must agree. Private to audit/.
 */
#pragma once

#include "audit/query.h"

/*
 * A facet is a kind and a hash of a value. Hashes may meet by chance or by malice: what is
 * found is held against the whole query, so that costs a look and no wrong answer. Kinds are in
 * the store (index.h): added to, never changed or used again.
 */
enum audit_facet_kind {
    AUDIT_BY_ACTION = 1,
    AUDIT_BY_DECISION,
    AUDIT_BY_SOURCE,
    AUDIT_BY_KIND,        /* of the actor */
    AUDIT_BY_WHO,         /* id of the actor, or of the device that it is about */
    AUDIT_BY_CERTIFICATE, /* these four: shown, or acted upon */
    AUDIT_BY_SERIAL,
    AUDIT_BY_ISSUER,
    AUDIT_BY_KEY,
    AUDIT_BY_CORRELATION,
    AUDIT_BY_POLICY,
    AUDIT_BY_RULE,
    AUDIT_BY_PEER,   /* bits, and so many of the address */
    AUDIT_BY_TARGET, /* whole */
    AUDIT_BY_PREFIX, /* the first levels of a topic or filter, none of them a wildcard */
    AUDIT_BY_BEYOND, /* the levels before the first wildcard of a filter */
    AUDIT_BY_LEVEL,  /* number of a level, and its text */
    AUDIT_BY_ANY,    /* number of a level at which a filter has a wildcard */

    AUDIT_BY_MAKING, /* index.h: a certificate, in the record that says it was made */
};

struct audit_facet {
    uint32_t hash;
    uint8_t kind; /* of enum audit_facet_kind */
};

/* Of one record. Topics are looked at up to so many levels. */
enum { AUDIT_FACET_LEVELS = 8, AUDIT_FACETS_MAX = 48 };
struct audit_facets {
    struct audit_facet at[AUDIT_FACETS_MAX];
    size_t count;
};
/* Of whoever acted, or the device that it is about. */
struct audit_facet audit_facet_of_subject(struct bytes id);
struct audit_facet audit_facet_of_making(struct bytes fingerprint);
void audit_facets_of(const struct audit_record *record, struct audit_facets *facets);

/* Every record that a query wants has at least one facet of each of its terms; of one without
 * any, none. No terms: no index helps. */
enum { AUDIT_TERMS_MAX = 32, AUDIT_CHOICES_MAX = 16 };
struct audit_term {
    struct audit_facet of[AUDIT_CHOICES_MAX];
    size_t count;
};
struct audit_terms {
    struct audit_term at[AUDIT_TERMS_MAX];
    size_t count;
};
void audit_terms_of(const struct audit_query *query, struct audit_terms *terms);
