#include "tests/support/mqtt_owner.h"

static void connack_tells_what_is_offered(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 4096);
    /* Expiry 1000 s, no keep alive, no client identifier. */
    assert_int_equal(feed(&owner, BYTES("\x10\x12\0\4MQTT\5\2\0\0\5\x11\0\0\x03\xe8\0\0"), 0),
                     RC_OK);
    says(&owner, BYTES("\x20\x25\0\0\x22\x11\0\0\0\x64\x21\0\2\x24\1\x27\0\0\3\xe8\x12\0\10"
                       "assigned\x22\0\3\x13\2\x58\x2a\0"));
    close_owner(&owner);
    open_with(&owner, &OWNER_LIMITS, 4096);
    assert_int_equal(feed(&owner, CONNECT_3_1_1, 0), RC_OK);
    says(&owner, BYTES("\x20\2\0\0"));
    close_owner(&owner);
}

/* Every packet in every state that an owner can see, against the text of the specification. */
static void only_what_the_table_allows_is_taken(void **state)
{
    static const char *const ALLOWED[] = {
        "CONNECT",
        "",
        "PUBLISH PUBACK SUBSCRIBE UNSUBSCRIBE PINGREQ DISCONNECT",
        "",
    };

    (void)state;
    for (unsigned at = 0; broker_mqtt_session_state_name(at) != NULL; at++)
        for (unsigned type = 1; type < MQTT_TYPES; type++) {
            const char *name = broker_mqtt_type_name(type);
            const char *found = strstr(ALLOWED[at], name);
            while (found != NULL && found != ALLOWED[at] && found[-1] != ' ')
                found = strstr(found + 1, name);
            assert_int_equal(broker_mqtt_session_allows(at, (enum mqtt_type)type),
                             found != NULL);
        }
}

static void connect_comes_first_and_once(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 4096);
    assert_int_equal(feed(&owner, BYTES("\xc0\0"), 0), RC_MALFORMED);
    assert_non_null(strstr(fault_reason(), "[MQTT-3.1.0-1]"));
    assert_true(broker_mqtt_session_is_over(owner.session));
    says(&owner, BYTES(""));
    close_owner(&owner);

    open_connected(&owner, CONNECT_5);
    assert_int_equal(feed(&owner, CONNECT_5, 0), RC_MALFORMED);
    assert_non_null(strstr(fault_reason(), "[MQTT-3.1.0-2]"));
    says(&owner, BYTES("\xe0\1\x82"));
    close_owner(&owner);
}

struct ending {
    const char *name;
    struct bytes connect;
    struct bytes wire;
    struct bytes farewell;
};

static void each_violation_ends_with_its_reason(void **state)
{
    const struct ending rows[] = {
        { "QoS 2", CONNECT_5, BYTES("\x34\6\0\1a\0\1\0"), BYTES("\xe0\1\x9b") },
        { "QoS 2 in 3.1.1", CONNECT_3_1_1, BYTES("\x34\5\0\1a\0\1"), BYTES("") },
        { "too large", CONNECT_5, BYTES("\x30\xe6\x07"), BYTES("\xe0\1\x95") },
        { "malformed", CONNECT_5, BYTES("\x36\0"), BYTES("\xe0\1\x81") },
        { "topic too long", CONNECT_5,
          BYTES("\x30\x24\0\x21"
                "123456789012345678901234567890123\0"),
          BYTES("\xe0\1\x90") },
        { "alias too high", CONNECT_5, BYTES("\x30\7\0\1a\3\x23\0\4"), BYTES("\xe0\1\x94") },
        { "alias unknown", CONNECT_5, BYTES("\x30\6\0\0\3\x23\0\1"), BYTES("\xe0\1\x82") },
        { "subscription id from a client", CONNECT_5, BYTES("\x30\6\0\1a\2\x0b\1"),
          BYTES("\xe0\1\x82") },
        { "five filters", CONNECT_5, BYTES("\xa2\x12\0\1\0\0\1a\0\1b\0\1c\0\1d\0\1e"),
          BYTES("\xe0\1\x97") },
        { "PUBREL", CONNECT_5, BYTES("\x62\2\0\1"), BYTES("\xe0\1\x82") },
        { "AUTH", CONNECT_5, BYTES("\xf0\1\x19"), BYTES("\xe0\1\x82") },
        { "CONNACK", CONNECT_3_1_1, BYTES("\x20\2\0\0"), BYTES("") },
        { "expiry from nothing", CONNECT_5, BYTES("\xe0\7\0\5\x11\0\0\0\1"),
          BYTES("\xe0\1\x82") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct owner owner;
        print_message("%s\n", rows[i].name);
        open_connected(&owner, rows[i].connect);
        assert_int_not_equal(feed(&owner, rows[i].wire, 0), RC_OK);
        assert_true(broker_mqtt_session_is_over(owner.session));
        assert_int_equal(owner.publishes, 0);
        says(&owner, rows[i].farewell);
        close_owner(&owner);
    }
}

static void a_refused_connect_gets_its_connack(void **state)
{
    static const struct {
        const char *name;
        struct bytes connect, farewell;
    } rows[] = {
        { "will of QoS 2", BYTES("\x10\x14\0\4MQTT\5\x16\0\0\0\0\1c\0\0\1w\0\0"),
          BYTES("\x20\3\0\x9b\0") },
        { "will of QoS 2 in 3.1.1", BYTES("\x10\x12\0\4MQTT\4\x16\0\0\0\1c\0\1w\0\0"),
          BYTES("\x20\2\0\5") },
        { "level 3", BYTES("\x10\x0d\0\4MQTT\3\2\0\0\0\1c"), BYTES("\x20\2\0\1") },
        { "level 6", BYTES("\x10\x0d\0\4MQTT\6\2\0\0\0\1c"), BYTES("\x20\3\0\x84\0") },
        { "reserved flag", BYTES("\x10\x0e\0\4MQTT\5\3\0\0\0\0\1c"), BYTES("\x20\3\0\x81\0") },
        { "empty id in 3.1.1", BYTES("\x10\x0c\0\4MQTT\4\0\0\0\0\0"), BYTES("\x20\2\0\2") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct owner owner;
        print_message("%s\n", rows[i].name);
        open_with(&owner, &OWNER_LIMITS, 4096);
        assert_int_not_equal(feed(&owner, rows[i].connect, 0), RC_OK);
        assert_int_equal(owner.connects, 0);
        says(&owner, rows[i].farewell);
        close_owner(&owner);
    }
}

static void nothing_is_read_until_connect_is_decided(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 4096);
    owner.silent = true;
    assert_int_equal(feed(&owner, CONNECT_5, 0), RC_OK);
    assert_false(broker_mqtt_session_wants_input(owner.session));
    broker_mqtt_session_end(owner.session, MQTT_NOT_AUTHORIZED);
    says(&owner, BYTES("\x20\3\0\x87\0"));
    broker_mqtt_session_accept(owner.session, false, BYTES(""), 0);
    says(&owner, BYTES(""));
    close_owner(&owner);
}

static void pubacks_leave_in_order(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    assert_int_equal(feed(&owner, BYTES("\x32\6\0\1a\0\7\0"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x32\6\0\1b\0\5\0"), 0), RC_OK);
    assert_int_equal(broker_mqtt_session_acknowledge(owner.session, 5, MQTT_NOT_AUTHORIZED),
                     RC_OK);
    says(&owner, BYTES(""));
    assert_int_equal(broker_mqtt_session_acknowledge(owner.session, 7, MQTT_SUCCESS), RC_OK);
    says(&owner, BYTES("\x40\2\0\7\x40\3\0\5\x87"));
    assert_int_equal(broker_mqtt_session_acknowledge(owner.session, 7, MQTT_SUCCESS),
                     RC_NOT_FOUND);
    close_owner(&owner);
}

static void receive_maximum_ends_a_client_of_5_and_stops_one_of_3_1_1(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    assert_int_equal(feed(&owner, BYTES("\x32\6\0\1a\0\1\0"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x32\6\0\1a\0\2\0"), 0), RC_OK);
    assert_true(broker_mqtt_session_wants_input(owner.session));
    assert_int_equal(feed(&owner, BYTES("\x30\4\0\1a\0"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x32\6\0\1a\0\3\0"), 0), RC_MALFORMED);
    assert_non_null(strstr(fault_reason(), "[MQTT-3.3.4-7]"));
    says(&owner, BYTES("\xe0\1\x93"));
    close_owner(&owner);

    open_connected(&owner, CONNECT_3_1_1);
    assert_int_equal(feed(&owner, BYTES("\x32\5\0\1a\0\1"), 0), RC_OK);
    assert_true(broker_mqtt_session_wants_input(owner.session));
    assert_int_equal(feed(&owner, BYTES("\x32\5\0\1a\0\2"), 0), RC_OK);
    assert_false(broker_mqtt_session_wants_input(owner.session));
    assert_int_equal(broker_mqtt_session_acknowledge(owner.session, 1, MQTT_NOT_AUTHORIZED),
                     RC_OK);
    says(&owner, BYTES("\x40\2\0\1"));
    assert_true(broker_mqtt_session_wants_input(owner.session));
    close_owner(&owner);
}

static void topic_aliases_are_remembered_and_replaced(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    assert_int_equal(feed(&owner, BYTES("\x30\x09\0\3a/b\3\x23\0\3"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x30\6\0\0\3\x23\0\3"), 0), RC_OK);
    assert_string_equal(owner.topic, "a/b");
    assert_int_equal(feed(&owner, BYTES("\x30\x07\0\1z\3\x23\0\3"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x30\6\0\0\3\x23\0\3"), 0), RC_OK);
    assert_string_equal(owner.topic, "z");
    assert_int_equal(owner.publishes, 4);
    close_owner(&owner);
}

static void answers_without_room_end_the_session(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 16);
    assert_int_equal(feed(&owner, CONNECT_3_1_1, 0), RC_OK);
    enum rc rc = RC_OK;
    for (int i = 0; i < 20 && rc == RC_OK; i++)
        rc = feed(&owner, BYTES("\xc0\0"), 0);
    assert_int_equal(rc, RC_LIMIT);
    assert_true(broker_mqtt_session_is_over(owner.session));
    assert_int_equal(broker_mqtt_session_reason(owner.session), MQTT_QUOTA_EXCEEDED);
    close_owner(&owner);
}

static void subscriptions_are_answered_in_both_versions(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    assert_int_equal(feed(&owner, BYTES("\x82\x0b\0\x0a\0\0\1a\1\0\1b\2"), 0), RC_OK);
    says(&owner, BYTES("\x90\5\0\x0a\0\1\2"));
    assert_int_equal(feed(&owner, BYTES("\xa2\6\0\x0b\0\0\1a"), 0), RC_OK);
    says(&owner, BYTES("\xb0\4\0\x0b\0\1"));
    close_owner(&owner);
    open_connected(&owner, CONNECT_3_1_1);
    assert_int_equal(feed(&owner, BYTES("\xa2\5\0\x0b\0\1a"), 0), RC_OK);
    says(&owner, BYTES("\xb0\2\0\x0b"));
    close_owner(&owner);
}

static void silence_ends_after_one_and_a_half_keep_alives(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    assert_int_equal(broker_mqtt_session_deadline(owner.session), 15000);
    assert_int_equal(feed(&owner, BYTES("\xc0\0"), 4000), RC_OK);
    says(&owner, BYTES("\xd0\0"));
    broker_mqtt_session_tick(owner.session, 18999);
    assert_false(broker_mqtt_session_is_over(owner.session));
    broker_mqtt_session_tick(owner.session, 19000);
    assert_int_equal(broker_mqtt_session_reason(owner.session), MQTT_KEEP_ALIVE_TIMEOUT);
    says(&owner, BYTES("\xe0\1\x8d"));
    assert_int_equal(broker_mqtt_session_deadline(owner.session), INT64_MAX);
    close_owner(&owner);
}

static void connecting_has_a_deadline(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 4096);
    broker_mqtt_session_tick(owner.session, 4999);
    assert_false(broker_mqtt_session_is_over(owner.session));
    owner.silent = true;
    assert_int_equal(feed(&owner, CONNECT_5, 4999), RC_OK);
    broker_mqtt_session_tick(owner.session, 5000);
    says(&owner, BYTES("\x20\3\0\x88\0"));
    close_owner(&owner);
    open_with(&owner, &OWNER_LIMITS, 4096);
    broker_mqtt_session_tick(owner.session, 5000);
    assert_true(broker_mqtt_session_is_over(owner.session));
    says(&owner, BYTES(""));
    close_owner(&owner);
}

#define CONNECT_WILL                                                                           \
    BYTES("\x10\x20\0\4MQTT\5\x2e\0\x0a\5\x11\0\0\0\x3c\0\1c\5\x18\0\0\0\x1e\0\1w\0\2hi")

static void the_will_outlives_all_but_an_orderly_goodbye(void **state)
{
    static const struct {
        struct bytes last;
        bool published;
        uint32_t delay_s;
    } rows[] = {
        { BYTES("\xe0\0"), false, 0 },
        { BYTES("\xe0\1\x04"), true, 30 },
        { BYTES("\x36\0"), true, 30 },
        { BYTES("\xe0\7\x04\5\x11\0\0\0\x0a"), true, 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct owner owner;
        uint32_t delay_s = 0;
        open_connected(&owner, CONNECT_WILL);
        (void)(feed(&owner, rows[i].last, 0) == RC_OK);
        assert_true(broker_mqtt_session_is_over(owner.session));
        AUTO_OF(message) *will = broker_mqtt_session_take_will(owner.session, &delay_s);
        assert_int_equal(will != NULL, rows[i].published);
        if (will != NULL) {
            assert_true(bytes_equal_text(broker_message_payload(will), "hi"));
            assert_true(broker_message_is_retained(will) && broker_message_qos(will) == 1);
            assert_int_equal(delay_s, rows[i].delay_s);
            assert_int_equal(broker_message_properties(will).present, 0);
        }
        broker_message_release(will);
        will = NULL;
        close_owner(&owner);
    }
}

static void a_lost_connection_leaves_the_will(void **state)
{
    struct owner owner;
    uint32_t delay_s;

    (void)state;
    open_connected(&owner, CONNECT_WILL);
    broker_mqtt_session_lost(owner.session);
    says(&owner, BYTES(""));
    struct message *will = broker_mqtt_session_take_will(owner.session, &delay_s);
    assert_non_null(will);
    assert_null(broker_mqtt_session_take_will(owner.session, &delay_s));
    broker_message_release(will);
    close_owner(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connack_tells_what_is_offered),
        cmocka_unit_test(only_what_the_table_allows_is_taken),
        cmocka_unit_test(connect_comes_first_and_once),
        cmocka_unit_test(each_violation_ends_with_its_reason),
        cmocka_unit_test(a_refused_connect_gets_its_connack),
        cmocka_unit_test(nothing_is_read_until_connect_is_decided),
        cmocka_unit_test(pubacks_leave_in_order),
        cmocka_unit_test(receive_maximum_ends_a_client_of_5_and_stops_one_of_3_1_1),
        cmocka_unit_test(topic_aliases_are_remembered_and_replaced),
        cmocka_unit_test(answers_without_room_end_the_session),
        cmocka_unit_test(subscriptions_are_answered_in_both_versions),
        cmocka_unit_test(silence_ends_after_one_and_a_half_keep_alives),
        cmocka_unit_test(connecting_has_a_deadline),
        cmocka_unit_test(the_will_outlives_all_but_an_orderly_goodbye),
        cmocka_unit_test(a_lost_connection_leaves_the_will),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
