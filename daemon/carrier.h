/* Carries the log's newest checkpoint to witnesses, and their signatures back. */
#pragma once

#include "base/link.h"
#include "base/log.h"
#include "daemon/config.h"
#include "integration/report.h"

/*
 * The exporter's other work (integration/witness.h). Each witness stands for itself: one that
 * is slow or dead holds up no other, and no sink. Without witnesses in the settings it asks for
 * nothing; with them, while the log does not grow and all have signed, once each time that it
 * hears of the log.
 */
struct daemon_carrier;

struct daemon_carrier_setup {
    struct loop *loop; /* all borrowed */
    struct log *log;
    const struct daemon_config *config;
    /* What a witness signed, or, if `changed`, its state. */
    void (*news)(void *with, bool changed);
    void *with;
};

/* Before the jail. */
enum rc daemon_carrier_new(const struct daemon_carrier_setup *setup,
                           struct daemon_carrier **carrier);
void daemon_carrier_free(struct daemon_carrier *carrier);
AUTO_STRUCT(daemon_carrier, daemon_carrier_free)

/* The link to the authority, borrowed until it is closed or another is given; NULL: there is
 * none. What was asked on the old one must have been answered (link_close() does). Nothing is
 * asked on it before heard(). */
void daemon_carrier_attach(struct daemon_carrier *carrier, struct link *authority);
/* The log has so many records now; now and then also when it has no more than before: one tree
 * may be signed twice. */
void daemon_carrier_heard(struct daemon_carrier *carrier, uint64_t records);
/* Has every witness signed at its last try? */
bool daemon_carrier_is_well(const struct daemon_carrier *carrier);
/* Add the witnesses, behind the sinks. */
void daemon_carrier_report(const struct daemon_carrier *carrier,
                           struct integration_report *report);
size_t daemon_carrier_count(const struct daemon_carrier *carrier);
