/* Decisions in words; inside policy/ only. */
#pragma once

#include "policy/rules.h"

/* "denied by line 3", "allowed by line 3 of "lines.policy"". Of a decision by a rule. */
void policy_explain_rule(const struct policy_decision *decision, struct buf *out);
/* For whom it is: "device "pump-1"", "anyone". */
void policy_explain_principal(const struct policy_rule *rule, struct buf *out);
/* What policy_explain_denial() says of this decision, after lead. */
void policy_explain_more(const struct policy_session *session,
                         const struct policy_request *request,
                         const struct policy_decision *decision, const char *lead,
                         struct buf *out);
