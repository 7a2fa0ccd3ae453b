/* The owner of an MQTT session under test: accepts everything at once unless told otherwise,
 * and notes what it was told. */
#pragma once

#include "tests/support/check.h"

#include <string.h>

#include "broker/mqtt_session.h"

static const struct mqtt_session_limits OWNER_LIMITS = {
    .packet_max = 1000,
    .first_packet_max = 500,
    .connect_timeout_ms = 5000,
    .session_expiry_max_s = 100,
    .filters_max = 4,
    .topic_max = 32,
    .topic_alias_maximum = 3,
    .receive_maximum = 2,
    .inflight_max = 3,
    .queue_max = 6,
    .queue_bytes = 2048,
    .keep_alive_max_s = 600,
};

struct owner {
    struct mqtt_session *session;
    struct message_pool *pool;
    struct buf out;
    struct mqtt_session_events events;
    bool silent;
    unsigned connects, publishes, subscribes, delivered;
    char topic[64];
    uint16_t last_id;
    enum mqtt_reason last_reason;
};

static inline void on_connect(void *with, const struct mqtt_connect *connect)
{
    struct owner *owner = with;

    (void)connect;
    owner->connects++;
    if (!owner->silent)
        broker_mqtt_session_accept(owner->session, false, BYTES("assigned"), 0);
}

static inline void on_publish(void *with, const struct mqtt_publish *publish)
{
    struct owner *owner = with;

    owner->publishes++;
    owner->last_id = publish->packet_id;
    assert_true(publish->topic.len < sizeof owner->topic);
    memcpy(owner->topic, publish->topic.at, publish->topic.len);
    owner->topic[publish->topic.len] = 0;
}

static inline void on_subscribe(void *with, const struct mqtt_subscribe *subscribe)
{
    struct owner *owner = with;

    owner->subscribes++;
    broker_mqtt_session_answer(owner->session, subscribe->type, subscribe->packet_id,
                               (struct bytes){ (const uint8_t *)"\1\2\0\0", subscribe->count });
}

static inline void on_delivered(void *with, const struct message *message,
                                enum mqtt_reason reason)
{
    struct owner *owner = with;

    assert_non_null(message);
    owner->delivered++;
    owner->last_reason = reason;
}

static inline void open_with(struct owner *owner, const struct mqtt_session_limits *limits,
                             size_t out_max)
{
    *owner = (struct owner){
        .out = BUF_MAX(out_max),
        .events = { on_connect, on_publish, on_subscribe, on_delivered, owner },
    };
    assert_int_equal(broker_message_pool_new(&(struct message_pool_limits){ 1 << 20, 1 << 18 },
                                             &owner->pool),
                     RC_OK);
    assert_int_equal(broker_mqtt_session_new(limits, &owner->events, owner->pool, &owner->out,
                                             0, &owner->session),
                     RC_OK);
}

static inline void close_owner(struct owner *owner)
{
    broker_mqtt_session_free(owner->session);
    assert_int_equal(broker_message_pool_bytes(owner->pool), 0);
    broker_message_pool_free(owner->pool);
    buf_clear(&owner->out);
}

/* One packet's bytes, framed as the door would; what the session says replaces out. */
static inline enum rc feed(struct owner *owner, struct bytes wire, int64_t now_ms)
{
    struct mqtt_frame frame;
    enum mqtt_reason why;
    enum rc rc =
        broker_mqtt_packet_next(wire, broker_mqtt_session_version(owner->session),
                                broker_mqtt_session_packet_max(owner->session), &frame, &why);

    if (rc != RC_OK) {
        broker_mqtt_session_end(owner->session, why);
        return rc;
    }
    assert_true(frame.whole);
    assert_int_equal(frame.size, wire.len);
    return broker_mqtt_session_take(owner->session, &frame, now_ms);
}

#define CONNECT_3_1_1 BYTES("\x10\x0d\0\4MQTT\4\2\0\x0a\0\1c")
#define CONNECT_5     BYTES("\x10\x0e\0\4MQTT\5\2\0\x0a\0\0\1c")

static inline void open_connected(struct owner *owner, struct bytes connect)
{
    open_with(owner, &OWNER_LIMITS, 4096);
    assert_int_equal(feed(owner, connect, 0), RC_OK);
    assert_int_equal(owner->connects, 1);
    buf_reset(&owner->out);
}

static inline void says(struct owner *owner, struct bytes expected)
{
    assert_int_equal(owner->out.len, expected.len);
    assert_memory_equal(owner->out.at, expected.at, expected.len);
    buf_reset(&owner->out);
}
