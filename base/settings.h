/* Settings: INI text against one table of rows that is parser, range check, --check and manual.
 */
#pragma once

#include "base/buf.h"

enum settings_kind {
    SETTINGS_TEXT,     /* char *, owned by the struct; low..high bound its length in bytes */
    SETTINGS_PATH,     /* as text, absolute; or empty if low is 0 */
    SETTINGS_NUMBER,   /* int64_t */
    SETTINGS_DURATION, /* int64_t in ms, as the bounds: "250ms", "30s", "5m", "12h", "7d" */
    SETTINGS_SIZE,     /* int64_t in bytes, as the bounds: "64k", "16M", "2G", or plain */
    SETTINGS_SWITCH,   /* bool: "on" or "off" */
    SETTINGS_CHOICE,   /* int: place of the value in choices */
    SETTINGS_ADDRESS,  /* char *: "127.0.0.1:8883" or "[::1]:8883"; numeric; port 0: any free
                          one;  or empty if low is -1 */
};

struct settings_row {
    const char *section, *key;
    enum settings_kind kind;
    size_t field; /* offsetof in the settings struct */
    int64_t low, high;
    const char *standard; /* the default as text; NULL: the setting must be given */
    const char *choices;  /* for SETTINGS_CHOICE: "a,b,c" */
    const char *meaning;  /* a sentence for the manual, without its full stop */
};

struct settings_table {
    const struct settings_row *rows;
    size_t count;
};

enum { SETTINGS_FILE_MAX = 64 * 1024, SETTINGS_LINE_MAX = 190 };

/*
 * The text is [section] lines, key = value lines, blank lines, and lines that start with # or ;
 * for comments. What other INI readers guess about is refused: a line that starts with
 * white space, a comment behind a value, quotes around it, a line over SETTINGS_LINE_MAX bytes,
 * anything but UTF-8 without control characters, a byte-order mark.
 *
 * Fill the struct: with what the text says, else with the defaults. A line as above, an unknown
 * section or key, a key given twice, a value out of its range, a missing one: RC_MALFORMED
 * "line N: [section] key: what was wrong, what is expected". The struct is untouched on
 * failure; on success its texts are released by settings_clear(). A default that breaks its own
 * row is our own bug (assert).
 */
enum rc settings_read(const struct settings_table *table, struct bytes ini, void *into);
/* The same from a file of at most SETTINGS_FILE_MAX bytes; its name is part of the fault. */
enum rc settings_read_file(const struct settings_table *table, const char *path, void *into);
void settings_clear(const struct settings_table *table, void *from);

/* A reference for people: an INI file with every row's meaning, range and default as comments.
 */
void settings_manual(const struct settings_table *table, struct buf *out);
/* What is in force, as INI that reads back the same. */
void settings_show(const struct settings_table *table, const void *from, struct buf *out);
