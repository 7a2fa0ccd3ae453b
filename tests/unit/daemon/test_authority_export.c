#include "tests/unit/daemon/authority_world.h"

#include "integration/report.h"

static enum rc tell(struct world *w, const struct integration_report *report)
{
    struct registry_question q = { 0 };
    AUTO_BUF(text, INTEGRATION_REPORT_MAX);
    AUTO_TOLD(told);
    enum rc rc;

    integration_report_write(report, &text);
    q.query = buf_bytes(&text);
    /* Ups and downs are taken two a second: as the exporter, ask again. */
    do
        rc = ask_as(w, REGISTRY_EXPORTER, 0, REGISTRY_ASK_EXPORTED, &q, &told.answer,
                    &told.reply);
    while (rc == RC_BUSY);
    return rc;
}

static struct registry_status status_of(struct world *w)
{
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told),
                     RC_OK);
    return told.answer.status;
}

/* The newest log.export records, newest first; returns how many there are. */
static size_t exports(struct world *w, struct audit_page *page)
{
    static struct buf reply;
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_LOG_EXPORT),
                                       .most = 100 };
    struct registry_question q = { 0 };
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    struct registry_answer answer = { 0 };
    struct audit_hit hit;
    size_t count = 0;

    reply.max = LINK_BODY_MAX;
    audit_query_write(&query, &asked);
    q.query = buf_bytes(&asked);
    assert_int_equal(
        ask_as(w, REGISTRY_OPERATOR_DOOR, ADMIN, REGISTRY_ASK_AUDIT_LIST, &q, &answer, &reply),
        RC_OK);
    assert_int_equal(audit_page_read(answer.query, page), RC_OK);
    while (audit_page_next(page, &hit) == RC_OK)
        count++;
    audit_page_clear(page);
    assert_int_equal(audit_page_read(answer.query, page), RC_OK);
    return count;
}

static void assert_newest(struct world *w, size_t count, enum audit_decision decision,
                          const char *reason)
{
    struct audit_page page = { 0 };
    struct audit_hit hit;

    assert_int_equal(exports(w, &page), count);
    assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    assert_int_equal(hit.record->decision, decision);
    assert_int_equal(hit.record->actor_kind, AUDIT_PROCESS);
    assert_true(bytes_equal_text(hit.record->actor, "exporter"));
    assert_true(bytes_equal_text(hit.record->target, "sink-1"));
    assert_true(bytes_equal_text(hit.record->reason, reason));
    audit_page_clear(&page);
}

static int prepare_with_sinks(void **state)
{
    assert_int_equal(prepare(state), 0);
    struct world *w = *state;
    stop(w);
    w->sinks = 2;
    start(w);
    return 0;
}

static void what_becomes_of_a_sink_is_in_the_log_once(void **state)
{
    struct world *w = *state;
    struct integration_report report = {
        .count = 2, .sinks = { { .name = "sink-1" }, { .name = "sink-2" } }
    };
    struct integration_report_sink *sink = &report.sinks[0];
    struct audit_page page = { 0 };

    assert_int_equal(tell(w, &report), RC_OK);
    assert_int_equal(exports(w, &page), 0);
    audit_page_clear(&page);
    sink->state = INTEGRATION_UP;
    sink->delivered = 5;
    assert_int_equal(tell(w, &report), RC_OK);
    assert_newest(w, 1, AUDIT_ALLOWED, "begins at 5");
    sink->delivered = 6;
    assert_int_equal(tell(w, &report), RC_OK);
    assert_newest(w, 1, AUDIT_ALLOWED, "begins at 5");
    sink->state = INTEGRATION_FAILING;
    memcpy(sink->why, "no route", 9);
    assert_int_equal(tell(w, &report), RC_OK);
    assert_newest(w, 2, AUDIT_FAILED, "fails at 6: no route");
    sink->state = INTEGRATION_UP;
    assert_int_equal(tell(w, &report), RC_OK);
    assert_newest(w, 3, AUDIT_ALLOWED, "recovers at 6");
}

static void status_says_how_far_the_slowest_is_and_what_fails_for_long(void **state)
{
    struct world *w = *state;
    struct integration_report report = {
        .count = 2,
        .sinks = { { "sink-1", INTEGRATION_UP, false, 9, "" },
                   { "sink-2", INTEGRATION_FAILING, false, 4, "no route" } },
    };
    struct registry_status status = status_of(w);

    assert_int_equal(status.sinks, 2);
    assert_int_equal(status.exported, 0);
    assert_int_equal(tell(w, &report), RC_OK);
    status = status_of(w);
    assert_int_equal(status.exported, 4);
    assert_string_equal(status.trouble, "");
    report.sinks[1].trouble = true;
    assert_int_equal(tell(w, &report), RC_OK);
    assert_string_equal(status_of(w).trouble,
                        "the audit log does not go out to sink-2: no route");
    report.sinks[1] =
        (struct integration_report_sink){ "sink-2", INTEGRATION_UP, false, 7, "" };
    assert_int_equal(tell(w, &report), RC_OK);
    assert_string_equal(status_of(w).trouble, "");
    assert_int_equal(status_of(w).exported, 7);
    close(w->doors[REGISTRY_EXPORTER]);
    w->doors[REGISTRY_EXPORTER] = -1;
    const uint64_t started = count_audit(w, AUDIT_PROCESS_START, AUDIT_ALLOWED);
    assert_int_equal(started, 2); /* the signer, and the exporter once, whatever it asked */
    while (status_of(w).trouble[0] == '\0') {
    }
    assert_non_null(strstr(status_of(w).trouble, "the exporter is away"));
    assert_int_equal(count_audit(w, AUDIT_PROCESS_START, AUDIT_ALLOWED), started);
    /* touchmarkd tells how it ended: tests/unit/daemon/test_authority_ends.c */
    assert_int_equal(count_audit(w, AUDIT_PROCESS_STOP, AUDIT_ALLOWED), 0);
}

/* A dead witness is no reason to keep the log from being pruned, and a dead sink none to say
 * that nobody signs. */
static void witnesses_stand_behind_sinks(void **state)
{
    struct world *w = *state;
    struct integration_report report = {
        .count = 4,
        .witnesses = 2,
        .sinks = { { "sink-1", INTEGRATION_UP, false, 9, "" },
                   { "sink-2", INTEGRATION_UP, false, 8, "" },
                   { "witness-1", INTEGRATION_UP, false, 7, "" },
                   { "witness-3", INTEGRATION_FAILING, true, 3, "answers 422" } },
    };

    assert_int_equal(status_of(w).cosigned, 0);
    assert_int_equal(status_of(w).witnesses, 0);
    assert_int_equal(tell(w, &report), RC_MALFORMED); /* the settings name none */
    stop(w);
    w->witnesses = 2;
    start(w);
    assert_int_equal(tell(w, &report), RC_OK);
    struct registry_status status = status_of(w);
    assert_int_equal(status.witnesses, 2);
    assert_int_equal(status.cosigned, 3);
    assert_int_equal(status.exported, 8);
    assert_string_equal(status.trouble, "witness-3 does not sign checkpoints: answers 422");
    report.sinks[1].trouble = true;
    report.sinks[1].state = INTEGRATION_FAILING;
    assert_int_equal(tell(w, &report), RC_OK);
    assert_string_equal(status_of(w).trouble, "the audit log does not go out to sink-2: ");
    report.count = 3;
    report.witnesses = 1;
    assert_int_equal(tell(w, &report), RC_MALFORMED);
}

static void a_report_of_other_sinks_is_refused(void **state)
{
    struct world *w = *state;
    struct integration_report report = { .count = 1, .sinks = { { .name = "sink-1" } } };
    struct registry_question q = { .query = BYTES("\x09") };
    AUTO_TOLD(told);

    assert_int_equal(tell(w, &report), RC_MALFORMED);
    assert_int_equal(
        ask_as(w, REGISTRY_EXPORTER, 0, REGISTRY_ASK_EXPORTED, &q, &told.answer, &told.reply),
        RC_MALFORMED);
    report.count = 2;
    memcpy(report.sinks[1].name, "sink-2", 7);
    assert_int_equal(tell(w, &report), RC_OK);
}

/* Every request of the protocol, in every actor's name: six pass: those that read the log,
 * the report, and what witnesses signed. */
static void the_exporter_asks_for_the_log_and_nothing_else(void **state)
{
    static const enum registry_ask PASS[] = {
        REGISTRY_ASK_AUDIT_ENTRIES, REGISTRY_ASK_AUDIT_CHECKPOINT, REGISTRY_ASK_AUDIT_PROOF,
        REGISTRY_ASK_EXPORTED,      REGISTRY_ASK_AUDIT_COSIGN,     REGISTRY_ASK_AUDIT_WATCH,
    };
    const struct link_protocol *protocol = registry_door_protocol();
    struct world *w = *state;

    for (size_t i = 0; i < protocol->count; i++) {
        enum registry_ask ask = (enum registry_ask)protocol->kinds[i].kind;
        struct registry_question q = { .kind = REGISTRY_OPERATOR, .state = REGISTRY_REVOKED };
        AUTO_TOLD(told);
        bool passes = false;
        for (size_t j = 0; j < sizeof PASS / sizeof *PASS; j++)
            passes = passes || PASS[j] == ask;
        memcpy(q.id, "dev-1", 6);
        enum rc rc = ask_as(w, REGISTRY_EXPORTER, ADMIN, ask, &q, &told.answer, &told.reply);
        if ((rc == RC_DENIED) == passes)
            fail_msg("%s: %s", protocol->kinds[i].name, rc_name(rc));
        if (passes)
            continue;
        assert_true(registry_channel_asks(REGISTRY_OPERATOR_DOOR, ask));
    }
    assert_false(registry_channel_asks(REGISTRY_OPERATOR_DOOR, REGISTRY_ASK_EXPORTED));
}

static void no_door_tells_how_far_sinks_are(void **state)
{
    struct world *w = *state;

    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_OPERATOR_DOOR; i++) {
        struct registry_question q = { .query = BYTES("\0") };
        AUTO_TOLD(told);
        assert_int_equal(ask_as(w, (enum registry_channel)i, ADMIN, REGISTRY_ASK_EXPORTED, &q,
                                &told.answer, &told.reply),
                         RC_DENIED);
    }
}

static void entries_come_without_an_actor(void **state)
{
    struct world *w = *state;
    struct registry_question q = { .query = BYTES("\0\0\0\0\0\0\0\0") };
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    assert_int_equal(ask_as(w, REGISTRY_EXPORTER, 0, REGISTRY_ASK_AUDIT_ENTRIES, &q,
                            &told.answer, &told.reply),
                     RC_OK);
    struct reader r = READER(told.answer.query);
    assert_int_equal(reader_u64(&r), 0);
    assert_int_equal(reader_take(&r, reader_u32(&r) + PROOF_HASH).len == 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare_with_sinks, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_becomes_of_a_sink_is_in_the_log_once),
        TEST(status_says_how_far_the_slowest_is_and_what_fails_for_long),
        TEST(witnesses_stand_behind_sinks),
        TEST(a_report_of_other_sinks_is_refused),
        TEST(the_exporter_asks_for_the_log_and_nothing_else),
        TEST(no_door_tells_how_far_sinks_are),
        TEST(entries_come_without_an_actor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
