#include "tests/unit/audit/logs.h"

#include "audit/verify.h"
#include "base/file.h"

#include "tests/unit/audit/signing.h"

enum { RECORDS = 90, BYTES_MAX = 256 * 1024, EARLIER = 60 };

static const struct audit_witnesses NOBODY;

struct ground {
    struct logs *logs;
    struct signing_pair signing;
    struct buf records, note, earlier; /* the files, and a checkpoint of EARLIER records */
    char path[32];
    int dir;
    uint64_t bare; /* bits of the records that have no body */
};

static enum rc export(struct store_txn *txn, void *with) {
    struct ground *g = with; AUTO_OF(audit_export) *out = NULL; struct proof_hash root;

    TRY(audit_export_new(g->dir, &out)); for (uint64_t i = 0; i < RECORDS; i++){
        struct bytes entry; TRY(audit_log_get(g->logs->log, txn, i, &entry));
        if (i < 64 && (g->bare >> i & 1) != 0) entry.len = AUDIT_LEAF;
        TRY(audit_export_add(out, entry)); }
TRY(audit_log_root(g->logs->log, txn, EARLIER, &root));
signing_sign(&g->signing, EARLIER, &root, &g->earlier);
TRY(audit_log_root(g->logs->log, txn, RECORDS, &root));
signing_sign(&g->signing, RECORDS, &root, &g->note);
return audit_export_finish(out, buf_bytes(&g->note));
}

static struct audit_record FILLED[RECORDS];

/* The same log once more, of which these of the first 64 records have no body. */
static void export_again(struct ground *g, uint64_t bare)
{
    logs_folder_remove(g->path, g->dir);
    logs_folder(g->path, &g->dir);
    g->bare = bare;
    buf_reset(&g->note);
    buf_reset(&g->earlier);
    buf_reset(&g->records);
    assert_int_equal(store_read(g->logs->store, export, g), RC_OK);
    assert_int_equal(file_read(g->dir, "records", &g->records), RC_OK);
}

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof *g);
    void *logs = NULL;

    logs_set_up(&logs);
    g->logs = logs;
    g->records = (struct buf)BUF_MAX(BYTES_MAX);
    g->note = (struct buf)BUF_MAX(AUDIT_NOTE_MAX);
    g->earlier = (struct buf)BUF_MAX(AUDIT_NOTE_MAX);
    logs_folder(g->path, &g->dir);
    signing_open(&g->signing);
    logs_fill_telling(g->logs, FILLED, RECORDS, EARLIER - 1);
    export_again(g, 1 << 10);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    void *logs = g->logs;

    logs_folder_remove(g->path, g->dir);
    signing_close(&g->signing);
    buf_clear(&g->records);
    buf_clear(&g->note);
    buf_clear(&g->earlier);
    free(g);
    return logs_tear_down(&logs);
}

static void verifies_an_exported_log_and_counts_what_was_erased(void **state)
{
    struct ground *g = *state;
    struct audit_verified verified;

    assert_int_equal(audit_verify(g->dir, g->signing.key, &NOBODY, BYTES(""), &verified),
                     RC_OK);
    assert_int_equal(verified.records, RECORDS);
    assert_int_equal(verified.erased, 1);
    assert_int_equal(
        audit_verify(g->dir, g->signing.key, &NOBODY, buf_bytes(&g->earlier), &verified),
        RC_OK);
}

static enum rc verify_again(struct ground *g, uint64_t bare)
{
    struct audit_verified verified;

    export_again(g, bare);
    return audit_verify(g->dir, g->signing.key, &NOBODY, BYTES(""), &verified);
}

static void refuses_more_bodies_gone_than_the_log_says(void **state)
{
    struct ground *g = *state;
    uint64_t stays = 0;

    assert_int_equal(verify_again(g, 0), RC_OK);
    assert_int_equal(verify_again(g, 1 << 11), RC_OK); /* one is one: heads do not say whose */
    assert_int_equal(verify_again(g, 1 << 10 | 1 << 11), RC_DENIED);
    assert_non_null(strstr(fault_text(), "2 records have no body"));
    assert_non_null(strstr(fault_text(), "the log says of 1 "));
    while (FILLED[stays].action != AUDIT_LOG_HOLD)
        stays++;
    assert_true(stays < 64);
    assert_int_equal(verify_again(g, 1ull << stays), RC_DENIED);
    assert_non_null(strstr(fault_text(), "log.hold"));
}

static enum rc verify_bytes(struct ground *g, struct bytes records, struct bytes note)
{
    AUTO_OF(audit_verifier) *v = NULL;
    struct audit_checkpoint checkpoint;
    struct audit_verified verified;

    TRY(audit_checkpoint_verify(g->signing.key, note, &checkpoint));
    TRY(audit_verifier_new(NULL, &v));
    TRY(audit_verifier_feed(v, records));
    return audit_verifier_finish(v, &checkpoint, &verified);
}

static void detects_every_changed_bit_of_the_records(void **state)
{
    struct ground *g = *state;
    struct bytes note = buf_bytes(&g->note), records = buf_bytes(&g->records);
    size_t at;

    /* Every bit of the first records, and of every fifth later octet one bit, in turn; every
     * bit of all: test_bits.c, where no sanitizer slows it down. */
    assert_int_equal(verify_bytes(g, records, note), RC_OK);
    for (at = 0; at < records.len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            if (at > 2500 && bit * 5 != at % 40)
                continue;
            g->records.at[at] ^= (uint8_t)(1 << bit);
            assert_int_not_equal(verify_bytes(g, records, note), RC_OK);
            g->records.at[at] ^= (uint8_t)(1 << bit);
        }
}

static void detects_every_changed_bit_of_the_checkpoint(void **state)
{
    struct ground *g = *state;
    struct audit_checkpoint checkpoint;

    for (size_t bit = 0; bit < g->note.len * 8; bit++) {
        g->note.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(
            audit_checkpoint_verify(g->signing.key, buf_bytes(&g->note), &checkpoint), RC_OK);
        g->note.at[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t len = 0; len < g->note.len; len++)
        assert_int_not_equal(audit_checkpoint_verify(g->signing.key,
                                                     (struct bytes){ g->note.at, len },
                                                     &checkpoint),
                             RC_OK);
}

static void sees_truncation_by_a_kept_checkpoint(void **state)
{
    struct ground *g = *state;
    struct audit_verified verified;

    /* The earlier state put back whole verifies by itself, and not against the newer note. */
    assert_int_equal(unlinkat(g->dir, "checkpoint", 0), 0);
    assert_int_equal(file_create(g->dir, "checkpoint", buf_bytes(&g->earlier), 0600), RC_OK);
    assert_int_equal(audit_verify(g->dir, g->signing.key, &NOBODY, BYTES(""), &verified),
                     RC_DENIED);
    AUTO_OF(audit_verifier) *v = NULL;
    struct audit_checkpoint newer, older;
    struct reader r = READER(buf_bytes(&g->records));
    reader_take(&r, sizeof "touchmark audit 1\n" - 1);
    for (unsigned i = 0; i < EARLIER; i++) {
        uint32_t length = reader_u32(&r);
        reader_take(&r, PROOF_HASH + length);
    }
    assert_int_equal(audit_checkpoint_verify(g->signing.key, buf_bytes(&g->note), &newer),
                     RC_OK);
    assert_int_equal(audit_checkpoint_verify(g->signing.key, buf_bytes(&g->earlier), &older),
                     RC_OK);
    struct bytes cut = { g->records.at, g->records.len - r.left.len };
    assert_int_equal(verify_bytes(g, cut, buf_bytes(&g->earlier)), RC_OK);
    assert_int_equal(audit_verifier_new(&newer, &v), RC_OK);
    assert_int_equal(audit_verifier_feed(v, cut), RC_OK);
    assert_int_equal(audit_verifier_finish(v, &older, &verified), RC_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(verifies_an_exported_log_and_counts_what_was_erased,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_bodies_gone_than_the_log_says, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(detects_every_changed_bit_of_the_records, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(detects_every_changed_bit_of_the_checkpoint, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sees_truncation_by_a_kept_checkpoint, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
