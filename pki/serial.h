/* Serial numbers: random, so that nobody foresees what will be signed. RFC 5280 4.1.2.2. */
#pragma once

#include "base/rc.h"

#include <stdint.h>

enum { PKI_SERIAL_LEN = 16 };

/* Content of an INTEGER of exactly PKI_SERIAL_LEN octets: positive, the first octet 01 to 7F,
 * the rest random (about 127 bits). RC_CRYPTO. */
enum rc pki_serial_make(uint8_t serial[PKI_SERIAL_LEN]);
