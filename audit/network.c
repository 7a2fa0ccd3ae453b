#include "audit/network.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

enum { V4 = 4, V6 = 16, PORT_MOST = 65535 };

static const uint8_t MAPPED[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* An IPv6 address that stands for an IPv4 one, with as many bits of it as that has. */
static void unmap(struct audit_network *network)
{
    unsigned over = 8 * sizeof MAPPED;

    if (network->len != V6 || network->bits < over ||
        !bytes_start_with(BYTES_OF(network->address), BYTES_OF(MAPPED)))
        return;
    memmove(network->address, network->address + sizeof MAPPED, V4);
    memset(network->address + V4, 0, V6 - V4);
    network->len = V4;
    network->bits = (uint8_t)(network->bits - over);
}

static bool read_address(struct bytes text, struct audit_network *network)
{
    char word[INET6_ADDRSTRLEN] = "";
    bool v6 = text.len > 0 && memchr(text.at, ':', text.len) != NULL;

    if (text.len == 0 || text.len >= sizeof word || memchr(text.at, '\0', text.len) != NULL)
        return false;
    memcpy(word, text.at, text.len);
    network->len = v6 ? V6 : V4;
    network->bits = (uint8_t)(8 * network->len);
    return inet_pton(v6 ? AF_INET6 : AF_INET, word, network->address) == 1;
}

/* What stands before and behind the last such octet. */
static bool split(struct bytes text, uint8_t at, struct bytes *head, struct bytes *tail)
{
    size_t len = text.len;

    while (len > 0 && text.at[len - 1] != at)
        len--;
    if (len == 0)
        return false;
    *head = (struct bytes){ text.at, len - 1 };
    *tail = (struct bytes){ text.at + len, text.len - len };
    return true;
}

/* Brackets are for an IPv6 address with a port alone. */
static bool read_with_port(struct bytes text, struct audit_network *network)
{
    struct bytes host, port;
    uint64_t number = 0;

    if (!split(text, ':', &host, &port) || text_read_u64(port, PORT_MOST, &number) != RC_OK)
        return false;
    bool v6 = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    if (v6)
        host = (struct bytes){ host.at + 1, host.len - 2 };
    network->port = (uint16_t)number;
    return read_address(host, network) && (network->len == V6) == v6;
}

static bool has_bits_behind(const struct audit_network *network)
{
    for (unsigned bit = network->bits; bit < 8u * network->len; bit++)
        if ((network->address[bit / 8] & 0x80 >> bit % 8) != 0)
            return true;
    return false;
}

static enum rc read_bits(struct bytes bits, struct audit_network *network)
{
    uint64_t number = 0;

    if (text_read_u64(bits, 8u * network->len, &number) != RC_OK)
        return fault(RC_MALFORMED, "a prefix has 0 to %u bits here", 8u * network->len);
    network->bits = (uint8_t)number;
    return has_bits_behind(network)
               ? fault(RC_MALFORMED, "the address has bits behind its first %u", network->bits)
               : RC_OK;
}

enum rc audit_network_read(struct bytes text, struct audit_network *network)
{
    struct audit_network made = { 0 };
    struct bytes host = text, bits = { 0 };
    bool prefix = split(text, '/', &host, &bits);

    if (!read_address(host, &made)) {
        made = (struct audit_network){ 0 };
        if (prefix || !read_with_port(text, &made))
            return fault(RC_MALFORMED, "an address, 192.0.2.1 or 2001:db8::1, one with its "
                                       "port, 192.0.2.1:55000 or [2001:db8::1]:55000, or a "
                                       "network, 192.0.2.0/24");
        if (made.port == 0)
            return fault(RC_MALFORMED, "port 0 is nobody's");
    }
    if (prefix)
        TRY(read_bits(bits, &made));
    unmap(&made);
    *network = made;
    return RC_OK;
}

void audit_network_add(struct buf *text, const struct audit_network *network)
{
    char shown[INET6_ADDRSTRLEN] = "";
    bool v6 = network->len == V6;

    if (inet_ntop(v6 ? AF_INET6 : AF_INET, network->address, shown, sizeof shown) == NULL)
        return;
    if (network->port > 0)
        buf_addf(text, v6 ? "[%s]:%u" : "%s:%u", shown, network->port);
    else if (network->bits < 8 * network->len)
        buf_addf(text, "%s/%u", shown, network->bits);
    else
        buf_addf(text, "%s", shown);
}

enum rc audit_network_check(const struct audit_network *network)
{
    static const uint8_t NONE[V6];
    struct audit_network same = *network;

    if (network->len != 0 && network->len != V4 && network->len != V6)
        return fault(RC_MALFORMED, "an address of %u octets", network->len);
    if (network->bits > 8 * network->len || has_bits_behind(network) ||
        (network->port != 0 && (network->len == 0 || network->bits < 8 * network->len)))
        return fault(RC_MALFORMED, "no network of addresses, or a port of many");
    unmap(&same);
    if (same.len != network->len)
        return fault(RC_MALFORMED, "an IPv4 address as an IPv6 one");
    return bytes_equal((struct bytes){ network->address + network->len, V6 - network->len },
                       (struct bytes){ NONE, V6 - network->len })
               ? RC_OK
               : fault(RC_MALFORMED, "octets behind an address");
}

struct audit_network audit_network_of_peer(struct bytes peer)
{
    struct audit_network made = { 0 };

    if (!read_with_port(peer, &made)) {
        made = (struct audit_network){ 0 };
        if (!read_address(peer, &made))
            return (struct audit_network){ 0 };
    }
    unmap(&made);
    return made;
}

bool audit_network_has(const struct audit_network *network, const struct audit_network *peer)
{
    if (network->len != peer->len || (network->port != 0 && network->port != peer->port))
        return false;
    for (unsigned bit = 0; bit < network->bits; bit++)
        if (((network->address[bit / 8] ^ peer->address[bit / 8]) & 0x80 >> bit % 8) != 0)
            return false;
    return true;
}
