#include "cli/audit_pages.h"
#include "cli/changed.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/known.h"
#include "cli/replayed.h"

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
    json_t *opened; /* {correlation: when}, of sessions whose connection NEW judges otherwise */
    json_t *rows;   /* [{"change","device","action","target","was","why","count",...}] */
    json_int_t same, allowed, denied, undecidable; /* acts */
    json_int_t not_replayed;                       /* records of the authority's acts */
};

/* One audited decision of the door. */
struct decided {
    const json_t *record;
    enum policy_action action;
    json_int_t version, acts;
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

/* ---- What is counted ---- */

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

/* ---- One by one ---- */

static bool has_many_targets(const json_t *record)
{
    const json_t *aggregate = json_object_get(record, "aggregate");

    return json_integer_value(json_object_get(aggregate, "targets")) > 1 ||
           json_is_true(json_object_get(aggregate, "targets_capped"));
}

/* Why the log does not name what was done to; NULL: it does. */
static const char *nameless(const json_t *record)
{
    if (has_many_targets(record))
        return "counted together with topics that the log does not name";
    return strchr(cli_audit_text(record, "target"), '\\') != NULL
               ? "the log has its topic with escapes"
               : NULL;
}

static enum rc read_moment(const json_t *record, const char *member, int64_t *ms)
{
    const char *text = cli_audit_text(record, member);

    return clock_read_rfc3339(
        bytes_of_text(*text == '\0' ? cli_audit_text(record, "time") : text), ms);
}

/* What failed was allowed, and came to nothing afterwards. What was not allowed is counted
 * together whatever the session (audit/aggregate.h). */
static enum rc read_act(const struct replay *r, const struct decided *d,
                        struct cli_replayed *act)
{
    const json_t *record = d->record;
    const char *decision = cli_audit_text(record, "decision");

    *act = (struct cli_replayed){
        .action = d->action,
        .target = bytes_of_text(cli_audit_text(record, "target")),
        .facts = &d->judged.facts,
        .allowed = strcmp(decision, "denied") != 0,
        .limited = strcmp(cli_audit_text(record, "reason"), "more than its limit") == 0,
        .of_any_session = d->acts > 1 && strcmp(decision, "allowed") != 0,
        .nameless = nameless(record),
    };
    TRY(read_moment(record, "aggregate.first", &act->first_ms));
    TRY(read_moment(record, "aggregate.last", &act->last_ms));
    if (act->allowed)
        act->opened_ms = json_integer_value(
            json_object_get(r->opened, cli_audit_text(record, "correlation")));
    return RC_OK;
}

/* Does NEW decide anything otherwise for this device? Exact, and so what it leaves out need not
 * be looked at, whatever the log does not know. */
static enum rc find_changed(struct replay *r, const struct decided *d, struct cli_replayed *act,
                            bool *changed)
{
    unsigned asked = 1U << d->action | cli_replayed_besides(d->action);

    TRY(cli_changed_ask(&r->changed, d->version, d->judged.device.id, asked, &act->changed));
    return cli_changed_ask(&r->changed, d->version, d->judged.device.id,
                           asked | 1U << POLICY_CONNECT, changed);
}

static enum rc add_judged(struct replay *r, const struct decided *d, enum cli_change change,
                          const char *why)
{
    switch (change) {
    case CLI_SAME:
        break;
    case CLI_NEWLY_ALLOWED:
        r->allowed += d->acts;
        return add_change(r, d, "newly allowed", why);
    case CLI_NEWLY_DENIED:
        r->denied += d->acts;
        return add_change(r, d, "newly denied", why);
    case CLI_UNDECIDED:
        return add_undecidable(r, d, why);
    }
    r->same += d->acts;
    return RC_OK;
}

/* Of more sessions it is not known when they were opened. */
static enum rc note_opening(struct replay *r, const struct cli_replayed *act,
                            const json_t *record)
{
    if (act->action != POLICY_CONNECT || !act->allowed ||
        json_object_size(r->opened) == CLI_AUDIT_RECORDS_MAX)
        return RC_OK;
    return json_object_set_new(r->opened, cli_audit_text(record, "correlation"),
                               json_integer(act->first_ms)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "sessions");
}

static enum rc look_closer(struct replay *r, const struct decided *d)
{
    AUTO_BUF(why, LINE_LEN_MAX);
    const struct policy *old = NULL;
    const char *text = NULL;
    struct cli_replayed act;
    enum cli_change change = CLI_SAME;
    bool changed = false;

    TRY(read_act(r, d, &act));
    TRY(find_changed(r, d, &act, &changed));
    if (changed) {
        TRY(note_opening(r, &act, d->record));
        TRY(cli_changed_old(&r->changed, d->version, &old));
        TRY(cli_replayed_judge(old, r->new, &act, &change, &why));
    }
    TRY(buf_text(&why, &text));
    return add_judged(r, d, change, text);
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

/* ---- What the authority judged ---- */

/* Its records have neither the route that was asked nor, of what was allowed, who allowed it: a
 * rule of the policy or a role. So they are but counted. */
static enum rc count_one(void *with, const json_t *record)
{
    struct replay *r = with;

    r->not_replayed += cli_audit_count(record);
    return RC_OK;
}

static enum rc count_acts(struct replay *r)
{
    /* Who enrols with a token is nobody yet; all else that nobody does no policy judges. */
    static const struct cli_audit_filter WHOSE[][2] = {
        { { "kind", "device,operator,line" }, { "action", NULL } },
        { { "kind", "nobody" }, { "action", "certificate.issue" } },
    };

    for (size_t i = 0; i < COUNT(WHOSE); i++) {
        const struct cli_audit_filter filters[] = { WHOSE[i][0],
                                                    WHOSE[i][1],
                                                    { "source", "authority" },
                                                    { "since", r->call->values[SINCE] } };
        TRY(cli_audit_each(&r->source.remote, filters, COUNT(filters), count_one, r));
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
    if (r->not_replayed > 0)
        buf_addf(&text,
                 "%" JSON_INTEGER_FORMAT " record%s of the authority's acts (call, enroll, "
                 "renew, revoke) w%s not replayed\n",
                 r->not_replayed, r->not_replayed == 1 ? "" : "s",
                 r->not_replayed == 1 ? "as" : "ere");
    return cli_command_put(r->call, &text);
}

static enum rc show(const struct replay *r)
{
    if (json_array_size(r->rows) > 0)
        *r->call->status = CLI_EXIT_NO;
    if (!r->call->json)
        return tell(r);
    AUTO(json_value) *answer =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:O}", "same", r->same, "newly_allowed",
                  r->allowed, "newly_denied", r->denied, "undecidable", r->undecidable,
                  "not_replayed", r->not_replayed, "changes", r->rows);
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
    TRY(count_acts(r));
    return show(r);
}

static enum rc run(const struct cli_call *call)
{
    struct replay r = {
        .call = call, .source.call = call, .opened = json_object(), .rows = json_array()
    };
    enum rc rc = replay(&r);

    cli_changed_clear(&r.changed);
    policy_unref(r.new);
    cli_known_clear(&r.known);
    json_decref(r.opened);
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
        "of their topics)\nit is undecidable, and counted as that, as is what NEW allows "
        "with another limit of rate or a shorter\nlease, and what was counted together over a "
        "time in which NEW's answer may change. What falls with its\nsession, or is retained "
        "and no longer published, is newly denied. Acts that the authority judges (call,\n"
        "enroll, renew, revoke) are not replayed, but counted. Anything but the same is status "
        "9.\n"
        "\n"
        "Example:\n  touchmark policy replay new.policy --since 2026-11-27T00:00:00Z\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
