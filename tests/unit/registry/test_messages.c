#include "tests/unit/registry/samples.h"

#include "registry/rights.h"

static struct registry_question full_question(void)
{
    struct registry_subject device = sample_device("dev-1");
    struct registry_question q = {
        .preamble = { .correlation = { 1, 2, 3 },
                      .actor = { true, { { 9, 9 } } },
                      .peer = "192.0.2.1:55000",
                      .tls = "TLSv1.3 TLS_AES_256_GCM_SHA384" },
        .position = { { 5 }, 77 },
        .cursor = BYTES("dev-0"),
        .most = 20,
        .der = BYTES("\x30\x00"),
        .kind = REGISTRY_OPERATOR,
        .id = "dev-1",
        .group = "pumps",
        .state = REGISTRY_SUSPENDED,
        .role = REGISTRY_AUDITOR,
        .label = "a pump",
        .groups = device.groups,
        .fingerprint = { { 3 } },
        .reason = 4,
        .token_id = BYTES("t-1"),
        .token_secret = BYTES("secret"),
        .lifetime_s = 3600,
        .part = 17,
        .version = 3,
        .sequence = 12,
        .only_check = true,
        .text = BYTES("allow"),
        .name = { 6 * 1024 * 1024, { 8 } },
        .query = BYTES("\x01"),
        .ids = BYTES("\x05"
                     "dev-1\x05"
                     "dev-2"),
        .number = 8,
        .open = true,
        .why = "it is time",
    };

    return q;
}

static struct registry_answer full_answer(void)
{
    struct registry_answer a = {
        .position = { { 5 }, 77 },
        .cursor = BYTES("dev-9"),
        .list = BYTES("\x00\x00\x00\x01\x02"),
        .verdict = REGISTRY_ALTERED,
        .certificate = sample_certificate(4, "dev-1"),
        .subject = sample_device("dev-1"),
        .der = BYTES("\x30\x00"),
        .sequence = 12,
        .token_id = BYTES("t-1"),
        .token_secret = BYTES("secret"),
        .expires_ms = 99,
        .policy = { 3, "root", 55, true, "why" },
        .accepted = true,
        .applied = true,
        .text = BYTES("allow"),
        .name = { 6 * 1024 * 1024, { 8 } },
        .query = BYTES("\x01"),
        .status = { .revision = 1,
                    .signer = true,
                    .doors_behind = 3,
                    .records = 9,
                    .checkpoint = 8,
                    .sinks = 2,
                    .exported = 7,
                    .trouble = "a spool was rolled back" },
        .proposal = { .number = 8,
                      .act = REGISTRY_ACT_REVOCATION,
                      .state = REGISTRY_PROPOSAL_REJECTED,
                      .author = "alice",
                      .why = "lost",
                      .decider = "bob" },
        .counts = { 3, 2, 1 },
    };

    return a;
}

static void every_request_comes_back_as_it_was_and_no_shorter(void **state)
{
    const struct link_protocol *protocol = registry_door_protocol();
    struct registry_question q = full_question();

    (void)state;
    link_protocol_check(protocol);
    for (size_t i = 0; i < protocol->count; i++) {
        enum registry_ask ask = (enum registry_ask)protocol->kinds[i].kind;
        AUTO_BUF(first, LINK_BODY_MAX);
        AUTO_BUF(second, LINK_BODY_MAX);
        struct registry_question back;

        assert_true(registry_right_of(ask) < REGISTRY_RIGHTS); /* somebody's */
        assert_int_equal(registry_question_write(ask, &q, &first), RC_OK);
        struct bytes whole = buf_bytes(&first);
        assert_true(whole.len <= protocol->kinds[i].request_max);
        for (size_t len = 0; len < whole.len; len++)
            assert_int_equal(
                registry_question_read(ask, (struct bytes){ whole.at, len }, &back),
                RC_MALFORMED);
        assert_int_equal(registry_question_read(ask, whole, &back), RC_OK);
        assert_string_equal(back.preamble.peer, q.preamble.peer);
        assert_int_equal(registry_question_write(ask, &back, &second), RC_OK);
        assert_true(bytes_equal(whole, buf_bytes(&second)));
        buf_add_u8(&first, 0);
        assert_int_equal(registry_question_read(ask, buf_bytes(&first), &back), RC_MALFORMED);
    }
}

static void every_answer_comes_back_as_it_was_and_no_shorter(void **state)
{
    const struct link_protocol *protocol = registry_door_protocol();
    struct registry_answer a = full_answer();

    (void)state;
    for (size_t i = 0; i < protocol->count; i++) {
        enum registry_ask ask = (enum registry_ask)protocol->kinds[i].kind;
        AUTO_BUF(first, LINK_BODY_MAX);
        AUTO_BUF(second, LINK_BODY_MAX);
        struct registry_answer back;

        assert_int_equal(registry_answer_write(ask, &a, &first), RC_OK);
        struct bytes whole = buf_bytes(&first);
        assert_true(whole.len > 0 && whole.len <= protocol->kinds[i].reply_max);
        for (size_t len = 0; len < whole.len; len++)
            assert_int_equal(registry_answer_read(ask, (struct bytes){ whole.at, len }, &back),
                             RC_MALFORMED);
        assert_int_equal(registry_answer_read(ask, whole, &back), RC_OK);
        assert_int_equal(registry_answer_write(ask, &back, &second), RC_OK);
        assert_true(bytes_equal(whole, buf_bytes(&second)));
    }
}

static void the_longest_bodies_fit_their_message(void **state)
{
    const struct link_protocol *protocol = registry_door_protocol();
    struct registry_question q = full_question();
    static const uint8_t ZEROS[REGISTRY_LIST_MAX];

    (void)state;
    q.der = (struct bytes){ ZEROS, REGISTRY_CSR_MAX };
    q.text = (struct bytes){ ZEROS, REGISTRY_TEXT_PART };
    q.query = (struct bytes){ ZEROS, REGISTRY_QUERY_MAX };
    struct registry_answer a = full_answer();
    a.list = (struct bytes){ ZEROS, REGISTRY_LIST_MAX };
    a.query = a.list;
    a.der = q.der;
    for (size_t i = 0; i < protocol->count; i++) {
        enum registry_ask ask = (enum registry_ask)protocol->kinds[i].kind;
        AUTO_BUF(asked, LINK_BODY_MAX);
        q.query.len = ask == REGISTRY_ASK_SPOOL           ? REGISTRY_BATCH_MAX
                      : ask == REGISTRY_ASK_AUDIT_ENTRIES ? 8
                                                          : REGISTRY_QUERY_MAX;
        AUTO_BUF(answered, LINK_BODY_MAX);
        bool numbers = ask == REGISTRY_ASK_CERTIFICATE_LIST || ask == REGISTRY_ASK_DEVICE_SHOW;

        a.list.len = numbers                                  ? REGISTRY_CERTIFICATES_MAX
                     : ask == REGISTRY_ASK_DEVICE_REVOKE_MANY ? REGISTRY_IDS_MAX
                                                              : REGISTRY_LIST_MAX;
        a.query.len =
            ask == REGISTRY_ASK_PROPOSAL_SHOW ? REGISTRY_CONTENT_MAX : REGISTRY_LIST_MAX;
        a.log_numbers = (struct bytes){ ZEROS, REGISTRY_LOG_NUMBERS_MAX };
        assert_int_equal(registry_question_write(ask, &q, &asked), RC_OK);
        assert_true(asked.len <= protocol->kinds[i].request_max);
        assert_int_equal(registry_answer_write(ask, &a, &answered), RC_OK);
        assert_true(answered.len <= protocol->kinds[i].reply_max);
    }
    a.text = (struct bytes){ ZEROS, REGISTRY_TEXT_PART };
    AUTO_BUF(shown, LINK_BODY_MAX);
    assert_int_equal(registry_answer_write(REGISTRY_ASK_POLICY_SHOW, &a, &shown), RC_OK);
    a.text.len++;
    buf_reset(&shown);
    assert_int_equal(registry_answer_write(REGISTRY_ASK_POLICY_SHOW, &a, &shown), RC_LIMIT);
}

static void add_ids(struct buf *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(id, REGISTRY_ID_MAX);
        buf_addf(&id, "d%0*zu", REGISTRY_ID_MAX - 1, i);
        assert_int_equal(registry_ids_add(ids, buf_bytes(&id)), RC_OK);
    }
}

static void so_many_ids_fit_and_each_is_one(void **state)
{
    struct registry_question q = full_question(), back;
    size_t found = 0;
    AUTO_BUF(ids, REGISTRY_IDS_BYTES);
    AUTO_BUF(more, LINK_BODY_MAX);
    AUTO_BUF(out, LINK_BODY_MAX);
    char id[REGISTRY_ID_MAX + 1];

    (void)state;
    add_ids(&ids, REGISTRY_IDS_MAX);
    q.ids = buf_bytes(&ids);
    assert_int_equal(registry_question_write(REGISTRY_ASK_DEVICE_REVOKE_MANY, &q, &out), RC_OK);
    assert_int_equal(
        registry_question_read(REGISTRY_ASK_DEVICE_REVOKE_MANY, buf_bytes(&out), &back), RC_OK);
    struct reader r = READER(back.ids);
    for (; registry_ids_next(&r, id) == RC_OK; found++)
        assert_int_equal(strlen(id), REGISTRY_ID_MAX);
    assert_int_equal(found, REGISTRY_IDS_MAX);
    for (size_t i = 0; i <= REGISTRY_IDS_MAX; i++)
        buf_add(&more, BYTES("\x01"
                             "a"));
    assert_int_equal(registry_ids_count(buf_bytes(&more), &found), RC_LIMIT);
    assert_int_equal(registry_ids_count(BYTES("\x02"
                                              "a/"),
                                        &found),
                     RC_MALFORMED);
    assert_int_equal(registry_ids_count(BYTES("\x00"), &found), RC_MALFORMED);
    assert_int_equal(registry_ids_count(BYTES("\x03"
                                              "ab"),
                                        &found),
                     RC_MALFORMED);
}

static void a_proposal_keeps_a_question_without_who_asked(void **state)
{
    struct registry_question q = full_question(), back = { .preamble.peer = "later" };
    AUTO_BUF(first, LINK_BODY_MAX);
    AUTO_BUF(second, LINK_BODY_MAX);

    (void)state;
    assert_int_equal(registry_question_write_body(REGISTRY_ASK_POLICY_APPLY, &q, &first),
                     RC_OK);
    memset(&q.preamble, 0, sizeof q.preamble);
    assert_int_equal(registry_question_write_body(REGISTRY_ASK_POLICY_APPLY, &q, &second),
                     RC_OK);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    assert_int_equal(
        registry_question_read_body(REGISTRY_ASK_POLICY_APPLY, buf_bytes(&first), &back),
        RC_OK);
    assert_string_equal(back.preamble.peer, "later");
    assert_string_equal(back.why, "it is time");
    assert_true(bytes_equal_text(back.text, "allow"));
    buf_add_u8(&first, 0);
    assert_int_equal(
        registry_question_read_body(REGISTRY_ASK_POLICY_APPLY, buf_bytes(&first), &back),
        RC_MALFORMED);
}

static void an_actor_who_is_not_known_has_no_fingerprint(void **state)
{
    struct registry_question q = full_question();
    AUTO_BUF(out, LINK_BODY_MAX);

    (void)state;
    q.preamble.actor.known = false;
    assert_int_equal(registry_question_write(REGISTRY_ASK_STATUS, &q, &out), RC_OK);
    assert_int_equal(registry_question_read(REGISTRY_ASK_STATUS, buf_bytes(&out), &q),
                     RC_MALFORMED);
}

static void a_fault_names_the_field(void **state)
{
    struct registry_question q = full_question();
    AUTO_BUF(out, LINK_BODY_MAX);

    (void)state;
    sample_text(q.id, BYTES("not/an/id"));
    assert_int_equal(registry_question_write(REGISTRY_ASK_DEVICE_SHOW, &q, &out), RC_OK);
    assert_int_equal(registry_question_read(REGISTRY_ASK_DEVICE_SHOW, buf_bytes(&out), &q),
                     RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "door protocol: id"));
}

static void lists_give_back_what_was_added(void **state)
{
    struct registry_subject device = sample_device("dev-1"), device_back;
    struct registry_certificate one = sample_certificate(4, "dev-1"), one_back;
    struct registry_policy policy = { 3, "root", 55, true, "calmer" }, policy_back;
    struct registry_change change = { REGISTRY_CHANGE_CRL, BYTES("body") }, change_back;
    uint64_t sequence = 0;
    AUTO_BUF(list, REGISTRY_LIST_MAX);

    (void)state;
    assert_true(registry_answer_add_subject(&list, &device));
    assert_true(registry_answer_add_certificate(&list, &one));
    assert_true(registry_answer_add_policy(&list, &policy));
    assert_true(registry_answer_add_change(&list, 42, &change));
    struct reader r = READER(buf_bytes(&list));
    assert_int_equal(registry_answer_next_subject(&r, &device_back), RC_OK);
    assert_memory_equal(&device_back, &device, sizeof device);
    assert_int_equal(registry_answer_next_certificate(&r, &one_back), RC_OK);
    assert_memory_equal(&one_back, &one, sizeof one);
    assert_int_equal(registry_answer_next_policy(&r, &policy_back), RC_OK);
    assert_int_equal(policy_back.version, 3);
    assert_true(policy_back.active);
    assert_string_equal(policy_back.why, "calmer");
    assert_int_equal(registry_answer_next_change(&r, &sequence, &change_back), RC_OK);
    assert_int_equal(sequence, 42);
    assert_int_equal(change_back.kind, REGISTRY_CHANGE_CRL);
    assert_true(bytes_equal_text(change_back.body, "body"));
    assert_int_equal(registry_answer_next_change(&r, &sequence, &change_back), RC_NOT_FOUND);
}

static void a_full_list_takes_no_more_and_stays_whole(void **state)
{
    struct registry_subject device = sample_device("dev-1");
    size_t added = 0, found = 0;
    AUTO_BUF(list, 1000);

    (void)state;
    while (registry_answer_add_subject(&list, &device))
        added++;
    struct reader r = READER(buf_bytes(&list));
    while (registry_answer_next_subject(&r, &device) == RC_OK)
        found++;
    assert_true(added > 1);
    assert_int_equal(found, added);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_comes_back_as_it_was_and_no_shorter),
        cmocka_unit_test(every_answer_comes_back_as_it_was_and_no_shorter),
        cmocka_unit_test(the_longest_bodies_fit_their_message),
        cmocka_unit_test(so_many_ids_fit_and_each_is_one),
        cmocka_unit_test(a_proposal_keeps_a_question_without_who_asked),
        cmocka_unit_test(an_actor_who_is_not_known_has_no_fingerprint),
        cmocka_unit_test(a_fault_names_the_field),
        cmocka_unit_test(lists_give_back_what_was_added),
        cmocka_unit_test(a_full_list_takes_no_more_and_stays_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
