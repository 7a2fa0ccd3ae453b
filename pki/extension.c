#include "pki/extension.h"

#include "pki/oid.h"

static const struct {
    unsigned purpose;
    const char *oid;
} PURPOSES[] = {
    { PKI_SERVER_AUTH, "1.3.6.1.5.5.7.3.1" },
    { PKI_CLIENT_AUTH, "1.3.6.1.5.5.7.3.2" },
    { PKI_ANY_PURPOSE, "2.5.29.37.0" },
};

enum { PURPOSE_COUNT = sizeof PURPOSES / sizeof *PURPOSES, WRITABLE_PURPOSES = 2 };

static void take_one(struct der *list, struct pki_extensions *all)
{
    struct der in = der_enter(list, DER_SEQUENCE);
    struct pki_extension e = { .oid = der_take_oid(&in) };

    for (size_t i = 0; i < all->count && in.why == NULL; i++)
        if (bytes_equal(all->at[i].oid, e.oid))
            der_break(&in, "RFC 5280 4.2: the same extension twice");
    e.critical = der_take_flag(&in);
    e.value = der_take_octets(&in);
    der_leave(list, &in);
    if (all->count == PKI_EXTENSIONS_MAX)
        der_break(list, "more than 24 extensions");
    if (list->why == NULL)
        all->at[all->count++] = e;
}

void pki_extension_take_all(struct der *der, struct pki_extensions *all)
{
    struct der list = der_enter(der, DER_SEQUENCE);

    all->count = 0;
    if (list.why == NULL && list.left.len == 0)
        der_break(&list, "RFC 5280 4.1.2.9: extensions without any");
    while (der_peek(&list) != 0)
        take_one(&list, all);
    der_leave(der, &list);
}

const struct pki_extension *pki_extension_find(const struct pki_extensions *all,
                                               const char *oid)
{
    for (size_t i = 0; i < all->count; i++)
        if (der_oid_is(all->at[i].oid, oid))
            return &all->at[i];
    return NULL;
}

enum { PATH_LENGTH_MOST = 255 };

enum rc pki_extension_read_constraints(struct bytes value, struct pki_constraints *constraints)
{
    struct der der = der_open(value);
    struct der in = der_enter(&der, DER_SEQUENCE);
    struct pki_constraints c = { .ca = der_take_flag(&in), .path_length = -1 };

    if (der_peek(&in) != 0) {
        uint64_t length = der_take_u63(&in);
        if (!c.ca)
            der_break(&in, "RFC 5280 4.2.1.9: pathLenConstraint without cA");
        if (length > PATH_LENGTH_MOST)
            der_break(&in, "pathLenConstraint above 255");
        c.path_length = (int)(length & PATH_LENGTH_MOST);
    }
    der_leave(&der, &in);
    TRY(der_finish(&der, "basicConstraints"));
    *constraints = c;
    return RC_OK;
}

enum rc pki_extension_read_key_usage(struct bytes value, uint16_t *bits)
{
    struct der der = der_open(value);
    uint16_t found = der_take_named_bits(&der);

    if (found == 0)
        der_break(&der, "RFC 5280 4.2.1.3: no bit set");
    TRY(der_finish(&der, "keyUsage"));
    *bits = found;
    return RC_OK;
}

static unsigned purpose_of(struct bytes oid)
{
    for (size_t i = 0; i < PURPOSE_COUNT; i++)
        if (der_oid_is(oid, PURPOSES[i].oid))
            return PURPOSES[i].purpose;
    return PKI_OTHER_PURPOSE;
}

enum rc pki_extension_read_purposes(struct bytes value, unsigned *purposes)
{
    struct der der = der_open(value);
    struct der in = der_enter(&der, DER_SEQUENCE);
    unsigned found = 0;

    do {
        unsigned purpose = purpose_of(der_take_oid(&in));
        if (purpose != PKI_OTHER_PURPOSE && (found & purpose) != 0)
            der_break(&in, "the same purpose twice");
        found |= purpose;
    } while (der_peek(&in) != 0);
    der_leave(&der, &in);
    TRY(der_finish(&der, "extendedKeyUsage"));
    *purposes = found;
    return RC_OK;
}

enum rc pki_extension_read_key_id(struct bytes value, struct bytes *key_id)
{
    struct der der = der_open(value);
    struct bytes found = der_take_octets(&der);

    TRY(der_finish(&der, "subjectKeyIdentifier"));
    *key_id = found;
    return RC_OK;
}

enum rc pki_extension_read_authority(struct bytes value, struct bytes *key_id)
{
    struct der der = der_open(value);
    struct der in = der_enter(&der, DER_SEQUENCE);
    struct bytes found = { 0 };

    if (der_peek(&in) == DER_CONTEXT(0))
        found = der_take(&in, DER_CONTEXT(0));
    bool issuer = der_peek(&in) == DER_CONTEXT_CONSTRUCTED(1);
    if (issuer) {
        der_take_whole(&in);
        der_take(&in, DER_CONTEXT(2)); /* RFC 5280 A.2: both or neither */
    }
    der_leave(&der, &in);
    TRY(der_finish(&der, "authorityKeyIdentifier"));
    *key_id = found;
    return RC_OK;
}

struct pki_extension_mark pki_extension_begin(struct buf *buf, const char *oid, bool critical)
{
    struct pki_extension_mark mark = { .extension = der_begin(buf, DER_SEQUENCE) };

    der_add_oid(buf, oid);
    if (critical)
        der_add_boolean(buf, true);
    mark.octets = der_begin(buf, DER_OCTET_STRING);
    return mark;
}

void pki_extension_end(struct buf *buf, struct pki_extension_mark mark)
{
    der_end(buf, mark.octets);
    der_end(buf, mark.extension);
}

void pki_extension_add_constraints(struct buf *buf, const struct pki_constraints *constraints)
{
    struct pki_extension_mark mark = pki_extension_begin(buf, PKI_OID_BASIC_CONSTRAINTS, true);
    size_t value = der_begin(buf, DER_SEQUENCE);

    if (constraints->ca)
        der_add_boolean(buf, true);
    if (constraints->ca && constraints->path_length >= 0)
        der_add_u63(buf, (uint64_t)constraints->path_length);
    der_end(buf, value);
    pki_extension_end(buf, mark);
}

void pki_extension_add_key_usage(struct buf *buf, uint16_t bits)
{
    struct pki_extension_mark mark = pki_extension_begin(buf, PKI_OID_KEY_USAGE, true);

    der_add_named_bits(buf, bits);
    pki_extension_end(buf, mark);
}

void pki_extension_add_purposes(struct buf *buf, unsigned purposes)
{
    struct pki_extension_mark mark =
        pki_extension_begin(buf, PKI_OID_EXTENDED_KEY_USAGE, false);
    size_t value = der_begin(buf, DER_SEQUENCE);

    for (size_t i = 0; i < WRITABLE_PURPOSES; i++)
        if (purposes & PURPOSES[i].purpose)
            der_add_oid(buf, PURPOSES[i].oid);
    buf->broken = buf->broken || purposes >= 1U << WRITABLE_PURPOSES || purposes == 0;
    der_end(buf, value);
    pki_extension_end(buf, mark);
}

void pki_extension_add_key_id(struct buf *buf, struct bytes key_id)
{
    struct pki_extension_mark mark =
        pki_extension_begin(buf, PKI_OID_SUBJECT_KEY_IDENTIFIER, false);

    der_add_octets(buf, key_id);
    pki_extension_end(buf, mark);
}

void pki_extension_add_authority(struct buf *buf, struct bytes key_id)
{
    struct pki_extension_mark mark =
        pki_extension_begin(buf, PKI_OID_AUTHORITY_KEY_IDENTIFIER, false);
    size_t value = der_begin(buf, DER_SEQUENCE);

    der_add(buf, DER_CONTEXT(0), key_id);
    der_end(buf, value);
    pki_extension_end(buf, mark);
}

void pki_extension_add_crl_url(struct buf *buf, const char *url)
{
    struct pki_extension_mark mark =
        pki_extension_begin(buf, PKI_OID_CRL_DISTRIBUTION_POINTS, false);
    size_t points = der_begin(buf, DER_SEQUENCE), point = der_begin(buf, DER_SEQUENCE);
    size_t name = der_begin(buf, DER_CONTEXT_CONSTRUCTED(0));
    size_t full = der_begin(buf, DER_CONTEXT_CONSTRUCTED(0));

    der_add(buf, DER_CONTEXT(6), bytes_of_text(url));
    der_end(buf, full);
    der_end(buf, name);
    der_end(buf, point);
    der_end(buf, points);
    pki_extension_end(buf, mark);
}

void pki_extension_add_issuer_url(struct buf *buf, const char *url)
{
    struct pki_extension_mark mark =
        pki_extension_begin(buf, PKI_OID_AUTHORITY_INFO_ACCESS, false);
    size_t all = der_begin(buf, DER_SEQUENCE), one = der_begin(buf, DER_SEQUENCE);

    der_add_oid(buf, PKI_OID_CA_ISSUERS);
    der_add(buf, DER_CONTEXT(6), bytes_of_text(url));
    der_end(buf, one);
    der_end(buf, all);
    pki_extension_end(buf, mark);
}

void pki_extension_add_text(struct buf *buf, struct bytes oid)
{
    static const struct {
        const char *oid, *word;
    } WORDS[] = {
        { PKI_OID_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier" },
        { PKI_OID_KEY_USAGE, "keyUsage" },
        { PKI_OID_SUBJECT_ALT_NAME, "subjectAltName" },
        { PKI_OID_BASIC_CONSTRAINTS, "basicConstraints" },
        { PKI_OID_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints" },
        { PKI_OID_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier" },
        { PKI_OID_EXTENDED_KEY_USAGE, "extKeyUsage" },
        { PKI_OID_AUTHORITY_INFO_ACCESS, "authorityInfoAccess" },
    };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (der_oid_is(oid, WORDS[i].oid)) {
            buf_addf(buf, "%s", WORDS[i].word);
            return;
        }
    der_add_oid_text(buf, oid);
}
