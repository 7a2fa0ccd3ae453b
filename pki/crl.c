#include "pki/crl.h"

#include <string.h>

#include "base/der.h"
#include "pki/extension.h"
#include "pki/key.h"
#include "pki/name.h"
#include "pki/oid.h"

enum { V2 = 1, KEY_ID_MIN = 8, KEY_ID_MAX = 32, ENUMERATED = 0x0a };

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

static enum rc check_revoked(const struct pki_crl_list *list, const struct pki_revoked *r)
{
    if (r->serial.len == 0 || r->serial.len > sizeof list->last || r->serial.at[0] == 0)
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.6: entry %zu: no serial number",
                     list->count);
    if (!is_below((struct bytes){ list->last, list->last_len }, r->serial))
        return fault(RC_MALFORMED, "RFC 5280 5.1.2.6: entry %zu: serial numbers out of order",
                     list->count);
    if (pki_crl_reason_name(r->reason) == NULL)
        return fault(RC_MALFORMED, "RFC 5280 5.3.1: entry %zu: reason %d", list->count,
                     (int)r->reason);
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

enum rc pki_crl_begin(const struct pki_crl *crl, struct buf *tbs, struct pki_crl_list *list)
{
    TRY(check(crl));
    *list = (struct pki_crl_list){ .crl = crl, .tbs = tbs, .before = tbs->len };
    list->outer = der_begin(tbs, DER_SEQUENCE);
    der_add_u63(tbs, V2);
    pki_key_add_algorithm(tbs);
    buf_add(tbs, crl->issuer);
    der_add_time(tbs, crl->this_update);
    der_add_time(tbs, crl->next_update);
    return RC_OK;
}

static enum rc too_long(const struct pki_crl_list *list)
{
    return fault(RC_LIMIT, "no room for more than %zu revocations in %zu octets", list->count,
                 list->tbs->max);
}

enum rc pki_crl_add(struct pki_crl_list *list, const struct pki_revoked *revoked)
{
    enum rc rc = check_revoked(list, revoked);

    if (rc != RC_OK) {
        buf_cut(list->tbs, list->before);
        return rc;
    }
    if (list->count == 0) /* RFC 5280 5.1.2.6: absent when there are none */
        list->entries = der_begin(list->tbs, DER_SEQUENCE);
    add_revoked(list->tbs, revoked);
    if (list->tbs->broken)
        return too_long(list);
    memcpy(list->last, revoked->serial.at, revoked->serial.len);
    list->last_len = revoked->serial.len;
    list->count++;
    return RC_OK;
}

enum rc pki_crl_end(struct pki_crl_list *list)
{
    if (list->count > 0)
        der_end(list->tbs, list->entries);
    add_extensions(list->tbs, list->crl);
    der_end(list->tbs, list->outer);
    if (!list->tbs->broken)
        return RC_OK;
    return too_long(list);
}
