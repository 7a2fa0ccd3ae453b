/* What the exporter tells the authority of its sinks and witnesses. */
#pragma once

#include "base/buf.h"
#include "integration/health.h"

/*
 * count u8, of them witnesses u8; of each, sinks first: name u8 length and text, state u8,
 * trouble u8 (0, 1), delivered u64, why u8 length and text (printable).
 */
enum {
    INTEGRATION_SINKS_MAX = 4,
    INTEGRATION_SINK_NAME_MAX = 16,
    INTEGRATION_WITNESSES_MAX = 4,
    INTEGRATION_WAYS_MAX = INTEGRATION_SINKS_MAX + INTEGRATION_WITNESSES_MAX,
    INTEGRATION_REPORT_MAX = 2048,
};

struct integration_report {
    size_t count, witnesses; /* the latter are the last of count */
    struct integration_report_sink {
        char name[INTEGRATION_SINK_NAME_MAX + 1];
        enum integration_state state;
        bool trouble;       /* failing for longer than the settings say */
        uint64_t delivered; /* records; of a witness: that are under what it signed last */
        char why[INTEGRATION_WHY_MAX + 1];
    } sinks[INTEGRATION_WAYS_MAX];
};

void integration_report_write(const struct integration_report *report, struct buf *out);
/* RC_MALFORMED */
enum rc integration_report_read(struct bytes bytes, struct integration_report *report);
const char *integration_state_name(enum integration_state state);
