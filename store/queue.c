#include "store/queue.h"

#include "store/state.h"

#include <assert.h>
#include <stdlib.h>

struct store_queue {
    struct loop_turn turn; /* first: the loop hands this back */
    struct store *store;
    struct store_queue_limits limits;
    struct store_job *first, *last;
    size_t waiting;
    bool committing;
};

static enum rc turn_ended(struct loop_turn *turn)
{
    return store_queue_commit((struct store_queue *)turn);
}

enum rc store_queue_new(struct store *store, const struct store_queue_limits *limits,
                        struct store_queue **queue)
{
    assert(limits->waiting > 0 && limits->group > 0);
    struct store_queue *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "queue");
    made->turn.ended = turn_ended;
    made->store = store;
    made->limits = *limits;
    *queue = made;
    return RC_OK;
}

enum rc store_queue_add(struct store_queue *queue, struct store_job *job)
{
    if (queue->waiting >= queue->limits.waiting)
        return fault(RC_LIMIT, "store: %zu changes wait already", queue->waiting);
    job->next = NULL;
    job->rc = RC_OK;
    job->reason[0] = '\0';
    if (queue->first == NULL)
        queue->first = job;
    else
        queue->last->next = job;
    queue->last = job;
    queue->waiting++;
    return RC_OK;
}

static struct store_job *take(struct store_queue *queue, size_t count)
{
    struct store_job *first = queue->first, *last = first;

    for (size_t i = 1; i < count; i++)
        last = last->next;
    queue->first = last->next;
    last->next = NULL;
    queue->waiting -= count;
    return first;
}

/* done() may free the job or queue it again: its link is read before. */
static void answer(struct store_job *first)
{
    for (struct store_job *job = first, *next; job != NULL; job = next) {
        next = job->next;
        enum rc rc = job->rc == RC_OK ? RC_OK : fault(job->rc, "%s", job->reason);
        job->done(job, rc);
    }
}

enum rc store_queue_commit(struct store_queue *queue)
{
    enum rc health = RC_OK;

    assert(!queue->committing);
    queue->committing = true;
    while (queue->first != NULL && health == RC_OK) {
        size_t count =
            queue->waiting < queue->limits.group ? queue->waiting : queue->limits.group;
        struct store_job *group = take(queue, count);
        char reason[STORE_REASON_MAX];
        health = store_commit_jobs(queue->store, group, count);
        if (health != RC_OK)
            store_txn_keep_reason(reason);
        answer(group);
        if (health != RC_OK)
            health = fault(health, "%s", reason);
    }
    queue->committing = false;
    return health;
}

void store_queue_free(struct store_queue *queue)
{
    if (queue == NULL)
        return;
    while (queue->first != NULL) {
        struct store_job *job = take(queue, 1);
        job->done(job, fault(RC_CLOSED, "store: closed before the change was made"));
    }
    free(queue);
}

struct loop_turn *store_queue_turn(struct store_queue *queue)
{
    return &queue->turn;
}

size_t store_queue_waiting(const struct store_queue *queue)
{
    return queue->waiting;
}
