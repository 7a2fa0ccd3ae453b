#include "registry/answer.h"
#include "registry/rows.h"

enum { NAME_MAX_LEN = 64 };

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

/* ---- CRLs: "crl/<key>" -> the feed's form of it ---- */

static void add_crl_name(struct buf *name, struct bytes key)
{
    buf_addf(name, "crl/");
    buf_add(name, key);
}

static enum rc read_crl(struct bytes form, uint64_t *number, struct bytes *der)
{
    struct reader r = READER(form);

    reader_sized16(&r, NAME_MAX_LEN);
    *number = reader_u64(&r);
    *der = r.left;
    return r.broken ? fault(RC_CORRUPT, "registry: a CRL's row is cut short") : RC_OK;
}

enum rc registry_crl_get(struct store_txn *txn, struct bytes key, uint64_t *number,
                         struct bytes *der)
{
    struct store_value value;
    AUTO_BUF(name, NAME_MAX_LEN);

    add_crl_name(&name, key);
    TRY(store_txn_get(txn, REGISTRY_FACTS, buf_bytes(&name), &value));
    return read_crl(value.bytes, number, der);
}

enum rc registry_crl_put(struct store_txn *txn, struct bytes key, uint64_t number,
                         struct bytes der)
{
    uint64_t last = 0;
    struct bytes old, form;
    AUTO_BUF(name, NAME_MAX_LEN);
    AUTO_BUF(room, STORE_VALUE_MAX);

    if (der.len > REGISTRY_CHANGE_MAX - NAME_MAX_LEN)
        return fault(RC_LIMIT, "a CRL of %zu octets, at most %d: shard it", der.len,
                     REGISTRY_CHANGE_MAX - NAME_MAX_LEN);
    enum rc rc = registry_crl_get(txn, key, &last, &old);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_OK && number <= last)
        return fault(RC_EXISTS, "CRL %llu is there already", (unsigned long long)last);
    add_crl_name(&name, key);
    buf_add_sized16(&room, key);
    buf_add_u64(&room, number);
    buf_add(&room, der);
    TRY(buf_done(&room, &form));
    TRY(store_txn_put(txn, REGISTRY_FACTS, buf_bytes(&name), form));
    return store_feed_add(txn, REGISTRY_CHANGE_CRL, form);
}
