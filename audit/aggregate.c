#include "audit/aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "journal/digest.h"

enum { REASON_HEAD = 16 /* octets of a reason that tell it from others */ };

/* One window. first is its first act, encoded; passed counts those that went out alone. */
struct window {
    uint8_t key[DIGEST_BYTES];
    struct buf first;
    int64_t began_ms, first_ms, last_ms;
    uint64_t passed, count;
    uint64_t *targets; /* first 8 octets of the hash of each, `known` of them */
    size_t known;
    bool capped;
};

struct audit_aggregate {
    struct audit_aggregate_limits limits;
    struct audit_aggregate_out out;
    struct journal_digest *digest;
    size_t used; /* of windows, in the order in which they began */
    struct window windows[];
};

static void clear_window(struct window *window)
{
    buf_clear(&window->first);
    free(window->targets);
    *window = (struct window){ 0 };
}

void audit_aggregate_free(struct audit_aggregate *aggregate)
{
    if (aggregate == NULL)
        return;
    for (size_t i = 0; i < aggregate->used; i++)
        clear_window(&aggregate->windows[i]);
    journal_digest_free(aggregate->digest);
    free(aggregate);
}

enum rc audit_aggregate_new(const struct audit_aggregate_limits *limits,
                            const struct audit_aggregate_out *out,
                            struct audit_aggregate **aggregate)
{
    AUTO_OF(audit_aggregate) *made =
        calloc(1, sizeof *made + limits->keys * sizeof(struct window));

    if (made == NULL)
        return fault(RC_NOMEM, "audit aggregate");
    made->limits = *limits;
    made->out = *out;
    TRY(journal_digest_new(&made->digest));
    *aggregate = TAKE(made);
    return RC_OK;
}

/* Of "192.0.2.1:50000" the address: a stranger takes a new port for each try. */
static struct bytes host_of(struct bytes peer)
{
    for (size_t i = peer.len; i-- > 0;)
        if (peer.at[i] == ':')
            return (struct bytes){ peer.at, i };
    return peer;
}

static enum rc key_of(struct audit_aggregate *a, const struct audit_record *record,
                      uint8_t key[DIGEST_BYTES])
{
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    bool allowed = record->decision == AUDIT_ALLOWED;
    bool stranger = record->actor_kind == AUDIT_NOBODY;
    struct bytes bytes;

    buf_add_u8(&buf, (uint8_t)record->decision);
    buf_add_u16(&buf, (uint16_t)record->action);
    buf_add_u8(&buf, (uint8_t)record->actor_kind);
    buf_add_u32(&buf, record->rule);
    buf_add_u64(&buf, record->policy_version);
    buf_add_sized16(&buf, record->actor);
    buf_add_sized16(&buf, stranger ? host_of(record->peer) : BYTES(""));
    buf_add_sized16(&buf, allowed ? BYTES_OF(record->correlation) : BYTES(""));
    /* A stranger's own words may stand in a reason, but not at its beginning. */
    buf_add_sized16(
        &buf, (struct bytes){ record->reason.at, stranger && record->reason.len > REASON_HEAD
                                                     ? REASON_HEAD
                                                     : record->reason.len });
    TRY(buf_done(&buf, &bytes));
    journal_digest_of(a->digest, bytes, BYTES(""), key);
    return RC_OK;
}

static enum rc send_window(struct audit_aggregate *a, struct window *window)
{
    struct audit_record record;

    if (window->count == 0)
        return RC_OK;
    TRY(audit_record_read(buf_bytes(&window->first), &record));
    record.aggregate =
        (struct audit_aggregate_part){ window->count, window->first_ms, window->last_ms,
                                       window->known, window->capped };
    return a->out.emit(a->out.with, &record);
}

/* The oldest window is the first one. */
static enum rc end_oldest(struct audit_aggregate *a)
{
    TRY(send_window(a, &a->windows[0]));
    clear_window(&a->windows[0]);
    a->used--;
    memmove(&a->windows[0], &a->windows[1], a->used * sizeof a->windows[0]);
    return RC_OK;
}

enum rc audit_aggregate_flush(struct audit_aggregate *aggregate, int64_t now_ms)
{
    while (aggregate->used > 0 &&
           now_ms - aggregate->windows[0].began_ms >= aggregate->limits.window_ms)
        TRY(end_oldest(aggregate));
    return RC_OK;
}

static struct window *find(struct audit_aggregate *a, const uint8_t key[DIGEST_BYTES])
{
    for (size_t i = 0; i < a->used; i++)
        if (bytes_equal(BYTES_OF(a->windows[i].key), (struct bytes){ key, DIGEST_BYTES }))
            return &a->windows[i];
    return NULL;
}

static enum rc begin(struct audit_aggregate *a, const struct audit_record *record,
                     const uint8_t key[DIGEST_BYTES], struct window **window)
{
    if (a->used == a->limits.keys)
        TRY(end_oldest(a));
    struct window *made = &a->windows[a->used];
    *made = (struct window){ .began_ms = record->monotonic_ms };
    made->targets = calloc(a->limits.targets + 1, sizeof *made->targets);
    if (made->targets == NULL)
        return fault(RC_NOMEM, "audit aggregate");
    memcpy(made->key, key, sizeof made->key);
    a->used++;
    *window = made;
    return RC_OK;
}

static void tell_target(struct audit_aggregate *a, struct window *window, struct bytes target)
{
    uint8_t hash[DIGEST_BYTES];
    uint64_t mark;

    if (target.len == 0)
        return;
    journal_digest_of(a->digest, target, BYTES(""), hash);
    memcpy(&mark, hash, sizeof mark);
    for (size_t i = 0; i < window->known; i++)
        if (window->targets[i] == mark)
            return;
    if (window->known == a->limits.targets)
        window->capped = true;
    else
        window->targets[window->known++] = mark;
}

static enum rc count(struct audit_aggregate *a, struct window *window,
                     const struct audit_record *record)
{
    if (window->count == 0) {
        window->first = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
        enum rc rc = audit_record_write(record, &window->first);
        if (rc == RC_OK)
            rc = buf_done(&window->first, &(struct bytes){ 0 });
        if (rc != RC_OK) {
            buf_clear(&window->first);
            return rc;
        }
        window->first_ms = record->wall_ms;
    }
    window->count++;
    window->last_ms = record->wall_ms;
    tell_target(a, window, record->target);
    return RC_OK;
}

enum rc audit_aggregate_add(struct audit_aggregate *aggregate,
                            const struct audit_record *record)
{
    const struct audit_action_row *row = audit_action_get(record->action);
    bool allowed = record->decision == AUDIT_ALLOWED;
    uint8_t key[DIGEST_BYTES];
    struct window *window;

    TRY(audit_aggregate_flush(aggregate, record->monotonic_ms));
    if (row == NULL || (row->fields & AUDIT_AGGREGATE_FIELD) == 0 || (allowed && row->when != AUDIT_COUNTED))
        return aggregate->out.emit(aggregate->out.with, record);
    TRY(key_of(aggregate, record, key));
    window = find(aggregate, key);
    if (window == NULL)
        TRY(begin(aggregate, record, key, &window));
    if (allowed || window->passed >= aggregate->limits.one_by_one)
        return count(aggregate, window, record);
    TRY(aggregate->out.emit(aggregate->out.with, record));
    window->passed++;
    return RC_OK;
}
