#include "tests/unit/integration/records.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "integration/ocsf.h"
#include "integration/syslog_message.h"

enum { GOLDEN_MAX = 1024 * 1024 };

static const struct integration_syslog_style TEXT = { INTEGRATION_TEXT, "host-1",
                                                      "touchmark@32473" };

/* ---- One record of each action, with every field that it may have ---- */

static const uint8_t HASH[AUDIT_HASH] = { 0xab, 0xcd };
static const uint8_t OTHER_HASH[AUDIT_HASH] = { 0x12 };

static struct audit_record sample(const struct audit_action_row *row, size_t place)
{
    static const struct audit_certificate SHOWN = {
        { HASH, AUDIT_HASH }, { HASH, 2 }, { OTHER_HASH, AUDIT_HASH }, { HASH, AUDIT_HASH }
    };
    struct audit_record record = {
        .action = row->action,
        .decision = place % 3 == 0   ? AUDIT_ALLOWED
                    : place % 3 == 1 ? AUDIT_DENIED
                                     : AUDIT_FAILED,
        .wall_ms = 1795348800123 + (int64_t)place,
        .monotonic_ms = 5,
        .correlation = { 1, 2, (uint8_t)place },
        .source = place % 2 == 0 ? AUDIT_FROM_OPERATOR_DOOR : AUDIT_FROM_DEVICE_DOOR,
        .source_sequence = place + 1,
        .actor_kind = (enum audit_actor_kind)(place % 5),
        .actor = place % 5 == 0 ? BYTES("") : BYTES("who-1"),
        .actor_certificate = SHOWN,
        .device = BYTES("pump-17"),
        .target = place % 2 == 0 ? BYTES("device pump-17") : BYTES("plant/\xc3\xa9/\"]\\"),
        .peer = place % 2 == 0 ? BYTES("192.0.2.1:5") : BYTES("[2001:db8::1]:55000"),
        .tls = BYTES("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        .reason = BYTES("as it was"),
    };

    if (row->fields & AUDIT_CERTIFICATE_FIELD)
        record.certificate = SHOWN;
    if (row->fields & AUDIT_POLICY_FIELD) {
        record.policy_version = 3;
        record.rule = 9;
    }
    if (row->fields & AUDIT_AGGREGATE_FIELD)
        record.aggregate =
            (struct audit_aggregate_part){ 5, 1795348800001, 1795348800120, 4, true };
    return record;
}

static void add_line(struct buf *out, struct records *r, const struct audit_record *record,
                     uint64_t index, bool erased)
{
    const struct audit_hit *hit = records_hit(r, index, record, erased);

    assert_int_equal(integration_format_write(INTEGRATION_JSON, hit, out), RC_OK);
    buf_addf(out, "\n");
    assert_int_equal(integration_format_write(INTEGRATION_OCSF, hit, out), RC_OK);
    buf_addf(out, "\n");
    assert_int_equal(integration_syslog_write(&TEXT, hit, out), RC_OK);
    buf_addf(out, "\n");
}

/* Three lines an action: JSON, OCSF, syslog; then an erased record. */
static void write_all(struct buf *out)
{
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);
    struct records r;

    records_open(&r);
    for (size_t i = 0; i < count; i++) {
        const struct audit_record record = sample(&rows[i], i);
        add_line(out, &r, &record, i, false);
    }
    const struct audit_record record = sample(&rows[0], 0);
    add_line(out, &r, &record, count, true);
    records_close(&r);
}

static void read_golden(struct buf *golden)
{
    AUTO_BUF(path, 1024);
    const char *text = NULL, *source = getenv("TOUCHMARK_SOURCE");
    uint8_t room[4096];

    buf_addf(&path, "%s/tests/golden/export/records.txt", source == NULL ? "." : source);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    AUTO_FD fd = open(text, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;)
        buf_add(golden, (struct bytes){ room, (size_t)n });
}

/* On purpose: test_integration_format --write > tests/golden/export/records.txt */
static void every_action_is_exported_as_committed(void **state)
{
    AUTO_BUF(written, GOLDEN_MAX);
    AUTO_BUF(golden, GOLDEN_MAX);

    (void)state;
    write_all(&written);
    read_golden(&golden);
    assert_false(written.broken);
    assert_true(bytes_equal(buf_bytes(&written), buf_bytes(&golden)));
}

/* ---- OCSF ---- */

static void every_action_has_a_class(void **state)
{
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++)
        if (integration_ocsf_row(rows[i].action) == NULL)
            fail_msg("%s has no row in integration/ocsf.c", rows[i].name);
}

static void a_line_says_where_it_stands(void **state)
{
    static const enum integration_format FORMATS[] = { INTEGRATION_JSON, INTEGRATION_OCSF };
    struct integration_cursor behind;
    struct records r;

    (void)state;
    records_open(&r);
    for (size_t i = 0; i < 2; i++) {
        AUTO_BUF(line, INTEGRATION_RECORD_MAX);
        const struct audit_hit *hit = records_plain(&r, 41);
        assert_int_equal(integration_format_write(FORMATS[i], hit, &line), RC_OK);
        assert_int_equal(integration_format_read(buf_bytes(&line), &behind), RC_OK);
        assert_int_equal(behind.next, 42);
        assert_true(bytes_equal(BYTES_OF(behind.last.at), BYTES_OF(hit->leaf.at)));
        for (size_t len = 0; len < line.len; len++)
            assert_int_equal(integration_format_read((struct bytes){ line.at, len }, &behind),
                             RC_MALFORMED);
    }
    records_close(&r);
}

/* ---- Syslog ---- */

static struct bytes message_of(struct bytes frame)
{
    size_t space = 0;

    while (space < frame.len && frame.at[space] != ' ')
        space++;
    return (struct bytes){ frame.at + space + 1, frame.len - space - 1 };
}

static void the_frame_counts_its_octets_and_values_are_escaped(void **state)
{
    static const char EXPECTED[] =
        "<108>1 2026-11-22T12:00:00.123Z host-1 touchmark device-door publish "
        "[touchmark@32473 index=\"7\" leaf=\"";
    struct audit_record record = { .action = AUDIT_PUBLISH,
                                   .decision = AUDIT_DENIED,
                                   .wall_ms = 1795348800123,
                                   .source = AUDIT_FROM_DEVICE_DOOR,
                                   .actor_kind = AUDIT_DEVICE,
                                   .actor = BYTES("dev-1"),
                                   .target = BYTES("a\"b\\c]d\xc3\xa9") };
    AUTO_BUF(frame, INTEGRATION_SYSLOG_MAX + 16);
    AUTO_BUF(counted, 32);
    const char *text;
    struct records r;

    (void)state;
    records_open(&r);
    assert_int_equal(
        integration_syslog_write(&TEXT, records_hit(&r, 7, &record, false), &frame), RC_OK);
    struct bytes message = message_of(buf_bytes(&frame));
    buf_addf(&counted, "%zu ", message.len);
    assert_true(bytes_start_with(buf_bytes(&frame), buf_bytes(&counted)));
    assert_true(bytes_start_with(message, bytes_of_text(EXPECTED)));
    assert_int_equal(buf_text(&frame, &text), RC_OK);
    assert_non_null(strstr(text, " target=\"a\\\"b\\\\c\\]d\xc3\xa9\""));
    assert_non_null(strstr(text, "] \xef\xbb\xbfpublish denied by device dev-1, "
                                 "target a\"b\\c]d\xc3\xa9"));
    records_close(&r);
}

/* Every field as long as it may be, of what needs the most octets when escaped. */
static void the_longest_record_fits_a_message(void **state)
{
    static const enum integration_format FORMATS[] = { INTEGRATION_JSON, INTEGRATION_OCSF,
                                                       INTEGRATION_TEXT };
    static const struct {
        const char *letter;
        size_t len;
    } LETTERS[] = { { "\"", 1 }, { "\xc3\xa9", 2 }, { "\xf0\x9f\x98\x80", 4 } };
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);
    struct records r;

    (void)state;
    records_open(&r);
    for (size_t i = 0; i < 3 * 3 * count; i++) {
        char text[AUDIT_TARGET_MAX];
        for (size_t at = 0; at < sizeof text; at++)
            text[at] = LETTERS[i / 3 % 3].letter[at % LETTERS[i / 3 % 3].len];
        const struct bytes all = { (const uint8_t *)text, 0 };
        struct audit_record record = sample(&rows[i / 9], 3);
        struct integration_syslog_style style = TEXT;
        AUTO_BUF(frame, INTEGRATION_SYSLOG_MAX + 16);
        style.format = FORMATS[i % 3];
        record.target = (struct bytes){ all.at, AUDIT_TARGET_MAX };
        record.reason = (struct bytes){ all.at, AUDIT_REASON_MAX };
        record.tls = (struct bytes){ all.at, AUDIT_TLS_MAX };
        record.peer = record.actor = record.device = (struct bytes){ all.at, AUDIT_ID_MAX };
        const struct audit_hit *hit = records_hit(&r, INT64_MAX, &record, false);
        if (integration_syslog_write(&style, hit, &frame) != RC_OK)
            fail_msg("%s in format %d with %s: %s", rows[i / 9].name, style.format,
                     LETTERS[i / 3 % 3].letter, fault_text());
    }
    records_close(&r);
}

static void wrong_names_are_refused(void **state)
{
    static const struct {
        const char *host, *sd_id;
        enum rc rc;
    } ROWS[] = {
        { "", "touchmark@32473", RC_OK },
        { "h", "a@1.2", RC_OK },
        { "a host", "a@1", RC_MALFORMED },
        { "h\xc3\xa9", "a@1", RC_MALFORMED },
        { "h", "touchmark", RC_MALFORMED },
        { "h", "@1", RC_MALFORMED },
        { "h", "a@", RC_MALFORMED },
        { "h", "a@x", RC_MALFORMED },
        { "h", "a]@1", RC_MALFORMED },
        { "h", "a b@1", RC_MALFORMED },
        { "h", "a@1.", RC_MALFORMED },
        { "h", "a@b@1", RC_MALFORMED },
        { "h", "a234567890123456789012345678901@1", RC_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct integration_syslog_style style = { INTEGRATION_TEXT, ROWS[i].host,
                                                        ROWS[i].sd_id };
        assert_int_equal(integration_syslog_check(&style), ROWS[i].rc);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_action_is_exported_as_committed),
        cmocka_unit_test(every_action_has_a_class),
        cmocka_unit_test(a_line_says_where_it_stands),
        cmocka_unit_test(the_frame_counts_its_octets_and_values_are_escaped),
        cmocka_unit_test(the_longest_record_fits_a_message),
        cmocka_unit_test(wrong_names_are_refused),
    };

    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        AUTO_BUF(written, GOLDEN_MAX);
        write_all(&written);
        return fwrite(written.at, 1, written.len, stdout) == written.len ? 0 : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
