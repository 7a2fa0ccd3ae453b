#include "keys/san.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"
#include "keys/terms.h"

enum { DNS_MAX = 253, LABEL_MAX = 63, IPV6 = 16 };

static bool is_lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* 1 to 64 letters, digits, '.', '_', '-': nothing that means something within a URI. */
static bool is_identifier(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        uint8_t lower = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;

        if (!is_lower_or_digit(lower) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return text.len > 0 && text.len <= KEYS_VALUE_MAX;
}

/* RFC 1123 2.1, in lower case. */
static bool is_host_name(struct bytes name)
{
    size_t label = 0;

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i];
        bool at_edge = label == 0 || i + 1 == name.len || name.at[i + 1] == '.';

        if (c == '.' && label == 0)
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
        if (c != '.' && !is_lower_or_digit(c) && (c != '-' || at_edge))
            return false;
    }
    return name.len <= DNS_MAX && label > 0;
}

struct uri_pattern {
    struct bytes prefix, tail; /* tail: "", "*" or an attribute's word */
};

static struct uri_pattern split_uri(const char *pattern)
{
    struct bytes all = bytes_of_text(pattern);
    const char *brace = strchr(pattern, '{');

    if (all.len > 0 && all.at[all.len - 1] == '*')
        return (struct uri_pattern){ { all.at, all.len - 1 }, BYTES("*") };
    if (brace == NULL || all.at[all.len - 1] != '}')
        return (struct uri_pattern){ .prefix = all };

    size_t before = (size_t)(brace - pattern);
    return (struct uri_pattern){ { all.at, before },
                                 { all.at + before + 1, all.len - before - 2 } };
}

enum keys_attribute keys_san_attribute(const struct keys_san_rule *rule)
{
    if (rule->kind != KEYS_SAN_URI)
        return KEYS_ATTRIBUTES;
    return (enum keys_attribute)keys_terms_find_word(keys_terms_attribute(),
                                                     split_uri(rule->pattern).tail);
}

/* RFC 3986 2: the characters of a URI; the scheme of 3.1 is checked by its first letter. */
static bool is_uri(struct bytes text)
{
    static const char MARKS[] = "-._~:/?#[]@!$&'()+,;=%";

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        uint8_t lower = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;

        if (!is_lower_or_digit(lower) && (c == '\0' || strchr(MARKS, c) == NULL))
            return false;
    }
    return text.len > 0 && text.at[0] >= 'a' && text.at[0] <= 'z' &&
           memchr(text.at, ':', text.len) != NULL;
}

static enum rc check_uri_pattern(const struct keys_san_rule *rule)
{
    struct uri_pattern p = split_uri(rule->pattern);
    bool open = p.tail.len > 0;

    if (!is_uri(p.prefix))
        return fault(RC_MALFORMED,
                     "san uri: \"%s\" is not a URI that may end in * or "
                     "{attribute}",
                     rule->pattern);
    if (open && p.prefix.at[p.prefix.len - 1] != ':' && p.prefix.at[p.prefix.len - 1] != '/')
        return fault(RC_MALFORMED, "san uri: \"%s\": before * or {attribute} stands : or /",
                     rule->pattern);
    if (open && !bytes_equal_text(p.tail, "*") && keys_san_attribute(rule) == KEYS_ATTRIBUTES)
        return fault(RC_MALFORMED, "san uri: \"%s\": no such attribute", rule->pattern);
    return RC_OK;
}

struct network {
    uint8_t address[IPV6];
    size_t len; /* 4 or 16 */
    unsigned bits;
};

static bool read_network(const char *pattern, struct network *network)
{
    char address[INET6_ADDRSTRLEN] = "", shown[INET6_ADDRSTRLEN] = "";
    const char *slash = strchr(pattern, '/');
    size_t len = slash != NULL ? (size_t)(slash - pattern) : sizeof address;
    int family = strchr(pattern, ':') != NULL ? AF_INET6 : AF_INET;
    uint64_t bits = 0;

    if (len >= sizeof address)
        return false;
    memcpy(address, pattern, len);
    network->len = family == AF_INET6 ? IPV6 : 4;
    if (text_read_u64(bytes_of_text(slash + 1), 8 * network->len, &bits) != RC_OK)
        return false;
    network->bits = (unsigned)bits;
    return inet_pton(family, address, network->address) == 1 &&
           inet_ntop(family, network->address, shown, sizeof shown) != NULL &&
           bytes_equal_text(bytes_of_text(shown), address);
}

static bool is_within(const struct network *network, struct bytes address)
{
    if (address.len != network->len)
        return false;
    for (unsigned bit = 0; bit < network->bits; bit++)
        if ((network->address[bit / 8] ^ address.at[bit / 8]) & 0x80 >> bit % 8)
            return false;
    return true;
}

static enum rc check_ip_pattern(const struct keys_san_rule *rule)
{
    struct network network = { 0 };
    bool host_bits = false;

    if (!read_network(rule->pattern, &network))
        return fault(RC_MALFORMED,
                     "san ip: \"%s\" is not a network such as 10.0.0.0/8 or "
                     "2001:db8::/32",
                     rule->pattern);
    for (size_t bit = network.bits; bit < 8 * network.len; bit++)
        host_bits = host_bits || (network.address[bit / 8] & 0x80 >> bit % 8);
    if (host_bits)
        return fault(RC_MALFORMED, "san ip: \"%s\" has bits beyond its length", rule->pattern);
    return RC_OK;
}

enum rc keys_san_check_pattern(const struct keys_san_rule *rule)
{
    struct bytes pattern = bytes_of_text(rule->pattern);

    if (rule->kind == KEYS_SAN_URI)
        return check_uri_pattern(rule);
    if (rule->kind == KEYS_SAN_IP)
        return check_ip_pattern(rule);
    if (pattern.len > 0 && pattern.at[0] == '.')
        pattern = (struct bytes){ pattern.at + 1, pattern.len - 1 };
    if (!is_host_name(pattern))
        return fault(RC_MALFORMED,
                     "san dns: \"%s\" is not a host name or .suffix in lower case",
                     rule->pattern);
    return RC_OK;
}

static bool matches_uri(const char *pattern, struct bytes name,
                        const struct keys_san_subject *subject)
{
    struct uri_pattern p = split_uri(pattern);

    if (p.tail.len == 0)
        return bytes_equal(name, p.prefix);
    if (!bytes_start_with(name, p.prefix))
        return false;

    struct bytes tail = { name.at + p.prefix.len, name.len - p.prefix.len };
    size_t attribute = keys_terms_find_word(keys_terms_attribute(), p.tail);
    return is_identifier(tail) &&
           (attribute == KEYS_ATTRIBUTES || bytes_equal(tail, subject->value[attribute]));
}

static bool matches_dns(const char *pattern, struct bytes name)
{
    struct bytes suffix = bytes_of_text(pattern);

    if (!is_host_name(name))
        return false;
    if (pattern[0] != '.')
        return bytes_equal(name, suffix);
    return name.len > suffix.len &&
           bytes_equal((struct bytes){ name.at + name.len - suffix.len, suffix.len }, suffix);
}

bool keys_san_matches(const struct keys_san_rule *rule, struct bytes name,
                      const struct keys_san_subject *subject)
{
    struct network network = { 0 };

    switch (rule->kind) {
    case KEYS_SAN_URI:
        return matches_uri(rule->pattern, name, subject);
    case KEYS_SAN_DNS:
        return matches_dns(rule->pattern, name);
    case KEYS_SAN_IP:
        return read_network(rule->pattern, &network) && is_within(&network, name);
    }
    return false;
}
