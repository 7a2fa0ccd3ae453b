/* What a policy means, worked out from its rules alone: for people who write, review and change
 * policies. Slow beside a decision, and bounded: RC_LIMIT says what was too much. */
#pragma once

#include "policy/policy.h"

/*
 * Exact on topics (and routes, profiles, devices), since filters are regular languages; with
 * topics of any length, as policy_decide_request() judges subscriptions. Careful on conditions:
 * they are taken as what may hold or not, the same only if written the same, and every result
 * that rests on one says so. A rule with a fact in its resource that nobody knows here counts
 * as one on condition, too.
 *
 * Results own their memory and borrow nothing, but who is told by a callback borrows for the
 * call. Threads: as policy_decide_request(), each call by itself.
 */
struct policy_arena;

/* All that the filter matches but what one of the exceptions does. Of an action that is done to
 * nothing the filter is empty. May have ${fact} in it, of who asks; and $+ as the first level,
 * which is any that begins with $. */
struct policy_area {
    struct bytes filter;
    struct bytes *except;
    size_t except_count;
};

/* A rule as people find it. */
struct policy_where {
    uint32_t rule; /* its place in the text, from 0; UINT32_MAX: it is an expectation */
    unsigned line, column;
    struct bytes file; /* empty: the policy itself */
};

enum { POLICY_AREAS_MAX = 20000 }; /* of one result, with exceptions */

/* The devices there are. Visits must each be passed on, and what they return must end it. */
struct policy_fleet {
    enum rc (*each)(void *with,
                    enum rc (*visit)(void *visitor, const struct policy_facts *device),
                    void *visitor);
    void *with;
};

/* ---- What looks wrong in a policy ---- */

enum policy_concern {
    POLICY_SHADOWED,    /* without this rule, or this resource of it, all would be the same */
    POLICY_NEVER,       /* it can never apply */
    POLICY_EMPTY_GROUP, /* it is for a group that nobody is in, or tests one nothing is for */
    POLICY_OPEN,        /* it lets in every device alike, or everyone */
    POLICY_WIDE,        /* its wildcards are wider than what it is for */
    POLICY_CLAIMED,     /* it lets in, or denies, by what the client says of itself */
    POLICY_IDLE,        /* what it wants is asked by nobody, or not held, or by roles alone */
    POLICY_UNTOLD, /* it asks for a fact that is never told, or never so, where it is asked */
    POLICY_UNFINISHED, /* it was not looked whether this one and those above are shadowed */
};
struct policy_finding {
    enum policy_concern concern;
    bool grave; /* else: worth a look */
    struct policy_where where;
    struct bytes resource; /* of the rule; empty if it is not about one */
    struct bytes text;     /* a sentence */
};
struct policy_findings {
    struct policy_finding *at; /* by rule */
    size_t count;
    struct policy_arena *arena;
};
/* How many devices the registry has in a group. */
struct policy_groups {
    enum rc (*size)(void *with, struct bytes group, uint64_t *devices);
    void *with;
};
/*
 * Exact on topics: a rule is called shadowed only if others of the same policy decide all that
 * it does, for all that it is for, under no more conditions and with the same duties. Of rules
 * that shadow each other, the last are told. groups NULL: empty groups are not looked for.
 */
enum rc policy_check(const struct policy *policy, const struct policy_groups *groups,
                     struct policy_findings *findings);
/* The same at a time (milliseconds since 1970): what has ended by then never applies. */
enum rc policy_check_at(const struct policy *policy, const struct policy_groups *groups,
                        int64_t now_ms, struct policy_findings *findings);
/* Without a time, and what is shadowed is looked for with so many steps at most,
 * POLICY_CHECK_STEPS above: some seconds of a processor. Then one finding says where it was
 * given up. */
enum { POLICY_CHECK_STEPS = 4000000 };
enum rc policy_check_within(const struct policy *policy, const struct policy_groups *groups,
                            uint64_t steps, struct policy_findings *findings);
void policy_findings_clear(struct policy_findings *findings);
/* "line 3: "a/b": all of it is allowed by line 2" */
void policy_findings_write(const struct policy_findings *findings, struct buf *out);

/* ---- What one who asks may do ---- */

struct policy_reach_entry {
    unsigned actions; /* set of 1 << enum policy_action */
    struct policy_area area;
    bool sure;                  /* else: if */
    struct bytes condition;     /* "if message.size < 1024 unless client.id = "x"" */
    struct policy_where *rules; /* that allow some of it */
    size_t rule_count;
};
struct policy_reach {
    struct policy_reach_entry *at;
    size_t count;
    struct policy_arena *arena;
};
/* RC_DENIED: as policy_bind(). Facts that are not known are open: both answers are possible. Of
 * subscriptions: filters all of whose topics are in the areas of a kind. */
enum rc policy_reach(const struct policy *policy, const struct policy_facts *facts,
                     struct policy_reach *reach);
void policy_reach_clear(struct policy_reach *reach);
void policy_reach_write(const struct policy_reach *reach, struct buf *out);

/* ---- Why one request is decided as it is ---- */

enum policy_answer { POLICY_IS_NOT, POLICY_IS_SO, POLICY_IS_OPEN /* nobody knows */ };

struct policy_derived_test {
    struct bytes test;         /* "message.qos = 1"; under a not: "not (message.qos = 1)" */
    struct bytes fact;         /* what it is: "0"; "not known", "not told" */
    enum policy_answer answer; /* of the test as it is told here */
    bool untold;               /* who judges in earnest may know the fact */
};
/* A rule for who asks and for the action, whose resource has to do with what was asked for. */
struct policy_derived_rule {
    struct policy_where where;
    bool allows;           /* else: denies */
    struct bytes resource; /* as written */
    bool in_part;          /* of a subscription: some of its topics, not all */
    enum policy_answer matches, condition;
    struct policy_derived_test *tests; /* of the condition, in the order of the text */
    size_t test_count;
    enum policy_answer applies; /* OPEN: that rests on what is untold */
    bool decides;
    bool obliges;       /* to a limit, a payload, a lease */
    int64_t lease_ms;   /* as policy_obligations has it; 0: none */
    uint64_t limit_key; /* as policy_decision has it; 0: none */
};
struct policy_derivation {
    struct policy_decision decision; /* with what is known */
    /*
     * The answer of who knows what is untold: yes or no only if it is that whatever he knows,
     * and whatever he does not, as far as single tests can tell; never wrong. Is it allowed; is
     * there a denial? Without anything untold both are as the decision.
     */
    enum policy_answer allowed, denied;
    uint32_t untold;     /* facts that rules rest on of which it is open whether they apply */
    bool limits_payload; /* of who is allowed, by a rule that applies or may */
    struct policy_derived_rule *at;
    size_t count;
    struct bytes nearest; /* of what is surely not allowed: as policy_explain_denial() */
    struct policy_arena *arena;
};
/* Could the answer rest on what is untold? If not, it is the decision. */
bool policy_asks_untold(const struct policy_session *session,
                        const struct policy_request *request);
/* The session and its policy are borrowed for the call; decision.file is the policy's. */
enum rc policy_derive(const struct policy_session *session,
                      const struct policy_request *request,
                      struct policy_derivation *derivation);
void policy_derivation_clear(struct policy_derivation *derivation);
/* "denied by line 3 of version 7", "perhaps: it rests on what is not told here: client.id" */
void policy_derivation_write_answer(const struct policy_derivation *derivation,
                                    struct buf *out);
void policy_derivation_write(const struct policy_derivation *derivation, struct buf *out);

/*
 * Can a test of the time come to something else at some moment than at another one between
 * these, both included? Of any rule, whoever it is for. certificate_ends_ms 0: not known, so
 * tests of what is left stay what they are.
 */
bool policy_turns(const struct policy *policy, int64_t certificate_ends_ms, int64_t first_ms,
                  int64_t last_ms);

/* ---- Who may do one thing ---- */

struct policy_who_entry {
    struct bytes device;
    bool sure;
    const struct policy_where *rules; /* that allow some of it */
    size_t rule_count;
};
/* Tells each device that may, or may under some condition. resource: as of a policy_request. */
enum rc policy_who(const struct policy *policy, enum policy_action action,
                   struct bytes resource, const struct policy_fleet *fleet,
                   enum rc (*each)(void *with, const struct policy_who_entry *entry),
                   void *with);
void policy_who_write(const struct policy_who_entry *entry, struct buf *out);

/* ---- What a new policy changes ---- */

enum policy_change {
    POLICY_NEWLY_ALLOWED,
    POLICY_NEWLY_DENIED,
    POLICY_MORE_ALLOWED, /* under some condition */
    POLICY_MORE_DENIED,  /* likewise */
    POLICY_MAY_DIFFER,   /* conditions changed: nobody can say to what effect */
    POLICY_MAY_OBLIGE,   /* likewise, and what both allow may come with other obligations */
    POLICY_OTHER_DUTIES, /* as allowed as before, with another limit, payload, lease, log */
    POLICY_OTHER_METERS, /* with the same, but limits count other acts together */
};

/* For who is of this kind, has this name (empty: any), and is in these groups (of this role).
 * What holds for any name, or with fewer groups, is not told again for one, or with more. */
struct policy_diff_entry {
    enum policy_change change;
    enum policy_asker asker;
    struct bytes name;
    struct bytes groups[2];
    size_t group_count;
    unsigned actions;
    struct policy_area *areas;
    size_t area_count;
    struct bytes example;       /* one of the fewest levels; empty where areas have no filter */
    struct bytes before, after; /* conditions: "always", "never", "if ..." */
    uint64_t devices;           /* of the fleet's, for which it is so */
};
struct policy_diff {
    struct policy_diff_entry *at;
    size_t count;
    bool counted;     /* there was a fleet: else devices say nothing */
    uint64_t devices; /* of the fleet's, for which anything changes */
    /* For each device of the fleet, in its order: the set of actions of which anything changes
     * for it. NULL: nothing changes for any device, or there was no fleet. */
    unsigned *changed;
    struct policy_arena *arena;
};
/*
 * No entry: no request is decided otherwise, whoever asks, in whatever groups, with whatever
 * name, nor with other duties (other rules may be told), nor counted with others under a limit.
 * Where no conditions are, an entry means that some request is, or, of POLICY_OTHER_METERS,
 * that the rules whose limits count it, or which oblige a subscription that has it, are written
 * with other actions, resources or conditions. fleet NULL: nothing is counted.
 */
enum rc policy_diff(const struct policy *old, const struct policy *new,
                    const struct policy_fleet *fleet, struct policy_diff *diff);
void policy_diff_clear(struct policy_diff *diff);
void policy_diff_write(const struct policy_diff *diff, struct buf *out);
