#include "pki/crl.h"

#include "base/der.h"
#include "pki/extension.h"
#include "pki/key.h"
#include "pki/name.h"
#include "pki/oid.h"

enum { V2 = 1, SERIAL_MAX = 20, KEY_ID_MIN = 8, KEY_ID_MAX = 32, ENUMERATED = 0x0a };

const char *pki_crl_reason_name(enum pki_reason reason)
{
    switch (reason) {
    case PKI_UNSPECIFIED:
        return "unspecified";
    case PKI_KEY_COMPROMISE:
        return "keyCompromise";
    case PKI_CA_COMPROMISE:
        return "cACompromise";
    case PKI_AFFILIATION_CHANGED:
        return "affiliationChanged";
    case PKI_SUPERSEDED:
        return "superseded";
    case PKI_CESSATION_OF_OPERATION:
        return "cessationOfOperation";
    case PKI_CERTIFICATE_HOLD:
        return "certificateHold";
    case PKI_PRIVILEGE_WITHDRAWN:
        return "privilegeWithdrawn";
    }
    return NULL;
}

/* Numbers without leading zeros: the longer is the greater. */
static bool is_below(struct bytes a, struct bytes b)
{
    return a.len != b.len ? a.len < b.len : bytes_compare(a, b) < 0;
}

static enum rc check_revoked(const struct pki_crl *crl, size_t i)
{
    const struct pki_revoked *r = &crl->revoked[i];

    if (r->serial.len == 0 || r->serial.len > SERIAL_MAX || r->serial.at[0] == 0)
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.6: entry %zu: no serial number", i);
    if (i > 0 && !is_below(crl->revoked[i - 1].serial, r->serial))
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.6: entry %zu: serial numbers out of order",
                     i);
    if (pki_crl_reason_name(r->reason) == NULL)
        return fault(RC_MALFORMED, "RFC 5280 5.3.1: entry %zu: reason %d", i, (int)r->reason);
    return RC_OK;
}

static enum rc check(const struct pki_crl *crl)
{
    TRY(pki_name_check(crl->issuer));
    if (pki_name_count(crl->issuer) == 0)
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.3: an issuer without a name");
    if (crl->key_id.len < KEY_ID_MIN || crl->key_id.len > KEY_ID_MAX)
        return fault(RC_MALFORMED, "issuer's key identifier of %zu octets, not %d to %d",
                     crl->key_id.len, KEY_ID_MIN, KEY_ID_MAX);
    if (crl->this_update >= crl->next_update)
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.5: nextUpdate is not after thisUpdate");
    for (size_t i = 0; i < crl->count; i++)
        TRY(check_revoked(crl, i));
    return RC_OK;
}

static void add_revoked(struct buf *tbs, const struct pki_revoked *r)
{
    size_t entry = der_begin(tbs, DER_SEQUENCE);

    der_add_unsigned(tbs, r->serial);
    der_add_time(tbs, r->at);
    if (r->reason != PKI_UNSPECIFIED) {
        uint8_t reason = (uint8_t)r->reason;
        size_t list = der_begin(tbs, DER_SEQUENCE);
        struct pki_extension_mark mark = pki_extension_begin(tbs, PKI_OID_REASON_CODE, false);
        der_add(tbs, ENUMERATED, (struct bytes){ &reason, 1 });
        pki_extension_end(tbs, mark);
        der_end(tbs, list);
    }
    der_end(tbs, entry);
}

static void add_extensions(struct buf *tbs, const struct pki_crl *crl)
{
    size_t outer = der_begin(tbs, DER_CONTEXT_CONSTRUCTED(0));
    size_t list = der_begin(tbs, DER_SEQUENCE);

    pki_extension_add_authority(tbs, crl->key_id);
    struct pki_extension_mark mark = pki_extension_begin(tbs, PKI_OID_CRL_NUMBER, false);
    der_add_u63(tbs, crl->number);
    pki_extension_end(tbs, mark);
    der_end(tbs, list);
    der_end(tbs, outer);
}

enum rc pki_crl_write(const struct pki_crl *crl, struct buf *tbs)
{
    size_t before = tbs->len;
    struct bytes done;

    TRY(check(crl));
    size_t outer = der_begin(tbs, DER_SEQUENCE);
    der_add_u63(tbs, V2);
    pki_key_add_algorithm(tbs);
    buf_add(tbs, crl->issuer);
    der_add_time(tbs, crl->this_update);
    der_add_time(tbs, crl->next_update);
    if (crl->count > 0) { /* RFC 5280 5.1.2.6: absent when there are none */
        size_t list = der_begin(tbs, DER_SEQUENCE);
        for (size_t i = 0; i < crl->count; i++)
            add_revoked(tbs, &crl->revoked[i]);
        der_end(tbs, list);
    }
    add_extensions(tbs, crl);
    der_end(tbs, outer);
    enum rc rc = buf_done(tbs, &done);
    if (rc != RC_OK)
        buf_cut(tbs, before);
    return rc;
}
