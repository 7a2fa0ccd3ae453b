#include "daemon/ends.h"

#include <string.h>

enum { AGAIN_MS = 1000 };

void daemon_ends_add(struct daemon_ends *ends, const struct daemon_end *end)
{
    struct daemon_end *last = &ends->at[DAEMON_ENDS_MAX - 1];

    if (ends->count < DAEMON_ENDS_MAX) {
        ends->at[ends->count++] = *end;
        return;
    }
    const uint32_t lost = last->lost + (last->lost < UINT32_MAX);
    *last = *end;
    last->lost = lost;
}

static enum rc tell_again(struct loop_timer *timer)
{
    daemon_ends_tell((struct daemon_ends *)timer);
    return RC_OK;
}

/* Without a link it is told to the next listener; refused, most likely for want of space, it is
 * tried again. */
static void told(void *with, const struct link_reply *reply)
{
    struct daemon_ends *ends = with;

    ends->on_its_way = false;
    if (reply->rc == RC_CLOSED)
        return;
    if (reply->rc == RC_OK) {
        memmove(ends->at, ends->at + 1, --ends->count * sizeof *ends->at);
        daemon_ends_tell(ends);
    } else {
        ends->again.due = tell_again;
        (void)!loop_arm(ends->loop, &ends->again, AGAIN_MS); /* else with the next end */
    }
    if (!ends->on_its_way)
        ends->rests(ends->with);
}

void daemon_ends_tell(struct daemon_ends *ends)
{
    struct link *link = ends->listener(ends->with);
    AUTO_BUF(body, DAEMON_END_MAX);

    if (ends->on_its_way || ends->count == 0 || link == NULL)
        return;
    daemon_end_write(&ends->at[0], &body);
    ends->on_its_way =
        link_ask(link, DAEMON_CONTROL_ENDED, buf_bytes(&body), -1, told, ends) == RC_OK;
}

void daemon_ends_stop(struct daemon_ends *ends)
{
    loop_disarm(&ends->again);
}
