/* What the certificates and the CRLs of a CA key have in common. */
#pragma once

#include "base/der.h"
#include "keys/rules.h"

/*
 * Each names the section of RFC 5280, what was expected and what was found. `what` is the thing
 * looked at, for the message.
 */

/* AlgorithmIdentifier and issuer Name, whole elements. RC_DENIED if not the rule's. */
enum rc keys_issuer_check(const struct keys_rule *rule, struct bytes algorithm,
                          struct bytes issuer);
/* Content of an authorityKeyIdentifier extension: keyIdentifier, equal to the rule's, and no
 * more. */
enum rc keys_issuer_check_key_id(const struct keys_rule *rule, struct bytes extension);
/* from lies around now, as far as the rule lets it; to is after it, by at most `most` seconds,
 * and not beyond the issuer's own notAfter. */
enum rc keys_issuer_check_span(const struct keys_rule *rule, const char *what, int64_t from_s,
                               int64_t to_s, int64_t most_s, int64_t now_s);
