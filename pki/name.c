#include "pki/name.h"

#include <string.h>

#include "base/der.h"
#include "base/text.h"
#include "pki/oid.h"

static bool is_printable_string(struct bytes text)
{
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789 '()+,-./:=?";

    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == 0 || strchr(LETTERS, text.at[i]) == NULL)
            return false;
    return true;
}

static const char *value_fault(uint8_t tag, struct bytes value)
{
    bool good = true;

    if (value.len == 0)
        return "RFC 5280 A.1: name with an empty value";
    if (tag == DER_UTF8_STRING)
        good = text_is_utf8(value);
    else if (tag == DER_PRINTABLE_STRING)
        good = is_printable_string(value);
    else if (tag == DER_IA5_STRING)
        good = text_is_printable(value);
    else
        return "RFC 5280 4.1.2.4: name in a string type other than UTF8String, "
               "PrintableString, IA5String";
    return good ? NULL : "RFC 5280 A.1: name with a letter that its string type cannot hold";
}

struct attribute {
    struct bytes type, value;
    bool joined; /* in one RelativeDistinguishedName with the one before it */
};

/* A cursor over all attributes; sticky as the DER reader below it. */
struct walk {
    struct der der, names, set;
    struct bytes before; /* in this set */
    bool inside;
};

static struct walk walk_begin(struct bytes name)
{
    struct walk w = { .der = der_open(name) };

    w.names = der_enter(&w.der, DER_SEQUENCE);
    return w;
}

static void read_attribute(struct walk *w, struct attribute *a)
{
    struct der copy = w->set;

    der_take_ordered(&w->set, &w->before);
    struct der in = der_enter(&copy, DER_SEQUENCE);
    a->type = der_take_oid(&in);
    uint8_t tag = der_peek(&in);
    a->value = der_take(&in, tag);
    const char *why = in.why == NULL ? value_fault(tag, a->value) : NULL;
    if (why != NULL)
        der_break(&in, why);
    der_leave(&w->set, &in);
}

/* False at the end, good or bad: walk_end() tells. */
static bool walk_next(struct walk *w, struct attribute *a)
{
    a->joined = w->inside;
    if (!w->inside) {
        if (der_peek(&w->names) == 0)
            return false;
        w->set = der_enter(&w->names, DER_SET);
        w->before = (struct bytes){ 0 };
    }
    read_attribute(w, a);
    w->inside = der_peek(&w->set) != 0;
    if (!w->inside)
        der_leave(&w->names, &w->set);
    return w->names.why == NULL && w->set.why == NULL;
}

static void walk_end(struct walk *w)
{
    der_leave(&w->der, &w->names);
}

enum rc pki_name_check(struct bytes der)
{
    struct walk w = walk_begin(der);
    struct attribute a;

    while (walk_next(&w, &a))
        continue;
    walk_end(&w);
    return der_finish(&w.der, "name");
}

bool pki_name_find(struct bytes der, const char *type, struct bytes *value)
{
    struct walk w = walk_begin(der);
    struct attribute a;
    struct bytes found = { 0 };
    size_t count = 0;

    while (walk_next(&w, &a))
        if (der_oid_is(a.type, type)) {
            found = a.value;
            count++;
        }
    if (count != 1)
        return false;
    *value = found;
    return true;
}

size_t pki_name_count(struct bytes der)
{
    struct walk w = walk_begin(der);
    struct attribute a;
    size_t count = 0;

    while (walk_next(&w, &a))
        count++;
    return count;
}

bool pki_name_matches(struct bytes a, struct bytes b)
{
    struct walk wa = walk_begin(a), wb = walk_begin(b);
    struct attribute one, other;

    if (bytes_equal(a, b))
        return true;
    for (;;) {
        bool more = walk_next(&wa, &one);
        if (more != walk_next(&wb, &other))
            return false;
        if (!more)
            break;
        if (one.joined != other.joined || !bytes_equal(one.type, other.type) ||
            !bytes_equal(one.value, other.value))
            return false;
    }
    walk_end(&wa);
    walk_end(&wb);
    return der_done(&wa.der) && der_done(&wb.der);
}

static void add_type_text(struct buf *buf, struct bytes type)
{
    static const struct {
        const char *oid, *word;
    } WORDS[] = {
        { PKI_OID_COMMON_NAME, "commonName" },
        { PKI_OID_SERIAL_NUMBER, "serialNumber" },
        { PKI_OID_ORGANIZATION_NAME, "organizationName" },
        { "2.5.4.11", "organizationalUnitName" },
        { "2.5.4.6", "countryName" },
        { "2.5.4.7", "localityName" },
        { "2.5.4.8", "stateOrProvinceName" },
    };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (der_oid_is(type, WORDS[i].oid)) {
            buf_addf(buf, "%s", WORDS[i].word);
            return;
        }
    der_add_oid_text(buf, type);
}

void pki_name_add_text(struct buf *buf, struct bytes der)
{
    struct walk w = walk_begin(der);
    struct attribute a;

    for (bool first = true; walk_next(&w, &a); first = false) {
        buf_addf(buf, "%s", first ? "" : a.joined ? " + " : ", ");
        add_type_text(buf, a.type);
        buf_addf(buf, "=\"");
        text_add_escaped(buf, a.value);
        buf_addf(buf, "\"");
    }
}

static enum rc write_attribute(struct buf *buf, const char *type, uint8_t tag,
                               struct bytes value)
{
    if (value.len == 0)
        return RC_OK;
    if (value.len > PKI_NAME_VALUE_MAX)
        return fault(RC_LIMIT, "RFC 5280 A.1: name of %zu octets, at most %d", value.len,
                     PKI_NAME_VALUE_MAX);
    const char *why = value_fault(tag, value);
    if (why != NULL)
        return fault(RC_MALFORMED, "%s", why);

    size_t set = der_begin(buf, DER_SET), attribute = der_begin(buf, DER_SEQUENCE);
    der_add_oid(buf, type);
    der_add(buf, tag, value);
    der_end(buf, attribute);
    der_end(buf, set);
    return RC_OK;
}

static enum rc write_name(struct buf *buf, const struct pki_name *name)
{
    size_t mark = der_begin(buf, DER_SEQUENCE);

    TRY(write_attribute(buf, PKI_OID_ORGANIZATION_NAME, DER_UTF8_STRING, name->organization));
    TRY(write_attribute(buf, PKI_OID_COMMON_NAME, DER_UTF8_STRING, name->common_name));
    TRY(write_attribute(buf, PKI_OID_SERIAL_NUMBER, DER_PRINTABLE_STRING, name->serial_number));
    if (!buf->broken && buf->len == mark)
        return fault(RC_MALFORMED, "RFC 5280 4.1.2.6: name without any attribute");
    der_end(buf, mark);
    return RC_OK;
}

enum rc pki_name_write(struct buf *buf, const struct pki_name *name)
{
    size_t before = buf->len;
    enum rc rc = write_name(buf, name);

    if (rc != RC_OK)
        buf_cut(buf, before);
    return rc;
}
