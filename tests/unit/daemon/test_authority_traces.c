/* Who did what to whom stays to be found, whoever it was and whatever they are called. */
#include "tests/unit/daemon/found.h"

/* ---- Whom a record is about ---- */

/* The administrator of this world is called so. */
static void a_device_that_is_called_as_its_operator_is_found(void **state)
{
    struct world *w = *state;

    add_device(w, "first");
    assert_int_equal(count_found(w, (struct audit_query){ .device = BYTES("first") }), 1);
}

/* ---- Who answers for good ---- */

enum { MALLORY = 0xa3 };

static enum rc add_mallory(struct store_txn *txn, void *with)
{
    struct registry_subject mallory = { .kind = REGISTRY_OPERATOR,
                                        .id = "mallory",
                                        .role = REGISTRY_ADMIN };
    struct registry_subject line = { .kind = REGISTRY_LINE, .id = "line-1" };
    struct registry_certificate its = operators(MALLORY);

    (void)with;
    TRY(registry_subject_add(txn, &line, TBS_NOW_S * 1000));
    memcpy(its.subject, mallory.id, sizeof its.subject);
    TRY(registry_subject_add(txn, &mallory, TBS_NOW_S * 1000));
    return registry_certificate_register(txn, &its, TBS_NOW_S * 1000);
}

/* He acted, and was revoked since. */
static void have_mallory(struct world *w, uint32_t four_eyes)
{
    struct registry_question device = { 0 }, gone = { .kind = REGISTRY_OPERATOR };
    AUTO_TOLD(told);

    stop(w);
    w->four_eyes = four_eyes;
    w->proposal_lifetime_ms = 3600000;
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, add_mallory, w), RC_OK);
    store_close(store);
    start(w);
    set_id(&device, "x-1");
    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, MALLORY, REGISTRY_ASK_DEVICE_ADD,
                            &device, &told.answer, &told.reply),
                     RC_OK);
    set_id(&gone, "mallory");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, gone, &told), RC_OK);
}

static enum rc erase(struct world *w, enum registry_kind kind, const char *id,
                     struct told *told)
{
    AUTO_BUF(asked, 64);

    buf_add_u8(&asked, (uint8_t)kind);
    buf_add_sized16(&asked, bytes_of_text(id));
    buf_add_sized16(&asked, BYTES("gdpr"));
    return admin(w, REGISTRY_ASK_AUDIT_ERASE,
                 (struct registry_question){ .query = buf_bytes(&asked) }, told);
}

static void one_administrator_does_not_erase_another(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(told);

    have_mallory(w, 0);
    assert_int_equal(erase(w, REGISTRY_OPERATOR, "mallory", &told), RC_DENIED);
    assert_non_null(strstr(fault_text(), "what mallory did, an operator, is not erased"));
    assert_int_equal(erase(w, REGISTRY_LINE, "line-1", &told), RC_DENIED);
    assert_non_null(strstr(fault_text(), "what line-1 did, a line, is not erased"));
    assert_int_equal(count_found(w, (struct audit_query){ .actor = BYTES("mallory") }), 1);
    assert_int_equal(count_audit(w, AUDIT_LOG_ERASE, AUDIT_DENIED), 2);
}

static enum rc add_shadow(struct store_txn *txn, void *with)
{
    struct registry_subject shadow = { .kind = REGISTRY_OPERATOR,
                                       .id = "shadow",
                                       .role = REGISTRY_AUDITOR };

    (void)with;
    return registry_subject_add(txn, &shadow, TBS_NOW_S * 1000);
}

/* Who may have made it, and read by it. */
static void one_administrator_does_not_erase_an_auditor(void **state)
{
    struct registry_question gone = { .kind = REGISTRY_OPERATOR };
    struct world *w = *state;
    AUTO_TOLD(told);

    stop(w);
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, add_shadow, w), RC_OK);
    store_close(store);
    start(w);
    set_id(&gone, "shadow");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, gone, &told), RC_OK);
    assert_int_equal(erase(w, REGISTRY_OPERATOR, "shadow", &told), RC_DENIED);
    assert_non_null(strstr(fault_text(), "what shadow did, an operator, is not erased"));
}

static void two_may_propose_it(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(told);

    have_mallory(w, UINT32_C(1) << REGISTRY_ACT_ERASURE);
    assert_int_equal(erase(w, REGISTRY_OPERATOR, "mallory", &told), RC_OK);
    assert_true(told.answer.proposal.number > 0);
}

/* ---- Certificates ---- */

struct life {
    unsigned issued, revoked;
    char reason[AUDIT_REASON_MAX + 1], device[AUDIT_ID_MAX + 1];
};

static void look_at_life(const struct audit_record *record, void *with)
{
    struct life *life = with;

    life->issued += record->action == AUDIT_CERTIFICATE_ISSUE;
    if (record->action != AUDIT_CERTIFICATE_REVOKE)
        return;
    life->revoked++;
    if (record->reason.len > 0)
        memcpy(life->reason, record->reason.at, record->reason.len);
    if (record->device.len > 0)
        memcpy(life->device, record->device.at, record->device.len);
}

static struct registry_fingerprint activate(struct world *w, const char *device)
{
    struct registry_fingerprint fingerprint = { 0 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, device);
    new_token(w, device, &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(pki_key_hash(told.answer.der, fingerprint.at), RC_OK);
    return fingerprint;
}

static void a_certificate_ends_in_the_log_with_its_device(void **state)
{
    struct world *w = *state;
    struct registry_question gone = { .state = REGISTRY_REVOKED, .reason = 1 };
    struct registry_fingerprint fingerprint = activate(w, "dev-1");
    const struct audit_query query = { .certificate = BYTES_OF(fingerprint.at), .most = 10 };
    struct life life = { 0 };
    AUTO_TOLD(told);

    set_id(&gone, "dev-1");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, gone, &told), RC_OK);
    each_found(w, &query, look_at_life, &life);
    assert_int_equal(life.issued, 1);
    assert_int_equal(life.revoked, 1);
    assert_string_equal(life.device, "dev-1");
    assert_string_equal(life.reason, "with its device; reason keyCompromise");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, gone, &told), RC_EXISTS);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_REVOKE, AUDIT_ALLOWED), 1);
}

static void as_with_each_of_many_and_with_an_operator(void **state)
{
    struct world *w = *state;
    struct registry_question many = { .reason = 0 }, gone = { .kind = REGISTRY_OPERATOR };
    struct registry_fingerprint fingerprint = activate(w, "dev-1"), looker;
    const struct audit_query query = { .certificate = BYTES_OF(fingerprint.at), .most = 10 };
    const struct audit_query his = { .certificate = BYTES_OF(looker.at), .most = 10 };
    struct life life = { 0 };
    AUTO_BUF(ids, 64);
    AUTO_TOLD(told);

    add_device(w, "dev-2");
    buf_add(&ids, BYTES("\5dev-1\5dev-2"));
    many.ids = buf_bytes(&ids);
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_REVOKE_MANY, many, &told), RC_OK);
    each_found(w, &query, look_at_life, &life);
    assert_int_equal(life.revoked, 1);
    set_id(&gone, "looker");
    assert_int_equal(admin(w, REGISTRY_ASK_OPERATOR_REVOKE, gone, &told), RC_OK);
    memset(looker.at, AUDITOR, sizeof looker.at);
    each_found(w, &his, look_at_life, &life);
    assert_int_equal(life.revoked, 2);
    assert_int_equal(count_audit(w, AUDIT_CERTIFICATE_REVOKE, AUDIT_ALLOWED), 2);
}

static void an_act_is_found_by_what_its_doer_showed(void **state)
{
    struct world *w = *state;
    const struct registry_certificate shown = operators(ADMIN);
    struct registry_question none = { 0 };
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_LIST, none, &told), RC_OK);
    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, STRANGER, REGISTRY_ASK_DEVICE_LIST,
                            &none, &told.answer, &told.reply),
                     RC_DENIED);
    const struct bytes serial = { shown.serial, shown.serial_len };
    assert_true(count_found(w, (struct audit_query){ .serial = serial }) >= 2);
    assert_true(count_found(w, (struct audit_query){ .key = BYTES_OF(shown.key_hash) }) >= 2);
    assert_int_equal(count_audit(w, AUDIT_DEVICE_READ, AUDIT_DENIED), 1);
}

/* ---- What was refused ---- */

static enum rc ask_number(struct world *w, enum registry_ask ask, uint64_t number)
{
    AUTO_TOLD(told);

    return admin(w, ask, (struct registry_question){ .version = number, .number = number },
                 &told);
}

static unsigned count_denied(struct world *w, enum audit_action action, const char *target)
{
    return count_found(w, (struct audit_query){ .actions = audit_action_set_of(action),
                                                .decisions = 1u << AUDIT_DENIED,
                                                .actor = BYTES("first"),
                                                .target = bytes_of_text(target) });
}

/* By what is not there one learns what is. */
static void whoever_asks_for_what_is_not_there_is_in_the_log(void **state)
{
    struct world *w = *state;
    struct registry_question ghost = { 0 };
    uint8_t proof[1 + 32] = { 4, 0xab };
    AUTO_TOLD(told);

    set_id(&ghost, "ghost-77");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_SHOW, ghost, &told), RC_NOT_FOUND);
    assert_int_equal(count_denied(w, AUDIT_DEVICE_READ, "device ghost-77"), 1);
    assert_int_equal(count_found(w, (struct audit_query){ .device = BYTES("ghost-77") }), 1);
    assert_int_equal(ask_number(w, REGISTRY_ASK_POLICY_SHOW, 999), RC_NOT_FOUND);
    assert_int_equal(count_denied(w, AUDIT_POLICY_READ, "policy 999"), 1);
    assert_int_equal(ask_number(w, REGISTRY_ASK_PROPOSAL_SHOW, 999), RC_NOT_FOUND);
    assert_int_equal(count_denied(w, AUDIT_POLICY_READ, "proposal 999"), 1);
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_PROOF,
                           (struct registry_question){ .query = BYTES_OF(proof) }, &told),
                     RC_NOT_FOUND);
    assert_int_equal(count_audit(w, AUDIT_LOG_READ, AUDIT_DENIED), 1);
}

static void and_who_asks_for_too_much(void **state)
{
    struct world *w = *state;
    struct registry_question long_one = { .lifetime_s = 100 * 86400 };
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    set_id(&long_one, "dev-1");
    assert_int_equal(admin(w, REGISTRY_ASK_TOKEN_NEW, long_one, &told), RC_LIMIT);
    assert_int_equal(count_denied(w, AUDIT_TOKEN_NEW, "device dev-1"), 1);
    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_TOKEN_NEW,
                            &long_one, &told.answer, &told.reply),
                     RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_TOKEN_NEW, AUDIT_DENIED), 2);
}

/* ---- How it began ---- */

static enum rc begin_log(struct world *w, struct daemon_authority_book *book)
{
    struct store *store = open_store(w);

    assert_int_equal(daemon_authority_book_open(book, &w->signing.clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(book, w->scratch.dir, store), RC_OK);
    enum rc rc = daemon_authority_book_begin(book, store);
    daemon_authority_book_close(book);
    store_close(store);
    return rc;
}

static struct audit_query of_certificate(enum audit_action action, struct bytes fingerprint)
{
    return (struct audit_query){ .actions = audit_action_set_of(action),
                                 .certificate = fingerprint };
}

/* The ceremony's own, of which no request tells. */
static void the_first_certificates_are_in_the_log(void **state)
{
    struct world *w = make_world();
    const struct registry_certificate first = operators(ADMIN), looker = operators(AUDITOR);
    struct daemon_authority_book book;
    uint8_t root[32], proof[1 + 32] = { 4 };
    AUTO_TOLD(told);

    *state = w;
    assert_int_equal(begin_log(w, &book), RC_OK);
    assert_int_equal(begin_log(w, &book), RC_OK);
    start(w);
    const struct bytes his = BYTES_OF(first.fingerprint.at),
                       hers = BYTES_OF(looker.fingerprint.at);
    assert_int_equal(count_found(w, of_certificate(AUDIT_OPERATOR_ADD, his)), 1);
    assert_int_equal(count_found(w, of_certificate(AUDIT_OPERATOR_ADD, hers)), 1);
    assert_int_equal(pki_key_hash(buf_bytes(&w->root_der), root), RC_OK);
    assert_int_equal(count_found(w, of_certificate(AUDIT_SYSTEM_INIT, BYTES_OF(root))), 1);
    assert_int_equal(count_found(w, (struct audit_query){ .actions = audit_action_set_of(
                                                              AUDIT_SYSTEM_INIT) }),
                     1 + 1 + ISSUING);
    memcpy(proof + 1, first.fingerprint.at, 32);
    enum rc rc = RC_NOT_FOUND; /* until a checkpoint covers it */
    for (int tries = 0; rc == RC_NOT_FOUND && tries < 500; tries++) {
        rc = admin(w, REGISTRY_ASK_AUDIT_PROOF,
                   (struct registry_question){ .query = BYTES_OF(proof) }, &told);
        usleep(20000);
    }
    assert_int_equal(rc, RC_OK);
}

static void see_crl(const struct audit_record *record, void *with)
{
    (void)with;
    assert_true(bytes_start_with(record->reason, BYTES("SHA-256 ")));
    assert_int_equal(record->reason.len, 8 + 64);
}

static void a_crl_is_known_by_its_number(void **state)
{
    struct world *w = *state;
    struct registry_crl crl;
    enum rc rc = RC_NOT_FOUND;
    AUTO_BUF(target, 128);

    for (int tries = 0; rc != RC_OK && tries < 1500; tries++) {
        usleep(20000);
        rc = find_crl(w, "devices", &crl);
    }
    assert_int_equal(rc, RC_OK);
    buf_addf(&target, "%s %llu", crl.key, (unsigned long long)crl.number);
    const struct audit_query query = { .target = buf_bytes(&target), .most = 10 };
    assert_int_equal(each_found(w, &query, see_crl, NULL), 1);
}

struct orphans {
    unsigned found, of_device;
};

static void look_at_orphan(const struct audit_record *record, void *with)
{
    struct orphans *orphans = with;

    orphans->found++;
    orphans->of_device += bytes_equal(record->device, BYTES("dev-1"));
    assert_int_equal(record->certificate.serial.len, PKI_SERIAL_LEN);
    assert_int_equal(record->certificate.issuer.len, AUDIT_HASH);
    assert_int_equal(record->certificate.key.len, AUDIT_HASH);
    assert_int_equal(record->correlation[0], 7); /* of the request that it was signed for */
}

static struct orphans find_orphans(struct world *w)
{
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_CERTIFICATE_ORPHAN),
                                       .most = 10 };
    struct orphans orphans = { 0 };

    each_found(w, &query, look_at_orphan, &orphans);
    return orphans;
}

/* Of dev-1, in a life that ends at the registration, or in which it finds no space. */
static void enrol_in_vain(struct world *w, struct told *token, const char *dies_at,
                          const char *full_at)
{
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", token);
    stop(w);
    w->dies_at = dies_at;
    w->full_at = full_at;
    w->full = 2;
    start(w);
    assert_int_equal(enrol(w, &w->device, token, &told),
                     dies_at != NULL ? RC_CLOSED : RC_LIMIT);
    w->dies_at = w->full_at = NULL;
}

static void an_orphan_is_found_by_its_serial_key_and_request(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    enrol_in_vain(w, &token, "enrol", NULL);
    stop(w);
    start(w);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(find_orphans(w).found, 1);
}

/* No kill: the registration found no space, its refusal did. */
static void what_was_signed_and_not_registered_is_one_in_the_log_too(void **state)
{
    struct world *w = *state;
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    enrol_in_vain(w, &token, NULL, "enrol");
    assert_int_equal(find_orphans(w).of_device, 1);
    stop(w);
    start(w);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    assert_int_equal(find_orphans(w).found, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_that_is_called_as_its_operator_is_found),
        TEST(one_administrator_does_not_erase_another),
        TEST(one_administrator_does_not_erase_an_auditor),
        TEST(two_may_propose_it),
        TEST(a_certificate_ends_in_the_log_with_its_device),
        TEST(as_with_each_of_many_and_with_an_operator),
        TEST(an_act_is_found_by_what_its_doer_showed),
        TEST(whoever_asks_for_what_is_not_there_is_in_the_log),
        TEST(and_who_asks_for_too_much),
        cmocka_unit_test_teardown(the_first_certificates_are_in_the_log, clean),
        TEST(a_crl_is_known_by_its_number),
        TEST(an_orphan_is_found_by_its_serial_key_and_request),
        TEST(what_was_signed_and_not_registered_is_one_in_the_log_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
