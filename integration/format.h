/* A record as the text that a sink gets. */
#pragma once

#include "audit/query.h"
#include "integration/cursor.h"

enum integration_format {
    INTEGRATION_JSON, /* as /v1/audit shows it */
    INTEGRATION_OCSF, /* ocsf.h */
    INTEGRATION_TEXT, /* a line for people */
};
/* For settings: "json,ocsf,text". */
#define INTEGRATION_FORMAT_CHOICES "json,ocsf,text"

/* No text of a record is longer, in any format. */
enum { INTEGRATION_RECORD_MAX = 16 * 1024 };

/* Append, without a newline, in ASCII (JSON) or UTF-8 (text). RC_NOMEM, RC_LIMIT. */
enum rc integration_format_write(enum integration_format format, const struct audit_hit *hit,
                                 struct buf *out);
/* What a line in JSON or OCSF says of itself: the sink has all up to it. RC_MALFORMED: no such
 * line. */
enum rc integration_format_read(struct bytes line, struct integration_cursor *behind);
