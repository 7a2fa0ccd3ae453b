/* Where a peer comes from, as far as one place shares a limit. */
#pragma once

#include "base/bytes.h"

/* Family, then the 4 octets of an IPv4 address or the first 8 of an IPv6 address: the /64 that
 * one customer has to himself (RFC 6177). Zeros for what has no address. */
enum { BROKER_ORIGIN = 9 };

/* Of "192.0.2.1:55000" or "[2001:db8::1]:55000". */
void broker_origin_of(const char *peer, uint8_t origin[BROKER_ORIGIN]);
