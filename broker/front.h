/* The door's line to the authority: it asks, follows the change feed into the projection, and
 * hands on the audit spool. */
#pragma once

#include "base/loop.h"
#include "broker/peer.h"
#include "registry/answer.h"

/*
 * Belongs to the door's main thread, but for broker_front_judge(), which any thread may call:
 * the projection is under a mutex that is held for one look-up. While the authority is away
 * asks are RC_BUSY and the projection stays as it was (docs/degradation.md); a fresh end of the
 * channel brings it back.
 */
struct broker_front;
struct broker_crls;
struct broker_policy;

struct broker_front_observer {
    /*
     * Something that the projection knows has changed; called on the main thread, the mutex not
     * held. Sessions that it concerns must be told now. change is borrowed; NULL: everything is
     * to be judged again (a new snapshot was taken). Of a policy only its kind is given, once
     * broker_front_policy() has it: what is longer than a message comes later than its change.
     */
    void (*changed)(void *with, const struct registry_change *change);
    /*
     * Are all cuts done that the changes up to this sequence demand? Called before the sequence
     * is acknowledged. If not, the owner calls broker_front_settled() when they are.
     */
    bool (*is_settled)(void *with, uint64_t sequence);
    /* For the owner's log: the line was lost or the feed broke its form, and why; or, with
     * NULL, the projection is filled and follows. May be NULL. */
    void (*line)(void *with, const char *why_not);
    void *with;
};

struct broker_front_setup {
    struct loop *loop; /* all borrowed for the front's life */
    const struct clock *clock;
    struct broker_front_observer observer;
};

enum rc broker_front_new(const struct broker_front_setup *setup, struct broker_front **front);
void broker_front_free(struct broker_front *front);
AUTO_STRUCT(broker_front, broker_front_free)

/* An end of the channel to the authority, owned from here on; a new one takes the old one's
 * place, and what was asked on that is answered RC_CLOSED. */
enum rc broker_front_attach(struct broker_front *front, int authority);
void broker_front_settled(struct broker_front *front);
/* Is the projection filled, so that the door can open? It stays so when the authority goes. */
bool broker_front_is_ready(const struct broker_front *front);
bool broker_front_is_connected(const struct broker_front *front);

/* rc is the authority's; answer is there (borrowed for the call) with RC_OK only, reason (for
 * our log, never for the peer) otherwise. */
typedef void broker_front_done(void *with, enum rc rc, const struct registry_answer *answer,
                               struct bytes reason);
/*
 * Ask; done is called exactly once, later, on the main thread, and never from inside. On
 * failure it is not called: RC_BUSY (no authority, or too much waits), RC_MALFORMED.
 */
enum rc broker_front_ask(struct broker_front *front, enum registry_ask ask,
                         const struct registry_question *question, broker_front_done *done,
                         void *with);

/* From any thread: registry_projection_judge() with copies of what it found. *certificate and
 * *subject have kind 0 where there is none. A certificate whose subject has not come yet, or is
 * not yet active, is REGISTRY_UNKNOWN: just enrolled, it is for the authority to say. */
enum registry_verdict broker_front_judge(struct broker_front *front,
                                         const struct registry_fingerprint *fingerprint,
                                         int64_t now_s,
                                         struct registry_certificate *certificate,
                                         struct registry_subject *subject);
/* On the main thread only; borrowed until the loop's next turn. For the policy, which CRLs
 * there are, and CAs: certificates and subjects are other threads' too, so judge() alone reads
 * them.
 */
const struct registry_projection *broker_front_projection(const struct broker_front *front);
/* That the door judges by, so, too: broker/policies.h. NULL before the first. */
struct broker_policy *broker_front_policy(const struct broker_front *front);
/* So, too; broker/crls.h says what can be done with them. */
struct broker_crls *broker_front_crls(const struct broker_front *front);
