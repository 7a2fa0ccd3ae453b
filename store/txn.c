#include "store/txn.h"

#include "store/state.h"

#include <assert.h>
#include <string.h>

enum { STEPS_PER_LOOK = 128 };

void store_txn_keep_reason(char reason[STORE_REASON_MAX])
{
    struct bytes text = bytes_of_text(fault_text());
    size_t len = text.len < STORE_REASON_MAX ? text.len : STORE_REASON_MAX - 1;

    memcpy(reason, text.at, len);
    reason[len] = '\0';
}

enum rc store_txn_settle(struct store_txn *txn, enum rc rc)
{
    if (rc != RC_OK && txn->failed == RC_OK) {
        txn->failed = rc;
        store_txn_keep_reason(txn->reason);
    }
    return rc;
}

enum rc store_txn_step(struct store_txn *txn)
{
    if (txn->until_ms == 0 || ++txn->steps % STEPS_PER_LOOK != 0 ||
        clock_monotonic_ms(txn->store->settings.clock) <= txn->until_ms)
        return RC_OK;
    return fault(RC_LIMIT, "store: a read transaction took more than %lld ms",
                 (long long)txn->store->settings.read_most_ms);
}

static const struct store_table *table_of(const struct store_txn *txn, unsigned table)
{
    assert(table < txn->store->schema->table_count);
    return &txn->store->schema->tables[table];
}

static enum rc check_key(const struct store_table *table, struct bytes key)
{
    if (table->key == STORE_KEY_NUMBER && key.len != sizeof(struct store_number))
        return fault(RC_LIMIT, "table %s: key of %zu bytes, a number has 8", table->name,
                     key.len);
    if (key.len == 0 || key.len > STORE_KEY_MAX)
        return fault(RC_LIMIT, "table %s: key of %zu bytes, 1 to %d are allowed", table->name,
                     key.len, STORE_KEY_MAX);
    return RC_OK;
}

enum rc store_txn_get(struct store_txn *txn, unsigned table, struct bytes key,
                      struct store_value *value)
{
    const struct store_table *of = table_of(txn, table);
    struct reader r = { 0 };

    TRY(check_key(of, key));
    TRY(store_txn_step(txn));
    enum rc rc = store_engine_get(txn->engine, txn->store->tables[table], key, &r.left);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "table %s: no such key", of->name);
    TRY(store_txn_settle(txn, rc));
    uint64_t revision = reader_u64(&r);
    if (r.broken)
        return store_txn_settle(txn,
                                fault(RC_CORRUPT, "table %s: a value is cut short", of->name));
    *value = (struct store_value){ .bytes = r.left, .revision = revision };
    return RC_OK;
}

enum rc store_txn_expect(struct store_txn *txn, unsigned table, struct bytes key,
                         uint64_t revision)
{
    struct store_value value = { 0 };

    enum rc rc = store_txn_get(txn, table, key, &value);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (value.revision != revision)
        return fault(RC_BUSY, "table %s: revision %llu was expected, %llu is there",
                     table_of(txn, table)->name, (unsigned long long)revision,
                     (unsigned long long)value.revision);
    return RC_OK;
}

static enum rc put(struct store_txn *txn, unsigned table, enum store_engine_how how,
                   struct bytes key, struct bytes value)
{
    const struct store_table *of = table_of(txn, table);
    struct store_number revision = store_key_number(store_txn_revision(txn));

    assert(txn->writes);
    TRY(check_key(of, key));
    if (value.len > of->value_max)
        return fault(RC_LIMIT, "table %s: value of %zu bytes, limit %zu", of->name, value.len,
                     of->value_max);
    enum rc rc = store_engine_put(txn->engine, txn->store->tables[table], how, key,
                                  BYTES_OF(revision.at), value);
    if (rc == RC_EXISTS)
        return fault(RC_EXISTS, "table %s: the key is taken%s", of->name,
                     how == STORE_ENGINE_APPEND ? ", or not behind all others" : "");
    TRY(store_txn_settle(txn, rc));
    txn->changes++;
    return RC_OK;
}

enum rc store_txn_put(struct store_txn *txn, unsigned table, struct bytes key,
                      struct bytes value)
{
    return put(txn, table, STORE_ENGINE_REPLACE, key, value);
}

enum rc store_txn_insert(struct store_txn *txn, unsigned table, struct bytes key,
                         struct bytes value)
{
    return put(txn, table, STORE_ENGINE_INSERT, key, value);
}

enum rc store_txn_append(struct store_txn *txn, unsigned table, struct bytes key,
                         struct bytes value)
{
    return put(txn, table, STORE_ENGINE_APPEND, key, value);
}

enum rc store_txn_remove(struct store_txn *txn, unsigned table, struct bytes key)
{
    const struct store_table *of = table_of(txn, table);

    assert(txn->writes);
    TRY(check_key(of, key));
    enum rc rc = store_engine_remove(txn->engine, txn->store->tables[table], key);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "table %s: no such key", of->name);
    TRY(store_txn_settle(txn, rc));
    txn->changes++;
    return RC_OK;
}

enum rc store_txn_count(struct store_txn *txn, unsigned table, uint64_t *count)
{
    assert(table < txn->store->schema->table_count);
    return store_txn_settle(txn,
                            store_engine_count(txn->engine, txn->store->tables[table], count));
}

uint64_t store_txn_serial(const struct store_txn *txn)
{
    return txn->serial;
}

uint64_t store_txn_undone(const struct store_txn *txn)
{
    return txn->store->undone;
}

uint64_t store_txn_revision(const struct store_txn *txn)
{
    return txn->state.revision + (txn->writes ? 1 : 0);
}
