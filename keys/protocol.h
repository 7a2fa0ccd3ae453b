/* What is said on the signer's links: authority to signer, and signer to its workers. */
#pragma once

#include "base/link.h"
#include "journal/journal.h"
#include "keys/check.h"

/*
 * docs/protocol/signer.md has the bytes. Both ends compile in both tables. Everything here
 * is plain data: texts and items are borrowed from the message that was read. Each reader
 * refuses a message that is cut short, has a tail, or a number out of its bounds, with
 * RC_MALFORMED.
 */
enum {
    KEYS_ITEMS_MAX = 16, /* to-be-signed bytes in one request */
    KEYS_PROOF_NODES_MAX =
        64,                  /* a consistency proof of a tree below 2^63 leaves needs no more */
    KEYS_CORRELATION = 16,   /* the authority's id for why it asked; all zero: none */
    KEYS_SIGNATURE_MAX = 72, /* ECDSA-Sig-Value of P-256 */
    KEYS_TEXT_MAX = 240,     /* why an item was refused */
    KEYS_ENTRIES_MAX = 256,  /* journal entries in one reply */
};

/* Requests of the authority. */
enum keys_request {
    KEYS_ASK_CERTIFICATES = 1, /* normal lane: somebody waits for them */
    KEYS_ASK_BATCH = 2,        /* the same in the bulk lane */
    KEYS_ASK_CRL = 3,          /* urgent, one item */
    KEYS_ASK_CHECKPOINT = 4,   /* urgent, one item and its consistency proof */
    KEYS_ASK_HEAD = 5,         /* of the signer's journal */
    KEYS_ASK_ENTRIES = 6,      /* of the signer's journal: to find orphans after a crash */
    KEYS_ASK_KEYS = 7,         /* names, purposes, public keys, what they last signed */
};
/* Requests of the signer's parent to a worker; the last three are the same in another lane. */
enum keys_work_request {
    KEYS_WORK_READY = 1,
    KEYS_WORK_URGENT = 2,
    KEYS_WORK_NORMAL = 3,
    KEYS_WORK_BULK = 4,
};

const struct link_protocol *keys_protocol_signer(void);
const struct link_protocol *keys_protocol_worker(void);

/* KEYS_ASK_CERTIFICATES, _BATCH, _CRL, _CHECKPOINT. */
struct keys_ask {
    uint8_t correlation[KEYS_CORRELATION];
    char key[KEYS_NAME_MAX + 1];
    size_t count;
    struct bytes items[KEYS_ITEMS_MAX];
    size_t proof_count; /* 0 but for a checkpoint */
    struct proof_hash proof[KEYS_PROOF_NODES_MAX];
};
/* What kind of bytes a request carries. The request must be one of the four. */
enum keys_kind keys_protocol_kind(enum keys_request request);
enum rc keys_protocol_write_ask(enum keys_request request, const struct keys_ask *ask,
                                struct buf *body);
enum rc keys_protocol_read_ask(enum keys_request request, struct bytes body,
                               struct keys_ask *ask);

/* One answer an item. Signed or refused: it is in the signer's journal at `sequence`. */
struct keys_answer {
    enum rc rc;
    uint64_t sequence;
    struct bytes signature; /* with RC_OK: DER */
    struct bytes text;      /* otherwise: why, for the asker's log */
};
struct keys_answers {
    size_t count;
    struct keys_answer at[KEYS_ITEMS_MAX];
};
enum rc keys_protocol_write_answers(const struct keys_answers *answers, struct buf *body);
enum rc keys_protocol_read_answers(struct bytes body, struct keys_answers *answers);

struct keys_head {
    uint64_t first; /* the oldest entry that is still there */
    struct journal_head head;
};
void keys_protocol_write_head(const struct keys_head *head, struct buf *body);
enum rc keys_protocol_read_head(struct bytes body, struct keys_head *head);

/* KEYS_ASK_ENTRIES: the first sequence wanted, u64. The reply ends where 64 KiB or the journal
 * do. */
void keys_protocol_write_from(uint64_t from, struct buf *body);
enum rc keys_protocol_read_from(struct bytes body, uint64_t *from);
/* false when the entry does not fit behind the others; the body is as before then. */
bool keys_protocol_add_entry(const struct journal_entry *entry, struct buf *body);
struct keys_entries {
    size_t count;
    struct journal_entry at[KEYS_ENTRIES_MAX];
};
enum rc keys_protocol_read_entries(struct bytes body, struct keys_entries *entries);

struct keys_listed {
    char name[KEYS_NAME_MAX + 1];
    enum keys_purpose purpose;
    uint8_t public_key[KEYS_PUBLIC_KEY];
    uint64_t tree_size; /* of a checkpoint's key: the last one that it signed */
    struct proof_hash tree_root;
    char origin[KEYS_PATTERN_MAX + 1]; /* so, too: what its checkpoints begin with */
};
struct keys_list {
    uint64_t revision;
    size_t count;
    struct keys_listed at[KEYS_PER_RULES_MAX];
};
enum rc keys_protocol_write_list(const struct keys_list *list, struct buf *body);
enum rc keys_protocol_read_list(struct bytes body, struct keys_list *list);

/* Work: an ask, with the kind said and the key's memory as the parent knows it. */
struct keys_work {
    enum keys_kind kind;
    struct keys_memory memory;
    struct keys_ask ask;
};
enum rc keys_protocol_write_work(const struct keys_work *work, struct buf *body);
enum rc keys_protocol_read_work(struct bytes body, struct keys_work *work);

/* A worker's answer an item: no digest, since the parent makes its own. */
struct keys_result {
    enum rc rc;
    struct bytes signature;
    struct bytes text;
    struct keys_finding finding; /* with RC_OK; digest and kind are zero */
};
struct keys_results {
    size_t count;
    struct keys_result at[KEYS_ITEMS_MAX];
};
enum rc keys_protocol_write_results(const struct keys_results *results, struct buf *body);
enum rc keys_protocol_read_results(struct bytes body, struct keys_results *results);
