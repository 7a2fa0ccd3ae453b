/* Target: broker_mqtt_session_take */
#include <stdint.h>
#include <stdlib.h>

#include "broker/mqtt_session.h"

/*
 * A client may send anything: the session must neither crash nor speak after its farewell, and
 * what it says must be packets. The owner accepts, echoes publishes back, and acknowledges at
 * once.
 */
static const struct mqtt_session_limits LIMITS = {
    .packet_max = 4096,
    .first_packet_max = 4096,
    .connect_timeout_ms = 1000,
    .session_expiry_max_s = 10,
    .filters_max = 8,
    .topic_max = 256,
    .topic_alias_maximum = 4,
    .receive_maximum = 4,
    .inflight_max = 2,
    .queue_max = 4,
    .queue_bytes = 2048,
    .keep_alive_max_s = 60,
};

struct owner {
    struct mqtt_session *session;
    struct message_pool *pool;
};

static void on_connect(void *with, const struct mqtt_connect *connect)
{
    struct owner *owner = with;

    if (connect->client_id.len == 1)
        broker_mqtt_session_end(owner->session, MQTT_NOT_AUTHORIZED);
    else
        broker_mqtt_session_accept(owner->session, false, BYTES("given"), 0);
}

static void on_publish(void *with, const struct mqtt_publish *publish)
{
    struct owner *owner = with;
    AUTO_OF(message) *message = NULL;
    uint32_t identifiers[] = { 5, 300 };
    struct message_delivery how = { .qos = 1,
                                    .identifiers = identifiers,
                                    .identifier_count = publish->payload.len % 3 };

    if (broker_mqtt_session_version(owner->session) == MQTT_3_1_1)
        how.identifier_count = 0;
    if (broker_message_new(owner->pool, publish, 0, &message) == RC_OK)
        broker_mqtt_session_deliver(owner->session, message, &how);
    if (publish->qos == 1 && broker_mqtt_session_acknowledge(owner->session, publish->packet_id,
                                                             MQTT_SUCCESS) != RC_OK)
        abort();
}

static void on_subscribe(void *with, const struct mqtt_subscribe *subscribe)
{
    static const uint8_t codes[8];
    struct owner *owner = with;

    broker_mqtt_session_answer(owner->session, subscribe->type, subscribe->packet_id,
                               (struct bytes){ codes, subscribe->count });
}

static void on_delivered(void *with, const struct message *message, enum mqtt_reason reason)
{
    (void)with;
    (void)reason;
    if (broker_message_topic(message).len == 0)
        abort();
}

static void check_output(const struct buf *out, enum mqtt_version version)
{
    struct bytes left = buf_bytes(out);

    while (left.len > 0) {
        struct mqtt_frame frame;
        enum mqtt_reason why;
        if (broker_mqtt_packet_next(left, version, 1 << 16, &frame, &why) != RC_OK ||
            !frame.whole)
            abort();
        left = (struct bytes){ left.at + frame.size, left.len - frame.size };
    }
}

static void converse(struct owner *owner, struct buf *out, struct bytes stream)
{
    for (int64_t now = 0; broker_mqtt_session_wants_input(owner->session); now++) {
        struct mqtt_frame frame;
        enum mqtt_reason why;
        enum rc rc = broker_mqtt_packet_next(
            stream, broker_mqtt_session_version(owner->session),
            broker_mqtt_session_packet_max(owner->session), &frame, &why);
        if (rc != RC_OK)
            broker_mqtt_session_end(owner->session, why);
        if (rc != RC_OK || !frame.whole)
            break;
        rc = broker_mqtt_session_take(owner->session, &frame, now);
        if (rc != RC_OK && !broker_mqtt_session_is_over(owner->session))
            abort();
        stream = (struct bytes){ stream.at + frame.size, stream.len - frame.size };
        check_output(out, broker_mqtt_session_version(owner->session));
        if (!out->broken)
            buf_reset(out);
        broker_mqtt_session_resume(owner->session, now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(out, 8192);
    AUTO_OF(message_pool) *pool = NULL;
    struct owner owner = { 0 };
    struct mqtt_session_events events = { on_connect, on_publish, on_subscribe, on_delivered,
                                          &owner };
    uint32_t delay_s;

    if (broker_message_pool_new(&(struct message_pool_limits){ 1 << 20, 1 << 16 }, &pool) !=
            RC_OK ||
        broker_mqtt_session_new(&LIMITS, &events, pool, &out, 0, &owner.session) != RC_OK)
        abort();
    owner.pool = pool;
    converse(&owner, &out, (struct bytes){ at, len });
    broker_mqtt_session_tick(owner.session, INT64_MAX - 1);
    broker_message_release(broker_mqtt_session_take_will(owner.session, &delay_s));
    broker_mqtt_session_free(owner.session);
    return 0;
}
