/* What each source may say: the table word by word, and what forged spools would do. */
#include "tests/unit/audit/logs.h"

#include <string.h>

/* ---- The table ---- */

#define D AUDIT_FROM_DEVICE_DOOR
#define O AUDIT_FROM_OPERATOR_DOOR
#define S AUDIT_FROM_SIGNER

static struct audit_record said(enum audit_action action, enum audit_decision decision,
                                enum audit_actor_kind kind, const char *actor)
{
    return (struct audit_record){ .action = action,
                                  .decision = decision,
                                  .actor_kind = kind,
                                  .actor = bytes_of_text(actor) };
}

static void each_source_says_what_is_its_own(void **state)
{
    static const struct {
        enum audit_source source;
        enum audit_action action;
        enum audit_decision decision;
        enum audit_actor_kind kind;
        const char *actor, *refused; /* NULL: it may */
    } ROWS[] = {
        { D, AUDIT_PUBLISH, AUDIT_ALLOWED, AUDIT_DEVICE, "dev-1", NULL },
        { D, AUDIT_PUBLISH, AUDIT_FAILED, AUDIT_DEVICE, "dev-1", NULL },
        { D, AUDIT_PUBLISH, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", "publish of a operator" },
        { O, AUDIT_PUBLISH, AUDIT_ALLOWED, AUDIT_DEVICE, "dev-1", "not the operator-door's" },
        { D, AUDIT_HANDSHAKE, AUDIT_DENIED, AUDIT_NOBODY, "", NULL },
        { D, AUDIT_HANDSHAKE, AUDIT_DENIED, AUDIT_OPERATOR, "ada", NULL },
        { D, AUDIT_HANDSHAKE, AUDIT_ALLOWED, AUDIT_DEVICE, "dev-1", NULL },
        { D, AUDIT_HANDSHAKE, AUDIT_FAILED, AUDIT_DEVICE, "dev-1", "handshake as failed" },
        { O, AUDIT_LOG_READ, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", NULL },
        { O, AUDIT_LOG_READ, AUDIT_ALLOWED, AUDIT_NOBODY, "", "log.read of a nobody" },
        { D, AUDIT_LOG_READ, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", "not the device-door's" },
        { D, AUDIT_PROCESS_STOP, AUDIT_FAILED, AUDIT_PROCESS, "device-door", NULL },
        { D, AUDIT_PROCESS_STOP, AUDIT_ALLOWED, AUDIT_PROCESS, "authority", "another process" },
        { O, AUDIT_PROCESS_STOP, AUDIT_ALLOWED, AUDIT_PROCESS, "device-door", "another" },
        { D, AUDIT_LOG_ERASE, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", "log.erase is not" },
        { D, AUDIT_POLICY_APPLY, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", "policy.apply is not" },
        { O, AUDIT_DEVICE_ADD, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada", "device.add is not" },
        { S, AUDIT_KEY_SIGN, AUDIT_DENIED, AUDIT_PROCESS, "authority", NULL },
        { S, AUDIT_KEY_SIGN, AUDIT_ALLOWED, AUDIT_PROCESS, "authority", "as allowed" },
        { S, AUDIT_PROCESS_STOP, AUDIT_ALLOWED, AUDIT_PROCESS, "authority",
          "not the signer's" },
        { AUDIT_FROM_AUTHORITY, AUDIT_LOG_START, AUDIT_ALLOWED, AUDIT_NOBODY, "", "not the" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct audit_record record =
            said(ROWS[i].action, ROWS[i].decision, ROWS[i].kind, ROWS[i].actor);
        enum rc rc = audit_saying_check(ROWS[i].source, &record);
        assert_int_equal(rc, ROWS[i].refused == NULL ? RC_OK : RC_DENIED);
        if (ROWS[i].refused != NULL && strstr(fault_text(), ROWS[i].refused) == NULL)
            fail_msg("row %zu: %s", i, fault_text());
    }
}

/* What the authority alone acts upon is nothing that a door may name. */
static void no_door_names_a_certificate_or_device_of_another(void **state)
{
    static const uint8_t PRINT[AUDIT_HASH] = { 1 };
    struct audit_record record = said(AUDIT_SESSION_OPEN, AUDIT_ALLOWED, AUDIT_DEVICE, "dev-1");

    (void)state;
    record.actor_certificate.fingerprint = BYTES_OF(PRINT);
    assert_int_equal(audit_saying_check(D, &record), RC_OK);
    record.certificate.serial = BYTES("1");
    assert_int_equal(audit_saying_check(D, &record), RC_DENIED);
    record.certificate.serial.len = 0;
    record.device = BYTES("dev-2");
    assert_int_equal(audit_saying_check(D, &record), RC_DENIED);
    record = said(AUDIT_HANDSHAKE, AUDIT_DENIED, AUDIT_NOBODY, "");
    record.device = BYTES("dev-2");
    assert_int_equal(audit_saying_check(D, &record), RC_OK);
}

/* ---- Time ---- */

enum { DAY = 24 * 3600 * 1000 };

static void a_moment_of_tomorrow_becomes_now(void **state)
{
    static const struct {
        int64_t wall, first, last, now;
        const char *reason, *wanted;
    } ROWS[] = {
        { 5, 0, 0, 5, "why", "why" },
        { DAY + 5, 1, DAY + 5, 5, "why", "why" },
        { DAY + 6, 0, 0, 5, "why", "its clock said 86400006 ms: why" },
        { INT64_MAX, 0, 0, 5, "", "its clock said 9223372036854775807 ms" },
        { 5, 3, INT64_MAX, 5, "", "its clock said 9223372036854775807 ms" },
        { 5, DAY - 1, INT64_MAX, 5, "", "its clock said 9223372036854775807 ms" },
        { INT64_MAX, 0, 0, -7, "", "its clock said 9223372036854775807 ms" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_BUF(room, AUDIT_REASON_MAX);
        struct audit_record record = { .wall_ms = ROWS[i].wall,
                                       .reason = bytes_of_text(ROWS[i].reason),
                                       .aggregate = { .first_ms = ROWS[i].first,
                                                      .last_ms = ROWS[i].last } };
        audit_saying_bound(&record, ROWS[i].now, &room);
        assert_true(bytes_equal_text(record.reason, ROWS[i].wanted));
        assert_true(record.wall_ms >= 0 && record.wall_ms - DAY <= ROWS[i].now + 7);
        assert_true(record.aggregate.last_ms - DAY <= ROWS[i].now + 7);
        assert_true(record.aggregate.first_ms <= record.aggregate.last_ms);
    }
}

static void a_reason_that_has_no_room_ends_between_characters(void **state)
{
    AUTO_BUF(reason, AUDIT_REASON_MAX);
    AUTO_BUF(room, AUDIT_REASON_MAX);
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    struct audit_record record = said(AUDIT_HANDSHAKE, AUDIT_DENIED, AUDIT_NOBODY, "");

    (void)state;
    for (unsigned shift = 0; shift < 3; shift++) {
        buf_reset(&reason);
        for (unsigned i = 0; i < shift; i++)
            buf_addf(&reason, "x");
        while (reason.len + 3 <= AUDIT_REASON_MAX)
            buf_addf(&reason, "\xe2\x82\xac");
        record.reason = buf_bytes(&reason);
        record.wall_ms = INT64_MAX;
        audit_saying_bound(&record, 5, &room);
        assert_true(record.reason.len > AUDIT_REASON_MAX - 3);
        buf_reset(&form);
        assert_int_equal(audit_record_write(&record, &form), RC_OK);
    }
}

/* ---- Forged spools ---- */

struct taking {
    struct logs *logs;
    struct audit_origin origin;
    struct audit_record record;
    uint8_t print[AUDIT_HASH];
    uint64_t size, found;
};

static enum rc take(struct store_txn *txn, void *with)
{
    struct taking *t = with;
    AUTO_BUF(form, AUDIT_RECORD_MAX);
    bool taken;

    TRY(audit_record_write(&t->record, &form));
    return audit_log_take(t->logs->log, txn, &t->origin, buf_bytes(&form), &taken);
}

static enum rc append(struct store_txn *txn, void *with)
{
    struct taking *t = with;

    return audit_log_append(t->logs->log, txn, &t->record, NULL);
}

static enum rc look(struct store_txn *txn, void *with)
{
    struct taking *t = with;

    TRY(audit_log_size(t->logs->log, txn, &t->size));
    return audit_log_find_certificate(t->logs->log, txn, BYTES_OF(t->print), &t->found);
}

static void a_forged_issue_is_not_taken_and_proves_nothing(void **state)
{
    struct taking t = { .logs = *state,
                        .origin = { AUDIT_FROM_DEVICE_DOOR, { 1 }, 1, false, 0 },
                        .record =
                            said(AUDIT_CERTIFICATE_ISSUE, AUDIT_ALLOWED, AUDIT_OPERATOR, "ada"),
                        .print = { 0xab } };

    t.record.certificate.fingerprint = BYTES_OF(t.print);
    assert_int_equal(store_write(t.logs->store, take, &t), RC_DENIED);
    assert_int_equal(store_read(t.logs->store, look, &t), RC_NOT_FOUND);
    assert_int_equal(t.size, 0);
    assert_int_equal(store_write(t.logs->store, append, &t), RC_OK);
    assert_int_equal(store_read(t.logs->store, look, &t), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_source_says_what_is_its_own),
        cmocka_unit_test(no_door_names_a_certificate_or_device_of_another),
        cmocka_unit_test(a_moment_of_tomorrow_becomes_now),
        cmocka_unit_test(a_reason_that_has_no_room_ends_between_characters),
        cmocka_unit_test_setup_teardown(a_forged_issue_is_not_taken_and_proves_nothing,
                                        logs_set_up, logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
