/* The authority with a real signer: what it gives, to whom, and what is left after a kill;
 * OpenSSL is the judge. */
#include "tests/unit/daemon/authority_world.h"

#include "tests/support/openssl.h"

static void a_token_gives_one_certificate_that_openssl_verifies(void **state)
{
    static const char *const VERIFY[] = { "verify",      "-CAfile",  "root.pem",  "-untrusted",
                                          "issuing.pem", "-purpose", "sslclient", "-attime",
                                          "1795348800",  "leaf.pem", NULL };
    static const char *const SHOW[] = { "x509", "-in", "leaf.pem", "-noout", "-text", NULL };
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);
    AUTO_TOLD(again);
    AUTO_BUF(said, 65536);
    AUTO_BUF(text, 65536);
    const char *shown = NULL;

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    write_pem("root.pem", buf_bytes(&w->root_der), "CERTIFICATE");
    write_pem("issuing.pem", buf_bytes(&w->issuing_der[0]), "CERTIFICATE");
    write_pem("leaf.pem", told.answer.der, "CERTIFICATE");
    assert_int_equal(openssl_run(&said, VERIFY), 0);
    assert_int_equal(openssl_run(&text, SHOW), 0);
    assert_int_equal(buf_text(&text, &shown), RC_OK);
    assert_non_null(strstr(shown, "URI:urn:touchmark:device:dev-1"));
    assert_non_null(strstr(shown, "serialNumber = dev-1"));
    assert_null(strstr(shown, "CA:TRUE"));

    assert_int_equal(enrol(w, &w->device, &token, &again), RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ISSUE, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ISSUE, AUDIT_DENIED), 1);
}

static void a_projection_learns_of_a_certificate_and_of_its_end(void **state)
{
    struct world *w = *state;
    struct registry_question watch = { 0 }, gone = { .state = REGISTRY_REVOKED, .reason = 4 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);
    AUTO_TOLD(page);
    struct pki_certificate leaf;
    struct registry_change change;
    uint64_t sequence = 0;
    AUTO_OF(registry_projection) *projection = NULL;

    assert_int_equal(registry_projection_new(NULL, &projection), RC_OK);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SNAPSHOT, &watch,
                            &page.answer, &page.reply),
                     RC_OK);
    struct registry_position position = page.answer.position;
    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(pki_certificate_read(told.answer.der, &leaf), RC_OK);
    set_id(&gone, "dev-1");
    enum registry_verdict seen[2] = { REGISTRY_UNKNOWN, REGISTRY_UNKNOWN };
    for (unsigned round = 0; round < 2; round++) {
        struct registry_fingerprint fingerprint;
        const struct registry_certificate *certificate = NULL;
        const struct registry_subject *subject = NULL;
        memcpy(fingerprint.at, leaf.fingerprint, sizeof fingerprint.at);
        while (seen[round] == REGISTRY_UNKNOWN ||
               (round == 1 && seen[round] == REGISTRY_ACCEPTED)) {
            watch.position = position;
            assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_WATCH, &watch,
                                    &page.answer, &page.reply),
                             RC_OK);
            position = page.answer.position;
            struct reader r = READER(page.answer.list);
            while (registry_answer_next_change(&r, &sequence, &change) == RC_OK)
                assert_int_equal(registry_projection_apply(projection, &change), RC_OK);
            seen[round] = registry_projection_judge(projection, &fingerprint, TBS_NOW_S,
                                                    &certificate, &subject);
        }
        if (round == 0)
            assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, gone, &page), RC_OK);
    }
    assert_int_equal(seen[0], REGISTRY_ACCEPTED);
    assert_int_equal(seen[1], REGISTRY_CERTIFICATE_WAS_REVOKED);
}

static void rights_are_the_roles_and_the_channels(void **state)
{
    static const struct {
        enum registry_channel channel;
        uint8_t actor;
        enum registry_ask ask;
        enum rc rc;
    } ROWS[] = {
        { REGISTRY_OPERATOR_DOOR, ADMIN, REGISTRY_ASK_DEVICE_LIST, RC_OK },
        { REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_DEVICE_LIST, RC_OK },
        { REGISTRY_OPERATOR_DOOR, STRANGER, REGISTRY_ASK_DEVICE_LIST, RC_DENIED },
        { REGISTRY_OPERATOR_DOOR, 0, REGISTRY_ASK_DEVICE_LIST, RC_DENIED },
        { REGISTRY_DEVICE_DOOR, ADMIN, REGISTRY_ASK_DEVICE_LIST, RC_DENIED },
        { REGISTRY_DEVICE_DOOR, ADMIN, REGISTRY_ASK_POLICY_APPLY, RC_DENIED },
        { REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_POLICY_APPLY, RC_DENIED },
        { REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_STATUS, RC_OK },
        { REGISTRY_OPERATOR_DOOR, ADMIN, REGISTRY_ASK_OPERATOR_LIST, RC_OK },
        { REGISTRY_OPERATOR_DOOR, ADMIN, REGISTRY_ASK_AUDIT_CHECKPOINT, RC_MALFORMED },
    };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct registry_question q = { .text = BYTES("# good") };
        AUTO_TOLD(told);
        assert_int_equal(ask_as(w, ROWS[i].channel, ROWS[i].actor, ROWS[i].ask, &q,
                                &told.answer, &told.reply),
                         ROWS[i].rc);
    }
    assert_int_equal(count_audit(w, (enum audit_action)0, AUDIT_DENIED), 6);
    /* the active one: nobody's who may not write them */
    assert_int_equal(*policies_compiled, 1);
}

static void a_wrong_policy_is_told_and_a_stale_one_is_refused(void **state)
{
    struct world *w = *state;
    struct registry_question q = { .text = BYTES("bad"), .why = "to see", .version = 1 };
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_false(told.answer.accepted);
    assert_true(bytes_equal_text(told.answer.text, "line 1 column 1: not good"));
    assert_int_equal(count_audit(w, AUDIT_POLICY_APPLY, AUDIT_DENIED), 1);
    q.only_check = true;
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_false(told.answer.accepted);
    assert_int_equal(count_audit(w, AUDIT_POLICY_CHECK, AUDIT_DENIED), 1);
    q.text = BYTES("# good two");
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_true(told.answer.accepted);
    assert_int_equal(told.answer.policy.version, 0);
    assert_int_equal(count_audit(w, AUDIT_POLICY_CHECK, AUDIT_ALLOWED), 1);
    q.only_check = false;
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_OK);
    assert_int_equal(told.answer.policy.version, 2);
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_APPLY, q, &told), RC_EXISTS);
    q.version = 0;
    assert_int_equal(admin(w, REGISTRY_ASK_POLICY_SHOW, q, &told), RC_OK);
    assert_true(bytes_equal_text(told.answer.text, "# good two"));
    assert_string_equal(told.answer.policy.author, "first");
}

/* Whoever reads is in the log before he is answered, once a request; what tells of nobody is
 * not. */
static void what_was_read_is_in_the_log(void **state)
{
    static const struct {
        enum registry_ask ask;
        enum audit_action action;
        unsigned records;
    } ROWS[] = {
        { REGISTRY_ASK_DEVICE_LIST, AUDIT_DEVICE_READ, 1 },
        { REGISTRY_ASK_DEVICE_SHOW, AUDIT_DEVICE_READ, 2 },
        { REGISTRY_ASK_CERTIFICATE_LIST, AUDIT_CERTIFICATE_READ, 1 },
        { REGISTRY_ASK_OPERATOR_LIST, AUDIT_OPERATOR_READ, 1 },
        { REGISTRY_ASK_POLICY_LIST, AUDIT_POLICY_READ, 1 },
        { REGISTRY_ASK_POLICY_SHOW, AUDIT_POLICY_READ, 2 },
        { REGISTRY_ASK_STATUS, AUDIT_STATUS_READ, 0 },
    };
    struct world *w = *state;
    AUTO_BUF(query, AUDIT_QUERY_MAX);

    add_device(w, "dev-1");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct registry_question q = { .id = "" };
        AUTO_TOLD(told);
        if (ROWS[i].ask == REGISTRY_ASK_DEVICE_SHOW)
            memcpy(q.id, "dev-1", 6);
        assert_int_equal(admin(w, ROWS[i].ask, q, &told), RC_OK);
        assert_int_equal(count_audit(w, ROWS[i].action, AUDIT_ALLOWED), ROWS[i].records);
    }
    audit_query_write(&(struct audit_query){ .device = BYTES("dev-1"), .most = 10 }, &query);
    struct registry_question q = { .query = buf_bytes(&query),
                                   .preamble.correlation = { 7, 1 } };
    for (int times = 0; times < 3; times++) {
        AUTO_TOLD(told);
        assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
        assert_int_equal(count_audit(w, AUDIT_LOG_READ, AUDIT_ALLOWED), 2); /* and the count */
    }
    q.preamble.correlation[1] = 2;
    AUTO_TOLD(told);
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(count_audit(w, AUDIT_LOG_READ, AUDIT_ALLOWED), 3);
}

static void renewal_is_for_the_registered_key(void **state)
{
    struct world *w = *state;
    struct soft_key other;
    struct registry_question q = { 0 };
    struct pki_certificate leaf;
    AUTO_TOLD(token);
    AUTO_TOLD(told);
    AUTO_TOLD(renewed);
    AUTO_BUF(csr, 4096);
    AUTO_BUF(body, LINK_BODY_MAX);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(pki_certificate_read(told.answer.der, &leaf), RC_OK);
    soft_key_make(&other, "another");
    for (unsigned round = 0; round < 2; round++) {
        buf_reset(&csr);
        buf_reset(&body);
        buf_reset(&renewed.reply);
        make_csr(round == 0 ? &other : &w->device, &csr);
        q.der = buf_bytes(&csr);
        q.preamble.actor.known = true;
        memcpy(q.preamble.actor.fingerprint.at, leaf.fingerprint, sizeof leaf.fingerprint);
        assert_int_equal(registry_question_write(REGISTRY_ASK_REENROL, &q, &body), RC_OK);
        assert_int_equal(link_ask_and_wait(w->doors[REGISTRY_DEVICE_DOOR],
                                           registry_door_protocol(), REGISTRY_ASK_REENROL,
                                           buf_bytes(&body), -1, WAIT_MS, &renewed.reply),
                         round == 0 ? RC_DENIED : RC_OK);
    }
    soft_key_clear(&other);
}

static void a_key_of_another_device_is_refused(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(first);
    AUTO_TOLD(second);
    AUTO_TOLD(told);
    struct soft_key own;

    add_device(w, "dev-1");
    add_device(w, "dev-2");
    new_token(w, "dev-1", &first);
    new_token(w, "dev-2", &second);
    assert_int_equal(enrol(w, &w->device, &first, &told), RC_OK);
    assert_int_equal(enrol(w, &w->device, &second, &told), RC_EXISTS);
    soft_key_make(&own, "own");
    assert_int_equal(enrol(w, &own, &second, &told), RC_OK);
    soft_key_clear(&own);
}

static void a_kill_between_signature_and_commit_leaves_a_revoked_orphan(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    stop(w);
    w->dies_at = "enrol";
    start(w);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_CLOSED);
    stop(w);
    w->dies_at = NULL;
    start(w);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    assert_int_equal(told.answer.status.orphans, 1);
    assert_int_equal(told.answer.status.devices[REGISTRY_ACTIVE], 1);
    assert_true(told.answer.status.signer);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ORPHAN, AUDIT_ALLOWED), 1);
}

/* Neither the certificate nor its refusal can be written down: when there is space again, the
 * token has its one use still, and what was signed is an orphan. */
static void a_full_disk_uses_up_no_token(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    stop(w);
    w->full_at = "enrol";
    w->full =
        6; /* each change runs twice: the registration, its refusal, and what tries again */
    start(w);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_LIMIT);
    enum rc rc = RC_LIMIT;
    for (int tries = 0; rc == RC_LIMIT && tries < 1500; tries++) {
        usleep(20000);
        rc = enrol(w, &w->device, &token, &told);
    }
    assert_int_equal(rc, RC_OK);
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    assert_int_equal(told.answer.status.orphans, 1);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_ISSUE, AUDIT_ALLOWED), 1);
}

/* The other operator is an auditor, who could not make another administrator. */
static void the_last_administrator_cannot_revoke_himself(void **state)
{
    struct world *w = *state;
    struct registry_question q = { .kind = REGISTRY_OPERATOR, .state = REGISTRY_REVOKED };
    AUTO_TOLD(told);

    set_id(&q, "first");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, q, &told), RC_DENIED);
}

static void a_crl_says_what_was_revoked(void **state)
{
    static const char *const SHOW[] = { "crl",   "-in",     "crl.pem",  "-noout",
                                        "-text", "-CAfile", "both.pem", NULL };
    struct world *w = *state;
    struct registry_question q = { .state = REGISTRY_REVOKED, .reason = 1 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);
    AUTO_BUF(said, 65536);
    AUTO_BUF(both, 16384);
    AUTO_BUF(der, 65536);
    const char *text = "";
    struct registry_crl crl;

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    set_id(&q, "dev-1");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, q, &told), RC_OK);
    pki_pem_add(&both, "CERTIFICATE", buf_bytes(&w->root_der));
    pki_pem_add(&both, "CERTIFICATE", buf_bytes(&w->issuing_der[0]));
    unlink("both.pem");
    assert_int_equal(file_write(AT_FDCWD, "both.pem", buf_bytes(&both), 0600), RC_OK);
    for (int tries = 0; tries < 1500 && strstr(text, "Key Compromise") == NULL; tries++) {
        usleep(20000);
        if (find_crl(w, "devices", &crl) != RC_OK || fetch_crl(w, &crl, &der) != RC_OK)
            continue;
        write_pem("crl.pem", buf_bytes(&der), "X509 CRL");
        buf_reset(&said);
        assert_int_equal(openssl_run(&said, SHOW), 0);
        assert_int_equal(buf_text(&said, &text), RC_OK);
        assert_non_null(strstr(text, "verify OK"));
    }
    assert_non_null(strstr(text, "Key Compromise"));
}

static void an_altered_certificate_is_named_in_the_audit_log(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);
    AUTO_TOLD(looked);
    AUTO_BUF(altered, 4096);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    struct registry_question q = { .der = told.answer.der };
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_LOOK_UP, &q,
                            &looked.answer, &looked.reply),
                     RC_OK);
    assert_int_equal(looked.answer.verdict, REGISTRY_ACCEPTED);
    assert_string_equal(looked.answer.subject.id, "dev-1");
    buf_add(&altered, told.answer.der);
    altered.at[altered.len - 1] ^= 1;
    q.der = buf_bytes(&altered);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_LOOK_UP, &q,
                            &looked.answer, &looked.reply),
                     RC_OK);
    assert_int_equal(looked.answer.verdict, REGISTRY_ALTERED);
    q.der = buf_bytes(&w->root_der);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_LOOK_UP, &q,
                            &looked.answer, &looked.reply),
                     RC_OK);
    assert_int_equal(looked.answer.verdict, REGISTRY_FOREIGN);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_LOOK_UP, AUDIT_DENIED), 1);
}

static void doors_and_operators_get_certificates_of_their_own_kind(void **state)
{
    struct world *w = *state;
    struct registry_question q = { .kind = REGISTRY_OPERATOR, .role = REGISTRY_AUDITOR };
    struct soft_key key;
    struct pki_certificate made;
    AUTO_TOLD(told);
    AUTO_BUF(csr, 4096);
    AUTO_BUF(door, 4096);
    enum rc rc = RC_BUSY;

    make_csr(&w->device, &door);
    struct registry_question own = { .der = buf_bytes(&door) };
    for (int tries = 0; rc == RC_BUSY && tries < 1500; tries++, usleep(20000))
        rc = ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_DOOR, &own, &told.answer,
                    &told.reply);
    assert_int_equal(rc, RC_OK);
    assert_int_equal(pki_certificate_read(told.answer.der, &made), RC_OK);
    assert_int_equal(made.purposes, PKI_SERVER_AUTH);
    soft_key_make(&key, "second operator");
    make_csr(&key, &csr);
    q.der = buf_bytes(&csr);
    set_id(&q, "second");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_ADD, q, &told), RC_OK);
    assert_int_equal(pki_certificate_read(told.answer.der, &made), RC_OK);
    assert_int_equal(made.purposes, PKI_CLIENT_AUTH);
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_ADD, q, &told), RC_EXISTS);
    soft_key_clear(&key);
}

/* ---- Garbage: over a link of its own, since waiting for a refusal as malformed ends a raw one
 * ---- */

struct refused {
    unsigned answers, served;
};

static void count_answer(void *with, const struct link_reply *reply)
{
    struct refused *refused = with;

    refused->answers++;
    refused->served += reply->rc == RC_OK;
    assert_int_not_equal(reply->rc, RC_CLOSED);
}

static void add_garbage(struct buf *body, size_t len, unsigned *random)
{
    for (size_t at = 0; at < len; at++) {
        *random = *random * 1103515245 + 12345;
        buf_add_u8(body, (uint8_t)(*random >> 16));
    }
}

static void garbage_from_a_door_is_refused_and_the_link_goes_on(void **state)
{
    enum { LENGTHS = 16 };
    struct world *w = *state;
    const struct link_protocol *protocol = registry_door_protocol();
    struct refused refused = { 0 };
    unsigned random = 1, asked = 0;
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(link) *link = NULL;

    assert_int_equal(loop_new(&w->signing.clock, &loop), RC_OK);
    assert_int_equal(
        link_open(loop, w->doors[REGISTRY_DEVICE_DOOR], protocol, NULL, NULL, &link), RC_OK);
    w->doors[REGISTRY_DEVICE_DOOR] = -1;
    for (size_t i = 0; i < protocol->count; i++) {
        for (size_t length = 0; length < LENGTHS; length++) {
            AUTO_BUF(body, 4096);
            add_garbage(&body, length * 13, &random);
            assert_int_equal(link_ask(link, protocol->kinds[i].kind, buf_bytes(&body), -1,
                                      count_answer, &refused),
                             RC_OK);
            asked++;
        }
    }
    while (refused.answers < asked)
        assert_int_equal(loop_turn_once(loop, WAIT_MS), RC_OK);
    assert_int_equal(refused.served, 0);
    add_device(w, "still-here");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_gives_one_certificate_that_openssl_verifies),
        TEST(a_projection_learns_of_a_certificate_and_of_its_end),
        TEST(rights_are_the_roles_and_the_channels),
        TEST(a_wrong_policy_is_told_and_a_stale_one_is_refused),
        TEST(what_was_read_is_in_the_log),
        TEST(renewal_is_for_the_registered_key),
        TEST(a_key_of_another_device_is_refused),
        TEST(a_kill_between_signature_and_commit_leaves_a_revoked_orphan),
        TEST(a_full_disk_uses_up_no_token),
        TEST(the_last_administrator_cannot_revoke_himself),
        TEST(a_crl_says_what_was_revoked),
        TEST(an_altered_certificate_is_named_in_the_audit_log),
        TEST(doors_and_operators_get_certificates_of_their_own_kind),
        TEST(garbage_from_a_door_is_refused_and_the_link_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
