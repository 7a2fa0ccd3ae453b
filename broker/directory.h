/* Which connection, of which worker, a device's session is on: the second one with the same
 * client id ends the first ([MQTT-3.1.4-3]), wherever that is. */
#pragma once

#include "base/bytes.h"
#include "base/own.h"
#include "base/rc.h"

struct broker_directory;

struct broker_seat {
    unsigned party;   /* of the post */
    uint64_t session; /* the connection's number there */
};

/* Safe on any thread. RC_NOMEM. */
enum rc broker_directory_new(struct broker_directory **directory);
void broker_directory_free(struct broker_directory *directory);
AUTO_STRUCT(broker_directory, broker_directory_free)

/* Take the seat of this id. *taken tells whether another had it, whose session must end. */
enum rc broker_directory_claim(struct broker_directory *directory, struct bytes id,
                               const struct broker_seat *seat, struct broker_seat *former,
                               bool *taken);
/* Leave it, unless another has taken it since. */
void broker_directory_leave(struct broker_directory *directory, struct bytes id,
                            const struct broker_seat *seat);
