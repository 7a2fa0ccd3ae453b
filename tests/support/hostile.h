/* A hostile authority: literal bytes on the signer's socket, and an account of what came back.
 */
#pragma once

#include "keys/protocol.h"
#include "tests/support/tbs.h"

enum { HOSTILE_TOLD_MAX = 512 };

/* What is expected of one request, and where its item would stand in the rules. */
struct hostile_row {
    const char *claim;
    uint16_t kind;   /* of the message: enum keys_request */
    const char *key; /* "": none could be read */
    enum rc rc;
    const char *expected; /* in the reason */
};

/* One request and its answer, as the journal must have it. */
struct hostile_told {
    const char *claim;
    char key[KEYS_NAME_MAX + 1];
    uint8_t correlation[KEYS_CORRELATION];
    uint8_t digest[32];
    enum rc rc;
    uint64_t sequence;
    char text[KEYS_TEXT_MAX + 1];
    bool found; /* in the journal */
};

struct hostile {
    const struct keys_rules *rules;
    int64_t now_s; /* by the signer's clock */
    int socket;    /* the authority's end; borrowed */
    uint16_t use;  /* of the next request */
    size_t count, wrong;
    struct hostile_told told[HOSTILE_TOLD_MAX];
};

/* Send one datagram, as it is, a descriptor beside it unless that is -1. */
void hostile_send(struct hostile *h, struct bytes datagram, int fd);
/* The next one that comes. Closed, or nothing: false. */
bool hostile_receive(struct hostile *h, struct buf *reply);
bool hostile_exchange(struct hostile *h, struct bytes datagram, int fd, struct buf *reply);
/* The twelve octets of docs/protocol/link.md in front of a body; credit is the lane's first. */
void hostile_frame(struct hostile *h, uint16_t kind, struct bytes body, struct buf *datagram);

/*
 * A request whose body is these bytes, and beside it fd unless that is -1; item is what the
 * journal's digest is of. An answer that is not as the row says is printed with its claim, and
 * counted as wrong.
 */
void hostile_ask_body(struct hostile *h, const struct hostile_row *row, struct bytes body,
                      int fd, struct bytes item);
/* Its correlation and key, which all begin with. */
void hostile_begin_body(const struct hostile *h, const struct hostile_row *row,
                        struct buf *body);
/* A request for a CRL of so many octets, in fd. item: what it is, or NULL bytes if it is to be
 * refused unread. */
void hostile_ask_sealed(struct hostile *h, const struct hostile_row *row, size_t len, int fd,
                        struct bytes item);
/* A request for one item (a CRL's in sealed memory), and with a checkpoint its consistency
 * proof. */
void hostile_ask(struct hostile *h, const struct hostile_row *row, struct bytes item,
                 const struct proof_hash *proof, size_t proof_count);
/* A device's or (key "doors") a door's good certificate, but for the row's piece. */
void hostile_fill(const struct hostile *h, const char *key, struct tbs *tbs);
void hostile_ask_certificates(struct hostile *h, const char *key, const struct tbs_row *rows,
                              size_t count);
/* Whole certificates that are not in the one canonical form. */
void hostile_ask_shapes(struct hostile *h);
/* All that certificates can be told wrong by: fields, extensions, shapes, names, encodings. */
void hostile_ask_all_certificates(struct hostile *h);

/* It still signs what is good, all answers were as told, and each is in the journal in this
 * folder, no refusal is there that was not told, nothing was signed beside it. */
void hostile_judge(struct hostile *h, const char *journal);
