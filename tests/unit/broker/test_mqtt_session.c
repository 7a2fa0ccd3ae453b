#include "tests/support/check.h"

#include <string.h>

#include "broker/mqtt_ack.h"
#include "broker/mqtt_session.h"

static const struct mqtt_session_limits LIMITS = {
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
    .keep_alive_max_s = 600,
};

/* The owner: accepts everything at once unless told otherwise, and notes what it was told. */
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

static void on_connect(void *with, const struct mqtt_connect *connect)
{
    struct owner *owner = with;

    (void)connect;
    owner->connects++;
    if (!owner->silent)
        broker_mqtt_session_accept(owner->session, false, BYTES("assigned"), 0);
}

static void on_publish(void *with, const struct mqtt_publish *publish)
{
    struct owner *owner = with;

    owner->publishes++;
    owner->last_id = publish->packet_id;
    assert_true(publish->topic.len < sizeof owner->topic);
    memcpy(owner->topic, publish->topic.at, publish->topic.len);
    owner->topic[publish->topic.len] = 0;
}

static void on_subscribe(void *with, const struct mqtt_subscribe *subscribe)
{
    struct owner *owner = with;

    owner->subscribes++;
    broker_mqtt_session_answer(owner->session, subscribe->type, subscribe->packet_id,
                               (struct bytes){ (const uint8_t *)"\1\2\0\0", subscribe->count });
}

static void on_delivered(void *with, const struct message *message, enum mqtt_reason reason)
{
    struct owner *owner = with;

    assert_non_null(message);
    owner->delivered++;
    owner->last_reason = reason;
}

static void open_with(struct owner *owner, const struct mqtt_session_limits *limits,
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

static void close_owner(struct owner *owner)
{
    broker_mqtt_session_free(owner->session);
    assert_int_equal(broker_message_pool_bytes(owner->pool), 0);
    broker_message_pool_free(owner->pool);
    buf_clear(&owner->out);
}

/* One packet's bytes, framed as the door would; what the session says replaces out. */
static enum rc feed(struct owner *owner, struct bytes wire, int64_t now_ms)
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

static void open_connected(struct owner *owner, struct bytes connect)
{
    open_with(owner, &LIMITS, 4096);
    assert_int_equal(feed(owner, connect, 0), RC_OK);
    assert_int_equal(owner->connects, 1);
    buf_reset(&owner->out);
}

static void says(struct owner *owner, struct bytes expected)
{
    assert_int_equal(owner->out.len, expected.len);
    assert_memory_equal(owner->out.at, expected.at, expected.len);
    buf_reset(&owner->out);
}

static void connack_tells_what_is_offered(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &LIMITS, 4096);
    /* Expiry 1000 s, no keep alive, no client identifier. */
    assert_int_equal(feed(&owner, BYTES("\x10\x12\0\4MQTT\5\2\0\0\5\x11\0\0\x03\xe8\0\0"), 0),
                     RC_OK);
    says(&owner, BYTES("\x20\x25\0\0\x22\x11\0\0\0\x64\x21\0\2\x24\1\x27\0\0\3\xe8\x12\0\10"
                       "assigned\x22\0\3\x13\2\x58\x2a\0"));
    close_owner(&owner);
    open_with(&owner, &LIMITS, 4096);
    assert_int_equal(feed(&owner, CONNECT_3_1_1, 0), RC_OK);
    says(&owner, BYTES("\x20\2\0\0"));
    close_owner(&owner);
}

/* Every packet in every state that an owner can see, against the text of the specification. */
static void only_what_the_table_allows_is_taken(void **state)
{
    static const char *const ALLOWED[] = { "CONNECT", "",
                                           "PUBLISH PUBACK SUBSCRIBE UNSUBSCRIBE PINGREQ "
                                           "DISCONNECT",
                                           "" };

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
    open_with(&owner, &LIMITS, 4096);
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
        open_with(&owner, &LIMITS, 4096);
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
    open_with(&owner, &LIMITS, 4096);
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
    open_with(&owner, &LIMITS, 400);
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

static void answers_without_room_end_the_session(void **state)
{
    struct owner owner;

    (void)state;
    open_with(&owner, &LIMITS, 16);
    assert_int_equal(feed(&owner, CONNECT_3_1_1, 0), RC_OK);
    enum rc rc = RC_OK;
    for (int i = 0; i < 20 && rc == RC_OK; i++)
        rc = feed(&owner, BYTES("\xc0\0"), 0);
    assert_int_equal(rc, RC_LIMIT);
    assert_true(broker_mqtt_session_is_over(owner.session));
    assert_int_equal(broker_mqtt_session_reason(owner.session), MQTT_QUOTA_EXCEEDED);
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
    open_with(&owner, &LIMITS, 4096);
    assert_int_equal(feed(&owner, BYTES("\x10\x13\0\4MQTT\5\2\0\x0a\5\x27\0\0\0\x05\0\1c"), 0),
                     RC_OK);
    assert_true(broker_mqtt_session_is_over(owner.session));
    says(&owner, BYTES(""));
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
    open_with(&owner, &LIMITS, 4096);
    broker_mqtt_session_tick(owner.session, 4999);
    assert_false(broker_mqtt_session_is_over(owner.session));
    owner.silent = true;
    assert_int_equal(feed(&owner, CONNECT_5, 4999), RC_OK);
    broker_mqtt_session_tick(owner.session, 5000);
    says(&owner, BYTES("\x20\3\0\x88\0"));
    close_owner(&owner);
    open_with(&owner, &LIMITS, 4096);
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
        cmocka_unit_test(the_window_opens_with_each_puback),
        cmocka_unit_test(the_clients_receive_maximum_is_the_window),
        cmocka_unit_test(identifiers_run_through_all_numbers_but_zero),
        cmocka_unit_test(a_slow_reader_loses_qos_0_and_keeps_qos_1),
        cmocka_unit_test(answers_without_room_end_the_session),
        cmocka_unit_test(the_clients_maximum_packet_size_is_kept),
        cmocka_unit_test(subscriptions_are_answered_in_both_versions),
        cmocka_unit_test(silence_ends_after_one_and_a_half_keep_alives),
        cmocka_unit_test(connecting_has_a_deadline),
        cmocka_unit_test(the_will_outlives_all_but_an_orderly_goodbye),
        cmocka_unit_test(a_lost_connection_leaves_the_will),
        cmocka_unit_test(queued_messages_keep_their_subscription_identifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
