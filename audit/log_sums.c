#include "audit/log_state.h"

/*
 * A spool's last sequence is the number of its records. What is added to that, in the same
 * table, one octet of key each: how many acts an aggregate stands for beyond one, and how many
 * records a source has whose sequence leaves gaps. So a record that is one act costs nothing.
 */
enum { SOURCE = 0x3f, SPARSE = 0x40, BEYOND = 0x80 };

static unsigned table(const struct audit_log *log)
{
    return log->first_table + AUDIT_SOURCES;
}

/* A source that lies shall not make the sum of all others wrong. */
static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static enum rc read_number(struct bytes value, uint64_t *number)
{
    struct reader r = READER(value);
    uint64_t read = reader_u64(&r);

    if (!reader_done(&r))
        return fault(RC_CORRUPT, "audit log: a count of a source is damaged");
    *number = read;
    return RC_OK;
}

static enum rc add(struct audit_log *log, struct store_txn *txn, unsigned kind, uint64_t more)
{
    const uint8_t key[1] = { (uint8_t)kind };
    struct store_value value;
    uint64_t before = 0;

    enum rc rc = store_txn_get(txn, table(log), BYTES_OF(key), &value);
    if (rc == RC_OK)
        rc = read_number(value.bytes, &before);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    struct store_number sum = store_key_number(plus(before, more));
    return store_txn_put(txn, table(log), BYTES_OF(key), BYTES_OF(sum.at));
}

struct audit_sums audit_sums_of(const struct audit_record *record, bool sparse)
{
    const uint64_t count = record->aggregate.count;

    return (struct audit_sums){ count > 1 ? count - 1 : 0, sparse };
}

void audit_sums_join(struct audit_sums *sums, struct audit_sums more)
{
    sums->beyond = plus(sums->beyond, more.beyond);
    sums->sparse = plus(sums->sparse, more.sparse);
}

enum rc audit_sums_add(struct audit_log *log, struct store_txn *txn, enum audit_source source,
                       struct audit_sums sums)
{
    if (sums.beyond > 0)
        TRY(add(log, txn, BEYOND | source, sums.beyond));
    return sums.sparse > 0 ? add(log, txn, SPARSE | source, sums.sparse) : RC_OK;
}

static enum rc note(struct bytes key, struct bytes value, struct audit_source_sum sums[],
                    bool sparse[])
{
    unsigned source = key.at[0] & SOURCE;
    uint64_t number;

    TRY(read_number(value, &number));
    if (source == 0 || source >= AUDIT_SOURCE_ROOM)
        return fault(RC_CORRUPT, "audit log: a source %u", source);
    sparse[source] = sparse[source] || (key.at[0] & SPARSE) != 0;
    if ((key.at[0] & BEYOND) != 0)
        sums[source].acts = plus(sums[source].acts, number);
    else if (key.len == 1 || !sparse[source])
        sums[source].records += number;
    return RC_OK;
}

static enum rc walk(struct audit_log *log, struct store_txn *txn,
                    struct audit_source_sum sums[AUDIT_SOURCE_ROOM])
{
    AUTO_OF(store_cursor) *cursor = NULL;
    bool sparse[AUDIT_SOURCE_ROOM] = { false };
    struct store_value value;
    struct bytes key;
    enum rc rc;

    /* Backward: a source with gaps is known before its sequences come. */
    TRY(store_cursor_open(txn, table(log), &(struct store_range){ .backward = true }, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK)
        TRY(note(key, value.bytes, sums, sparse));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc audit_log_sums(struct audit_log *log, struct store_txn *txn,
                       struct audit_source_sum sums[AUDIT_SOURCE_ROOM])
{
    struct audit_source_sum found[AUDIT_SOURCE_ROOM] = { 0 };
    uint64_t own = 0;

    TRY(walk(log, txn, found));
    TRY(audit_log_size(log, txn, &own));
    for (unsigned i = AUDIT_FROM_DEVICE_DOOR; i < AUDIT_SOURCE_ROOM; i++)
        own -= found[i].records;
    found[AUDIT_FROM_AUTHORITY].records = own; /* what no spool brought */
    for (unsigned i = AUDIT_FROM_AUTHORITY; i < AUDIT_SOURCE_ROOM; i++) {
        found[i].acts = plus(found[i].acts, found[i].records);
        sums[i] = found[i];
    }
    return RC_OK;
}
