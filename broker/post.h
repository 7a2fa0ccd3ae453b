/* The post between a door's threads: mail by value, batched, one wake-up a turn. */
#pragma once

#include "base/own.h"
#include "base/rc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Every thread is a party with a number: the main thread, the recorder, and the workers from
 * BROKER_POST_WORKER on. Mail between two parties keeps its order. It is taken from a party's
 * inbox in its own turn; sending never waits: what finds a ring full spills into memory of the
 * sender, who is jammed then and takes no more work from outside until the spill is gone. So
 * what can spill is bounded by what one turn makes.
 */
enum { BROKER_POST_MAIN, BROKER_POST_RECORDER, BROKER_POST_WORKER, BROKER_POST_MAX = 66 };
enum { BROKER_POST_TURN = 2048 };

enum broker_mail_kind {
    BROKER_MAIL_STOP = 1,  /* main → all: end what you have, then yourself */
    BROKER_MAIL_OPEN,      /* main → worker: listen */
    BROKER_MAIL_REVIEW,    /* main → worker: what: struct broker_review, held; number */
    BROKER_MAIL_LOOKED_UP, /* main → worker: what: struct broker_looked_up, owned; session */
    BROKER_MAIL_SPOOL,     /* main → recorder: number: what the authority has */
    BROKER_MAIL_STREAM,    /* worker → main: what: struct broker_stream_offer, owned */
    BROKER_MAIL_LOOK_UP,   /* worker → main: what: struct broker_look_up, owned; session */
    BROKER_MAIL_REVIEWED,  /* worker → main: number */
    BROKER_MAIL_RECORDS, /* worker, main → recorder: what: struct broker_records, owned; number
                          */
    BROKER_MAIL_RETAIN,  /* worker → recorder: what: struct message, held; session, number */
    BROKER_MAIL_RECORDED,  /* recorder → worker, main: number is on disk, or rc: it waits, and
                            * is told again */
    BROKER_MAIL_RETAINED,  /* recorder → worker: session, number, rc; if that is no RC_OK
                            * what: the struct message, held */
    BROKER_MAIL_FAILED,    /* any → main: rc; what: why, owned */
    BROKER_MAIL_BATCH,     /* recorder → main: what: struct buf *, owned; number: its last */
    BROKER_MAIL_PUBLISH,   /* worker → worker: what: struct message, held */
    BROKER_MAIL_TAKE_OVER, /* worker → worker: session was taken over by another connection */
};

struct broker_mail {
    enum broker_mail_kind kind;
    uint32_t from;
    enum rc rc;
    uint64_t session; /* a connection's number at the worker it belongs to */
    uint64_t number;
    void *what;
    void *whose; /* RETAIN, RETAINED: the publisher, struct broker_peer, owned; or NULL */
};

struct broker_post;

enum rc broker_post_new(size_t parties, struct broker_post **post);
/* Every party has ended, and taken what was in its inbox. */
void broker_post_free(struct broker_post *post);
AUTO_STRUCT(broker_post, broker_post_free)

/* Readable when there is mail; belongs to the post. */
int broker_post_bell(const struct broker_post *post, unsigned party);

/* Called by the party `from` alone. RC_NOMEM: not sent, what is still the caller's. */
enum rc broker_post_send(struct broker_post *post, unsigned from, unsigned to,
                         const struct broker_mail *mail);
/* At the end of a turn: ring the bells of those who got mail. */
void broker_post_deliver(struct broker_post *post, unsigned from);
bool broker_post_is_jammed(const struct broker_post *post, unsigned from);

/* Called by the party `to` alone: take the bell's ringing back, then take mail until false.
 * After BROKER_POST_TURN it is false, too, and the bell rings again. */
void broker_post_open(struct broker_post *post, unsigned to);
bool broker_post_next(struct broker_post *post, unsigned to, struct broker_mail *mail);
