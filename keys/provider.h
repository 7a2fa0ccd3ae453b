/* Keys in the signer as EVP_PKEYs, for libcrypto code that needs one: CMS, OCSP, CMP. */
#pragma once

#include "base/buf.h"
#include "base/own.h"

struct evp_pkey_st; /* EVP_PKEY */

/*
 * A small built-in OpenSSL 3 provider in a library context of its own, so that no other
 * fetch of "EC" ever meets it. Its only operation is to collect the message of a
 * DigestSign with SHA-256 and to ask for a signature over all of it. There is no sign over a
 * digest, no verify, no generation; exporting the private half is refused, the public half
 * goes where libcrypto wants it. Not thread-safe beyond what sign() is.
 */
struct keys_provider;

enum { KEYS_PROVIDER_MESSAGE_MAX = 1024 * 1024 };

/* How to ask: append the ECDSA-Sig-Value over SHA-256 of message. It may block; the message is
 * borrowed. */
struct keys_provider_asker {
    enum rc (*sign)(void *with, const char *key, struct bytes message, struct buf *signature);
    void *with;
};

enum rc keys_provider_open(struct keys_provider **provider);
/* All EVP_PKEYs made with it must be freed before. */
void keys_provider_close(struct keys_provider *provider);
AUTO_STRUCT(keys_provider, keys_provider_close)

/*
 * An EVP_PKEY for the key of this name and SubjectPublicKeyInfo (P-256); the caller frees it.
 * asker is borrowed for its life. When a signature fails, fault_text() has asker's reason:
 * libcrypto's error queue has none.
 */
enum rc keys_provider_key(struct keys_provider *provider, const char *name,
                          struct bytes public_key, const struct keys_provider_asker *asker,
                          struct evp_pkey_st **key);
