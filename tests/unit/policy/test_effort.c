#include "tests/support/check.h"

#include <inttypes.h>

#include "policy/rules.h"

/* What compiling costs is counted (policy/effort.h), so that no time need be measured: a text
 * of so many times the length takes not many more steps than that. */

enum { TEXT_MAX = 4 << 20, SMALL = 500, TIMES = 8 };

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_grows_as_the_text_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
