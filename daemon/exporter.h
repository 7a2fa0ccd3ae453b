/* The exporter: follows the audit log and gives each sink what it has not had. */
#pragma once

#include "base/log.h"
#include "base/loop.h"
#include "daemon/config.h"

/*
 * One thread on one loop. Each sink has a cursor of its own and asks for its own pages: one
 * that is down or slow holds up nobody. The authority is asked for the log and told how far the
 * sinks are; it is never waited for.
 */
struct daemon_exporter;

struct daemon_exporter_setup {
    struct loop *loop; /* all borrowed for the exporter's life */
    struct log *log;
    const struct daemon_config *config;
    int state; /* the folder of cursors */
};

/* Makes the sinks that the settings name; one whose files cannot be read fails by itself, as
 * status shows. */
enum rc daemon_exporter_new(const struct daemon_exporter_setup *setup,
                            struct daemon_exporter **exporter);
void daemon_exporter_free(struct daemon_exporter *exporter);
AUTO_STRUCT(daemon_exporter, daemon_exporter_free)

/* The jail is closed: begin. */
enum rc daemon_exporter_start(struct daemon_exporter *exporter);
/* An end of the channel to the authority, owned from here on, also on failure. A new one takes
 * the old one's place. */
enum rc daemon_exporter_attach(struct daemon_exporter *exporter, int authority);
