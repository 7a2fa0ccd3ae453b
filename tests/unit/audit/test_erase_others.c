/* What others did to a device stays theirs when it is erased, also under a key that an older
 * program gave it. */
#include "tests/unit/audit/model.h"

enum { ACTS = 4 };

static struct audit_record act_of(enum audit_actor_kind kind, const char *actor)
{
    return (struct audit_record){ .action = AUDIT_DEVICE_ADD,
                                  .decision = AUDIT_ALLOWED,
                                  .wall_ms = DAY,
                                  .actor_kind = kind,
                                  .actor = bytes_of_text(actor),
                                  .device = BYTES("pump-7"),
                                  .target = BYTES("device pump-7") };
}

static enum rc append_acts(struct store_txn *txn, void *with)
{
    const struct logs *w = with;
    const struct audit_record acts[ACTS] = { act_of(AUDIT_OPERATOR, "ada"),
                                             act_of(AUDIT_LINE, "line-1"),
                                             act_of(AUDIT_PROCESS, "authority"),
                                             act_of(AUDIT_NOBODY, "") };

    for (unsigned i = 0; i < ACTS; i++)
        TRY(audit_log_append(w->log, txn, &acts[i], NULL));
    return RC_OK;
}

/* As it was before: what is about a device lies under the device's key. */
static enum rc seal_as_before(struct store_txn *txn, void *with)
{
    const struct logs *w = with;
    const struct audit_record about = act_of(AUDIT_NOBODY, "");
    AUTO_BUF(stored, AUDIT_STORED_MAX);
    AUTO_BUF(copy, AUDIT_ENTRY_MAX);
    struct bytes entry;

    for (uint64_t i = 0; i < ACTS; i++) {
        struct store_number key = store_key_number(i);
        buf_reset(&stored);
        buf_reset(&copy);
        TRY(audit_log_get(w->log, txn, i, &entry));
        buf_add(&copy, entry);
        TRY(audit_sealing_close(w->log->sealing, txn, i, &about, buf_bytes(&copy), &stored));
        TRY(store_txn_put(txn, AUDIT_ENTRIES, BYTES_OF(key.at), buf_bytes(&stored)));
    }
    return RC_OK;
}

static enum rc look(struct store_txn *txn, void *with)
{
    struct model *m = with;
    struct audit_entry entry;
    struct bytes bytes;

    for (uint64_t i = 0; i < ACTS; i++) {
        TRY(audit_log_get(m->logs->log, txn, i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        TRY(audit_leaf_check(m->logs->log->hasher, &entry));
        m->gone[i] = entry.erased;
    }
    return RC_OK;
}

static void erase_pump(struct logs *w)
{
    static struct model m;
    struct stepping s = { .m = &m, .room = BUF_MAX(128), .most = 1 };

    m = (struct model){ .logs = w, .kind = AUDIT_DEVICE, .id = BYTES("pump-7"), .count = ACTS };
    assert_int_equal(store_write(w->store, begin, &m), RC_OK);
    while (!s.finished)
        assert_int_equal(store_write(w->store, step, &s), RC_OK);
    assert_int_equal(s.erasure.records, 2);
    assert_int_equal(store_read(w->store, look, &m), RC_OK);
    assert_false(m.gone[0]);
    assert_false(m.gone[1]);
    assert_true(m.gone[2]);
    assert_true(m.gone[3]);
    assert_int_equal(store_write(w->store, begin, &m), RC_NOT_FOUND);
    buf_clear(&s.room);
}

static void an_operators_and_a_lines_acts_do_not_end_with_the_device(void **state)
{
    struct logs *w = *state;

    assert_int_equal(store_write(w->store, append_acts, w), RC_OK);
    erase_pump(w);
}

static void nor_do_those_that_an_older_program_sealed_under_its_key(void **state)
{
    struct logs *w = *state;

    assert_int_equal(store_write(w->store, append_acts, w), RC_OK);
    assert_int_equal(store_write(w->store, seal_as_before, w), RC_OK);
    erase_pump(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, logs_set_up, logs_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_operators_and_a_lines_acts_do_not_end_with_the_device),
        TEST(nor_do_those_that_an_older_program_sealed_under_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
