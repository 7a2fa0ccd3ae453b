/* One record's proof as a file, checked with the public key and the witnesses' alone; and two
 * logs under one key. */
#include "tests/unit/audit/logs.h"
#include "tests/unit/audit/signing.h"

#include <string.h>

#include "audit/proof_file.h"
#include "audit/submission.h"
#include "audit/verify.h"

enum { RECORDS = 300, SIZE = 290, WHEN = 1700000000 };

static const struct audit_witnesses NOBODY;

struct ground {
    struct logs *logs;
    struct signing_pair signing;
    struct audit_cosigner *witness;
    struct audit_witnesses witnesses;
    struct audit_hasher *hasher;
};

static int set_up(void **state)
{
    static struct audit_record records[RECORDS];
    struct ground *g = calloc(1, sizeof *g);
    AUTO_BUF(vkey, AUDIT_VKEY_MAX);
    void *logs = NULL;

    logs_set_up(&logs);
    g->logs = logs;
    logs_fill(g->logs, records, RECORDS);
    signing_open(&g->signing);
    assert_int_equal(audit_cosigner_new(BYTES("witness.example/w"), &g->witness), RC_OK);
    audit_witness_write(audit_cosigner_witness(g->witness), &vkey);
    assert_int_equal(audit_witnesses_add(&g->witnesses, buf_bytes(&vkey)), RC_OK);
    g->witnesses.quorum = 1;
    assert_int_equal(audit_hasher_new(&g->hasher), RC_OK);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    void *logs = g->logs;

    signing_close(&g->signing);
    audit_cosigner_free(g->witness);
    audit_hasher_free(g->hasher);
    free(g);
    return logs_tear_down(&logs);
}

struct making {
    struct ground *ground;
    uint64_t index;
    bool cosigned;
    struct buf *file;
};

static void cosign(struct ground *g, struct buf *note)
{
    struct bytes text, lines;

    assert_int_equal(audit_note_split(buf_bytes(note), &text, &lines), RC_OK);
    assert_int_equal(audit_cosigner_sign(g->witness, text, WHEN, note), RC_OK);
}

static enum rc make(struct store_txn *txn, void *with)
{
    struct making *making = with;
    struct ground *g = making->ground;
    struct audit_proof_file proof = { .index = making->index };
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct proof_hash root;

    TRY(audit_log_root(g->logs->log, txn, SIZE, &root));
    signing_sign(&g->signing, SIZE, &root, &note);
    if (making->cosigned)
        cosign(g, &note);
    proof.note = buf_bytes(&note);
    TRY(audit_log_get(g->logs->log, txn, making->index, &proof.extra));
    TRY(audit_log_prove_inclusion(g->logs->log, txn, making->index, SIZE, proof.nodes,
                                  &proof.count));
    return audit_proof_file_write(&proof, making->file);
}

static void make_file(struct ground *g, uint64_t index, bool cosigned, struct buf *file)
{
    struct making making = { g, index, cosigned, file };

    assert_int_equal(store_read(g->logs->store, make, &making), RC_OK);
}

/* As `touchmark audit verify --proof` does. */
static enum rc check(struct ground *g, struct bytes text,
                     const struct audit_witnesses *witnesses)
{
    AUTO_BUF(room, AUDIT_PROOF_FILE_MAX);
    struct audit_proof_file proof;
    struct audit_checkpoint checkpoint;
    struct audit_entry entry;

    TRY(audit_proof_file_read(text, &room, &proof));
    TRY(audit_leaf_read(proof.extra, &entry));
    TRY(audit_leaf_check(g->hasher, &entry));
    struct proof_hash leaf = audit_leaf_hash(g->hasher, &entry);
    return audit_proof_file_check(&proof, &leaf, g->signing.key, witnesses, &checkpoint);
}

static void proves_each_record_under_the_checkpoint(void **state)
{
    struct ground *g = *state;

    for (uint64_t index = 0; index < SIZE; index += 17) {
        AUTO_BUF(file, AUDIT_PROOF_FILE_MAX);
        make_file(g, index, false, &file);
        assert_int_equal(check(g, buf_bytes(&file), &NOBODY), RC_OK);
        assert_int_equal(check(g, buf_bytes(&file), &g->witnesses), RC_DENIED);
    }
    AUTO_BUF(file, AUDIT_PROOF_FILE_MAX);
    make_file(g, 42, true, &file);
    assert_int_equal(check(g, buf_bytes(&file), &g->witnesses), RC_OK);
}

/* Every octet, in turn with another bit of it; and every truncation. */
static void a_changed_bit_proves_nothing(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(file, AUDIT_PROOF_FILE_MAX);

    make_file(g, 42, true, &file);
    for (size_t at = 0; at < file.len; at++) {
        file.at[at] ^= (uint8_t)(1 << at % 8);
        if (check(g, buf_bytes(&file), &g->witnesses) == RC_OK)
            fail_msg("octet %zu of the proof may be another", at);
        file.at[at] ^= (uint8_t)(1 << at % 8);
    }
    for (size_t len = 0; len < file.len; len++)
        assert_int_not_equal(check(g, (struct bytes){ file.at, len }, &g->witnesses), RC_OK);
}

/* C2SP tlog-proof's own example, its hashes made whole; index and proof are read as they stand.
 */
static void reads_what_the_specification_shows(void **state)
{
    static const char TEXT[] = "c2sp.org/tlog-proof@v1\n"
                               "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\n"
                               "index 73894\n"
                               "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
                               "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"
                               "\n"
                               "example.com/fancylog\n"
                               "109482\n"
                               "sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n"
                               "\n"
                               "\xe2\x80\x94 example.com/fancylog hI2DJwECAwQ=\n";
    AUTO_BUF(room, AUDIT_PROOF_FILE_MAX);
    AUTO_BUF(again, AUDIT_PROOF_FILE_MAX);
    struct audit_proof_file proof;

    (void)state;
    assert_int_equal(audit_proof_file_read(bytes_of_text(TEXT), &room, &proof), RC_OK);
    assert_int_equal(proof.index, 73894);
    assert_int_equal(proof.count, 2);
    assert_true(bytes_equal(proof.extra, BYTES("age-v1.2.1-darwin-arm64.tar.gz")));
    assert_true(bytes_start_with(proof.note, BYTES("example.com/fancylog\n109482\n")));
    assert_int_equal(audit_proof_file_write(&proof, &again), RC_OK);
    assert_true(bytes_equal(buf_bytes(&again), bytes_of_text(TEXT)));
}

static void submissions_come_back_as_they_went(void **state)
{
    struct audit_submission submission = { .old_size = 20852014, .count = 4 }, read;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);

    (void)state;
    for (size_t i = 0; i < submission.count; i++)
        memset(submission.nodes[i].at, (int)i, PROOF_HASH);
    submission.note = BYTES("a\n1\nb\n\nc\n");
    assert_int_equal(audit_submission_write(&submission, &body), RC_OK);
    assert_int_equal(audit_submission_read(buf_bytes(&body), &read), RC_OK);
    assert_int_equal(read.old_size, submission.old_size);
    assert_int_equal(read.count, 4);
    assert_memory_equal(read.nodes, submission.nodes, 4 * sizeof *read.nodes);
    assert_true(bytes_equal(read.note, submission.note));
    assert_int_equal(audit_submission_read(BYTES("old 01\n\nx"), &read), RC_MALFORMED);
    assert_int_equal(audit_submission_read(BYTES("old -1\n\nx"), &read), RC_MALFORMED);
    assert_int_equal(audit_submission_read(BYTES("old 5\nx\n\nx"), &read), RC_MALFORMED);
    assert_int_equal(audit_submission_read(BYTES("old 5\n"), &read), RC_MALFORMED);
}

/* ---- Two logs under one key ---- */

struct forking {
    struct ground *ground;
    int dir;
    bool cosigned;
    struct buf *note;
};

static enum rc export_all(struct store_txn *txn, void *with)
{
    const struct forking *forking = with;
    AUTO_OF(audit_export) *export = NULL;
    struct proof_hash root;
    struct bytes entry;

    TRY(audit_export_new(forking->dir, &export));
    for (uint64_t i = 0; i < SIZE; i++) {
        TRY(audit_log_get(forking->ground->logs->log, txn, i, &entry));
        TRY(audit_export_add(export, entry));
    }
    TRY(audit_log_root(forking->ground->logs->log, txn, SIZE, &root));
    signing_sign(&forking->ground->signing, SIZE, &root, forking->note);
    if (forking->cosigned)
        cosign(forking->ground, forking->note);
    return audit_export_finish(export, buf_bytes(forking->note));
}

/* The same key signs a log of as many records, which says something else: each is whole in
 * itself. A kept checkpoint of the other shows it, and so does the demand for a witness. */
static void two_logs_under_one_key_are_told_apart(void **state)
{
    struct ground *g = *state;
    void *other = NULL;
    static struct audit_record records[RECORDS];
    struct audit_verified verified;
    AUTO_BUF(first, AUDIT_NOTE_MAX);
    AUTO_BUF(second, AUDIT_NOTE_MAX);
    char paths[2][32];
    struct forking one = { .ground = g, .cosigned = true, .note = &first };
    struct forking two = { .ground = g, .note = &second };

    logs_folder(paths[0], &one.dir);
    logs_folder(paths[1], &two.dir);
    assert_int_equal(store_read(g->logs->store, export_all, &one), RC_OK);
    struct logs *kept = g->logs;
    logs_set_up(&other);
    g->logs = other;
    logs_fill(g->logs, records, RECORDS); /* other salts: another log */
    assert_int_equal(store_read(g->logs->store, export_all, &two), RC_OK);
    logs_tear_down(&other);
    g->logs = kept;
    const struct audit_checkpoint_key *key = g->signing.key;
    assert_int_equal(audit_verify(one.dir, key, &NOBODY, BYTES(""), &verified), RC_OK);
    assert_int_equal(audit_verify(two.dir, key, &NOBODY, BYTES(""), &verified), RC_OK);
    assert_int_equal(audit_verify(one.dir, key, &g->witnesses, BYTES(""), &verified), RC_OK);
    assert_int_equal(verified.witnesses, 1);
    assert_int_equal(audit_verify(two.dir, key, &g->witnesses, BYTES(""), &verified),
                     RC_DENIED);
    assert_int_equal(audit_verify(two.dir, key, &NOBODY, buf_bytes(&first), &verified),
                     RC_DENIED);
    assert_non_null(strstr(fault_text(), "split view"));
    logs_folder_remove(paths[0], one.dir);
    logs_folder_remove(paths[1], two.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proves_each_record_under_the_checkpoint),
        cmocka_unit_test(a_changed_bit_proves_nothing),
        cmocka_unit_test(reads_what_the_specification_shows),
        cmocka_unit_test(submissions_come_back_as_they_went),
        cmocka_unit_test(two_logs_under_one_key_are_told_apart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
