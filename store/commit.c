#include "store/state.h"

#include <assert.h>

/* One commit in the making. */
struct group {
    struct store *store;
    struct MDB_txn *engine;
    struct store_state state;
    int64_t wall_ms;
};

/* What was remembered of a change that was to be is wrong from here on. */
static void undo(struct store *store, struct MDB_txn *engine)
{
    store->undone++;
    store_engine_abort(engine);
}

static enum rc commit(struct store *store, struct MDB_txn *engine)
{
    enum rc rc = store_engine_commit(store->engine, engine);

    store->undone += rc != RC_OK;
    return rc;
}

static enum rc run(struct group *group, struct MDB_txn *engine, struct store_job *job,
                   struct store_state *state)
{
    struct store_txn txn = { .store = group->store,
                             .engine = engine,
                             .writes = true,
                             .serial = ++group->store->serial,
                             .state = group->state,
                             .wall_ms = group->wall_ms };

    enum rc rc = job->change(&txn, job);
    assert(txn.cursors == 0);
    if (txn.failed == RC_IO || txn.failed == RC_CORRUPT)
        group->store->broken = true;
    if (rc == RC_OK && txn.failed != RC_OK)
        rc = fault(txn.failed, "%s", txn.reason);
    TRY(rc);
    *state = txn.state;
    if (txn.changes > 0)
        state->revision++;
    return RC_OK;
}

static enum rc rehearse(struct group *group, struct store_job *job)
{
    struct store_state unused;
    struct MDB_txn *part = NULL;

    TRY(store_engine_begin(group->store->engine, group->engine, true, &part));
    enum rc rc = run(group, part, job, &unused);
    undo(group->store, part);
    (void)rc; /* the run that counts will tell the same */
    return RC_OK;
}

/*
 * A transaction of its own inside the group's. The job's result goes to job->rc; what is
 * returned is whether the group can go on.
 */
static enum rc run_apart(struct group *group, struct store_job *job)
{
    struct store_state state;
    struct MDB_txn *part = NULL;

    if (group->store->settings.rehearse)
        TRY(rehearse(group, job));
    TRY(store_engine_begin(group->store->engine, group->engine, true, &part));
    job->rc = run(group, part, job, &state);
    if (job->rc == RC_OK) {
        TRY(commit(group->store, part));
        group->state = state;
        return RC_OK;
    }
    store_txn_keep_reason(job->reason);
    undo(group->store, part);
    return RC_OK;
}

static enum rc run_alone(struct group *group, struct store_job *job)
{
    if (group->store->settings.rehearse)
        TRY(rehearse(group, job));
    job->rc = run(group, group->engine, job, &group->state);
    if (job->rc != RC_OK)
        store_txn_keep_reason(job->reason);
    return RC_OK;
}

static enum rc run_all(struct group *group, struct store_job *first, size_t count)
{
    if (count == 1)
        return run_alone(group, first);
    for (struct store_job *job = first; count > 0; job = job->next, count--)
        TRY(run_apart(group, job));
    return RC_OK;
}

/* Ends the group's transaction either way. */
static enum rc finish(struct group *group, const struct store_job *only)
{
    struct store *store = group->store;
    bool changed = group->state.revision != store->state.revision;

    if ((only != NULL && only->rc != RC_OK) || !changed) {
        undo(store, group->engine);
        return RC_OK;
    }
    enum rc rc = store_record_put_state(store, group->engine, &group->state);
    if (rc != RC_OK) {
        undo(store, group->engine);
        return rc;
    }
    TRY(commit(store, group->engine));
    store->state = group->state;
    return RC_OK;
}

static enum rc try_group(struct store *store, struct store_job *first, size_t count)
{
    struct group group = { .store = store,
                           .state = store->state,
                           .wall_ms = clock_wall_ms(store->settings.clock) };

    TRY(store_engine_begin(store->engine, NULL, true, &group.engine));
    enum rc rc = run_all(&group, first, count);
    if (rc == RC_OK && store->broken)
        rc = fault(RC_CORRUPT, "store: is damaged, or cannot be read");
    if (rc == RC_OK)
        return finish(&group, count == 1 ? first : NULL);
    undo(store, group.engine);
    return rc;
}

static void fail_all(struct store_job *first, size_t count, enum rc rc)
{
    for (struct store_job *job = first; count > 0; job = job->next, count--) {
        job->rc = rc;
        store_txn_keep_reason(job->reason);
    }
}

static struct store_job *skip(struct store_job *job, size_t count)
{
    for (; count > 0; count--)
        job = job->next;
    return job;
}

enum rc store_commit_jobs(struct store *store, struct store_job *first, size_t count)
{
    assert(!store->in_transaction);
    if (store->broken) {
        enum rc rc = fault(RC_IO, "store: takes no more changes until it is opened again");
        fail_all(first, count, rc);
        return rc;
    }
    store->in_transaction = true;
    enum rc rc = try_group(store, first, count);
    store->in_transaction = false;
    if ((rc == RC_LIMIT || rc == RC_NOMEM) && count > 1) {
        enum rc one = store_commit_jobs(store, first, count / 2);
        enum rc two = store_commit_jobs(store, skip(first, count / 2), count - count / 2);
        return one != RC_OK ? one : two;
    }
    if (rc == RC_OK)
        return RC_OK;
    fail_all(first, count, rc);
    if (rc == RC_LIMIT || rc == RC_NOMEM)
        return RC_OK;
    store->broken = true;
    return rc;
}

struct plain {
    struct store_job job;
    enum rc (*change)(struct store_txn *txn, void *with);
    void *with;
};

static enum rc change_plain(struct store_txn *txn, struct store_job *job)
{
    struct plain *plain = (struct plain *)job;

    return plain->change(txn, plain->with);
}

enum rc store_write(struct store *store, enum rc (*change)(struct store_txn *txn, void *with),
                    void *with)
{
    struct plain plain = { .job = { .change = change_plain }, .change = change, .with = with };

    enum rc rc = store_commit_jobs(store, &plain.job, 1);
    if (plain.job.rc != RC_OK)
        return fault(plain.job.rc, "%s", plain.job.reason);
    return rc;
}

enum rc store_read(struct store *store, enum rc (*look)(struct store_txn *txn, void *with),
                   void *with)
{
    struct store_txn txn = { .store = store, .state = store->state };

    assert(!store->in_transaction);
    if (store->settings.read_most_ms > 0)
        txn.until_ms = clock_monotonic_ms(store->settings.clock) + store->settings.read_most_ms;
    TRY(store_engine_begin(store->engine, NULL, false, &txn.engine));
    store->in_transaction = true;
    enum rc rc = look(&txn, with);
    assert(txn.cursors == 0);
    store->in_transaction = false;
    store_engine_abort(txn.engine);
    return rc;
}
