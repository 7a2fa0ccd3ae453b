#include "keys/check.h"

#include "base/der.h"
#include "keys/issuer.h"

enum { VERSION_2 = 1, ENUMERATED = 0x0a, SERIAL_MAX = 20, OID_TEXT_MAX = 1024 };

struct crl {
    struct bytes algorithm, issuer; /* elements, whole */
    int64_t this_update_s, next_update_s;
    uint64_t number;
    struct bytes key_id; /* content of extnValue; at NULL while absent */
    bool numbered;
    int64_t last_revoked_s; /* the latest revocationDate */
    size_t revoked;
};

/* RFC 5280 5.3.1 without the reasons that do not belong here: unspecified (0) should be left
 * out, 7 is not used, removeFromCRL (8) is for delta CRLs, aACompromise (10) for attributes. */
static bool is_reason(uint8_t reason)
{
    return reason >= 1 && reason <= 9 && reason != 7 && reason != 8;
}

static void read_entry_extensions(struct der *entry)
{
    struct der list = der_enter(entry, DER_SEQUENCE);
    struct der extension = der_enter(&list, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&extension);

    if (extension.why == NULL && !der_oid_is(oid, "2.5.29.21"))
        der_break(&extension, "RFC 5280 5.3: an entry extension other than reasonCode");
    if (der_take_flag(&extension))
        der_break(&extension, "RFC 5280 5.3.1: reasonCode is never critical");
    struct der value = der_open(der_take_octets(&extension));
    struct bytes reason = der_take(&value, ENUMERATED);
    if (extension.why == NULL &&
        (!der_done(&value) || reason.len != 1 || !is_reason(reason.at[0])))
        der_break(&extension, "RFC 5280 5.3.1: reasonCode not in 1 to 6 or 9");
    der_leave(&list, &extension);
    der_leave(entry, &list);
}

/* Ascending as numbers: equal ones, and two orders of the same list, are then impossible. */
static bool is_above(struct bytes serial, struct bytes before)
{
    return serial.len > before.len ||
           (serial.len == before.len && bytes_compare(serial, before) > 0);
}

static void read_entry(struct der *list, struct crl *crl, struct bytes *before)
{
    struct der entry = der_enter(list, DER_SEQUENCE);
    struct bytes serial = der_take_unsigned(&entry);

    if (entry.why == NULL && (serial.len == 0 || serial.len > SERIAL_MAX))
        der_break(&entry,
                  "RFC 5280 4.1.2.2: serial number not positive, or of more than 20 octets");
    if (entry.why == NULL && !is_above(serial, *before))
        der_break(&entry, "RFC 5280 5.1.2.6: serial numbers are not in ascending order");
    int64_t revoked_s = der_take_time(&entry);
    if (der_peek(&entry) != 0)
        read_entry_extensions(&entry);
    der_leave(list, &entry);
    if (list->why != NULL)
        return;
    crl->last_revoked_s =
        crl->revoked == 0 || revoked_s > crl->last_revoked_s ? revoked_s : crl->last_revoked_s;
    crl->revoked++;
    *before = serial;
}

static void read_extension(struct der *list, struct crl *crl)
{
    struct der extension = der_enter(list, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&extension);
    bool critical = der_take_flag(&extension);
    struct bytes value = der_take_octets(&extension);
    struct der content = der_open(value);

    if (extension.why != NULL) {
        der_leave(list, &extension);
        return;
    }
    if (critical)
        der_break(&extension, "RFC 5280 5.2: a critical extension");
    else if (der_oid_is(oid, "2.5.29.35") && crl->key_id.at == NULL)
        crl->key_id = value;
    else if (der_oid_is(oid, "2.5.29.20") && !crl->numbered) {
        crl->number = der_take_u63(&content);
        crl->numbered = der_done(&content);
        if (!crl->numbered)
            der_break(&extension, "RFC 5280 5.2.3: cRLNumber is not a number below 2^63");
    } else
        der_break(
            &extension,
            "RFC 5280 5.2: not an authorityKeyIdentifier or a cRLNumber, or a second one");
    der_leave(list, &extension);
}

static void read_revoked(struct der *tbs, struct crl *crl)
{
    struct bytes before = { 0 };
    struct der list = der_enter(tbs, DER_SEQUENCE);

    /* RFC 5280 5.1.2.6: an empty list is left out. */
    do {
        read_entry(&list, crl, &before);
    } while (der_peek(&list) != 0);
    der_leave(tbs, &list);
}

static void read_extensions(struct der *tbs, struct crl *crl)
{
    struct der tagged = der_enter(tbs, DER_CONTEXT_CONSTRUCTED(0));
    struct der list = der_enter(&tagged, DER_SEQUENCE);

    do {
        read_extension(&list, crl);
    } while (der_peek(&list) != 0);
    der_leave(&tagged, &list);
    der_leave(tbs, &tagged);
}

static enum rc read_list(struct bytes bytes, struct crl *crl)
{
    struct der whole = der_open(bytes);
    struct der tbs = der_enter(&whole, DER_SEQUENCE);

    if (der_take_u63(&tbs) != VERSION_2)
        der_break(&tbs, "RFC 5280 5.1.2.1: version is not 2");
    crl->algorithm = der_take_element(&tbs, DER_SEQUENCE);
    crl->issuer = der_take_element(&tbs, DER_SEQUENCE);
    crl->this_update_s = der_take_time(&tbs);
    crl->next_update_s = der_take_time(&tbs);
    if (der_peek(&tbs) == DER_SEQUENCE)
        read_revoked(&tbs, crl);
    read_extensions(&tbs, crl);
    der_leave(&whole, &tbs);
    return der_finish(&whole, "TBSCertList");
}

static enum rc check_number(const struct crl *crl, const struct keys_memory *memory)
{
    if (!crl->numbered)
        return fault(RC_DENIED, "RFC 5280 5.2.3: cRLNumber is missing");
    if (crl->number <= memory->crl_number)
        return fault(RC_DENIED, "RFC 5280 5.2.3: cRLNumber %llu, expected more than %llu",
                     (unsigned long long)crl->number, (unsigned long long)memory->crl_number);
    return RC_OK;
}

enum rc keys_check_crl(const struct keys_rule *rule, struct bytes tbs,
                       const struct keys_memory *memory, int64_t now_s,
                       struct keys_finding *finding)
{
    struct crl crl = { 0 };

    TRY(read_list(tbs, &crl));
    TRY(keys_issuer_check(rule, crl.algorithm, crl.issuer));
    TRY(keys_issuer_check_span(rule, "RFC 5280 5.1.2.4: CRL", crl.this_update_s,
                               crl.next_update_s, rule->next_update_most_s, now_s));
    if (crl.revoked > 0 && crl.last_revoked_s > now_s + rule->postdate_most_s)
        return fault(RC_DENIED, "RFC 5280 5.1.2.6: a revocationDate lies %lld s after now",
                     (long long)(crl.last_revoked_s - now_s));
    if (crl.key_id.at == NULL)
        return fault(RC_DENIED, "RFC 5280 5.2.1: authorityKeyIdentifier is missing");
    TRY(keys_issuer_check_key_id(rule, crl.key_id));
    TRY(check_number(&crl, memory));

    finding->not_before_s = crl.this_update_s;
    finding->not_after_s = crl.next_update_s;
    finding->revoked = crl.revoked;
    finding->memory.crl_number = crl.number;
    return RC_OK;
}
