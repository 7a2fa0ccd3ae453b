#include "audit/log_state.h"

#include <stdlib.h>

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
    uint64_t steps, looks, given, next;
    bool full;
};

static bool is_wanted(const struct search *s, const struct audit_span *span)
{
    return span->latest_ms >= s->query->since_ms &&
           (s->query->until_ms == 0 || span->earliest_ms <= s->query->until_ms);
}

/* All that lie so far together: can one of them lie between since and until? */
static enum rc look_far(struct search *s, uint64_t block, bool *wanted)
{
    const uint64_t far = block * AUDIT_SPAN / AUDIT_FAR;
    struct audit_span span;

    *wanted = true;
    if ((s->query->since_ms == 0 && s->query->until_ms == 0) ||
        far * (AUDIT_FAR / AUDIT_SPAN) < s->low || (far + 1) * AUDIT_FAR > s->size)
        return RC_OK;
    TRY(audit_span_get_far(s->log, s->txn, far, &span));
    *wanted = is_wanted(s, &span);
    if (!*wanted)
        s->span_from = far * AUDIT_FAR;
    return RC_OK;
}

/* Can a record of this block lie between since and until? Asked once a block. */
static enum rc look_at_span(struct search *s, uint64_t block)
{
    struct audit_span span;

    if (s->span_known && s->span_block == block)
        return RC_OK;
    s->span_block = block;
    s->span_known = true;
    s->span_from = block * AUDIT_SPAN;
    TRY(look_far(s, block, &s->span_wanted));
    if (!s->span_wanted)
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
    if (audit_log_get(s->log, s->txn, index, &hit.entry) == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "audit log: record %llu is missing",
                     (unsigned long long)index);
    if (audit_leaf_read(hit.entry, &entry) != RC_OK ||
        audit_leaf_record(&entry, &s->room, &record) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
    if (!audit_query_wants(s->query, &record))
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

/* ---- By the index: the greatest block in which all terms meet, and so down ---- */

enum { POSTINGS_MAX = 96 };

struct leap {
    struct audit_posting postings[POSTINGS_MAX];
    size_t count, terms;
    size_t end_of[AUDIT_TERMS_MAX]; /* of each term, in postings */
};

/* What is left out is held against each record that is found. */
static void plan(const struct audit_terms *terms, struct leap *leap)
{
    for (size_t i = 0; i < terms->count; i++) {
        const struct audit_term *term = &terms->at[i];
        if (leap->count + term->count > POSTINGS_MAX)
            continue;
        for (size_t k = 0; k < term->count; k++)
            leap->postings[leap->count++].facet = term->of[k];
        leap->end_of[leap->terms++] = leap->count;
    }
}

/* The greatest block, at most *block, that has any of a term's facets, and the records in it
 * that do. false: there is none. */
static enum rc seek_term(struct search *s, struct leap *leap, size_t term, uint64_t *block,
                         struct audit_places *places, bool *found)
{
    const size_t from = term == 0 ? 0 : leap->end_of[term - 1];
    uint64_t greatest = 0;

    *found = false;
    *places = (struct audit_places){ 0 };
    for (size_t i = from; i < leap->end_of[term]; i++) {
        struct audit_posting *posting = &leap->postings[i];
        TRY(audit_posting_seek(s->log, s->txn, posting, *block));
        if (posting->ended || (*found && posting->block < greatest))
            continue;
        if (!*found || posting->block > greatest)
            *places = (struct audit_places){ 0 };
        greatest = posting->block;
        *found = true;
        for (size_t word = 0; word < 4; word++)
            places->bits[word] |= posting->places.bits[word];
    }
    *block = greatest;
    return RC_OK;
}

/* The greatest block, at most *block, in which some record can have all terms. */
static enum rc meet(struct search *s, struct leap *leap, uint64_t *block,
                    struct audit_places *places, bool *found)
{
    const uint64_t began = *block;
    struct audit_places one;

    for (size_t word = 0; word < 4; word++)
        places->bits[word] = UINT64_MAX;
    for (size_t i = 0; i < leap->terms; i++) {
        uint64_t at = *block;
        TRY(seek_term(s, leap, i, &at, &one, found));
        if (!*found)
            return RC_OK;
        *block = at;
        if (at < began)
            return RC_OK; /* again, from there */
        for (size_t word = 0; word < 4; word++)
            places->bits[word] &= one.bits[word];
    }
    return RC_OK;
}

static enum rc visit_places(struct search *s, uint64_t block, const struct audit_places *places,
                            uint64_t end)
{
    for (unsigned at = AUDIT_SPAN; at-- > 0 && !s->full;) {
        if ((places->bits[at / 64] & (uint64_t)1 << at % 64) == 0 ||
            block * AUDIT_SPAN + at >= end)
            continue;
        TRY(visit(s, block * AUDIT_SPAN + at));
        if (!s->span_wanted)
            return RC_OK;
    }
    return RC_OK;
}

/* Looks at the store count as looks at a record do; one round may look once more at each. */
static bool is_spent(struct search *s, const struct leap *leap, uint64_t block)
{
    uint64_t looks = 0;

    for (size_t i = 0; i < leap->count; i++)
        looks += leap->postings[i].looks;
    s->steps += looks - s->looks;
    s->looks = looks;
    if (s->steps <= AUDIT_QUERY_STEPS || s->full)
        return s->full;
    s->next = (block + 1) * AUDIT_SPAN;
    s->full = true;
    return true;
}

static enum rc leap_down(struct search *s, struct leap *leap, uint64_t end, uint64_t low)
{
    uint64_t block = (end - 1) / AUDIT_SPAN;
    struct audit_places places;
    bool found = false;

    for (;;) {
        uint64_t at = block;
        if (is_spent(s, leap, block))
            return RC_OK;
        TRY(meet(s, leap, &at, &places, &found));
        if (!found || at < low)
            return RC_OK;
        if (at == block) {
            TRY(visit_places(s, block, &places, end));
            if (s->span_known && s->span_block == block && !s->span_wanted)
                at = s->span_from / AUDIT_SPAN;
            if (at <= low)
                return RC_OK;
            at--;
        }
        block = at;
    }
}

static enum rc search_index(struct search *s, const struct audit_terms *terms, uint64_t end,
                            uint64_t low)
{
    struct leap *leap = calloc(1, sizeof *leap);

    if (leap == NULL)
        return fault(RC_NOMEM, "audit log: a search");
    plan(terms, leap);
    enum rc rc = leap_down(s, leap, end, low);
    for (size_t i = 0; i < leap->count; i++)
        audit_posting_end(&leap->postings[i]);
    free(leap);
    return rc;
}

/* The last block by a look at each, then by the index as far as there is one. */
static enum rc search(struct search *s, uint64_t end)
{
    const uint64_t whole = s->size - s->size % AUDIT_SPAN;
    struct audit_terms terms;

    audit_terms_of(s->query, &terms);
    if (terms.count == 0 || s->low >= whole / AUDIT_SPAN)
        return walk(s, end, 0);
    TRY(walk(s, end, whole));
    if (end > whole)
        end = whole;
    if (!s->full && end > s->low * AUDIT_SPAN)
        TRY(search_index(s, &terms, end, s->low));
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
    for (*next = from; rc == RC_OK && *next < s.size && s.steps < AUDIT_QUERY_STEPS && !s.full;
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
