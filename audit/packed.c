#include "audit/log_state.h"

#include <string.h>

/* A cell: kind u8, hash u32, how many octets of places, places. */
enum {
    FACET = 1 + 4,
    HEAD = FACET + 1,
    PLACES = 32, /* as many have a bit each */
    CELL_MAX = HEAD + PLACES,
    ROW_MAX = AUDIT_INDEX_VALUE
};

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

static enum rc damaged(void)
{
    return fault(RC_CORRUPT, "audit log: a row of its index is damaged");
}

/* Whoever writes next can mend it. */
static enum rc note(struct audit_log *log, enum audit_index_level level, uint64_t number,
                    enum rc rc)
{
    if (rc == RC_CORRUPT)
        log->damage = (struct audit_index_damage){ true, level, number, 0 };
    return rc;
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

/* How many octets it takes. */
static size_t write_places(const struct audit_places *places, uint8_t to[PLACES])
{
    unsigned count = 0;
    size_t len = 0;

    for (unsigned i = 0; i < 4; i++)
        count += (unsigned)__builtin_popcountll(places->bits[i]);
    if (count < PLACES) {
        for (unsigned i = 0; i < 4; i++)
            for (uint64_t bits = places->bits[i]; bits != 0; bits &= bits - 1)
                to[len++] = (uint8_t)(64 * i + (unsigned)__builtin_ctzll(bits));
        return len;
    }
    for (; len < PLACES; len++)
        to[len] = (uint8_t)(places->bits[len / 8] >> 8 * (len % 8));
    return len;
}

static void read_places(struct bytes from, struct audit_places *places)
{
    *places = (struct audit_places){ 0 };
    for (size_t i = 0; from.len < PLACES && i < from.len; i++)
        add_place(places, from.at[i]);
    for (size_t i = 0; from.len == PLACES && i < from.len; i++)
        places->bits[i / 8] |= (uint64_t)from.at[i] << 8 * (i % 8);
}

/* ---- Cells ---- */

static void write_facet(struct audit_facet facet, uint8_t to[FACET])
{
    to[0] = facet.kind;
    for (unsigned i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(facet.hash >> (24 - 8 * i));
}

static size_t write_cell(struct audit_facet facet, const struct audit_places *places,
                         uint8_t to[CELL_MAX])
{
    size_t len = write_places(places, to + HEAD);

    write_facet(facet, to);
    to[FACET] = (uint8_t)len;
    return HEAD + len;
}

/* Facets in their order, as a number. */
static uint64_t order_of(struct audit_facet facet)
{
    return (uint64_t)facet.kind << 32 | facet.hash;
}

static uint64_t order_at(const uint8_t *cell)
{
    return (uint64_t)cell[0] << 32 | (uint32_t)cell[1] << 24 | (uint32_t)cell[2] << 16 |
           (uint32_t)cell[3] << 8 | cell[4];
}

/* Octets of the cell that begins there; 0: none does. */
static size_t cell_at(struct bytes row, size_t at)
{
    if (at >= row.len || row.len - at <= HEAD)
        return 0;
    size_t len = row.at[at + FACET];
    return len == 0 || len > PLACES || len > row.len - at - HEAD ? 0 : HEAD + len;
}

/* Where the first cell is that is not before this facet, or would be; and how long it is, if it
 * is this facet's. RC_CORRUPT: what was passed is no cell, or does not ascend. */
static enum rc find_cell(struct bytes row, struct audit_facet facet, size_t *at, size_t *len)
{
    const uint64_t wanted = order_of(facet);
    uint64_t before = 0;

    for (*at = 0; *at < row.len; *at += *len) {
        *len = cell_at(row, *at);
        if (*len == 0)
            return damaged();
        uint64_t here = order_at(row.at + *at);
        if (*at > 0 && here <= before)
            return damaged();
        before = here;
        if (here == wanted)
            return RC_OK;
        if (here > wanted)
            break;
    }
    *len = 0;
    return RC_OK;
}

/* ---- Rows ---- */

void audit_index_key(enum audit_index_level level, uint64_t number, struct audit_facet facet,
                     uint8_t key[AUDIT_INDEX_KEY])
{
    key[0] = (uint8_t)level;
    for (unsigned i = 0; i < 4; i++)
        key[1 + i] = (uint8_t)(number >> (24 - 8 * i));
    write_facet(facet, key + 1 + 4);
}

struct audit_facet audit_facet_behind(struct audit_facet facet)
{
    if (facet.hash == UINT32_MAX)
        return (struct audit_facet){ 0, (uint8_t)(facet.kind + 1) };
    return (struct audit_facet){ facet.hash + 1, facet.kind };
}

/* The row that has the facet, if any has: its key, copied, and what is in it. RC_NOT_FOUND. */
static enum rc find_row(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        uint8_t key[AUDIT_INDEX_KEY], struct bytes *row)
{
    uint8_t below[AUDIT_INDEX_KEY];
    const struct store_range range = { .prefix = { below, 1 + 4 },
                                       .below = BYTES_OF(below),
                                       .backward = true };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes found;

    audit_index_key(level, number, audit_facet_behind(facet), below);
    TRY(store_cursor_open(txn, table(log), &range, &cursor));
    TRY(store_cursor_next(cursor, &found, &value));
    if (found.len != AUDIT_INDEX_KEY)
        return damaged();
    memcpy(key, found.at, AUDIT_INDEX_KEY);
    *row = value.bytes;
    return RC_OK;
}

static enum rc get(struct audit_log *log, struct store_txn *txn, enum audit_index_level level,
                   uint64_t number, struct audit_facet facet, struct audit_places *places)
{
    uint8_t key[AUDIT_INDEX_KEY];
    size_t at = 0, len = 0;
    struct bytes row;

    *places = (struct audit_places){ 0 };
    enum rc rc = find_row(log, txn, level, number, facet, key, &row);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_OK : rc;
    TRY(find_cell(row, facet, &at, &len));
    if (len > 0)
        read_places((struct bytes){ row.at + at + HEAD, len - HEAD }, places);
    return RC_OK;
}

enum rc audit_index_get(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        struct audit_places *places)
{
    return note(log, level, number, get(log, txn, level, number, facet, places));
}

/* One that has become too long becomes two. */
static enum rc put_halves(struct audit_log *log, struct store_txn *txn,
                          uint8_t key[AUDIT_INDEX_KEY], struct bytes row)
{
    size_t at = 0;

    while (at < row.len / 2) {
        size_t len = cell_at(row, at);
        if (len == 0)
            return damaged();
        at += len;
    }
    TRY(store_txn_put(txn, table(log), (struct bytes){ key, AUDIT_INDEX_KEY },
                      (struct bytes){ row.at, at }));
    memcpy(key + 1 + 4, row.at + at, FACET);
    return store_txn_put(txn, table(log), (struct bytes){ key, AUDIT_INDEX_KEY },
                         (struct bytes){ row.at + at, row.len - at });
}

static enum rc put(struct audit_log *log, struct store_txn *txn, enum audit_index_level level,
                   uint64_t number, struct audit_facet facet, const struct audit_places *places)
{
    uint8_t key[AUDIT_INDEX_KEY], cell[CELL_MAX];
    AUTO_BUF(made, ROW_MAX + CELL_MAX);
    struct bytes row = BYTES(""), whole;
    size_t at = 0, len = 0;

    enum rc rc = find_row(log, txn, level, number, facet, key, &row);
    if (rc == RC_NOT_FOUND)
        audit_index_key(level, number, facet, key);
    else
        TRY(rc);
    TRY(find_cell(row, facet, &at, &len));
    if (audit_places_is_empty(places) && len == 0)
        return RC_OK; /* it is not there */
    if (audit_places_is_empty(places) && row.len == len)
        return store_txn_remove(txn, table(log), BYTES_OF(key));
    buf_add(&made, (struct bytes){ row.at, at });
    if (!audit_places_is_empty(places))
        buf_add(&made, (struct bytes){ cell, write_cell(facet, places, cell) });
    buf_add(&made, (struct bytes){ row.at + at + len, row.len - at - len });
    TRY(buf_done(&made, &whole));
    if (whole.len > ROW_MAX)
        return put_halves(log, txn, key, whole);
    return store_txn_put(txn, table(log), BYTES_OF(key), whole);
}

enum rc audit_index_put(struct audit_log *log, struct store_txn *txn,
                        enum audit_index_level level, uint64_t number, struct audit_facet facet,
                        const struct audit_places *places)
{
    return note(log, level, number, put(log, txn, level, number, facet, places));
}

/* ---- Whole blocks and fars ---- */

enum rc audit_index_clear(struct audit_log *log, struct store_txn *txn,
                          enum audit_index_level level, uint64_t number)
{
    uint8_t first[AUDIT_INDEX_KEY];
    const struct store_range range = { .prefix = { first, 1 + 4 } };
    AUTO_OF(store_cursor) *cursor = NULL;
    AUTO_BUF(row, STORE_KEY_MAX);
    struct store_value value;
    struct bytes key;
    enum rc rc;

    audit_index_key(level, number, (struct audit_facet){ 0 }, first);
    TRY(store_cursor_open(txn, table(log), &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        buf_reset(&row);
        buf_add(&row, key);
        TRY(store_txn_remove(txn, table(log), buf_bytes(&row)));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* A row in the making. */
struct packing {
    uint8_t key[AUDIT_INDEX_KEY], row[ROW_MAX + CELL_MAX];
    size_t len;
};

static enum rc put_row(struct audit_log *log, struct store_txn *txn, struct packing *packing)
{
    if (packing->len == 0)
        return RC_OK;
    TRY(store_txn_put(txn, table(log), BYTES_OF(packing->key),
                      (struct bytes){ packing->row, packing->len }));
    packing->len = 0;
    return RC_OK;
}

static size_t count_alike(const struct audit_index_item *items, size_t count)
{
    size_t alike = 1;

    while (alike < count && items[alike].hash == items->hash &&
           items[alike].kind == items->kind)
        alike++;
    return alike;
}

/* The cell of items that are alike but for their places, which ascend. */
static size_t write_alike(const struct audit_index_item *items, size_t count,
                          uint8_t to[CELL_MAX])
{
    const struct audit_facet facet = { items->hash, items->kind };
    struct audit_places places = { 0 };
    size_t len = 0;

    for (size_t i = 0; count < PLACES && i < count; i++)
        if (len == 0 || to[HEAD + len - 1] != items[i].at) /* a facet may be told twice */
            to[HEAD + len++] = items[i].at;
    if (len == 0) {
        for (size_t i = 0; i < count; i++)
            add_place(&places, items[i].at);
        return write_cell(facet, &places, to);
    }
    write_facet(facet, to);
    to[FACET] = (uint8_t)len;
    return HEAD + len;
}

enum rc audit_index_put_items(struct audit_log *log, struct store_txn *txn,
                              enum audit_index_level level, uint64_t number,
                              const struct audit_index_item *items, size_t count)
{
    struct packing packing;
    packing.len = 0;

    for (size_t i = 0; i < count;) {
        const struct audit_facet facet = { items[i].hash, items[i].kind };
        size_t alike = count_alike(items + i, count - i);
        if (packing.len == 0)
            audit_index_key(level, number, facet, packing.key);
        size_t len = write_alike(items + i, alike, packing.row + packing.len);
        if (packing.len + len > ROW_MAX) {
            TRY(put_row(log, txn, &packing));
            audit_index_key(level, number, facet, packing.key);
            write_alike(items + i, alike, packing.row);
        }
        packing.len += len;
        i += alike;
    }
    return put_row(log, txn, &packing);
}

static enum rc read_items(struct audit_log *log, struct store_txn *txn,
                          enum audit_index_level level, uint64_t number,
                          struct audit_facet from, struct audit_index_item *items, size_t room,
                          size_t *count)
{
    uint8_t first[AUDIT_INDEX_KEY];
    struct store_range range = { .prefix = { first, 1 + 4 }, .from = BYTES_OF(first) };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key, row;
    uint64_t before = 0;
    size_t at = 0, len = 0;

    *count = 0;
    enum rc rc = find_row(log, txn, level, number, from, first, &row);
    if (rc == RC_NOT_FOUND)
        audit_index_key(level, number, from, first);
    else
        TRY(rc);
    TRY(store_cursor_open(txn, table(log), &range, &cursor));
    while (*count < room) {
        rc = store_cursor_next(cursor, &key, &value);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        TRY(find_cell(value.bytes, from, &at, &len));
        for (; at < value.bytes.len && *count < room; at += len) {
            len = cell_at(value.bytes, at);
            if (len == 0)
                return damaged();
            uint64_t order = order_at(value.bytes.at + at);
            if (*count > 0 && order <= before)
                return damaged();
            before = order;
            items[*count].kind = (uint8_t)(order >> 32);
            items[*count].hash = (uint32_t)order;
            ++*count;
        }
    }
    return RC_OK;
}

enum rc audit_index_read_items(struct audit_log *log, struct store_txn *txn,
                               enum audit_index_level level, uint64_t number,
                               struct audit_facet from, struct audit_index_item *items,
                               size_t room, size_t *count)
{
    return note(log, level, number,
                read_items(log, txn, level, number, from, items, room, count));
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
