#include "pki/alt_name.h"

#include <arpa/inet.h>

#include "base/text.h"

enum { DNS_MAX = 253, LABEL_MAX = 63, URI_MAX = 1024, NUMBER_BITS = 0x1f };

static bool is_text(unsigned kind)
{
    return kind == PKI_ALT_MAIL || kind == PKI_ALT_DNS || kind == PKI_ALT_URI;
}

static bool is_address(struct bytes value)
{
    return value.len == 4 || value.len == 16;
}

bool pki_alt_name_next(struct der *names, struct pki_alt_name *name)
{
    uint8_t tag = der_peek(names);

    if (tag == 0)
        return false;
    if ((tag & 0xc0) != 0x80 || (tag & NUMBER_BITS) > 8)
        der_break(names, "RFC 5280 4.2.1.6: no GeneralName");
    name->kind = tag & NUMBER_BITS;
    if (is_text(name->kind) || name->kind == PKI_ALT_ADDRESS)
        tag = (uint8_t)DER_CONTEXT(name->kind);
    name->value = der_take(names, tag);
    if (names->why == NULL && is_text(name->kind) &&
        (name->value.len == 0 || !text_is_printable(name->value)))
        der_break(names,
                  "RFC 5280 4.2.1.6: GeneralName with other letters than printable ASCII");
    if (names->why == NULL && name->kind == PKI_ALT_ADDRESS && !is_address(name->value))
        der_break(names, "RFC 5280 4.2.1.6: iPAddress of neither 4 nor 16 octets");
    return names->why == NULL;
}

static bool is_letter_or_digit(uint8_t letter)
{
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
           (letter >= 'A' && letter <= 'Z');
}

/* RFC 1123 2.1: labels of letters, digits and inner hyphens. */
static bool is_host_name(struct bytes text)
{
    size_t label = 0;

    if (text.len == 0 || text.len > DNS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t letter = text.at[i];
        bool last = i + 1 == text.len || text.at[i + 1] == '.';
        if (letter == '.' ? label == 0 : !is_letter_or_digit(letter) && letter != '-')
            return false;
        if (letter == '-' && (label == 0 || last))
            return false;
        label = letter == '.' ? 0 : label + 1;
        if (label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

/* RFC 5280 4.2.1.6: absolute, with a scheme and something behind it. */
static bool is_uri(struct bytes text)
{
    size_t scheme = 0;

    if (text.len > URI_MAX || !text_is_printable(text))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == ' ' || text.at[i] == '"' || text.at[i] == '<' || text.at[i] == '>')
            return false;
    while (scheme < text.len && is_letter_or_digit(text.at[scheme]))
        scheme++;
    return scheme > 0 && scheme + 1 < text.len && text.at[scheme] == ':';
}

enum rc pki_alt_name_check(const struct pki_alt_name *name)
{
    if (name->kind == PKI_ALT_DNS && !is_host_name(name->value))
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.6: dNSName that is no host name");
    if (name->kind == PKI_ALT_URI && !is_uri(name->value))
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.6: no absolute URI of at most %d octets",
                     URI_MAX);
    if (name->kind == PKI_ALT_ADDRESS && !is_address(name->value))
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.6: iPAddress of neither 4 nor 16 octets");
    if (name->kind != PKI_ALT_DNS && name->kind != PKI_ALT_URI && name->kind != PKI_ALT_ADDRESS)
        return fault(RC_MALFORMED, "GeneralName [%u] is not written here", name->kind);
    return RC_OK;
}

void pki_alt_name_add(struct buf *buf, const struct pki_alt_name *name)
{
    der_add(buf, (uint8_t)DER_CONTEXT(name->kind), name->value);
}

void pki_alt_name_add_text(struct buf *buf, const struct pki_alt_name *name)
{
    char address[INET6_ADDRSTRLEN] = "";

    if (name->kind == PKI_ALT_ADDRESS && is_address(name->value)) {
        inet_ntop(name->value.len == 4 ? AF_INET : AF_INET6, name->value.at, address,
                  sizeof address);
        buf_addf(buf, "address %s", address);
    } else if (is_text(name->kind)) {
        buf_addf(buf, "%s \"",
                 name->kind == PKI_ALT_DNS   ? "DNS"
                 : name->kind == PKI_ALT_URI ? "URI"
                                             : "mail");
        text_add_escaped(buf, name->value);
        buf_addf(buf, "\"");
    } else {
        buf_addf(buf, "GeneralName [%u]", name->kind);
    }
}
