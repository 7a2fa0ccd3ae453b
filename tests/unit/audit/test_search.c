/* Searching: each answer against a look at every record, also while the index is made anew and
 * after records were erased; and what a query may say. */
#include "tests/unit/audit/searches.h"

#include "audit/log_state.h"
#include "audit/topic.h"
#include "policy/topic.h"

enum { QUERIES = 1500 };

static size_t check_many(struct searches *w, unsigned count, uint64_t dice)
{
    size_t hits = 0;

    for (unsigned i = 0; i < count; i++) {
        struct searches_asked asked = { .w = w, .query = searches_query(w, &dice) };
        unsigned pages = 0;
        hits += searches_check(&asked, &pages);
    }
    return hits;
}

static void finds_what_a_look_at_every_record_finds(void **state)
{
    struct searches *w = *state;
    struct searches_asked all = { .w = w, .query = { .most = AUDIT_QUERY_MOST } };
    unsigned pages = 0;

    searches_write(w, SEARCHES_RECORDS);
    assert_true(check_many(w, QUERIES, 7) > QUERIES);
    assert_int_equal(searches_check(&all, &pages), SEARCHES_RECORDS);
    assert_int_equal(pages, SEARCHES_RECORDS / AUDIT_QUERY_MOST);
}

/* Around the end of a block, where the look at each ends and the index begins. */
static void finds_at_every_length_of_the_log(void **state)
{
    struct searches *w = *state;
    static const size_t LENGTHS[] = { 1, 255, 256, 257, 511, 512, 513 };

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        void *logs = w->logs;
        logs_tear_down(&logs);
        assert_int_equal(logs_set_up(&logs), 0);
        w->logs = logs;
        searches_write(w, LENGTHS[i]);
        check_many(w, 100, 11 + i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_a_look_at_every_record_finds,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(finds_at_every_length_of_the_log, searches_set_up,
                                        searches_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
