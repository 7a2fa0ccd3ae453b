#include "tests/unit/registry/samples.h"

static void an_id_is_letters_digits_dots_and_hyphens(void **state)
{
    static const char *const GOOD[] = { "a", "7", "dev-1", "Pump.7-b", "0" };
    static const char *const BAD[] = { "",    ".",    "..",  "-h",  "a b", "a_b",     "a:b",
                                       "a/b", "a\nb", "a+b", "a#b", "$a",  "\xc3\xa9" };
    char long_id[REGISTRY_ID_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_int_equal(registry_id_check(bytes_of_text(GOOD[i])), RC_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(registry_id_check(bytes_of_text(BAD[i])), RC_MALFORMED);
    memset(long_id, 'x', sizeof long_id);
    assert_int_equal(registry_id_check((struct bytes){ (uint8_t *)long_id, REGISTRY_ID_MAX }),
                     RC_OK);
    assert_int_equal(
        registry_id_check((struct bytes){ (uint8_t *)long_id, REGISTRY_ID_MAX + 1 }),
        RC_MALFORMED);
}

static void a_refused_id_is_named_by_octet_and_place(void **state)
{
    (void)state;
    assert_int_equal(registry_id_check(BYTES("dev/1")), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "octet 2f at 4"));
}

static void groups_are_few_and_each_once(void **state)
{
    struct registry_groups groups = { 0 };

    (void)state;
    for (unsigned i = 0; i < REGISTRY_GROUPS_MAX; i++) {
        const uint8_t name[] = { 'g', (uint8_t)('a' + i) };
        assert_int_equal(registry_groups_add(&groups, BYTES_OF(name)), RC_OK);
        assert_int_equal(registry_groups_add(&groups, BYTES_OF(name)),
                         i + 1 == REGISTRY_GROUPS_MAX ? RC_LIMIT : RC_EXISTS);
    }
    assert_int_equal(registry_groups_add(&groups, BYTES("one-more")), RC_LIMIT);
    assert_true(registry_groups_hold(&groups, BYTES("ga")));
    assert_false(registry_groups_hold(&groups, BYTES("one-more")));
}

static void the_lifecycle_is_this_table(void **state)
{
    static const enum rc MAY[4][4] = {
        { RC_EXISTS, RC_OK, RC_DENIED, RC_OK },
        { RC_DENIED, RC_EXISTS, RC_OK, RC_OK },
        { RC_DENIED, RC_OK, RC_EXISTS, RC_OK },
        { RC_DENIED, RC_DENIED, RC_DENIED, RC_EXISTS },
    };

    (void)state;
    for (unsigned from = 0; from < 4; from++)
        for (unsigned to = 0; to < 4; to++)
            assert_int_equal(registry_lifecycle_check((enum registry_state)(from + 1),
                                                      (enum registry_state)(to + 1)),
                             MAY[from][to]);
    assert_int_equal(registry_lifecycle_check((enum registry_state)0, REGISTRY_ACTIVE),
                     RC_MALFORMED);
    assert_int_equal(registry_lifecycle_check(REGISTRY_REVOKED, REGISTRY_ACTIVE), RC_DENIED);
    assert_string_equal(fault_text(), "revoked is for good: cannot become active");
}

static void a_subject_comes_back_as_it_was_and_no_shorter(void **state)
{
    struct registry_subject device = sample_device("dev-1"), back;
    AUTO_BUF(form, 4096);

    (void)state;
    memset(&back, 0, sizeof back);
    registry_subject_write(&device, &form);
    struct bytes whole = buf_bytes(&form);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(registry_subject_read((struct bytes){ whole.at, len }, &back),
                         RC_MALFORMED);
    assert_int_equal(back.kind, 0);
    assert_int_equal(registry_subject_read(whole, &back), RC_OK);
    assert_memory_equal(&back, &device, sizeof back);
    buf_add_u8(&form, 0);
    assert_int_equal(registry_subject_read(buf_bytes(&form), &back), RC_MALFORMED);
}

static void a_role_belongs_to_an_operator(void **state)
{
    struct registry_subject subject = sample_device("dev-1"), back;

    (void)state;
    for (unsigned kind = 0; kind <= 4; kind++) {
        for (unsigned role = 0; role <= 3; role++) {
            AUTO_BUF(form, 4096);
            bool good = kind == REGISTRY_OPERATOR
                            ? role >= 1 && role <= 2
                            : role == 0 && kind >= REGISTRY_DEVICE && kind <= REGISTRY_LINE;
            subject.kind = (enum registry_kind)kind;
            subject.role = (enum registry_role)role;
            registry_subject_write(&subject, &form);
            assert_int_equal(registry_subject_read(buf_bytes(&form), &back),
                             good ? RC_OK : RC_MALFORMED);
        }
    }
}

static void a_certificate_comes_back_as_it_was_and_no_shorter(void **state)
{
    struct registry_certificate one = sample_certificate(9, "dev-1"), back;
    AUTO_BUF(form, 4096);

    (void)state;
    memset(&back, 0, sizeof back);
    registry_certificate_write(&one, &form);
    struct bytes whole = buf_bytes(&form);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(registry_certificate_read((struct bytes){ whole.at, len }, &back),
                         RC_MALFORMED);
    assert_int_equal(registry_certificate_read(whole, &back), RC_OK);
    assert_memory_equal(&back, &one, sizeof back);
    buf_add_u8(&form, 0);
    assert_int_equal(registry_certificate_read(buf_bytes(&form), &back), RC_MALFORMED);
}

static void a_reason_is_one_of_rfc_5280(void **state)
{
    struct registry_certificate one = sample_certificate(9, "dev-1"), back;

    (void)state;
    for (unsigned reason = 0; reason < 12; reason++) {
        AUTO_BUF(form, 4096);
        one.reason = (uint8_t)reason;
        registry_certificate_write(&one, &form);
        assert_int_equal(registry_certificate_read(buf_bytes(&form), &back),
                         reason <= 6 || reason == 9 ? RC_OK : RC_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_letters_digits_dots_and_hyphens),
        cmocka_unit_test(a_refused_id_is_named_by_octet_and_place),
        cmocka_unit_test(groups_are_few_and_each_once),
        cmocka_unit_test(the_lifecycle_is_this_table),
        cmocka_unit_test(a_subject_comes_back_as_it_was_and_no_shorter),
        cmocka_unit_test(a_role_belongs_to_an_operator),
        cmocka_unit_test(a_certificate_comes_back_as_it_was_and_no_shorter),
        cmocka_unit_test(a_reason_is_one_of_rfc_5280),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
