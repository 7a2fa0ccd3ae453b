/* Texts of checkpoints that a hostile authority would ask a signature for. */
#pragma once

#include "base/rc.h"
#include <stddef.h>

/* Held against an empty memory; the fault must say `expected`. A few rows are good: RC_OK. */
struct checkpoint_row {
    const char *claim, *text;
    enum rc rc;
    const char *expected;
};
extern const struct checkpoint_row CHECKPOINT_ROWS[];
extern const size_t CHECKPOINT_COUNT;
