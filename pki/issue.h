/* The issuing path: contents written, linted, signed, put together. DESIGN.md D4. */
#pragma once

#include "keys/rules.h"
#include "pki/template.h"
#include "pki/verifier.h"

/* Who signs: the signer's client, or a software key in a test. Appends the signature, DER. */
struct pki_signing {
    enum rc (*sign)(void *with, const char *key, enum keys_kind kind, struct bytes to_be_signed,
                    struct buf *signature);
    void *with;
};

/*
 * For a caller that waits for the signer elsewhere: prepare, have tbs signed, then
 * pki_signed_assemble(). Appends to tbs only what passed the lint. RC_MALFORMED, RC_LIMIT as
 * pki_template_write(); RC_CORRUPT when the lint refuses our own bytes, which is a bug.
 */
enum rc pki_issue_prepare(const struct pki_template *template, struct pki_verifier *verifier,
                          const struct pki_contents *contents, struct buf *tbs);

/* All in one; key names the issuing key. Appends the certificate. On failure, also the
 * signer's, nothing is appended; RC_LIMIT when out is too small, and broken. */
enum rc pki_issue_certificate(const struct pki_template *template,
                              struct pki_verifier *verifier, const struct pki_signing *signing,
                              const char *key, const struct pki_contents *contents,
                              struct buf *out);
