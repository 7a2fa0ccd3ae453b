#include "tests/support/check.h"

#include "bench/load_histogram.h"

static void one_value_is_told_at_most_a_32nd_too_high(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < UINT64_C(1) << 62; value += value / 8 + 1) {
        struct load_histogram histogram = { 0 };
        load_histogram_add(&histogram, value);
        load_histogram_add(&histogram, UINT64_MAX >> 1);
        uint64_t told = load_histogram_at(&histogram, 0.5);
        assert_true(told >= value);
        assert_true(told - value <= value / 32);
    }
}

static void nothing_is_told_above_the_most(void **state)
{
    struct load_histogram histogram = { 0 };

    (void)state;
    load_histogram_add(&histogram, 1000001);
    assert_int_equal(load_histogram_at(&histogram, 1), 1000001);
}

static void shares_are_of_the_count(void **state)
{
    static const struct {
        double share;
        uint64_t value;
    } CASES[] = { { 0.01, 1 }, { 0.5, 15 }, { 0.51, 16 }, { 0.99, 30 }, { 1, 30 } };
    struct load_histogram histogram = { 0 };

    (void)state;
    for (uint64_t value = 1; value <= 30; value++)
        load_histogram_add(&histogram, value);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_int_equal(load_histogram_at(&histogram, CASES[i].share), CASES[i].value);
}

static void none_is_zero(void **state)
{
    struct load_histogram histogram = { 0 };

    (void)state;
    assert_int_equal(load_histogram_at(&histogram, 0.99), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_is_told_at_most_a_32nd_too_high),
        cmocka_unit_test(nothing_is_told_above_the_most),
        cmocka_unit_test(shares_are_of_the_count),
        cmocka_unit_test(none_is_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
