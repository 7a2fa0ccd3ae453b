/* The certificates that a hostile authority asks for. */
#include "tests/support/hostile.h"

#include <string.h>

#include "base/der.h"
#include "tests/support/tbs_rows.h"

enum { DAY_S = 86400 };

/* Encodings, dates and purposes beside those of tests/support/tbs_rows.c. The dates lie outside
 * of any test's clock. */
static const struct tbs_row MORE[] = {
    { "an OCTET STRING in parts", TBS_BC, "3010 0603551d13 0101ff 2406 040130 040100",
      RC_MALFORMED, "" },
    { "a tag in the long form", TBS_EXTRA, "3f10 0100", RC_MALFORMED, "" },
    { "an extension in a long length", TBS_BC, "30810c 0603551d13 0101ff 0402 3000",
      RC_MALFORMED, "10.1" },
    { "an extension in an indefinite length", TBS_BC, "3080 0603551d13 0101ff 0402 3000 0000",
      RC_MALFORMED, "10.1" },
    { "a serial with a long length", TBS_SERIAL, "028108 0102030405060708", RC_MALFORMED,
      "10.1" },
    { "an OID with a spare octet", TBS_EXTRA, "300b 06052a03048005 0402 0500", RC_MALFORMED,
      "" },
    { "notBefore a year ago", TBS_VALIDITY,
      "301e 170d 3235313132323132303030305a 170d 3236313132383132303030305a", RC_DENIED,
      "4.1.2.5" },
    { "notBefore in a year", TBS_VALIDITY,
      "301e 170d 3237313132323132303030305a 170d 3237313132333132303030305a", RC_DENIED,
      "4.1.2.5" },
    { "valid for ever", TBS_VALIDITY,
      "3020 170d 3236313132323132303030305a 180f 39393939313233313233353935395a", RC_DENIED,
      "4.1.2.5" },
    { "codeSigning", TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070303", RC_DENIED,
      "4.2.1.12" },
    { "another device's URI", TBS_SAN,
      "3021 0603551d11 041a 3018 8616 75726e3a746f7563686d61726b3a6465766963653a61", RC_DENIED,
      "matches no pattern" },
};

/* Names of doors outside what the rules pin. */
static const struct tbs_row DOORS[] = {
    { "a host below the pinned name", TBS_SAN,
      "30320603551d11042b3029861775726e3a746f7563686d61726b3a646f6f723a646f6f72820e612e61636d65"
      "2e6578616d706c65",
      RC_OK, "" },
    { "evil.example", TBS_SAN,
      "30300603551d1104293027861775726e3a746f7563686d61726b3a646f6f723a646f6f72820c6576696c2e65"
      "78616d706c65",
      RC_DENIED, "matches no pattern" },
    { "xacme.example", TBS_SAN,
      "30310603551d11042a3028861775726e3a746f7563686d61726b3a646f6f723a646f6f72820d7861636d652e"
      "6578616d706c65",
      RC_DENIED, "matches no pattern" },
    { "*.acme.example", TBS_SAN,
      "30320603551d11042b3029861775726e3a746f7563686d61726b3a646f6f723a646f6f72820e2a2e61636d65"
      "2e6578616d706c65",
      RC_DENIED, "matches no pattern" },
    { "a host with NUL behind it", TBS_SAN,
      "30330603551d11042c302a861775726e3a746f7563686d61726b3a646f6f723a646f6f72820f782e61636d65"
      "2e6578616d706c6500",
      RC_DENIED, "matches no pattern" },
    { "11.0.0.1", TBS_SAN,
      "30280603551d110421301f861775726e3a746f7563686d61726b3a646f6f723a646f6f7287040b000001",
      RC_DENIED, "matches no pattern" },
    { "localhost twice", TBS_SAN,
      "30380603551d110431302f861775726e3a746f7563686d61726b3a646f6f723a646f6f7282096c6f63616c68"
      "6f737482096c6f63616c686f7374",
      RC_DENIED, "one more than the rule allows" },
    { "a device's URI for a door", TBS_SAN,
      "3021 0603551d11 041a 3018 8616 75726e3a746f7563686d61726b3a6465766963653a61", RC_DENIED,
      "matches no pattern" },
    { "a door that is a client, too", TBS_EKU,
      "301d 0603551d25 0416 3014 06082b06010505070302 06082b06010505070301", RC_DENIED,
      "found 0x3" },
    { "a door that is a CA", TBS_BC, "300f 0603551d13 0101ff 0405 3003 0101ff", RC_DENIED,
      "found TRUE" },
    { "another door's name", TBS_SAN,
      "302e0603551d1104273025861875726e3a746f7563686d61726b3a646f6f723a6f7468657282096c6f63616c"
      "686f7374",
      RC_DENIED, "matches no pattern" },
    { "a door without its name", TBS_SAN, "30140603551d11040d300b82096c6f63616c686f7374",
      RC_DENIED, "expected at least 1" },
    { "a door's name twice", TBS_SAN,
      "30460603551d11043f303d861775726e3a746f7563686d61726b3a646f6f723a646f6f72861775726e3a746f"
      "7563686d61726b3a646f6f723a646f6f7282096c6f63616c686f7374",
      RC_DENIED, "one more than the rule allows" },
};

static void fill_door(struct tbs *tbs)
{
    tbs_set_hex(tbs, TBS_SUBJECT, "300f 310d 300b 0603550403 0c04 646f6f72");
    tbs_set_hex(tbs, TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070301");
    tbs_set_hex(tbs, TBS_AIA, "");
    tbs_set_hex(tbs, TBS_SAN,
                "302d0603551d1104263024861775726e3a746f7563686d61726b3a646f6f723a646f6f7282096c"
                "6f63616c686f7374"); /* urn:touchmark:door:door, localhost */
}

void hostile_fill(const struct hostile *h, const char *key, struct tbs *tbs)
{
    bool door = strcmp(key, "doors") == 0;

    tbs_fill_device(tbs, keys_rules_find(h->rules, bytes_of_text(key)), TBS_DEVICE);
    if (door)
        fill_door(tbs);
    tbs_set_validity(tbs, h->now_s, h->now_s + (door ? 7 : 365) * DAY_S);
}

void hostile_ask_certificates(struct hostile *h, const char *key, const struct tbs_row *rows,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        [[gnu::cleanup(tbs_clear)]] struct tbs tbs = { 0 };
        const struct hostile_row row = {
            .claim = rows[i].claim,
            .kind = i % 2 == 0 ? KEYS_ASK_CERTIFICATES : KEYS_ASK_BATCH,
            .key = key,
            .rc = rows[i].rc,
            .expected = rows[i].expected,
        };
        AUTO_BUF(built, TBS_MAX);

        hostile_fill(h, key, &tbs);
        tbs_set_hex(&tbs, rows[i].piece, rows[i].hex);
        hostile_ask(h, &row, tbs_build(&tbs, &built), NULL, 0);
    }
}

/* ---- Shapes of the whole ---- */

/* What stands behind the header of the outermost SEQUENCE: 30 82, two octets of length. */
static struct bytes content_of(struct bytes good)
{
    return (struct bytes){ good.at + 4, good.len - 4 };
}

static void make_indefinite(struct bytes good, struct buf *out)
{
    buf_add(out, BYTES("\x30\x80"));
    buf_add(out, content_of(good));
    buf_add_u16(out, 0);
}

static void make_long_length(struct bytes good, struct buf *out)
{
    buf_add(out, BYTES("\x30\x83\x00"));
    buf_add(out, (struct bytes){ good.at + 2, good.len - 2 });
}

static void make_longer_length(struct bytes good, struct buf *out)
{
    buf_add(out, BYTES("\x30\x84"));
    buf_add_u32(out, (uint32_t)good.len - 4);
    buf_add(out, content_of(good));
}

static void make_tail(struct bytes good, struct buf *out)
{
    buf_add(out, good);
    buf_add_u8(out, 0);
}

static void make_two(struct bytes good, struct buf *out)
{
    buf_add(out, good);
    buf_add(out, good);
}

static void make_cut(struct bytes good, struct buf *out)
{
    buf_add(out, (struct bytes){ good.at, good.len - 1 });
}

static void make_head_only(struct bytes good, struct buf *out)
{
    buf_add(out, (struct bytes){ good.at, 4 });
}

/* As if it were signed already. */
static void make_certificate(struct bytes good, struct buf *out)
{
    size_t whole = der_begin(out, DER_SEQUENCE);

    buf_add(out, good);
    size_t algorithm = der_begin(out, DER_SEQUENCE);
    der_add_oid(out, "1.2.840.10045.4.3.2");
    der_end(out, algorithm);
    der_add_bits(out, BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"));
    der_end(out, whole);
}

static void make_set(struct bytes good, struct buf *out)
{
    buf_add_u8(out, DER_SET);
    buf_add(out, (struct bytes){ good.at + 1, good.len - 1 });
}

static void make_digest(struct bytes good, struct buf *out)
{
    (void)good;
    buf_add(out, BYTES("\x9f\x86\xd0\x81\x88\x4c\x7d\x65\x9a\x2f\xea\xa0\xc5\x5a\xd0\x15"
                       "\xa3\xbf\x4f\x1b\x2b\x0b\x82\x2c\xd1\x5d\x6c\x15\xb0\xf0\x0a\x08"));
}

/* PKCS #1's DigestInfo of SHA-256: what an HSM would sign by C_Sign as it is. */
static void make_digest_info(struct bytes good, struct buf *out)
{
    buf_add(
        out,
        BYTES("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"));
    make_digest(good, out);
}

static void make_garbage(struct bytes good, struct buf *out)
{
    for (size_t i = 0; i < good.len; i++)
        buf_add_u8(out, (uint8_t)(i * 167 + 13));
}

static const struct {
    const char *claim;
    void (*make)(struct bytes good, struct buf *out);
    const char *expected;
} SHAPES[] = {
    { "an indefinite length around it all", make_indefinite, "10.1" },
    { "a length with a spare zero", make_long_length, "10.1" },
    { "a length of four octets", make_longer_length, "10.1" },
    { "a trailing octet", make_tail, "bytes after the end" },
    { "two in one", make_two, "bytes after the end" },
    { "the last octet cut off", make_cut, "" },
    { "a head without a body", make_head_only, "" },
    { "a certificate instead of what is to be signed", make_certificate, "" },
    { "a SET", make_set, "" },
    { "a digest", make_digest, "" },
    { "a DigestInfo", make_digest_info, "" },
    { "garbage", make_garbage, "" },
};

void hostile_ask_shapes(struct hostile *h)
{
    [[gnu::cleanup(tbs_clear)]] struct tbs tbs = { 0 };
    AUTO_BUF(built, TBS_MAX);

    hostile_fill(h, "devices", &tbs);
    struct bytes good = tbs_build(&tbs, &built);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        const struct hostile_row row = { SHAPES[i].claim, KEYS_ASK_CERTIFICATES, "devices",
                                         RC_MALFORMED, SHAPES[i].expected };
        AUTO_BUF(made, TBS_MAX);

        SHAPES[i].make(good, &made);
        hostile_ask(h, &row, buf_bytes(&made), NULL, 0);
    }
}

void hostile_ask_all_certificates(struct hostile *h)
{
    hostile_ask_certificates(h, "devices", TBS_FIELD_ROWS, TBS_FIELD_COUNT);
    hostile_ask_certificates(h, "devices", TBS_EXTENSION_ROWS, TBS_EXTENSION_COUNT);
    hostile_ask_certificates(h, "devices", MORE, sizeof MORE / sizeof *MORE);
    hostile_ask_certificates(h, "doors", DOORS, sizeof DOORS / sizeof *DOORS);
    hostile_ask_shapes(h);
}
