/* What the authority writes into its log about itself: that it begins and ends, and that the
 * wall clock stepped. */
#pragma once

#include "audit/step.h"
#include "base/loop.h"
#include "daemon/authority_audit.h"

struct daemon_authority_life {
    struct daemon_authority_book *book; /* all borrowed */
    struct store *store;
    struct loop *loop;
    struct loop_timer timer;
    struct audit_step step;
};

/* process.start, with what is in force (for people), and of a former life that did not say its
 * end, that it was found to have ended: how, if touchmarkd told (former; or NULL). It must be
 * durable, or the process does not serve. */
enum rc daemon_authority_life_begin(struct daemon_authority_life *life,
                                    struct daemon_authority_book *book, struct store *store,
                                    struct loop *loop, struct bytes in_force,
                                    const char *former);
/* In the first transaction of a life, before it writes anything else: clock.step, if the wall
 * clock is behind the newest of the authority's own records. That it went ahead while nobody
 * looked cannot be told from time that passed. */
enum rc daemon_authority_life_look(const struct daemon_authority_book *book,
                                   struct store_txn *txn);
/* process.stop; what cannot be written now, the next life finds, as it tells of an end that is
 * not in order. No effect before begin. */
void daemon_authority_life_end(struct daemon_authority_life *life, bool in_order);
