#include "pki/pem.h"

#include <string.h>

#include "base/text.h"

enum { COLUMNS = 64, LABEL_MAX = 64 };

void pki_pem_add(struct buf *out, const char *label, struct bytes der)
{
    AUTO_BUF(base64, 4 * (der.len / 3 + 1));

    text_add_base64(&base64, der);
    buf_addf(out, "-----BEGIN %s-----\n", label);
    for (struct bytes left = buf_bytes(&base64); left.len > 0;) {
        size_t n = left.len < COLUMNS ? left.len : COLUMNS;
        buf_add(out, (struct bytes){ left.at, n });
        buf_addf(out, "\n");
        left = (struct bytes){ left.at + n, left.len - n };
    }
    buf_addf(out, "-----END %s-----\n", label);
}

/* Where the marker line starts, or NULL. */
static const uint8_t *find_marker(struct bytes text, const char *word, const char *label,
                                  size_t *len)
{
    AUTO_BUF(marker, LABEL_MAX + 32);

    buf_addf(&marker, "-----%s %s-----", word, label);
    struct bytes wanted = buf_bytes(&marker);
    *len = wanted.len;
    return text.len == 0 ? NULL : memmem(text.at, text.len, wanted.at, wanted.len);
}

enum rc pki_pem_next(struct bytes *text, const char *label, struct buf *der)
{
    size_t len = 0;
    const uint8_t *end = text->at + text->len;
    const uint8_t *begin = find_marker(*text, "BEGIN", label, &len);

    if (begin == NULL)
        return fault(RC_NOT_FOUND, "RFC 7468: no %s", label);
    struct bytes inside = { begin + len, (size_t)(end - begin) - len };
    const uint8_t *close = find_marker(inside, "END", label, &len);
    if (close == NULL)
        return fault(RC_MALFORMED, "RFC 7468 3: a %s without its END line", label);
    TRY(text_read_base64((struct bytes){ inside.at, (size_t)(close - inside.at) }, der));
    if (der->broken)
        return fault(RC_LIMIT, "a %s of more than %zu bytes", label, der->max);
    *text = (struct bytes){ close + len, (size_t)(end - close) - len };
    return RC_OK;
}
