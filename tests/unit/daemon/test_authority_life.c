#include "daemon/authority_life.h"

#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/store/scratch.h"

enum { RECORDS = 16, BEGAN_MS = 1000000 };

struct hands {
    int64_t wall_ms, monotonic_ms;
};

struct world {
    struct hands hands;
    struct clock clock;
    struct scratch scratch;
    struct store_table tables[DAEMON_AUTHORITY_TABLES];
    struct store_schema schema;
    struct store *store;
    struct loop *loop;
    struct daemon_authority_book book;
    struct daemon_authority_life life;
};

static int64_t wall(void *with)
{
    return ((const struct hands *)with)->wall_ms;
}

static int64_t monotonic(void *with)
{
    return ((const struct hands *)with)->monotonic_ms;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->hands = (struct hands){ BEGAN_MS, 1 };
    w->clock = (struct clock){ wall, monotonic, &w->hands };
    scratch_make(&w->scratch);
    daemon_authority_tables(w->tables);
    w->schema = (struct store_schema){ "registry", 1, w->tables, DAEMON_AUTHORITY_TABLES };
    const struct store_settings settings = { .map_bytes = 64 << 20,
                                             .clock = &w->clock,
                                             .rehearse = true };
    assert_int_equal(store_open(w->scratch.dir, &w->schema, &settings, &w->store), RC_OK);
    assert_int_equal(daemon_authority_book_open(&w->book, &w->clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(&w->book, w->scratch.dir, w->store), RC_OK);
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    loop_disarm(&w->life.timer);
    loop_free(w->loop);
    daemon_authority_book_close(&w->book);
    store_close(w->store);
    scratch_remove(&w->scratch);
    free(w);
    return 0;
}

/* ---- What stands in the log, by index ---- */

struct line {
    enum audit_action action;
    enum audit_decision decision;
    int64_t wall_ms;
    char reason[AUDIT_REASON_MAX + 1];
};

struct lines {
    struct world *w;
    struct line at[RECORDS];
    uint64_t count;
};

static enum rc read_lines(struct store_txn *txn, void *with)
{
    struct lines *lines = with;
    struct audit_record record;
    struct audit_entry entry;
    struct bytes bytes;

    TRY(audit_log_size(lines->w->book.log, txn, &lines->count));
    for (uint64_t i = 0; i < lines->count; i++) {
        AUTO_BUF(form, AUDIT_RECORD_MAX);
        TRY(audit_log_get(lines->w->book.log, txn, i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        TRY(audit_leaf_record(&entry, &form, &record));
        lines->at[i] = (struct line){ record.action, record.decision, record.wall_ms, "" };
        if (record.reason.len > 0)
            memcpy(lines->at[i].reason, record.reason.at, record.reason.len);
    }
    return RC_OK;
}

static struct lines read_log(struct world *w)
{
    struct lines lines = { .w = w };

    assert_int_equal(store_read(w->store, read_lines, &lines), RC_OK);
    return lines;
}

static void begin(struct world *w)
{
    assert_int_equal(daemon_authority_life_begin(&w->life, &w->book, w->store, w->loop,
                                                 BYTES("four eyes: policy"), NULL),
                     RC_OK);
}

static void pass(struct world *w, int64_t wall_ms, int64_t monotonic_ms)
{
    w->hands.wall_ms += wall_ms;
    w->hands.monotonic_ms += monotonic_ms;
    assert_int_equal(loop_turn_once(w->loop, 0), RC_OK);
}

static void a_life_begins_and_ends_and_a_killed_one_is_found(void **state)
{
    static const struct {
        enum audit_action action;
        enum audit_decision decision;
    } ROWS[] = {
        { AUDIT_PROCESS_START, AUDIT_ALLOWED }, { AUDIT_PROCESS_STOP, AUDIT_ALLOWED },
        { AUDIT_PROCESS_START, AUDIT_ALLOWED }, { AUDIT_PROCESS_STOP, AUDIT_FAILED },
        { AUDIT_PROCESS_START, AUDIT_ALLOWED },
    };
    struct world *w = *state;

    begin(w);
    daemon_authority_life_end(&w->life, true);
    daemon_authority_life_end(&w->life, true);
    begin(w); /* and is killed */
    loop_disarm(&w->life.timer);
    begin(w);
    struct lines lines = read_log(w);
    assert_int_equal(lines.count, sizeof ROWS / sizeof *ROWS);
    for (size_t i = 0; i < lines.count; i++) {
        assert_int_equal(lines.at[i].action, ROWS[i].action);
        assert_int_equal(lines.at[i].decision, ROWS[i].decision);
        if (ROWS[i].action == AUDIT_PROCESS_START)
            assert_string_equal(lines.at[i].reason, "four eyes: policy");
    }
}

/* What touchmarkd saw is said, also of a life that ended before it could begin; an end that is
 * not in order is left to be said by the next. */
static void what_touchmarkd_saw_of_a_former_life_is_told(void **state)
{
    struct world *w = *state;

    begin(w);
    daemon_authority_life_end(&w->life, false);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(daemon_authority_life_begin(&w->life, &w->book, w->store, w->loop,
                                                     BYTES(""), "exited with 70"),
                         RC_OK);
        daemon_authority_life_end(&w->life, true);
    }
    struct lines lines = read_log(w);
    assert_int_equal(lines.count, 7);
    for (size_t i = 1; i < lines.count; i += 3) {
        assert_int_equal(lines.at[i].action, AUDIT_PROCESS_STOP);
        assert_int_equal(lines.at[i].decision, AUDIT_FAILED);
        assert_string_equal(lines.at[i].reason, "exited with 70");
        assert_int_equal(lines.at[i + 1].action, AUDIT_PROCESS_START);
    }
}

/* The index is the order: a record that is dated before its neighbour stands behind it. */
static void a_clock_that_steps_is_told_once_and_moves_nothing(void **state)
{
    struct world *w = *state;

    begin(w);
    for (int i = 0; i < 5; i++)
        pass(w, 1000, 1000);
    assert_int_equal(read_log(w).count, 1);
    pass(w, -600000, 1000);
    pass(w, 1000, 1000);
    struct lines lines = read_log(w);
    assert_int_equal(lines.count, 2);
    assert_int_equal(lines.at[1].action, AUDIT_CLOCK_STEP);
    assert_string_equal(lines.at[1].reason,
                        "from 1970-01-01T00:16:46.000Z to 1970-01-01T00:06:45.000Z");
    assert_true(lines.at[1].wall_ms < lines.at[0].wall_ms);
    pass(w, 3600000, 1000);
    daemon_authority_life_end(&w->life, true);
    lines = read_log(w);
    assert_int_equal(lines.count, 4);
    assert_int_equal(lines.at[2].action, AUDIT_CLOCK_STEP);
    assert_int_equal(lines.at[3].action, AUDIT_PROCESS_STOP);
}

/* Somebody set it back while the authority was stopped. */
static void a_clock_that_is_behind_the_former_life_is_told_once(void **state)
{
    struct world *w = *state;

    assert_int_equal(daemon_authority_book_begin(&w->book, w->store), RC_OK);
    begin(w);
    daemon_authority_life_end(&w->life, true);
    uint64_t before = read_log(w).count;
    w->hands.wall_ms -= 1; /* no more than the rounding */
    assert_int_equal(daemon_authority_book_begin(&w->book, w->store), RC_OK);
    assert_int_equal(read_log(w).count, before);
    w->hands = (struct hands){ BEGAN_MS - 600000, 1 };
    for (int life = 0; life < 2; life++) {
        assert_int_equal(daemon_authority_book_begin(&w->book, w->store), RC_OK);
        begin(w);
        daemon_authority_life_end(&w->life, true);
    }
    struct lines lines = read_log(w);
    assert_int_equal(lines.count, before + 5);
    assert_int_equal(lines.at[before].action, AUDIT_CLOCK_STEP);
    assert_string_equal(lines.at[before].reason,
                        "from 1970-01-01T00:16:40.000Z to 1970-01-01T00:06:40.000Z");
    w->hands.wall_ms += 86400000; /* a day off is no step */
    assert_int_equal(daemon_authority_book_begin(&w->book, w->store), RC_OK);
    assert_int_equal(read_log(w).count, before + 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_life_begins_and_ends_and_a_killed_one_is_found),
        TEST(what_touchmarkd_saw_of_a_former_life_is_told),
        TEST(a_clock_that_steps_is_told_once_and_moves_nothing),
        TEST(a_clock_that_is_behind_the_former_life_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
