/* The socket pairs between processes: who gets which end, also after a restart. */
#pragma once

#include "daemon/table.h"

struct daemon_channels;

enum rc daemon_channels_new(const struct daemon_table *table,
                            struct daemon_channels **channels);
void daemon_channels_free(struct daemon_channels *channels);

/*
 * The end of the channel to `peer` for a process that is about to start; *fd is the caller's.
 * If the peer was not born yet, its end waits here for it and *other is -1. Else this is a
 * fresh pair and *other, the caller's, has to be sent to the living peer, whose old end leads
 * nowhere.
 */
enum rc daemon_channels_take(struct daemon_channels *channels, const char *process,
                             const char *peer, bool peer_lives, int *fd, int *other);
/* The process ended: whatever waits here as the other side of its channels leads nowhere. */
void daemon_channels_forget(struct daemon_channels *channels, const char *process);
