#include "cli/audit_pages.h"
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { PATH_LEN_MAX = 1024, TEXT_MAX = 256 * 1024, RULE_MAX = 64 * 1024, VERSIONS_MOST = 200 };

enum { SINCE };
static const struct cli_option OPTIONS[] = {
    [SINCE] = { "--since", "TIME",
                "what the same request or session did from then on (all of it)" },
};

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

/* Does a rule of these words stand anywhere in the text? */
static bool has_rule(struct bytes text, struct bytes rule)
{
    struct bytes left = text;
    const uint8_t *at = NULL;

    while (left.len > 0 && (at = memmem(left.at, left.len, rule.at, rule.len)) != NULL) {
        const uint8_t *end = at + rule.len, *all = text.at + text.len;
        bool begins = at == text.at || at[-1] == '\n';
        bool more = all - end > 1 && (end[1] == ' ' || end[1] == '\t');
        if (begins && (end == all || (*end == '\n' && !more)))
            return true;
        left = (struct bytes){ at + 1, (size_t)(all - at) - 1 };
    }
    return false;
}

static enum rc get_version(struct cli_remote *remote, json_int_t version, json_t **policy)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&path, "/v1/policies/%" JSON_INTEGER_FORMAT, version);
    TRY(buf_text(&path, &text));
    return cli_remote_get(remote, text, policy);
}

/* Back to the first of the versions without a break that have the rule: who made that one wrote
 * it. "rule", "rule_since", "rule_author", "rule_made"; "rule_older": it may be older still. */
static enum rc date_rule(struct cli_remote *remote, const json_t *policy, struct bytes rule,
                         json_t *told)
{
    json_int_t version = json_integer_value(json_object_get(policy, "version"));
    AUTO(json_value) *first = json_deep_copy(policy);
    unsigned looked = 0;

    for (; version > 1 && looked < VERSIONS_MOST; looked++, version--) {
        AUTO(json_value) *before = NULL;
        enum rc rc = get_version(remote, version - 1, &before);
        if (rc == RC_NOT_FOUND)
            break;
        TRY(rc);
        if (!has_rule(bytes_of_text(cli_audit_text(before, "text")), rule))
            break;
        (void)json_object_update(first, before);
    }
    AUTO(json_value) *more = json_pack(
        "{s:s%, s:I, s:s, s:s, s:b}", "rule", (const char *)rule.at, rule.len, "rule_since",
        version, "rule_author", cli_audit_text(first, "author"), "rule_made",
        cli_audit_text(first, "made"), "rule_older", (int)(looked == VERSIONS_MOST));
    return json_object_update(told, more) == 0 ? RC_OK : fault(RC_NOMEM, "a story");
}

static enum rc keep_first(void *with, const json_t *record)
{
    json_t **kept = with;

    if (*kept == NULL)
        *kept = json_deep_copy(record);
    return RC_OK;
}

/* Who put the version in force: its author, or whoever approved what he proposed; "applied_by"
 * and "applied_why" as the log has them. */
static enum rc get_applied(struct cli_remote *remote, json_int_t version, json_t *told)
{
    AUTO_BUF(number, 32);
    AUTO(json_value) *applied = NULL;
    const char *text = NULL;

    buf_addf(&number, "%" JSON_INTEGER_FORMAT, version);
    TRY(buf_text(&number, &text));
    const struct cli_audit_filter filters[] = { { "action", "policy.apply" },
                                                { "decision", "allowed" },
                                                { "policy", text } };
    TRY(cli_audit_each(remote, filters, COUNT(filters), keep_first, &applied));
    if (applied == NULL)
        return RC_OK;
    AUTO(json_value) *more = json_pack(
        "{s:s, s:s, s:O}", "applied_by", cli_audit_text(applied, "actor.id"), "applied_why",
        cli_audit_text(applied, "reason"), "applied_record", json_object_get(applied, "index"));
    return json_object_update(told, more) == 0 ? RC_OK : fault(RC_NOMEM, "a story");
}

/* "version", "line", "author", "made", "until" (when the next one was made), and the above. */
static enum rc get_rule(struct cli_remote *remote, const json_t *record, json_t *story)
{
    json_int_t version = json_integer_value(json_object_get(record, "policy"));
    json_int_t line = json_integer_value(json_object_get(record, "rule"));
    AUTO(json_value) *policy = NULL;
    AUTO(json_value) *all = NULL;
    AUTO_BUF(rule, RULE_MAX);
    const json_t *one = NULL;
    size_t i = 0;

    if (version == 0)
        return RC_OK;
    TRY(get_version(remote, version, &policy));
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
    TRY(get_applied(remote, version, told));
    add_rule(bytes_of_text(cli_audit_text(policy, "text")), line, &rule);
    if (line == 0 || rule.len == 0)
        return RC_OK;
    struct bytes words;
    TRY(buf_done(&rule, &words));
    return date_rule(remote, policy, words, told);
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

struct telling {
    const json_t *record;
    json_t *rows;
};

static enum rc tell_of(void *with, const json_t *one)
{
    static const char *const MEMBERS[] = { "action", "decision", "target" };
    const struct telling *telling = with;

    if (json_equal(json_object_get(one, "index"), json_object_get(telling->record, "index")))
        return RC_OK;
    return cli_audit_tally(telling->rows, one, MEMBERS, COUNT(MEMBERS));
}

/* What else the same request or session did. */
static enum rc get_session(const struct cli_call *call, struct cli_remote *remote,
                           const json_t *record, json_t *story)
{
    const char *id = cli_audit_text(record, "correlation");
    const struct cli_audit_filter filters[] = { { "correlation", id },
                                                { "since", call->values[SINCE] } };
    json_t *rows = json_array();

    if (json_object_set_new(story, "session", rows) != 0)
        return fault(RC_NOMEM, "a story");
    if (*id == '\0')
        return RC_OK;
    return cli_audit_each(remote, filters, COUNT(filters), tell_of,
                          &(struct telling){ record, rows });
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

static const char *author_of(const json_t *policy, const char *member)
{
    const char *author = cli_audit_text(policy, member);

    return *author != '\0' ? author : "touchmark init";
}

static void tell_rule(const json_t *policy, json_int_t line, struct buf *out)
{
    bool older = json_is_true(json_object_get(policy, "rule_older"));

    buf_addf(out,
             "Its line %" JSON_INTEGER_FORMAT
             " decided, a rule since version %" JSON_INTEGER_FORMAT "%s, by %s, %s:\n  %s\n",
             line, json_integer_value(json_object_get(policy, "rule_since")),
             older ? " or before" : "", author_of(policy, "rule_author"),
             cli_audit_text(policy, "rule_made"), cli_audit_text(policy, "rule"));
}

/* What the authority does without a rule is what a role or a token allows. Of policies, the
 * version is the one that it is about. */
static bool is_by_role(const json_t *record)
{
    return strcmp(cli_audit_text(record, "source"), "authority") == 0 &&
           strcmp(cli_audit_text(record, "decision"), "allowed") == 0 &&
           strncmp(cli_audit_text(record, "action"), "policy.", strlen("policy.")) != 0;
}

static void tell_policy(const json_t *policy, bool by_role, struct buf *out)
{
    json_int_t line = json_integer_value(json_object_get(policy, "line"));
    const char *by = cli_audit_text(policy, "applied_by");

    if (policy == NULL)
        return;
    buf_addf(
        out, "Policy version %" JSON_INTEGER_FORMAT " was in force from %s to %s: made by %s",
        json_integer_value(json_object_get(policy, "version")), cli_audit_text(policy, "made"),
        *cli_audit_text(policy, "until") != '\0' ? cli_audit_text(policy, "until") : "now",
        author_of(policy, "author"));
    if (*by != '\0')
        buf_addf(out, ", put in force by %s", by);
    if (*cli_audit_text(policy, "applied_why") != '\0') {
        buf_addf(out, " (");
        cli_show_value(json_object_get(policy, "applied_why"), out);
        buf_addf(out, ")");
    }
    buf_addf(out, ".\n");
    if (line == 0)
        buf_addf(out, "No rule of it decided%s.\n",
                 by_role ? ": the role or the token did" : "");
    else
        tell_rule(policy, line, out);
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
    tell_policy(json_object_get(story, "policy"), is_by_role(record), &out);
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
    TRY(get_session(call, &remote, record, story));
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
        "which policy\ndecided, since which version that rule is there, in these words, and "
        "who made that one; from when to\nwhen the policy was in force, who made it and who "
        "approved it; what else the same request or session\ndid; and whether a signed "
        "checkpoint covers it.\n"
        "\n"
        "Example:\n  touchmark audit explain 1042\n",
    .options = OPTIONS,
    .option_count = COUNT(OPTIONS),
    .run = explain,
    .remote = true,
};
