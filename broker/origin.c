#include "broker/origin.h"

#include <arpa/inet.h>
#include <string.h>

enum { ADDRESS_MAX = 64 };

void broker_origin_of(const char *peer, uint8_t origin[BROKER_ORIGIN])
{
    char address[ADDRESS_MAX] = { 0 };
    uint8_t octets[16];
    const char *end = strrchr(peer, ':');
    size_t len = end == NULL ? strlen(peer) : (size_t)(end - peer);

    memset(origin, 0, BROKER_ORIGIN);
    if (len >= 2 && peer[0] == '[' && peer[len - 1] == ']') {
        peer++;
        len -= 2;
    }
    if (len >= sizeof address)
        return;
    memcpy(address, peer, len);
    if (inet_pton(AF_INET, address, octets) == 1) {
        origin[0] = 4;
        memcpy(origin + 1, octets, 4);
    } else if (inet_pton(AF_INET6, address, octets) == 1) {
        /* RFC 4291 2.5.5.2: a listener on [::] sees every IPv4 address so. */
        static const uint8_t MAPPED[12] = { [10] = 0xff, [11] = 0xff };
        bool mapped = bytes_equal((struct bytes){ octets, sizeof MAPPED }, BYTES_OF(MAPPED));
        origin[0] = mapped ? 4 : 6;
        memcpy(origin + 1, mapped ? octets + 12 : octets, mapped ? 4 : 8);
    }
}
