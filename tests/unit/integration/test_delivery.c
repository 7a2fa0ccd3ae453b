#include "tests/unit/integration/records.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "integration/delivery.h"
#include "integration/report.h"

/*
 * An outlet that fails at every step by turns, keeps what was flushed in a "receiver" that
 * survives, loses what was not, and confirms late; and the exporter's part, a log of LOG
 * records. Time is the test's.
 */
enum { LOG = 400, PAGE = 7, ROUNDS = 200000 };

struct world {
    char folder[32];
    int dir;
    int64_t now;
    struct clock clock;
    struct loop *loop;
    struct records records;
    struct integration_delivery *delivery;
    uint64_t dice;
    unsigned fails_of_16; /* chance of each step */
    bool up;
    struct integration_cursor given, confirmed;
    unsigned received[LOG]; /* how often; in the receiver for good */
    unsigned flushed[LOG];  /* on its way: lost with the connection */
    unsigned begins, told;
    bool out_of_order;
};

static int64_t hand(void *with)
{
    return *(const int64_t *)with;
}

static bool unlucky(struct world *w)
{
    w->dice = w->dice * 6364136223846793005 + 1442695040888963407;
    return (w->dice >> 40) % 16 < w->fails_of_16;
}

/* ---- The outlet ---- */

static enum rc begin(void *outlet, struct integration_cursor *cursor)
{
    struct world *w = outlet;

    w->begins++;
    if (unlucky(w))
        return fault(RC_IO, "refused");
    w->up = true;
    w->given = *cursor;
    return RC_OK;
}

static bool takes(const void *outlet)
{
    return ((const struct world *)outlet)->up;
}

static enum rc give(void *outlet, const struct audit_hit *hit)
{
    struct world *w = outlet;

    if (unlucky(w))
        return fault(RC_IO, "broken while writing");
    w->out_of_order = w->out_of_order || hit->index != w->given.next;
    w->given = (struct integration_cursor){ hit->index + 1, hit->leaf };
    w->flushed[hit->index]++;
    return RC_OK;
}

static enum rc flush(void *outlet)
{
    struct world *w = outlet;

    return unlucky(w) ? fault(RC_IO, "broken behind a page") : RC_OK;
}

static void end(void *outlet)
{
    struct world *w = outlet;

    w->up = false;
    memset(w->flushed, 0, sizeof w->flushed);
}

static void release(void *outlet)
{
    (void)outlet;
}

static const struct integration_outlet_kind KIND = { begin, takes, give, flush, end, release };

/* What is on its way arrives, is read, and is confirmed. */
static void confirm(struct world *w)
{
    const struct integration_outlet_told *told = integration_delivery_told(w->delivery);

    if (!w->up || w->given.next == w->confirmed.next)
        return;
    if (unlucky(w)) {
        if (fault(RC_IO, "broken before it was read") != RC_OK)
            told->failed(told->with);
        return;
    }
    for (uint64_t i = 0; i < LOG; i++)
        w->received[i] += w->flushed[i];
    memset(w->flushed, 0, sizeof w->flushed);
    w->confirmed = w->given;
    told->delivered(told->with, &w->confirmed);
}

/* ---- The exporter's part ---- */

static void on_wants(void *with)
{
    (void)with;
}

static void on_told(void *with)
{
    ((struct world *)with)->told++;
}

static void page(struct world *w)
{
    struct integration_delivery_want want;

    if (!integration_delivery_wants(w->delivery, &want))
        return;
    if (want.unsure) {
        assert_true(want.next > 0);
        const struct audit_hit *before = records_plain(&w->records, want.next - 1);
        if (bytes_equal(BYTES_OF(before->leaf.at), BYTES_OF(want.last.at)))
            integration_delivery_sure(w->delivery);
        else
            integration_delivery_begin_again(w->delivery);
        return;
    }
    for (uint64_t i = want.next; i < want.next + PAGE && i < LOG; i++)
        integration_delivery_give(w->delivery, records_plain(&w->records, i));
    integration_delivery_flush(w->delivery);
}

static void start(struct world *w)
{
    const struct integration_delivery_setup setup = { w->loop,  w->dir,  "sink-1", 4000,
                                                      on_wants, on_told, w };
    const struct integration_outlet outlet = { &KIND, w };

    assert_int_equal(integration_delivery_new(&setup, &w->delivery), RC_OK);
    assert_int_equal(integration_delivery_start(w->delivery, &outlet), RC_OK);
}

static void turn(struct world *w)
{
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    page(w);
    if (w->dice % 3 == 0)
        confirm(w);
    unlucky(w);
    w->now += 50;
}

static uint64_t delivered(const struct world *w)
{
    struct integration_delivery_status status;

    integration_delivery_status(w->delivery, &status);
    return status.delivered;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    memcpy(w->folder, "/tmp/test_delivery.XXXXXX", 26);
    assert_non_null(mkdtemp(w->folder));
    w->dir = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->dice = 1;
    w->clock = (struct clock){ hand, hand, &w->now };
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    records_open(&w->records);
    start(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    integration_delivery_free(w->delivery);
    loop_free(w->loop);
    records_close(&w->records);
    unlinkat(w->dir, "sink-1.cursor", 0);
    close(w->dir);
    rmdir(w->folder);
    free(w);
    return 0;
}

/* ---- Claims ---- */

static void nothing_is_left_out_whatever_fails(void **state)
{
    struct world *w = *state;
    unsigned round = 0;

    for (w->fails_of_16 = 4; delivered(w) < LOG; round++) {
        assert_true(round < ROUNDS);
        turn(w);
        if (round % 97 == 96) { /* kill -9 of the exporter */
            integration_delivery_free(w->delivery);
            start(w);
        }
    }
    for (size_t i = 0; i < LOG; i++)
        assert_true(w->received[i] > 0);
    assert_false(w->out_of_order);
}

static void what_was_not_confirmed_is_given_again(void **state)
{
    struct world *w = *state;
    const struct integration_outlet_told *told = integration_delivery_told(w->delivery);

    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    page(w);
    assert_int_equal(w->given.next, PAGE);
    assert_int_equal(delivered(w), 0);
    if (fault(RC_IO, "gone") != RC_OK)
        told->failed(told->with);
    w->now += 60000;
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    assert_int_equal(w->given.next, 0);
    page(w);
    confirm(w);
    assert_int_equal(delivered(w), PAGE);
}

static void tries_come_apart_up_to_the_limit(void **state)
{
    struct world *w = *state;
    int64_t waited[12] = { 0 };

    w->fails_of_16 = 16;
    for (size_t i = 0; i < 12; i++) {
        int64_t began = w->now;
        for (unsigned before = w->begins; w->begins == before; w->now++)
            assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
        waited[i] = w->now - began;
    }
    assert_true(waited[1] >= INTEGRATION_RETRY_LEAST_MS / 2);
    for (size_t i = 6; i < 12; i++)
        assert_true(waited[i] >= 2000 && waited[i] <= 4002);
}

static void it_says_when_it_fails_and_when_that_is_over(void **state)
{
    struct world *w = *state;
    struct integration_delivery_status status;

    w->fails_of_16 = 16;
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    integration_delivery_status(w->delivery, &status);
    assert_int_equal(status.state, INTEGRATION_FAILING);
    assert_string_equal(status.why, "refused");
    assert_int_equal(w->told, 1);
    w->fails_of_16 = 0;
    w->now += 60000;
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    integration_delivery_status(w->delivery, &status);
    assert_int_equal(status.state, INTEGRATION_FAILING); /* until something arrives */
    page(w);
    confirm(w);
    integration_delivery_status(w->delivery, &status);
    assert_int_equal(status.state, INTEGRATION_UP);
    assert_string_equal(status.why, "");
}

static void another_log_is_sent_from_its_beginning(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { .next = 50, .last = { { 7 } } };

    integration_delivery_free(w->delivery);
    assert_int_equal(integration_cursor_write(w->dir, "sink-1", &cursor), RC_OK);
    start(w);
    assert_int_equal(delivered(w), 50);
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
    page(w);
    assert_int_equal(delivered(w), 0);
    page(w);
    assert_int_equal(w->given.next, 0 + PAGE);
}

static void a_cursor_comes_back_and_nothing_else_is_one(void **state)
{
    static const char *const WRONG[] = {
        "",
        "touchmark export cursor 1\n",
        "touchmark export cursor 1\n5\n",
        "touchmark export cursor 1\n5\n00\n",
        "touchmark export cursor 2\n5\n00\n",
    };
    struct world *w = *state;
    struct integration_cursor cursor = { .next = 77, .last = { { 1, 2, 3 } } }, read;

    assert_int_equal(integration_cursor_write(w->dir, "sink-1", &cursor), RC_OK);
    assert_int_equal(integration_cursor_read(w->dir, "sink-1", &read), RC_OK);
    assert_memory_equal(&read, &cursor, sizeof read);
    assert_int_equal(integration_cursor_read(w->dir, "sink-2", &read), RC_OK);
    assert_int_equal(read.next, 0);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        int fd = openat(w->dir, "sink-1.cursor", O_WRONLY | O_TRUNC | O_CLOEXEC);
        assert_int_equal(write(fd, WRONG[i], strlen(WRONG[i])), strlen(WRONG[i]));
        close(fd);
        assert_int_equal(integration_cursor_read(w->dir, "sink-1", &read), RC_MALFORMED);
    }
}

static void a_report_comes_back_and_no_shorter(void **state)
{
    struct integration_report report = {
        .count = 3,
        .witnesses = 1,
        .sinks = { { "sink-1", INTEGRATION_UP, false, 12, "" },
                   { "sink-3", INTEGRATION_FAILING, true, 3, "no route" },
                   { "witness-2", INTEGRATION_TRYING, false, 0, "" } },
    };
    struct integration_report read;
    AUTO_BUF(bytes, INTEGRATION_REPORT_MAX);

    (void)state;
    integration_report_write(&report, &bytes);
    assert_int_equal(integration_report_read(buf_bytes(&bytes), &read), RC_OK);
    assert_memory_equal(&read, &report, sizeof read);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(integration_report_read((struct bytes){ bytes.at, len }, &read),
                         RC_MALFORMED);
    buf_add_u8(&bytes, 0);
    assert_int_equal(integration_report_read(buf_bytes(&bytes), &read), RC_MALFORMED);
    assert_string_equal(integration_state_name(INTEGRATION_FAILING), "failing");
}

static void a_report_has_so_many_of_each(void **state)
{
    static const struct {
        size_t count, witnesses;
        enum rc rc;
    } ROWS[] = {
        { 0, 0, RC_OK },        { 4, 0, RC_OK },        { 4, 4, RC_OK },
        { 8, 4, RC_OK },        { 5, 0, RC_MALFORMED }, { 8, 3, RC_MALFORMED },
        { 5, 5, RC_MALFORMED }, { 3, 4, RC_MALFORMED }, { 9, 4, RC_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct integration_report read;
        AUTO_BUF(bytes, INTEGRATION_REPORT_MAX);
        buf_add_u8(&bytes, (uint8_t)ROWS[i].count);
        buf_add_u8(&bytes, (uint8_t)ROWS[i].witnesses);
        for (size_t j = 0; j < ROWS[i].count; j++)
            buf_add(&bytes, BYTES("\1a\1\0\0\0\0\0\0\0\0\1\0"));
        assert_int_equal(integration_report_read(buf_bytes(&bytes), &read), ROWS[i].rc);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_out_whatever_fails),
        TEST(what_was_not_confirmed_is_given_again),
        TEST(tries_come_apart_up_to_the_limit),
        TEST(it_says_when_it_fails_and_when_that_is_over),
        TEST(another_log_is_sent_from_its_beginning),
        TEST(a_cursor_comes_back_and_nothing_else_is_one),
        TEST(a_report_comes_back_and_no_shorter),
        TEST(a_report_has_so_many_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
