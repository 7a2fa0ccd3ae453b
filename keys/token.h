/* An HSM token, logged in once, and the keys in it that sign. */
#pragma once

#include "base/buf.h"
#include "base/own.h"
#include "base/secret.h"
#include "keys/ladder.h"

/*
 * One process has at most one open token, and one thread uses it: tokens scale by process.
 * pkcs11-helper loads the module, chooses the token and logs in. Signing goes through a
 * session of our own on the same module, since the helper answers any refusal by
 * C_Logout and by asking for the PIN again, which is gone by then.
 */
struct keys_token;

/*
 * Tries the PIN once and clears it, whatever comes of it. A token that says that its PIN is
 * locked, or that only one try is left, is not tried at all. RC_MALFORMED: not a module;
 * RC_NOT_FOUND: no token of that label; RC_DENIED: the PIN (the process must not be started
 * again); RC_CRYPTO: the token is ill (a later start may succeed).
 */
enum rc keys_token_open(const char *module, const char *label, struct secret *pin,
                        struct keys_token **token);
/* C_Finalize: the login of the whole process ends. */
void keys_token_close(struct keys_token *token);
AUTO_STRUCT(keys_token, keys_token_close)

/*
 * Make the key of this label ready: it must be there once, its public half must be this
 * SubjectPublicKeyInfo (RC_CORRUPT otherwise), and a signature by it must verify.
 */
enum rc keys_token_add_key(struct keys_token *token, const char *name, struct bytes public_key);

/*
 * Append the ECDSA-Sig-Value (RFC 5480 appendix A) over SHA-256 of the message. RC_MALFORMED
 * for an empty one. A refusing token is helped as the ladder says (keys/ladder.h); what the
 * ladder cannot help is RC_CRYPTO, and from then on the token is spent.
 */
enum rc keys_token_sign(struct keys_token *token, const char *name, struct bytes message,
                        struct buf *signature);

/* KEYS_LADDER_DONE while usable; KEYS_LADDER_INITIALISE or _STOP once spent: the process ends.
 */
enum keys_ladder keys_token_state(const struct keys_token *token);
