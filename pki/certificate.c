#include "pki/certificate.h"

#include "pki/name.h"
#include "pki/oid.h"

enum { V3 = 2 };

static void read_version(struct der *tbs)
{
    struct der in;

    if (der_peek(tbs) != DER_CONTEXT_CONSTRUCTED(0)) {
        der_break(tbs, "RFC 5280 4.1.2.1: version other than 3");
        return;
    }
    in = der_enter(tbs, DER_CONTEXT_CONSTRUCTED(0));
    if (der_take_u63(&in) != V3)
        der_break(&in, "RFC 5280 4.1.2.1: version other than 3");
    der_leave(tbs, &in);
}

static struct bytes read_serial(struct der *tbs)
{
    struct bytes serial = der_take_unsigned(tbs);

    /* Twenty octets of content, a leading zero octet included. */
    size_t content = serial.len + (serial.len > 0 && serial.at[0] >= 0x80);
    if (tbs->why == NULL && (serial.len == 0 || content > PKI_SERIAL_MAX))
        der_break(tbs, "RFC 5280 4.1.2.2: serial number not of 1 to 20 octets above zero");
    return serial;
}

static void read_validity(struct der *tbs, struct pki_certificate *c)
{
    struct der in = der_enter(tbs, DER_SEQUENCE);

    c->not_before = der_take_time(&in);
    c->not_after = der_take_time(&in);
    der_leave(tbs, &in);
}

/* AlgorithmIdentifier: RFC 5280 4.1.1.2; the parameters are anything, once. */
static struct bytes read_algorithm(struct der *der)
{
    struct der copy = *der;
    struct bytes whole = der_take_element(der, DER_SEQUENCE);
    struct der in = der_enter(&copy, DER_SEQUENCE);

    der_take_oid(&in);
    if (der_peek(&in) != 0)
        der_take_whole(&in);
    der_leave(der, &in);
    return whole;
}

/* SubjectPublicKeyInfo of whatever kind: RFC 5280 4.1. */
static struct bytes read_public_key(struct der *tbs)
{
    struct der copy = *tbs;
    struct bytes whole = der_take_element(tbs, DER_SEQUENCE);
    struct der in = der_enter(&copy, DER_SEQUENCE);

    read_algorithm(&in);
    der_take_bits(&in);
    der_leave(tbs, &in);
    return whole;
}

static void read_tbs(struct der *outer, struct pki_certificate *c)
{
    struct der tbs = der_enter(outer, DER_SEQUENCE);

    read_version(&tbs);
    c->serial = read_serial(&tbs);
    c->algorithm = read_algorithm(&tbs);
    c->issuer = der_take_element(&tbs, DER_SEQUENCE);
    read_validity(&tbs, c);
    c->subject = der_take_element(&tbs, DER_SEQUENCE);
    c->public_key = read_public_key(&tbs);
    if (der_peek(&tbs) != 0) {
        struct der in = der_enter(&tbs, DER_CONTEXT_CONSTRUCTED(3));
        pki_extension_take_all(&in, &c->extensions);
        der_leave(&tbs, &in);
    }
    der_leave(outer, &tbs);
}

static enum rc check_alt_names(struct bytes value)
{
    struct der der = der_open(value);
    struct der names = der_enter(&der, DER_SEQUENCE);
    struct pki_alt_name name;

    if (names.why == NULL && names.left.len == 0)
        der_break(&names, "RFC 5280 4.2.1.6: no name at all");
    while (pki_alt_name_next(&names, &name))
        continue;
    der_leave(&der, &names);
    return der_finish(&der, "subjectAltName");
}

static enum rc refuse_critical(struct bytes oid)
{
    AUTO_BUF(text, 256);
    const char *dotted = "";

    der_add_oid_text(&text, oid);
    TRY(buf_text(&text, &dotted));
    return fault(RC_DENIED, "RFC 5280 4.2: critical extension %s is not known here", dotted);
}

static enum rc read_extension(const struct pki_extension *e, struct pki_certificate *c)
{
    if (der_oid_is(e->oid, PKI_OID_BASIC_CONSTRAINTS))
        return pki_extension_read_constraints(e->value, &c->constraints);
    if (der_oid_is(e->oid, PKI_OID_KEY_USAGE))
        return pki_extension_read_key_usage(e->value, &c->key_usage);
    if (der_oid_is(e->oid, PKI_OID_EXTENDED_KEY_USAGE))
        return pki_extension_read_purposes(e->value, &c->purposes);
    if (der_oid_is(e->oid, PKI_OID_SUBJECT_KEY_IDENTIFIER))
        return pki_extension_read_key_id(e->value, &c->key_id);
    if (der_oid_is(e->oid, PKI_OID_AUTHORITY_KEY_IDENTIFIER))
        return pki_extension_read_authority(e->value, &c->authority_key_id);
    if (der_oid_is(e->oid, PKI_OID_SUBJECT_ALT_NAME)) {
        c->alt_names = e->value;
        return check_alt_names(e->value);
    }
    return e->critical ? refuse_critical(e->oid) : RC_OK;
}

static enum rc check_names(const struct pki_certificate *c)
{
    enum rc rc = pki_name_check(c->issuer);

    if (rc == RC_OK && pki_name_count(c->issuer) == 0)
        rc = fault(RC_MALFORMED, "RFC 5280 4.1.2.4: empty");
    if (rc != RC_OK)
        return fault_while(rc, "certificate: issuer");
    rc = pki_name_check(c->subject);
    return rc == RC_OK ? RC_OK : fault_while(rc, "certificate: subject");
}

/* All that lies behind the structure, and the hashes; whole is what the fingerprint covers. */
static enum rc read_rest(struct bytes whole, struct pki_certificate *c)
{
    TRY(check_names(c));
    c->constraints.path_length = -1;
    for (size_t i = 0; i < c->extensions.count; i++) {
        enum rc rc = read_extension(&c->extensions.at[i], c);
        if (rc != RC_OK)
            return fault_while(rc, "certificate");
    }
    TRY(pki_key_hash(c->public_key, c->key_hash));
    return pki_key_hash(whole, c->fingerprint);
}

static enum rc check_size(struct bytes bytes)
{
    return bytes.len <= PKI_CERTIFICATE_MAX
               ? RC_OK
               : fault(RC_LIMIT, "certificate of %zu octets, at most %d", bytes.len,
                       PKI_CERTIFICATE_MAX);
}

enum rc pki_certificate_read(struct bytes der, struct pki_certificate *certificate)
{
    struct pki_certificate c = { 0 };

    TRY(check_size(der));
    struct der file = der_open(der);
    struct der outer = der_enter(&file, DER_SEQUENCE);
    struct der copy = outer;
    c.tbs = der_take_element(&copy, DER_SEQUENCE);
    read_tbs(&outer, &c);
    struct bytes algorithm = der_take_element(&outer, DER_SEQUENCE);
    if (outer.why == NULL && !bytes_equal(algorithm, c.algorithm))
        der_break(&outer, "RFC 5280 4.1.1.2: two different signature algorithms");
    c.signature = der_take_bits(&outer);
    der_leave(&file, &outer);
    TRY(der_finish(&file, "certificate"));
    TRY(read_rest(der, &c));
    *certificate = c;
    return RC_OK;
}

enum rc pki_certificate_read_tbs(struct bytes tbs, struct pki_certificate *certificate)
{
    struct pki_certificate c = { .tbs = tbs };

    TRY(check_size(tbs));
    struct der file = der_open(tbs);
    read_tbs(&file, &c);
    TRY(der_finish(&file, "to-be-signed certificate"));
    TRY(read_rest(tbs, &c));
    *certificate = c;
    return RC_OK;
}

bool pki_certificate_uri(const struct pki_certificate *certificate, struct bytes *uri)
{
    struct der der = der_open(certificate->alt_names);
    struct der names = der_enter(&der, DER_SEQUENCE);
    struct pki_alt_name name;
    struct bytes found = { 0 };
    size_t count = 0;

    while (pki_alt_name_next(&names, &name))
        if (name.kind == PKI_ALT_URI) {
            found = name.value;
            count++;
        }
    if (count != 1)
        return false;
    *uri = found;
    return true;
}
