/* What touchmarkd asks of each child over its control link (the child answers). */
#pragma once

#include "base/link.h"

/*
 * BEGIN: answered when the child serves. PEER: another process was restarted, here is the fresh
 * end of the channel to it; the body is its name. When the link closes, the child finishes what
 * it has begun and ends with 0.
 */
enum daemon_control { DAEMON_CONTROL_BEGIN = 1, DAEMON_CONTROL_PEER = 2 };

const struct link_protocol *daemon_control_protocol(void);
