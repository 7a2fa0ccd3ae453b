/* Changes that doors must hear of: suspend, resume, revoke. */
#pragma once

#include "cli/remote.h"

/*
 * POST /v1/<resource>/<id>/<verb>, with the reason if there is one; wait: until every door has
 * acknowledged. Tells the outcome. RC_BUSY: the change is made, but not every door has said so
 * while we waited.
 */
struct cli_change {
    const char *resource, *id, *verb; /* "devices", "d1", "revoke" */
    const char *done;                 /* "revoked" */
    const char *reason;               /* RFC 5280 5.3.1 by name, or NULL */
    bool wait;
};
enum rc cli_change_run(const struct cli_call *call, const struct cli_change *change);
