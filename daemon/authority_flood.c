#include "daemon/authority_state.h"

/*
 * Refusals that were counted (audit/flood.h) are told when their window is over, and all of
 * them at the end of this life; after a kill the next one does it. What finds no room stays
 * counted, and is tried again.
 */

enum { LOOK_EVERY_MS = 1000 };

static struct daemon_authority *of_job(struct store_job *job)
{
    return (void *)((char *)job - offsetof(struct daemon_authority, flood_job));
}

static enum rc tell(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority *authority = of_job(job);
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    bool more = false; /* the next look has the rest */

    return audit->flush(audit->with, txn, clock_wall_ms(authority->setup.clock), false, &more);
}

static void told(struct store_job *job, enum rc rc)
{
    (void)rc;
    of_job(job)->telling_floods = false;
}

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, flood_timer));
    const struct daemon_authority_audit *audit = &authority->setup.audit;

    if (!authority->telling_floods && audit->is_flooded(audit->with)) {
        authority->flood_job = (struct store_job){ .change = tell, .done = told };
        authority->telling_floods =
            store_queue_add(authority->queue, &authority->flood_job) == RC_OK;
    }
    return loop_arm(authority->setup.loop, timer, LOOK_EVERY_MS);
}

enum rc daemon_authority_flood_start(struct daemon_authority *authority)
{
    if (authority->setup.audit.flush == NULL)
        return RC_OK;
    authority->flood_timer.due = look;
    return loop_arm(authority->setup.loop, &authority->flood_timer, LOOK_EVERY_MS);
}

struct end {
    const struct daemon_authority *authority;
    bool more;
};

static enum rc tell_all(struct store_txn *txn, void *with)
{
    struct end *end = with;
    const struct daemon_authority_audit *audit = &end->authority->setup.audit;

    return audit->flush(audit->with, txn, clock_wall_ms(end->authority->setup.clock), true,
                        &end->more);
}

void daemon_authority_flood_stop(struct daemon_authority *authority)
{
    struct end end = { .authority = authority };
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    enum rc rc = RC_OK;

    loop_disarm(&authority->flood_timer);
    if (audit->flush == NULL || !audit->is_flooded(audit->with))
        return;
    do
        rc = store_write(authority->setup.store, tell_all, &end);
    while (rc == RC_OK && end.more); /* else the next life tells */
}
