#include "tests/unit/integration/records.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "integration/jsonl.h"

enum { FILE_MAX = 1024 * 1024 };

struct world {
    char folder[32], path[64];
    int dir;
    struct records records;
    struct integration_outlet_told told;
    struct integration_outlet outlet;
    struct integration_cursor delivered;
    unsigned deliveries;
};

static void on_delivered(void *with, const struct integration_cursor *cursor)
{
    struct world *w = with;

    w->delivered = *cursor;
    w->deliveries++;
}

static void make(struct world *w, enum integration_format format, int64_t rotate)
{
    const struct integration_jsonl_setup setup = { w->path, format, rotate };

    if (w->outlet.kind != NULL) {
        w->outlet.kind->end(w->outlet.outlet);
        w->outlet.kind->free(w->outlet.outlet);
    }
    assert_int_equal(integration_jsonl_new(&setup, &w->told, &w->outlet), RC_OK);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    memcpy(w->folder, "/tmp/test_jsonl.XXXXXX", 23);
    assert_non_null(mkdtemp(w->folder));
    AUTO_BUF(path, sizeof w->path);
    const char *text;
    buf_addf(&path, "%s/audit.jsonl", w->folder);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    memcpy(w->path, text, path.len + 1);
    w->dir = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->told = (struct integration_outlet_told){ .delivered = on_delivered, .with = w };
    records_open(&w->records);
    make(w, INTEGRATION_JSON, 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    DIR *list = opendir(w->folder);

    w->outlet.kind->end(w->outlet.outlet);
    w->outlet.kind->free(w->outlet.outlet);
    records_close(&w->records);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        unlinkat(w->dir, one->d_name, 0);
    closedir(list);
    close(w->dir);
    rmdir(w->folder);
    free(w);
    return 0;
}

static enum rc begin(struct world *w, struct integration_cursor *cursor)
{
    w->outlet.kind->end(w->outlet.outlet);
    return w->outlet.kind->begin(w->outlet.outlet, cursor);
}

static void give(struct world *w, uint64_t first, uint64_t behind)
{
    for (uint64_t i = first; i < behind; i++)
        assert_int_equal(w->outlet.kind->give(w->outlet.outlet, records_plain(&w->records, i)),
                         RC_OK);
    assert_int_equal(w->outlet.kind->flush(w->outlet.outlet), RC_OK);
}

static void read_file(const struct world *w, const char *name, struct buf *text)
{
    assert_int_equal(file_read(w->dir, name, text), RC_OK);
}

/* The indexes in a file are these, one a line, and nothing else is in it. */
static void assert_holds(const struct world *w, const char *name, uint64_t first,
                         uint64_t behind)
{
    AUTO_BUF(text, FILE_MAX);
    struct integration_cursor cursor;

    read_file(w, name, &text);
    struct bytes left = buf_bytes(&text);
    for (uint64_t i = first; i < behind; i++) {
        const uint8_t *end = memchr(left.at, '\n', left.len);
        assert_non_null(end);
        size_t len = (size_t)(end - left.at);
        assert_int_equal(integration_format_read((struct bytes){ left.at, len }, &cursor),
                         RC_OK);
        assert_int_equal(cursor.next, i + 1);
        left = (struct bytes){ end + 1, left.len - len - 1 };
    }
    assert_int_equal(left.len, 0);
}

static void a_page_is_in_the_file_before_it_is_delivered(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { 0 };

    assert_int_equal(begin(w, &cursor), RC_OK);
    give(w, 0, 3);
    assert_int_equal(w->delivered.next, 3);
    assert_holds(w, "audit.jsonl", 0, 3);
    give(w, 3, 3);
    assert_int_equal(w->deliveries, 1);
}

/* A crash at any octet of the last line: what is torn goes, what is whole stays. */
static void a_torn_line_is_cut_off_at_every_length(void **state)
{
    struct world *w = *state;
    static const enum integration_format FORMATS[] = { INTEGRATION_JSON, INTEGRATION_OCSF };

    for (size_t f = 0; f < 2; f++) {
        struct integration_cursor cursor = { 0 };
        AUTO_BUF(whole, FILE_MAX);
        unlinkat(w->dir, "audit.jsonl", 0);
        make(w, FORMATS[f], 0);
        assert_int_equal(begin(w, &cursor), RC_OK);
        give(w, 0, 2);
        struct stat two_lines;
        assert_int_equal(fstatat(w->dir, "audit.jsonl", &two_lines, 0), 0);
        off_t two = two_lines.st_size;
        give(w, 2, 3);
        read_file(w, "audit.jsonl", &whole);
        for (off_t len = two; len < (off_t)whole.len; len++) {
            struct integration_cursor from = { .next = 2 };
            w->outlet.kind->end(w->outlet.outlet);
            assert_int_equal(file_write(w->dir, "audit.jsonl",
                                        (struct bytes){ whole.at, (size_t)len }, 0600),
                             RC_OK);
            assert_int_equal(begin(w, &from), RC_OK);
            assert_int_equal(from.next, 2);
            assert_holds(w, "audit.jsonl", 0, 2);
        }
        give(w, 2, 4);
        assert_holds(w, "audit.jsonl", 0, 4);
    }
}

static void what_the_file_has_past_the_cursor_is_not_written_again(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { 0 };

    assert_int_equal(begin(w, &cursor), RC_OK);
    give(w, 0, 9);
    for (uint64_t at = 0; at <= 9; at++) {
        struct integration_cursor from = { .next = at };
        assert_int_equal(begin(w, &from), RC_OK);
        assert_int_equal(from.next, 9);
        if (at < 9)
            assert_true(bytes_equal(BYTES_OF(from.last.at), BYTES_OF(w->delivered.last.at)));
    }
}

/* Lines that do not lead up to the last one without a gap prove nothing. */
static void a_file_with_a_gap_moves_no_cursor(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { 0 };

    assert_int_equal(begin(w, &cursor), RC_OK);
    give(w, 0, 3);
    give(w, 4, 6);
    for (uint64_t at = 0; at < 4; at++) {
        struct integration_cursor from = { .next = at };
        assert_int_equal(begin(w, &from), RC_OK);
        assert_int_equal(from.next, at);
    }
    struct integration_cursor from = { .next = 100 };
    assert_int_equal(begin(w, &from), RC_OK);
    assert_int_equal(from.next, 100);
}

static void anothers_file_is_left_alone(void **state)
{
    static const struct bytes OTHERS[] = { BYTES("notes without an end"), BYTES("line\nno end"),
                                           BYTES("{\"other\":1") };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        struct integration_cursor cursor = { 0 };
        AUTO_BUF(text, FILE_MAX);
        assert_int_equal(file_write(w->dir, "audit.jsonl", OTHERS[i], 0600), RC_OK);
        assert_int_equal(begin(w, &cursor), RC_MALFORMED);
        read_file(w, "audit.jsonl", &text);
        assert_true(bytes_equal(buf_bytes(&text), OTHERS[i]));
    }
    unlinkat(w->dir, "audit.jsonl", 0);
    struct integration_cursor cursor = { 0 };
    assert_int_equal(symlinkat("/dev/null", w->dir, "audit.jsonl"), 0);
    assert_int_not_equal(begin(w, &cursor), RC_OK);
    unlinkat(w->dir, "audit.jsonl", 0);
    assert_int_equal(mkfifoat(w->dir, "audit.jsonl", 0600), 0);
    assert_int_equal(begin(w, &cursor), RC_DENIED);
}

/* logrotate: moved, and perhaps made again. */
static void a_file_that_was_moved_away_is_left_and_another_begun(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { 0 };

    assert_int_equal(begin(w, &cursor), RC_OK);
    give(w, 0, 2);
    assert_int_equal(renameat(w->dir, "audit.jsonl", w->dir, "audit.jsonl.1"), 0);
    give(w, 2, 5);
    assert_holds(w, "audit.jsonl.1", 0, 2);
    assert_holds(w, "audit.jsonl", 2, 5);
    assert_int_equal(renameat(w->dir, "audit.jsonl", w->dir, "audit.jsonl.2"), 0);
    assert_int_equal(file_write(w->dir, "audit.jsonl", BYTES(""), 0600), RC_OK);
    give(w, 5, 6);
    assert_holds(w, "audit.jsonl.2", 2, 5);
    assert_holds(w, "audit.jsonl", 5, 6);
}

static void a_file_that_is_full_gets_the_next_index_as_its_name(void **state)
{
    struct world *w = *state;
    struct integration_cursor cursor = { 0 };

    make(w, INTEGRATION_JSON, 1000);
    assert_int_equal(begin(w, &cursor), RC_OK);
    give(w, 0, 3);
    give(w, 3, 6);
    give(w, 6, 9);
    assert_holds(w, "audit.jsonl.000000000003", 0, 3);
    assert_holds(w, "audit.jsonl.000000000006", 3, 6);
    assert_holds(w, "audit.jsonl", 6, 9);
}

static void two_writers_are_one_too_many(void **state)
{
    struct world *w = *state;
    struct integration_outlet other;
    const struct integration_jsonl_setup setup = { w->path, INTEGRATION_JSON, 0 };
    struct integration_cursor cursor = { 0 };

    assert_int_equal(begin(w, &cursor), RC_OK);
    assert_int_equal(integration_jsonl_new(&setup, &w->told, &other), RC_OK);
    assert_int_not_equal(other.kind->begin(other.outlet, &cursor), RC_OK);
    other.kind->free(other.outlet);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_in_the_file_before_it_is_delivered),
        TEST(a_torn_line_is_cut_off_at_every_length),
        TEST(what_the_file_has_past_the_cursor_is_not_written_again),
        TEST(a_file_with_a_gap_moves_no_cursor),
        TEST(anothers_file_is_left_alone),
        TEST(a_file_that_was_moved_away_is_left_and_another_begun),
        TEST(a_file_that_is_full_gets_the_next_index_as_its_name),
        TEST(two_writers_are_one_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
