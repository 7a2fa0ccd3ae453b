/* A key that signs checkpoints, for the tests of audit/ and of witnesses. */
#pragma once

#include "tests/support/check.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "audit/checkpoint.h"

#define SIGNING_ORIGIN "touchmark.example/log"

struct signing_pair {
    EVP_PKEY *pair;
    struct audit_checkpoint_key *key;
};

static inline void signing_open(struct signing_pair *signing)
{
    uint8_t *spki = NULL;

    signing->pair = EVP_EC_gen("P-256");
    int len = i2d_PUBKEY(signing->pair, &spki);
    assert_int_equal(
        audit_checkpoint_key_read((struct bytes){ spki, (size_t)len }, &signing->key), RC_OK);
    OPENSSL_free(spki);
}

static inline void signing_close(struct signing_pair *signing)
{
    EVP_PKEY_free(signing->pair);
    audit_checkpoint_key_free(signing->key);
}

/* Append the note over a tree of this size and root. */
static inline void signing_sign(const struct signing_pair *signing, uint64_t size,
                                const struct proof_hash *root, struct buf *note)
{
    AUTO_BUF(text, AUDIT_NOTE_MAX);
    uint8_t signature[80];
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const struct audit_checkpoint checkpoint = { .origin = BYTES(SIGNING_ORIGIN),
                                                 .size = size,
                                                 .root = *root };

    assert_int_equal(audit_checkpoint_write(&checkpoint, &text), RC_OK);
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signing->pair), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &len, text.at, text.len), 1);
    EVP_MD_CTX_free(context);
    assert_int_equal(audit_checkpoint_note(signing->key, buf_bytes(&text),
                                           (struct bytes){ signature, len }, note),
                     RC_OK);
}
