#include "integration/delivery.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct integration_delivery {
    struct integration_delivery_setup setup;
    struct integration_outlet outlet;
    struct integration_outlet_told told;
    struct integration_cursor cursor; /* on disk */
    struct integration_cursor given;  /* to the outlet, in this try */
    bool trying, unsure;
    struct loop_timer retry;
    int64_t wait_ms;
    struct integration_delivery_status status;
};

static void become(struct integration_delivery *delivery, enum integration_state state)
{
    if (delivery->status.state != state)
        delivery->status.since_ms = loop_now_ms(delivery->setup.loop);
    delivery->status.state = state;
    if (state != INTEGRATION_FAILING)
        memset(delivery->status.why, 0, sizeof delivery->status.why);
}

static void keep_why(struct integration_delivery *delivery)
{
    AUTO_BUF(why, 8 * 1024);
    size_t len;

    text_add_escaped(&why, bytes_of_text(fault_text()));
    len = why.len < INTEGRATION_WHY_MAX ? why.len : INTEGRATION_WHY_MAX;
    memset(delivery->status.why, 0, sizeof delivery->status.why);
    if (len > 0)
        memcpy(delivery->status.why, why.at, len);
}

/* ---- Tries ---- */

/* Between half and the whole: sinks that failed together do not come back together. */
static int64_t jittered(int64_t wait_ms)
{
    uint32_t drawn = 0;

    if (RAND_bytes((uint8_t *)&drawn, sizeof drawn) != 1)
        return wait_ms;
    return wait_ms / 2 + (int64_t)(drawn % (uint32_t)(wait_ms / 2 + 1));
}

static void fail(struct integration_delivery *delivery)
{
    keep_why(delivery);
    become(delivery, INTEGRATION_FAILING);
    if (delivery->outlet.kind == NULL)
        return;
    delivery->outlet.kind->end(delivery->outlet.outlet);
    delivery->trying = false;
    if (loop_arm(delivery->setup.loop, &delivery->retry, jittered(delivery->wait_ms)) == RC_OK)
        delivery->wait_ms = 2 * delivery->wait_ms < delivery->setup.retry_most_ms
                                ? 2 * delivery->wait_ms
                                : delivery->setup.retry_most_ms;
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

    if (delivery->status.state == INTEGRATION_TRYING) {
        become(delivery, INTEGRATION_UP);
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
    delivery->status.delivered = cursor->next;
    delivery->wait_ms = INTEGRATION_RETRY_LEAST_MS;
    become(delivery, INTEGRATION_UP);
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
    delivery->status.delivered = 0;
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
    made->wait_ms = INTEGRATION_RETRY_LEAST_MS;
    made->status.since_ms = loop_now_ms(setup->loop);
    TRY(integration_cursor_read(setup->dir, setup->name, &made->cursor));
    made->status.delivered = made->cursor.next;
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
        loop_arm(delivery->setup.loop, &delivery->retry, delivery->wait_ms) != RC_OK)
        keep_why(delivery);
}

void integration_delivery_status(const struct integration_delivery *delivery,
                                 struct integration_delivery_status *status)
{
    *status = delivery->status;
}
