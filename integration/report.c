#include "integration/report.h"

#include <string.h>

#include "base/text.h"

static void write_text(const char *text, struct buf *out)
{
    struct bytes bytes = bytes_of_text(text);

    buf_add_u8(out, (uint8_t)bytes.len);
    buf_add(out, bytes);
}

void integration_report_write(const struct integration_report *report, struct buf *out)
{
    buf_add_u8(out, (uint8_t)report->count);
    buf_add_u8(out, (uint8_t)report->witnesses);
    for (size_t i = 0; i < report->count; i++) {
        const struct integration_report_sink *sink = &report->sinks[i];
        write_text(sink->name, out);
        buf_add_u8(out, (uint8_t)sink->state);
        buf_add_u8(out, sink->trouble);
        buf_add_u64(out, sink->delivered);
        write_text(sink->why, out);
    }
}

static void read_text(struct reader *r, size_t max, char *to)
{
    struct bytes text = reader_take(r, reader_u8(r));

    if (text.len > max || !text_is_printable(text))
        r->broken = true;
    else if (text.len > 0)
        memcpy(to, text.at, text.len);
}

static void read_sink(struct reader *r, struct integration_report_sink *sink)
{
    read_text(r, INTEGRATION_SINK_NAME_MAX, sink->name);
    uint8_t state = reader_u8(r), trouble = reader_u8(r);
    if (state > INTEGRATION_FAILING || trouble > 1)
        r->broken = true;
    sink->state = (enum integration_state)(state > INTEGRATION_FAILING ? 0 : state);
    sink->trouble = trouble == 1;
    sink->delivered = reader_u64(r);
    read_text(r, INTEGRATION_WHY_MAX, sink->why);
}

enum rc integration_report_read(struct bytes bytes, struct integration_report *report)
{
    struct integration_report read = { 0 };
    struct reader r = READER(bytes);

    read.count = reader_u8(&r);
    read.witnesses = reader_u8(&r);
    if (read.witnesses > INTEGRATION_WITNESSES_MAX || read.witnesses > read.count ||
        read.count - read.witnesses > INTEGRATION_SINKS_MAX)
        return fault(RC_MALFORMED, "a report of more than %d sinks and %d witnesses",
                     INTEGRATION_SINKS_MAX, INTEGRATION_WITNESSES_MAX);
    for (size_t i = 0; i < read.count; i++)
        read_sink(&r, &read.sinks[i]);
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "a report of sinks that is cut short, has a tail or a wrong "
                                   "value");
    *report = read;
    return RC_OK;
}

const char *integration_state_name(enum integration_state state)
{
    static const char *const NAMES[] = { "trying", "up", "failing" };

    return NAMES[state];
}
