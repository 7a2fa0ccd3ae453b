#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "api/openapi.h"
#include "api/route.h"
#include "api/schema.h"

enum { DOCUMENT_MAX = 1024 * 1024 };

static void read_golden(struct buf *golden)
{
    AUTO_BUF(path, 1024);
    const char *text = NULL, *source = getenv("TOUCHMARK_SOURCE");
    uint8_t room[4096];

    buf_addf(&path, "%s/tests/golden/api/openapi.json", source == NULL ? "." : source);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    AUTO_FD fd = open(text, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;)
        buf_add(golden, (struct bytes){ room, (size_t)n });
}

/* A change of what is served is a change of a committed text; on purpose:
 * test_api_openapi --write > tests/golden/api/openapi.json */
static void document_is_the_committed_one(void **state)
{
    AUTO_BUF(document, DOCUMENT_MAX);
    AUTO_BUF(golden, DOCUMENT_MAX);

    (void)state;
    assert_int_equal(api_openapi_write(&document), RC_OK);
    read_golden(&golden);
    assert_true(bytes_equal(buf_bytes(&document), buf_bytes(&golden)));
}

static void every_route_is_in_it(void **state)
{
    size_t count = 0;
    const struct api_route *routes = api_routes(&count);
    AUTO_BUF(document, DOCUMENT_MAX);
    json_error_t error;

    (void)state;
    assert_int_equal(api_openapi_write(&document), RC_OK);
    json_t *json =
        json_loadb((const char *)document.at, document.len, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(name, 256); /* "{tile...}" is {tile} there */
        const char *text = NULL, *dots = strstr(routes[i].path, "...");
        size_t len = dots == NULL ? strlen(routes[i].path) : (size_t)(dots - routes[i].path);
        buf_add(&name, (struct bytes){ (const uint8_t *)routes[i].path, len });
        buf_addf(&name, "%s", dots == NULL ? "" : dots + 3);
        assert_int_equal(buf_text(&name, &text), RC_OK);
        const json_t *path = json_object_get(json_object_get(json, "paths"), text);
        const json_t *operation =
            json_object_get(path, strcmp(routes[i].method, "GET") == 0 ? "get" : "post");
        assert_string_equal(json_string_value(json_object_get(operation, "operationId")),
                            routes[i].name);
    }
    json_decref(json);
}

static void every_shape_is_known(void **state)
{
    size_t count = 0, routes_count = 0;
    const struct api_shape *shapes = api_schema_list(&count);
    const struct api_route *routes = api_routes(&routes_count);

    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        bool known = strchr(routes[i].answers, '/') != NULL;
        for (size_t j = 0; j < count; j++)
            known = known || strcmp(shapes[j].name, routes[i].answers) == 0;
        if (!known)
            fail_msg("%s answers %s", routes[i].name, routes[i].answers);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_is_the_committed_one),
        cmocka_unit_test(every_route_is_in_it),
        cmocka_unit_test(every_shape_is_known),
    };

    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        AUTO_BUF(document, DOCUMENT_MAX);
        if (api_openapi_write(&document) != RC_OK)
            return 1;
        return fwrite(document.at, 1, document.len, stdout) == document.len ? 0 : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
