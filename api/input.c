/* What a request says: path, query and body, each value read by its type. */
#include <string.h>

#include <jansson.h>

#include "api/input_json.h"
#include "base/text.h"
#include "pki/pem.h"
#include "policy/topic.h"

struct value {
    struct bytes text; /* of a group list: one of it */
    void *to;
    struct api_input *input;
};

/* What stands before this octet; *text is what stands behind, at NULL if it is not there. */
static struct bytes until(struct bytes *text, uint8_t end)
{
    const uint8_t *found = text->len == 0 ? NULL : memchr(text->at, end, text->len);
    struct bytes head = *text;

    if (found == NULL) {
        *text = (struct bytes){ 0 };
        return head;
    }
    head.len = (size_t)(found - text->at);
    *text = (struct bytes){ found + 1, text->len - head.len - 1 };
    return head;
}

static enum rc read_id(const struct value *v)
{
    return registry_id_copy(v->text, v->to);
}

static enum rc read_label(const struct value *v)
{
    return registry_label_copy(v->text, v->to);
}

static enum rc read_why(const struct value *v)
{
    TRY(registry_why_check(v->text));
    return read_label(v);
}

static enum rc read_group(const struct value *v)
{
    return registry_groups_add(v->to, v->text);
}

/* One more of the list: what it is stored as may have moved. */
static enum rc read_one_id(const struct value *v)
{
    struct buf *ids = &v->input->ids;
    size_t count = 0;

    ids->max = REGISTRY_IDS_BYTES + REGISTRY_ID_MAX + 1;
    TRY(registry_ids_add(ids, v->text));
    TRY(registry_ids_count(buf_bytes(ids), &count));
    return buf_done(ids, v->to);
}

static enum rc read_state(const struct value *v)
{
    return registry_state_read(v->text, v->to);
}

static enum rc read_role(const struct value *v)
{
    return registry_role_read(v->text, v->to);
}

static enum rc read_kind(const struct value *v)
{
    for (unsigned i = REGISTRY_DEVICE; i <= REGISTRY_LINE; i++)
        if (bytes_equal_text(v->text, registry_kind_name((enum registry_kind)i))) {
            *(enum registry_kind *)v->to = (enum registry_kind)i;
            return RC_OK;
        }
    return fault(RC_MALFORMED, "one of device, operator and line");
}

static enum rc read_holder(const struct value *v)
{
    if (bytes_equal_text(v->text, "device"))
        return fault(RC_MALFORMED, "operator or line");
    return read_kind(v);
}

static enum rc read_reason(const struct value *v)
{
    for (unsigned i = 0; i < API_REASONS; i++)
        if (api_reason_name(i) != NULL && bytes_equal_text(v->text, api_reason_name(i))) {
            *(uint8_t *)v->to = (uint8_t)i;
            return RC_OK;
        }
    return fault(RC_MALFORMED, "no CRLReason of RFC 5280 5.3.1");
}

/* Octets of fixed length, kept in the input. */
static enum rc read_octets(const struct value *v, size_t least, size_t most,
                           struct bytes *octets)
{
    struct api_input *input = v->input;
    AUTO_BUF(read, REGISTRY_CURSOR_MAX);
    enum rc rc = text_read_hex(v->text, &read);

    if (rc != RC_OK || read.broken || read.len < least || read.len > most ||
        input->octets_len + read.len > sizeof input->octets)
        return fault(RC_MALFORMED, "%zu to %zu octets in hexadecimal", least, most);
    uint8_t *to = input->octets + input->octets_len;
    memcpy(to, read.at, read.len);
    input->octets_len += read.len;
    *octets = (struct bytes){ to, read.len };
    return RC_OK;
}

static enum rc read_fingerprint(const struct value *v)
{
    struct bytes octets;

    TRY(read_octets(v, REGISTRY_FINGERPRINT, REGISTRY_FINGERPRINT, &octets));
    memcpy(v->to, octets.at, octets.len);
    return RC_OK;
}

static enum rc read_hash(const struct value *v)
{
    return read_octets(v, AUDIT_HASH, AUDIT_HASH, v->to);
}

static enum rc read_correlation(const struct value *v)
{
    return read_octets(v, AUDIT_CORRELATION, AUDIT_CORRELATION, v->to);
}

static enum rc read_cursor(const struct value *v)
{
    return read_octets(v, 1, REGISTRY_CURSOR_MAX, v->to);
}

static enum rc read_number(const struct value *v, uint64_t least, uint64_t most,
                           uint64_t *number)
{
    uint64_t read = 0;

    if (text_read_u64(v->text, most, &read) != RC_OK || read < least)
        return fault(RC_MALFORMED, "a number from %llu to %llu", (unsigned long long)least,
                     (unsigned long long)most);
    *number = read;
    return RC_OK;
}

static enum rc read_u64(const struct value *v)
{
    return read_number(v, 0, INT64_MAX, v->to);
}

static enum rc read_version(const struct value *v)
{
    if (bytes_equal_text(v->text, "active"))
        return RC_OK;
    return read_number(v, 1, INT64_MAX, v->to);
}

static enum rc read_count(const struct value *v)
{
    uint64_t number = 0;

    TRY(read_number(v, 1, API_LIST_MOST, &number));
    *(uint16_t *)v->to = (uint16_t)number;
    return RC_OK;
}

static enum rc read_u32(const struct value *v)
{
    uint64_t number = 0;

    TRY(read_number(v, 1, UINT32_MAX, &number));
    *(uint32_t *)v->to = (uint32_t)number;
    return RC_OK;
}

static enum rc read_flag(const struct value *v)
{
    if (!bytes_equal_text(v->text, "0") && !bytes_equal_text(v->text, "1"))
        return fault(RC_MALFORMED, "0 or 1");
    *(bool *)v->to = v->text.at[0] == '1';
    return RC_OK;
}

static enum rc read_text(const struct value *v)
{
    if (v->text.len == 0 || v->text.len > REGISTRY_POLICY_MAX)
        return fault(RC_MALFORMED, "1 to %d octets", REGISTRY_POLICY_MAX);
    *(struct bytes *)v->to = v->text;
    return RC_OK;
}

static enum rc read_name(const struct value *v)
{
    TRY(registry_id_check(v->text));
    *(struct bytes *)v->to = v->text;
    return RC_OK;
}

static enum rc read_csr(const struct value *v)
{
    struct bytes text = v->text;
    struct api_input *input = v->input;

    input->der.max = REGISTRY_CSR_MAX;
    if (pki_pem_next(&text, "CERTIFICATE REQUEST", &input->der) != RC_OK ||
        buf_done(&input->der, v->to) != RC_OK)
        return fault(RC_MALFORMED,
                     "no CERTIFICATE REQUEST in PEM (RFC 7468 7), or one over "
                     "%d octets",
                     REGISTRY_CSR_MAX);
    return RC_OK;
}

static enum rc read_time(const struct value *v)
{
    return clock_read_rfc3339(v->text, v->to);
}

/* ---- What the audit log is searched by ---- */

static enum rc read_serial(const struct value *v)
{
    return read_octets(v, 1, AUDIT_SERIAL_MAX, v->to);
}

static enum rc read_topic(const struct value *v)
{
    TRY(policy_topic_check_filter(v->text));
    *(struct bytes *)v->to = v->text;
    return RC_OK;
}

static enum rc read_network(const struct value *v)
{
    return audit_network_read(v->text, v->to);
}

static enum rc read_actions(const struct value *v)
{
    return audit_action_set_read(v->text, v->to);
}

/* Names between commas, each a number below 8; `all` says what they can be. */
static enum rc read_names(const struct value *v, const char *(*name)(unsigned number),
                          const char *all)
{
    struct bytes left = v->text;
    uint8_t bits = 0;

    do {
        const struct bytes word = until(&left, ',');
        unsigned i = 0;
        while (i < 8 && (name(i) == NULL || !bytes_equal_text(word, name(i))))
            i++;
        if (i == 8)
            return fault(RC_MALFORMED, "one of %s, or several with commas between them", all);
        bits |= (uint8_t)(1u << i);
    } while (left.at != NULL);
    *(uint8_t *)v->to = bits;
    return RC_OK;
}

static const char *decision_name(unsigned i)
{
    return audit_decision_name((enum audit_decision)i);
}

static enum rc read_decisions(const struct value *v)
{
    return read_names(v, decision_name, "allowed, denied and failed");
}

static const char *source_name(unsigned i)
{
    return audit_source_name((enum audit_source)i);
}

static enum rc read_sources(const struct value *v)
{
    return read_names(v, source_name, "authority, device-door, operator-door and signer");
}

static const char *actor_name(unsigned i)
{
    return audit_actor_kind_name((enum audit_actor_kind)i);
}

static enum rc read_actors(const struct value *v)
{
    return read_names(v, actor_name, "nobody, device, operator, line and process");
}

static enum rc read_rule(const struct value *v)
{
    uint64_t number = 0;

    if (bytes_equal_text(v->text, "none"))
        number = AUDIT_RULE_NONE;
    else if (read_number(v, 1, AUDIT_RULE_NONE - 1, &number) != RC_OK)
        return fault(RC_MALFORMED, "the number of a rule, from 1, or none");
    *(uint32_t *)v->to = (uint32_t)number;
    return RC_OK;
}

static enum rc read_index(const struct value *v)
{
    uint64_t number = 0;

    TRY(read_number(v, 0, INT64_MAX - 1, &number));
    *(uint64_t *)v->to = number + 1;
    return RC_OK;
}

/* How a value of each type stands in JSON, and how its text is read. */
static const struct {
    enum api_json json;
    enum rc (*read)(const struct value *value);
} TYPES[API_TYPES] = {
    [API_ID] = { API_JSON_STRING, read_id },
    [API_LABEL] = { API_JSON_STRING, read_label },
    [API_WHY] = { API_JSON_STRING, read_why },
    [API_GROUPS] = { API_JSON_STRINGS, read_group },
    [API_IDS] = { API_JSON_STRINGS, read_one_id },
    [API_STATE] = { API_JSON_STRING, read_state },
    [API_KIND] = { API_JSON_STRING, read_kind },
    [API_HOLDER] = { API_JSON_STRING, read_holder },
    [API_ROLE] = { API_JSON_STRING, read_role },
    [API_REASON] = { API_JSON_STRING, read_reason },
    [API_FINGERPRINT] = { API_JSON_STRING, read_fingerprint },
    [API_COUNT] = { API_JSON_INTEGER, read_count },
    [API_SECONDS] = { API_JSON_INTEGER, read_u32 },
    [API_NUMBER] = { API_JSON_INTEGER, read_u64 },
    [API_VERSION] = { API_JSON_STRING, read_version },
    [API_FLAG] = { API_JSON_INTEGER, read_flag },
    [API_TEXT] = { API_JSON_STRING, read_text },
    [API_HASH] = { API_JSON_STRING, read_hash },
    [API_CORRELATION] = { API_JSON_STRING, read_correlation },
    [API_CURSOR] = { API_JSON_STRING, read_cursor },
    [API_CSR] = { API_JSON_STRING, read_csr },
    [API_TIME] = { API_JSON_STRING, read_time },
    [API_SERIAL] = { API_JSON_STRING, read_serial },
    [API_TOPIC] = { API_JSON_STRING, read_topic },
    [API_NETWORK] = { API_JSON_STRING, read_network },
    [API_ACTIONS] = { API_JSON_STRING, read_actions },
    [API_DECISIONS] = { API_JSON_STRING, read_decisions },
    [API_SOURCES] = { API_JSON_STRING, read_sources },
    [API_ACTORS] = { API_JSON_STRING, read_actors },
    [API_RULE] = { API_JSON_STRING, read_rule },
    [API_INDEX] = { API_JSON_INTEGER, read_index },
    [API_NAME] = { API_JSON_STRING, read_name },
};

enum api_json api_input_json(enum api_type type)
{
    return TYPES[type].json;
}

enum rc api_input_set(const struct api_field *field, struct bytes text, struct api_input *input)
{
    const struct value value = { text, (uint8_t *)input + field->at, input };
    enum rc rc = TYPES[field->type].read(&value);

    if (rc == RC_OK || rc == RC_NOMEM)
        return rc;
    return fault_while(RC_MALFORMED, "%s", field->name);
}

const struct api_field *api_input_field(const struct api_route *route, enum api_place place,
                                        struct bytes name, size_t *number)
{
    for (size_t i = 0; i < route->field_count; i++)
        if (route->fields[i].place == place && bytes_equal_text(name, route->fields[i].name)) {
            *number = i;
            return &route->fields[i];
        }
    return NULL;
}

enum rc api_input_given(const struct api_route *route, enum api_place place, uint32_t given)
{
    for (size_t i = 0; i < route->field_count; i++) {
        const struct api_field *field = &route->fields[i];
        if (field->place == place && field->required && (given & (uint32_t)1 << i) == 0)
            return fault(RC_MALFORMED, "%s: missing", field->name);
    }
    return RC_OK;
}

/* ---- Path and query ---- */

static enum rc decode(struct api_input *input, struct bytes text, struct bytes *decoded)
{
    size_t before = input->texts.len;

    TRY(api_route_decode(text, &input->texts));
    *decoded = (struct bytes){ input->texts.at + before, input->texts.len - before };
    return RC_OK;
}

static enum rc read_path(const struct api_route *route, struct bytes path,
                         struct api_input *input)
{
    struct bytes raw, value;

    for (size_t i = 0; i < route->field_count; i++) {
        const struct api_field *field = &route->fields[i];
        if (field->place != API_IN_PATH)
            continue;
        TRY(api_route_parameter(route, path, field->name, &raw));
        /* A name that nothing can have is the name of nothing. */
        if (decode(input, raw, &value) != RC_OK || api_input_set(field, value, input) != RC_OK)
            return fault_while(RC_NOT_FOUND, "path");
    }
    return RC_OK;
}

/* One name=value; '+' is a plus, as RFC 3986 has it. */
static enum rc read_pair(const struct api_route *route, struct bytes pair, uint32_t *given,
                         struct api_input *input)
{
    struct bytes name = until(&pair, '='), value;
    size_t number = 0;
    const struct api_field *field = api_input_field(route, API_IN_QUERY, name, &number);

    if (field == NULL) {
        AUTO_BUF(escaped, 256);
        const char *text = "";
        text_add_escaped(&escaped, (struct bytes){ name.at, name.len < 40 ? name.len : 40 });
        TRY(buf_text(&escaped, &text));
        return fault(RC_MALFORMED, "query: \"%s\" is unknown here", text);
    }
    if ((*given & (uint32_t)1 << number) != 0)
        return fault(RC_MALFORMED, "query: %s twice", field->name);
    *given |= (uint32_t)1 << number;
    TRY(decode(input, pair, &value));
    return api_input_set(field, value, input);
}

static enum rc read_query(const struct api_route *route, struct bytes query,
                          struct api_input *input)
{
    uint32_t given = 0;

    while (query.len > 0)
        TRY(read_pair(route, until(&query, '&'), &given, input));
    return api_input_given(route, API_IN_QUERY, given);
}

enum rc api_input_read(const struct api_route *route, struct bytes path, struct bytes query,
                       struct bytes body, struct api_input *input)
{
    input->texts.max = API_PATH_MAX + API_QUERY_MAX;
    if (path.len > API_PATH_MAX || query.len > API_QUERY_MAX)
        return fault(RC_LIMIT, "a path is at most %d octets, a query %d", API_PATH_MAX,
                     API_QUERY_MAX);
    /* Room for all at once: what is decoded is never longer, and must not move. */
    if (buf_extend(&input->texts, path.len + query.len) == NULL && path.len + query.len > 0)
        return fault(RC_NOMEM, "request");
    buf_cut(&input->texts, 0);
    input->question.kind = route->kind;
    input->question.state = route->state;
    TRY(read_path(route, path, input));
    TRY(read_query(route, query, input));
    return route->body_type == NULL ? api_input_read_json(route, body, input) : RC_OK;
}

void api_input_clear(struct api_input *input)
{
    buf_clear(&input->texts);
    buf_clear(&input->der);
    buf_clear(&input->ids);
    json_decref(input->json);
    input->json = NULL;
}
