/* Target: text_read_base64 text_read_hex text_read_u64 text_is_utf8 clock_read_rfc3339 */
#include "base/clock.h"
#include "base/text.h"

#include <assert.h>

enum { OUT_MAX = 1 << 20 };

static void try_base64(struct bytes text)
{
    AUTO_BUF(bytes, OUT_MAX);
    AUTO_BUF(back, OUT_MAX);
    AUTO_BUF(bare, OUT_MAX);

    if (text_read_base64(text, &bytes) != RC_OK || bytes.broken) {
        assert(bytes.len == 0 || bytes.broken);
        return;
    }
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != ' ' && text.at[i] != '\t' && text.at[i] != '\r' && text.at[i] != '\n')
            buf_add_u8(&bare, text.at[i]);
    text_add_base64(&back, buf_bytes(&bytes));
    assert(bytes_equal(buf_bytes(&back), buf_bytes(&bare)));
}

static void try_hex(struct bytes text)
{
    AUTO_BUF(bytes, OUT_MAX);
    AUTO_BUF(back, OUT_MAX);

    if (text_read_hex(text, &bytes) != RC_OK || bytes.broken)
        return;
    text_add_hex(&back, buf_bytes(&bytes));
    struct bytes digits = buf_bytes(&back);
    assert(digits.len == text.len);
    for (size_t i = 0; i < digits.len; i++)
        assert(digits.at[i] == text.at[i] || digits.at[i] == (text.at[i] | 0x20));
}

static void try_number(struct bytes text)
{
    AUTO_BUF(back, 100);
    uint64_t value = 0;

    if (text_read_u64(text, UINT64_MAX, &value) != RC_OK)
        return;
    buf_addf(&back, "%llu", (unsigned long long)value);
    assert(bytes_equal(buf_bytes(&back), text));
}

/* What was read is written in the one form, and that is read as the same moment. */
static void try_time(struct bytes text)
{
    AUTO_BUF(back, 100);
    int64_t ms = 0, again = 0;

    if (clock_read_rfc3339(text, &ms) != RC_OK)
        return;
    clock_add_rfc3339(&back, ms);
    bool good = clock_read_rfc3339(buf_bytes(&back), &again) == RC_OK;
    assert(good && again == ms);
}

static void try_escape(struct bytes text)
{
    AUTO_BUF(escaped, OUT_MAX);

    text_add_escaped(&escaped, text);
    assert(text_is_printable(buf_bytes(&escaped)));
    buf_reset(&escaped);
    text_add_shown(&escaped, text);
    assert(text_is_utf8(buf_bytes(&escaped)));
    assert(!text_is_printable(text) || text_is_utf8(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes text = { at, len };

    try_base64(text);
    try_hex(text);
    try_number(text);
    try_time(text);
    try_escape(text);
    return 0;
}
