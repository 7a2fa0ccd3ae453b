/* A witness against honest logs, forgetful ones, and two logs under one key. */
#include "tests/support/folder.h"
#include "tests/unit/audit/signing.h"
#include "tests/unit/audit/trees.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/submission.h"
#include "base/file.h"
#include "witness/judge.h"

enum { WHEN = 1700000000 };

struct ground {
    struct trees_tree one, two;
    struct signing_pair signing;
    char path[32];
    int dir;
    struct witness_book *book;
};

static void reopen(struct ground *g)
{
    witness_book_close(g->book);
    g->book = NULL;
    assert_int_equal(witness_book_open(g->dir, &g->book), RC_OK);
}

static void write_pem(const struct signing_pair *signing, struct buf *pem)
{
    uint8_t *spki = NULL;
    int len = i2d_PUBKEY(signing->pair, &spki);

    buf_add(pem, (struct bytes){ spki, (size_t)len });
    OPENSSL_free(spki);
}

static int set_up(void **state)
{
    struct ground *g = calloc(1, sizeof *g);
    AUTO_BUF(key, 4096);

    trees_plant(&g->one, false);
    trees_plant(&g->two, true);
    signing_open(&g->signing);
    logs_folder(g->path, &g->dir);
    write_pem(&g->signing, &key);
    assert_int_equal(witness_book_make(g->dir, BYTES("witness.example/w")), RC_OK);
    assert_int_equal(witness_book_add_log(g->dir, BYTES(SIGNING_ORIGIN), buf_bytes(&key)),
                     RC_OK);
    reopen(g);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;

    witness_book_close(g->book);
    close(g->dir);
    folder_remove(g->path);
    trees_fell(&g->one);
    trees_fell(&g->two);
    signing_close(&g->signing);
    free(g);
    return 0;
}

/* ---- Submitting ---- */

static void write_body(const struct ground *g, const struct trees_tree *tree, uint64_t from,
                       uint64_t to, struct buf *body)
{
    const struct trees_proof proving = trees_prove(tree, from, to);
    struct audit_submission submission = { .old_size = from };
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    signing_sign(&g->signing, to, &proving.root, &note);
    memcpy(submission.nodes, proving.nodes, proving.count * sizeof *proving.nodes);
    submission.count = proving.count;
    submission.note = buf_bytes(&note);
    assert_int_equal(audit_submission_write(&submission, body), RC_OK);
}

static unsigned judge(struct ground *g, struct bytes body, struct witness_answer *answer)
{
    buf_reset(&answer->body);
    answer->body.max = WITNESS_ANSWER_MAX;
    witness_judge(g->book, body, WHEN, answer);
    assert_true(answer->body.len > 0 && !answer->body.broken);
    return answer->status;
}

#define AUTO_ANSWER(name) [[gnu::cleanup(clear)]] struct witness_answer name = { 0 }
static void clear(struct witness_answer *answer)
{
    buf_clear(&answer->body);
}

static unsigned submit(struct ground *g, const struct trees_tree *tree, uint64_t from,
                       uint64_t to)
{
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);

    write_body(g, tree, from, to, &body);
    return judge(g, buf_bytes(&body), &answer);
}

static bool says(const struct witness_answer *answer, const char *text)
{
    return bytes_equal_text(buf_bytes(&answer->body), text);
}

/* ---- The tests ---- */

static void signs_what_grows_and_its_signature_verifies(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);
    struct audit_witnesses set = { .count = 0 };
    AUTO_BUF(vkey, AUDIT_VKEY_MAX);
    struct audit_submission sent;
    size_t added = 0, count = 0;

    audit_witness_write(audit_cosigner_witness(g->book->cosigner), &vkey);
    assert_int_equal(audit_witnesses_add(&set, buf_bytes(&vkey)), RC_OK);
    for (uint64_t from = 0; from + 7 <= TREES_LEAVES; from += 7) {
        AUTO_BUF(note, AUDIT_NOTE_MAX);
        buf_reset(&body);
        write_body(g, &g->one, from, from + 7, &body);
        assert_int_equal(judge(g, buf_bytes(&body), &answer), 200);
        assert_int_equal(audit_submission_read(buf_bytes(&body), &sent), RC_OK);
        buf_add(&note, sent.note);
        assert_int_equal(audit_cosignature_merge(&set, buf_bytes(&answer.body), &note, &added),
                         RC_OK);
        assert_int_equal(added, 1);
        assert_int_equal(audit_cosignature_count(&set, buf_bytes(&note), &count), RC_OK);
        assert_int_equal(count, 1);
    }
    assert_int_equal(submit(g, &g->one, 56, 56), 200); /* the same once more */
}

static void another_old_size_is_told_the_right_one(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);

    assert_int_equal(submit(g, &g->one, 0, 20), 200);
    write_body(g, &g->one, 10, 30, &body);
    assert_int_equal(judge(g, buf_bytes(&body), &answer), 409);
    assert_true(says(&answer, "20\n"));
    assert_string_equal(answer.type, "text/x.tlog.size");
    assert_int_equal(submit(g, &g->one, 0, 30), 409);
    assert_int_equal(submit(g, &g->one, 30, 30), 409);
    assert_int_equal(submit(g, &g->one, 30, 20), 400); /* above the checkpoint */
    assert_int_equal(submit(g, &g->one, 10, 15), 409); /* a smaller one is never signed again */
    assert_int_equal(submit(g, &g->one, 20, 30), 200);
}

/* C2SP tlog-witness: 422 for a proof that does not hold, of any kind. */
static void no_proof_no_signature(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_BUF(changed, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);
    struct audit_submission sent;

    assert_int_equal(submit(g, &g->one, 0, 20), 200);
    write_body(g, &g->one, 20, 40, &body);
    assert_int_equal(audit_submission_read(buf_bytes(&body), &sent), RC_OK);
    assert_true(sent.count > 1);
    for (size_t i = 0; i < sent.count; i++) {
        sent.nodes[i].at[3] ^= 1;
        buf_reset(&changed);
        assert_int_equal(audit_submission_write(&sent, &changed), RC_OK);
        assert_int_equal(judge(g, buf_bytes(&changed), &answer), 422);
        sent.nodes[i].at[3] ^= 1;
    }
    sent.count--;
    buf_reset(&changed);
    assert_int_equal(audit_submission_write(&sent, &changed), RC_OK);
    assert_int_equal(judge(g, buf_bytes(&changed), &answer), 422);
    assert_int_equal(judge(g, buf_bytes(&body), &answer), 200);
}

/* Of two logs under one key the witness signs that which it saw first past the fork, whatever
 * sizes the other comes with; and again after a restart. */
static void signs_one_of_two_logs_under_one_key(void **state)
{
    struct ground *g = *state;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);

    assert_int_equal(submit(g, &g->one, 0, TREES_FORK), 200);
    assert_int_equal(submit(g, &g->one, TREES_FORK, 40), 200);
    for (int again = 0; again < 2; again++) {
        for (uint64_t to = 41; to <= TREES_LEAVES; to++)
            assert_int_equal(submit(g, &g->two, 40, to), 422);
        buf_reset(&body);
        write_body(g, &g->two, 40, 40, &body);
        assert_int_equal(judge(g, buf_bytes(&body), &answer), 409);
        assert_true(answer.split_view);
        assert_true(says(&answer, "40\n"));
        assert_int_equal(submit(g, &g->two, TREES_FORK, 40), 409);
        assert_int_equal(submit(g, &g->two, 0, 50), 409);
        reopen(g);
    }
    assert_int_equal(submit(g, &g->one, 40, TREES_LEAVES), 200);
    AUTO_FD evidence = openat(g->dir, "evidence", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t files = 0;
    DIR *list = fdopendir(TAKE_FD(evidence));
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        files += one->d_name[0] != '.';
    closedir(list);
    assert_int_equal(files, 1); /* the note that shows it */
}

static void strangers_and_garbage_are_told_apart(void **state)
{
    struct ground *g = *state;
    struct signing_pair stranger;
    AUTO_BUF(body, AUDIT_SUBMISSION_MAX);
    AUTO_ANSWER(answer);
    struct signing_pair ours = g->signing;

    signing_open(&stranger);
    g->signing = stranger;
    assert_int_equal(submit(g, &g->one, 0, 20), 403);
    g->signing = ours;
    signing_close(&stranger);
    assert_int_equal(
        judge(g, BYTES("old 0\n\nelse.example/log\n1\nx\n\n\xe2\x80\x94 x y\n"), &answer), 404);
    assert_int_equal(judge(g, BYTES("old 0\n\n"), &answer), 400);
    assert_int_equal(judge(g, BYTES(""), &answer), 400);
    write_body(g, &g->one, 0, 20, &body);
    for (size_t len = 0; len < body.len; len++) {
        unsigned status = judge(g, (struct bytes){ body.at, len }, &answer);
        assert_true(status == 400 || status == 403 || status == 404);
    }
    for (size_t at = 0; at < body.len; at++) {
        body.at[at] ^= (uint8_t)(1 << at % 8);
        unsigned status = judge(g, buf_bytes(&body), &answer);
        assert_true(status >= 400 && status < 500);
        body.at[at] ^= (uint8_t)(1 << at % 8);
    }
    assert_int_equal(judge(g, buf_bytes(&body), &answer), 200);
}

/* What cannot be remembered is not signed, and what was is not forgotten. */
static void does_not_sign_what_it_cannot_remember(void **state)
{
    struct ground *g = *state;
    struct stat found;

    assert_int_equal(submit(g, &g->one, 0, 20), 200);
    assert_int_equal(renameat(g->dir, "states", g->dir, "elsewhere"), 0);
    assert_int_equal(submit(g, &g->one, 20, 30), 500);
    assert_int_equal(renameat(g->dir, "elsewhere", g->dir, "states"), 0);
    reopen(g);
    assert_int_equal(g->book->logs[0].size, 20);
    assert_int_equal(submit(g, &g->one, 20, 30), 200);
    AUTO_FD states = openat(g->dir, "states", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fstatat(states, g->book->logs[0].file, &found, 0), 0);
    AUTO_FD fd = openat(states, g->book->logs[0].file, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, found.st_size - 20), 0);
    struct witness_book *book = NULL;
    assert_int_equal(witness_book_open(g->dir, &book), RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signs_what_grows_and_its_signature_verifies, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_old_size_is_told_the_right_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_proof_no_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signs_one_of_two_logs_under_one_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_and_garbage_are_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(does_not_sign_what_it_cannot_remember, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
