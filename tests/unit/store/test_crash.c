#include "tests/unit/store/scratch.h"

#include "store/feed.h"
#include "store/queue.h"

#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 50, JOBS = 16 };

/* Each job writes its number into two tables and the feed; the child says the number aloud once
 * it is acknowledged. */
struct pair {
    struct store_job job;
    uint64_t number;
    int aloud;
};

static enum rc write_pair(struct store_txn *txn, struct store_job *job)
{
    const struct pair *pair = (struct pair *)job;
    struct store_number key = store_key_number(pair->number);

    TRY(store_txn_put(txn, DEVICES, BYTES_OF(key.at), BYTES("left")));
    TRY(store_feed_add(txn, 1, BYTES_OF(key.at)));
    return store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), BYTES("right"));
}

static void say(struct store_job *job, enum rc rc)
{
    const struct pair *pair = (struct pair *)job;

    if (rc != RC_OK || write(pair->aloud, &pair->number, sizeof pair->number) < 0)
        _exit(3);
}

static void write_until_killed(const struct scratch *scratch, uint64_t from, int aloud)
{
    const struct store_queue_limits limits = { .waiting = JOBS, .group = JOBS };
    struct clock clock = clock_system();
    struct store_settings settings = { .map_bytes = 256 << 20, .clock = &clock };
    struct store *store = NULL;
    struct store_queue *queue = NULL;
    struct pair pairs[JOBS];

    if (store_open(scratch->dir, &SCRATCH_SCHEMA, &settings, &store) != RC_OK ||
        store_queue_new(store, &limits, &queue) != RC_OK)
        _exit(1);
    for (uint64_t number = from;;) {
        for (unsigned i = 0; i < 1 + number % JOBS; i++, number++) {
            pairs[i] = (struct pair){ { .change = write_pair, .done = say }, number, aloud };
            if (store_queue_add(queue, &pairs[i].job) != RC_OK)
                _exit(2);
        }
        if (store_queue_commit(queue) != RC_OK)
            _exit(2);
    }
}

struct count {
    uint64_t said;
    uint64_t devices, numbers, sequence;
};

static enum rc expect_record(void *with, const struct store_record *record)
{
    uint64_t *expected = with;

    assert_int_equal(store_key_read_number(record->body), *expected);
    ++*expected;
    return RC_OK;
}

/* Numbers are 1, 2, 3, ...: whole tables have as many rows as the highest number. */
static enum rc look(struct store_txn *txn, void *with)
{
    struct count *count = with;
    struct store_position position = store_feed_position(txn);
    struct store_number said = store_key_number(count->said);
    struct store_value value;
    uint64_t expected = 1;

    TRY(store_txn_count(txn, DEVICES, &count->devices));
    TRY(store_txn_count(txn, BY_NUMBER, &count->numbers));
    count->sequence = position.sequence;
    position.sequence = 0;
    TRY(store_feed_watch(txn, &position, SIZE_MAX, expect_record, &expected));
    if (count->said == 0)
        return RC_OK;
    TRY(store_txn_get(txn, DEVICES, BYTES_OF(said.at), &value));
    return store_txn_get(txn, BY_NUMBER, BYTES_OF(said.at), &value);
}

/* Let it acknowledge `words` jobs and run on for a moment, kill it, and hear the last it said.
 */
static uint64_t kill_and_listen(const struct scratch *scratch, uint64_t from, unsigned words,
                                long after_us)
{
    uint64_t said = from - 1, number;
    int ends[2], status = 0;
    const struct timespec wait = { .tv_nsec = after_us * 1000 };

    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        write_until_killed(scratch, from, ends[1]);
    }
    close(ends[1]);
    for (; words > 0 && read(ends[0], &number, sizeof number) == sizeof number; words--)
        said = number;
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number)
        said = number;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return said;
}

static void nothing_acknowledged_is_lost_to_kill(void **state)
{
    struct scratch scratch;
    struct clock clock = clock_system();
    struct store_settings settings = { .map_bytes = 256 << 20, .clock = &clock };
    uint64_t from = 1;

    (void)state;
    scratch_make(&scratch);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct store *store = NULL;
        struct count count = { 0 };
        count.said =
            kill_and_listen(&scratch, from, round * 31 % 60, (long)(round * 7919 % 5000));
        assert_int_equal(store_open(scratch.dir, &SCRATCH_SCHEMA, &settings, &store), RC_OK);
        assert_int_equal(store_read(store, look, &count), RC_OK);
        assert_true(count.devices >= count.said);
        assert_int_equal(count.devices, count.numbers);
        assert_int_equal(count.devices, count.sequence);
        assert_int_equal(store_sequence(store), count.sequence);
        assert_int_equal(store_revision(store), count.sequence);
        store_close(store);
        from = count.devices + 1;
    }
    assert_true(from > ROUNDS);
    scratch_remove(&scratch);
}

/* A small disk of its own, where a test may mount one. */
static void small_disk(struct scratch *scratch, struct store **store, struct clock *clock)
{
    *clock = clock_system();
    const struct store_settings settings = { .map_bytes = 256 << 20, .clock = clock };

    scratch_make(scratch);
    close(scratch->dir);
    if (mount("tmpfs", scratch->path, "tmpfs", 0, "size=1m") != 0) {
        rmdir(scratch->path);
        skip();
    }
    scratch->dir = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_open(scratch->dir, &SCRATCH_SCHEMA, &settings, store), RC_OK);
}

static void unmount(struct scratch *scratch, struct store *store)
{
    store_close(store);
    close(scratch->dir);
    assert_int_equal(umount(scratch->path), 0);
    rmdir(scratch->path);
}

struct rows {
    struct store_job job;
    uint64_t from, count;
    bool answered;
    enum rc answer;
};

static enum rc put_rows(struct store_txn *txn, struct store_job *job)
{
    static const uint8_t VALUE[1000] = { 1 };
    const struct rows *rows = (struct rows *)job;

    for (uint64_t i = 0; i < rows->count; i++) {
        struct store_number key = store_key_number(rows->from + i);
        TRY(store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), BYTES_OF(VALUE)));
    }
    return RC_OK;
}

static void note(struct store_job *job, enum rc rc)
{
    struct rows *rows = (struct rows *)job;

    assert_false(rows->answered);
    rows->answered = true;
    rows->answer = rc;
}

static enum rc put_fifty(struct store_txn *txn, void *with)
{
    struct rows rows = { .from = *(uint64_t *)with, .count = 50 };

    return put_rows(txn, &rows.job);
}

static enum rc count_numbers(struct store_txn *txn, void *with)
{
    return store_txn_count(txn, BY_NUMBER, with);
}

static void full_disk_applies_nothing_and_heals(void **state)
{
    struct scratch scratch;
    struct clock clock;
    struct store *store = NULL;
    uint64_t from = 0, before = 0, after = 0;
    enum rc rc = RC_OK;

    (void)state;
    small_disk(&scratch, &store, &clock);
    for (; rc == RC_OK; from += 50) {
        before = from;
        rc = store_write(store, put_fifty, &from);
    }
    assert_int_equal(rc, RC_LIMIT);
    assert_int_equal(store_read(store, count_numbers, &after), RC_OK);
    assert_int_equal(after, before);
    assert_int_equal(mount("tmpfs", scratch.path, "tmpfs", MS_REMOUNT, "size=2m"), 0);
    assert_int_equal(store_write(store, put_fifty, &from), RC_OK);
    assert_int_equal(store_read(store, count_numbers, &after), RC_OK);
    assert_int_equal(after, before + 50);
    unmount(&scratch, store);
}

static void a_job_too_large_for_the_disk_takes_no_neighbour_down(void **state)
{
    enum { COUNT = 7, LARGE = 4 };
    const struct store_queue_limits limits = { .waiting = COUNT, .group = COUNT };
    struct scratch scratch;
    struct clock clock;
    struct store *store = NULL;
    struct store_queue *queue = NULL;
    struct rows jobs[COUNT];
    uint64_t rows = 0;

    (void)state;
    small_disk(&scratch, &store, &clock);
    assert_int_equal(store_queue_new(store, &limits, &queue), RC_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        jobs[i] = (struct rows){ .job = { .change = put_rows, .done = note },
                                 .from = i * 10000,
                                 .count = i == LARGE ? 2000 : 10 };
        assert_int_equal(store_queue_add(queue, &jobs[i].job), RC_OK);
    }
    assert_int_equal(store_queue_commit(queue), RC_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(jobs[i].answered);
        assert_int_equal(jobs[i].answer, i == LARGE ? RC_LIMIT : RC_OK);
    }
    assert_int_equal(store_read(store, count_numbers, &rows), RC_OK);
    assert_int_equal(rows, (COUNT - 1) * 10);
    assert_int_equal(store_revision(store), COUNT - 1);
    store_queue_free(queue);
    unmount(&scratch, store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_to_kill),
        cmocka_unit_test(full_disk_applies_nothing_and_heals),
        cmocka_unit_test(a_job_too_large_for_the_disk_takes_no_neighbour_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
