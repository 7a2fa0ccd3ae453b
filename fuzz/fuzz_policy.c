/* Target: policy_parse, policy_parse_rule, policy_parse_condition, policy_source_check,
 * policy_find_lacking */
#include <stdint.h>
#include <stdlib.h>

#include "policy/condition.h"

/* A set is read once for each fact, which are two dozen; its shortest member has three octets.
 */
enum { STEPS_PER_OCTET = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* What was read can be written, and places are places of the text. */
static void check_rules(const struct policy_rules *rules)
{
    AUTO_BUF(text, 1 << 22);

    for (uint32_t i = 0; i < rules->condition_count; i++) {
        const struct policy_condition *c = &rules->conditions[i];
        if (c->kind != POLICY_TEST && (c->left >= i || c->right >= i))
            abort();
        buf_reset(&text);
        policy_condition_write(rules, i, &text);
        if (text.len == 0)
            abort();
    }
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].number >= rules->written || rules->at[i].at.line == 0 ||
            rules->at[i].at.file >= rules->file_count ||
            (rules->at[i].condition != POLICY_ALWAYS &&
             rules->at[i].condition >= rules->condition_count))
            abort();
}

/* A text that compiles lacks nothing; each place of an import is one of the text. */
static void check_lacking(struct bytes text, enum rc rc)
{
    struct policy_lacking lacking;

    for (size_t i = 0; policy_find_lacking(text, i, &lacking); i++)
        if (rc == RC_OK || lacking.line == 0 || lacking.column == 0 || lacking.name.len == 0 ||
            lacking.name.at < text.at ||
            lacking.name.at + lacking.name.len > text.at + text.len)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = { at, len };
    struct policy_errors errors = { 0 };
    struct policy_rules rules = { 0 };
    struct policy_effort effort = { .most = UINT64_MAX };
    AUTO_OF(policy) *policy = NULL;

    enum rc rc = policy_compile(text, 1, &errors, &policy);
    check_lacking(text, rc);
    if ((rc == RC_OK) != (policy != NULL) || (rc == RC_MALFORMED && errors.count == 0) ||
        (rc == RC_OK && errors.count > 0))
        abort();
    if (rc != RC_OK)
        return 0;
    if (!bytes_equal(text, policy_text(policy)) ||
        policy_parse(text, &effort, &errors, &rules) != RC_OK ||
        rules.written != policy_rule_count(policy) ||
        effort.spent > STEPS_PER_OCTET * (len + 1))
        abort();
    check_rules(&rules);
    policy_rules_clear(&rules);
    return 0;
}
