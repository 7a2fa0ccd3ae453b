#include "tests/unit/broker/front_world.h"

static void a_snapshot_fills_it_page_by_page(void **state)
{
    struct world *w = *state;

    assert_false(broker_front_is_ready(w->front));
    connect_both(w);
    turn_until(w, &w->watching);
    assert_true(broker_front_is_ready(w->front));
    assert_int_equal(w->pages, PAGES);
    assert_int_equal(w->snapshots, 1);
    assert_int_equal(w->acknowledged, 5);
    assert_int_equal(judge(w, 1), REGISTRY_ACCEPTED);
    assert_int_equal(judge(w, 2), REGISTRY_UNKNOWN);
}

static void suspend(struct buf *list)
{
    add_subject(list, REGISTRY_SUSPENDED, 6);
}

static void a_change_is_told_once_and_acknowledged_when_its_cuts_are_done(void **state)
{
    struct world *w = *state;

    connect_both(w);
    turn_until(w, &w->watching);
    w->settled = false;
    tell_news(w, suspend, 6);
    turn_a_while(w);
    assert_int_equal(judge(w, 1), REGISTRY_SUBJECT_SUSPENDED);
    assert_int_equal(w->changes, 1);
    assert_false(w->watching); /* so nobody was told that it is applied */
    broker_front_settled(w->front);
    turn_until(w, &w->watching);
    assert_int_equal(w->acknowledged, 6);
    tell_news(w, suspend, 7); /* the same again changes nothing */
    w->settled = true;
    turn_until(w, &w->watching);
    assert_int_equal(w->changes, 1);
}

static void lone_certificate(struct buf *list)
{
    const struct registry_certificate certificate = sample_certificate(3, "not-here-yet");
    AUTO_BUF(form, 4096);

    registry_certificate_write(&certificate, &form);
    const struct registry_change change = { REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, 6, &change));
}

static void a_certificate_without_its_subject_is_unknown_not_revoked(void **state)
{
    struct world *w = *state;

    connect_both(w);
    turn_until(w, &w->watching);
    tell_news(w, lone_certificate, 6);
    turn_until(w, &w->watching);
    assert_int_equal(judge(w, 3), REGISTRY_UNKNOWN);
}

static void
it_keeps_what_it_knows_while_the_authority_is_away_and_while_it_fills_anew(void **state)
{
    struct world *w = *state;

    connect_both(w);
    turn_until(w, &w->watching);
    leave_authority(w);
    turn_a_while(w);
    assert_false(broker_front_is_connected(w->front));
    assert_true(broker_front_is_ready(w->front));
    assert_int_equal(judge(w, 1), REGISTRY_ACCEPTED);
    w->refuse_watch = true; /* the feed is another one: a snapshot again */
    connect_both(w);
    assert_int_equal(judge(w, 1), REGISTRY_ACCEPTED);
    turn_until(w, &w->watching);
    assert_int_equal(w->snapshots, 2);
    assert_int_equal(judge(w, 1), REGISTRY_ACCEPTED);
}

static void on_done(void *with, enum rc rc, const struct registry_answer *got,
                    struct bytes reason)
{
    struct world *w = with;

    (void)reason;
    assert_null(got);
    w->answers++;
    w->last_rc = rc;
}

static void each_question_is_answered_once_whatever_happens(void **state)
{
    struct world *w = *state;
    const struct registry_question question = { 0 };

    assert_int_equal(broker_front_ask(w->front, REGISTRY_ASK_STATUS, &question, on_done, w),
                     RC_BUSY);
    connect_both(w);
    assert_int_equal(broker_front_ask(w->front, REGISTRY_ASK_STATUS, &question, on_done, w),
                     RC_OK);
    assert_int_equal(w->answers, 0);
    turn_until(w, &w->watching);
    turn_a_while(w);
    assert_int_equal(w->answers, 1);
    assert_int_equal(w->last_rc, RC_DENIED);
    assert_int_equal(broker_front_ask(w->front, REGISTRY_ASK_STATUS, &question, on_done, w),
                     RC_OK);
    connect_both(w); /* the channel's end is another one */
    assert_int_equal(w->answers, 2);
    assert_int_equal(w->last_rc, RC_CLOSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_fills_it_page_by_page),
        TEST(a_change_is_told_once_and_acknowledged_when_its_cuts_are_done),
        TEST(a_certificate_without_its_subject_is_unknown_not_revoked),
        TEST(it_keeps_what_it_knows_while_the_authority_is_away_and_while_it_fills_anew),
        TEST(each_question_is_answered_once_whatever_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
