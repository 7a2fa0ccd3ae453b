/* A JSON body as the fields of its route; and what input.c and it share. */
#pragma once

#include "api/route.h"

enum api_json { API_JSON_STRING, API_JSON_STRINGS, API_JSON_INTEGER };
enum api_json api_input_json(enum api_type type);

/* Of RFC 5280 5.3.1, those that registry_reason_is() takes, by number; NULL: none. */
enum { API_REASONS = 10 };
const char *api_reason_name(unsigned reason);

/* text goes where the field says. RC_MALFORMED names the field. */
enum rc api_input_set(const struct api_field *field, struct bytes text,
                      struct api_input *input);
/* NULL: there is none of that name. */
const struct api_field *api_input_field(const struct api_route *route, enum api_place place,
                                        struct bytes name, size_t *number);
/* Are all required fields in the set of numbers? RC_MALFORMED names the first that is not. */
enum rc api_input_given(const struct api_route *route, enum api_place place, uint32_t given);

/* An empty body is as {}. Strict: RFC 8259, each member once, none unknown, each of its type.
 */
enum rc api_input_read_json(const struct api_route *route, struct bytes body,
                            struct api_input *input);
