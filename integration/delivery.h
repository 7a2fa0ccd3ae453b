/* One sink on its way through the log: its cursor, its tries, what is wrong. */
#pragma once

#include "integration/health.h"
#include "integration/outlet.h"

/*
 * At least once, in order, without gaps: the cursor on disk moves when the outlet says that
 * records are delivered for good; whatever was not is given again after the next try begins.
 */
struct integration_delivery_setup {
    struct loop *loop; /* borrowed, as all */
    int dir;           /* where the cursor is kept */
    const char *name;
    int64_t retry_most_ms;     /* the longest wait between tries */
    void (*wants)(void *with); /* records are wanted now */
    void (*told)(void *with);  /* state or cursor changed */
    void *with;
};

struct integration_delivery;
/* Reads the cursor. */
enum rc integration_delivery_new(const struct integration_delivery_setup *setup,
                                 struct integration_delivery **delivery);
void integration_delivery_free(struct integration_delivery *delivery);
AUTO_STRUCT(integration_delivery, integration_delivery_free)

/* For the outlet that is made next. */
const struct integration_outlet_told *
integration_delivery_told(struct integration_delivery *delivery);
/* The outlet is owned from here on. The first try begins in the loop's next turn. */
enum rc integration_delivery_start(struct integration_delivery *delivery,
                                   const struct integration_outlet *outlet);

/* Does it want records? From `next`; `last` is the leaf hash of the one before, to be held
 * against the log if `unsure`. */
struct integration_delivery_want {
    uint64_t next;
    struct proof_hash last;
    bool unsure;
};
bool integration_delivery_wants(const struct integration_delivery *delivery,
                                struct integration_delivery_want *want);
/* The log has that leaf there. */
void integration_delivery_sure(struct integration_delivery *delivery);
/* The log has another leaf there, or none: it is not the log that this sink was given. Begin
 * again, at its first record. */
void integration_delivery_begin_again(struct integration_delivery *delivery);
/* The next record; then, behind the last one of a page, flush. After a failure the rest of the
 * page is not taken: wants() says from where. */
void integration_delivery_give(struct integration_delivery *delivery,
                               const struct audit_hit *hit);
void integration_delivery_flush(struct integration_delivery *delivery);

/* The log cannot give what is wanted, or the outlet could not be made: fault_text() says why.
 * Without an outlet there are no more tries. */
void integration_delivery_fail(struct integration_delivery *delivery);
/* Now and then: goes on after memory was short. */
void integration_delivery_nudge(struct integration_delivery *delivery);

struct integration_delivery_status {
    enum integration_state state;
    uint64_t delivered;                /* all records below, on the sink and in our cursor */
    int64_t since_ms;                  /* in this state; the loop's clock */
    char why[INTEGRATION_WHY_MAX + 1]; /* the latest failure; "" if none in this state */
};
void integration_delivery_status(const struct integration_delivery *delivery,
                                 struct integration_delivery_status *status);
