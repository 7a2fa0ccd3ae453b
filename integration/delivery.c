#include "integration/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "integration/health.h"

struct integration_delivery {
    struct integration_delivery_setup setup;
    struct integration_outlet outlet;
    struct integration_outlet_told told;
    struct integration_cursor cursor; /* on disk */
    struct integration_cursor given;  /* to the outlet, in this try */
    bool trying, unsure;
    struct loop_timer retry;
    struct integration_health health;
};

/* ---- Tries ---- */

static void fail(struct integration_delivery *delivery)
{
    integration_health_fail(&delivery->health, delivery->setup.loop);
    if (delivery->outlet.kind == NULL)
        return;
    delivery->outlet.kind->end(delivery->outlet.outlet);
    delivery->trying = false;
    if (integration_health_retry(&delivery->health, delivery->setup.loop, &delivery->retry,
                                 delivery->setup.retry_most_ms) != RC_OK)
        integration_health_fail(&delivery->health, delivery->setup.loop); /* until nudged */
    delivery->setup.told(delivery->setup.with);
}

static enum rc begin(struct loop_timer *timer)
{
    struct integration_delivery *delivery =
        (void *)((char *)timer - offsetof(struct integration_delivery, retry));

    delivery->given = delivery->cursor;
    delivery->trying = true;
    if (delivery->outlet.kind->begin(delivery->outlet.outlet, &delivery->given) != RC_OK) {
        fail(delivery);
        return RC_OK;
    }
    delivery->unsure = delivery->given.next > 0;
    if (delivery->outlet.kind->takes(delivery->outlet.outlet))
        delivery->told.ready(delivery);
    return RC_OK;
}

/* ---- What the outlet tells ---- */

static void on_ready(void *with)
{
    struct integration_delivery *delivery = with;

    if (delivery->health.state == INTEGRATION_TRYING) {
        integration_health_up(&delivery->health, delivery->setup.loop);
        delivery->setup.told(delivery->setup.with);
    }
    delivery->setup.wants(delivery->setup.with);
}

static void on_delivered(void *with, const struct integration_cursor *cursor)
{
    struct integration_delivery *delivery = with;
    enum rc rc = integration_cursor_write(delivery->setup.dir, delivery->setup.name, cursor);

    if (rc != RC_OK) {
        fail(delivery);
        return;
    }
    delivery->cursor = *cursor;
    integration_health_reset_wait(&delivery->health);
    integration_health_up(&delivery->health, delivery->setup.loop);
    delivery->setup.told(delivery->setup.with);
}

static void on_failed(void *with)
{
    fail(with);
}

/* ---- From the log ---- */

bool integration_delivery_wants(const struct integration_delivery *delivery,
                                struct integration_delivery_want *want)
{
    if (!delivery->trying || !delivery->outlet.kind->takes(delivery->outlet.outlet))
        return false;
    *want = (struct integration_delivery_want){ delivery->given.next, delivery->given.last,
                                                delivery->unsure };
    return true;
}

void integration_delivery_sure(struct integration_delivery *delivery)
{
    delivery->unsure = false;
}

void integration_delivery_begin_again(struct integration_delivery *delivery)
{
    static const struct integration_cursor START;
    enum rc rc = integration_cursor_write(delivery->setup.dir, delivery->setup.name, &START);

    if (rc != RC_OK) {
        fail(delivery);
        return;
    }
    delivery->cursor = delivery->given = START;
    delivery->unsure = false;
}

void integration_delivery_give(struct integration_delivery *delivery,
                               const struct audit_hit *hit)
{
    if (!delivery->trying)
        return;
    if (delivery->outlet.kind->give(delivery->outlet.outlet, hit) != RC_OK) {
        fail(delivery);
        return;
    }
    delivery->given = (struct integration_cursor){ hit->index + 1, hit->leaf };
}

void integration_delivery_flush(struct integration_delivery *delivery)
{
    if (delivery->trying && delivery->outlet.kind->flush(delivery->outlet.outlet) != RC_OK)
        fail(delivery);
}

/* ---- Life ---- */

enum rc integration_delivery_new(const struct integration_delivery_setup *setup,
                                 struct integration_delivery **delivery)
{
    AUTO_OF(integration_delivery) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "a sink");
    made->setup = *setup;
    made->told = (struct integration_outlet_told){ on_ready, on_delivered, on_failed, made };
    made->retry.due = begin;
    integration_health_begin(&made->health, setup->loop);
    TRY(integration_cursor_read(setup->dir, setup->name, &made->cursor));
    *delivery = TAKE(made);
    return RC_OK;
}

void integration_delivery_free(struct integration_delivery *delivery)
{
    if (delivery == NULL)
        return;
    loop_disarm(&delivery->retry);
    if (delivery->outlet.kind != NULL) {
        delivery->outlet.kind->end(delivery->outlet.outlet);
        delivery->outlet.kind->free(delivery->outlet.outlet);
    }
    free(delivery);
}

const struct integration_outlet_told *
integration_delivery_told(struct integration_delivery *delivery)
{
    return &delivery->told;
}

enum rc integration_delivery_start(struct integration_delivery *delivery,
                                   const struct integration_outlet *outlet)
{
    delivery->outlet = *outlet;
    return loop_arm(delivery->setup.loop, &delivery->retry, 0);
}

void integration_delivery_fail(struct integration_delivery *delivery)
{
    fail(delivery);
}

void integration_delivery_nudge(struct integration_delivery *delivery)
{
    if (delivery->outlet.kind != NULL && !delivery->trying && delivery->retry.loop == NULL &&
        loop_arm(delivery->setup.loop, &delivery->retry, delivery->health.wait_ms) != RC_OK)
        integration_health_fail(&delivery->health, delivery->setup.loop);
}

void integration_delivery_status(const struct integration_delivery *delivery,
                                 struct integration_delivery_status *status)
{
    const struct integration_health *health = &delivery->health;

    *status = (struct integration_delivery_status){ .state = health->state,
                                                    .delivered = delivery->cursor.next,
                                                    .since_ms = health->since_ms };
    memcpy(status->why, health->why, sizeof status->why);
}
