/* Who follows the log, and how many may at once: several questions are under way on one link.
 */
#include "tests/unit/daemon/authority_world.h"

#include "base/link_message.h"

enum { OPERATORS = 5, EACH = 4, ALL = 16, SOON_MS = 300 };

static uint8_t operator_of(unsigned number)
{
    return (uint8_t)(0xb0 + number);
}

static enum rc add_operators(struct store_txn *txn, void *with)
{
    const int64_t now_ms = TBS_NOW_S * 1000;
    (void)with;

    for (unsigned i = 0; i < OPERATORS; i++) {
        struct registry_subject subject = { .kind = REGISTRY_OPERATOR,
                                            .id = "op-0",
                                            .role = REGISTRY_AUDITOR };
        struct registry_certificate its = operators(operator_of(i));
        subject.id[3] = (char)('0' + i);
        memcpy(its.subject, subject.id, sizeof its.subject);
        TRY(registry_subject_add(txn, &subject, now_ms));
        TRY(registry_certificate_register(txn, &its, now_ms));
    }
    return RC_OK;
}

static void begin_with_operators(struct world *w)
{
    stop(w);
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, add_operators, NULL), RC_OK);
    store_close(store);
    start(w);
}

static uint32_t id_of(enum registry_ask ask, unsigned number)
{
    const struct link_protocol *protocol = registry_door_protocol();

    return link_protocol_first_credit(protocol,
                                      link_protocol_kind(protocol, (uint16_t)ask)->lane) +
           number;
}

static void send_through(struct world *w, enum registry_channel channel, uint8_t actor,
                         enum registry_ask ask, unsigned number, struct registry_question q)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    q.preamble.actor.known = actor != 0;
    memset(q.preamble.actor.fingerprint.at, actor, REGISTRY_FINGERPRINT);
    q.preamble.correlation[0] = 7;
    q.preamble.correlation[1] = (uint8_t)number;
    assert_int_equal(registry_question_write(ask, &q, &body), RC_OK);
    const struct link_message message = {
        .kind = link_protocol_kind(registry_door_protocol(), (uint16_t)ask),
        .id = id_of(ask, number),
        .body = buf_bytes(&body),
    };
    assert_int_equal(link_message_send(w->doors[channel], &message, -1), RC_OK);
}

static void send_question(struct world *w, uint8_t actor, enum registry_ask ask,
                          unsigned number, struct registry_question q)
{
    send_through(w, REGISTRY_OPERATOR_DOOR, actor, ask, number, q);
}

static void follow(struct world *w, uint8_t actor, unsigned number, uint64_t from)
{
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_DEVICE_ADD),
                                       .most = AUDIT_QUERY_MOST };
    AUTO_BUF(asked, 8 + AUDIT_QUERY_MAX);

    buf_add_u64(&asked, from);
    audit_query_write(&query, &asked);
    send_question(w, actor, REGISTRY_ASK_AUDIT_WATCH, number,
                  (struct registry_question){ .query = buf_bytes(&asked) });
}

struct reply {
    uint32_t id;
    enum rc rc;
    struct bytes body; /* in room */
    uint8_t room[LINK_BODY_MAX + 64];
};

/* RC_BUSY: none comes. */
static enum rc receive_within(struct world *w, enum registry_channel channel,
                              struct reply *reply, int most_ms)
{
    struct link_message message;
    struct bytes datagram;

    for (int waited = 0; waited < most_ms; waited += 10) {
        int fd = -1;
        enum rc rc = link_message_receive(w->doors[channel], reply->room, sizeof reply->room,
                                          &datagram, &fd);
        if (rc == RC_OK) {
            assert_int_equal(
                link_message_read(registry_door_protocol(), true, datagram, false, &message),
                RC_OK);
            reply->id = message.id;
            reply->rc = message.rc;
            reply->body = message.body;
            return RC_OK;
        }
        assert_int_equal(rc, RC_BUSY);
        usleep(10000);
    }
    return RC_BUSY;
}

static enum rc receive(struct world *w, struct reply *reply)
{
    return receive_within(w, REGISTRY_OPERATOR_DOOR, reply, SOON_MS);
}

static void expect_refused(struct world *w, unsigned number, enum rc rc, const char *says)
{
    static struct reply reply;
    AUTO_BUF(text, 512);
    const char *said = NULL;

    assert_int_equal(receive(w, &reply), RC_OK);
    assert_int_equal(reply.id, id_of(REGISTRY_ASK_AUDIT_WATCH, number));
    assert_int_equal(reply.rc, rc);
    buf_add(&text, reply.body);
    assert_int_equal(buf_text(&text, &said), RC_OK);
    assert_non_null(strstr(said, says));
}

static void one_operator_gets_a_part_and_all_together_no_more(void **state)
{
    static struct reply reply;
    struct world *w = *state;
    unsigned answered = 0;

    begin_with_operators(w);
    for (unsigned i = 0; i < ALL; i++)
        follow(w, operator_of(i / EACH), i, UINT64_MAX);
    assert_int_equal(receive(w, &reply), RC_BUSY);
    follow(w, operator_of(0), ALL, UINT64_MAX);
    expect_refused(w, ALL, RC_LIMIT, "operator op-0 follows the log 4 times already");
    follow(w, operator_of(OPERATORS - 1), ALL, UINT64_MAX);
    expect_refused(w, ALL, RC_BUSY, "16 follow the log already");

    /* Once they have their answers they count no more. */
    struct registry_question add = { 0 };
    set_id(&add, "dev-1");
    send_question(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, 0, add);
    for (; answered < ALL + 1; answered++) {
        assert_int_equal(receive(w, &reply), RC_OK);
        assert_int_equal(reply.rc, RC_OK);
    }
    follow(w, operator_of(0), 0, UINT64_MAX);
    assert_int_equal(receive(w, &reply), RC_BUSY);
}

static void who_may_not_read_is_refused_and_counts_for_nobody(void **state)
{
    static struct reply reply;
    struct world *w = *state;

    begin_with_operators(w);
    for (unsigned i = 0; i < ALL + 1; i++) {
        follow(w, STRANGER, i, UINT64_MAX);
        expect_refused(w, i, RC_DENIED, "not registered");
    }
    follow(w, operator_of(0), 0, UINT64_MAX);
    assert_int_equal(receive(w, &reply), RC_BUSY);
}

/* From the first record: all that is there comes at once. From now: nothing does. */
static void record_0_is_a_place_to_begin(void **state)
{
    static struct reply reply;
    struct world *w = *state;
    struct audit_page page;
    struct audit_hit hit;
    struct registry_answer answer = { 0 };

    add_device(w, "dev-1");
    follow(w, ADMIN, 0, UINT64_MAX);
    assert_int_equal(receive(w, &reply), RC_BUSY);
    follow(w, ADMIN, 1, 0);
    assert_int_equal(receive(w, &reply), RC_OK);
    assert_int_equal(reply.rc, RC_OK);
    assert_int_equal(reply.id, id_of(REGISTRY_ASK_AUDIT_WATCH, 1));
    assert_int_equal(registry_answer_read(REGISTRY_ASK_AUDIT_WATCH, reply.body, &answer),
                     RC_OK);
    assert_int_equal(audit_page_read(answer.query, &page), RC_OK);
    assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    assert_int_equal(hit.record->action, AUDIT_DEVICE_ADD);
    assert_true(page.next > hit.index);
    audit_page_clear(&page);
}

/* ---- A long way ---- */

enum { LONG = 90 * AUDIT_FOLLOW_STEPS + 5, LONG_MS = 20000 };

struct filling {
    struct audit_log *log;
    unsigned count;
};

static enum rc append_filling(struct store_txn *txn, void *with)
{
    const struct filling *filling = with;
    const struct audit_record record = { .action = AUDIT_POLICY_CHECK,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = TBS_NOW_S * 1000 };

    for (unsigned i = 0; i < filling->count; i++)
        TRY(audit_log_append(filling->log, txn, &record, NULL));
    return RC_OK;
}

static void begin_with_records(struct world *w, unsigned count)
{
    struct daemon_authority_book book;

    stop(w);
    struct store *store = open_store(w);
    assert_int_equal(daemon_authority_book_open(&book, &w->signing.clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(&book, w->scratch.dir, store), RC_OK);
    assert_int_equal(store_write(store, append_filling, &(struct filling){ book.log, count }),
                     RC_OK);
    daemon_authority_book_close(&book);
    store_close(store);
    start(w);
}

static void expect_device(struct world *w, const char *id)
{
    static struct reply reply;
    struct registry_answer answer = { 0 };
    struct audit_page page;
    struct audit_hit hit;

    assert_int_equal(receive_within(w, REGISTRY_OPERATOR_DOOR, &reply, LONG_MS), RC_OK);
    assert_int_equal(reply.rc, RC_OK);
    assert_int_equal(registry_answer_read(REGISTRY_ASK_AUDIT_WATCH, reply.body, &answer),
                     RC_OK);
    assert_int_equal(audit_page_read(answer.query, &page), RC_OK);
    assert_true(page.next > LONG);
    assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    assert_true(bytes_equal_text(hit.record->device, id));
    assert_int_equal(audit_page_next(&page, &hit), RC_NOT_FOUND);
    audit_page_clear(&page);
}

/* What these four want is none of what there is. Meanwhile others are served, and when it comes
 * each is told of it, however far he was. */
static void who_has_a_long_way_holds_up_nobody_and_is_answered_at_its_end(void **state)
{
    static struct reply reply;
    struct world *w = *state;
    struct registry_question add = { 0 };

    begin_with_records(w, LONG);
    for (unsigned i = 0; i < EACH; i++)
        follow(w, ADMIN, i, 0);
    set_id(&add, "dev-1");
    send_question(w, ADMIN, REGISTRY_ASK_DEVICE_ADD, 0, add);
    assert_int_equal(receive_within(w, REGISTRY_OPERATOR_DOOR, &reply, LONG_MS), RC_OK);
    assert_int_equal(reply.id, id_of(REGISTRY_ASK_DEVICE_ADD, 0)); /* the first answer */
    assert_int_equal(reply.rc, RC_OK);
    for (unsigned i = 0; i < EACH; i++)
        expect_device(w, "dev-1");
}

/* ---- The exporter ---- */

static void listen_from(struct world *w, unsigned number, uint64_t from)
{
    const struct audit_query query = { .most = 1 };
    AUTO_BUF(asked, 8 + AUDIT_QUERY_MAX);

    buf_add_u64(&asked, from);
    audit_query_write(&query, &asked);
    send_through(w, REGISTRY_EXPORTER, 0, REGISTRY_ASK_AUDIT_WATCH, number,
                 (struct registry_question){ .query = buf_bytes(&asked) });
}

/* How large it is told that the log is, and no more than that; UINT64_MAX: it waits. */
static uint64_t heard(struct world *w)
{
    static struct reply reply;
    struct registry_answer answer = { 0 };
    struct audit_page page;
    struct audit_hit hit;

    if (receive_within(w, REGISTRY_EXPORTER, &reply, SOON_MS) == RC_BUSY)
        return UINT64_MAX;
    assert_int_equal(reply.rc, RC_OK);
    assert_int_equal(registry_answer_read(REGISTRY_ASK_AUDIT_WATCH, reply.body, &answer),
                     RC_OK);
    assert_int_equal(audit_page_read(answer.query, &page), RC_OK);
    const uint64_t size = page.next;
    assert_int_equal(audit_page_next(&page, &hit), RC_NOT_FOUND);
    audit_page_clear(&page);
    return size;
}

/* What comes at a start is in it; the question that stands waits for more. */
static uint64_t wait_for_its_end(struct world *w)
{
    uint64_t size = 0, more = 0;

    for (listen_from(w, 0, 0); (more = heard(w)) != UINT64_MAX; size = more)
        listen_from(w, 0, more);
    assert_true(size > 0);
    return size;
}

static void the_exporter_is_told_of_any_record_and_gets_none(void **state)
{
    static struct reply reply;
    struct world *w = *state;
    uint64_t size = wait_for_its_end(w);

    /* That somebody follows the log is a record, and of no interest to those who follow. */
    follow(w, ADMIN, 0, UINT64_MAX);
    assert_int_equal(heard(w), size + 1);
    assert_int_equal(receive(w, &reply), RC_BUSY);
    /* Who knows of a longer one knows another log. */
    listen_from(w, 0, size + 2);
    assert_int_equal(heard(w), size + 1);
    listen_from(w, 0, size + 1);
    assert_int_equal(heard(w), UINT64_MAX);
}

static void the_exporter_takes_no_followers_place_and_needs_none(void **state)
{
    static struct reply reply;
    struct world *w = *state;

    begin_with_operators(w);
    uint64_t size = wait_for_its_end(w);
    for (unsigned i = 1; i < ALL; i++)
        listen_from(w, i, size);
    for (unsigned i = 0; i < ALL; i++)
        follow(w, operator_of(i / EACH), i, UINT64_MAX);
    assert_int_equal(receive(w, &reply), RC_BUSY);
    follow(w, operator_of(OPERATORS - 1), ALL, UINT64_MAX);
    expect_refused(w, ALL, RC_BUSY, "16 follow the log already");
    for (unsigned i = 0; i < ALL; i++)
        assert_in_range(heard(w), size + 1, size + ALL); /* each of them is a record */
    listen_from(w, 0, 0);
    assert_int_equal(heard(w), size + ALL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_operator_gets_a_part_and_all_together_no_more),
        TEST(who_may_not_read_is_refused_and_counts_for_nobody),
        TEST(record_0_is_a_place_to_begin),
        TEST(who_has_a_long_way_holds_up_nobody_and_is_answered_at_its_end),
        TEST(the_exporter_is_told_of_any_record_and_gets_none),
        TEST(the_exporter_takes_no_followers_place_and_needs_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
