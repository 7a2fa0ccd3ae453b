#include "keys/name.h"

#include "base/der.h"
#include "base/text.h"
#include "keys/terms.h"

static bool is_string(uint8_t tag)
{
    return tag == DER_UTF8_STRING || tag == DER_PRINTABLE_STRING || tag == DER_IA5_STRING;
}

static void describe_attribute(struct der *rdn, struct buf *text)
{
    struct keys_terms terms = keys_terms_attribute();
    struct der attribute = der_enter(rdn, DER_SEQUENCE);
    struct bytes oid = der_take_oid(&attribute);
    size_t known = keys_terms_find_oid(terms, oid);
    uint8_t tag = der_peek(&attribute);

    if (!is_string(tag))
        der_break(&attribute, "RFC 5280 4.1.2.4: not a PrintableString or UTF8String");
    if (known < terms.count)
        buf_addf(text, "%s=", terms.term[known].word);
    else {
        der_add_oid_text(text, oid);
        buf_addf(text, "=");
    }
    text_add_escaped(text, der_take(&attribute, tag));
    der_leave(rdn, &attribute);
}

enum rc keys_name_describe(struct bytes der, struct buf *text)
{
    struct der whole = der_open(der);
    struct der name = der_enter(&whole, DER_SEQUENCE);
    size_t before = text->len;
    enum rc rc;

    if (der_peek(&name) == 0)
        der_break(&name, "RFC 5280 4.1.2.4: an empty Name");
    while (der_peek(&name) != 0) {
        struct der rdn = der_enter(&name, DER_SET);
        const char *between = text->len > before ? ", " : "";

        do {
            buf_addf(text, "%s", between);
            describe_attribute(&rdn, text);
            between = " + ";
        } while (der_peek(&rdn) != 0);
        der_leave(&name, &rdn);
    }
    der_leave(&whole, &name);
    rc = der_finish(&whole, "RFC 5280 4.1.2.4 Name");
    if (rc != RC_OK && !text->broken)
        buf_cut(text, before);
    return rc;
}
