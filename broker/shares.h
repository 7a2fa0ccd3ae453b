/* How much strangers may ask of the authority: all together, and each address of that. */
#pragma once

#include <stdint.h>

#include "base/own.h"
#include "base/rc.h"

/*
 * A question costs a token, of its address (broker/origin.h) and of all; tokens grow with time,
 * and so many questions may be under way. An address has a fifth or less of it all: one that
 * floods is refused while others are still heard. Of more addresses than BROKER_SHARES_ENTRIES
 * the one that asked longest ago is forgotten, never one with a question under way.
 */
enum {
    BROKER_SHARES_A_SECOND = 50,
    BROKER_SHARES_BURST = 100,
    BROKER_SHARES_WAITING = 64,
    BROKER_SHARE_A_SECOND = 10,
    BROKER_SHARE_BURST = 20,
    BROKER_SHARE_WAITING = 8,
    BROKER_SHARES_ENTRIES = 256,
};

struct broker_shares;
struct broker_share;
enum rc broker_shares_new(int64_t now_ms, struct broker_shares **shares);
void broker_shares_free(struct broker_shares *shares);
AUTO_STRUCT(broker_shares, broker_shares_free)

/* A question from "192.0.2.1:55000" begins; end it. RC_LIMIT: not now, and nothing was counted.
 */
enum rc broker_shares_begin(struct broker_shares *shares, const char *peer, int64_t now_ms,
                            struct broker_share **share);
void broker_shares_end(struct broker_shares *shares, struct broker_share *share);
