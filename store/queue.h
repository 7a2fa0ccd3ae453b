/* Group commit: many independent changes share one durable commit, and none another's failure.
 */
#pragma once

#include "base/loop.h"
#include "store/store.h"

/*
 * Jobs gather during a turn of the loop and run at its end, in the order in which
 * they came, each seeing what those before it did. A job that fails is undone alone.
 * No job hears anything before the commit is on disk, those that failed included: a
 * refusal may rest on what a neighbour wrote. If the commit fails for want of room,
 * the group is undone, halved and run again, so a job may run more than once.
 */
enum { STORE_REASON_MAX = 192 };

/* Embedded in the caller's object; lives until done() is called, and may be freed or queued
 * again there. */
struct store_job {
    enum rc (*change)(struct store_txn *txn, struct store_job *job);
    /* rc of the change, or of the commit that took it down; fault_text() is this job's. */
    void (*done)(struct store_job *job, enum rc rc);
    struct store_job *next; /* from here on the queue's own */
    enum rc rc;
    char reason[STORE_REASON_MAX];
};

struct store_queue;

struct store_queue_limits {
    size_t waiting; /* jobs that may wait; 0 is not allowed */
    size_t group;   /* jobs in one commit; 0 is not allowed */
};

/* The store is borrowed and outlives the queue. */
enum rc store_queue_new(struct store *store, const struct store_queue_limits *limits,
                        struct store_queue **queue);
/* Jobs still waiting are answered with RC_CLOSED. */
void store_queue_free(struct store_queue *queue);
AUTO_STRUCT(store_queue, store_queue_free)

/* RC_LIMIT when too many wait: the job is not taken, done() is not called. */
enum rc store_queue_add(struct store_queue *queue, struct store_job *job);

/*
 * Run and commit all that wait, in groups, and answer them; jobs that done() queues
 * too. RC_OK whatever became of the jobs; RC_IO or RC_CORRUPT when the store
 * itself can no longer be written to. Not from inside a transaction or done().
 */
enum rc store_queue_commit(struct store_queue *queue);

/* For loop_add_turn(): commits at the end of each turn. */
struct loop_turn *store_queue_turn(struct store_queue *queue);
size_t store_queue_waiting(const struct store_queue *queue);
