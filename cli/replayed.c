#include "cli/replayed.h"

#include "registry/judged.h"

static const char UNKNOWN_FACT[] = "it rests on a fact that the log does not have";

/* A request as it was judged, or would be. */
struct asked {
    struct policy_facts facts;
    struct policy_session session;
    struct policy_request request;
};

/* What it comes to; of what is denied or open, why. */
struct judged {
    struct asked asked;
    enum cli_outcome outcome;
    struct policy_decision decision;
    const char *why; /* of CLI_UNDECIDABLE */
};

/* ---- One question ---- */

static void forget_connection(struct policy_facts *facts)
{
    const struct bytes none = { NULL, 0 };

    facts->connection_address = facts->connection_tls = none;
    facts->certificate_serial = facts->certificate_fingerprint = none;
    facts->certificate_ends_ms = 0;
}

static enum rc bind(const struct policy *policy, const struct cli_replayed *act,
                    enum policy_action action, struct asked *asked)
{
    asked->facts = *act->facts;
    asked->facts.untold = registry_judged_untold(action);
    if (act->of_any_session)
        forget_connection(&asked->facts);
    asked->request = (struct policy_request){
        .action = action,
        .resource = action == POLICY_CONNECT ? BYTES("") : act->target,
        .known = POLICY_KNOWS_NOW,
        .now_ms = act->first_ms,
    };
    return policy_bind(policy, &asked->facts, &asked->session);
}

/* Of acts at several moments, between which the time may change an answer, only what holds at
 * any time is known. */
static enum rc forget_time(const struct policy *policy, const struct cli_replayed *act,
                           struct asked *asked, bool *forgotten)
{
    *forgotten =
        policy_turns(policy, asked->facts.certificate_ends_ms, act->first_ms, act->last_ms);
    if (!*forgotten)
        return RC_OK;
    asked->facts.certificate_ends_ms = 0;
    asked->request.known = 0;
    return policy_bind(policy, &asked->facts, &asked->session);
}

static enum rc ask(const struct policy *policy, const struct cli_replayed *act,
                   enum policy_action action, struct judged *judged)
{
    struct asked *asked = &judged->asked;
    struct policy_decision unused;
    bool forgotten = false;

    TRY(bind(policy, act, action, asked));
    TRY(cli_outcome_of(&asked->session, &asked->request, &judged->outcome, &judged->decision));
    judged->why = UNKNOWN_FACT;
    if (judged->outcome == CLI_UNDECIDABLE)
        return RC_OK;
    TRY(forget_time(policy, act, asked, &forgotten));
    if (!forgotten)
        return RC_OK;
    judged->why = "counted together over a time in which a condition on time may change";
    return cli_outcome_of(&asked->session, &asked->request, &judged->outcome, &unused);
}

/* ---- Limits ---- */

/* What the old policy asked for, a lease of 0 is none; and how long the session was open. */
struct asked_before {
    uint64_t limit_key;
    int64_t lease_ms, open_ms;
};

/* Each is of one duty, and asks of a decision or a rule whether it is another one now. */
typedef bool is_other_fn(const struct asked_before *before, uint64_t limit_key,
                         int64_t lease_ms);

static bool is_other_limit(const struct asked_before *before, uint64_t limit_key,
                           int64_t lease_ms)
{
    (void)lease_ms;
    return limit_key != 0 && limit_key != before->limit_key;
}

static bool is_shorter_lease(const struct asked_before *before, uint64_t limit_key,
                             int64_t lease_ms)
{
    (void)limit_key;
    return lease_ms != 0 && lease_ms <= before->open_ms &&
           (before->lease_ms == 0 || lease_ms < before->lease_ms);
}

/* May a rule of which nobody knows here whether it applies bring one? */
static enum rc may_differ(const struct asked *asked, const struct asked_before *before,
                          is_other_fn *is_other, bool *differs)
{
    struct policy_derivation derivation = { 0 };

    if (*differs || !policy_asks_untold(&asked->session, &asked->request))
        return RC_OK;
    TRY(policy_derive(&asked->session, &asked->request, &derivation));
    for (size_t i = 0; i < derivation.count && !*differs; i++) {
        const struct policy_derived_rule *rule = &derivation.at[i];
        *differs = rule->allows && rule->applies == POLICY_IS_OPEN &&
                   is_other(before, rule->limit_key, rule->lease_ms);
    }
    policy_derivation_clear(&derivation);
    return RC_OK;
}

static struct asked_before duties_of(const struct policy_decision *decision,
                                     const struct cli_replayed *act)
{
    return (struct asked_before){
        .limit_key = decision->limit_key,
        .lease_ms = decision->obligations.lease_ms,
        .open_ms = act->opened_ms == 0 ? INT64_MAX : act->last_ms - act->opened_ms,
    };
}

static enum rc differs(const struct policy *old, const struct cli_replayed *act,
                       const struct judged *new, is_other_fn *is_other, bool *is_so)
{
    struct judged was = { 0 };

    TRY(ask(old, act, new->asked.request.action, &was));
    const struct asked_before before = duties_of(&was.decision, act);
    const struct asked_before now = duties_of(&new->decision, act);
    *is_so = is_other(&before, now.limit_key, now.lease_ms);
    TRY(may_differ(&new->asked, &before, is_other, is_so));
    /* One that has a limit now, and perhaps had another one. */
    return now.limit_key == 0 || is_other != is_other_limit
               ? RC_OK
               : may_differ(&was.asked, &now, is_other_limit, is_so);
}

/* ---- All that is asked ---- */

struct weighing {
    const struct policy *old, *new;
    const struct cli_replayed *act;
    enum cli_outcome outcome;
    struct policy_decision decision; /* that denied it, or else of the act */
    const char *before;              /* its explanation */
    const char *why;                 /* of CLI_UNDECIDABLE */
};

static void weigh(struct weighing *w, const struct judged *judged, const char *before)
{
    if (w->outcome == CLI_DENIED || judged->outcome == CLI_ALLOWED)
        return;
    if (judged->outcome == CLI_DENIED) {
        w->decision = judged->decision;
        w->before = before;
    } else if (w->outcome == CLI_ALLOWED) {
        w->why = judged->why;
    }
    if (judged->outcome == CLI_DENIED || w->outcome == CLI_ALLOWED)
        w->outcome = judged->outcome;
}

static void leave_open(struct weighing *w, bool open, const char *why)
{
    if (!open || w->outcome != CLI_ALLOWED)
        return;
    w->outcome = CLI_UNDECIDABLE;
    w->why = why;
}

static enum rc weigh_connect(struct weighing *w)
{
    struct judged connect = { 0 };
    bool shorter = false;

    TRY(ask(w->new, w->act, POLICY_CONNECT, &connect));
    weigh(w, &connect, "it may not connect: ");
    if (w->outcome != CLI_ALLOWED)
        return RC_OK;
    TRY(differs(w->old, w->act, &connect, is_shorter_lease, &shorter));
    leave_open(w, shorter,
               "its session has, or may have, a shorter lease, which is not replayed");
    return RC_OK;
}

static enum rc weigh_limit(struct weighing *w, const struct judged *judged)
{
    bool other = false;

    if (w->outcome != CLI_ALLOWED)
        return RC_OK;
    TRY(differs(w->old, w->act, judged, is_other_limit, &other));
    leave_open(w, other, "it has, or may have, another limit of rate, which is not replayed");
    return RC_OK;
}

/* Of a publication that was allowed, and of a will, the log does not say whether it was to be
 * retained; if one was allowed while that was not, it was not. What is retained and denied is a
 * record of its own, but of a will. */
static enum rc weigh_retained(struct weighing *w)
{
    struct judged now = { 0 }, was = { 0 };

    if (w->outcome != CLI_ALLOWED || (!w->act->allowed && w->act->action == POLICY_PUBLISH))
        return RC_OK;
    TRY(ask(w->new, w->act, POLICY_RETAIN, &now));
    if (now.outcome == CLI_ALLOWED)
        return RC_OK;
    TRY(ask(w->old, w->act, POLICY_RETAIN, &was));
    leave_open(w, !w->act->allowed || was.outcome != CLI_DENIED,
               "the log does not say whether it was retained");
    return RC_OK;
}

static enum rc weigh_published(struct weighing *w)
{
    struct judged published = { 0 };

    TRY(ask(w->new, w->act, POLICY_PUBLISH, &published));
    weigh(w, &published, "it may not be published: ");
    return weigh_limit(w, &published);
}

static enum rc weigh_act(struct weighing *w)
{
    const struct cli_replayed *act = w->act;
    struct judged judged = { 0 };

    if (!act->changed) {
        w->outcome = act->allowed ? w->outcome : CLI_DENIED;
        return RC_OK;
    }
    if (act->nameless != NULL) {
        leave_open(w, true, act->nameless);
        return RC_OK;
    }
    TRY(ask(w->new, act, act->action, &judged));
    w->decision = judged.decision;
    weigh(w, &judged, "");
    TRY(weigh_limit(w, &judged));
    if (act->action == POLICY_RETAIN)
        return weigh_published(w);
    return act->action == POLICY_PUBLISH || act->action == POLICY_WILL ? weigh_retained(w)
                                                                       : RC_OK;
}

/* ---- Beside what it was ---- */

static enum cli_change change_of(const struct weighing *w)
{
    if (w->outcome == CLI_UNDECIDABLE)
        return CLI_UNDECIDED;
    if ((w->outcome == CLI_ALLOWED) == w->act->allowed)
        return CLI_SAME;
    return w->outcome == CLI_ALLOWED ? CLI_NEWLY_ALLOWED : CLI_NEWLY_DENIED;
}

unsigned cli_replayed_besides(enum policy_action action)
{
    return action == POLICY_RETAIN                             ? 1U << POLICY_PUBLISH
           : action == POLICY_PUBLISH || action == POLICY_WILL ? 1U << POLICY_RETAIN
                                                               : 0;
}

enum rc cli_replayed_judge(const struct policy *old, const struct policy *new,
                           const struct cli_replayed *act, enum cli_change *change,
                           struct buf *why)
{
    struct weighing w = { .old = old, .new = new, .act = act, .before = "" };

    w.outcome = CLI_ALLOWED;
    if (act->action != POLICY_CONNECT)
        TRY(weigh_connect(&w));
    if (w.outcome != CLI_DENIED)
        TRY(weigh_act(&w));
    leave_open(&w, act->limited, "it was denied by a limit of rate");
    *change = change_of(&w);
    if (*change == CLI_UNDECIDED) {
        buf_addf(why, "%s", w.why);
    } else if (*change != CLI_SAME) {
        buf_addf(why, "%s", w.before);
        policy_explain(&w.decision, why);
    }
    return RC_OK;
}
