#include "tests/support/check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/copy.h"
#include "cli/history.h"
#include "keys/entry.h"
#include "store/backup.h"
#include "tests/support/journals.h"

/* ---- The signer's journal ---- */

static void append_certificate(struct journal *journal, uint8_t serial)
{
    struct keys_entry entry = {
        .kind = KEYS_ENTRY_SIGNED,
        .key = "devices",
        .of = KEYS_CERTIFICATE,
        .serial = { [0] = 1, [7] = serial },
        .serial_len = 8,
    };

    assert_int_equal(keys_entry_append(journal, &entry, NULL), RC_OK);
}

static void append_checkpoint(struct journal *journal, uint64_t size)
{
    struct keys_entry entry = {
        .kind = KEYS_ENTRY_SIGNED,
        .key = "checkpoints",
        .of = KEYS_CHECKPOINT,
        .memory = { .tree_size = size },
    };

    assert_int_equal(keys_entry_append(journal, &entry, NULL), RC_OK);
}

struct journals {
    struct scratch from, to;
};

static int set_up(void **state)
{
    static struct journals j;

    scratch_open(&j.from);
    scratch_open(&j.to);
    struct journal *journal = open_or_fail(j.from.dir, 64 * 1024, NULL);
    append_certificate(journal, 1);
    append_checkpoint(journal, 10);
    append_certificate(journal, 2);
    append_checkpoint(journal, 11);
    append_certificate(journal, 3);
    assert_int_equal(journal_commit(journal), RC_OK);
    journal_close(journal);
    *state = &j;
    return 0;
}

static int tear_down(void **state)
{
    struct journals *j = *state;

    scratch_close(&j->from);
    scratch_close(&j->to);
    return 0;
}

static void a_copy_has_the_same_numbers_and_hashes(void **state)
{
    const struct journals *j = *state;
    struct journal_head original, copied, read;

    assert_int_equal(journal_verify(j->from.dir, NULL, NULL, &original, NULL), RC_OK);
    assert_int_equal(cli_history_copy_journal(j->from.dir, j->to.dir, 11, &copied), RC_OK);
    assert_int_equal(journal_verify(j->to.dir, NULL, NULL, &read, NULL), RC_OK);
    assert_int_equal(original.sequence, 5);
    assert_int_equal(copied.sequence, 5);
    assert_true(bytes_equal(BYTES_OF(original.hash), BYTES_OF(read.hash)));
}

static void it_ends_before_a_checkpoint_that_the_log_does_not_reach(void **state)
{
    const struct journals *j = *state;
    struct journal_head copied;

    assert_int_equal(cli_history_copy_journal(j->from.dir, j->to.dir, 10, &copied), RC_OK);
    assert_int_equal(copied.sequence, 3);
}

static enum rc walk_seeking(int dir, const struct journal_head *head, struct cli_journal *found)
{
    const struct journal_head none = { 0 };

    *found = (struct cli_journal){ .count = 0 };
    cli_history_seek(found, &none, "nobody");
    cli_history_seek(found, head, "the backup's");
    return cli_history_walk(dir, found);
}

static void a_journal_is_walked_for_the_heads_that_it_must_hold(void **state)
{
    const struct journals *j = *state;
    struct cli_journal found;
    struct journal_head head;

    assert_int_equal(cli_history_copy_journal(j->from.dir, j->to.dir, 10, &head), RC_OK);
    assert_int_equal(walk_seeking(j->from.dir, &head, &found), RC_OK);
    assert_int_equal(found.head.sequence, 5);
    assert_int_equal(found.tree_size, 11);
    assert_int_equal(walk_seeking(j->to.dir, &head, &found), RC_OK);
    assert_int_equal(found.head.sequence, 3);
    assert_int_equal(found.tree_size, 10);
    head.hash[0] ^= 1;
    assert_int_equal(walk_seeking(j->from.dir, &head, &found), RC_DENIED);
    assert_non_null(strstr(fault_text(), "entry 3 as the backup's has it"));
    head.hash[0] ^= 1;
    head.sequence = 6;
    assert_int_equal(walk_seeking(j->from.dir, &head, &found), RC_DENIED);
}

static void an_older_journal_beside_a_newer_registry_is_refused(void **state)
{
    const struct cli_log_head log = { .journal_seen = 5 };

    (void)state;
    assert_int_equal(cli_history_check(&log, &(const struct journal_head){ .sequence = 5 }),
                     RC_OK);
    assert_int_equal(cli_history_check(&log, &(const struct journal_head){ .sequence = 4 }),
                     RC_DENIED);
}

/* ---- The audit log ---- */

struct fill {
    struct audit_log *log;
    unsigned count;
};

static enum rc add_records(struct store_txn *txn, void *with)
{
    const struct fill *fill = with;
    const struct audit_record record = {
        .action = AUDIT_SYSTEM_BACKUP,
        .decision = AUDIT_ALLOWED,
        .wall_ms = 1000,
    };

    TRY(registry_journal_see(txn, 42));
    for (unsigned i = 0; i < fill->count; i++)
        TRY(audit_log_append(fill->log, txn, &record, NULL));
    return audit_log_keep_checkpoint(
        fill->log, txn, 2,
        BYTES("acme.example/log\n2\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
              "journal 41 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"));
}

/* A registry with so many records, and its copy in `copy`. */
static void make_copy(unsigned count, int copy)
{
    const struct clock clock = clock_standing();
    struct store_table tables[CLI_HISTORY_TABLES];
    struct store_schema schema;
    struct store_settings settings = { .clock = &clock };
    AUTO_OF(audit_log) *log = NULL;
    AUTO_OF(store) *store = NULL;
    AUTO_SECRET(key);
    struct scratch live;
    struct store_copy made;

    scratch_open(&live);
    cli_history_schema(tables, &schema, &(const struct stat){ 0 }, &settings);
    assert_int_equal(store_open(live.dir, &schema, &settings, &store), RC_OK);
    assert_int_equal(audit_log_new(REGISTRY_TABLES, &log), RC_OK);
    assert_int_equal(secret_set(&key, BYTES("a sealing key of thirty-two byte")), RC_OK);
    assert_int_equal(audit_log_unlock(log, &key), RC_OK);
    assert_int_equal(store_write(store, add_records, &(struct fill){ log, count }), RC_OK);
    assert_int_equal(store_backup_copy(store, copy, &made), RC_OK);
    store_close(TAKE(store));
    scratch_close(&live);
}

static void a_checkpoint_newer_than_the_backup_is_seen(void **state)
{
    struct cli_log_head head, older;
    struct scratch copy, scratch, before;

    (void)state;
    scratch_open(&copy);
    scratch_open(&before);
    scratch_open(&scratch);
    make_copy(5, copy.dir);
    make_copy(3, before.dir);
    assert_int_equal(cli_history_look(copy.dir, scratch.dir, NULL, &head), RC_OK);
    assert_int_equal(head.size, 5);
    assert_int_equal(head.journal_seen, 42);
    assert_int_equal(head.vouched.sequence, 41);
    assert_int_equal(head.vouched.hash[0], 1);

    struct audit_checkpoint kept = { .size = 5, .root = head.root };
    assert_int_equal(cli_history_look(copy.dir, scratch.dir, &kept, &head), RC_OK);
    assert_int_equal(cli_history_look(before.dir, scratch.dir, &kept, &older), RC_DENIED);
    assert_non_null(strstr(fault_text(), "covers 5 records"));
    kept.root.at[0] ^= 1;
    assert_int_equal(cli_history_look(copy.dir, scratch.dir, &kept, &head), RC_DENIED);
    assert_int_equal(faccessat(copy.dir, "store.copy", F_OK, 0), 0);
    scratch_close(&copy);
    scratch_close(&before);
    scratch_close(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_has_the_same_numbers_and_hashes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_ends_before_a_checkpoint_that_the_log_does_not_reach,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_journal_is_walked_for_the_heads_that_it_must_hold,
                                        set_up, tear_down),
        cmocka_unit_test(an_older_journal_beside_a_newer_registry_is_refused),
        cmocka_unit_test(a_checkpoint_newer_than_the_backup_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
