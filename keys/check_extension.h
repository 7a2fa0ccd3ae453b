/* The extensions of a certificate against a key's rule, one function for each. */
#pragma once

#include "keys/certificate.h"

/* Presence, criticality, content. RC_MALFORMED, RC_DENIED as keys_check(). */
enum rc keys_check_extensions(const struct keys_rule *rule, const struct keys_certificate *c);
