/* Policy text into rules; inside policy/ only. */
#pragma once

#include "policy/policy.h"

enum policy_effect { POLICY_ALLOW, POLICY_DENY };
enum { POLICY_EFFECTS = 2 };

enum policy_principal { POLICY_ANY_DEVICE, POLICY_ONE_DEVICE, POLICY_GROUP };

/* One rule; its texts are borrowed from the policy's text. */
struct policy_rule {
    enum policy_effect effect;
    enum policy_principal principal;
    struct bytes name;   /* of the device or group */
    unsigned actions;    /* set of 1 << enum policy_action */
    struct bytes filter; /* as written, with ${device.id} in it; empty for connect alone */
    unsigned line;
};

struct policy_rules {
    struct policy_rule *at; /* the caller's to free() */
    size_t count;
};

/* RC_MALFORMED with errors; RC_NOMEM, RC_LIMIT. Rules point into text. */
enum rc policy_parse(struct bytes text, struct policy_errors *errors,
                     struct policy_rules *rules);

/* How many of the first bytes may stand in the id of a device or group: letters, digits and
 * . _ : - as in registry/. */
size_t policy_parse_id_len(struct bytes text);

/* The fact's name as it stands in a filter. */
extern const char POLICY_DEVICE_ID[];
