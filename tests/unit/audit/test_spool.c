#include "tests/unit/audit/logs.h"

#include "audit/spool.h"

#include "base/file.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct ground {
    char path[32];
    int dir;
};

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof *g);

    logs_folder(g->path, &g->dir);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;

    logs_folder_remove(g->path, g->dir);
    free(g);
    return 0;
}

static struct audit_spool *open_under(const struct ground *g, const struct clock *clock,
                                      uint64_t bytes_max)
{
    const struct journal_limits limits = { 4096, bytes_max };
    struct audit_spool *spool = NULL;

    assert_int_equal(audit_spool_open(g->dir, &limits, clock, &spool), RC_OK);
    return spool;
}

static struct audit_spool *open_spool(const struct ground *g, uint64_t bytes_max)
{
    const struct clock clock = clock_system();

    return open_under(g, &clock, bytes_max);
}

static struct audit_record numbered(uint64_t number)
{
    return (struct audit_record){ .action = AUDIT_PUBLISH,
                                  .decision = AUDIT_DENIED,
                                  .wall_ms = (int64_t)number };
}

/* Pull all after this sequence in small batches; record n has wall_ms n. Returns the last. */
static uint64_t pull(struct audit_spool *spool, uint64_t after)
{
    for (;;) {
        AUTO_BUF(bytes, 1024);
        struct audit_batch batch;
        struct audit_record record;
        struct bytes one;
        uint64_t sequence, before = after;
        assert_int_equal(audit_spool_read(spool, after, 1024, &bytes), RC_OK);
        assert_int_equal(audit_batch_read(buf_bytes(&bytes), &batch), RC_OK);
        while (audit_batch_next(&batch, &sequence, &one) == RC_OK) {
            assert_int_equal(audit_record_read(one, &record), RC_OK);
            assert_int_equal(sequence, ++after);
            assert_int_equal(record.wall_ms, sequence);
        }
        if (after == before)
            return after;
    }
}

/* Tells each committed number to the other side of the pipe, until killed. */
static void write_until_killed(const struct ground *g, int tell, uint64_t from)
{
    struct audit_spool *spool = open_spool(g, 64 << 20);

    for (uint64_t n = from;; n++) {
        struct audit_record record = numbered(n);
        if (audit_spool_add(spool, &record) != RC_OK || audit_spool_commit(spool) != RC_OK ||
            write(tell, &n, sizeof n) != sizeof n)
            _exit(1);
    }
}

static void loses_no_committed_record_to_kill_9(void **state)
{
    const struct ground *g = *state;
    uint64_t told = 0, pulled = 0;

    for (unsigned round = 0; round < 8; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            write_until_killed(g, ends[1], pulled + 1);
        close(ends[1]);
        for (unsigned i = 0; i < 5 + 7 * round; i++)
            assert_int_equal(read(ends[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(ends[0], &told, sizeof told) == sizeof told)
            continue;
        close(ends[0]);
        AUTO_OF(audit_spool) *spool = open_spool(g, 64 << 20);
        pulled = pull(spool, pulled);
        assert_true(pulled >= told);
    }
}

static void refuses_when_full_until_the_authority_has_pulled(void **state)
{
    AUTO_OF(audit_spool) *spool = open_spool(*state, 20000);
    uint64_t n = 1;
    enum rc rc;

    for (;; n++) {
        struct audit_record record = numbered(n);
        rc = audit_spool_add(spool, &record);
        if (rc != RC_OK)
            break;
        assert_int_equal(audit_spool_commit(spool), RC_OK);
    }
    assert_int_equal(rc, RC_LIMIT);
    assert_int_equal(pull(spool, 0), n - 1);
    struct audit_record record = numbered(n);
    assert_int_equal(audit_spool_add(spool, &record), RC_OK);
    assert_int_equal(audit_spool_commit(spool), RC_OK);
    assert_int_equal(pull(spool, n - 1), n);
}

/* One commit may be all that there is room for, and a reader has all of it before he asks
 * again.
 */
static void one_segment_that_is_full_leaves_when_all_was_pulled(void **state)
{
    AUTO_OF(audit_spool) *spool = open_spool(*state, 20000);
    uint64_t n = 0;

    for (unsigned round = 0; round < 5; round++) {
        uint64_t before = n;
        struct audit_record record = numbered(n + 1);
        while (audit_spool_add(spool, &record) == RC_OK)
            record = numbered(++n + 1);
        assert_true(n > before + 50);
        assert_int_equal(audit_spool_commit(spool), RC_OK);
        assert_int_equal(pull(spool, before), n);
        assert_int_equal(audit_spool_add(spool, &record), RC_LIMIT);
        assert_int_equal(audit_spool_trim(spool, n), RC_OK);
        assert_int_equal(audit_spool_trim(spool, n), RC_OK);
    }
}

static void add_one(struct audit_spool *spool, uint64_t number)
{
    struct audit_record record = numbered(number);

    assert_int_equal(audit_spool_add(spool, &record), RC_OK);
    assert_int_equal(audit_spool_commit(spool), RC_OK);
}

/* Over several segments, which are trimmed behind him. */
static void a_reader_goes_on_where_he_stopped(void **state)
{
    AUTO_OF(audit_spool) *spool = open_spool(*state, 64 << 20);
    uint64_t read = 0;

    for (uint64_t n = 1; n <= 600; n++) {
        add_one(spool, n);
        if (n % 7 == 0) {
            read = pull(spool, read);
            assert_int_equal(read, n);
        }
    }
    assert_int_equal(audit_spool_sequence(spool), 600);
}

/* An answer that was lost: what did not fit, or came since, must not hide what was read. */
static void a_reader_may_ask_for_the_same_again(void **state)
{
    enum { SMALL = 200 };
    AUTO_OF(audit_spool) *spool = open_spool(*state, 64 << 20);
    AUTO_BUF(first, SMALL);
    AUTO_BUF(second, SMALL);

    for (uint64_t n = 1; n <= 20; n++)
        add_one(spool, n);
    assert_int_equal(pull(spool, 3), 20);
    for (uint64_t n = 21; n <= 40; n++)
        add_one(spool, n);
    assert_int_equal(audit_spool_read(spool, 20, SMALL, &first), RC_OK);
    assert_int_equal(audit_spool_read(spool, 20, SMALL, &second), RC_OK);
    assert_true(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    assert_int_equal(pull(spool, 22), 40);
}

static void refuses_a_reader_that_knows_more_than_it_has(void **state)
{
    AUTO_OF(audit_spool) *spool = open_spool(*state, 20000);
    AUTO_BUF(batch, 1024);

    assert_int_equal(audit_spool_read(spool, 1, 1024, &batch), RC_DENIED);
    assert_int_equal(audit_spool_read(spool, 0, 1024, &batch), RC_OK);
    for (size_t len = 0; len < batch.len; len++) {
        struct audit_batch read;
        assert_int_equal(audit_batch_read((struct bytes){ batch.at, len }, &read),
                         RC_MALFORMED);
    }
}

/* ---- What was acknowledged goes from the disk ---- */

static bool is_there(const struct ground *g, const char *text)
{
    bool found = false;
    DIR *list = opendir(g->path);

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list)) {
        AUTO_BUF(bytes, 1 << 20);
        if (one->d_name[0] != '.' && file_read(g->dir, one->d_name, &bytes) == RC_OK)
            found = found || memmem(bytes.at, bytes.len, text, strlen(text)) != NULL;
    }
    closedir(list);
    return found;
}

static void add_of(struct audit_spool *spool, const char *device, uint64_t number)
{
    struct audit_record record = numbered(number);

    record.actor_kind = AUDIT_DEVICE;
    record.actor = bytes_of_text(device);
    assert_int_equal(audit_spool_add(spool, &record), RC_OK);
    assert_int_equal(audit_spool_commit(spool), RC_OK);
}

static void what_is_acknowledged_goes_from_the_disk(void **state)
{
    enum { HOURS = 3600 * 1000 };
    const struct ground *g = *state;
    int64_t now = 0;
    const struct clock clock = { logs_hand, logs_hand, &now };
    struct audit_spool *spool = open_under(g, &clock, 1 << 20);

    add_of(spool, "pump-seventeen", 1);
    assert_int_equal(audit_spool_forget(spool, 0), RC_OK); /* not acknowledged */
    assert_true(is_there(g, "pump-seventeen"));
    assert_int_equal(audit_spool_forget(spool, 1), RC_OK);
    assert_false(is_there(g, "pump-seventeen"));
    add_of(spool, "pump-eighteen", 2);
    assert_int_equal(pull(spool, 1), 2);
    now = 6 * HOURS - 1;
    assert_int_equal(audit_spool_forget(spool, 2), RC_OK);
    assert_true(is_there(g, "pump-eighteen"));
    now++;
    assert_int_equal(audit_spool_forget(spool, 2), RC_OK);
    assert_false(is_there(g, "pump-eighteen"));
    add_of(spool, "pump-nineteen", 3); /* it goes on, also in another life */
    assert_int_equal(pull(spool, 2), 3);
    audit_spool_close(spool);
    spool = open_under(g, &clock, 1 << 20);
    assert_int_equal(audit_spool_sequence(spool), 3);
    assert_true(is_there(g, "pump-nineteen"));
    assert_int_equal(audit_spool_forget(spool, 3), RC_OK);
    assert_false(is_there(g, "pump-nineteen"));
    add_of(spool, "pump-twenty", 4);
    assert_int_equal(pull(spool, 3), 4);
    audit_spool_close(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loses_no_committed_record_to_kill_9, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_when_full_until_the_authority_has_pulled,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_segment_that_is_full_leaves_when_all_was_pulled,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_goes_on_where_he_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_may_ask_for_the_same_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_reader_that_knows_more_than_it_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_acknowledged_goes_from_the_disk, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
