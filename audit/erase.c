#include "audit/erase.h"

#include "audit/holds.h"
#include "audit/retention_state.h"

enum { KEY_MAX = 2 + AUDIT_ID_MAX, VALUE_MAX = 3 * 8 + 4 };

/* ---- Rows ---- */

static struct bytes key_of(enum audit_actor_kind kind, struct bytes id, struct buf *key)
{
    buf_add_u8(key, AUDIT_ROW_ERASURE);
    buf_add_u8(key, (uint8_t)kind);
    buf_add(key, id);
    return buf_bytes(key);
}

static enum rc put_row(struct audit_log *log, struct store_txn *txn,
                       const struct audit_erasure *erasure)
{
    AUTO_BUF(key, KEY_MAX);
    AUTO_BUF(value, VALUE_MAX);
    struct bytes bytes;

    buf_add_u64(&value, erasure->limit);
    buf_add_u64(&value, erasure->next);
    buf_add_u64(&value, erasure->records);
    buf_add_u32(&value, erasure->key);
    TRY(buf_done(&value, &bytes));
    return store_txn_put(txn, log->first_table + AUDIT_HOLDS,
                         key_of(erasure->kind, erasure->id, &key), bytes);
}

static enum rc read_row(struct bytes key, struct bytes value, struct audit_erasure *erasure)
{
    struct reader k = READER(key), r = READER(value);

    reader_u8(&k);
    erasure->kind = (enum audit_actor_kind)reader_u8(&k);
    erasure->id = k.left;
    erasure->limit = reader_u64(&r);
    erasure->next = reader_u64(&r);
    erasure->records = reader_u64(&r);
    erasure->key = reader_u32(&r);
    if (!reader_done(&r) || k.broken || k.left.len == 0 || k.left.len > AUDIT_ID_MAX)
        return fault(RC_CORRUPT, "audit log: an erasure under way is damaged");
    return RC_OK;
}

static enum rc open_rows(struct audit_log *log, struct store_txn *txn,
                         struct store_cursor **cursor)
{
    static const uint8_t PREFIX[] = { AUDIT_ROW_ERASURE };
    const struct store_range range = { .prefix = BYTES_OF(PREFIX) };

    return store_cursor_open(txn, log->first_table + AUDIT_HOLDS, &range, cursor);
}

enum rc audit_erase_is_under_way(struct audit_log *log, struct store_txn *txn,
                                 enum audit_actor_kind kind, struct bytes id, bool *under_way)
{
    AUTO_BUF(key, KEY_MAX);
    struct store_value value;
    enum rc rc =
        store_txn_get(txn, log->first_table + AUDIT_HOLDS, key_of(kind, id, &key), &value);

    *under_way = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- The subject's records ---- */

/* A walk up the facet by which a subject's records are found. */
struct walk {
    struct audit_log *log;
    struct store_txn *txn;
    const struct audit_erasure *of;
    struct audit_facet facet;
    uint64_t next;
    bool any; /* whether one of them is about the subject */
};

static struct walk walk_of(struct audit_log *log, struct store_txn *txn,
                           const struct audit_erasure *of)
{
    return (struct walk){ log, txn, of, audit_facet_of_subject(of->id), of->next, false };
}

/* RC_NOT_FOUND at the end. */
static enum rc walk_next(struct walk *walk, uint64_t *index)
{
    TRY(audit_index_next(walk->log, walk->txn, walk->facet, walk->next, walk->of->limit,
                         index));
    walk->next = *index + 1;
    return RC_OK;
}

/* A device, an operator and a line can have the same id, and share a facet. What an operator or
 * a line did to a device is his: nobody loses his traces with the device that he made. */
static bool is_of(const struct audit_erasure *erasure, const struct audit_record *record)
{
    const struct audit_subject subject = audit_subject_of(record);

    if (subject.kind == erasure->kind && bytes_equal(subject.id, erasure->id))
        return true;
    return erasure->kind == AUDIT_DEVICE && record->actor_kind == AUDIT_DEVICE &&
           bytes_equal(record->device, erasure->id);
}

/* The record with this index, opened even if its key is doomed; *found: it is one of these, and
 * there is something to erase. A bare one has no action. */
static enum rc look_at(struct walk *walk, uint64_t index, struct bytes *entry,
                       struct audit_record *record, bool *found)
{
    struct audit_entry parts;

    *found = false;
    *record = (struct audit_record){ 0 };
    enum rc rc = audit_log_get_doomed(walk->log, walk->txn, index, entry);
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "audit log: record %llu is missing",
                     (unsigned long long)index);
    TRY(rc);
    TRY(audit_leaf_read(*entry, &parts));
    if (parts.erased)
        return RC_OK;
    buf_reset(&walk->log->record);
    TRY(audit_leaf_record(&parts, &walk->log->record, record));
    *found = is_of(walk->of, record);
    walk->any = walk->any || *found;
    *found = *found && !audit_action_stays(record->action);
    return RC_OK;
}

/* ---- It begins ---- */

static enum rc refuse(const struct audit_hold *hold, const char *what)
{
    return fault(RC_DENIED, "hold %llu %s: %.*s", (unsigned long long)hold->number, what,
                 BYTES_FMT(hold->reason));
}

/* Without a look at records: the hold is on all, or on this subject at all times. */
static bool holds_whole(const struct audit_hold *hold, const struct audit_erasure *erasure)
{
    return hold->since_ms == 0 && hold->until_ms == 0 &&
           (hold->kind == AUDIT_NOBODY ||
            (hold->kind == erasure->kind && bytes_equal(hold->id, erasure->id)));
}

static enum rc check_holds(struct walk *walk)
{
    AUTO_HOLDS(holds);
    struct audit_record record;
    struct bytes entry;
    uint64_t index;
    bool found;
    enum rc rc = RC_OK;

    TRY(audit_holds_read(walk->log, walk->txn, &holds));
    for (size_t i = 0; i < holds.count; i++)
        if (holds_whole(&holds.at[i], walk->of))
            return refuse(&holds.at[i], "is on its records");
    for (unsigned looked = 0; (rc = walk_next(walk, &index)) == RC_OK; looked++) {
        if (holds.count == 0 && (walk->any || looked == AUDIT_ERASE_LOOK_MOST)) {
            walk->any = true; /* or may be: nothing is lost by a walk that finds nothing */
            return RC_OK;
        }
        if (looked == AUDIT_ERASE_LOOK_MOST)
            return refuse(&holds.at[0], "may be on one of its many records");
        TRY(look_at(walk, index, &entry, &record, &found));
        const struct audit_hold *hold = found ? audit_holds_find(&holds, &record) : NULL;
        if (hold != NULL)
            return refuse(hold, "is on one of its records");
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc check_room(struct audit_log *log, struct store_txn *txn)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    unsigned count = 0;
    enum rc rc;

    TRY(open_rows(log, txn, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK)
        count++;
    if (rc != RC_NOT_FOUND)
        return rc;
    return count < AUDIT_ERASURES_MAX
               ? RC_OK
               : fault(RC_LIMIT, "%u erasures are under way: wait for them", count);
}

enum rc audit_erase_begin(struct audit_log *log, struct store_txn *txn,
                          enum audit_actor_kind kind, struct bytes id, uint64_t *limit)
{
    struct audit_erasure made = { .kind = kind, .id = id };
    const struct audit_subject subject = { (uint8_t)kind, id };
    bool under_way = false;

    TRY(audit_erase_is_under_way(log, txn, kind, id, &under_way));
    if (under_way)
        return fault(RC_BUSY, "the records of %s %.*s are being erased",
                     audit_actor_kind_name(kind), BYTES_FMT(id));
    TRY(check_room(log, txn));
    TRY(audit_log_size(log, txn, &made.limit));
    struct walk walk = walk_of(log, txn, &made);
    TRY(check_holds(&walk));
    if (!walk.any)
        return fault(RC_NOT_FOUND, "the audit log has no record of %s %.*s to erase",
                     audit_actor_kind_name(kind), BYTES_FMT(id));
    TRY(audit_sealing_doom(log->sealing, txn, &subject, &made.key));
    *limit = made.limit;
    return put_row(log, txn, &made);
}

/* ---- And goes on ---- */

static enum rc first_row(struct audit_log *log, struct store_txn *txn, struct buf *room,
                         struct audit_erasure *erasure)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;

    TRY(open_rows(log, txn, &cursor));
    enum rc rc = store_cursor_next(cursor, &key, &value);
    if (rc == RC_NOT_FOUND)
        return fault(rc, "audit log: nothing is to be erased");
    TRY(rc);
    buf_reset(room);
    buf_add(room, key);
    TRY(buf_done(room, &key));
    return read_row(key, value.bytes, erasure);
}

static enum rc erase_one(struct walk *walk, uint64_t index, uint64_t *erased)
{
    struct audit_record record;
    struct bytes entry;
    bool found;

    TRY(look_at(walk, index, &entry, &record, &found));
    *erased += found;
    if (found)
        return audit_log_strip(walk->log, walk->txn, index, entry);
    return record.action == 0
               ? RC_OK
               : audit_log_reseal(walk->log, walk->txn, index, walk->of->key, entry, &record);
}

/* RC_NOT_FOUND: there are no more of them. */
static enum rc erase_some(struct walk *walk, unsigned most, uint64_t *next, uint64_t *erased)
{
    uint64_t index;

    for (; most > 0; most--) {
        TRY(walk_next(walk, &index));
        enum rc rc = erase_one(walk, index, erased);
        if (rc == RC_NOT_FOUND)
            return fault_while(RC_CORRUPT, "audit log: record %llu", (unsigned long long)index);
        TRY(rc);
        *next = index + 1;
    }
    return RC_OK;
}

static enum rc end_row(struct audit_log *log, struct store_txn *txn,
                       const struct audit_erasure *erasure)
{
    AUTO_BUF(key, KEY_MAX);

    if (erasure->key != 0)
        TRY(audit_sealing_destroy(log->sealing, txn, erasure->key));
    return store_txn_remove(txn, log->first_table + AUDIT_HOLDS,
                            key_of(erasure->kind, erasure->id, &key));
}

enum rc audit_erase_step(struct audit_log *log, struct store_txn *txn, unsigned most,
                         struct buf *room, struct audit_erasure *erasure, bool *finished)
{
    struct audit_erasure now;
    bool old = false;

    TRY(first_row(log, txn, room, &now));
    struct walk walk = walk_of(log, txn, &now);
    enum rc rc = erase_some(&walk, most, &now.next, &now.records);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    TRY(audit_index_is_old(log, txn, &old)); /* an earlier version's has ids in clear */
    *finished = rc == RC_NOT_FOUND && !old;
    *erasure = now;
    return *finished ? end_row(log, txn, &now) : put_row(log, txn, &now);
}

enum rc audit_erase_list(struct audit_log *log, struct store_txn *txn, struct buf *list)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    struct audit_erasure one;
    struct store_value value;
    struct bytes key;
    enum rc rc;

    TRY(open_rows(log, txn, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        TRY(read_row(key, value.bytes, &one));
        audit_erasure_write(&one, list);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
