#include "daemon/control.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static const struct link_kind KINDS[] = {
    { .kind = DAEMON_CONTROL_BEGIN, .name = "begin", .lane = LINK_URGENT },
    { .kind = DAEMON_CONTROL_PEER,
      .name = "peer",
      .lane = LINK_NORMAL,
      .request_max = DAEMON_NAME_MAX,
      .request_fd = true },
    { .kind = DAEMON_CONTROL_ENDED,
      .name = "ended",
      .lane = LINK_NORMAL,
      .request_max = DAEMON_END_MAX },
};

static const struct link_protocol PROTOCOL = {
    .name = "control",
    .kinds = KINDS,
    .count = sizeof KINDS / sizeof *KINDS,
    .credits = { [LINK_URGENT] = 1, [LINK_NORMAL] = 8, [LINK_BULK] = 1 },
    .waiting_max = DAEMON_PROCESSES_MAX,
};

const struct link_protocol *daemon_control_protocol(void)
{
    return &PROTOCOL;
}

/* ---- How a process ended ---- */

struct daemon_end daemon_end_of(const char *process, int status, bool asked)
{
    bool killed = WIFSIGNALED(status);
    struct daemon_end end = { .killed = killed, .asked = asked };

    end.code = (uint32_t)(killed ? WTERMSIG(status) : WEXITSTATUS(status));
    memcpy(end.process, process, strnlen(process, DAEMON_NAME_MAX));
    return end;
}

bool daemon_end_is_orderly(const struct daemon_end *end)
{
    return end->asked && !end->killed && end->code == 0;
}

void daemon_end_say(const struct daemon_end *end, struct buf *text)
{
    const char *signal = end->killed ? sigabbrev_np((int)end->code) : NULL;

    if (end->killed && end->code == SIGSYS)
        buf_addf(text, "killed by the jail (SIGSYS)");
    else if (signal != NULL)
        buf_addf(text, "killed by SIG%s", signal);
    else if (end->killed)
        buf_addf(text, "killed by signal %u", end->code);
    else if (daemon_end_is_orderly(end))
        buf_addf(text, "ended as it was asked to");
    else
        buf_addf(text, "exited with %u", end->code);
    if (!end->killed && end->code == 0 && !end->asked)
        buf_addf(text, ", which touchmarkd had not asked for");
}

void daemon_end_write(const struct daemon_end *end, struct buf *body)
{
    buf_add_u8(body, end->killed);
    buf_add_u8(body, end->asked);
    buf_add_u32(body, end->code);
    buf_add_u32(body, end->pid);
    buf_add_u64(body, (uint64_t)end->wall_ms);
    buf_add_u32(body, end->lost);
    buf_add_sized16(body, bytes_of_text(end->process));
}

enum rc daemon_end_read(struct bytes body, struct daemon_end *end)
{
    struct reader r = READER(body);
    uint8_t killed = reader_u8(&r), asked = reader_u8(&r);

    *end = (struct daemon_end){ .killed = killed == 1, .asked = asked == 1 };
    end->code = reader_u32(&r);
    end->pid = reader_u32(&r);
    end->wall_ms = (int64_t)reader_u64(&r);
    end->lost = reader_u32(&r);
    struct bytes name = reader_sized16(&r, DAEMON_NAME_MAX);
    if (!reader_done(&r) || killed > 1 || asked > 1 || end->code > 255 || end->wall_ms < 0 ||
        name.len == 0 || memchr(name.at, '\0', name.len) != NULL)
        return fault(RC_MALFORMED, "what tells of a process's end cannot be read");
    memcpy(end->process, name.at, name.len);
    return RC_OK;
}
