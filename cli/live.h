/* Sessions that are open now, and their subscriptions, as the audit log has them. */
#pragma once

#include "cli/audit_pages.h"

/*
 * {correlation: {"device","since","peer","tls","fingerprint",
 *                "subscriptions":{filter:true}, "more"}}, oldest first.
 *
 * The device door writes each session's opening and end; a door that starts has none of before.
 * A subscription is there until its session ends, the device gives it up or a policy took it
 * away. Of many that one rule allowed within some seconds the log names but a common pattern:
 * "more" is true where a session has, or had, such.
 * What is counted is told when its window is over (audit_window of the device door), all else
 * within a second or so. RC_LIMIT as cli_audit_collect().
 */
enum rc cli_live_read(struct cli_remote *remote, json_t **sessions);
