#include "cli/analysis.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/fleet.h"

#include "audit/json.h"
#include "base/clock.h"
#include "registry/question.h"

enum { REPORT_MAX = 64 * 1024, LINE_LEN_MAX = 16 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SERVER_CHECK, STRICT };
static const struct cli_option OPTIONS[] = {
    [SERVER_CHECK] = { "--server-check", NULL,
                       "ask the running system, too: its compiler, and who is in which group" },
    [STRICT] = { "--strict", NULL, "exit with 9 if there is a warning" },
};

struct checking {
    const struct cli_call *call;
    struct cli_text *text;
    struct cli_source source;
    json_t *answer; /* {"accepted","rules","errors","findings","warnings","unfinished"} */
};

/* ---- Errors: ours, then the server's ---- */

static enum rc add_errors(struct checking *c, const struct policy_errors *errors)
{
    json_t *list = json_array();

    for (size_t i = 0; i < errors->count; i++) {
        const struct policy_error *one = &errors->at[i];
        (void)json_array_append_new(list, json_sprintf("%s%sline %u column %u: %s", one->file,
                                                       one->file[0] == '\0' ? "" : " ",
                                                       one->line, one->column, one->text));
    }
    return json_object_set_new(c->answer, "errors", list) == 0 ? RC_OK
                                                               : fault(RC_NOMEM, "errors");
}

static enum rc refuse(const struct checking *c, enum rc rc, const char *by)
{
    (void)json_object_set_new(c->answer, "accepted", json_false());
    if (c->call->json)
        TRY(cli_show_line(c->call, c->answer, "%s", ""));
    return fault(rc, "%s is refused%s", c->text->path, by);
}

static enum rc read_and_compile(struct checking *c, struct policy_errors *errors,
                                struct policy **policy)
{
    size_t len = 0;

    TRY(cli_gather(c->text, errors));
    len = c->text->all.len;
    if (len == 0 || len > REGISTRY_POLICY_MAX)
        return fault(RC_MALFORMED, "%s has %zu octets; a policy has 1 to %d", c->text->path,
                     len, REGISTRY_POLICY_MAX);
    enum rc rc = policy_compile(buf_bytes(&c->text->all), 0, errors, policy);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", c->text->path);
}

static enum rc compile_here(struct checking *c, struct policy **policy)
{
    struct policy_errors errors = { 0 };

    enum rc rc = read_and_compile(c, &errors, policy);

    if (rc == RC_NOMEM)
        return rc;
    TRY(add_errors(c, &errors));
    cli_compile_tell(c->call, c->text, &errors);
    if (rc == RC_OK || errors.count > 0)
        return rc == RC_OK ? RC_OK : refuse(c, rc, "");
    return rc;
}

static enum rc compile_there(struct checking *c)
{
    struct bytes text = buf_bytes(&c->text->all);
    AUTO(json_value) *body =
        json_pack("{s:o}", "text", json_stringn((const char *)text.at, text.len));
    AUTO(json_value) *answer = NULL;
    json_t *errors = NULL, *one = NULL;
    size_t i = 0;

    if (body == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", c->text->path);
    TRY(cli_source_open(&c->source));
    TRY(cli_remote_post(&c->source.remote, "/v1/policies/check", body, &answer));
    if (json_is_true(json_object_get(answer, "accepted")))
        return RC_OK;
    errors = json_object_get(answer, "errors");
    (void)json_object_set(c->answer, "errors", errors);
    json_array_foreach(errors, i, one)
    {
        AUTO_BUF(line, REPORT_MAX);
        cli_show_value(one, &line);
        fprintf(c->call->messages, "%s: %.*s\n", c->text->path, BYTES_FMT(buf_bytes(&line)));
    }
    return refuse(c, RC_MALFORMED, " by the server");
}

/* ---- What looks wrong ---- */

static void tell_finding(const struct checking *c, const struct policy_finding *finding)
{
    AUTO_BUF(line, LINE_LEN_MAX);

    cli_gather_add_place(&line, c->text, finding->where.file, finding->where.line,
                         finding->where.column);
    buf_addf(&line, "%s: ", finding->grave ? "warning" : "note");
    if (finding->resource.len > 0)
        buf_addf(&line, "\"%.*s\": ", BYTES_FMT(finding->resource));
    buf_add(&line, finding->text);
    fprintf(c->call->messages, "%.*s\n", BYTES_FMT(buf_bytes(&line)));
}

static enum rc tell_sum(const struct checking *c, size_t warnings)
{
    AUTO_BUF(sum, LINE_LEN_MAX);
    size_t rules = (size_t)json_integer_value(json_object_get(c->answer, "rules"));

    (void)json_object_set_new(c->answer, "warnings", audit_json_number(warnings));
    if (warnings > 0 && c->call->values[STRICT] != NULL)
        *c->call->status = CLI_EXIT_NO;
    buf_addf(&sum, "%zu rule%s, accepted%s, ", rules, rules == 1 ? "" : "s",
             c->source.open ? " by the server, too" : "");
    if (warnings == 0)
        buf_addf(&sum, "no warnings");
    else
        buf_addf(&sum, "%zu warning%s", warnings, warnings == 1 ? "" : "s");
    return cli_show_line(c->call, c->answer, "%s: %.*s\n", c->text->path,
                         BYTES_FMT(buf_bytes(&sum)));
}

static enum rc tell_findings(struct checking *c, const struct policy_findings *findings)
{
    size_t warnings = 0;

    for (size_t i = 0; i < findings->count; i++) {
        warnings += findings->at[i].grave;
        if (!c->call->json)
            tell_finding(c, &findings->at[i]);
    }
    (void)json_object_set_new(c->answer, "findings", cli_analysis_findings(findings));
    return tell_sum(c, warnings);
}

/* It is a good policy for the doors: what it means is too much to be worked out. */
static enum rc tell_unfinished(struct checking *c)
{
    (void)json_object_set_new(c->answer, "findings", json_null());
    (void)json_object_set_new(c->answer, "unfinished", json_string(fault_text()));
    if (!c->call->json)
        fprintf(c->call->messages, "%s: warning: it could not be looked through: %s\n",
                c->text->path, fault_text());
    return tell_sum(c, 1);
}

static enum rc look(struct checking *c, const struct policy *policy)
{
    CLI_FLEET(fleet);
    const struct clock clock = clock_system();
    struct policy_findings findings = { 0 };
    struct policy_groups groups;

    if (c->source.open)
        TRY(cli_fleet_read(&c->source.remote, &fleet));
    groups = cli_fleet_groups(&fleet);
    enum rc rc = policy_check_at(policy, c->source.open ? &groups : NULL, clock_wall_ms(&clock),
                                 &findings);
    if (rc == RC_LIMIT)
        return tell_unfinished(c);
    if (rc == RC_OK)
        rc = tell_findings(c, &findings);
    policy_findings_clear(&findings);
    return rc;
}

static enum rc check(struct checking *c)
{
    AUTO_OF(policy) *policy = NULL;

    TRY(compile_here(c, &policy));
    if (c->call->values[SERVER_CHECK] != NULL)
        TRY(compile_there(c));
    (void)json_object_set_new(c->answer, "accepted", json_true());
    (void)json_object_set_new(c->answer, "rules", audit_json_number(policy_rule_count(policy)));
    return look(c, policy);
}

static enum rc run(const struct cli_call *call)
{
    CLI_TEXT(text, call->words[0]);
    AUTO(json_value) *answer = json_object();
    struct checking c = { .call = call, .text = &text, .source.call = call, .answer = answer };
    enum rc rc = check(&c);
    cli_source_close(&c.source);
    return rc;
}

const struct cli_command CLI_POLICY_CHECK = {
    .name = "policy check",
    .arguments = "FILE",
    .words_least = 1,
    .words_most = 1,
    .summary = "say whether a policy would be accepted, and what looks wrong in it",
    .teaching =
        "Needs no server: the compiler is the same. Errors are FILE:LINE:COLUMN: what was "
        "found and\nwhat was expected. What is accepted is looked through: rules that others "
        "shadow or that can\nnever apply, rules open to every device, wildcards wider than "
        "what they are for, rules that\nrest on what the client says of itself. These are "
        "warnings and notes, and change nothing unless\n--strict is given. With "
        "--server-check the running system compiles it, too (it may be another\nversion), and "
        "groups that none of its devices is in are warned of.\n"
        "\n"
        "Example:\n  touchmark policy check --strict plant.policy &&\n      touchmark policy "
        "apply "
        "plant.policy --why \"pumps publish their pressure\"\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
