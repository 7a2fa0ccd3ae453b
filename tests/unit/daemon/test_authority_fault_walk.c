/* wraps: mdb_txn_commit */
/* A store that fails at its Nth commit, for each N: of what a door pushes, and of what a signer
 * has a part in. test_authority_faults.c has administration without one. */
#include "tests/unit/daemon/failing_store.h"
#include "tests/unit/daemon/spools.h"

/* ---- A door's records: none is lost, none is there twice, and they keep their order ---- */

enum { BATCH = 3, SENT = 15 };

static const char *text_of(struct buf *room, const char *before, uint64_t number)
{
    const char *text = NULL;

    buf_reset(room);
    buf_addf(room, "%s%llu", before, (unsigned long long)number);
    assert_int_equal(buf_text(room, &text), RC_OK);
    return text;
}

/* As a door does: again until it is taken, from where the authority says that it is. */
static int push_all(struct world *w, uint8_t run)
{
    uint64_t sequence = 0;
    int failures = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);
    AUTO_BUF(device, 64);
    AUTO_BUF(topic, 64);

    while (sequence < SENT) {
        begin_batch(&batch, run, sequence + 1);
        for (uint64_t i = 1; i <= BATCH; i++)
            add_record(&batch, text_of(&device, "dev-", run),
                       text_of(&topic, "", sequence + i));
        uint64_t told = 0;
        enum rc rc = push(w, REGISTRY_DEVICE_DOOR, &batch, &told);
        if (rc == RC_OK) {
            assert_int_equal(told, sequence + BATCH);
            sequence = told;
            continue;
        }
        failures++;
        assert_true(failures < 10);
        if (rc == RC_LIMIT)
            continue;
        end_life(w);
        begin_life(w);
        begin_batch(&batch, run, 1); /* how far are we? */
        assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &told), RC_OK);
        assert_true(told == sequence || told == sequence + BATCH); /* whole batches */
        sequence = told;
    }
    return failures;
}

static void assert_each_once_in_order(struct world *w, uint8_t run)
{
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_BUF(room, 64);
    AUTO_TOLD(told);
    struct audit_page page;
    struct audit_hit hit;
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_PUBLISH),
                                       .actor = bytes_of_text(text_of(&room, "dev-", run)),
                                       .most = 100 };

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    for (uint64_t number = SENT; number > 0; number--) { /* the newest first */
        assert_int_equal(audit_page_next(&page, &hit), RC_OK);
        assert_true(bytes_equal_text(hit.record->target, text_of(&room, "", number)));
    }
    assert_int_equal(audit_page_next(&page, &hit), RC_NOT_FOUND);
    audit_page_clear(&page);
}

static void no_commit_that_fails_loses_or_doubles_a_doors_record(void **state)
{
    struct world *w = *state;
    uint8_t run = 1;

    stop(w);
    make_plan();
    begin_life(w);
    plan->commits = 0;
    assert_int_equal(push_all(w, run), 0);
    int commits = plan->commits;
    assert_true(commits >= SENT / BATCH);
    assert_each_once_in_order(w, run++);
    for (unsigned fault = NO_SPACE; fault < FAULTS; fault++) {
        int failures = 0;
        for (int nth = 1; nth <= commits; nth++, run++) {
            *plan = (struct plan){ .left = nth, .fault = (enum fault)fault };
            failures += push_all(w, run);
            *plan = (struct plan){ 0 };
            assert_each_once_in_order(w, run);
        }
        assert_true(failures >= SENT / BATCH && failures <= commits);
    }
    end_life(w);
    drop_plan();
}

/* ---- Issuing and revoking ---- */

struct whole {
    char device[REGISTRY_ID_MAX + 1];
    bool added, enrolled, revoked; /* it was told so */
};

static bool lives_on(enum rc rc)
{
    return rc != RC_CLOSED && rc != RC_IO && rc != RC_MALFORMED;
}

/* True if it was acknowledged; an authority that ended is started again, its signer, too. */
static bool is_done(struct world *w, enum rc rc)
{
    if (!lives_on(rc)) {
        stop(w);
        start(w);
    }
    return rc == RC_OK;
}

static struct whole live_whole(struct world *w, unsigned run)
{
    struct registry_question q = { 0 }, gone = { .state = REGISTRY_REVOKED, .reason = 4 };
    struct whole whole = { 0 };
    AUTO_BUF(room, 64);
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    set_id(&q, text_of(&room, "dev-", run));
    set_id(&gone, text_of(&room, "dev-", run));
    memcpy(whole.device, q.id, sizeof whole.device);
    whole.added = is_done(w, admin(w, REGISTRY_ASK_DEVICE_ADD, q, &told));
    if (!whole.added || !is_done(w, admin(w, REGISTRY_ASK_TOKEN_NEW, q, &token)))
        return whole;
    whole.enrolled = is_done(w, enrol(w, &w->device, &token, &told));
    whole.revoked = is_done(w, admin(w, REGISTRY_ASK_DEVICE_STATE, gone, &told));
    return whole;
}

static unsigned records_of(struct world *w, const char *device, enum audit_action action)
{
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);
    struct audit_page page;
    struct audit_hit hit;
    unsigned found = 0;
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .decisions = 1u << AUDIT_ALLOWED,
                                       .device = bytes_of_text(device),
                                       .most = 100 };

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK)
        found++;
    audit_page_clear(&page);
    return found;
}

/* Its certificates that are no orphans; and whether the device is revoked. */
static unsigned certificates_of(struct world *w, const char *device, bool *revoked)
{
    struct registry_question q = { 0 }, all = { .kind = REGISTRY_DEVICE };
    AUTO_TOLD(told);
    AUTO_TOLD(shown);
    struct registry_certificate certificate;
    unsigned found = 0;

    set_id(&q, device);
    enum rc rc = admin(w, REGISTRY_ASK_DEVICE_SHOW, q, &shown);
    assert_true(rc == RC_OK || rc == RC_NOT_FOUND);
    *revoked = rc == RC_OK && shown.answer.subject.state == REGISTRY_REVOKED;
    assert_int_equal(admin(w, REGISTRY_ASK_CERTIFICATE_LIST, all, &told), RC_OK);
    assert_int_equal(told.answer.cursor.len, 0); /* one page has all */
    struct reader r = READER(told.answer.list);
    while (registry_answer_next_certificate(&r, &certificate) == RC_OK)
        found += strcmp(certificate.subject, device) == 0;
    return found;
}

static void judge_whole(struct world *w, const struct whole *whole)
{
    unsigned issued = records_of(w, whole->device, AUDIT_CERTIFICATE_ISSUE);
    unsigned revocations = records_of(w, whole->device, AUDIT_DEVICE_REVOKE);
    unsigned added = records_of(w, whole->device, AUDIT_DEVICE_ADD);
    bool revoked = false;
    unsigned registered = certificates_of(w, whole->device, &revoked);

    assert_true(added <= 1 && issued <= 1 && revocations <= 1);
    assert_true(!whole->added || added == 1);
    assert_true(!whole->enrolled || issued == 1);
    assert_true(!whole->revoked || revocations == 1);
    assert_int_equal(registered, issued);
    assert_int_equal(revoked, revocations);
}

static void no_commit_that_fails_parts_a_certificate_from_its_record(void **state)
{
    struct world *w = *state;
    unsigned run = 1;

    stop(w);
    make_plan();
    start(w);
    struct whole first = live_whole(w, run++); /* and the signer serves from here on */
    assert_true(first.added && first.enrolled && first.revoked);
    plan->commits = 0;
    struct whole second = live_whole(w, run++);
    int commits = plan->commits;
    assert_true(second.revoked && commits >= 4);
    judge_whole(w, &first);
    judge_whole(w, &second);
    for (unsigned fault = NO_SPACE; fault < FAULTS; fault++)
        for (int nth = 1; nth <= commits; nth++, run++) {
            *plan = (struct plan){ .left = nth, .fault = (enum fault)fault };
            struct whole whole = live_whole(w, run);
            *plan = (struct plan){ 0 };
            AUTO_TOLD(told); /* what failed may be its own doing, behind the last answer */
            is_done(w, admin(w, REGISTRY_ASK_STATUS, (struct registry_question){ 0 }, &told));
            judge_whole(w, &whole);
        }
    drop_plan();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_commit_that_fails_loses_or_doubles_a_doors_record),
        TEST(no_commit_that_fails_parts_a_certificate_from_its_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
