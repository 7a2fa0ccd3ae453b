#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/known.h"
#include "cli/live.h"
#include "cli/outcome.h"

#include "audit/json.h"
#include "base/clock.h"

enum { TEXT_MAX = 64 * 1024 * 1024, LINE_LEN_MAX = 4096 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct impact {
    const struct cli_call *call;
    struct cli_source source;
    struct policy *old, *new;
    bool some_lose;   /* rights to subscribe, between them */
    bool unsure;      /* more differs than can be told, so anybody may */
    json_t *sessions; /* cli_live_read() */
    struct cli_known known;
    json_t *losses; /* [{"device","since","peer","loses","filter","why"}] */
    size_t cut, lost, perhaps;
    int64_t now_ms;
};

/* One session; it stays where it is, for it is bound. */
struct look {
    struct impact *m;
    const json_t *session;
    struct cli_judged judged;
    struct policy_session bound;
    bool perhaps; /* it loses more, or is cut */
};

/* ---- What there is now ---- */

static bool loses_some(const struct policy_diff_entry *entry)
{
    bool less = entry->change == POLICY_NEWLY_DENIED || entry->change == POLICY_MORE_DENIED ||
                entry->change == POLICY_MAY_DIFFER || entry->change == POLICY_MAY_OBLIGE;

    return less && entry->asker == POLICY_BY_DEVICE &&
           (entry->actions & 1U << POLICY_SUBSCRIBE) != 0;
}

static enum rc compare(struct impact *m)
{
    struct policy_diff diff = { 0 };
    enum rc rc = policy_diff(m->old, m->new, NULL, &diff);

    m->some_lose = m->unsure = rc == RC_LIMIT;
    if (rc != RC_OK)
        return m->unsure ? RC_OK : rc;
    for (size_t i = 0; i < diff.count; i++)
        m->some_lose |= loses_some(&diff.at[i]);
    policy_diff_clear(&diff);
    return RC_OK;
}

static enum rc gather(struct impact *m)
{
    const struct clock clock = clock_system();
    struct cli_remote *remote = &m->source.remote;

    m->now_ms = clock_wall_ms(&clock);
    TRY(cli_compile(&m->source, m->call->words[0], &m->new));
    TRY(cli_compile(&m->source, "active", &m->old));
    TRY(compare(m));
    TRY(cli_known_read(remote, &m->known));
    return cli_live_read(remote, &m->sessions);
}

/* ---- What the door would say ---- */

static enum rc bind(const struct impact *m, const json_t *session, struct cli_judged *judged,
                    struct policy_session *bound)
{
    const struct cli_said said = { cli_audit_text(session, "device"),
                                   cli_audit_text(session, "peer"),
                                   cli_audit_text(session, "tls"),
                                   cli_audit_text(session, "fingerprint") };

    TRY(cli_known_judge(&m->known, &said, judged));
    judged->facts.untold =
        registry_judged_untold(POLICY_CONNECT) | registry_judged_untold(POLICY_SUBSCRIBE);
    return policy_bind(m->new, &judged->facts, bound);
}

/* What is allowed with what is known of a session is allowed. */
static enum rc decide(const struct impact *m, const struct policy_session *bound,
                      const struct policy_request *request, enum cli_outcome *outcome,
                      struct policy_decision *decision)
{
    struct policy_request asked = *request;

    asked.known = POLICY_KNOWS_NOW;
    asked.now_ms = m->now_ms;
    *outcome = CLI_ALLOWED;
    *decision = policy_decide_request(bound, &asked);
    return decision->allowed ? RC_OK : cli_outcome_of(bound, &asked, outcome, decision);
}

/* ---- What is lost ---- */

static enum rc add_loss(const struct impact *m, const json_t *session, const char *loses,
                        const char *filter, struct bytes why)
{
    json_t *row = json_pack(
        "{s:O, s:O, s:O, s:s, s:s?, s:o}", "device", json_object_get(session, "device"),
        "since", json_object_get(session, "since"), "peer", json_object_get(session, "peer"),
        "loses", loses, "filter", filter, "why", audit_json_text(why));

    return json_array_append_new(m->losses, row) == 0 ? RC_OK : fault(RC_NOMEM, "a loss");
}

static enum rc add_denial(const struct impact *m, const json_t *session, const char *loses,
                          const char *filter, const struct policy_decision *decision)
{
    AUTO_BUF(why, LINE_LEN_MAX);

    policy_explain(decision, &why);
    return add_loss(m, session, loses, filter, buf_bytes(&why));
}

static enum rc just_this(void *with,
                         enum rc (*visit)(void *visitor, const struct policy_facts *),
                         void *visitor)
{
    const struct cli_judged *judged = with;

    return visit(visitor, &judged->facts);
}

static enum rc add_perhaps(struct look *look, const char *filter, struct bytes why)
{
    look->perhaps = true;
    return add_loss(look->m, look->session, "perhaps", filter, why);
}

static enum rc add_unsure(struct look *look, const char *filter)
{
    return add_perhaps(look, filter,
                       BYTES("it rests on a fact of the session (certificate.issuer, "
                             "client.id) that neither the log nor the API tells"));
}

/* Could the device lose any subscription at all? Slow, so asked only if any device could. */
static enum rc may_lose(const struct impact *m, struct cli_judged *judged, bool *may)
{
    const struct policy_fleet fleet = { just_this, judged };
    struct policy_diff diff = { 0 };

    *may = m->unsure;
    if (m->unsure || !m->some_lose)
        return RC_OK;
    TRY(policy_diff(m->old, m->new, &fleet, &diff));
    for (size_t i = 0; i < diff.count; i++)
        *may |= loses_some(&diff.at[i]) && diff.at[i].devices > 0;
    policy_diff_clear(&diff);
    return RC_OK;
}

static enum rc look_at_filter(struct look *look, const char *filter, bool sure)
{
    const struct policy_request request = { .action = POLICY_SUBSCRIBE,
                                            .resource = bytes_of_text(filter) };
    struct impact *m = look->m;
    struct policy_decision decision;
    enum cli_outcome outcome;

    TRY(decide(m, &look->bound, &request, &outcome, &decision));
    if (outcome == CLI_UNDECIDABLE)
        return add_unsure(look, filter);
    if (outcome == CLI_ALLOWED)
        return RC_OK;
    if (!sure)
        return add_perhaps(look, filter,
                           BYTES("it may have been given up: the log counts what was "
                                 "subscribed to and given up in one window together"));
    m->lost++;
    return add_denial(m, look->session, "subscription", filter, &decision);
}

static enum rc look_at_subscriptions(struct look *look)
{
    json_t *held = json_object_get(look->session, "subscriptions"), *one = NULL;
    const char *filter = NULL;
    bool more = json_is_true(json_object_get(look->session, "more"));

    json_object_foreach(held, filter, one) TRY(look_at_filter(look, filter, json_is_true(one)));
    if (more)
        TRY(may_lose(look->m, &look->judged, &more));
    return more ? add_perhaps(look, NULL,
                              BYTES("it has subscriptions that the log does not name"))
                : RC_OK;
}

/* The shortest lease that it may have of rules of which nobody knows here whether they apply.
 */
static enum rc may_lease(const struct look *look, const struct policy_request *request,
                         int64_t *lease_ms)
{
    struct policy_derivation derivation = { 0 };
    struct policy_request asked = *request;

    asked.known = POLICY_KNOWS_NOW;
    asked.now_ms = look->m->now_ms;
    *lease_ms = 0;
    if (!policy_asks_untold(&look->bound, &asked))
        return RC_OK;
    TRY(policy_derive(&look->bound, &asked, &derivation));
    for (size_t i = 0; i < derivation.count; i++) {
        const struct policy_derived_rule *rule = &derivation.at[i];
        bool may = rule->allows && rule->lease_ms > 0 && rule->applies == POLICY_IS_OPEN;
        if (may && (*lease_ms == 0 || rule->lease_ms < *lease_ms))
            *lease_ms = rule->lease_ms;
    }
    policy_derivation_clear(&derivation);
    return RC_OK;
}

static enum rc cut_by_lease(const struct look *look, const struct policy_decision *decision)
{
    AUTO_BUF(why, LINE_LEN_MAX);

    look->m->cut++;
    buf_addf(&why, "its lease is over: ");
    policy_explain(decision, &why);
    return add_loss(look->m, look->session, "session", NULL, buf_bytes(&why));
}

/* As the door does when it judges all sessions anew. */
static enum rc look_at_connection(struct look *look, bool *cut)
{
    const struct policy_request request = { .action = POLICY_CONNECT, .resource = BYTES("") };
    struct impact *m = look->m;
    struct policy_decision decision;
    enum cli_outcome outcome;
    int64_t lease_ms = 0;

    TRY(bind(m, look->session, &look->judged, &look->bound));
    TRY(decide(m, &look->bound, &request, &outcome, &decision));
    *cut = true;
    if (outcome == CLI_DENIED) {
        m->cut++;
        return add_denial(m, look->session, "session", NULL, &decision);
    }
    if (decision.allowed &&
        cli_live_outlasts(look->session, decision.obligations.lease_ms, m->now_ms))
        return cut_by_lease(look, &decision);
    *cut = false;
    if (outcome == CLI_UNDECIDABLE)
        TRY(add_unsure(look, NULL));
    TRY(may_lease(look, &request, &lease_ms));
    return cli_live_outlasts(look->session, lease_ms, m->now_ms) && outcome == CLI_ALLOWED
               ? add_unsure(look, NULL)
               : RC_OK;
}

static enum rc look_at(struct impact *m, const json_t *session)
{
    struct look look = { .m = m, .session = session };
    bool cut = false;

    TRY(look_at_connection(&look, &cut));
    if (cut)
        return RC_OK;
    TRY(look_at_subscriptions(&look));
    m->perhaps += look.perhaps;
    return RC_OK;
}

/* ---- Told ---- */

static enum rc tell(const struct impact *m)
{
    static const struct cli_show_column COLUMNS[] = {
        { "DEVICE", "device" }, { "SINCE", "since" },   { "FROM", "peer" },
        { "LOSES", "loses" },   { "FILTER", "filter" }, { "WHY", "why" },
    };
    AUTO_BUF(text, TEXT_MAX);
    size_t sessions = json_object_size(m->sessions);

    if (json_array_size(m->losses) > 0)
        cli_show_table(m->losses, COLUMNS, COUNT(COLUMNS), &text);
    buf_addf(&text, "Of %zu session%s %zu would be cut; %zu subscription%s would be lost",
             sessions, sessions == 1 ? "" : "s", m->cut, m->lost, m->lost == 1 ? "" : "s");
    if (m->perhaps > 0)
        buf_addf(&text, ", and perhaps more of %zu session%s", m->perhaps,
                 m->perhaps == 1 ? "" : "s");
    buf_addf(&text, ".\n");
    return cli_command_put(m->call, &text);
}

static enum rc show(const struct impact *m)
{
    if (json_array_size(m->losses) > 0)
        *m->call->status = CLI_EXIT_NO;
    if (!m->call->json)
        return tell(m);
    AUTO(json_value) *answer =
        json_pack("{s:o, s:o, s:o, s:o, s:O}", "sessions",
                  audit_json_number(json_object_size(m->sessions)), "cut",
                  audit_json_number(m->cut), "lost", audit_json_number(m->lost), "perhaps",
                  audit_json_number(m->perhaps), "losses", m->losses);
    return cli_show_line(m->call, answer, "%s", "");
}

static enum rc look(struct impact *m)
{
    const char *correlation = NULL;
    json_t *session = NULL;

    TRY(gather(m));
    json_object_foreach(m->sessions, correlation, session) TRY(look_at(m, session));
    return show(m);
}

static enum rc run(const struct cli_call *call)
{
    struct impact m = { .call = call, .source.call = call, .losses = json_array() };
    enum rc rc = look(&m);

    policy_unref(m.old);
    policy_unref(m.new);
    json_decref(m.sessions);
    cli_known_clear(&m.known);
    json_decref(m.losses);
    cli_source_close(&m.source);
    return rc;
}

const struct cli_command CLI_POLICY_IMPACT = {
    .name = "policy impact",
    .arguments = "NEW",
    .words_least = 1,
    .words_most = 1,
    .summary = "show which sessions and subscriptions another policy would end now",
    .teaching =
        "NEW is a file or the number of a version. Judges every session that is open, as the "
        "audit log has it, with\nthe facts that the door has: from where, over which TLS, with "
        "which certificate, at this hour. The log\nnames a subscription when the door's "
        "audit_window is over (10s), and of many that were allowed by\none rule within "
        "it but their pattern. Of a session that has subscriptions without a\nname, `perhaps` "
        "is "
        "said if the policies differ for them, and where it rests on what neither log nor\n"
        "API tells (client.id, certificate.issuer; be it by `is known`). A session that is "
        "open "
        "for longer than\nNEW's lease is cut. Anything that would end is status 9.\n"
        "\n"
        "Example:\n  touchmark policy impact new.policy\n",
    .run = run,
    .remote = true,
};
