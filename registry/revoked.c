#include "registry/rows.h"

#include <string.h>

static enum rc read_row(struct bytes key, struct bytes value, struct registry_revoked *revoked)
{
    struct registry_revoked read = { 0 };
    struct reader k = READER(key), r = READER(value);

    reader_take(&k, 32);
    struct bytes serial = reader_take(&k, reader_u8(&k));
    read.revoked_ms = (int64_t)reader_u64(&r);
    read.not_after_s = (int64_t)reader_u64(&r);
    read.reason = reader_u8(&r);
    read.orphan = reader_u8(&r) == 1;
    if (!reader_done(&k) || !reader_done(&r) || serial.len > REGISTRY_SERIAL_MAX)
        return fault(RC_CORRUPT, "registry: a revocation's row");
    memcpy(read.serial, serial.at, serial.len);
    read.serial_len = serial.len;
    *revoked = read;
    return RC_OK;
}

enum rc registry_revoked_put(struct store_txn *txn, const uint8_t issuer_hash[32],
                             const struct registry_revoked *revoked)
{
    struct registry_key key = registry_key_serial(
        issuer_hash, (struct bytes){ revoked->serial, revoked->serial_len });
    AUTO_BUF(row, 64);

    buf_add_u64(&row, (uint64_t)revoked->revoked_ms);
    buf_add_u64(&row, (uint64_t)revoked->not_after_s);
    buf_add_u8(&row, revoked->reason);
    buf_add_u8(&row, revoked->orphan);
    return store_txn_put(txn, REGISTRY_REVOCATIONS, registry_key_bytes(&key), buf_bytes(&row));
}

enum rc registry_revoked_each(struct store_txn *txn, const uint8_t issuer_hash[32],
                              enum rc (*each)(void *with,
                                              const struct registry_revoked *revoked),
                              void *with)
{
    const struct store_range range = { .prefix = { issuer_hash, 32 } };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct registry_revoked revoked;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, REGISTRY_REVOCATIONS, &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        TRY(read_row(key, value.bytes, &revoked));
        TRY(each(with, &revoked));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc registry_serial_known(struct store_txn *txn, const uint8_t issuer_hash[32],
                              struct bytes serial, bool *known)
{
    struct registry_key key = registry_key_serial(issuer_hash, serial);
    struct store_value value;

    *known = true;
    enum rc rc = store_txn_get(txn, REGISTRY_BY_SERIAL, registry_key_bytes(&key), &value);
    if (rc != RC_NOT_FOUND)
        return rc;
    rc = store_txn_get(txn, REGISTRY_REVOCATIONS, registry_key_bytes(&key), &value);
    *known = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc registry_orphan_add(struct store_txn *txn, const uint8_t issuer_hash[32],
                            struct bytes serial, int64_t not_after_s, int64_t now_ms)
{
    struct registry_revoked revoked = { .serial_len = serial.len,
                                        .revoked_ms = now_ms,
                                        .not_after_s = not_after_s,
                                        .orphan = true };
    bool known = false;

    if (serial.len == 0 || serial.len > REGISTRY_SERIAL_MAX)
        return fault(RC_MALFORMED, "a serial number of %zu octets", serial.len);
    TRY(registry_serial_known(txn, issuer_hash, serial, &known));
    if (known)
        return fault(RC_EXISTS, "this issuer's serial number is in the books");
    memcpy(revoked.serial, serial.at, serial.len);
    TRY(registry_fact_add(txn, BYTES("orphans"), 1));
    return registry_revoked_put(txn, issuer_hash, &revoked);
}

enum rc registry_orphan_count(struct store_txn *txn, uint64_t *count)
{
    return registry_fact_number(txn, BYTES("orphans"), count);
}
