#include "cli/commands.h"
#include "cli/proposals.h"
#include "cli/remote.h"

#include <fcntl.h>

#include "base/file.h"
#include "policy/policy.h"

enum { PATH_LEN_MAX = 1024, REPORT_MAX = 64 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- policy check ---- */

enum { SERVER_CHECK };
static const struct cli_option CHECK_OPTIONS[] = {
    [SERVER_CHECK] = { "--server-check", NULL, "ask the server, too" },
};

/* line:column: text, as compilers and editors have it; and {"accepted":..,"errors":[..]}. */
static enum rc report(const struct cli_call *call, const char *file,
                      const struct policy_errors *errors, const struct policy *policy)
{
    AUTO(json_value) *answer = json_object();
    json_t *list = json_array();

    (void)json_object_set_new(answer, "accepted", json_boolean(policy != NULL));
    (void)json_object_set_new(answer, "errors", list);
    for (size_t i = 0; i < errors->count; i++) {
        const struct policy_error *one = &errors->at[i];
        (void)json_array_append_new(
            list, json_sprintf("line %u column %u: %s", one->line, one->column, one->text));
        fprintf(call->messages, "%s:%u:%u: %s\n", file, one->line, one->column, one->text);
    }
    if (policy != NULL)
        return cli_show_line(call, answer, "%s: %zu rules, accepted\n", file,
                             policy_rule_count(policy));
    return call->json ? cli_show_line(call, answer, "%s", "") : RC_OK;
}

static enum rc check_here(const struct cli_call *call, struct bytes text)
{
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors = { 0 };
    enum rc rc = policy_compile(text, 0, &errors, &policy);

    if (rc == RC_NOMEM)
        return rc;
    if (rc != RC_OK)
        rc = fault_while(rc, "%s", call->words[0]);
    enum rc told = report(call, call->words[0], &errors, policy);
    return rc != RC_OK ? fault(rc, "%s is refused", call->words[0]) : told;
}

static json_t *text_body(struct bytes text)
{
    return json_pack("{s:o}", "text", json_stringn((const char *)text.at, text.len));
}

static enum rc check_there(const struct cli_call *call, struct bytes text)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *body = text_body(text);
    AUTO(json_value) *answer = NULL;
    const json_t *errors = NULL, *one = NULL;
    size_t i = 0;

    if (body == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", call->words[0]);
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, "/v1/policies/check", body, &answer));
    if (json_is_true(json_object_get(answer, "accepted")))
        return call->json ? cli_show_line(call, answer, "%s", "")
                          : cli_show_line(call, answer, "%s: accepted by the server\n",
                                          call->words[0]);
    errors = json_object_get(answer, "errors");
    json_array_foreach(errors, i, one)
    {
        AUTO_BUF(line, REPORT_MAX);
        cli_show_value(one, &line);
        fprintf(call->messages, "%s: %.*s\n", call->words[0], BYTES_FMT(buf_bytes(&line)));
    }
    if (call->json)
        TRY(cli_show_line(call, answer, "%s", ""));
    return fault(RC_MALFORMED, "the server refuses %s", call->words[0]);
}

static enum rc check_policy(const struct cli_call *call)
{
    AUTO_BUF(text, POLICY_TEXT_MAX);

    TRY(file_read(AT_FDCWD, call->words[0], &text));
    if (call->values[SERVER_CHECK] != NULL)
        return check_there(call, buf_bytes(&text));
    return check_here(call, buf_bytes(&text));
}

const struct cli_command CLI_POLICY_CHECK = {
    .name = "policy check",
    .arguments = "FILE",
    .words_least = 1,
    .words_most = 1,
    .summary = "say whether a policy would be accepted, and all that is wrong with it",
    .teaching = "Needs no server: the compiler is the same. Errors are FILE:LINE:COLUMN: what "
                "was found and\nwhat was expected. With --server-check the server is asked "
                "instead, which may be another\nversion.\n"
                "\n"
                "Example:\n  touchmark policy check plant.policy && touchmark policy apply "
                "plant.policy\n",
    .options = CHECK_OPTIONS,
    .option_count = COUNT(CHECK_OPTIONS),
    .run = check_policy,
    .remote = true,
};

/* ---- policy apply ---- */

enum { REPLACES, WHY };
static const struct cli_option APPLY_OPTIONS[] = {
    [REPLACES] = { "--replaces", "VERSION",
                   "only if this one is still active (the one that is active now)" },
    [WHY] = { "--why", "TEXT", "for the audit log, and for who approves it" },
};

static enum rc version_to_replace(const struct cli_call *call, struct cli_remote *remote,
                                  json_t **version)
{
    AUTO(json_value) *active = NULL;

    if (call->values[REPLACES] != NULL) {
        *version = json_loads(call->values[REPLACES], JSON_DECODE_ANY, NULL);
        return json_is_integer(*version)
                   ? RC_OK
                   : fault(RC_MALFORMED, "--replaces %s: a version is a number",
                           call->values[REPLACES]);
    }
    TRY(cli_remote_get(remote, "/v1/status", &active)); /* the policy itself may be long */
    *version = json_incref(json_object_get(active, "policy_version"));
    return json_is_integer(*version) ? RC_OK : fault(RC_IO, "the active policy has no version");
}

static enum rc apply_policy(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(text, POLICY_TEXT_MAX);
    AUTO(json_value) *version = NULL;
    AUTO(json_value) *answer = NULL;

    TRY(file_read(AT_FDCWD, call->words[0], &text));
    AUTO(json_value) *body = text_body(buf_bytes(&text));
    if (body == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", call->words[0]);
    TRY(cli_remote_open(call, &remote));
    TRY(version_to_replace(call, &remote, &version));
    if (json_object_set(body, "replaces", version) != 0)
        return fault(RC_NOMEM, "policy");
    TRY(cli_proposals_add_why(body, call->values[WHY]));
    TRY(cli_remote_post(&remote, "/v1/policies", body, &answer));
    if (cli_proposals_is(answer))
        return cli_proposals_tell(call, call->words[0], answer);
    return cli_show_line(call, answer,
                         "%s is in force: version %" JSON_INTEGER_FORMAT
                         ", in place of %" JSON_INTEGER_FORMAT ".\n",
                         call->words[0], json_integer_value(json_object_get(answer, "version")),
                         json_integer_value(version));
}

const struct cli_command CLI_POLICY_APPLY = {
    .name = "policy apply",
    .arguments = "FILE",
    .words_least = 1,
    .words_most = 1,
    .summary = "put a policy in force, as a new version",
    .teaching =
        "Takes effect at once: what it no longer allows ends within a second, open "
        "sessions and\nsubscriptions included. If somebody else's became active "
        "meanwhile, nothing is done\n(status 5): look at it, then try again. Where the "
        "setting authority.four_eyes has policy, it\nbecomes a proposal (status 8), and "
        "takes effect when another administrator approves it.\n"
        "\n"
        "Example:\n  touchmark policy apply plant.policy\n",
    .options = APPLY_OPTIONS,
    .option_count = COUNT(APPLY_OPTIONS),
    .run = apply_policy,
    .remote = true,
};

/* ---- policy show, policy list ---- */

static enum rc show_policy(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/policies/");
    cli_remote_add_segment(&path, call->word_count > 0 ? call->words[0] : "active");
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, text, &answer));
    const char *policy = json_string_value(json_object_get(answer, "text"));
    return policy == NULL ? fault(RC_IO, "the server's answer has no policy")
                          : cli_show_line(call, answer, "%s", policy);
}

const struct cli_command CLI_POLICY_SHOW = {
    .name = "policy show",
    .arguments = "[VERSION]",
    .words_most = 1,
    .summary = "print a policy's text: the active one, or this version",
    .teaching = "Example:\n  touchmark policy show 3 > old.policy\n",
    .run = show_policy,
    .remote = true,
};

static enum rc list_policies(const struct cli_call *call)
{
    static const struct cli_show_column COLUMNS[] = {
        { "VERSION", "version" },
        { "ACTIVE", "active" },
        { "MADE", "made" },
        { "AUTHOR", "author" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_list(&remote, "/v1/policies", "policies", NULL, NULL, &answer));
    return cli_show_rows(call, answer, "policies", COLUMNS, COUNT(COLUMNS));
}

const struct cli_command CLI_POLICY_LIST = {
    .name = "policy list",
    .arguments = "",
    .summary = "list all versions of the policy",
    .teaching = "Example:\n  touchmark policy list\n",
    .run = list_policies,
    .remote = true,
};
