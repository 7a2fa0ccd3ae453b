#include "api/input_json.h"

#include <jansson.h>

#include "base/text.h"

const char *api_reason_name(unsigned reason)
{
    static const char *const REASONS[API_REASONS] = {
        [0] = "unspecified",        [1] = "keyCompromise",      [2] = "cACompromise",
        [3] = "affiliationChanged", [4] = "superseded",         [5] = "cessationOfOperation",
        [6] = "certificateHold",    [9] = "privilegeWithdrawn",
    };

    return reason < API_REASONS ? REASONS[reason] : NULL;
}

static enum rc wrong_type(const struct api_field *field, const char *wanted)
{
    return fault(RC_MALFORMED, "%s: must be %s", field->name, wanted);
}

static struct bytes text_of(const json_t *value)
{
    return (struct bytes){ (const uint8_t *)json_string_value(value),
                           json_string_length(value) };
}

static enum rc read_strings(const struct api_field *field, const json_t *value,
                            struct api_input *input)
{
    if (!json_is_array(value))
        return wrong_type(field, "a list of strings");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (!json_is_string(one))
            return wrong_type(field, "a list of strings");
        TRY(api_input_set(field, text_of(one), input));
    }
    return RC_OK;
}

static enum rc read_integer(const struct api_field *field, const json_t *value,
                            struct api_input *input)
{
    AUTO_BUF(text, 32);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return wrong_type(field, "a whole number from 0");
    buf_addf(&text, "%lld", (long long)json_integer_value(value));
    return api_input_set(field, buf_bytes(&text), input);
}

static enum rc read_value(const struct api_field *field, const json_t *value,
                          struct api_input *input)
{
    switch (api_input_json(field->type)) {
    case API_JSON_STRINGS:
        return read_strings(field, value, input);
    case API_JSON_INTEGER:
        return read_integer(field, value, input);
    case API_JSON_STRING:
        break;
    }
    if (!json_is_string(value))
        return wrong_type(field, "a string");
    return api_input_set(field, text_of(value), input);
}

static enum rc unknown_member(const char *name)
{
    AUTO_BUF(escaped, 256);
    const char *text = "";
    struct bytes all = bytes_of_text(name);

    text_add_escaped(&escaped, (struct bytes){ all.at, all.len < 40 ? all.len : 40 });
    TRY(buf_text(&escaped, &text));
    return fault(RC_MALFORMED, "\"%s\" is unknown here", text);
}

enum rc api_input_read_json(const struct api_route *route, struct bytes body,
                            struct api_input *input)
{
    json_error_t error;
    uint32_t given = 0;
    size_t number = 0;
    const char *name;
    json_t *value;

    if (body.len == 0)
        return api_input_given(route, API_IN_BODY, 0);
    json_t *json = json_loadb((const char *)body.at, body.len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) /* its own words repeat the input */
        return fault(RC_MALFORMED, "JSON, line %d column %d: not RFC 8259, or a member twice",
                     error.line, error.column);
    input->json = json;
    if (!json_is_object(json))
        return fault(RC_MALFORMED, "JSON: must be an object");
    json_object_foreach(json, name, value)
    {
        const struct api_field *field =
            api_input_field(route, API_IN_BODY, bytes_of_text(name), &number);
        if (field == NULL)
            return unknown_member(name);
        given |= (uint32_t)1 << number;
        TRY(read_value(field, value, input));
    }
    return api_input_given(route, API_IN_BODY, given);
}
