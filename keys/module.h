/* A PKCS#11 module, loaded and initialised with locks on. Only keys/ includes this. */
#pragma once

#include "base/bytes.h"
#include "base/own.h"
#include "base/rc.h"

#include <pkcs11-helper-1.0/pkcs11h-core.h>

/*
 * A module's state is the process's: opened twice it is initialised once, and the first
 * opener finalises it. CKF_OS_LOCKING_OK is always given, since without it SoftHSM switches
 * its locks off and a second thread crashes it.
 */
struct keys_module {
    void *library;
    CK_FUNCTION_LIST *call;
    bool ours; /* to finalise */
};

/* path must be absolute. RC_MALFORMED if it is not a PKCS#11 module, RC_CRYPTO if it does not
 * start. */
enum rc keys_module_open(const char *path, struct keys_module **module);
/* C_Finalize. The library stays mapped: unloading runs destructors that crash some modules. */
void keys_module_close(struct keys_module *module);
AUTO_STRUCT(keys_module, keys_module_close)

/*
 * The slot whose initialised token has this label. RC_NOT_FOUND, RC_EXISTS if two have it.
 * info may be NULL.
 */
enum rc keys_module_find_slot(const struct keys_module *module, const char *label,
                              CK_SLOT_ID *slot, CK_TOKEN_INFO *info);
/* The one object of this class and label. RC_NOT_FOUND, RC_EXISTS if there are two. */
enum rc keys_module_find_object(const struct keys_module *module, CK_SESSION_HANDLE session,
                                CK_OBJECT_CLASS class, const char *label,
                                CK_OBJECT_HANDLE *object);

enum { KEYS_MODULE_SPKI = 91 };
/* The SubjectPublicKeyInfo (RFC 5480) of the P-256 public key of this label. RC_CRYPTO if it is
 * another kind of key. */
enum rc keys_module_read_public(const struct keys_module *module, CK_SESSION_HANDLE session,
                                const char *label, uint8_t spki[KEYS_MODULE_SPKI]);

enum { KEYS_MODULE_DIGEST = 32, KEYS_MODULE_SIGNATURE = 72 };
/*
 * ECDSA over a SHA-256 digest; *rv tells why not. Any length but 32 is RC_MALFORMED and never
 * reaches the token: SoftHSM signs an empty digest, and one of 200 bytes.
 */
enum rc keys_module_sign(const struct keys_module *module, CK_SESSION_HANDLE session,
                         CK_OBJECT_HANDLE key, struct bytes digest,
                         uint8_t signature[KEYS_MODULE_SIGNATURE], size_t *len, CK_RV *rv);

/* fault() that names the call and the return value: "C_Login: CKR_PIN_LOCKED (0xa4)". */
enum rc keys_module_fault(enum rc rc, const char *call, CK_RV rv);
