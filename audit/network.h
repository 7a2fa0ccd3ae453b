/* Addresses that a search asks for: one, one with its port, or all of a network. */
#pragma once

#include "base/buf.h"

/* IPv4 addresses that came as IPv6 (::ffff:192.0.2.1) are IPv4 here. */
struct audit_network {
    uint8_t len; /* of the address, 4 or 16; 0: not given */
    uint8_t bits;
    uint16_t port; /* 0: any */
    uint8_t address[16];
};

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "192.0.2.1:55000", "[2001:db8::1]:55000".
 * RC_MALFORMED says what is wrong: no address, too many bits, bits behind the prefix. */
enum rc audit_network_read(struct bytes text, struct audit_network *network);
/* As audit_network_read() reads it. */
void audit_network_add(struct buf *text, const struct audit_network *network);

/* RC_MALFORMED unless it is one that audit_network_read() makes, or none. */
enum rc audit_network_check(const struct audit_network *network);
/* The address of a record's peer, all its bits; len 0 if it is none. */
struct audit_network audit_network_of_peer(struct bytes peer);
bool audit_network_has(const struct audit_network *network, const struct audit_network *peer);
