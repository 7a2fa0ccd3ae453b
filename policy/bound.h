/* What a decision may see of a compiled policy; inside policy/ only. */
#pragma once

#include "policy/policy.h"
#include "policy/trie.h"

const struct policy_trie *policy_bound_trie(const struct policy *policy);
unsigned policy_bound_line(const struct policy *policy, uint32_t rule);
