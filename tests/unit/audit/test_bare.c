/* How many records may lack their bodies: what the log says of it, and who says it. */
#include "tests/support/check.h"

#include "audit/bare.h"

#include <string.h>

#define ALLOWED(what, who, why)                                                                \
    {                                                                                          \
        .action = (what), .decision = AUDIT_ALLOWED, .source = AUDIT_FROM_AUTHORITY,           \
        .actor_kind = (who), .reason = BYTES(why)                                              \
    }

#define OTTO   AUDIT_OPERATOR
#define ITSELF AUDIT_PROCESS

static void add(struct audit_bare *bare, struct audit_record record)
{
    assert_int_equal(audit_bare_add(bare, &record, false), RC_OK);
}

static void strip(struct audit_bare *bare, unsigned count)
{
    const struct audit_record head = { .action = AUDIT_PUBLISH, .decision = AUDIT_ALLOWED };

    while (count-- > 0)
        assert_int_equal(audit_bare_add(bare, &head, true), RC_OK);
}

static void counts_what_the_authority_says_is_done(void **state)
{
    static const struct {
        struct audit_record record;
        uint64_t explained;
    } ROWS[] = {
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: 3 records"), 3 },
        { ALLOWED(AUDIT_LOG_PRUNE, ITSELF, "3 records"), 3 },
        { ALLOWED(AUDIT_LOG_PRUNE, ITSELF, "done: 3 records"), 0 },
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: 3 records."), 0 },
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: -3 records"), 0 },
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done:  records"), 0 },
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: records"), 0 },
        { ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: 18446744073709551616 records"), 0 },
        { ALLOWED(AUDIT_LOG_PRUNE, OTTO, "3 records"), 0 },
        { ALLOWED(AUDIT_LOG_HOLD, ITSELF, "done: 3 records"), 0 },
        { ALLOWED(AUDIT_LOG_PRUNE, ITSELF, "from 3 to 4 days, 0 being for ever"), 0 },
        { { .action = AUDIT_LOG_ERASE,
            .decision = AUDIT_DENIED,
            .source = AUDIT_FROM_AUTHORITY,
            .actor_kind = ITSELF,
            .reason = BYTES("done: 3 records") },
          0 },
        { { .action = AUDIT_LOG_ERASE,
            .decision = AUDIT_ALLOWED,
            .source = AUDIT_FROM_DEVICE_DOOR,
            .actor_kind = ITSELF,
            .reason = BYTES("done: 3 records") },
          0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct audit_bare bare = { 0 };
        add(&bare, ROWS[i].record);
        assert_int_equal(bare.explained, ROWS[i].explained);
        assert_false(audit_bare_under_way(&bare));
        strip(&bare, 3);
        assert_int_equal(audit_bare_check(&bare) == RC_OK, ROWS[i].explained == 3);
    }
}

static void what_an_operator_gives_as_a_reason_explains_nothing(void **state)
{
    struct audit_bare bare = { 0 };

    (void)state;
    add(&bare, (struct audit_record)ALLOWED(AUDIT_LOG_ERASE, OTTO, "done: 900 records"));
    assert_int_equal(bare.explained, 0);
    add(&bare, (struct audit_record)ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: 2 records"));
    assert_int_equal(bare.explained, 2);
    assert_false(audit_bare_under_way(&bare));
}

static void what_is_under_way_may_have_taken_any_before_it_and_none_behind(void **state)
{
    static const struct audit_record BEGUN[] = {
        ALLOWED(AUDIT_LOG_ERASE, OTTO, "ticket 812"),
        ALLOWED(AUDIT_LOG_PRUNE, ITSELF, "begins"),
    };
    static const struct audit_record DONE[] = {
        ALLOWED(AUDIT_LOG_ERASE, ITSELF, "done: 5 records"),
        ALLOWED(AUDIT_LOG_PRUNE, ITSELF, "5 records"),
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct audit_bare bare = { 0 };
        strip(&bare, 5);
        assert_int_equal(audit_bare_check(&bare), RC_DENIED);
        add(&bare, BEGUN[i]);
        assert_true(audit_bare_under_way(&bare));
        assert_int_equal(audit_bare_check(&bare), RC_OK);
        strip(&bare, 1);
        assert_int_equal(audit_bare_check(&bare), RC_DENIED);
        assert_non_null(strstr(fault_text(), "1 records have no body"));
        add(&bare, DONE[i]);
        assert_false(audit_bare_under_way(&bare));
        assert_int_equal(audit_bare_check(&bare), RC_DENIED);
        assert_non_null(strstr(fault_text(), "6 records have no body"));
        assert_non_null(strstr(fault_text(), "says of 5 "));
    }
}

static void records_of_erasing_holding_and_pruning_are_never_bare(void **state)
{
    struct audit_bare bare = { 0 };

    (void)state;
    for (unsigned action = AUDIT_LOG_ERASE; action <= AUDIT_LOG_PRUNE; action++) {
        const struct audit_record head = { .action = (enum audit_action)action,
                                           .decision = AUDIT_DENIED };
        assert_int_equal(audit_bare_add(&bare, &head, true), RC_DENIED);
        assert_non_null(strstr(fault_text(), audit_action_get(action)->name));
    }
}

static void a_sum_that_is_too_great_stays_the_greatest(void **state)
{
    struct audit_bare bare = { 0 };

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        add(&bare, (struct audit_record)ALLOWED(AUDIT_LOG_ERASE, ITSELF,
                                                "done: 18446744073709551615 records"));
    assert_true(bare.explained == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_the_authority_says_is_done),
        cmocka_unit_test(what_an_operator_gives_as_a_reason_explains_nothing),
        cmocka_unit_test(what_is_under_way_may_have_taken_any_before_it_and_none_behind),
        cmocka_unit_test(records_of_erasing_holding_and_pruning_are_never_bare),
        cmocka_unit_test(a_sum_that_is_too_great_stays_the_greatest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
