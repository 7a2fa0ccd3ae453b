#include "tests/support/check.h"

#include <errno.h>
#include <string.h>

#include "base/rc.h"

static void every_result_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = RC_OK; a <= RC_CRYPTO; a++)
        for (int b = RC_OK; b < a; b++)
            assert_string_not_equal(rc_name((enum rc)a), rc_name((enum rc)b));
    assert_string_equal(rc_name((enum rc)(RC_CRYPTO + 1)), "unknown");
    assert_string_equal(rc_name((enum rc) - 1), "unknown");
}

static void a_fault_keeps_its_reason_with_and_without_the_place(void **state)
{
    (void)state;
    fault_at("x.c", 7, "%d %s", 3, "days");
    assert_string_equal(fault_reason(), "x.c:7: 3 days");
    assert_string_equal(fault_text(), "3 days");
    assert_int_equal(fault(RC_BUSY, "later"), RC_BUSY);
    assert_non_null(strstr(fault_reason(), "test_rc.c:"));
}

static void errno_decides_between_memory_and_the_rest(void **state)
{
    (void)state;
    errno = ENOMEM;
    assert_int_equal(fault_errno("grow"), RC_NOMEM);
    errno = EACCES;
    assert_int_equal(fault_errno("open %s", "x"), RC_IO);
    assert_string_equal(fault_text(), "open x: Permission denied");
}

static void a_fault_may_quote_the_one_before(void **state)
{
    (void)state;
    (void)!fault(RC_IO, "first");
    assert_int_equal(fault(RC_DENIED, "second after %s", fault_text()), RC_DENIED);
    assert_string_equal(fault_text(), "second after first");
    assert_int_equal(fault_while(RC_DENIED, "while in %s", fault_text()), RC_DENIED);
    assert_string_equal(fault_text(), "while in second after first: second after first");
}

static void a_reason_longer_than_its_room_is_cut_and_stays_text(void **state)
{
    char longer[2000];

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    for (int i = 0; i < 5; i++)
        assert_int_equal(fault_while(RC_IO, "%s", longer), RC_IO);
    assert_in_range(strlen(fault_text()), 100, 600);
    fault_at(longer, 1, "%s", longer);
    assert_in_range(strlen(fault_reason()), 100, 700);
    errno = EACCES;
    assert_int_equal(fault_errno("%s", longer), RC_IO);
    assert_in_range(strlen(fault_text()), 100, 600);
}

static enum rc passes(enum rc rc, int *reached)
{
    TRY(rc);
    ++*reached;
    return RC_EXISTS;
}

static void try_leaves_with_what_failed_and_only_then(void **state)
{
    int reached = 0;

    (void)state;
    assert_int_equal(passes(RC_LIMIT, &reached), RC_LIMIT);
    assert_int_equal(reached, 0);
    assert_int_equal(passes(RC_OK, &reached), RC_EXISTS);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_result_has_a_name_of_its_own),
        cmocka_unit_test(a_fault_keeps_its_reason_with_and_without_the_place),
        cmocka_unit_test(errno_decides_between_memory_and_the_rest),
        cmocka_unit_test(a_fault_may_quote_the_one_before),
        cmocka_unit_test(a_reason_longer_than_its_room_is_cut_and_stays_text),
        cmocka_unit_test(try_leaves_with_what_failed_and_only_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
