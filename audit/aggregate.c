#include "audit/aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "journal/digest.h"
#include "policy/topic.h"

enum { REASON_HEAD = 16 /* octets of a reason that tell it from others */ };

/* How topics that are denied share a count, the closest first: one topic; those that differ in
 * the last level; those of one first level. */
enum kinship { ONE_TOPIC, SIBLINGS, ONE_BRANCH, KINSHIPS };
enum {
    KIN_MAX = 4,     /* counts of each kinship in a window */
    KIN_TARGETS = 14 /* told apart in one, so that it has a small slot */
};
struct kin {
    enum kinship kinship;
    uint64_t mark; /* of what they have in common */
    struct audit_slot *slot;
};

/* One window. slot counts all that have no kin; passed are those that went out alone. */
struct window {
    uint8_t key[DIGEST_BYTES];
    struct audit_slot *slot; /* NULL: nothing is counted yet */
    int64_t began_ms;
    uint64_t passed;
    size_t kin_count;
    struct kin kin[KINSHIPS * KIN_MAX];
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

/* Somebody came whom we know: counted by whose certificate and from where, not by session. */
static bool is_coming(const struct audit_record *record)
{
    return record->action == AUDIT_HANDSHAKE && record->decision == AUDIT_ALLOWED;
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
    buf_add_sized16(&buf, stranger || is_coming(record) ? host_of(record->peer) : BYTES(""));
    buf_add_sized16(&buf, record->device);
    if (is_coming(record))
        buf_add_sized16(&buf, record->actor_certificate.fingerprint);
    else
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

/* The oldest window is the first one. What did not go out is counted on. */
static enum rc end_oldest(struct audit_aggregate *a)
{
    struct window *oldest = &a->windows[0];

    for (; oldest->kin_count > 0; oldest->kin_count--)
        TRY(a->out.ended(a->out.with, oldest->kin[oldest->kin_count - 1].slot));
    if (oldest->slot != NULL)
        TRY(a->out.ended(a->out.with, oldest->slot));
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

/* ---- Topics that are denied: the noise of many does not hide one ---- */

static struct bytes in_common(struct bytes topic, enum kinship kinship)
{
    struct policy_levels levels = policy_topic_levels(topic);
    struct bytes level = topic;

    if (kinship == ONE_TOPIC)
        return topic;
    if (kinship == ONE_BRANCH)
        return policy_topic_next(&levels);
    while (levels.more)
        level = policy_topic_next(&levels);
    return (struct bytes){ topic.at, topic.len - level.len };
}

static bool has_kin(const struct audit_record *record)
{
    return record->decision != AUDIT_ALLOWED && record->target.len > 0 &&
           (audit_action_get(record->action)->fields & AUDIT_TOPIC_FIELD) != 0;
}

/* *alike: how many counts of the kinship there are. */
static struct audit_slot *find_kin(const struct window *window, enum kinship kinship,
                                   uint64_t mark, size_t *alike)
{
    *alike = 0;
    for (size_t i = 0; i < window->kin_count; i++) {
        const struct kin *kin = &window->kin[i];
        if (kin->kinship == kinship && kin->mark == mark)
            return kin->slot;
        *alike += kin->kinship == kinship;
    }
    return NULL;
}

/* The closest kin that it has, or may have; NULL: it has none, or there is no room for it. */
static struct audit_slot *kin_of(struct audit_aggregate *a, struct window *window,
                                 const struct audit_record *record)
{
    size_t few = a->limits.targets < KIN_TARGETS ? a->limits.targets : KIN_TARGETS;

    for (enum kinship kinship = 0; kinship < KINSHIPS; kinship++) {
        size_t alike = 0;
        uint64_t mark = mark_of(a, in_common(record->target, kinship));
        struct audit_slot *slot = find_kin(window, kinship, mark, &alike);
        if (slot != NULL)
            return slot;
        if (alike == KIN_MAX)
            continue;
        if (audit_pending_begin(a->out.pending, record, kinship == ONE_TOPIC ? 1 : few,
                                &slot) != RC_OK)
            return NULL;
        window->kin[window->kin_count++] = (struct kin){ kinship, mark, slot };
        return slot;
    }
    return NULL;
}

static enum rc count(struct audit_aggregate *a, struct window *window,
                     const struct audit_record *record)
{
    struct audit_slot *slot = has_kin(record) ? kin_of(a, window, record) : NULL;
    size_t targets = is_coming(record) ? 1 : a->limits.targets;

    if (slot == NULL && window->slot == NULL)
        TRY(audit_pending_begin(a->out.pending, record, targets, &window->slot));
    audit_slot_count(slot != NULL ? slot : window->slot, record->wall_ms,
                     mark_of(a, record->target), record->target);
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
