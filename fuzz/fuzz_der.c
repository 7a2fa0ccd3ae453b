/* Target: der_take_*, der_enter, over every element of the input, as deep as it goes. */
#include "base/der.h"

enum { DEPTH_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void walk(struct der *der, unsigned depth);

static void walk_into(struct der *der, uint8_t tag, unsigned depth)
{
    struct der in = der_enter(der, tag);

    walk(&in, depth + 1);
    der_leave(der, &in);
}

/* What an OCTET STRING holds is often DER again. */
static void walk_octets(struct der *der, unsigned depth)
{
    struct der in = der_open(der_take_octets(der));

    walk(&in, depth + 1);
    if ((der_finish(&in, "octets") == RC_OK) != der_done(&in))
        __builtin_trap();
}

/* The same element, held against what stricter readers say of it. */
static void take_strictly(struct der copy)
{
    struct der flag = copy, number = copy, set = copy;
    struct bytes before = { 0 };
    uint64_t value = der_take_u63(&number);

    if (der_take_flag(&flag) && flag.why != NULL)
        __builtin_trap();
    if (number.why != NULL ? value != 0 : value > INT64_MAX)
        __builtin_trap();
    while (der_peek(&set) != 0)
        der_take_ordered(&set, &before);
}

/* What was read, written again, must be the very same bytes: DER has one form only. */
static void same(const struct buf *again, struct bytes whole, bool read)
{
    if (read && !bytes_equal(buf_bytes(again), whole))
        __builtin_trap();
}

static void take_one(struct der *der, struct bytes whole, unsigned depth)
{
    AUTO_BUF(again, 1 << 20);

    switch (der_peek(der)) {
    case DER_BOOLEAN:
        der_add_boolean(&again, der_take_boolean(der));
        break;
    case DER_INTEGER: {
        struct der copy = *der;
        struct bytes magnitude = der_take_unsigned(&copy);
        der_add_unsigned(&again, magnitude);
        same(&again, whole, copy.why == NULL);
        der_take_integer(der);
        return;
    }
    case DER_BIT_STRING: {
        struct der copy = *der;
        uint16_t bits = der_take_named_bits(&copy);
        der_add_named_bits(&again, bits);
        same(&again, whole, copy.why == NULL);
        buf_reset(&again);
        der_add_bits(&again, der_take_bits(der));
        break;
    }
    case DER_OID: {
        AUTO_BUF(dotted, 1 << 10);
        const char *text = "";
        struct bytes oid = der_take_oid(der);
        der_add_oid_text(&dotted, oid);
        if (buf_text(&dotted, &text) != RC_OK)
            __builtin_trap();
        der_add_oid(&again, text);
        break;
    }
    case DER_UTC_TIME:
    case DER_GENERALIZED_TIME:
        der_add_time(&again, der_take_time(der));
        break;
    case DER_OCTET_STRING:
        walk_octets(der, depth);
        return;
    default:
        der_take_whole(der);
        return;
    }
    same(&again, whole, der->why == NULL);
}

static void walk(struct der *der, unsigned depth)
{
    while (der_peek(der) != 0) {
        struct der copy = *der;
        uint8_t tag = der_peek(der);
        struct bytes whole = der_take_whole(&copy);

        take_strictly(*der);
        if (depth >= DEPTH_MAX)
            der_take_whole(der);
        else if ((tag & 0x20) != 0)
            walk_into(der, tag, depth);
        else
            take_one(der, whole, depth);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct der der = der_open((struct bytes){ at, len });

    walk(&der, 0);
    if ((der_finish(&der, "input") == RC_OK) != der_done(&der))
        __builtin_trap();
    return 0;
}
