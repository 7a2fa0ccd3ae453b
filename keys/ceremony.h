/* The key ceremony: makes HSM tokens and keys, and signs without rules. Never part of the
 * signer. */
#pragma once

#include "base/buf.h"
#include "base/own.h"
#include "base/secret.h"

enum { KEYS_CEREMONY_SPKI = 91 };

/*
 * Used by `touchmark init` alone, in a process of its own that ends afterwards: it is the
 * only place that signs what no rule was held against (the root's own certificate,
 * the issuing keys' certificates, the key rules).
 */
struct keys_ceremony;

/*
 * Initialise a token in the module's first free slot, give it its PINs and log in as its user.
 * RC_EXISTS if a token of that label is there already; RC_LIMIT if the module has no free slot.
 */
enum rc keys_ceremony_create(const char *module, const char *label, const struct secret *so_pin,
                             const struct secret *user_pin, struct keys_ceremony **ceremony);
/* Log in to a token made before: one PIN try. RC_NOT_FOUND, RC_DENIED. */
enum rc keys_ceremony_open(const char *module, const char *label, const struct secret *user_pin,
                           struct keys_ceremony **ceremony);
void keys_ceremony_close(struct keys_ceremony *ceremony);
AUTO_STRUCT(keys_ceremony, keys_ceremony_close)

/*
 * Generate a P-256 pair under this label: sensitive, never extractable, good for signing only,
 * and checked to be so. spki: its SubjectPublicKeyInfo. RC_EXISTS if the label is taken.
 */
enum rc keys_ceremony_make_key(struct keys_ceremony *ceremony, const char *name,
                               uint8_t spki[KEYS_CEREMONY_SPKI]);
enum rc keys_ceremony_read_key(struct keys_ceremony *ceremony, const char *name,
                               uint8_t spki[KEYS_CEREMONY_SPKI]);
/* Append the ECDSA-Sig-Value over SHA-256 of the message. */
enum rc keys_ceremony_sign(struct keys_ceremony *ceremony, const char *name,
                           struct bytes message, struct buf *signature);
