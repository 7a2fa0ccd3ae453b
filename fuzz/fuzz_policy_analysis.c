/* Target: policy_language_filter, policy_language_describe, policy_check, policy_reach,
 * policy_who, policy_diff, policy_derive */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/analysis.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static const struct bytes GROUPS[] = { BYTES("displays"), BYTES("g") };
static const struct policy_facts DEVICE = {
    .device_id = BYTES("d"), .groups = GROUPS, .group_count = 2, .client_id = BYTES("c")
};

static enum rc each(void *with,
                    enum rc (*visit)(void *visitor, const struct policy_facts *device),
                    void *visitor)
{
    (void)with;
    return visit(visitor, &DEVICE);
}

static const struct policy_fleet FLEET = { each, NULL };

static enum rc take(void *with, const struct policy_who_entry *entry)
{
    *(bool *)with = entry->sure;
    return RC_OK;
}

/* One of an area's topics, if it has no exceptions; of what begins with `$`, that is `$+`, too.
 */
static void write_topic(const struct policy_area *area, struct buf *topic)
{
    for (size_t i = 0; i < area->filter.len; i++) {
        uint8_t letter = area->filter.at[i];
        buf_add_u8(topic, letter == '+' || letter == '#' ? 'x' : letter);
    }
}

enum may { MAY_NOT, MAY, NO_SESSION };

static enum may ask(const struct policy *policy, enum policy_action action, struct bytes topic)
{
    struct policy_session session;

    if (policy_bind(policy, &DEVICE, &session) != RC_OK)
        return NO_SESSION;
    return policy_decide(&session, action, topic).allowed ? MAY : MAY_NOT;
}

/* What is surely reached is allowed at the door. */
static void check_door(const struct policy *policy, const struct policy_reach_entry *entry)
{
    AUTO_BUF(topic, POLICY_TOPIC_MAX);

    if (!entry->sure || entry->area.except_count > 0)
        return;
    write_topic(&entry->area, &topic);
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (entry->actions & 1U << action && ask(policy, action, buf_bytes(&topic)) == MAY_NOT)
            abort();
}

/* Each topic that is surely reached is one that the device surely may use, and is allowed. */
static void check_one(const struct policy *policy, const struct policy_reach_entry *entry)
{
    struct policy_session session;
    struct policy_derivation derivation = { 0 };
    struct policy_request request = { .action =
                                          (enum policy_action)__builtin_ctz(entry->actions),
                                      .resource = entry->area.filter };
    bool sure = false;

    check_door(policy, entry);
    if (request.action != POLICY_SUBSCRIBE || !entry->sure || entry->area.except_count > 0)
        return;
    enum rc rc = policy_who(policy, request.action, request.resource, &FLEET, take, &sure);
    if (rc == RC_OK && !sure)
        abort();
    if (policy_bind(policy, &DEVICE, &session) != RC_OK ||
        policy_derive(&session, &request, &derivation) != RC_OK)
        return;
    if (!derivation.decision.allowed)
        abort();
    policy_derivation_clear(&derivation);
}

/* Of a name, what applies is what decides. */
static void check_name(const struct policy *policy, enum policy_action action,
                       struct bytes resource)
{
    const struct policy_request request = { .action = action,
                                            .resource = resource,
                                            .known = POLICY_KNOWS_QOS | POLICY_KNOWS_NOW,
                                            .qos = 1 };
    struct policy_derivation derivation = { 0 };
    struct policy_session session;
    bool allows = false, denies = false;
    AUTO_BUF(text, 1 << 22);

    if (policy_bind(policy, &DEVICE, &session) != RC_OK ||
        policy_derive(&session, &request, &derivation) != RC_OK)
        return;
    for (size_t i = 0; i < derivation.count; i++) {
        bool applies = derivation.at[i].applies == POLICY_IS_SO;
        allows = allows || (applies && derivation.at[i].allows);
        denies = denies || (applies && !derivation.at[i].allows);
    }
    if (derivation.decision.allowed != (allows && !denies))
        abort();
    policy_derivation_write(&derivation, &text);
    policy_derivation_clear(&derivation);
}

enum { QOS_MOST = 2, KINDS = 4 };

/* One who knows some of it: client id or none, QoS or none. */
static struct policy_decision decide_as(const struct policy *policy,
                                        struct policy_request request, unsigned which)
{
    struct policy_facts facts = DEVICE;
    struct policy_session session;

    if (which & 1)
        facts.client_id = (struct bytes){ NULL, 0 };
    request.known = which & 2 ? POLICY_KNOWS_QOS : 0;
    request.qos = QOS_MOST;
    return policy_bind(policy, &facts, &session) == RC_OK
               ? policy_decide_request(&session, &request)
               : (struct policy_decision){ 0 };
}

/* Of whom both are untold, yes and no are so of each. */
static void check_untold(const struct policy *policy, enum policy_action action,
                         struct bytes resource)
{
    const struct policy_request request = { .action = action, .resource = resource };
    struct policy_facts facts = DEVICE;
    struct policy_derivation derivation = { 0 };
    struct policy_session session;
    AUTO_BUF(text, 1 << 22);

    facts.client_id = (struct bytes){ NULL, 0 };
    facts.untold = 1U << POLICY_CLIENT_ID | 1U << POLICY_MESSAGE_QOS;
    if (policy_bind(policy, &facts, &session) != RC_OK ||
        policy_derive(&session, &request, &derivation) != RC_OK)
        return;
    for (unsigned which = 0; which < KINDS && derivation.allowed != POLICY_IS_OPEN; which++)
        if (decide_as(policy, request, which).allowed != (derivation.allowed == POLICY_IS_SO))
            abort();
    policy_derivation_write(&derivation, &text);
    policy_derivation_clear(&derivation);
}

static void check_all(const struct policy *policy)
{
    struct policy_findings findings = { 0 };
    struct policy_reach reach = { 0 };
    struct policy_diff diff = { 0 };
    AUTO_BUF(text, 1 << 22);

    if (policy_check(policy, NULL, &findings) == RC_OK)
        policy_findings_write(&findings, &text);
    if (policy_reach(policy, &DEVICE, &reach) == RC_OK)
        policy_reach_write(&reach, &text);
    for (size_t i = 0; i < reach.count && i < 8; i++)
        check_one(policy, &reach.at[i]);
    check_name(policy, POLICY_PUBLISH, BYTES("a/b"));
    check_name(policy, POLICY_RECEIVE, BYTES("a/d/x"));
    check_name(policy, POLICY_CONNECT, (struct bytes){ NULL, 0 });
    check_untold(policy, POLICY_PUBLISH, BYTES("a/b"));
    check_untold(policy, POLICY_SUBSCRIBE, BYTES("a/#"));
    check_untold(policy, POLICY_CONNECT, (struct bytes){ NULL, 0 });
    if (policy_diff(policy, policy, &FLEET, &diff) == RC_OK && diff.count > 0)
        abort();
    policy_findings_clear(&findings);
    policy_reach_clear(&reach);
    policy_diff_clear(&diff);
}

static void check_area(const struct policy *old, const struct policy *new,
                       const struct policy_reach_entry *entry)
{
    AUTO_BUF(topic, POLICY_TOPIC_MAX);

    write_topic(&entry->area, &topic);
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        enum may before = ask(old, action, buf_bytes(&topic));
        enum may after = ask(new, action, buf_bytes(&topic));
        if (entry->actions & 1U << action && before != after && before != NO_SESSION &&
            after != NO_SESSION)
            abort();
    }
}

/* Where no request is decided otherwise, none of what may be reached by one of them is. */
static void check_same(const struct policy *old, const struct policy *new,
                       const struct policy *reached)
{
    struct policy_reach reach = { 0 };

    if (policy_reach(reached, &DEVICE, &reach) == RC_OK)
        for (size_t i = 0; i < reach.count && i < 8; i++)
            check_area(old, new, &reach.at[i]);
    policy_reach_clear(&reach);
}

enum { ASKED = 7 };
static const struct asked {
    enum policy_action action;
    struct bytes resource;
} ASKS[ASKED] = {
    { POLICY_CONNECT, { NULL, 0 } },    { POLICY_PUBLISH, BYTES("a") },
    { POLICY_PUBLISH, BYTES("a/b") },   { POLICY_RECEIVE, BYTES("a/d/x") },
    { POLICY_SUBSCRIBE, BYTES("a/#") }, { POLICY_SUBSCRIBE, BYTES("a/+") },
    { POLICY_SUBSCRIBE, BYTES("a/b") },
};

static bool decide_all(const struct policy *policy, struct policy_decision *decisions)
{
    struct policy_session session;

    if (policy_bind(policy, &DEVICE, &session) != RC_OK)
        return false;
    for (size_t i = 0; i < ASKED; i++) {
        const struct policy_request request = { .action = ASKS[i].action,
                                                .resource = ASKS[i].resource,
                                                .known = POLICY_KNOWS_QOS,
                                                .qos = 1 };
        decisions[i] = policy_decide_request(&session, &request);
    }
    return true;
}

static bool is_limited_alike(const struct policy_obligations *x,
                             const struct policy_obligations *y)
{
    return (uint64_t)x->rate * (uint64_t)y->rate_ms ==
               (uint64_t)y->rate * (uint64_t)x->rate_ms &&
           x->burst == y->burst;
}

/* What is counted together is so in both. */
static bool is_counted_alike(const struct policy_decision *old,
                             const struct policy_decision *new, size_t i, size_t j)
{
    if (old[i].obligations.rate == 0 || old[j].obligations.rate == 0)
        return true;
    return (old[i].limit_rule == old[j].limit_rule) == (new[i].limit_rule == new[j].limit_rule);
}

static void check_alike(const struct policy *old_policy, const struct policy *new_policy)
{
    struct policy_decision old[ASKED], new[ASKED];

    if (!decide_all(old_policy, old) || !decide_all(new_policy, new))
        return;
    for (size_t i = 0; i < ASKED; i++) {
        if (old[i].allowed != new[i].allowed)
            abort();
        if (!old[i].allowed)
            continue;
        if ((old[i].obligations.rate == 0) != (new[i].obligations.rate == 0) ||
            !is_limited_alike(&old[i].obligations, &new[i].obligations) ||
            old[i].obligations.lease_ms != new[i].obligations.lease_ms ||
            old[i].obligations.log_full != new[i].obligations.log_full)
            abort();
        for (size_t j = 0; j < i; j++)
            if (old[j].allowed && !is_counted_alike(old, new, i, j))
                abort();
    }
}

/* Two policies with a zero between them. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    const uint8_t *zero = len == 0 ? NULL : memchr(at, 0, len);
    size_t first = zero == NULL ? len : (size_t)(zero - at);
    struct policy_errors errors = { 0 };
    struct policy_diff diff = { 0 };
    AUTO_OF(policy) *old = NULL;
    AUTO_OF(policy) *new = NULL;
    AUTO_BUF(text, 1 << 22);

    if (policy_compile((struct bytes){ at, first }, 1, &errors, &old) != RC_OK)
        return 0;
    check_all(old);
    if (zero == NULL ||
        policy_compile((struct bytes){ zero + 1, len - first - 1 }, 2, &errors, &new) != RC_OK)
        return 0;
    enum rc rc = policy_diff(old, new, &FLEET, &diff);
    if (rc == RC_OK)
        policy_diff_write(&diff, &text);
    if (rc == RC_OK && diff.count == 0) {
        check_same(old, new, old);
        check_same(old, new, new);
        check_alike(old, new);
    }
    policy_diff_clear(&diff);
    return 0;
}
