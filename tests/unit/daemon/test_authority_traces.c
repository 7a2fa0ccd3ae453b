/* Who did what to whom stays to be found, whoever it was and whatever they are called. */
#include "tests/unit/daemon/found.h"

/* ---- Whom a record is about ---- */

/* The administrator of this world is called so. */
static void a_device_that_is_called_as_its_operator_is_found(void **state)
{
    struct world *w = *state;

    add_device(w, "first");
    assert_int_equal(count_found(w, (struct audit_query){ .device = BYTES("first") }), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_that_is_called_as_its_operator_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
