#include "tests/unit/store/scratch.h"

#include "base/file.h"
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

/* ---- That it was put back is written down once ---- */

static enum rc record_copy(struct store_txn *txn, void *with)
{
    struct store_number key = store_key_number(7);

    TRY(store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), BYTES("put back")));
    TRY(store_backup_record(txn));
    return *(const bool *)with ? RC_OK : fault(RC_DENIED, "undo");
}

static void open_copy(struct world *w)
{
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(store_open(w->copy.dir, &SCRATCH_SCHEMA, &w->settings, &w->store), RC_OK);
}

static void a_copy_is_recorded_once(void **state)
{
    struct world *w = *state;
    struct store_position before, after;
    struct scratch second;
    struct store_copy made;
    struct bytes note;

    assert_false(store_backup_unrecorded(w->store, &note));
    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &made), RC_OK);
    assert_int_equal(store_backup_note(w->copy.dir, BYTES("by hand")), RC_OK);
    assert_int_equal(store_backup_check(w->copy.dir, &made), RC_OK);
    open_copy(w);
    assert_true(store_backup_unrecorded(w->store, &note));
    assert_true(bytes_equal_text(note, "by hand"));
    assert_int_equal(store_write(w->store, record_copy, &(bool){ false }), RC_DENIED);
    open_copy(w);
    assert_true(store_backup_unrecorded(w->store, &note));
    assert_int_equal(store_read(w->store, get_position, &before), RC_OK);
    assert_int_equal(store_write(w->store, record_copy, &(bool){ true }), RC_OK);
    assert_int_equal(faccessat(w->copy.dir, STORE_BACKUP_MANIFEST, F_OK, 0), 0);

    open_copy(w); /* as after a kill between the record and its adoption */
    assert_false(store_backup_unrecorded(w->store, &note));
    assert_int_not_equal(faccessat(w->copy.dir, STORE_BACKUP_MANIFEST, F_OK, 0), 0);
    assert_int_equal(store_read(w->store, get_position, &after), RC_OK);
    assert_memory_equal(before.lineage, after.lineage, sizeof after.lineage);

    scratch_make(&second);
    assert_int_equal(store_backup_copy(w->store, second.dir, &made), RC_OK);
    struct scratch first = w->copy;
    w->copy = second;
    open_copy(w);
    assert_true(store_backup_unrecorded(w->store, &note)); /* another copy than that one */
    assert_int_equal(note.len, 0);
    store_close(w->store);
    w->store = NULL;
    scratch_remove(&second);
    w->copy = first;
}

static void a_note_is_one_short_line(void **state)
{
    static const uint8_t LONG[STORE_NOTE_MAX + 1] = { 0 };
    struct world *w = *state;
    struct store_copy made;
    char text[STORE_NOTE_MAX + 1] = "";
    struct bytes note;

    assert_int_equal(store_backup_note(w->copy.dir, BYTES("none")), RC_NOT_FOUND);
    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &made), RC_OK);
    assert_int_equal(store_backup_note(w->copy.dir, BYTES("two\nlines")), RC_MALFORMED);
    assert_int_equal(store_backup_note(w->copy.dir, BYTES_OF(LONG)), RC_LIMIT);
    memset(text, 'x', STORE_NOTE_MAX);
    assert_int_equal(store_backup_note(w->copy.dir, BYTES("short")), RC_OK);
    assert_int_equal(store_backup_note(w->copy.dir, bytes_of_text(text)), RC_OK);
    open_copy(w);
    assert_true(store_backup_unrecorded(w->store, &note));
    assert_true(bytes_equal_text(note, text));
}

static void a_damaged_manifest_opens_nothing(void **state)
{
    static const char *const BAD[] = {
        "",
        "touchmark store copy 1\n",
        "touchmark store copy 1\nbytes 4096\nsha256 00",
        "touchmark store copy 2\nbytes 4096\nsha256 00\n",
        "touchmark store copy 1\nbytes 4096\nsha256 00\nrestored x",
        "touchmark store copy 1\nbytes 4096\nsha256 00\nrestored x\ny\n",
        "touchmark store copy 1\nbytes 4096\nsha256 00\nanother line\n",
    };
    struct world *w = *state;
    struct store_copy made;
    struct store *store = NULL;

    assert_int_equal(store_backup_copy(w->store, w->copy.dir, &made), RC_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(
            file_write(w->copy.dir, STORE_BACKUP_MANIFEST, bytes_of_text(BAD[i]), 0600), RC_OK);
        assert_int_equal(store_open(w->copy.dir, &SCRATCH_SCHEMA, &w->settings, &store),
                         RC_CORRUPT);
        assert_int_equal(store_backup_note(w->copy.dir, BYTES("note")), RC_CORRUPT);
    }
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
        cmocka_unit_test_setup_teardown(a_copy_is_recorded_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_note_is_one_short_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_manifest_opens_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_never_overwrite, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_altered_byte_of_a_copy_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unfinished_copy_is_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
