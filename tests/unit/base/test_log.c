#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { STARTED, CERT_ISSUED, DETAIL, LINE_LIMIT = 4096 };

static const struct log_event EVENTS[] = {
    [STARTED] = { "started", LOG_INFO, "The process serves." },
    [CERT_ISSUED] = { "cert.issued", LOG_NOTICE, "A certificate was issued." },
    [DETAIL] = { "detail", LOG_DEBUG, "Only for tests." },
};
static const struct log_events TABLE = { EVENTS, sizeof EVENTS / sizeof *EVENTS };

#define HEAD "ts=2026-11-22T22:43:01.250Z level=notice process=signer event=cert.issued"

struct desk {
    struct clock clock;
    struct log *log;
    int pipe[2];
    char read[3 * LINE_LIMIT];
};

static int64_t a_moment(void *with)
{
    (void)with;
    return 1795387381250;
}

static int set_up(void **state)
{
    struct desk *d = calloc(1, sizeof *d);

    d->clock = (struct clock){ a_moment, a_moment, NULL };
    assert_int_equal(pipe2(d->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(log_open(d->pipe[1], "signer", &TABLE, LOG_INFO, &d->clock, &d->log),
                     RC_OK);
    *state = d;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *d = *state;

    log_close(d->log);
    close(d->pipe[0]);
    close(d->pipe[1]);
    free(d);
    return 0;
}

static const char *lines(struct desk *d)
{
    ssize_t n = read(d->pipe[0], d->read, sizeof d->read - 1);

    d->read[n > 0 ? n : 0] = '\0';
    return d->read;
}

static void a_line_tells_when_who_what_and_its_fields(void **state)
{
    struct desk *d = *state;

    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("profile", "device"),
              LOG_NUMBER_FIELD("days", -1), LOG_HEX_FIELD("serial", BYTES("\x00\xab")),
              LOG_BYTES_FIELD("cn", BYTES("pump-7")));
    assert_string_equal(lines(d), HEAD " profile=device days=-1 serial=00ab cn=pump-7\n");
    log_write(d->log, STARTED);
    assert_string_equal(lines(d), "ts=2026-11-22T22:43:01.250Z level=info process=signer "
                                  "event=started\n");
}

static void events_below_the_level_are_not_written(void **state)
{
    struct desk *d = *state;

    log_write(d->log, DETAIL);
    assert_string_equal(lines(d), "");
}

static void no_value_can_end_its_field_or_the_line(void **state)
{
    struct desk *d = *state;
    static const struct {
        struct bytes value;
        const char *written;
    } CASES[] = {
        { BYTES(""), "\"\"" },
        { BYTES("plain-1.2:/@+_"), "plain-1.2:/@+_" },
        { BYTES("two words"), "\"two words\"" },
        { BYTES("a=b"), "\"a=b\"" },
        { BYTES("a\nts=1 level=error"), "\"a\\x0ats=1 level=error\"" },
        { BYTES("a\" event=forged b=\""), "\"a\\x22 event=forged b=\\x22\"" },
        { BYTES("back\\slash"), "\"back\\x5cslash\"" },
        { BYTES("\x1b[2J\r\t\x7f"), "\"\\x1b[2J\\x0d\\x09\\x7f\"" },
        { BYTES("zero\0inside"), "\"zero\\x00inside\"" },
        { BYTES("\xc3\xa9"), "\"\\xc3\\xa9\"" },
        { BYTES("\xff\xc2\x9b"), "\"\\xff\\xc2\\x9b\"" },
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO_BUF(expected, 1000);
        const char *text = NULL;
        buf_addf(&expected, HEAD " v=%s end=1\n", CASES[i].written);
        assert_int_equal(buf_text(&expected, &text), RC_OK);
        log_write(d->log, CERT_ISSUED, LOG_BYTES_FIELD("v", CASES[i].value),
                  LOG_NUMBER_FIELD("end", 1));
        assert_string_equal(lines(d), text);
    }
}

static void every_single_byte_stays_inside_one_printable_line(void **state)
{
    struct desk *d = *state;

    for (int i = 0; i < 256; i++) {
        uint8_t byte = (uint8_t)i;
        log_write(d->log, CERT_ISSUED, LOG_BYTES_FIELD("v", ((struct bytes){ &byte, 1 })));
        const char *line = lines(d);
        size_t len = strlen(line);
        assert_int_equal(strcspn(line, "\n"), len - 1);
        for (size_t at = 0; at < len - 1; at++)
            assert_in_range(line[at], 0x20, 0x7e);
    }
}

static void a_missing_text_is_an_empty_one(void **state)
{
    struct desk *d = *state;

    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("v", NULL));
    assert_string_equal(lines(d), HEAD " v=\"\"\n");
}

static void a_long_value_is_cut_and_says_so(void **state)
{
    struct desk *d = *state;
    static char value[1026];

    memset(value, 'v', 1025);
    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("v", value));
    const char *line = lines(d);
    assert_int_equal(strlen(line), strlen(HEAD " v=\"\"\n") + 1024 + 3);
    assert_non_null(strstr(line, "vvv...\"\n"));
    value[1024] = '\0';
    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("v", value));
    assert_int_equal(strlen(lines(d)), strlen(HEAD " v=\n") + 1024);
    memset(value, '\n', 1024);
    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("v", value));
    line = lines(d);
    assert_int_equal(strlen(line), strlen(HEAD " v=\"\"\n") + 1024 + 3);
    assert_non_null(strstr(line, "\\x0a...\"\n"));
    log_write(d->log, CERT_ISSUED, LOG_HEX_FIELD("v", BYTES_OF(value)));
    assert_non_null(strstr(lines(d), "0a0a...\n"));
}

static void a_line_never_exceeds_its_limit(void **state)
{
    struct desk *d = *state;
    static char value[1000];

    memset(value, 'x', sizeof value - 1);
    log_write(d->log, CERT_ISSUED, LOG_TEXT_FIELD("a", value), LOG_TEXT_FIELD("b", value),
              LOG_TEXT_FIELD("c", value), LOG_TEXT_FIELD("d", value),
              LOG_TEXT_FIELD("e", value), LOG_NUMBER_FIELD("small", 7));
    const char *line = lines(d);
    assert_true(strlen(line) <= LINE_LIMIT);
    assert_non_null(strstr(line, " small=7 cut=2\n"));
}

static void a_full_pipe_drops_lines_and_counts_them(void **state)
{
    struct desk *d = *state;
    static char filler[LINE_LIMIT];

    while (write(d->pipe[1], filler, sizeof filler) > 0)
        ;
    fcntl(d->pipe[1], F_SETFL, 0);
    log_write(d->log, STARTED);
    log_write(d->log, STARTED);
    while (read(d->pipe[0], filler, sizeof filler) > 0)
        ;
    log_write(d->log, CERT_ISSUED);
    assert_string_equal(lines(d), HEAD " dropped=2\n");
    log_write(d->log, CERT_ISSUED);
    assert_string_equal(lines(d), HEAD "\n");
}

static void a_failure_carries_its_result_and_reason(void **state)
{
    struct desk *d = *state;

    fault_at("file.c", 12, "profile %s is off", "x");
    log_fault(d->log, CERT_ISSUED, RC_DENIED);
    assert_string_equal(lines(d), HEAD " rc=denied reason=\"file.c:12: profile x is off\"\n");
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_tells_when_who_what_and_its_fields),
        LOG_TEST(events_below_the_level_are_not_written),
        LOG_TEST(no_value_can_end_its_field_or_the_line),
        LOG_TEST(every_single_byte_stays_inside_one_printable_line),
        LOG_TEST(a_missing_text_is_an_empty_one),
        LOG_TEST(a_long_value_is_cut_and_says_so),
        LOG_TEST(a_line_never_exceeds_its_limit),
        LOG_TEST(a_full_pipe_drops_lines_and_counts_them),
        LOG_TEST(a_failure_carries_its_result_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
