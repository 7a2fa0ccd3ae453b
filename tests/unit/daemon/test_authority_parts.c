/* Policies in parts: what is staged and for how long, what is refused, and what is left of it.
 */
#include "tests/unit/daemon/authority_world.h"

#include <poll.h>
#include <sys/mman.h>

#include "base/link_message.h"
#include "base/loop.h"
#include "pki/key.h"
#include "registry/projection.h"

static volatile int64_t *later_ms; /* shared: how far the authority's clock is ahead */

enum { SECOND = 0xa3, LEN = 2 * REGISTRY_TEXT_PART + 100, EACH = 2 };

static uint8_t octets[REGISTRY_POLICY_MAX];

/* A text of this length; check_policy() takes those that begin as good ones. */
static struct registry_name make(const char *begin, size_t len)
{
    struct registry_name name = { .len = (uint32_t)len };

    for (size_t i = 0; i < len; i++)
        octets[i] = (uint8_t)('a' + i / 1000 % 26);
    memcpy(octets, begin, strlen(begin));
    assert_int_equal(pki_key_hash((struct bytes){ octets, len }, name.hash), RC_OK);
    return name;
}

/* ask_as() with a correlation of its own. */
static enum rc as(struct world *w, uint8_t who, uint8_t correlation, enum registry_ask ask,
                  struct registry_question q, struct told *told)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    q.preamble.actor.known = true;
    memset(q.preamble.actor.fingerprint.at, who, REGISTRY_FINGERPRINT);
    q.preamble.correlation[0] = 7;
    q.preamble.correlation[1] = correlation;
    assert_int_equal(registry_question_write(ask, &q, &body), RC_OK);
    buf_reset(&told->reply);
    TRY(link_ask_and_wait(w->doors[REGISTRY_OPERATOR_DOOR], registry_door_protocol(),
                          (uint16_t)ask, buf_bytes(&body), -1, WAIT_MS, &told->reply));
    return registry_answer_read(ask, buf_bytes(&told->reply), &told->answer);
}

static enum rc send_part(struct world *w, uint8_t who, uint8_t correlation,
                         const struct registry_name *name, uint32_t part)
{
    struct registry_question q = { .name = *name, .part = part };
    AUTO_TOLD(told);

    q.text = (struct bytes){ octets + (size_t)part * REGISTRY_TEXT_PART,
                             registry_text_part_len(name, part) };
    enum rc rc = as(w, who, correlation, REGISTRY_ASK_POLICY_PART, q, &told);
    if (rc == RC_OK)
        assert_int_equal(told.answer.sequence, part + 1);
    return rc;
}

static void send_all(struct world *w, uint8_t correlation, const struct registry_name *name)
{
    for (uint32_t part = 0; part < registry_text_parts(name); part++)
        assert_int_equal(send_part(w, ADMIN, correlation, name, part), RC_OK);
}

static enum rc apply(struct world *w, uint8_t who, uint8_t correlation,
                     const struct registry_name *name, uint64_t replaces, struct told *told)
{
    const struct registry_question q = { .name = *name, .why = "to see", .version = replaces };

    return as(w, who, correlation, REGISTRY_ASK_POLICY_APPLY, q, told);
}

static uint64_t active(struct world *w, struct registry_name *name)
{
    AUTO_TOLD(told);

    assert_int_equal(
        as(w, ADMIN, 1, REGISTRY_ASK_POLICY_SHOW, (struct registry_question){ 0 }, &told),
        RC_OK);
    *name = told.answer.name;
    return told.answer.policy.version;
}

/* What the authority gives is what octets has. */
static void is_given(struct world *w, enum registry_channel channel,
                     const struct registry_name *name)
{
    struct registry_question q = { .name = *name };
    AUTO_TOLD(told);

    for (; q.part < registry_text_parts(name); q.part++) {
        assert_int_equal(
            ask_as(w, channel, 0, REGISTRY_ASK_POLICY_TEXT, &q, &told.answer, &told.reply),
            RC_OK);
        assert_true(bytes_equal(told.answer.list,
                                (struct bytes){ octets + (size_t)q.part * REGISTRY_TEXT_PART,
                                                registry_text_part_len(name, q.part) }));
    }
    assert_int_equal(
        ask_as(w, channel, 0, REGISTRY_ASK_POLICY_TEXT, &q, &told.answer, &told.reply),
        RC_NOT_FOUND);
}

static void nothing_happened(struct world *w, const struct registry_name *name)
{
    struct registry_question q = { .name = *name };
    struct registry_name shown;
    AUTO_TOLD(told);

    assert_int_equal(active(w, &shown), 1);
    assert_int_equal(shown.len, 0);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_POLICY_TEXT, &q,
                            &told.answer, &told.reply),
                     RC_NOT_FOUND);
    assert_int_equal(count_audit(w, AUDIT_POLICY_APPLY, AUDIT_ALLOWED), 0);
}

static void restart(struct world *w)
{
    stop(w);
    start(w);
}

/* ---- Claims ---- */

static void a_long_text_is_in_force_and_given_back_also_to_a_later_life(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN), shown;
    AUTO_TOLD(told);

    send_all(w, 1, &name);
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_OK);
    assert_true(told.answer.accepted);
    assert_int_equal(told.answer.policy.version, 2);
    assert_int_equal(active(w, &shown), 2);
    assert_true(registry_name_equal(&shown, &name));
    is_given(w, REGISTRY_OPERATOR_DOOR, &name);
    restart(w);
    is_given(w, REGISTRY_DEVICE_DOOR, &name);
    name = make("# good", REGISTRY_POLICY_MAX);
    send_all(w, 1, &name);
    assert_int_equal(apply(w, ADMIN, 1, &name, 2, &told), RC_OK);
    is_given(w, REGISTRY_DEVICE_DOOR, &name);
    assert_int_equal(count_audit(w, AUDIT_POLICY_APPLY, AUDIT_ALLOWED), 2);
}

static void a_wrong_one_is_answered_with_its_errors(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("bad", LEN);
    struct registry_question check = { .name = name, .only_check = true };
    AUTO_TOLD(told);

    send_all(w, 1, &name);
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_OK);
    assert_false(told.answer.accepted);
    assert_true(bytes_equal_text(told.answer.text, "line 1 column 1: not good"));
    send_all(w, 2, &name);
    assert_int_equal(as(w, ADMIN, 2, REGISTRY_ASK_POLICY_APPLY, check, &told), RC_OK);
    assert_false(told.answer.accepted);
    nothing_happened(w, &name);
    name = make("# good", LEN);
    check.name = name;
    send_all(w, 3, &name);
    assert_int_equal(as(w, ADMIN, 3, REGISTRY_ASK_POLICY_APPLY, check, &told), RC_OK);
    assert_true(told.answer.accepted);
    nothing_happened(w, &name);
    assert_int_equal(apply(w, ADMIN, 3, &name, 1, &told), RC_BUSY); /* it was used up */
}

static void what_is_missing_or_altered_has_no_effect(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN), other = name;
    AUTO_TOLD(told);

    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_BUSY);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 1), RC_BUSY);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_OK);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 2), RC_MALFORMED);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_MALFORMED);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 1), RC_OK);
    other.hash[0] ^= 1;
    assert_int_equal(send_part(w, ADMIN, 1, &other, 2), RC_MALFORMED);
    assert_int_equal(send_part(w, ADMIN, 2, &name, 2), RC_BUSY); /* under another request */
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_MALFORMED); /* it is not whole */
    send_all(w, 1, &other);
    assert_int_equal(apply(w, ADMIN, 1, &other, 1, &told), RC_MALFORMED);
    nothing_happened(w, &name);
    nothing_happened(w, &other);
    assert_int_equal(count_audit(w, AUDIT_POLICY_APPLY, AUDIT_DENIED), 1);
}

static void a_name_that_is_none_is_refused(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN);
    struct registry_question q = { .name = name, .text = BYTES("# good"), .version = 1 };
    AUTO_TOLD(told);

    assert_int_equal(as(w, ADMIN, 1, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_MALFORMED);
    q = (struct registry_question){ .name = name, .text = BYTES("# good") };
    assert_int_equal(as(w, ADMIN, 1, REGISTRY_ASK_POLICY_PART, q, &told), RC_MALFORMED);
    name.len = REGISTRY_POLICY_MAX + 1;
    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_MALFORMED);
    name.len = REGISTRY_TEXT_PART;
    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_MALFORMED);
    name.len = 0;
    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_MALFORMED);
}

static void only_who_may_write_stages_and_few_at_a_time(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN);
    AUTO_TOLD(told);

    assert_int_equal(send_part(w, AUDITOR, 1, &name, 0), RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_POLICY_CHECK, AUDIT_DENIED), 1);
    struct registry_question q = { .name = name, .text = { octets, REGISTRY_TEXT_PART } };
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, ADMIN, REGISTRY_ASK_POLICY_PART, &q,
                            &told.answer, &told.reply),
                     RC_DENIED);
    for (unsigned i = 0; i < EACH; i++)
        assert_int_equal(send_part(w, ADMIN, (uint8_t)i, &name, 0), RC_OK);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_LIMIT);
    assert_int_equal(apply(w, AUDITOR, 0, &name, 1, &told), RC_DENIED);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_LIMIT);
    assert_int_equal(apply(w, ADMIN, 0, &name, 1, &told), RC_MALFORMED);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_OK);
}

static void a_new_life_has_no_parts(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN);
    AUTO_TOLD(told);

    assert_int_equal(send_part(w, ADMIN, 1, &name, 0), RC_OK);
    restart(w);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 1), RC_BUSY);
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_BUSY);
    nothing_happened(w, &name);
}

static int64_t moved_ms(void *with)
{
    struct clock real = clock_system();

    (void)with;
    return clock_monotonic_ms(&real) + *later_ms;
}

static void what_is_never_named_goes(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN);
    AUTO_TOLD(told);

    later_ms =
        mmap(NULL, sizeof *later_ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)(uintptr_t)later_ms != MAP_FAILED);
    stop(w);
    w->signing.clock.monotonic_ms = moved_ms;
    start(w);
    for (unsigned i = 0; i < EACH; i++)
        assert_int_equal(send_part(w, ADMIN, (uint8_t)i, &name, 0), RC_OK);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_LIMIT);
    *later_ms = 25000;
    assert_int_equal(send_part(w, ADMIN, 0, &name, 1), RC_OK);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_LIMIT);
    *later_ms = 31000; /* the second is too old now, and the first is not */
    assert_int_equal(send_part(w, ADMIN, 0, &name, 2), RC_OK);
    assert_int_equal(send_part(w, ADMIN, 1, &name, 1), RC_BUSY);
    assert_int_equal(send_part(w, ADMIN, EACH, &name, 0), RC_OK);
    assert_int_equal(apply(w, ADMIN, 0, &name, 1, &told), RC_OK);
    assert_true(told.answer.accepted);
    /* kept by a part now and then: for a minute, not longer */
    name = make("# good", 6 * REGISTRY_TEXT_PART);
    assert_int_equal(send_part(w, ADMIN, 5, &name, 0), RC_OK);
    *later_ms = 60000;
    assert_int_equal(send_part(w, ADMIN, 5, &name, 1), RC_OK);
    *later_ms = 85000;
    assert_int_equal(send_part(w, ADMIN, 5, &name, 2), RC_OK);
    *later_ms = 92000;
    assert_int_equal(send_part(w, ADMIN, 5, &name, 3), RC_BUSY);
    munmap((void *)(uintptr_t)later_ms, sizeof *later_ms);
}

static bool has_answer(struct world *w, int wait_ms)
{
    struct pollfd door = { w->doors[REGISTRY_OPERATOR_DOOR], POLLIN, 0 };

    return poll(&door, 1, wait_ms) == 1;
}

/* Asked, and its answer not waited for. */
static void begin_to_apply(struct world *w, const struct registry_name *name)
{
    const struct link_kind *kind =
        link_protocol_kind(registry_door_protocol(), REGISTRY_ASK_POLICY_APPLY);
    struct registry_question q = { .name = *name, .why = "to see", .version = 1 };
    AUTO_BUF(body, LINK_BODY_MAX);

    q.preamble.actor.known = true;
    memset(q.preamble.actor.fingerprint.at, ADMIN, REGISTRY_FINGERPRINT);
    q.preamble.correlation[0] = 7;
    q.preamble.correlation[1] = 1;
    assert_int_equal(registry_question_write(REGISTRY_ASK_POLICY_APPLY, &q, &body), RC_OK);
    const struct link_message message = {
        .kind = kind,
        .id = link_protocol_first_credit(registry_door_protocol(), kind->lane),
        .body = buf_bytes(&body),
    };
    assert_int_equal(link_message_send(w->doors[REGISTRY_OPERATOR_DOOR], &message, -1), RC_OK);
}

/* check_policy() takes a second for it. */
static void others_are_answered_while_it_is_compiled(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good slow", LEN), shown;
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    send_all(w, 1, &name);
    begin_to_apply(w, &name);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SNAPSHOT, &q,
                                &told.answer, &told.reply),
                         RC_OK);
    assert_false(has_answer(w, 0));
    assert_true(has_answer(w, WAIT_MS));
    restart(w);
    assert_int_equal(active(w, &shown), 2);
}

/* Killed where its record is written, and started again. */
static void a_death_in_the_commit_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN);
    AUTO_TOLD(told);

    stop(w);
    w->dies_at = "policy-apply";
    start(w);
    send_all(w, 1, &name);
    assert_int_not_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_OK);
    w->dies_at = NULL;
    restart(w);
    nothing_happened(w, &name);
    send_all(w, 1, &name);
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_OK);
    is_given(w, REGISTRY_DEVICE_DOOR, &name);
}

/* ---- Four eyes ---- */

static enum rc add_second(struct store_txn *txn, void *with)
{
    struct registry_subject second = { .kind = REGISTRY_OPERATOR,
                                       .id = "second",
                                       .role = REGISTRY_ADMIN };
    struct registry_certificate its = operators(SECOND);

    (void)with;
    memcpy(its.subject, "second", 7);
    TRY(registry_subject_add(txn, &second, TBS_NOW_S * 1000));
    return registry_certificate_register(txn, &its, TBS_NOW_S * 1000);
}

static void a_proposal_keeps_it_until_it_is_approved(void **state)
{
    struct world *w = *state;
    struct registry_name name = make("# good", LEN), shown;
    struct registry_question content = { 0 };
    AUTO_TOLD(told);

    stop(w);
    w->four_eyes = 1 << REGISTRY_ACT_POLICY;
    w->proposal_lifetime_ms = 3600000;
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, add_second, NULL), RC_OK);
    store_close(store);
    start(w);
    send_all(w, 1, &name);
    assert_int_equal(apply(w, ADMIN, 1, &name, 1, &told), RC_OK);
    assert_int_equal(told.answer.proposal.number, 1);
    assert_int_equal(active(w, &shown), 1);
    restart(w);
    const struct registry_question one = { .number = 1, .why = "to see" };
    assert_int_equal(as(w, SECOND, 2, REGISTRY_ASK_PROPOSAL_SHOW, one, &told), RC_OK);
    assert_int_equal(
        registry_question_read_body(REGISTRY_ASK_POLICY_APPLY, told.answer.query, &content),
        RC_OK);
    assert_true(registry_name_equal(&content.name, &name));
    is_given(w, REGISTRY_OPERATOR_DOOR, &name);
    assert_int_equal(as(w, ADMIN, 3, REGISTRY_ASK_PROPOSAL_APPROVE, one, &told), RC_DENIED);
    assert_int_equal(as(w, AUDITOR, 3, REGISTRY_ASK_PROPOSAL_APPROVE, one, &told), RC_DENIED);
    assert_int_equal(active(w, &shown), 1);
    assert_int_equal(as(w, SECOND, 4, REGISTRY_ASK_PROPOSAL_APPROVE, one, &told), RC_OK);
    assert_int_equal(told.answer.policy.version, 2);
    assert_int_equal(active(w, &shown), 2);
    assert_true(registry_name_equal(&shown, &name));
}

/* ---- What a door says that it has applied ---- */

static void watch_and_acknowledge(struct world *w, struct registry_question q,
                                  enum registry_ask ask)
{
    AUTO_TOLD(told);

    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, ask, &q, &told.answer, &told.reply),
                     RC_OK);
}

/* The slowest door is as far as it said, however far the feed is. */
static void has_applied(struct world *w, uint64_t sequence)
{
    const struct registry_question q = { .sequence = sequence }, status = { 0 };
    AUTO_TOLD(told);

    assert_int_equal(as(w, ADMIN, 1, REGISTRY_ASK_APPLIED, q, &told), RC_OK);
    assert_true(told.answer.applied);
    assert_int_equal(as(w, ADMIN, 1, REGISTRY_ASK_STATUS, status, &told), RC_OK);
    assert_int_equal(told.answer.status.doors_behind, told.answer.status.sequence - sequence);
}

static void what_is_followed_is_not_said_to_be_applied(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SNAPSHOT, &q, &told.answer,
                            &told.reply),
                     RC_OK);
    q.position = told.answer.position;
    uint64_t first = q.position.sequence;
    add_device(w, "dev-1");
    add_device(w, "dev-2");
    watch_and_acknowledge(w, q, REGISTRY_ASK_WATCH);
    has_applied(w, first);
    q.position.sequence = first + 1;
    q.sequence = first;
    watch_and_acknowledge(w, q, REGISTRY_ASK_WATCH);
    has_applied(w, first);
    q.sequence = 0;
    watch_and_acknowledge(w, q, REGISTRY_ASK_ACKNOWLEDGE);
    has_applied(w, first + 1);
    q.position.sequence = first + 1000;
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_ACKNOWLEDGE, &q,
                            &told.answer, &told.reply),
                     RC_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_long_text_is_in_force_and_given_back_also_to_a_later_life),
        TEST(a_wrong_one_is_answered_with_its_errors),
        TEST(what_is_missing_or_altered_has_no_effect),
        TEST(a_name_that_is_none_is_refused),
        TEST(only_who_may_write_stages_and_few_at_a_time),
        TEST(a_new_life_has_no_parts),
        TEST(what_is_never_named_goes),
        TEST(others_are_answered_while_it_is_compiled),
        TEST(a_death_in_the_commit_leaves_nothing),
        TEST(a_proposal_keeps_it_until_it_is_approved),
        TEST(what_is_followed_is_not_said_to_be_applied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
