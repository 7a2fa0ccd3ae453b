#include "api/answer.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "api/input_json.h"
#include "audit/json.h"
#include "base/text.h"
#include "broker/crls.h"

/* Every rc as peers see it. */
static const struct {
    const char *code;
    unsigned status;
} BY_RC[] = {
    [RC_OK] = { "internal", 500 },      [RC_MALFORMED] = { "malformed", 400 },
    [RC_DENIED] = { "denied", 403 },    [RC_NOT_FOUND] = { "not-found", 404 },
    [RC_EXISTS] = { "exists", 409 },    [RC_LIMIT] = { "limit", 429 },
    [RC_BUSY] = { "busy", 503 },        [RC_NOMEM] = { "busy", 503 },
    [RC_IO] = { "internal", 500 },      [RC_CLOSED] = { "busy", 503 },
    [RC_CORRUPT] = { "internal", 500 }, [RC_CRYPTO] = { "internal", 500 },
};

const char *api_answer_code(enum rc rc)
{
    return BY_RC[rc].code;
}

unsigned api_answer_status(enum rc rc)
{
    return BY_RC[rc].status;
}

void api_answer_bytes(struct api_answer *answer, unsigned status, const char *type,
                      struct bytes body)
{
    api_answer_clear(answer);
    answer->body.max = API_ANSWER_MAX;
    answer->status = status;
    answer->type = type;
    buf_add(&answer->body, body);
}

void api_answer_crl(struct api_answer *answer, struct broker_crl *crl)
{
    api_answer_bytes(answer, 200, "application/pkix-crl", BYTES(""));
    answer->crl = crl;
}

enum rc api_answer_json(struct api_answer *answer, unsigned status, struct json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

    json_decref(json);
    if (text == NULL)
        return fault(RC_NOMEM, "answer");
    api_answer_bytes(answer, status, "application/json", BYTES(""));
    answer->body.max = strlen(text) + 1; /* what it is made of has bounds of its own */
    buf_add(&answer->body, bytes_of_text(text));
    buf_add(&answer->body, BYTES("\n"));
    free(text);
    return RC_OK;
}

void api_answer_header(struct api_answer *answer, const char *name, const char *value)
{
    if (answer->header_count == API_HEADERS_MAX)
        return;
    struct api_header *header = &answer->headers[answer->header_count++];
    size_t len = strnlen(value, sizeof header->value - 1);
    header->name = name;
    memcpy(header->value, value, len);
    header->value[len] = '\0';
}

void api_answer_error(struct api_answer *answer, unsigned status, const char *code,
                      struct bytes correlation, const char *detail)
{
    json_t *error = json_pack("{s:s}", "code", code);

    if (error != NULL)
        json_object_set_new(error, "request", api_answer_hex(correlation));
    if (error != NULL && detail[0] != '\0')
        json_object_set_new(error, "detail", api_answer_text(bytes_of_text(detail)));
    if (api_answer_json(answer, status, json_pack("{s:o}", "error", error)) != RC_OK)
        api_answer_bytes(answer, status, "text/plain", BYTES("busy\n"));
    if (status == 503)
        api_answer_header(answer, "Retry-After", "2");
    if (status == 429)
        api_answer_header(answer, "Retry-After", "60");
}

void api_answer_clear(struct api_answer *answer)
{
    buf_clear(&answer->body);
    broker_crls_release(answer->crl);
    *answer = (struct api_answer){ .close = answer->close };
}

json_t *api_answer_hex(struct bytes bytes)
{
    return audit_json_hex(bytes);
}

json_t *api_answer_time(int64_t wall_ms)
{
    return audit_json_time(wall_ms);
}

json_t *api_answer_text(struct bytes text)
{
    return audit_json_text(text);
}

json_t *api_answer_text_or_null(struct bytes text)
{
    return text.len == 0 ? json_null() : api_answer_text(text);
}

json_t *api_answer_number(uint64_t number)
{
    return audit_json_number(number);
}

json_t *api_answer_subject(const struct registry_subject *subject)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "id", subject->id, "kind",
                             registry_kind_name(subject->kind), "state",
                             registry_state_name(subject->state), "label", subject->label);

    if (json == NULL)
        return NULL;
    if (subject->kind == REGISTRY_DEVICE) {
        json_t *groups = json_array();
        for (size_t i = 0; i < subject->groups.count; i++)
            json_array_append_new(groups, json_string(subject->groups.names[i]));
        json_object_set_new(json, "groups", groups);
    } else {
        json_object_set_new(json, "role",
                            subject->role == REGISTRY_ROLE_NONE
                                ? json_null()
                                : json_string(registry_role_name(subject->role)));
    }
    json_object_set_new(json, "created", api_answer_time(subject->created_ms));
    json_object_set_new(json, "changed", api_answer_time(subject->changed_ms));
    return json;
}

static json_t *reason_of(const struct registry_certificate *one)
{
    bool revoked = one->state == REGISTRY_CERTIFICATE_REVOKED;
    const char *name = revoked ? api_reason_name(one->reason) : NULL;

    return name == NULL ? json_null() : json_string(name);
}

json_t *api_answer_log_index(uint64_t log_number)
{
    return log_number == 0 ? json_null() : api_answer_number(log_number - 1);
}

json_t *api_answer_certificate(const struct registry_certificate *one, uint64_t log_number)
{
    bool revoked = one->state == REGISTRY_CERTIFICATE_REVOKED;
    json_t *json = json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "fingerprint",
                             api_answer_hex(BYTES_OF(one->fingerprint.at)), "kind",
                             registry_kind_name(one->kind), "subject", one->subject, "state",
                             revoked ? "revoked" : "active", "serial",
                             api_answer_hex((struct bytes){ one->serial, one->serial_len }),
                             "issuer", api_answer_hex(BYTES_OF(one->issuer_hash)), "key",
                             api_answer_hex(BYTES_OF(one->key_hash)));

    if (json == NULL)
        return NULL;
    json_object_set_new(json, "not_before", api_answer_time(one->not_before_s * 1000));
    json_object_set_new(json, "not_after", api_answer_time(one->not_after_s * 1000));
    json_object_set_new(json, "issued", api_answer_time(one->issued_ms));
    json_object_set_new(json, "revoked",
                        revoked ? api_answer_time(one->revoked_ms) : json_null());
    json_object_set_new(json, "reason", reason_of(one));
    json_object_set_new(json, "log_index", api_answer_log_index(log_number));
    return json;
}

static enum rc answer_list(struct api_answer *to, const char *name, json_t *list,
                           struct bytes cursor)
{
    json_t *next = cursor.len == 0 ? json_null() : api_answer_hex(cursor);

    return api_answer_json(to, 200, json_pack("{s:o, s:o}", name, list, "next", next));
}

enum rc api_answer_subjects(struct api_answer *to, const char *name,
                            const struct registry_answer *answer)
{
    struct reader left = READER(answer->list);
    json_t *list = json_array();
    struct registry_subject one;
    enum rc rc;

    while ((rc = registry_answer_next_subject(&left, &one)) == RC_OK)
        json_array_append_new(list, api_answer_subject(&one));
    if (rc == RC_NOT_FOUND)
        return answer_list(to, name, list, answer->cursor);
    json_decref(list);
    return rc;
}

enum rc api_answer_add_certificates(json_t *list, const struct registry_answer *answer)
{
    struct reader left = READER(answer->list), numbers = READER(answer->log_numbers);
    struct registry_certificate one;
    enum rc rc;

    while ((rc = registry_answer_next_certificate(&left, &one)) == RC_OK)
        json_array_append_new(
            list, api_answer_certificate(&one, registry_answer_next_log_number(&numbers)));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc api_answer_certificates(struct api_answer *to, const struct registry_answer *answer)
{
    json_t *list = json_array();
    enum rc rc = api_answer_add_certificates(list, answer);

    if (rc == RC_OK)
        return answer_list(to, "certificates", list, answer->cursor);
    json_decref(list);
    return rc;
}
