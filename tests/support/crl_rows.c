#include "tests/support/crl_rows.h"

#include "base/der.h"
#include "tests/support/check.h"
#include "tests/support/tbs.h"

static void add_piece(struct buf *to, const char *hex, const char *good)
{
    struct tbs tbs = { 0 };

    tbs_set_hex(&tbs, TBS_EXTRA, hex != NULL ? hex : good);
    buf_add(to, buf_bytes(&tbs.piece[TBS_EXTRA]));
    tbs_clear(&tbs);
}

/* 2026-11-22T12:00:00Z, 2026-11-29T12:00:00Z */
#define TIMES      "170d 3236313132323132303030305a 170d 3236313132393132303030305a"
#define REVOKED_AT "170d 3236313132323131303030305a"
#define AKI        "301f 0603551d23 0418 3016 8014 5fe82ceca48d78771db12b8988e52ad0fe755298"
#define NUMBER     "300a 0603551d14 0403 020105"

/* Two entries: serial 5; serial 256 with keyCompromise. */
#define TWO_ENTRIES                                                                            \
    "3037 3012 0201 05 " REVOKED_AT " 3021 0202 0100 " REVOKED_AT                              \
    " 300c 300a 0603551d15 0403 0a0101"

static void add_before_entries(const struct keys_rules *rules, const struct crl_pieces *list,
                               struct buf *out)
{
    add_piece(out, list->version, "020101");
    add_piece(out, list->algorithm, "300a 06082a8648ce3d040302");
    if (list->issuer != NULL)
        add_piece(out, list->issuer, "");
    else
        buf_add(out, (struct bytes){ rules->rule[0].issuer, rules->rule[0].issuer_len });
    add_piece(out, list->times, TIMES);
}

void crl_build_long(const struct keys_rules *rules, unsigned entries, struct buf *out)
{
    const struct crl_pieces good = { 0 };
    size_t whole = der_begin(out, DER_SEQUENCE);

    add_before_entries(rules, &good, out);
    size_t list = der_begin(out, DER_SEQUENCE);
    for (unsigned i = 0; i < entries; i++) {
        uint8_t serial[16] = { 0x40 };
        for (int octet = 0; octet < 4; octet++)
            serial[12 + octet] = (uint8_t)(i >> 8 * (3 - octet));
        size_t entry = der_begin(out, DER_SEQUENCE);
        der_add_unsigned(out, BYTES_OF(serial));
        der_add_time(out, TBS_NOW_S - 3600);
        der_end(out, entry);
    }
    der_end(out, list);
    add_piece(out, NULL, "a02f 302d " AKI NUMBER);
    der_end(out, whole);
    assert_false(out->broken);
}

struct bytes crl_build(const struct keys_rules *rules, const struct crl_pieces *list,
                       struct buf *out)
{
    size_t whole;
    struct bytes built = { 0 };

    buf_reset(out);
    whole = der_begin(out, DER_SEQUENCE);
    add_before_entries(rules, list, out);
    add_piece(out, list->revoked, TWO_ENTRIES);
    add_piece(out, list->extensions, "a02f 302d " AKI NUMBER);
    der_end(out, whole);
    assert_int_equal(buf_done(out, &built), RC_OK);
    return built;
}

const struct crl_row CRL_ROWS[] = {
    { "none revoked", { .revoked = "" }, RC_OK, "" },
    { "version left out", { .version = "" }, RC_MALFORMED, "another type" },
    { "version 1", { .version = "020100" }, RC_MALFORMED, "5.1.2.1" },
    { "ecdsa-with-SHA384", { .algorithm = "300a 06082a8648ce3d040303" }, RC_DENIED, "4.1.2.3" },
    { "another issuer",
      { .issuer = "300f 310d 300b 0603550403 0c04 41636d65" },
      RC_DENIED,
      "found commonName=Acme" },
    { "no nextUpdate",
      { .times = "170d 3236313132323132303030305a", .revoked = "" },
      RC_MALFORMED,
      "another type" },
    { "a second too long",
      { .times = "170d 3236313132323132303030305a 170d 3236313132393132303030315a",
        .revoked = "" },
      RC_DENIED,
      "604801 s, expected 604800" },
    { "thisUpdate too early",
      { .times = "170d 3236313132323131353435395a 170d 3236313132323132303030305a",
        .revoked = "" },
      RC_DENIED,
      "301 s before now" },
    { "thisUpdate after now",
      { .times = "170d 3236313132323132303030315a 170d 3236313132323133303030305a",
        .revoked = "" },
      RC_DENIED,
      "1 s after now" },
    { "an empty list", { .revoked = "3000" }, RC_MALFORMED, "missing" },
    { "serial zero",
      { .revoked = "3014 3012 0201 00 " REVOKED_AT },
      RC_MALFORMED,
      "not positive" },
    { "serial negative",
      { .revoked = "3014 3012 0201 80 " REVOKED_AT },
      RC_MALFORMED,
      "negative" },
    { "serial of 20 octets",
      { .revoked = "3027 3025 0214 0102030405060708091011121314151617181920 " REVOKED_AT },
      RC_OK,
      "" },
    { "serial of 21 octets",
      { .revoked = "3028 3026 0215 010203040506070809101112131415161718192021 " REVOKED_AT },
      RC_MALFORMED,
      "more than 20 octets" },
    { "the same serial twice",
      { .revoked = "3028 3012 0201 05 " REVOKED_AT " 3012 0201 05 " REVOKED_AT },
      RC_MALFORMED,
      "ascending" },
    { "serials in descending order",
      { .revoked = "3029 3013 0202 0100 " REVOKED_AT " 3012 0201 05 " REVOKED_AT },
      RC_MALFORMED,
      "ascending" },
    { "revoked after now",
      { .revoked = "3014 3012 0201 05 170d 3236313132323132303030315a" },
      RC_DENIED,
      "revocationDate lies 1 s after now" },
    { "reason unspecified",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0100" },
      RC_MALFORMED,
      "5.3.1" },
    { "certificateHold",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0106" },
      RC_OK,
      "" },
    { "reason 7",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0107" },
      RC_MALFORMED,
      "5.3.1" },
    { "removeFromCRL",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0108" },
      RC_MALFORMED,
      "5.3.1" },
    { "privilegeWithdrawn",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a0109" },
      RC_OK,
      "" },
    { "reason 10",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 0a010a" },
      RC_MALFORMED,
      "5.3.1" },
    { "reason as INTEGER",
      { .revoked = "3022 3020 0201 05 " REVOKED_AT " 300c 300a 0603551d15 0403 020101" },
      RC_MALFORMED,
      "5.3.1" },
    { "reason critical",
      { .revoked = "3025 3023 0201 05 " REVOKED_AT " 300f 300d 0603551d15 0101ff 0403 0a0101" },
      RC_MALFORMED,
      "never critical" },
    { "reason twice",
      { .revoked = "302e 302c 0201 05 " REVOKED_AT
                   " 3018 300a 0603551d15 0403 0a0101 300a 0603551d15 0403 0a0101" },
      RC_MALFORMED,
      "more than belongs here" },
    { "certificateIssuer",
      { .revoked = "3021 301f 0201 05 " REVOKED_AT " 300b 3009 0603551d1d 0402 3000" },
      RC_MALFORMED,
      "other than reasonCode" },
    { "no extensions", { .extensions = "", .revoked = "" }, RC_MALFORMED, "missing" },
    { "no number",
      { .extensions = "a023 3021 " AKI, .revoked = "" },
      RC_DENIED,
      "cRLNumber is missing" },
    { "no authorityKeyIdentifier",
      { .extensions = "a00e 300c " NUMBER, .revoked = "" },
      RC_DENIED,
      "authorityKeyIdentifier is missing" },
    { "another authorityKeyIdentifier",
      { .extensions = "a02f 302d 301f 0603551d23 0418 3016 8014 "
                      "00e82ceca48d78771db12b8988e52ad0fe755298" NUMBER,
        .revoked = "" },
      RC_DENIED,
      "not the key-id of devices" },
    { "number twice",
      { .extensions = "a03b 3039 " AKI NUMBER NUMBER, .revoked = "" },
      RC_MALFORMED,
      "a second one" },
    { "number critical",
      { .extensions = "a032 3030 " AKI "300d 0603551d14 0101ff 0403 020105", .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "number negative",
      { .extensions = "a02f 302d " AKI "300a 0603551d14 0403 0201ff", .revoked = "" },
      RC_MALFORMED,
      "5.2.3" },
    { "number of 2^63",
      { .extensions = "a037 3035 " AKI "3012 0603551d14 040b 0209 008000000000000000",
        .revoked = "" },
      RC_MALFORMED,
      "5.2.3" },
    { "deltaCRLIndicator",
      { .extensions = "a03e 303c " AKI NUMBER "300d 0603551d1b 0101ff 0403 020101",
        .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "issuingDistributionPoint",
      { .extensions = "a03d 303b " AKI NUMBER "300c 0603551d1c 0101ff 0402 3000",
        .revoked = "" },
      RC_MALFORMED,
      "critical" },
    { "an unknown extension",
      { .extensions = "a03b 3039 " AKI NUMBER "300a 06042a030405 0402 0500", .revoked = "" },
      RC_MALFORMED,
      "5.2" },
};
const size_t CRL_COUNT = sizeof CRL_ROWS / sizeof *CRL_ROWS;
