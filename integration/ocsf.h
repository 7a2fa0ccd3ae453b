/* Records as events of the Open Cybersecurity Schema Framework (OCSF). */
#pragma once

#include "audit/query.h"

/*
 * Version 1.4.0 of the schema, without extensions or profiles. docs/export.md has the table
 * from actions to classes, which is this module's own; what the schema has no place for stands
 * under "unmapped", by the names of /v1/audit.
 *
 * metadata.sequence is the log index, metadata.uid the leaf hash, metadata.correlation_uid the
 * correlation id, metadata.event_code the action.
 */
#define INTEGRATION_OCSF_VERSION "1.4.0"

struct json_t;

/* A new reference; NULL without memory. */
struct json_t *integration_ocsf_event(const struct audit_hit *hit);

/* What an action becomes; NULL for one that has no row (it is then API Activity, Other). */
struct integration_ocsf_row {
    enum audit_action action;
    unsigned class_uid, activity_id;
    unsigned severity_id; /* if it was allowed; else it is Medium at least */
    const char *activity; /* caption, or our own for Other */
    const char *entity;   /* type of what Entity Management is about; else NULL */
};
const struct integration_ocsf_row *integration_ocsf_row(enum audit_action action);
