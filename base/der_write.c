#include "base/der.h"

#include <assert.h>
#include <string.h>

enum { LENGTH_BYTES_MAX = 4 };

size_t der_begin(struct buf *buf, uint8_t tag)
{
    buf_add_u8(buf, tag);
    buf_add_u8(buf, 0);
    return buf->len;
}

/* Bytes behind the first length octet. */
static size_t length_bytes(size_t len)
{
    size_t count = 0;

    for (; len >= 0x80 && count < sizeof len && len >> 8 * count != 0; count++)
        continue;
    return count;
}

static void put_length(uint8_t *at, size_t len, size_t count)
{
    at[0] = (uint8_t)(count > 0 ? 0x80 | count : len);
    for (size_t i = 0; i < count; i++)
        at[1 + i] = (uint8_t)(len >> 8 * (count - 1 - i));
}

void der_end(struct buf *buf, size_t mark)
{
    if (buf->broken)
        return;
    assert(mark >= 2 && mark <= buf->len);
    size_t len = buf->len - mark, count = length_bytes(len);
    if (count > LENGTH_BYTES_MAX)
        buf->broken = true;
    if (buf->broken || buf_extend(buf, count) == NULL)
        return;
    memmove(buf->at + mark + count, buf->at + mark, len);
    put_length(buf->at + mark - 1, len, count);
}

void der_add(struct buf *buf, uint8_t tag, struct bytes content)
{
    size_t count = length_bytes(content.len);

    buf->broken = buf->broken || count > LENGTH_BYTES_MAX;
    uint8_t *at = buf_extend(buf, 2 + count);
    if (at == NULL)
        return;
    at[0] = tag;
    put_length(at + 1, content.len, count);
    buf_add(buf, content);
}

void der_add_boolean(struct buf *buf, bool value)
{
    der_add(buf, DER_BOOLEAN, value ? BYTES("\xff") : BYTES("\0"));
}

void der_add_unsigned(struct buf *buf, struct bytes magnitude)
{
    while (magnitude.len > 0 && magnitude.at[0] == 0)
        magnitude = (struct bytes){ magnitude.at + 1, magnitude.len - 1 };
    size_t mark = der_begin(buf, DER_INTEGER);
    if (magnitude.len == 0 || magnitude.at[0] >= 0x80)
        buf_add_u8(buf, 0);
    buf_add(buf, magnitude);
    der_end(buf, mark);
}

void der_add_u63(struct buf *buf, uint64_t value)
{
    uint8_t magnitude[8];

    buf->broken = buf->broken || value > INT64_MAX;
    for (size_t i = 0; i < sizeof magnitude; i++)
        magnitude[i] = (uint8_t)(value >> 8 * (7 - i));
    der_add_unsigned(buf, BYTES_OF(magnitude));
}

void der_add_octets(struct buf *buf, struct bytes content)
{
    der_add(buf, DER_OCTET_STRING, content);
}

void der_add_bits(struct buf *buf, struct bytes whole_bytes)
{
    size_t mark = der_begin(buf, DER_BIT_STRING);

    buf_add_u8(buf, 0);
    buf_add(buf, whole_bytes);
    der_end(buf, mark);
}

void der_add_named_bits(struct buf *buf, uint16_t bits)
{
    uint8_t content[3] = { 0 };
    size_t highest = 0;

    for (size_t i = 0; i < 16; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        content[1 + i / 8] = (uint8_t)(content[1 + i / 8] | 0x80 >> i % 8);
        highest = i;
    }
    content[0] = bits == 0 ? 0 : (uint8_t)(7 - highest % 8);
    der_add(buf, DER_BIT_STRING, (struct bytes){ content, bits == 0 ? 1 : 2 + highest / 8 });
}

void der_add_time(struct buf *buf, int64_t seconds)
{
    struct civil c;

    if (clock_to_civil(seconds, &c) != RC_OK || c.year < 1950) {
        buf->broken = true;
        return;
    }
    bool utc = c.year < 2050;
    size_t mark = der_begin(buf, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    const int fields[] = { c.year / 100, c.year % 100, c.month, c.day,
                           c.hour,       c.minute,     c.second };
    for (size_t i = utc ? 1 : 0; i < sizeof fields / sizeof *fields; i++) {
        buf_add_u8(buf, (uint8_t)('0' + fields[i] / 10));
        buf_add_u8(buf, (uint8_t)('0' + fields[i] % 10));
    }
    buf_add_u8(buf, 'Z');
    der_end(buf, mark);
}
