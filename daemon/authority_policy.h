/* A policy's text, judged before it becomes the active one. */
#pragma once

#include "base/buf.h"

struct policy;

/* RC_OK: *policy has one reference, the caller's, and no version yet. RC_MALFORMED, and a line
 * "line L column C: ..." for each error appended, of an imported file "NAME line L column C:
 * ..."; RC_LIMIT, likewise; RC_NOMEM. */
enum rc daemon_authority_check_policy(struct bytes text, struct buf *errors,
                                      struct policy **policy);
