/* What the exporter tells the authority of its sinks. */
#pragma once

#include "integration/delivery.h"

/*
 * count u8; of each sink: name u8 length and text, state u8, trouble u8 (0, 1), delivered u64,
 * why u8 length and text (printable).
 */
enum {
    INTEGRATION_SINKS_MAX = 4,
    INTEGRATION_SINK_NAME_MAX = 16,
    INTEGRATION_REPORT_MAX = 1024,
};

struct integration_report {
    size_t count;
    struct integration_report_sink {
        char name[INTEGRATION_SINK_NAME_MAX + 1];
        enum integration_state state;
        bool trouble; /* failing for longer than the settings say */
        uint64_t delivered;
        char why[INTEGRATION_WHY_MAX + 1];
    } sinks[INTEGRATION_SINKS_MAX];
};

void integration_report_write(const struct integration_report *report, struct buf *out);
/* RC_MALFORMED */
enum rc integration_report_read(struct bytes bytes, struct integration_report *report);
const char *integration_state_name(enum integration_state state);
