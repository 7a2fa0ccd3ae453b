#include "pki/est_answer.h"

#include "base/der.h"
#include "base/text.h"
#include "pki/oid.h"

static void read_certificates(struct der *data, struct pki_est_answer *answer)
{
    struct der set = der_enter(data, DER_CONTEXT_CONSTRUCTED(0));

    while (der_peek(&set) != 0) {
        if (answer->count == PKI_EST_ANSWER_CERTIFICATES) {
            der_break(&set, "more certificates than a chain has");
            break;
        }
        answer->certificates[answer->count++] = der_take_element(&set, DER_SEQUENCE);
    }
    der_leave(data, &set);
}

/* SignedData: RFC 5652 5.1. */
static void read_signed_data(struct der *explicit, struct pki_est_answer *answer)
{
    struct der data = der_enter(explicit, DER_SEQUENCE);

    if (der_take_u63(&data) != 1)
        der_break(&data, "RFC 5652 5.1: version other than 1");
    (void)der_take(&data, DER_SET);
    struct der content = der_enter(&data, DER_SEQUENCE);
    if (!der_oid_is(der_take_oid(&content), PKI_OID_DATA))
        der_break(&content, "RFC 5652 5.2: content of another type than data");
    der_leave(&data, &content);
    read_certificates(&data, answer);
    if (der_peek(&data) == DER_CONTEXT_CONSTRUCTED(1))
        (void)der_take_whole(&data); /* CRLs: not asked for, not used */
    if (der_take(&data, DER_SET).len > 0)
        der_break(&data, "RFC 5272 4.1: a certs-only message has no signer");
    der_leave(explicit, &data);
}

static enum rc read_message(struct pki_est_answer *answer)
{
    struct der der = der_open(buf_bytes(&answer->der));
    struct der info = der_enter(&der, DER_SEQUENCE);

    if (!der_oid_is(der_take_oid(&info), PKI_OID_SIGNED_DATA))
        der_break(&info, "RFC 5652 3: content of another type than signed-data");
    struct der explicit = der_enter(&info, DER_CONTEXT_CONSTRUCTED(0));
    read_signed_data(&explicit, answer);
    der_leave(&info, &explicit);
    der_leave(&der, &info);
    TRY(der_finish(&der, "EST answer"));
    return answer->count > 0 ? RC_OK
                             : fault(RC_MALFORMED, "RFC 7030 4.2.3: no certificate inside");
}

enum rc pki_est_answer_read(struct bytes body, struct pki_est_answer *answer)
{
    *answer = (struct pki_est_answer){ .der = BUF_MAX(PKI_EST_ANSWER_MAX) };
    enum rc rc = text_read_base64(body, &answer->der);
    if (rc == RC_OK)
        rc = read_message(answer);
    if (rc != RC_OK)
        pki_est_answer_clear(answer);
    return rc;
}

void pki_est_answer_clear(struct pki_est_answer *answer)
{
    buf_clear(&answer->der);
    answer->count = 0;
}
