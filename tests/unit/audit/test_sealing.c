/* Bodies under keys of their subjects: what lies on the disk, what others verify, which key
 * opens it. */
#include "tests/unit/audit/model.h"

#include "audit/verify.h"
#include "base/file.h"
#include "store/backup.h"

/* ---- What is left on the disk ---- */

static bool file_has(int dir, struct bytes what)
{
    AUTO_BUF(file, 64 << 20);

    assert_int_equal(file_read(dir, "data.mdb", &file), RC_OK);
    return memmem(file.at, file.len, what.at, what.len) != NULL;
}

static enum rc append_personal(struct store_txn *txn, void *with)
{
    const struct logs *w = with;
    struct audit_record record = { .action = AUDIT_PUBLISH,
                                   .decision = AUDIT_ALLOWED,
                                   .wall_ms = w->now,
                                   .actor_kind = AUDIT_DEVICE,
                                   .actor = BYTES("pump-of-mrs-miller"),
                                   .target = BYTES("home/miller/bedroom"),
                                   .peer = BYTES("203.0.113.77:5000") };

    for (unsigned i = 0; i < 300; i++)
        TRY(audit_log_append(w->log, txn, &record, NULL));
    record.actor = BYTES("dev-1");
    for (unsigned i = 0; i < 300; i++)
        TRY(audit_log_append(w->log, txn, &record, NULL));
    return RC_OK;
}

static enum rc count_keys(struct store_txn *txn, void *with)
{
    return store_txn_count(txn, AUDIT_KEYS, with);
}

/* Two rows a key, the next number, and the known text. */
static void has_keys(struct logs *w, uint64_t keys, unsigned doomed)
{
    uint64_t rows = 0;

    assert_int_equal(store_read(w->store, count_keys, &rows), RC_OK);
    assert_int_equal(rows, 2 + 2 * keys + doomed);
}

static void bodies_are_not_on_the_disk_and_the_erased_not_in_a_copy(void **state)
{
    struct logs *w = *state;
    static struct model m;
    struct stepping s = { .m = &m, .room = BUF_MAX(128), .most = 100 };
    struct store_copy copy;
    char path[32];
    int dir = -1;

    m = (struct model){ .logs = w, .kind = AUDIT_DEVICE, .id = BYTES("pump-of-mrs-miller") };
    w->now = 1000 * (int64_t)DAY;
    assert_int_equal(store_write(w->store, append_personal, w), RC_OK);
    assert_false(file_has(w->dir, BYTES("home/miller")));
    assert_false(file_has(w->dir, BYTES("203.0.113.77")));
    assert_true(file_has(w->dir, m.id)); /* the index, in clear */
    assert_int_equal(store_read(w->store, read_leaves, &m), RC_OK);
    has_keys(w, 2, 0);
    assert_int_equal(store_write(w->store, begin, &m), RC_OK);
    has_keys(w, 1, 1);
    while (!s.finished)
        assert_int_equal(store_write(w->store, step, &s), RC_OK);
    assert_int_equal(s.erasure.records, 300);
    has_keys(w, 1, 0);
    logs_folder(path, &dir);
    assert_int_equal(store_backup_copy(w->store, dir, &copy), RC_OK);
    assert_false(file_has(dir, m.id));
    assert_true(file_has(dir, BYTES("dev-1")));
    logs_folder_remove(path, dir);
    buf_clear(&s.room);
}

/* ---- Verified by others ---- */

struct exporting {
    struct logs *logs;
    int dir;
    struct audit_checkpoint checkpoint;
};

static enum rc export(struct store_txn *txn, void *with) {
    struct exporting *e = with; AUTO_OF(audit_export) *out = NULL; struct bytes entry;

    TRY(audit_log_size(e->logs->log, txn, &e->checkpoint.size));
    TRY(audit_log_root(e->logs->log, txn, e->checkpoint.size, &e->checkpoint.root));
    TRY(audit_export_new(e->dir, &out)); for (uint64_t i = 0; i < e->checkpoint.size; i++){
        TRY(audit_log_get(e->logs->log, txn, i, &entry)); TRY(audit_export_add(out, entry)); }
return audit_export_finish(out, BYTES("the caller has the checkpoint"));
}

static enum rc verify_bytes(struct bytes records, const struct audit_checkpoint *checkpoint,
                            struct audit_verified *verified)
{
    AUTO_OF(audit_verifier) *v = NULL;

    TRY(audit_verifier_new(NULL, &v));
    TRY(audit_verifier_feed(v, records));
    return audit_verifier_finish(v, checkpoint, verified);
}

/* As the authority does when it is done. */
static void tell_erasure(struct logs *w, uint64_t count)
{
    AUTO_BUF(reason, AUDIT_REASON_MAX);

    buf_addf(&reason, "done: %llu records", (unsigned long long)count);
    const struct audit_record record = { .action = AUDIT_LOG_ERASE,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = 1,
                                         .actor_kind = AUDIT_PROCESS,
                                         .actor = BYTES("authority"),
                                         .reason = buf_bytes(&reason) };
    struct logs_many many = { w, &record, 1 };
    assert_int_equal(store_write(w->store, logs_append_many, &many), RC_OK);
}

static void every_changed_bit_is_seen_with_some_erased(void **state)
{
    struct logs *w = *state;
    struct model *m = filled(w, 30);
    struct stepping s = { .m = m, .room = BUF_MAX(128), .most = 100 };
    struct exporting e = { .logs = w };
    struct audit_verified verified = { 0 };
    AUTO_BUF(records, 64 * 1024);
    char path[32];

    m->kind = AUDIT_DEVICE;
    m->id = BYTES("dev-1");
    assert_int_equal(store_write(w->store, begin, m), RC_OK);
    while (!s.finished)
        assert_int_equal(store_write(w->store, step, &s), RC_OK);
    tell_erasure(w, s.erasure.records);
    logs_folder(path, &e.dir);
    assert_int_equal(store_read(w->store, export, &e), RC_OK);
    assert_int_equal(file_read(e.dir, "records", &records), RC_OK);
    assert_int_equal(verify_bytes(buf_bytes(&records), &e.checkpoint, &verified), RC_OK);
    assert_true(s.erasure.records > 1);
    assert_int_equal(verified.erased, s.erasure.records);
    for (size_t bit = 0; bit < records.len * 8; bit++) {
        records.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(verify_bytes(buf_bytes(&records), &e.checkpoint, &verified),
                             RC_OK);
        records.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    logs_folder_remove(path, e.dir);
    buf_clear(&s.room);
    free(m);
}

/* ---- Keys ---- */

struct check {
    struct audit_log *log;
    enum rc rc, read;
};

static enum rc check_key(struct store_txn *txn, void *with)
{
    struct check *check = with;
    struct bytes entry;

    check->rc = audit_log_check_key(check->log, txn);
    check->read = audit_log_get(check->log, txn, 0, &entry);
    return RC_OK;
}

/* ---- Keys that are remembered ---- */

static enum rc append_around_an_erasure(struct store_txn *txn, void *with)
{
    struct model *m = with;
    const struct audit_record record = { .action = AUDIT_PUBLISH,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = m->logs->now,
                                         .actor_kind = AUDIT_DEVICE,
                                         .actor = m->id };
    uint64_t limit = 0;

    for (unsigned i = 0; i < 3; i++)
        TRY(audit_log_append(m->logs->log, txn, &record, NULL));
    TRY(audit_erase_begin(m->logs->log, txn, m->kind, m->id, &limit));
    for (unsigned i = 0; i < 3; i++)
        TRY(audit_log_append(m->logs->log, txn, &record, NULL));
    return RC_OK;
}

static enum rc count_opened(struct store_txn *txn, void *with)
{
    struct model *m = with;
    struct bytes entry;

    m->count = 0;
    for (uint64_t i = 0; i < 6; i++) {
        TRY(audit_log_get(m->logs->log, txn, i, &entry));
        m->count += entry.len > AUDIT_LEAF;
    }
    return RC_OK;
}

/* One after the other in one transaction: the key of before is not taken for that of after. */
static void what_comes_behind_an_erasure_has_another_key(void **state)
{
    struct logs *w = *state;
    static struct model m;
    struct stepping s = { .m = &m, .room = BUF_MAX(128), .most = 100 };

    m = (struct model){ .logs = w, .kind = AUDIT_DEVICE, .id = BYTES("dev-1") };
    w->now = 1000 * (int64_t)DAY;
    assert_int_equal(store_write(w->store, append_around_an_erasure, &m), RC_OK);
    has_keys(w, 1, 1);
    while (!s.finished)
        assert_int_equal(store_write(w->store, step, &s), RC_OK);
    has_keys(w, 1, 0);
    assert_int_equal(store_read(w->store, count_opened, &m), RC_OK);
    assert_int_equal(m.count, 3);
    buf_clear(&s.room);
}

static void another_sealing_key_is_told_and_opens_nothing(void **state)
{
    struct logs *w = *state;
    struct model *m = filled(w, 20);
    AUTO_SECRET(other);
    struct check check = { .log = w->log };

    assert_int_equal(store_read(w->store, check_key, &check), RC_OK);
    assert_int_equal(check.rc, RC_OK);
    assert_int_equal(check.read, RC_OK);
    audit_log_free(w->log);
    assert_int_equal(audit_log_new(0, &w->log), RC_OK);
    check.log = w->log;
    assert_int_equal(store_read(w->store, check_key, &check), RC_OK);
    assert_int_equal(check.rc, RC_DENIED);
    assert_int_equal(check.read, RC_DENIED);
    assert_int_equal(secret_set(&other, BYTES("Another key, thirty-two bytes too")), RC_OK);
    other.len = STORE_SEAL_KEY;
    assert_int_equal(audit_log_unlock(w->log, &other), RC_OK);
    assert_int_equal(store_read(w->store, check_key, &check), RC_OK);
    assert_int_equal(check.rc, RC_DENIED);
    assert_int_equal(check.read, RC_CORRUPT);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_comes_behind_an_erasure_has_another_key,
                                        logs_set_up, logs_tear_down),
        cmocka_unit_test_setup_teardown(bodies_are_not_on_the_disk_and_the_erased_not_in_a_copy,
                                        logs_set_up, logs_tear_down),
        cmocka_unit_test_setup_teardown(every_changed_bit_is_seen_with_some_erased, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(another_sealing_key_is_told_and_opens_nothing,
                                        logs_set_up, logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
