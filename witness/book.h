/* What a witness remembers: its key, the logs that it watches, and the newest checkpoint of
 * each that it signed. */
#pragma once

#include "audit/checkpoint.h"
#include "audit/cosignature.h"

/*
 * A folder:
 *   name, key.pem         who it is (0600)
 *   logs/<SHA-256>        of an origin: the origin, a newline, the log's public key, PEM
 *   states/<SHA-256>      the last note of that log that was cosigned, as it came
 *   evidence/<size>-<root>   notes of a log that showed us two trees of one size
 * A state is on disk before the signature that it is about leaves. Who takes a state away makes
 * the witness forget: its folder is its word.
 */
enum { WITNESS_LOGS_MAX = 64, WITNESS_EVIDENCE_MAX = 256 };

struct witness_log {
    char origin[AUDIT_ORIGIN_MAX + 1], file[64 + 1];
    struct audit_checkpoint_key *key;
    bool begun; /* something of it was signed */
    uint64_t size;
    struct proof_hash root;
};

struct witness_book {
    int dir; /* borrowed */
    struct audit_cosigner *cosigner;
    struct witness_log logs[WITNESS_LOGS_MAX];
    size_t count;
    unsigned evidence; /* files that were written in this life */
};

/* Begin in an empty folder, with a new key. RC_EXISTS, RC_MALFORMED: the name. */
enum rc witness_book_make(int dir, struct bytes name);
/* RC_EXISTS, RC_MALFORMED, RC_DENIED: the origin or the key. */
enum rc witness_book_add_log(int dir, struct bytes origin, struct bytes pem);
/* dir is borrowed for the book's life. RC_CORRUPT: a state is no checkpoint by its log's key;
 * nothing is signed then, since it would begin anew. */
enum rc witness_book_open(int dir, struct witness_book **book);
void witness_book_close(struct witness_book *book);
AUTO_STRUCT(witness_book, witness_book_close)

/* NULL: it is not watched. */
struct witness_log *witness_book_find(struct witness_book *book, struct bytes origin);
/* On disk when it returns RC_OK. */
enum rc witness_book_keep(struct witness_book *book, struct witness_log *log,
                          const struct audit_checkpoint *checkpoint, struct bytes note);
/* The log's key signed this, and another tree of the same size before. */
void witness_book_keep_evidence(struct witness_book *book,
                                const struct audit_checkpoint *checkpoint, struct bytes note);
