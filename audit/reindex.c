#include "audit/log_state.h"

enum { OLD_KEYS = 2000 };

/* What keys of earlier versions begin with. */
static const uint8_t OURS[] = { 0x43 }, FARS[] = { 0x80 }, FARS_END[] = { 0x90 },
                     BLOCKS[] = { 0xc0 }, BLOCKS_END[] = { 0xd0 };
static const struct store_range OLD[] = {
    { .below = BYTES_OF(OURS) },
    { .from = BYTES_OF(FARS), .below = BYTES_OF(FARS_END) },
    { .from = BYTES_OF(BLOCKS), .below = BYTES_OF(BLOCKS_END) },
};

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* ---- What an earlier version left ---- */

static enum rc remove_some(struct audit_log *log, struct store_txn *txn,
                           const struct store_range *range, unsigned *left)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    AUTO_BUF(old, STORE_KEY_MAX);
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, table(log), range, &cursor));
    for (; *left > 0; --*left) {
        rc = store_cursor_next(cursor, &key, &value);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        buf_reset(&old);
        buf_add(&old, key);
        TRY(store_txn_remove(txn, table(log), buf_bytes(&old)));
    }
    return RC_OK;
}

static enum rc remove_old(struct audit_log *log, struct store_txn *txn)
{
    unsigned left = OLD_KEYS;

    for (size_t i = 0; i < sizeof OLD / sizeof *OLD; i++)
        TRY(remove_some(log, txn, &OLD[i], &left));
    return RC_OK;
}

enum rc audit_index_find_makings(struct audit_log *log, struct store_txn *txn, uint64_t from,
                                 uint64_t end)
{
    struct audit_record record = { 0 };

    for (uint64_t at = from; at < end; at++) {
        enum rc rc = audit_log_record(log, txn, at, &record);
        if (rc == RC_CORRUPT || rc == RC_NOT_FOUND)
            continue; /* whoever reads or verifies it is told */
        TRY(rc);
        TRY(audit_made_add(log, txn, at, &record));
    }
    return RC_OK;
}

/* From here on whole blocks are put there; of the last one only what is appended from now on
 * has said what certificates it made. */
static enum rc adopt(struct audit_log *log, struct store_txn *txn, uint64_t size)
{
    TRY(audit_index_find_makings(log, txn, size - size % AUDIT_SPAN, size));
    return audit_index_reach(log, txn, size / AUDIT_SPAN);
}

/* ---- What there is to do ---- */

struct work {
    bool adopt;    /* this version has not seen this log yet */
    bool old;      /* there are keys of an earlier one */
    uint64_t size; /* of it */
    uint64_t low;  /* blocks below it are missing; the newest of them comes next */
    uint64_t far;  /* to be merged; UINT64_MAX: none */
};

/* The newest one that can be and is not: what is asked for most. */
static enum rc find_far(struct audit_log *log, struct store_txn *txn, struct work *work)
{
    bool whole = true;

    work->far = UINT64_MAX;
    for (uint64_t far = work->size / AUDIT_SPAN / log->far_blocks;
         far-- > 0 && far * log->far_blocks >= work->low;) {
        TRY(audit_index_is_whole(log, txn, far, &whole));
        if (!whole)
            work->far = far;
        if (!whole)
            return RC_OK;
    }
    return RC_OK;
}

enum rc audit_index_is_old(struct audit_log *log, struct store_txn *txn, bool *old)
{
    struct store_value value;
    struct bytes key;

    *old = false;
    for (size_t i = 0; i < sizeof OLD / sizeof *OLD && !*old; i++) {
        AUTO_OF(store_cursor) *cursor = NULL;
        TRY(store_cursor_open(txn, table(log), &OLD[i], &cursor));
        enum rc rc = store_cursor_next(cursor, &key, &value);
        if (rc != RC_OK && rc != RC_NOT_FOUND)
            return rc;
        *old = rc == RC_OK;
    }
    return RC_OK;
}

static enum rc find_work(struct audit_log *log, struct store_txn *txn, struct work *work)
{
    *work = (struct work){ .far = UINT64_MAX };
    TRY(audit_log_size(log, txn, &work->size));
    TRY(audit_index_low(log, txn, &work->low));
    work->adopt = work->low == UINT64_MAX;
    TRY(audit_index_is_old(log, txn, &work->old));
    return work->adopt ? RC_OK : find_far(log, txn, work);
}

/* ---- What is damaged ---- */

/* RC_CORRUPT. */
static enum rc read_all(struct audit_log *log, struct store_txn *txn,
                        const struct audit_index_damage *part)
{
    struct audit_facet from = { 0 };
    struct audit_index_item *items;
    size_t count = AUDIT_INDEX_ITEMS;

    TRY(audit_index_items(log, &items));
    while (count == AUDIT_INDEX_ITEMS) {
        TRY(audit_index_read_items(log, txn, part->level, part->number, from, items,
                                   AUDIT_INDEX_ITEMS, &count));
        if (count > 0)
            from = audit_facet_behind(
                (struct audit_facet){ items[count - 1].hash, items[count - 1].kind });
    }
    return RC_OK;
}

/* It stays noted until another transaction finds it whole: this one may come to nothing. */
enum rc audit_index_mend(struct audit_log *log, struct store_txn *txn)
{
    const struct audit_index_damage part = log->damage;

    if (!part.there || part.mended == store_txn_serial(txn))
        return RC_OK;
    log->damage.there = false;
    enum rc rc = read_all(log, txn, &part);
    if (rc != RC_CORRUPT)
        return rc;
    log->damage.mended = store_txn_serial(txn);
    TRY(audit_index_clear(log, txn, part.level, part.number));
    return part.level == AUDIT_INDEX_BLOCK ? audit_index_block(log, txn, part.number)
                                           : audit_index_merge_anew(log, txn, part.number);
}

enum rc audit_log_index_due(struct audit_log *log, struct store_txn *txn, bool *due)
{
    struct work work;

    TRY(find_work(log, txn, &work));
    *due = work.adopt || work.old || work.low > 0 || work.far != UINT64_MAX ||
           (log->damage.there && log->damage.mended != store_txn_serial(txn));
    return RC_OK;
}

static enum rc do_block(struct audit_log *log, struct store_txn *txn, uint64_t block)
{
    TRY(audit_index_find_makings(log, txn, block * AUDIT_SPAN, (block + 1) * AUDIT_SPAN));
    return audit_index_block(log, txn, block);
}

static enum rc do_some(struct audit_log *log, struct store_txn *txn, const struct work *work)
{
    bool whole = false;

    if (work->adopt)
        return adopt(log, txn, work->size);
    if (work->old)
        return remove_old(log, txn);
    if (work->far != UINT64_MAX)
        return audit_index_merge(log, txn, work->far, &whole);
    return work->low > 0 ? do_block(log, txn, work->low - 1) : RC_OK;
}

enum rc audit_log_index(struct audit_log *log, struct store_txn *txn, bool *more)
{
    struct work work;

    TRY(audit_index_mend(log, txn));
    TRY(find_work(log, txn, &work));
    enum rc rc = do_some(log, txn, &work);
    if (rc == RC_CORRUPT && log->damage.there)
        rc = audit_index_mend(log, txn);
    TRY(rc);
    return audit_log_index_due(log, txn, more);
}

/* ---- Erasing ---- */

static bool has(const struct audit_facets *facets, struct audit_facet facet)
{
    for (size_t i = 0; i < facets->count; i++)
        if (facets->at[i].kind == facet.kind && facets->at[i].hash == facet.hash)
            return true;
    return false;
}

/* A block, or a far as far as it is merged: what is there of it is `below` that facet. */
struct part {
    enum audit_index_level level;
    uint64_t number;
    unsigned at;
    struct audit_facet below;
};

static bool is_in(const struct part *part, struct audit_facet facet)
{
    return facet.kind < part->below.kind ||
           (facet.kind == part->below.kind && facet.hash < part->below.hash);
}

static enum rc part_of_far(struct audit_log *log, struct store_txn *txn, uint64_t block,
                           struct part *part)
{
    bool whole = false;

    part->level = AUDIT_INDEX_FAR;
    part->number = block / log->far_blocks;
    part->at = (unsigned)(block % log->far_blocks);
    part->below.kind = AUDIT_INDEX_WHOLE;
    TRY(audit_index_is_whole(log, txn, part->number, &whole));
    return whole ? RC_OK : audit_index_merged(log, txn, part->number, &part->below);
}

/* *left: whether anything of the facet is left there. */
static enum rc take_out(struct audit_log *log, struct store_txn *txn, const struct part *part,
                        struct audit_facet facet, bool *left)
{
    struct audit_places places;

    *left = true;
    if (!is_in(part, facet))
        return RC_OK;
    TRY(audit_index_get(log, txn, part->level, part->number, facet, &places));
    if (!audit_places_has(&places, part->at))
        return RC_OK;
    places.bits[part->at / 64] &= ~((uint64_t)1 << part->at % 64);
    *left = !audit_places_is_empty(&places);
    return audit_index_put(log, txn, part->level, part->number, facet, &places);
}

static enum rc put_in(struct audit_log *log, struct store_txn *txn, const struct part *part,
                      struct audit_facet facet)
{
    struct audit_places places;

    if (!is_in(part, facet))
        return RC_OK;
    TRY(audit_index_get(log, txn, part->level, part->number, facet, &places));
    places.bits[part->at / 64] |= (uint64_t)1 << part->at % 64;
    return audit_index_put(log, txn, part->level, part->number, facet, &places);
}

static enum rc exchange(struct audit_log *log, struct store_txn *txn, uint64_t index,
                        const struct audit_facets *before, const struct audit_facets *after)
{
    const struct part block = {
        AUDIT_INDEX_BLOCK, index / AUDIT_SPAN, index % AUDIT_SPAN, { 0, AUDIT_INDEX_WHOLE }
    };
    struct part far = { 0 };
    bool stays = true;

    TRY(part_of_far(log, txn, block.number, &far));
    for (size_t i = 0; i < before->count; i++) {
        const struct audit_facet facet = before->at[i];
        if (has(after, facet))
            continue;
        TRY(take_out(log, txn, &block, facet, &stays));
        if (!stays)
            TRY(take_out(log, txn, &far, facet, &stays));
    }
    for (size_t i = 0; i < after->count; i++) {
        if (has(before, after->at[i]))
            continue;
        TRY(put_in(log, txn, &block, after->at[i]));
        TRY(put_in(log, txn, &far, after->at[i]));
    }
    return RC_OK;
}

enum rc audit_index_forget(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           const struct audit_record *record, const struct audit_record *left)
{
    const uint64_t block = index / AUDIT_SPAN;
    struct audit_facets before, after;
    uint64_t low = 0, size = 0;

    TRY(audit_made_remove(log, txn, index, record));
    TRY(audit_index_low(log, txn, &low));
    TRY(audit_log_size(log, txn, &size));
    if (block < low || block >= size / AUDIT_SPAN)
        return RC_OK;
    audit_facets_of(record, &before);
    audit_facets_of(left, &after);
    enum rc rc = exchange(log, txn, index, &before, &after);
    for (unsigned i = 0; i < 2 && rc == RC_CORRUPT && log->damage.there; i++) {
        TRY(audit_index_mend(log, txn)); /* the record is still whole */
        rc = exchange(log, txn, index, &before, &after);
    }
    return rc;
}

/* ---- Upwards ---- */

static bool next_place(const struct audit_places *places, uint64_t base, uint64_t from,
                       uint64_t *found)
{
    for (uint64_t at = from > base ? from - base : 0; at < AUDIT_SPAN; at++)
        if (audit_places_has(places, (unsigned)at)) {
            *found = base + at;
            return true;
        }
    return false;
}

/* The first block from this one on that can have it; past all of its far if there is none. */
static enum rc next_block(struct audit_log *log, struct store_txn *txn,
                          struct audit_facet facet, uint64_t *block)
{
    const uint64_t far = *block / log->far_blocks;
    struct audit_places places;
    bool whole = false;

    TRY(audit_index_is_whole(log, txn, far, &whole));
    if (!whole)
        return RC_OK;
    TRY(audit_index_get(log, txn, AUDIT_INDEX_FAR, far, facet, &places));
    if (!next_place(&places, far * log->far_blocks, *block, block))
        *block = (far + 1) * log->far_blocks;
    return RC_OK;
}

enum rc audit_index_next(struct audit_log *log, struct store_txn *txn, struct audit_facet facet,
                         uint64_t from, uint64_t below, uint64_t *index)
{
    struct audit_places places;
    uint64_t low = 0, size = 0;

    TRY(audit_index_low(log, txn, &low));
    TRY(audit_log_size(log, txn, &size));
    while (from < below) {
        uint64_t block = from / AUDIT_SPAN, at = block;
        bool there = block >= low && block < size / AUDIT_SPAN;
        *index = from;
        if (!there)
            return RC_OK;
        TRY(next_block(log, txn, facet, &at));
        if (at == block) {
            TRY(audit_index_get(log, txn, AUDIT_INDEX_BLOCK, block, facet, &places));
            if (next_place(&places, block * AUDIT_SPAN, from, index))
                return *index < below ? RC_OK : RC_NOT_FOUND;
            at++;
        }
        from = at * AUDIT_SPAN;
    }
    return RC_NOT_FOUND;
}
