/* CRLs and the CAs' certificates, from the projection: the authority is not asked. */
#include "api/handlers.h"

#include <string.h>

#include "base/text.h"
#include "broker/crls.h"
#include "pki/certificate.h"
#include "pki/pem.h"

enum { CHAIN_MAX = 64 * 1024, TAG_MAX = 32 };

static const struct registry_projection *projection(const struct api_request *request)
{
    return broker_front_projection(request->api->setup.front);
}

/* RFC 9110 13.1.2: a list of tags in quotes, or any. No tag holds a quote, so one that is in
 * the list is found as it stands. */
static bool has_tag(const struct api_request *request, const char *tag)
{
    struct bytes known = api_request_header(request, "If-None-Match");

    return bytes_equal_text(known, "*") ||
           (known.len > 0 && memmem(known.at, known.len, tag, strlen(tag)) != NULL);
}

/* A number is given to one list only: it is what tells one from another. */
enum rc api_public_crl(struct api_request *request)
{
    struct broker_crls *crls = broker_front_crls(request->api->setup.front);
    struct broker_crl *crl = NULL;
    AUTO_BUF(room, TAG_MAX);
    const char *tag = NULL;

    TRY(broker_crls_hold(crls, request->input.name, &crl));
    api_answer_crl(&request->answer, crl);
    buf_addf(&room, "\"%llu\"", (unsigned long long)crl->number);
    TRY(buf_text(&room, &tag));
    if (has_tag(request, tag))
        api_answer_bytes(&request->answer, 304, NULL, BYTES(""));
    request->answer.may_be_kept = true;
    api_answer_header(&request->answer, "ETag", tag);
    return RC_OK;
}

/* Root first. */
static struct reader authorities(const struct api_request *request)
{
    return READER(registry_projection_authorities(projection(request)));
}

enum rc api_public_chain(struct api_request *request)
{
    struct reader left = authorities(request);
    AUTO_BUF(pem, CHAIN_MAX);

    while (!reader_done(&left) && !left.broken)
        pki_pem_add(&pem, "CERTIFICATE", reader_sized32(&left, PKI_CERTIFICATE_MAX));
    if (left.broken || pem.broken)
        return fault(RC_CORRUPT, "the projection's CA certificates break their form");
    if (pem.len == 0)
        return fault(RC_BUSY, "no CA certificate is known yet");
    api_answer_bytes(&request->answer, 200, "application/pem-certificate-chain",
                     buf_bytes(&pem));
    return RC_OK;
}

static bool has_name(struct bytes der, struct bytes name)
{
    struct pki_certificate certificate;
    AUTO_BUF(hex, 2 * PKI_HASH_LEN);

    if (pki_certificate_read(der, &certificate) != RC_OK)
        return false;
    text_add_hex(&hex, BYTES_OF(certificate.fingerprint));
    return bytes_equal(buf_bytes(&hex), name);
}

/* "root", or the certificate's fingerprint. */
enum rc api_public_certificate(struct api_request *request)
{
    struct reader left = authorities(request);
    struct bytes name = request->input.name;
    bool first = true;

    while (!reader_done(&left)) {
        struct bytes der = reader_sized32(&left, PKI_CERTIFICATE_MAX);
        if (left.broken)
            return fault(RC_CORRUPT, "the projection's CA certificates break their form");
        if ((first && bytes_equal_text(name, "root")) || has_name(der, name)) {
            api_answer_bytes(&request->answer, 200, "application/pkix-cert", der);
            return RC_OK;
        }
        first = false;
    }
    return fault(RC_NOT_FOUND, "no CA certificate of that name");
}
