/* What touchmarkd asks of each child over its control link (the child answers). */
#pragma once

#include "base/link.h"
#include "daemon/table.h"

/*
 * BEGIN: answered when the child serves. PEER: another process was restarted, here is the fresh
 * end of the channel to it; the body is its name. ENDED: how another process ended, answered
 * when that is in the audit log. When the link closes, the child finishes what it has begun and
 * ends with 0.
 */
enum daemon_control {
    DAEMON_CONTROL_BEGIN = 1,
    DAEMON_CONTROL_PEER = 2,
    DAEMON_CONTROL_ENDED = 3
};

const struct link_protocol *daemon_control_protocol(void);

/* How a process ended, as the kernel told touchmarkd. */
struct daemon_end {
    char process[DAEMON_NAME_MAX + 1];
    bool killed;   /* by the signal `code`; else it exited with `code` */
    bool asked;    /* to end, or made to */
    uint32_t code; /* below 256 */
    uint32_t pid;
    int64_t wall_ms;
    uint32_t lost; /* ends since the one told before, for which there was no room */
};

struct daemon_end daemon_end_of(const char *process, int status, bool asked);
/* It was asked to end, and exited with 0. */
bool daemon_end_is_orderly(const struct daemon_end *end);
/* Append for people: "killed by SIGKILL". */
void daemon_end_say(const struct daemon_end *end, struct buf *text);

enum { DAEMON_END_MAX = 64 };
/* The body of ENDED: killed u8, asked u8, code u32, pid u32, wall u64, lost u32, process
 * sized16. Read strictly: RC_MALFORMED. */
void daemon_end_write(const struct daemon_end *end, struct buf *body);
enum rc daemon_end_read(struct bytes body, struct daemon_end *end);
