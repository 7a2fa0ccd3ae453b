#include "tests/support/check.h"

#include "bench/load_mqtt.h"

static void add_publish(struct buf *out, enum load_mqtt_version version, uint16_t packet_id,
                        struct bytes payload)
{
    const struct load_publish publish = { BYTES("bench/7"), payload, packet_id };

    load_mqtt_publish_head(out, version, &publish, 0);
    buf_add(out, payload);
}

static void packets_are_as_the_standard_writes_them(void **state)
{
    static const uint8_t CONNECT[] = { 0x10, 15,   0, 4, 'M', 'Q', 'T', 'T', 5,
                                       0x02, 0x01, 2, 0, 0,   2,   'd', '1' };
    static const uint8_t SUBSCRIBE[] = { 0x82, 8, 0xff, 0xff, 0, 3, 'a', '/', '+', 1 };
    static const uint8_t PUBACK[] = { 0x40, 2, 0x12, 0x34 };
    static const uint8_t DISCONNECT[] = { 0xe0, 0 };
    AUTO_BUF(out, 1024);

    (void)state;
    load_mqtt_connect(&out, LOAD_MQTT_5, BYTES("d1"), 258);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_OF(CONNECT)));
    buf_reset(&out);
    load_mqtt_subscribe(&out, LOAD_MQTT_3, 65535, BYTES("a/+"), 1);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_OF(SUBSCRIBE)));
    buf_reset(&out);
    load_mqtt_puback(&out, 0x1234);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_OF(PUBACK)));
    buf_reset(&out);
    load_mqtt_empty(&out, LOAD_DISCONNECT);
    assert_true(bytes_equal(buf_bytes(&out), BYTES_OF(DISCONNECT)));
}

static void what_is_published_is_read_in_both_versions(void **state)
{
    static const uint8_t PAYLOAD[300] = { 1, 2, 3 };
    static const enum load_mqtt_version VERSIONS[] = { LOAD_MQTT_3, LOAD_MQTT_5 };

    (void)state;
    for (int i = 0; i < 2; i++)
        for (uint16_t id = 0; id < 2; id++) {
            struct load_frame frame;
            struct load_publish publish;
            AUTO_BUF(out, 1024);
            add_publish(&out, VERSIONS[i], id, BYTES_OF(PAYLOAD));
            assert_int_equal(load_mqtt_next(buf_bytes(&out), &frame), LOAD_FOUND);
            assert_int_equal(frame.size, out.len);
            assert_int_equal(load_mqtt_qos(&frame), id);
            assert_true(load_mqtt_read_publish(&frame, VERSIONS[i], &publish));
            assert_true(bytes_equal(publish.topic, BYTES("bench/7")));
            assert_true(bytes_equal(publish.payload, BYTES_OF(PAYLOAD)));
            assert_int_equal(publish.packet_id, id);
        }
}

static void a_cut_packet_needs_more(void **state)
{
    static const uint8_t PAYLOAD[200];
    struct load_frame frame;
    AUTO_BUF(out, 1024);

    (void)state;
    add_publish(&out, LOAD_MQTT_5, 1, BYTES_OF(PAYLOAD));
    for (size_t len = 0; len < out.len; len++)
        assert_int_equal(load_mqtt_next((struct bytes){ out.at, len }, &frame),
                         LOAD_NEEDS_MORE);
}

static void a_length_of_five_bytes_is_broken(void **state)
{
    struct load_frame frame;

    (void)state;
    assert_int_equal(load_mqtt_next(BYTES("\x30\xff\xff\xff\xff\x01"), &frame), LOAD_BROKEN);
}

static void reasons_are_read(void **state)
{
    static const struct {
        struct bytes packet;
        enum load_mqtt_version version;
        uint16_t id;
        uint8_t reason;
    } CASES[] = {
        { BYTES("\x20\x02\x00\x05"), LOAD_MQTT_3, 0, 5 },
        { BYTES("\x20\x03\x00\x87\x00"), LOAD_MQTT_5, 0, 0x87 },
        { BYTES("\x40\x02\x00\x09"), LOAD_MQTT_5, 9, 0 },
        { BYTES("\x40\x03\x00\x09\x87"), LOAD_MQTT_5, 9, 0x87 },
        { BYTES("\x90\x03\x00\x09\x80"), LOAD_MQTT_3, 9, 0x80 },
        { BYTES("\x90\x04\x00\x09\x00\x87"), LOAD_MQTT_5, 9, 0x87 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct load_frame frame;
        uint16_t id;
        uint8_t reason;
        assert_int_equal(load_mqtt_next(CASES[i].packet, &frame), LOAD_FOUND);
        assert_true(load_mqtt_read_ack(&frame, CASES[i].version, &id, &reason));
        assert_int_equal(id, CASES[i].id);
        assert_int_equal(reason, CASES[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_as_the_standard_writes_them),
        cmocka_unit_test(what_is_published_is_read_in_both_versions),
        cmocka_unit_test(a_cut_packet_needs_more),
        cmocka_unit_test(a_length_of_five_bytes_is_broken),
        cmocka_unit_test(reasons_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
