/* threaded */
/* What the log says of connections that came to nothing is true of each. */
#include "base/text.h"
#include "tests/unit/broker/door_client.h"

enum { TRIES = 16, PLACES = 2, CHUNK = 64 * 1024, LARGE_SLOTS = 16 };

/* How a stranger goes, and what is said of that. */
enum leaving { GARBAGE, HTTP, CLOSES, RESETS, LEAVINGS };
static const char *const SAYS[LEAVINGS] = {
    [GARBAGE] = "TLS handshake: unexpected message",
    [HTTP] = "TLS handshake: http request",
    [CLOSES] = "TLS handshake: ended by the other side",
    [RESETS] = "TLS handshake: ended by the other side",
};

struct strangers {
    unsigned count, told;
    uint16_t ports[TRIES * LEAVINGS];
    enum leaving how[TRIES * LEAVINGS];
};

static uint16_t port_of(struct bytes peer)
{
    uint64_t port = 0;

    while (peer.len > 0 && memchr(peer.at, ':', peer.len) != NULL) {
        peer.at++;
        peer.len--;
    }
    assert_int_equal(text_read_u64(peer, UINT16_MAX, &port), RC_OK);
    return (uint16_t)port;
}

static void expect_own_reason(struct world *w, const struct audit_record *record)
{
    struct strangers *all = w->hears;

    if (record->action != AUDIT_HANDSHAKE || record->aggregate.count > 0)
        return;
    for (unsigned i = 0; i < all->count; i++)
        if (all->ports[i] == port_of(record->peer)) {
            char said[AUDIT_REASON_MAX + 1] = "";
            sample_text(said, record->reason);
            assert_string_equal(said, SAYS[all->how[i]]);
            all->told++;
            return;
        }
    fail_msg("a handshake of nobody");
}

/* From 127.0.0.1 and so on: the whole of 127.0.0.0/8 is this machine's. */
static int come(const struct world *w, uint32_t from, uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + from);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    address.sin_port = htons(w->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void come_and_leave(struct world *w, enum leaving how)
{
    static const char *const WORDS[LEAVINGS] = {
        [GARBAGE] = "\x16\x03\x01\x00\x05hello",
        [HTTP] = "GET / HTTP/1.1\r\n\r\n",
    };
    const struct linger reset = { 1, 0 };
    struct strangers *all = w->hears;
    char answer[16];
    int fd = come(w, 0, &all->ports[all->count]);

    all->how[all->count++] = how;
    if (WORDS[how] != NULL) {
        size_t len = how == GARBAGE ? 10 : strlen(WORDS[how]);
        assert_int_equal(send(fd, WORDS[how], len, 0), len);
        while (recv(fd, answer, sizeof answer, 0) > 0)
            continue;
    } else if (how == RESETS) {
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    }
    close(fd);
}

/* The first ten of a kind have a record each: so few of each come. */
static void a_handshake_that_fails_has_its_own_reason(void **state)
{
    struct world *w = *state;
    struct strangers all = { 0 };

    w->hears = &all;
    w->heard = expect_own_reason;
    for (unsigned i = 0; i < 8; i++)
        for (enum leaving how = 0; how < LEAVINGS; how++)
            if (how != RESETS || i < 2)
                come_and_leave(w, how);
    for (int i = 0; i < 500 && all.told < all.count; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    assert_int_equal(all.told, all.count);
}

/* ---- A door without a place ---- */

struct crowd {
    unsigned acts, targets_most, ports_told;
    bool capped;
    uint16_t ports[TRIES];
};

static void expect_turned_away(struct world *w, const struct audit_record *record)
{
    struct crowd *crowd = w->hears;
    const struct audit_aggregate_part *all = &record->aggregate;

    if (record->action != AUDIT_HANDSHAKE)
        return;
    assert_true(bytes_equal_text(record->reason, "turned away: no place is left"));
    assert_true(bytes_equal_text(record->target, "mqtts"));
    assert_int_equal(record->decision, AUDIT_DENIED);
    assert_int_equal(record->actor_kind, AUDIT_NOBODY);
    assert_true(all->count > 0 && all->first_ms <= all->last_ms);
    assert_true(all->targets <= 4);
    for (unsigned i = 0; i < TRIES; i++)
        crowd->ports_told += crowd->ports[i] == port_of(record->peer);
    crowd->acts += (unsigned)all->count;
    crowd->capped = crowd->capped || all->targets_capped;
    if (all->targets > crowd->targets_most)
        crowd->targets_most = (unsigned)all->targets;
}

static int prepare_narrow(void **state)
{
    struct world *w = make_world();

    w->connections_most = PLACES;
    w->pending_most = 3 * CHUNK;
    open_disk(w);
    open_door(w);
    await_listening(w);
    *state = w;
    return 0;
}

static void *stay(void *with)
{
    struct client *c = with;

    atomic_store(&c->ready, client_connect(c));
    client_take(c, UINT32_MAX);
    client_close(c);
    return NULL;
}

static void fill(struct world *w, struct client clients[PLACES])
{
    for (unsigned i = 0; i < PLACES; i++)
        start(w, &clients[i], i, stay);
    for (unsigned i = 0; i < PLACES; i++)
        while (!atomic_load(&clients[i].ready))
            turn(w);
}

static void crowd_in(struct world *w)
{
    struct crowd *crowd = w->hears;
    char answer[16];

    for (unsigned i = 0; i < TRIES; i++) {
        int fd = come(w, i % 4, &crowd->ports[i]);
        assert_true(recv(fd, answer, sizeof answer, 0) <= 0);
        close(fd);
    }
}

static void leave(struct world *w, struct client clients[PLACES])
{
    tell(w, suspend_all);
    for (unsigned i = 0; i < PLACES; i++)
        pthread_join(clients[i].thread, NULL);
}

static void who_finds_no_place_is_counted(void **state)
{
    struct world *w = *state;
    struct crowd crowd = { 0 };
    struct client clients[PLACES];

    fill(w, clients);
    w->hears = &crowd;
    w->heard = expect_turned_away;
    crowd_in(w);
    for (int i = 0; i < 500 && crowd.acts < TRIES; i++)
        turn(w);
    assert_int_equal(crowd.acts, TRIES);
    assert_true(crowd.targets_most > 1 && !crowd.capped);
    assert_int_equal(crowd.ports_told, w->records[AUDIT_HANDSHAKE]);
    assert_true(w->records[AUDIT_HANDSHAKE] < TRIES);
    leave(w, clients);
}

static void who_finds_not_even_a_slot_is_counted_when_there_is_one(void **state)
{
    struct world *w = *state;
    struct crowd crowd = { 0 };
    struct client clients[PLACES];
    const struct audit_record any = { .action = AUDIT_HANDSHAKE, .decision = AUDIT_DENIED };
    struct audit_slot *taken[2 * LARGE_SLOTS];
    size_t count = 0;

    fill(w, clients);
    w->hears = &crowd;
    w->heard = expect_turned_away;
    while (audit_pending_begin(w->pending, &any, AUDIT_PENDING_TARGETS, &taken[count]) == RC_OK)
        count++;
    crowd_in(w);
    for (int i = 0; i < 40; i++)
        turn(w);
    assert_int_equal(crowd.acts, 0);
    while (count > 0)
        audit_pending_release(w->pending, taken[--count]);
    for (int i = 0; i < 500 && crowd.acts < TRIES; i++)
        turn(w);
    assert_int_equal(crowd.acts, TRIES);
    assert_true(crowd.capped);
    assert_int_equal(crowd.ports_told, w->records[AUDIT_HANDSHAKE]);
    leave(w, clients);
}

/* ---- A device that says nothing ---- */

static void *shake_hands(void *with)
{
    struct client *c = with;

    if (client_shake_hands(c))
        SSL_shutdown(c->tls);
    client_close(c);
    return NULL;
}

static void expect_its_coming(struct world *w, const struct audit_record *record)
{
    if (record->action != AUDIT_HANDSHAKE)
        return;
    assert_int_equal(record->decision, AUDIT_ALLOWED);
    assert_int_equal(record->actor_kind, AUDIT_DEVICE);
    assert_true(bytes_equal_text(record->actor, w->devices[2].id));
    assert_int_equal(record->actor_certificate.fingerprint.len, AUDIT_HASH);
    assert_true(bytes_equal_text(record->reason, "it ended before a CONNECT"));
}

static void a_device_that_only_shakes_hands_leaves_a_trace(void **state)
{
    struct world *w = *state;
    struct client mute, other;

    w->heard = expect_its_coming;
    for (int i = 0; i < 3; i++) {
        start(w, &mute, 2, shake_hands);
        pthread_join(mute.thread, NULL);
    }
    start(w, &other, 1, stay);
    for (int i = 0; i < 500 && w->acts[AUDIT_HANDSHAKE] < 3; i++)
        turn(w);
    assert_int_equal(w->acts[AUDIT_HANDSHAKE], 3);
    while (!atomic_load(&other.ready))
        turn(w);
    tell(w, suspend_all);
    pthread_join(other.thread, NULL);
    for (int i = 0; i < 40; i++)
        turn(w);
    assert_int_equal(w->acts[AUDIT_HANDSHAKE], 3); /* a session.open tells of the other */
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, prepare, clean)
#define NARROW(name) cmocka_unit_test_setup_teardown(name, prepare_narrow, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_that_fails_has_its_own_reason),
        TEST(a_device_that_only_shakes_hands_leaves_a_trace),
        NARROW(who_finds_no_place_is_counted),
        NARROW(who_finds_not_even_a_slot_is_counted_when_there_is_one),
    };

    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
