/* What a fleet and its operators leave in the audit log: record number n, whenever it is asked.
 */
#pragma once

#include "audit/record.h"

/*
 * Sessions of 256 devices at a time take turns, so that each of 256 neighbours is another
 * device's: of 1,024 records 256 open a session, 256 count what it published, 256 are of other
 * kinds (subscriptions, what it received, denials, failed handshakes, renewals, operators'
 * acts), and 256 close it. A record comes each 250 ms.
 */
enum {
    FLEET_TURN = 256,
    FLEET_SESSION = 4,
    FLEET_OPERATORS = 20,
    FLEET_PLANTS = 50,
    FLEET_LINES = 7,
    FLEET_RULES = 40,
    FLEET_VERSION = 7,
    FLEET_STEP_MS = 250,
    FLEET_TEXT = 96,
};
#define FLEET_BEGAN_MS INT64_C(1764000000000)

struct audit_fleet {
    uint64_t devices, records;
};
/* devices 0: so many that each has about a thousand records, from 100 to 100,000. */
struct audit_fleet audit_fleet_of(uint64_t records, uint64_t devices);

/* A certificate's facts; all that is borrowed is in here. */
struct audit_fleet_certificate {
    uint8_t fingerprint[AUDIT_HASH], serial[16], issuer[AUDIT_HASH], key[AUDIT_HASH];
};
struct audit_fleet_record {
    struct audit_record record;
    struct audit_fleet_certificate shown, other;
    struct buf actor, device, target, peer;
};
void audit_fleet_clear(struct audit_fleet_record *made);

/* *made is zero, or was made before. */
void audit_fleet_make(const struct audit_fleet *fleet, uint64_t index,
                      struct audit_fleet_record *made);

/* ---- What its records have, to ask for ---- */

uint64_t audit_fleet_mix(uint64_t number); /* a hash of it */
void audit_fleet_id(bool operator_, uint64_t number, struct buf *id);
void audit_fleet_certify(bool operator_, uint64_t number,
                         struct audit_fleet_certificate *certificate);
/* "10.0.1.2", without its port */
void audit_fleet_address(uint64_t device, struct buf *address);
void audit_fleet_topic(uint64_t device, struct buf *topic);
