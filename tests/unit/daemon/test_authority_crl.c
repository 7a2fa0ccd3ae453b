/* The authority's CRLs: however many revocations, up to the bound; and what is told beyond it.
 */
#include "tests/unit/daemon/authority_world.h"

#include "tests/support/openssl.h"

enum { MANY = 20000, ENTRY = 35, SMALL = 8192, TRIES = 1500, OUTPUT_MAX = 16 << 20 };

/* So many serial numbers, of the devices' CA. */
struct bunch {
    const struct world *world;
    uint8_t first; /* octet of each */
    unsigned count;
    int64_t not_after_s, revoked_s;
};

static enum rc revoke_bunch(struct store_txn *txn, void *with)
{
    const struct bunch *bunch = with;
    struct pki_certificate issuer;
    uint8_t hash[32], serial[16] = { bunch->first };

    TRY(pki_certificate_read(buf_bytes(&bunch->world->issuing_der[0]), &issuer));
    TRY(pki_key_hash(issuer.subject, hash));
    for (unsigned i = 0; i < bunch->count; i++) {
        serial[14] = (uint8_t)(i >> 8);
        serial[15] = (uint8_t)i;
        TRY(registry_orphan_add(txn, hash, BYTES_OF(serial), bunch->not_after_s,
                                bunch->revoked_s * 1000));
    }
    return RC_OK;
}

/* In the registry while nobody has it open. */
static void put_revoked(struct world *w, struct bunch bunch)
{
    struct store *store = open_store(w);

    bunch.world = w;
    assert_int_equal(store_write(store, revoke_bunch, &bunch), RC_OK);
    store_close(store);
}

/*
 * All issuers' CRLs were made in this life, or one cannot be. The world's clock stands, so an
 * authority that is killed between a CRL's signature and its commit would ask for the same
 * number once more: it is stopped when this is over.
 */
static void wait_for_crls(struct world *w, char trouble[REGISTRY_TROUBLE_MAX + 1])
{
    int64_t made_ms = 0;

    trouble[0] = '\0';
    for (int tries = 0; tries < TRIES && made_ms == 0 && trouble[0] == '\0'; tries++) {
        struct registry_question none = { 0 };
        AUTO_TOLD(told);
        assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
        made_ms = told.answer.status.crl_ms;
        memcpy(trouble, told.answer.status.trouble, REGISTRY_TROUBLE_MAX + 1);
        usleep(20000);
    }
    assert_true(made_ms != 0 || trouble[0] != '\0');
}

/* Line by line: AddressSanitizer measures the whole text at each strstr(). */
static size_t count_entries(struct bytes text)
{
    static const char ENTRY_LINE[] = "    Serial Number: ";
    size_t count = 0;

    for (const uint8_t *end; (end = memchr(text.at, '\n', text.len)) != NULL;) {
        size_t len = (size_t)(end - text.at);
        count += bytes_start_with(
            (struct bytes){ text.at, len },
            (struct bytes){ (const uint8_t *)ENTRY_LINE, sizeof ENTRY_LINE - 1 });
        text = (struct bytes){ end + 1, text.len - len - 1 };
    }
    return count;
}

/* The devices' CRL as openssl reads it: its signature is good, and so many are on it. */
static size_t entries(struct world *w)
{
    static const char *const SHOW[] = { "crl",     "-inform",  "DER",   "-in",    "crl.der",
                                        "-CAfile", "both.pem", "-text", "-noout", NULL };
    struct registry_crl crl;
    AUTO_BUF(der, REGISTRY_CRL_MAX);
    AUTO_BUF(both, 16384);
    AUTO_BUF(said, OUTPUT_MAX);

    enum rc rc = RC_NOT_FOUND;
    for (int tries = 0; tries < TRIES && rc == RC_NOT_FOUND; tries++) {
        rc = find_crl(w, "devices", &crl);
        if (rc == RC_OK)
            rc = fetch_crl(w, &crl, &der);
        if (rc == RC_NOT_FOUND)
            usleep(20000);
    }
    assert_int_equal(rc, RC_OK);
    pki_pem_add(&both, "CERTIFICATE", buf_bytes(&w->root_der));
    pki_pem_add(&both, "CERTIFICATE", buf_bytes(&w->issuing_der[0]));
    assert_int_equal(file_write(AT_FDCWD, "both.pem", buf_bytes(&both), 0600), RC_OK);
    assert_int_equal(file_write(AT_FDCWD, "crl.der", buf_bytes(&der), 0600), RC_OK);
    assert_int_equal(openssl_run(&said, SHOW), 0);
    assert_non_null(memmem(said.at, said.len, "verify OK", 9));
    return count_entries(buf_bytes(&said));
}

static void wait_for_next(struct world *w, const char *key, uint64_t number)
{
    struct registry_crl crl = { 0 };

    for (int tries = 0; tries < TRIES && crl.number <= number; tries++) {
        assert_int_equal(find_crl(w, key, &crl), RC_OK);
        usleep(20000);
    }
    assert_true(crl.number > number);
}

static void revoke_a_device(struct world *w)
{
    struct registry_question q = { .state = REGISTRY_REVOKED };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    new_token(w, "dev-1", &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
    set_id(&q, "dev-1");
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, q, &told), RC_OK);
}

/* More than a message to the signer, a value of the store or an answer to a door holds. */
static void many_thousand_are_on_one_and_one_more_on_the_next(void **state)
{
    struct world *w = *state;
    struct registry_crl crl;
    char trouble[REGISTRY_TROUBLE_MAX + 1];

    wait_for_crls(w, trouble);
    stop(w);
    put_revoked(w, (struct bunch){ .first = 0x40,
                                   .count = MANY,
                                   .not_after_s = TBS_NOW_S + 100000,
                                   .revoked_s = TBS_NOW_S });
    start(w);
    wait_for_crls(w, trouble);
    assert_string_equal(trouble, "");
    assert_int_equal(entries(w), MANY);
    assert_int_equal(find_crl(w, "devices", &crl), RC_OK);
    revoke_a_device(w);
    wait_for_next(w, "devices", crl.number);
    assert_int_equal(entries(w), MANY + 1);
    stop(w); /* doors that come later are told of it, too */
    start(w);
    assert_int_equal(entries(w), MANY + 1);
    tell_trouble(w, trouble);
    assert_string_equal(trouble, "");
}

static void a_part_of_another_one_is_not_given(void **state)
{
    struct world *w = *state;
    struct registry_crl crl, other;
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    AUTO_BUF(der, REGISTRY_CRL_MAX);

    wait_for_crls(w, trouble);
    assert_int_equal(find_crl(w, "devices", &crl), RC_OK);
    assert_int_equal(fetch_crl(w, &crl, &der), RC_OK);
    other = crl;
    other.number++;
    assert_int_equal(fetch_crl(w, &other, &der), RC_NOT_FOUND);
    other = (struct registry_crl){ "unknown", crl.number, crl.len };
    assert_int_equal(fetch_crl(w, &other, &der), RC_NOT_FOUND);
}

static void expired_revocations_take_no_place_after_a_restart(void **state)
{
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];

    wait_for_crls(w, trouble);
    stop(w);
    put_revoked(w, (struct bunch){ .first = 0x40,
                                   .count = 2000,
                                   .not_after_s = TBS_NOW_S - 1000,
                                   .revoked_s = TBS_NOW_S - 2000 });
    start(w);
    wait_for_crls(w, trouble);
    assert_string_equal(trouble, "");
    assert_int_equal(entries(w), 0);
}

/* What is revoked is cut all the same; only who reads CRLs learns nothing new. */
static void more_than_the_bound_is_told_until_there_is_room(void **state)
{
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    struct registry_crl operators, doors;

    wait_for_crls(w, trouble);
    assert_int_equal(find_crl(w, "operators", &operators), RC_OK);
    assert_int_equal(find_crl(w, "doors", &doors), RC_OK);
    stop(w);
    w->crl_most = SMALL;
    put_revoked(w, (struct bunch){ .first = 0x40,
                                   .count = SMALL / ENTRY + 1,
                                   .not_after_s = TBS_NOW_S + 100000,
                                   .revoked_s = TBS_NOW_S });
    start(w);
    static const char EXPECTED[] = "no new CRL of devices: no room for more than ";
    for (int tries = 0; tries < TRIES && strstr(trouble, EXPECTED) == NULL; tries++) {
        tell_trouble(w, trouble);
        usleep(20000);
    }
    assert_non_null(strstr(trouble, EXPECTED));
    assert_non_null(strstr(trouble, "revocations in 8192 octets"));
    add_device(w, "dev-1");
    tell_trouble(w, trouble); /* another issuer's success does not end it */
    assert_non_null(strstr(trouble, "no new CRL of devices"));
    wait_for_next(w, "operators", operators.number);
    wait_for_next(w, "doors", doors.number);
    stop(w);
    w->crl_most = 0;
    start(w);
    wait_for_crls(w, trouble);
    assert_string_equal(trouble, "");
    assert_int_equal(entries(w), SMALL / ENTRY + 1);
}

/* RFC 5280 3.3 wants them on one more list; with no room for that they leave at once, and it
 * goes on. */
static void where_there_is_no_room_the_expired_leave_first(void **state)
{
    enum { VALID = 50, EXPIRED = 200 };
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];

    wait_for_crls(w, trouble);
    stop(w);
    put_revoked(w, (struct bunch){ .first = 0x40,
                                   .count = VALID,
                                   .not_after_s = TBS_NOW_S + 100000,
                                   .revoked_s = TBS_NOW_S });
    put_revoked(w, (struct bunch){ .first = 0x41,
                                   .count = EXPIRED,
                                   .not_after_s = TBS_NOW_S - 1000,
                                   .revoked_s = TBS_NOW_S });
    start(w);
    wait_for_crls(w, trouble);
    assert_int_equal(entries(w), VALID + EXPIRED);
    stop(w);
    w->crl_most = SMALL;
    start(w);
    wait_for_crls(w, trouble);
    assert_string_equal(trouble, "");
    assert_int_equal(entries(w), VALID);
}

/* The newest record about the devices' CRL has this id. */
static void newest(struct world *w, uint8_t correlation[AUDIT_CORRELATION])
{
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_CRL_ISSUE),
                                       .most = 20 };
    struct audit_page page;
    struct audit_hit hit;
    AUTO_TOLD(told);

    find_audit(w, &query, &told, &page);
    do
        assert_int_equal(audit_page_next(&page, &hit), RC_OK);
    while (!bytes_start_with(hit.record->target, BYTES("devices ")));
    memcpy(correlation, hit.record->correlation, AUDIT_CORRELATION);
    audit_page_clear(&page);
}

static void it_has_the_id_of_the_act_that_it_is_made_for_or_its_own(void **state)
{
    static const uint8_t NONE[AUDIT_CORRELATION];
    const uint8_t revocation[AUDIT_CORRELATION] = { 7 }; /* ask_as() */
    uint8_t own[AUDIT_CORRELATION], of[AUDIT_CORRELATION];
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    struct registry_crl crl;

    wait_for_crls(w, trouble);
    assert_int_equal(find_crl(w, "devices", &crl), RC_OK);
    newest(w, own);
    assert_memory_not_equal(own, NONE, sizeof own);
    assert_memory_not_equal(own, revocation, sizeof own);
    revoke_a_device(w);
    wait_for_next(w, "devices", crl.number);
    newest(w, of);
    assert_memory_equal(of, revocation, sizeof of);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_thousand_are_on_one_and_one_more_on_the_next),
        TEST(a_part_of_another_one_is_not_given),
        TEST(expired_revocations_take_no_place_after_a_restart),
        TEST(more_than_the_bound_is_told_until_there_is_room),
        TEST(it_has_the_id_of_the_act_that_it_is_made_for_or_its_own),
        TEST(where_there_is_no_room_the_expired_leave_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
