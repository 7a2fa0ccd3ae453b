#include "base/text.h"

#include <openssl/evp.h>
#include <string.h>

void text_add_hex(struct buf *buf, struct bytes bytes)
{
    static const char DIGITS[] = "0123456789abcdef";
    uint8_t *at = buf_extend(buf, bytes.len * 2);

    for (size_t i = 0; at != NULL && i < bytes.len; i++) {
        at[2 * i] = (uint8_t)DIGITS[bytes.at[i] >> 4];
        at[2 * i + 1] = (uint8_t)DIGITS[bytes.at[i] & 15];
    }
}

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

enum rc text_read_hex(struct bytes text, struct buf *out)
{
    size_t before = out->len;

    if (text.len % 2 != 0)
        return fault(RC_MALFORMED, "hexadecimal text of odd length %zu", text.len);
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_value(text.at[i]), low = hex_value(text.at[i + 1]);
        if (high < 0 || low < 0) {
            buf_cut(out, before);
            return fault(RC_MALFORMED, "not hexadecimal at offset %zu", i);
        }
        buf_add_u8(out, (uint8_t)(high << 4 | low));
    }
    return RC_OK;
}

static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_add_base64(struct buf *buf, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.at[i] << 16;
        uint8_t *at = buf_extend(buf, 4);

        if (at == NULL)
            return;
        group |= n > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0;
        group |= n > 2 ? bytes.at[i + 2] : 0;
        at[0] = (uint8_t)BASE64[group >> 18];
        at[1] = (uint8_t)BASE64[group >> 12 & 63];
        at[2] = n > 1 ? (uint8_t)BASE64[group >> 6 & 63] : '=';
        at[3] = n > 2 ? (uint8_t)BASE64[group & 63] : '=';
    }
}

static int base64_value(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

static bool is_space(uint8_t letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

/* Four letters make a group; a padded group is the last one. */
struct base64_group {
    uint32_t bits;
    unsigned letters, pads;
};

static bool take_letter(struct base64_group *g, uint8_t letter)
{
    int value = base64_value(letter);

    if (letter == '=' && g->letters >= 2 && g->letters + g->pads < 4) {
        g->pads++;
        return true;
    }
    if (value < 0 || g->pads > 0)
        return false;
    g->bits = g->bits << 6 | (uint32_t)value;
    g->letters++;
    return true;
}

/* False where bits under the padding are set: two texts must not mean the same bytes. */
static bool add_group(struct buf *out, const struct base64_group *g)
{
    uint32_t bits = g->bits << 6 * g->pads;

    if (bits & ((1U << 8 * g->pads) - 1))
        return false;
    for (unsigned i = 0; i < 3 - g->pads; i++)
        buf_add_u8(out, (uint8_t)(bits >> (16 - 8 * i)));
    return true;
}

enum rc text_read_base64(struct bytes text, struct buf *out)
{
    struct base64_group g = { 0 };
    size_t before = out->len, i = 0;
    bool good = true;

    for (; good && i < text.len; i++) {
        if (is_space(text.at[i]))
            continue;
        if (g.letters + g.pads == 4)
            g = (struct base64_group){ .pads = g.pads };
        good = g.pads == 0 || g.letters > 0;
        good = good && take_letter(&g, text.at[i]);
        if (good && g.letters + g.pads == 4)
            good = add_group(out, &g);
    }
    if (good && (g.letters + g.pads == 4 || g.letters == 0))
        return RC_OK;
    buf_cut(out, before);
    return fault(RC_MALFORMED, "RFC 4648 4: not base64 at offset %zu", good ? i : i - 1);
}

enum rc text_read_u64(struct bytes text, uint64_t most, uint64_t *value)
{
    uint64_t sum = 0;

    if (text.len == 0 || (text.len > 1 && text.at[0] == '0'))
        return fault(RC_MALFORMED, "not a decimal number");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = text.at[i];
        if (digit < '0' || digit > '9')
            return fault(RC_MALFORMED, "not a decimal number");
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(digit - '0'), &sum) || sum > most)
            return fault(RC_LIMIT, "number above %llu", (unsigned long long)most);
    }
    *value = sum;
    return RC_OK;
}

/* Length of the well-formed sequence that starts at `at`, 0 if there is none (RFC 3629 section
 * 4). */
static size_t utf8_step(const uint8_t *at, size_t left)
{
    uint8_t first = at[0], low = 0x80, high = 0xbf;
    size_t more = 0;

    if (first >= 0x01 && first <= 0x7f)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        more = 1;
    else if (first >= 0xe0 && first <= 0xef)
        more = 2;
    else if (first >= 0xf0 && first <= 0xf4)
        more = 3;
    if (more == 0 || more >= left)
        return 0;
    low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : low;
    high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : high;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i <= more; i++)
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    return more + 1;
}

bool text_is_utf8(struct bytes text)
{
    for (size_t i = 0, step; i < text.len; i += step) {
        step = utf8_step(text.at + i, text.len - i);
        if (step == 0)
            return false;
    }
    return true;
}

size_t text_character(struct bytes text, uint32_t *scalar)
{
    size_t len = text.len == 0 ? 0 : utf8_step(text.at, text.len);

    if (len == 0)
        return 0;
    *scalar = len == 1 ? text.at[0] : text.at[0] & (0x3fU >> (len - 1));
    for (size_t i = 1; i < len; i++)
        *scalar = *scalar << 6 | (text.at[i] & 0x3fU);
    return len;
}

struct bytes text_cut(struct bytes text, size_t most)
{
    if (text.len <= most)
        return text;
    while (most > 0 && (text.at[most] & 0xc0) == 0x80)
        most--;
    return (struct bytes){ text.at, most };
}

bool text_is_hidden(uint32_t scalar)
{
    /* Control; Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties; separators and
     * annotations; spaces that look like U+0020 or like nothing. */
    static const struct {
        uint32_t first, last;
    } HIDDEN[] = {
        { 0x00, 0x08 },       { 0x0b, 0x1f },       { 0x7f, 0xa0 },     { 0x00ad, 0x00ad },
        { 0x034f, 0x034f },   { 0x061c, 0x061c },   { 0x115f, 0x1160 }, { 0x1680, 0x1680 },
        { 0x17b4, 0x17b5 },   { 0x180b, 0x180f },   { 0x2000, 0x200f }, { 0x2028, 0x202f },
        { 0x205f, 0x206f },   { 0x2800, 0x2800 },   { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },
        { 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb }, { 0x1bca0, 0x1bca3 },
        { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff },
    };

    for (size_t i = 0; i < sizeof HIDDEN / sizeof *HIDDEN; i++)
        if (scalar >= HIDDEN[i].first && scalar <= HIDDEN[i].last)
            return true;
    return false;
}

static bool is_plain(uint8_t letter)
{
    return letter >= 0x20 && letter <= 0x7e;
}

#define ALL_OF_WORD(octet) (UINT64_C(0x0101010101010101) * (octet))

/* Eight at once. A borrow or carry reaches a neighbour only from one that is not plain. */
static bool is_plain_word(uint64_t word)
{
    return ((word | (word - ALL_OF_WORD(0x20)) | (word + ALL_OF_WORD(1))) &
            ALL_OF_WORD(0x80)) == 0;
}

bool text_is_printable(struct bytes text)
{
    uint64_t word;
    size_t i = 0;

    for (; text.len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, text.at + i, sizeof word);
        if (!is_plain_word(word))
            return false;
    }
    for (; i < text.len; i++)
        if (!is_plain(text.at[i]))
            return false;
    return true;
}

void text_add_escaped(struct buf *buf, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t letter = bytes.at[i];
        if (is_plain(letter) && letter != '"' && letter != '\\')
            buf_add_u8(buf, letter);
        else
            buf_addf(buf, "\\x%02x", letter);
    }
}

/* Beyond ASCII; of what is for private use, or never a character, nobody knows what it shows.
 */
static bool is_seen(uint32_t scalar)
{
    bool private = (scalar >= 0xe000 && scalar <= 0xf8ff) || scalar >= 0xf0000;
    bool never = (scalar >= 0xfdd0 && scalar <= 0xfdef) || (scalar & 0xfffe) == 0xfffe;

    return scalar >= 0x80 && !private && !never && !text_is_hidden(scalar);
}

void text_add_shown(struct buf *buf, struct bytes bytes)
{
    for (size_t i = 0, len = 0; i < bytes.len; i += len) {
        struct bytes rest = { bytes.at + i, bytes.len - i };
        uint32_t scalar = 0;

        len = text_character(rest, &scalar);
        if (len > 1 && is_seen(scalar)) {
            buf_add(buf, (struct bytes){ rest.at, len });
            continue;
        }
        len = len == 0 ? 1 : len;
        text_add_escaped(buf, (struct bytes){ rest.at, len });
    }
}
