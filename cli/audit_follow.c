#include "base/text.h"
#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <sys/random.h>
#include <time.h>

enum {
    PATH_LEN_MAX = 8 * 1024,
    LINE_MAX_LEN = 8 * 1024,
    AGAIN_LEAST_MS = 1000,
    AGAIN_MOST_MS = 30000
};

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

/* ---- While there is no answer ---- */

struct patience {
    const struct cli_call *call;
    enum rc told;    /* why there is none, as it was told last; RC_OK: there was one */
    int64_t wait_ms; /* the next one */
};

/* Between half and the whole: those who were sent away together do not come back together. */
static int64_t draw(int64_t most_ms)
{
    uint32_t drawn = 0;

    if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) != sizeof drawn)
        return most_ms;
    return most_ms / 2 + (int64_t)(drawn % (uint32_t)(most_ms / 2 + 1));
}

/* The server is away, or too many follow: that goes by, and the log does not lose what comes
 * meanwhile. Each reason is told once. RC_OK: ask again. */
static enum rc wait_for_it(struct patience *patience, enum rc rc)
{
    const int64_t wait_ms = draw(patience->wait_ms);
    const struct timespec again = { .tv_sec = wait_ms / 1000,
                                    .tv_nsec = wait_ms % 1000 * 1000000 };

    if (rc != RC_BUSY && rc != RC_LIMIT)
        return rc;
    if (rc != patience->told)
        fprintf(patience->call->messages, "touchmark: %s; trying again\n", fault_text());
    patience->told = rc;
    patience->wait_ms =
        2 * patience->wait_ms < AGAIN_MOST_MS ? 2 * patience->wait_ms : AGAIN_MOST_MS;
    (void)nanosleep(&again, NULL);
    return RC_OK;
}

static void go_on(struct patience *patience, const char *from)
{
    if (patience->told != RC_OK)
        fprintf(patience->call->messages, "touchmark: goes on from record %s\n", from);
    patience->told = RC_OK;
    patience->wait_ms = AGAIN_LEAST_MS;
}

/* ---- Following ---- */

static enum rc find_newest(const struct cli_call *call, struct cli_remote *remote,
                           struct buf *from)
{
    AUTO(json_value) *answer = NULL;

    (void)call;
    TRY(cli_remote_get(remote, "/v1/audit?limit=1", &answer));
    const json_t *newest = json_array_get(json_object_get(answer, "records"), 0);
    buf_addf(from, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(newest, "index")) + 1);
    return RC_OK;
}

static enum rc until_answered(struct patience *patience, struct cli_remote *remote,
                              struct buf *from,
                              enum rc (*ask_once)(const struct cli_call *call,
                                                  struct cli_remote *remote, struct buf *from))
{
    AUTO_BUF(before, 32);
    const char *text = NULL;
    enum rc rc;

    buf_add(&before, buf_bytes(from));
    while ((rc = ask_once(patience->call, remote, from)) != RC_OK)
        TRY(wait_for_it(patience, rc));
    TRY(buf_text(before.len > 0 ? &before : from, &text));
    go_on(patience, text);
    return RC_OK;
}

/* Where it begins is settled first, so that nothing is missed while the server is away. */
static enum rc find_start(struct patience *patience, struct cli_remote *remote,
                          struct buf *from)
{
    const char *given = patience->call->values[FROM];

    if (given == NULL)
        return until_answered(patience, remote, from, find_newest);
    buf_addf(from, "%s", given);
    return RC_OK;
}

static enum rc follow(const struct cli_call *call)
{
    struct patience patience = { .call = call, .wait_ms = AGAIN_LEAST_MS };
    CLI_REMOTE(remote);
    AUTO_BUF(from, 32);
    uint64_t most = 0;

    if (call->values[TIMES] != NULL &&
        text_read_u64(bytes_of_text(call->values[TIMES]), 1000000, &most) != RC_OK)
        return fault(RC_MALFORMED, "--answers %s: a number is expected", call->values[TIMES]);
    TRY(cli_remote_open(call, &remote));
    TRY(find_start(&patience, &remote, &from));
    for (uint64_t answers = 0; most == 0 || answers < most; answers++)
        TRY(until_answered(&patience, &remote, &from, ask));
    return RC_OK;
}

const struct cli_command CLI_AUDIT_FOLLOW = {
    .name = "audit follow",
    .arguments = "",
    .summary = "show records of the audit log as they are written",
    .teaching =
        "All that is given must hold. Each record is shown once, in the log's order; --json "
        "has "
        "each as a\nline of JSON. When the server is away, or too many follow, that is said "
        "and "
        "tried again after a\nsecond, doubling up to half a minute; it goes on behind the last "
        "record that was shown. It ends\nat Ctrl-C, and when who follows may no longer read. "
        "That somebody follows is in the log, too, and\nnot shown here: see audit list.\n"
        "\n"
        "Example:\n"
        "  touchmark audit follow --decision denied\n"
        "  touchmark audit follow --from 0 --json >> records.jsonl\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = follow,
    .remote = true,
};
