/* threaded */
/* What the log says of connections that came to nothing is true of each. */
#include "base/text.h"
#include "tests/unit/broker/door_world.h"

enum { TRIES = 16 };

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

static int come(const struct world *w, uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(w->port) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

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
    int fd = come(w, &all->ports[all->count]);

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handshake_that_fails_has_its_own_reason),
    };

    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
