/* wraps: malloc calloc realloc reallocarray */
/* Analyses when memory ends at any place: an error, nothing left behind, nothing half told. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "policy/analysis.h"

static unsigned left; /* allocations that succeed; 0: all do */

#define ENDS(name, parameters, arguments)                                                      \
    void *__real_##name parameters;                                                            \
    void *__wrap_##name parameters;                                                            \
    void *__wrap_##name parameters                                                             \
    {                                                                                          \
        return left > 0 && --left == 0 ? NULL : __real_##name arguments;                       \
    }

ENDS(malloc, (size_t n), (n))
ENDS(calloc, (size_t count, size_t n), (count, n))
ENDS(realloc, (void *at, size_t n), (at, n))
ENDS(reallocarray, (void *at, size_t count, size_t n), (at, count, n))

static const char OLD[] = "allow device connect\n"
                          "allow device publish \"a/${device.id}/#\" when message.qos = 1\n"
                          "allow device publish \"a/+/x\", \"a/+/#\"\n"
                          "deny device publish \"a/b/#\" when client.id = \"x\"\n"
                          "allow group \"g\" subscribe \"#\" limit 1/s\n"
                          "deny group \"h\" subscribe \"a/b/#\"\n"
                          "allow device publish \"b/#\"\n"
                          "deny device publish \"b/+/#\"\n"
                          "deny device publish \"c/${line.id}\"\n";
static const char NEW[] = "allow device connect when message.size < 5\n"
                          "allow device publish \"a/+/#\", \"a/#\"\n"
                          "deny device \"d\" publish \"a/d${device.id}/#\"\n"
                          "allow group \"g\" subscribe \"#\"\n"
                          "deny group \"h\" subscribe \"a/c/#\"\n"
                          "group \"g\" = { \"d\" }\n";

static const struct bytes GROUP = BYTES("g");
static const struct policy_facts DEVICE = { .device_id = BYTES("d"),
                                            .groups = &GROUP,
                                            .group_count = 1 };
static struct policy *old_policy, *new_policy;

static enum rc each(void *with,
                    enum rc (*visit)(void *visitor, const struct policy_facts *device),
                    void *visitor)
{
    (void)with;
    return visit(visitor, &DEVICE);
}

static const struct policy_fleet FLEET = { each, NULL };

static enum rc take(void *with, const struct policy_who_entry *entry)
{
    (void)with;
    (void)entry;
    return RC_OK;
}

static enum rc do_check(void)
{
    struct policy_findings findings = { 0 };
    enum rc rc = policy_check(old_policy, NULL, &findings);

    assert_true(rc == RC_OK || findings.at == NULL);
    policy_findings_clear(&findings);
    return rc;
}

static enum rc do_reach(void)
{
    struct policy_reach reach = { 0 };
    enum rc rc = policy_reach(old_policy, &DEVICE, &reach);

    assert_true(rc == RC_OK || reach.at == NULL);
    policy_reach_clear(&reach);
    return rc;
}

static enum rc do_who(void)
{
    return policy_who(old_policy, POLICY_SUBSCRIBE, BYTES("a/b/#"), &FLEET, take, NULL);
}

static enum rc do_diff(void)
{
    struct policy_diff diff = { 0 };
    enum rc rc = policy_diff(old_policy, new_policy, &FLEET, &diff);

    assert_true(rc == RC_OK || diff.at == NULL);
    policy_diff_clear(&diff);
    return rc;
}

static enum rc do_derive(void)
{
    const struct policy_request request = { .action = POLICY_PUBLISH,
                                            .resource = BYTES("c/d") };
    struct policy_derivation derivation = { 0 };
    struct policy_session session;

    assert_int_equal(policy_bind(old_policy, &DEVICE, &session), RC_OK);
    enum rc rc = policy_derive(&session, &request, &derivation);
    assert_true(rc == RC_OK || derivation.at == NULL);
    policy_derivation_clear(&derivation);
    return rc;
}

/* A text that did not fit for want of memory is a limit that was reached, or is left out. */
static void memory_that_ends_is_an_error(void **state)
{
    static enum rc (*const DO[])(void) = { do_check, do_reach, do_who, do_diff, do_derive };

    (void)state;
    for (size_t i = 0; i < sizeof DO / sizeof *DO; i++) {
        unsigned failures = 0;
        for (unsigned at = 1;; at++) {
            left = at;
            enum rc rc = DO[i]();
            bool ended = left == 0;
            left = 0;
            assert_true(rc == RC_OK || rc == RC_NOMEM || rc == RC_LIMIT);
            failures += rc != RC_OK;
            if (!ended)
                break;
        }
        assert_true(failures > 10);
    }
}

static int set_up(void **state)
{
    struct policy_errors errors = { 0 };

    (void)state;
    assert_int_equal(policy_compile(bytes_of_text(OLD), 1, &errors, &old_policy), RC_OK);
    assert_int_equal(policy_compile(bytes_of_text(NEW), 2, &errors, &new_policy), RC_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_unref(old_policy);
    policy_unref(new_policy);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = { cmocka_unit_test(memory_that_ends_is_an_error) };

    return cmocka_run_group_tests(TESTS, set_up, tear_down);
}
