#include "tests/unit/audit/logs.h"

/* Records and acts of each source, against a sum over what was taken in. */

struct step {
    struct logs *logs;
    struct audit_origin origin;
    struct audit_record record;
    struct audit_source_sum sums[AUDIT_SOURCE_ROOM];
};

static enum rc tell(struct store_txn *txn, void *with)
{
    struct step *step = with;
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    bool taken = false;

    if (step->origin.source == AUDIT_FROM_AUTHORITY)
        return audit_log_append(step->logs->log, txn, &step->record, NULL);
    TRY(audit_record_write(&step->record, &form));
    TRY(audit_log_take(step->logs->log, txn, &step->origin, buf_bytes(&form), &taken));
    if (!taken)
        return RC_OK;
    TRY(audit_log_take(step->logs->log, txn, &step->origin, buf_bytes(&form), &taken));
    assert_false(taken); /* what came again is not counted again */
    return RC_OK;
}

static enum rc sum(struct store_txn *txn, void *with)
{
    struct step *step = with;

    return audit_log_sums(step->logs->log, txn, step->sums);
}

static void each_source_has_its_records_and_their_acts(void **state)
{
    struct audit_source_sum wanted[AUDIT_SOURCE_ROOM] = { 0 };
    uint64_t sequences[AUDIT_SOURCE_ROOM][2] = { 0 };
    struct step step = { .logs = *state };
    uint64_t dice = 11;

    for (size_t i = 0; i < 500; i++) {
        unsigned source = 1 + (unsigned)logs_dice(&dice) % AUDIT_FROM_SIGNER;
        unsigned spool = (unsigned)logs_dice(&dice) % 2;
        bool sparse = source == AUDIT_FROM_SIGNER;
        step.origin =
            (struct audit_origin){ .source = (enum audit_source)source, .sparse = sparse };
        step.origin.spool[0] = (uint8_t)spool;
        sequences[source][spool] += sparse ? 1 + logs_dice(&dice) % 9 : 1;
        step.origin.sequence = sequences[source][spool];
        step.record = logs_record_of((enum audit_source)source, &dice);
        const unsigned fields = audit_action_get(step.record.action)->fields;
        if ((fields & AUDIT_AGGREGATE_FIELD) != 0 && logs_dice(&dice) % 3 == 0)
            step.record.aggregate.count = 1 + logs_dice(&dice) % 1000;
        assert_int_equal(store_write(step.logs->store, tell, &step), RC_OK);
        wanted[source].records++;
        wanted[source].acts +=
            step.record.aggregate.count == 0 ? 1 : step.record.aggregate.count;
    }
    assert_int_equal(store_read(step.logs->store, sum, &step), RC_OK);
    for (unsigned i = 1; i < AUDIT_SOURCE_ROOM; i++) {
        assert_int_equal(step.sums[i].records, wanted[i].records);
        assert_int_equal(step.sums[i].acts, wanted[i].acts);
    }
}

static void a_source_that_lies_makes_no_sum_wrong(void **state)
{
    struct step step = { .logs = *state,
                         .origin = { AUDIT_FROM_DEVICE_DOOR, { 1 }, 1, false, 0 },
                         .record = { .action = AUDIT_PUBLISH,
                                     .decision = AUDIT_ALLOWED,
                                     .actor_kind = AUDIT_DEVICE,
                                     .actor = BYTES("dev-1"),
                                     .aggregate = { .count = UINT64_MAX } } };

    for (; step.origin.sequence < 4; step.origin.sequence++)
        assert_int_equal(store_write(step.logs->store, tell, &step), RC_OK);
    assert_int_equal(store_read(step.logs->store, sum, &step), RC_OK);
    assert_true(step.sums[AUDIT_FROM_DEVICE_DOOR].acts == UINT64_MAX);
    assert_int_equal(step.sums[AUDIT_FROM_DEVICE_DOOR].records, 3);
    assert_int_equal(step.sums[AUDIT_FROM_AUTHORITY].records, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_source_has_its_records_and_their_acts, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_lies_makes_no_sum_wrong, logs_set_up,
                                        logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
