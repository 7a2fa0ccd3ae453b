#include "daemon/authority_state.h"

/*
 * What the audit log is searched by is written as it grows; merging it is left to this: a
 * bounded step in a transaction, with a pause behind it, so that the doors are served in
 * between. So is all of it after an update from a version that searched by something else.
 * Searches find the same meanwhile, only later; so a step that fails is tried again, and is
 * nobody's trouble.
 */
enum { PAUSE_MS = 10, AGAIN_MS = 1000, LOOK_MS = 5000 };

static struct daemon_authority_indexing *of_job(struct store_job *job)
{
    return (void *)job;
}

static enum rc step(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_indexing *indexing = of_job(job);

    return audit_log_index(indexing->authority->setup.audit.log, txn, &indexing->more);
}

/* A timer that cannot be armed finds no memory: searches take longer from then on. */
static void stepped(struct store_job *job, enum rc rc)
{
    struct daemon_authority_indexing *indexing = of_job(job);
    struct daemon_authority *authority = indexing->authority;
    int64_t pause_ms = indexing->more ? PAUSE_MS : LOOK_MS;

    if (!authority->ending)
        (void)loop_arm(authority->setup.loop, &indexing->timer,
                       rc == RC_OK ? pause_ms : AGAIN_MS);
}

struct finding {
    struct audit_log *log;
    bool due;
};

static enum rc find(struct store_txn *txn, void *with)
{
    struct finding *finding = with;

    return audit_log_index_due(finding->log, txn, &finding->due);
}

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority_indexing *indexing =
        (void *)((char *)timer - offsetof(struct daemon_authority_indexing, timer));
    struct daemon_authority *authority = indexing->authority;
    struct finding finding = { .log = authority->setup.audit.log };

    if (store_read(authority->setup.store, find, &finding) != RC_OK || !finding.due)
        return loop_arm(authority->setup.loop, timer, LOOK_MS);
    indexing->job = (struct store_job){ .change = step, .done = stepped };
    if (store_queue_add(authority->queue, &indexing->job) == RC_OK)
        return RC_OK;
    return loop_arm(authority->setup.loop, timer, AGAIN_MS);
}

static enum rc step_now(struct store_txn *txn, void *with)
{
    struct daemon_authority_indexing *indexing = with;

    return audit_log_index(indexing->authority->setup.audit.log, txn, &indexing->more);
}

/* The first step, by which a log begins to be kept like this, comes before anything else. */
enum rc daemon_authority_index_start(struct daemon_authority *authority)
{
    struct daemon_authority_indexing *indexing = &authority->indexing;

    if (authority->setup.audit.log == NULL)
        return RC_OK;
    indexing->authority = authority;
    indexing->timer.due = look;
    struct finding finding = { .log = authority->setup.audit.log };
    TRY(store_read(authority->setup.store, find, &finding));
    if (finding.due)
        TRY(store_write(authority->setup.store, step_now, indexing));
    return loop_arm(authority->setup.loop, &indexing->timer, PAUSE_MS);
}

void daemon_authority_index_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->indexing.timer);
}
