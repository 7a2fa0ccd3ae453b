#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_LEN_MAX = 1024, TEXT_MAX = 256 * 1024, RULE_MAX = 4096 };

/* ---- What is known around the record ---- */

/* The rule that starts on this line, with the indented lines that go on with it. */
static void add_rule(struct bytes text, json_int_t line, struct buf *rule)
{
    for (json_int_t at = 1; text.len > 0; at++) {
        const uint8_t *end = memchr(text.at, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        bool more = at > line && len > 0 && (text.at[0] == ' ' || text.at[0] == '\t');
        if (at > line && !more)
            return;
        if (at >= line)
            buf_addf(rule, "%s%.*s", more ? "\n" : "", (int)len, (const char *)text.at);
        len += end != NULL;
        text = (struct bytes){ text.at + len, text.len - len };
    }
}

/* "version", "author", "made", "until" (when the next one was made), "text" of the rule. */
static enum rc get_rule(struct cli_remote *remote, const json_t *record, json_t *story)
{
    json_int_t version = json_integer_value(json_object_get(record, "policy"));
    json_int_t line = json_integer_value(json_object_get(record, "rule"));
    AUTO(json_value) *policy = NULL;
    AUTO(json_value) *all = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    AUTO_BUF(rule, RULE_MAX);
    const json_t *one = NULL;
    const char *text = NULL;
    size_t i = 0;

    if (version == 0)
        return RC_OK;
    buf_addf(&path, "/v1/policies/%" JSON_INTEGER_FORMAT, version);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_get(remote, text, &policy));
    TRY(cli_remote_list(remote, "/v1/policies", "policies", NULL, NULL, &all));
    json_t *told =
        json_pack("{s:I, s:I, s:s, s:s}", "version", version, "line", line, "author",
                  cli_audit_text(policy, "author"), "made", cli_audit_text(policy, "made"));
    if (json_object_set_new(story, "policy", told) != 0)
        return fault(RC_NOMEM, "a story");
    json_array_foreach(json_object_get(all, "policies"), i, one)
    {
        if (json_integer_value(json_object_get(one, "version")) == version + 1)
            (void)json_object_set(told, "until", json_object_get(one, "made"));
    }
    if (line == 0)
        return RC_OK;
    add_rule(bytes_of_text(cli_audit_text(policy, "text")), line, &rule);
    TRY(buf_text(&rule, &text));
    (void)json_object_set_new(told, "rule", json_string(text));
    return RC_OK;
}

static enum rc find_certificate(struct cli_remote *remote, const char *kind,
                                const char *subject, const char *fingerprint, json_t **found)
{
    AUTO(json_value) *answer = NULL;
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;
    json_t *one = NULL;
    size_t i = 0;

    buf_addf(&path, "/v1/certificates");
    cli_remote_add_query(&path, "kind", kind);
    cli_remote_add_query(&path, "subject", subject);
    TRY(buf_text(&path, &text));
    TRY(cli_remote_list(remote, text, "certificates", NULL, NULL, &answer));
    json_array_foreach(json_object_get(answer, "certificates"), i, one)
    {
        if (strcmp(cli_audit_text(one, "fingerprint"), fingerprint) == 0)
            *found = json_incref(one);
    }
    return RC_OK;
}

/* What became of the certificate that was shown, or else of the one that was acted upon. */
static enum rc get_certificate(struct cli_remote *remote, const json_t *record, json_t *story)
{
    const char *shown = cli_audit_text(record, "actor_certificate.fingerprint");
    const char *acted = cli_audit_text(record, "certificate.fingerprint");
    const char *device = cli_audit_text(record, "device");
    const char *hash = *shown != '\0' ? shown : acted;
    const char *kind = *shown != '\0' ? cli_audit_text(record, "actor.kind") : "device";
    const char *subject = *shown != '\0' ? cli_audit_text(record, "actor.id") : device;
    AUTO(json_value) *found = NULL;

    if (*hash == '\0')
        return RC_OK;
    if (*subject != '\0')
        TRY(find_certificate(remote, kind, subject, hash, &found));
    json_t *told = found != NULL ? json_incref(found)
                                 : json_pack("{s:s, s:s}", "fingerprint", hash, "state",
                                             "not known as anybody's");
    return json_object_set_new(story, "certificate", told) == 0 ? RC_OK
                                                                : fault(RC_NOMEM, "a story");
}

/* What else the same request or session did. */
static enum rc get_session(struct cli_remote *remote, const json_t *record, json_t *story)
{
    static const char *const MEMBERS[] = { "action", "decision", "target" };
    const char *id = cli_audit_text(record, "correlation");
    const struct cli_audit_filter filter = { "correlation", id };
    AUTO(json_value) *records = json_array();
    json_t *rows = json_array();
    const json_t *one = NULL;
    size_t i = 0;

    if (json_object_set_new(story, "session", rows) != 0)
        return fault(RC_NOMEM, "a story");
    if (*id == '\0')
        return RC_OK;
    TRY(cli_audit_collect(remote, &filter, 1, records));
    json_array_foreach(records, i, one)
    {
        if (!json_equal(json_object_get(one, "index"), json_object_get(record, "index")))
            TRY(cli_audit_tally(rows, one, MEMBERS, 3));
    }
    return RC_OK;
}

/* How many records the newest checkpoint covers: its second line. */
static enum rc get_proof(struct cli_remote *remote, json_t *story)
{
    AUTO_BUF(note, 64 * 1024);
    const char *text = NULL;
    uint64_t size = 0;

    enum rc rc = cli_remote_get_bytes(remote, "/v1/audit/checkpoint", &note);
    if (rc != RC_NOT_FOUND)
        TRY(rc);
    if (rc == RC_OK) {
        TRY(buf_text(&note, &text));
        const char *line = strchr(text, '\n');
        size = line == NULL ? 0 : strtoull(line + 1, NULL, 10);
    }
    return json_object_set_new(story, "checkpoint", json_integer((json_int_t)size)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "a story");
}

/* ---- Told ---- */

static void tell_act(const json_t *record, struct buf *out)
{
    const char *who = cli_audit_text(record, "actor.id");
    const char *target = cli_audit_text(record, "target");
    json_int_t count = cli_audit_count(record);

    buf_addf(out, "Record %" JSON_INTEGER_FORMAT ", %s: ",
             json_integer_value(json_object_get(record, "index")),
             cli_audit_text(record, "time"));
    if (json_is_true(json_object_get(record, "erased")))
        buf_addf(out, "somebody");
    else
        buf_addf(out, "%s %s", cli_audit_text(record, "actor.kind"), who);
    buf_addf(out, " asked for %s", cli_audit_text(record, "action"));
    if (*target != '\0') {
        buf_addf(out, " of ");
        cli_show_value(json_object_get(record, "target"), out);
    }
    if (count > 1)
        buf_addf(out, ", %" JSON_INTEGER_FORMAT " times from %s to %s", count,
                 cli_audit_text(record, "aggregate.first"),
                 cli_audit_text(record, "aggregate.last"));
    buf_addf(out, ", and it was %s.\n", cli_audit_text(record, "decision"));
}

static void tell_why(const json_t *record, struct buf *out)
{
    if (*cli_audit_text(record, "reason") != '\0') {
        buf_addf(out, "Reason: ");
        cli_show_value(json_object_get(record, "reason"), out);
        buf_addf(out, ".\n");
    }
    if (*cli_audit_text(record, "device") != '\0')
        buf_addf(out, "It is about device %s.\n", cli_audit_text(record, "device"));
    if (*cli_audit_text(record, "peer") != '\0')
        buf_addf(out, "It came from %s%s%s, and %s says so.\n", cli_audit_text(record, "peer"),
                 *cli_audit_text(record, "tls") != '\0' ? " over " : "",
                 cli_audit_text(record, "tls"), cli_audit_text(record, "source"));
    if (json_is_true(json_object_get(record, "erased")))
        buf_addf(out, "What else it said was erased; that it was, and when, stays.\n");
}

static void tell_certificate(const json_t *certificate, struct buf *out)
{
    if (certificate == NULL)
        return;
    buf_addf(out, "Certificate %s: now %s", cli_audit_text(certificate, "fingerprint"),
             cli_audit_text(certificate, "state"));
    if (*cli_audit_text(certificate, "not_after") != '\0')
        buf_addf(out, ", of %s %s, until %s", cli_audit_text(certificate, "kind"),
                 cli_audit_text(certificate, "subject"),
                 cli_audit_text(certificate, "not_after"));
    buf_addf(out, ".\n");
}

static void tell_policy(const json_t *policy, struct buf *out)
{
    json_int_t line = json_integer_value(json_object_get(policy, "line"));

    if (policy == NULL)
        return;
    buf_addf(out, "Policy version %" JSON_INTEGER_FORMAT ", made by %s, active from %s to %s",
             json_integer_value(json_object_get(policy, "version")),
             *cli_audit_text(policy, "author") != '\0' ? cli_audit_text(policy, "author")
                                                       : "touchmark init",
             cli_audit_text(policy, "made"),
             *cli_audit_text(policy, "until") != '\0' ? cli_audit_text(policy, "until")
                                                      : "now");
    if (line == 0)
        buf_addf(out, ": no rule of it decided.\n");
    else
        buf_addf(out, ", line %" JSON_INTEGER_FORMAT " decided:\n  %s\n", line,
                 cli_audit_text(policy, "rule"));
}

static void tell_session(const json_t *rows, struct buf *out)
{
    const json_t *row = NULL;
    size_t i = 0;

    if (json_array_size(rows) == 0) {
        buf_addf(out, "Nothing else is known of the same request or session.\n");
        return;
    }
    buf_addf(out, "The same request or session also did:\n");
    json_array_foreach(rows, i, row)
    {
        buf_addf(out, "  %" JSON_INTEGER_FORMAT " x %s ",
                 json_integer_value(json_object_get(row, "count")),
                 cli_audit_text(row, "action"));
        cli_show_value(json_object_get(row, "target"), out);
        buf_addf(out, ": %s\n", cli_audit_text(row, "decision"));
    }
}

static void tell_proof(const json_t *story, struct buf *out)
{
    json_int_t size = json_integer_value(json_object_get(story, "checkpoint"));
    json_int_t index =
        json_integer_value(json_object_get(json_object_get(story, "record"), "index"));

    if (index < size)
        buf_addf(out,
                 "It is leaf %" JSON_INTEGER_FORMAT
                 " of the log, under the signed checkpoint of "
                 "%" JSON_INTEGER_FORMAT " records.\n",
                 index, size);
    else
        buf_addf(out, "It is under no signed checkpoint yet: one follows within seconds.\n");
}

static enum rc tell(const struct cli_call *call, const json_t *story)
{
    const json_t *record = json_object_get(story, "record");
    AUTO_BUF(out, TEXT_MAX);

    if (call->json) {
        TRY(cli_show_json(story, &out));
        return cli_command_put(call, &out);
    }
    tell_act(record, &out);
    tell_why(record, &out);
    tell_certificate(json_object_get(story, "certificate"), &out);
    tell_policy(json_object_get(story, "policy"), &out);
    tell_session(json_object_get(story, "session"), &out);
    tell_proof(story, &out);
    return cli_command_put(call, &out);
}

static enum rc explain(const struct cli_call *call)
{
    CLI_REMOTE(remote);
    AUTO(json_value) *story = json_object();
    AUTO(json_value) *record = NULL;
    uint64_t index = 0;

    TRY(cli_audit_read_index(call->words[0], &index));
    TRY(cli_remote_open(call, &remote));
    TRY(cli_audit_get(&remote, index, &record));
    if (json_object_set(story, "record", record) != 0)
        return fault(RC_NOMEM, "a story");
    TRY(get_certificate(&remote, record, story));
    TRY(get_rule(&remote, record, story));
    TRY(get_session(&remote, record, story));
    TRY(get_proof(&remote, story));
    return tell(call, story);
}

const struct cli_command CLI_AUDIT_EXPLAIN = {
    .name = "audit explain",
    .arguments = "INDEX",
    .words_least = 1,
    .words_most = 1,
    .summary = "tell the story of one record",
    .teaching =
        "What was asked, by whom and from where; what became of the certificate; which rule of "
        "which policy\ndecided, who wrote that policy and from when to when it was active; "
        "what "
        "else the same request or\nsession did; and whether a signed checkpoint covers it.\n"
        "\n"
        "Example:\n  touchmark audit explain 1042\n",
    .run = explain,
    .remote = true,
};
