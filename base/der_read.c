#include "base/der.h"

enum {
    NUMBER_BITS = 0x1f, /* of an identifier octet: X.690 8.1.2 */
    CLASS_BITS = 0xc0,
    CONSTRUCTED = 0x20,
    LENGTH_BYTES_MAX = 4,
    SUBIDENTIFIER_MAX = 9, /* groups of seven bits: arcs below 2^63 */
};

struct der der_open(struct bytes bytes)
{
    return (struct der){ .left = bytes, .start = bytes.at };
}

void der_break(struct der *der, const char *why)
{
    if (der->why != NULL)
        return;
    der->why = why;
    der->offset = der->left.at == NULL ? 0 : (size_t)(der->left.at - der->start);
    der->left = (struct bytes){ 0 };
}

/* Universal types that exist in constructed form only; all others have, in DER, the primitive
 * form only (X.690 8.9 to 8.12, 10.2): EXTERNAL, EMBEDDED PDV, SEQUENCE, SET, CHARACTER STRING.
 */
static bool is_constructed_type(unsigned number)
{
    return number == 8 || number == 11 || number == 16 || number == 17 || number == 29;
}

static const char *tag_fault(uint8_t tag)
{
    unsigned number = tag & NUMBER_BITS;

    if (number == NUMBER_BITS)
        return "X.690 8.1.2.4: tag number above 30";
    if ((tag & CLASS_BITS) != 0)
        return NULL;
    if (number == 0)
        return "X.690 8.1.5: end-of-contents octets";
    if (((tag & CONSTRUCTED) != 0) != is_constructed_type(number))
        return "X.690 10.2: wrong of primitive and constructed form";
    return NULL;
}

/* X.690 10.1: definite, in the fewest octets. */
static const char *read_length(struct reader *r, size_t *len)
{
    uint8_t first = reader_u8(r);
    unsigned count = first & 0x7fU;
    size_t value = 0;

    if (r->broken)
        return "X.690 8.1.3: cut short before its length";
    if (first < 0x80) {
        *len = first;
        return NULL;
    }
    if (count == 0)
        return "X.690 10.1: indefinite length";
    if (count > LENGTH_BYTES_MAX)
        return "X.690 8.1.3.5: length in more than four octets";
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | reader_u8(r);
    if (r->broken)
        return "X.690 8.1.3: cut short inside its length";
    if (value < 0x80 || value >> 8 * (count - 1) == 0)
        return "X.690 10.1: length not in the fewest octets";
    *len = value;
    return NULL;
}

struct element {
    struct bytes whole, content;
};

/* The one way forward: every read of an element goes through here. tag 0 is any. */
static struct element step(struct der *der, uint8_t tag)
{
    struct reader r = READER(der->left);
    size_t len = 0;

    if (der->why != NULL)
        return (struct element){ 0 };
    if (der->left.len == 0) {
        der_break(der, "an element is missing");
        return (struct element){ 0 };
    }
    uint8_t found = reader_u8(&r);
    const char *why = tag_fault(found);
    if (why == NULL && tag != 0 && found != tag)
        why = "an element of another type stands here";
    if (why == NULL)
        why = read_length(&r, &len);
    if (why == NULL && len > r.left.len)
        why = "X.690 8.1.3: length past the end";
    if (why != NULL) {
        der_break(der, why);
        return (struct element){ 0 };
    }

    struct element e = { .content = reader_take(&r, len) };
    e.whole = (struct bytes){ der->left.at, (size_t)(e.content.at - der->left.at) + len };
    der->left = r.left;
    return e;
}

/* As step(), and the cursor to which a fault in this content belongs. */
static struct bytes take(struct der *der, uint8_t tag, struct der *at)
{
    *at = *der;
    struct bytes content = step(der, tag).content;

    if (der->why != NULL)
        *at = *der;
    return content;
}

static struct bytes refuse(struct der *der, struct der at, const char *why)
{
    if (der->why == NULL) {
        der_break(&at, why);
        *der = at;
    }
    return (struct bytes){ 0 };
}

struct der der_enter(struct der *outer, uint8_t tag)
{
    struct der in = { .left = step(outer, tag).content, .start = outer->start };

    in.why = outer->why;
    in.offset = outer->offset;
    return in;
}

void der_leave(struct der *outer, const struct der *in)
{
    struct der end = *in;

    if (end.left.len > 0)
        der_break(&end, "more than belongs here");
    if (outer->why == NULL && end.why != NULL)
        *outer = (struct der){ .start = outer->start, .why = end.why, .offset = end.offset };
}

uint8_t der_peek(const struct der *der)
{
    return der->left.len > 0 ? der->left.at[0] : 0;
}

struct bytes der_take(struct der *der, uint8_t tag)
{
    return step(der, tag).content;
}

struct bytes der_take_whole(struct der *der)
{
    return step(der, 0).whole;
}

struct bytes der_take_element(struct der *der, uint8_t tag)
{
    return step(der, tag).whole;
}

/* X.690 11.6 compares as if the shorter were padded with zeros; two different whole elements
 * are never prefixes of each other, so plain order is the same. */
struct bytes der_take_ordered(struct der *der, struct bytes *before)
{
    struct der at = *der;
    struct bytes whole = step(der, 0).whole;

    if (der->why != NULL)
        return (struct bytes){ 0 };
    if (before->len > 0 && bytes_compare(*before, whole) > 0)
        return refuse(der, at, "X.690 11.6: elements of a SET OF out of order");
    *before = whole;
    return whole;
}

bool der_take_boolean(struct der *der)
{
    struct der at;
    struct bytes content = take(der, DER_BOOLEAN, &at);

    if (at.why != NULL)
        return false;
    if (content.len != 1)
        refuse(der, at, "X.690 8.2.1: BOOLEAN not of one octet");
    else if (content.at[0] != 0 && content.at[0] != 0xff)
        refuse(der, at, "X.690 11.1: BOOLEAN neither FF nor 00");
    return der->why == NULL && content.at[0] == 0xff;
}

bool der_take_flag(struct der *der)
{
    struct der at = *der;

    if (der_peek(der) != DER_BOOLEAN)
        return false;
    bool value = der_take_boolean(der);
    if (der->why == NULL && !value)
        refuse(der, at, "X.690 11.5: FALSE is the default and must be left out");
    return value;
}

struct bytes der_take_integer(struct der *der)
{
    struct der at;
    struct bytes content = take(der, DER_INTEGER, &at);

    if (at.why != NULL)
        return (struct bytes){ 0 };
    if (content.len == 0)
        return refuse(der, at, "X.690 8.3.1: INTEGER without content");
    if (content.len > 1 && ((content.at[0] == 0 && content.at[1] < 0x80) ||
                            (content.at[0] == 0xff && content.at[1] >= 0x80)))
        return refuse(der, at, "X.690 8.3.2: INTEGER not in the fewest octets");
    return content;
}

struct bytes der_take_unsigned(struct der *der)
{
    struct der at = *der;
    struct bytes content = der_take_integer(der);

    if (der->why != NULL)
        return (struct bytes){ 0 };
    if (content.at[0] >= 0x80)
        return refuse(der, at, "INTEGER is negative");
    return content.at[0] == 0 ? (struct bytes){ content.at + 1, content.len - 1 } : content;
}

uint64_t der_take_u63(struct der *der)
{
    struct der at = *der;
    struct bytes magnitude = der_take_unsigned(der);
    uint64_t value = 0;

    if (magnitude.len > 8 || (magnitude.len == 8 && magnitude.at[0] >= 0x80)) {
        refuse(der, at, "INTEGER of 2^63 or more");
        return 0;
    }
    for (size_t i = 0; i < magnitude.len; i++)
        value = value << 8 | magnitude.at[i];
    return value;
}

/* X.690 8.19.2: subidentifiers end, and none starts with a zero group. */
static const char *oid_fault(struct bytes oid)
{
    size_t groups = 0;

    if (oid.len == 0)
        return "X.690 8.19.2: OBJECT IDENTIFIER without content";
    if (oid.len > DER_OID_MAX)
        return "OBJECT IDENTIFIER of more than 64 octets";
    for (size_t i = 0; i < oid.len; i++) {
        if (groups == 0 && oid.at[i] == 0x80)
            return "X.690 8.19.2: subidentifier not in the fewest octets";
        if (++groups > SUBIDENTIFIER_MAX)
            return "OBJECT IDENTIFIER with an arc of 2^63 or more";
        groups = oid.at[i] & 0x80 ? groups : 0;
    }
    return groups > 0 ? "X.690 8.19.2: last subidentifier cut short" : NULL;
}

struct bytes der_take_oid(struct der *der)
{
    struct der at;
    struct bytes content = take(der, DER_OID, &at);
    const char *why = at.why == NULL ? oid_fault(content) : NULL;

    return why != NULL ? refuse(der, at, why) : content;
}

struct bytes der_take_octets(struct der *der)
{
    return der_take(der, DER_OCTET_STRING);
}

/* Content of a BIT STRING behind its first octet; unused is that octet, 0 to 7. */
static struct bytes take_bit_string(struct der *der, struct der *at, uint8_t *unused)
{
    struct bytes content = take(der, DER_BIT_STRING, at);

    *unused = 0;
    if (at->why != NULL)
        return (struct bytes){ 0 };
    if (content.len == 0 || content.at[0] > 7 || (content.len == 1 && content.at[0] > 0))
        return refuse(der, *at, "X.690 8.6.2: BIT STRING with a wrong count of unused bits");
    *unused = content.at[0];
    if (content.at[content.len - 1] & ((1U << *unused) - 1))
        return refuse(der, *at, "X.690 11.2.1: BIT STRING with unused bits that are set");
    return (struct bytes){ content.at + 1, content.len - 1 };
}

struct bytes der_take_bits(struct der *der)
{
    struct der at;
    uint8_t unused;
    struct bytes bits = take_bit_string(der, &at, &unused);

    return unused > 0 ? refuse(der, at, "BIT STRING not of whole octets") : bits;
}

uint16_t der_take_named_bits(struct der *der)
{
    struct der at;
    uint8_t unused;
    struct bytes bits = take_bit_string(der, &at, &unused);
    uint16_t value = 0;

    if (bits.len > 2)
        refuse(der, at, "BIT STRING of more than 16 named bits");
    else if (bits.len > 0 && (bits.at[bits.len - 1] >> unused & 1) == 0)
        refuse(der, at, "X.690 11.2.2: named bits with trailing zero bits");
    if (der->why != NULL)
        return 0;
    for (size_t i = 0; i < 8 * bits.len; i++)
        if (bits.at[i / 8] & 0x80 >> i % 8)
            value = (uint16_t)(value | 1U << i);
    return value;
}

static int read_two(struct reader *r)
{
    unsigned high = reader_u8(r) - (unsigned)'0', low = reader_u8(r) - (unsigned)'0';

    r->broken = r->broken || high > 9 || low > 9;
    return r->broken ? 0 : (int)(high * 10 + low);
}

int64_t der_take_time(struct der *der)
{
    bool utc = der_peek(der) == DER_UTC_TIME;
    struct der at;
    struct bytes content = take(der, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME, &at);
    struct reader r = READER(content);
    struct civil c = { 0 };
    int64_t seconds = 0;

    if (at.why != NULL)
        return 0;
    int century = utc ? 0 : read_two(&r);
    int year = read_two(&r);
    c.year = utc ? (year < 50 ? 2000 : 1900) + year : century * 100 + year;
    c.month = read_two(&r);
    c.day = read_two(&r);
    c.hour = read_two(&r);
    c.minute = read_two(&r);
    c.second = read_two(&r);
    if (reader_u8(&r) != 'Z' || !reader_done(&r))
        refuse(der, at, "RFC 5280 4.1.2.5: time not as (YY)YYMMDDhhmmssZ");
    else if (!utc && c.year < 2050)
        refuse(der, at, "RFC 5280 4.1.2.5: GeneralizedTime before 2050");
    else if (clock_from_civil(&c, &seconds) != RC_OK)
        refuse(der, at, "RFC 5280 4.1.2.5: no such time");
    return der->why == NULL ? seconds : 0;
}

bool der_done(const struct der *der)
{
    return der->why == NULL && der->left.len == 0;
}

enum rc der_finish(const struct der *der, const char *what)
{
    struct der end = *der;

    if (end.left.len > 0)
        der_break(&end, "bytes after the end");
    if (end.why != NULL)
        return fault(RC_MALFORMED, "%s: %s at offset %zu", what, end.why, end.offset);
    return RC_OK;
}
