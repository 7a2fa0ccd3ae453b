#include "daemon/control.h"

#include "daemon/table.h"

static const struct link_kind KINDS[] = {
    { .kind = DAEMON_CONTROL_BEGIN, .name = "begin", .lane = LINK_URGENT },
    { .kind = DAEMON_CONTROL_PEER,
      .name = "peer",
      .lane = LINK_NORMAL,
      .request_max = DAEMON_NAME_MAX,
      .request_fd = true },
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
