/* threaded */
/* What a rule wants logged in full is a record for each act; with what is counted, every act is
 * told once; and whoever makes more of these than there is room for waits. */
#include "tests/unit/broker/door_client.h"

enum { CHUNK = 64 * 1024 };
static const char IN_FULL[] = "allow device connect\n"
                              "allow device publish, subscribe, receive, retain, will \"t/#\"\n"
                              "allow device publish \"t/a\" log full\n";
static const char COUNTED[] =
    "allow device connect\nallow device publish \"t/#\" payload 5000\n";

static int prepare_narrow(void **state)
{
    struct world *w = make_world();

    w->pending_most = 3 * CHUNK; /* 192 records */
    open_disk(w);
    open_door(w);
    await_listening(w);
    *state = w;
    return 0;
}

static int prepare_small_spool(void **state)
{
    struct world *w = make_world();

    w->spool_most = 2 * CHUNK;
    open_disk(w);
    open_door(w);
    await_listening(w);
    *state = w;
    return 0;
}

static int prepare_little_kept(void **state)
{
    struct world *w = make_world();

    w->retained_most = 1;
    open_disk(w);
    open_door(w);
    await_listening(w);
    *state = w;
    return 0;
}

static void in_full(struct world *w, struct buf *list)
{
    add_policy(w, list, IN_FULL);
}

static void counted(struct world *w, struct buf *list)
{
    add_policy(w, list, COUNTED);
}

static void *publish_and_stay(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        for (unsigned i = 1; i <= ROUNDS; i++)
            client_publish(c, (uint16_t)i, i % 4 == 0);
        client_take(c, ROUNDS);
    }
    client_take(c, UINT32_MAX);
    client_close(c);
    return NULL;
}

/* Until the door's records are at the authority. */
static void await_acts(struct world *w, enum audit_action action, unsigned acts)
{
    for (int i = 0; i < 1000 && w->acts[action] < acts; i++)
        turn(w);
    assert_int_equal(w->acts[action], acts);
}

static void await_acknowledged(struct world *w, struct client clients[], unsigned count)
{
    for (unsigned i = 0; i < count;) {
        assert_false(atomic_load(&clients[i].ended));
        turn(w);
        i += atomic_load(&clients[i].acknowledged) == ROUNDS;
    }
}

static void each_act_is_a_record_with_size_and_qos(void **state)
{
    struct world *w = *state;
    struct client c;

    tell(w, in_full);
    start(w, &c, 0, publish_and_stay);
    await_acknowledged(w, &c, 1);
    await_acts(w, AUDIT_PUBLISH, ROUNDS);
    assert_int_equal(w->alone[AUDIT_PUBLISH], ROUNDS);
    assert_int_equal(w->records[AUDIT_PUBLISH], ROUNDS);
    assert_int_equal(w->last.action, AUDIT_PUBLISH);
    assert_int_equal(w->last.rule, 2); /* the first that allows is told; the strictest holds */
    assert_int_equal(w->last.policy_version, w->policy_version);
    assert_string_equal(w->last_reason, "10 octets, QoS 1, retained");
    await_acts(w, AUDIT_RETAIN, ROUNDS / 4); /* no rule wants these in full */
    assert_int_equal(w->alone[AUDIT_RETAIN], 0);
    tell(w, suspend_all);
    pthread_join(c.thread, NULL);
}

/* Under one policy counted, under the next one by one: the sum is what was done. */
static void what_is_counted_and_what_is_told_one_by_one_are_all(void **state)
{
    struct world *w = *state;
    struct client first, second;

    tell(w, counted);
    start(w, &first, 0, publish_only);
    while (atomic_load(&first.acknowledged) < ROUNDS)
        turn(w);
    pthread_join(first.thread, NULL);
    tell(w, in_full);
    start(w, &second, 1, publish_only);
    while (atomic_load(&second.acknowledged) < ROUNDS)
        turn(w);
    pthread_join(second.thread, NULL);
    await_acts(w, AUDIT_PUBLISH, 2 * ROUNDS);
    assert_int_equal(w->alone[AUDIT_PUBLISH], ROUNDS);
    assert_true(w->records[AUDIT_PUBLISH] > ROUNDS);
}

static void who_makes_more_than_there_is_room_for_waits(void **state)
{
    struct world *w = *state;
    struct client clients[CLIENTS];

    tell(w, in_full);
    for (unsigned i = 0; i < CLIENTS; i++)
        start(w, &clients[i], i, publish_and_stay);
    await_acknowledged(w, clients, CLIENTS);
    await_acts(w, AUDIT_PUBLISH, CLIENTS * ROUNDS);
    assert_int_equal(w->alone[AUDIT_PUBLISH], CLIENTS * ROUNDS);
    tell(w, suspend_all);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
}

static bool is_over(struct client clients[], unsigned *acknowledged)
{
    unsigned ended = 0, over = 0;

    *acknowledged = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        unsigned own = atomic_load(&clients[i].acknowledged);
        *acknowledged += own;
        ended += atomic_load(&clients[i].ended);
        over += atomic_load(&clients[i].ended) || own == ROUNDS;
    }
    return ended > 0 && over == CLIENTS;
}

/* Nothing that was acknowledged is missing when the authority takes records again. */
static void a_full_spool_ends_sessions_and_does_not_hold_them(void **state)
{
    struct world *w = *state;
    struct client clients[CLIENTS];
    unsigned acknowledged = 0;

    tell(w, in_full);
    w->holds = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        start(w, &clients[i], i, publish_and_stay);
    for (int i = 0; i < 3000 && !is_over(clients, &acknowledged); i++)
        turn(w);
    assert_true(is_over(clients, &acknowledged));
    w->holds = false;
    assert_non_null(w->held.kind);
    answer(&w->held, &(struct registry_answer){ .sequence = w->taken });
    for (int i = 0; i < 3000 && w->acts[AUDIT_PUBLISH] < acknowledged; i++)
        turn(w);
    assert_true(w->acts[AUDIT_PUBLISH] >= acknowledged);
    assert_true(w->acts[AUDIT_PUBLISH] <= CLIENTS * ROUNDS);
    tell(w, suspend_all);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

/* In one write: when it turns out that the second cannot be kept, its client has left. */
static void *keep_two_and_leave(void *with)
{
    struct client *c = with;
    AUTO_BUF(out, 512);

    if (client_connect(c)) {
        for (uint16_t i = 1; i <= 2; i++) {
            const struct mqtt_publish publish = { .topic = i == 1 ? BYTES("t/a") : BYTES("t/b"),
                                                  .payload = BYTES("0123456789"),
                                                  .packet_id = i,
                                                  .qos = 1,
                                                  .retain = true };
            broker_mqtt_publish_write(&publish, MQTT_5, &out);
        }
        buf_add(&out, BYTES("\xe0\0")); /* DISCONNECT */
        client_write(c, &out);
        while (client_next(c) != 0)
            ;
    }
    client_close(c);
    return NULL;
}

struct failed {
    unsigned count;
    enum audit_actor_kind kind;
    char target[16];
};

static void hear_failed(struct world *w, const struct audit_record *record)
{
    struct failed *failed = w->hears;

    if (record->action != AUDIT_RETAIN || record->decision != AUDIT_FAILED)
        return;
    failed->count++;
    failed->kind = record->actor_kind;
    memcpy(failed->target, record->target.at,
           record->target.len < 15 ? record->target.len : 15);
}

static void what_could_not_be_kept_is_told_of_a_client_that_left(void **state)
{
    struct world *w = *state;
    struct failed failed = { 0 };
    struct client c;

    w->heard = hear_failed;
    w->hears = &failed;
    tell(w, in_full);
    start(w, &c, 0, keep_two_and_leave);
    await_acts(w, AUDIT_RETAIN, 3); /* two allowed, one of which failed */
    pthread_join(c.thread, NULL);
    assert_int_equal(failed.count, 1);
    assert_int_equal(failed.kind, AUDIT_DEVICE);
    assert_string_equal(failed.target, "t/b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_act_is_a_record_with_size_and_qos),
        TEST(what_is_counted_and_what_is_told_one_by_one_are_all),
        cmocka_unit_test_setup_teardown(who_makes_more_than_there_is_room_for_waits,
                                        prepare_narrow, clean),
        cmocka_unit_test_setup_teardown(a_full_spool_ends_sessions_and_does_not_hold_them,
                                        prepare_small_spool, clean),
        cmocka_unit_test_setup_teardown(what_could_not_be_kept_is_told_of_a_client_that_left,
                                        prepare_little_kept, clean),
    };

    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
