#include "tests/unit/audit/logs.h"

#include "audit/checkpoint.h"

struct taking {
    struct logs *logs;
    struct audit_origin origin;
    struct bytes record;
    bool taken;
    uint64_t size, last;
};

static enum rc take(struct store_txn *txn, void *with)
{
    struct taking *t = with;

    return audit_log_take(t->logs->log, txn, &t->origin, t->record, &t->taken);
}

static enum rc look(struct store_txn *txn, void *with)
{
    struct taking *t = with;

    TRY(audit_log_taken(t->logs->log, txn, &t->origin, &t->last));
    return audit_log_size(t->logs->log, txn, &t->size);
}

static void takes_each_record_of_a_spool_once(void **state)
{
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    uint64_t dice = 3;
    struct audit_record record = logs_record_of(AUDIT_FROM_SIGNER, &dice);
    struct taking t = { .logs = *state, .origin = { AUDIT_FROM_SIGNER, { 1 }, 1, false, 0 } };

    assert_int_equal(audit_record_write(&record, &buf), RC_OK);
    t.record = buf_bytes(&buf);
    for (unsigned round = 0; round < 2; round++)
        for (t.origin.sequence = 1; t.origin.sequence <= 3; t.origin.sequence++) {
            assert_int_equal(store_write(t.logs->store, take, &t), RC_OK);
            assert_int_equal(t.taken, round == 0);
        }
    t.origin.sequence = 5;
    assert_int_equal(store_write(t.logs->store, take, &t), RC_DENIED);
    /* Another spool of the same source counts for itself. */
    t.origin.spool[0] = 2;
    t.origin.sequence = 1;
    assert_int_equal(store_write(t.logs->store, take, &t), RC_OK);
    assert_true(t.taken);
    assert_int_equal(store_read(t.logs->store, look, &t), RC_OK);
    assert_int_equal(t.size, 4);
    assert_int_equal(t.last, 1);
}

static void refuses_a_spooled_record_that_names_its_source(void **state)
{
    AUTO_BUF(buf, AUDIT_RECORD_MAX);
    uint64_t dice = 3;
    struct audit_record record = logs_record(&dice);
    struct taking t = { .logs = *state,
                        .origin = { AUDIT_FROM_DEVICE_DOOR, { 1 }, 1, false, 0 } };

    record.source = AUDIT_FROM_AUTHORITY;
    assert_int_equal(audit_record_write(&record, &buf), RC_OK);
    t.record = buf_bytes(&buf);
    assert_int_equal(store_write(t.logs->store, take, &t), RC_MALFORMED);
    assert_int_equal(store_read(t.logs->store, look, &t), RC_OK);
    assert_int_equal(t.size, 0);
}

struct proving {
    struct logs *logs;
    struct proof_hash leaf;
};

static enum rc keep_leaf(void *with, const struct audit_hit *hit)
{
    *(struct proof_hash *)with = hit->leaf;
    return RC_OK;
}

static enum rc prove(struct store_txn *txn, void *with)
{
    struct proving *p = with;
    struct proof_hash root, nodes[PROOF_NODES_MAX];
    size_t count;
    uint64_t next;
    bool more;

    TRY(audit_log_root(p->logs->log, txn, 300, &root));
    for (uint64_t index = 0; index < 300; index++) {
        struct audit_query query = { .before = index + 1, .most = 1 };
        TRY(audit_log_list(p->logs->log, txn, &query, keep_leaf, &p->leaf, &next, &more));
        TRY(audit_log_prove_inclusion(p->logs->log, txn, index, 300, nodes, &count));
        TRY(journal_proof_check_inclusion(index, 300, &p->leaf, nodes, count, &root));
    }
    assert_int_equal(audit_log_root(p->logs->log, txn, 301, &root), RC_NOT_FOUND);
    assert_int_equal(audit_log_prove_inclusion(p->logs->log, txn, 300, 300, nodes, &count),
                     RC_NOT_FOUND);
    return RC_OK;
}

static void proves_what_it_lists(void **state)
{
    static struct audit_record records[300];
    struct proving p = { .logs = *state };

    logs_fill(*state, records, 300);
    assert_int_equal(store_read(p.logs->store, prove, &p), RC_OK);
}

/* ---- What a checkpoint says of the signer's journal ---- */

struct vouching {
    struct audit_log *log;
    struct bytes note;
    struct journal_head head;
};

static enum rc vouch(struct store_txn *txn, void *with)
{
    struct vouching *vouching = with;
    uint64_t dice = 42, index = 0;
    const struct audit_record record = logs_record(&dice);

    if (vouching->note.len > 0) {
        TRY(audit_log_append(vouching->log, txn, &record, &index));
        TRY(audit_log_keep_checkpoint(vouching->log, txn, index + 1, vouching->note));
    }
    return audit_log_vouched(vouching->log, txn, &vouching->head);
}

static void the_newest_checkpoint_vouches_for_the_signers_journal(void **state)
{
    const struct logs *w = *state;

    for (uint64_t sequence = 0; sequence < 3; sequence++) {
        const struct audit_checkpoint checkpoint = { .origin = BYTES("acme.example/log"),
                                                     .size = sequence,
                                                     .journal_sequence = 40 + sequence,
                                                     .journal_hash = { (uint8_t)sequence } };
        struct vouching vouching = { .log = w->log, .head = { .sequence = 7 } };
        AUTO_BUF(note, AUDIT_NOTE_MAX);
        if (sequence > 0) {
            assert_int_equal(audit_checkpoint_write(&checkpoint, &note), RC_OK);
            buf_addf(&note, "\n");
            vouching.note = buf_bytes(&note);
        }
        assert_int_equal(store_write(w->store, vouch, &vouching), RC_OK);
        assert_int_equal(vouching.head.sequence, sequence == 0 ? 0 : 40 + sequence);
        assert_int_equal(vouching.head.hash[0], sequence);
    }
    struct vouching damaged = { .log = w->log, .note = BYTES("no note") };
    assert_int_equal(store_write(w->store, vouch, &damaged), RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_each_record_of_a_spool_once, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_spooled_record_that_names_its_source,
                                        logs_set_up, logs_tear_down),
        cmocka_unit_test_setup_teardown(proves_what_it_lists, logs_set_up, logs_tear_down),
        cmocka_unit_test_setup_teardown(the_newest_checkpoint_vouches_for_the_signers_journal,
                                        logs_set_up, logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
