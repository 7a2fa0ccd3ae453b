/* Answers for people: tables and lists of facts out of the API's JSON; and the JSON itself. */
#pragma once

#include "cli/command.h"

#include <jansson.h>

typedef json_t json_value;
AUTO_TYPE(json_value, json_decref)

/* A column of a table, or a line of facts: a heading, and where in the row's object the value
 * is: "id", "actor.id". Absent and null show as "-". */
struct cli_show_column {
    const char *heading, *member;
};

/*
 * Columns as wide as their widest cell, two spaces between. What a terminal would act upon
 * (control characters, from whatever stranger they come) is shown as "?".
 */
void cli_show_table(const json_t *rows, const struct cli_show_column *columns, size_t count,
                    struct buf *out);
/* One line a fact: heading, value. */
void cli_show_facts(const json_t *object, const struct cli_show_column *facts, size_t count,
                    struct buf *out);
/* One cell's text: strings as they are, arrays with commas between. */
void cli_show_value(const json_t *value, struct buf *out);
/* The document on a line of its own, members in the order that the server gave. */
enum rc cli_show_json(const json_t *value, struct buf *out);

/* The answer to a call: as JSON with --json, else a table of the array `member`, with a word
 * when it is empty. */
enum rc cli_show_rows(const struct cli_call *call, const json_t *answer, const char *member,
                      const struct cli_show_column *columns, size_t count);
/* ... or facts of the object. */
enum rc cli_show_object(const struct cli_call *call, const json_t *answer,
                        const struct cli_show_column *facts, size_t count);
/* ... or this line. */
PRINTF_LIKE(3, 4)
enum rc cli_show_line(const struct cli_call *call, const json_t *answer, const char *fmt, ...);
