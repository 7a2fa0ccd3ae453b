#include "policy/value.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <string.h>

enum { ADDRESS_BITS = 128, V4_OFFSET = 96, ADDRESS_TEXT_MAX = 45 };

const char *policy_type_name(enum policy_type type)
{
    static const char *const NAMES[POLICY_TYPES] = {
        [POLICY_UNKNOWN] = "unknown", [POLICY_STRING] = "text",
        [POLICY_NUMBER] = "number",   [POLICY_BOOLEAN] = "true or false",
        [POLICY_TIME] = "time",       [POLICY_DURATION] = "duration",
        [POLICY_ADDRESS] = "address", [POLICY_VERSION] = "version",
        [POLICY_GROUPED] = "device",
    };
    return NAMES[type];
}

/* ---- Order ---- */

static int compare_numbers(int64_t left, int64_t right)
{
    return left < right ? -1 : left > right;
}

static bool is_number(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.len > 0;
}

/* Up to the next dot; leaves what follows it. */
static struct bytes take_identifier(struct bytes *left)
{
    size_t len = 0;

    while (len < left->len && left->at[len] != '.')
        len++;
    struct bytes taken = { left->at, len };
    size_t gone = len < left->len ? len + 1 : len;
    *left = (struct bytes){ left->at + gone, left->len - gone };
    return taken;
}

static struct bytes without_zeros(struct bytes number)
{
    while (number.len > 1 && number.at[0] == '0')
        number = (struct bytes){ number.at + 1, number.len - 1 };
    return number;
}

/* Numbers of any length: without leading zeros, the longer is the greater. */
static int compare_identifiers(struct bytes left, struct bytes right)
{
    bool left_number = is_number(left), right_number = is_number(right);

    if (left_number != right_number)
        return left_number ? -1 : 1;
    if (left_number) {
        left = without_zeros(left);
        right = without_zeros(right);
        if (left.len != right.len)
            return left.len < right.len ? -1 : 1;
    }
    return bytes_compare(left, right);
}

/* Semantic Versioning 2.0.0, section 11: a release is above what leads up to it. */
static int compare_pre(struct bytes left, struct bytes right)
{
    if (left.len == 0 || right.len == 0)
        return compare_numbers(left.len == 0, right.len == 0);
    while (left.len > 0 && right.len > 0) {
        int order = compare_identifiers(take_identifier(&left), take_identifier(&right));
        if (order != 0)
            return order;
    }
    return compare_numbers(left.len > 0, right.len > 0);
}

static int compare_versions(const struct policy_value *left, const struct policy_value *right)
{
    for (size_t i = 0; i < 4; i++)
        if (left->version[i] != right->version[i])
            return left->version[i] < right->version[i] ? -1 : 1;
    return compare_pre(left->pre, right->pre);
}

static struct bytes address_of(const struct policy_value *value)
{
    return (struct bytes){ value->address, sizeof value->address };
}

static int compare_addresses(const struct policy_value *left, const struct policy_value *right)
{
    int order = bytes_compare(address_of(left), address_of(right));

    return order != 0 ? order : compare_numbers(left->prefix, right->prefix);
}

int policy_value_compare(const struct policy_value *left, const struct policy_value *right)
{
    if (left->type == POLICY_STRING)
        return bytes_compare(left->text, right->text);
    if (left->type == POLICY_VERSION)
        return compare_versions(left, right);
    if (left->type == POLICY_ADDRESS)
        return compare_addresses(left, right);
    return compare_numbers(left->number, right->number);
}

bool policy_value_equal(const struct policy_value *left, const struct policy_value *right)
{
    return policy_value_compare(left, right) == 0;
}

/* ---- What equal values have in common ---- */

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static uint64_t mix_octets(uint64_t hash, struct bytes octets)
{
    hash = mix(hash, octets.len);
    for (; octets.len >= sizeof hash;
         octets = (struct bytes){ octets.at + sizeof hash, octets.len - sizeof hash }) {
        uint64_t eight;
        memcpy(&eight, octets.at, sizeof eight);
        hash = mix(hash, eight);
    }
    for (size_t i = 0; i < octets.len; i++)
        hash = mix(hash, octets.at[i]);
    return hash;
}

static uint64_t mix_version(uint64_t hash, const struct policy_value *version)
{
    struct bytes pre = version->pre;

    for (size_t i = 0; i < sizeof version->version / sizeof *version->version; i++)
        hash = mix(hash, version->version[i]);
    while (pre.len > 0) {
        struct bytes identifier = take_identifier(&pre);
        hash = mix_octets(hash, is_number(identifier) ? without_zeros(identifier) : identifier);
    }
    return hash;
}

uint64_t policy_value_mix(uint64_t hash, const struct policy_value *value)
{
    hash = mix(hash, value->type);
    if (value->type == POLICY_STRING)
        return mix_octets(hash, value->text);
    if (value->type == POLICY_VERSION)
        return mix_version(hash, value);
    if (value->type == POLICY_ADDRESS)
        return mix(mix_octets(hash, address_of(value)), value->prefix);
    return mix(hash, (uint64_t)value->number);
}

/* ---- Networks ---- */

bool policy_value_holds(const struct policy_value *network, const struct policy_value *address)
{
    size_t whole = network->prefix / 8;
    unsigned rest = network->prefix % 8;
    uint8_t mask = (uint8_t)(0xff00U >> rest);

    if (address->prefix < network->prefix ||
        !bytes_start_with(address_of(address), (struct bytes){ network->address, whole }))
        return false;
    return rest == 0 || ((network->address[whole] ^ address->address[whole]) & mask) == 0;
}

/* ---- From text ---- */

/* The bits behind the prefix must be zero: 192.0.2.7/24 is likely not what was meant. */
static enum rc check_network(const struct policy_value *value, struct bytes text)
{
    for (unsigned bit = value->prefix; bit < ADDRESS_BITS; bit++)
        if (value->address[bit / 8] & (0x80U >> (bit % 8)))
            return fault(RC_MALFORMED, "%.*s has bits behind its prefix", BYTES_FMT(text));
    return RC_OK;
}

static enum rc read_prefix(struct bytes text, unsigned most, uint8_t *prefix)
{
    uint64_t bits = 0;

    if (text_read_u64(text, most, &bits) != RC_OK)
        return fault(RC_MALFORMED, "a prefix is a number from 0 to %u", most);
    *prefix = (uint8_t)(bits + ADDRESS_BITS - most);
    return RC_OK;
}

enum rc policy_value_address(struct bytes text, struct policy_value *value)
{
    struct policy_value made = { .type = POLICY_ADDRESS, .prefix = ADDRESS_BITS };
    const uint8_t *slash = text.len > 0 ? memchr(text.at, '/', text.len) : NULL;
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.at);
    char name[ADDRESS_TEXT_MAX + 1] = "";

    if (len == 0 || len > ADDRESS_TEXT_MAX || !text_is_printable(text))
        return fault(RC_MALFORMED,
                     "expected an address such as 192.0.2.7 or a network such as 192.0.2.0/24");
    memcpy(name, text.at, len);
    bool v4 = inet_pton(AF_INET, name, made.address + V4_OFFSET / 8) == 1;
    if (v4)
        memset(made.address + V4_OFFSET / 8 - 2, 0xff, 2);
    else if (inet_pton(AF_INET6, name, made.address) != 1)
        return fault(RC_MALFORMED, "%s is no IP address", name);
    if (slash != NULL) {
        struct bytes bits = { slash + 1, text.len - len - 1 };
        TRY(read_prefix(bits, v4 ? ADDRESS_BITS - V4_OFFSET : ADDRESS_BITS, &made.prefix));
        TRY(check_network(&made, text));
    }
    *value = made;
    return RC_OK;
}

static bool is_pre_letter(uint8_t letter)
{
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
           (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '.';
}

static bool is_pre(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_pre_letter(text.at[i]))
            return false;
    while (text.len > 0)
        if (take_identifier(&text).len == 0)
            return false;
    return true;
}

enum rc policy_value_version(struct bytes text, struct policy_value *value)
{
    struct policy_value made = { .type = POLICY_VERSION };
    const uint8_t *build = text.len > 0 ? memchr(text.at, '+', text.len) : NULL;

    if (build != NULL) /* semver 2.0 section 10: it orders nothing */
        text.len = (size_t)(build - text.at);
    made.text = text;
    const uint8_t *dash = text.len > 0 ? memchr(text.at, '-', text.len) : NULL;
    struct bytes numbers = { text.at, dash == NULL ? text.len : (size_t)(dash - text.at) };
    size_t count = 0;

    if (dash != NULL)
        made.pre = (struct bytes){ dash + 1, text.len - numbers.len - 1 };
    bool good = numbers.len > 0 && numbers.at[numbers.len - 1] != '.' &&
                (dash == NULL || made.pre.len > 0) && is_pre(made.pre);
    while (good && numbers.len > 0) {
        uint64_t number = 0;
        good =
            count < 4 && text_read_u64(take_identifier(&numbers), UINT32_MAX, &number) == RC_OK;
        if (good)
            made.version[count++] = (uint32_t)number;
    }
    if (!good)
        return fault(RC_MALFORMED, "expected a version such as 1.12.0 or 2.0-rc.1");
    *value = made;
    return RC_OK;
}
