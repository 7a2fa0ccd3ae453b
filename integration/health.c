#include "integration/health.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/text.h"

static void become(struct integration_health *health, const struct loop *loop,
                   enum integration_state state)
{
    if (health->state != state)
        health->since_ms = loop_now_ms(loop);
    health->state = state;
    memset(health->why, 0, sizeof health->why);
}

void integration_health_begin(struct integration_health *health, const struct loop *loop)
{
    *health = (struct integration_health){ .since_ms = loop_now_ms(loop),
                                           .wait_ms = INTEGRATION_RETRY_LEAST_MS };
}

void integration_health_up(struct integration_health *health, const struct loop *loop)
{
    become(health, loop, INTEGRATION_UP);
}

void integration_health_fail(struct integration_health *health, const struct loop *loop)
{
    AUTO_BUF(why, 8 * 1024);

    text_add_escaped(&why, bytes_of_text(fault_text()));
    become(health, loop, INTEGRATION_FAILING);
    size_t len = why.len < INTEGRATION_WHY_MAX ? why.len : INTEGRATION_WHY_MAX;
    if (len > 0)
        memcpy(health->why, why.at, len);
}

static int64_t jittered(int64_t wait_ms)
{
    uint32_t drawn = 0;

    if (RAND_bytes((uint8_t *)&drawn, sizeof drawn) != 1)
        return wait_ms;
    return wait_ms / 2 + (int64_t)(drawn % (uint32_t)(wait_ms / 2 + 1));
}

enum rc integration_health_retry(struct integration_health *health, struct loop *loop,
                                 struct loop_timer *retry, int64_t most_ms)
{
    TRY(loop_arm(loop, retry, jittered(health->wait_ms)));
    health->wait_ms = 2 * health->wait_ms < most_ms ? 2 * health->wait_ms : most_ms;
    return RC_OK;
}

void integration_health_reset_wait(struct integration_health *health)
{
    health->wait_ms = INTEGRATION_RETRY_LEAST_MS;
}
