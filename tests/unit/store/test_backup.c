#include "tests/unit/store/scratch.h"

#include "store/backup.h"

#include <string.h>

struct world {
    struct scratch scratch, copy;
    struct clock clock;
    struct store_settings settings;
    struct store *store;
};

static enum rc fill(struct store_txn *txn, void *with)
{
    static const uint8_t VALUE[3000] = { 1 };

    for (unsigned i = 0; i < *(unsigned *)with; i++) {
        struct store_number key = store_key_number(i);
        TRY(store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), (struct bytes){ VALUE, i % 3000 }));
        TRY(store_feed_add(txn, 1, BYTES_OF(key.at)));
    }
    return RC_OK;
}

static enum rc refuse_after_filling(struct store_txn *txn, void *with)
{
    TRY(fill(txn, with));
    return fault(RC_DENIED, "undo");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    scratch_make(&w->scratch);
    scratch_make(&w->copy);
    w->clock = clock_system();
    w->settings =
        (struct store_settings){ .map_bytes = 64 << 20, .clock = &w->clock, .rehearse = true };
    assert_int_equal(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &w->store),
                     RC_OK);
    for (unsigned count = 500; count > 0; count -= 100) {
        assert_int_equal(store_write(w->store, fill, &count), RC_OK);
        assert_int_equal(store_write(w->store, refuse_after_filling, &count), RC_DENIED);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    scratch_remove(&w->scratch);
    scratch_remove(&w->copy);
    free(w);
    return 0;
}

static enum rc get_position(struct store_txn *txn, void *with)
{
    *(struct store_position *)with = store_feed_position(txn);
    return RC_OK;
}

static enum rc count_numbers(struct store_txn *txn, void *with)
{
    return store_txn_count(txn, BY_NUMBER, with);
}

static enum rc watch_none(void *with, const struct store_record *record)
{
    (void)with;
    (void)record;
    return fault(RC_DENIED, "nothing was expected");
}

static enum rc watch(struct store_txn *txn, void *with)
{
    return store_feed_watch(txn, with, 10, watch_none, NULL);
}

static void a_copy_put_to_work_holds_all_and_begins_a_new_life(void **state)
{
    struct world *w = *state;
    struct store_copy made = { 0 }, checked = { 0 };
    struct store_position before, after;
    uint64_t count = 0;

    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &made), RC_OK);
    assert_int_equal(store_write(w->store, fill, &(unsigned){ 1 }), RC_OK);
    assert_int_equal(store_backup_check(w->copy.dir, &checked), RC_OK);
    assert_memory_equal(&made, &checked, sizeof made);
    assert_int_equal(made.revision, 5);
    assert_int_equal(made.position.sequence, 1500);
    store_close(w->store);
    w->store = NULL;

    assert_int_equal(store_open(w->copy.dir, &SCRATCH_SCHEMA, &w->settings, &w->store), RC_OK);
    assert_int_equal(store_revision(w->store), 5);
    assert_int_equal(store_read(w->store, count_numbers, &count), RC_OK);
    assert_int_equal(count, 500);
    assert_int_equal(store_read(w->store, watch, &made.position), RC_NOT_FOUND);
    assert_int_equal(store_read(w->store, get_position, &after), RC_OK);
    store_close(w->store);
    assert_int_equal(store_open(w->copy.dir, &SCRATCH_SCHEMA, &w->settings, &w->store), RC_OK);
    assert_int_equal(store_read(w->store, get_position, &before), RC_OK);
    assert_memory_not_equal(&before, &after, sizeof before); /* not adopted: a new life again */
    assert_int_equal(store_backup_adopt(w->store), RC_OK);
    assert_int_equal(store_read(w->store, watch, &before), RC_OK);
    assert_int_equal(store_backup_check(w->copy.dir, &checked), RC_NOT_FOUND);
    assert_int_equal(store_backup_adopt(w->store), RC_OK);
    store_close(w->store);
    w->store = NULL;

    assert_int_equal(store_open(w->copy.dir, &SCRATCH_SCHEMA, &w->settings, &w->store), RC_OK);
    assert_int_equal(store_read(w->store, get_position, &after), RC_OK);
    assert_memory_equal(&before, &after, sizeof before);
}

static void copies_never_overwrite(void **state)
{
    struct world *w = *state;
    struct store_copy copy;

    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &copy), RC_OK);
    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &copy), RC_EXISTS);
    assert_int_equal(store_backup_check(w->copy.dir, &copy), RC_OK);
    assert_int_equal(store_backup_copy(w->store, w->scratch.dir, &copy), RC_EXISTS);
}

static void flip(const struct world *w, const char *name, off_t at)
{
    uint8_t byte = 0;
    int fd = openat(w->copy.dir, name, O_RDWR | O_CLOEXEC);

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void cut(const struct world *w, uint64_t len)
{
    int fd = openat(w->copy.dir, "data.mdb", O_RDWR | O_CLOEXEC);

    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    close(fd);
}

static void any_altered_byte_of_a_copy_is_seen(void **state)
{
    struct world *w = *state;
    struct store_copy copy = { 0 }, found = { 0 };

    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &copy), RC_OK);
    for (off_t at = 0; at < (off_t)copy.bytes; at += 39989) {
        flip(w, "data.mdb", at);
        assert_int_equal(store_backup_check(w->copy.dir, &found), RC_CORRUPT);
        flip(w, "data.mdb", at);
    }
    flip(w, "store.copy", 3);
    assert_int_equal(store_backup_check(w->copy.dir, &found), RC_CORRUPT);
    flip(w, "store.copy", 3);
    cut(w, copy.bytes - 4096);
    assert_int_equal(store_backup_check(w->copy.dir, &found), RC_CORRUPT);
    assert_int_equal(found.bytes, 0);
}

static void an_unfinished_copy_is_none(void **state)
{
    struct world *w = *state;
    struct store_copy copy;

    assert_int_equal(store_backup_check(w->copy.dir, &copy), RC_NOT_FOUND);
    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &copy), RC_OK);
    unlinkat(w->copy.dir, "store.copy", 0);
    assert_int_equal(store_backup_check(w->copy.dir, &copy), RC_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_put_to_work_holds_all_and_begins_a_new_life,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_never_overwrite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_altered_byte_of_a_copy_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unfinished_copy_is_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
