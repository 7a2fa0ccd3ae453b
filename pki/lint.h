/* Reads our own to-be-signed certificate back and holds it against the standards and its
 * profile, before anything is signed. */
#pragma once

#include "pki/template.h"
#include "pki/verifier.h"

/* One rule: a word, where it comes from, and what holds in every certificate of ours. */
struct pki_lint_rule {
    const char *name, *source, *text;
};

/* The rules in the order in which they are applied; NULL behind the last. */
const struct pki_lint_rule *pki_lint_rule_at(size_t i);

/*
 * RC_DENIED naming the first rule that is broken, with its source and text; RC_MALFORMED when
 * the bytes are not the DER of a TBSCertificate. What the certificate says is compared with the
 * template's profile and issuer, not with the template's bytes: the two ways are independent.
 */
enum rc pki_lint_certificate(const struct pki_template *template, struct pki_verifier *verifier,
                             struct bytes tbs);
