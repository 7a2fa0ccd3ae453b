/* The shapes of answers, for the OpenAPI document; tests hold real answers against them. */
#pragma once

#include <stddef.h>

/*
 * type: string, integer, boolean, time (RFC 3339), hex, or a shape's name; "[x" is a list of
 * x; a trailing '?' may be null, a trailing '*' may be missing.
 */
struct api_member {
    const char *name, *type, *meaning;
};

struct api_shape {
    const char *name;
    const struct api_member *members;
    size_t count;
};

const struct api_shape *api_schema_list(size_t *count);
