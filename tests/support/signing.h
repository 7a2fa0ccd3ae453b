/* A signer with two workers, each a process, on a SoftHSM of its own: everything but exec and
 * jail. */
#pragma once

#include <sys/types.h>

#include "keys/client.h"
#include "tests/support/softhsm.h"

enum { SIGNING_WORKERS = 2, SIGNING_ENDED_CLOSED = 40, SIGNING_ENDED_CORRUPT = 41 };

struct signing {
    struct softhsm hsm;
    struct keys_rules *rules; /* the example's, with keys that are in the token */
    struct clock clock;       /* stands at the example's hour */
    char journal[128];
    pid_t workers[SIGNING_WORKERS], signer; /* 0 once waited for */
    int ask;                                /* -1 once closed */
};

void signing_make(struct signing *s);
/* Start the processes; again after signing_stop() on the same token and journal. */
void signing_start(struct signing *s);
/* kill -9 to all, and wait. */
void signing_stop(struct signing *s);
/* The signer's exit code, once it ended by itself. */
int signing_wait(struct signing *s);
void signing_remove(struct signing *s);

/* A device certificate's to-be-signed bytes; number tells them apart. */
void signing_certificate(const struct signing *s, unsigned number, struct buf *tbs);
/* Ask for these items and wait. */
enum rc signing_ask(const struct signing *s, enum keys_request request, const char *key,
                    const struct bytes *items, size_t count, struct buf *room,
                    struct keys_answers *answers);
bool signing_verifies_by(const struct keys_rule *rule, struct bytes message,
                         struct bytes signature);
bool signing_verifies(const struct signing *s, const char *key, struct bytes message,
                      struct bytes signature);
