#include "daemon/authority_state.h"

#include <inttypes.h>

/* Proposals that nobody approved in time: looked for once a second, ended with their record. */
enum { LOOK_EVERY_MS = 1000 };

static enum rc look(struct store_txn *txn, void *with)
{
    const struct daemon_authority *authority = with;
    struct registry_proposal proposal;

    return registry_proposal_find_expired(txn, authority->expiry_ms, &proposal);
}

enum rc daemon_authority_proposal_end(struct store_txn *txn,
                                      const struct daemon_authority_audit *audit,
                                      struct registry_proposal *proposal, const char *why,
                                      int64_t now_ms)
{
    const char *target = NULL, *reason = NULL;
    AUTO_BUF(name, 64);
    AUTO_BUF(text, AUDIT_REASON_MAX);

    buf_addf(&name, "proposal %" PRIu64, proposal->number);
    buf_addf(&text, "%s; of %s; %s", registry_act_get(proposal->act)->name, proposal->author,
             why);
    TRY(buf_text(&name, &target));
    TRY(buf_text(&text, &reason));
    TRY(registry_proposal_close(txn, proposal, REGISTRY_PROPOSAL_EXPIRED, now_ms));
    const struct daemon_authority_event event = { .action = "expire",
                                                  .as = AUDIT_PROPOSAL_EXPIRE,
                                                  .target = target,
                                                  .device = "",
                                                  .reason = reason,
                                                  .now_ms = now_ms };
    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

static struct daemon_authority *of_job(struct store_job *job)
{
    return (void *)((char *)job - offsetof(struct daemon_authority, expiry_job));
}

static enum rc expire(struct store_txn *txn, struct store_job *job)
{
    const struct daemon_authority *authority = of_job(job);
    struct registry_proposal proposal;
    enum rc rc = RC_OK;

    while ((rc = registry_proposal_find_expired(txn, authority->expiry_ms, &proposal)) == RC_OK)
        TRY(daemon_authority_proposal_end(txn, &authority->setup.audit, &proposal,
                                          "nobody approved it in time", authority->expiry_ms));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* What found no room is found again by the next look. */
static void expired(struct store_job *job, enum rc rc)
{
    struct daemon_authority *authority = of_job(job);

    if (rc == RC_LIMIT)
        authority->unrecorded++;
    authority->expiring = false;
}

static enum rc look_again(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, expiry_timer));

    if (!authority->expiring) {
        authority->expiry_ms = clock_wall_ms(authority->setup.clock);
        enum rc rc = store_read(authority->setup.store, look, authority);
        if (rc == RC_CORRUPT)
            return rc;
        authority->expiry_job = (struct store_job){ .change = expire, .done = expired };
        authority->expiring =
            rc == RC_OK && store_queue_add(authority->queue, &authority->expiry_job) == RC_OK;
    }
    return loop_arm(authority->setup.loop, timer, LOOK_EVERY_MS);
}

enum rc daemon_authority_proposals_start(struct daemon_authority *authority)
{
    authority->expiry_timer.due = look_again;
    return loop_arm(authority->setup.loop, &authority->expiry_timer, 0);
}

void daemon_authority_proposals_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->expiry_timer);
}
