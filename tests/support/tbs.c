#include "tests/support/tbs.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/der.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/support/check.h"

/* RFC 6979 A.2.5: a key that everybody knows. */
static const char KEY[] = "30593013 06072a8648ce3d0201 06082a8648ce3d030107 034200 04"
                          "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
                          "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299";

void tbs_set_hex(struct tbs *tbs, enum tbs_piece piece, const char *hex)
{
    AUTO_BUF(tight, 2 * TBS_PIECE_MAX);

    for (; *hex != '\0'; hex++)
        if (*hex != ' ')
            buf_add_u8(&tight, (uint8_t)*hex);
    buf_clear(&tbs->piece[piece]);
    tbs->piece[piece] = BUF_MAX(TBS_PIECE_MAX);
    assert_int_equal(text_read_hex(buf_bytes(&tight), &tbs->piece[piece]), RC_OK);
}

static struct buf *renew(struct tbs *tbs, enum tbs_piece piece)
{
    tbs_set_hex(tbs, piece, "");
    return &tbs->piece[piece];
}

void tbs_set_validity(struct tbs *tbs, int64_t not_before_s, int64_t not_after_s)
{
    struct buf *to = renew(tbs, TBS_VALIDITY);
    size_t validity = der_begin(to, DER_SEQUENCE);

    der_add_time(to, not_before_s);
    der_add_time(to, not_after_s);
    der_end(to, validity);
}

static void add_attribute(struct buf *to, const char *oid, uint8_t tag, const char *value)
{
    size_t set = der_begin(to, DER_SET), attribute = der_begin(to, DER_SEQUENCE);

    der_add_oid(to, oid);
    der_add(to, tag, bytes_of_text(value));
    der_end(to, attribute);
    der_end(to, set);
}

void tbs_set_subject(struct tbs *tbs, const char *organization, const char *serial_number)
{
    struct buf *to = renew(tbs, TBS_SUBJECT);
    size_t name = der_begin(to, DER_SEQUENCE);

    if (organization != NULL)
        add_attribute(to, "2.5.4.10", DER_UTF8_STRING, organization);
    if (serial_number != NULL)
        add_attribute(to, "2.5.4.5", DER_PRINTABLE_STRING, serial_number);
    der_end(to, name);
}

struct extension {
    size_t whole, value;
};

static struct extension begin_extension(struct buf *to, const char *oid, bool critical)
{
    struct extension made = { .whole = der_begin(to, DER_SEQUENCE) };

    der_add_oid(to, oid);
    if (critical)
        der_add_boolean(to, true);
    made.value = der_begin(to, DER_OCTET_STRING);
    return made;
}

static void end_extension(struct buf *to, struct extension made)
{
    der_end(to, made.value);
    der_end(to, made.whole);
}

void tbs_set_san_uri(struct tbs *tbs, const char *uri)
{
    struct buf *to = renew(tbs, TBS_SAN);
    struct extension extension = begin_extension(to, "2.5.29.17", false);
    size_t names = der_begin(to, DER_SEQUENCE);

    der_add(to, DER_CONTEXT(6), bytes_of_text(uri));
    der_end(to, names);
    end_extension(to, extension);
}

static void set_key_ids(struct tbs *tbs, const struct keys_rule *rule)
{
    struct bytes key = buf_bytes(&tbs->piece[TBS_KEY]);
    struct buf *to = renew(tbs, TBS_AKI);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct extension extension = begin_extension(to, "2.5.29.35", false);
    size_t sequence = der_begin(to, DER_SEQUENCE);

    der_add(to, DER_CONTEXT(0), (struct bytes){ rule->key_id, rule->key_id_len });
    der_end(to, sequence);
    end_extension(to, extension);

    SHA256(key.at + key.len - 65, 65, digest);
    to = renew(tbs, TBS_SKI);
    extension = begin_extension(to, "2.5.29.14", false);
    der_add(to, DER_OCTET_STRING, (struct bytes){ digest, 20 });
    end_extension(to, extension);
}

static void set_location(struct tbs *tbs)
{
    struct buf *to = renew(tbs, TBS_CDP);
    struct extension extension = begin_extension(to, "2.5.29.31", false);
    size_t list = der_begin(to, DER_SEQUENCE), point = der_begin(to, DER_SEQUENCE);
    size_t choice = der_begin(to, DER_CONTEXT_CONSTRUCTED(0));
    size_t names = der_begin(to, DER_CONTEXT_CONSTRUCTED(0));

    der_add(to, DER_CONTEXT(6), BYTES("http://crl.acme.example/d.crl"));
    der_end(to, names);
    der_end(to, choice);
    der_end(to, point);
    der_end(to, list);
    end_extension(to, extension);

    to = renew(tbs, TBS_AIA);
    extension = begin_extension(to, "1.3.6.1.5.5.7.1.1", false);
    list = der_begin(to, DER_SEQUENCE);
    point = der_begin(to, DER_SEQUENCE);
    der_add_oid(to, "1.3.6.1.5.5.7.48.1");
    der_add(to, DER_CONTEXT(6), BYTES("http://ocsp.acme.example/"));
    der_end(to, point);
    der_end(to, list);
    end_extension(to, extension);
}

void tbs_fill_device(struct tbs *tbs, const struct keys_rule *rule, const char *serial_number)
{
    AUTO_BUF(uri, 256);
    const char *text;

    buf_addf(&uri, "urn:touchmark:device:%s", serial_number);
    assert_int_equal(buf_text(&uri, &text), RC_OK);
    tbs_set_hex(tbs, TBS_VERSION, "a003 020102");
    tbs_set_hex(tbs, TBS_SERIAL, "0210 4f3e2d1c0b0a99887766554433221100");
    tbs_set_hex(tbs, TBS_ALGORITHM, "300a 06082a8648ce3d040302");
    buf_add(renew(tbs, TBS_ISSUER), (struct bytes){ rule->issuer, rule->issuer_len });
    tbs_set_validity(tbs, TBS_NOW_S, TBS_NOW_S + 365 * 86400);
    tbs_set_subject(tbs, "Acme", serial_number);
    tbs_set_hex(tbs, TBS_KEY, KEY);
    set_key_ids(tbs, rule);
    tbs_set_hex(tbs, TBS_KU, "300e 0603551d0f 0101ff 0404 03020780");
    tbs_set_hex(tbs, TBS_EKU, "3013 0603551d25 040c 300a 06082b06010505070302");
    tbs_set_hex(tbs, TBS_BC, "300c 0603551d13 0101ff 0402 3000");
    tbs_set_san_uri(tbs, text);
    set_location(tbs);
}

struct bytes tbs_find(const struct tbs *tbs, enum tbs_piece piece, struct bytes built)
{
    size_t len = tbs->piece[piece].len, after = 0;

    for (int i = TBS_PIECES - 1; i > (int)piece; i--)
        after += tbs->piece[i].len;
    /* The extensions stand last, so that everything is counted from the end; what stands before
     * them lies below two more headers. */
    if (piece < TBS_AKI) {
        size_t extensions = 0;
        for (int i = TBS_AKI; i < TBS_PIECES; i++)
            extensions += tbs->piece[i].len;
        after += extensions < 128 - 4 ? 4 : extensions < 256 - 3 ? 6 : 8;
    }
    return (struct bytes){ built.at + built.len - after - len, len };
}

struct bytes tbs_build(const struct tbs *tbs, struct buf *out)
{
    size_t whole, tagged, list;
    struct bytes built = { 0 };

    buf_reset(out);
    whole = der_begin(out, DER_SEQUENCE);
    for (int i = 0; i < TBS_AKI; i++)
        buf_add(out, buf_bytes(&tbs->piece[i]));
    tagged = der_begin(out, DER_CONTEXT_CONSTRUCTED(3));
    list = der_begin(out, DER_SEQUENCE);
    for (int i = TBS_AKI; i < TBS_PIECES; i++)
        buf_add(out, buf_bytes(&tbs->piece[i]));
    der_end(out, list);
    der_end(out, tagged);
    der_end(out, whole);
    assert_int_equal(buf_done(out, &built), RC_OK);
    return built;
}

void tbs_clear(struct tbs *tbs)
{
    for (int i = 0; i < TBS_PIECES; i++)
        buf_clear(&tbs->piece[i]);
}

void tbs_example_text(struct buf *text)
{
    static const char FENCE[] = "```text\n";
    AUTO_BUF(page, 64 * 1024);
    AUTO_FD source = -1;
    const char *all, *start, *end;

    assert_non_null(getenv("TOUCHMARK_SOURCE"));
    assert_int_equal(file_open_dir(AT_FDCWD, getenv("TOUCHMARK_SOURCE"), &source), RC_OK);
    assert_int_equal(file_read(source, "docs/protocol/key-rules.md", &page), RC_OK);
    assert_int_equal(buf_text(&page, &all), RC_OK);
    start = strstr(all, FENCE);
    assert_non_null(start);
    start += sizeof FENCE - 1;
    end = strstr(start, "```");
    assert_non_null(end);
    buf_add(text, (struct bytes){ (const uint8_t *)start, (size_t)(end - start) });
}

struct keys_rules *tbs_example_rules(void)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    struct keys_rules *rules = NULL;

    tbs_example_text(&text);
    if (keys_rules_read(buf_bytes(&text), &rules) != RC_OK)
        fail_msg("%s", fault_reason());
    return rules;
}

int tbs_prepare(void **state)
{
    struct tbs_ground *ground = calloc(1, sizeof *ground);

    assert_non_null(ground);
    ground->rules = tbs_example_rules();
    ground->rule = keys_rules_find(ground->rules, BYTES("devices"));
    *state = ground;
    return 0;
}

int tbs_release(void **state)
{
    struct tbs_ground *ground = *state;

    if (ground != NULL)
        free(ground->rules);
    free(ground);
    return 0;
}

enum rc tbs_check_bytes(const struct tbs_ground *ground, struct bytes built,
                        struct keys_finding *finding)
{
    static const struct keys_memory nothing;
    struct keys_question question = { .kind = KEYS_CERTIFICATE, .to_be_signed = built };

    return keys_check(ground->rules, ground->rule, &question, &nothing, TBS_NOW_S, finding);
}

enum rc tbs_check(const struct tbs_ground *ground, const struct tbs *tbs)
{
    AUTO_BUF(built, TBS_MAX);
    struct keys_finding finding = { 0 };

    return tbs_check_bytes(ground, tbs_build(tbs, &built), &finding);
}

static bool is_as_told(const struct tbs_ground *ground, const struct tbs_row *row)
{
    [[gnu::cleanup(tbs_clear)]] struct tbs tbs = { 0 };
    enum rc rc;

    tbs_fill_device(&tbs, ground->rule, TBS_DEVICE);
    tbs_set_hex(&tbs, row->piece, row->hex);
    rc = tbs_check(ground, &tbs);
    if (rc == row->rc && (rc == RC_OK || strstr(fault_text(), row->expected) != NULL))
        return true;
    print_error("%s: %s \"%s\", expected %s \"%s\"\n", row->claim, rc_name(rc),
                rc == RC_OK ? "" : fault_text(), rc_name(row->rc), row->expected);
    return false;
}

void tbs_check_rows(const struct tbs_ground *ground, const struct tbs_row *rows, size_t count)
{
    size_t good = 0;

    for (size_t i = 0; i < count; i++)
        good += is_as_told(ground, &rows[i]);
    assert_int_equal(good, count);
}
