#include "tests/unit/registry/world.h"

#include "registry/rows.h"
#include "registry/text.h"

static void a_device_is_registered_until_its_first_certificate(void **state)
{
    struct world *w = *state;
    struct act get = { .run = do_get, .certificate = sample_certificate(1, "dev-1") };
    struct act again = { .run = do_add, .subject = sample_device("dev-1") };

    assert_int_equal(world_register(w, 1, "dev-1"), RC_NOT_FOUND);
    world_add_device(w, "dev-1");
    assert_int_equal(world_do(w, &again), RC_EXISTS);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_SUSPENDED), RC_DENIED);
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    assert_int_equal(world_do(w, &get), RC_OK);
    assert_int_equal(get.subject.state, REGISTRY_ACTIVE);
    assert_int_equal(get.certificate.state, REGISTRY_CERTIFICATE_ACTIVE);
    assert_int_equal(get.certificate.issued_ms, NOW_MS);
}

static void a_suspended_or_revoked_device_gets_no_certificate(void **state)
{
    struct world *w = *state;

    world_add_device(w, "dev-1");
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_SUSPENDED), RC_OK);
    assert_int_equal(world_register(w, 2, "dev-1"), RC_DENIED);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_ACTIVE), RC_OK);
    assert_int_equal(world_register(w, 2, "dev-1"), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(world_register(w, 3, "dev-1"), RC_DENIED);
}

static void a_key_belongs_to_one_subject_of_the_fleet(void **state)
{
    struct world *w = *state;
    struct act copy = { .run = do_register, .certificate = sample_certificate(2, "dev-2") };
    struct act renewal = { .run = do_register, .certificate = sample_certificate(3, "dev-1") };

    world_add_device(w, "dev-1");
    world_add_device(w, "dev-2");
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    struct registry_certificate first = sample_certificate(1, "dev-1");
    memcpy(copy.certificate.key_hash, first.key_hash, sizeof first.key_hash);
    memcpy(renewal.certificate.key_hash, first.key_hash, sizeof first.key_hash);
    assert_int_equal(world_do(w, &copy), RC_EXISTS);
    assert_non_null(strstr(fault_text(), "device dev-1's"));
    assert_int_equal(world_do(w, &renewal), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(world_do(w, &copy), RC_EXISTS);
}

static void a_compromised_key_never_comes_back(void **state)
{
    struct world *w = *state;
    struct act revoke = { .run = do_revoke, .certificate = sample_certificate(1, "dev-1") };
    struct act renewal = { .run = do_register, .certificate = sample_certificate(2, "dev-1") };

    world_add_device(w, "dev-1");
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    revoke.reason = 7;
    assert_int_equal(world_do(w, &revoke), RC_MALFORMED);
    revoke.reason = 1;
    assert_int_equal(world_do(w, &revoke), RC_OK);
    assert_int_equal(world_do(w, &revoke), RC_EXISTS);
    memcpy(renewal.certificate.key_hash, revoke.certificate.key_hash,
           sizeof renewal.certificate.key_hash);
    assert_int_equal(world_do(w, &renewal), RC_DENIED);
}

static void a_serial_and_a_fingerprint_are_used_once(void **state)
{
    struct world *w = *state;
    struct act same_serial = { .run = do_register,
                               .certificate = sample_certificate(2, "dev-1") };

    world_add_device(w, "dev-1");
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    assert_int_equal(world_register(w, 1, "dev-1"), RC_EXISTS);
    same_serial.certificate.serial[1] = 1;
    assert_int_equal(world_do(w, &same_serial), RC_EXISTS);
}

static void valid_certificates_of_one_subject_are_bounded(void **state)
{
    struct world *w = *state;
    struct act later = { .run = do_register, .certificate = sample_certificate(77, "dev-1") };

    world_add_device(w, "dev-1");
    for (int i = 1; i <= REGISTRY_CERTIFICATES_PER_SUBJECT; i++)
        assert_int_equal(world_register(w, (uint8_t)i, "dev-1"), RC_OK);
    assert_int_equal(world_do(w, &later), RC_LIMIT);
    later.now_ms = 201000;
    assert_int_equal(world_do(w, &later), RC_OK);
}

struct revoked_list {
    size_t count;
    struct registry_revoked at[64];
};

static enum rc keep(void *with, const struct registry_revoked *revoked)
{
    struct revoked_list *list = with;

    list->at[list->count++] = *revoked;
    return RC_OK;
}

static enum rc read_revoked(struct store_txn *txn, void *with)
{
    struct registry_certificate any = sample_certificate(1, "x");

    return registry_revoked_each(txn, any.issuer_hash, keep, with);
}

static void a_revoked_device_takes_its_certificates_with_it(void **state)
{
    struct world *w = *state;
    struct revoked_list list = { 0 };
    struct act get = { .run = do_get, .certificate = sample_certificate(3, "dev-1") };

    world_add_device(w, "dev-1");
    world_add_device(w, "dev-2");
    assert_int_equal(world_register(w, 9, "dev-2"), RC_OK);
    for (uint8_t i = 5; i >= 1; i--)
        assert_int_equal(world_register(w, i, "dev-1"), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(store_read(w->store, read_revoked, &list), RC_OK);
    assert_int_equal(list.count, 5);
    for (size_t i = 0; i < list.count; i++) {
        assert_int_equal(list.at[i].serial[1], i + 1);
        assert_false(list.at[i].orphan);
    }
    assert_int_equal(world_do(w, &get), RC_OK);
    assert_int_equal(get.certificate.state, REGISTRY_CERTIFICATE_REVOKED);
    get.certificate = sample_certificate(9, "dev-2");
    assert_int_equal(world_do(w, &get), RC_OK);
    assert_int_equal(get.certificate.state, REGISTRY_CERTIFICATE_ACTIVE);
}

static enum rc do_orphan(struct store_txn *txn, struct act *act)
{
    struct registry_certificate *one = &act->certificate;

    return registry_orphan_add(txn, one->issuer_hash,
                               (struct bytes){ one->serial, one->serial_len }, one->not_after_s,
                               act->now_ms);
}

static void an_orphan_is_revoked_and_its_serial_is_taken(void **state)
{
    struct world *w = *state;
    struct act orphan = { .run = do_orphan, .certificate = sample_certificate(4, "x") };
    struct revoked_list list = { 0 };

    world_add_device(w, "dev-1");
    assert_int_equal(world_do(w, &orphan), RC_OK);
    assert_int_equal(world_do(w, &orphan), RC_EXISTS);
    assert_int_equal(store_read(w->store, read_revoked, &list), RC_OK);
    assert_int_equal(list.count, 1);
    assert_true(list.at[0].orphan);
    assert_int_equal(world_register(w, 4, "dev-1"), RC_EXISTS);
    assert_int_equal(world_register(w, 5, "dev-1"), RC_OK);
    orphan.certificate = sample_certificate(5, "x");
    assert_int_equal(world_do(w, &orphan), RC_EXISTS);
}

struct looking {
    struct registry_leaf leaf;
    enum registry_verdict verdict;
    struct registry_certificate certificate;
    struct registry_subject subject;
};

static enum rc look(struct store_txn *txn, void *with)
{
    struct looking *l = with;

    return registry_certificate_look_up(txn, &l->leaf, NOW_MS, &l->verdict, &l->certificate,
                                        &l->subject);
}

static enum registry_verdict look_up(struct world *w, const struct registry_certificate *leaf,
                                     struct looking *l)
{
    l->leaf.fingerprint = leaf->fingerprint;
    memcpy(l->leaf.issuer_hash, leaf->issuer_hash, 32);
    memcpy(l->leaf.key_hash, leaf->key_hash, 32);
    l->leaf.serial = (struct bytes){ leaf->serial, leaf->serial_len };
    assert_int_equal(store_read(w->store, look, l), RC_OK);
    return l->verdict;
}

static void another_fingerprint_of_what_we_know_is_altered_in_every_state(void **state)
{
    struct world *w = *state;
    struct registry_certificate known = sample_certificate(1, "dev-1"), leaf = known;
    struct act orphan = { .run = do_orphan, .certificate = sample_certificate(4, "x") };
    struct looking l;

    world_add_device(w, "dev-1");
    assert_int_equal(look_up(w, &known, &l), REGISTRY_FOREIGN);
    assert_int_equal(l.certificate.kind, 0);
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    assert_int_equal(look_up(w, &known, &l), REGISTRY_ACCEPTED);
    assert_string_equal(l.subject.id, "dev-1");

    leaf.fingerprint.at[0] ^= 1;
    assert_int_equal(look_up(w, &leaf, &l), REGISTRY_ALTERED);
    assert_int_equal(l.certificate.kind, 0);
    leaf.serial[1] ^= 1;
    assert_int_equal(look_up(w, &leaf, &l), REGISTRY_ALTERED);
    leaf.key_hash[0] ^= 1;
    assert_int_equal(look_up(w, &leaf, &l), REGISTRY_FOREIGN);

    assert_int_equal(world_become(w, "dev-1", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(look_up(w, &known, &l), REGISTRY_CERTIFICATE_WAS_REVOKED);
    leaf = known;
    leaf.fingerprint.at[0] ^= 1;
    assert_int_equal(look_up(w, &leaf, &l), REGISTRY_ALTERED);

    assert_int_equal(world_do(w, &orphan), RC_OK);
    assert_int_equal(look_up(w, &orphan.certificate, &l), REGISTRY_ALTERED);
}

static enum rc do_policy(struct store_txn *txn, struct act *act)
{
    const struct registry_policy_new new = { .author = BYTES("root"),
                                             .text = { .octets = act->text },
                                             .why = act->why,
                                             .replaces = act->count };

    return registry_policy_put(txn, &new, act->now_ms, &act->version);
}

static enum rc do_show_policy(struct store_txn *txn, struct act *act)
{
    struct registry_policy_row row;

    TRY(registry_policy_get(txn, act->version, &row));
    act->count = row.version;
    act->known = row.active;
    return bytes_equal(row.text.octets, act->text) && bytes_equal(row.why, act->why)
               ? RC_OK
               : RC_MALFORMED;
}

static void a_policy_replaces_the_one_that_its_author_saw(void **state)
{
    struct world *w = *state;
    struct act put = { .run = do_policy, .text = BYTES("first"), .why = BYTES("to begin") };
    struct act show = { .run = do_show_policy, .text = BYTES("first") };

    assert_int_equal(world_do(w, &show), RC_NOT_FOUND);
    assert_int_equal(world_do(w, &put), RC_OK);
    assert_int_equal(put.version, 1);
    put.text = BYTES("second");
    put.why = BYTES("the first was empty");
    assert_int_equal(world_do(w, &put), RC_EXISTS);
    put.count = 1;
    put.why = BYTES("");
    assert_int_equal(world_do(w, &put), RC_MALFORMED);
    put.why = BYTES("   ");
    assert_int_equal(world_do(w, &put), RC_MALFORMED);
    put.why.len = REGISTRY_LABEL_MAX + 1;
    assert_int_equal(world_do(w, &put), RC_LIMIT);
    put.why = BYTES("the first was empty");
    assert_int_equal(world_do(w, &put), RC_OK);
    show.version = 1;
    show.why = BYTES("to begin");
    assert_int_equal(world_do(w, &show), RC_OK);
    assert_false(show.known);
    show.version = 0;
    show.text = BYTES("second");
    show.why = BYTES("the first was empty");
    assert_int_equal(world_do(w, &show), RC_OK);
    assert_int_equal(show.count, 2);
    assert_true(show.known);
}

/* As version 1 was kept before versions had a reason. */
static enum rc do_old_policy(struct store_txn *txn, struct act *act)
{
    AUTO_BUF(row, STORE_VALUE_MAX);
    struct store_number key = store_key_number(1);
    const struct registry_text text = { .octets = act->text };

    buf_add_u64(&row, (uint64_t)act->now_ms);
    buf_add_sized16(&row, BYTES("root"));
    registry_text_write(&text, &row);
    TRY(store_txn_insert(txn, REGISTRY_POLICIES, BYTES_OF(key.at), buf_bytes(&row)));
    return registry_fact_put_number(txn, BYTES("policy"), 1);
}

static void a_table_that_is_new_appears_in_a_registry_that_is_there(void **state)
{
    struct world *w = *state;
    struct act old = { .run = do_old_policy, .text = BYTES("first") };
    struct act put = { .run = do_policy, .text = BYTES("first"), .count = 1 };
    struct act show = { .run = do_show_policy, .text = BYTES("first"), .version = 1 };

    store_close(w->store);
    world_open_with(w, REGISTRY_POLICY_WHYS);
    assert_int_equal(world_do(w, &old), RC_OK);
    store_close(w->store);
    world_open(w);
    assert_int_equal(world_do(w, &show), RC_OK);
    put.why = BYTES("now there is one");
    assert_int_equal(world_do(w, &put), RC_OK);
    assert_int_equal(world_do(w, &show), RC_OK);
    show.version = 2;
    show.why = put.why;
    assert_int_equal(world_do(w, &show), RC_OK);
}

static enum rc do_init(struct store_txn *txn, struct act *act)
{
    struct registry_first first = { .certificate = act->certificate,
                                    .authorities = BYTES("\0\0\0\1a"),
                                    .policy = { .octets = BYTES("deny") } };

    sample_text(first.operator.id, BYTES("first"));
    first.operator.role = REGISTRY_ADMIN;
    return registry_init(txn, &first, act->now_ms);
}

static void a_new_system_has_one_operator_and_a_policy_and_begins_once(void **state)
{
    struct world *w = *state;
    struct act init = { .run = do_init, .certificate = sample_certificate(1, "x") };
    struct act get = { .run = do_get, .certificate = sample_certificate(1, "x") };

    assert_int_equal(world_do(w, &init), RC_OK);
    assert_int_equal(world_do(w, &get), RC_OK);
    assert_int_equal(get.subject.kind, REGISTRY_OPERATOR);
    assert_int_equal(get.subject.role, REGISTRY_ADMIN);
    assert_int_equal(get.subject.state, REGISTRY_ACTIVE);
    assert_int_equal(world_do(w, &init), RC_EXISTS);
}

static enum rc do_count(struct store_txn *txn, struct act *act)
{
    return registry_subject_count(txn, REGISTRY_DEVICE, act->state, &act->count);
}

static uint64_t count(struct world *w, enum registry_state state)
{
    struct act act = { .run = do_count, .state = state };

    assert_int_equal(world_do(w, &act), RC_OK);
    return act.count;
}

static void devices_are_counted_by_state(void **state)
{
    struct world *w = *state;

    world_add_device(w, "dev-1");
    world_add_device(w, "dev-2");
    world_add_device(w, "dev-3");
    assert_int_equal(count(w, REGISTRY_REGISTERED), 3);
    assert_int_equal(world_register(w, 1, "dev-1"), RC_OK);
    assert_int_equal(world_register(w, 2, "dev-2"), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_SUSPENDED), RC_OK);
    assert_int_equal(world_become(w, "dev-1", REGISTRY_SUSPENDED), RC_EXISTS);
    assert_int_equal(world_become(w, "dev-3", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(count(w, REGISTRY_REGISTERED), 0);
    assert_int_equal(count(w, REGISTRY_ACTIVE), 1);
    assert_int_equal(count(w, REGISTRY_SUSPENDED), 1);
    assert_int_equal(count(w, REGISTRY_REVOKED), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_device_is_registered_until_its_first_certificate),
        WORLD_TEST(a_suspended_or_revoked_device_gets_no_certificate),
        WORLD_TEST(a_key_belongs_to_one_subject_of_the_fleet),
        WORLD_TEST(a_compromised_key_never_comes_back),
        WORLD_TEST(a_serial_and_a_fingerprint_are_used_once),
        WORLD_TEST(valid_certificates_of_one_subject_are_bounded),
        WORLD_TEST(a_revoked_device_takes_its_certificates_with_it),
        WORLD_TEST(an_orphan_is_revoked_and_its_serial_is_taken),
        WORLD_TEST(another_fingerprint_of_what_we_know_is_altered_in_every_state),
        WORLD_TEST(a_policy_replaces_the_one_that_its_author_saw),
        WORLD_TEST(a_table_that_is_new_appears_in_a_registry_that_is_there),
        WORLD_TEST(a_new_system_has_one_operator_and_a_policy_and_begins_once),
        WORLD_TEST(devices_are_counted_by_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
