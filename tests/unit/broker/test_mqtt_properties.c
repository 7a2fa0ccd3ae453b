#include "tests/support/check.h"

#include "broker/mqtt_properties.h"

/* Table 2-4 of MQTT 5.0, written out: a valid value, the packets (W: the will), may it repeat.
 */
struct row {
    struct bytes wire;
    const char *in;
    enum mqtt_property id;
    bool repeats;
};

static const struct row ROWS[] = {
    { BYTES("\x01\x01"), "PW", MQTT_PAYLOAD_FORMAT, false },
    { BYTES("\x02\0\0\0\1"), "PW", MQTT_MESSAGE_EXPIRY, false },
    { BYTES("\x03\0\1t"), "PW", MQTT_CONTENT_TYPE, false },
    { BYTES("\x08\0\1t"), "PW", MQTT_RESPONSE_TOPIC, false },
    { BYTES("\x09\0\1\0"), "PW", MQTT_CORRELATION_DATA, false },
    { BYTES("\x0b\x01"), "P", MQTT_SUBSCRIPTION_ID, true },
    { BYTES("\x0b\x01"), "S", MQTT_SUBSCRIPTION_ID, false },
    { BYTES("\x11\0\0\0\1"), "CcD", MQTT_SESSION_EXPIRY, false },
    { BYTES("\x12\0\1t"), "c", MQTT_ASSIGNED_CLIENT_ID, false },
    { BYTES("\x13\0\1"), "c", MQTT_SERVER_KEEP_ALIVE, false },
    { BYTES("\x15\0\1t"), "CcA", MQTT_AUTHENTICATION_METHOD, false },
    { BYTES("\x16\0\1\0"), "CcA", MQTT_AUTHENTICATION_DATA, false },
    { BYTES("\x17\1"), "C", MQTT_REQUEST_PROBLEM_INFORMATION, false },
    { BYTES("\x18\0\0\0\1"), "W", MQTT_WILL_DELAY, false },
    { BYTES("\x19\1"), "C", MQTT_REQUEST_RESPONSE_INFORMATION, false },
    { BYTES("\x1a\0\1t"), "c", MQTT_RESPONSE_INFORMATION, false },
    { BYTES("\x1c\0\1t"), "cD", MQTT_SERVER_REFERENCE, false },
    { BYTES("\x1f\0\1t"), "c1234suDA", MQTT_REASON_STRING, false },
    { BYTES("\x21\0\1"), "Cc", MQTT_RECEIVE_MAXIMUM, false },
    { BYTES("\x22\0\1"), "Cc", MQTT_TOPIC_ALIAS_MAXIMUM, false },
    { BYTES("\x23\0\1"), "P", MQTT_TOPIC_ALIAS, false },
    { BYTES("\x24\1"), "c", MQTT_MAXIMUM_QOS, false },
    { BYTES("\x25\1"), "c", MQTT_RETAIN_AVAILABLE, false },
    { BYTES("\x26\0\1n\0\1v"), "CcPW1234SsUuDA", MQTT_USER_PROPERTY, true },
    { BYTES("\x27\0\0\0\1"), "Cc", MQTT_MAXIMUM_PACKET_SIZE, false },
    { BYTES("\x28\1"), "c", MQTT_WILDCARD_AVAILABLE, false },
    { BYTES("\x29\1"), "c", MQTT_SUBSCRIPTION_IDS_AVAILABLE, false },
    { BYTES("\x2a\1"), "c", MQTT_SHARED_AVAILABLE, false },
};

static const struct {
    char letter;
    unsigned in;
} PLACES[] = {
    { 'W', MQTT_IN_WILL },    { 'C', MQTT_CONNECT },     { 'c', MQTT_CONNACK },
    { 'P', MQTT_PUBLISH },    { '1', MQTT_PUBACK },      { '2', MQTT_PUBREC },
    { '3', MQTT_PUBREL },     { '4', MQTT_PUBCOMP },     { 'S', MQTT_SUBSCRIBE },
    { 's', MQTT_SUBACK },     { 'U', MQTT_UNSUBSCRIBE }, { 'u', MQTT_UNSUBACK },
    { 'D', MQTT_DISCONNECT }, { 'A', MQTT_AUTH },
};

static enum rc read_block(struct bytes first, struct bytes second, unsigned in,
                          struct mqtt_properties *properties, enum mqtt_reason *why)
{
    AUTO_BUF(block, 512);

    broker_mqtt_packet_add_varint(&block, first.len + second.len);
    buf_add(&block, first);
    buf_add(&block, second);
    struct reader r = READER(buf_bytes(&block));
    enum rc rc = broker_mqtt_properties_read(&r, in, properties, why);
    properties->block = (struct bytes){ 0 }; /* its bytes end with this call */
    return rc;
}

static bool is_in(const char *letters, char letter)
{
    for (; *letters != 0; letters++)
        if (*letters == letter)
            return true;
    return false;
}

/* The subscription identifier has two rows: its places are both rows'. */
static bool belongs(enum mqtt_property id, char letter)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].id == id && is_in(ROWS[i].in, letter))
            return true;
    return false;
}

static void each_is_taken_where_it_belongs_and_nowhere_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        for (size_t p = 0; p < sizeof PLACES / sizeof *PLACES; p++) {
            struct mqtt_properties properties = { 0 };
            enum mqtt_reason why = MQTT_SUCCESS;
            enum rc rc = read_block(ROWS[i].wire, BYTES(""), PLACES[p].in, &properties, &why);
            if (belongs(ROWS[i].id, PLACES[p].letter)) {
                assert_int_equal(rc, RC_OK);
                assert_true(broker_mqtt_properties_has(&properties, ROWS[i].id));
            } else {
                assert_int_equal(rc, RC_MALFORMED);
                assert_int_equal(why, MQTT_MALFORMED_PACKET);
            }
        }
}

static void twice_is_a_protocol_error_where_once_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        for (size_t p = 0; p < sizeof PLACES / sizeof *PLACES; p++) {
            struct mqtt_properties properties = { 0 };
            enum mqtt_reason why = MQTT_SUCCESS;
            if (!is_in(ROWS[i].in, PLACES[p].letter))
                continue;
            enum rc rc =
                read_block(ROWS[i].wire, ROWS[i].wire, PLACES[p].in, &properties, &why);
            assert_int_equal(rc, ROWS[i].repeats ? RC_OK : RC_MALFORMED);
            assert_int_equal(why, ROWS[i].repeats ? MQTT_SUCCESS : MQTT_PROTOCOL_ERROR);
        }
}

static void every_truncation_is_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        for (size_t p = 0; p < sizeof PLACES / sizeof *PLACES; p++)
            for (size_t cut = 1; cut < ROWS[i].wire.len; cut++) {
                struct mqtt_properties properties = { 0 };
                enum mqtt_reason why = MQTT_SUCCESS;
                struct bytes part = { ROWS[i].wire.at, cut };
                assert_int_equal(read_block(part, BYTES(""), PLACES[p].in, &properties, &why),
                                 RC_MALFORMED);
                assert_int_equal(why, MQTT_MALFORMED_PACKET);
            }
}

static void values_are_held_to_their_bounds(void **state)
{
    static const struct {
        struct bytes wire;
        unsigned in;
        enum mqtt_reason why;
    } rows[] = {
        { BYTES("\x01\x02"), MQTT_PUBLISH, MQTT_PROTOCOL_ERROR },
        { BYTES("\x17\x02"), MQTT_CONNECT, MQTT_PROTOCOL_ERROR },
        { BYTES("\x19\x02"), MQTT_CONNECT, MQTT_PROTOCOL_ERROR },
        { BYTES("\x21\0\0"), MQTT_CONNECT, MQTT_PROTOCOL_ERROR },
        { BYTES("\x27\0\0\0\0"), MQTT_CONNECT, MQTT_PROTOCOL_ERROR },
        { BYTES("\x0b\0"), MQTT_SUBSCRIBE, MQTT_PROTOCOL_ERROR },
        { BYTES("\x0b\x81\0"), MQTT_SUBSCRIBE, MQTT_MALFORMED_PACKET },
        { BYTES("\x24\2"), MQTT_CONNACK, MQTT_PROTOCOL_ERROR },
        { BYTES("\x03\0\1\xff"), MQTT_PUBLISH, MQTT_MALFORMED_PACKET },
        { BYTES("\x26\0\1n\0\1\0"), MQTT_PUBLISH, MQTT_MALFORMED_PACKET },
        { BYTES("\x26\0\1\xc0\0\1v"), MQTT_PUBLISH, MQTT_MALFORMED_PACKET },
        { BYTES("\x04\0"), MQTT_PUBLISH, MQTT_MALFORMED_PACKET },
        { BYTES("\x2b\0"), MQTT_CONNACK, MQTT_MALFORMED_PACKET },
        { BYTES("\x83\x01\0"), MQTT_PUBLISH, MQTT_MALFORMED_PACKET },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mqtt_properties properties = { 0 };
        enum mqtt_reason why = MQTT_SUCCESS;
        assert_int_equal(read_block(rows[i].wire, BYTES(""), rows[i].in, &properties, &why),
                         RC_MALFORMED);
        assert_int_equal(why, rows[i].why);
    }
}

static void finds_what_was_added(void **state)
{
    AUTO_BUF(block, 512);
    struct mqtt_value value;

    (void)state;
    broker_mqtt_properties_add_user(&block, BYTES("first"), BYTES("1"));
    broker_mqtt_properties_add_number(&block, MQTT_PAYLOAD_FORMAT, 1);
    broker_mqtt_properties_add_number(&block, MQTT_MESSAGE_EXPIRY, 0xdeadbeef);
    broker_mqtt_properties_add_number(&block, MQTT_SUBSCRIPTION_ID, 268435455);
    broker_mqtt_properties_add_number(&block, MQTT_TOPIC_ALIAS, 513);
    broker_mqtt_properties_add_data(&block, MQTT_CONTENT_TYPE, BYTES("text/plain"));
    broker_mqtt_properties_add_user(&block, BYTES("second"), BYTES("2"));
    struct mqtt_properties properties = broker_mqtt_properties_of(&block, MQTT_PUBLISH);

    assert_int_equal(broker_mqtt_properties_number(&properties, MQTT_PAYLOAD_FORMAT, 7), 1);
    assert_int_equal(broker_mqtt_properties_number(&properties, MQTT_MESSAGE_EXPIRY, 7),
                     0xdeadbeef);
    assert_int_equal(broker_mqtt_properties_number(&properties, MQTT_SUBSCRIPTION_ID, 7),
                     268435455);
    assert_int_equal(broker_mqtt_properties_number(&properties, MQTT_TOPIC_ALIAS, 7), 513);
    assert_int_equal(broker_mqtt_properties_number(&properties, MQTT_WILL_DELAY, 7), 7);
    assert_true(bytes_equal_text(broker_mqtt_properties_data(&properties, MQTT_CONTENT_TYPE),
                                 "text/plain"));
    assert_int_equal(broker_mqtt_properties_data(&properties, MQTT_RESPONSE_TOPIC).len, 0);

    struct bytes rest = properties.block;
    assert_true(broker_mqtt_properties_next(&rest, &value));
    assert_true(bytes_equal_text(value.data, "first") && bytes_equal_text(value.text, "1"));
    int count = 1;
    while (broker_mqtt_properties_next(&rest, &value))
        count++;
    assert_int_equal(count, 7);
    assert_true(bytes_equal_text(value.data, "second") && bytes_equal_text(value.text, "2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_taken_where_it_belongs_and_nowhere_else),
        cmocka_unit_test(twice_is_a_protocol_error_where_once_is_allowed),
        cmocka_unit_test(every_truncation_is_malformed),
        cmocka_unit_test(values_are_held_to_their_bounds),
        cmocka_unit_test(finds_what_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
