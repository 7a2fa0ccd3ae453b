/* threaded */
/* Mail and messages between threads, as the door's workers hand them to each other. */
#include "tests/support/check.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "broker/message.h"
#include "broker/post.h"

enum { PARTIES = 4, MESSAGES = 20000, TURN = 100, PAYLOAD = 100 };

struct party {
    struct broker_post *post;
    unsigned number;
    struct message_pool *pool;
    pthread_t thread;
    uint64_t got[PARTIES]; /* the last number from each: they come in order */
    unsigned wrong, received, ended;
    size_t alive_bytes;
};

static struct message *make(struct party *party, uint64_t number)
{
    static const uint8_t payload[PAYLOAD] = { 0 };
    const struct mqtt_publish publish = { .topic = BYTES("a/b"),
                                          .payload = BYTES_OF(payload),
                                          .qos = (uint8_t)(number % 2) };
    struct message *message = NULL;

    if (broker_message_new(party->pool, &publish, 0, &message) != RC_OK)
        abort();
    return message;
}

static void send_to_all(struct party *party, const struct broker_mail *mail)
{
    for (unsigned to = 0; to < PARTIES; to++) {
        struct broker_mail one = *mail;
        if (to == party->number)
            continue;
        if (mail->what != NULL)
            one.what = broker_message_hold(mail->what);
        if (broker_post_send(party->post, party->number, to, &one) != RC_OK)
            abort();
    }
}

static void take(struct party *party, const struct broker_mail *mail)
{
    if (mail->kind == BROKER_MAIL_STOP) {
        party->ended++;
        return;
    }
    party->wrong += mail->number != ++party->got[mail->from];
    party->wrong += broker_message_payload(mail->what).len != PAYLOAD;
    party->received++;
    broker_message_release(mail->what);
}

static void take_all(struct party *party)
{
    struct broker_mail mail;

    broker_post_open(party->post, party->number);
    while (broker_post_next(party->post, party->number, &mail))
        take(party, &mail);
}

static void publish_a_turn(struct party *party, uint64_t *number)
{
    for (unsigned i = 0; i < TURN && *number < MESSAGES; i++) {
        struct message *message = make(party, ++*number);
        send_to_all(party, &(struct broker_mail){ .kind = BROKER_MAIL_PUBLISH,
                                                  .number = *number,
                                                  .what = message });
        broker_message_release(message);
    }
}

static void wait_for_bell(const struct party *party)
{
    struct pollfd bell = { broker_post_bell(party->post, party->number), POLLIN, 0 };

    /* Jammed mail waits for us, and no bell tells of it. */
    if (poll(&bell, 1, broker_post_is_jammed(party->post, party->number) ? 1 : 1000) < 0)
        abort();
}

static void *run(void *with)
{
    struct party *party = with;
    const struct broker_mail stop = { .kind = BROKER_MAIL_STOP };
    uint64_t number = 0;

    broker_message_pool_adopt(party->pool);
    while (number < MESSAGES) {
        if (!broker_post_is_jammed(party->post, party->number))
            publish_a_turn(party, &number);
        take_all(party);
        broker_post_deliver(party->post, party->number);
    }
    send_to_all(party, &stop);
    while (party->ended < PARTIES - 1 || broker_post_is_jammed(party->post, party->number)) {
        broker_post_deliver(party->post, party->number);
        wait_for_bell(party);
        take_all(party);
    }
    return NULL;
}

static void all_mail_arrives_in_order_and_all_messages_come_home(void **state)
{
    const struct message_pool_limits limits = { 256 << 20, 1 << 20 };
    struct party parties[PARTIES] = { 0 };
    AUTO_OF(broker_post) *post = NULL;

    (void)state;
    assert_int_equal(broker_post_new(PARTIES, &post), RC_OK);
    for (unsigned i = 0; i < PARTIES; i++) {
        parties[i].post = post;
        parties[i].number = i;
        assert_int_equal(broker_message_pool_new(&limits, &parties[i].pool), RC_OK);
    }
    for (unsigned i = 0; i < PARTIES; i++)
        assert_int_equal(pthread_create(&parties[i].thread, NULL, run, &parties[i]), 0);
    for (unsigned i = 0; i < PARTIES; i++)
        pthread_join(parties[i].thread, NULL);
    for (unsigned i = 0; i < PARTIES; i++) {
        assert_int_equal(parties[i].wrong, 0);
        assert_int_equal(parties[i].received, (PARTIES - 1) * MESSAGES);
        broker_message_pool_adopt(parties[i].pool);
        broker_message_pool_free(parties[i].pool); /* asserts that none is alive */
    }
}

static void a_full_ring_jams_its_sender_and_loses_nothing(void **state)
{
    AUTO_OF(broker_post) *post = NULL;
    struct broker_mail mail = { .kind = BROKER_MAIL_PUBLISH };
    uint64_t expected = 0;

    (void)state;
    assert_int_equal(broker_post_new(3, &post), RC_OK);
    for (uint64_t i = 1; i <= 5000; i++) {
        mail.number = i;
        assert_int_equal(broker_post_send(post, 0, 1, &mail), RC_OK);
    }
    assert_true(broker_post_is_jammed(post, 0));
    while (expected < 5000) {
        broker_post_deliver(post, 0);
        while (broker_post_next(post, 1, &mail))
            assert_int_equal(mail.number, ++expected);
    }
    assert_false(broker_post_is_jammed(post, 0));
    assert_false(broker_post_next(post, 2, &mail));
}

static size_t take_a_turn(struct broker_post *post, unsigned to, struct broker_mail *first)
{
    struct broker_mail mail;
    size_t taken = 0;

    broker_post_open(post, to);
    while (broker_post_next(post, to, taken == 0 ? first : &mail))
        taken++;
    return taken;
}

static void a_flood_ends_a_turn_and_main_is_heard_first(void **state)
{
    AUTO_OF(broker_post) *post = NULL;
    const struct broker_mail mail = { .kind = BROKER_MAIL_PUBLISH };
    struct broker_mail first = { 0 };

    (void)state;
    assert_int_equal(broker_post_new(5, &post), RC_OK);
    for (int i = 0; i < BROKER_POST_TURN / 2; i++)
        for (unsigned from = 2; from < 4; from++)
            assert_int_equal(broker_post_send(post, from, 4, &mail), RC_OK);
    assert_int_equal(broker_post_send(post, BROKER_POST_MAIN, 4, &mail), RC_OK);
    assert_int_equal(take_a_turn(post, 4, &first), BROKER_POST_TURN);
    assert_int_equal(first.from, BROKER_POST_MAIN);
    struct pollfd bell = { broker_post_bell(post, 4), POLLIN, 0 };
    assert_int_equal(poll(&bell, 1, 0), 1);
    assert_int_equal(take_a_turn(post, 4, &first), 1);
    assert_int_equal(poll(&bell, 1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_jams_its_sender_and_loses_nothing),
        cmocka_unit_test(a_flood_ends_a_turn_and_main_is_heard_first),
        cmocka_unit_test(all_mail_arrives_in_order_and_all_messages_come_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
