/* A policy: rules as text, compiled once, immutable, and judged without allocation. */
#pragma once

#include <stdatomic.h>

#include "base/buf.h"
#include "base/own.h"
#include "policy/fact.h"
#include "policy/topic.h"

/*
 * The language is docs/policy-language.md; in short: default deny, deny overrides allow, the
 * order of rules has no meaning. A policy is plain memory behind a count of references: many
 * sessions judge by the same one, and a new version replaces it whole.
 *
 * Threads: the count is not atomic, so policy_ref() and policy_unref() belong to one thread at
 * a time: the one that compiled, or to whom that handed it. Deciding only reads: any number of
 * threads may do it at once, as long as a reference is held (broker/policies.h).
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
    POLICY_ERRORS_MAX = 20,      /* told of one text */
    POLICY_NAME_MAX = 64,        /* of a device or group */
    POLICY_GROUPS_MAX = 16,      /* of one session */
    POLICY_FILES_MAX = 64,       /* of a bundle */
    POLICY_FILE_MAX = 64,        /* letters of a file's name */
    POLICY_FACT_LEVEL_MAX = 256, /* octets of a level with ${...}, as it is written */
    POLICY_EFFORT_MAX = 1 << 27, /* steps to compile one, of some ten nanoseconds */

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
 * expected. Texts are UTF-8, and nothing in one is unprintable. */
struct policy_errors {
    size_t count;
    struct policy_error {
        char file[POLICY_FILE_MAX + 1]; /* "": the policy itself */
        unsigned line, column;          /* from 1; columns count bytes */
        char text[320];
    } at[POLICY_ERRORS_MAX];
};

/*
 * An import of a file that the text has no `file "NAME"` part for: the one behind the first
 * skip of them, or false. A name is letters, digits and . _ - /, no level of which is empty or
 * begins with a dot. Borrowed from the text. Of a text that does not compile it may miss some.
 */
struct policy_lacking {
    struct bytes name, file; /* file: that imports it; empty: the policy itself */
    unsigned line, column;
};
bool policy_find_lacking(struct bytes text, size_t skip, struct policy_lacking *lacking);
/* Has it parts, or lines that look so? */
bool policy_has_files(struct bytes text);

/*
 * Compile. RC_MALFORMED: errors has at least one, and the fault is the first, "line L column C:
 * ...". RC_LIMIT (text, rules, levels of all rules together, steps), RC_NOMEM: it may have
 * none. version is the caller's number for it, told in decisions. *policy has one reference,
 * the caller's.
 */
enum rc policy_compile(struct bytes text, uint64_t version, struct policy_errors *errors,
                       struct policy **policy);
/* The same, and another thread may set stop: then it is RC_CLOSED soon. */
enum rc policy_compile_until(const atomic_bool *stop, struct bytes text, uint64_t version,
                             struct policy_errors *errors, struct policy **policy);
struct policy *policy_ref(struct policy *policy);
void policy_unref(struct policy *policy); /* NULL is fine */
AUTO_STRUCT(policy, policy_unref)

uint64_t policy_version(const struct policy *policy);
/* For one that was compiled before it was known which version it would be, and by which nobody
 * has judged yet. */
void policy_set_version(struct policy *policy, uint64_t version);
size_t policy_rule_count(const struct policy *policy);
struct bytes policy_text(const struct policy *policy); /* as it was compiled from */

/* ---- Who asks ---- */

enum policy_asker { POLICY_BY_DEVICE, POLICY_BY_OPERATOR, POLICY_BY_LINE, POLICY_BY_SINK };

/*
 * What is known of a session. A text whose at is NULL and a time of 0 are not known, which
 * helps nobody: a condition on them is not met for who is allowed and met for who is denied.
 * Borrowed for the session's life; groups only while binding.
 */
struct policy_facts {
    struct bytes device_id;
    const struct bytes *groups; /* of the device, in the registry */
    size_t group_count;
    enum policy_asker asker; /* whose own name, below or above, must be known */
    struct bytes device_profile, operator_id, operator_role, line_id, sink_name;
    struct bytes certificate_issuer;  /* Common Name */
    struct bytes certificate_subject; /* Common Name, of a device serialNumber: its id */
    struct bytes certificate_serial, certificate_fingerprint; /* hexadecimal, lower case */
    int64_t certificate_ends_ms;                              /* notAfter */
    struct bytes attestation_verdict;
    int64_t attestation_at_ms;
    struct bytes firmware_version;   /* what is no version counts as not known */
    struct bytes connection_address; /* "192.0.2.7"; likewise */
    struct bytes connection_door, connection_protocol, connection_tls;
    struct bytes client_id;
    /* Set of 1 << enum policy_fact, of who only works out what a door would say: what that one
     * may know of this session or of a message. Where it is not known here conditions on it are
     * open, `is known` as well, which helps nobody either; policy_derive() tells what that
     * leaves possible. Of who judges in earnest it is empty. */
    uint32_t untold;
};

struct policy_given; /* what a test of a policy takes as given; inside policy/ only */

enum {
    POLICY_ROOTS_MAX = 3 + 2 * POLICY_GROUPS_MAX, /* anyone, any of a kind, this one, groups */
    POLICY_SLOTS_MAX = 128, /* conditions that are worked out when a session is bound */
};

/* A policy bound to facts: no memory of its own; it holds a borrowed policy and borrowed facts.
 * Plain data. */
struct policy_session {
    const struct policy *policy;
    const struct policy_facts *facts;
    const struct policy_given *given;
    uint32_t given_count, root_count;
    bool hopes; /* what is untold is as it suits who asks: of tests that stand in a policy */
    uint64_t yes[POLICY_SLOTS_MAX / 64], perhaps[POLICY_SLOTS_MAX / 64];
    uint32_t roots[POLICY_ROOTS_MAX]; /* of the rules that concern it */
};

/* RC_DENIED if a fact could change a rule's meaning: what may stand in a topic is letters,
 * digits and . _ : - only, so it holds no wildcard, no separator, no `$` and no other fact
 * (OpenBao GHSA-59w7-v8rr-pr4p; AWS client ids `+`), or if who asks has no name. RC_LIMIT for
 * more groups. */
enum rc policy_bind(const struct policy *policy, const struct policy_facts *facts,
                    struct policy_session *session);

/* ---- Decisions ---- */

/* What holds with what is allowed. Nothing is asked where a number is 0 and a bool false. */
struct policy_obligations {
    uint32_t rate;  /* acts per rate_ms, */
    uint32_t burst; /* and so many at once */
    int64_t rate_ms;
    uint64_t payload; /* octets at most, if payload_limited */
    int64_t lease_ms; /* the session ends so long after it was opened, at the latest */
    int64_t until_ms; /* the rule ends then (wall clock) */
    bool payload_limited;
    bool log_full; /* each act is a record of its own */
};

struct policy_decision {
    bool allowed;
    bool by_rule;       /* false: no rule allowed it, which is a no */
    bool too_large;     /* the rule told allows no message of this size, which is a no */
    uint32_t rule;      /* with by_rule: its place in the text, from 0 */
    unsigned line;      /* with by_rule: where it starts, */
    struct bytes file;  /* in this file; empty: the policy itself. Borrowed from the policy */
    unsigned text_line; /* where it starts in all the text: what audit records have */
    uint64_t version;   /* of the policy */
    /* If allowed. The strictest of all rules that allow it; the limit is counted for the rule
     * that it is of, by its key. Of a denial, log_full alone, of the rule told. */
    struct policy_obligations obligations;
    uint32_t limit_rule;
    uint64_t limit_key; /* the same limit in all versions; 0: none */
};

/* What of a request is known beside its action and resource. */
enum {
    POLICY_KNOWS_SIZE = 1,
    POLICY_KNOWS_QOS = 2,
    POLICY_KNOWS_RETAIN = 4,
    POLICY_KNOWS_NOW = 8,
    POLICY_KNOWS_TARGET = 16,
};
struct policy_request {
    enum policy_action action;
    struct bytes resource; /* a name that passed policy_topic_check_name(); of POLICY_SUBSCRIBE
                            * a filter that passed its check; of POLICY_CONNECT ignored */
    unsigned known;        /* set of POLICY_KNOWS_* */
    uint64_t size;         /* octets of the payload */
    unsigned qos;
    bool retain;
    int64_t now_ms;            /* wall clock */
    struct bytes content_type; /* at NULL: not known */
    struct bytes key;          /* kind of the key in a request for a certificate; likewise */
    const struct bytes *target_groups; /* of the device in resource, in the registry */
    size_t target_group_count;
};

/*
 * The rule told is the first denial that matches, or else the first permit.
 *
 * May the session subscribe to a filter? Yes if every topic that it matches is permitted by
 * some rule, by one or by several together, and none is matched by a denial: exact, since
 * filters are regular languages; as if topics could have any length and number of levels, but
 * at least one character [MQTT-4.7.3-1]. Of a shared subscription, ask for the filter behind
 * $share/NAME/. The rule told is the first denial with a topic in common; or else the first
 * permit of all of the filter; or else, of permits that take turns, the first of all its topics
 * below some level. Conditions are asked as for any request, so one on a message is not known.
 */
struct policy_decision policy_decide_request(const struct policy_session *session,
                                             const struct policy_request *request);
/* The same with nothing else known. Not for POLICY_SUBSCRIBE. */
struct policy_decision policy_decide(const struct policy_session *session,
                                     enum policy_action action, struct bytes topic);
struct policy_decision policy_decide_subscribe(const struct policy_session *session,
                                               struct bytes filter);

/* "allowed by line 3 of version 7", "no rule of version 7 allows it"; of a version 0, which has
 * no number yet, "allowed by line 3". */
void policy_explain(const struct policy_decision *decision, struct buf *out);

/*
 * More of a denial, for people, slowly (all rules are looked at): of one by a rule, which
 * condition of it nobody could answer; of one by none, the rule that came nearest to allow it
 * and what it lacked: `nearest is line 4, which asks for message.qos = 1; it is 0`. Nothing is
 * added if there is nothing to tell.
 */
void policy_explain_denial(const struct policy_session *session,
                           const struct policy_request *request, struct buf *out);

/* Does any rule ask for the time, so that a decision may change by itself? */
bool policy_is_timed(const struct policy *policy);
