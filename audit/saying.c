#include "audit/saying.h"

#include <inttypes.h>

enum {
    NOBODY = 1 << AUDIT_NOBODY,
    DEVICE = 1 << AUDIT_DEVICE,
    OPERATOR = 1 << AUDIT_OPERATOR,
    LINE = 1 << AUDIT_LINE,
    PROCESS = 1 << AUDIT_PROCESS,
    ANYBODY = NOBODY | DEVICE | OPERATOR | LINE, /* whoever may come to a door */

    ALLOWED = 1 << AUDIT_ALLOWED,
    DENIED = 1 << AUDIT_DENIED,
    FAILED = 1 << AUDIT_FAILED,

    DAY_MS = 24 * 3600 * 1000
};

struct row {
    enum audit_action action;
    unsigned kinds, decisions;
};

static const struct row DEVICE_DOOR[] = {
    { AUDIT_PROCESS_START, PROCESS, ALLOWED },
    { AUDIT_PROCESS_STOP, PROCESS, ALLOWED | FAILED },
    { AUDIT_CLOCK_STEP, PROCESS, ALLOWED },
    { AUDIT_LOG_SPOOL, PROCESS, FAILED },
    { AUDIT_API_REQUEST, ANYBODY, DENIED },
    { AUDIT_HANDSHAKE, ANYBODY, ALLOWED | DENIED },
    { AUDIT_SESSION_OPEN, DEVICE, ALLOWED | DENIED },
    { AUDIT_SESSION_CLOSE, DEVICE, ALLOWED },
    { AUDIT_SESSION_CUT, DEVICE, DENIED },
    { AUDIT_PUBLISH, DEVICE, ALLOWED | DENIED | FAILED },
    { AUDIT_SUBSCRIBE, DEVICE, ALLOWED | DENIED | FAILED },
    { AUDIT_RECEIVE, DEVICE, ALLOWED | DENIED | FAILED },
    { AUDIT_RETAIN, DEVICE, ALLOWED | DENIED | FAILED },
    { AUDIT_WILL, DEVICE, ALLOWED | DENIED | FAILED },
    { AUDIT_PROTOCOL, DEVICE, DENIED },
    { AUDIT_UNSUBSCRIBE, DEVICE, ALLOWED | DENIED },
};

static const struct row OPERATOR_DOOR[] = {
    { AUDIT_PROCESS_START, PROCESS, ALLOWED },
    { AUDIT_PROCESS_STOP, PROCESS, ALLOWED | FAILED },
    { AUDIT_CLOCK_STEP, PROCESS, ALLOWED },
    { AUDIT_LOG_SPOOL, PROCESS, FAILED },
    { AUDIT_LOG_READ, OPERATOR | LINE, ALLOWED },
    { AUDIT_API_REQUEST, ANYBODY, DENIED },
    { AUDIT_HANDSHAKE, ANYBODY, ALLOWED | DENIED },
    { AUDIT_SESSION_CUT, OPERATOR | LINE, DENIED },
};

/* What it refused to the authority. */
static const struct row SIGNER[] = { { AUDIT_KEY_SIGN, PROCESS, DENIED } };

#define COUNT(rows) sizeof(rows) / sizeof *(rows)
static const struct {
    const struct row *rows;
    size_t count;
    const char *process; /* the only one that it speaks of */
} SOURCES[] = {
    [AUDIT_FROM_DEVICE_DOOR] = { DEVICE_DOOR, COUNT(DEVICE_DOOR), "device-door" },
    [AUDIT_FROM_OPERATOR_DOOR] = { OPERATOR_DOOR, COUNT(OPERATOR_DOOR), "operator-door" },
    [AUDIT_FROM_SIGNER] = { SIGNER, COUNT(SIGNER), "authority" },
};

static const struct row *row_of(enum audit_source source, enum audit_action action)
{
    for (size_t i = 0; source < COUNT(SOURCES) && i < SOURCES[source].count; i++)
        if (SOURCES[source].rows[i].action == action)
            return &SOURCES[source].rows[i];
    return NULL;
}

static bool is_shown(const struct audit_certificate *certificate)
{
    return certificate->fingerprint.len + certificate->serial.len + certificate->issuer.len +
               certificate->key.len >
           0;
}

enum rc audit_saying_check(enum audit_source source, const struct audit_record *record)
{
    const char *self = audit_source_name(source);
    const char *action = audit_action_get(record->action)->name;
    const struct row *row = row_of(source, record->action);

    if (row == NULL)
        return fault(RC_DENIED, "audit log: %s is not the %s's to tell", action, self);
    if ((row->kinds & 1U << record->actor_kind) == 0)
        return fault(RC_DENIED, "audit log: the %s tells no %s of a %s", self, action,
                     audit_actor_kind_name(record->actor_kind));
    if ((row->decisions & 1U << record->decision) == 0)
        return fault(RC_DENIED, "audit log: the %s tells no %s as %s", self, action,
                     audit_decision_name(record->decision));
    if (record->actor_kind == AUDIT_PROCESS &&
        !bytes_equal_text(record->actor, SOURCES[source].process))
        return fault(RC_DENIED, "audit log: the %s speaks for another process", self);
    /* Only the authority knows what it acts upon. At the handshake a device may be named. */
    if (is_shown(&record->certificate) ||
        (record->device.len > 0 && record->action != AUDIT_HANDSHAKE))
        return fault(RC_DENIED,
                     "audit log: the %s tells no %s of another's certificate or "
                     "device",
                     self, action);
    return RC_OK;
}

/* ---- Time ---- */

static int64_t bound(int64_t *at_ms, int64_t now_ms)
{
    const int64_t said_ms = *at_ms;

    if (said_ms - DAY_MS <= now_ms)
        return 0;
    *at_ms = now_ms > 0 ? now_ms : 0;
    return said_ms;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* As much of the text as has room, and ends between two characters. */
static void add_start(struct buf *room, struct bytes text)
{
    size_t left = AUDIT_REASON_MAX - room->len;

    if (text.len > left) {
        while (left > 0 && (text.at[left] & 0xc0) == 0x80)
            left--;
        text.len = left;
    }
    buf_add(room, text);
}

void audit_saying_bound(struct audit_record *record, int64_t now_ms, struct buf *room)
{
    int64_t said_ms = bound(&record->wall_ms, now_ms);

    said_ms = later(said_ms, bound(&record->aggregate.first_ms, now_ms));
    said_ms = later(said_ms, bound(&record->aggregate.last_ms, now_ms));
    if (said_ms == 0)
        return;
    if (record->aggregate.first_ms > record->aggregate.last_ms)
        record->aggregate.first_ms = record->aggregate.last_ms;
    buf_reset(room);
    buf_addf(room, "its clock said %" PRId64 " ms", said_ms);
    if (record->reason.len > 0)
        buf_addf(room, ": ");
    add_start(room, record->reason);
    record->reason = buf_bytes(room);
}
