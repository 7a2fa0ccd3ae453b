#include "cli/commands.h"
#include "cli/proposals.h"
#include "cli/remote.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { PATH_LEN_MAX = 256, LOOK_US = 200 * 1000, LOOK_MOST_US = 5 * 1000 * 1000 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- Of whom ---- */

enum { DEVICE, OPERATOR, LINE, SUBJECTS };
static const char *const KINDS[SUBJECTS] = { "device", "operator", "line" };

/* The one that was given; NULL and RC_OK if none was. */
static enum rc find_subject(const struct cli_call *call, const char **kind, const char **id)
{
    *kind = *id = NULL;
    for (size_t i = 0; i < SUBJECTS; i++) {
        if (call->values[i] == NULL)
            continue;
        if (*id != NULL)
            return fault(RC_MALFORMED, "only one of --device, --operator and --line");
        *kind = KINDS[i];
        *id = call->values[i];
    }
    return RC_OK;
}

static enum rc need_reason(const char *reason)
{
    return reason != NULL ? RC_OK
                          : fault(RC_MALFORMED, "--reason TEXT is needed: the log keeps it");
}

/* ---- audit erase ---- */

enum { ERASE_REASON = SUBJECTS, NO_WAIT };
static const struct cli_option ERASE_OPTIONS[] = {
    [DEVICE] = { "--device", "ID", "what it did, and what no operator or line did to it" },
    [OPERATOR] = { "--operator", "ID", "what this operator did" },
    [LINE] = { "--line", "ID", "what this factory station did" },
    [ERASE_REASON] = { "--reason", "TEXT", "why; it stays in the log" },
    [NO_WAIT] = { "--no-wait", NULL, "do not wait until all of it is done" },
};

static bool is_one(const json_t *erasure, const char *kind, const char *id)
{
    const char *its_kind = json_string_value(json_object_get(erasure, "kind"));
    const char *its_id = json_string_value(json_object_get(erasure, "id"));

    return its_kind != NULL && its_id != NULL && strcmp(its_kind, kind) == 0 &&
           strcmp(its_id, id) == 0;
}

/* It ends by itself, at the authority's pace. Each look is a record of the log: ever fewer. */
static enum rc wait_for_end(struct cli_remote *remote, const char *kind, const char *id)
{
    useconds_t pause = LOOK_US;

    for (bool there = true; there;) {
        AUTO(json_value) *answer = NULL;
        const json_t *erasure;
        size_t i;
        TRY(cli_remote_get(remote, "/v1/audit/erasures", &answer));
        there = false;
        json_array_foreach(json_object_get(answer, "erasures"), i, erasure) there =
            there || is_one(erasure, kind, id);
        if (there)
            usleep(pause);
        pause = pause < LOOK_MOST_US / 2 ? 2 * pause : LOOK_MOST_US;
    }
    return RC_OK;
}

static enum rc erase(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;
    const char *kind, *id, *reason = call->values[ERASE_REASON];
    bool waits = call->values[NO_WAIT] == NULL;

    TRY(find_subject(call, &kind, &id));
    if (id == NULL)
        return fault(RC_MALFORMED, "whose? --device, --operator or --line is needed");
    TRY(need_reason(reason));
    AUTO(json_value) *body =
        json_pack("{s:s, s:s, s:s}", "kind", kind, "id", id, "reason", reason);
    if (body == NULL)
        return fault(RC_MALFORMED, "id or reason: not UTF-8");
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, "/v1/audit/erasures", body, &answer));
    if (cli_proposals_is(answer))
        return cli_proposals_tell(call, "The erasure", answer);
    if (waits)
        TRY(wait_for_end(&remote, kind, id));
    return cli_show_line(call, answer,
                         "The records of %s %s before record %" JSON_INTEGER_FORMAT
                         " %s: their heads stay.\n",
                         kind, id, json_integer_value(json_object_get(answer, "index")),
                         waits ? "are erased" : "are being erased");
}

const struct cli_command CLI_AUDIT_ERASE = {
    .name = "audit erase",
    .arguments = "",
    .summary = "erase what the log knows of a device, an operator or a line",
    .teaching =
        "Of each record the head stays: when, what action, which decision; and the tree, its "
        "proofs and\n"
        "copies verify as before. Who erased whom and why is recorded, and never erased. An "
        "active device\n"
        "is refused (suspend or revoke it first), as is whoever is under a legal hold, and "
        "yourself. Backups\n"
        "made before still hold the records: docs/audit-retention.md. Where the setting "
        "authority.four_eyes has\n"
        "retention, it is a proposal first (status 8), as is removing a hold.\n"
        "\n"
        "Example:\n"
        "  touchmark device revoke pump-17\n"
        "  touchmark audit erase --device pump-17 --reason \"GDPR art. 17, ticket 812\"\n",
    .options = ERASE_OPTIONS,
    .option_count = COUNT(ERASE_OPTIONS),
    .run = erase,
    .remote = true,
};

/* ---- audit hold ---- */

enum { ALL = SUBJECTS, SINCE, UNTIL, HOLD_REASON };
static const struct cli_option HOLD_OPTIONS[] = {
    [DEVICE] = { "--device", "ID", "records of this device" },
    [OPERATOR] = { "--operator", "ID", "records of this operator" },
    [LINE] = { "--line", "ID", "records of this factory station" },
    [ALL] = { "--all", NULL, "all records" },
    [SINCE] = { "--since", "TIME", "records from then on: 2026-11-27T12:00:00Z" },
    [UNTIL] = { "--until", "TIME", "records up to then" },
    [HOLD_REASON] = { "--reason", "TEXT", "why; it stays in the log" },
};

static enum rc add_hold(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;
    const char *kind, *id;

    TRY(find_subject(call, &kind, &id));
    bool some = id != NULL || call->values[SINCE] != NULL || call->values[UNTIL] != NULL;
    if (some == (call->values[ALL] != NULL))
        return fault(RC_MALFORMED, "which records? --device, --operator, --line, --since and "
                                   "--until, or --all");
    TRY(need_reason(call->values[HOLD_REASON]));
    AUTO(json_value) *body = json_pack(
        "{s:s*, s:s*, s:s*, s:s*, s:s}", "kind", kind, "id", id, "since", call->values[SINCE],
        "until", call->values[UNTIL], "reason", call->values[HOLD_REASON]);
    if (body == NULL)
        return fault(RC_MALFORMED, "an option's value: not UTF-8");
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, "/v1/audit/holds", body, &answer));
    return cli_show_line(call, answer, "Hold %" JSON_INTEGER_FORMAT " is on these records.\n",
                         json_integer_value(json_object_get(answer, "number")));
}

static enum rc remove_hold(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;
    uint64_t number = 0;

    if (call->word_count != 2 ||
        text_read_u64(bytes_of_text(call->words[1]), INT64_MAX, &number) != RC_OK)
        return fault(RC_MALFORMED, "which hold? its number, as audit hold list shows it");
    TRY(need_reason(call->values[HOLD_REASON]));
    AUTO(json_value) *body = json_pack("{s:s}", "reason", call->values[HOLD_REASON]);
    if (body == NULL)
        return fault(RC_MALFORMED, "reason: not UTF-8");
    buf_addf(&path, "/v1/audit/holds/%" PRIu64 "/release", number);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, text, body, &answer));
    if (cli_proposals_is(answer))
        return cli_proposals_tell(call, "The release", answer);
    return cli_show_line(call, answer, "Hold %" PRIu64 " is removed.\n", number);
}

static enum rc list_holds(const struct cli_call *call)
{
    static const struct cli_show_column COLUMNS[] = {
        { "HOLD", "number" }, { "KIND", "kind" }, { "ID", "id" }, { "SINCE", "since" },
        { "UNTIL", "until" }, { "MADE", "made" }, { "BY", "by" }, { "REASON", "reason" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *answer = NULL;

    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, "/v1/audit/holds", &answer));
    return cli_show_rows(call, answer, "holds", COLUMNS, COUNT(COLUMNS));
}

static enum rc hold(const struct cli_call *call)
{
    if (strcmp(call->words[0], "add") == 0 && call->word_count == 1)
        return add_hold(call);
    if (strcmp(call->words[0], "remove") == 0)
        return remove_hold(call);
    if (strcmp(call->words[0], "list") == 0 && call->word_count == 1)
        return list_holds(call);
    return fault(RC_MALFORMED, "audit hold add, audit hold remove N, or audit hold list");
}

const struct cli_command CLI_AUDIT_HOLD = {
    .name = "audit hold",
    .arguments = "add | remove N | list",
    .words_least = 1,
    .words_most = 2,
    .summary = "legal hold: records that are neither erased nor pruned",
    .teaching =
        "A hold is on the records of a device, an operator or a line, or on those between two "
        "times, or\n"
        "on both, or on all. What was erased before it is not brought back. Adding and "
        "removing "
        "are in the\n"
        "log, for ever.\n"
        "\n"
        "Example:\n"
        "  touchmark audit hold add --device pump-17 --since 2026-11-01T00:00:00Z --reason "
        "\"case 4711\"\n"
        "  touchmark audit hold list\n"
        "  touchmark audit hold remove 3 --reason \"case 4711 is closed\"\n",
    .options = HOLD_OPTIONS,
    .option_count = COUNT(HOLD_OPTIONS),
    .run = hold,
    .remote = true,
};
