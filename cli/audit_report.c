#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <string.h>

enum { TEXT_MAX = 32 * 1024 * 1024, PATH_LEN_MAX = 1024 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { SINCE, UNTIL };
static const struct cli_option OPTIONS[] = {
    [SINCE] = { "--since", "TIME", "2026-11-27T12:00:00Z, or later (all that the log has)" },
    [UNTIL] = { "--until", "TIME", "or earlier" },
};

/* Which chapter a record belongs to; the first that fits. */
static const struct chapter {
    const char *name, *heading;
    const char *actions[8];
} CHAPTERS[] = {
    { "life",
      "What was done to it",
      { "device.add", "device.suspend", "device.resume", "device.revoke", "log.erase",
        "log.hold" } },
    { "certificates",
      "Tokens and certificates",
      { "token.new", "token.use", "certificate.issue", "certificate.renew",
        "certificate.revoke", "certificate.orphan", "certificate.look_up" } },
    { "sessions",
      "Handshakes and sessions",
      { "handshake", "session.open", "session.close", "session.cut", "protocol" } },
    { "traffic",
      "Messages",
      { "publish", "subscribe", "unsubscribe", "receive", "retain", "will" } },
    { "readers", "Who read about it", { "device.read", "certificate.read", "log.read" } },
    { "other", "What else there is", { "" } },
};

static size_t chapter_of(const char *action)
{
    for (size_t i = 0; i < COUNT(CHAPTERS) - 1; i++)
        for (size_t j = 0; j < COUNT(CHAPTERS[i].actions) && CHAPTERS[i].actions[j] != NULL;
             j++)
            if (strcmp(CHAPTERS[i].actions[j], action) == 0)
                return i;
    return COUNT(CHAPTERS) - 1;
}

/* Acts to it are told one by one; the rest is counted. */
static enum rc add_record(json_t *report, const json_t *record)
{
    static const char *const TRAFFIC[] = { "action", "decision", "target",
                                           "policy", "rule",     "reason" };
    static const char *const SESSIONS[] = { "action", "decision", "reason" };
    static const char *const READERS[] = { "actor.id", "action", "decision" };
    const size_t chapter = chapter_of(cli_audit_text(record, "action"));
    json_t *rows = json_object_get(report, CHAPTERS[chapter].name);
    const char *name = CHAPTERS[chapter].name;

    if (strcmp(name, "traffic") == 0)
        return cli_audit_tally(rows, record, TRAFFIC, COUNT(TRAFFIC));
    if (strcmp(name, "sessions") == 0)
        return cli_audit_tally(rows, record, SESSIONS, COUNT(SESSIONS));
    if (strcmp(name, "readers") == 0)
        return cli_audit_tally(rows, record, READERS, COUNT(READERS));
    return json_array_insert_new(rows, 0, json_deep_copy(record)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a report");
}

/* Without the port, each once. */
static enum rc add_address(json_t *addresses, const json_t *record)
{
    const char *peer = cli_audit_text(record, "peer");
    const char *colon = strrchr(peer, ':');
    const json_t *one = NULL;
    size_t i = 0, len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);

    if (len == 0 || strcmp(cli_audit_text(record, "actor.kind"), "device") != 0)
        return RC_OK;
    json_array_foreach(addresses, i, one)
    {
        if (json_string_length(one) == len && strncmp(json_string_value(one), peer, len) == 0)
            return RC_OK;
    }
    return json_array_append_new(addresses, json_stringn(peer, len)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a report");
}

static json_t *new_report(const char *device)
{
    json_t *report = json_pack("{s:s, s:[], s:i}", "device", device, "addresses", "records", 0);

    for (size_t i = 0; report != NULL && i < COUNT(CHAPTERS); i++)
        (void)json_object_set_new(report, CHAPTERS[i].name, json_array());
    return report;
}

static enum rc add(void *with, const json_t *record)
{
    json_t *report = with;
    json_int_t records = json_integer_value(json_object_get(report, "records"));

    TRY(add_record(report, record));
    (void)json_object_set_new(report, "records", json_integer(records + 1));
    return add_address(json_object_get(report, "addresses"), record);
}

/* Does the text of a search name the device? Words are a name, an equals sign and a value. */
static bool asks_for(const char *target, const char *device)
{
    static const char *const NAMES[] = { "device=", "actor=", "id=" };
    size_t len = strlen(device);

    for (const char *word = target; *word != '\0'; word += *word == ' ') {
        size_t word_len = strcspn(word, " ");
        for (size_t i = 0; i < COUNT(NAMES); i++) {
            size_t name_len = strlen(NAMES[i]);
            if (word_len == name_len + len && strncmp(word, NAMES[i], name_len) == 0 &&
                strncmp(word + name_len, device, len) == 0)
                return true;
        }
        word += word_len;
    }
    return false;
}

/* Searches are their askers' records: they are about a device by their text alone. */
static enum rc add_search(void *with, const json_t *record)
{
    json_t *report = with;
    const char *device = cli_audit_text(report, "device");

    if (strcmp(cli_audit_text(record, "device"), device) == 0 ||
        !asks_for(cli_audit_text(record, "target"), device))
        return RC_OK;
    return add_record(report, record);
}

static enum rc collect(const struct cli_call *call, struct cli_remote *remote, json_t *report)
{
    const struct cli_audit_filter filters[] = { { "device", call->words[0] },
                                                { "since", call->values[SINCE] },
                                                { "until", call->values[UNTIL] } };
    const struct cli_audit_filter searches[] = { { "action", "log.read,certificate.read" },
                                                 { "since", call->values[SINCE] },
                                                 { "until", call->values[UNTIL] } };

    TRY(cli_audit_each(remote, filters, COUNT(filters), add, report));
    return cli_audit_each(remote, searches, COUNT(searches), add_search, report);
}

/* The registry's word for it now; a device may be in the log and never have been added. */
static enum rc add_state(const struct cli_call *call, struct cli_remote *remote, json_t *report)
{
    AUTO(json_value) *answer = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&path, "/v1/devices/");
    cli_remote_add_segment(&path, call->words[0]);
    TRY(buf_text(&path, &text));
    enum rc rc = cli_remote_get(remote, text, &answer);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    return json_object_set(report, "state", json_object_get(answer, "device")) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a report");
}

/* ---- Told ---- */

static void tell_chapter(const json_t *report, const struct chapter *chapter, struct buf *out)
{
    static const struct cli_show_column ACTS[] = {
        { "TIME", "time" },
        { "ACTION", "action" },
        { "DECISION", "decision" },
        { "BY", "actor.id" },
        { "TARGET", "target" },
        { "CERTIFICATE", "certificate.serial" },
        { "TIMES", "aggregate.count" },
        { "REASON", "reason" },
    };
    static const struct cli_show_column COUNTS[] = {
        { "TIMES", "count" },       { "WHO", "actor" },     { "ACTION", "action" },
        { "DECISION", "decision" }, { "TARGET", "target" }, { "POLICY", "policy" },
        { "RULE", "rule" },         { "REASON", "reason" }, { "FIRST", "first" },
        { "LAST", "last" },
    };
    const json_t *rows = json_object_get(report, chapter->name);
    bool counted = json_object_get(json_array_get(rows, 0), "count") != NULL;

    if (json_array_size(rows) == 0)
        return;
    buf_addf(out, "\n%s:\n", chapter->heading);
    if (counted)
        cli_show_table(rows, COUNTS, COUNT(COUNTS), out);
    else
        cli_show_table(rows, ACTS, COUNT(ACTS), out);
}

static enum rc tell(const struct cli_call *call, const json_t *report)
{
    AUTO_BUF(out, TEXT_MAX);

    if (call->json) {
        TRY(cli_show_json(report, &out));
        return cli_command_put(call, &out);
    }
    buf_addf(&out,
             "Device %s, now %s; %" JSON_INTEGER_FORMAT " records. Seen from: ", call->words[0],
             json_object_get(report, "state") != NULL ? cli_audit_text(report, "state.state")
                                                      : "not in the registry",
             json_integer_value(json_object_get(report, "records")));
    cli_show_value(json_object_get(report, "addresses"), &out);
    buf_addf(&out, "\n");
    for (size_t i = 0; i < COUNT(CHAPTERS); i++)
        tell_chapter(report, &CHAPTERS[i], &out);
    return cli_command_put(call, &out);
}

static enum rc run(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *report = new_report(call->words[0]);

    if (report == NULL)
        return fault(RC_MALFORMED, "the device's id is not UTF-8");
    TRY(cli_remote_open(call, &remote));
    TRY(collect(call, &remote, report));
    TRY(add_state(call, &remote, report));
    if (json_integer_value(json_object_get(report, "records")) == 0 &&
        json_object_get(report, "state") == NULL)
        return fault(RC_NOT_FOUND, "nothing is known of device %s", call->words[0]);
    return tell(call, report);
}

const struct cli_command CLI_AUDIT_REPORT = {
    .name = "audit report",
    .arguments = "DEVICE",
    .words_least = 1,
    .words_most = 1,
    .summary = "the life of a device: what was done to it, what it did, who looked",
    .teaching = "Acts are told one by one, messages and sessions counted: what the log has in "
                "aggregate counts for\nall that it stands for. Who read about it: who asked "
                "for the device, or searched log and certificates\nfor its id; not who "
                "met it among others.\n"
                "\n"
                "Example:\n  touchmark audit report pump-17 --since 2026-11-01T00:00:00Z\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = run,
    .remote = true,
};
