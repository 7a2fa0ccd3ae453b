/* Patterns for subject alternative names: keys/rules.h says what they look like. */
#pragma once

#include "keys/rules.h"

/* What a pattern may refer to: the subject's values, empty where an attribute is absent. */
struct keys_san_subject {
    struct bytes value[KEYS_ATTRIBUTES];
};

/* Is this a pattern of its kind, in the one way to write it? RC_MALFORMED. */
enum rc keys_san_check_pattern(const struct keys_san_rule *rule);
/* The attribute that a uri pattern ends in, KEYS_ATTRIBUTES if none. */
enum keys_attribute keys_san_attribute(const struct keys_san_rule *rule);
/* Is the name of this rule's kind (content of its GeneralName) one that the pattern means? */
bool keys_san_matches(const struct keys_san_rule *rule, struct bytes name,
                      const struct keys_san_subject *subject);
