#include "base/secret.h"
#include "base/text.h"
#include "store/state.h"

#include <string.h>

/*
 * The table ".store", integers big-endian:
 *   "format"    format 4 | schema's name, length 2 | schema's version 4
 *   "lineage"   16
 *   "state"     revision 8 | sequence 8 | first 8
 *   "copy"      SHA-256 32 of the manifest of the copy that was put back last, once recorded
 *   "table NAME" kind of key 1
 */
enum { FORMAT = 1, RECORD_MAX = 128 };

static enum rc put(struct store *store, struct MDB_txn *txn, struct bytes key,
                   const struct buf *value)
{
    struct bytes bytes;

    TRY(buf_done(value, &bytes));
    return store_engine_put(txn, store->records, STORE_ENGINE_REPLACE, key, bytes, BYTES(""));
}

static enum rc put_format(struct store *store, struct MDB_txn *txn)
{
    AUTO_BUF(value, RECORD_MAX);

    buf_add_u32(&value, FORMAT);
    buf_add_sized16(&value, bytes_of_text(store->schema->name));
    buf_add_u32(&value, store->schema->version);
    return put(store, txn, BYTES("format"), &value);
}

static enum rc get(struct MDB_txn *txn, unsigned records, struct bytes key,
                   struct reader *value)
{
    enum rc rc = store_engine_get(txn, records, key, &value->left);

    value->broken = false;
    return rc == RC_NOT_FOUND
               ? fault(RC_CORRUPT, "store: the record \"%.*s\" is missing", BYTES_FMT(key))
               : rc;
}

static enum rc check_format(const struct store *store, struct MDB_txn *txn)
{
    struct reader value = { 0 };

    TRY(get(txn, store->records, BYTES("format"), &value));
    uint32_t format = reader_u32(&value);
    if (!value.broken && format != FORMAT)
        return fault(
            RC_DENIED,
            "store: written in format %u, this program knows format %d: use the program "
            "that wrote it, or a newer one",
            format, FORMAT);
    struct bytes name = reader_sized16(&value, STORE_NAME_MAX);
    uint32_t version = reader_u32(&value);
    if (!reader_done(&value) || !text_is_printable(name))
        return fault(RC_CORRUPT, "store: the record \"format\" is damaged");
    if (!bytes_equal_text(name, store->schema->name))
        return fault(RC_DENIED, "store: holds \"%.*s\", \"%s\" was expected", BYTES_FMT(name),
                     store->schema->name);
    if (version != store->schema->version)
        return fault(RC_DENIED, "store: \"%s\" is of version %u, this program knows version %u",
                     store->schema->name, version, store->schema->version);
    return RC_OK;
}

static enum rc put_lineage(struct store *store, struct MDB_txn *txn)
{
    AUTO_SECRET(drawn);
    AUTO_BUF(value, RECORD_MAX);

    TRY(secret_make_random(&drawn, STORE_LINEAGE));
    buf_add(&value, secret_bytes(&drawn));
    return put(store, txn, BYTES("lineage"), &value);
}

enum rc store_record_put_state(struct store *store, struct MDB_txn *txn,
                               const struct store_state *state)
{
    AUTO_BUF(value, RECORD_MAX);

    buf_add_u64(&value, state->revision);
    buf_add_u64(&value, state->sequence);
    buf_add_u64(&value, state->first);
    return put(store, txn, BYTES("state"), &value);
}

static enum rc read_state(struct MDB_txn *txn, unsigned records, struct store_state *state,
                          uint8_t lineage[STORE_LINEAGE])
{
    struct reader life = { 0 }, value = { 0 };
    struct store_state got;
    uint8_t drawn[STORE_LINEAGE];

    TRY(get(txn, records, BYTES("lineage"), &life));
    reader_copy(&life, drawn, sizeof drawn);
    TRY(get(txn, records, BYTES("state"), &value));
    got.revision = reader_u64(&value);
    got.sequence = reader_u64(&value);
    got.first = reader_u64(&value);
    if (!reader_done(&life) || !reader_done(&value) || got.first == 0 ||
        got.first - 1 > got.sequence)
        return fault(RC_CORRUPT, "store: the record \"state\" or \"lineage\" is damaged");
    *state = got;
    memcpy(lineage, drawn, sizeof drawn);
    return RC_OK;
}

enum rc store_record_read(struct MDB_txn *txn, struct store_state *state,
                          uint8_t lineage[STORE_LINEAGE])
{
    unsigned records = 0;

    enum rc rc = store_engine_table(txn, STORE_RECORDS_TABLE, false, &records);
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "store: an LMDB file, but none of ours");
    TRY(rc);
    return read_state(txn, records, state, lineage);
}

static enum rc open_table(struct store *store, struct MDB_txn *txn, size_t i)
{
    const struct store_table *table = &store->schema->tables[i];
    AUTO_BUF(key, RECORD_MAX);
    AUTO_BUF(kind, 1);
    struct bytes stored;

    buf_addf(&key, "table %s", table->name);
    buf_add_u8(&kind, (uint8_t)table->key);
    enum rc rc = store_engine_get(txn, store->records, buf_bytes(&key), &stored);
    if (rc == RC_NOT_FOUND)
        rc = put(store, txn, buf_bytes(&key), &kind);
    else if (rc == RC_OK && !bytes_equal(stored, buf_bytes(&kind)))
        rc = fault(RC_DENIED, "store: table %s was made with another kind of key", table->name);
    TRY(rc);
    return store_engine_table(txn, table->name, true, &store->tables[i]);
}

static enum rc make(struct store *store, struct MDB_txn *txn)
{
    static const struct store_state NEW = { .first = 1 };

    TRY(store_engine_table(txn, STORE_RECORDS_TABLE, true, &store->records));
    TRY(put_format(store, txn));
    TRY(put_lineage(store, txn));
    return store_record_put_state(store, txn, &NEW);
}

enum rc store_record_put_copy(struct store *store, struct MDB_txn *txn)
{
    AUTO_BUF(value, RECORD_MAX);

    buf_add(&value, BYTES_OF(store->put_back.hash));
    return put(store, txn, BYTES("copy"), &value);
}

static enum rc begin_life(struct store *store, struct MDB_txn *txn)
{
    struct store_put_back *put_back = &store->put_back;
    struct bytes recorded;

    if (!put_back->there)
        return RC_OK;
    enum rc rc = store_engine_get(txn, store->records, BYTES("copy"), &recorded);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    put_back->recorded = rc == RC_OK && bytes_equal(recorded, BYTES_OF(put_back->hash));
    return put_back->recorded ? RC_OK : put_lineage(store, txn);
}

enum rc store_record_open(struct store *store, struct MDB_txn *txn)
{
    bool empty = false;

    TRY(store_engine_is_empty(txn, &empty));
    if (empty)
        TRY(make(store, txn));
    enum rc rc = store_engine_table(txn, STORE_RECORDS_TABLE, false, &store->records);
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "store: an LMDB file, but none of ours");
    TRY(rc);
    TRY(check_format(store, txn));
    TRY(begin_life(store, txn));
    TRY(store_engine_table(txn, STORE_FEED_TABLE, true, &store->feed));
    TRY(store_engine_table(txn, STORE_FOLLOWERS_TABLE, true, &store->followers));
    for (size_t i = 0; i < store->schema->table_count; i++)
        TRY(open_table(store, txn, i));
    return read_state(txn, store->records, &store->state, store->lineage);
}
