#include "tests/support/mqtt_owner.h"

static struct message *new_message(struct owner *owner, size_t payload, uint8_t qos)
{
    static const uint8_t zeros[4096];
    struct mqtt_publish publish = { .topic = BYTES("t"),
                                    .payload = { zeros, payload },
                                    .qos = qos };
    struct message *message = NULL;

    assert_int_equal(broker_message_new(owner->pool, &publish, 0, &message), RC_OK);
    return message;
}

static enum mqtt_delivered deliver(struct owner *owner, size_t payload, uint8_t qos)
{
    AUTO_OF(message) *message = new_message(owner, payload, qos);

    return broker_mqtt_session_deliver(owner->session, message,
                                       &(struct message_delivery){ .qos = 1 });
}

static void the_window_opens_with_each_puback(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(deliver(&owner, 0, 1), MQTT_SENT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(deliver(&owner, 0, 1), MQTT_QUEUED);
    assert_int_equal(deliver(&owner, 0, 1), MQTT_DROPPED);
    assert_int_equal(deliver(&owner, 0, 0), MQTT_SENT);
    says(&owner, BYTES("\x32\6\0\1t\0\1\0\x32\6\0\1t\0\2\0\x32\6\0\1t\0\3\0\x30\4\0\1t\0"));
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\2"), 0), RC_OK);
    says(&owner, BYTES("\x32\6\0\1t\0\4\0"));
    assert_int_equal(feed(&owner, BYTES("\x40\3\0\1\x87"), 0), RC_OK);
    assert_int_equal(owner.last_reason, MQTT_NOT_AUTHORIZED);
    says(&owner, BYTES("\x32\6\0\1t\0\5\0"));
    /* Unknown and repeated identifiers do nothing. */
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\1"), 0), RC_OK);
    assert_int_equal(feed(&owner, BYTES("\x40\2\xff\xff"), 0), RC_OK);
    says(&owner, BYTES(""));
    assert_int_equal(owner.delivered, 2);
    assert_int_equal(broker_mqtt_session_dropped(owner.session), 1);
    close_owner(&owner);
}

static void the_clients_receive_maximum_is_the_window(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, BYTES("\x10\x11\0\4MQTT\5\2\0\x0a\3\x21\0\1\0\1c"));
    assert_int_equal(deliver(&owner, 0, 1), MQTT_SENT);
    assert_int_equal(deliver(&owner, 0, 1), MQTT_QUEUED);
    close_owner(&owner);
}

static bool keeps(void *with, const struct message *message)
{
    return broker_message_payload(message).len > *(const size_t *)with;
}

/* What was sent stays until its PUBACK; of the rest, what is allowed no more is never sent. */
static void what_waits_is_judged_again(void **state)
{
    struct owner owner;
    size_t least = 2;

    (void)state;
    open_connected(&owner, BYTES("\x10\x11\0\4MQTT\5\2\0\x0a\3\x21\0\1\0\1c"));
    assert_int_equal(deliver(&owner, 1, 1), MQTT_SENT);
    for (size_t payload = 2; payload <= 5; payload++)
        assert_int_equal(deliver(&owner, payload, 1), MQTT_QUEUED);
    says(&owner, BYTES("\x32\7\0\1t\0\1\0\0"));
    assert_int_equal(broker_mqtt_session_review(owner.session, keeps, &least), 1);
    least = 4;
    assert_int_equal(broker_mqtt_session_review(owner.session, keeps, &least), 2);
    assert_int_equal(broker_mqtt_session_review(owner.session, keeps, &least), 0);
    assert_int_equal(broker_mqtt_session_dropped(owner.session), 3);
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\1"), 0), RC_OK);
    says(&owner, BYTES("\x32\x0b\0\1t\0\2\0\0\0\0\0\0"));
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\2"), 0), RC_OK);
    assert_int_equal(owner.delivered, 2);
    assert_int_equal(deliver(&owner, 0, 1), MQTT_SENT);
    close_owner(&owner);
}

static void identifiers_run_through_all_numbers_but_zero(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, CONNECT_3_1_1);
    for (uint32_t i = 0; i < 65535 + 3; i++) {
        uint8_t id[2];
        assert_int_equal(deliver(&owner, 0, 1), MQTT_SENT);
        memcpy(id, owner.out.at + 5, 2);
        assert_int_equal(id[0] << 8 | id[1], i % 65535 + 1);
        buf_reset(&owner.out);
        assert_int_equal(
            feed(&owner, (struct bytes){ (uint8_t[]){ 0x40, 2, id[0], id[1] }, 4 }, 0), RC_OK);
        if (i % 1000 == 0)
            broker_mqtt_session_tick(owner.session, 0);
    }
    assert_int_equal(owner.delivered, 65535 + 3);
    close_owner(&owner);
}

static void a_slow_reader_loses_qos_0_and_keeps_qos_1(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &OWNER_LIMITS, 400);
    assert_int_equal(feed(&owner, CONNECT_3_1_1, 0), RC_OK);
    buf_reset(&owner.out);
    assert_int_equal(deliver(&owner, 200, 0), MQTT_SENT);
    assert_false(broker_mqtt_session_wants_input(owner.session));
    assert_int_equal(deliver(&owner, 200, 0), MQTT_DROPPED);
    assert_int_equal(deliver(&owner, 200, 1), MQTT_QUEUED);
    assert_int_equal(deliver(&owner, 301, 1), MQTT_DROPPED);
    buf_reset(&owner.out);
    broker_mqtt_session_resume(owner.session, 0);
    assert_int_equal(owner.out.len, 3 + 3 + 2 + 200);
    close_owner(&owner);
}

static void the_clients_maximum_packet_size_is_kept(void **state)
{
    struct owner owner;

    (void)state;
    open_connected(&owner, BYTES("\x10\x13\0\4MQTT\5\2\0\x0a\5\x27\0\0\0\x32\0\1c"));
    assert_int_equal(deliver(&owner, 50 - 6, 0), MQTT_SENT);
    assert_int_equal(deliver(&owner, 50 - 5, 0), MQTT_DROPPED);
    assert_int_equal(deliver(&owner, 50 - 7, 1), MQTT_DROPPED);
    assert_int_equal(deliver(&owner, 50 - 8, 1), MQTT_SENT);
    close_owner(&owner);
    open_with(&owner, &OWNER_LIMITS, 4096);
    assert_int_equal(feed(&owner, BYTES("\x10\x13\0\4MQTT\5\2\0\x0a\5\x27\0\0\0\x05\0\1c"), 0),
                     RC_OK);
    assert_true(broker_mqtt_session_is_over(owner.session));
    says(&owner, BYTES(""));
    close_owner(&owner);
}

static void queued_messages_keep_their_subscription_identifiers(void **state)
{
    struct owner owner;
    uint32_t identifiers[] = { 1, 2 };

    (void)state;
    open_connected(&owner, BYTES("\x10\x11\0\4MQTT\5\2\0\x0a\3\x21\0\1\0\1c"));
    assert_int_equal(deliver(&owner, 0, 1), MQTT_SENT);
    for (size_t count = 1; count <= 2; count++) {
        AUTO_OF(message) *message = new_message(&owner, 0, 1);
        assert_int_equal(broker_mqtt_session_deliver(
                             owner.session, message,
                             &(struct message_delivery){ .qos = 1,
                                                         .identifiers = identifiers,
                                                         .identifier_count = count }),
                         MQTT_QUEUED);
    }
    buf_reset(&owner.out);
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\1"), 0), RC_OK);
    says(&owner, BYTES("\x32\x08\0\1t\0\2\2\x0b\1"));
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\2"), 0), RC_OK);
    says(&owner, BYTES("\x32\x0a\0\1t\0\3\4\x0b\1\x0b\2"));
    close_owner(&owner);
}

/* One that reads nothing keeps a bounded part of what all share, however few messages it is. */
static void what_waits_is_bounded_in_bytes(void **state)
{
    struct owner owner;
    size_t queued = 0;

    (void)state;
    open_connected(&owner, BYTES("\x10\x11\0\4MQTT\5\2\0\x0a\3\x21\0\1\0\1c"));
    while (deliver(&owner, 600, 1) != MQTT_DROPPED) /* a block of 1024 each */
        queued++;
    assert_int_equal(queued, 2);
    assert_int_equal(broker_message_pool_bytes(owner.pool), OWNER_LIMITS.queue_bytes);
    assert_int_equal(broker_mqtt_session_dropped(owner.session), 1);
    assert_int_equal(feed(&owner, BYTES("\x40\2\0\1"), 0), RC_OK);
    assert_int_equal(deliver(&owner, 600, 1), MQTT_QUEUED);
    assert_int_equal(deliver(&owner, 0, 1), MQTT_DROPPED);
    close_owner(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_opens_with_each_puback),
        cmocka_unit_test(what_waits_is_bounded_in_bytes),
        cmocka_unit_test(the_clients_receive_maximum_is_the_window),
        cmocka_unit_test(what_waits_is_judged_again),
        cmocka_unit_test(identifiers_run_through_all_numbers_but_zero),
        cmocka_unit_test(a_slow_reader_loses_qos_0_and_keeps_qos_1),
        cmocka_unit_test(the_clients_maximum_packet_size_is_kept),
        cmocka_unit_test(queued_messages_keep_their_subscription_identifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
