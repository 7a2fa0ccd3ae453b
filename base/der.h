/* Distinguished Encoding Rules, strictly: what is not the one DER form of a value is refused.
 * ITU-T X.690. */
#pragma once

#include "base/buf.h"
#include "base/clock.h"

/*
 * Reads: a sticky cursor in the manner of struct reader. The first thing that
 * is not as asked, or not DER, breaks it: an indefinite or non-minimal length, a length past
 * the end, a string in constructed form, a tail. why and offset then say what and where
 * (offset from the start of the outermost bytes); all later reads give nothing, zero, false.
 * Nothing is copied: what is taken is borrowed from the bytes given to der_open().
 * Limits of our own, met by all of PKIX: no tag numbers above 30, lengths below 2^32,
 * OBJECT IDENTIFIERs of at most DER_OID_MAX bytes with arcs below 2^63.
 */
struct der {
    struct bytes left;
    const uint8_t *start; /* of the outermost bytes */
    const char *why;      /* NULL while good; a static text with X.690's section */
    size_t offset;
};

enum { DER_OID_MAX = 64 };

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
};
#define DER_CONTEXT(n)             (0x80 | (n)) /* primitive [n] IMPLICIT */
#define DER_CONTEXT_CONSTRUCTED(n) (0xa0 | (n))

struct der der_open(struct bytes bytes);
/* Enter the next element, which must have this tag; the result continues at its content and
 * must be given to der_leave(). */
struct der der_enter(struct der *outer, uint8_t tag);
/* All of in must have been read; a fault inside is carried to outer. */
void der_leave(struct der *outer, const struct der *in);
/* The tag of the next element, 0 at the end or when broken. */
uint8_t der_peek(const struct der *der);
/* Content of the next element, which must have this tag. */
struct bytes der_take(struct der *der, uint8_t tag);
/* The next element whole, tag and length included, whatever its tag; its inside is not looked
 * at. */
struct bytes der_take_whole(struct der *der);
/* The same, with this tag. */
struct bytes der_take_element(struct der *der, uint8_t tag);
/* The next element of a SET OF, whole: X.690 11.6 wants them in ascending order. before is
 * empty at the first and then the previous one; equal neighbours are in order. */
struct bytes der_take_ordered(struct der *der, struct bytes *before);
bool der_take_boolean(struct der *der); /* X.690 11.1: FF or 00 */
/* BOOLEAN DEFAULT FALSE: absent is false, and false must be absent (X.690 11.5). */
bool der_take_flag(struct der *der);
struct bytes der_take_integer(struct der *der); /* minimal two's complement content */
/* Non-negative INTEGER of any size as its magnitude without leading zeros; 0 is empty. */
struct bytes der_take_unsigned(struct der *der);
uint64_t der_take_u63(struct der *der);        /* non-negative INTEGER below 2^63 */
struct bytes der_take_oid(struct der *der);    /* content, checked for minimal subidentifiers */
struct bytes der_take_octets(struct der *der); /* OCTET STRING */
struct bytes der_take_bits(struct der *der);   /* BIT STRING of whole bytes (no unused bits) */
/* BIT STRING of named bits (X.690 11.2.2: no trailing zero bits), the ASN.1 bit n as 1 << n; at
 * most 16 bits. */
uint16_t der_take_named_bits(struct der *der);
/* RFC 5280 4.1.2.5: UTCTime to 2049, GeneralizedTime from 2050, seconds present, Z, no
 * fraction. Seconds since 1970. */
int64_t der_take_time(struct der *der);
/* A semantic fault found by the caller, at the current offset; why must be static. The first
 * fault stays. */
void der_break(struct der *der, const char *why);
bool der_done(const struct der *der); /* all read, nothing broken */
/* RC_OK if done; RC_MALFORMED "<what>: <why> at offset N". */
enum rc der_finish(const struct der *der, const char *what);

/*
 * Writes: nested elements are built from the outside in. der_begin() gives a mark, der_end()
 * puts the length where it belongs. Into a struct buf, with its sticky failure: what has no
 * encoding here (a time outside 1950 to 9999, a text that is no OID) breaks the buffer, too.
 */
size_t der_begin(struct buf *buf, uint8_t tag);
void der_end(struct buf *buf, size_t mark);
void der_add(struct buf *buf, uint8_t tag, struct bytes content);
void der_add_boolean(struct buf *buf, bool value);
void der_add_u63(struct buf *buf, uint64_t value);
/* Big-endian magnitude, made a minimal non-negative INTEGER. */
void der_add_unsigned(struct buf *buf, struct bytes magnitude);
void der_add_octets(struct buf *buf, struct bytes content);
void der_add_bits(struct buf *buf, struct bytes whole_bytes);
void der_add_named_bits(struct buf *buf, uint16_t bits);
void der_add_time(struct buf *buf, int64_t seconds);
/* An OID from its dotted text, for constants in our own code. */
void der_add_oid(struct buf *buf, const char *dotted);
/* Does an OID's content (der_take_oid) equal this dotted text? */
bool der_oid_is(struct bytes oid, const char *dotted);
/* Dotted, for messages, from content that der_take_oid() gave. */
void der_add_oid_text(struct buf *buf, struct bytes oid);
