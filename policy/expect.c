#include "policy/bound.h"
#include "policy/explain.h"
#include "policy/source.h"
#include "policy/view.h"

/*
 * Tests that stand in a policy: it does not load unless all of them come out as they say, at
 * doors that know all that they may know. What a test does not give is untold: it allows
 * nothing, and who is to be denied must be denied whatever it is.
 */

#define SET(fact) (1U << (fact))

/* ---- What doors know ---- */

enum {
    CLOCK = SET(POLICY_TIME_NOW) | SET(POLICY_TIME_OF_DAY) | SET(POLICY_TIME_WEEKDAY),
    SHOWN = SET(POLICY_CERTIFICATE_ISSUER) | SET(POLICY_CERTIFICATE_SUBJECT) |
            SET(POLICY_CERTIFICATE_SERIAL) | SET(POLICY_CERTIFICATE_FINGERPRINT) |
            SET(POLICY_CERTIFICATE_LEFT),
    ALL = CLOCK | SHOWN | SET(POLICY_CONNECTION_ADDRESS) | SET(POLICY_CONNECTION_TLS),
    SESSION = ALL | SET(POLICY_CLIENT_ID),
    MESSAGE = SESSION | SET(POLICY_MESSAGE_SIZE) | SET(POLICY_MESSAGE_QOS) |
              SET(POLICY_MESSAGE_RETAIN) | SET(POLICY_MESSAGE_CONTENT_TYPE),
    ACT =
        ALL | SET(POLICY_CONNECTION_DOOR) | SET(POLICY_DEVICE_ID) | SET(POLICY_DEVICE_PROFILE),
    ISSUE = ACT | SET(POLICY_REQUEST_KEY),
    ANY = MESSAGE | ACT | SET(POLICY_CONNECTION_PROTOCOL), /* nobody asks for these yet */
};

/* What nobody knows of whoever asks (attestation.*, firmware.version) is not known here
 * either. docs/policy-language.md, "What is asked today". */
static const uint32_t UNTOLD[POLICY_ACTIONS] = {
    [POLICY_CONNECT] = SESSION, [POLICY_SUBSCRIBE] = SESSION, [POLICY_PUBLISH] = MESSAGE,
    [POLICY_RECEIVE] = MESSAGE, [POLICY_RETAIN] = MESSAGE,    [POLICY_WILL] = MESSAGE,
    [POLICY_INGEST] = ANY,      [POLICY_READ] = ANY,          [POLICY_DELIVER] = ANY,
    [POLICY_CALL] = ACT,        [POLICY_ENROLL] = ISSUE,      [POLICY_RENEW] = ISSUE,
    [POLICY_REVOKE] = ACT,
};

static void add_door(enum policy_action action, struct policy_facts *facts)
{
    bool device = facts->asker == POLICY_BY_DEVICE;

    facts->untold = UNTOLD[action];
    if (device)
        facts->device_profile = BYTES("device"); /* the only one that devices have */
    if (UNTOLD[action] == ACT || UNTOLD[action] == ISSUE) {
        facts->connection_protocol = BYTES("https");
    } else if (device && UNTOLD[action] != ANY) {
        facts->connection_door = BYTES("device");
        facts->connection_protocol = BYTES("mqtt");
    }
}

/* Of a first certificate that a device asks for, a token stands. */
static bool shows_certificate(const struct policy_expectation *expectation)
{
    return expectation->principal != POLICY_ONE_SINK &&
           (expectation->principal != POLICY_ONE_DEVICE ||
            expectation->action != POLICY_ENROLL);
}

static struct policy_facts facts_of(const struct policy_expectation *expectation)
{
    struct policy_facts facts = { .groups = expectation->groups,
                                  .group_count = expectation->group_count };
    struct bytes *name = &facts.device_id;

    if (expectation->principal == POLICY_ONE_OPERATOR) {
        facts.asker = POLICY_BY_OPERATOR;
        name = &facts.operator_id;
    } else if (expectation->principal == POLICY_ONE_LINE) {
        facts.asker = POLICY_BY_LINE;
        name = &facts.line_id;
    } else if (expectation->principal == POLICY_ONE_SINK) {
        facts.asker = POLICY_BY_SINK;
        name = &facts.sink_name;
    }
    *name = expectation->name;
    if (shows_certificate(expectation))
        facts.certificate_subject = expectation->name;
    add_door(expectation->action, &facts);
    return facts;
}

/* ---- What it may cost ---- */

enum {
    TEST = 4, /* steps */
    VALUE_AT_ONCE = 128,
    TOPIC_AT_ONCE = 16, /* octets */
    DECISIONS_MOST = 5, /* of one trial */
};

static uint64_t cost_of(const struct policy_rules *rules, uint32_t condition)
{
    const struct policy_condition *c = &rules->conditions[condition];
    uint64_t cost = TEST;

    if (c->kind == POLICY_NOT)
        return cost_of(rules, c->left);
    if (c->kind != POLICY_TEST)
        return cost_of(rules, c->left) + cost_of(rules, c->right);
    for (uint32_t left = c->value_count; left > 0; left /= 2)
        cost++;
    return cost;
}

/* A session that is bound answers all the conditions that have slots. */
static uint64_t cost_of_binding(const struct policy *policy)
{
    uint64_t cost = 1;

    for (size_t slot = 0; slot < policy->slot_count; slot++)
        cost += cost_of(&policy->rules, policy->slots[slot]);
    return cost;
}

/* What compares texts takes longer with long ones. */
static size_t longest_value(const struct policy *policy,
                            const struct policy_expectation *expectation)
{
    size_t longest = expectation->name.len;

    for (uint32_t i = 0; i < expectation->given_count; i++) {
        const struct policy_given *given = &policy->rules.given[expectation->first_given + i];
        if (given->value.text.len > longest)
            longest = given->value.text.len;
    }
    return longest;
}

/* The worst topic or filter that there is for these rules. */
static uint64_t cost_of_decision(const struct policy_session *session)
{
    uint64_t cost = 0;

    for (uint32_t i = 0; i < session->root_count; i++) {
        const struct policy_cost *root = &session->policy->trie.costs[session->roots[i]];
        cost += root->steps + (uint64_t)root->denials;
    }
    return cost;
}

/* ---- What is asked ---- */

/* A test, of one who has one role. */
struct trial {
    const struct policy *policy;
    const struct policy_expectation *expectation;
    const struct policy_given *given;
    struct policy_effort *effort;
    uint64_t binding; /* what that costs */
    struct policy_session session, hopeful;
    struct policy_request asked[2]; /* what is retained is judged once more, as `retain` */
    size_t asked_count;
    bool by_none; /* that it is denied is no rule's doing */
};

static bool is_given(const struct trial *trial, enum policy_fact fact, int64_t number)
{
    for (uint32_t i = 0; i < trial->expectation->given_count; i++)
        if (trial->given[i].fact == fact && trial->given[i].value.number == number)
            return true;
    return false;
}

static enum rc begin(struct trial *trial, const struct policy_facts *facts)
{
    const struct policy_expectation *e = trial->expectation;
    bool message = e->action == POLICY_PUBLISH || e->action == POLICY_WILL;

    if (e->given_count > 0)
        trial->given = &trial->policy->rules.given[e->first_given];
    trial->asked[0] = (struct policy_request){ .action = e->action, .resource = e->resource };
    if (e->action == POLICY_REVOKE) {
        trial->asked[0].known = POLICY_KNOWS_TARGET;
        trial->asked[0].target_groups = e->groups;
        trial->asked[0].target_group_count =
            e->principal == POLICY_ONE_DEVICE ? 0 : e->group_count;
    }
    trial->asked[1] =
        (struct policy_request){ .action = POLICY_RETAIN, .resource = e->resource };
    trial->asked_count = message && is_given(trial, POLICY_MESSAGE_RETAIN, true) ? 2 : 1;
    const uint64_t values = 1 + longest_value(trial->policy, e) / VALUE_AT_ONCE;
    const uint64_t topic = 1 + e->resource.len / TOPIC_AT_ONCE;
    TRY(policy_effort_spend(trial->effort, values * trial->binding));
    TRY(policy_bound_bind(trial->policy, facts, trial->given, e->given_count, &trial->session));
    TRY(policy_effort_spend(trial->effort, DECISIONS_MOST * values * topic *
                                               cost_of_decision(&trial->session)));
    trial->hopeful = trial->session;
    trial->hopeful.hopes = true;
    return RC_OK;
}

/* The first decision that denies, or else the one about the act itself. */
static struct policy_decision decide(const struct trial *trial,
                                     const struct policy_session *session, size_t *which)
{
    struct policy_decision first, next;

    *which = 0;
    first = next = policy_decide_request(session, &trial->asked[0]);
    for (size_t i = 1; next.allowed && i < trial->asked_count; i++) {
        next = policy_decide_request(session, &trial->asked[i]);
        *which = next.allowed ? 0 : i;
    }
    return next.allowed ? first : next;
}

/* ---- What was not given ---- */

static uint32_t untold_of_condition(const struct policy_rules *rules, uint32_t condition,
                                    const struct policy_view *view)
{
    if (condition == POLICY_ALWAYS)
        return 0;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST)
        return policy_view_fact(view, c->fact).untold ? SET(c->fact) : 0;
    uint32_t left = untold_of_condition(rules, c->left, view);
    return c->kind == POLICY_NOT ? left : left | untold_of_condition(rules, c->right, view);
}

/* Simple rules are in the order of the text's. */
static size_t first_of(const struct policy_rules *rules, uint32_t number)
{
    size_t low = 0, high = rules->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rules->at[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the rule that decided, as it was written. */
static uint32_t untold_of_rule(const struct trial *trial,
                               const struct policy_decision *decision)
{
    const struct policy_rules *rules = &trial->policy->rules;
    const struct policy_view view = policy_view_of(&trial->session, &trial->asked[0]);
    uint32_t untold = 0;

    if (!decision->by_rule)
        return 0;
    /* A limit that is reached here is told by the next one who spends. */
    for (size_t i = first_of(rules, decision->rule);
         i < rules->count && rules->at[i].number == decision->rule &&
         policy_effort_spend(trial->effort, 1) == RC_OK;
         i++)
        untold |= untold_of_condition(rules, rules->at[i].condition, &view) |
                  policy_view_untold(&view, rules->at[i].filter);
    return untold;
}

static void add_facts(uint32_t facts, struct buf *out)
{
    const char *comma = "";

    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++)
        if (facts >> fact & 1) {
            buf_addf(out, "%s%s", comma, policy_fact_get(fact)->name);
            comma = ", ";
        }
}

/* ---- What came out ---- */

static void add_decision(const struct trial *trial, const struct policy_decision *decision,
                         size_t which, struct buf *why)
{
    if (which > 0)
        buf_addf(why, "it is to be retained, and that is ");
    if (decision->by_rule)
        policy_explain_rule(decision, why);
    else
        buf_addf(why, which > 0 ? "allowed by no rule" : "no rule allows it");
    if (!decision->allowed)
        policy_explain_more(&trial->session, &trial->asked[which], decision, "; ", why);
}

static void add_untold(uint32_t untold, struct buf *why)
{
    buf_addf(why, "that is so only because of what is not given (");
    add_facts(untold, why);
    buf_addf(why, "): else it may be ");
}

/* What is allowed for sure may be too large for another rule that may allow it, too. */
static void weigh_payload(const struct trial *trial, size_t which, struct buf *why)
{
    const struct policy_view view = policy_view_of(&trial->session, &trial->asked[which]);
    struct policy_decision hoped = policy_decide_request(&trial->hopeful, &trial->asked[which]);

    if (hoped.too_large) {
        add_untold(untold_of_rule(trial, &hoped), why);
        policy_explain_rule(&hoped, why);
    } else if (hoped.obligations.payload_limited &&
               policy_view_fact(&view, POLICY_MESSAGE_SIZE).untold) {
        buf_addf(why, "message.size is not given, and more than %llu octets are denied",
                 (unsigned long long)hoped.obligations.payload);
    }
}

static bool is_allowed(const struct trial *trial, struct buf *why)
{
    size_t which = 0;
    struct policy_decision decision = decide(trial, &trial->session, &which);

    if (!decision.allowed)
        add_decision(trial, &decision, which, why);
    for (size_t i = 0; why->len == 0 && i < trial->asked_count; i++)
        weigh_payload(trial, i, why);
    return why->len == 0;
}

/* In hope; that it is too large is sure only by a rule that is. */
static bool may_be_allowed(const struct trial *trial, size_t which,
                           struct policy_decision *hoped)
{
    *hoped = policy_decide_request(&trial->hopeful, &trial->asked[which]);
    return hoped->allowed || (hoped->too_large && untold_of_rule(trial, hoped) != 0);
}

/* Whatever what is not given may be. */
static bool is_surely_denied(struct trial *trial)
{
    struct policy_decision hoped;
    bool denied = false, by_rule = false;

    for (size_t i = 0; i < trial->asked_count; i++)
        if (!may_be_allowed(trial, i, &hoped)) {
            denied = true;
            by_rule = by_rule || hoped.by_rule;
        }
    trial->by_none = trial->by_none || (denied && !by_rule);
    return denied;
}

static bool is_denied(struct trial *trial, struct buf *why)
{
    size_t which = 0;
    struct policy_decision decision = decide(trial, &trial->session, &which), hoped;

    if (is_surely_denied(trial))
        return true;
    if (decision.allowed) {
        add_decision(trial, &decision, which, why);
        return false;
    }
    (void)may_be_allowed(trial, which, &hoped);
    add_untold(untold_of_rule(trial, &decision) | untold_of_rule(trial, &hoped), why);
    if (hoped.allowed)
        policy_explain_rule(&hoped, why);
    else
        buf_addf(why, "allowed");
    return false;
}

static enum rc try_it(struct trial *trial, const struct policy_facts *facts, const char *whom)
{
    AUTO_BUF(why, 1024);
    bool wanted = trial->expectation->effect == POLICY_ALLOW;
    const char *text = "it is not";

    TRY(begin(trial, facts));
    if (wanted ? is_allowed(trial, &why) : is_denied(trial, &why))
        return RC_OK;
    if (buf_text(&why, &text) != RC_OK)
        text = "it is not";
    return fault(RC_MALFORMED, "expected that it is %s%s, but %s",
                 wanted ? "allowed" : "denied", whom, text);
}

static enum rc run(struct trial *trial)
{
    const struct policy_expectation *expectation = trial->expectation;
    struct policy_facts facts = facts_of(expectation);

    if (expectation->action == POLICY_SUBSCRIBE &&
        bytes_start_with(expectation->resource, BYTES("$share/")))
        return expectation->effect == POLICY_DENY
                   ? RC_OK
                   : fault(RC_MALFORMED, "no door takes a shared subscription");
    if (facts.asker != POLICY_BY_OPERATOR)
        return try_it(trial, &facts, "");
    /* Unless his role is given it is one of these. */
    facts.operator_role = BYTES("auditor");
    bool as_auditor = try_it(trial, &facts, "") == RC_OK;
    facts.operator_role = BYTES("admin");
    TRY(try_it(trial, &facts, as_auditor ? " of an admin" : ""));
    facts.operator_role = BYTES("auditor");
    return try_it(trial, &facts, " of an auditor");
}

/* ---- Groups that are misspelt ---- */

static bool is_digit(uint8_t letter)
{
    return letter >= '0' && letter <= '9';
}

/* One letter more, less, other, or two swapped: not of names as short as to be so by chance,
 * nor of numbers, which count what is alike. */
static bool is_near(struct bytes a, struct bytes b)
{
    enum { SHORTEST = 4 };

    if (a.len < SHORTEST || b.len < SHORTEST)
        return false;
    while (a.len > 0 && b.len > 0 && a.at[0] == b.at[0]) {
        a = (struct bytes){ a.at + 1, a.len - 1 };
        b = (struct bytes){ b.at + 1, b.len - 1 };
    }
    while (a.len > 0 && b.len > 0 && a.at[a.len - 1] == b.at[b.len - 1]) {
        a.len--;
        b.len--;
    }
    if ((a.len > 0 && is_digit(a.at[0])) || (b.len > 0 && is_digit(b.at[0])))
        return false;
    return (a.len <= 1 && b.len <= 1) ||
           (a.len == 2 && b.len == 2 && a.at[0] == b.at[1] && a.at[1] == b.at[0]);
}

/* The group that a condition of a resource is about; empty: it is another condition. */
static struct bytes target_of(const struct policy_rules *rules, size_t condition)
{
    const struct policy_condition *c = &rules->conditions[condition];

    return c->kind == POLICY_TEST && c->operator== POLICY_IN_GROUP
               ? rules->values[c->first_value].text
               : (struct bytes){ NULL, 0 };
}

/* Among the groups that rules are for, and those of the policy's own. */
static struct bytes find_near(const struct policy *policy, struct bytes group)
{
    const struct policy_rules *rules = &policy->rules;

    for (size_t i = 0; i < policy->named_count; i++)
        if (policy->named[i].principal == POLICY_GROUP && is_near(policy->named[i].name, group))
            return policy->named[i].name;
    for (size_t i = 0; i < rules->member_count; i++)
        if (is_near(rules->members[i].group, group))
            return rules->members[i].group;
    for (size_t i = 0; i < rules->condition_count; i++)
        if (is_near(target_of(rules, i), group))
            return target_of(rules, i);
    return (struct bytes){ NULL, 0 };
}

static bool is_target(const struct policy_rules *rules, struct bytes group)
{
    size_t i = 0;

    while (i < rules->condition_count && !bytes_equal(target_of(rules, i), group))
        i++;
    return i < rules->condition_count;
}

static bool has_group(const struct policy *policy, struct bytes group)
{
    const struct policy_rules *rules = &policy->rules;
    size_t i = 0;

    if (policy_bound_root(policy, POLICY_GROUP, group) != POLICY_NONE)
        return true;
    while (i < rules->member_count && !bytes_equal(rules->members[i].group, group))
        i++;
    return i < rules->member_count || is_target(rules, group);
}

/* A group that no rule names matches none, so `expect deny` would hold however it is spelt. It
 * may be one of the registry's, unless it looks like one that is meant. */
static enum rc check_groups(const struct trial *trial)
{
    const struct policy *policy = trial->policy;
    const struct policy_expectation *expectation = trial->expectation;

    for (size_t i = 0; i < expectation->group_count; i++) {
        const struct bytes group = expectation->groups[i];
        TRY(policy_effort_spend(trial->effort, policy->named_count +
                                                   policy->rules.member_count +
                                                   policy->rules.condition_count));
        if (has_group(policy, group))
            continue;
        const struct bytes near = find_near(policy, group);
        if (near.len > 0)
            return fault(RC_MALFORMED,
                         "the group \"%.*s\" is named nowhere else: did you mean \"%.*s\"?",
                         BYTES_FMT(group), BYTES_FMT(near));
    }
    return RC_OK;
}

enum rc policy_expect_all(const struct policy *policy, struct policy_effort *effort,
                          struct policy_errors *errors)
{
    const struct policy_rules *rules = &policy->rules;
    struct trial trial = { .policy = policy,
                           .effort = effort,
                           .binding = cost_of_binding(policy) };

    /* What is not told is not worked out, either: why not may take a look at every rule. */
    for (size_t i = 0; i < rules->expectation_count && errors->count < POLICY_ERRORS_MAX; i++) {
        const struct policy_expectation *expectation = &rules->expectations[i];
        trial.expectation = expectation;
        enum rc rc = check_groups(&trial);
        if (rc == RC_OK)
            rc = run(&trial);
        if (rc == RC_LIMIT || rc == RC_CLOSED)
            return fault_while(rc, "line %u", expectation->at.line);
        if (rc != RC_OK)
            policy_source_add(errors, rules->files[expectation->at.file], expectation->at.line,
                              expectation->at.column, rc);
    }
    return errors->count > 0 ? policy_source_fault(errors) : RC_OK;
}

enum rc policy_expect_rests_on_roles(const struct policy *policy,
                                     const struct policy_expectation *expectation, bool *does)
{
    static const unsigned ACTS =
        1U << POLICY_CALL | 1U << POLICY_ENROLL | 1U << POLICY_RENEW | 1U << POLICY_REVOKE;
    struct policy_effort effort = { .most = POLICY_EFFORT_MAX };
    struct trial trial = { .policy = policy, .effort = &effort, .expectation = expectation };

    *does = false;
    if (expectation->effect != POLICY_DENY || !(ACTS & 1U << expectation->action))
        return RC_OK;
    enum rc rc = run(&trial);
    *does = trial.by_none;
    return rc == RC_MALFORMED ? RC_OK : rc; /* it was accepted, so it came out before */
}
