/* The signer's worker: checks what it is given against the rules, and signs it in the HSM
 * token. */
#pragma once

#include "base/loop.h"
#include "keys/rules.h"
#include "keys/token.h"

/*
 * Single-threaded, one item after the other. It keeps no journal and has one channel, its
 * parent's: what it signs leaves through the parent, which journals it first. Once the token is
 * spent, or the parent is gone, it stops the loop; keys_token_state() then tells which.
 */
struct keys_worker;

/* Everything is borrowed for the worker's life but fd, the answering end, which is owned from
 * here on. */
enum rc keys_worker_open(struct loop *loop, const struct clock *clock, struct keys_token *token,
                         const struct keys_rules *rules, int fd, struct keys_worker **worker);
void keys_worker_close(struct keys_worker *worker);
AUTO_STRUCT(keys_worker, keys_worker_close)

/* Find and prove in the token every key that the rules name; answering begins after that. */
enum rc keys_worker_add_keys(struct keys_token *token, const struct keys_rules *rules);
