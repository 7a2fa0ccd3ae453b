#include "pki/signed.h"

#include "base/der.h"
#include "pki/key.h"

enum rc pki_signed_assemble(struct bytes to_be_signed, struct bytes signature, struct buf *out)
{
    size_t before = out->len;
    struct bytes done;

    if (pki_key_check_signature(signature) != RC_OK)
        return fault_while(RC_CRYPTO, "the signer's answer");
    size_t outer = der_begin(out, DER_SEQUENCE);
    buf_add(out, to_be_signed);
    pki_key_add_algorithm(out);
    der_add_bits(out, signature);
    der_end(out, outer);
    enum rc rc = buf_done(out, &done);
    if (rc != RC_OK)
        buf_cut(out, before);
    return rc;
}
