/* threaded */
/* A whole door with its threads, and real TLS and MQTT clients on loopback. */
#include "tests/unit/broker/door_client.h"

static void *talk(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        client_subscribe(c, BYTES("t/#"));
        while (!atomic_load(&c->ready) && client_next(c) != MQTT_SUBACK)
            continue;
        atomic_store(&c->ready, true);
        for (unsigned i = 1; i <= ROUNDS && !atomic_load(&c->ended); i++)
            client_publish(c, (uint16_t)i, i % 20 == 0);
        client_take(c, ROUNDS);
    }
    /* Whoever is done goes on listening, until it is sent away. */
    client_take(c, UINT32_MAX);
    client_close(c);
    return NULL;
}

/* ---- Claims ---- */

/* Each gets every message of everybody who published after its SUBACK; its own, at least. */
static void devices_on_all_workers_talk_until_they_are_cut(void **state)
{
    struct world *w = *state;
    struct client clients[CLIENTS];

    for (unsigned i = 0; i < CLIENTS; i++)
        start(w, &clients[i], i, talk);
    for (unsigned i = 0; i < CLIENTS;) {
        turn(w);
        i += atomic_load(&clients[i].acknowledged) == ROUNDS &&
             atomic_load(&clients[i].received) >= ROUNDS;
    }
    tell(w, suspend_all); /* returns when the door says that all are cut */
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].farewell, MQTT_ADMINISTRATIVE_ACTION);
    }
    broker_door_free(TAKE(w->door)); /* whose recorder has the spool until then */
    assert_true(audit_spool_sequence(w->spool) >= 2 * CLIENTS);
}

static void *listen_only(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        client_subscribe(c, BYTES("t/#"));
        client_take(c, UINT32_MAX);
    }
    client_close(c);
    return NULL;
}

static void the_second_with_the_same_certificate_ends_the_first(void **state)
{
    struct world *w = *state;
    struct client first, second;

    for (unsigned round = 0; round < 8; round++) { /* on one worker, and on two */
        start(w, &first, 0, listen_only);
        while (!atomic_load(&first.ready))
            turn(w);
        start(w, &second, 0, listen_only);
        while (!atomic_load(&second.ready) || !atomic_load(&first.ended))
            turn(w);
        pthread_join(first.thread, NULL);
        assert_int_equal(first.farewell, MQTT_SESSION_TAKEN_OVER);
        shutdown(second.fd, SHUT_RDWR);
        pthread_join(second.thread, NULL);
    }
}

static void less(struct world *w, struct buf *list)
{
    add_policy(w, list, LESS);
}

static void a_subscription_that_a_new_policy_does_not_allow_gets_nothing(void **state)
{
    struct world *w = *state;
    struct client reader, writer;

    start(w, &reader, 0, listen_only);
    while (!atomic_load(&reader.ready))
        turn(w);
    tell(w, less);
    start(w, &writer, 1, publish_only);
    while (atomic_load(&writer.acknowledged) < ROUNDS)
        turn(w);
    pthread_join(writer.thread, NULL);
    assert_false(atomic_load(&reader.ended));
    assert_int_equal(atomic_load(&reader.received), 0);
    tell(w, suspend_all);
    pthread_join(reader.thread, NULL);
}

static void an_unknown_certificate_is_asked_about_and_turned_away(void **state)
{
    struct world *w = *state;
    struct client stranger;
    EVP_PKEY *key = w->devices[3].key;

    X509_free(w->devices[3].certificate);
    w->devices[3].certificate = certify("stranger", key, w->ca, w->ca_key);
    start(w, &stranger, 3, listen_only);
    for (int i = 0; i < 20; i++)
        turn(w);
    pthread_join(stranger.thread, NULL);
    assert_false(atomic_load(&stranger.ready));
}

static void it_stops_with_a_farewell(void **state)
{
    struct world *w = *state;
    struct client c;

    start(w, &c, 0, listen_only);
    while (!atomic_load(&c.ready))
        turn(w);
    broker_door_free(TAKE(w->door));
    pthread_join(c.thread, NULL);
    assert_int_equal(c.farewell, MQTT_SERVER_SHUTTING_DOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(devices_on_all_workers_talk_until_they_are_cut),
        TEST(the_second_with_the_same_certificate_ends_the_first),
        TEST(a_subscription_that_a_new_policy_does_not_allow_gets_nothing),
        TEST(an_unknown_certificate_is_asked_about_and_turned_away),
        TEST(it_stops_with_a_farewell),
    };

    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
