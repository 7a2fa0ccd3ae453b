/* A store of which something is altered or missing: it is told, stops nothing that need not
 * stop, and what can be made anew is. */
#include "tests/unit/audit/searches.h"

#include <lmdb.h>

#include "audit/erase.h"
#include "audit/log_state.h"

enum { LENGTH = 1300 };

/* ---- Growing, by pieces ---- */

struct growth {
    struct searches *w;
    struct searches_adding adding, after;
    size_t to;
};

static enum rc add_up_to(struct store_txn *txn, void *with)
{
    struct growth *growth = with;
    struct searches_adding adding = growth->adding;

    for (size_t i = growth->w->count; i < growth->to; i++)
        TRY(searches_add(&adding, txn, &growth->w->records[i]));
    growth->after = adding;
    return RC_OK;
}

static enum rc grow(struct growth *growth, size_t to)
{
    growth->to = to;
    TRY(store_write(growth->w->logs->store, add_up_to, growth));
    growth->adding = growth->after;
    growth->w->count = to;
    return RC_OK;
}

/* One that nothing of which is remembered. */
static void open_again(struct logs *logs)
{
    unsigned far_blocks = logs->log->far_blocks;

    audit_log_free(logs->log);
    assert_int_equal(audit_log_new(0, &logs->log), RC_OK);
    logs_unlock(logs->log);
    logs->log->far_blocks = far_blocks;
}

static struct growth begun(struct searches *w, size_t count)
{
    struct growth growth = { .w = w, .adding = { .w = w } };

    w->logs->log->far_blocks = 2;
    searches_fill(w, LENGTH);
    w->count = 0;
    assert_int_equal(grow(&growth, count), RC_OK);
    return growth;
}

static enum rc index_some(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    bool more = true;

    return audit_log_index(w->logs->log, txn, &more);
}

static enum rc index_all(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    bool more = true;

    while (more)
        TRY(audit_log_index(w->logs->log, txn, &more));
    return RC_OK;
}

static void check_some(struct searches *w, uint64_t dice)
{
    for (unsigned i = 0; i < 40; i++) {
        struct searches_asked asked = { .w = w, .query = searches_query(w, &dice) };
        unsigned pages = 0;
        searches_check(&asked, &pages);
    }
}

/* ---- Damage ---- */

struct hurting {
    unsigned table;
    struct bytes prefix; /* of the first such row */
    size_t at;           /* this octet; or the last one if there are less */
};

static enum rc hurt(struct store_txn *txn, void *with)
{
    const struct hurting *hurting = with;
    const struct store_range range = { .prefix = hurting->prefix };
    AUTO_BUF(row, STORE_KEY_MAX);
    AUTO_BUF(altered, AUDIT_STORED_MAX);
    struct store_value value;
    struct bytes key;
    struct store_cursor *cursor = NULL;

    TRY(store_cursor_open(txn, hurting->table, &range, &cursor));
    enum rc rc = store_cursor_next(cursor, &key, &value);
    if (rc == RC_OK) {
        buf_add(&row, key);
        buf_add(&altered, value.bytes);
    }
    store_cursor_close(cursor);
    TRY(rc);
    altered.at[hurting->at < altered.len ? hurting->at : altered.len - 1] ^= 0x55;
    return store_txn_put(txn, hurting->table, buf_bytes(&row), buf_bytes(&altered));
}

static void hurt_row(struct searches *w, unsigned table, struct bytes prefix, size_t at)
{
    struct hurting hurting = { table, prefix, at };

    assert_int_equal(store_write(w->logs->store, hurt, &hurting), RC_OK);
}

static void hurt_record(struct searches *w, uint64_t index)
{
    const struct store_number key = store_key_number(index);

    hurt_row(w, AUDIT_ENTRIES, BYTES_OF(key.at), SIZE_MAX);
}

static enum rc take_away(struct store_txn *txn, void *with)
{
    const struct hurting *row = with;

    return store_txn_remove(txn, row->table, row->prefix);
}

/* ---- Records that cannot be read ---- */

static enum rc ask_all(struct searches *w, uint64_t before)
{
    struct searches_asked all = { .w = w, .query = { .most = 10, .before = before } };

    return store_read(w->logs->store, searches_ask, &all);
}

static void an_unreadable_record_stops_nothing_but_who_reads_it(void **state)
{
    struct searches *w = *state;
    struct growth growth = begun(w, 700);

    hurt_record(w, 600);
    open_again(w->logs);
    assert_int_equal(grow(&growth, 768), RC_OK); /* the last one of its block */
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_int_equal(grow(&growth, LENGTH), RC_OK);
    assert_int_equal(ask_all(w, 600), RC_OK);
    assert_int_equal(ask_all(w, 601), RC_CORRUPT);
    assert_int_equal(store_write(w->logs->store, searches_forget_index, NULL), RC_OK);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_int_equal(ask_all(w, 601), RC_CORRUPT);
}

/* By what its head says, so that whoever asks for that is told. */
static void an_unreadable_record_is_found_by_its_head(void **state)
{
    struct searches *w = *state;
    struct growth growth = begun(w, 600);
    struct searches_asked asked = { .w = w, .query = { .most = 1 } };

    hurt_record(w, 520);
    open_again(w->logs);
    assert_int_equal(grow(&growth, 770), RC_OK);
    asked.query.actions = audit_action_set_of(w->records[520].action);
    asked.query.before = 521;
    assert_int_equal(store_read(w->logs->store, searches_ask, &asked), RC_CORRUPT);
}

/* ---- Rows of the index ---- */

/* Where a row's first cell says how many octets of places it has. */
enum { LENGTH_OF_CELL = 5 };

static void search_for_all_decisions(struct searches *w, enum rc expected)
{
    struct searches_asked asked = {
        .w = w, .query = { .most = AUDIT_QUERY_MOST, .decisions = 1 << AUDIT_DENIED }
    };

    asked.query.actor = BYTES("dev-10");
    while (store_read(w->logs->store, searches_ask, &asked) == RC_OK && asked.more)
        asked.query.before = asked.next;
    assert_int_equal(store_read(w->logs->store, searches_ask, &asked), expected);
}

static void a_damaged_row_is_told_once_and_made_anew(void **state)
{
    static const uint8_t BLOCK[] = { AUDIT_INDEX_BLOCK, 0, 0, 0, 4 },
                         FAR[] = { AUDIT_INDEX_FAR, 0, 0, 0, 1 };
    struct searches *w = *state;

    begun(w, LENGTH);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    for (unsigned i = 0; i < 2; i++) {
        hurt_row(w, AUDIT_SEARCH, i == 0 ? BYTES_OF(BLOCK) : BYTES_OF(FAR), LENGTH_OF_CELL);
        search_for_all_decisions(w, RC_CORRUPT);
        assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
        search_for_all_decisions(w, RC_OK);
        check_some(w, 3 + i);
    }
}

/* Also by a log that was just opened, as a start does it. */
static void merging_makes_anew_what_it_meets(void **state)
{
    static const uint8_t BLOCK[] = { AUDIT_INDEX_BLOCK, 0, 0, 0, 1 };
    struct searches *w = *state;

    begun(w, LENGTH);
    hurt_row(w, AUDIT_SEARCH, BYTES_OF(BLOCK), LENGTH_OF_CELL);
    open_again(w->logs);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    check_some(w, 5);
}

struct erasing {
    struct searches *w;
    struct audit_erasure erasure;
    bool finished;
};

static enum rc begin_erasing(struct store_txn *txn, void *with)
{
    const struct erasing *erasing = with;
    uint64_t limit = 0;

    return audit_erase_begin(erasing->w->logs->log, txn, AUDIT_DEVICE, BYTES("dev-10"), &limit);
}

static enum rc go_on_erasing(struct store_txn *txn, void *with)
{
    struct erasing *erasing = with;
    AUTO_BUF(room, 256);

    return audit_erase_step(erasing->w->logs->log, txn, 100, &room, &erasing->erasure,
                            &erasing->finished);
}

static void erasing_makes_anew_what_it_meets(void **state)
{
    static const uint8_t BLOCK[] = { AUDIT_INDEX_BLOCK, 0, 0, 0, 1 },
                         FAR[] = { AUDIT_INDEX_FAR, 0, 0, 0, 0 };
    struct searches *w = *state;
    struct erasing erasing = { .w = w };

    begun(w, LENGTH);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_int_equal(store_write(w->logs->store, begin_erasing, &erasing), RC_OK);
    hurt_row(w, AUDIT_SEARCH, BYTES_OF(BLOCK), LENGTH_OF_CELL);
    hurt_row(w, AUDIT_SEARCH, BYTES_OF(FAR), LENGTH_OF_CELL);
    for (unsigned i = 0; i < 100 && !erasing.finished; i++) {
        enum rc rc = store_write(w->logs->store, go_on_erasing, &erasing);
        if (rc != RC_OK) /* the way there was damaged: it is mended by the next step */
            assert_int_equal(rc, RC_CORRUPT);
        assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    }
    assert_true(erasing.finished);
    assert_true(erasing.erasure.records > 20);
}

/* ---- Rows that are missing, or were another's ---- */

static void an_erasure_does_not_end_at_a_missing_record(void **state)
{
    struct searches *w = *state;
    struct erasing erasing = { .w = w };
    uint64_t at = 300;

    begun(w, LENGTH);
    while (!bytes_equal(w->records[at].actor, BYTES("dev-10")))
        at++;
    assert_int_equal(store_write(w->logs->store, begin_erasing, &erasing), RC_OK);
    const struct store_number key = store_key_number(at);
    struct hurting row = { AUDIT_ENTRIES, BYTES_OF(key.at), 0 };
    assert_int_equal(store_write(w->logs->store, take_away, &row), RC_OK);
    enum rc rc = RC_OK;
    for (unsigned i = 0; i < 20 && rc == RC_OK && !erasing.finished; i++)
        rc = store_write(w->logs->store, go_on_erasing, &erasing);
    assert_int_equal(rc, RC_CORRUPT);
    assert_false(erasing.finished);
}

static enum rc add_old_rows(struct store_txn *txn, void *with)
{
    (void)with;
    for (uint64_t i = 0; i < 5000; i++) {
        AUTO_BUF(key, 64);
        buf_add(&key, BYTES("\x03\x06"
                            "dev-10"));
        buf_add_u64(&key, i);
        TRY(store_txn_put(txn, AUDIT_SEARCH, buf_bytes(&key), BYTES("")));
    }
    return RC_OK;
}

static enum rc are_old(struct store_txn *txn, void *with)
{
    struct erasing *erasing = with;

    return audit_index_is_old(erasing->w->logs->log, txn, &erasing->finished);
}

static void an_erasure_ends_behind_the_rows_of_earlier_versions(void **state)
{
    struct searches *w = *state;
    struct erasing erasing = { .w = w }, old = { .w = w };
    unsigned steps = 0;

    begun(w, LENGTH);
    assert_int_equal(store_write(w->logs->store, add_old_rows, NULL), RC_OK);
    assert_int_equal(store_write(w->logs->store, begin_erasing, &erasing), RC_OK);
    for (; steps < 100 && !erasing.finished; steps++) {
        assert_int_equal(store_write(w->logs->store, go_on_erasing, &erasing), RC_OK);
        assert_int_equal(store_read(w->logs->store, are_old, &old), RC_OK);
        assert_false(erasing.finished && old.finished);
        if (steps > 20)
            assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
    }
    assert_true(erasing.finished && steps > 20);
}

static void times_of_a_block_are_told_as_damaged(void **state)
{
    static const uint8_t FIRST[8] = { 0 };
    struct searches *w = *state;
    struct searches_asked asked = { .w = w, .query = { .most = 1000, .since_ms = 1 } };
    struct hurting row = { AUDIT_SPANS, BYTES_OF(FIRST), 0 };

    begun(w, 300);
    assert_int_equal(store_read(w->logs->store, searches_ask, &asked), RC_OK);
    assert_int_equal(asked.found, 300);
    assert_int_equal(store_write(w->logs->store, take_away, &row), RC_OK);
    assert_int_equal(store_read(w->logs->store, searches_ask, &asked), RC_CORRUPT);
}

/* ---- Certificates ---- */

static const uint8_t PRINT[AUDIT_HASH] = { 0xaa, 0xbb };

static enum rc find_certificate(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    uint64_t index = 0;

    return audit_log_find_certificate(w->logs->log, txn, BYTES_OF(PRINT), &index);
}

static void makes_one_at(struct searches *w, size_t index)
{
    w->records[index] = (struct audit_record){ .action = AUDIT_CERTIFICATE_ISSUE,
                                               .decision = AUDIT_ALLOWED,
                                               .source = AUDIT_FROM_AUTHORITY,
                                               .wall_ms = 1000000,
                                               .actor_kind = AUDIT_OPERATOR,
                                               .actor = BYTES("ada"),
                                               .certificate.fingerprint = BYTES_OF(PRINT),
                                               .reason = BYTES("x") };
}

static void a_certificate_is_not_denied_while_the_index_is_made_anew(void **state)
{
    struct searches *w = *state;
    struct growth growth = begun(w, 0);
    unsigned busy = 0;
    enum rc rc = RC_OK;

    makes_one_at(w, 10);
    assert_int_equal(grow(&growth, LENGTH), RC_OK);
    assert_int_equal(store_read(w->logs->store, find_certificate, w), RC_OK);
    assert_int_equal(store_write(w->logs->store, searches_forget_index, NULL), RC_OK);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
        rc = store_read(w->logs->store, find_certificate, w);
        assert_true(rc == RC_OK || rc == RC_BUSY);
        busy += rc == RC_BUSY;
    }
    assert_true(busy > 2);
    assert_int_equal(rc, RC_OK);
}

static void a_block_that_is_whole_before_the_first_step_tells_its_certificates(void **state)
{
    struct searches *w = *state;
    struct growth growth = begun(w, 0);

    makes_one_at(w, 260);
    assert_int_equal(grow(&growth, 400), RC_OK);
    assert_int_equal(store_write(w->logs->store, searches_forget_index, NULL), RC_OK);
    assert_int_equal(grow(&growth, 600), RC_OK);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_int_equal(store_read(w->logs->store, find_certificate, w), RC_OK);
}

/* ---- Checkpoints ---- */

static enum rc keep_checkpoint(struct store_txn *txn, void *with)
{
    const struct searches *w = with;

    return audit_log_keep_checkpoint(w->logs->log, txn, 100, BYTES("a note"));
}

static enum rc read_vouched(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    struct journal_head head = { 0 };

    return audit_log_vouched(w->logs->log, txn, &head);
}

/* What no change of the store's can leave: shorter than its revision. */
static void cut_short(struct logs *logs, const char *table, struct bytes key)
{
    MDB_val at = { key.len, (void *)(uintptr_t)key.at },
            value = { 2, (void *)(uintptr_t) "xx" };
    MDB_txn *txn = NULL;
    MDB_env *env = NULL;
    MDB_dbi dbi = 0;

    store_close(logs->store);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 40), 0);
    assert_int_equal(mdb_env_set_mapsize(env, 256 << 20), 0);
    assert_int_equal(mdb_env_open(env, logs->path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &at, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    const struct store_settings settings = { .map_bytes = 256 << 20, .clock = &logs->clock };
    assert_int_equal(store_open(logs->dir, &logs->schema, &settings, &logs->store), RC_OK);
}

/* Else a signer's journal that was rolled back would be taken for a new one. */
static void a_damaged_checkpoint_is_not_taken_for_none(void **state)
{
    const struct store_number size = store_key_number(100);
    struct searches *w = *state;

    begun(w, 200);
    assert_int_equal(store_write(w->logs->store, keep_checkpoint, w), RC_OK);
    cut_short(w->logs, "audit_checkpoints", BYTES_OF(size.at));
    assert_int_equal(store_read(w->logs->store, read_vouched, w), RC_CORRUPT);
}

/* ---- A record that is none ---- */

static enum rc append_wrong_one(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    const struct audit_record wrong = { .action = AUDIT_PUBLISH,
                                        .decision = AUDIT_DENIED,
                                        .wall_ms = 5,
                                        .actor_kind = AUDIT_DEVICE,
                                        .actor = BYTES("dev-1"),
                                        .target = BYTES("a\nb"),
                                        .aggregate = { 1000, 1, 2, 3, false } };

    assert_int_equal(audit_log_append(w->logs->log, txn, &wrong, NULL), RC_MALFORMED);
    return RC_OK;
}

static enum rc read_sums(struct store_txn *txn, void *with)
{
    struct searches *w = with;
    struct audit_source_sum sums[AUDIT_SOURCE_ROOM] = { 0 };

    TRY(audit_log_sums(w->logs->log, txn, sums));
    w->count = sums[AUDIT_FROM_AUTHORITY].acts;
    return RC_OK;
}

static void what_is_refused_is_not_counted(void **state)
{
    struct searches *w = *state;

    assert_int_equal(store_write(w->logs->store, append_wrong_one, w), RC_OK);
    assert_int_equal(store_read(w->logs->store, read_sums, w), RC_OK);
    assert_int_equal(w->count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, searches_set_up, searches_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unreadable_record_stops_nothing_but_who_reads_it),
        TEST(an_unreadable_record_is_found_by_its_head),
        TEST(a_damaged_row_is_told_once_and_made_anew),
        TEST(merging_makes_anew_what_it_meets),
        TEST(erasing_makes_anew_what_it_meets),
        TEST(an_erasure_does_not_end_at_a_missing_record),
        TEST(an_erasure_ends_behind_the_rows_of_earlier_versions),
        TEST(times_of_a_block_are_told_as_damaged),
        TEST(a_certificate_is_not_denied_while_the_index_is_made_anew),
        TEST(a_block_that_is_whole_before_the_first_step_tells_its_certificates),
        TEST(a_damaged_checkpoint_is_not_taken_for_none),
        TEST(what_is_refused_is_not_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
