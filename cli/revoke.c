#include "cli/change.h"
#include "cli/commands.h"
#include "cli/proposals.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "registry/question.h"

enum { PATH_LEN_MAX = 1024, LIST_BYTES_MAX = 16 * 1024 * 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { WAIT, REASON, GROUP, FROM_FILE, WHY };
static const struct cli_option OPTIONS[] = {
    [WAIT] = { "--wait", NULL, "until every door has acknowledged it" },
    [REASON] = { "--reason", "REASON",
                 "keyCompromise, superseded, cessationOfOperation, ... (RFC 5280 5.3.1)" },
    [GROUP] = { "--group", "GROUP", "all devices that are in this group now" },
    [FROM_FILE] = { "--from-file", "FILE",
                    "those that it names, one a line, # for comments; - is standard input" },
    [WHY] = { "--why", "TEXT", "of many: for the audit log, and for who approves it" },
};

static enum rc check(const struct cli_call *call)
{
    bool group = call->values[GROUP] != NULL, file = call->values[FROM_FILE] != NULL;

    if ((call->word_count == 1) + group + file != 1)
        return fault(RC_MALFORMED, "device revoke needs ID, --group or --from-file");
    if (call->values[WHY] != NULL && call->word_count == 1)
        return fault(RC_MALFORMED, "--why is of many devices");
    return RC_OK;
}

/* ---- Which ---- */

/* ids is an object whose members are the ids, in their order, each once. */
static enum rc add_id(json_t *ids, struct bytes id)
{
    char text[REGISTRY_ID_MAX + 1];

    TRY(registry_id_copy(id, text));
    return json_object_set_new(ids, text, json_true()) == 0 ? RC_OK : fault(RC_NOMEM, "ids");
}

static struct bytes trim(struct bytes line)
{
    while (line.len > 0 && strchr(" \t\r", line.at[line.len - 1]) != NULL)
        line.len--;
    while (line.len > 0 && strchr(" \t", line.at[0]) != NULL)
        line = (struct bytes){ line.at + 1, line.len - 1 };
    return line;
}

static enum rc read_lines(const char *name, struct bytes text, json_t *ids)
{
    for (unsigned number = 1; text.len > 0; number++) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        struct bytes line = trim((struct bytes){ text.at, len });
        if (line.len > 0 && line.at[0] != '#') {
            enum rc rc = add_id(ids, line);
            if (rc != RC_OK)
                return fault_while(rc, "%s:%u", name, number);
        }
        len += end != NULL;
        text = (struct bytes){ text.at + len, text.len - len };
    }
    if (json_object_size(ids) == 0)
        return fault(RC_MALFORMED, "%s names no device", name);
    return RC_OK;
}

static enum rc read_standard_input(struct buf *text)
{
    char some[4096];
    size_t got = 0;

    while ((got = fread(some, 1, sizeof some, stdin)) > 0)
        buf_add(text, (struct bytes){ (const uint8_t *)some, got });
    if (ferror(stdin))
        return fault_errno("read standard input");
    struct bytes all;
    return buf_done(text, &all);
}

static enum rc read_file(const char *name, json_t *ids)
{
    AUTO_BUF(text, LIST_BYTES_MAX);

    if (strcmp(name, "-") == 0)
        TRY(read_standard_input(&text));
    else
        TRY(file_read(AT_FDCWD, name, &text));
    return read_lines(name, buf_bytes(&text), ids);
}

/* Those that are revoked already need nothing. */
static enum rc read_group(struct cli_remote *remote, const char *group, json_t *ids)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;
    const json_t *one = NULL;
    size_t i = 0;

    buf_addf(&path, "/v1/devices");
    cli_remote_add_query(&path, "group", group);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_list(remote, text, "devices", NULL, NULL, &answer));
    const json_t *devices = json_object_get(answer, "devices");
    json_array_foreach(devices, i, one)
    {
        const char *id = json_string_value(json_object_get(one, "id"));
        const char *state = json_string_value(json_object_get(one, "state"));
        if (id == NULL || state == NULL)
            return fault(RC_IO, "the server's answer has a device without id or state");
        if (strcmp(state, "revoked") != 0)
            TRY(add_id(ids, bytes_of_text(id)));
    }
    if (json_array_size(devices) == 0)
        return fault(RC_NOT_FOUND, "no device is in group %s", group);
    return RC_OK;
}

/* ---- Batch by batch ---- */

struct progress {
    const struct cli_call *call;
    size_t all, dealt;      /* devices: named, and in requests that were answered */
    json_t *unknown, *made; /* ids; numbers of proposals */
    json_int_t revoked, were_revoked;
    bool applied;
};

static enum rc count_outcomes(struct progress *progress, const json_t *answer)
{
    const json_t *one = NULL;
    size_t i = 0;

    if (cli_proposals_is(answer)) {
        (void)json_array_append_new(progress->made, json_integer(cli_proposals_number(answer)));
        return RC_OK;
    }
    progress->revoked += json_integer_value(json_object_get(answer, "revoked"));
    progress->were_revoked += json_integer_value(json_object_get(answer, "were_revoked"));
    progress->applied = json_is_true(json_object_get(answer, "applied"));
    json_array_foreach(json_object_get(answer, "devices"), i, one)
    {
        const char *outcome = json_string_value(json_object_get(one, "outcome"));
        if (outcome == NULL)
            return fault(RC_IO, "the server's answer has a device without outcome");
        if (strcmp(outcome, "unknown") == 0)
            (void)json_array_append(progress->unknown, json_object_get(one, "device"));
    }
    return RC_OK;
}

static enum rc send_batch(struct progress *progress, struct cli_remote *remote, json_t *devices)
{
    const struct cli_call *call = progress->call;
    size_t count = json_array_size(devices);
    bool last = progress->dealt + count == progress->all;
    bool waits = call->values[WAIT] != NULL && last;
    AUTO(json_value) *body =
        json_pack("{s:O, s:s*}", "devices", devices, "reason", call->values[REASON]);
    AUTO(json_value) *answer = NULL;

    if (body == NULL)
        return fault(RC_MALFORMED, "--reason: not UTF-8");
    TRY(cli_proposals_add_why(body, call->values[WHY]));
    TRY(cli_remote_post(remote, waits ? "/v1/devices/revoke?wait=1" : "/v1/devices/revoke",
                        body, &answer));
    progress->dealt += count;
    TRY(count_outcomes(progress, answer));
    if (!call->json && progress->all > REGISTRY_IDS_MAX)
        fprintf(call->messages, "%zu of %zu\n", progress->dealt, progress->all);
    return RC_OK;
}

static enum rc send_all(struct progress *progress, struct cli_remote *remote, json_t *ids)
{
    AUTO(json_value) *devices = json_array();
    const char *id = NULL;
    json_t *unused = NULL;

    json_object_foreach(ids, id, unused)
    {
        if (json_array_append_new(devices, json_string(id)) != 0)
            return fault(RC_NOMEM, "ids");
        if (json_array_size(devices) < REGISTRY_IDS_MAX)
            continue;
        TRY(send_batch(progress, remote, devices));
        (void)json_array_clear(devices);
    }
    return json_array_size(devices) == 0 ? RC_OK : send_batch(progress, remote, devices);
}

/* ---- What was done ---- */

static enum rc tell_proposals(const struct progress *progress, const json_t *sum)
{
    AUTO_BUF(text, PATH_LEN_MAX);
    const char *numbers = "";

    cli_show_value(progress->made, &text);
    if (buf_text(&text, &numbers) != RC_OK)
        numbers = "...";
    *progress->call->status = CLI_EXIT_PROPOSED;
    return cli_show_line(progress->call, sum,
                         "%zu devices are proposal %s: they are revoked when another "
                         "administrator approves it.\n",
                         progress->dealt, numbers);
}

static enum rc tell_done(const struct progress *progress, const json_t *sum)
{
    AUTO_BUF(text, LIST_BYTES_MAX);
    const char *unknown = "";

    if (!progress->call->json && json_array_size(progress->unknown) > 0) {
        cli_show_value(progress->unknown, &text);
        if (buf_text(&text, &unknown) == RC_OK)
            fprintf(progress->call->messages, "Unknown here: %s\n", unknown);
    }
    return cli_show_line(progress->call, sum,
                         "%" JSON_INTEGER_FORMAT " revoked, %" JSON_INTEGER_FORMAT
                         " were before, %zu unknown, of %zu named%s.\n",
                         progress->revoked, progress->were_revoked,
                         json_array_size(progress->unknown), progress->all,
                         progress->applied ? ", applied at every door" : "");
}

/* Also of what was done before it failed. */
static enum rc tell(const struct progress *progress, enum rc rc)
{
    AUTO(json_value) *sum = json_pack(
        "{s:I, s:I, s:I, s:O, s:O, s:I, s:b}", "named", (json_int_t)progress->all, "revoked",
        progress->revoked, "were_revoked", progress->were_revoked, "unknown", progress->unknown,
        "proposals", progress->made, "not_asked", (json_int_t)(progress->all - progress->dealt),
        "applied", (int)progress->applied);

    if (rc != RC_OK)
        rc = fault_while(rc,
                         "%zu of %zu were not asked for; give them again: what is done is "
                         "left as it is",
                         progress->all - progress->dealt, progress->all);
    if (progress->dealt > 0 || rc == RC_OK) {
        enum rc told = json_array_size(progress->made) > 0 ? tell_proposals(progress, sum)
                                                           : tell_done(progress, sum);
        rc = rc != RC_OK ? rc : told;
    }
    if (rc == RC_OK && json_array_size(progress->unknown) > 0)
        return fault(RC_NOT_FOUND, "%zu of %zu are no devices here",
                     json_array_size(progress->unknown), progress->all);
    if (rc == RC_OK && progress->call->values[WAIT] != NULL && progress->all > 0 &&
        json_array_size(progress->made) == 0 && !progress->applied)
        return fault(RC_BUSY, "they are revoked, but not every door has said so yet");
    return rc;
}

static enum rc revoke_many(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *ids = json_object();
    AUTO(json_value) *unknown = json_array();
    AUTO(json_value) *made = json_array();

    if (call->values[FROM_FILE] != NULL)
        TRY(read_file(call->values[FROM_FILE], ids));
    TRY(cli_remote_open(call, &remote));
    if (call->values[GROUP] != NULL)
        TRY(read_group(&remote, call->values[GROUP], ids));
    struct progress progress = {
        .call = call, .all = json_object_size(ids), .unknown = unknown, .made = made
    };
    return tell(&progress, send_all(&progress, &remote, ids));
}

static enum rc revoke_device(const struct cli_call *call)
{
    if (call->word_count == 0)
        return revoke_many(call);
    return cli_change_run(call, &(const struct cli_change){
                                    .resource = "devices",
                                    .id = call->words[0],
                                    .verb = "revoke",
                                    .done = "revoked",
                                    .reason = call->values[REASON],
                                    .wait = call->values[WAIT] != NULL,
                                });
}

const struct cli_command CLI_DEVICE_REVOKE = {
    .name = "device revoke",
    .arguments = "[ID]",
    .words_most = 1,
    .summary = "revoke a device and all its certificates, or many, for good",
    .teaching =
        "Sessions end within a second on every transport. An id is never used again.\n"
        "With --wait the command returns when every door has acknowledged; status 6 if "
        "one has\nnot (it is revoked all the same).\n"
        "\n"
        "Many go in acts of up to 500 and each device is told of exactly; again is "
        "harmless, and ids\nthat are unknown hinder nobody (status 4 in the end). Where "
        "the setting authority.four_eyes\nhas revocation, each act is a proposal "
        "(status 8) with exactly these devices, and single\nrevocations are done at "
        "once, but so many an hour at most (status 5 above it).\n"
        "\n"
        "Example:\n"
        "  touchmark device revoke pump-17 --reason keyCompromise --wait\n"
        "  touchmark device revoke --group pumps --reason keyCompromise --why \"recall "
        "12\"\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .check = check,
    .run = revoke_device,
    .remote = true,
};
