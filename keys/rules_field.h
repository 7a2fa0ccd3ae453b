/* The lines of a key's block in a rules file: one row each, its reader and its writer together.
 */
#pragma once

#include "keys/line.h"
#include "keys/rules.h"

struct keys_rules_field {
    const char *word; /* that the line starts with */
    unsigned kinds;   /* the line stands in blocks of keys that may sign one of these */
    bool repeats;     /* any number of lines, none included; else exactly one */
    /* The rest of the line after its word, to its end. */
    enum rc (*read)(struct keys_line *line, struct keys_rule *rule);
    /* Whole lines. */
    void (*write)(const struct keys_rule *rule, const char *word, struct buf *text);
};

/* In the order in which they stand. The first gives the purpose, the second the kinds. */
const struct keys_rules_field *keys_rules_fields(size_t *count);
