#include "base/text.h"
#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <time.h>

enum { PATH_LEN_MAX = 8 * 1024, LINE_MAX_LEN = 8 * 1024, AGAIN_S = 1 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FROM = CLI_AUDIT_FACETS, TIMES };
static const struct cli_option OPTIONS[] = {
    CLI_AUDIT_FACET_OPTIONS,
    [FROM] = { "--from", "INDEX",
               "from this record on (0: the first), not only what comes from now on" },
    [TIMES] = { "--answers", "N",
                "end after N answers of the server, which come at least every ten seconds "
                "(never)" },
};

static void add_member(struct buf *line, const json_t *record, const char *name)
{
    const json_t *value = json_object_get(record, name);

    if (value == NULL)
        return;
    buf_addf(line, "  ");
    cli_show_value(value, line);
}

static enum rc tell_record(const struct cli_call *call, const json_t *record)
{
    static const char *const MEMBERS[] = { "decision", "action" };
    static const char *const MORE[] = { "device", "target", "reason" };
    AUTO_BUF(line, LINE_MAX_LEN);

    if (call->json)
        TRY(cli_show_json(record, &line));
    else {
        cli_show_value(json_object_get(record, "index"), &line);
        add_member(&line, record, "time");
        for (size_t i = 0; i < COUNT(MEMBERS); i++)
            add_member(&line, record, MEMBERS[i]);
        add_member(&line, json_object_get(record, "actor"), "id");
        for (size_t i = 0; i < COUNT(MORE); i++)
            add_member(&line, record, MORE[i]);
        buf_addf(&line, "\n");
    }
    return cli_command_put(call, &line);
}

static enum rc tell_all(const struct cli_call *call, const json_t *answer)
{
    const json_t *record = NULL;
    size_t i = 0;

    json_array_foreach(json_object_get(answer, "records"), i, record)
        TRY(tell_record(call, record));
    return fflush(call->out) == 0 ? RC_OK : fault_errno("write");
}

/* One question: what is there, or ten seconds' wait for it. */
static enum rc ask(const struct cli_call *call, struct cli_remote *remote, struct buf *from)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    TRY(buf_text(from, &text));
    buf_addf(&path, "/v1/audit/follow");
    cli_remote_add_query(&path, "from", text);
    for (size_t i = 0; i < CLI_AUDIT_FACETS; i++)
        cli_remote_add_query(&path, OPTIONS[i].name + 2, call->values[i]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_get(remote, text, &answer));
    TRY(tell_all(call, answer));
    buf_reset(from);
    cli_show_value(json_object_get(answer, "next"), from);
    return RC_OK;
}

/* Once a while is told of, and goes by: the log does not lose what comes meanwhile. */
static void wait_for_it(const struct cli_call *call, bool *told)
{
    const struct timespec again = { .tv_sec = AGAIN_S };

    if (!*told)
        fprintf(call->messages, "touchmark: %s; trying again\n", fault_text());
    *told = true;
    (void)nanosleep(&again, NULL);
}

/* Where it begins is settled first, so that nothing is missed while the server is away. */
static enum rc find_start(const struct cli_call *call, struct cli_remote *remote,
                          struct buf *from)
{
    AUTO(json_value) *answer = NULL;

    if (call->values[FROM] != NULL) {
        buf_addf(from, "%s", call->values[FROM]);
        return RC_OK;
    }
    TRY(cli_remote_get(remote, "/v1/audit?limit=1", &answer));
    const json_t *newest = json_array_get(json_object_get(answer, "records"), 0);
    buf_addf(from, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(newest, "index")) + 1);
    return RC_OK;
}

static enum rc follow(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(from, 32);
    uint64_t most = 0;
    bool told = false;

    if (call->values[TIMES] != NULL &&
        text_read_u64(bytes_of_text(call->values[TIMES]), 1000000, &most) != RC_OK)
        return fault(RC_MALFORMED, "--answers %s: a number is expected", call->values[TIMES]);
    TRY(cli_remote_open(call, &remote));
    TRY(find_start(call, &remote, &from));
    for (uint64_t answers = 0; most == 0 || answers < most;) {
        enum rc rc = ask(call, &remote, &from);
        if (rc == RC_BUSY) {
            wait_for_it(call, &told);
            continue;
        }
        TRY(rc);
        told = false;
        answers++;
    }
    return RC_OK;
}

const struct cli_command CLI_AUDIT_FOLLOW = {
    .name = "audit follow",
    .arguments = "",
    .summary = "show records of the audit log as they are written",
    .teaching =
        "All that is given must hold. Each record is shown once, in the log's order, also when "
        "the server\nwas away for a while; --json has each as a line of JSON. It ends at "
        "Ctrl-C, "
        "and when who follows\nmay no longer read. That somebody follows is in the log, too, "
        "and "
        "not shown here: see audit list.\n"
        "\n"
        "Example:\n"
        "  touchmark audit follow --decision denied\n"
        "  touchmark audit follow --from 0 --json >> records.jsonl\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = follow,
    .remote = true,
};
