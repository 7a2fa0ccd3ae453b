#include "audit/index.h"

#include <stdlib.h>

#include "audit/log_state.h"

enum { PLACES = AUDIT_INDEX_VALUE /* as many have a bit each */, LOW = 0x41, OCTETS = 256 };

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

/* How many octets of value it takes. */
static size_t write_places(const struct audit_places *places, uint8_t value[PLACES])
{
    unsigned count = 0;
    size_t len = 0;

    for (unsigned i = 0; i < 4; i++)
        count += (unsigned)__builtin_popcountll(places->bits[i]);
    if (count < PLACES) {
        for (unsigned i = 0; i < 4; i++)
            for (uint64_t bits = places->bits[i]; bits != 0; bits &= bits - 1)
                value[len++] = (uint8_t)(64 * i + (unsigned)__builtin_ctzll(bits));
        return len;
    }
    for (; len < PLACES; len++)
        value[len] = (uint8_t)(places->bits[len / 8] >> 8 * (len % 8));
    return len;
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
    uint8_t key[AUDIT_INDEX_KEY], value[PLACES];

    audit_index_key(level, number, facet, key);
    size_t len = write_places(places, value);
    if (len == 0)
        return store_txn_remove(txn, table(log), BYTES_OF(key));
    return store_txn_put(txn, table(log), BYTES_OF(key), (struct bytes){ value, len });
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
        log->items = calloc(2 * (size_t)AUDIT_INDEX_ITEMS, sizeof *log->items);
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

/* By one octet of the key, the least first; what is alike in it stays in order. */
static uint8_t octet_of(const struct audit_index_item *item, unsigned pass)
{
    if (pass == 4)
        return item->kind;
    return (uint8_t)(item->hash >> 8 * pass);
}

static void sort_by(unsigned pass, const struct audit_index_item *from,
                    struct audit_index_item *to, size_t count)
{
    size_t next[OCTETS] = { 0 }, begin = 0;

    for (size_t i = 0; i < count; i++)
        next[octet_of(&from[i], pass)]++;
    for (size_t i = 0; i < OCTETS; i++) {
        size_t some = next[i];
        next[i] = begin;
        begin += some;
    }
    for (size_t i = 0; i < count; i++)
        to[next[octet_of(&from[i], pass)]++] = from[i];
}

struct audit_index_item *audit_index_sort(struct audit_log *log, size_t count)
{
    struct audit_index_item *from = log->items, *to = log->items + AUDIT_INDEX_ITEMS;

    for (unsigned pass = 0; pass < 5; pass++) {
        struct audit_index_item *sorted = to;
        sort_by(pass, from, to, count);
        to = from;
        from = sorted;
    }
    return from;
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

static struct audit_kept *kept_at(const struct audit_log *log, uint64_t index)
{
    return log->kept == NULL ? NULL : &log->kept[index % AUDIT_SPAN];
}

/* Without memory for it the record is read again. */
void audit_index_keep(struct audit_log *log, uint64_t index, struct bytes leaf,
                      const struct audit_record *record)
{
    struct reader r = READER(leaf);

    if (log->kept == NULL)
        log->kept = calloc(AUDIT_SPAN, sizeof *log->kept);
    struct audit_kept *kept = kept_at(log, index);
    if (kept == NULL)
        return;
    kept->index = index;
    reader_copy(&r, kept->leaf, sizeof kept->leaf);
    audit_facets_of(record, &kept->facets);
    kept->valid = reader_done(&r);
}

void audit_index_drop(struct audit_log *log, uint64_t index)
{
    struct audit_kept *kept = kept_at(log, index);

    if (kept != NULL && kept->index == index)
        *kept = (struct audit_kept){ 0 };
}

static enum rc facets_at(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct audit_facets *facets)
{
    const struct audit_kept *kept = kept_at(log, index);
    struct audit_record record;
    struct bytes leaf;
    bool bare = false;

    if (kept != NULL && kept->valid && kept->index == index) {
        TRY(audit_log_get_leaf(log, txn, index, &leaf, &bare));
        if (!bare && bytes_equal(leaf, BYTES_OF(kept->leaf))) {
            *facets = kept->facets;
            return RC_OK;
        }
    }
    TRY(audit_log_record(log, txn, index, &record));
    audit_facets_of(&record, facets);
    return RC_OK;
}

enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t block)
{
    struct audit_index_item *items = NULL;
    struct audit_facets facets;
    size_t count = 0;

    TRY(audit_index_items(log, &items));
    for (unsigned at = 0; at < AUDIT_SPAN; at++) {
        TRY(facets_at(log, txn, block * AUDIT_SPAN + at, &facets));
        for (size_t i = 0; i < facets.count; i++)
            items[count++] =
                (struct audit_index_item){ facets.at[i].hash, facets.at[i].kind, (uint8_t)at };
    }
    items = audit_index_sort(log, count);
    TRY(audit_index_put_items(log, txn, AUDIT_INDEX_BLOCK, block, items, count));
    TRY(audit_span_widen_far(log, txn, block));
    return audit_index_reach(log, txn, block);
}
