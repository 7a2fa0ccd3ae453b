#include "base/clock.h"
#include "cli/audit_pages.h"
#include "cli/commands.h"
#include "cli/fleet.h"
#include "cli/outcome.h"

#include <string.h>

#include "policy/policy.h"

enum { TEXT_MAX = 32 * 1024 * 1024, PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SINCE };
static const struct cli_option OPTIONS[] = {
    [SINCE] = { "--since", "TIME",
                "what was possible and done from then on, 2026-11-27T12:00:00Z (all)" },
};

/* ---- Who could ---- */

static enum rc decide(const struct policy *policy, const struct cli_judged *judged,
                      const struct policy_request *request, enum cli_outcome *outcome,
                      struct policy_decision *decision)
{
    struct policy_facts facts = judged->facts;
    struct policy_session session;

    facts.untold = registry_judged_untold(request->action);
    facts.certificate_subject = facts.device_id;
    TRY(policy_bind(policy, &facts, &session));
    return cli_outcome_of(&session, request, outcome, decision);
}

/* The line that says so, if it is sure. */
static enum rc add_row(const json_t *device, enum policy_action action, bool sure,
                       const struct policy_decision *decided, json_t *rows)
{
    json_t *line = decided->allowed ? json_integer(decided->text_line) : json_null();
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:o}", "device", cli_audit_text(device, "id"),
                  "state", cli_audit_text(device, "state"), "may", policy_action_name(action),
                  "sure", (int)sure, "surely", sure ? "yes" : "perhaps", "policy",
                  (json_int_t)decided->version, "line", line);

    return json_array_append_new(rows, row) == 0 ? RC_OK : fault(RC_NOMEM, "a list of devices");
}

/* One policy version that was active in the period. Of connection, message and time nothing is
 * told. */
static enum rc judge(const struct policy *policy, const json_t *device, struct bytes topic,
                     json_t *rows)
{
    static const enum policy_action ACTIONS[] = { POLICY_PUBLISH, POLICY_RECEIVE, POLICY_RETAIN,
                                                  POLICY_WILL };
    const struct policy_request connect = { .action = POLICY_CONNECT, .resource = BYTES("") };
    struct cli_judged judged;
    struct policy_decision decided;
    enum cli_outcome connects, does;

    TRY(cli_judged_read(device, &judged));
    TRY(decide(policy, &judged, &connect, &connects, &decided));
    for (size_t i = 0; connects != CLI_DENIED && i < COUNT(ACTIONS); i++) {
        const struct policy_request request = { .action = ACTIONS[i], .resource = topic };
        TRY(decide(policy, &judged, &request, &does, &decided));
        bool sure = connects == CLI_ALLOWED && does == CLI_ALLOWED;
        if (does != CLI_DENIED)
            TRY(add_row(device, ACTIONS[i], sure, &decided, rows));
    }
    return RC_OK;
}

static enum rc judge_all(struct cli_remote *remote, json_int_t version, const json_t *devices,
                         struct bytes topic, json_t *rows)
{
    AUTO(json_value) *answer = NULL;
    AUTO_OF(policy) *policy = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    struct policy_errors errors = { 0 };
    const json_t *device = NULL;
    const char *text = NULL;
    size_t i = 0;

    buf_addf(&path, "/v1/policies/%" JSON_INTEGER_FORMAT, version);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_get(remote, text, &answer));
    TRY(policy_compile(bytes_of_text(cli_audit_text(answer, "text")), (uint64_t)version,
                       &errors, &policy));
    json_array_foreach(devices, i, device) TRY(judge(policy, device, topic, rows));
    return RC_OK;
}

/* When version N + 1 was made, version N was over. */
static bool was_active_since(const json_t *policies, json_int_t version, int64_t since_ms)
{
    const json_t *one = NULL;
    int64_t made_ms = 0;
    size_t i = 0;

    json_array_foreach(policies, i, one)
    {
        if (json_integer_value(json_object_get(one, "version")) == version + 1)
            return clock_read_rfc3339(bytes_of_text(cli_audit_text(one, "made")), &made_ms) !=
                       RC_OK ||
                   made_ms >= since_ms;
    }
    return true;
}

static enum rc who_could(const struct cli_call *call, struct cli_remote *remote, json_t *answer)
{
    AUTO(json_value) *devices = NULL;
    AUTO(json_value) *policies = NULL;
    json_t *rows = json_array();
    const json_t *list = NULL, *one = NULL;
    int64_t since_ms = INT64_MIN;
    size_t i = 0;

    if (json_object_set_new(answer, "could", rows) != 0)
        return fault(RC_NOMEM, "an answer");
    if (call->values[SINCE] != NULL &&
        clock_read_rfc3339(bytes_of_text(call->values[SINCE]), &since_ms) != RC_OK)
        return fault_while(RC_MALFORMED, "--since %s", call->values[SINCE]);
    TRY(cli_remote_list(remote, "/v1/devices", "devices", NULL, NULL, &devices));
    TRY(cli_remote_list(remote, "/v1/policies", "policies", NULL, NULL, &policies));
    list = json_object_get(policies, "policies");
    json_array_foreach(list, i, one)
    {
        json_int_t version = json_integer_value(json_object_get(one, "version"));
        if (was_active_since(list, version, since_ms))
            TRY(judge_all(remote, version, json_object_get(devices, "devices"),
                          bytes_of_text(call->words[0]), rows));
    }
    return RC_OK;
}

/* ---- Who did ---- */

/* A subscription's target is a filter, with $share/NAME/ before it perhaps. */
static bool covers(const char *filter, struct bytes topic)
{
    const char *shared = strncmp(filter, "$share/", 7) == 0 ? strchr(filter + 7, '/') : NULL;
    struct bytes wanted = bytes_of_text(shared == NULL ? filter : shared + 1);

    return policy_topic_check_filter(wanted) == RC_OK && policy_topic_match(wanted, topic);
}

static bool is_many(const json_t *record)
{
    const json_t *aggregate = json_object_get(record, "aggregate");

    return json_integer_value(json_object_get(aggregate, "targets")) > 1;
}

/* An aggregate of several topics or filters names the pattern that they have in common
 * (audit-record.md), so whatever it matches may be among them; what it names else, too. */
static bool may_be_about(const json_t *record, struct bytes topic)
{
    const char *target = cli_audit_text(record, "target");
    bool system = topic.len > 0 && topic.at[0] == '$' && (target[0] == '+' || target[0] == '#');

    return system || policy_topic_check_filter(bytes_of_text(target)) != RC_OK ||
           covers(target, topic);
}

static bool is_about(const json_t *record, struct bytes topic)
{
    const char *target = cli_audit_text(record, "target");

    return strcmp(cli_audit_text(record, "action"), "subscribe") == 0
               ? covers(target, topic)
               : bytes_equal_text(topic, target);
}

struct asking {
    json_t *answer;
    struct bytes topic;
};

static enum rc tally(void *with, const json_t *record)
{
    static const char *const MEMBERS[] = { "actor.id", "action", "decision",
                                           "target",   "policy", "rule" };
    const struct asking *asking = with;
    bool many = is_many(record);

    if (many ? !may_be_about(record, asking->topic) : !is_about(record, asking->topic))
        return RC_OK;
    return cli_audit_tally(json_object_get(asking->answer, many ? "perhaps" : "did"), record,
                           MEMBERS, COUNT(MEMBERS));
}

static enum rc who_did(const struct cli_call *call, struct cli_remote *remote, json_t *answer)
{
    const struct cli_audit_filter filters[] = {
        { "action", "publish,receive,retain,will,subscribe" }, { "since", call->values[SINCE] }
    };
    struct asking asking = { answer, bytes_of_text(call->words[0]) };

    if (json_object_set_new(answer, "did", json_array()) != 0 ||
        json_object_set_new(answer, "perhaps", json_array()) != 0)
        return fault(RC_NOMEM, "an answer");
    return cli_audit_each(remote, filters, COUNT(filters), tally, &asking);
}

/* ---- Told ---- */

static void tell_rows(const json_t *answer, const char *name, const char *heading,
                      const struct cli_show_column *columns, size_t count, struct buf *out)
{
    const json_t *rows = json_object_get(answer, name);

    buf_addf(out, "%s\n", heading);
    if (json_array_size(rows) > 0)
        cli_show_table(rows, columns, count, out);
    else
        buf_addf(out, "nobody\n");
}

static enum rc tell(const struct cli_call *call, const json_t *answer)
{
    static const struct cli_show_column COULD[] = {
        { "DEVICE", "device" }, { "STATE", "state" },   { "MAY", "may" },
        { "SURELY", "surely" }, { "POLICY", "policy" }, { "LINE", "line" },
    };
    static const struct cli_show_column DID[] = {
        { "TIMES", "count" },       { "WHO", "actor" },     { "ACTION", "action" },
        { "DECISION", "decision" }, { "TARGET", "target" }, { "POLICY", "policy" },
        { "RULE", "rule" },         { "FIRST", "first" },   { "LAST", "last" },
    };
    AUTO_BUF(out, TEXT_MAX);

    if (call->json) {
        TRY(cli_show_json(answer, &out));
        return cli_command_put(call, &out);
    }
    tell_rows(answer, "could", "Who could (by the groups that devices have now):", COULD,
              COUNT(COULD), &out);
    tell_rows(answer, "did", "\nWho did, or tried to:", DID, COUNT(DID), &out);
    if (json_array_size(json_object_get(answer, "perhaps")) > 0)
        tell_rows(answer, "perhaps",
                  "\nAnd perhaps: counted together over several topics, of which their common "
                  "pattern is named:",
                  DID, COUNT(DID), &out);
    return cli_command_put(call, &out);
}

static enum rc run(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = json_object();

    enum rc rc = policy_topic_check_name(bytes_of_text(call->words[0]));
    if (rc != RC_OK)
        return fault_while(rc, "%s", call->words[0]);
    TRY(cli_remote_open(call, &remote));
    TRY(who_could(call, &remote, answer));
    TRY(who_did(call, &remote, answer));
    return tell(call, answer);
}

const struct cli_command CLI_AUDIT_ACCESS = {
    .name = "audit access",
    .arguments = "TOPIC",
    .words_least = 1,
    .words_most = 1,
    .summary = "who could publish to a topic or receive from it, and who did",
    .teaching =
        "Who could: every device that a policy, active in the period, lets connect and publish "
        "to this topic or\nreceive from it, with the line that says so; perhaps, where that "
        "rests "
        "on the connection, the message\nor the hour. The registry knows the groups that a "
        "device "
        "is in now, not those that it was in then. A device that is "
        "revoked or suspended is shown with its state.\nWho did: publications, deliveries and "
        "retained messages of just this topic, and subscriptions whose\nfilter matches it, "
        "allowed or not, counted. What a session did to many topics by one rule, and "
        "what was refused in\na flood, is counted together in the log, which names the "
        "pattern of its topics: where that matches\nthis topic, it is shown apart, since "
        "this topic may be among them.\n"
        "\n"
        "Example:\n  touchmark audit access plant/7/valve --since 2026-11-20T00:00:00Z\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
