#include "daemon/authority_ends.h"

#include <string.h>

#include "daemon/authority_state.h"
#include "daemon/control.h"
#include "daemon/events.h"

enum { AGAIN_MS = 1000 };

static enum rc append(const struct daemon_authority *authority, struct store_txn *txn,
                      const struct daemon_authority_event *event)
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;

    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, event);
}

static void note(const struct daemon_authority *authority, const char *process, enum rc rc)
{
    enum daemon_event event = strcmp(process, "signer") == 0
                                  ? DAEMON_EVENT_AUTHORITY_SIGNER_GONE
                                  : DAEMON_EVENT_AUTHORITY_DOOR_GONE;

    if (authority->setup.log != NULL)
        log_fault(authority->setup.log, event, rc);
}

/* ---- That they serve ---- */

static enum rc write_start(struct store_txn *txn, void *with)
{
    const struct daemon_authority *authority = with;
    const struct daemon_authority_starts *starts = &authority->starts;
    const struct daemon_authority_start *start = &starts->at[0];
    AUTO_BUF(reason, 2 * AUDIT_REASON_MAX);
    struct daemon_authority_event event = { .action = "process serves",
                                            .process = start->process,
                                            .target = start->process,
                                            .device = "",
                                            .rc = start->rc,
                                            .now_ms = start->wall_ms };

    buf_addf(&reason, "%s", start->reason);
    if (starts->lost > 0)
        buf_addf(&reason, "; %llu more found no room", (unsigned long long)starts->lost);
    TRY(buf_text(&reason, &event.reason));
    return append(authority, txn, &event);
}

static void tell_starts(struct daemon_authority *authority);

static enum rc tell_again(struct loop_timer *timer)
{
    tell_starts((void *)((char *)timer - offsetof(struct daemon_authority, starts.again)));
    return RC_OK;
}

static void tell_starts(struct daemon_authority *authority)
{
    struct daemon_authority_starts *starts = &authority->starts;

    while (starts->count > 0 && !starts->waits_for) {
        enum rc rc = store_write(authority->setup.store, write_start, authority);
        if (rc != RC_OK) {
            note(authority, starts->at[0].process, rc);
            starts->again.due = tell_again;
            (void)!loop_arm(authority->setup.loop, &starts->again, AGAIN_MS);
            return; /* unarmed: with the next that there is to tell */
        }
        starts->lost = 0;
        memmove(starts->at, starts->at + 1, --starts->count * sizeof *starts->at);
    }
}

/* That there is no room for it stops nothing: what these do has records of its own. */
void daemon_authority_tell_start(struct daemon_authority *authority, const char *process,
                                 enum rc rc, const char *reason)
{
    struct daemon_authority_starts *starts = &authority->starts;
    struct daemon_authority_start start = { .process = process, .rc = rc };
    size_t len = strnlen(reason, AUDIT_REASON_MAX);

    start.wall_ms = clock_wall_ms(authority->setup.clock);
    memcpy(start.reason, reason, len);
    if (starts->count == DAEMON_AUTHORITY_STARTS)
        starts->lost++;
    else
        starts->count++;
    starts->at[starts->count - 1] = start;
    tell_starts(authority);
}

void daemon_authority_ends_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->starts.again);
    authority->starts.waits_for = false;
    tell_starts(authority);
    loop_disarm(&authority->starts.again);
}

/* ---- How they end ---- */

struct ended {
    struct daemon_authority *authority;
    const struct daemon_end *end;
    const char *reason;
    bool known;
};

static enum rc compare(void *with, const struct audit_hit *hit)
{
    struct ended *ended = with;

    if (bytes_equal_text(hit->record->reason, ended->reason))
        ended->known = true;
    return RC_OK;
}

/* The answer to the first word of it may have been lost with the authority that wrote it. */
static enum rc look_for(struct store_txn *txn, struct ended *ended)
{
    const struct daemon_end *end = ended->end;
    struct audit_query query = { .actions = audit_action_set_of(AUDIT_PROCESS_STOP),
                                 .actor = bytes_of_text(end->process),
                                 .sources = 1 << AUDIT_FROM_AUTHORITY,
                                 .since_ms = end->wall_ms,
                                 .until_ms = end->wall_ms,
                                 .most = 16 };
    bool more = true;

    ended->known = false;
    while (more && !ended->known)
        TRY(audit_log_list(ended->authority->setup.audit.log, txn, &query, compare, ended,
                           &query.before, &more));
    return RC_OK;
}

static enum rc write_end(struct store_txn *txn, void *with)
{
    struct ended *ended = with;
    const struct daemon_authority_event event = {
        .action = "process gone",
        .process = ended->end->process,
        .target = ended->end->process,
        .device = "",
        .rc = daemon_end_is_orderly(ended->end) ? RC_OK : RC_CLOSED,
        .reason = ended->reason,
        .now_ms = ended->end->wall_ms,
    };

    TRY(look_for(txn, ended));
    return ended->known ? RC_OK : append(ended->authority, txn, &event);
}

/* A door that exits with 0 tells of it itself, and if it did not, its next life does. */
static bool tells_itself(const struct daemon_end *end)
{
    return !end->killed && end->code == 0 &&
           (strcmp(end->process, registry_channel_name(REGISTRY_DEVICE_DOOR)) == 0 ||
            strcmp(end->process, registry_channel_name(REGISTRY_OPERATOR_DOOR)) == 0);
}

enum rc daemon_authority_ended(struct daemon_authority *authority, const struct daemon_end *end)
{
    struct ended ended = { .authority = authority, .end = end };
    AUTO_BUF(reason, AUDIT_REASON_MAX);

    if (tells_itself(end))
        return RC_OK;
    daemon_end_say(end, &reason);
    buf_addf(&reason, ", pid %u", end->pid);
    if (end->lost > 0)
        buf_addf(&reason, "; %u more ends before it found no room", end->lost);
    TRY(buf_text(&reason, &ended.reason));
    enum rc rc = store_write(authority->setup.store, write_end, &ended);
    authority->starts.waits_for = rc != RC_OK;
    tell_starts(authority);
    return rc;
}
