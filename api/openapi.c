#include "api/openapi.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "api/handlers.h"
#include "api/input_json.h"
#include "api/schema.h"

/* ---- Shapes of answers ---- */

static json_t *reference(const char *name, size_t len)
{
    AUTO_BUF(path, 128);

    buf_addf(&path, "#/components/schemas/%.*s", (int)len, name);
    return json_pack("{s:s%}", "$ref", (const char *)buf_bytes(&path).at, buf_bytes(&path).len);
}

static json_t *base_type(const char *type, size_t len)
{
    if (len == 4 && strncmp(type, "time", len) == 0)
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    if (len == 3 && strncmp(type, "hex", len) == 0)
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^([0-9a-f]{2})*$");
    if (type[0] >= 'a')
        return json_pack("{s:s%}", "type", type, len);
    return reference(type, len);
}

/* As schema.h writes types. */
static json_t *type_schema(const char *type)
{
    size_t len = strcspn(type, "?*");

    if (type[0] == '[')
        return json_pack("{s:s, s:o}", "type", "array", "items", base_type(type + 1, len - 1));
    json_t *schema = base_type(type, len);
    if (type[len] == '?')
        return json_pack("{s:[o, {s:s}]}", "anyOf", schema, "type", "null");
    return schema;
}

static json_t *shape_schema(const struct api_shape *shape)
{
    json_t *properties = json_object(), *required = json_array();

    for (size_t i = 0; i < shape->count; i++) {
        const struct api_member *member = &shape->members[i];
        json_t *schema = type_schema(member->type);
        if (member->meaning[0] != '\0')
            json_object_set_new(schema, "description", json_string(member->meaning));
        json_object_set_new(properties, member->name, schema);
        if (strchr(member->type, '*') == NULL)
            json_array_append_new(required, json_string(member->name));
    }
    return json_pack("{s:s, s:b, s:o, s:o}", "type", "object", "additionalProperties", 0,
                     "required", required, "properties", properties);
}

static json_t *all_shapes(void)
{
    size_t count = 0;
    const struct api_shape *shapes = api_schema_list(&count);
    json_t *schemas = json_object();

    for (size_t i = 0; i < count; i++)
        json_object_set_new(schemas, shapes[i].name, shape_schema(&shapes[i]));
    return schemas;
}

/* ---- Fields of requests ---- */

static json_t *text_schema(size_t least, size_t most)
{
    return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength", (json_int_t)least,
                     "maxLength", (json_int_t)most);
}

static json_t *pattern_schema(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *range_schema(json_int_t least, json_int_t most)
{
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", least, "maximum", most);
}

static json_t *choice_schema(const char *(*name)(unsigned), unsigned from, unsigned to)
{
    json_t *names = json_array();

    for (unsigned i = from; i <= to; i++)
        if (name(i) != NULL)
            json_array_append_new(names, json_string(name(i)));
    return json_pack("{s:s, s:o}", "type", "string", "enum", names);
}

static const char *state_name(unsigned i)
{
    return registry_state_name((enum registry_state)i);
}

static const char *kind_name(unsigned i)
{
    return registry_kind_name((enum registry_kind)i);
}

static const char *role_name(unsigned i)
{
    return registry_role_name((enum registry_role)i);
}

#define ID_PATTERN "^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$"

static json_t *choice_of(enum api_type type)
{
    switch ((int)type) {
    case API_STATE:
        return choice_schema(state_name, REGISTRY_REGISTERED, REGISTRY_REVOKED);
    case API_KIND:
        return choice_schema(kind_name, REGISTRY_DEVICE, REGISTRY_LINE);
    case API_HOLDER:
        return choice_schema(kind_name, REGISTRY_OPERATOR, REGISTRY_LINE);
    case API_ROLE:
        return choice_schema(role_name, REGISTRY_ADMIN, REGISTRY_AUDITOR);
    case API_REASON:
        return choice_schema(api_reason_name, 0, API_REASONS - 1);
    default:
        return NULL;
    }
}

static json_t *value_of(enum api_type type)
{
    switch ((int)type) {
    case API_ID:
    case API_NAME:
        return pattern_schema(ID_PATTERN);
    case API_GROUPS:
        return json_pack("{s:s, s:o, s:i, s:b}", "type", "array", "items",
                         pattern_schema(ID_PATTERN), "maxItems", REGISTRY_GROUPS_MAX,
                         "uniqueItems", 1);
    case API_IDS:
        return json_pack("{s:s, s:o, s:i, s:i}", "type", "array", "items",
                         pattern_schema(ID_PATTERN), "minItems", 1, "maxItems",
                         REGISTRY_IDS_MAX);
    case API_LABEL:
        return text_schema(0, REGISTRY_LABEL_MAX);
    case API_WHY:
        return json_pack("{s:s, s:s, s:I}", "type", "string", "pattern", "[^ ]", "maxLength",
                         (json_int_t)REGISTRY_LABEL_MAX);
    case API_FINGERPRINT:
    case API_HASH:
        return pattern_schema("^[0-9A-Fa-f]{64}$");
    case API_CORRELATION:
        return pattern_schema("^[0-9A-Fa-f]{32}$");
    case API_CURSOR:
        return pattern_schema("^([0-9A-Fa-f]{2})+$");
    case API_VERSION:
        return pattern_schema("^(active|[1-9][0-9]*)$");
    case API_COUNT:
        return range_schema(1, API_LIST_MOST);
    case API_SECONDS:
        return range_schema(1, UINT32_MAX);
    case API_NUMBER:
        return range_schema(0, INT64_MAX);
    case API_INDEX:
        return range_schema(0, INT64_MAX - 1);
    case API_SERIAL:
        return pattern_schema("^([0-9A-Fa-f]{2}){1,20}$");
    case API_RULE:
        return pattern_schema("^(none|[1-9][0-9]*)$");
    case API_TOPIC:
    case API_NETWORK:
        return text_schema(1, AUDIT_TARGET_MAX);
    case API_ACTIONS:
        return pattern_schema("^[a-z_.]+(\\.\\*)?(,[a-z_.]+(\\.\\*)?)*$");
    case API_DECISIONS:
    case API_SOURCES:
    case API_ACTORS:
        return pattern_schema("^[a-z-]+(,[a-z-]+)*$");
    case API_FLAG:
        return range_schema(0, 1);
    case API_TIME:
        return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
    case API_CSR:
        return text_schema(1, API_BODY_REQUEST);
    default:
        return text_schema(1, REGISTRY_POLICY_MAX);
    }
}

static json_t *field_schema(const struct api_field *field)
{
    json_t *choice = choice_of(field->type);

    return choice != NULL ? choice : value_of(field->type);
}

static json_t *parameters_of(const struct api_route *route)
{
    json_t *list = json_array();

    for (size_t i = 0; i < route->field_count; i++) {
        const struct api_field *field = &route->fields[i];
        if (field->place == API_IN_BODY)
            continue;
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:s, s:o}", "name", field->name, "in",
                            field->place == API_IN_PATH ? "path" : "query", "required",
                            (int)(field->required || field->place == API_IN_PATH),
                            "description", field->meaning, "schema", field_schema(field)));
    }
    if (route->tagged)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:b, s:s, s:{s:s}}", "name",
                                        "If-None-Match", "in", "header", "required", 0,
                                        "description", "ETags of what is here already, or *.",
                                        "schema", "type", "string"));
    return list;
}

static json_t *content_of(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

/* NULL: it takes none. */
static json_t *body_of(const struct api_route *route)
{
    json_t *properties = json_object(), *required = json_array();

    if (route->body_max > 0 && route->body_type != NULL && route->method[0] == 'P') {
        json_decref(properties);
        json_decref(required);
        return json_pack("{s:b, s:o}", "required", 1, "content",
                         content_of(route->body_type, json_pack("{s:s}", "type", "string")));
    }
    for (size_t i = 0; i < route->field_count; i++) {
        const struct api_field *field = &route->fields[i];
        if (field->place != API_IN_BODY)
            continue;
        json_t *schema = field_schema(field);
        json_object_set_new(schema, "description", json_string(field->meaning));
        json_object_set_new(properties, field->name, schema);
        if (field->required)
            json_array_append_new(required, json_string(field->name));
    }
    if (json_object_size(properties) == 0) {
        json_decref(properties);
        json_decref(required);
        return NULL;
    }
    int needed = json_array_size(required) > 0;
    json_t *schema = json_pack("{s:s, s:b, s:o, s:o}", "type", "object", "additionalProperties",
                               0, "properties", properties, "required", required);
    return json_pack("{s:b, s:o}", "required", needed, "content",
                     content_of("application/json", schema));
}

/* ---- Answers ---- */

static json_t *answer_content(const char *answers)
{
    if (strchr(answers, '/') == NULL)
        return content_of("application/json", reference(answers, strlen(answers)));
    return content_of(answers, json_pack("{s:s}", "type", "string"));
}

/* An erasure is 202 anyway: under way, or, under four eyes, waiting. */
static json_t *yes_content(const struct api_route *route)
{
    if (strcmp(route->name, "eraseRecords") != 0)
        return answer_content(route->answers);
    return content_of("application/json",
                      json_pack("{s:[o, o]}", "oneOf",
                                reference(route->answers, strlen(route->answers)),
                                reference("ProposalMade", strlen("ProposalMade"))));
}

static void add_refusal(json_t *responses, const char *status, const char *meaning)
{
    json_object_set_new(
        responses, status,
        json_pack("{s:s, s:o}", "description", meaning, "content", answer_content("Error")));
}

/* RFC 9110 15.4.5: the tag comes with both. */
static void add_tags(json_t *responses, const char *yes)
{
    json_t *headers = json_pack("{s:{s:s, s:{s:s}}}", "ETag", "description",
                                "What this one is called.", "schema", "type", "string");

    json_object_set(json_object_get(responses, yes), "headers", headers);
    json_object_set_new(responses, "304",
                        json_pack("{s:s, s:o}", "description",
                                  "Nothing newer than what If-None-Match names.", "headers",
                                  headers));
}

static json_t *responses_of(const struct api_route *route)
{
    json_t *responses = json_object();
    AUTO_BUF(status, 8);
    const char *text = "200";

    buf_addf(&status, "%u", route->status == 0 ? 200 : route->status);
    if (buf_text(&status, &text) != RC_OK)
        text = "200";
    json_object_set_new(
        responses, text,
        json_pack("{s:s, s:o}", "description", "Done.", "content", yes_content(route)));
    if (route->tagged)
        add_tags(responses, text);
    if (strcmp(route->name, "applyPolicy") == 0 || strcmp(route->name, "proposePolicy") == 0)
        json_object_set_new(responses, "422",
                            json_pack("{s:s, s:o}", "description",
                                      "The text has errors; nothing changed.", "content",
                                      answer_content("PolicyErrors")));
    if (strcmp(route->name, "applyPolicy") == 0 || strcmp(route->name, "revokeDevices") == 0 ||
        strcmp(route->name, "removeHold") == 0)
        json_object_set_new(responses, "202",
                            json_pack("{s:s, s:o}", "description",
                                      "Under four eyes: it waits for another administrator.",
                                      "content", answer_content("ProposalMade")));
    if (strcmp(route->name, "health") == 0)
        json_object_set_new(responses, "503",
                            json_pack("{s:s, s:o}", "description", "The authority is away.",
                                      "content", answer_content("Health")));
    add_refusal(responses, "default", "Refused.");
    return responses;
}

static json_t *operation_of(const struct api_route *route)
{
    json_t *operation = json_pack(
        "{s:s, s:s, s:s}", "operationId", route->name, "summary", route->summary, "x-right",
        route->right == REGISTRY_RIGHT_NONE ? "none" : registry_right_name(route->right));
    json_t *parameters = parameters_of(route), *body = body_of(route);

    if (json_array_size(parameters) > 0)
        json_object_set(operation, "parameters", parameters);
    json_decref(parameters);
    if (body != NULL)
        json_object_set_new(operation, "requestBody", body);
    json_object_set_new(operation, "responses", responses_of(route));
    json_t *security = json_array();
    if (route->right != REGISTRY_RIGHT_NONE)
        json_array_append_new(security, json_pack("{s:[]}", "certificate"));
    if (route->token)
        json_array_append_new(security, json_pack("{s:[]}", "token"));
    json_object_set_new(operation, "security", security);
    return operation;
}

/* OpenAPI has no parameter of many segments: its meaning says so. */
static const char *path_of(const struct api_route *route, struct buf *room)
{
    const char *dots = strstr(route->path, "..."), *text = NULL;

    if (dots == NULL)
        return route->path;
    buf_add(room, (struct bytes){ (const uint8_t *)route->path, (size_t)(dots - route->path) });
    buf_addf(room, "%s", dots + 3);
    return buf_text(room, &text) == RC_OK ? text : route->path;
}

static json_t *all_paths(void)
{
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);
    json_t *paths = json_object();

    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(room, 256);
        const char *name = path_of(&routes[i], &room);
        json_t *path = json_object_get(paths, name);
        if (path == NULL) {
            path = json_object();
            json_object_set_new(paths, name, path);
        }
        json_object_set_new(path, strcmp(routes[i].method, "GET") == 0 ? "get" : "post",
                            operation_of(&routes[i]));
    }
    return paths;
}

enum rc api_openapi_write(struct buf *document)
{
    json_t *info =
        json_pack("{s:s, s:s, s:s}", "title", "Touchmark", "version", "1", "description",
                  "Device identities: enrolment, registry, policies, audit. See "
                  "docs/protocol/api.md and est.md.");
    json_t *schemes = json_pack("{s:{s:s}, s:{s:s, s:s}}", "certificate", "type", "mutualTLS",
                                "token", "type", "http", "scheme", "basic");
    json_t *whole = json_pack("{s:s, s:o, s:o, s:{s:o, s:o}}", "openapi", "3.1.0", "info", info,
                              "paths", all_paths(), "components", "securitySchemes", schemes,
                              "schemas", all_shapes());
    char *text = whole == NULL ? NULL : json_dumps(whole, JSON_INDENT(1));
    struct bytes done;

    json_decref(whole);
    if (text == NULL)
        return fault(RC_NOMEM, "OpenAPI document");
    buf_add(document, bytes_of_text(text));
    buf_add(document, BYTES("\n"));
    free(text);
    return buf_done(document, &done);
}

enum rc api_openapi_show(struct api_request *request)
{
    api_answer_bytes(&request->answer, 200, "application/json",
                     buf_bytes(&request->api->document));
    return RC_OK;
}
