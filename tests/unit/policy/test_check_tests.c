/* What `policy check` says of a policy's own tests. */
#include "tests/support/check.h"

#include "policy/analysis.h"

#define ROLES                                                                                  \
    "no rule denies it: unless authority.acts = policy is set, it is done if the role, the "   \
    "certificate or the token allows it\n"

/* What no rule denies, roles decide. */
static void a_denial_that_roles_may_lift_is_told(void **state)
{
    static const struct {
        const char *policy, *findings;
    } ROWS[] = {
        { "expect deny operator \"ada\" revoke \"dev-1\"\n"
          "expect deny device \"dev-9\" enroll \"device\"\n",
          "line 1, column 1: warning: \"dev-1\": " ROLES
          "line 2, column 1: warning: \"device\": " ROLES },
        { "deny operator \"ada\" revoke\nexpect deny operator \"ada\" revoke \"dev-1\"\n"
          "expect deny device \"d\" publish \"a\"\n",
          "" },
        /* Of either role it must be so. */
        { "deny role \"auditor\" revoke\nexpect deny operator \"ada\" revoke \"dev-1\"\n"
          "expect deny operator \"ada\" revoke \"dev-1\" with operator.role = \"auditor\"\n",
          "line 2, column 1: warning: \"dev-1\": " ROLES },
        { "deny operator call \"POST /v1/#\" when connection.address in { 10.0.0.0/8 }\n"
          "expect deny operator \"ada\" call \"POST /v1/devices\"\n",
          "line 2, column 1: warning: \"POST /v1/devices\": " ROLES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct policy_errors errors = { 0 };
        struct policy_findings findings = { 0 };
        AUTO_OF(policy) *policy = NULL;
        AUTO_BUF(told, 4096);
        const char *text = NULL;
        assert_int_equal(policy_compile(bytes_of_text(ROWS[i].policy), 1, &errors, &policy),
                         RC_OK);
        assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
        policy_findings_write(&findings, &told);
        assert_int_equal(buf_text(&told, &text), RC_OK);
        assert_string_equal(text, ROWS[i].findings);
        policy_findings_clear(&findings);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_denial_that_roles_may_lift_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
