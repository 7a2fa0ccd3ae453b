#include "tests/support/check.h"

#include <string.h>

#include "cli/remote.h"

static void a_refusal_becomes_a_result_and_names_the_request(void **state)
{
    static const struct {
        unsigned status;
        const char *body;
        enum rc rc;
        const char *told;
    } CASES[] = {
        { 200, "{}", RC_OK, "" },
        { 201, "{}", RC_OK, "" },
        { 400, "{\"error\":{\"detail\":\"id: too long\"}}", RC_MALFORMED, "id: too long" },
        { 401, "{}", RC_DENIED, "denied" },
        { 403, "{}", RC_DENIED, "denied" },
        { 404, "not JSON at all", RC_NOT_FOUND, "not found" },
        { 409, "{}", RC_EXISTS, "exists" },
        { 413, "{}", RC_MALFORMED, "too large" },
        { 415, "{}", RC_MALFORMED, "another type" },
        { 422, "{\"error\":{},\"errors\":[\"line 1\",\"line 2\"]}", RC_MALFORMED,
          ": line 1; line 2" },
        { 429, "{}", RC_LIMIT, "limit" },
        { 503, "{}", RC_BUSY, "busy" },
        { 500, "{}", RC_IO, "failed" },
        { 302, "", RC_IO, "failed" },
        { 404, "{\"error\":{\"detail\":\"\\u001b[2J\"}}", RC_NOT_FOUND, ": ?[2J" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct cli_client_answer answer = { .status = CASES[i].status, .request = "c0ffee" };
        assert_int_equal(cli_remote_judge(&answer, bytes_of_text(CASES[i].body)), CASES[i].rc);
        if (CASES[i].rc == RC_OK)
            continue;
        if (strstr(fault_text(), CASES[i].told) == NULL)
            fail_msg("case %zu: %s", i, fault_text());
        assert_non_null(strstr(fault_text(), "request c0ffee"));
    }
}

static void what_is_put_into_a_path_cannot_leave_it(void **state)
{
    AUTO_BUF(path, 256);

    (void)state;
    buf_addf(&path, "/v1/devices/");
    cli_remote_add_segment(&path, "../operators?x=1#\xc3\xa9");
    cli_remote_add_query(&path, "state", NULL);
    cli_remote_add_query(&path, "state", "a&b");
    cli_remote_add_query(&path, "group", "c d");
    assert_true(bytes_equal_text(
        buf_bytes(&path),
        "/v1/devices/..%2Foperators%3Fx%3D1%23%C3%A9?state=a%26b&group=c%20d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_becomes_a_result_and_names_the_request),
        cmocka_unit_test(what_is_put_into_a_path_cannot_leave_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
