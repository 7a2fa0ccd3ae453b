#include "cli/remote.h"

#include <string.h>

enum { PATH_LEN_MAX = 8 * 1024, BODY_MAX = 17 * 1024 * 1024, DETAIL_MAX = 1024 };

enum rc cli_remote_open(const struct cli_call *call, struct cli_remote *remote)
{
    TRY(cli_profile_read(call->profile, call->server, &remote->profile));
    const struct cli_client_setup setup = {
        .server = remote->profile.server,
        .authorities = remote->profile.authorities,
        .certificate = remote->profile.certificate,
        .key = remote->profile.key,
        .door = "operator-door",
    };
    return cli_client_open(&setup, &remote->client);
}

void cli_remote_close(struct cli_remote *remote)
{
    cli_client_close(remote->client);
    cli_profile_clear(&remote->profile);
}

static const struct {
    unsigned status;
    enum rc rc;
    const char *meaning;
} REFUSALS[] = {
    { 400, RC_MALFORMED, "malformed" },
    { 401, RC_DENIED, "denied: who are you?" },
    { 403, RC_DENIED, "denied" },
    { 404, RC_NOT_FOUND, "not found" },
    { 405, RC_IO, "the server does not know this question" },
    { 409, RC_EXISTS, "exists" },
    { 413, RC_MALFORMED, "too large" },
    { 415, RC_MALFORMED, "content of another type is expected" },
    { 422, RC_MALFORMED, "malformed" },
    { 429, RC_LIMIT, "a limit is reached" },
    { 503, RC_BUSY, "busy: try again" },
};

/* What the refusal says beyond its status: the detail, and each of a policy's errors. */
static void add_detail(struct buf *out, struct bytes body)
{
    AUTO(json_value) *document = json_loadb((const char *)body.at, body.len, 0, NULL);
    const json_t *error = json_object_get(document, "error");
    const json_t *detail = json_object_get(error, "detail");
    const json_t *errors = json_object_get(document, "errors"), *one = NULL;
    size_t i = 0;

    if (json_is_string(detail)) {
        buf_addf(out, ": ");
        cli_show_value(detail, out);
    }
    json_array_foreach(errors, i, one)
    {
        buf_addf(out, "%s", i == 0 ? ": " : "; ");
        cli_show_value(one, out);
    }
}

enum rc cli_remote_judge(const struct cli_client_answer *answer, struct bytes body)
{
    AUTO_BUF(text, DETAIL_MAX);
    const char *told = NULL;
    enum rc rc = RC_IO;
    const char *meaning = "failed";

    if (answer->status >= 200 && answer->status < 300)
        return RC_OK;
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++)
        if (REFUSALS[i].status == answer->status) {
            rc = REFUSALS[i].rc;
            meaning = REFUSALS[i].meaning;
        }
    add_detail(&text, body);
    if (buf_text(&text, &told) != RC_OK)
        told = "";
    return fault(rc, "the server says: %s%s (HTTP %u, request %s)", meaning, told,
                 answer->status, answer->request[0] != '\0' ? answer->request : "unknown");
}

static enum rc ask(struct cli_remote *remote, const struct cli_client_question *question,
                   struct buf *body)
{
    struct cli_client_answer answer;

    TRY(cli_client_ask(remote->client, question, &answer, body));
    return cli_remote_judge(&answer, buf_bytes(body));
}

static enum rc ask_json(struct cli_remote *remote, const struct cli_client_question *question,
                        json_t **answer)
{
    AUTO_BUF(body, CLI_ANSWER_MAX);
    json_error_t error;

    TRY(ask(remote, question, &body));
    struct bytes bytes = buf_bytes(&body);
    json_t *read =
        json_loadb((const char *)bytes.at, bytes.len, JSON_REJECT_DUPLICATES, &error);
    if (read == NULL || !json_is_object(read)) {
        json_decref(read);
        return fault(RC_IO, "%s%s: the answer is no JSON object", remote->profile.server,
                     question->path);
    }
    *answer = read;
    return RC_OK;
}

enum rc cli_remote_get(struct cli_remote *remote, const char *path, json_t **answer)
{
    return ask_json(
        remote, &(const struct cli_client_question){ .method = "GET", .path = path }, answer);
}

enum rc cli_remote_get_bytes(struct cli_remote *remote, const char *path, struct buf *out)
{
    return ask(remote, &(const struct cli_client_question){ .method = "GET", .path = path },
               out);
}

enum rc cli_remote_post(struct cli_remote *remote, const char *path, const json_t *body,
                        json_t **answer)
{
    AUTO_BUF(text, BODY_MAX);
    struct cli_client_question question = { .method = "POST", .path = path };

    if (body != NULL) {
        TRY(cli_show_json(body, &text));
        TRY(buf_done(&text, &question.body));
        question.content_type = "application/json";
    }
    return ask_json(remote, &question, answer);
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

void cli_remote_add_segment(struct buf *path, const char *segment)
{
    for (; *segment != '\0'; segment++)
        if (is_unreserved((uint8_t)*segment))
            buf_add_u8(path, (uint8_t)*segment);
        else
            buf_addf(path, "%%%02X", (unsigned)(uint8_t)*segment);
}

void cli_remote_add_query(struct buf *path, const char *name, const char *value)
{
    struct bytes so_far = buf_bytes(path);

    if (value == NULL)
        return;
    bool first = so_far.len == 0 || memchr(so_far.at, '?', so_far.len) == NULL;
    buf_addf(path, "%c%s=", first ? '?' : '&', name);
    cli_remote_add_segment(path, value);
}

static enum rc get_page(struct cli_remote *remote, const char *path, const char *most,
                        const char *cursor, json_t **answer)
{
    AUTO_BUF(whole, PATH_LEN_MAX);
    const char *text = NULL;

    buf_addf(&whole, "%s", path);
    cli_remote_add_query(&whole, "limit", most != NULL ? most : "500");
    cli_remote_add_query(&whole, "cursor", cursor);
    TRY(buf_text(&whole, &text));
    return cli_remote_get(remote, text, answer);
}

enum rc cli_remote_list(struct cli_remote *remote, const char *path, const char *member,
                        const char *most, const char *cursor, json_t **answer)
{
    AUTO(json_value) *all = NULL;

    TRY(get_page(remote, path, most, cursor, &all));
    while (most == NULL && json_is_string(json_object_get(all, "next"))) {
        AUTO(json_value) *page = NULL;
        TRY(get_page(remote, path, NULL, json_string_value(json_object_get(all, "next")),
                     &page));
        if (json_array_extend(json_object_get(all, member), json_object_get(page, member)) != 0)
            return fault(RC_IO, "%s: a page without \"%s\"", path, member);
        if (json_object_set(all, "next", json_object_get(page, "next")) != 0)
            return fault(RC_NOMEM, "list");
    }
    if (!json_is_array(json_object_get(all, member)))
        return fault(RC_IO, "%s: an answer without \"%s\"", path, member);
    *answer = TAKE(all);
    return RC_OK;
}
