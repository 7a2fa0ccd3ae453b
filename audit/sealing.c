#include "audit/sealing.h"

#include "audit/facet.h"
#include "audit/log.h"

#include <stdlib.h>
#include <string.h>

enum { NEXT = 0, BY_NUMBER = 1, BY_SUBJECT = 2, KNOWN = 3 }; /* rows of AUDIT_KEYS */
enum { LIVE = 1, DOOMED = 2 };
enum { SEALED = 255 }; /* first octet of a stored entry; a leaf's is its record's version */
/* As many devices as speak within minutes: each further one costs a look-up and an unwrapping
 * (3 KiB each in memory, once they are used). */
enum { OPEN_KEYS = 16384, RECENT = 16384, SEALING_KEY = 1, ROW_KEY_MAX = 2 + AUDIT_ID_MAX };
enum { WRAPPED = STORE_SEAL_KEY + STORE_SEAL_OVERHEAD, MARK = 16 };

static const uint8_t CURRENT[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

/* A key that is open, known again by the last octets of its wrapping: the tag. */
struct open_key {
    uint8_t mark[MARK];
    struct store_seal *seal; /* NULL: free */
};

/* Whose key is which, for as long as no change comes to nothing: the row may be of one. */
struct recent {
    struct audit_subject subject; /* borrows id below */
    uint8_t id[AUDIT_ID_MAX], mark[MARK];
    uint32_t number; /* 0: none */
};

struct audit_sealing {
    unsigned keys; /* table */
    struct store_seal *master;
    struct open_key open[OPEN_KEYS];
    uint64_t recent_of; /* store_txn_undone() */
    struct recent recent[RECENT];
};

/* A row of a subject. */
struct key_row {
    uint32_t number;
    uint64_t first;
    int64_t made_ms;
    struct bytes wrapped;
};

struct audit_subject audit_subject_of(const struct audit_record *record)
{
    if (record->action == AUDIT_LOG_ERASE || record->action == AUDIT_LOG_HOLD ||
        record->action == AUDIT_LOG_PRUNE)
        return (struct audit_subject){ AUDIT_SUBJECT_LOG, BYTES("log") };
    if (record->actor_kind != AUDIT_NOBODY && record->actor_kind != AUDIT_PROCESS)
        return (struct audit_subject){ (uint8_t)record->actor_kind, record->actor };
    if (record->device.len > 0)
        return (struct audit_subject){ AUDIT_DEVICE, record->device };
    return (struct audit_subject){ AUDIT_NOBODY, BYTES_OF(CURRENT) };
}

/* ---- Life ---- */

enum rc audit_sealing_new(unsigned first_table, struct audit_sealing **sealing)
{
    struct audit_sealing *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit log: keys");
    made->keys = first_table + AUDIT_KEYS;
    *sealing = made;
    return RC_OK;
}

void audit_sealing_free(struct audit_sealing *sealing)
{
    if (sealing == NULL)
        return;
    store_seal_free(sealing->master);
    for (size_t i = 0; i < OPEN_KEYS; i++)
        store_seal_free(sealing->open[i].seal);
    free(sealing);
}

enum rc audit_sealing_unlock(struct audit_sealing *sealing, const struct secret *key)
{
    AUTO_OF(store_seal) *master = NULL;

    TRY(store_seal_new(key, SEALING_KEY, &master));
    store_seal_free(sealing->master);
    sealing->master = TAKE(master);
    return RC_OK;
}

static enum rc need_master(const struct audit_sealing *sealing)
{
    return sealing->master != NULL ? RC_OK
                                   : fault(RC_DENIED, "audit log: the sealing key is not here");
}

/* ---- Rows ---- */

static struct bytes number_key(uint32_t number, struct buf *key)
{
    buf_add_u8(key, BY_NUMBER);
    buf_add_u32(key, number);
    return buf_bytes(key);
}

static struct bytes subject_key(const struct audit_subject *subject, struct buf *key)
{
    buf_add_u8(key, BY_SUBJECT);
    buf_add_u8(key, subject->kind);
    buf_add(key, subject->id);
    return buf_bytes(key);
}

static enum rc put(const struct audit_sealing *sealing, struct store_txn *txn, struct bytes key,
                   const struct buf *value)
{
    struct bytes bytes;

    TRY(buf_done(value, &bytes));
    return store_txn_put(txn, sealing->keys, key, bytes);
}

static enum rc damaged(void)
{
    return fault(RC_CORRUPT, "audit log: the table of keys is damaged");
}

static enum rc read_row(struct bytes value, struct key_row *row)
{
    struct reader r = READER(value);

    row->number = reader_u32(&r);
    row->first = reader_u64(&r);
    row->made_ms = (int64_t)reader_u64(&r);
    row->wrapped = reader_take(&r, WRAPPED);
    return reader_done(&r) ? RC_OK : damaged();
}

/* RC_NOT_FOUND. The row borrows. */
static enum rc get_row(const struct audit_sealing *sealing, struct store_txn *txn,
                       struct bytes key, struct key_row *row)
{
    struct store_value value;

    TRY(store_txn_get(txn, sealing->keys, key, &value));
    return read_row(value.bytes, row);
}

static enum rc put_row(const struct audit_sealing *sealing, struct store_txn *txn,
                       struct bytes key, const struct key_row *row)
{
    AUTO_BUF(value, AUDIT_KEY_VALUE_MAX);

    buf_add_u32(&value, row->number);
    buf_add_u64(&value, row->first);
    buf_add_u64(&value, (uint64_t)row->made_ms);
    buf_add(&value, row->wrapped);
    return put(sealing, txn, key, &value);
}

/* What row 1 says: the state, then the subject's key or the wrapped one. */
static enum rc put_state(const struct audit_sealing *sealing, struct store_txn *txn,
                         uint32_t number, uint8_t state, struct bytes rest)
{
    AUTO_BUF(key, ROW_KEY_MAX);
    AUTO_BUF(value, AUDIT_KEY_VALUE_MAX);

    buf_add_u8(&value, state);
    buf_add(&value, rest);
    return put(sealing, txn, number_key(number, &key), &value);
}

/* ---- The sealing key ---- */

static struct store_place place_of(struct bytes key)
{
    return (struct store_place){ BYTES("audit_keys"), key };
}

static const uint8_t NEXT_KEY[] = { NEXT }, KNOWN_KEY[] = { KNOWN };

enum rc audit_sealing_check(struct audit_sealing *sealing, struct store_txn *txn)
{
    const struct store_place place = place_of(BYTES_OF(KNOWN_KEY));
    AUTO_BUF(opened, 64);
    struct store_value value;
    enum rc rc = store_txn_get(txn, sealing->keys, BYTES_OF(KNOWN_KEY), &value);

    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    TRY(need_master(sealing));
    return store_seal_open(sealing->master, &place, value.bytes, &opened) == RC_OK
               ? RC_OK
               : fault(RC_DENIED, "audit log: this is not the key that its bodies are sealed "
                                  "under");
}

/* The first key: from here on the sealing key is known again. */
static enum rc begin(const struct audit_sealing *sealing, struct store_txn *txn)
{
    const struct store_place place = place_of(BYTES_OF(KNOWN_KEY));
    AUTO_BUF(value, AUDIT_KEY_VALUE_MAX);

    TRY(store_seal_add(sealing->master, &place, BYTES("touchmark audit"), &value));
    return put(sealing, txn, BYTES_OF(KNOWN_KEY), &value);
}

static enum rc take_number(const struct audit_sealing *sealing, struct store_txn *txn,
                           uint32_t *number)
{
    AUTO_BUF(next, 4);
    struct store_value value;
    enum rc rc = store_txn_get(txn, sealing->keys, BYTES_OF(NEXT_KEY), &value);

    *number = 1;
    if (rc == RC_OK) {
        struct reader r = READER(value.bytes);
        *number = reader_u32(&r);
        if (!reader_done(&r) || *number == 0)
            return damaged();
    } else if (rc == RC_NOT_FOUND) {
        TRY(begin(sealing, txn));
    } else {
        return rc;
    }
    if (*number == UINT32_MAX)
        return fault(RC_LIMIT, "audit log: 2^32 keys were given");
    buf_add_u32(&next, *number + 1);
    return put(sealing, txn, BYTES_OF(NEXT_KEY), &next);
}

/* ---- Keys ---- */

static enum rc unwrap(const struct audit_sealing *sealing, uint32_t number,
                      struct bytes wrapped, struct secret *key)
{
    AUTO_BUF(at, ROW_KEY_MAX);
    AUTO_BUF(opened, STORE_SEAL_KEY);
    const struct store_place place = place_of(number_key(number, &at));

    TRY(need_master(sealing));
    if (store_seal_open(sealing->master, &place, wrapped, &opened) != RC_OK)
        return fault_while(RC_CORRUPT, "audit log: key %u", number);
    enum rc rc = secret_set(key, buf_bytes(&opened));
    explicit_bzero(opened.at, opened.len);
    return rc;
}

/* The key, ready to seal and open; it takes the place of another, if need be. */
static enum rc open_key(struct audit_sealing *sealing, uint32_t number, struct bytes wrapped,
                        struct store_seal **seal)
{
    struct open_key *open = &sealing->open[number % OPEN_KEYS];
    struct bytes mark = { wrapped.at + wrapped.len - MARK, MARK };
    AUTO_SECRET(key);

    if (open->seal != NULL && bytes_equal(BYTES_OF(open->mark), mark)) {
        *seal = open->seal;
        return RC_OK;
    }
    TRY(unwrap(sealing, number, wrapped, &key));
    memset(open->mark, 0, sizeof open->mark);
    if (open->seal == NULL)
        TRY(store_seal_new(&key, number, &open->seal));
    else
        TRY(store_seal_change_key(open->seal, &key, number));
    memcpy(open->mark, mark.at, mark.len);
    *seal = open->seal;
    return RC_OK;
}

/* What is destroyed is not kept in memory either. */
static void forget_key(struct audit_sealing *sealing, uint32_t number)
{
    struct open_key *open = &sealing->open[number % OPEN_KEYS];

    store_seal_free(open->seal);
    *open = (struct open_key){ 0 };
}

static enum rc make_key(struct audit_sealing *sealing, struct store_txn *txn,
                        struct bytes subject, struct key_row *row, struct buf *room)
{
    AUTO_BUF(at, ROW_KEY_MAX);
    AUTO_SECRET(key);

    TRY(need_master(sealing));
    TRY(take_number(sealing, txn, &row->number));
    TRY(secret_make_random(&key, STORE_SEAL_KEY));
    const struct store_place place = place_of(number_key(row->number, &at));
    TRY(store_seal_add(sealing->master, &place, secret_bytes(&key), room));
    row->wrapped = buf_bytes(room);
    TRY(put_state(sealing, txn, row->number, LIVE, subject));
    return put_row(sealing, txn, subject, row);
}

/* The window's row goes from "the current one" to its first record, where its key stays until
 * it is pruned. */
static enum rc close_window(const struct audit_sealing *sealing, struct store_txn *txn,
                            struct bytes current, const struct key_row *row)
{
    const struct store_number first = store_key_number(row->first);
    const struct audit_subject window = { AUDIT_NOBODY, BYTES_OF(first.at) };
    AUTO_BUF(key, ROW_KEY_MAX);
    AUTO_BUF(wrapped, WRAPPED);
    struct key_row kept = *row;

    buf_add(&wrapped, row->wrapped);
    kept.wrapped = buf_bytes(&wrapped);
    subject_key(&window, &key);
    TRY(put_row(sealing, txn, buf_bytes(&key), &kept));
    TRY(put_state(sealing, txn, kept.number, LIVE, buf_bytes(&key)));
    return store_txn_remove(txn, sealing->keys, current);
}

/* Only the authority's own clock ends a window, forward or back: a spool that was long on its
 * way has other times. */
static bool window_is_over(const struct audit_subject *subject, const struct key_row *row,
                           const struct audit_record *record)
{
    return subject->kind == AUDIT_NOBODY && record->source == AUDIT_FROM_AUTHORITY &&
           (record->wall_ms < row->made_ms - AUDIT_WINDOW_MS ||
            record->wall_ms >= row->made_ms + AUDIT_WINDOW_MS);
}

/* ---- Keys met lately ---- */

static void forget_recent(struct audit_sealing *sealing)
{
    for (size_t i = 0; i < RECENT; i++)
        sealing->recent[i].number = 0;
}

static struct recent *recent_of(struct audit_sealing *sealing, const struct store_txn *txn,
                                const struct audit_subject *subject)
{
    if (sealing->recent_of != store_txn_undone(txn))
        forget_recent(sealing);
    sealing->recent_of = store_txn_undone(txn);
    return &sealing->recent[audit_facet_of_subject(subject->id).hash % RECENT];
}

/* NULL: it is not known, or not open any more. Windows end by the clock: each looks itself. */
static struct store_seal *recent_key(const struct audit_sealing *sealing,
                                     const struct recent *recent,
                                     const struct audit_subject *subject)
{
    const struct open_key *open = &sealing->open[recent->number % OPEN_KEYS];

    if (recent->number == 0 || subject->kind == AUDIT_NOBODY ||
        recent->subject.kind != subject->kind || !bytes_equal(recent->subject.id, subject->id))
        return NULL;
    return bytes_equal(BYTES_OF(open->mark), BYTES_OF(recent->mark)) ? open->seal : NULL;
}

static void keep_recent(const struct audit_sealing *sealing, struct recent *recent,
                        const struct audit_subject *subject, uint32_t number)
{
    struct reader r = READER(subject->id);

    if (subject->id.len > sizeof recent->id)
        return;
    reader_copy(&r, recent->id, subject->id.len);
    recent->subject = (struct audit_subject){ subject->kind, { recent->id, subject->id.len } };
    memcpy(recent->mark, sealing->open[number % OPEN_KEYS].mark, MARK);
    recent->number = number;
}

static enum rc find_key(struct audit_sealing *sealing, struct store_txn *txn, uint64_t index,
                        const struct audit_record *record, const struct audit_subject *subject,
                        uint32_t *number, struct store_seal **seal)
{
    struct key_row made = { .first = index, .made_ms = record->wall_ms }, row;
    AUTO_BUF(key, ROW_KEY_MAX);
    AUTO_BUF(room, WRAPPED);
    enum rc rc = get_row(sealing, txn, subject_key(subject, &key), &row);

    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_OK && !window_is_over(subject, &row, record)) {
        *number = row.number;
        return open_key(sealing, row.number, row.wrapped, seal);
    }
    if (rc == RC_OK)
        TRY(close_window(sealing, txn, buf_bytes(&key), &row));
    TRY(make_key(sealing, txn, buf_bytes(&key), &made, &room));
    *number = made.number;
    return open_key(sealing, made.number, made.wrapped, seal);
}

static enum rc key_for(struct audit_sealing *sealing, struct store_txn *txn, uint64_t index,
                       const struct audit_record *record, struct store_seal **seal)
{
    const struct audit_subject subject = audit_subject_of(record);
    struct recent *recent = recent_of(sealing, txn, &subject);
    uint32_t number = 0;

    *seal = recent_key(sealing, recent, &subject);
    if (*seal != NULL)
        return RC_OK;
    TRY(find_key(sealing, txn, index, record, &subject, &number, seal));
    keep_recent(sealing, recent, &subject, number);
    return RC_OK;
}

/* RC_NOT_FOUND: gone, or, unless `doomed`, to go. */
static enum rc key_by_number(struct audit_sealing *sealing, struct store_txn *txn,
                             uint32_t number, bool doomed, struct store_seal **seal)
{
    AUTO_BUF(key, ROW_KEY_MAX);
    struct store_value value;
    struct key_row row;

    TRY(store_txn_get(txn, sealing->keys, number_key(number, &key), &value));
    struct reader r = READER(value.bytes);
    uint8_t state = reader_u8(&r);
    if (state == DOOMED && !doomed)
        return fault(RC_NOT_FOUND, "audit log: key %u is being destroyed", number);
    if (state == DOOMED && r.left.len == WRAPPED)
        return open_key(sealing, number, r.left, seal);
    if (state != LIVE || get_row(sealing, txn, r.left, &row) != RC_OK || row.number != number)
        return damaged();
    return open_key(sealing, number, row.wrapped, seal);
}

/* ---- Entries ---- */

enum rc audit_sealing_leaf(struct bytes stored, struct bytes *leaf, bool *bare)
{
    struct reader r = READER(stored);

    if (stored.len > 0 && stored.at[0] == SEALED)
        reader_u8(&r);
    *leaf = reader_take(&r, AUDIT_LEAF);
    *bare = r.left.len == 0;
    return r.broken ? fault(RC_CORRUPT, "audit log: an entry is cut short") : RC_OK;
}

enum rc audit_sealing_close(struct audit_sealing *sealing, struct store_txn *txn,
                            uint64_t index, const struct audit_record *record,
                            struct bytes entry, struct buf *stored)
{
    const struct store_number at = store_key_number(index);
    const struct store_place place = { BYTES("audit_entries"), BYTES_OF(at.at) };
    struct reader r = READER(entry);
    struct store_seal *seal = NULL;

    TRY(key_for(sealing, txn, index, record, &seal));
    buf_add_u8(stored, SEALED);
    buf_add(stored, reader_take(&r, AUDIT_LEAF));
    return store_seal_add(seal, &place, r.left, stored);
}

uint32_t audit_sealing_number(struct bytes stored)
{
    struct reader r = READER(stored);
    uint32_t number = 0;

    if (reader_u8(&r) != SEALED)
        return 0;
    reader_take(&r, AUDIT_LEAF);
    return store_seal_key_id(r.left, &number) == RC_OK ? number : 0;
}

enum rc audit_sealing_open(struct audit_sealing *sealing, struct store_txn *txn, uint64_t index,
                           struct bytes stored, bool doomed, struct buf *room,
                           struct bytes *entry)
{
    const struct store_number at = store_key_number(index);
    const struct store_place place = { BYTES("audit_entries"), BYTES_OF(at.at) };
    struct reader r = READER(stored);
    struct store_seal *seal = NULL;
    uint32_t number = 0;

    if (stored.len == 0 || stored.at[0] != SEALED) {
        *entry = stored;
        return RC_OK;
    }
    reader_u8(&r);
    struct bytes leaf = reader_take(&r, AUDIT_LEAF);
    TRY(store_seal_key_id(r.left, &number));
    enum rc rc = key_by_number(sealing, txn, number, doomed, &seal);
    if (rc == RC_NOT_FOUND) {
        *entry = leaf;
        return RC_OK;
    }
    TRY(rc);
    buf_reset(room);
    buf_add(room, leaf);
    TRY(store_seal_open(seal, &place, r.left, room));
    return buf_done(room, entry);
}

/* ---- Ends ---- */

enum rc audit_sealing_doom(struct audit_sealing *sealing, struct store_txn *txn,
                           const struct audit_subject *subject, uint32_t *number)
{
    AUTO_BUF(key, ROW_KEY_MAX);
    struct key_row row;
    enum rc rc = get_row(sealing, txn, subject_key(subject, &key), &row);

    *number = 0;
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    forget_recent(sealing);
    AUTO_BUF(wrapped, WRAPPED);
    buf_add(&wrapped, row.wrapped);
    TRY(put_state(sealing, txn, row.number, DOOMED, buf_bytes(&wrapped)));
    *number = row.number;
    return store_txn_remove(txn, sealing->keys, buf_bytes(&key));
}

enum rc audit_sealing_destroy(struct audit_sealing *sealing, struct store_txn *txn,
                              uint32_t number)
{
    AUTO_BUF(key, ROW_KEY_MAX);

    forget_key(sealing, number);
    return store_txn_remove(txn, sealing->keys, number_key(number, &key));
}

/* The window before `next` ends where that begins. */
static enum rc end_window(struct audit_sealing *sealing, struct store_txn *txn,
                          struct bytes key, uint32_t number)
{
    TRY(audit_sealing_destroy(sealing, txn, number));
    return store_txn_remove(txn, sealing->keys, key);
}

enum rc audit_sealing_end_windows(struct audit_sealing *sealing, struct store_txn *txn,
                                  uint64_t below, unsigned most)
{
    static const uint8_t PREFIX[] = { BY_SUBJECT, AUDIT_NOBODY };
    const struct store_range range = { .prefix = BYTES_OF(PREFIX) };
    AUTO_OF(store_cursor) *cursor = NULL;
    AUTO_BUF(before, ROW_KEY_MAX);
    struct store_value value;
    struct bytes key;
    struct key_row row, last = { 0 };
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, sealing->keys, &range, &cursor));
    for (; most > 0 && (rc = store_cursor_next(cursor, &key, &value)) == RC_OK; most--) {
        AUTO_BUF(here, ROW_KEY_MAX);
        buf_add(&here, key);
        TRY(read_row(value.bytes, &row));
        if (last.number != 0 && row.first > below)
            return RC_OK;
        if (last.number != 0)
            TRY(end_window(sealing, txn, buf_bytes(&before), last.number));
        last = row;
        buf_reset(&before);
        buf_add(&before, buf_bytes(&here));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
