/* A policy: rules as text, compiled once, immutable, and judged without allocation. */
#pragma once

#include "base/buf.h"
#include "base/own.h"
#include "policy/fact.h"
#include "policy/topic.h"

/*
 * The language is docs/policy-language.md; in short: default deny, deny overrides allow, the
 * order of rules has no meaning. A policy is plain memory behind a count of references: many
 * sessions judge by the same one, and a new version replaces it whole.
 *
 * Threads: the count is not atomic, so policy_ref() and policy_unref() belong to the thread
 * that compiled; each worker of a door compiles its own. Deciding only reads: any number of
 * threads may do it at once, as long as the one that compiled holds its reference.
 */
struct policy;

enum policy_action {
    POLICY_CONNECT,
    POLICY_PUBLISH,
    POLICY_SUBSCRIBE, /* implies POLICY_RECEIVE of what it covers */
    POLICY_RECEIVE,   /* judged for every message at delivery */
    POLICY_RETAIN,    /* in addition to POLICY_PUBLISH */
    POLICY_WILL,      /* judged at connect and again when the will is due */
    POLICY_INGEST,    /* a message over HTTP */
    POLICY_READ,      /* stored data: a series */
    POLICY_DELIVER,   /* to a sink */
    POLICY_CALL,      /* a route of the API */
    POLICY_ENROLL,    /* a first certificate */
    POLICY_RENEW,
    POLICY_REVOKE,
    POLICY_ACTIONS
};

/* What an action is done to. All are judged as filters over levels between slashes. */
enum policy_resource {
    POLICY_NOTHING, /* connect */
    POLICY_TOPIC,   /* "plant/7/state" */
    POLICY_ROUTE,   /* "GET /v1/devices/pump-7": the method is the first level's first word */
    POLICY_PROFILE, /* "device": one level */
    POLICY_DEVICE,  /* "pump-7": one level */
};
const char *policy_action_name(enum policy_action action);
enum policy_resource policy_action_resource(enum policy_action action);
/* POLICY_ACTIONS if there is none. */
enum policy_action policy_action_by_name(struct bytes name);

enum {
    POLICY_TEXT_MAX = 16 * 1024 * 1024,
    POLICY_RULES_MAX = 100000,
    POLICY_ERRORS_MAX = 20, /* told of one text */
    POLICY_NAME_MAX = 64,   /* of a device or group */
    POLICY_GROUPS_MAX = 16, /* of one session */
    POLICY_FILES_MAX = 64,  /* of a bundle */
    POLICY_FILE_MAX = 64,   /* letters of a file's name */

    /*
     * What one judgement may cost, for each of the sets of rules that concern a session (any
     * device, this device, each group). A topic is walked down a tree of levels in which every
     * node has one way in; it may follow a spelt-out level, + and ${device.id} at once, and
     * a subscription with wildcards all denials. Compiling counts the worst there can be and
     * refuses a policy above these, so no topic or filter is slow, however it was chosen.
     */
    POLICY_STEPS_MAX = 1024,
    POLICY_DENIALS_MAX = 16384,
};

/* What is wrong with a text, as many as are told; each says what was found and what was
 * expected. Nothing in a text is unprintable. */
struct policy_errors {
    size_t count;
    struct policy_error {
        char file[POLICY_FILE_MAX + 1]; /* "": the policy itself */
        unsigned line, column;          /* from 1; columns count bytes */
        char text[160];
    } at[POLICY_ERRORS_MAX];
};

/*
 * Compile. RC_MALFORMED: errors has at least one, and the fault is the first, "line L column C:
 * ...". RC_LIMIT (text, rules, levels of all rules together), RC_NOMEM: it may have none.
 * version is the caller's number for it, told in decisions. *policy has one reference, the
 * caller's.
 */
enum rc policy_compile(struct bytes text, uint64_t version, struct policy_errors *errors,
                       struct policy **policy);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy); /* NULL is fine */
AUTO_STRUCT(policy, policy_unref)

uint64_t policy_version(const struct policy *policy);
size_t policy_rule_count(const struct policy *policy);
struct bytes policy_text(const struct policy *policy); /* as it was compiled from */

/* Who asks. Borrowed for the session's life. */
struct policy_facts {
    struct bytes device_id;
    const struct bytes *groups;
    size_t group_count;
};

/* A policy bound to facts: no memory of its own; it holds a borrowed policy. Plain data. */
struct policy_session {
    const struct policy *policy;
    struct bytes device_id;
    uint32_t roots[2 + POLICY_GROUPS_MAX]; /* of tries: any device, this device, its groups */
    size_t root_count;
};

/*
 * RC_DENIED if a fact could change a rule's meaning: an id is letters, digits and . _ : - only,
 * so it holds no wildcard, no separator, no `$` and no other fact (OpenBao GHSA-59w7-v8rr-pr4p;
 * AWS client ids `+`). RC_LIMIT for more groups.
 */
enum rc policy_bind(const struct policy *policy, const struct policy_facts *facts,
                    struct policy_session *session);

struct policy_decision {
    bool allowed;
    bool by_rule;     /* false: no rule allowed it, which is a no */
    uint32_t rule;    /* with by_rule: its place in the text, from 0 */
    unsigned line;    /* with by_rule: where it starts */
    uint64_t version; /* of the policy */
};

/* topic: a name that passed policy_topic_check_name(); ignored for POLICY_CONNECT. Not for
 * POLICY_SUBSCRIBE. The rule told is the first denial that matches, or else the first permit.
 */
struct policy_decision policy_decide(const struct policy_session *session,
                                     enum policy_action action, struct bytes topic);

/*
 * May the session subscribe to this filter (which passed its check)? Yes if every topic that it
 * matches is permitted by some rule, by one or by several together, and none is matched by a
 * denial: exact, since filters are regular languages; as if topics could have any length and
 * number of levels, but at least one character [MQTT-4.7.3-1]. Of a shared subscription, ask
 * for the filter behind $share/NAME/.
 *
 * The rule told is the first denial with a topic in common; or else the first permit of all of
 * the filter; or else, of permits that take turns, the first of all its topics below some
 * level.
 */
struct policy_decision policy_decide_subscribe(const struct policy_session *session,
                                               struct bytes filter);

/* "allowed by line 3 of version 7", "no rule of version 7 allows it". */
void policy_explain(const struct policy_decision *decision, struct buf *out);
