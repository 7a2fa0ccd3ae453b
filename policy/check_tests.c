#include "policy/check.h"

#include "policy/bound.h"

/* Whether no rule is a no rests, of these, on a setting that no policy tells. */
static enum rc check_test(struct policy_checker *checker,
                          const struct policy_expectation *expectation)
{
    const struct policy_rules *rules = checker->rules;
    const struct policy_where where = { UINT32_MAX, expectation->at.line,
                                        expectation->at.column,
                                        rules->files[expectation->at.file] };
    AUTO_BUF(text, 256);
    bool does = false;

    TRY(policy_expect_rests_on_roles(checker->policy, expectation, &does));
    if (!does)
        return RC_OK;
    buf_addf(&text,
             "no rule denies it: unless authority.acts = policy is set, it is done if the "
             "role, the certificate or the token allows it");
    return policy_check_add_at(checker, POLICY_IDLE, true, &where, expectation->resource,
                               &text);
}

enum rc policy_check_tests(struct policy_checker *checker)
{
    for (size_t i = 0; i < checker->rules->expectation_count; i++)
        TRY(check_test(checker, &checker->rules->expectations[i]));
    return RC_OK;
}
