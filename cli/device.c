#include "cli/change.h"
#include "cli/commands.h"

#include <string.h>

#include "base/text.h"

enum { PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct cli_show_column DEVICES[] = {
    { "DEVICE", "id" },       { "STATE", "state" }, { "GROUPS", "groups" },
    { "CREATED", "created" }, { "LABEL", "label" },
};
static const struct cli_show_column FACTS[] = {
    { "device", "device.id" },       { "state", "device.state" },
    { "label", "device.label" },     { "groups", "device.groups" },
    { "created", "device.created" }, { "changed", "device.changed" },
};
static const struct cli_show_column CERTIFICATES[] = {
    { "CERTIFICATE", "fingerprint" },
    { "STATE", "state" },
    { "SERIAL", "serial" },
    { "NOT AFTER", "not_after" },
};

/* ---- device add ---- */

enum { ADD_GROUP, ADD_LABEL };
static const struct cli_option ADD_OPTIONS[] = {
    [ADD_GROUP] = { "--group", "LIST",
                    "groups of the device, with commas; policies name them" },
    [ADD_LABEL] = { "--label", "TEXT", "for people; policies do not see it" },
};

static enum rc add_groups(json_t *body, struct bytes list)
{
    json_t *groups = json_array();

    if (json_object_set_new(body, "groups", groups) != 0)
        return fault(RC_NOMEM, "groups");
    for (;;) {
        const uint8_t *comma = list.len > 0 ? memchr(list.at, ',', list.len) : NULL;
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        if (json_array_append_new(groups, json_stringn((const char *)list.at, len)) != 0)
            return fault(RC_MALFORMED, "--group: not UTF-8");
        if (comma == NULL)
            return RC_OK;
        list = (struct bytes){ comma + 1, list.len - len - 1 };
    }
}

static enum rc add_texts(const struct cli_call *call, json_t *body)
{
    if (json_object_set_new(body, "id", json_string(call->words[0])) != 0)
        return fault(RC_MALFORMED, "the device's id is not UTF-8");
    if (call->values[ADD_LABEL] != NULL &&
        json_object_set_new(body, "label", json_string(call->values[ADD_LABEL])) != 0)
        return fault(RC_MALFORMED, "--label: not UTF-8");
    return RC_OK;
}

static enum rc add_device(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *body = json_object();
    AUTO(json_value) *answer = NULL;

    TRY(add_texts(call, body));
    if (call->values[ADD_GROUP] != NULL)
        TRY(add_groups(body, bytes_of_text(call->values[ADD_GROUP])));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, "/v1/devices", body, &answer));
    return cli_show_line(call, answer, "%s is registered. Next: touchmark token new %s\n",
                         call->words[0], call->words[0]);
}

const struct cli_command CLI_DEVICE_ADD = {
    .name = "device add",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "register a device",
    .teaching = "The device is known from now on, and may do nothing until it holds a "
                "certificate:\n"
                "give it a one-time token (touchmark token new), with which it enrols itself.\n"
                "\n"
                "Example:\n"
                "  touchmark device add pump-17 --group pumps,hall-2 --label \"Pump by the "
                "door\"\n",
    .options = ADD_OPTIONS,
    .option_count = COUNT(ADD_OPTIONS),
    .run = add_device,
    .remote = true,
};

/* ---- device list, device show ---- */

enum { LIST_STATE, LIST_GROUP, LIST_LIMIT, LIST_CURSOR };
static const struct cli_option LIST_OPTIONS[] = {
    [LIST_STATE] = { "--state", "STATE", "registered, active, suspended or revoked" },
    [LIST_GROUP] = { "--group", "GROUP", "only of this group" },
    [LIST_LIMIT] = { "--limit", "N", "one page of at most N (1 to 500); else all" },
    [LIST_CURSOR] = { "--cursor", "CURSOR", "go on where a page ended" },
};

static enum rc list_devices(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/devices");
    cli_remote_add_query(&path, "state", call->values[LIST_STATE]);
    cli_remote_add_query(&path, "group", call->values[LIST_GROUP]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_list(&remote, text, "devices", call->values[LIST_LIMIT],
                        call->values[LIST_CURSOR], &answer));
    return cli_show_rows(call, answer, "devices", DEVICES, COUNT(DEVICES));
}

const struct cli_command CLI_DEVICE_LIST = {
    .name = "device list",
    .arguments = "",
    .summary = "list devices",
    .teaching = "All of them, or with --limit a page, which says how to get the next.\n"
                "\n"
                "Example:\n"
                "  touchmark device list --state suspended\n"
                "  touchmark device list --group pumps --json | jq -r '.devices[].id'\n",
    .options = LIST_OPTIONS,
    .option_count = COUNT(LIST_OPTIONS),
    .run = list_devices,
    .remote = true,
};

static enum rc show_device(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    buf_addf(&path, "/v1/devices/");
    cli_remote_add_segment(&path, call->words[0]);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_get(&remote, text, &answer));
    TRY(cli_show_object(call, answer, FACTS, COUNT(FACTS)));
    return call->json
               ? RC_OK
               : cli_show_rows(call, answer, "certificates", CERTIFICATES, COUNT(CERTIFICATES));
}

const struct cli_command CLI_DEVICE_SHOW = {
    .name = "device show",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "show a device and its certificates",
    .teaching = "Example:\n  touchmark device show pump-17\n",
    .run = show_device,
    .remote = true,
};

/* ---- device suspend, resume ---- */

enum { WAIT };
static const struct cli_option SUSPEND_OPTIONS[] = {
    [WAIT] = { "--wait", NULL, "until every door has acknowledged it" },
};
static enum rc suspend_device(const struct cli_call *call)
{
    return cli_change_run(call, &(const struct cli_change){
                                    .resource = "devices",
                                    .id = call->words[0],
                                    .verb = "suspend",
                                    .done = "suspended",
                                    .wait = call->values[WAIT] != NULL,
                                });
}

static enum rc resume_device(const struct cli_call *call)
{
    return cli_change_run(call, &(const struct cli_change){
                                    .resource = "devices",
                                    .id = call->words[0],
                                    .verb = "resume",
                                    .done = "active again",
                                    .wait = call->values[WAIT] != NULL,
                                });
}

const struct cli_command CLI_DEVICE_SUSPEND = {
    .name = "device suspend",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "cut a device off until it is resumed",
    .teaching = "Its sessions end within a second, and none begins; its certificates stay.\n"
                "\n"
                "Example:\n  touchmark device suspend pump-17 --wait\n",
    .options = SUSPEND_OPTIONS,
    .option_count = COUNT(SUSPEND_OPTIONS),
    .run = suspend_device,
    .remote = true,
};

const struct cli_command CLI_DEVICE_RESUME = {
    .name = "device resume",
    .arguments = "ID",
    .words_least = 1,
    .words_most = 1,
    .summary = "let a suspended device in again",
    .teaching = "Example:\n  touchmark device resume pump-17\n",
    .options = SUSPEND_OPTIONS,
    .option_count = COUNT(SUSPEND_OPTIONS),
    .run = resume_device,
    .remote = true,
};

/* ---- token new ---- */

enum { TOKEN_LIFETIME };
static const struct cli_option TOKEN_OPTIONS[] = {
    [TOKEN_LIFETIME] = { "--lifetime", "SECONDS",
                         "how long it can be used (the server's own)" },
};

static enum rc add_lifetime(const struct cli_call *call, json_t *body)
{
    uint64_t seconds = 0;
    const char *given = call->values[TOKEN_LIFETIME];

    if (given == NULL)
        return RC_OK;
    if (text_read_u64(bytes_of_text(given), INT32_MAX, &seconds) != RC_OK)
        return fault(RC_MALFORMED, "--lifetime %s: a number of seconds", given);
    return json_object_set_new(body, "lifetime_s", json_integer((json_int_t)seconds)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "lifetime");
}

static enum rc new_token(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO(json_value) *body = json_object();
    AUTO(json_value) *answer = NULL;
    const char *text = NULL;

    TRY(add_lifetime(call, body));
    buf_addf(&path, "/v1/devices/");
    cli_remote_add_segment(&path, call->words[0]);
    buf_addf(&path, "/tokens");
    TRY(buf_text(&path, &text));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_remote_post(&remote, text, body, &answer));
    const char *id = json_string_value(json_object_get(answer, "id"));
    const char *secret = json_string_value(json_object_get(answer, "secret"));
    const char *expires = json_string_value(json_object_get(answer, "expires"));
    if (id == NULL || secret == NULL || expires == NULL)
        return fault(RC_IO, "the server's answer has no token");
    if (!call->json)
        fprintf(call->messages, "Shown once; good for one enrolment of %s until %s.\n",
                call->words[0], expires);
    return cli_show_line(call, answer, "%s:%s\n", id, secret);
}

const struct cli_command CLI_TOKEN_NEW = {
    .name = "token new",
    .arguments = "DEVICE",
    .words_least = 1,
    .words_most = 1,
    .summary = "make a one-time token with which a device enrols",
    .teaching = "Prints id:secret, once; only a hash of it is kept. It is good for one "
                "enrolment of this\ndevice. Hand it over in a file, never as an argument of a "
                "program.\n"
                "\n"
                "Example:\n"
                "  touchmark token new pump-17 > pump-17.token\n",
    .options = TOKEN_OPTIONS,
    .option_count = COUNT(TOKEN_OPTIONS),
    .run = new_token,
    .remote = true,
};
