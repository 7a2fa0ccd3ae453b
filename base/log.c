#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 4096, VALUE_MAX = 1024, TAIL_MAX = 32, PATIENCE_MS = 50 };

static const char *const LEVELS[] = {
    [LOG_DEBUG] = "debug",     [LOG_INFO] = "info",   [LOG_NOTICE] = "notice",
    [LOG_WARNING] = "warning", [LOG_ERROR] = "error",
};

struct log {
    int fd;
    const char *process;
    const struct log_events *events;
    enum log_level least;
    const struct clock *clock;
    struct buf line;
    uint64_t dropped;
    bool torn; /* the last line was written in part */
};

/* A word that stands unquoted: it cannot be taken for the end of a field, or for another. */
static bool is_word(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && (c == 0 || strchr("._-:/@+", c) == NULL))
            return false;
    }
    return text.len > 0;
}

enum rc log_open(int fd, const char *process, const struct log_events *events,
                 enum log_level least, const struct clock *clock, struct log **log)
{
    assert(is_word(bytes_of_text(process)));
    for (size_t i = 0; i < events->count; i++)
        assert(is_word(bytes_of_text(events->events[i].name)));

    struct log *made = malloc(sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "log");
    *made = (struct log){ .fd = fd,
                          .process = process,
                          .events = events,
                          .least = least,
                          .clock = clock,
                          .line = BUF_MAX(LINE_MAX_BYTES) };
    *log = made;
    return RC_OK;
}

void log_close(struct log *log)
{
    if (log == NULL)
        return;
    buf_clear(&log->line);
    free(log);
}

/* How many bytes stay within VALUE_MAX once text_add_escaped() has made four of each odd one.
 */
static size_t fitting(struct bytes value)
{
    size_t kept = 0, escaped = 0;

    for (; kept < value.len; kept++) {
        uint8_t c = value.at[kept];
        escaped += c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' ? 1 : 4;
        if (escaped > VALUE_MAX)
            break;
    }
    return kept;
}

static void add_text(struct buf *line, struct bytes value)
{
    struct bytes kept = { value.at, fitting(value) };

    if (kept.len == value.len && is_word(value)) {
        buf_add(line, value);
        return;
    }
    buf_add_u8(line, '"');
    text_add_escaped(line, kept);
    if (kept.len < value.len)
        buf_add(line, BYTES("..."));
    buf_add_u8(line, '"');
}

static void add_hex(struct buf *line, struct bytes value)
{
    struct bytes kept = { value.at, value.len < VALUE_MAX / 2 ? value.len : VALUE_MAX / 2 };

    text_add_hex(line, kept);
    if (kept.len < value.len)
        buf_add(line, BYTES("..."));
}

static void add_field(struct buf *line, const struct log_field *field)
{
    assert(is_word(bytes_of_text(field->key)));
    buf_addf(line, " %s=", field->key);
    switch (field->kind) {
    case LOG_TEXT:
        add_text(line, bytes_of_text(field->text != NULL ? field->text : ""));
        break;
    case LOG_NUMBER:
        buf_addf(line, "%lld", (long long)field->number);
        break;
    case LOG_BYTES:
        add_text(line, field->bytes);
        break;
    case LOG_HEX:
        add_hex(line, field->bytes);
        break;
    }
}

static void build_line(struct log *log, const struct log_event *event,
                       const struct log_field *fields, size_t count)
{
    struct buf *line = &log->line;
    size_t cut = 0;

    buf_reset(line);
    buf_addf(line, "%sts=", log->torn ? "\n" : "");
    clock_add_rfc3339(line, clock_wall_ms(log->clock));
    buf_addf(line, " level=%s process=%s event=%s", LEVELS[event->level], log->process,
             event->name);
    if (log->dropped > 0)
        buf_addf(line, " dropped=%llu", (unsigned long long)log->dropped);
    for (size_t i = 0; i < count && !line->broken; i++) {
        size_t before = line->len;
        add_field(line, &fields[i]);
        if (line->broken || line->len > LINE_MAX_BYTES - TAIL_MAX) {
            line->broken = false;
            buf_cut(line, before);
            cut++;
        }
    }
    if (cut > 0)
        buf_addf(line, " cut=%zu", cut);
    buf_add_u8(line, '\n');
}

/* The descriptor may be a pipe that nobody empties, and stays blocking since others share it:
 * ask before writing, and be patient only once. A pipe that is ready takes 4 KiB whole
 * (pipe(7)). */
static bool write_line(struct log *log, struct bytes line)
{
    struct pollfd one = { .fd = log->fd, .events = POLLOUT };

    if (line.len == 0 || poll(&one, 1, log->dropped > 0 ? 0 : PATIENCE_MS) <= 0)
        return false;
    ssize_t n = write(log->fd, line.at, line.len);
    if (n <= 0)
        return false;
    log->torn = (size_t)n < line.len;
    return !log->torn;
}

void log_write_fields(struct log *log, size_t event, const struct log_field *fields,
                      size_t count)
{
    assert(event < log->events->count);
    if (log->events->events[event].level < log->least)
        return;
    build_line(log, &log->events->events[event], fields, count);
    if (write_line(log, buf_bytes(&log->line)))
        log->dropped = 0;
    else
        log->dropped++;
}

void log_fault(struct log *log, size_t event, enum rc rc)
{
    log_write(log, event, LOG_FAULT_FIELDS(rc));
}
