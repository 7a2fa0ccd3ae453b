#include "integration/witness.h"

#include <string.h>

#include "integration/address.h"

/* Checked by every process that reads the settings, so it is apart from what needs libcurl. */
enum { HOST_MAX = 64 };

static bool is_of_path(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '/' || c == '-' || c == '_' || c == '.';
}

enum rc integration_witness_check_url(const char *url, uint16_t *port)
{
    static const char SCHEME[] = "http://";
    struct integration_address address;
    char host[HOST_MAX] = "";

    if (strncmp(url, SCHEME, sizeof SCHEME - 1) != 0)
        return fault(RC_MALFORMED, "an URL that begins with http:// is expected");
    const char *begin = url + sizeof SCHEME - 1;
    size_t len = strcspn(begin, "/");
    if (len >= sizeof host)
        return fault(RC_MALFORMED, "a numeric address and a port are expected in an URL");
    memcpy(host, begin, len);
    TRY(integration_address_read(host, &address));
    for (const char *at = begin + len; *at != '\0'; at++)
        if (!is_of_path(*at))
            return fault(RC_MALFORMED, "an URL's path of letters, digits, - _ . is expected");
    *port = address.port;
    return RC_OK;
}
