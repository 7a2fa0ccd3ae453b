/* Facts and decisions of policies as tests write them. */
#pragma once

#include "policy/policy.h"

/* certificate.ends and attestation.at are times; all others are texts under their own name.
 * Borrowed. False: there is no such fact of a session. */
bool policy_words_know(struct policy_facts *facts, struct bytes name, struct bytes text);

/* "limit 10 per 1000 ms, burst 20, of rule 0; payload 64; lease 60000 ms; log full; until
 * 2026-01-01T00:00:00.000Z", or nothing. */
void policy_words_oblige(const struct policy_decision *decision, struct buf *out);
