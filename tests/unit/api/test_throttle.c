#include "tests/support/check.h"

#include <string.h>

#include "api/throttle.h"
#include "base/buf.h"

static struct api_throttle *throttle;

static int make(void **state)
{
    (void)state;
    assert_int_equal(api_throttle_new(&throttle), RC_OK);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    api_throttle_free(throttle);
    return 0;
}

static void fail_times(const char *peer, int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++) {
        assert_int_equal(api_throttle_begin(throttle, peer, now_ms), RC_OK);
        api_throttle_end(throttle, peer, now_ms, API_THROTTLE_BAD);
    }
}

static void an_address_may_fail_so_often(void **state)
{
    (void)state;
    fail_times("192.0.2.1:1", API_THROTTLE_FAILURES, 1000);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:2", 1000), RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.2:1", 1000), RC_OK);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:2", 999 + API_THROTTLE_WINDOW_MS),
                     RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:2", 1000 + API_THROTTLE_WINDOW_MS),
                     RC_OK);
}

static void a_network_of_ipv6_counts_as_one(void **state)
{
    (void)state;
    fail_times("[2001:db8:1:2::1]:1", API_THROTTLE_FAILURES, 0);
    assert_int_equal(api_throttle_begin(throttle, "[2001:db8:1:2:ffff::2]:1", 0), RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "[2001:db8:1:3::1]:1", 0), RC_OK);
}

static void an_ipv4_address_in_ipv6_form_is_its_own(void **state)
{
    (void)state;
    fail_times("[::ffff:192.0.2.1]:1", API_THROTTLE_FAILURES, 0);
    assert_int_equal(api_throttle_begin(throttle, "[::ffff:192.0.2.1]:2", 0), RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:3", 0), RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "[::ffff:192.0.2.2]:1", 0), RC_OK);
}

static void good_and_undecided_tries_do_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:1", 0), RC_OK);
        api_throttle_end(throttle, "192.0.2.1:1", 0,
                         i % 2 == 0 ? API_THROTTLE_GOOD : API_THROTTLE_UNDECIDED);
    }
}

static void many_at_once_are_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < API_THROTTLE_PENDING; i++)
        assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:1", 0), RC_OK);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:1", 0), RC_LIMIT);
    api_throttle_end(throttle, "192.0.2.1:1", 0, API_THROTTLE_GOOD);
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:1", 0), RC_OK);
}

static void a_full_table_forgets_the_oldest(void **state)
{
    (void)state;
    fail_times("192.0.2.1:1", API_THROTTLE_FAILURES, 0);
    for (int i = 0; i < API_THROTTLE_ENTRIES; i++) {
        AUTO_BUF(peer, 64);
        const char *text = NULL;
        buf_addf(&peer, "10.0.%d.%d:1", i / 250, i % 250);
        assert_int_equal(buf_text(&peer, &text), RC_OK);
        fail_times(text, 1, 10 + i);
    }
    assert_int_equal(api_throttle_begin(throttle, "192.0.2.1:1", 300), RC_OK);
    api_throttle_end(throttle, "198.51.100.1:1", 300, API_THROTTLE_BAD); /* never begun */
}

static void what_is_no_address_counts_together(void **state)
{
    (void)state;
    fail_times("", API_THROTTLE_FAILURES, 0);
    assert_int_equal(api_throttle_begin(throttle, "unix", 0), RC_LIMIT);
    assert_int_equal(api_throttle_begin(throttle, "::ffff", 0), RC_LIMIT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_ipv4_address_in_ipv6_form_is_its_own),
        TEST(an_address_may_fail_so_often),
        TEST(a_network_of_ipv6_counts_as_one),
        TEST(good_and_undecided_tries_do_not_count),
        TEST(many_at_once_are_too_many),
        TEST(a_full_table_forgets_the_oldest),
        TEST(what_is_no_address_counts_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
