/* A sink that is a syslog receiver: RFC 5424 messages over TLS (RFC 5425). */
#pragma once

#include "base/loop.h"
#include "integration/outlet.h"
#include "integration/syslog_message.h"

/*
 * RFC 5425 has no acknowledgement. What was written may lie in our kernel, on the way, in the
 * receiver's kernel or in its memory when a connection breaks, and is lost there. So a record
 * is delivered when all of this holds, else it is sent again:
 *
 *   1. the receiver's kernel has acknowledged it (SIOCOUTQ), and settle_ms later the connection
 *      was still whole: what takes messages out of the receiver's memory had that time;
 *   2. with renew_ms: the connection was ended in order after it. We send close_notify and wait
 *      for the receiver's end of the connection; a receiver that has unread octets when it dies
 *      resets the connection instead. Then the next connection begins. A connection carries
 *      records for renew_ms at most before that.
 *
 * With renew_ms 0 the second is left out: a receiver that stops reading for longer than
 * settle_ms and is then killed has lost what its kernel held.
 *
 * TLS 1.2 at least; the receiver's certificate is verified against `authorities` alone and for
 * server_name. Files are read once, by integration_syslog_new(); nothing is looked up: the
 * address is numeric.
 */
struct integration_syslog_setup {
    struct loop *loop;
    const char *address; /* "192.0.2.1:6514" */
    const char *server_name;
    const char *authorities;               /* file, PEM */
    const char *certificate, *key;         /* files, PEM; "": we show none */
    struct integration_syslog_style style; /* texts borrowed for the outlet's life */
    int64_t connect_ms;                    /* for TCP and TLS together */
    int64_t settle_ms, renew_ms;
};

/* RC_MALFORMED or what the files say: wrong settings. told is borrowed, and may be filled
 * later. */
enum rc integration_syslog_new(const struct integration_syslog_setup *setup,
                               const struct integration_outlet_told *told,
                               struct integration_outlet *outlet);
