#include "base/clock.h"
#include "cli/analysis.h"
#include "cli/audit_pages.h"
#include "cli/commands.h"
#include "cli/fleet.h"

#include <string.h>

enum { TEXT_MAX = 32 * 1024 * 1024, PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SINCE };
static const struct cli_option OPTIONS[] = {
    [SINCE] = { "--since", "TIME",
                "what was possible and done from then on, 2026-11-27T12:00:00Z (all)" },
};

/* ---- Who could ---- */

/* One policy version that was active in the period. */
struct judging {
    struct cli_fleet fleet; /* all devices, revoked ones too */
    struct bytes topic;
    json_int_t version;
    enum policy_action action;
    json_t *connects; /* device: is it sure? */
    json_t *rows;
};

static enum rc take_connect(void *with, const struct policy_who_entry *entry)
{
    const struct judging *judging = with;
    const char *id = cli_audit_text(judging->fleet.visited, "id");

    return json_object_set_new(judging->connects, id, json_boolean(entry->sure)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a list of devices");
}

static enum rc take(void *with, const struct policy_who_entry *entry)
{
    const struct judging *judging = with;
    const json_t *device = judging->fleet.visited;
    const json_t *connect = json_object_get(judging->connects, cli_audit_text(device, "id"));

    if (connect == NULL)
        return RC_OK;
    json_t *row = json_pack(
        "{s:O, s:O, s:s, s:b, s:I, s:I, s:o}", "device", json_object_get(device, "id"), "state",
        json_object_get(device, "state"), "may", policy_action_name(judging->action), "sure",
        entry->sure && json_is_true(connect), "policy", judging->version, "line",
        (json_int_t)(entry->rule_count == 0 ? 0 : entry->rules[0].line), "rules",
        cli_analysis_rules(entry->rules, entry->rule_count));
    return json_array_append_new(judging->rows, row) == 0 ? RC_OK : fault(RC_NOMEM, "a row");
}

/* What only the door knew, of a connection or a message, is left open (`policy who`). */
static enum rc judge(const struct policy *policy, struct judging *judging)
{
    static const enum policy_action ACTIONS[] = { POLICY_PUBLISH, POLICY_RECEIVE, POLICY_RETAIN,
                                                  POLICY_WILL };
    const struct policy_fleet fleet = cli_fleet_devices(&judging->fleet);

    TRY(policy_who(policy, POLICY_CONNECT, BYTES(""), &fleet, take_connect, judging));
    for (size_t i = 0; i < COUNT(ACTIONS); i++) {
        judging->action = ACTIONS[i];
        TRY(policy_who(policy, ACTIONS[i], judging->topic, &fleet, take, judging));
    }
    return RC_OK;
}

static enum rc judge_all(struct cli_remote *remote, struct judging *judging)
{
    AUTO(json_value) *answer = NULL;
    AUTO(json_value) *connects = json_object();
    AUTO_OF(policy) *policy = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    struct policy_errors errors = { 0 };
    const char *text = NULL;

    buf_addf(&path, "/v1/policies/%" JSON_INTEGER_FORMAT, judging->version);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_get(remote, text, &answer));
    TRY(policy_compile(bytes_of_text(cli_audit_text(answer, "text")),
                       (uint64_t)judging->version, &errors, &policy));
    judging->connects = connects;
    return judge(policy, judging);
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
    struct judging judging = { .topic = bytes_of_text(call->words[0]), .rows = json_array() };
    const json_t *list = NULL, *one = NULL;
    int64_t since_ms = INT64_MIN;
    size_t i = 0;

    if (json_object_set_new(answer, "could", judging.rows) != 0)
        return fault(RC_NOMEM, "an answer");
    if (call->values[SINCE] != NULL &&
        clock_read_rfc3339(bytes_of_text(call->values[SINCE]), &since_ms) != RC_OK)
        return fault_while(RC_MALFORMED, "--since %s", call->values[SINCE]);
    TRY(cli_remote_list(remote, "/v1/devices", "devices", NULL, NULL, &devices));
    TRY(cli_remote_list(remote, "/v1/policies", "policies", NULL, NULL, &policies));
    judging.fleet.devices = json_object_get(devices, "devices");
    list = json_object_get(policies, "policies");
    json_array_foreach(list, i, one)
    {
        judging.version = json_integer_value(json_object_get(one, "version"));
        if (was_active_since(list, judging.version, since_ms))
            TRY(judge_all(remote, &judging));
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
        { "SURE", "sure" },     { "POLICY", "policy" }, { "LINE", "line" },
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
        "to this topic or\nreceive from it, with the line that says so; it is not sure where "
        "that "
        "rests on what only the connection\nor the message tells, as an address. The registry "
        "knows the groups that a device is in now,\nnot those that it was in then. A device "
        "that is "
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
