#include "cli/analysis.h"
#include "cli/asked.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/fleet.h"

#include <string.h>

#include "audit/json.h"

enum { CELL_LEN_MAX = 64 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { POLICY };
static const struct cli_option OPTIONS[] = {
    [POLICY] = { "--policy", "FILE", "this policy, or this version (the active one)" },
};

struct whoing {
    struct cli_fleet *fleet;
    const struct policy *policy;
    const struct cli_asked *asked;
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

static bool is_suspended(const json_t *device)
{
    const char *state = json_string_value(json_object_get(device, "state"));

    return state != NULL && strcmp(state, registry_state_name(REGISTRY_SUSPENDED)) == 0;
}

static enum rc add_row(const struct whoing *w, struct bytes device, bool sure, json_t *rules)
{
    const json_t *visited = w->fleet->visited;
    json_t *row = json_pack("{s:o, s:O, s:O, s:b, s:b, s:o}", "device", audit_json_text(device),
                            "state", json_object_get(visited, "state"), "groups",
                            json_object_get(visited, "groups"), "sure", (int)sure, "kept_out",
                            (int)is_suspended(visited), "rules", rules);

    return json_array_append_new(w->rows, row) == 0 ? RC_OK : fault(RC_NOMEM, "a row");
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
    return add_row(w, entry->device, sure, cli_analysis_rules(entry->rules, entry->rule_count));
}

/* ---- What roles, certificates and tokens allow ---- */

static json_t *rules_that_allow(const struct policy_derivation *derivation)
{
    json_t *list = json_array();

    for (size_t i = 0; i < derivation->count; i++) {
        AUTO(json_value) *one = cli_analysis_rules(&derivation->at[i].where, 1);
        if (derivation->at[i].allows && derivation->at[i].applies != POLICY_IS_NOT)
            (void)json_array_extend(list, one);
    }
    return list;
}

/* As `can` does of one. */
static enum rc take_act(void *with, const struct policy_facts *device)
{
    const struct whoing *w = with;
    const struct policy_request request = { .action = w->asked->action,
                                            .resource = w->asked->resource,
                                            .key = BYTES("p-256") };
    struct policy_derivation derivation = { 0 };
    struct policy_facts facts = *device;
    struct policy_session session;

    facts.untold = registry_judged_untold(request.action);
    facts.connection_protocol = BYTES("https");
    if (request.action != POLICY_ENROLL)
        facts.certificate_subject = facts.device_id;
    TRY(policy_bind(w->policy, &facts, &session));
    TRY(policy_derive(&session, &request, &derivation));
    enum cli_outcome outcome = cli_asked_outcome(request.action, &derivation);
    enum rc rc = outcome == CLI_DENIED ? RC_OK
                                       : add_row(w, device->device_id, outcome == CLI_ALLOWED,
                                                 rules_that_allow(&derivation));
    policy_derivation_clear(&derivation);
    return rc;
}

static enum rc ask(struct whoing *w)
{
    const struct policy_fleet fleet = cli_fleet_devices(w->fleet);

    if (cli_asked_is_act(w->asked->action))
        return fleet.each(fleet.with, take_act, w);
    if (w->connects != NULL)
        TRY(policy_who(w->policy, POLICY_CONNECT, BYTES(""), &fleet, take_connect, w));
    return policy_who(w->policy, w->asked->action, w->asked->resource, &fleet, take, w);
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
    const char *may = json_is_true(json_object_get(row, "kept_out")) ? "not while suspended"
                      : json_is_true(json_object_get(row, "sure"))   ? "yes"
                                                                     : "on conditions";
    (void)json_object_set_new(row, "may", json_string(may));
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
    w.asked = &asked;
    if (cli_asked_connects(asked.action))
        w.connects = connects;
    TRY(cli_compile(&source, cli_command_value(call, POLICY, "active"), &policy));
    TRY(cli_source_open(&source));
    TRY(cli_fleet_read(&source.remote, &fleet));
    w.policy = policy;
    TRY(ask(&w));
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
        "before they connect or send.\nOf a subscription all topics of its filter count. Of "
        "enroll "
        "and renew, which tokens and certificates allow,\nevery device that no rule denies.\n"
        "\n"
        "Example:\n  touchmark policy who publish plant/7/valve\n  touchmark policy who "
        "subscribe 'plant/#' --policy new.policy\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
