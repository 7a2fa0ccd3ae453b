#include "integration/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/text.h"

static enum rc split(const char *text, char ip[INET6_ADDRSTRLEN], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    bool six = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    uint64_t number = 0;

    if (six) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= INET6_ADDRSTRLEN ||
        text_read_u64(bytes_of_text(colon + 1), UINT16_MAX, &number) != RC_OK || number == 0)
        return fault(RC_MALFORMED, "address: a numeric address and a port are expected");
    memcpy(ip, text, len);
    ip[len] = '\0';
    *port = (uint16_t)number;
    return RC_OK;
}

enum rc integration_address_read(const char *text, struct integration_address *address)
{
    struct integration_address read = { 0 };
    struct sockaddr_in *four = (void *)&read.at;
    struct sockaddr_in6 *six = (void *)&read.at;
    char ip[INET6_ADDRSTRLEN];

    TRY(split(text, ip, &read.port));
    if (inet_pton(AF_INET, ip, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(read.port);
        read.len = sizeof *four;
    } else if (inet_pton(AF_INET6, ip, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(read.port);
        read.len = sizeof *six;
    } else {
        return fault(RC_MALFORMED, "address: %s is not a numeric address", ip);
    }
    *address = read;
    return RC_OK;
}
