#include "daemon/authority_policy.h"

#include "policy/policy.h"

enum rc daemon_authority_check_policy(struct bytes text, struct buf *errors,
                                      struct policy **policy)
{
    struct policy_errors found = { 0 };
    enum rc rc = policy_compile(text, 0, &found, policy);

    for (size_t i = 0; rc != RC_OK && i < found.count; i++)
        buf_addf(errors, "%s%sline %u column %u: %s\n", found.at[i].file,
                 found.at[i].file[0] == '\0' ? "" : " ", found.at[i].line, found.at[i].column,
                 found.at[i].text);
    if (rc != RC_OK && found.count == 0)
        buf_addf(errors, "%s\n", fault_text());
    return rc;
}
