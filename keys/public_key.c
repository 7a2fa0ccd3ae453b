#include "keys/public_key.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "base/own.h"
#include "keys/rules.h"

AUTO_TYPE(EC_GROUP, EC_GROUP_free)
AUTO_TYPE(EC_POINT, EC_POINT_free)

/* All that precedes X and Y: SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING 04
 * }. */
static const uint8_t HEAD[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
enum { POINT = 65 };

static enum rc check_on_curve(struct bytes point)
{
    AUTO(EC_GROUP) *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    AUTO(EC_POINT) *made = group != NULL ? EC_POINT_new(group) : NULL;

    if (made == NULL)
        return fault(RC_NOMEM, "P-256 point");
    /* EC_POINT_oct2point refuses coordinates that are not reduced, or off the curve. */
    if (EC_POINT_oct2point(group, made, point.at, point.len, NULL) != 1)
        return fault(RC_MALFORMED, "SP 800-56A 5.6.2.3.3: the point is not on P-256");
    return RC_OK;
}

enum rc keys_public_key_check(struct bytes spki)
{
    if (spki.len != KEYS_PUBLIC_KEY || !bytes_start_with(spki, BYTES_OF(HEAD)))
        return fault(
            RC_MALFORMED,
            "RFC 5480 2: expected a P-256 key with an uncompressed point in %d octets, "
            "found %zu octets of another form",
            KEYS_PUBLIC_KEY, spki.len);
    return check_on_curve((struct bytes){ spki.at + KEYS_PUBLIC_KEY - POINT, POINT });
}
