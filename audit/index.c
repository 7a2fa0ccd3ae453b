#include "audit/index.h"

#include <stdlib.h>

#include "audit/log_state.h"

enum { PLACES = 32 /* as many have a bit each */, LOW = 0x41 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

/* ---- Places ---- */

bool audit_places_has(const struct audit_places *places, unsigned at)
{
    return (places->bits[at / 64] & (uint64_t)1 << at % 64) != 0;
}

bool audit_places_is_empty(const struct audit_places *places)
{
    return (places->bits[0] | places->bits[1] | places->bits[2] | places->bits[3]) == 0;
}

static void add_place(struct audit_places *places, uint8_t at)
{
    places->bits[at / 64] |= (uint64_t)1 << at % 64;
}

static void write_places(const struct audit_places *places, struct buf *value)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 4; i++)
        count += (unsigned)__builtin_popcountll(places->bits[i]);
    for (unsigned at = 0; count < PLACES && at < AUDIT_SPAN; at++)
        if (audit_places_has(places, at))
            buf_add_u8(value, (uint8_t)at);
    for (unsigned at = 0; count >= PLACES && at < AUDIT_SPAN; at += 8)
        buf_add_u8(value, (uint8_t)(places->bits[at / 64] >> at % 64));
}

static void read_places(struct bytes value, struct audit_places *places)
{
    *places = (struct audit_places){ 0 };
    for (size_t i = 0; value.len < PLACES && i < value.len; i++)
        add_place(places, value.at[i]);
    for (size_t i = 0; value.len == PLACES && i < value.len; i++)
        places->bits[i / 8] |= (uint64_t)value.at[i] << 8 * (i % 8);
}

/* ---- Keys ---- */

void audit_index_key(enum audit_index_level level, uint64_t number, struct audit_facet facet,
                     uint8_t key[AUDIT_INDEX_KEY])
{
    key[0] = (uint8_t)level;
    key[5] = facet.kind;
    for (unsigned i = 0; i < 4; i++) {
        key[1 + i] = (uint8_t)(number >> (24 - 8 * i));
        key[6 + i] = (uint8_t)(facet.hash >> (24 - 8 * i));
    }
}

enum rc audit_index_get(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        struct audit_places *places)
{
    uint8_t key[AUDIT_INDEX_KEY];
    struct store_value value;

    *places = (struct audit_places){ 0 };
    audit_index_key(level, number, facet, key);
    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(key), &value);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    if (value.bytes.len == 0 || value.bytes.len > PLACES)
        return fault(RC_CORRUPT, "audit log: a key of its index is damaged");
    read_places(value.bytes, places);
    return RC_OK;
}

enum rc audit_index_put(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        const struct audit_places *places)
{
    uint8_t key[AUDIT_INDEX_KEY];
    AUTO_BUF(value, AUDIT_INDEX_VALUE);

    audit_index_key(level, number, facet, key);
    write_places(places, &value);
    if (value.len == 0)
        return store_txn_remove(txn, table(log), BYTES_OF(key));
    return store_txn_put(txn, table(log), BYTES_OF(key), buf_bytes(&value));
}

enum rc audit_index_is_whole(struct audit_log *log, struct store_txn *txn, uint64_t far,
                             bool *whole)
{
    uint8_t key[AUDIT_INDEX_KEY];
    struct store_value value;

    audit_index_key(AUDIT_INDEX_FAR, far, (struct audit_facet){ 0, AUDIT_INDEX_WHOLE }, key);
    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(key), &value);
    *whole = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- From where on ---- */

enum rc audit_index_low(struct audit_log *log, struct store_txn *txn, uint64_t *low)
{
    static const uint8_t KEY[] = { LOW };
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
    static const uint8_t KEY[] = { LOW };
    struct store_number value = store_key_number(block);
    uint64_t low = 0;

    TRY(audit_index_low(log, txn, &low));
    return block < low ? store_txn_put(txn, table(log), BYTES_OF(KEY), BYTES_OF(value.at))
                       : RC_OK;
}

/* ---- A whole block ---- */

enum rc audit_index_items(struct audit_log *log, struct audit_index_item **items)
{
    if (log->items == NULL)
        log->items = calloc(AUDIT_INDEX_ITEMS, sizeof *log->items);
    *items = log->items;
    return log->items == NULL ? fault(RC_NOMEM, "audit log: an index") : RC_OK;
}

int audit_index_compare(const void *left, const void *right)
{
    const struct audit_index_item *a = left, *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

enum rc audit_index_put_items(struct audit_log *log, struct store_txn *txn,
                              enum audit_index_level level, uint64_t number,
                              const struct audit_index_item *items, size_t count)
{
    for (size_t i = 0; i < count;) {
        const struct audit_facet facet = { items[i].hash, items[i].kind };
        struct audit_places places = { 0 };
        for (; i < count && items[i].kind == facet.kind && items[i].hash == facet.hash; i++)
            add_place(&places, items[i].at);
        TRY(audit_index_put(log, txn, level, number, facet, &places));
    }
    return RC_OK;
}

enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t block)
{
    struct audit_index_item *items = NULL;
    struct audit_facets facets;
    struct audit_record record;
    size_t count = 0;

    TRY(audit_index_items(log, &items));
    for (unsigned at = 0; at < AUDIT_SPAN; at++) {
        TRY(audit_log_record(log, txn, block * AUDIT_SPAN + at, &record));
        audit_facets_of(&record, &facets);
        for (size_t i = 0; i < facets.count; i++)
            items[count++] =
                (struct audit_index_item){ facets.at[i].hash, facets.at[i].kind, (uint8_t)at };
    }
    qsort(items, count, sizeof *items, audit_index_compare);
    TRY(audit_index_put_items(log, txn, AUDIT_INDEX_BLOCK, block, items, count));
    TRY(audit_span_widen_far(log, txn, block));
    return audit_index_reach(log, txn, block);
}
