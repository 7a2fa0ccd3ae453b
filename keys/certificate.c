#include "keys/certificate.h"

#include <string.h>

#include "base/der.h"
#include "base/text.h"
#include "keys/terms.h"

enum { VERSION_3 = 2, OID_TEXT_MAX = 1024 };

/* Where reading stops being about form: a type that no rule can name. */
struct unknown {
    const char *what;
    struct bytes oid;
};

static bool is_printable_string(struct bytes text)
{
    static const char MARKS[] = " '()+,-./:=?"; /* X.680 41.4 */

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

        if (!letter && (c < '0' || c > '9') && (c == '\0' || strchr(MARKS, c) == NULL))
            return false;
    }
    return true;
}

/* UTF-8 without C0 and C1 controls: nothing that a terminal or a log would act on. */
static bool is_quiet_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool c1 = i > 0 && text.at[i - 1] == 0xc2 && text.at[i] >= 0x80 && text.at[i] <= 0x9f;

        if (text.at[i] < 0x20 || text.at[i] == 0x7f || c1)
            return false;
    }
    return text_is_utf8(text);
}

static struct bytes take_value(struct der *der, enum keys_attribute which)
{
    /* RFC 5280 A.1: X520SerialNumber and X520countryName are PrintableString only. */
    bool printable_only = which == KEYS_SERIAL_NUMBER || which == KEYS_COUNTRY_NAME;
    bool utf8 = der_peek(der) == DER_UTF8_STRING && !printable_only;
    struct der at = *der;
    struct bytes value = der_take(der, utf8 ? DER_UTF8_STRING : DER_PRINTABLE_STRING);
    const char *why = NULL;

    if (der->why != NULL)
        return value;
    if (value.len == 0 || value.len > KEYS_VALUE_MAX)
        why = "RFC 5280 A.1: attribute value not of 1 to 64 octets";
    else if (which == KEYS_COUNTRY_NAME && value.len != 2)
        why = "RFC 5280 A.1: countryName not of 2 characters";
    else if (utf8 ? !is_quiet_utf8(value) : !is_printable_string(value))
        why = "RFC 5280 4.1.2.4: attribute value with characters outside its type, or controls";
    if (why != NULL) {
        der_break(&at, why);
        *der = at;
    }
    return value;
}

static void read_attribute(struct der *set, struct keys_certificate *c, struct unknown *unknown)
{
    struct der attribute = der_enter(set, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&attribute);
    size_t which = keys_terms_find_oid(keys_terms_attribute(), oid);

    if (attribute.why == NULL && which == KEYS_ATTRIBUTES) {
        *unknown = (struct unknown){ "4.1.2.6: subject attribute", oid };
        der_take_whole(&attribute);
    } else if (attribute.why == NULL && c->attribute[which].at != NULL) {
        der_break(&attribute, "RFC 5280 4.1.2.6: a subject attribute stands twice");
    } else if (attribute.why == NULL) {
        c->attribute[which] = take_value(&attribute, (enum keys_attribute)which);
    }
    der_leave(set, &attribute);
}

static void read_subject(struct der *tbs, struct keys_certificate *c, struct unknown *unknown)
{
    struct der ahead = *tbs;
    struct der name = der_enter(tbs, DER_SEQUENCE);

    c->subject = der_take_whole(&ahead);
    while (der_peek(&name) != 0) {
        struct der rdn = der_enter(&name, DER_SET);
        read_attribute(&rdn, c, unknown);
        der_leave(&name, &rdn); /* refuses a second attribute in the RDN */
    }
    der_leave(tbs, &name);
}

static void read_extension(struct der *list, struct keys_certificate *c,
                           struct unknown *unknown)
{
    struct keys_certificate_extension made = { .present = true };
    struct der extension = der_enter(list, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&extension);
    size_t which = keys_terms_find_oid(keys_terms_extension(), oid);

    if (which < KEYS_EXTENSIONS && c->extension[which].present)
        der_break(&extension, "RFC 5280 4.2: an extension stands twice");
    made.critical = der_take_flag(&extension);
    made.value = der_take_octets(&extension);
    if (extension.why == NULL && which == KEYS_EXTENSIONS)
        *unknown = (struct unknown){ "4.2: extension", oid };
    else if (extension.why == NULL)
        c->extension[which] = made;
    der_leave(list, &extension);
}

static void read_extensions(struct der *tbs, struct keys_certificate *c,
                            struct unknown *unknown)
{
    struct der tagged = der_enter(tbs, DER_CONTEXT_CONSTRUCTED(3));
    struct der list = der_enter(&tagged, DER_SEQUENCE);

    do {
        read_extension(&list, c, unknown);
    } while (der_peek(&list) != 0);
    der_leave(&tagged, &list);
    der_leave(tbs, &tagged);
}

static void read_fields(struct der *tbs, struct keys_certificate *c, struct unknown *unknown)
{
    struct der version = der_enter(tbs, DER_CONTEXT_CONSTRUCTED(0));

    if (der_take_u63(&version) != VERSION_3)
        der_break(&version, "RFC 5280 4.1.2.1: version is not 3");
    der_leave(tbs, &version);
    c->serial = der_take_integer(tbs);
    c->algorithm = der_take_element(tbs, DER_SEQUENCE);
    c->issuer = der_take_element(tbs, DER_SEQUENCE);

    struct der validity = der_enter(tbs, DER_SEQUENCE);
    c->not_before_s = der_take_time(&validity);
    c->not_after_s = der_take_time(&validity);
    der_leave(tbs, &validity);

    read_subject(tbs, c, unknown);
    c->public_key = der_take_element(tbs, DER_SEQUENCE);
    if (der_peek(tbs) == DER_CONTEXT(1) || der_peek(tbs) == DER_CONTEXT(2))
        der_break(tbs, "RFC 5280 4.1.2.8: unique identifiers are not issued");
    read_extensions(tbs, c, unknown);
}

enum rc keys_certificate_read(struct bytes tbs, struct keys_certificate *certificate)
{
    AUTO_BUF(dotted, OID_TEXT_MAX);
    struct keys_certificate made = { 0 };
    struct unknown unknown = { 0 };
    struct der whole = der_open(tbs);
    struct der fields = der_enter(&whole, DER_SEQUENCE);

    read_fields(&fields, &made, &unknown);
    der_leave(&whole, &fields);
    TRY(der_finish(&whole, "TBSCertificate"));
    if (unknown.what != NULL) {
        der_add_oid_text(&dotted, unknown.oid);
        return fault(RC_DENIED, "RFC 5280 %s %.*s is not one that a rule can allow",
                     unknown.what, BYTES_FMT(buf_bytes(&dotted)));
    }
    *certificate = made;
    return RC_OK;
}
