#include "base/der.h"

enum { SUBIDENTIFIER_MAX = 9 /* groups of seven bits: arcs below 2^63 */ };

/* An OID's content, built without allocation; len 0 says that the text was none. */
struct oid {
    uint8_t at[DER_OID_MAX];
    size_t len;
};

static bool add_arc(struct oid *oid, uint64_t arc)
{
    size_t groups = 1;

    while (groups < SUBIDENTIFIER_MAX && arc >> 7 * groups != 0)
        groups++;
    if (arc >> 63 != 0 || oid->len + groups > sizeof oid->at)
        return false;
    for (size_t i = groups; i-- > 0;)
        oid->at[oid->len++] = (uint8_t)((arc >> 7 * i & 0x7f) | (i > 0 ? 0x80 : 0));
    return true;
}

/* One arc of decimal digits without leading zeros, and the dot behind it. */
static bool read_arc(const char **text, uint64_t *arc)
{
    const char *at = *text;

    *arc = 0;
    if (at[0] == '0' && at[1] >= '0' && at[1] <= '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(*arc, 10, arc) ||
            __builtin_add_overflow(*arc, (uint64_t)(*at - '0'), arc))
            return false;
    if (at == *text || (*at != '\0' && *at != '.') || (at[0] == '.' && at[1] == '\0'))
        return false;
    *text = *at == '.' ? at + 1 : at;
    return true;
}

static struct oid oid_from_text(const char *dotted)
{
    struct oid oid = { 0 };
    uint64_t first, arc;

    if (!read_arc(&dotted, &first) || *dotted == '\0' || !read_arc(&dotted, &arc) ||
        first > 2 || (first < 2 && arc > 39) || __builtin_add_overflow(arc, first * 40, &arc) ||
        !add_arc(&oid, arc))
        return (struct oid){ 0 };
    while (*dotted != '\0')
        if (!read_arc(&dotted, &arc) || !add_arc(&oid, arc))
            return (struct oid){ 0 };
    return oid;
}

void der_add_oid(struct buf *buf, const char *dotted)
{
    struct oid oid = oid_from_text(dotted);

    buf->broken = buf->broken || oid.len == 0;
    der_add(buf, DER_OID, (struct bytes){ oid.at, oid.len });
}

bool der_oid_is(struct bytes oid, const char *dotted)
{
    struct oid wanted = oid_from_text(dotted);

    return wanted.len > 0 && bytes_equal(oid, (struct bytes){ wanted.at, wanted.len });
}

void der_add_oid_text(struct buf *buf, struct bytes oid)
{
    uint64_t arc = 0;
    bool first = true;

    for (size_t i = 0; i < oid.len; i++) {
        arc = arc << 7 | (oid.at[i] & 0x7f);
        if (oid.at[i] & 0x80)
            continue;
        unsigned top = arc < 80 ? (unsigned)arc / 40 : 2;
        if (first)
            buf_addf(buf, "%u.%llu", top, (unsigned long long)(arc - 40 * top));
        else
            buf_addf(buf, ".%llu", (unsigned long long)arc);
        first = false;
        arc = 0;
    }
}
