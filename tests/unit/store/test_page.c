#include "tests/unit/store/scratch.h"

#include "store/page.h"

#include <lmdb.h>
#include <string.h>

/* A store of some depth, with overflow pages and free pages, as bytes. */
struct world {
    struct scratch scratch;
    struct clock clock;
    struct store_settings settings;
    uint8_t *file;
    size_t len;
};

static enum rc fill(struct store_txn *txn, void *with)
{
    static const uint8_t VALUE[4000] = { 1 };
    unsigned step = *(unsigned *)with;

    for (unsigned i = 0; i < 3000; i += step) {
        struct store_number key = store_key_number(i);
        TRY(store_txn_put(txn, DEVICES, BYTES_OF(key.at), (struct bytes){ VALUE, 100 + step }));
        if (i % 100 == 0)
            TRY(store_txn_put(txn, BY_NUMBER, BYTES_OF(key.at), BYTES_OF(VALUE)));
    }
    return RC_OK;
}

static void read_file(struct world *w)
{
    struct stat stat;
    int fd = openat(w->scratch.dir, "data.mdb", O_RDONLY | O_CLOEXEC);

    assert_int_equal(fstat(fd, &stat), 0);
    w->len = (size_t)stat.st_size;
    w->file = malloc(w->len);
    assert_int_equal(read(fd, w->file, w->len), w->len);
    close(fd);
}

static void write_file(const struct world *w, const uint8_t *bytes, size_t len)
{
    int fd = openat(w->scratch.dir, "data.mdb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static enum rc open_once(struct world *w)
{
    struct store *store = NULL;

    enum rc rc = store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &store);
    store_close(store);
    return rc;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct store *store = NULL;

    scratch_make(&w->scratch);
    w->clock = clock_system();
    w->settings = (struct store_settings){ .map_bytes = 64 << 20, .clock = &w->clock };
    assert_int_equal(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &store), RC_OK);
    for (unsigned step = 1; step < 4; step++)
        assert_int_equal(store_write(store, fill, &step), RC_OK);
    store_close(store);
    read_file(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    scratch_remove(&w->scratch);
    free(w->file);
    free(w);
    return 0;
}

static void a_whole_file_passes(void **state)
{
    struct world *w = *state;
    struct bytes file = { w->file, w->len };

    assert_true(w->len > 500000);
    assert_int_equal(store_page_check(file, false), RC_OK);
    assert_int_equal(store_page_check(file, true), RC_OK);
}

static void every_cut_page_is_seen(void **state)
{
    struct world *w = *state;
    size_t whole = w->len;

    /* Pages at the very end may be free ones: what they held is not missed. */
    while (store_page_check((struct bytes){ w->file, whole - 4096 }, true) == RC_OK)
        whole -= 4096;
    for (size_t len = 0; len < whole; len += len < 10000 ? 101 : 4096)
        assert_int_equal(store_page_check((struct bytes){ w->file, len }, true), RC_CORRUPT);
}

/* The engine gets to see only what passed: no bit of the headers may crash what follows. */
static void flipped_header_bits_do_no_harm(void **state)
{
    struct world *w = *state;
    unsigned refused = 0;

    for (size_t bit = 0; bit < 2 * 152 * 8; bit += 3) {
        size_t at = bit / 8 < 152 ? bit / 8 : 4096 + bit / 8 - 152;
        w->file[at] ^= (uint8_t)(1u << bit % 8);
        write_file(w, w->file, w->len);
        enum rc rc = open_once(w);
        assert_true(rc == RC_OK || rc == RC_CORRUPT || rc == RC_NOMEM || rc == RC_IO);
        refused += rc == RC_CORRUPT;
        w->file[at] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 100);
}

static void damaged_pages_never_lead_outside(void **state)
{
    struct world *w = *state;
    uint64_t dice = 1;
    unsigned refused = 0;
    uint8_t *exact = malloc(w->len); /* so that one byte too far is seen by the sanitizer */

    for (unsigned i = 0; i < 3000; i++) {
        memcpy(exact, w->file, w->len);
        for (unsigned hits = 0; hits < 1 + i % 4; hits++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            size_t page = (size_t)(dice >> 40) % (w->len / 4096), at = (dice >> 20) % 40;
            exact[page * 4096 + at] = (uint8_t)(dice >> 56);
        }
        refused += store_page_check((struct bytes){ exact, w->len }, true) == RC_CORRUPT;
    }
    free(exact);
    assert_true(refused > 500);
}

static void what_is_no_store_is_refused(void **state)
{
    static const size_t LENGTHS[] = { 1, 15, 151, 152, 4095, 4096, 8191, 8192, 8193, 70000 };
    struct world *w = *state;
    uint8_t *noise = malloc(70000);

    for (size_t i = 0; i < 70000; i++)
        noise[i] = (uint8_t)(i * 131 + 7);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        write_file(w, noise, LENGTHS[i]);
        assert_int_equal(open_once(w), RC_CORRUPT);
    }
    free(noise);
    unlinkat(w->scratch.dir, "data.mdb", 0);
    assert_int_equal(mkdirat(w->scratch.dir, "data.mdb", 0700), 0);
    assert_int_equal(open_once(w), RC_CORRUPT);
    unlinkat(w->scratch.dir, "data.mdb", AT_REMOVEDIR);
    assert_int_equal(symlinkat("/etc/passwd", w->scratch.dir, "data.mdb"), 0);
    assert_int_equal(open_once(w), RC_IO);
}

/* LMDB itself, in a folder that no store has open: what another program would leave. */
static void put_with_lmdb(struct world *w, const char *table, const char *key,
                          struct bytes value)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi handle;
    MDB_val at = { strlen(key), (void *)(uintptr_t)key };
    MDB_val is = { value.len, (void *)(uintptr_t)value.at };

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
    assert_int_equal(mdb_env_open(env, w->scratch.path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, MDB_CREATE, &handle), 0);
    assert_int_equal(mdb_put(txn, handle, &at, &is, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void another_programs_tables_are_refused(void **state)
{
    struct world *w = *state;

    scratch_empty(&w->scratch);
    put_with_lmdb(w, "theirs", "key", BYTES("value"));
    assert_int_equal(open_once(w), RC_CORRUPT);
    scratch_empty(&w->scratch);
    put_with_lmdb(w, NULL, "key", BYTES("value"));
    assert_int_equal(open_once(w), RC_CORRUPT);
}

static void a_newer_format_is_denied_in_clear_words(void **state)
{
    struct world *w = *state;

    put_with_lmdb(w, ".store", "format", BYTES("\0\0\0\2\0\7scratch\0\0\0\1 and more"));
    assert_int_equal(open_once(w), RC_DENIED);
    assert_non_null(strstr(fault_text(), "format 2"));
    put_with_lmdb(w, ".store", "format", BYTES("\0\0\0\1\0\7scratch\0\0\0\1 and more"));
    assert_int_equal(open_once(w), RC_CORRUPT);
    put_with_lmdb(w, ".store", "format", BYTES("\0\0\0\1\0\7scratch\0\0\0\1"));
    assert_int_equal(open_once(w), RC_OK);
    put_with_lmdb(w, ".store", "state", BYTES("short"));
    assert_int_equal(open_once(w), RC_CORRUPT);
}

static enum rc get_one(struct store_txn *txn, void *with)
{
    struct store_value value;

    return store_txn_get(txn, DEVICES, bytes_of_text(with), &value);
}

static void a_value_without_its_head_is_corrupt(void **state)
{
    struct world *w = *state;
    struct store *store = NULL;

    put_with_lmdb(w, "devices", "cut", BYTES("1234567"));
    put_with_lmdb(w, "devices", "uncut", BYTES("12345678"));
    assert_int_equal(store_open(w->scratch.dir, &SCRATCH_SCHEMA, &w->settings, &store), RC_OK);
    assert_int_equal(store_read(store, get_one, (void *)(uintptr_t) "uncut"), RC_OK);
    assert_int_equal(store_read(store, get_one, (void *)(uintptr_t) "cut"), RC_CORRUPT);
    /* Damage met while changing: the store stops. */
    assert_int_equal(store_write(store, get_one, (void *)(uintptr_t) "cut"), RC_CORRUPT);
    assert_int_equal(store_write(store, fill, &(unsigned){ 100 }), RC_IO);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_file_passes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_cut_page_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_header_bits_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_pages_never_lead_outside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_store_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_programs_tables_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_format_is_denied_in_clear_words, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_value_without_its_head_is_corrupt, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
