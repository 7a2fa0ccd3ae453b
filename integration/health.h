/* How a way out is: up or failing, since when and why, and when it is tried again. */
#pragma once

#include "base/loop.h"

/*
 * Tries follow each other after a wait that doubles up to a most, each drawn between half and
 * the whole of it: ways that failed together do not come back together. What succeeds sets the
 * wait back.
 */
enum integration_state {
    INTEGRATION_TRYING, /* not up yet in this life */
    INTEGRATION_UP,
    INTEGRATION_FAILING, /* until something is delivered again */
};

enum { INTEGRATION_WHY_MAX = 200, INTEGRATION_RETRY_LEAST_MS = 500 };

struct integration_health {
    enum integration_state state;
    int64_t since_ms;                  /* in this state; the loop's clock */
    char why[INTEGRATION_WHY_MAX + 1]; /* the latest failure; "" if none in this state */
    int64_t wait_ms;                   /* the next one */
};

/* For its owner, who has the loop. */
void integration_health_begin(struct integration_health *health, const struct loop *loop);
void integration_health_up(struct integration_health *health, const struct loop *loop);
/* fault_text() says why. */
void integration_health_fail(struct integration_health *health, const struct loop *loop);
/* Arm the next try, and let the one after it wait longer. RC_NOMEM: nothing is armed. */
enum rc integration_health_retry(struct integration_health *health, struct loop *loop,
                                 struct loop_timer *retry, int64_t most_ms);
void integration_health_reset_wait(struct integration_health *health);
