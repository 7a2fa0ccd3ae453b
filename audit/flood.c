#include "audit/flood.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { KEY = 16, SECRET = 32, TARGETS_MAX = AUDIT_FLOOD_APART };

struct audit_flood {
    struct audit_log *log;
    unsigned table;
    struct audit_flood_limits limits;
    uint8_t secret[SECRET];
    struct audit_hasher *hasher;
    bool open; /* a row may be there */
};

/* Hashes of targets, each once. */
struct targets {
    size_t count;
    bool capped; /* there were more */
    uint64_t at[TARGETS_MAX];
};

/*
 * Of a flood, or of one target of it. As it is written: template, began, first, last u64; told
 * u32; count u64; then twice, of those apart and of the others, capped u8, their number u8 and
 * u64 each. What an earlier version wrote ends before the others, and counts all as one.
 */
struct row {
    uint64_t template; /* index of the record that it is like */
    int64_t began_ms, first_ms, last_ms;
    uint32_t told;
    uint64_t count;               /* not told yet; of a flood, of the others */
    struct targets apart, others; /* apart: those that have a row of their own */
};

enum rc audit_flood_new(struct audit_log *log, unsigned first_table,
                        const struct audit_flood_limits *limits, struct audit_flood **flood)
{
    AUTO_OF(audit_flood) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit flood");
    made->log = log;
    made->table = first_table + AUDIT_FLOODS;
    made->limits = *limits;
    if (getrandom(made->secret, sizeof made->secret, 0) != sizeof made->secret)
        return fault_errno("audit flood: random octets");
    TRY(audit_hasher_new(&made->hasher));
    *flood = TAKE(made);
    return RC_OK;
}

void audit_flood_free(struct audit_flood *flood)
{
    if (flood == NULL)
        return;
    audit_hasher_free(flood->hasher);
    free(flood);
}

bool audit_flood_is_open(const struct audit_flood *flood)
{
    return flood->open;
}

enum rc audit_flood_look(struct audit_flood *flood, struct store_txn *txn)
{
    uint64_t rows = 0;

    TRY(store_txn_count(txn, flood->table, &rows));
    flood->open = rows > 0;
    return RC_OK;
}

/* ---- Rows ---- */

static void hash(struct audit_flood *flood, struct bytes text, uint8_t *out, size_t len)
{
    uint8_t whole[PROOF_HASH];

    journal_digest_of(audit_hasher_digest(flood->hasher), BYTES_OF(flood->secret), text, whole);
    memcpy(out, whole, len);
}

static struct bytes without_port(struct bytes peer)
{
    size_t len = peer.len;

    while (len > 0 && peer.at[len - 1] != ':')
        len--;
    return len == 0 ? peer : (struct bytes){ peer.at, len - 1 };
}

static enum rc key_of(struct audit_flood *flood, const struct audit_record *record,
                      unsigned fault, uint8_t key[KEY])
{
    AUTO_BUF(text, 1024);
    struct bytes whole;

    buf_add_u32(&text, record->action);
    buf_add_u32(&text, record->decision);
    buf_add_u32(&text, fault);
    buf_add_u32(&text, record->rule);
    buf_add_u64(&text, record->policy_version);
    buf_add_u32(&text, record->actor_kind);
    buf_add_sized16(&text, record->actor);
    if (record->actor_kind == AUDIT_NOBODY)
        buf_add_sized16(&text, without_port(record->peer));
    TRY(buf_done(&text, &whole));
    hash(flood, whole, key, KEY);
    return RC_OK;
}

static enum rc target_of(struct audit_flood *flood, const struct audit_record *record,
                         uint64_t *target)
{
    AUTO_BUF(text, 2048);
    struct bytes whole;
    uint8_t octets[8];

    buf_add_sized16(&text, record->device);
    buf_add_sized16(&text, record->target);
    TRY(buf_done(&text, &whole));
    hash(flood, whole, octets, sizeof octets);
    memcpy(target, octets, sizeof *target);
    return RC_OK;
}

static void add_targets(struct buf *value, const struct targets *targets)
{
    buf_add_u8(value, targets->capped);
    buf_add_u8(value, (uint8_t)targets->count);
    for (size_t i = 0; i < targets->count; i++)
        buf_add_u64(value, targets->at[i]);
}

static void read_targets(struct reader *r, struct targets *targets)
{
    targets->capped = reader_u8(r) != 0;
    targets->count = reader_u8(r);
    r->broken = r->broken || targets->count > TARGETS_MAX;
    for (size_t i = 0; i < targets->count && !r->broken; i++)
        targets->at[i] = reader_u64(r);
}

/* The row of one of its targets. */
static void key_apart(struct audit_flood *flood, const uint8_t key[KEY], uint64_t target,
                      uint8_t apart[KEY])
{
    uint8_t both[KEY + sizeof target];

    memcpy(both, key, KEY);
    memcpy(both + KEY, &target, sizeof target);
    hash(flood, BYTES_OF(both), apart, KEY);
}

static enum rc put(struct audit_flood *flood, struct store_txn *txn, const uint8_t key[KEY],
                   const struct row *row)
{
    AUTO_BUF(value, AUDIT_FLOOD_MAX);
    struct bytes whole;

    buf_add_u64(&value, row->template);
    buf_add_u64(&value, (uint64_t)row->began_ms);
    buf_add_u64(&value, (uint64_t)row->first_ms);
    buf_add_u64(&value, (uint64_t)row->last_ms);
    buf_add_u32(&value, row->told);
    buf_add_u64(&value, row->count);
    add_targets(&value, &row->apart);
    add_targets(&value, &row->others);
    TRY(buf_done(&value, &whole));
    flood->open = true;
    return store_txn_put(txn, flood->table, (struct bytes){ key, KEY }, whole);
}

static enum rc read_row(struct bytes value, struct row *row)
{
    struct reader r = READER(value);

    row->template = reader_u64(&r);
    row->began_ms = (int64_t)reader_u64(&r);
    row->first_ms = (int64_t)reader_u64(&r);
    row->last_ms = (int64_t)reader_u64(&r);
    row->told = reader_u32(&r);
    row->count = reader_u64(&r);
    read_targets(&r, &row->apart);
    row->others = (struct targets){ 0 };
    if (r.left.len > 0)
        read_targets(&r, &row->others);
    if (!reader_done(&r))
        return fault(RC_CORRUPT, "audit log: a count of refusals is damaged");
    return RC_OK;
}

static bool is_over(const struct audit_flood *flood, const struct row *row, int64_t now_ms)
{
    return now_ms < row->began_ms || now_ms - row->began_ms >= flood->limits.window_ms;
}

/* ---- Telling ---- */

/* Of a record whose body is gone the head still says what was refused, and not to whom. */
static enum rc read_template(struct audit_flood *flood, struct store_txn *txn, uint64_t index,
                             struct buf *room, struct audit_record *record)
{
    struct audit_entry entry;
    struct bytes bytes;

    TRY(audit_log_get(flood->log, txn, index, &bytes));
    TRY(audit_leaf_read(bytes, &entry));
    TRY(audit_leaf_record(&entry, room, record));
    if (entry.erased)
        record->reason = BYTES("to whom, the record that was erased told");
    return RC_OK;
}

/* Of several targets none is named: each would be taken for the only one. */
static void tell_of_none(struct audit_record *record)
{
    record->device = BYTES("");
    record->target = BYTES("");
    record->reason = BYTES("of more targets than are told apart");
    memset(record->correlation, 0, sizeof record->correlation);
}

static enum rc tell(struct audit_flood *flood, struct store_txn *txn, const struct row *row)
{
    const struct targets *targets = row->others.count > 0 ? &row->others : &row->apart;
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    struct audit_record record = { 0 };

    if (row->count == 0)
        return RC_OK;
    TRY(read_template(flood, txn, row->template, &room, &record));
    if (row->others.count > 0 || row->apart.count > 1)
        tell_of_none(&record);
    record.source = 0;
    record.source_sequence = 0;
    record.wall_ms = row->last_ms;
    record.aggregate = (struct audit_aggregate_part){ row->count, row->first_ms, row->last_ms,
                                                      targets->count, targets->capped };
    return audit_log_append(flood->log, txn, &record, NULL);
}

/* ---- Counting ---- */

static bool has_target(const struct targets *targets, uint64_t target)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->at[i] == target)
            return true;
    return false;
}

/* Whether it is one of them now. */
static bool add_target(struct targets *targets, uint64_t target)
{
    if (has_target(targets, target))
        return true;
    targets->capped = targets->count == TARGETS_MAX;
    if (!targets->capped)
        targets->at[targets->count++] = target;
    return !targets->capped;
}

static enum rc count(struct audit_flood *flood, struct store_txn *txn,
                     const struct audit_record *record, const uint8_t key[KEY], struct row *row)
{
    if (row->count == 0)
        row->first_ms = record->wall_ms;
    row->last_ms = record->wall_ms < row->first_ms ? row->first_ms : record->wall_ms;
    row->count++;
    return put(flood, txn, key, row);
}

/* RC_NOT_FOUND: there is none, or its window is over, and told. */
static enum rc get_open(struct audit_flood *flood, struct store_txn *txn,
                        const uint8_t key[KEY], int64_t now_ms, struct row *row)
{
    struct store_value value;

    TRY(store_txn_get(txn, flood->table, (struct bytes){ key, KEY }, &value));
    TRY(read_row(value.bytes, row));
    if (!is_over(flood, row, now_ms))
        return RC_OK;
    TRY(tell(flood, txn, row));
    return RC_NOT_FOUND;
}

/* What is told of a flood: itself, and this target of it. */
struct refusal {
    const struct audit_record *record;
    uint8_t key[KEY], key_apart[KEY];
    uint64_t target;
    struct row row;
};

static enum rc begin_apart(struct audit_flood *flood, struct store_txn *txn,
                           const struct refusal *of)
{
    struct row apart = { .template = of->row.template, .began_ms = of->row.began_ms };

    add_target(&apart.apart, of->target);
    return put(flood, txn, of->key_apart, &apart);
}

/* rc: whether its target has a row. */
static enum rc tell_alone(struct audit_flood *flood, struct store_txn *txn, struct refusal *of,
                          enum rc rc)
{
    TRY(audit_log_append(flood->log, txn, of->record, &of->row.template));
    of->row.told++;
    if (add_target(&of->row.apart, of->target) && rc == RC_NOT_FOUND)
        TRY(begin_apart(flood, txn, of));
    return put(flood, txn, of->key, &of->row);
}

static enum rc tell_or_count(struct audit_flood *flood, struct store_txn *txn,
                             struct refusal *of)
{
    struct row apart;
    enum rc rc = get_open(flood, txn, of->key_apart, of->record->wall_ms, &apart);

    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    return of->row.told < flood->limits.one_by_one || rc == RC_NOT_FOUND
               ? tell_alone(flood, txn, of, rc)
               : count(flood, txn, of->record, of->key_apart, &apart);
}

static enum rc count_together(struct audit_flood *flood, struct store_txn *txn,
                              struct refusal *of)
{
    add_target(&of->row.others, of->target);
    return count(flood, txn, of->record, of->key, &of->row);
}

static bool is_counted(const struct audit_record *record)
{
    const struct audit_action_row *row = audit_action_get(record->action);

    return record->decision != AUDIT_ALLOWED && record->aggregate.count == 0 && row != NULL &&
           (row->fields & AUDIT_AGGREGATE_FIELD) != 0 && record->certificate.serial.len == 0;
}

enum rc audit_flood_add(struct audit_flood *flood, struct store_txn *txn,
                        const struct audit_record *record, unsigned fault)
{
    struct refusal of = { .record = record };

    if (!is_counted(record))
        return audit_log_append(flood->log, txn, record, NULL);
    TRY(key_of(flood, record, fault, of.key));
    TRY(target_of(flood, record, &of.target));
    key_apart(flood, of.key, of.target, of.key_apart);
    enum rc rc = get_open(flood, txn, of.key, record->wall_ms, &of.row);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_NOT_FOUND)
        of.row = (struct row){ .began_ms = record->wall_ms };
    return has_target(&of.row.apart, of.target) || of.row.apart.count < TARGETS_MAX
               ? tell_or_count(flood, txn, &of)
               : count_together(flood, txn, &of);
}

/* ---- Windows that end ---- */

enum { AT_A_TIME = 32 };

struct due {
    size_t count;
    bool others; /* are there, whose windows are open */
    struct {
        uint8_t key[KEY];
        struct row row;
    } at[AT_A_TIME];
};

static enum rc find_due(struct audit_flood *flood, struct store_txn *txn, int64_t now_ms,
                        bool all, struct due *due)
{
    const struct store_range range = { .prefix = { NULL, 0 } };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    struct row row;

    TRY(store_cursor_open(txn, flood->table, &range, &cursor));
    while (due->count < AT_A_TIME) {
        enum rc rc = store_cursor_next(cursor, &key, &value);
        if (rc == RC_NOT_FOUND)
            return RC_OK;
        TRY(rc);
        if (key.len != KEY)
            return fault(RC_CORRUPT, "audit log: a count of refusals has a damaged key");
        TRY(read_row(value.bytes, &row));
        if (!all && !is_over(flood, &row, now_ms)) {
            due->others = true;
            continue;
        }
        memcpy(due->at[due->count].key, key.at, KEY);
        due->at[due->count++].row = row;
    }
    return RC_OK;
}

enum rc audit_flood_flush(struct audit_flood *flood, struct store_txn *txn, int64_t now_ms,
                          bool all, bool *more)
{
    struct due due = { 0 };

    TRY(find_due(flood, txn, now_ms, all, &due));
    for (size_t i = 0; i < due.count; i++) {
        TRY(tell(flood, txn, &due.at[i].row));
        TRY(store_txn_remove(txn, flood->table, BYTES_OF(due.at[i].key)));
    }
    *more = due.count == AT_A_TIME;
    flood->open = due.others || *more;
    return RC_OK;
}
