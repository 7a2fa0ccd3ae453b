#include "cli/proposals.h"

#include <string.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/remote.h"
#include "registry/subject.h"

enum { PATH_LEN_MAX = 256 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- In answers to other commands ---- */

bool cli_proposals_is(const json_t *answer)
{
    return json_is_object(json_object_get(answer, "proposal"));
}

json_int_t cli_proposals_number(const json_t *answer)
{
    return json_integer_value(json_object_get(json_object_get(answer, "proposal"), "number"));
}

enum rc cli_proposals_tell(const struct cli_call *call, const char *what, const json_t *answer)
{
    const json_t *proposal = json_object_get(answer, "proposal");
    const char *expires = json_string_value(json_object_get(proposal, "expires"));

    *call->status = CLI_EXIT_PROPOSED;
    return cli_show_line(call, answer,
                         "%s is proposal %" JSON_INTEGER_FORMAT
                         ": it is done when another administrator approves it, until %s.\n",
                         what, cli_proposals_number(answer), expires != NULL ? expires : "?");
}

enum rc cli_proposals_add_why(json_t *body, const char *why)
{
    if (why != NULL && json_object_set_new(body, "why", json_string(why)) != 0)
        return fault(RC_MALFORMED, "--why: not UTF-8");
    return RC_OK;
}

enum rc cli_proposals_need_why(const char *option, const char *why)
{
    if (why == NULL)
        return fault(RC_MALFORMED, "%s TEXT is needed: it is kept with the version", option);
    enum rc rc = registry_why_check(bytes_of_text(why));
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", option);
}

/* ---- proposal list ---- */

enum { ALL };
static const struct cli_option LIST_OPTIONS[] = {
    [ALL] = { "--all", NULL, "those that ended, too" },
};

static enum rc list_proposals(const struct cli_call *call)
{
    static const struct cli_show_column COLUMNS[] = {
        { "PROPOSAL", "number" }, { "ACT", "act" },         { "STATE", "state" },
        { "AUTHOR", "author" },   { "EXPIRES", "expires" }, { "WHY", "why" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_list(&remote,
                        call->values[ALL] != NULL ? "/v1/proposals" : "/v1/proposals?open=1",
                        "proposals", NULL, NULL, &answer));
    return cli_show_rows(call, answer, "proposals", COLUMNS, COUNT(COLUMNS));
}

const struct cli_command CLI_PROPOSAL_LIST = {
    .name = "proposal list",
    .arguments = "",
    .summary = "list what waits for another administrator",
    .teaching = "Acts that the setting authority.four_eyes names are proposals first.\n"
                "\n"
                "Example:\n  touchmark proposal list\n",
    .options = LIST_OPTIONS,
    .option_count = COUNT(LIST_OPTIONS),
    .run = list_proposals,
    .remote = true,
};

/* ---- proposal show ---- */

/* "/v1/proposals/7" and what follows */
static enum rc path_of(const char *number, const char *rest, struct buf *path,
                       const char **text)
{
    uint64_t read = 0;

    if (text_read_u64(bytes_of_text(number), INT64_MAX, &read) != RC_OK)
        return fault(RC_MALFORMED, "%s: a proposal has a number", number);
    buf_addf(path, "/v1/proposals/%s%s", number, rest);
    return buf_text(path, text);
}

static enum rc show_content(const struct cli_call *call, const json_t *answer)
{
    const json_t *devices = json_object_get(answer, "devices"), *one = NULL;
    const char *text = json_string_value(json_object_get(answer, "text"));
    AUTO_BUF(out, CLI_ANSWER_MAX);
    size_t i = 0;

    const char *state =
        json_string_value(json_object_get(json_object_get(answer, "proposal"), "state"));

    if (text != NULL)
        return cli_show_line(call, answer, "\n%s", text);
    if (state != NULL && strcmp(state, "open") != 0 && strcmp(state, "approved") != 0)
        return cli_show_line(call, answer,
                             "\nWhat it would have done is not kept; the audit log has its "
                             "SHA-256.\n");
    buf_addf(&out, "\n");
    json_array_foreach(devices, i, one)
    {
        cli_show_value(one, &out);
        buf_addf(&out, "\n");
    }
    return cli_command_put(call, &out);
}

static enum rc show_proposal(const struct cli_call *call)
{
    static const struct cli_show_column FACTS[] = {
        { "proposal", "proposal.number" },
        { "act", "proposal.act" },
        { "state", "proposal.state" },
        { "author", "proposal.author" },
        { "why", "proposal.why" },
        { "made", "proposal.made" },
        { "expires", "proposal.expires" },
        { "replaces version", "proposal.base" },
        { "reason", "reason" },
        { "records of", "subject" },
        { "hold", "hold" },
        { "sha256", "proposal.hash" },
        { "decided", "proposal.decided" },
        { "by", "proposal.decider" },
        { "with", "proposal.decided_why" },
    };
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    TRY(path_of(call->words[0], "", &path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, text, &answer));
    TRY(cli_show_object(call, answer, FACTS, COUNT(FACTS)));
    return call->json ? RC_OK : show_content(call, answer);
}

const struct cli_command CLI_PROPOSAL_SHOW = {
    .name = "proposal show",
    .arguments = "NUMBER",
    .words_least = 1,
    .words_most = 1,
    .summary = "show a proposal and exactly what it would do",
    .teaching = "A policy's text, or the devices that would be revoked, all of them. It cannot "
                "change after\nthat: what is approved is what was shown.\n"
                "\n"
                "Example:\n"
                "  touchmark proposal show 3 --json | jq -r .text > proposed.policy\n"
                "  touchmark policy show | diff - proposed.policy\n",
    .run = show_proposal,
    .remote = true,
};

/* ---- proposal approve, proposal reject ---- */

enum { WHY, WAIT };
static const struct cli_option DECIDE_OPTIONS[] = {
    [WHY] = { "--why", "TEXT", "kept with the proposal, and for the audit log" },
    [WAIT] = { "--wait", NULL, "until every door has acknowledged it" },
};
enum { REJECT_OPTIONS = WAIT };

static enum rc decide(const struct cli_call *call, struct cli_remote *remote,
                      const char *number, const char *verb, json_t **answer)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *body = json_object();
    const char *text = NULL;

    TRY(path_of(number, verb, &path, &text));
    TRY(cli_proposals_add_why(body, call->values[WHY]));
    enum rc rc = cli_remote_post(remote, text, body, answer);
    return rc == RC_OK ? RC_OK : fault_while(rc, "proposal %s", number);
}

static json_int_t number_in(const json_t *answer, const char *member)
{
    return json_integer_value(json_object_get(answer, member));
}

static enum rc tell_approved(const struct cli_call *call, const json_t *answer)
{
    bool applied = json_is_true(json_object_get(answer, "applied"));
    json_int_t number = cli_proposals_number(answer);
    const char *where = applied ? ", applied at every door" : "";

    if (json_is_integer(json_object_get(answer, "policy_version")))
        TRY(cli_show_line(call, answer,
                          "Proposal %" JSON_INTEGER_FORMAT
                          " is approved: policy version %" JSON_INTEGER_FORMAT
                          " is in force%s.\n",
                          number, number_in(answer, "policy_version"), where));
    else if (number_in(answer, "revoked") + number_in(answer, "were_revoked") > 0)
        TRY(cli_show_line(call, answer,
                          "Proposal %" JSON_INTEGER_FORMAT " is approved: %" JSON_INTEGER_FORMAT
                          " devices revoked, %" JSON_INTEGER_FORMAT " were before%s.\n",
                          number, number_in(answer, "revoked"),
                          number_in(answer, "were_revoked"), where));
    else
        TRY(cli_show_line(call, answer, "Proposal %" JSON_INTEGER_FORMAT " is approved%s.\n",
                          number, where));
    if (call->values[WAIT] != NULL && !applied)
        return fault(RC_BUSY, "it is done, but not every door has said so yet");
    return RC_OK;
}

static enum rc check_approval(const struct cli_call *call)
{
    return cli_proposals_need_why("--why", call->values[WHY]);
}

/* One after the other; the first that is refused ends it. */
static enum rc approve_proposals(const struct cli_call *call)
{
    CLI_REMOTE(remote);

    TRY(cli_remote_open(call, &remote));
    for (size_t i = 0; i < call->word_count; i++) {
        AUTO(json_value) *answer = NULL;
        TRY(decide(call, &remote, call->words[i],
                   call->values[WAIT] != NULL ? "/approve?wait=1" : "/approve", &answer));
        TRY(tell_approved(call, answer));
    }
    return RC_OK;
}

const struct cli_command CLI_PROPOSAL_APPROVE = {
    .name = "proposal approve",
    .arguments = "NUMBER...",
    .words_least = 1,
    .words_most = CLI_WORDS_MAX,
    .summary = "do what another administrator proposed",
    .teaching = "By another administrator than its author, with a reason: neither a second "
                "certificate of the "
                "same person\nnor an auditor counts (status 3). It is done at once and as a "
                "whole, and the audit log names\nboth. If it rests on what is no longer so, "
                "such as a policy version that was replaced, or if\nit was decided before or "
                "has expired, nothing is done (status 5).\n"
                "\n"
                "Example:\n"
                "  touchmark proposal show 3\n"
                "  touchmark proposal approve 3 --why \"read with Ada\" --wait\n",
    .options = DECIDE_OPTIONS,
    .option_count = COUNT(DECIDE_OPTIONS),
    .check = check_approval,
    .run = approve_proposals,
    .remote = true,
};

const struct cli_command CLI_POLICY_ACTIVATE = {
    .name = "policy activate",
    .arguments = "NUMBER",
    .words_least = 1,
    .words_most = 1,
    .summary = "put in force what policy propose has kept",
    .teaching = "The same as proposal approve: the text is compiled once more, and nothing is "
                "done if another version\nis active than the one that it was proposed in place "
                "of (status 5).\n"
                "\n"
                "Example:\n  touchmark policy activate 3 --why \"tried on the test plant\" "
                "--wait\n",
    .options = DECIDE_OPTIONS,
    .option_count = COUNT(DECIDE_OPTIONS),
    .check = check_approval,
    .run = approve_proposals,
    .remote = true,
};

static enum rc reject_proposal(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(decide(call, &remote, call->words[0], "/reject", &answer));
    const char *state =
        json_string_value(json_object_get(json_object_get(answer, "proposal"), "state"));
    return cli_show_line(call, answer, "Proposal %s is %s.\n", call->words[0],
                         state != NULL ? state : "rejected");
}

const struct cli_command CLI_PROPOSAL_REJECT = {
    .name = "proposal reject",
    .arguments = "NUMBER",
    .words_least = 1,
    .words_most = 1,
    .summary = "end a proposal undone; its author withdraws it so",
    .teaching = "Example:\n  touchmark proposal reject 3 --why \"the wrong group\"\n",
    .options = DECIDE_OPTIONS,
    .option_count = REJECT_OPTIONS,
    .run = reject_proposal,
    .remote = true,
};
