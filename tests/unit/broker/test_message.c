#include "tests/support/check.h"

#include <string.h>

#include "broker/message.h"

static const struct message_pool_limits LIMITS = { 1 << 20, 1 << 18 };

static struct message_pool *new_pool(const struct message_pool_limits *limits)
{
    struct message_pool *pool;

    assert_int_equal(broker_message_pool_new(limits, &pool), RC_OK);
    return pool;
}

static void add_all_properties(struct buf *block)
{
    broker_mqtt_properties_add_number(block, MQTT_PAYLOAD_FORMAT, 1);
    broker_mqtt_properties_add_number(block, MQTT_TOPIC_ALIAS, 3);
    broker_mqtt_properties_add_user(block, BYTES("k"), BYTES("1"));
    broker_mqtt_properties_add_number(block, MQTT_MESSAGE_EXPIRY, 60);
    broker_mqtt_properties_add_data(block, MQTT_CONTENT_TYPE, BYTES("text"));
    broker_mqtt_properties_add_data(block, MQTT_RESPONSE_TOPIC, BYTES("r/t"));
    broker_mqtt_properties_add_data(block, MQTT_CORRELATION_DATA, BYTES("\0\1"));
    broker_mqtt_properties_add_user(block, BYTES("k"), BYTES("2"));
}

static struct message *new_full(struct message_pool *pool)
{
    AUTO_BUF(block, 512);
    struct message *message = NULL;

    add_all_properties(&block);
    struct mqtt_publish publish = {
        .topic = BYTES("a/b"),
        .payload = BYTES("payload"),
        .properties = broker_mqtt_properties_of(&block, MQTT_PUBLISH),
        .qos = 1,
        .packet_id = 7,
        .retain = true,
        .dup = true,
    };
    assert_int_equal(broker_message_new(pool, &publish, 1000, &message), RC_OK);
    return message;
}

static struct mqtt_publish read_back(const struct buf *out, enum mqtt_version version)
{
    struct mqtt_frame frame;
    struct mqtt_publish publish;
    enum mqtt_reason why;

    assert_int_equal(broker_mqtt_packet_next(buf_bytes(out), version, 4096, &frame, &why),
                     RC_OK);
    assert_true(frame.whole && frame.size == out->len);
    assert_int_equal(broker_mqtt_publish_read(&frame, version, &publish, &why), RC_OK);
    return publish;
}

static void forwards_what_belongs_to_the_message_in_its_order(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&LIMITS);
    AUTO_OF(message) *message = new_full(pool);
    AUTO_BUF(out, 4096);
    AUTO_BUF(expected, 512);
    struct message_delivery how = {
        .version = MQTT_5, .qos = 1, .packet_id = 300, .now_ms = 1000
    };

    (void)state;
    assert_int_equal(broker_message_size(message, &how), 56);
    broker_message_write(message, &how, &out);
    assert_int_equal(out.len, 56);
    struct mqtt_publish got = read_back(&out, MQTT_5);
    assert_true(bytes_equal_text(got.topic, "a/b") && bytes_equal_text(got.payload, "payload"));
    assert_true(got.qos == 1 && got.packet_id == 300 && !got.retain && !got.dup);
    broker_mqtt_properties_add_number(&expected, MQTT_PAYLOAD_FORMAT, 1);
    broker_mqtt_properties_add_user(&expected, BYTES("k"), BYTES("1"));
    broker_mqtt_properties_add_number(&expected, MQTT_MESSAGE_EXPIRY, 60);
    broker_mqtt_properties_add_data(&expected, MQTT_CONTENT_TYPE, BYTES("text"));
    broker_mqtt_properties_add_data(&expected, MQTT_RESPONSE_TOPIC, BYTES("r/t"));
    broker_mqtt_properties_add_data(&expected, MQTT_CORRELATION_DATA, BYTES("\0\1"));
    broker_mqtt_properties_add_user(&expected, BYTES("k"), BYTES("2"));
    assert_true(bytes_equal(got.properties.block, buf_bytes(&expected)));
}

static void one_encoding_serves_both_versions_and_qos(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&LIMITS);
    AUTO_OF(message) *message = new_full(pool);
    AUTO_BUF(out, 4096);
    static const struct message_delivery rows[] = {
        { .version = MQTT_3_1_1 },
        { .version = MQTT_3_1_1, .retain = true },
        { .version = MQTT_3_1_1, .qos = 1, .packet_id = 65535, .dup = true },
        { .version = MQTT_5 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_reset(&out);
        broker_message_write(message, &rows[i], &out);
        assert_int_equal(out.len, broker_message_size(message, &rows[i]));
        struct mqtt_publish got = read_back(&out, rows[i].version);
        assert_true(bytes_equal_text(got.topic, "a/b"));
        assert_true(bytes_equal_text(got.payload, "payload"));
        assert_int_equal(got.packet_id, rows[i].packet_id);
        assert_int_equal(got.retain, rows[i].retain);
        assert_int_equal(got.dup, rows[i].dup);
        assert_int_equal(got.properties.present != 0, rows[i].version == MQTT_5);
    }
}

static void adds_the_subscription_identifiers(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&LIMITS);
    AUTO_OF(message) *message = new_full(pool);
    AUTO_BUF(out, 4096);
    uint32_t identifiers[] = { 1, 200, 268435455 };
    struct message_delivery how = { .version = MQTT_5,
                                    .identifiers = identifiers,
                                    .identifier_count = 3 };

    (void)state;
    broker_message_write(message, &how, &out);
    assert_int_equal(out.len, broker_message_size(message, &how));
    struct bytes rest = read_back(&out, MQTT_5).properties.block;
    struct mqtt_value value;
    size_t found = 0;
    while (broker_mqtt_properties_next(&rest, &value))
        if (value.id == MQTT_SUBSCRIPTION_ID)
            assert_int_equal(value.number, identifiers[found++]);
    assert_int_equal(found, 3);
}

static void expiry_counts_down_and_ends(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&LIMITS);
    AUTO_OF(message) *message = new_full(pool); /* 60 s from 1000 ms */
    static const struct {
        int64_t now_ms;
        uint32_t left_s;
        bool expired;
    } rows[] = {
        { 1000, 60, false }, { 1001, 60, false }, { 2000, 59, false },
        { 60999, 1, false }, { 61000, 0, true },  { 99999, 0, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF(out, 4096);
        struct message_delivery how = { .version = MQTT_5, .now_ms = rows[i].now_ms };
        assert_int_equal(broker_message_has_expired(message, rows[i].now_ms), rows[i].expired);
        broker_message_write(message, &how, &out);
        struct mqtt_publish got = read_back(&out, MQTT_5);
        assert_int_equal(broker_mqtt_properties_number(&got.properties, MQTT_MESSAGE_EXPIRY, 7),
                         rows[i].left_s);
    }
    broker_message_restart_expiry(message, 100000);
    assert_false(broker_message_has_expired(message, 159999));
    assert_true(broker_message_has_expired(message, 160000));
}

static void a_steady_flow_allocates_nothing_new(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&LIMITS);
    struct message *first = new_full(pool);
    struct message *second;

    (void)state;
    assert_int_equal(broker_message_pool_bytes(pool), broker_message_bytes(first));
    assert_ptr_equal(broker_message_hold(first), first);
    broker_message_release(first);
    assert_int_not_equal(broker_message_pool_bytes(pool), 0);
    broker_message_release(first);
    assert_int_equal(broker_message_pool_bytes(pool), 0);
    second = new_full(pool);
    assert_ptr_equal(second, first);
    broker_message_release(second);
}

static void the_pool_has_a_ceiling(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&(struct message_pool_limits){ 512, 0 });
    static const uint8_t payload[1000];
    struct mqtt_publish publish = { .topic = BYTES("t"), .payload = { payload, 10 } };
    struct message *a = NULL, *b = NULL, *c = (struct message *)&a;

    (void)state;
    assert_int_equal(broker_message_new(pool, &publish, 0, &a), RC_OK);
    publish.payload.len = 250;
    assert_int_equal(broker_message_new(pool, &publish, 0, &b), RC_LIMIT);
    assert_null(b);
    publish.payload.len = 1000;
    assert_int_equal(broker_message_new(pool, &publish, 0, &c), RC_LIMIT);
    broker_message_release(a);
}

static void large_messages_pass_through(void **state)
{
    AUTO_OF(message_pool) *pool = new_pool(&(struct message_pool_limits){ 1 << 20, 1 << 20 });
    static uint8_t payload[200000];
    struct mqtt_publish publish = { .topic = BYTES("t"), .payload = BYTES_OF(payload) };
    AUTO_BUF(out, 1 << 20);
    struct message *message = NULL;

    (void)state;
    memset(payload, 'x', sizeof payload);
    assert_int_equal(broker_message_new(pool, &publish, 0, &message), RC_OK);
    broker_message_write(message, &(struct message_delivery){ .version = MQTT_5 }, &out);
    assert_int_equal(out.len, 1 + 3 + 3 + 1 + sizeof payload);
    assert_int_equal(out.at[out.len - 1], 'x');
    broker_message_release(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards_what_belongs_to_the_message_in_its_order),
        cmocka_unit_test(one_encoding_serves_both_versions_and_qos),
        cmocka_unit_test(adds_the_subscription_identifiers),
        cmocka_unit_test(expiry_counts_down_and_ends),
        cmocka_unit_test(a_steady_flow_allocates_nothing_new),
        cmocka_unit_test(the_pool_has_a_ceiling),
        cmocka_unit_test(large_messages_pass_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
