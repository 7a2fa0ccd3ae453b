#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/proposals.h"

enum { PATH_LEN_MAX = 1024, WHY_MAX = 1024, SAID_MAX = 4096 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- policy apply ---- */

static json_t *text_body(struct bytes text)
{
    return json_pack("{s:o}", "text", json_stringn((const char *)text.at, text.len));
}

enum { REPLACES, WHY };
static const struct cli_option APPLY_OPTIONS[] = {
    [REPLACES] = { "--replaces", "VERSION",
                   "only if this one is still active (the one that is active now)" },
    [WHY] = { "--why", "TEXT",
              "the reason: kept with the version, for the audit log, and for who approves it" },
};

static enum rc check_reason(const struct cli_call *call)
{
    return cli_proposals_need_why("--why", call->values[WHY]);
}

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

/* The server names parts; here it is known which files they are. */
static enum rc tell_refused(const struct cli_call *call, const struct cli_text *text,
                            enum rc rc)
{
    struct policy_errors errors = { 0 };
    AUTO_OF(policy) *policy = NULL;

    if (rc != RC_MALFORMED || text->count == 0)
        return rc;
    AUTO_BUF(said, SAID_MAX);
    buf_addf(&said, "%s", fault_text());
    if (policy_compile(buf_bytes(&text->all), 0, &errors, &policy) != RC_OK)
        cli_compile_tell(call, text, &errors);
    return fault(rc, "%.*s", BYTES_FMT(buf_bytes(&said)));
}

/* The file, with what it imports, to where it is kept, or put in force. */
static enum rc send_policy(const struct cli_call *call, const char *path, json_t **version,
                           json_t **answer)
{
    CLI_REMOTE(remote);
    CLI_TEXT(text, call->words[0]);

    TRY(cli_compile_read(call, &text));
    AUTO(json_value) *body = text_body(buf_bytes(&text.all));
    if (body == NULL)
        return fault(RC_MALFORMED, "%s: not UTF-8", call->words[0]);
    TRY(cli_remote_open(call, &remote));
    TRY(version_to_replace(call, &remote, version));
    if (json_object_set(body, "replaces", *version) != 0)
        return fault(RC_NOMEM, "policy");
    TRY(cli_proposals_add_why(body, call->values[WHY]));
    return tell_refused(call, &text, cli_remote_post(&remote, path, body, answer));
}

static enum rc apply_policy(const struct cli_call *call)
{
    AUTO(json_value) *version = NULL;
    AUTO(json_value) *answer = NULL;

    TRY(send_policy(call, "/v1/policies", &version, &answer));
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
        "What FILE imports is read from its folder, and kept with it as one text.\n"
        "\n"
        "Example:\n  touchmark policy apply plant.policy --why \"pumps publish their "
        "pressure\"\n",
    .options = APPLY_OPTIONS,
    .option_count = COUNT(APPLY_OPTIONS),
    .check = check_reason,
    .run = apply_policy,
    .remote = true,
};

/* ---- policy propose ---- */

static enum rc propose_policy(const struct cli_call *call)
{
    AUTO(json_value) *version = NULL;
    AUTO(json_value) *answer = NULL;

    TRY(send_policy(call, "/v1/policies/propose", &version, &answer));
    if (!cli_proposals_is(answer))
        return fault(RC_IO, "the server's answer has no proposal");
    const char *expires =
        json_string_value(json_object_get(json_object_get(answer, "proposal"), "expires"));
    return cli_show_line(call, answer,
                         "%s is checked and kept as proposal %" JSON_INTEGER_FORMAT
                         ": touchmark policy activate puts it in force, until %s.\n",
                         call->words[0], cli_proposals_number(answer),
                         expires != NULL ? expires : "?");
}

const struct cli_command CLI_POLICY_PROPOSE = {
    .name = "policy propose",
    .arguments = "FILE",
    .words_least = 1,
    .words_most = 1,
    .summary = "keep a policy as a draft, checked, with author and reason",
    .teaching =
        "It is compiled, and its own tests run, or it is not kept. It is in force when it is "
        "activated: by\nany administrator, or, where the setting authority.four_eyes has "
        "policy, "
        "by another one than its\nauthor. It ends after authority.proposal_lifetime, and when "
        "it "
        "would replace a version that is no\nlonger the active one. proposal list and proposal "
        "show have it, proposal reject ends it.\n"
        "\n"
        "Example:\n"
        "  touchmark policy propose plant.policy --why \"pumps publish their pressure\"\n"
        "  touchmark proposal show 3\n"
        "  touchmark policy activate 3 --why \"tried on the test plant\" --wait\n",
    .options = APPLY_OPTIONS,
    .option_count = COUNT(APPLY_OPTIONS),
    .check = check_reason,
    .run = propose_policy,
    .remote = true,
};

static enum rc get_version(struct cli_remote *remote, const char *version, json_t **answer)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&path, "/v1/policies/");
    cli_remote_add_segment(&path, version);
    TRY(buf_text(&path, &text));
    return cli_remote_get(remote, text, answer);
}

/* ---- policy rollback ---- */

enum { ROLLBACK_REASON };
static const struct cli_option ROLLBACK_OPTIONS[] = {
    [ROLLBACK_REASON] = { "--reason", "TEXT",
                          "kept with the version, for the audit log, and for who approves it" },
};

/* The version that is asked for, or else the one before the active one. */
static enum rc find_earlier(const struct cli_call *call, struct cli_remote *remote,
                            json_int_t active, json_t **earlier)
{
    AUTO_BUF(before, 32);
    const char *word = NULL;

    buf_addf(&before, "%" JSON_INTEGER_FORMAT, active - 1);
    TRY(buf_text(&before, &word));
    if (call->word_count == 0 && active <= 1)
        return fault(RC_NOT_FOUND, "there is no version before version 1");
    TRY(get_version(remote, call->word_count > 0 ? call->words[0] : word, earlier));
    if (json_integer_value(json_object_get(*earlier, "version")) == active)
        return fault(RC_EXISTS, "version %" JSON_INTEGER_FORMAT " is active already", active);
    return json_is_string(json_object_get(*earlier, "text"))
               ? RC_OK
               : fault(RC_IO, "the server's answer has no policy");
}

static enum rc check_rollback(const struct cli_call *call)
{
    return cli_proposals_need_why("--reason", call->values[ROLLBACK_REASON]);
}

/* What apply would send with the earlier text. */
static enum rc rollback_body(const struct cli_call *call, const json_t *earlier,
                             json_int_t active, json_t **body)
{
    const char *text = NULL;
    AUTO_BUF(why, WHY_MAX);

    buf_addf(&why, "version %" JSON_INTEGER_FORMAT " again: %s",
             json_integer_value(json_object_get(earlier, "version")),
             call->values[ROLLBACK_REASON]);
    TRY(buf_text(&why, &text));
    *body =
        json_pack("{s:O, s:I}", "text", json_object_get(earlier, "text"), "replaces", active);
    return *body == NULL ? fault(RC_NOMEM, "policy") : cli_proposals_add_why(*body, text);
}

static enum rc roll_back(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *active = NULL;
    AUTO(json_value) *earlier = NULL;
    AUTO(json_value) *body = NULL;
    AUTO(json_value) *answer = NULL;
    AUTO_BUF(what, WHY_MAX);
    const char *name = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(get_version(&remote, "active", &active));
    json_int_t version = json_integer_value(json_object_get(active, "version"));
    TRY(find_earlier(call, &remote, version, &earlier));
    TRY(rollback_body(call, earlier, version, &body));
    TRY(cli_remote_post(&remote, "/v1/policies", body, &answer));
    buf_addf(&what, "Version %" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(earlier, "version")));
    TRY(buf_text(&what, &name));
    if (cli_proposals_is(answer))
        return cli_proposals_tell(call, name, answer);
    return cli_show_line(call, answer,
                         "%s is in force again, as version %" JSON_INTEGER_FORMAT
                         ", in place of %" JSON_INTEGER_FORMAT ".\n",
                         name, json_integer_value(json_object_get(answer, "version")), version);
}

const struct cli_command CLI_POLICY_ROLLBACK = {
    .name = "policy rollback",
    .arguments = "[VERSION]",
    .words_most = 1,
    .summary = "put an earlier version in force again, as a new version",
    .teaching =
        "Without VERSION the one before the active one, so that doing it twice gives back what "
        "was there. It is\napplied as any policy: compiled again, under four eyes if they are "
        "set (status 8), in the audit log, and\nnot if somebody else's became active meanwhile "
        "(status 5). Its reason begins with `version N again`.\nBefore it, policy diff active "
        "VERSION shows what it would change.\n"
        "\n"
        "Example:\n  touchmark policy rollback --reason \"pumps lost their orders\"\n",
    .options = ROLLBACK_OPTIONS,
    .option_count = COUNT(ROLLBACK_OPTIONS),
    .check = check_rollback,
    .run = roll_back,
    .remote = true,
};

/* ---- policy show, policy list ---- */

static enum rc show_policy(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(get_version(&remote, call->word_count > 0 ? call->words[0] : "active", &answer));
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
        { "VERSION", "version" }, { "ACTIVE", "active" }, { "MADE", "made" },
        { "AUTHOR", "author" },   { "WHY", "why" },
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
    .summary = "list all versions of the policy: whose, when, why, and which is active",
    .teaching = "They are kept for ever. The second under four eyes is in the log: audit list "
                "--action policy.apply\n"
                "\n"
                "Example:\n  touchmark policy list\n",
    .run = list_policies,
    .remote = true,
};
