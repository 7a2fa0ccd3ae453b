/* Paths and patterns: "/crl/{key}.crl" is compared segment by segment, as sent; "{tile...}" at
 * a pattern's end is all that is left. */
#include <string.h>

#include "api/route.h"

#include "base/text.h"

/* Takes the next segment, without its slash; false at the end. */
static bool next_segment(struct bytes *path, struct bytes *segment)
{
    size_t len = 0;

    if (path->len == 0 || path->at[0] != '/')
        return false;
    while (len + 1 < path->len && path->at[len + 1] != '/')
        len++;
    *segment = (struct bytes){ path->at + 1, len };
    *path = (struct bytes){ path->at + 1 + len, path->len - 1 - len };
    return true;
}

/* "{key}.crl" into "key" and ".crl"; false for a literal. */
static bool split(struct bytes pattern, struct bytes *name, struct bytes *suffix)
{
    if (pattern.len < 3 || pattern.at[0] != '{')
        return false;
    const uint8_t *end = memchr(pattern.at, '}', pattern.len);
    if (end == NULL)
        return false;
    size_t head = (size_t)(end - pattern.at) + 1;
    *name = (struct bytes){ pattern.at + 1, head - 2 };
    *suffix = (struct bytes){ pattern.at + head, pattern.len - head };
    return true;
}

static bool ends_with(struct bytes text, struct bytes suffix)
{
    return text.len >= suffix.len &&
           bytes_equal((struct bytes){ text.at + text.len - suffix.len, suffix.len }, suffix);
}

/* An empty segment is no parameter; nor is one that a file system would read as a way out. */
static bool segment_matches(struct bytes pattern, struct bytes segment, struct bytes *name,
                            struct bytes *value)
{
    struct bytes suffix;

    if (!split(pattern, name, &suffix)) {
        *name = (struct bytes){ 0 };
        return bytes_equal(pattern, segment);
    }
    if (segment.len <= suffix.len || !ends_with(segment, suffix) || segment.at[0] == '.')
        return false;
    *value = (struct bytes){ segment.at, segment.len - suffix.len };
    return true;
}

/* "{tile...}" into "tile". */
static bool is_rest(struct bytes pattern, struct bytes *name)
{
    struct bytes suffix;

    if (!split(pattern, name, &suffix) || !ends_with(*name, BYTES("...")))
        return false;
    name->len -= 3;
    return true;
}

/* wanted NULL: only whether it matches. */
static bool walk(const char *pattern_text, struct bytes path, const char *wanted,
                 struct bytes *found)
{
    struct bytes pattern = bytes_of_text(pattern_text), want, have, name, value;

    while (pattern.len > 0) {
        if (!next_segment(&pattern, &want) || !next_segment(&path, &have))
            return false;
        if (is_rest(want, &name)) {
            value = (struct bytes){ have.at, have.len + path.len };
            path.len = 0;
        } else if (!segment_matches(want, have, &name, &value)) {
            return false;
        }
        if (wanted != NULL && name.len > 0 && bytes_equal_text(name, wanted))
            *found = value;
    }
    return path.len == 0;
}

static bool method_matches(const struct api_route *route, struct bytes method)
{
    return bytes_equal_text(method, route->method) ||
           (bytes_equal_text(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

enum rc api_route_find(struct bytes method, struct bytes path, unsigned services,
                       const struct api_route **route, struct buf *allow)
{
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);

    for (size_t i = 0; i < count; i++) {
        if ((routes[i].service & services) == 0 || !walk(routes[i].path, path, NULL, NULL))
            continue;
        if (method_matches(&routes[i], method)) {
            *route = &routes[i];
            return RC_OK;
        }
        buf_addf(allow, "%s%s", allow->len > 0 ? ", " : "", routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            buf_addf(allow, ", HEAD");
    }
    return allow->len > 0 ? fault(RC_DENIED, "this path has other methods")
                          : fault(RC_NOT_FOUND, "no such path");
}

enum rc api_route_parameter(const struct api_route *route, struct bytes path, const char *name,
                            struct bytes *value)
{
    struct bytes found = { 0 };

    if (!walk(route->path, path, name, &found) || found.len == 0)
        return fault(RC_NOT_FOUND, "the path has no {%s}", name);
    *value = found;
    return RC_OK;
}

enum rc api_route_decode(struct bytes text, struct buf *out)
{
    size_t before = out->len;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '%') {
            buf_add_u8(out, text.at[i]);
            continue;
        }
        if (text.len - i < 3 ||
            text_read_hex((struct bytes){ text.at + i + 1, 2 }, out) != RC_OK)
            return fault(RC_MALFORMED, "RFC 3986 2.1: a %% without two hexadecimal digits");
        i += 2;
    }
    struct bytes made = buf_bytes(out);
    if (out->broken)
        return fault(RC_LIMIT, "too long");
    made = (struct bytes){ made.at + before, made.len - before };
    if (!text_is_utf8(made))
        return fault(RC_MALFORMED, "RFC 3629: not UTF-8, or a zero in it");
    for (size_t i = 0; i < made.len; i++)
        if (made.at[i] < 0x20 || made.at[i] == 0x7f)
            return fault(RC_MALFORMED, "a control character at octet %zu", i);
    return RC_OK;
}
