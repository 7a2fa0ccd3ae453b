/* Sessions that are open now, and their subscriptions, as the audit log has them. */
#pragma once

#include "cli/audit_pages.h"

/*
 * {correlation: {"device","since","peer","tls","fingerprint",
 *                "subscriptions":{filter:sure}, "more"}}, oldest first.
 *
 * The device door writes each session's opening and end; a door that starts has none of before.
 * A subscription is there until its session ends, the device gives it up or a policy took it
 * away. Acts of a window are one record, so the last moment of each counts, not the order of
 * records: "sure" is false where a filter was subscribed to and given up within the same
 * millisecond, or something that the log does not name was given up since. Of many that one
 * rule allowed within some seconds the log names but a common pattern: "more" is true where a
 * session has, or had, such. What is counted is told when its window is over (audit_window of
 * the device door), all else within a second or so. RC_LIMIT as cli_audit_collect().
 */
enum rc cli_live_read(struct cli_remote *remote, json_t **sessions);
/* The same from records, newest first: of sessions that open and end, and of subscriptions. */
enum rc cli_live_take(const json_t *opened, const json_t *subscribed, json_t **sessions);

/* Has it been open for as long as this? 0: no lease. */
bool cli_live_outlasts(const json_t *session, int64_t lease_ms, int64_t now_ms);
