#include "tests/unit/store/scratch.h"

#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>

struct put {
    unsigned table;
    struct bytes key, value;
};

static enum rc put(struct store_txn *txn, void *with)
{
    const struct put *what = with;

    return store_txn_put(txn, what->table, what->key, what->value);
}

static enum rc holds(struct store_txn *txn, void *with)
{
    const struct put *what = with;
    struct store_value value;

    TRY(store_txn_get(txn, what->table, what->key, &value));
    return bytes_equal(value.bytes, what->value) ? RC_OK : fault(RC_DENIED, "another value");
}

struct world {
    struct scratch scratch;
    struct clock clock;
    struct store_settings settings;
    struct store *store;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    scratch_make(&w->scratch);
    w->clock = clock_system();
    w->settings = (struct store_settings){ .map_bytes = 8 << 20, .clock = &w->clock };
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    scratch_remove(&w->scratch);
    free(w);
    return 0;
}

static enum rc open_with(struct world *w, const struct store_schema *schema)
{
    return store_open(w->scratch.dir, schema, &w->settings, &w->store);
}

static void reopen(struct world *w)
{
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(open_with(w, &SCRATCH_SCHEMA), RC_OK);
}

static struct put ONE = { DEVICES, { (const uint8_t *)"one", 3 }, { (const uint8_t *)"1", 1 } };

static void remembers_across_a_restart(void **state)
{
    struct world *w = *state;

    reopen(w);
    assert_int_equal(store_revision(w->store), 0);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
    assert_int_equal(store_revision(w->store), 1);
    reopen(w);
    assert_int_equal(store_revision(w->store), 1);
    assert_int_equal(store_read(w->store, holds, &ONE), RC_OK);
}

static void second_opener_is_told_that_it_is_busy(void **state)
{
    struct world *w = *state;
    struct store *second = NULL;
    int status = 0;

    reopen(w);
    assert_int_equal(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &second),
                     RC_BUSY);
    assert_null(second);
    pid_t child = fork();
    if (child == 0)
        _exit(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &second) == RC_BUSY
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
}

static void stale_lock_file_of_the_dead_does_no_harm(void **state)
{
    struct world *w = *state;
    uint8_t noise[8192];

    reopen(w);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
    store_close(w->store);
    w->store = NULL;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 37);
    int fd = openat(w->scratch.dir, "lock.mdb", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, noise, sizeof noise), sizeof noise);
    close(fd);
    reopen(w);
    assert_int_equal(store_read(w->store, holds, &ONE), RC_OK);
}

static void another_schema_is_denied(void **state)
{
    static const struct store_table OTHER_KEY[] = { { "devices", STORE_KEY_NUMBER, 1024 } };
    static const struct store_schema REFUSED[] = {
        { "elsewhere", 1, SCRATCH_TABLES, 2 },
        { "scratch", 2, SCRATCH_TABLES, 2 },
        { "scratch", 0, SCRATCH_TABLES, 2 },
        { "scratch", 1, OTHER_KEY, 1 },
    };
    struct world *w = *state;

    reopen(w);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
    store_close(w->store);
    w->store = NULL;
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        assert_int_equal(open_with(w, &REFUSED[i]), RC_DENIED);
        assert_null(w->store);
    }
    reopen(w);
    assert_int_equal(store_read(w->store, holds, &ONE), RC_OK);
}

static void a_new_table_is_made_when_opened(void **state)
{
    static const struct store_table MORE[] = {
        [DEVICES] = { "devices", STORE_KEY_BYTES, 1024 },
        [BY_NUMBER] = { "by_number", STORE_KEY_NUMBER, 4096 },
        { "third", STORE_KEY_BYTES, 16 },
    };
    static const struct store_schema GROWN = { "scratch", 1, MORE, 3 };
    struct world *w = *state;
    struct put third = { 2, BYTES("k"), BYTES("v") };

    reopen(w);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(open_with(w, &GROWN), RC_OK);
    assert_int_equal(store_write(w->store, put, &third), RC_OK);
    assert_int_equal(store_read(w->store, holds, &ONE), RC_OK);
}

static void an_unfinished_creation_is_done_again(void **state)
{
    static const uint8_t ZEROS[8192];
    static const size_t LENGTHS[] = { 0, 1, 4096, 8192 };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        scratch_empty(&w->scratch);
        int fd = openat(w->scratch.dir, "data.mdb", O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, ZEROS, LENGTHS[i]), LENGTHS[i]);
        close(fd);
        reopen(w);
        assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
        store_close(w->store);
        w->store = NULL;
    }
}

static enum rc put_then_get_a_value_too_long(struct store_txn *txn, void *with)
{
    uint8_t bytes[4097] = { 1 };
    const struct store_number key = store_key_number(7);

    (void)with;
    assert_int_equal(
        store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), (struct bytes){ bytes, 4096 }), RC_OK);
    return store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), (struct bytes){ bytes, 4097 });
}

struct filling {
    unsigned from, count;
};

static enum rc fill(struct store_txn *txn, void *with)
{
    const struct filling *filling = with;
    static const uint8_t VALUE[1000] = { 1 };

    for (unsigned i = 0; i < filling->count; i++) {
        struct store_number key = store_key_number(filling->from + i);
        TRY(store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), BYTES_OF(VALUE)));
    }
    return RC_OK;
}

static enum rc count_rows(struct store_txn *txn, void *with)
{
    return store_txn_count(txn, BY_NUMBER, with);
}

static void full_map_applies_nothing_and_stays_usable(void **state)
{
    struct world *w = *state;
    struct filling filling = { 0, 100 };
    uint64_t before = 0, after = 0;
    enum rc rc = RC_OK;

    w->settings.map_bytes = 1 << 20;
    reopen(w);
    while (rc == RC_OK) {
        assert_int_equal(store_read(w->store, count_rows, &before), RC_OK);
        rc = store_write(w->store, fill, &filling);
        filling.from += filling.count;
        assert_true(filling.from < 4000);
    }
    assert_int_equal(rc, RC_LIMIT);
    assert_int_equal(store_read(w->store, count_rows, &after), RC_OK);
    assert_int_equal(after, before);
    assert_true(before >= 100);
    assert_int_equal(store_write(w->store, put, &ONE), RC_OK);
    w->settings.map_bytes = 8 << 20;
    reopen(w);
    assert_int_equal(store_read(w->store, holds, &ONE), RC_OK);
    assert_int_equal(store_write(w->store, fill, &filling), RC_OK);
    assert_int_equal(store_read(w->store, count_rows, &after), RC_OK);
    assert_int_equal(after, before + 100);
}

/* What the engine refused cannot be committed by looking away. */
static enum rc fill_and_look_away(struct store_txn *txn, void *with)
{
    enum rc rc = fill(txn, with);

    assert_int_equal(rc, RC_LIMIT);
    return RC_OK;
}

static void a_refusal_of_the_engine_cannot_be_overlooked(void **state)
{
    struct world *w = *state;
    struct filling filling = { 0, 4000 };
    uint64_t after = 1;

    w->settings.map_bytes = 1 << 20;
    reopen(w);
    assert_int_equal(store_write(w->store, fill_and_look_away, &filling), RC_LIMIT);
    assert_int_equal(store_read(w->store, count_rows, &after), RC_OK);
    assert_int_equal(after, 0);
}

static void values_keep_to_their_table_bound(void **state)
{
    struct world *w = *state;
    uint64_t count = 1;

    reopen(w);
    assert_int_equal(store_write(w->store, put_then_get_a_value_too_long, NULL), RC_LIMIT);
    assert_int_equal(store_read(w->store, count_rows, &count), RC_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers_across_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(second_opener_is_told_that_it_is_busy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(stale_lock_file_of_the_dead_does_no_harm, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_schema_is_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_table_is_made_when_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unfinished_creation_is_done_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(full_map_applies_nothing_and_stays_usable, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_of_the_engine_cannot_be_overlooked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(values_keep_to_their_table_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
