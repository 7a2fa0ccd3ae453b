#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <fcntl.h>

#include "audit/checkpoint.h"
#include "base/file.h"

enum { PATH_LEN_MAX = 8 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- audit list ---- */

enum { LIMIT = CLI_AUDIT_FACETS, BEFORE };
static const struct cli_option LIST_OPTIONS[] = {
    CLI_AUDIT_FACET_OPTIONS,
    [LIMIT] = { "--limit", "N", "at most N records, the newest (50)" },
    [BEFORE] = { "--before", "INDEX", "only older ones than this" },
};

static enum rc list_records(const struct cli_call *call)
{
    static const struct cli_show_column COLUMNS[] = {
        { "INDEX", "index" },       { "TIME", "time" },     { "SOURCE", "source" },
        { "DECISION", "decision" }, { "ACTION", "action" }, { "ACTOR", "actor.id" },
        { "DEVICE", "device" },     { "TARGET", "target" }, { "POLICY", "policy" },
        { "RULE", "rule" },         { "REASON", "reason" },
    };
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/audit");
    for (size_t i = 0; i < COUNT(LIST_OPTIONS); i++)
        cli_remote_add_query(&path, LIST_OPTIONS[i].name + 2,
                             i == LIMIT ? cli_command_value(call, i, "50") : call->values[i]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, text, &answer));
    TRY(cli_show_rows(call, answer, "records", COLUMNS, COUNT(COLUMNS)));
    const json_t *next = json_object_get(answer, "next");
    if (!call->json && json_is_integer(next))
        fprintf(call->messages, "There may be more: --before %" JSON_INTEGER_FORMAT "\n",
                json_integer_value(next));
    return RC_OK;
}

const struct cli_command CLI_AUDIT_LIST = {
    .name = "audit list",
    .arguments = "",
    .summary = "who did what, and why it was allowed or not: the newest records",
    .teaching = "All that is given must hold; WORDS and NAMES are one or several, with commas, "
                "of which one must.\n"
                "Times and texts are as the log has them; of several topics that were counted "
                "together it tells\ntheir pattern. --json has everything that is known of each "
                "record.\n"
                "\n"
                "Example:\n"
                "  touchmark audit list --device pump-17 --decision denied,failed\n"
                "  touchmark audit list --topic 'plant/+/valve/#' --peer 192.0.2.0/24 --action "
                "publish,subscribe\n"
                "  touchmark audit list --serial 0f3a9c --action 'certificate.*'\n"
                "  touchmark audit list --correlation 9f86d081884c7d659a2feaa0c55ad015   the "
                "request id of a refusal\n",
    .options = LIST_OPTIONS,
    .option_count = COUNT(LIST_OPTIONS),
    .run = list_records,
    .remote = true,
};

/* ---- audit show ---- */

static enum rc show_record(const struct cli_call *call)
{
    static const struct cli_show_column FACTS[] = {
        { "index", "index" },
        { "time", "time" },
        { "monotonic clock, ms", "monotonic_ms" },
        { "action", "action" },
        { "decision", "decision" },
        { "reason", "reason" },
        { "actor", "actor.id" },
        { "actor's kind", "actor.kind" },
        { "actor's certificate", "actor_certificate.fingerprint" },
        { "device", "device" },
        { "certificate", "certificate.fingerprint" },
        { "target", "target" },
        { "peer", "peer" },
        { "TLS", "tls" },
        { "policy", "policy" },
        { "rule", "rule" },
        { "times", "aggregate.count" },
        { "correlation", "correlation" },
        { "source", "source" },
        { "sequence in source", "sequence" },
        { "leaf", "leaf" },
        { "erased", "erased" },
    };
    CLI_REMOTE(remote);
    AUTO(json_value) *record = NULL;
    uint64_t index = 0;

    TRY(cli_audit_read_index(call->words[0], &index));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_audit_get(&remote, index, &record));
    return cli_show_object(call, record, FACTS, COUNT(FACTS));
}

const struct cli_command CLI_AUDIT_SHOW = {
    .name = "audit show",
    .arguments = "INDEX",
    .words_least = 1,
    .words_most = 1,
    .summary = "show one record whole",
    .teaching = "Example:\n  touchmark audit show 1042\n",
    .run = show_record,
    .remote = true,
};

/* ---- audit checkpoint ---- */

enum { SAVE, SIZE };
static const struct cli_option CHECKPOINT_OPTIONS[] = {
    [SAVE] = { "--save", "FILE", "into a file, for audit verify --since" },
    [SIZE] = { "--size", "N", "the newest of a log of at most N records" },
};

static enum rc get_checkpoint(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/audit/checkpoint");
    cli_remote_add_query(&path, "size", call->values[SIZE]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get_bytes(&remote, text, &note));
    TRY(buf_text(&note, &text));
    if (call->values[SAVE] != NULL) {
        TRY(file_write(AT_FDCWD, call->values[SAVE], buf_bytes(&note), 0644));
        fprintf(call->messages, "Saved as %s.\n", call->values[SAVE]);
    }
    answer = json_pack("{s:s}", "note", text);
    return answer == NULL ? fault(RC_IO, "the checkpoint is no text")
                          : cli_show_line(call, answer, "%s", text);
}

const struct cli_command CLI_AUDIT_CHECKPOINT = {
    .name = "audit checkpoint",
    .arguments = "",
    .summary = "get the newest signed checkpoint of the log",
    .teaching =
        "A checkpoint kept elsewhere, on paper if you like, is what shows later that the "
        "log's end was\ncut off or that an old copy was put back. Keep one each day.\n"
        "\n"
        "Example:\n"
        "  touchmark audit checkpoint --save 2026-11-27.checkpoint\n"
        "  touchmark audit verify --since 2026-11-27.checkpoint\n",
    .options = CHECKPOINT_OPTIONS,
    .option_count = COUNT(CHECKPOINT_OPTIONS),
    .run = get_checkpoint,
    .remote = true,
};
