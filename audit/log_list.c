#include "audit/log_state.h"

/* A search on its way down from the newest record. */
struct search {
    struct audit_log *log;
    struct store_txn *txn;
    const struct audit_query *query;
    enum rc (*each)(void *with, const struct audit_hit *hit);
    void *with;
    struct buf room;
    uint64_t span_block; /* whose times are in span */
    bool span_known, span_wanted;
    uint64_t steps, given, next;
    bool full;
};

/* Can a record of this block lie between since and until? Asked once a block. */
static enum rc look_at_span(struct search *s, uint64_t block)
{
    struct audit_span span;

    if (s->span_known && s->span_block == block)
        return RC_OK;
    TRY(audit_span_get(s->log, s->txn, block, &span));
    s->span_block = block;
    s->span_known = true;
    s->span_wanted = span.latest_ms >= s->query->since_ms &&
                     (s->query->until_ms == 0 || span.earliest_ms <= s->query->until_ms);
    return RC_OK;
}

static enum rc give(struct search *s, struct audit_hit *hit, const struct audit_entry *entry)
{
    hit->leaf = audit_leaf_hash(s->log->hasher, entry);
    TRY(s->each(s->with, hit));
    s->given++;
    s->next = hit->index;
    s->full = s->given == s->query->most;
    return RC_OK;
}

/* The record with this index: is it wanted? Its commitment is checked, so that what is shown is
 * what was logged. */
static enum rc visit(struct search *s, uint64_t index)
{
    struct audit_record record;
    struct audit_entry entry;
    struct audit_hit hit = { .index = index, .record = &record };

    if (s->steps++ == AUDIT_QUERY_STEPS) {
        s->next = index + 1;
        s->full = true;
        return RC_OK;
    }
    TRY(look_at_span(s, index / AUDIT_SPAN));
    if (!s->span_wanted)
        return RC_OK;
    enum rc rc = audit_log_get(s->log, s->txn, index, &hit.entry);
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "audit log: record %llu is missing",
                     (unsigned long long)index);
    TRY(rc);
    if (audit_leaf_read(hit.entry, &entry) != RC_OK ||
        audit_leaf_record(&entry, &s->room, &record) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
    if (!audit_query_wants(s->query, &record))
        return RC_OK;
    if (audit_leaf_check(s->log->hasher, &entry) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
    return give(s, &hit, &entry);
}

static enum rc walk_entries(struct search *s, uint64_t end)
{
    while (end > 0 && !s->full) {
        uint64_t index = end - 1;
        TRY(visit(s, index));
        end = s->span_known && !s->span_wanted ? index - index % AUDIT_SPAN : index;
    }
    return RC_OK;
}

static enum rc walk_facet(struct search *s, struct buf *prefix, uint64_t end)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    AUTO_BUF(below, AUDIT_FACET_KEY_MAX);
    struct store_range range = { .prefix = buf_bytes(prefix), .backward = true };
    struct store_value value;
    struct bytes key;
    enum rc rc;

    buf_add(&below, buf_bytes(prefix));
    buf_add_u64(&below, end);
    TRY(buf_done(&below, &range.below));
    TRY(store_cursor_open(s->txn, s->log->first_table + AUDIT_SEARCH, &range, &cursor));
    while (!s->full && (rc = store_cursor_next(cursor, &key, &value)) != RC_NOT_FOUND) {
        TRY(rc);
        struct reader r = READER(key);
        reader_take(&r, range.prefix.len);
        TRY(visit(s, reader_u64(&r)));
    }
    return RC_OK;
}

/* The most telling facet that the query gives; false if none. */
static bool choose_facet(const struct audit_query *query, struct buf *prefix)
{
    const uint8_t action[2] = { (uint8_t)(query->action >> 8), (uint8_t)query->action };
    const struct {
        enum audit_facet facet;
        struct bytes value;
    } given[] = {
        { AUDIT_BY_CORRELATION, query->correlation },
        { AUDIT_BY_CERTIFICATE, query->certificate },
        { AUDIT_BY_DEVICE, query->device },
        { AUDIT_BY_ACTOR, query->actor },
        { AUDIT_BY_DECISION, { &query->decision, query->decision > AUDIT_ALLOWED } },
        { AUDIT_BY_ACTION, { action, query->action != 0 ? sizeof action : 0 } },
    };

    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (given[i].value.len == 0)
            continue;
        audit_facet_write(prefix, given[i].facet, given[i].value);
        return true;
    }
    return false;
}

static bool is_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != 0)
            return false;
    return bytes.len > 0;
}

static enum rc check(const struct audit_query *query)
{
    TRY(audit_query_check(query));
    return is_zero(query->correlation)
               ? fault(RC_MALFORMED, "audit query: a correlation id of zeros is none")
               : RC_OK;
}

enum rc audit_log_list_on(struct audit_log *log, struct store_txn *txn,
                          const struct audit_query *query, uint64_t from,
                          enum rc (*each)(void *with, const struct audit_hit *hit), void *with,
                          uint64_t *next)
{
    struct search s = { .log = log, .txn = txn, .query = query, .each = each, .with = with };
    uint64_t end = 0;
    enum rc rc = RC_OK;

    TRY(check(query));
    TRY(audit_log_size(log, txn, &end));
    s.room = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    for (*next = from; rc == RC_OK && *next < end && s.steps < AUDIT_QUERY_STEPS && !s.full;
         *next += rc == RC_OK)
        rc = visit(&s, *next);
    buf_clear(&s.room);
    return rc;
}

enum rc audit_log_list(struct audit_log *log, struct store_txn *txn,
                       const struct audit_query *query,
                       enum rc (*each)(void *with, const struct audit_hit *hit), void *with,
                       uint64_t *next, bool *more)
{
    AUTO_BUF(prefix, AUDIT_FACET_KEY_MAX);
    struct search s = { .log = log, .txn = txn, .query = query, .each = each, .with = with };
    uint64_t end;

    TRY(check(query));
    TRY(audit_log_size(log, txn, &end));
    if (query->before != 0 && query->before < end)
        end = query->before;
    s.room = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    enum rc rc =
        choose_facet(query, &prefix) ? walk_facet(&s, &prefix, end) : walk_entries(&s, end);
    buf_clear(&s.room);
    TRY(rc);
    *more = s.full && s.next > 0;
    *next = *more ? s.next : 0;
    return RC_OK;
}
