/* Target: pki_certificate_read and pki_certificate_read_tbs, with libcrypto as the judge. */
#include <openssl/x509.h>

#include "pki/certificate.h"
#include "pki/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* What we take, libcrypto takes whole: nothing has two meanings. Not judged are parameters of
 * algorithms that are not ours, whose inside we leave alone. */
static void judge(struct bytes der, const struct pki_certificate *certificate)
{
    struct bytes point;

    if (pki_key_read(certificate->public_key, &point) != RC_OK ||
        pki_key_check_algorithm(certificate->algorithm) != RC_OK)
        return;
    const unsigned char *at = der.at;
    unsigned char *again = NULL;
    X509 *theirs = d2i_X509(NULL, &at, (long)der.len);

    if (theirs == NULL || at != der.at + der.len)
        __builtin_trap();
    int back = i2d_re_X509_tbs(theirs, &again);
    if (back < 0 || (size_t)back >= der.len)
        __builtin_trap();
    OPENSSL_free(again);
    X509_free(theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct pki_certificate certificate;
    struct bytes uri;
    AUTO_BUF(text, 1 << 20);

    if (pki_certificate_read((struct bytes){ at, len }, &certificate) == RC_OK) {
        judge((struct bytes){ at, len }, &certificate);
        pki_name_add_text(&text, certificate.subject);
        pki_certificate_uri(&certificate, &uri);
        if (text.broken || certificate.serial.len == 0)
            __builtin_trap();
    }
    if (pki_certificate_read_tbs((struct bytes){ at, len }, &certificate) == RC_OK)
        pki_certificate_uri(&certificate, &uri);
    return 0;
}
