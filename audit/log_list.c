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
    uint64_t span_from;  /* if it is not wanted, nothing down to this index is */
    bool span_known, span_wanted;
    uint64_t size, low; /* of the log; and the first block of its index */
    struct audit_terms terms;
    uint64_t steps, given, next;
    bool full;
};

static bool is_wanted(const struct search *s, const struct audit_span *span)
{
    return span->latest_ms >= s->query->since_ms &&
           (s->query->until_ms == 0 || span->earliest_ms <= s->query->until_ms);
}

/* Of all that lie so far together: can one lie between since and until? */
static enum rc look_far(struct search *s, uint64_t far, bool *wanted)
{
    struct audit_span span;

    *wanted = true;
    if ((s->query->since_ms == 0 && s->query->until_ms == 0) ||
        far * s->log->far_blocks < s->low ||
        (far + 1) * s->log->far_blocks * AUDIT_SPAN > s->size)
        return RC_OK;
    TRY(audit_span_get_far(s->log, s->txn, far, &span));
    *wanted = is_wanted(s, &span);
    return RC_OK;
}

/* Can a record of this block lie between since and until? Asked once a block. */
static enum rc look_at_span(struct search *s, uint64_t block)
{
    const uint64_t far = block / s->log->far_blocks;
    struct audit_span span;

    if (s->span_known && s->span_block == block)
        return RC_OK;
    s->span_block = block;
    s->span_known = true;
    s->span_from = block * AUDIT_SPAN;
    TRY(look_far(s, far, &s->span_wanted));
    if (!s->span_wanted)
        s->span_from = far * s->log->far_blocks * AUDIT_SPAN;
    if (!s->span_wanted || block >= s->size / AUDIT_SPAN) /* the last one's is not known yet */
        return RC_OK;
    TRY(audit_span_get(s->log, s->txn, block, &span));
    s->span_wanted = is_wanted(s, &span);
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

    if (s->steps++ >= AUDIT_QUERY_STEPS) {
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
    /* Of a bare one nobody knows what its actor was: it is no kind's, not nobody's either. */
    if ((entry.erased && s->query->kinds != 0) || !audit_query_wants(s->query, &record))
        return RC_OK;
    if (audit_leaf_check(s->log->hasher, &entry) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
    return give(s, &hit, &entry);
}

/* ---- A look at each ---- */

/* Down to this one, from what lies below end. */
static enum rc walk(struct search *s, uint64_t end, uint64_t down_to)
{
    while (end > down_to && !s->full) {
        uint64_t index = end - 1;
        TRY(visit(s, index));
        end = s->span_known && !s->span_wanted ? s->span_from : index;
    }
    return RC_OK;
}

/* ---- By the index ---- */

/* Where in a block or far something can have each term of the query. */
static enum rc meet(struct search *s, enum audit_index_level level, uint64_t number,
                    struct audit_places *places)
{
    struct audit_places one;

    for (size_t i = 0; i < s->terms.count; i++) {
        const struct audit_term *term = &s->terms.at[i];
        struct audit_places any = { 0 };
        for (size_t k = 0; k < term->count; k++) {
            TRY(audit_index_get(s->log, s->txn, level, number, term->of[k], &one));
            s->steps++;
            for (size_t word = 0; word < 4; word++)
                any.bits[word] |= one.bits[word];
        }
        for (size_t word = 0; word < 4; word++)
            places->bits[word] &= any.bits[word];
        if (audit_places_is_empty(places))
            return RC_OK;
    }
    return RC_OK;
}

static const struct audit_places ALL = { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

static enum rc search_block(struct search *s, uint64_t block, uint64_t end)
{
    struct audit_places places = ALL;

    TRY(look_at_span(s, block));
    s->steps++;
    if (!s->span_wanted)
        return RC_OK;
    TRY(meet(s, AUDIT_INDEX_BLOCK, block, &places));
    for (uint64_t at = AUDIT_SPAN; at-- > 0 && !s->full;)
        if (audit_places_has(&places, (unsigned)at) && block * AUDIT_SPAN + at < end)
            TRY(visit(s, block * AUDIT_SPAN + at));
    return RC_OK;
}

/* The blocks of a far that can have something. */
static enum rc search_far(struct search *s, uint64_t far, struct audit_places *places)
{
    bool wanted = true, whole = false;

    *places = ALL;
    TRY(look_far(s, far, &wanted));
    if (!wanted) {
        *places = (struct audit_places){ 0 };
        return RC_OK;
    }
    TRY(audit_index_is_whole(s->log, s->txn, far, &whole));
    s->steps++;
    return whole ? meet(s, AUDIT_INDEX_FAR, far, places) : RC_OK;
}

/* Down from the block that ends at `end` or holds it. */
static enum rc search_index(struct search *s, uint64_t end)
{
    const unsigned blocks = s->log->far_blocks;
    uint64_t block = (end + AUDIT_SPAN - 1) / AUDIT_SPAN, far = UINT64_MAX;
    struct audit_places places = ALL;

    while (block-- > s->low && !s->full) {
        if (s->steps > AUDIT_QUERY_STEPS) {
            s->next = (block + 1) * AUDIT_SPAN;
            s->full = true;
            return RC_OK;
        }
        if (far != block / blocks) {
            far = block / blocks;
            TRY(search_far(s, far, &places));
        }
        if (audit_places_is_empty(&places))
            block = far * blocks;
        else if (audit_places_has(&places, (unsigned)(block % blocks)))
            TRY(search_block(s, block, end));
    }
    return RC_OK;
}

/* The last block by a look at each, then by the index as far as there is one. */
static enum rc search(struct search *s, uint64_t end)
{
    const uint64_t whole = s->size - s->size % AUDIT_SPAN;

    audit_terms_of(s->query, &s->terms);
    if (s->terms.count == 0 || s->low >= whole / AUDIT_SPAN)
        return walk(s, end, 0);
    TRY(walk(s, end, whole));
    if (end > whole)
        end = whole;
    if (!s->full && end > s->low * AUDIT_SPAN)
        TRY(search_index(s, end));
    if (end > s->low * AUDIT_SPAN)
        end = s->low * AUDIT_SPAN;
    return walk(s, end, 0);
}

static enum rc begin(struct search *s)
{
    TRY(audit_query_check(s->query));
    TRY(audit_log_size(s->log, s->txn, &s->size));
    TRY(audit_index_low(s->log, s->txn, &s->low));
    s->room = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    return RC_OK;
}

enum rc audit_log_list_on(struct audit_log *log, struct store_txn *txn,
                          const struct audit_query *query, uint64_t from,
                          enum rc (*each)(void *with, const struct audit_hit *hit), void *with,
                          uint64_t *next)
{
    struct search s = { .log = log, .txn = txn, .query = query, .each = each, .with = with };
    enum rc rc = RC_OK;

    TRY(begin(&s));
    for (*next = from; rc == RC_OK && *next < s.size && s.steps < AUDIT_FOLLOW_STEPS && !s.full;
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
    struct search s = { .log = log, .txn = txn, .query = query, .each = each, .with = with };

    TRY(begin(&s));
    uint64_t end = query->before != 0 && query->before < s.size ? query->before : s.size;
    enum rc rc = search(&s, end);
    buf_clear(&s.room);
    TRY(rc);
    *more = s.full && s.next > 0;
    *next = *more ? s.next : 0;
    return RC_OK;
}
