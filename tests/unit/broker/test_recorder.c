/* threaded */
/* What the recorder answered is on disk: asked of the files, after its end. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "broker/recorder.h"
#include "tests/unit/audit/logs.h"

enum { ME = BROKER_POST_WORKER, MIB = 1024 * 1024 };

struct ground {
    char spool_path[32], journal_path[32];
    int spool_dir, journal_dir;
    struct clock clock;
    struct broker_post *post;
    struct audit_spool *spool;
    struct audit_pending *pending;
    struct audit_pending_found found;
    struct broker_keeper *keeper;
    struct broker_recorder *recorder;
    struct message_pool *pool;
};

static void open_ground(struct ground *g, uint64_t spool_most)
{
    const struct journal_limits spool = { 64 * 1024, spool_most };
    const struct journal_limits journal = { 64 * 1024, 16 * MIB };
    const struct retained_limits retained = { 1000, MIB, { 10000, MIB } };

    assert_int_equal(broker_post_new(ME + 1, &g->post), RC_OK);
    assert_int_equal(audit_spool_open(g->spool_dir, &spool, &g->clock, &g->spool), RC_OK);
    assert_int_equal(
        broker_keeper_open(g->journal_dir, &journal, &retained, &g->clock, &g->keeper), RC_OK);
    const struct audit_pending_setup pending = { .dir = g->spool_dir,
                                                 .spool = audit_spool_id(g->spool),
                                                 .last = audit_spool_sequence(g->spool),
                                                 .bytes_most = 16 * MIB };
    assert_int_equal(audit_pending_open(&pending, &g->pending, &g->found), RC_OK);
    const struct broker_recorder_setup setup = { &g->clock, g->post, g->spool, g->keeper,
                                                 g->pending };
    assert_int_equal(broker_recorder_start(&setup, &g->recorder), RC_OK);
}

static void post_mail(struct ground *g, unsigned from, const struct broker_mail *mail)
{
    assert_int_equal(broker_post_send(g->post, from, BROKER_POST_RECORDER, mail), RC_OK);
    broker_post_deliver(g->post, from);
}

static struct broker_mail await_mail(struct ground *g, unsigned party)
{
    struct broker_mail mail = { 0 };
    struct pollfd bell = { broker_post_bell(g->post, party), POLLIN, 0 };

    while (!broker_post_next(g->post, party, &mail)) {
        assert_int_equal(poll(&bell, 1, 10000), 1);
        broker_post_open(g->post, party);
    }
    return mail;
}

static void close_ground(struct ground *g)
{
    post_mail(g, BROKER_POST_MAIN, &(struct broker_mail){ .kind = BROKER_MAIL_STOP });
    broker_recorder_join(TAKE(g->recorder));
    broker_keeper_close(TAKE(g->keeper));
    audit_pending_close(TAKE(g->pending));
    audit_spool_close(TAKE(g->spool));
    broker_post_free(TAKE(g->post));
}

static int set_up(void **state)
{
    const struct message_pool_limits limits = { 16 * MIB, MIB };
    struct ground *g = calloc(1, sizeof *g);

    assert_non_null(g);
    g->clock = clock_system();
    logs_folder(g->spool_path, &g->spool_dir);
    logs_folder(g->journal_path, &g->journal_dir);
    assert_int_equal(broker_message_pool_new(&limits, &g->pool), RC_OK);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;

    broker_message_pool_free(g->pool); /* asserts that the recorder let go of all */
    logs_folder_remove(g->spool_path, g->spool_dir);
    logs_folder_remove(g->journal_path, g->journal_dir);
    free(g);
    return 0;
}

static struct broker_records *records(struct ground *g, uint64_t first, size_t count)
{
    struct broker_records *made = malloc(sizeof *made + count * sizeof made->slots[0]);

    assert_non_null(made);
    *made = (struct broker_records){ .room = count };
    for (size_t i = 0; i < count; i++) {
        const struct audit_record record = { .action = AUDIT_SESSION_OPEN,
                                             .decision = AUDIT_ALLOWED,
                                             .wall_ms = (int64_t)(first + i),
                                             .monotonic_ms = 1,
                                             .actor_kind = AUDIT_DEVICE,
                                             .actor = BYTES("dev-1") };
        assert_int_equal(audit_pending_add(g->pending, &record, &made->slots[made->count++]),
                         RC_OK);
    }
    return made;
}

static enum rc record(struct ground *g, uint64_t ticket, size_t count)
{
    post_mail(g, ME,
              &(struct broker_mail){ .kind = BROKER_MAIL_RECORDS,
                                     .number = ticket,
                                     .what = records(g, (ticket - 1) * count + 1, count) });
    struct broker_mail mail = await_mail(g, ME);
    assert_int_equal(mail.kind, BROKER_MAIL_RECORDED);
    assert_int_equal(mail.number, ticket);
    return mail.rc;
}

static enum rc retain(struct ground *g, struct bytes topic, struct bytes payload)
{
    const struct mqtt_publish publish = {
        .topic = topic, .payload = payload, .qos = 1, .retain = true
    };
    struct message *message = NULL;

    assert_int_equal(broker_message_new(g->pool, &publish, 0, &message), RC_OK);
    post_mail(g, ME,
              &(struct broker_mail){
                  .kind = BROKER_MAIL_RETAIN, .session = 7, .number = 9, .what = message });
    struct broker_mail mail = await_mail(g, ME);
    assert_int_equal(mail.kind, BROKER_MAIL_RETAINED);
    assert_int_equal(mail.session, 7);
    assert_int_equal(mail.number, 9);
    AUTO_OF(message) *failed = mail.what; /* whoever is told records of which topic */
    assert_int_equal(failed != NULL, mail.rc != RC_OK);
    assert_true(failed == NULL || bytes_equal(broker_message_topic(failed), topic));
    return mail.rc;
}

struct seen {
    unsigned count;
    char payload[16];
};

static bool see(void *with, struct message *message)
{
    struct seen *seen = with;
    struct bytes payload = broker_message_payload(message);

    seen->count++;
    memcpy(seen->payload, payload.at, payload.len < 15 ? payload.len : 15);
    return true;
}

static struct seen look(struct ground *g, struct bytes filter)
{
    struct seen seen = { 0 };
    size_t steps = 1000;

    assert_true(broker_keeper_match(g->keeper, filter, clock_monotonic_ms(&g->clock), &steps,
                                    &(struct retained_finder){ see, &seen }));
    return seen;
}

static void what_was_answered_is_there_after_a_restart(void **state)
{
    struct ground *g = *state;

    open_ground(g, 64 * MIB);
    assert_int_equal(record(g, 1, 3), RC_OK);
    assert_int_equal(retain(g, BYTES("a/b"), BYTES("old")), RC_OK);
    assert_int_equal(retain(g, BYTES("a/b"), BYTES("new")), RC_OK);
    assert_int_equal(retain(g, BYTES("$own/c"), BYTES("x")), RC_OK);
    assert_int_equal(retain(g, BYTES("gone"), BYTES("x")), RC_OK);
    assert_int_equal(retain(g, BYTES("gone"), BYTES("")), RC_OK);
    assert_int_equal(look(g, BYTES("#")).count, 1);
    close_ground(g);
    open_ground(g, 64 * MIB);
    assert_int_equal(audit_spool_sequence(g->spool), 3);
    struct seen seen = look(g, BYTES("#"));
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.payload, "new");
    assert_int_equal(look(g, BYTES("$own/c")).count, 1);
    close_ground(g);
}

static void what_could_not_be_kept_comes_back_with_its_topic(void **state)
{
    static uint8_t large[MIB];
    struct ground *g = *state;

    open_ground(g, 64 * MIB);
    assert_int_equal(retain(g, BYTES("a/small"), BYTES("x")), RC_OK);
    assert_int_equal(retain(g, BYTES("a/large"), BYTES_OF(large)), RC_LIMIT);
    assert_int_equal(look(g, BYTES("#")).count, 1);
    close_ground(g);
}

/* Far more changes than messages: the journal is written anew, and nothing is lost by it. */
static void a_journal_of_many_changes_is_tidied(void **state)
{
    struct ground *g = *state;
    const struct journal_limits journal = { 64 * 1024, 16 * MIB };
    const struct retained_limits limits = { 1000, MIB, { 10000, MIB } };
    struct journal *read = NULL;

    (void)limits;
    open_ground(g, 64 * MIB);
    assert_int_equal(retain(g, BYTES("$own/c"), BYTES("kept")), RC_OK);
    for (int i = 0; i < 1500; i++)
        assert_int_equal(retain(g, BYTES("a/b"), i % 2 ? BYTES("odd") : BYTES("even")), RC_OK);
    post_mail(g, BROKER_POST_MAIN, &(struct broker_mail){ .kind = BROKER_MAIL_STOP });
    broker_recorder_join(TAKE(g->recorder));
    broker_keeper_adopt(g->keeper);
    assert_int_equal(broker_keeper_tidy(g->keeper), RC_OK);
    broker_keeper_close(TAKE(g->keeper));
    audit_pending_close(TAKE(g->pending));
    audit_spool_close(TAKE(g->spool));
    broker_post_free(TAKE(g->post));
    assert_int_equal(journal_open(g->journal_dir, &journal, &g->clock, NULL, &read), RC_OK);
    assert_true(journal_first_sequence(read) > 1);
    journal_close(read);
    open_ground(g, 64 * MIB);
    assert_string_equal(look(g, BYTES("a/b")).payload, "odd");
    assert_string_equal(look(g, BYTES("$own/c")).payload, "kept");
    close_ground(g);
}

/* What follows what the other side has: each record once, in order, the first being 1. */
static uint64_t pull(struct ground *g, uint64_t after)
{
    struct audit_batch batch;
    struct audit_record record;
    struct bytes form;
    uint64_t sequence = 0, last = after;

    post_mail(g, BROKER_POST_MAIN,
              &(struct broker_mail){ .kind = BROKER_MAIL_SPOOL, .number = after });
    struct broker_mail mail = await_mail(g, BROKER_POST_MAIN);
    assert_int_equal(mail.kind, BROKER_MAIL_BATCH);
    struct buf *bytes = mail.what;
    assert_int_equal(audit_batch_read(buf_bytes(bytes), &batch), RC_OK);
    while (audit_batch_next(&batch, &sequence, &form) == RC_OK) {
        assert_int_equal(audit_record_read(form, &record), RC_OK);
        assert_int_equal(sequence, ++last);
        assert_int_equal(record.wall_ms, sequence);
    }
    buf_clear(bytes);
    free(bytes);
    return last;
}

/* Told at once that they wait, and told again when the authority took what was before them. */
static void a_full_spool_says_so_and_what_it_refused_waits(void **state)
{
    struct ground *g = *state;
    uint64_t ticket = 0, taken = 0;
    enum rc rc = RC_OK;

    open_ground(g, 128 * 1024);
    while (rc == RC_OK && ticket < 100)
        rc = record(g, ++ticket, 100);
    assert_int_equal(rc, RC_LIMIT);
    uint64_t refused = ticket;
    assert_true(ticket > 1 && audit_spool_sequence(g->spool) >= (ticket - 1) * 100);
    assert_int_equal(record(g, ++ticket, 100), RC_LIMIT);
    while (taken < ticket * 100)
        taken = pull(g, taken);
    for (; refused <= ticket; refused++) {
        struct broker_mail mail = await_mail(g, ME);
        assert_int_equal(mail.kind, BROKER_MAIL_RECORDED);
        assert_int_equal(mail.number, refused);
        assert_int_equal(mail.rc, RC_OK);
    }
    assert_int_equal(audit_pending_used(g->pending), 0);
    close_ground(g);
}

/* The recorder stops before there is room: the next life has them, after what was before. */
static void what_the_spool_refused_is_there_in_the_next_life(void **state)
{
    struct ground *g = *state;
    uint64_t ticket = 0, taken = 0;
    enum rc rc = RC_OK;
    size_t count = 0;

    open_ground(g, 128 * 1024);
    while (rc == RC_OK && ticket < 100)
        rc = record(g, ++ticket, 100);
    close_ground(g);
    open_ground(g, MIB);
    assert_in_range(g->found.recovered, 1, 100);
    struct broker_records *left =
        malloc(sizeof *left + g->found.recovered * sizeof left->slots[0]);
    assert_non_null(left);
    while ((left->slots[count] = audit_pending_recovered(g->pending)) != NULL &&
           ++count < g->found.recovered)
        continue;
    left->count = count;
    post_mail(g, ME,
              &(struct broker_mail){ .kind = BROKER_MAIL_RECORDS, .number = 1, .what = left });
    assert_int_equal(await_mail(g, ME).rc, RC_OK);
    while (taken < ticket * 100)
        taken = pull(g, taken);
    close_ground(g);
}

static void the_spool_is_handed_on_from_where_the_other_side_is(void **state)
{
    struct ground *g = *state;
    struct audit_batch batch;
    struct bytes form;
    uint64_t sequence = 0, last = 0;

    open_ground(g, 64 * MIB);
    post_mail(
        g, BROKER_POST_MAIN,
        &(struct broker_mail){ .kind = BROKER_MAIL_SPOOL, .number = BROKER_RECORDER_GREET });
    struct broker_mail mail = await_mail(g, BROKER_POST_MAIN);
    struct buf *bytes = mail.what;
    assert_int_equal(audit_batch_read(buf_bytes(bytes), &batch), RC_OK);
    assert_int_equal(audit_batch_next(&batch, &sequence, &form), RC_NOT_FOUND);
    buf_clear(bytes);
    free(bytes);
    /* It waits until there is something. */
    post_mail(g, BROKER_POST_MAIN, &(struct broker_mail){ .kind = BROKER_MAIL_SPOOL });
    assert_int_equal(record(g, 1, 5), RC_OK);
    mail = await_mail(g, BROKER_POST_MAIN);
    assert_int_equal(mail.kind, BROKER_MAIL_BATCH);
    assert_int_equal(mail.number, 5);
    bytes = mail.what;
    assert_int_equal(audit_batch_read(buf_bytes(bytes), &batch), RC_OK);
    while (audit_batch_next(&batch, &sequence, &form) == RC_OK)
        last = sequence;
    assert_int_equal(last, 5);
    buf_clear(bytes);
    free(bytes);
    close_ground(g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_answered_is_there_after_a_restart),
        TEST(what_could_not_be_kept_comes_back_with_its_topic),
        TEST(a_journal_of_many_changes_is_tidied),
        TEST(a_full_spool_says_so_and_what_it_refused_waits),
        TEST(what_the_spool_refused_is_there_in_the_next_life),
        TEST(the_spool_is_handed_on_from_where_the_other_side_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
