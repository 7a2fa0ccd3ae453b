/* The front against an authority that the test plays, over a real link. */
#include "tests/support/check.h"

#include "base/loop.h"
#include "broker/front.h"
#include "tests/unit/registry/samples.h"

enum { WAIT_MS = 2000, PAGES = 2 };
static const uint8_t LINEAGE[REGISTRY_LINEAGE] = { 9 };

struct world {
    struct clock clock;
    struct loop *loop;
    struct broker_front *front;
    struct link_server *authority;
    struct link_request watch; /* that waits */
    bool watching, settled, refuse_watch;
    unsigned pages, changes, snapshots, answers;
    uint64_t acknowledged;
    enum rc last_rc;
};

/* ---- The authority ---- */

static void answer(const struct link_request *request, enum registry_ask ask,
                   const struct registry_answer *what)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_answer_write(ask, what, &body), RC_OK);
    link_answer(request, RC_OK, buf_bytes(&body), -1);
}

static void add_certificate(struct buf *list, uint8_t number, uint64_t sequence)
{
    const struct registry_certificate certificate = sample_certificate(number, "dev-1");
    AUTO_BUF(form, 4096);

    registry_certificate_write(&certificate, &form);
    const struct registry_change change = { REGISTRY_CHANGE_CERTIFICATE, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

static void add_subject(struct buf *list, enum registry_state state, uint64_t sequence)
{
    struct registry_subject subject = sample_device("dev-1");
    AUTO_BUF(form, 4096);

    subject.state = state;
    subject.revision = sequence + 1;
    registry_subject_write(&subject, &form);
    const struct registry_change change = { REGISTRY_CHANGE_SUBJECT, buf_bytes(&form) };
    assert_true(registry_answer_add_change(list, sequence, &change));
}

static struct registry_answer at(uint64_t sequence)
{
    struct registry_answer made = { .position.sequence = sequence };

    memcpy(made.position.lineage, LINEAGE, sizeof LINEAGE);
    return made;
}

/* Two pages: the certificate, then its subject. */
static void give_page(struct world *w, const struct link_request *request)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer page = at(5);
    bool last = w->pages++ % PAGES == 1;

    if (last)
        add_subject(&list, REGISTRY_ACTIVE, 0);
    else
        add_certificate(&list, 1, 0);
    page.cursor = last ? BYTES("") : BYTES("more");
    page.list = buf_bytes(&list);
    answer(request, REGISTRY_ASK_SNAPSHOT, &page);
}

static enum rc handle(void *with, const struct link_request *request)
{
    struct world *w = with;
    struct registry_question question;

    assert_int_equal(registry_question_read((enum registry_ask)request->kind->kind,
                                            request->body, &question),
                     RC_OK);
    if (request->kind->kind == REGISTRY_ASK_SNAPSHOT) {
        give_page(w, request);
    } else if (request->kind->kind == REGISTRY_ASK_WATCH && w->refuse_watch) {
        w->refuse_watch = false;
        link_answer(request, RC_NOT_FOUND, BYTES("another lineage"), -1);
    } else if (request->kind->kind == REGISTRY_ASK_WATCH) {
        w->watch = *request;
        w->watching = true;
        w->acknowledged = question.position.sequence;
    } else {
        link_answer(request, RC_DENIED, BYTES("no"), -1);
    }
    return RC_OK;
}

static void gone(void *with)
{
    (void)with;
}

/* ---- The door ---- */

static void on_changed(void *with, const struct registry_change *change)
{
    struct world *w = with;

    if (change == NULL)
        w->snapshots++;
    else
        w->changes++;
}

static bool is_settled(void *with, uint64_t sequence)
{
    (void)sequence;
    return ((struct world *)with)->settled;
}

static void turn_until(struct world *w, const bool *reached)
{
    for (int i = 0; i < 200 && !*reached; i++)
        assert_int_equal(loop_turn_once(w->loop, 50), RC_OK);
    assert_true(*reached);
}

static void turn_a_while(struct world *w)
{
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
}

/* What was asked must be answered, also when nobody hears it any more. */
static void leave_authority(struct world *w)
{
    link_server_close(TAKE(w->authority));
    if (w->watching)
        link_answer(&w->watch, RC_CLOSED, BYTES(""), -1);
    w->watching = false;
}

static void connect_both(struct world *w)
{
    int asking = -1, answering = -1;

    leave_authority(w);
    assert_int_equal(link_pair(&asking, &answering), RC_OK);
    assert_int_equal(link_serve(w->loop, answering, registry_door_protocol(), handle, gone, w,
                                &w->authority),
                     RC_OK);
    assert_int_equal(broker_front_attach(w->front, asking), RC_OK);
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->clock = clock_system();
    w->settled = true;
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    const struct broker_front_setup setup = {
        .loop = w->loop,
        .clock = &w->clock,
        .observer = { .changed = on_changed, .is_settled = is_settled, .with = w },
    };
    assert_int_equal(broker_front_new(&setup, &w->front), RC_OK);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    broker_front_free(w->front);
    leave_authority(w);
    loop_free(w->loop);
    free(w);
    return 0;
}

static enum registry_verdict judge(struct world *w, uint8_t number)
{
    const struct registry_certificate sample = sample_certificate(number, "dev-1");
    struct registry_certificate certificate;
    struct registry_subject subject;

    return broker_front_judge(w->front, &sample.fingerprint, 150, &certificate, &subject);
}

static void tell_news(struct world *w, void (*fill)(struct buf *list), uint64_t sequence)
{
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    struct registry_answer news = at(sequence);

    fill(&list);
    news.list = buf_bytes(&list);
    w->watching = false;
    answer(&w->watch, REGISTRY_ASK_WATCH, &news);
}

/* ---- Claims ---- */

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
