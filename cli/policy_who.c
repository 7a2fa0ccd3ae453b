#include "cli/analysis.h"
#include "cli/asked.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/fleet.h"

#include "audit/json.h"

enum { CELL_LEN_MAX = 64 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { POLICY };
static const struct cli_option OPTIONS[] = {
    [POLICY] = { "--policy", "FILE", "this policy, or this version (the active one)" },
};

struct whoing {
    struct cli_fleet *fleet;
    json_t *connects; /* device: is it sure?; NULL: the action needs no connection */
    json_t *rows;
};

static enum rc take_connect(void *with, const struct policy_who_entry *entry)
{
    const struct whoing *w = with;

    return json_object_setn_new(w->connects, (const char *)entry->device.at, entry->device.len,
                                json_boolean(entry->sure)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a list of devices");
}

static enum rc take(void *with, const struct policy_who_entry *entry)
{
    const struct whoing *w = with;
    const json_t *connect = NULL;

    if (w->connects != NULL) {
        connect =
            json_object_getn(w->connects, (const char *)entry->device.at, entry->device.len);
        if (connect == NULL)
            return RC_OK;
    }
    bool sure = entry->sure && (connect == NULL || json_is_true(connect));
    json_t *row =
        json_pack("{s:o, s:O, s:O, s:b, s:o}", "device", audit_json_text(entry->device),
                  "state", json_object_get(w->fleet->visited, "state"), "groups",
                  json_object_get(w->fleet->visited, "groups"), "sure", (int)sure, "rules",
                  cli_analysis_rules(entry->rules, entry->rule_count));
    return json_array_append_new(w->rows, row) == 0 ? RC_OK : fault(RC_NOMEM, "a row");
}

static enum rc ask(const struct policy *policy, const struct cli_asked *asked, struct whoing *w)
{
    const struct policy_fleet fleet = cli_fleet_devices(w->fleet);

    if (w->connects != NULL)
        TRY(policy_who(policy, POLICY_CONNECT, BYTES(""), &fleet, take_connect, w));
    return policy_who(policy, asked->action, asked->resource, &fleet, take, w);
}

/* "line 3, 7 of x" in place of the rules, for a table. */
static void add_lines(json_t *row)
{
    const json_t *rule = NULL;
    AUTO_BUF(text, CELL_LEN_MAX);
    size_t i = 0;

    json_array_foreach(json_object_get(row, "rules"), i, rule)
    {
        const json_t *file = json_object_get(rule, "file");
        buf_addf(&text, "%s%" JSON_INTEGER_FORMAT, i == 0 ? "" : ", ",
                 json_integer_value(json_object_get(rule, "line")));
        if (json_is_string(file))
            buf_addf(&text, " of %s", json_string_value(file));
    }
    (void)json_object_set_new(row, "lines", audit_json_text(buf_bytes(&text)));
    (void)json_object_set_new(
        row, "may",
        json_string(json_is_true(json_object_get(row, "sure")) ? "yes" : "on conditions"));
}

static enum rc show(const struct cli_call *call, json_t *answer)
{
    static const struct cli_show_column COLUMNS[] = {
        { "DEVICE", "device" }, { "STATE", "state" }, { "GROUPS", "groups" },
        { "MAY", "may" },       { "LINES", "lines" },
    };
    json_t *row = NULL;
    size_t i = 0;

    json_array_foreach(json_object_get(answer, "devices"), i, row)
    {
        if (!call->json)
            add_lines(row);
    }
    return cli_show_rows(call, answer, "devices", COLUMNS, COUNT(COLUMNS));
}

static enum rc run(const struct cli_call *call)
{
    CLI_SOURCE(source, call);
    CLI_FLEET(fleet);
    AUTO_OF(policy) *policy = NULL;
    AUTO(json_value) *answer = json_object();
    AUTO(json_value) *connects = json_object();
    struct whoing w = { .fleet = &fleet, .rows = json_array() };
    struct cli_asked asked;

    if (json_object_set_new(answer, "devices", w.rows) != 0)
        return fault(RC_NOMEM, "an answer");
    TRY(cli_asked_read(call, 0, &asked));
    if (cli_asked_connects(asked.action))
        w.connects = connects;
    TRY(cli_compile(&source, cli_command_value(call, POLICY, "active"), &policy));
    TRY(cli_source_open(&source));
    TRY(cli_fleet_read(&source.remote, &fleet));
    TRY(ask(policy, &asked, &w));
    return show(call, answer);
}

const struct cli_command CLI_POLICY_WHO = {
    .name = "policy who",
    .arguments = "ACTION [TOPIC]",
    .words_least = 1,
    .words_most = 2,
    .summary = "list every device that may do something",
    .teaching =
        "Of all devices that are not revoked, by the groups that they are in now: those that "
        "may connect and do\nit. `on conditions`: whether they may depends on what is not "
        "known "
        "before they connect or send.\nOf a subscription all topics of its filter count.\n"
        "\n"
        "Example:\n  touchmark policy who publish plant/7/valve\n  touchmark policy who "
        "subscribe 'plant/#' --policy new.policy\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
