#include "audit/log.h"

#include "audit/log_state.h"

/* A few records may share the hash of the fingerprint that is searched by. */
enum { LOOK_AT = 64, MADE = 0x45, MADE_KEY = 1 + 1 + 4 + 8 };

static enum rc read_record(struct audit_log *log, uint64_t index, struct bytes bytes,
                           struct audit_record *record)
{
    struct audit_entry entry;

    buf_reset(&log->record);
    if (audit_leaf_read(bytes, &entry) != RC_OK ||
        audit_leaf_record(&entry, &log->record, record) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
    return RC_OK;
}

enum rc audit_log_record(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct audit_record *record)
{
    struct bytes bytes;

    TRY(audit_log_get_doomed(log, txn, index, &bytes));
    return read_record(log, index, bytes, record);
}

/* ---- Where certificates were made: nobody's word but the authority's says so ---- */

static bool makes_certificate(const struct audit_record *record)
{
    const enum audit_action action = record->action;

    return record->source == AUDIT_FROM_AUTHORITY && record->decision == AUDIT_ALLOWED &&
           record->certificate.fingerprint.len > 0 &&
           (action == AUDIT_CERTIFICATE_ISSUE || action == AUDIT_CERTIFICATE_RENEW ||
            action == AUDIT_OPERATOR_ADD || action == AUDIT_SYSTEM_RECOVER ||
            action == AUDIT_DOOR_CERTIFY);
}

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SEARCH;
}

static void write_key(struct bytes fingerprint, uint64_t index, struct buf *key)
{
    const struct audit_facet facet = audit_facet_of_making(fingerprint);

    buf_add_u8(key, MADE);
    buf_add_u8(key, facet.kind);
    buf_add_u32(key, facet.hash);
    buf_add_u64(key, index);
}

enum rc audit_made_add(struct audit_log *log, struct store_txn *txn, uint64_t index,
                       const struct audit_record *record)
{
    AUTO_BUF(key, MADE_KEY);

    if (!makes_certificate(record))
        return RC_OK;
    write_key(record->certificate.fingerprint, index, &key);
    return store_txn_put(txn, table(log), buf_bytes(&key), BYTES(""));
}

enum rc audit_made_remove(struct audit_log *log, struct store_txn *txn, uint64_t index,
                          const struct audit_record *record)
{
    AUTO_BUF(key, MADE_KEY);

    if (!makes_certificate(record))
        return RC_OK;
    write_key(record->certificate.fingerprint, index, &key);
    enum rc rc = store_txn_remove(txn, table(log), buf_bytes(&key));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* RC_NOT_FOUND: another record. */
static enum rc is_making(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct bytes fingerprint)
{
    struct audit_record record = { 0 };
    struct bytes bytes;

    TRY(audit_log_get(log, txn, index, &bytes));
    TRY(read_record(log, index, bytes, &record));
    bool made =
        makes_certificate(&record) && bytes_equal(record.certificate.fingerprint, fingerprint);
    return made ? RC_OK : RC_NOT_FOUND;
}

enum rc audit_log_find_certificate(struct audit_log *log, struct store_txn *txn,
                                   struct bytes fingerprint, uint64_t *index)
{
    AUTO_BUF(first, MADE_KEY);
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_range range = { 0 };
    struct store_value value;
    struct bytes key;
    uint64_t low = 0;

    write_key(fingerprint, 0, &first);
    range.prefix = (struct bytes){ first.at, first.len - 8 };
    TRY(store_cursor_open(txn, table(log), &range, &cursor));
    for (unsigned i = 0; i < LOOK_AT; i++) {
        enum rc next = store_cursor_next(cursor, &key, &value);
        if (next == RC_NOT_FOUND)
            break;
        TRY(next);
        struct reader r = READER(((struct bytes){ key.at + key.len - 8, 8 }));
        uint64_t found = reader_u64(&r);
        enum rc rc = is_making(log, txn, found, fingerprint);
        if (rc == RC_OK)
            *index = found;
        if (rc != RC_NOT_FOUND)
            return rc;
    }
    TRY(audit_index_low(log, txn, &low));
    if (low > 0 && low != UINT64_MAX)
        return fault(RC_BUSY, "audit log: its index is being made anew, block %llu comes next",
                     (unsigned long long)low - 1);
    return fault(RC_NOT_FOUND, "audit log: no record says that this certificate was made");
}
