#include "audit/aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "journal/digest.h"

enum { REASON_HEAD = 16 /* octets of a reason that tell it from others */ };

/* One window. slot counts; passed are those that went out alone. */
struct window {
    uint8_t key[DIGEST_BYTES];
    struct audit_slot *slot; /* NULL: nothing is counted yet */
    int64_t began_ms;
    uint64_t passed;
};

struct audit_aggregate {
    struct audit_aggregate_limits limits;
    struct audit_aggregate_out out;
    struct journal_digest *digest;
    size_t used; /* of windows, in the order in which they began */
    struct window windows[];
};

void audit_aggregate_free(struct audit_aggregate *aggregate)
{
    if (aggregate == NULL)
        return;
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
    buf_add_sized16(&buf, record->device);
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

/* The oldest window is the first one. */
static enum rc end_oldest(struct audit_aggregate *a)
{
    if (a->windows[0].slot != NULL)
        TRY(a->out.ended(a->out.with, a->windows[0].slot));
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
    memcpy(made->key, key, sizeof made->key);
    a->used++;
    *window = made;
    return RC_OK;
}

/* 0 is no target. */
static uint64_t mark_of(struct audit_aggregate *a, struct bytes target)
{
    uint8_t hash[DIGEST_BYTES];
    uint64_t mark;

    if (target.len == 0)
        return 0;
    journal_digest_of(a->digest, target, BYTES(""), hash);
    memcpy(&mark, hash, sizeof mark);
    return mark == 0 ? 1 : mark;
}

static enum rc count(struct audit_aggregate *a, struct window *window,
                     const struct audit_record *record)
{
    if (window->slot == NULL)
        TRY(audit_pending_begin(a->out.pending, record, a->limits.targets, &window->slot));
    audit_slot_count(window->slot, record->wall_ms, mark_of(a, record->target), record->target);
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
    if (row == NULL || (row->fields & AUDIT_AGGREGATE_FIELD) == 0 ||
        (allowed && row->when != AUDIT_COUNTED))
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
