/* Carries the log's newest checkpoint to witnesses, and their signatures back. */
#pragma once

#include "base/link.h"
#include "base/log.h"
#include "daemon/config.h"
#include "integration/report.h"

/*
 * The exporter's other work (integration/witness.h). Each witness stands for itself: one that
 * is slow or dead holds up no other, and no sink. Without witnesses in the settings it asks for
 * nothing.
 */
struct daemon_carrier;

struct daemon_carrier_setup {
    struct loop *loop; /* all borrowed */
    struct log *log;
    const struct daemon_config *config;
    void (*news)(void *with); /* a witness's state changed */
    void *with;
};

/* Before the jail. */
enum rc daemon_carrier_new(const struct daemon_carrier_setup *setup,
                           struct daemon_carrier **carrier);
void daemon_carrier_free(struct daemon_carrier *carrier);
AUTO_STRUCT(daemon_carrier, daemon_carrier_free)

enum rc daemon_carrier_start(struct daemon_carrier *carrier);
/* The link to the authority, borrowed until it is closed or another is given; NULL: there is
 * none. What was asked on the old one must have been answered (link_close() does). */
void daemon_carrier_attach(struct daemon_carrier *carrier, struct link *authority);
/* Add the witnesses, behind the sinks. */
void daemon_carrier_report(const struct daemon_carrier *carrier,
                           struct integration_report *report);
size_t daemon_carrier_count(const struct daemon_carrier *carrier);
