/* A sink that is a file: a JSON object a line, appended. */
#pragma once

#include "integration/outlet.h"

/*
 * A page is written, then synced, then delivered: what a crash leaves behind the last whole
 * line is cut off at the next begin(), and what stands in whole lines past the cursor is not
 * written again. A file that was moved away (logrotate) is left, and a new one begun; one that
 * would grow past `rotate` is renamed to NAME.INDEX first, INDEX being that of the first record
 * that is not in it, in 12 digits.
 */
struct integration_jsonl_setup {
    const char *path;               /* absolute; the folder has to be there */
    enum integration_format format; /* not INTEGRATION_TEXT */
    int64_t rotate;                 /* octets; 0: never */
};

struct integration_jsonl;
/* told is borrowed, and may be filled later. */
enum rc integration_jsonl_new(const struct integration_jsonl_setup *setup,
                              const struct integration_outlet_told *told,
                              struct integration_outlet *outlet);
