/* Holds to-be-signed bytes against the rules of the key that is asked to sign them. */
#pragma once

#include "journal/proof.h"
#include "keys/rules.h"

/*
 * What a key signed last, so that it never goes back: kept by the signer for each key and
 * rebuilt from its journal. All zero: nothing yet.
 */
struct keys_memory {
    uint64_t crl_number; /* RFC 5280 5.2.3: the next must be greater */
    uint64_t tree_size;  /* of the last checkpoint: the next must extend it */
    struct proof_hash tree_root;
};

enum { KEYS_SERIAL_MIN = 8, KEYS_SERIAL_MAX = 20 };

/* What was found in bytes that may be signed, for the journal and the signature. */
struct keys_finding {
    enum keys_kind kind;
    uint8_t digest[32]; /* SHA-256 of the bytes: what the token signs */

    /* KEYS_CERTIFICATE */
    uint8_t serial[KEYS_SERIAL_MAX]; /* content of the INTEGER, as encoded */
    size_t serial_len;
    uint8_t subject_key[32]; /* SHA-256 of its SubjectPublicKeyInfo */
    int64_t not_before_s;
    int64_t not_after_s; /* in a CRL: nextUpdate */

    /* KEYS_CRL; its number is in memory */
    size_t revoked; /* entries */

    /* KEYS_CHECKPOINT; its size and root are in memory */
    uint64_t journal_sequence; /* the head that it vouches for: the signer compares it with its
                                  own */
    uint8_t journal_hash[32];

    struct keys_memory
        memory; /* after signing; equal to what was passed in for a certificate */
};

/* Untrusted bytes, and what the request claims about them. */
struct keys_question {
    enum keys_kind kind;
    struct bytes to_be_signed;
    /* KEYS_CHECKPOINT: consistency proof from memory's tree to this one (RFC 9162 2.1.4) */
    const struct proof_hash *proof;
    size_t proof_count;
};

/*
 * May this key sign these bytes now? Pure: no clock, no token, no state. now_s is the signer's
 * own clock in seconds since 1970. rule is one of rules.
 *
 * RC_MALFORMED: the bytes are not the one canonical form of their kind. RC_DENIED: they are,
 * but the rule says no. The fault names the RFC section, what was expected and what was found;
 * nothing of the bytes is in it unescaped. *finding is untouched unless RC_OK.
 *
 * Not done here: rates, and whether the journal head in a checkpoint is the signer's own.
 */
enum rc keys_check(const struct keys_rules *rules, const struct keys_rule *rule,
                   const struct keys_question *question, const struct keys_memory *memory,
                   int64_t now_s, struct keys_finding *finding);

/* The parts of keys_check(), one kind each; they fill what is theirs in a finding of zeros. */
enum rc keys_check_certificate(const struct keys_rules *rules, const struct keys_rule *rule,
                               struct bytes tbs, int64_t now_s, struct keys_finding *finding);
enum rc keys_check_crl(const struct keys_rule *rule, struct bytes tbs,
                       const struct keys_memory *memory, int64_t now_s,
                       struct keys_finding *finding);
enum rc keys_check_checkpoint(const struct keys_rule *rule,
                              const struct keys_question *question,
                              const struct keys_memory *memory, struct keys_finding *finding);
