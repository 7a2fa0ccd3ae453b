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
        allows = allows || (derivation.at[i].applies && derivation.at[i].allows);
        denies = denies || (derivation.at[i].applies && !derivation.at[i].allows);
    }
    if (derivation.decision.allowed != (allows && !denies))
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
    if (policy_diff(old, new, &FLEET, &diff) == RC_OK) {
        policy_diff_write(&diff, &text);
        if (diff.count == 0) {
            check_same(old, new, old);
            check_same(old, new, new);
        }
    }
    policy_diff_clear(&diff);
    return 0;
}
