/* Records as JSON, as they are shown and exported. */
#pragma once

#include "audit/query.h"

struct json_t;

/* All return new references; NULL without memory. */

/* Index, leaf hash, and each field that the record has; of an erased one, what its head says. */
struct json_t *audit_json_record(const struct audit_hit *hit);

/* Values, for whatever stands beside records. */
struct json_t *audit_json_hex(struct bytes bytes);
struct json_t *audit_json_time(int64_t wall_ms);
/* What is no UTF-8 is shown escaped, never left out. */
struct json_t *audit_json_text(struct bytes text);
struct json_t *audit_json_number(uint64_t number);
