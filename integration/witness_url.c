#include "integration/witness.h"

#include <string.h>

#include "integration/address.h"

/* Checked by every process that reads the settings, so it is apart from what needs libcurl. */
enum { NAME_MAX_LEN = 253 };

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.';
}

static bool is_of_path(char c)
{
    return is_of_name(c) || c == '/' || c == '_';
}

static const char *skip(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncmp(url, scheme, len) == 0 ? url + len : NULL;
}

enum rc integration_witness_read_url(const char *url, struct integration_witness_url *read)
{
    const char *begin = skip(url, "https://");
    struct integration_address address;

    *read = (struct integration_witness_url){ .tls = begin != NULL };
    if (begin == NULL)
        begin = skip(url, "http://");
    if (begin == NULL)
        return fault(RC_MALFORMED, "an URL that begins with https:// or http:// is expected");
    size_t len = strcspn(begin, "/");
    if (len >= sizeof read->place)
        return fault(RC_MALFORMED, "a numeric address and a port are expected in an URL");
    memcpy(read->place, begin, len);
    TRY(integration_address_read(read->place, &address));
    read->path = begin + len;
    for (const char *at = read->path; *at != '\0'; at++)
        if (!is_of_path(*at))
            return fault(RC_MALFORMED, "an URL's path of letters, digits, - _ . is expected");
    read->port = address.port;
    return RC_OK;
}

enum rc integration_witness_check_name(const char *name)
{
    size_t len = 0;

    while (is_of_name(name[len]))
        len++;
    if (len == 0 || len > NAME_MAX_LEN || name[len] != '\0')
        return fault(RC_MALFORMED, "a host name of letters, digits, - and . is expected");
    return RC_OK;
}
