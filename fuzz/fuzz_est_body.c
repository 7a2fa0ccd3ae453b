/* Target: pki_est_body_read; what it takes, written again in both forms, is read as the same.
 */
#include "pki/est_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_BUF(der, 1 << 16);

    if (pki_est_body_read((struct bytes){ at, len }, &der) != RC_OK || der.len == 0)
        return 0;
    for (enum pki_est_form form = PKI_EST_ONE_LINE; form <= PKI_EST_64_COLUMNS; form++) {
        AUTO_BUF(body, 1 << 18);
        AUTO_BUF(again, 1 << 16);

        pki_est_body_write(&body, buf_bytes(&der), form);
        if (pki_est_body_read(buf_bytes(&body), &again) != RC_OK ||
            !bytes_equal(buf_bytes(&again), buf_bytes(&der)))
            __builtin_trap();
    }
    return 0;
}
