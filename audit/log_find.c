#include "audit/log.h"

#include "audit/log_state.h"

/* The first records that name a certificate are of its making; a few others may share the
 * octets of the fingerprint that are searched by. */
enum { LOOK_AT = 64 };

static bool makes_certificates(enum audit_action action)
{
    return action == AUDIT_CERTIFICATE_ISSUE || action == AUDIT_CERTIFICATE_RENEW ||
           action == AUDIT_OPERATOR_ADD || action == AUDIT_SYSTEM_RECOVER ||
           action == AUDIT_DOOR_CERTIFY;
}

/* RC_NOT_FOUND: another record. */
static enum rc is_making(struct audit_log *log, struct store_txn *txn, uint64_t index,
                         struct bytes fingerprint)
{
    struct audit_record record;
    struct audit_entry entry;
    struct bytes bytes;

    TRY(audit_log_get(log, txn, index, &bytes));
    TRY(audit_leaf_read(bytes, &entry));
    TRY(audit_leaf_record(&entry, &log->record, &record));
    bool made = makes_certificates(record.action) && record.decision == AUDIT_ALLOWED &&
                bytes_equal(record.certificate.fingerprint, fingerprint);
    return made ? RC_OK : RC_NOT_FOUND;
}

enum rc audit_log_find_certificate(struct audit_log *log, struct store_txn *txn,
                                   struct bytes fingerprint, uint64_t *index)
{
    AUTO_BUF(prefix, AUDIT_FACET_KEY_MAX);
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_range range = { 0 };
    struct store_value value;
    struct bytes key;

    audit_facet_write(&prefix, AUDIT_BY_CERTIFICATE, fingerprint);
    TRY(buf_done(&prefix, &range.prefix));
    TRY(store_cursor_open(txn, log->first_table + AUDIT_SEARCH, &range, &cursor));
    for (unsigned i = 0; i < LOOK_AT && store_cursor_next(cursor, &key, &value) == RC_OK; i++) {
        struct reader r = READER(((struct bytes){ key.at + key.len - 8, 8 }));
        uint64_t found = reader_u64(&r);
        enum rc rc = is_making(log, txn, found, fingerprint);
        if (rc == RC_OK)
            *index = found;
        if (rc != RC_NOT_FOUND)
            return rc;
    }
    return fault(RC_NOT_FOUND, "audit log: no record says that this certificate was made");
}
