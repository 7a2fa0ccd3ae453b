#include "audit/index.h"

#include <assert.h>
#include <stdlib.h>

#include "audit/log_state.h"

enum { LOW = 0x43 };
/* Of 40 bits of kind and hash the highest that are used, kinds being below 32. */
enum { ORDER_BITS = 40, DIGIT_BITS = 12, DIGIT_VALUES = 1 << DIGIT_BITS, HIGH = 13 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
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

/* Kind and hash, as one number. */
static inline uint64_t order_of(const struct audit_index_item *item)
{
    return (uint64_t)item->kind << 32 | item->hash;
}

/* By so many of its bits from this one on; what is alike in them stays in order. */
static void scatter(const struct audit_index_item *from, struct audit_index_item *to,
                    size_t count, unsigned shift)
{
    uint16_t next[DIGIT_VALUES] = { 0 };
    unsigned begin = 0;

    for (size_t i = 0; i < count; i++)
        next[order_of(&from[i]) >> shift & (DIGIT_VALUES - 1)]++;
    for (size_t i = 0; i < DIGIT_VALUES; i++) {
        unsigned some = next[i];
        next[i] = (uint16_t)begin;
        begin += some;
    }
    for (size_t i = 0; i < count; i++)
        to[next[order_of(&from[i]) >> shift & (DIGIT_VALUES - 1)]++] = from[i];
}

/* What is nearly in order. false: it is not, and some are put right. */
static bool insert_all(struct audit_index_item *items, size_t count)
{
    size_t left = 4 * count;

    for (size_t i = 1; i < count; i++) {
        const struct audit_index_item item = items[i];
        size_t to = i;
        for (; to > 0 && order_of(&items[to - 1]) > order_of(&item); to--, left--) {
            if (left == 0) {
                items[to] = item;
                return false;
            }
            items[to] = items[to - 1];
        }
        items[to] = item;
    }
    return true;
}

/* By the highest bits, which tell nearly all apart; by all, if somebody saw to it that they do
 * not. */
struct audit_index_item *audit_index_sort(struct audit_log *log, size_t count)
{
    struct audit_index_item *items = log->items, *room = log->items + AUDIT_INDEX_ITEMS;

    static_assert(AUDIT_INDEX_ITEMS <= UINT16_MAX, "places in a list to sort");
    static_assert(AUDIT_INDEX_ITEMS >= AUDIT_SPAN * AUDIT_FACETS_MAX, "a block fits");
    scatter(items, room, count, HIGH);
    scatter(room, items, count, HIGH + DIGIT_BITS);
    if (insert_all(items, count))
        return items;
    for (unsigned shift = 0; shift < ORDER_BITS; shift += 2 * DIGIT_BITS) {
        scatter(items, room, count, shift);
        scatter(room, items, count, shift + DIGIT_BITS);
    }
    return items;
}

static struct audit_kept *kept_at(const struct audit_log *log, uint64_t index)
{
    return log->kept == NULL ? NULL : &log->kept[index % AUDIT_SPAN];
}

/* Without memory for it the record is read again. */
void audit_index_keep(struct audit_log *log, const struct store_txn *txn, uint64_t index,
                      struct bytes leaf, const struct audit_record *record)
{
    struct reader r = READER(leaf);

    if (log->kept == NULL)
        log->kept = calloc(AUDIT_SPAN, sizeof *log->kept);
    struct audit_kept *kept = kept_at(log, index);
    if (kept == NULL)
        return;
    kept->index = index;
    kept->undone = store_txn_undone(txn);
    reader_copy(&r, kept->leaf, sizeof kept->leaf);
    kept->wall_ms = record->wall_ms;
    audit_facets_of(record, &kept->facets);
    kept->valid = reader_done(&r);
}

void audit_index_drop(struct audit_log *log, uint64_t index)
{
    struct audit_kept *kept = kept_at(log, index);

    if (kept != NULL && kept->index == index)
        *kept = (struct audit_kept){ 0 };
}

/* RC_NOT_FOUND: it was not kept, or is another one now. */
static enum rc get_kept(struct audit_log *log, struct store_txn *txn, uint64_t index,
                        const struct audit_kept **found)
{
    const struct audit_kept *kept = kept_at(log, index);
    struct bytes leaf;
    bool bare = false;

    if (kept == NULL || !kept->valid || kept->index != index)
        return RC_NOT_FOUND;
    *found = kept;
    if (kept->undone == store_txn_undone(txn))
        return RC_OK;
    TRY(audit_log_get_leaf(log, txn, index, &leaf, &bare));
    return bare || !bytes_equal(leaf, BYTES_OF(kept->leaf)) ? RC_NOT_FOUND : RC_OK;
}

/* Room for what a record that was not kept is read into. */
struct block {
    struct audit_kept read;
    struct audit_span span;
    struct audit_index_item *items;
    size_t count;
};

/* What is left of one whose body is damaged. */
static enum rc read_head(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct audit_record *record)
{
    struct bytes leaf;
    bool bare = false;

    TRY(audit_log_get_leaf(log, txn, index, &leaf, &bare));
    return audit_record_read_head((struct bytes){ leaf.at, AUDIT_HEAD }, record);
}

static enum rc read_record(struct audit_log *log, struct store_txn *txn, uint64_t index,
                           struct audit_kept *read)
{
    struct audit_record record;
    enum rc rc = audit_log_record(log, txn, index, &record);

    if (rc == RC_CORRUPT || rc == RC_NOT_FOUND)
        rc = read_head(log, txn, index, &record);
    read->valid = rc == RC_OK;
    if (rc == RC_CORRUPT || rc == RC_NOT_FOUND)
        return RC_OK; /* not found by it, and told to whoever comes by or verifies */
    TRY(rc);
    read->wall_ms = record.wall_ms;
    audit_facets_of(&record, &read->facets);
    return RC_OK;
}

static enum rc add_record(struct audit_log *log, struct store_txn *txn, uint64_t index,
                          struct block *block)
{
    const struct audit_kept *kept = &block->read;
    struct audit_span *span = &block->span;

    enum rc rc = get_kept(log, txn, index, &kept);
    if (rc == RC_NOT_FOUND) {
        kept = &block->read;
        rc = read_record(log, txn, index, &block->read);
    }
    TRY(rc);
    if (!kept->valid)
        return RC_OK;
    for (size_t i = 0; i < kept->facets.count; i++)
        block->items[block->count++] =
            (struct audit_index_item){ kept->facets.at[i].hash, kept->facets.at[i].kind,
                                       (uint8_t)(index % AUDIT_SPAN) };
    span->earliest_ms = kept->wall_ms < span->earliest_ms ? kept->wall_ms : span->earliest_ms;
    span->latest_ms = kept->wall_ms > span->latest_ms ? kept->wall_ms : span->latest_ms;
    return RC_OK;
}

enum rc audit_index_block(struct audit_log *log, struct store_txn *txn, uint64_t number)
{
    struct block block = { .span = { INT64_MAX, INT64_MIN } };
    uint64_t low = 0;

    TRY(audit_index_items(log, &block.items));
    for (unsigned at = 0; at < AUDIT_SPAN; at++)
        TRY(add_record(log, txn, number * AUDIT_SPAN + at, &block));
    TRY(audit_index_put_items(log, txn, AUDIT_INDEX_BLOCK, number,
                              audit_index_sort(log, block.count), block.count));
    TRY(audit_span_put(log, txn, number, &block.span));
    TRY(audit_index_low(log, txn, &low));
    if (low == UINT64_MAX) /* no step was made yet: what it would have done for this block */
        TRY(audit_index_find_makings(log, txn, number * AUDIT_SPAN, (number + 1) * AUDIT_SPAN));
    return audit_index_reach(log, txn, number);
}
