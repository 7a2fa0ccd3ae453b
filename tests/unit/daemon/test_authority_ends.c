/* What the log says of the lives of those that write no records: in this process, on a store of
 * its own, without a signer. */
#include "daemon/authority_state.h"

#include "tests/unit/daemon/authority_world.h"

#include "daemon/control.h"

enum { SEEN = 32 };

struct seen {
    size_t count;
    struct {
        enum audit_action action;
        enum audit_decision decision;
        int64_t wall_ms;
        char actor[32], reason[AUDIT_REASON_MAX + 1];
    } at[SEEN];
};

struct here {
    struct world *w;
    struct store *store;
    struct loop *loop;
    struct daemon_authority_book book;
    struct deadly deadly;
    struct daemon_authority *authority;
    int full; /* what w->blocked points to */
    struct seen seen;
};

static enum rc see(struct store_txn *txn, void *with)
{
    struct here *here = with;
    uint64_t count = 0;

    here->seen.count = 0;
    TRY(audit_log_size(here->book.log, txn, &count));
    for (uint64_t i = 0; i < count && here->seen.count < SEEN; i++) {
        AUTO_BUF(form, AUDIT_RECORD_MAX);
        struct audit_record record;
        struct audit_entry entry;
        struct bytes bytes;
        TRY(audit_log_get(here->book.log, txn, i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        TRY(audit_leaf_record(&entry, &form, &record));
        if (record.action != AUDIT_PROCESS_START && record.action != AUDIT_PROCESS_STOP)
            continue;
        size_t at = here->seen.count++;
        memset(&here->seen.at[at], 0, sizeof here->seen.at[at]);
        here->seen.at[at].action = record.action;
        here->seen.at[at].decision = record.decision;
        here->seen.at[at].wall_ms = record.wall_ms;
        memcpy(here->seen.at[at].actor, record.actor.at, record.actor.len);
        if (record.reason.len > 0)
            memcpy(here->seen.at[at].reason, record.reason.at, record.reason.len);
    }
    return RC_OK;
}

static const struct seen *look(struct here *here)
{
    assert_int_equal(store_read(here->store, see, here), RC_OK);
    return &here->seen;
}

static int set_up(void **state)
{
    struct here *here = calloc(1, sizeof *here);
    struct world *w = make_world();

    assert_non_null(here);
    here->w = w;
    w->blocked = &here->full;
    here->store = open_store(w);
    assert_int_equal(loop_new(&w->signing.clock, &here->loop), RC_OK);
    assert_int_equal(daemon_authority_book_open(&here->book, &w->signing.clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(&here->book, w->scratch.dir, here->store),
                     RC_OK);
    here->deadly = (struct deadly){ w, daemon_authority_book_audit(&here->book) };
    const struct daemon_authority_setup setup = {
        .loop = here->loop,
        .clock = &w->signing.clock,
        .store = here->store,
        .backups = -1,
        .recover = -1,
        .tiles = -1,
        .audit = { .append = append,
                   .ask = ask_log,
                   .with = &here->deadly,
                   .log = here->book.log,
                   .key = &here->book.key },
        .check_policy = check_policy,
        .settings = { .crl_every_ms = 3600000, .crl_valid_ms = 7 * 86400000 },
    };
    assert_int_equal(daemon_authority_new(&setup, &here->authority), RC_OK);
    *state = here;
    return 0;
}

static int tear_down(void **state)
{
    struct here *here = *state;
    void *world = here->w;

    daemon_authority_free(here->authority);
    daemon_authority_book_close(&here->book);
    store_close(here->store);
    loop_free(here->loop);
    free(here);
    return clean(&world);
}

static struct daemon_end end_of(const char *process, int status, bool asked, uint32_t pid)
{
    struct daemon_end end = daemon_end_of(process, status, asked);

    end.pid = pid;
    end.wall_ms = TBS_NOW_S * INT64_C(1000) + pid;
    return end;
}

static void an_end_is_told_once_and_as_it_was(void **state)
{
    static const struct {
        const char *process;
        int status;
        bool asked;
        enum audit_decision decision;
        const char *reason;
    } ROWS[] = {
        { "signer", SIGKILL, false, AUDIT_FAILED, "killed by SIGKILL, pid 1" },
        { "device-door", SIGSYS, false, AUDIT_FAILED, "killed by the jail (SIGSYS), pid 2" },
        { "operator-door", 70 << 8, true, AUDIT_FAILED, "exited with 70, pid 3" },
        { "exporter", 0, true, AUDIT_ALLOWED, "ended as it was asked to, pid 4" },
        { "signer", 0, false, AUDIT_FAILED,
          "exited with 0, which touchmarkd had not asked for, pid 5" },
    };
    enum { COUNT = sizeof ROWS / sizeof *ROWS };
    struct here *here = *state;

    for (uint32_t i = 0; i < 2 * COUNT; i++) { /* each twice: the first answer was lost */
        const struct daemon_end end =
            end_of(ROWS[i / 2].process, ROWS[i / 2].status, ROWS[i / 2].asked, i / 2 + 1);
        assert_int_equal(daemon_authority_ended(here->authority, &end), RC_OK);
    }
    const struct daemon_end orderly = end_of("device-door", 0, true, 6);
    assert_int_equal(daemon_authority_ended(here->authority, &orderly), RC_OK);
    const struct seen *seen = look(here);
    assert_int_equal(seen->count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(seen->at[i].action, AUDIT_PROCESS_STOP);
        assert_int_equal(seen->at[i].decision, ROWS[i].decision);
        assert_string_equal(seen->at[i].actor, ROWS[i].process);
        assert_string_equal(seen->at[i].reason, ROWS[i].reason);
        assert_int_equal(seen->at[i].wall_ms, TBS_NOW_S * INT64_C(1000) + (int64_t)i + 1);
    }
}

/* In the order in which it happened, whoever has what is still to be told. */
static void what_finds_no_room_is_told_when_there_is_some(void **state)
{
    struct here *here = *state;
    struct loop_timer *again = &here->authority->starts.again;
    struct daemon_end end = end_of("signer", SIGKILL, false, 1);

    here->full = 1;
    daemon_authority_tell_start(here->authority, "exporter", RC_OK, "it asks");
    assert_int_equal(daemon_authority_ended(here->authority, &end), RC_LIMIT);
    daemon_authority_tell_start(here->authority, "signer", RC_OK, "its journal is read");
    assert_int_equal(again->due(again), RC_OK);
    assert_int_equal(look(here)->count, 0);
    here->full = 0;
    assert_int_equal(again->due(again), RC_OK); /* the end is told before what came after it */
    end.lost = 2;
    assert_int_equal(daemon_authority_ended(here->authority, &end), RC_OK);
    const struct seen *seen = look(here);
    assert_int_equal(seen->count, 3);
    assert_int_equal(seen->at[0].action, AUDIT_PROCESS_STOP);
    assert_string_equal(seen->at[0].reason,
                        "killed by SIGKILL, pid 1; 2 more ends before it found no room");
    assert_string_equal(seen->at[1].actor, "exporter");
    assert_string_equal(seen->at[2].reason, "its journal is read");
}

static void what_there_is_no_place_for_is_counted(void **state)
{
    struct here *here = *state;
    struct loop_timer *again = &here->authority->starts.again;

    here->full = 1;
    for (int i = 0; i < DAEMON_AUTHORITY_STARTS + 3; i++)
        daemon_authority_tell_start(here->authority, "exporter", RC_OK, "it asks");
    here->full = 0;
    assert_int_equal(again->due(again), RC_OK);
    const struct seen *seen = look(here);
    assert_int_equal(seen->count, DAEMON_AUTHORITY_STARTS);
    assert_string_equal(seen->at[0].reason, "it asks; 3 more found no room");
    assert_string_equal(seen->at[1].reason, "it asks");
}

/* What is still to be told when the authority ends is tried once more. */
static void an_authority_that_ends_tells_first(void **state)
{
    struct here *here = *state;

    here->full = 1;
    daemon_authority_tell_start(here->authority, "signer", RC_CORRUPT, "it was rolled back");
    here->full = 0;
    daemon_authority_free(here->authority);
    here->authority = NULL;
    const struct seen *seen = look(here);
    assert_int_equal(seen->count, 1);
    assert_int_equal(seen->at[0].decision, AUDIT_FAILED);
    assert_string_equal(seen->at[0].reason, "it was rolled back");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_end_is_told_once_and_as_it_was),
        TEST(what_finds_no_room_is_told_when_there_is_some),
        TEST(what_there_is_no_place_for_is_counted),
        TEST(an_authority_that_ends_tells_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
