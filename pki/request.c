#include "pki/request.h"

#include "pki/name.h"
#include "pki/oid.h"

static enum rc refuse_attribute(struct bytes oid)
{
    AUTO_BUF(text, 256);
    const char *dotted = "";

    der_add_oid_text(&text, oid);
    TRY(buf_text(&text, &dotted));
    return fault(RC_DENIED,
                 "RFC 2986 4.1: attribute %s; allowed are extensionRequest and "
                 "challengePassword",
                 dotted);
}

/* RFC 2985 5.4.1: DirectoryString of 1 to 255; e-mail programs write an IA5String. */
static void read_challenge(struct der *values, struct bytes *challenge)
{
    uint8_t tag = der_peek(values);

    if (tag != DER_UTF8_STRING && tag != DER_PRINTABLE_STRING && tag != DER_IA5_STRING)
        der_break(values, "RFC 2985 5.4.1: challengePassword in an unexpected string type");
    *challenge = der_take(values, tag);
    if (values->why == NULL && (challenge->len == 0 || challenge->len > PKI_CHALLENGE_MAX))
        der_break(values, "RFC 2985 5.4.1: challengePassword not of 1 to 255 octets");
}

/* One Attribute: each type at most once, each with exactly one value. *unknown is set to the
 * type that is refused by name. */
static void read_attribute(struct der *attributes, struct pki_request *r, struct bytes *unknown)
{
    struct der in = der_enter(attributes, DER_SEQUENCE);
    struct bytes type = der_take_oid(&in);
    struct der values = der_enter(&in, DER_SET);

    if (der_oid_is(type, PKI_OID_EXTENSION_REQUEST)) {
        if (r->extensions.count > 0)
            der_break(&values, "RFC 2985 5.4.2: extensionRequest twice");
        pki_extension_take_all(&values, &r->extensions);
    } else if (der_oid_is(type, PKI_OID_CHALLENGE_PASSWORD)) {
        if (r->challenge.len > 0)
            der_break(&values, "RFC 2985 5.4.1: challengePassword twice");
        read_challenge(&values, &r->challenge);
    } else {
        *unknown = unknown->len == 0 ? type : *unknown;
        der_take_whole(&values);
    }
    der_leave(&in, &values);
    der_leave(attributes, &in);
}

static void read_attributes(struct der *info, struct pki_request *r, struct bytes *unknown)
{
    struct der attributes = der_enter(info, DER_CONTEXT_CONSTRUCTED(0));
    struct bytes before = { 0 };

    while (der_peek(&attributes) != 0) {
        struct der one = attributes;
        der_take_ordered(&attributes, &before);
        if (attributes.why != NULL)
            break;
        read_attribute(&one, r, unknown);
        if (one.why != NULL)
            attributes = one;
    }
    der_leave(info, &attributes);
}

struct parts {
    struct bytes info, algorithm, signature, unknown;
};

/* CertificationRequestInfo: RFC 2986 4.1. */
static void read_info(struct der *outer, struct pki_request *r, struct bytes *unknown)
{
    struct der info = der_enter(outer, DER_SEQUENCE);

    if (der_take_u63(&info) != 0)
        der_break(&info, "RFC 2986 4.1: version other than 0");
    r->subject = der_take_element(&info, DER_SEQUENCE);
    r->public_key = der_take_element(&info, DER_SEQUENCE);
    read_attributes(&info, r, unknown);
    der_leave(outer, &info);
}

static enum rc read_parts(struct bytes bytes, struct pki_request *r, struct parts *parts)
{
    struct der der = der_open(bytes);
    struct der outer = der_enter(&der, DER_SEQUENCE);
    struct der copy = outer;

    parts->info = der_take_element(&copy, DER_SEQUENCE);
    read_info(&outer, r, &parts->unknown);
    parts->algorithm = der_take_element(&outer, DER_SEQUENCE);
    parts->signature = der_take_bits(&outer);
    der_leave(&der, &outer);
    return der_finish(&der, "request");
}

enum rc pki_request_read(struct pki_verifier *verifier, struct bytes der,
                         struct pki_request *request)
{
    struct pki_request r = { 0 };
    struct parts parts = { 0 };

    if (der.len > PKI_REQUEST_MAX)
        return fault(RC_LIMIT, "request of %zu octets, at most %d", der.len, PKI_REQUEST_MAX);
    TRY(read_parts(der, &r, &parts));
    if (parts.unknown.len > 0)
        return refuse_attribute(parts.unknown);
    enum rc rc = pki_name_check(r.subject);
    if (rc != RC_OK)
        return fault_while(rc, "request: subject");
    TRY(pki_key_read(r.public_key, &r.point));
    TRY(pki_key_check_algorithm(parts.algorithm));
    rc = pki_verifier_check(verifier, r.point, parts.info, parts.signature);
    if (rc != RC_OK)
        return fault_while(rc, "RFC 2986 4.2: proof of possession");
    TRY(pki_key_hash(r.public_key, r.key_hash));
    *request = r;
    return RC_OK;
}
