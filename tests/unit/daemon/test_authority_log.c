/* The authority's audit log as a whole: spools that doors push, what the signer refused,
 * checkpoints. */
#include "tests/unit/daemon/found.h"
#include "tests/unit/daemon/spools.h"

#include "audit/verify.h"

/* ---- Spools ---- */

static void a_spool_is_taken_once_whatever_is_sent_twice(void **state)
{
    struct world *w = *state;
    uint64_t sequence = 99;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);

    begin_batch(&batch, 1, 1);
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(sequence, 0);
    add_record(&batch, "dev-1", "a");
    add_record(&batch, "dev-1", "b");
    for (int times = 0; times < 2; times++) {
        assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
        assert_int_equal(sequence, 2);
    }
    begin_batch(&batch, 1, 2);
    add_record(&batch, "dev-1", "b");
    add_record(&batch, "dev-1", "c");
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(sequence, 3);
    assert_int_equal(count_audit(w, AUDIT_PUBLISH, AUDIT_DENIED), 3);
    assert_int_equal(count_audit(w, AUDIT_LOG_SPOOL, AUDIT_ALLOWED), 1);

    stop(w);
    start(w);
    begin_batch(&batch, 1, 1);
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(sequence, 3);
}

static void a_gap_is_refused_told_once_and_over_when_filled(void **state)
{
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    uint64_t sequence = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);

    begin_batch(&batch, 1, 2);
    add_record(&batch, "dev-1", "second");
    for (int times = 0; times < 3; times++)
        assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_PUBLISH, AUDIT_DENIED), 0);
    assert_int_equal(count_audit(w, AUDIT_LOG_SPOOL, AUDIT_DENIED), 1);
    tell_trouble(w, trouble);
    assert_non_null(strstr(trouble, "device-door spool continues with 2 after 0"));

    begin_batch(&batch, 1, 1);
    add_record(&batch, "dev-1", "first");
    add_record(&batch, "dev-1", "second");
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(sequence, 2);
    tell_trouble(w, trouble);
    assert_string_equal(trouble, "");
}

/* As doors do: each second a greeting, which is taken, and the same records again. */
static void a_gap_that_stays_is_told_once(void **state)
{
    struct world *w = *state;
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    uint64_t sequence = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);

    begin_batch(&batch, 1, 1);
    add_record(&batch, "dev-1", "first");
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    for (int times = 0; times < 3; times++) {
        begin_batch(&batch, 1, 3);
        assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
        assert_int_equal(sequence, 1);
        add_record(&batch, "dev-1", "third");
        assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_DENIED);
    }
    assert_int_equal(count_audit(w, AUDIT_LOG_SPOOL, AUDIT_DENIED), 1);
    tell_trouble(w, trouble);
    assert_non_null(strstr(trouble, "device-door spool continues with 3 after 1"));
}

/* Whoever has broken into a door tells of an erasing by ada, and that the authority ended. */
static void what_is_not_the_doors_to_tell_is_refused_and_told(void **state)
{
    struct world *w = *state;
    const struct audit_record forged = { .action = AUDIT_LOG_ERASE,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = TBS_NOW_S * 1000,
                                         .actor_kind = AUDIT_OPERATOR,
                                         .actor = BYTES("ada"),
                                         .target = BYTES("device pump-1") };
    char trouble[REGISTRY_TROUBLE_MAX + 1];
    uint64_t sequence = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);

    assert_int_equal(audit_record_write(&forged, &bytes), RC_OK);
    begin_batch(&batch, 1, 1);
    add_record(&batch, "dev-1", "good");
    buf_add_sized16(&batch, buf_bytes(&bytes));
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_DENIED);
    assert_int_equal(count_audit(w, AUDIT_LOG_ERASE, AUDIT_ALLOWED), 0);
    assert_int_equal(count_audit(w, AUDIT_PUBLISH, AUDIT_DENIED), 0);
    assert_int_equal(count_audit(w, AUDIT_LOG_SPOOL, AUDIT_DENIED), 1);
    tell_trouble(w, trouble);
    assert_non_null(strstr(trouble, "log.erase is not the device-door's to tell"));
}

static void a_batch_with_one_bad_record_is_refused_whole(void **state)
{
    struct world *w = *state;
    uint64_t sequence = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);

    begin_batch(&batch, 1, 1);
    add_record(&batch, "dev-1", "good");
    buf_add_sized16(&batch, BYTES("not a record"));
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_MALFORMED);
    assert_int_equal(count_audit(w, AUDIT_PUBLISH, AUDIT_DENIED), 0);
    begin_batch(&batch, 1, 1);
    add_record(&batch, "dev-1", "good");
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(sequence, 1);
}

static void count_source(const struct audit_record *record, void *with)
{
    unsigned *counts = with;

    assert_true(record->source <= AUDIT_FROM_SIGNER);
    assert_int_equal(record->source_sequence > 0, record->source != AUDIT_FROM_AUTHORITY);
    counts[record->source]++;
}

static void a_record_has_the_source_of_its_channel(void **state)
{
    struct world *w = *state;
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_HANDSHAKE),
                                       .most = 100 };
    unsigned counts[AUDIT_FROM_SIGNER + 1] = { 0 };
    uint64_t sequence = 0;
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);

    begin_batch(&batch, 1, 1);
    add_act(&batch, AUDIT_HANDSHAKE, "dev-1", "a");
    assert_int_equal(push(w, REGISTRY_DEVICE_DOOR, &batch, &sequence), RC_OK);
    assert_int_equal(push(w, REGISTRY_OPERATOR_DOOR, &batch, &sequence), RC_OK);
    add_act(&batch, AUDIT_HANDSHAKE, "dev-1", "b");
    assert_int_equal(push(w, REGISTRY_OPERATOR_DOOR, &batch, &sequence), RC_OK);
    each_found(w, &query, count_source, counts);
    assert_int_equal(counts[AUDIT_FROM_DEVICE_DOOR], 1);
    assert_int_equal(counts[AUDIT_FROM_OPERATOR_DOOR], 2);
}

/* ---- Checkpoints ---- */

/* All entries up to this size, as an export has them, held against the checkpoint. */
static enum rc verify(struct world *w, const struct audit_checkpoint *checkpoint,
                      const struct audit_checkpoint *since)
{
    AUTO_OF(audit_verifier) *verifier = NULL;
    struct audit_verified verified;
    uint64_t index = 0;

    assert_int_equal(audit_verifier_new(since, &verifier), RC_OK);
    assert_int_equal(audit_verifier_feed(verifier, BYTES("touchmark audit 1\n")), RC_OK);
    while (index < checkpoint->size) {
        AUTO_BUF(from, 8);
        AUTO_TOLD(told);
        buf_add_u64(&from, index);
        struct registry_question q = { .query = buf_bytes(&from) };
        assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_ENTRIES, q, &told), RC_OK);
        struct reader r = READER(told.answer.query);
        assert_true(r.left.len > 0);
        while (r.left.len > 0 && index < checkpoint->size) {
            assert_int_equal(reader_u64(&r), index++);
            const uint8_t *start = r.left.at;
            uint32_t len = reader_u32(&r);
            reader_take(&r, PROOF_HASH + len);
            assert_false(r.broken);
            TRY(audit_verifier_feed(verifier,
                                    (struct bytes){ start, (size_t)(r.left.at - start) }));
        }
    }
    return audit_verifier_finish(verifier, checkpoint, &verified);
}

static void a_checkpoint_follows_new_records_and_covers_what_can_be_copied(void **state)
{
    struct world *w = *state;
    AUTO_BUF(first_note, AUDIT_NOTE_MAX);
    AUTO_BUF(second_note, AUDIT_NOTE_MAX);

    add_device(w, "dev-1");
    struct audit_checkpoint first = wait_checkpoint(w, 1, &first_note);
    assert_true(bytes_equal_text(first.origin, "acme.example/log"));
    assert_int_equal(verify(w, &first, NULL), RC_OK);
    add_device(w, "dev-2");
    struct audit_checkpoint second = wait_checkpoint(w, first.size + 1, &second_note);
    assert_int_equal(verify(w, &second, &first), RC_OK);
    assert_true(second.journal_sequence > first.journal_sequence);
    second.root.at[0] ^= 1;
    assert_int_equal(verify(w, &second, &first), RC_DENIED);
}

static void checkpoints_go_on_after_the_authority_was_killed(void **state)
{
    struct world *w = *state;
    uint64_t size = 0;
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    for (int life = 0; life < 4; life++) {
        char id[] = "dev-0";
        id[4] = (char)('0' + life);
        add_device(w, id);
        size = wait_checkpoint(w, size + 1, &note).size;
        stop(w);
        start(w);
    }
}

/* ---- What the signer refused ---- */

static void refused_signatures_are_in_the_log_once(void **state)
{
    struct world *w = *state;
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_KEY_SIGN),
                                       .most = 100 };
    unsigned counts[AUDIT_FROM_SIGNER + 1] = { 0 };
    const struct bytes bad = BYTES("\x30\x03\x02\x01\x00");
    struct keys_answers answers;
    AUTO_BUF(room, LINK_BODY_MAX);
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    stop(w);
    signing_start(&w->signing);
    for (int i = 0; i < 3; i++)
        assert_int_equal(signing_ask(&w->signing, KEYS_ASK_CERTIFICATES, "devices", &bad, 1,
                                     &room, &answers),
                         RC_OK);
    assert_int_equal(answers.at[0].rc, RC_MALFORMED);
    signing_stop(&w->signing);
    for (int life = 0; life < 2; life++) {
        start(w);
        add_device(w, life == 0 ? "dev-1" : "dev-2");
        wait_checkpoint(w, 4 + (unsigned)life, &note); /* with it, and so of this life */
        memset(counts, 0, sizeof counts);
        each_found(w, &query, count_source, counts);
        assert_int_equal(counts[AUDIT_FROM_SIGNER], 3);
        stop(w);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_spool_is_taken_once_whatever_is_sent_twice),
        TEST(a_gap_is_refused_told_once_and_over_when_filled),
        TEST(a_gap_that_stays_is_told_once),
        TEST(what_is_not_the_doors_to_tell_is_refused_and_told),
        TEST(a_batch_with_one_bad_record_is_refused_whole),
        TEST(a_record_has_the_source_of_its_channel),
        TEST(a_checkpoint_follows_new_records_and_covers_what_can_be_copied),
        TEST(checkpoints_go_on_after_the_authority_was_killed),
        TEST(refused_signatures_are_in_the_log_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
