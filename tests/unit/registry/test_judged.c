#include "tests/support/check.h"

#include <string.h>

#include "policy/analysis.h"
#include "registry/judged.h"

static void a_device_brings_its_name_its_groups_and_its_way(void **state)
{
    struct registry_subject device = { .kind = REGISTRY_DEVICE, .id = "pump-7" };
    struct bytes groups[REGISTRY_GROUPS_MAX];

    (void)state;
    assert_int_equal(registry_groups_add(&device.groups, BYTES("pumps")), RC_OK);
    const struct policy_facts facts = registry_judged_device(&device, groups);
    assert_int_equal(facts.asker, POLICY_BY_DEVICE);
    assert_true(bytes_equal_text(facts.device_id, "pump-7"));
    assert_int_equal(facts.group_count, 1);
    assert_true(bytes_equal_text(facts.groups[0], "pumps"));
    assert_true(bytes_equal_text(facts.connection_door, "device"));
    assert_true(bytes_equal_text(facts.connection_protocol, "mqtt"));
    assert_null(facts.connection_address.at);
    assert_null(facts.connection_tls.at);
    assert_int_equal(facts.certificate_ends_ms, 0);
}

static void a_connection_is_read_as_doors_write_it(void **state)
{
    static const struct {
        const char *address, *tls, *host, *version;
    } ROWS[] = {
        { "192.0.2.1:55000", "TLSv1.3 TLS_AES_256_GCM_SHA384", "192.0.2.1", "1.3" },
        { "[2001:db8::1]:1", "TLSv1.2 ECDHE", "2001:db8::1", "1.2" },
        { "[::1]:55000", "TLSv1.", "::1", NULL },
        { "192.0.2.1", "", "192.0.2.1", NULL },
        { "[:1", "SSLv3 X", "[", NULL },
        { "[", "TLSv1.3", "[", "1.3" },
        { "[a", "", "", NULL },
        { "", "x", "", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct policy_facts facts = { 0 };
        registry_judged_connect(&facts, ROWS[i].address, ROWS[i].tls, 7);
        assert_true(bytes_equal_text(facts.connection_address, ROWS[i].host));
        if (ROWS[i].version == NULL)
            assert_null(facts.connection_tls.at);
        else
            assert_true(bytes_equal_text(facts.connection_tls, ROWS[i].version));
        assert_int_equal(facts.certificate_ends_ms, 7000);
    }
}

/* policy/told.h has a table of its own, since `policy check` is below the registry. */
static void has_no_warning(const char *rule)
{
    struct policy_errors errors = { 0 };
    AUTO_OF(policy) *policy = NULL;
    struct policy_findings findings;

    assert_int_equal(policy_compile(bytes_of_text(rule), 0, &errors, &policy), RC_OK);
    assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
    for (size_t i = 0; i < findings.count; i++)
        if (findings.at[i].grave)
            fail_msg("%s: %.*s", rule, BYTES_FMT(findings.at[i].text));
    policy_findings_clear(&findings);
}

static void deny_when(const char *begin, const char *fact, struct bytes value)
{
    AUTO_BUF(rule, 256);
    const char *text = NULL;

    buf_addf(&rule, "%s when %s = \"%.*s\"\n", begin, fact, BYTES_FMT(value));
    assert_int_equal(buf_text(&rule, &text), RC_OK);
    has_no_warning(text);
}

static void a_check_knows_all_that_is_told(void **state)
{
    struct registry_subject device = { .kind = REGISTRY_DEVICE, .id = "pump-7" };
    struct bytes groups[REGISTRY_GROUPS_MAX];
    struct policy_facts facts = registry_judged_device(&device, groups);

    (void)state;
    deny_when("deny device connect", "device.profile", facts.device_profile);
    deny_when("deny device connect", "connection.door", facts.connection_door);
    deny_when("deny device connect", "connection.protocol", facts.connection_protocol);
    registry_judged_connect(&facts, "192.0.2.1:1", "TLSv1.2 X", 7);
    deny_when("deny device connect", "connection.tls", facts.connection_tls);
    registry_judged_connect(&facts, "192.0.2.1:1", "TLSv1.3 X", 7);
    deny_when("deny device connect", "connection.tls", facts.connection_tls);
    for (unsigned role = REGISTRY_ADMIN; role <= REGISTRY_AUDITOR; role++)
        deny_when("deny operator call \"#\"", "operator.role",
                  bytes_of_text(registry_role_name((enum registry_role)role)));
    has_no_warning("deny operator enroll \"device\", \"operator\", \"line\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_brings_its_name_its_groups_and_its_way),
        cmocka_unit_test(a_connection_is_read_as_doors_write_it),
        cmocka_unit_test(a_check_knows_all_that_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
