/* The policy that a door judges by: compiled once, for all its workers. */
#pragma once

#include <stdatomic.h>

#include "broker/front.h"
#include "policy/policy.h"

/*
 * The projection says which version there is. The text of a short one is in the projection, a
 * long one is fetched in parts; either is compiled by a thread of its own, and until it is
 * whole the former version stays in force, and nothing else waits for it: neither the workers
 * nor what follows in the feed. Only that its change is applied is not said before. One that a
 * newer version follows while it is compiled is given up for that.
 *
 * Belongs to the door's main thread, but for a policy that is held.
 */
struct broker_policies;

/* Unchanged for as long as somebody holds it, which any thread may. */
struct broker_policy {
    atomic_uint holders;
    struct policy *policy; /* NULL: the text does not compile, and everything is denied */
    uint64_t version;
    struct registry_name name;
    char why[256]; /* it does not compile */
};
struct broker_policy *broker_policy_hold(struct broker_policy *policy); /* NULL is fine, */
void broker_policy_release(struct broker_policy *policy);               /* so here */

/* here: one that is in force now, and was not when follow() came back. */
enum rc broker_policies_new(struct broker_front *front, const struct broker_front_setup *setup,
                            void (*here)(struct broker_front *front),
                            struct broker_policies **policies);
void broker_policies_free(struct broker_policies *policies);
AUTO_STRUCT(broker_policies, broker_policies_free)

/* The projection has changed; anew: it is another one. */
void broker_policies_follow(struct broker_policies *policies, bool anew);
/* The link is a new one: what waits need not wait longer. */
void broker_policies_go_on(struct broker_policies *policies);
/* Is there a version that is not in force here yet? */
bool broker_policies_is_behind(const struct broker_policies *policies);
/* Borrowed; NULL before the first. */
struct broker_policy *broker_policies_current(const struct broker_policies *policies);
