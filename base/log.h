/* The operator's log: one logfmt line an event, on a descriptor, events from a closed list. */
#pragma once

#include "base/clock.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR };

/* What a program may log; the table is also the reference (docs/events.md is made from it). */
struct log_event {
    const char *name; /* "cert.issued": lower case, dots */
    enum log_level level;
    const char *meaning;
};

struct log_events {
    const struct log_event *events;
    size_t count;
};

struct log;

/*
 * Lines go to fd (borrowed) with one write(2) each, at most 4 KiB. A value is quoted and
 * escaped as needed, in one place, so that none can end its field or the line; one over 1 KiB
 * is cut and ends in "...", fields that do not fit any more are counted in cut=N. A descriptor
 * that takes nothing costs a line and at most 50 ms once; the next line that gets through
 * says dropped=N. least: events below this level are not written. process names the duty
 * ("signer").
 *
 * A log belongs to one thread; several may share a descriptor. Its process ignores SIGPIPE. The
 * table, process and clock are borrowed.
 */
enum rc log_open(int fd, const char *process, const struct log_events *events,
                 enum log_level least, const struct clock *clock, struct log **log);
void log_close(struct log *log);
AUTO_STRUCT(log, log_close)

/* One field of a line. Keys are literals in lower case; text NULL is as "". */
struct log_field {
    const char *key;
    enum { LOG_TEXT, LOG_NUMBER, LOG_BYTES, LOG_HEX } kind;
    const char *text;
    int64_t number;
    struct bytes bytes;
};

#define LOG_TEXT_FIELD(k, v) ((struct log_field){ .key = (k), .kind = LOG_TEXT, .text = (v) })
#define LOG_NUMBER_FIELD(k, v)                                                                 \
    ((struct log_field){ .key = (k), .kind = LOG_NUMBER, .number = (v) })
#define LOG_BYTES_FIELD(k, v)                                                                  \
    ((struct log_field){ .key = (k), .kind = LOG_BYTES, .bytes = (v) })
#define LOG_HEX_FIELD(k, v) ((struct log_field){ .key = (k), .kind = LOG_HEX, .bytes = (v) })
/* rc= and reason= from the latest fault(), in a line with more fields than these. */
#define LOG_FAULT_FIELDS(rc)                                                                   \
    LOG_TEXT_FIELD("rc", rc_name(rc)), LOG_TEXT_FIELD("reason", fault_reason())

/*
 * ts=2026-11-22T22:43:01.250Z level=notice process=signer event=cert.issued serial=00ab...
 * event is a place in the table (an enum beside it). log_write(log, EVENT, LOG_TEXT_FIELD("a",
 * b), ...);
 */
#define log_write(log, event, ...)                                                             \
    log_write_fields((log), (event), (const struct log_field[]){ __VA_ARGS__ },                \
                     sizeof((const struct log_field[]){ __VA_ARGS__ }) /                       \
                         sizeof(struct log_field))
void log_write_fields(struct log *log, size_t event, const struct log_field *fields,
                      size_t count);
/* The same for a failure, with nothing but LOG_FAULT_FIELDS. */
void log_fault(struct log *log, size_t event, enum rc rc);
