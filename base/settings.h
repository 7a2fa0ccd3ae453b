/* Settings: INI text against one table of rows that is parser, range check, --check and manual.
 */
#pragma once

#include "base/buf.h"

enum settings_kind {
    SETTINGS_TEXT,     /* char *, owned by the struct; low..high bound its length */
    SETTINGS_PATH,     /* as text, must be absolute */
    SETTINGS_NUMBER,   /* int64_t */
    SETTINGS_DURATION, /* int64_t in milliseconds: "250ms", "30s", "5m", "12h", "7d"; bounds in
                          ms */
    SETTINGS_SIZE,     /* int64_t in bytes: "64k", "16M", "2G", or plain */
    SETTINGS_SWITCH,   /* bool: "on" or "off" */
    SETTINGS_CHOICE,   /* int: place of the value in choices, a comma-separated list */
    SETTINGS_ADDRESS, /* char *: "127.0.0.1:8883" or "[::1]:8883"; port 0 allowed (any free one)
                       */
};

struct settings_row {
    const char *section, *key;
    enum settings_kind kind;
    size_t field; /* offsetof in the settings struct */
    int64_t low, high;
    const char *standard; /* the default as text; NULL: the setting must be given */
    const char *choices;  /* for SETTINGS_CHOICE */
    const char *meaning;  /* one sentence for the manual */
};

struct settings_table {
    const struct settings_row *rows;
    size_t count;
};

/*
 * Fill the struct from INI text: defaults first, then what the text says. An unknown section or
 * key, a key given twice, a value out of its range, a missing one: RC_MALFORMED "line N:
 * section.key: what was wrong, what is expected". The struct is untouched on failure; on
 * success its texts are released by settings_clear().
 */
enum rc settings_read(const struct settings_table *table, struct bytes ini, void *into);
/* The same from a file of at most 64 KiB; the file's name is part of the fault. */
enum rc settings_read_file(const struct settings_table *table, const char *path, void *into);
void settings_clear(const struct settings_table *table, void *from);

/* A reference for people: an INI file with every row's meaning, range and default as comments.
 */
void settings_manual(const struct settings_table *table, struct buf *out);
/* What is in force, as INI. */
void settings_show(const struct settings_table *table, const void *from, struct buf *out);
