#include "tests/support/check.h"

#include <inttypes.h>
#include <string.h>

#include "policy/bound.h"

/* What compiling costs is counted (policy/effort.h), so that no time need be measured: a text
 * of so many times the length takes not many more steps than that. */

enum { TEXT_MAX = 4 << 20, SMALL = 200, TIMES = 8 };

static uint64_t steps_of(struct buf *text)
{
    struct policy_effort effort = { .most = UINT64_MAX };
    struct policy_errors errors = { 0 };
    struct policy_rules rules = { 0 };

    if (policy_parse(buf_bytes(text), &effort, &errors, &rules) != RC_OK)
        fail_msg("%s", fault_text());
    policy_rules_clear(&rules);
    return effort.spent;
}

static void write_sets(unsigned count, struct buf *text)
{
    buf_addf(text, "set s = { \"0\"");
    for (unsigned i = 1; i < count; i++)
        buf_addf(text, ", \"%u\"", i);
    buf_addf(text, " }\nset t = { \"0\"");
    for (unsigned i = count; i-- > 0;)
        buf_addf(text, ", \"%u\"", i);
    buf_addf(text, " }\n");
}

/* Of a set's members and its uses, neither is multiplied with the other. */
static void uses_of_sets(unsigned count, struct buf *text)
{
    write_sets(count, text);
    for (unsigned i = 0; i < count; i++)
        buf_addf(text,
                 "deny device connect when client.id in %c or device.profile not in %c\n"
                 "deny device connect when message.size = %u and client.id in s\n",
                 "st"[i % 2], "ts"[i % 2], i);
}

/* One row for each way to write a value: tests that differ in no more than it. */
static void versions(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when firmware.version = 1.%u\n", i);
}

static void releases_to_come(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when firmware.version < 1.0-rc.%u\n", i);
}

static void addresses(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when connection.address in { 10.0.%u.%u }\n",
                 i / 256, i % 256);
}

static void networks(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when connection.address = %u.%u.0.0/%u\n", i % 200,
                 i / 200 * 2, 16 - i % 2);
}

static void numbers(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when message.size between %u and %u\n", i, i + 7);
}

static void durations(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when certificate.left < %us\n", i);
}

static void times(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect until 20%02u-%02u-%02u\n", 27 + i / 336,
                 1 + i / 28 % 12, 1 + i % 28);
}

static void texts(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text, "deny device connect when client.id starts with \"alike-for-long-%u\"\n",
                 i);
}

static void joined(unsigned count, struct buf *text)
{
    for (unsigned i = 0; i < count; i++)
        buf_addf(text,
                 "deny device connect when (message.size = %u or message.retain) and not "
                 "message.qos = %u\n",
                 i, i / 2);
}

static void work_grows_as_the_text_does(void **state)
{
    static const struct {
        const char *name;
        void (*write)(unsigned count, struct buf *text);
    } ROWS[] = {
        { "sets", uses_of_sets },   { "versions", versions }, { "-rc", releases_to_come },
        { "addresses", addresses }, { "networks", networks }, { "numbers", numbers },
        { "durations", durations }, { "times", times },       { "texts", texts },
        { "joined", joined },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(small, TEXT_MAX);
        AUTO_BUF(large, TEXT_MAX);
        ROWS[i].write(SMALL, &small);
        ROWS[i].write(SMALL * TIMES, &large);
        uint64_t few = steps_of(&small), many = steps_of(&large);
        if (few < SMALL || many > few * TIMES * 2)
            fail_msg("%s: %" PRIu64 " steps of %zu octets, %" PRIu64 " of %zu", ROWS[i].name,
                     few, small.len, many, large.len);
    }
}

/* ---- What is not linear has a limit ---- */

/* A list of principals times a list of long filters. */
static uint64_t lists(struct buf *text)
{
    buf_addf(text, "allow device \"a\"");
    for (unsigned i = 1; i < 50; i++)
        buf_addf(text, ", device \"a\"");
    buf_addf(text, " publish");
    for (unsigned i = 0; i < 50; i++)
        buf_addf(text, "%s \"%01000u\"", i == 0 ? "" : ",", i);
    buf_addf(text, "\n");
    return UINT64_C(50) * 50 * 1000 / 8;
}

/* Each is compared with all that stand beside it. */
static uint64_t facts(struct buf *text)
{
    for (unsigned i = 0; i < 1000; i++)
        buf_addf(text, "allow device publish \"${device.id}%u\"\n", i % 200);
    return UINT64_C(1000) * 200 / 3;
}

/* Each is compared with all that end at the same place. */
static uint64_t ends(struct buf *text)
{
    for (unsigned i = 0; i < 1000; i++)
        buf_addf(text, "allow device publish \"a\" limit %u/s\n", 1 + i % 200);
    return UINT64_C(1000) * 200 / 3;
}

static uint64_t expectations(struct buf *text)
{
    for (unsigned i = 0; i < 100; i++)
        buf_addf(text, "deny device publish \"a\" when message.size = %u\n", i);
    for (unsigned i = 0; i < 200; i++)
        buf_addf(text, "expect deny device \"a\" publish \"a\" with message.size = 101\n");
    return UINT64_C(200) * 100;
}

/* A device that is bound answers all conditions, whatever it is asked. */
static uint64_t bindings(struct buf *text)
{
    for (unsigned i = 0; i < 100; i++)
        buf_addf(text, "deny device publish \"%u\" when client.id = \"%u\"\n", i, i);
    for (unsigned i = 0; i < 200; i++)
        buf_addf(text, "expect deny device \"a\" publish \"a\"\n");
    return UINT64_C(200) * 100;
}

static uint64_t subscriptions(struct buf *text)
{
    for (unsigned i = 0; i < 100; i++)
        buf_addf(text, "deny device subscribe \"%u/x\"\n", i);
    for (unsigned i = 0; i < 200; i++)
        buf_addf(text, "expect deny device \"a\" subscribe \"+/y\"\n");
    return UINT64_C(200) * 100;
}

static enum rc compile(const struct buf *text, struct policy_effort *effort)
{
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;

    enum rc rc = policy_bound_compile(buf_bytes(text), 1, effort, &errors, &policy);
    assert_true(rc == RC_OK || errors.count == 0);
    return rc;
}

static void what_multiplies_is_counted_and_limited(void **state)
{
    static uint64_t (*const ROWS[])(
        struct buf * text) = { lists, facts, ends, expectations, bindings, subscriptions };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(text, TEXT_MAX);
        struct policy_effort all = { .most = POLICY_EFFORT_MAX }, half = { 0 };
        uint64_t least = ROWS[i](&text);
        assert_int_equal(compile(&text, &all), RC_OK);
        if (all.spent < least)
            fail_msg("%zu: %" PRIu64 " steps, at least %" PRIu64, i, all.spent, least);
        half.most = all.spent / 2;
        assert_int_equal(compile(&text, &half), RC_LIMIT);
        assert_true(half.spent < all.spent);
        assert_non_null(strstr(fault_text(), "line "));
        assert_non_null(strstr(fault_text(), "steps to compile"));
    }
}

static void one_that_nobody_wants_any_more_ends(void **state)
{
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    atomic_bool stop = false;
    struct bytes text = BYTES("allow device connect\n");

    (void)state;
    assert_int_equal(policy_compile_until(&stop, text, 1, &errors, &policy), RC_OK);
    policy_unref(TAKE(policy));
    atomic_store(&stop, true);
    assert_int_equal(policy_compile_until(&stop, text, 1, &errors, &policy), RC_CLOSED);
    assert_null(policy);
    assert_int_equal(errors.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_grows_as_the_text_does),
        cmocka_unit_test(what_multiplies_is_counted_and_limited),
        cmocka_unit_test(one_that_nobody_wants_any_more_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
