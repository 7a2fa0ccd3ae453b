/* A count that two ends hold. */
#include "tests/support/check.h"

#include "broker/octets.h"

static void what_one_end_counts_the_other_sees(void **state)
{
    struct broker_octets *octets = NULL;
    (void)state;

    assert_int_equal(broker_octets_new(&octets), RC_OK);
    assert_int_equal(broker_octets_count(octets), 0);
    broker_octets_add(octets, 7);
    broker_octets_add(octets, 1 << 20);
    broker_octets_release(octets);
    assert_int_equal(broker_octets_count(octets), 7 + (1 << 20));
    broker_octets_release(octets);
    broker_octets_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_end_counts_the_other_sees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
