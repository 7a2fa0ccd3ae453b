/* A small protocol, and an end of its link that a test plays by hand. */
#pragma once

#include "base/link_message.h"

enum { PING = 1, REVOKE, BULK_SIGN, OPEN_FILE, SEND_FILE, WAITING = 8, RAW_FDS_MAX = 200 };

/* Credits: urgent 0 and 1, normal 2 to 4, bulk 5 to 8. */
extern const struct link_protocol LINK_RAW_PROTOCOL;

/* A message as literal bytes; of two-byte fields the low one, but both of the credit. */
#define LINK_RAW(kind, flags, credit, rc, reserved, body)                                      \
    BYTES("\x00" kind "\x00" flags "\x00\x00" credit "\x00" rc "\x00" reserved body)

/* As it is, with so many descriptors beside it (copies of standard input). */
void link_raw_send(int socket, struct bytes sent, int fds);
size_t link_raw_open_descriptors(void);
