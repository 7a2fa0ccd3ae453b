#include "registry/crl.h"

#include <string.h>

void registry_crl_write(const struct registry_crl *crl, struct buf *out)
{
    buf_add_sized16(out, bytes_of_text(crl->key));
    buf_add_u64(out, crl->number);
    buf_add_u32(out, crl->len);
}

enum rc registry_crl_read(struct bytes form, struct registry_crl *crl)
{
    struct registry_crl read = { 0 };
    struct reader r = READER(form);
    struct bytes key = reader_sized16(&r, REGISTRY_CRL_KEY_MAX);

    read.number = reader_u64(&r);
    read.len = reader_u32(&r);
    if (!reader_done(&r) || key.len == 0 || memchr(key.at, 0, key.len) != NULL)
        return fault(RC_MALFORMED, "change: a CRL without its name, number or length");
    if (read.len == 0 || read.len > REGISTRY_CRL_MAX)
        return fault(RC_MALFORMED, "change: a CRL of %u octets, at most %d", read.len,
                     REGISTRY_CRL_MAX);
    memcpy(read.key, key.at, key.len);
    *crl = read;
    return RC_OK;
}

uint32_t registry_crl_parts(const struct registry_crl *crl)
{
    return (crl->len + REGISTRY_CRL_PART - 1) / REGISTRY_CRL_PART;
}

size_t registry_crl_part_len(const struct registry_crl *crl, uint32_t part)
{
    if (part >= registry_crl_parts(crl))
        return 0;
    size_t left = crl->len - (size_t)part * REGISTRY_CRL_PART;
    return left < REGISTRY_CRL_PART ? left : REGISTRY_CRL_PART;
}
