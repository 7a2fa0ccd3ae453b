/* Values as a policy writes them, read for the type that is wanted; inside policy/ only. */
#pragma once

#include "policy/token.h"
#include "policy/value.h"

/*
 * text: "..."; number: 12, 64KiB, 1MiB; true, false; time: 2026-12-31, 2026-12-31T23:59Z,
 * 2026-12-31T23:59:59Z; duration: 250ms, 5s, 10m, 3h, 7d, or 06:30; address: 192.0.2.7,
 * 192.0.2.0/24, 2001:db8::/32; version: v1.2.3 or 1.2.3-rc.1.
 */
enum rc policy_literal_read(const struct policy_token *token, enum policy_type type,
                            struct policy_value *value);
/* The next token as such a value. False: told. */
bool policy_literal_take(struct policy_tokens *tokens, enum policy_type type,
                         struct policy_value *value);
