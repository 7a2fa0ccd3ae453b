/* What append and search share. Private to audit/log*.c. */
#pragma once

#include "audit/log.h"

enum { AUDIT_SPAN = 256, AUDIT_SALTS = 64, AUDIT_FACET_HASH = 8 };

struct audit_log {
    unsigned first_table;
    struct audit_hasher *hasher;
    uint8_t salts[AUDIT_SALTS][AUDIT_SALT];
    size_t salts_left;
    struct buf record, entry; /* room to make one in */
};

/*
 * Facets by which records are found, each a range of AUDIT_SEARCH. Fingerprints and
 * correlation ids stand there with their first 8 octets: what is found is held against the
 * whole query anyway. Allowed ones are most, so the decision is a facet of the others only.
 */
enum audit_facet {
    AUDIT_BY_CORRELATION = 1, /* the most telling first */
    AUDIT_BY_CERTIFICATE,
    AUDIT_BY_DEVICE,
    AUDIT_BY_ACTOR,
    AUDIT_BY_DECISION,
    AUDIT_BY_ACTION,
};
enum { AUDIT_FACET_KEY_MAX = 1 + 1 + AUDIT_ID_MAX + 8 };

void audit_facet_write(struct buf *key, enum audit_facet facet, struct bytes value);

/* Count what a record tells that its number does not; in the transaction that appends it. */
enum rc audit_sums_add(struct audit_log *log, struct store_txn *txn,
                       const struct audit_record *record, bool sparse);

/* Earliest and latest wall_ms of AUDIT_SPAN neighbours. */
struct audit_span {
    int64_t earliest_ms, latest_ms;
};
enum rc audit_span_get(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       struct audit_span *span);
