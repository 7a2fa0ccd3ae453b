#include "tests/support/check.h"

#include <fcntl.h>
#include <stdlib.h>

#include "audit/action.h"
#include "base/file.h"

enum { PAGE_MAX = 64 * 1024 };

static struct bytes read_page(struct buf *page)
{
    const char *source = getenv("TOUCHMARK_SOURCE");
    AUTO_FD dir = -1;

    assert_non_null(source);
    assert_int_equal(file_open_dir(AT_FDCWD, source, &dir), RC_OK);
    assert_int_equal(file_read(dir, "docs/protocol/audit-record.md", page), RC_OK);
    return buf_bytes(page);
}

static bool holds(struct bytes page, struct bytes line)
{
    for (; page.len >= line.len; page.at++, page.len--)
        if (bytes_start_with(page, line))
            return true;
    return false;
}

static void add_fields(unsigned fields, struct buf *line)
{
    static const struct {
        unsigned field;
        const char *letter;
    } LETTERS[] = { { AUDIT_CERTIFICATE_FIELD, " C" },
                    { AUDIT_POLICY_FIELD, " P" },
                    { AUDIT_AGGREGATE_FIELD, " A" },
                    { AUDIT_TOPIC_FIELD, " T" } };

    for (size_t i = 0; i < sizeof LETTERS / sizeof *LETTERS; i++)
        if ((fields & LETTERS[i].field) != 0)
            buf_addf(line, "%s", LETTERS[i].letter);
    buf_addf(line, " |\n");
}

static void the_page_says_of_each_action_what_the_table_says(void **state)
{
    AUTO_BUF(text, PAGE_MAX);
    struct bytes page = read_page(&text);
    size_t count = 0, missing = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(line, 1024);
        buf_addf(&line, "\n| %d | %s | %s | %s | %s |", rows[i].action, rows[i].name,
                 rows[i].meaning, audit_when_name(rows[i].when),
                 audit_unrecorded_name(rows[i].unrecorded));
        add_fields(rows[i].fields, &line);
        if (!holds(page, buf_bytes(&line))) {
            print_error("missing: %.*s", BYTES_FMT(buf_bytes(&line)));
            missing++;
        }
    }
    assert_int_equal(missing, 0);
}

static void each_action_has_a_rule_that_it_can_follow(void **state)
{
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool counted = rows[i].when == AUDIT_COUNTED || rows[i].when == AUDIT_BY_REQUEST;
        assert_non_null(audit_when_name(rows[i].when));
        assert_non_null(audit_unrecorded_name(rows[i].unrecorded));
        assert_true(!counted || (rows[i].fields & AUDIT_AGGREGATE_FIELD) != 0);
        assert_ptr_equal(audit_action_get(rows[i].action), &rows[i]);
        assert_ptr_equal(audit_action_by_name(bytes_of_text(rows[i].name)), &rows[i]);
        assert_true(i == 0 || rows[i].action > rows[i - 1].action);
    }
    assert_null(audit_when_name((enum audit_when)4));
    assert_null(audit_unrecorded_name((enum audit_unrecorded)4));
}

/* Administration and certificates: one record each, and no act without it. */
static void no_change_of_the_registry_is_done_without_its_own_record(void **state)
{
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool reads = rows[i].when == AUDIT_BY_REQUEST || rows[i].when == AUDIT_NOT_ALONE;
        if (rows[i].action < AUDIT_DEVICE_ADD || rows[i].action >= AUDIT_HANDSHAKE || reads)
            continue;
        assert_int_equal(rows[i].when, AUDIT_EACH);
        if (rows[i].action != AUDIT_CERTIFICATE_ORPHAN)
            assert_int_equal(rows[i].unrecorded, AUDIT_REFUSED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_says_of_each_action_what_the_table_says),
        cmocka_unit_test(each_action_has_a_rule_that_it_can_follow),
        cmocka_unit_test(no_change_of_the_registry_is_done_without_its_own_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
