#include "pki/issue.h"

#include "pki/certificate.h"
#include "pki/lint.h"
#include "pki/signed.h"

enum { SIGNATURE_MAX = 128 };

enum rc pki_issue_prepare(const struct pki_template *template, struct pki_verifier *verifier,
                          const struct pki_contents *contents, struct buf *tbs)
{
    size_t before = tbs->len;

    TRY(pki_template_write(template, contents, tbs));
    struct bytes written = { tbs->at + before, tbs->len - before };
    enum rc rc = pki_lint_certificate(template, verifier, written);
    if (rc == RC_OK)
        return RC_OK;
    buf_cut(tbs, before);
    return fault_while(RC_CORRUPT, "a certificate of our own");
}

enum rc pki_issue_certificate(const struct pki_template *template,
                              struct pki_verifier *verifier, const struct pki_signing *signing,
                              const char *key, const struct pki_contents *contents,
                              struct buf *out)
{
    AUTO_BUF(tbs, PKI_CERTIFICATE_MAX);
    AUTO_BUF(signature, SIGNATURE_MAX);
    struct bytes made;

    TRY(pki_issue_prepare(template, verifier, contents, &tbs));
    TRY(signing->sign(signing->with, key, KEYS_CERTIFICATE, buf_bytes(&tbs), &signature));
    TRY(buf_done(&signature, &made));
    return pki_signed_assemble(buf_bytes(&tbs), made, out);
}
