#include "daemon/control.h"

#include "tests/support/check.h"

#include <signal.h>
#include <string.h>

/* As wait() gives it. */
static int exited(int code)
{
    return code << 8;
}

static void an_end_is_said_in_words(void **state)
{
    static const struct {
        int status;
        bool asked, orderly;
        const char *said;
    } ROWS[] = {
        { SIGSYS, false, false, "killed by the jail (SIGSYS)" },
        { SIGKILL, false, false, "killed by SIGKILL" },
        { SIGKILL, true, false, "killed by SIGKILL" },
        { 35, false, false, "killed by signal 35" },
        { 0, true, true, "ended as it was asked to" },
        { 0, false, false, "exited with 0, which touchmarkd had not asked for" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct daemon_end end = daemon_end_of("signer", ROWS[i].status, ROWS[i].asked);
        AUTO_BUF(text, 256);
        const char *said = NULL;
        daemon_end_say(&end, &text);
        assert_int_equal(buf_text(&text, &said), RC_OK);
        assert_string_equal(said, ROWS[i].said);
        assert_int_equal(daemon_end_is_orderly(&end), ROWS[i].orderly);
    }
    const struct daemon_end failed = daemon_end_of("signer", exited(70), true);
    assert_false(failed.killed);
    assert_int_equal(failed.code, 70);
    assert_false(daemon_end_is_orderly(&failed));
}

static void an_end_goes_over_the_link_as_it_is(void **state)
{
    struct daemon_end end = daemon_end_of("operator-door", SIGSYS, true), read;
    AUTO_BUF(body, DAEMON_END_MAX);

    (void)state;
    end.pid = 4711;
    end.wall_ms = 1234567890123;
    end.lost = 3;
    daemon_end_write(&end, &body);
    assert_int_equal(daemon_end_read(buf_bytes(&body), &read), RC_OK);
    assert_string_equal(read.process, "operator-door");
    assert_true(read.killed && read.asked);
    assert_int_equal(read.code, SIGSYS);
    assert_int_equal(read.pid, 4711);
    assert_int_equal(read.wall_ms, 1234567890123);
    assert_int_equal(read.lost, 3);
}

static void what_cannot_be_an_end_is_refused(void **state)
{
    const struct daemon_end end = daemon_end_of("signer", SIGKILL, false);
    static const struct {
        size_t at;
        uint8_t octet;
    } WRONG[] = { { 0, 2 }, { 1, 2 }, { 2, 1 }, { 10, 0x80 }, { 23, 0 }, { 23, 7 }, { 24, 0 } };
    struct daemon_end read;
    AUTO_BUF(body, DAEMON_END_MAX);

    (void)state;
    daemon_end_write(&end, &body);
    for (size_t len = 0; len < body.len; len++)
        assert_int_equal(daemon_end_read((struct bytes){ body.at, len }, &read), RC_MALFORMED);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        uint8_t was = body.at[WRONG[i].at];
        body.at[WRONG[i].at] = WRONG[i].octet;
        assert_int_equal(daemon_end_read(buf_bytes(&body), &read), RC_MALFORMED);
        body.at[WRONG[i].at] = was;
    }
    assert_int_equal(daemon_end_read(buf_bytes(&body), &read), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_is_said_in_words),
        cmocka_unit_test(an_end_goes_over_the_link_as_it_is),
        cmocka_unit_test(what_cannot_be_an_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
