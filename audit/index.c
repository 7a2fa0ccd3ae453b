#include "audit/index.h"

#include <stdlib.h>

#include "audit/log_state.h"

enum {
    OFFSETS = 32, /* as many have a bit each */
    STATE = 0xff,
    ITEMS = AUDIT_SPAN * AUDIT_FACETS_MAX
};

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* ---- Keys and values ---- */

static void write_key(struct audit_facet facet, uint64_t block, uint8_t key[AUDIT_INDEX_KEY])
{
    key[0] = facet.kind;
    for (unsigned i = 0; i < 8; i++) {
        key[1 + i] = (uint8_t)(facet.hash >> (56 - 8 * i));
        key[9 + i] = (uint8_t)(block >> (56 - 8 * i));
    }
}

void audit_index_made_key(struct bytes fingerprint, uint64_t index,
                          uint8_t key[AUDIT_INDEX_KEY])
{
    write_key(audit_facet_of_making(fingerprint), index, key);
}

static void place(struct audit_places *places, uint8_t at)
{
    places->bits[at / 64] |= (uint64_t)1 << at % 64;
}

static void write_places(const struct audit_places *places, struct buf *value)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 4; i++)
        count += (unsigned)__builtin_popcountll(places->bits[i]);
    for (unsigned at = 0; count < OFFSETS && at < AUDIT_SPAN; at++)
        if ((places->bits[at / 64] & (uint64_t)1 << at % 64) != 0)
            buf_add_u8(value, (uint8_t)at);
    for (unsigned at = 0; count >= OFFSETS && at < AUDIT_SPAN; at += 8)
        buf_add_u8(value, (uint8_t)(places->bits[at / 64] >> at % 64));
}

static void read_places(struct bytes value, struct audit_places *places)
{
    *places = (struct audit_places){ 0 };
    for (size_t i = 0; value.len < OFFSETS && i < value.len; i++)
        place(places, value.at[i]);
    for (size_t i = 0; value.len == OFFSETS && i < value.len; i++)
        places->bits[i / 8] |= (uint64_t)value.at[i] << 8 * (i % 8);
}

/* ---- State ---- */

enum rc audit_index_low(struct audit_log *log, struct store_txn *txn, uint64_t *low)
{
    static const uint8_t KEY[] = { STATE };
    struct store_value value;
    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(KEY), &value);

    *low = UINT64_MAX;
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    struct reader r = READER(value.bytes);
    uint64_t read = reader_u64(&r);
    if (!reader_done(&r))
        return fault(RC_CORRUPT, "audit log: the state of its index is damaged");
    *low = read;
    return RC_OK;
}

enum rc audit_index_reach(struct audit_log *log, struct store_txn *txn, uint64_t block)
{
    static const uint8_t KEY[] = { STATE };
    struct store_number value = store_key_number(block);
    uint64_t low = 0;

    TRY(audit_index_low(log, txn, &low));
    return block < low ? store_txn_put(txn, table(log), BYTES_OF(KEY), BYTES_OF(value.at))
                       : RC_OK;
}

/* ---- A whole block ---- */

struct audit_index_item {
    uint64_t hash;
    uint8_t kind, at;
};

static int compare(const void *left, const void *right)
{
    const struct audit_index_item *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static enum rc collect(struct audit_log *log, struct store_txn *txn, uint64_t block,
                       size_t *count)
{
    struct audit_facets facets;
    struct audit_record record;
    size_t made = 0;

    for (unsigned at = 0; at < AUDIT_SPAN; at++) {
        buf_reset(&log->record);
        TRY(audit_log_record(log, txn, block * AUDIT_SPAN + at, &log->record, &record));
        audit_facets_of(&record, &facets);
        for (size_t i = 0; i < facets.count; i++)
            log->items[made++] = (struct audit_index_item){
                facets.at[i].hash, facets.at[i].kind, (uint8_t)at
            };
    }
    *count = made;
    return RC_OK;
}

/* Items of one facet, from *next on. */
static struct audit_facet gather(const struct audit_index_item *items, size_t count,
                                 size_t *next, struct audit_places *places)
{
    const struct audit_index_item first = items[*next];

    *places = (struct audit_places){ 0 };
    while (*next < count && items[*next].kind == first.kind && items[*next].hash == first.hash)
        place(places, items[(*next)++].at);
    return (struct audit_facet){ first.hash, first.kind };
}

static enum rc put(struct audit_log *log, struct store_txn *txn, struct audit_facet facet,
                   uint64_t block, const struct audit_places *places)
{
    uint8_t key[AUDIT_INDEX_KEY];
    AUTO_BUF(value, AUDIT_INDEX_VALUE);

    write_key(facet, block, key);
    write_places(places, &value);
    return store_txn_put(txn, table(log), BYTES_OF(key), buf_bytes(&value));
}

enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t block)
{
    struct audit_places places;
    size_t count = 0, next = 0;

    if (log->items == NULL)
        log->items = calloc(ITEMS, sizeof *log->items);
    if (log->items == NULL)
        return fault(RC_NOMEM, "audit log: the index of a block");
    TRY(collect(log, txn, block, &count));
    qsort(log->items, count, sizeof *log->items, compare);
    while (next < count) {
        struct audit_facet facet = gather(log->items, count, &next, &places);
        TRY(put(log, txn, facet, block, &places));
    }
    TRY(audit_span_widen_far(log, txn, block));
    return audit_index_reach(log, txn, block);
}

enum rc audit_index_take_out(struct audit_log *log, struct store_txn *txn,
                             struct audit_facet facet, uint64_t index)
{
    const unsigned at = index % AUDIT_SPAN;
    struct audit_places places, none = { 0 };
    uint8_t key[AUDIT_INDEX_KEY];
    struct store_value value;

    write_key(facet, index / AUDIT_SPAN, key);
    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(key), &value);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    read_places(value.bytes, &places);
    places.bits[at / 64] &= ~((uint64_t)1 << at % 64);
    if (bytes_equal(BYTES_OF(places.bits), BYTES_OF(none.bits)))
        return store_txn_remove(txn, table(log), BYTES_OF(key));
    return put(log, txn, facet, index / AUDIT_SPAN, &places);
}

/* ---- Looking ---- */

static void read_block(struct bytes key, struct bytes value, uint64_t *block,
                       struct audit_places *places)
{
    struct reader r = READER(key);

    reader_take(&r, AUDIT_INDEX_KEY - 8);
    *block = reader_u64(&r);
    read_places(value, places);
}

static enum rc step(struct audit_posting *posting)
{
    struct store_value value;
    struct bytes key;

    posting->looks++;
    enum rc rc = store_cursor_next(posting->cursor, &key, &value);
    posting->known = true;
    posting->ended = rc == RC_NOT_FOUND;
    if (rc != RC_OK)
        return posting->ended ? RC_OK : rc;
    read_block(key, value.bytes, &posting->block, &posting->places);
    return RC_OK;
}

static enum rc open_at(struct audit_log *log, struct store_txn *txn,
                       struct audit_posting *posting, uint64_t most)
{
    struct store_range range = { .below = BYTES_OF(posting->below), .backward = true };

    store_cursor_close(posting->cursor);
    posting->cursor = NULL;
    write_key(posting->facet, most + 1, posting->below);
    range.prefix = (struct bytes){ posting->below, AUDIT_INDEX_KEY - 8 };
    TRY(store_cursor_open(txn, table(log), &range, &posting->cursor));
    return step(posting);
}

/* Where facets are dense the next key is the one; else a new descent finds it. */
enum rc audit_posting_seek(struct audit_log *log, struct store_txn *txn,
                           struct audit_posting *posting, uint64_t most)
{
    if (posting->ended || (posting->known && posting->block <= most))
        return RC_OK;
    if (posting->known)
        TRY(step(posting));
    if (!posting->known || (!posting->ended && posting->block > most))
        return open_at(log, txn, posting, most);
    return RC_OK;
}

void audit_posting_end(struct audit_posting *posting)
{
    store_cursor_close(posting->cursor);
    posting->cursor = NULL;
}
