#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/support/mqtt_mirror.h"

/* Written by hand from the figures of sections 3.1 to 3.15. cuts: at how many shorter lengths
 * the body is a packet, too. */
struct golden {
    const char *name;
    const char *hex;
    enum mqtt_version version;
    int cuts;
};

static const struct golden GOLDEN[] = {
    { "CONNECT 3.1.1, clean", "100d 0004 4d515454 04 02 003c 0001 61", MQTT_3_1_1, 0 },
    { "CONNECT 3.1.1, will, user name, password",
      "101a 0004 4d515454 04 ee 000a 0001 61 0003 772f74 0002 6869 0000 0000", MQTT_3_1_1, 0 },
    { "CONNECT 5, no properties", "100e 0004 4d515454 05 02 003c 00 0001 61", MQTT_5, 0 },
    { "CONNECT 5, properties",
      "102a 0004 4d515454 05 02 0000 1c 11 0000003c 21 000a 22 0005 27 00000400 17 01 19 00"
      "26 0001 6b 0002 7676 0001 61",
      MQTT_5, 0 },
    { "CONNECT 5, will with delay",
      "101c 0004 4d515454 05 0c 0000 00 0001 61 05 18 0000000a 0003 772f74 0001 78", MQTT_5,
      0 },
    { "CONNACK 3.1.1", "2002 01 00", MQTT_3_1_1, 0 },
    { "CONNACK 3.1.1, refused", "2002 00 05", MQTT_3_1_1, 0 },
    { "CONNACK 5", "200a 00 00 07 24 01 21 0014 2a 00", MQTT_5, 0 },
    { "CONNACK 5, refused", "2003 00 87 00", MQTT_5, 0 },
    { "PUBLISH 3.1.1, QoS 0", "3007 0003 612f62 6869", MQTT_3_1_1, 2 },
    { "PUBLISH 3.1.1, QoS 1, dup, retain", "3b08 0003 612f62 000a 68", MQTT_3_1_1, 1 },
    { "PUBLISH 3.1.1, QoS 2", "3407 0003 612f62 0001", MQTT_3_1_1, 0 },
    { "PUBLISH 5, empty payload", "3106 0003 612f62 00", MQTT_5, 0 },
    { "PUBLISH 5, all properties",
      "3228 0001 61 0001 21 01 01 02 0000003c 03 0001 74 08 0001 72 09 0002 0001"
      "23 0007 26 0001 6b 0001 76 0b 8001 78",
      MQTT_5, 1 },
    { "PUBLISH 5, alias for topic", "3007 0000 03 23 0001 78", MQTT_5, 1 },
    { "PUBACK 3.1.1", "4002 1234", MQTT_3_1_1, 0 },
    { "PUBACK 5, success", "4002 1234", MQTT_5, 0 },
    { "PUBACK 5, reason", "4003 1234 10", MQTT_5, 1 },
    { "PUBACK 5, properties", "4008 1234 87 04 1f 0001 6e", MQTT_5, 2 },
    { "PUBREC", "5003 0001 97", MQTT_5, 1 },
    { "PUBREL", "6203 0001 92", MQTT_5, 1 },
    { "PUBCOMP", "7002 0001", MQTT_3_1_1, 0 },
    { "SUBSCRIBE 3.1.1, two filters", "820c 000a 0003 612f62 01 0001 23 00", MQTT_3_1_1, 1 },
    { "SUBSCRIBE 5, identifier, options", "820a 000a 03 0b 8001 0001 2b 2d", MQTT_5, 0 },
    { "SUBACK 3.1.1", "9005 000a 01 00 80", MQTT_3_1_1, 2 },
    { "SUBACK 5", "9005 000a 00 01 9e", MQTT_5, 1 },
    { "UNSUBSCRIBE 3.1.1", "a207 0001 0003 612f62", MQTT_3_1_1, 0 },
    { "UNSUBSCRIBE 5", "a208 0001 00 0003 612f62", MQTT_5, 0 },
    { "UNSUBACK 3.1.1", "b002 0001", MQTT_3_1_1, 0 },
    { "UNSUBACK 5", "b005 0001 00 00 11", MQTT_5, 1 },
    { "PINGREQ", "c000", MQTT_3_1_1, 0 },
    { "PINGRESP", "d000", MQTT_5, 0 },
    { "DISCONNECT 3.1.1", "e000", MQTT_3_1_1, 0 },
    { "DISCONNECT 5", "e001 04", MQTT_5, 1 },
    { "DISCONNECT 5, expiry", "e007 04 05 11 00000000", MQTT_5, 2 },
    { "AUTH", "f009 18 07 15 0001 6d 16 0000", MQTT_5, 2 },
};

static void decode_hex(const char *spaced, struct buf *out)
{
    char digits[512];
    size_t n = 0;

    for (const char *c = spaced; *c != 0; c++)
        if (*c != ' ')
            digits[n++] = *c;
    assert_int_equal(text_read_hex((struct bytes){ (const uint8_t *)digits, n }, out), RC_OK);
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOLDEN / sizeof *GOLDEN; i++) {
        AUTO_BUF(wire, 512);
        AUTO_BUF(out, 512);
        struct mqtt_frame frame;
        enum mqtt_reason why;

        decode_hex(GOLDEN[i].hex, &wire);
        print_message("%s\n", GOLDEN[i].name);
        assert_int_equal(
            broker_mqtt_packet_next(buf_bytes(&wire), GOLDEN[i].version, 512, &frame, &why),
            RC_OK);
        assert_true(frame.whole);
        assert_int_equal(frame.size, wire.len);
        if (mirror_packet(&frame, GOLDEN[i].version, &out, &why) != RC_OK)
            fail_msg("%s", fault_reason());
        assert_int_equal(out.len, wire.len);
        assert_memory_equal(out.at, wire.at, wire.len);
    }
}

/* A body cut short is refused, unless what is left says the same as its own bytes. */
static int count_valid_cuts(const struct mqtt_frame *frame, enum mqtt_version version)
{
    int valid = 0;

    for (size_t cut = 0; cut < frame->body.len; cut++) {
        AUTO_BUF(out, 512);
        struct mqtt_frame shorter = *frame;
        enum mqtt_reason why = MQTT_SUCCESS;
        uint8_t *exact = malloc(cut + 1);

        assert_non_null(exact);
        memcpy(exact, frame->body.at, cut);
        shorter.body = (struct bytes){ exact, cut };
        if (mirror_packet(&shorter, version, &out, &why) == RC_OK) {
            assert_true(out.len >= cut);
            assert_memory_equal(out.at + out.len - cut, exact, cut);
            valid++;
        } else {
            assert_true(why == MQTT_MALFORMED_PACKET || why == MQTT_PROTOCOL_ERROR);
        }
        free(exact);
    }
    return valid;
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOLDEN / sizeof *GOLDEN; i++) {
        AUTO_BUF(wire, 512);
        struct mqtt_frame frame;
        enum mqtt_reason why;

        decode_hex(GOLDEN[i].hex, &wire);
        print_message("%s\n", GOLDEN[i].name);
        for (size_t cut = 0; cut < wire.len; cut++) {
            struct bytes part = { wire.at, cut };
            assert_int_equal(
                broker_mqtt_packet_next(part, GOLDEN[i].version, 512, &frame, &why), RC_OK);
            assert_false(frame.whole);
            assert_true(frame.size > cut && frame.size <= wire.len);
        }
        assert_int_equal(
            broker_mqtt_packet_next(buf_bytes(&wire), GOLDEN[i].version, 512, &frame, &why),
            RC_OK);
        assert_int_equal(count_valid_cuts(&frame, GOLDEN[i].version), GOLDEN[i].cuts);
    }
}

struct refusal {
    const char *name;
    const char *hex;
    enum mqtt_version version;
    enum mqtt_reason why;
    const char *cites;
};

static const struct refusal REFUSALS[] = {
    { "type 0", "0000", MQTT_5, MQTT_MALFORMED_PACKET, "2.1.2" },
    { "AUTH in 3.1.1", "f000", MQTT_3_1_1, MQTT_MALFORMED_PACKET, "2.1.2" },
    { "flags of CONNECT", "1100", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-2.1.3-1]" },
    { "flags of SUBSCRIBE", "8000", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-2.1.3-1]" },
    { "flags of PUBREL", "6000", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-2.1.3-1]" },
    { "QoS 3", "3600", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-3.3.1-4]" },
    { "dup of QoS 0", "3800", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-3.3.1-2]" },
    { "five bytes of length", "c0ffffffff7f", MQTT_5, MQTT_MALFORMED_PACKET, "2.1.4" },
    { "needless byte of length", "c08000", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-1.5.5-1]" },
    { "one byte over the limit", "30ff03", MQTT_5, MQTT_PACKET_TOO_LARGE, "[MQTT-3.2.2-15]" },
    { "no protocol", "1000", MQTT_5, MQTT_MALFORMED_PACKET, "3.1.2.1" },
    { "MQTT 3.1", "1014 0006 4d5149736470 03 02 003c 0006 616263646566", MQTT_5,
      MQTT_UNSUPPORTED_VERSION, "[MQTT-3.1.2-1]" },
    { "level 6", "100d 0004 4d515454 06 02 003c 0001 61", MQTT_5, MQTT_UNSUPPORTED_VERSION,
      "[MQTT-3.1.2-2]" },
    { "reserved connect flag", "100e 0004 4d515454 05 03 003c 00 0001 61", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-3.1.2-3]" },
    { "will QoS without will", "100e 0004 4d515454 05 0a 003c 00 0001 61", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-3.1.2-11]" },
    { "will retain without will", "100e 0004 4d515454 05 22 003c 00 0001 61", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-3.1.2-13]" },
    { "will QoS 3", "100e 0004 4d515454 05 1e 003c 00 0001 61", MQTT_5, MQTT_MALFORMED_PACKET,
      "[MQTT-3.1.2-12]" },
    { "password without user name in 3.1.1", "100f 0004 4d515454 04 42 003c 0001 61 0000",
      MQTT_3_1_1, MQTT_MALFORMED_PACKET, "MQTT-3.1.2-22" },
    { "client id not UTF-8", "100e 0004 4d515454 05 02 003c 00 0001 ff", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-1.5.4-1]" },
    { "client id with U+0000", "100e 0004 4d515454 05 02 003c 00 0001 00", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-1.5.4-2]" },
    { "surrogate in client id", "1010 0004 4d515454 05 02 003c 00 0003 eda080", MQTT_5,
      MQTT_MALFORMED_PACKET, "[MQTT-1.5.4-1]" },
    { "no client id, no clean session", "100c 0004 4d515454 04 00 003c 0000", MQTT_3_1_1,
      MQTT_CLIENT_ID_NOT_VALID, "MQTT-3.1.3-8" },
    { "will topic with wildcard", "1012 0004 4d515454 04 06 003c 0001 61 0001 2b 0000",
      MQTT_3_1_1, MQTT_TOPIC_NAME_INVALID, "[MQTT-4.7.0-1]" },
    { "authentication method", "1012 0004 4d515454 05 02 003c 04 15 0001 6d 0001 61", MQTT_5,
      MQTT_BAD_AUTHENTICATION_METHOD, "4.12" },
    { "authentication data alone", "1011 0004 4d515454 05 02 003c 03 16 0000 0001 61", MQTT_5,
      MQTT_PROTOCOL_ERROR, "3.1.2.11.10" },
    { "tail after CONNECT", "100f 0004 4d515454 05 02 003c 00 0001 61 00", MQTT_5,
      MQTT_MALFORMED_PACKET, "too many" },
    { "empty topic", "3002 0000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR, "[MQTT-4.7.3-1]" },
    { "topic with +", "3003 0001 2b", MQTT_3_1_1, MQTT_TOPIC_NAME_INVALID, "[MQTT-4.7.0-1]" },
    { "topic with #", "3004 0001 23 00", MQTT_5, MQTT_TOPIC_NAME_INVALID, "[MQTT-3.3.2-2]" },
    { "topic with U+0000", "3004 0001 00 00", MQTT_5, MQTT_MALFORMED_PACKET, "[MQTT-1.5.4-2]" },
    { "packet id 0", "3206 0001 61 0000 00", MQTT_5, MQTT_PROTOCOL_ERROR, "[MQTT-2.2.1-3]" },
    { "alias 0", "3007 0001 61 03 23 0000", MQTT_5, MQTT_TOPIC_ALIAS_INVALID,
      "[MQTT-3.3.2-8]" },
    { "response topic with wildcard", "3008 0001 61 04 08 0001 23", MQTT_5,
      MQTT_TOPIC_NAME_INVALID, "[MQTT-3.3.2-14]" },
    { "PUBACK with a reason of others", "4003 0001 8d", MQTT_5, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.4.2-1]" },
    { "PUBACK 3.1.1 with reason", "4003 0001 00", MQTT_3_1_1, MQTT_MALFORMED_PACKET,
      "too many" },
    { "PUBACK with id 0", "4002 0000", MQTT_3_1_1, MQTT_PROTOCOL_ERROR, "MQTT-2.3.1-1" },
    { "SUBSCRIBE without filter", "8203 0001 00", MQTT_5, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.8.3-2]" },
    { "SUBSCRIBE to QoS 3", "8207 0001 00 0001 61 03", MQTT_5, MQTT_PROTOCOL_ERROR, "3.8.3.1" },
    { "SUBSCRIBE 3.1.1 to QoS 3", "8206 0001 0001 61 03", MQTT_3_1_1, MQTT_MALFORMED_PACKET,
      "MQTT-3.8.3-4" },
    { "reserved options", "8207 0001 00 0001 61 40", MQTT_5, MQTT_MALFORMED_PACKET,
      "[MQTT-3.8.3-5]" },
    { "options of 5 in 3.1.1", "8206 0001 0001 61 04", MQTT_3_1_1, MQTT_MALFORMED_PACKET,
      "[MQTT-3.8.3-5]" },
    { "retain handling 3", "8207 0001 00 0001 61 30", MQTT_5, MQTT_PROTOCOL_ERROR, "3.8.3.1" },
    { "no local on shared", "820f 0001 00 0009 2473686172652f672f 04", MQTT_5,
      MQTT_PROTOCOL_ERROR, "[MQTT-3.8.3-4]" },
    { "UNSUBSCRIBE without filter", "a202 0001", MQTT_3_1_1, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.10.3-2]" },
    { "SUBACK with a reason of others", "9004 0001 00 8d", MQTT_5, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.9.3-2]" },
    { "SUBACK 3.1.1 with a reason of 5", "9003 0001 87", MQTT_3_1_1, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.9.3-2]" },
    { "CONNACK with reserved flags", "2003 02 00 00", MQTT_5, MQTT_MALFORMED_PACKET,
      "[MQTT-3.2.2-1]" },
    { "CONNACK with a code of others", "2002 00 06", MQTT_3_1_1, MQTT_MALFORMED_PACKET,
      "[MQTT-3.2.2-8]" },
    { "CONNACK refusing with session", "2003 01 87 00", MQTT_5, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.2.2-6]" },
    { "PINGREQ with body", "c001 00", MQTT_5, MQTT_MALFORMED_PACKET, "too many" },
    { "DISCONNECT 3.1.1 with body", "e001 00", MQTT_3_1_1, MQTT_MALFORMED_PACKET, "too many" },
    { "DISCONNECT with a reason of others", "e001 01", MQTT_5, MQTT_PROTOCOL_ERROR,
      "[MQTT-3.14.2-1]" },
};

static void refuses_with_reason_and_statement(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof REFUSALS / sizeof *REFUSALS; i++) {
        const struct refusal *row = &REFUSALS[i];
        AUTO_BUF(wire, 512);
        AUTO_BUF(out, 512);
        struct mqtt_frame frame = { 0 };
        enum mqtt_reason why = MQTT_SUCCESS;

        decode_hex(row->hex, &wire);
        print_message("%s\n", row->name);
        enum rc rc = broker_mqtt_packet_next(buf_bytes(&wire), row->version, 512, &frame, &why);
        if (rc == RC_OK) {
            assert_true(frame.whole);
            rc = mirror_packet(&frame, row->version, &out, &why);
        }
        assert_int_not_equal(rc, RC_OK);
        assert_int_equal(why, row->why);
        assert_non_null(strstr(fault_reason(), row->cites));
        assert_int_equal(out.len, 0);
    }
}

static void takes_needless_length_bytes_from_3_1_1(void **state)
{
    struct mqtt_frame frame;
    enum mqtt_reason why;

    (void)state;
    assert_int_equal(
        broker_mqtt_packet_next(BYTES("\xc0\x80\x00"), MQTT_3_1_1, 10, &frame, &why), RC_OK);
    assert_true(frame.whole && frame.size == 3 && frame.body.len == 0);
}

static void counts_the_whole_packet_against_the_limit(void **state)
{
    struct mqtt_frame frame;
    enum mqtt_reason why;

    (void)state;
    assert_int_equal(broker_mqtt_packet_next(BYTES("\x30\x7f"), MQTT_5, 129, &frame, &why),
                     RC_OK);
    assert_int_equal(frame.size, 129);
    assert_int_equal(broker_mqtt_packet_next(BYTES("\x30\x7f"), MQTT_5, 128, &frame, &why),
                     RC_LIMIT);
}

static void varints_are_exact_at_each_width(void **state)
{
    static const struct {
        uint32_t value;
        size_t width;
    } rows[] = {
        { 0, 1 },     { 127, 1 },     { 128, 2 },     { 16383, 2 },
        { 16384, 3 }, { 2097151, 3 }, { 2097152, 4 }, { 268435455, 4 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF(out, 8);
        broker_mqtt_packet_add_varint(&out, rows[i].value);
        assert_int_equal(out.len, rows[i].width);
        assert_int_equal(broker_mqtt_packet_varint_size(rows[i].value), rows[i].width);
        struct reader r = READER(buf_bytes(&out));
        assert_int_equal(broker_mqtt_packet_varint(&r), rows[i].value);
        assert_true(reader_done(&r));
        for (size_t cut = 0; cut < out.len; cut++) {
            struct reader part = READER(((struct bytes){ out.at, cut }));
            broker_mqtt_packet_varint(&part);
            assert_true(part.broken);
        }
    }
    AUTO_BUF(out, 8);
    broker_mqtt_packet_add_varint(&out, 268435456);
    assert_true(out.broken);
}

static void leaves_outputs_alone_on_failure(void **state)
{
    struct mqtt_frame frame = { .size = 77 };
    struct mqtt_publish publish = { .packet_id = 77 };
    enum mqtt_reason why;

    (void)state;
    assert_int_equal(broker_mqtt_packet_next(BYTES("\x00\x00"), MQTT_5, 10, &frame, &why),
                     RC_MALFORMED);
    assert_int_equal(frame.size, 77);
    frame = (struct mqtt_frame){ .type = MQTT_PUBLISH, .whole = true, .body = BYTES("\0\1+") };
    assert_int_equal(broker_mqtt_publish_read(&frame, MQTT_5, &publish, &why), RC_MALFORMED);
    assert_int_equal(publish.packet_id, 77);
}

static void forgets_credentials(void **state)
{
    AUTO_BUF(wire, 128);
    struct mqtt_frame frame;
    struct mqtt_connect connect;
    enum mqtt_reason why;

    (void)state;
    decode_hex("1019 0004 4d515454 04 c2 003c 0001 61 0004 75736572 0004 70617373", &wire);
    assert_int_equal(
        broker_mqtt_packet_next(buf_bytes(&wire), MQTT_VERSION_UNKNOWN, 128, &frame, &why),
        RC_OK);
    assert_int_equal(broker_mqtt_connect_read(&frame, &connect, &why), RC_OK);
    assert_true(connect.sent_user_name && connect.sent_password);
    AUTO_BUF(out, 128);
    broker_mqtt_connect_write(&connect, &out);
    assert_null(memmem(out.at, out.len, "pass", 4));
}

static void answers_in_the_version_that_was_asked(void **state)
{
    struct mqtt_frame frame = { .body = BYTES("\0\4MQTT\5") };

    (void)state;
    assert_int_equal(broker_mqtt_connect_version(&frame), MQTT_5);
    frame.body = BYTES("\0\4MQTT\4");
    assert_int_equal(broker_mqtt_connect_version(&frame), MQTT_3_1_1);
    frame.body = BYTES("\0\6MQIsdp\3");
    assert_int_equal(broker_mqtt_connect_version(&frame), MQTT_3_1_1);
    frame.body = BYTES("");
    assert_int_equal(broker_mqtt_connect_version(&frame), MQTT_3_1_1);
}

static void connack_of_3_1_1_has_its_six_codes(void **state)
{
    static const struct {
        enum mqtt_reason reason;
        uint8_t code;
    } rows[] = {
        { MQTT_SUCCESS, 0 },
        { MQTT_UNSUPPORTED_VERSION, 1 },
        { MQTT_CLIENT_ID_NOT_VALID, 2 },
        { MQTT_SERVER_UNAVAILABLE, 3 },
        { MQTT_SERVER_BUSY, 3 },
        { MQTT_BAD_USER_NAME, 4 },
        { MQTT_NOT_AUTHORIZED, 5 },
        { MQTT_BANNED, 5 },
        { MQTT_MALFORMED_PACKET, 5 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF(out, 8);
        struct mqtt_connack connack = { .reason = rows[i].reason };
        broker_mqtt_connack_write(&connack, MQTT_3_1_1, &out);
        assert_int_equal(out.len, 4);
        assert_int_equal(out.at[3], rows[i].code);
    }
}

static void filters_are_counted_up_to_the_limit(void **state)
{
    struct mqtt_frame frame = { .type = MQTT_UNSUBSCRIBE,
                                .whole = true,
                                .body = BYTES("\0\1\0\1a\0\1b") };
    struct mqtt_subscribe subscribe;
    enum mqtt_reason why;

    (void)state;
    assert_int_equal(broker_mqtt_subscribe_read(&frame, MQTT_3_1_1, 2, &subscribe, &why),
                     RC_OK);
    assert_int_equal(subscribe.count, 2);
    assert_int_equal(broker_mqtt_subscribe_read(&frame, MQTT_3_1_1, 1, &subscribe, &why),
                     RC_LIMIT);
    assert_int_equal(why, MQTT_QUOTA_EXCEEDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_with_reason_and_statement),
        cmocka_unit_test(takes_needless_length_bytes_from_3_1_1),
        cmocka_unit_test(counts_the_whole_packet_against_the_limit),
        cmocka_unit_test(varints_are_exact_at_each_width),
        cmocka_unit_test(leaves_outputs_alone_on_failure),
        cmocka_unit_test(forgets_credentials),
        cmocka_unit_test(answers_in_the_version_that_was_asked),
        cmocka_unit_test(connack_of_3_1_1_has_its_six_codes),
        cmocka_unit_test(filters_are_counted_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
