/* Counts failing one-time tokens by where they come from, in a table of fixed size. */
#pragma once

#include "base/bytes.h"
#include "base/own.h"
#include "base/rc.h"

/*
 * An IPv4 address, or the /64 of an IPv6 address, may fail API_THROTTLE_FAILURES times in
 * API_THROTTLE_WINDOW_MS and have API_THROTTLE_PENDING tries under way. When the table is full
 * the entry that was used longest ago is forgotten: a token's secret has 160 bits, so this
 * keeps the noise down, it is not what protects it.
 */
enum {
    API_THROTTLE_FAILURES = 10,
    API_THROTTLE_PENDING = 64,
    API_THROTTLE_WINDOW_MS = 60000,
    API_THROTTLE_ENTRIES = 256,
};

struct api_throttle;
enum rc api_throttle_new(struct api_throttle **throttle);
void api_throttle_free(struct api_throttle *throttle);
AUTO_STRUCT(api_throttle, api_throttle_free)

/* One try from "192.0.2.1:55000" or "[2001:db8::1]:55000" begins. RC_LIMIT: not now, nothing
 * was counted. */
enum rc api_throttle_begin(struct api_throttle *throttle, const char *peer, int64_t now_ms);
enum api_throttle_end { API_THROTTLE_GOOD, API_THROTTLE_BAD, API_THROTTLE_UNDECIDED };
void api_throttle_end(struct api_throttle *throttle, const char *peer, int64_t now_ms,
                      enum api_throttle_end end);
