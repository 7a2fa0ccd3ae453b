#include "pki/serial.h"

#include <openssl/rand.h>
#include <string.h>

enum rc pki_serial_make(uint8_t serial[PKI_SERIAL_LEN])
{
    uint8_t made[PKI_SERIAL_LEN] = { 0 };

    while (made[0] == 0) {
        if (RAND_bytes(made, sizeof made) != 1)
            return fault(RC_CRYPTO, "no random numbers");
        made[0] &= 0x7f;
    }
    memcpy(serial, made, sizeof made);
    return RC_OK;
}
