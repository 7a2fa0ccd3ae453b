/* A policy's text, judged before it becomes the active one. */
#pragma once

#include "base/buf.h"

/* RC_MALFORMED, and a line "line L column C: ..." for each error appended, of an imported
 * file "NAME line L column C: ..."; RC_LIMIT. */
enum rc daemon_authority_check_policy(struct bytes text, struct buf *errors);
