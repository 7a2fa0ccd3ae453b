/* An authority whose store fails at a commit of the test's choice, and which is started again
 * when that ended it. For tests that wrap mdb_txn_commit. */
#pragma once

#include "tests/unit/daemon/authority_world.h"

#include <errno.h>
#include <sys/mman.h>

enum fault { NO_SPACE, BROKEN_BEFORE, BROKEN_BEHIND, FAULTS };

/* Shared with the authority's process. */
struct plan {
    int left; /* the commit that brings this to zero fails; 0: none */
    enum fault fault;
    int commits;
};
static struct plan *plan;

static inline void make_plan(void)
{
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(plan, MAP_FAILED);
    *plan = (struct plan){ 0 };
}

static inline void drop_plan(void)
{
    munmap(plan, sizeof *plan);
    plan = NULL;
}

struct MDB_txn;
int __real_mdb_txn_commit(struct MDB_txn *txn);
int __wrap_mdb_txn_commit(struct MDB_txn *txn);
void mdb_txn_abort(struct MDB_txn *txn);

int __wrap_mdb_txn_commit(struct MDB_txn *txn)
{
    if (plan == NULL)
        return __real_mdb_txn_commit(txn);
    plan->commits++;
    if (plan->left == 0 || --plan->left > 0)
        return __real_mdb_txn_commit(txn);
    if (plan->fault == BROKEN_BEHIND) { /* it is on disk, and nobody can tell */
        int code = __real_mdb_txn_commit(txn);
        return code == 0 ? EIO : code;
    }
    mdb_txn_abort(txn);
    return plan->fault == NO_SPACE ? ENOSPC : EIO;
}

/* Without a signer: nothing is issued, and a life begins at once. */
static inline void begin_life(struct world *w)
{
    int answering[REGISTRY_CHANNEL_LAST + 1];

    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        assert_int_equal(link_pair(&w->doors[i], &answering[i]), RC_OK);
    w->authority = fork();
    assert_true(w->authority >= 0);
    if (w->authority == 0) {
        for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
            close(w->doors[i]);
        _exit(be_authority(w, answering) == RC_OK ? 0 : 1);
    }
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        close(answering[i]);
    AUTO_TOLD(told); /* it has begun when it answers */
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told),
                     RC_OK);
}

static inline void end_life(struct world *w)
{
    kill(w->authority, SIGKILL);
    waitpid(w->authority, NULL, 0);
    w->authority = 0;
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        close(w->doors[i]);
}
