#include "tests/support/check.h"

#include "base/sandbox.h"
#include "keys/grant.h"
#include "keys/ladder.h"

static void each_return_value_of_a_token_leads_to_its_rung(void **state)
{
    static const struct {
        unsigned long rv;
        enum keys_ladder rung;
        const char *name;
    } ROWS[] = {
        { 0x00, KEYS_LADDER_DONE, "CKR_OK" },
        { 0x20, KEYS_LADDER_REFUSE, "CKR_DATA_INVALID" },
        { 0x21, KEYS_LADDER_REFUSE, "CKR_DATA_LEN_RANGE" },
        { 0xb3, KEYS_LADDER_SESSION, "CKR_SESSION_HANDLE_INVALID" },
        { 0xb4, KEYS_LADDER_SESSION, "CKR_SESSION_PARALLEL_NOT_SUPPORTED" },
        { 0x82, KEYS_LADDER_FIND, "CKR_OBJECT_HANDLE_INVALID" },
        { 0x101, KEYS_LADDER_INITIALISE, "CKR_USER_NOT_LOGGED_IN" },
        { 0xe0, KEYS_LADDER_INITIALISE, "CKR_TOKEN_NOT_PRESENT" },
        { 0x30, KEYS_LADDER_INITIALISE, "CKR_DEVICE_ERROR" },
        { 0x32, KEYS_LADDER_INITIALISE, "CKR_DEVICE_REMOVED" },
        { 0xa0, KEYS_LADDER_STOP, "CKR_PIN_INCORRECT" },
        { 0xa4, KEYS_LADDER_STOP, "CKR_PIN_LOCKED" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(keys_ladder_rung(ROWS[i].rv), ROWS[i].rung);
        assert_string_equal(keys_ladder_name(ROWS[i].rv), ROWS[i].name);
    }
}

static void what_no_table_knows_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(keys_ladder_rung(0x05), KEYS_LADDER_INITIALISE);
    assert_int_equal(keys_ladder_rung(0x80000001UL), KEYS_LADDER_INITIALISE);
}

static void no_grant_lets_a_module_execute(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS_GRANTS; i++) {
        const struct keys_grant *grant = keys_grant_of((enum keys_grant_name)i);
        assert_int_equal(grant->calls & SANDBOX_CALLS_CHILDREN, 0);
        assert_int_equal(grant->folder_access & SANDBOX_EXECUTE, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_return_value_of_a_token_leads_to_its_rung),
        cmocka_unit_test(what_no_table_knows_ends_the_process),
        cmocka_unit_test(no_grant_lets_a_module_execute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
