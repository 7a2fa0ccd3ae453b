#include "pki/est_body.h"

#include <string.h>

#include "base/der.h"
#include "base/text.h"
#include "pki/oid.h"

enum { COLUMNS = 64, CERTIFICATES_MAX = 16, CMS_V1 = 1 };

static bool is_space(uint8_t letter)
{
    return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_space(text.at[0]))
        text = (struct bytes){ text.at + 1, text.len - 1 };
    while (text.len > 0 && is_space(text.at[text.len - 1]))
        text.len--;
    return text;
}

static bool ends_with(struct bytes text, struct bytes tail)
{
    return text.len >= tail.len &&
           bytes_equal((struct bytes){ text.at + text.len - tail.len, tail.len }, tail);
}

/* Strips "-----BEGIN label-----" and its end; false if this label's armour is not whole. */
static bool strip(struct bytes *text, struct bytes begin, struct bytes end)
{
    if (text->len < begin.len + end.len || !bytes_start_with(*text, begin) ||
        !ends_with(*text, end))
        return false;
    *text = (struct bytes){ text->at + begin.len, text->len - begin.len - end.len };
    return true;
}

enum rc pki_est_body_read(struct bytes body, struct buf *der)
{
    struct bytes text = trim(body), done;
    size_t before = der->len;

    if (bytes_start_with(text, BYTES("-----")) &&
        !strip(&text, BYTES("-----BEGIN CERTIFICATE REQUEST-----"),
               BYTES("-----END CERTIFICATE REQUEST-----")) &&
        !strip(&text, BYTES("-----BEGIN NEW CERTIFICATE REQUEST-----"),
               BYTES("-----END NEW CERTIFICATE REQUEST-----")))
        return fault(RC_MALFORMED, "RFC 7468 7: PEM that is no CERTIFICATE REQUEST alone");
    if (text.len == 0)
        return fault(RC_MALFORMED, "RFC 7030 4: empty body");
    TRY(text_read_base64(text, der));
    enum rc rc = buf_done(der, &done);
    if (rc != RC_OK)
        buf_cut(der, before);
    return rc;
}

enum pki_est_form pki_est_body_form(struct bytes user_agent)
{
    return bytes_start_with(user_agent, BYTES("libest")) ? PKI_EST_64_COLUMNS
                                                         : PKI_EST_ONE_LINE;
}

void pki_est_body_write(struct buf *body, struct bytes der, enum pki_est_form form)
{
    size_t line = form == PKI_EST_ONE_LINE ? der.len : COLUMNS / 4 * 3;

    for (size_t at = 0; at < der.len; at += line) {
        size_t n = der.len - at < line ? der.len - at : line;
        text_add_base64(body, (struct bytes){ der.at + at, n });
        buf_add_u8(body, '\n');
    }
}

static void sort(struct bytes *list, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && bytes_compare(list[j - 1], list[j]) > 0; j--) {
            struct bytes swap = list[j];
            list[j] = list[j - 1];
            list[j - 1] = swap;
        }
}

static void add_signed_data(struct buf *der, const struct bytes *ordered, size_t count)
{
    size_t data = der_begin(der, DER_SEQUENCE);

    der_add_u63(der, CMS_V1);
    der_add(der, DER_SET, (struct bytes){ 0 });
    size_t content = der_begin(der, DER_SEQUENCE);
    der_add_oid(der, PKI_OID_DATA);
    der_end(der, content);
    size_t certificates = der_begin(der, DER_CONTEXT_CONSTRUCTED(0));
    for (size_t i = 0; i < count; i++)
        buf_add(der, ordered[i]);
    der_end(der, certificates);
    der_add(der, DER_SET, (struct bytes){ 0 });
    der_end(der, data);
}

enum rc pki_est_body_write_certificates(struct buf *der, const struct bytes *certificates,
                                        size_t count)
{
    struct bytes ordered[CERTIFICATES_MAX], done;

    if (count == 0 || count > CERTIFICATES_MAX)
        return fault(RC_LIMIT, "certs-only message of %zu certificates, not 1 to %d", count,
                     CERTIFICATES_MAX);
    memcpy(ordered, certificates, count * sizeof *ordered);
    sort(ordered, count);
    size_t info = der_begin(der, DER_SEQUENCE);
    der_add_oid(der, PKI_OID_SIGNED_DATA);
    size_t explicit = der_begin(der, DER_CONTEXT_CONSTRUCTED(0));
    add_signed_data(der, ordered, count);
    der_end(der, explicit);
    der_end(der, info);
    return buf_done(der, &done);
}
