/* Addresses and accepted sockets, as the door's threads need them. */
#pragma once

#include "registry/door_protocol.h"

/* A non-blocking socket from a listener, with "192.0.2.1:55000" of who is there; -1: none now.
 */
int broker_sockets_accept(int listener, char address[REGISTRY_PEER_MAX + 1]);
/* Where a listener listens. */
void broker_sockets_address(int listener, char address[REGISTRY_PEER_MAX + 1]);
