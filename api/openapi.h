/* The OpenAPI 3.1 description, made from the table of routes. */
#pragma once

#include "base/buf.h"

/* Appends the JSON document, indented, the same every time. RC_NOMEM, RC_LIMIT. */
enum rc api_openapi_write(struct buf *document);
