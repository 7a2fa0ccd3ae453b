#include "registry/rows.h"

enum rc registry_fact_number(struct store_txn *txn, struct bytes name, uint64_t *number)
{
    struct store_value value;
    enum rc rc = store_txn_get(txn, REGISTRY_FACTS, name, &value);

    if (rc == RC_NOT_FOUND) {
        *number = 0;
        return RC_OK;
    }
    TRY(rc);
    struct reader r = READER(value.bytes);
    uint64_t read = reader_u64(&r);
    if (!reader_done(&r))
        return fault(RC_CORRUPT, "registry: fact %.*s is no number", BYTES_FMT(name));
    *number = read;
    return RC_OK;
}

enum rc registry_fact_put_number(struct store_txn *txn, struct bytes name, uint64_t number)
{
    struct store_number value = store_key_number(number);

    return store_txn_put(txn, REGISTRY_FACTS, name, BYTES_OF(value.at));
}

enum rc registry_fact_add(struct store_txn *txn, struct bytes name, int change)
{
    uint64_t number = 0;

    TRY(registry_fact_number(txn, name, &number));
    return registry_fact_put_number(txn, name, number + (uint64_t)(int64_t)change);
}

enum rc registry_authorities_put(struct store_txn *txn, struct bytes certificates)
{
    struct store_value known;
    enum rc rc = store_txn_get(txn, REGISTRY_FACTS, BYTES("authorities"), &known);

    if (rc == RC_OK && bytes_equal(known.bytes, certificates))
        return RC_OK;
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    TRY(store_txn_put(txn, REGISTRY_FACTS, BYTES("authorities"), certificates));
    return store_feed_add(txn, REGISTRY_CHANGE_AUTHORITIES, certificates);
}

enum rc registry_authorities_get(struct store_txn *txn, struct bytes *certificates)
{
    struct store_value value;

    TRY(store_txn_get(txn, REGISTRY_FACTS, BYTES("authorities"), &value));
    *certificates = value.bytes;
    return RC_OK;
}

enum rc registry_journal_seen(struct store_txn *txn, uint64_t *sequence)
{
    return registry_fact_number(txn, BYTES("journal"), sequence);
}

enum rc registry_journal_see(struct store_txn *txn, uint64_t sequence)
{
    return registry_fact_put_number(txn, BYTES("journal"), sequence);
}
