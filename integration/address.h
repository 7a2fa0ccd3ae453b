/* Where a receiver is: a numeric address and a port. Nothing is looked up. */
#pragma once

#include "base/rc.h"

#include <stdint.h>
#include <sys/socket.h>

struct integration_address {
    struct sockaddr_storage at;
    socklen_t len;
    uint16_t port;
};

/* "192.0.2.1:6514", "[2001:db8::1]:6514". RC_MALFORMED. */
enum rc integration_address_read(const char *text, struct integration_address *address);
