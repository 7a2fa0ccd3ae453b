/* What to look for in the audit log, and the page that comes back; also as bytes, for a link.
 */
#pragma once

#include "audit/action_set.h"
#include "audit/leaf.h"
#include "audit/network.h"

/*
 * All that is given must hold. Borrowed; empty, 0 and no bits are not given. A certificate is
 * the one shown or the one acted upon: what is said of it must hold of one of the two.
 */
struct audit_query {
    struct bytes device;      /* as the actor, or as what the record is about */
    struct bytes actor;       /* id of the actor, of whatever kind */
    uint8_t kinds;            /* bits of enum audit_actor_kind; erased ones are of none */
    struct bytes certificate; /* fingerprint */
    struct bytes serial;
    struct bytes issuer, key; /* hashes: record.h */
    struct bytes correlation; /* 16 octets, not all zero */
    struct bytes target;      /* exactly this */
    struct bytes topic; /* a filter: what was published, received, retained, or subscribed to
                           matches it, or can */
    struct audit_network peer;
    struct audit_action_set actions;
    uint8_t decisions;          /* bits of enum audit_decision */
    uint8_t sources;            /* bits of enum audit_source */
    uint64_t policy_version;    /* that was asked */
    uint32_t rule;              /* that decided; AUDIT_RULE_NONE: none of them did */
    int64_t since_ms, until_ms; /* wall, both included; until 0: no end */
    uint64_t before; /* only records with a lower index: the next page; 0: from the newest */
    uint32_t most;   /* at most so many */
};

enum { AUDIT_QUERY_MOST = 1000, AUDIT_QUERY_MAX = 3072 };
#define AUDIT_RULE_NONE UINT32_MAX

/* RC_MALFORMED names the field that no record can have, or most outside 1 to AUDIT_QUERY_MOST.
 */
enum rc audit_query_check(const struct audit_query *query);
bool audit_query_wants(const struct audit_query *query, const struct audit_record *record);

/* Append; read strictly and check. */
void audit_query_write(const struct audit_query *query, struct buf *buf);
enum rc audit_query_read(struct bytes bytes, struct audit_query *query);

/* Append what is given as words, as /v1/audit spells it but for times: "device=dev-1 limit=50".
 */
void audit_query_tell(const struct audit_query *query, struct buf *text);

/* One record found, with what proves it. Borrowed. */
struct audit_hit {
    uint64_t index;
    struct proof_hash leaf;
    struct bytes entry;
    const struct audit_record *record; /* not in a page's bytes: audit_page_next() reads it */
};

/* A page: next u64, more u8, then hits: index u64, leaf hash 32, entry sized16. */
void audit_page_write_head(struct buf *page, uint64_t next, bool more);
void audit_page_write_hit(struct buf *page, const struct audit_hit *hit);
struct audit_page {
    uint64_t next;
    bool more;
    struct reader left;
    struct buf room;            /* audit_page_clear() */
    struct audit_record record; /* the latest hit's */
};
enum rc audit_page_read(struct bytes bytes, struct audit_page *page);
/* RC_NOT_FOUND at the end; RC_MALFORMED. The hit borrows from the page until the next call. */
enum rc audit_page_next(struct audit_page *page, struct audit_hit *hit);
void audit_page_clear(struct audit_page *page);
