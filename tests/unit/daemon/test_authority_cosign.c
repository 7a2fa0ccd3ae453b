/* Signatures of witnesses, as the exporter brings them. */
#include "tests/unit/daemon/authority_world.h"

#include "audit/cosignature.h"

enum { WITNESSES = 2, WHEN = 1700000000 };

struct ground {
    struct world *w;
    struct audit_cosigner *cosigners[WITNESSES], *thief;
    struct audit_witnesses set;
    uint64_t size; /* of the checkpoint, and its note */
    struct buf note;
};

static int set_up(void **state)
{
    static const char *const NAMES[WITNESSES] = { "witness.example/a", "witness.example/b" };
    struct ground *g = calloc(1, sizeof *g);

    assert_non_null(g);
    g->w = make_world();
    g->note = BUF_MAX(AUDIT_NOTE_MAX);
    for (size_t i = 0; i < WITNESSES; i++) {
        AUTO_BUF(vkey, AUDIT_VKEY_MAX);
        assert_int_equal(audit_cosigner_new(bytes_of_text(NAMES[i]), &g->cosigners[i]), RC_OK);
        audit_witness_write(audit_cosigner_witness(g->cosigners[i]), &vkey);
        assert_int_equal(audit_witnesses_add(&g->set, buf_bytes(&vkey)), RC_OK);
    }
    assert_int_equal(audit_cosigner_new(bytes_of_text(NAMES[0]), &g->thief), RC_OK);
    g->w->cosigners = &g->set;
    start(g->w);
    add_device(g->w, "dev-1");
    g->size = wait_checkpoint(g->w, 1, &g->note).size;
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    void *w = g->w;

    for (size_t i = 0; i < WITNESSES; i++)
        audit_cosigner_free(g->cosigners[i]);
    audit_cosigner_free(g->thief);
    buf_clear(&g->note);
    clean(&w);
    free(g);
    return 0;
}

/* The body of a question: one witness's line under the checkpoint. */
static void write_line(const struct ground *g, const struct audit_cosigner *by, uint64_t size,
                       struct buf *query)
{
    struct bytes text, lines;

    assert_int_equal(audit_note_split(buf_bytes(&g->note), &text, &lines), RC_OK);
    buf_add_u64(query, size);
    assert_int_equal(audit_cosigner_sign(by, text, WHEN, query), RC_OK);
}

static enum rc bring(struct ground *g, struct bytes query, struct told *told)
{
    struct registry_question q = { .query = query };

    return ask_as(g->w, REGISTRY_EXPORTER, 0, REGISTRY_ASK_AUDIT_COSIGN, &q, &told->answer,
                  &told->reply);
}

static size_t signatures_of(const struct ground *g, const struct told *told)
{
    struct reader r = READER(told->answer.query);
    size_t count = 0;

    assert_int_equal(reader_u64(&r), g->size);
    assert_int_equal(audit_cosignature_count(&g->set, r.left, &count), RC_OK);
    return count;
}

static void each_is_kept_once_and_an_hour_of_them_is_one_record(void **state)
{
    struct ground *g = *state;
    AUTO_TOLD(told);

    for (size_t i = 0; i < 2 * WITNESSES; i++) {
        AUTO_BUF(query, REGISTRY_QUERY_MAX);
        write_line(g, g->cosigners[i % WITNESSES], g->size, &query);
        assert_int_equal(bring(g, buf_bytes(&query), &told), RC_OK);
        assert_int_equal(signatures_of(g, &told), i == 0 ? 1 : 2);
    }
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_DENIED), 0);
    stop(g->w);
    start(g->w); /* another life tells again */
    AUTO_BUF(query, REGISTRY_QUERY_MAX);
    add_device(g->w, "dev-2");
    g->size = wait_checkpoint(g->w, g->size + 1, &g->note).size;
    write_line(g, g->cosigners[0], g->size, &query);
    assert_int_equal(bring(g, buf_bytes(&query), &told), RC_OK);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_ALLOWED), 2);
}

/* ---- Several in one commit ---- */

struct asked {
    unsigned answered;
    enum rc rc[WITNESSES];
};

static void on_answer(void *with, const struct link_reply *reply)
{
    struct asked *asked = with;

    asked->rc[asked->answered++] = reply->rc;
}

static void ask_at_once(struct ground *g, const struct audit_cosigner *const by[WITNESSES],
                        struct asked *asked)
{
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(link) *link = NULL;

    *asked = (struct asked){ 0 };
    assert_int_equal(loop_new(&g->w->signing.clock, &loop), RC_OK);
    assert_int_equal(link_open(loop, dup(g->w->doors[REGISTRY_EXPORTER]),
                               registry_door_protocol(), NULL, NULL, &link),
                     RC_OK);
    for (size_t i = 0; i < WITNESSES; i++) {
        struct registry_question q = { 0 };
        AUTO_BUF(query, REGISTRY_QUERY_MAX);
        AUTO_BUF(body, LINK_BODY_MAX);
        write_line(g, by[i], g->size, &query);
        q.query = buf_bytes(&query);
        assert_int_equal(registry_question_write(REGISTRY_ASK_AUDIT_COSIGN, &q, &body), RC_OK);
        assert_int_equal(
            link_ask(link, REGISTRY_ASK_AUDIT_COSIGN, buf_bytes(&body), -1, on_answer, asked),
            RC_OK);
    }
    for (int turns = 0; asked->answered < WITNESSES && turns < 1500; turns++)
        assert_int_equal(loop_turn_once(loop, 20), RC_OK);
    assert_int_equal(asked->answered, WITNESSES);
}

static void what_comes_at_once_is_one_record(void **state)
{
    struct ground *g = *state;
    struct asked asked;

    ask_at_once(g, (const struct audit_cosigner *const[]){ g->cosigners[0], g->cosigners[1] },
                &asked);
    assert_int_equal(asked.rc[0], RC_OK);
    assert_int_equal(asked.rc[1], RC_OK);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_ALLOWED), 1);
}

static void a_wrong_one_is_refused_and_an_hour_of_them_is_one_record(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(query, REGISTRY_QUERY_MAX);
    AUTO_BUF(wrong, REGISTRY_QUERY_MAX);
    AUTO_TOLD(told);
    struct bytes text, lines;

    /* Its name and key id, and the thief's signature. */
    const struct audit_witness *whose = audit_cosigner_witness(g->cosigners[0]);
    struct audit_note_line line;
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    assert_int_equal(audit_note_split(buf_bytes(&g->note), &text, &lines), RC_OK);
    assert_int_equal(audit_cosigner_sign(g->thief, text, WHEN, &query), RC_OK);
    struct reader r = READER(buf_bytes(&query));
    assert_int_equal(audit_note_next(&r, &room, &line), RC_OK);
    buf_add_u64(&wrong, g->size);
    audit_note_add_line(&wrong, line.name, whose->id, line.signature);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bring(g, buf_bytes(&wrong), &told), RC_DENIED);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_DENIED), 1);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_ALLOWED), 0);
    /* A right one behind a wrong one: neither is taken. */
    assert_int_equal(audit_cosigner_sign(g->cosigners[1], text, WHEN, &wrong), RC_OK);
    assert_int_equal(bring(g, buf_bytes(&wrong), &told), RC_DENIED);
    buf_reset(&query);
    write_line(g, g->cosigners[1], g->size, &query);
    assert_int_equal(bring(g, buf_bytes(&query), &told), RC_OK);
    assert_int_equal(signatures_of(g, &told), 1);
}

static void what_is_none_of_ours_changes_nothing(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(query, REGISTRY_QUERY_MAX);
    AUTO_BUF(far, REGISTRY_QUERY_MAX);
    AUTO_TOLD(told);

    write_line(g, g->thief, g->size, &query); /* another key under a known name: a stranger's */
    assert_int_equal(bring(g, buf_bytes(&query), &told), RC_OK);
    assert_int_equal(signatures_of(g, &told), 0);
    write_line(g, g->cosigners[0], g->size + 1000, &far);
    assert_int_equal(bring(g, buf_bytes(&far), &told), RC_NOT_FOUND);
    assert_int_equal(bring(g, BYTES("\0\0\0\0\0\0\0\1"), &told), RC_MALFORMED);
    assert_int_equal(bring(g, BYTES("\0"), &told), RC_MALFORMED);
    assert_int_equal(count_audit(g->w, AUDIT_LOG_COSIGN, AUDIT_ALLOWED), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_is_kept_once_and_an_hour_of_them_is_one_record),
        TEST(what_comes_at_once_is_one_record),
        TEST(a_wrong_one_is_refused_and_an_hour_of_them_is_one_record),
        TEST(what_is_none_of_ours_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
