/* What the authority remembers: subjects, certificates, tokens, policies, revocations, as
 * tables of one store. */
#pragma once

#include "registry/projection.h"
#include "registry/proposal.h"
#include "store/feed.h"

/*
 * Each function runs in the caller's transaction (store/txn.h) and is pure in it: the hour,
 * random octets and hashes are passed in. What a door must know goes to the feed in the same
 * transaction. The caller appends the audit record there, too.
 *
 * A store may have more tables behind these: the audit log's.
 */
enum registry_table {
    REGISTRY_SUBJECTS,     /* kind u8, id -> its form */
    REGISTRY_CERTIFICATES, /* fingerprint -> its form */
    REGISTRY_BY_SERIAL,    /* issuer's hash, length u8, serial -> fingerprint */
    REGISTRY_BY_KEY,       /* key hash, fingerprint -> nothing to say: one zero octet */
    REGISTRY_BY_SUBJECT,   /* kind u8, id, 0, fingerprint -> likewise */
    REGISTRY_REVOCATIONS,  /* as by serial: what belongs on the issuer's CRL, in its order */
    REGISTRY_TOKENS,       /* id -> see tokens.c */
    REGISTRY_POLICIES,     /* version -> author, time, registry/text.h */
    REGISTRY_FACTS,        /* name -> single values: facts.c, crls.c */
    REGISTRY_CRLS,         /* issuing key's name, 0, number of the part u32 -> its octets */
    REGISTRY_PROPOSALS,    /* number -> its form */
    REGISTRY_PROPOSED,     /* number -> its content */
    REGISTRY_POLICY_WHYS,  /* version -> why it was made; none: of before one was needed */
    REGISTRY_TEXTS,        /* SHA-256 of a text, 0, number of the part u32 -> its octets */
    REGISTRY_TABLES
};
const struct store_table *registry_tables(void);

/* ---- Subjects ---- */

/* kind, id, label, groups and role are given; the rest is filled in. It is REGISTERED until it
 * holds a certificate. RC_EXISTS, RC_MALFORMED. */
enum rc registry_subject_add(struct store_txn *txn, struct registry_subject *subject,
                             int64_t now_ms);
/* The same of one whose certificate is registered in the same transaction. It is ACTIVE from
 * the start: what one change writes has one revision, so a projection would keep the first of
 * two states. */
enum rc registry_subject_add_active(struct store_txn *txn, struct registry_subject *subject,
                                    int64_t now_ms);
/* RC_NOT_FOUND. */
enum rc registry_subject_get(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                             struct registry_subject *subject);
/*
 * By the lifecycle (registry_lifecycle_check); resuming one that never had a certificate is
 * RC_DENIED as it is for any REGISTERED. REVOKED revokes all its certificates, with this reason
 * (RFC 5280 5.3.1), and closes its tokens.
 */
enum rc registry_subject_become(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                                enum registry_state state, uint8_t reason, int64_t now_ms);
/* The number of devices in a state, or of subjects of another kind that are not revoked. */
enum rc registry_subject_count(struct store_txn *txn, enum registry_kind kind,
                               enum registry_state state, uint64_t *count);
/* Active operators with the role of an administrator, by reading them all. */
enum rc registry_admin_count(struct store_txn *txn, uint64_t *count);

/* ---- Certificates ---- */

enum { REGISTRY_CERTIFICATES_PER_SUBJECT = 16 }; /* active and not expired */

/*
 * May this subject have a certificate for this key? RC_DENIED: it is suspended or revoked, or
 * the key was compromised. RC_EXISTS: the key is, or was, another's. RC_LIMIT: it has too many.
 */
enum rc registry_certificate_check(struct store_txn *txn, enum registry_kind kind,
                                   struct bytes id, const uint8_t key_hash[32], int64_t now_ms);
/* The key's part of that check, for a subject that is about to be added. */
enum rc registry_certificate_check_key(struct store_txn *txn, enum registry_kind kind,
                                       struct bytes id, const uint8_t key_hash[32]);
/* The check again, then: in the books, its subject ACTIVE if this was its first. state, reason
 * and revision are filled in. RC_EXISTS also for a serial or fingerprint that is there. */
enum rc registry_certificate_register(struct store_txn *txn,
                                      struct registry_certificate *certificate, int64_t now_ms);
/* Call each() for those of a subject that are active: they end with it, and are gone from here
 * once it is revoked. Borrowed for the call. */
enum rc registry_certificate_each_active(
    struct store_txn *txn, enum registry_kind kind, struct bytes id,
    enum rc (*each)(struct store_txn *txn, struct registry_certificate *one, void *with),
    void *with);
/* Likewise for all there are, of whomever and in whatever state. */
enum rc registry_certificate_each(struct store_txn *txn,
                                  enum rc (*each)(struct store_txn *txn,
                                                  struct registry_certificate *one, void *with),
                                  void *with);
enum rc registry_certificate_get(struct store_txn *txn,
                                 const struct registry_fingerprint *fingerprint,
                                 struct registry_certificate *certificate);
/* RC_EXISTS: it is revoked already. RC_MALFORMED for a reason that is none. */
enum rc registry_certificate_revoke(struct store_txn *txn,
                                    const struct registry_fingerprint *fingerprint,
                                    uint8_t reason, int64_t now_ms);

/*
 * What of an unknown leaf is known (DESIGN.md D2): by its fingerprint first, then issuer and
 * serial, in every state, orphans included, then the key. A hit under another fingerprint is
 * REGISTRY_ALTERED; none is REGISTRY_FOREIGN. *certificate and *subject are set if it is known
 * by its fingerprint (else their kind is 0).
 */
struct registry_leaf {
    struct registry_fingerprint fingerprint;
    uint8_t issuer_hash[32], key_hash[32];
    struct bytes serial; /* magnitude */
};
enum rc registry_certificate_look_up(struct store_txn *txn, const struct registry_leaf *leaf,
                                     int64_t now_ms, enum registry_verdict *verdict,
                                     struct registry_certificate *certificate,
                                     struct registry_subject *subject);

/* ---- Revocations: what belongs on CRLs ---- */

struct registry_revoked {
    uint8_t serial[REGISTRY_SERIAL_MAX];
    size_t serial_len;
    int64_t revoked_ms, not_after_s;
    uint8_t reason;
    bool orphan; /* signed, and never registered: nobody was given it */
};
/* In ascending order of the serial as a number. */
enum rc registry_revoked_each(struct store_txn *txn, const uint8_t issuer_hash[32],
                              enum rc (*each)(void *with,
                                              const struct registry_revoked *revoked),
                              void *with);
/* Is this serial in the books, as a certificate or as an orphan? */
enum rc registry_serial_known(struct store_txn *txn, const uint8_t issuer_hash[32],
                              struct bytes serial, bool *known);
/* A serial that the signer's journal has and nobody else: revoked from now on. RC_EXISTS. */
enum rc registry_orphan_add(struct store_txn *txn, const uint8_t issuer_hash[32],
                            struct bytes serial, int64_t not_after_s, int64_t now_ms);
enum rc registry_orphan_count(struct store_txn *txn, uint64_t *count);
/* A CRL that was signed, for the doors, in the last one's place; number must be above that
 * one's (RC_EXISTS). RC_LIMIT: it is longer than REGISTRY_CRL_MAX. */
enum rc registry_crl_put(struct store_txn *txn, struct bytes key, uint64_t number,
                         struct bytes der);
/* Which one there is. RC_NOT_FOUND. */
enum rc registry_crl_get(struct store_txn *txn, struct bytes key, struct registry_crl *crl);
/* A part of this one, borrowed from the transaction. RC_NOT_FOUND: there is another one by now,
 * or no such part. */
enum rc registry_crl_get_part(struct store_txn *txn, struct bytes key, uint64_t number,
                              uint32_t part, struct bytes *octets);

/* ---- One-time enrolment tokens ---- */

struct registry_token {
    char id[REGISTRY_ID_MAX + 1];
    uint8_t secret_hash[32]; /* SHA-256 of the secret */
    char device[REGISTRY_ID_MAX + 1];
    int64_t expires_ms, made_ms;
};
/* RC_NOT_FOUND or RC_DENIED for the device (absent, suspended, revoked), RC_EXISTS for the id.
 */
enum rc registry_token_add(struct store_txn *txn, const struct registry_token *token);
/*
 * Reserve its one use. RC_DENIED, with one text for all: no such token, another secret,
 * expired, used. RC_BUSY: reserved by somebody who may still release it. The attempt (16 random
 * octets) proves later who reserved it.
 */
enum { REGISTRY_ATTEMPT = 16 };
enum rc registry_token_reserve(struct store_txn *txn, struct bytes id,
                               const uint8_t secret_hash[32],
                               const uint8_t attempt[REGISTRY_ATTEMPT], int64_t now_ms,
                               struct registry_token *token);
/* In the transaction that registers the certificate. RC_DENIED unless reserved by this attempt.
 */
enum rc registry_token_consume(struct store_txn *txn, struct bytes id,
                               const uint8_t attempt[REGISTRY_ATTEMPT]);
/* No certificate came of it: its use is back. RC_DENIED as consume. */
enum rc registry_token_release(struct store_txn *txn, struct bytes id,
                               const uint8_t attempt[REGISTRY_ATTEMPT]);
/* At the authority's start, with nothing under way: all reservations of a life that ended. */
enum rc registry_token_release_all(struct store_txn *txn, uint64_t *released);
/* In a copy that is put back to work: what is open here may have been used since. */
enum rc registry_token_end_all(struct store_txn *txn, uint64_t *ended);

/* ---- Policies and single facts ---- */

/* The next version, active at once; replaces must be the active one (RC_EXISTS: read again).
 * why: see registry_why_check(). The text as registry_text_put() takes it. All versions are
 * kept, for ever. */
struct registry_policy_new {
    struct bytes author, why;
    struct registry_text text;
    uint64_t replaces;
};
enum rc registry_policy_put(struct store_txn *txn, const struct registry_policy_new *new,
                            int64_t now_ms, uint64_t *version);
/* version 0: the active one. RC_NOT_FOUND. author, text and why are borrowed from the
 * transaction; of a text in parts there is the name. */
struct registry_policy_row {
    uint64_t version;
    int64_t made_ms;
    struct bytes author, why;
    struct registry_text text;
    bool active;
};
enum rc registry_policy_get(struct store_txn *txn, uint64_t version,
                            struct registry_policy_row *policy);

/*
 * Keep a text that is in parts, unless it is kept already; a short one is its row's own. For
 * ever, or as long as a proposal that waits names it. RC_NOT_FOUND: only its name was given,
 * and it is not kept; RC_EXISTS: its author has brought too much. Its hash is the caller's
 * word.
 */
enum rc registry_text_put(struct store_txn *txn, const struct registry_text *text,
                          struct bytes author, int64_t now_ms);
enum rc registry_text_propose(struct store_txn *txn, const struct registry_text *text,
                              struct bytes author, int64_t now_ms);
/* No proposal names it any more: it goes, unless a version has it. */
enum rc registry_text_drop(struct store_txn *txn, const struct registry_name *name);

/*
 * What is kept for ever is bounded for each author: so many octets of new texts in a day, as
 * the wall clock says, RC_EXISTS above; what is short has more, so that a long one leaves room
 * for the policy that takes its place. An author of no name (the first version's) is free.
 */
enum { REGISTRY_QUOTA_PARTS = 128 << 20, REGISTRY_QUOTA_SHORT = 160 << 20 };
enum rc registry_quota_take(struct store_txn *txn, struct bytes author, size_t octets,
                            uint64_t most, int64_t now_ms);
/* A part of it, borrowed from the transaction; and all of it, in whole, whose ceiling is the
 * caller's. RC_NOT_FOUND. */
enum rc registry_text_get_part(struct store_txn *txn, const struct registry_name *name,
                               uint32_t part, struct bytes *octets);
enum rc registry_text_get(struct store_txn *txn, const struct registry_text *text,
                          struct buf *whole);

/* Our CAs' certificates, each sized32, root first: for the doors. Nothing happens if they are
 * known. */
enum rc registry_authorities_put(struct store_txn *txn, struct bytes certificates);
enum rc registry_authorities_get(struct store_txn *txn, struct bytes *certificates);
/* Up to which entry of the signer's journal all serials are in the books; 0 at first. */
enum rc registry_journal_seen(struct store_txn *txn, uint64_t *sequence);
enum rc registry_journal_see(struct store_txn *txn, uint64_t sequence);

/* ---- Proposals ---- */

enum { REGISTRY_PROPOSALS_OPEN = 64 }; /* at a time */

/* act, base, hash, author, shown, why and expires_ms are given; the rest is filled in.
 * RC_LIMIT: too many are open, or the content is too long. */
enum rc registry_proposal_add(struct store_txn *txn, struct registry_proposal *proposal,
                              struct bytes content, int64_t now_ms);
/* RC_NOT_FOUND. content is borrowed from the transaction; empty for one that ended undone: the
 * audit log has its hash. */
enum rc registry_proposal_get(struct store_txn *txn, uint64_t number,
                              struct registry_proposal *proposal, struct bytes *content);
/* RC_EXISTS, with how it ended: it is not open any more, or its time is over. */
enum rc registry_proposal_check_open(const struct registry_proposal *proposal, int64_t now_ms);
/*
 * May this administrator, known by this certificate, be its second? alone: its author may, too,
 * since nothing demands two. RC_DENIED: he is its author, or its author is no active
 * administrator any more, or the certificate by which the author was known was revoked: then
 * there are no two who stand for it.
 */
enum rc registry_proposal_check_second(struct store_txn *txn,
                                       const struct registry_proposal *proposal,
                                       const struct registry_subject *second,
                                       const struct registry_fingerprint *shown, bool alone);
/* An open one ends; decider, decider_shown and decided_why are given in *proposal. */
enum rc registry_proposal_close(struct store_txn *txn, struct registry_proposal *proposal,
                                enum registry_proposal_state state, int64_t now_ms);
/* The first open one whose time is over. RC_NOT_FOUND, without a text: none. */
enum rc registry_proposal_find_expired(struct store_txn *txn, int64_t now_ms,
                                       struct registry_proposal *proposal);

/* ---- Revocations one by one ---- */

/*
 * One more by this operator. RC_EXISTS: he did `most` within the last hour, as the wall clock
 * says; moments in its future count, too, so that a clock that steps back frees nobody.
 */
enum rc registry_single_add(struct store_txn *txn, struct bytes operator, uint64_t most,
                            int64_t now_ms);

/* ---- What a new system holds ---- */

struct registry_first {
    struct registry_subject operator;        /* its id, role, label */
    struct registry_certificate certificate; /* its own, made at the ceremony */
    struct bytes authorities;                /* as registry_authorities_put() */
    struct registry_text policy;             /* the first text */
};
/* RC_EXISTS if the registry holds anything. */
enum rc registry_init(struct store_txn *txn, struct registry_first *first, int64_t now_ms);
