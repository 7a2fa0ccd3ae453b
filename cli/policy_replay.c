#include "cli/audit_pages.h"
#include "cli/changed.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/known.h"
#include "cli/outcome.h"

#include <string.h>

#include "audit/json.h"
#include "base/clock.h"

enum { TEXT_MAX = 64 * 1024 * 1024, LINE_LEN_MAX = 4096 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SINCE };
static const struct cli_option OPTIONS[] = {
    [SINCE] = { "--since", "TIME",
                "what was decided from then on, 2026-11-27T12:00:00Z (all)" },
};

struct replay {
    const struct cli_call *call;
    struct cli_source source;
    struct policy *new;
    struct cli_known known;
    struct cli_changed changed;
    json_t *rows; /* [{"change","device","action","target","was","why","count",...}] */
    json_int_t same, allowed, denied, undecidable; /* acts */
};

/* One audited decision of the door. */
struct decided {
    const json_t *record;
    enum policy_action action;
    json_int_t version, acts;
    bool allowed;
    struct cli_judged judged;
};

/* ---- Which decisions ---- */

static const char *const ACTIONS[] = { "session.open", "publish", "subscribe",
                                       "receive",      "retain",  "will" };

static enum policy_action action_of(const json_t *record)
{
    const char *name = cli_audit_text(record, "action");

    return strcmp(name, ACTIONS[0]) == 0 ? POLICY_CONNECT
                                         : policy_action_by_name(bytes_of_text(name));
}

/* A session that is refused for its will was judged by that: the will's record says so. */
static bool is_by_policy(const json_t *record)
{
    return json_is_integer(json_object_get(record, "policy")) &&
           strcmp(cli_audit_text(record, "actor.kind"), "device") == 0 &&
           strcmp(cli_audit_text(record, "reason"), "its will is not allowed") != 0;
}

/* ---- Does NEW decide anything otherwise for this device? ---- */

/* What an act takes besides: what may not be published is not retained, and with a will that is
 * retained the record is of both. A device that may not connect does nothing at all. */
static unsigned besides(enum policy_action action)
{
    return action == POLICY_RETAIN ? 1U << POLICY_PUBLISH
           : action == POLICY_WILL ? 1U << POLICY_RETAIN
                                   : 0;
}

/* Exact, and so what it leaves out need not be looked at, whatever the log does not know. */
static enum rc find_changed(struct replay *r, const struct decided *d, unsigned actions,
                            bool *changed)
{
    return cli_changed_ask(&r->changed, d->version, d->judged.device.id, actions, changed);
}

/* ---- What NEW says ---- */

struct verdict {
    enum cli_outcome outcome;
    enum policy_action action; /* of the decision */
    struct policy_decision decision;
};

static enum rc judge_one(const struct policy *policy, const struct decided *d,
                         enum policy_action action, int64_t now_ms, struct verdict *verdict)
{
    const bool nothing = policy_action_resource(action) == POLICY_NOTHING;
    const struct policy_request request = {
        .action = action,
        .resource = nothing ? BYTES("") : bytes_of_text(cli_audit_text(d->record, "target")),
        .known = POLICY_KNOWS_NOW,
        .now_ms = now_ms,
    };
    struct policy_facts facts = d->judged.facts;
    struct policy_session session;

    facts.untold = registry_judged_untold(action);
    verdict->action = action;
    TRY(policy_bind(policy, &facts, &session));
    return cli_outcome_of(&session, &request, &verdict->outcome, &verdict->decision);
}

/* With what it takes besides; the decision is the first denial, or the act's own. */
static enum rc judge_at(const struct replay *r, const struct decided *d,
                        enum policy_action asked, int64_t now_ms, struct verdict *verdict)
{
    const unsigned more = besides(asked);

    TRY(judge_one(r->new, d, asked, now_ms, verdict));
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        struct verdict beside;
        if (!(more & 1U << action))
            continue;
        TRY(judge_one(r->new, d, action, now_ms, &beside));
        if (asked == POLICY_WILL && action == POLICY_RETAIN && beside.outcome == CLI_DENIED)
            beside.outcome = CLI_UNDECIDABLE; /* nobody knows whether it was to be */
        const enum cli_outcome both = cli_outcome_both(verdict->outcome, beside.outcome);
        if (beside.outcome == CLI_DENIED && verdict->outcome != CLI_DENIED)
            *verdict = beside;
        verdict->outcome = both;
    }
    return RC_OK;
}

static enum rc read_time(const struct decided *d, const char *member, int64_t *ms)
{
    const json_t *aggregate = json_object_get(d->record, "aggregate");
    const char *time = json_string_value(json_object_get(aggregate, member));

    return clock_read_rfc3339(
        bytes_of_text(time == NULL ? cli_audit_text(d->record, "time") : time), ms);
}

/* What is counted together is judged where it begins and where it ends. */
static enum rc judge(const struct replay *r, const struct decided *d, enum policy_action action,
                     struct verdict *verdict)
{
    int64_t first_ms = 0, last_ms = 0;
    struct verdict last;

    TRY(read_time(d, "first", &first_ms));
    TRY(read_time(d, "last", &last_ms));
    TRY(judge_at(r, d, action, first_ms, verdict));
    if (last_ms == first_ms)
        return RC_OK;
    TRY(judge_at(r, d, action, last_ms, &last));
    if (last.outcome != verdict->outcome)
        verdict->outcome = CLI_UNDECIDABLE;
    return RC_OK;
}

/* Is what is allowed now held to a limit that was not in force then? */
static enum rc has_new_limit(struct replay *r, const struct decided *d,
                             const struct verdict *verdict, bool *has)
{
    const struct policy *old = NULL;
    struct verdict before;
    int64_t first_ms = 0;

    *has = verdict->decision.allowed && verdict->decision.obligations.rate > 0;
    if (!*has)
        return RC_OK;
    TRY(cli_changed_version(&r->changed, d->version, &old));
    TRY(read_time(d, "first", &first_ms));
    TRY(judge_one(old, d, verdict->action, first_ms, &before));
    *has = !before.decision.allowed || before.decision.limit_key != verdict->decision.limit_key;
    return RC_OK;
}

static enum rc add_change(struct replay *r, const struct decided *d, const char *change,
                          const char *why)
{
    static const char *const MEMBERS[] = { "change", "actor.id", "action",
                                           "target", "decision", "why" };
    AUTO(json_value) *row = json_deep_copy(d->record);

    if (row == NULL || json_object_set_new(row, "change", json_string(change)) != 0 ||
        json_object_set_new(row, "why", json_string(why)) != 0)
        return fault(RC_NOMEM, "a row");
    return cli_audit_tally(r->rows, row, MEMBERS, COUNT(MEMBERS));
}

static enum rc add_undecidable(struct replay *r, const struct decided *d, const char *why)
{
    r->undecidable += d->acts;
    return add_change(r, d, "undecidable", why);
}

static enum rc add_outcome(struct replay *r, const struct decided *d,
                           const struct verdict *verdict)
{
    const bool allowed = verdict->outcome == CLI_ALLOWED;
    AUTO_BUF(why, LINE_LEN_MAX);
    const char *text = NULL;
    bool limited = false;

    if (allowed && strcmp(cli_audit_text(d->record, "reason"), "more than its limit") == 0)
        return add_undecidable(r, d, "it was denied by a limit of rate");
    if (allowed)
        TRY(has_new_limit(r, d, verdict, &limited));
    if (limited)
        return add_undecidable(r, d, "it would be held to a limit of rate of its own");
    if (allowed == d->allowed) {
        r->same += d->acts;
        return RC_OK;
    }
    if (verdict->action != d->action)
        buf_addf(&why, "it may not %s: ", policy_action_name(verdict->action));
    policy_explain(&verdict->decision, &why);
    TRY(buf_text(&why, &text));
    *(allowed ? &r->allowed : &r->denied) += d->acts;
    return add_change(r, d, allowed ? "newly allowed" : "newly denied", text);
}

/* ---- One by one ---- */

static bool has_many_targets(const json_t *record)
{
    const json_t *aggregate = json_object_get(record, "aggregate");

    return json_integer_value(json_object_get(aggregate, "targets")) > 1 ||
           json_is_true(json_object_get(aggregate, "targets_capped"));
}

static enum rc add_verdict(struct replay *r, const struct decided *d,
                           const struct verdict *verdict)
{
    return verdict->outcome == CLI_UNDECIDABLE
               ? add_undecidable(r, d, "it rests on a fact that the log does not have")
               : add_outcome(r, d, verdict);
}

static enum rc look_at_act(struct replay *r, const struct decided *d)
{
    struct verdict verdict;
    bool changed = false;

    TRY(find_changed(r, d, 1U << d->action | besides(d->action), &changed));
    if (!changed) {
        r->same += d->acts;
        return RC_OK;
    }
    if (has_many_targets(d->record))
        return add_undecidable(r, d, "counted together with topics that the log does not name");
    if (strchr(cli_audit_text(d->record, "target"), '\\') != NULL)
        return add_undecidable(r, d, "the log has its topic with escapes");
    TRY(judge(r, d, d->action, &verdict));
    return add_verdict(r, d, &verdict);
}

/* Whatever a session did would not have been, if there was no session. */
static enum rc look_closer(struct replay *r, const struct decided *d)
{
    struct verdict connect;
    bool changed = false;

    if (d->action == POLICY_CONNECT || !d->allowed)
        return look_at_act(r, d);
    TRY(find_changed(r, d, 1U << POLICY_CONNECT, &changed));
    if (!changed)
        return look_at_act(r, d);
    TRY(judge(r, d, POLICY_CONNECT, &connect));
    return connect.outcome == CLI_ALLOWED ? look_at_act(r, d) : add_verdict(r, d, &connect);
}

static enum rc look_at(void *with, const json_t *record)
{
    struct replay *r = with;
    const struct cli_said said = { cli_audit_text(record, "actor.id"),
                                   cli_audit_text(record, "peer"),
                                   cli_audit_text(record, "tls"),
                                   cli_audit_text(record, "actor_certificate.fingerprint") };
    struct decided d = {
        .record = record,
        .action = action_of(record),
        .version = json_integer_value(json_object_get(record, "policy")),
        .acts = cli_audit_count(record),
        /* What failed was no rule's doing. */
        .allowed = strcmp(cli_audit_text(record, "decision"), "denied") != 0,
    };

    if (!is_by_policy(record))
        return RC_OK;
    enum rc rc = cli_known_judge(&r->known, &said, &d.judged);
    if (rc == RC_NOT_FOUND)
        return add_undecidable(r, &d, "the device is not known any more");
    return rc == RC_OK ? look_closer(r, &d) : rc;
}

static enum rc look_at_all(struct replay *r)
{
    for (size_t i = 0; i < COUNT(ACTIONS); i++) {
        const struct cli_audit_filter filters[] = { { "action", ACTIONS[i] },
                                                    { "source", "device-door" },
                                                    { "since", r->call->values[SINCE] } };
        TRY(cli_audit_each(&r->source.remote, filters, COUNT(filters), look_at, r));
    }
    return RC_OK;
}

/* ---- Told ---- */

static enum rc tell(const struct replay *r)
{
    static const struct cli_show_column COLUMNS[] = {
        { "TIMES", "count" },   { "CHANGE", "change" }, { "DEVICE", "actor" },
        { "ACTION", "action" }, { "TARGET", "target" }, { "WAS", "decision" },
        { "WHY", "why" },       { "FIRST", "first" },   { "LAST", "last" },
    };
    AUTO_BUF(text, TEXT_MAX);

    if (json_array_size(r->rows) > 0)
        cli_show_table(r->rows, COLUMNS, COUNT(COLUMNS), &text);
    buf_addf(&text,
             "%" JSON_INTEGER_FORMAT " acts decided as before, %" JSON_INTEGER_FORMAT
             " newly allowed, %" JSON_INTEGER_FORMAT " newly denied, %" JSON_INTEGER_FORMAT
             " undecidable\n",
             r->same, r->allowed, r->denied, r->undecidable);
    return cli_command_put(r->call, &text);
}

static enum rc show(const struct replay *r)
{
    if (json_array_size(r->rows) > 0)
        *r->call->status = CLI_EXIT_NO;
    if (!r->call->json)
        return tell(r);
    AUTO(json_value) *answer =
        json_pack("{s:I, s:I, s:I, s:I, s:O}", "same", r->same, "newly_allowed", r->allowed,
                  "newly_denied", r->denied, "undecidable", r->undecidable, "changes", r->rows);
    return cli_show_line(r->call, answer, "%s", "");
}

static enum rc replay(struct replay *r)
{
    TRY(cli_compile(&r->source, r->call->words[0], &r->new));
    TRY(cli_source_open(&r->source));
    TRY(cli_known_read(&r->source.remote, &r->known));
    r->changed =
        (struct cli_changed){ .source = &r->source, .new = r->new, .known = &r->known };
    TRY(look_at_all(r));
    return show(r);
}

static enum rc run(const struct cli_call *call)
{
    struct replay r = { .call = call, .source.call = call, .rows = json_array() };
    enum rc rc = replay(&r);

    cli_changed_clear(&r.changed);
    policy_unref(r.new);
    cli_known_clear(&r.known);
    json_decref(r.rows);
    cli_source_close(&r.source);
    return rc;
}

const struct cli_command CLI_POLICY_REPLAY = {
    .name = "policy replay",
    .arguments = "NEW",
    .words_least = 1,
    .words_most = 1,
    .summary = "judge again what the device door decided, with another policy",
    .teaching =
        "NEW is a file, the number of a version, or active. Takes every connection, "
        "publication, subscription,\ndelivery, retained message and will of devices that the "
        "audit log has from --since on, with the facts of\ntheir session then and the groups "
        "that the device is in now, and shows what would be decided\notherwise. Where it rests "
        "on what the door had and the log has not (a message's size, QoS or content type,\n"
        "client.id, be it by `is known`; topics that were counted together under the pattern "
        "of their topics)\nit is undecidable, and counted as that: likewise under a limit of "
        "rate that was not in force then, for limits are not\nreplayed. Nor are what operators "
        "and "
        "lines do, enrolments, renewals and revocations. Anything but the same is\nstatus 9.\n"
        "\n"
        "Example:\n  touchmark policy replay new.policy --since 2026-11-27T00:00:00Z\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
