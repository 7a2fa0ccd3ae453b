/* What the signer's journal says: every signature before it leaves, every refusal. */
#pragma once

#include "journal/journal.h"
#include "keys/protocol.h"

/* docs/protocol/signer.md has the bytes. */
enum keys_entry_kind {
    KEYS_ENTRY_SIGNED = 1,
    KEYS_ENTRY_REFUSED = 2,
    KEYS_ENTRY_MEMORY = 3, /* a key's memory restated, so that a start need not read it all */
};

struct keys_entry {
    enum keys_entry_kind kind;
    char key[KEYS_NAME_MAX + 1];
    /* signed and refused */
    uint8_t correlation[KEYS_CORRELATION];
    enum keys_kind of;
    uint8_t digest[32]; /* SHA-256 of the to-be-signed bytes */
    /* signed */
    uint8_t issuer_key[32];          /* SHA-256 of the signing key's SubjectPublicKeyInfo */
    uint8_t serial[KEYS_SERIAL_MAX]; /* and the rest with a certificate only, else zero */
    size_t serial_len;
    uint8_t subject_key[32];
    int64_t not_before_s, not_after_s;
    struct keys_memory memory; /* signed CRL or checkpoint: the key's from then on; restated */
    /* refused */
    enum rc rc;
    struct bytes text; /* borrowed */
};

enum rc keys_entry_append(struct journal *journal, const struct keys_entry *entry,
                          uint64_t *sequence);
/* RC_CORRUPT if it is not one: only the signer writes its journal. */
enum rc keys_entry_read(uint16_t kind, struct bytes body, struct keys_entry *entry);
