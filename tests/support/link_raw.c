#include "tests/support/link_raw.h"

#include "tests/support/check.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>

static const struct link_kind KINDS[] = {
    { PING, "ping", LINK_NORMAL, 100, 100, false, false },
    { REVOKE, "revoke", LINK_URGENT, 100, 0, false, false },
    { BULK_SIGN, "bulk-sign", LINK_BULK, LINK_BODY_MAX, LINK_BODY_MAX, false, false },
    { OPEN_FILE, "open-file", LINK_NORMAL, 100, 0, false, true },
    { SEND_FILE, "send-file", LINK_NORMAL, 100, 0, true, false },
};
const struct link_protocol LINK_RAW_PROTOCOL = {
    .name = "test",
    .kinds = KINDS,
    .count = sizeof KINDS / sizeof *KINDS,
    .credits = { 2, 3, 4 },
    .waiting_max = WAITING,
};

void link_raw_send(int socket, struct bytes sent, int fds)
{
    static const int INPUT = 0;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(RAW_FDS_MAX * sizeof(int))];
    } control = { 0 };
    struct iovec part = { (void *)(uintptr_t)sent.at, sent.len };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (fds > 0) {
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
        for (int i = 0; i < fds; i++)
            memcpy(CMSG_DATA(&control.head) + (size_t)i * sizeof INPUT, &INPUT, sizeof INPUT);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
    }
    assert_int_equal(sendmsg(socket, &m, MSG_NOSIGNAL), (ssize_t)sent.len);
}

size_t link_raw_open_descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    size_t count = 0;

    while (readdir(all) != NULL)
        count++;
    closedir(all);
    return count;
}
