/* Proposals as rows: who may be the second, when one is over, and how many single revocations
 * an operator has. */
#include "tests/unit/registry/world.h"

enum { ALICE = 0x51, BOB = 0x52, ALICES_OTHER = 0x53 };
enum { HOUR_MS = 3600000 };

struct case_of {
    struct registry_proposal proposal;
    struct bytes content;
    struct registry_subject second;
    struct registry_fingerprint shown;
    enum registry_proposal_state state;
    const char *operator;
    uint64_t number, most;
    int64_t now_ms;
    size_t len; /* of the content that was found */
    bool alone;
};

static struct registry_fingerprint fingerprint_of(uint8_t number)
{
    struct registry_fingerprint one;

    memset(one.at, number, sizeof one.at);
    return one;
}

static void add_operator(struct world *w, const char *id, enum registry_role role)
{
    struct act act = { .run = do_add, .subject = { .kind = REGISTRY_OPERATOR, .role = role } };

    sample_text(act.subject.id, bytes_of_text(id));
    assert_int_equal(world_do(w, &act), RC_OK);
}

static void certify(struct world *w, uint8_t number, const char *id)
{
    struct act act = { .run = do_register, .certificate = sample_certificate(number, id) };

    act.certificate.kind = REGISTRY_OPERATOR;
    assert_int_equal(world_do(w, &act), RC_OK);
}

static void two_administrators(struct world *w)
{
    add_operator(w, "alice", REGISTRY_ADMIN);
    add_operator(w, "bob", REGISTRY_ADMIN);
    certify(w, ALICE, "alice");
    certify(w, ALICES_OTHER, "alice");
    certify(w, BOB, "bob");
}

static enum rc do_make(struct store_txn *txn, void *with)
{
    struct case_of *one = with;
    struct registry_proposal proposal = { .act = REGISTRY_ACT_POLICY,
                                          .base = 3,
                                          .hash = { 1, 2 },
                                          .author = "alice",
                                          .shown = fingerprint_of(ALICE),
                                          .why = "pumps need it",
                                          .expires_ms = NOW_MS + HOUR_MS };

    TRY(registry_proposal_add(txn, &proposal, one->content, NOW_MS));
    one->proposal = proposal;
    return RC_OK;
}

static enum rc do_find(struct store_txn *txn, void *with)
{
    struct case_of *one = with;
    struct bytes content;

    TRY(registry_proposal_get(txn, one->number, &one->proposal, &content));
    one->len = content.len;
    return RC_OK;
}

static enum rc do_second(struct store_txn *txn, void *with)
{
    struct case_of *one = with;

    return registry_proposal_check_second(txn, &one->proposal, &one->second, &one->shown,
                                          one->alone);
}

static enum rc do_close(struct store_txn *txn, void *with)
{
    const struct case_of *one = with;
    struct registry_proposal proposal = one->proposal;

    return registry_proposal_close(txn, &proposal, one->state, one->now_ms);
}

static enum rc do_expire(struct store_txn *txn, void *with)
{
    struct case_of *one = with;

    TRY(registry_proposal_find_expired(txn, one->now_ms, &one->proposal));
    return registry_proposal_close(txn, &one->proposal, REGISTRY_PROPOSAL_EXPIRED, one->now_ms);
}

static struct case_of make(struct world *w, const char *content)
{
    struct case_of one = { .content = bytes_of_text(content) };

    assert_int_equal(store_write(w->store, do_make, &one), RC_OK);
    return one;
}

static enum rc second(struct world *w, const struct case_of *of, const char *id,
                      enum registry_role role, uint8_t certificate)
{
    struct case_of one = *of;

    one.second = (struct registry_subject){ .kind = REGISTRY_OPERATOR, .role = role };
    sample_text(one.second.id, bytes_of_text(id));
    one.shown = fingerprint_of(certificate);
    return store_read(w->store, do_second, &one);
}

static void the_second_is_another_administrator(void **state)
{
    struct world *w = *state;

    two_administrators(w);
    struct case_of made = make(w, "x");
    assert_int_equal(made.proposal.number, 1);
    assert_int_equal(second(w, &made, "bob", REGISTRY_ADMIN, BOB), RC_OK);
    assert_int_equal(second(w, &made, "bob", REGISTRY_AUDITOR, BOB), RC_DENIED);
    assert_int_equal(second(w, &made, "alice", REGISTRY_ADMIN, ALICE), RC_DENIED);
    assert_int_equal(second(w, &made, "alice", REGISTRY_ADMIN, ALICES_OTHER), RC_DENIED);
    assert_int_equal(second(w, &made, "bob", REGISTRY_ADMIN, ALICE), RC_DENIED);
    made.alone = true;
    assert_int_equal(second(w, &made, "alice", REGISTRY_ADMIN, ALICE), RC_OK);
    assert_int_equal(second(w, &made, "bob", REGISTRY_AUDITOR, BOB), RC_DENIED);
}

static void an_author_who_is_gone_proposes_nothing_any_more(void **state)
{
    struct world *w = *state;
    struct act gone = {
        .run = do_become, .id = "alice", .kind = REGISTRY_OPERATOR, .state = REGISTRY_SUSPENDED
    };

    two_administrators(w);
    struct case_of made = make(w, "x");
    assert_int_equal(world_do(w, &gone), RC_OK);
    assert_int_equal(second(w, &made, "bob", REGISTRY_ADMIN, BOB), RC_DENIED);
    assert_non_null(strstr(fault_text(), "no active administrator"));
}

static void nor_does_one_whose_certificate_was_revoked(void **state)
{
    struct world *w = *state;
    struct act revoke = { .run = do_revoke, .certificate = sample_certificate(ALICE, "alice") };

    two_administrators(w);
    struct case_of made = make(w, "x");
    assert_int_equal(world_do(w, &revoke), RC_OK);
    assert_int_equal(second(w, &made, "bob", REGISTRY_ADMIN, BOB), RC_DENIED);
    assert_non_null(strstr(fault_text(), "is revoked"));
}

static void what_was_made_is_there_after_a_restart_and_ends_once(void **state)
{
    struct world *w = *state;

    two_administrators(w);
    struct case_of made = make(w, "what it does");
    store_close(w->store);
    world_open(w);
    struct case_of found = { .number = 1 };
    assert_int_equal(store_read(w->store, do_find, &found), RC_OK);
    assert_int_equal(found.len, 12);
    assert_string_equal(found.proposal.why, "pumps need it");
    assert_int_equal(found.proposal.base, 3);
    assert_int_equal(found.proposal.expires_ms, NOW_MS + HOUR_MS);
    assert_int_equal(registry_proposal_check_open(&found.proposal, NOW_MS), RC_OK);
    assert_int_equal(registry_proposal_check_open(&found.proposal, NOW_MS + HOUR_MS - 1),
                     RC_OK);
    assert_int_equal(registry_proposal_check_open(&found.proposal, NOW_MS + HOUR_MS),
                     RC_EXISTS);
    made.state = REGISTRY_PROPOSAL_REJECTED;
    made.now_ms = NOW_MS + 1;
    assert_int_equal(store_write(w->store, do_close, &made), RC_OK);
    assert_int_equal(store_read(w->store, do_find, &found), RC_OK);
    assert_int_equal(registry_proposal_check_open(&found.proposal, NOW_MS), RC_EXISTS);
    assert_non_null(strstr(fault_text(), "rejected"));
    assert_int_equal(make(w, "again").proposal.number, 2);
    found.number = 3;
    assert_int_equal(store_read(w->store, do_find, &found), RC_NOT_FOUND);
}

static void only_what_is_over_expires_each_once(void **state)
{
    struct world *w = *state;
    struct case_of early = { .now_ms = NOW_MS + HOUR_MS - 1 };
    struct case_of late = { .now_ms = NOW_MS + HOUR_MS };

    two_administrators(w);
    (void)make(w, "one");
    (void)make(w, "two");
    assert_int_equal(store_write(w->store, do_expire, &early), RC_NOT_FOUND);
    for (uint64_t number = 1; number <= 2; number++) {
        assert_int_equal(store_write(w->store, do_expire, &late), RC_OK);
        assert_int_equal(late.proposal.number, number);
        assert_int_equal(late.proposal.state, REGISTRY_PROPOSAL_EXPIRED);
    }
    assert_int_equal(store_write(w->store, do_expire, &late), RC_NOT_FOUND);
}

static void only_so_many_wait(void **state)
{
    struct world *w = *state;
    struct case_of one = { .content = BYTES("x"), .now_ms = NOW_MS + HOUR_MS };

    two_administrators(w);
    for (unsigned i = 0; i < REGISTRY_PROPOSALS_OPEN; i++)
        (void)make(w, "x");
    assert_int_equal(store_write(w->store, do_make, &one), RC_LIMIT);
    assert_int_equal(store_write(w->store, do_expire, &one), RC_OK);
    assert_int_equal(store_write(w->store, do_make, &one), RC_OK);
}

/* ---- The list ---- */

struct listed {
    struct registry_question question;
    struct buf list, next;
    unsigned found;
};

static enum rc do_list(struct store_txn *txn, void *with)
{
    struct listed *listed = with;
    struct registry_proposal one;

    buf_reset(&listed->list);
    buf_reset(&listed->next);
    TRY(registry_list_proposals(txn, &listed->question, &listed->list, &listed->next));
    struct reader r = READER(buf_bytes(&listed->list));
    for (listed->found = 0; registry_answer_next_proposal(&r, &one) == RC_OK;)
        listed->found++;
    return RC_OK;
}

static void all_are_listed_or_those_that_wait(void **state)
{
    struct world *w = *state;
    struct listed listed = { .list = BUF_MAX(REGISTRY_LIST_MAX),
                             .next = BUF_MAX(REGISTRY_CURSOR_MAX) };

    two_administrators(w);
    struct case_of made = make(w, "one");
    (void)make(w, "two");
    made.state = REGISTRY_PROPOSAL_WITHDRAWN;
    assert_int_equal(store_write(w->store, do_close, &made), RC_OK);
    assert_int_equal(store_read(w->store, do_list, &listed), RC_OK);
    assert_int_equal(listed.found, 2);
    listed.question.open = true;
    assert_int_equal(store_read(w->store, do_list, &listed), RC_OK);
    assert_int_equal(listed.found, 1);
    listed.question = (struct registry_question){ .most = 1 };
    assert_int_equal(store_read(w->store, do_list, &listed), RC_OK);
    assert_int_equal(listed.found, 1);
    assert_true(listed.next.len > 0);
    buf_clear(&listed.list);
    buf_clear(&listed.next);
}

/* ---- One by one ---- */

static enum rc do_single(struct store_txn *txn, void *with)
{
    const struct case_of *one = with;

    return registry_single_add(txn, bytes_of_text(one->operator), one->most, one->now_ms);
}

static enum rc single(struct world *w, const char *operator, uint64_t most, int64_t now_ms)
{
    struct case_of one = { .operator= operator, .most = most, .now_ms = now_ms };

    return store_write(w->store, do_single, &one);
}

static void an_operator_has_so_many_single_ones_an_hour(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++)
        assert_int_equal(single(w, "alice", 3, NOW_MS + i), RC_OK);
    assert_int_equal(single(w, "alice", 3, NOW_MS + 3), RC_EXISTS);
    assert_non_null(strstr(fault_text(), "propose"));
    assert_int_equal(single(w, "bob", 3, NOW_MS + 3), RC_OK);
    store_close(w->store);
    world_open(w);
    assert_int_equal(single(w, "alice", 3, NOW_MS + HOUR_MS - 1), RC_EXISTS);
    assert_int_equal(single(w, "alice", 3, NOW_MS + HOUR_MS), RC_OK);
    assert_int_equal(single(w, "alice", 3, NOW_MS + HOUR_MS), RC_EXISTS);
    assert_int_equal(single(w, "alice", 3, NOW_MS + HOUR_MS - 7200000), RC_EXISTS);
}

/* ---- The setting ---- */

static void the_setting_names_acts_and_nothing_else(void **state)
{
    static const struct {
        const char *text, *said;
        enum rc rc;
    } ROWS[] = {
        { "", "none", RC_OK },
        { "policy", "policy", RC_OK },
        { " revocation , policy ", "policy,revocation", RC_OK },
        { "retention", "retention", RC_OK }, /* two acts */
        { "retention,retention", "", RC_MALFORMED },
        { "erasure", "", RC_MALFORMED },
        { "policy,policy", "", RC_MALFORMED },
        { "policy,", "", RC_MALFORMED },
        { ",policy", "", RC_MALFORMED },
        { "Policy", "", RC_MALFORMED },
        { "policies", "", RC_MALFORMED },
        { "all", "", RC_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(said, 256);
        uint32_t acts = 0;
        assert_int_equal(registry_acts_read(bytes_of_text(ROWS[i].text), &acts), ROWS[i].rc);
        registry_acts_say(acts, &said);
        assert_true(ROWS[i].rc != RC_OK || bytes_equal_text(buf_bytes(&said), ROWS[i].said));
    }
}

/* ---- What does not stay ---- */

enum { LONG = REGISTRY_TEXT_PART + 10, OTHER_LONG = LONG + 1 };

/* Of so many octets, all alike; the hash is the caller's word. */
static struct registry_text text_of(size_t len, uint8_t *octets)
{
    struct registry_text text = { { octets, len }, { (uint32_t)len, { (uint8_t)len, 1 } } };

    memset(octets, 'a', len);
    return text;
}

struct texts {
    size_t len;
    uint64_t number; /* of the proposal that was made, or is to be ended */
    enum registry_proposal_state state;
    int64_t now_ms;
    uint64_t most;
};

static enum rc do_propose_text(struct store_txn *txn, void *with)
{
    static uint8_t octets[OTHER_LONG];
    struct texts *one = with;
    const struct registry_text text = text_of(one->len, octets);
    const struct registry_question asked = { .name = text.name };
    struct registry_proposal proposal = { .act = REGISTRY_ACT_POLICY,
                                          .author = "alice",
                                          .expires_ms = NOW_MS + HOUR_MS };
    AUTO_BUF(content, REGISTRY_CONTENT_MAX);

    TRY(registry_text_propose(txn, &text, BYTES("alice"), NOW_MS));
    TRY(registry_question_write_body(REGISTRY_ASK_POLICY_APPLY, &asked, &content));
    TRY(registry_proposal_add(txn, &proposal, buf_bytes(&content), NOW_MS));
    one->number = proposal.number;
    return RC_OK;
}

static enum rc do_put_text(struct store_txn *txn, void *with)
{
    static uint8_t octets[OTHER_LONG];
    struct texts *one = with;
    const struct registry_text text = text_of(one->len, octets);

    return registry_text_put(txn, &text, BYTES("bob"), NOW_MS);
}

static enum rc do_end(struct store_txn *txn, void *with)
{
    const struct texts *one = with;
    struct registry_proposal proposal;
    struct bytes content;

    TRY(registry_proposal_get(txn, one->number, &proposal, &content));
    TRY(registry_proposal_close(txn, &proposal, one->state, NOW_MS));
    TRY(registry_proposal_get(txn, one->number, &proposal, &content));
    assert_int_equal(content.len > 0, one->state == REGISTRY_PROPOSAL_APPROVED);
    return RC_OK;
}

static enum rc do_look(struct store_txn *txn, void *with)
{
    static uint8_t octets[OTHER_LONG];
    const struct texts *one = with;
    const struct registry_text text = text_of(one->len, octets);
    AUTO_BUF(whole, REGISTRY_POLICY_MAX);

    return registry_text_get(txn, &(struct registry_text){ .name = text.name }, &whole);
}

static uint64_t propose_text(struct world *w, size_t len)
{
    struct texts one = { .len = len };

    assert_int_equal(store_write(w->store, do_propose_text, &one), RC_OK);
    return one.number;
}

static void end_it(struct world *w, uint64_t number, enum registry_proposal_state state)
{
    struct texts one = { .number = number, .state = state };

    assert_int_equal(store_write(w->store, do_end, &one), RC_OK);
}

static enum rc text_there(struct world *w, size_t len)
{
    struct texts one = { .len = len };

    return store_read(w->store, do_look, &one);
}

static void what_ended_undone_leaves_no_text(void **state)
{
    struct world *w = *state;
    struct texts put = { .len = LONG };

    end_it(w, propose_text(w, LONG), REGISTRY_PROPOSAL_REJECTED);
    assert_int_equal(text_there(w, LONG), RC_NOT_FOUND);
    end_it(w, propose_text(w, LONG), REGISTRY_PROPOSAL_WITHDRAWN);
    assert_int_equal(text_there(w, LONG), RC_NOT_FOUND);
    uint64_t first = propose_text(w, LONG), second = propose_text(w, LONG);
    uint64_t other = propose_text(w, OTHER_LONG);
    end_it(w, first, REGISTRY_PROPOSAL_EXPIRED);
    assert_int_equal(text_there(w, LONG), RC_OK); /* the second names it, too */
    end_it(w, second, REGISTRY_PROPOSAL_EXPIRED);
    assert_int_equal(text_there(w, LONG), RC_NOT_FOUND);
    assert_int_equal(text_there(w, OTHER_LONG), RC_OK);
    end_it(w, other, REGISTRY_PROPOSAL_APPROVED);
    assert_int_equal(text_there(w, OTHER_LONG), RC_OK);
    /* and a version's stays, whether it was proposed before that or after */
    first = propose_text(w, LONG);
    assert_int_equal(store_write(w->store, do_put_text, &put), RC_OK);
    end_it(w, first, REGISTRY_PROPOSAL_REJECTED);
    assert_int_equal(text_there(w, LONG), RC_OK);
    end_it(w, propose_text(w, LONG), REGISTRY_PROPOSAL_REJECTED);
    assert_int_equal(text_there(w, LONG), RC_OK);
}

static enum rc do_take(struct store_txn *txn, void *with)
{
    const struct texts *one = with;

    return registry_quota_take(txn, BYTES("alice"), one->len, one->most, one->now_ms);
}

static enum rc take(struct world *w, size_t len, uint64_t most, int64_t now_ms)
{
    struct texts one = { .len = len, .most = most, .now_ms = now_ms };

    return store_write(w->store, do_take, &one);
}

static void an_author_brings_so_much_a_day(void **state)
{
    struct world *w = *state;
    enum { DAY_MS = 24 * HOUR_MS };

    assert_int_equal(take(w, 60, 100, NOW_MS), RC_OK);
    assert_int_equal(take(w, 41, 100, NOW_MS), RC_EXISTS);
    store_close(w->store);
    world_open(w);
    assert_int_equal(take(w, 40, 100, NOW_MS + DAY_MS - 1), RC_OK);
    assert_int_equal(take(w, 1, 100, NOW_MS + DAY_MS - 1), RC_EXISTS);
    assert_int_equal(take(w, 1, 101, NOW_MS - DAY_MS), RC_OK); /* a clock that stepped back */
    assert_int_equal(take(w, 1, 101, NOW_MS - DAY_MS), RC_EXISTS);
    assert_int_equal(take(w, 100, 100, NOW_MS + DAY_MS), RC_OK);
    assert_int_equal(take(w, SIZE_MAX, 100, NOW_MS + 2 * DAY_MS), RC_EXISTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_second_is_another_administrator),
        WORLD_TEST(an_author_who_is_gone_proposes_nothing_any_more),
        WORLD_TEST(nor_does_one_whose_certificate_was_revoked),
        WORLD_TEST(what_was_made_is_there_after_a_restart_and_ends_once),
        WORLD_TEST(only_what_is_over_expires_each_once),
        WORLD_TEST(only_so_many_wait),
        WORLD_TEST(all_are_listed_or_those_that_wait),
        WORLD_TEST(an_operator_has_so_many_single_ones_an_hour),
        WORLD_TEST(what_ended_undone_leaves_no_text),
        WORLD_TEST(an_author_brings_so_much_a_day),
        cmocka_unit_test(the_setting_names_acts_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
