/* The carrier's side of a witness, against the real witness program. */
#include "tests/support/folder.h"
#include "tests/unit/audit/signing.h"
#include "tests/unit/audit/trees.h"

#include <openssl/pem.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "audit/cosignature.h"
#include "integration/witness.h"

enum { DEADLINE_MS = 30000, RETRY_MS = 1000 };

struct world {
    char path[32];
    int dir;
    struct buf program, folder, url; /* texts */
    struct clock clock;
    struct loop *loop;
    struct trees_tree one, two;
    struct signing_pair signing;
    struct audit_witnesses set;
    pid_t pid; /* of the program; 0: it does not run */
    unsigned port;
    struct integration_witness *witness;

    const struct trees_tree *log; /* that is offered */
    uint64_t size;                /* of what is offered last, and its note */
    struct buf note;
    bool refuses; /* the log takes no signatures */
    unsigned proofs, brought;
    size_t signatures; /* under the note that came back last */
};

static const char *text_of(struct buf *buf)
{
    const char *text = NULL;

    assert_int_equal(buf_text(buf, &text), RC_OK);
    return text;
}

/* ---- The program ---- */

/* Beside the tests stands bin/. */
static void find_program(struct world *w)
{
    char self[4096] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    *strrchr(self, '/') = '\0';
    w->program = BUF_MAX(sizeof self + 32);
    buf_addf(&w->program, "%s/bin/touchmark-witness", self);
}

/* Its standard output. */
static FILE *start_program(struct world *w, const char *const *words, pid_t *pid)
{
    const char *program = text_of(&w->program);
    int out[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    *pid = fork();
    assert_true(*pid >= 0);
    if (*pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execv(program, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    close(out[1]);
    return fdopen(out[0], "r");
}

/* A command that ends at once; the first line that it prints. */
static void run(struct world *w, const char *const *words, char line[256])
{
    int status = 0;
    pid_t pid;
    FILE *out = start_program(w, words, &pid);

    if (fgets(line, 256, out) == NULL)
        line[0] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fclose(out);
}

/* On the port that it had. */
static void start(struct world *w)
{
    AUTO_BUF(address, 32);
    pid_t pid;
    char line[256] = "";

    buf_addf(&address, "127.0.0.1:%u", w->port);
    const char *const words[] = { "witness", "serve", text_of(&w->folder), text_of(&address),
                                  NULL };
    FILE *out = start_program(w, words, &pid);
    w->pid = pid;
    assert_non_null(fgets(line, sizeof line, out));
    assert_int_equal(strncmp(line, "listening ", 10), 0);
    w->port = (unsigned)strtoul(line + 10, NULL, 10);
    fclose(out);
    buf_reset(&w->url);
    buf_addf(&w->url, "http://127.0.0.1:%u/", w->port);
}

static void stop(struct world *w)
{
    if (w->pid == 0)
        return;
    kill(w->pid, SIGKILL);
    assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
    w->pid = 0;
}

static void make_witness(struct world *w)
{
    AUTO_BUF(pem_path, 256);
    char vkey[256];

    buf_addf(&pem_path, "%s/key.pem", w->path);
    FILE *pem = fopen(text_of(&pem_path), "w");
    assert_int_equal(PEM_write_PUBKEY(pem, w->signing.pair), 1);
    fclose(pem);
    const char *const init[] = { "witness", "init", text_of(&w->folder), "witness.example/w",
                                 NULL };
    run(w, init, vkey);
    assert_int_equal(audit_witnesses_add(&w->set, bytes_of_text(vkey)), RC_OK);
    const char *const add[] = { "witness",      "add-log",          text_of(&w->folder),
                                SIGNING_ORIGIN, text_of(&pem_path), NULL };
    run(w, add, vkey);
}

/* ---- The log's side ---- */

static void give_proof(struct world *w, uint64_t from, uint64_t to)
{
    const struct trees_proof proof = trees_prove(w->log, from, to);

    w->proofs++;
    integration_witness_prove(w->witness, proof.nodes, proof.count);
}

static void bring(struct world *w, uint64_t size, struct bytes lines)
{
    size_t added = 0;

    if (w->refuses) {
        assert_int_equal(fault(RC_DENIED, "not by a witness of ours"), RC_DENIED);
        integration_witness_fail(w->witness);
        return;
    }
    assert_int_equal(size, w->size);
    assert_int_equal(audit_cosignature_merge(&w->set, lines, &w->note, &added), RC_OK);
    assert_int_equal(audit_cosignature_count(&w->set, buf_bytes(&w->note), &w->signatures),
                     RC_OK);
    w->brought++;
    integration_witness_brought(w->witness, buf_bytes(&w->note));
}

/* As the exporter, not from inside the call. */
static void pump(struct world *w)
{
    AUTO_BUF(kept, 4096);
    uint64_t from, to;
    struct bytes lines;

    if (integration_witness_proves(w->witness, &from, &to)) {
        give_proof(w, from, to);
    } else if (integration_witness_brings(w->witness, &to, &lines)) {
        buf_add(&kept, lines);
        bring(w, to, buf_bytes(&kept));
    }
}

static void offer(struct world *w, const struct trees_tree *log, uint64_t size)
{
    const struct trees_proof proof = trees_prove(log, size, size);

    w->log = log;
    w->size = size;
    buf_reset(&w->note);
    signing_sign(&w->signing, size, &proof.root, &w->note);
    assert_int_equal(integration_witness_offer(w->witness, buf_bytes(&w->note)), RC_OK);
}

static struct integration_witness_status status_of(const struct world *w)
{
    struct integration_witness_status status;

    integration_witness_status(w->witness, &status);
    return status;
}

static void wait_cosigned(struct world *w, uint64_t size)
{
    int64_t end = loop_now_ms(w->loop) + DEADLINE_MS;

    while (status_of(w).cosigned != size) {
        assert_true(loop_now_ms(w->loop) < end);
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
        pump(w);
    }
    assert_int_equal(status_of(w).health.state, INTEGRATION_UP);
    assert_string_equal(status_of(w).health.why, "");
    assert_int_equal(w->signatures, 1);
}

static void wait_failing(struct world *w, const char *why)
{
    int64_t end = loop_now_ms(w->loop) + DEADLINE_MS;

    while (strstr(status_of(w).health.why, why) == NULL) {
        if (loop_now_ms(w->loop) >= end)
            fail_msg("\"%s\" instead of \"%s\"", status_of(w).health.why, why);
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
        pump(w);
    }
    assert_int_equal(status_of(w).health.state, INTEGRATION_FAILING);
}

static void ignore(void *with)
{
    (void)with;
}

/* One that remembers nothing, as after a restart. */
static void begin(struct world *w)
{
    const struct integration_witness_setup setup = { .loop = w->loop,
                                                     .url = text_of(&w->url),
                                                     .connect_ms = 2000,
                                                     .retry_most_ms = RETRY_MS,
                                                     .wants = ignore,
                                                     .told = ignore,
                                                     .with = w };

    integration_witness_free(w->witness);
    w->witness = NULL;
    assert_int_equal(integration_witness_new(&setup, &w->witness), RC_OK);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    logs_folder(w->path, &w->dir);
    w->clock = clock_system();
    w->folder = BUF_MAX(64);
    w->url = BUF_MAX(64);
    w->note = BUF_MAX(AUDIT_NOTE_MAX);
    buf_addf(&w->folder, "%s/w", w->path);
    assert_int_equal(loop_new(&w->clock, &w->loop), RC_OK);
    trees_plant(&w->one, false);
    trees_plant(&w->two, true);
    signing_open(&w->signing);
    find_program(w);
    make_witness(w);
    start(w);
    begin(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    integration_witness_free(w->witness);
    stop(w);
    loop_free(w->loop);
    signing_close(&w->signing);
    trees_fell(&w->one);
    trees_fell(&w->two);
    close(w->dir);
    folder_remove(w->path);
    buf_clear(&w->program);
    buf_clear(&w->folder);
    buf_clear(&w->url);
    buf_clear(&w->note);
    free(w);
    return 0;
}

/* ---- The tests ---- */

static void each_checkpoint_comes_back_signed(void **state)
{
    struct world *w = *state;

    assert_int_equal(status_of(w).health.state, INTEGRATION_TRYING);
    for (uint64_t size = 1; size <= TREES_LEAVES; size += 7) {
        offer(w, &w->one, size);
        wait_cosigned(w, size);
    }
    assert_int_equal(w->brought, 9);
    assert_int_equal(w->proofs, 8); /* the first needs none */
    offer(w, &w->one, w->size);     /* another signature of the log under the same text */
    for (int i = 0; i < 10; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    pump(w);
    assert_int_equal(w->brought, 9);
}

static void what_it_signed_last_it_says_itself(void **state)
{
    struct world *w = *state;

    offer(w, &w->one, 20);
    wait_cosigned(w, 20);
    begin(w);
    offer(w, &w->one, 20); /* nothing new, and we do not know */
    wait_cosigned(w, 20);
    begin(w);
    w->proofs = 0;
    offer(w, &w->one, 33);
    wait_cosigned(w, 33);
    assert_int_equal(w->proofs, 1);
}

static void what_comes_meanwhile_is_passed_over_for_the_newest(void **state)
{
    struct world *w = *state;

    offer(w, &w->one, 5);
    kill(w->pid, SIGSTOP);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    for (uint64_t size = 6; size < 40; size++) {
        const struct trees_proof proof = trees_prove(&w->one, size, size);
        AUTO_BUF(note, AUDIT_NOTE_MAX);
        signing_sign(&w->signing, size, &proof.root, &note);
        assert_int_equal(integration_witness_offer(w->witness, buf_bytes(&note)), RC_OK);
    }
    kill(w->pid, SIGCONT);
    wait_cosigned(w, 5);
    offer(w, &w->one, 40); /* 39 is under way */
    w->size = 39;
    buf_reset(&w->note);
    const struct trees_proof proof = trees_prove(&w->one, 39, 39);
    signing_sign(&w->signing, 39, &proof.root, &w->note);
    wait_cosigned(w, 39);
    assert_int_equal(w->brought, 2);
}

static void one_that_is_away_is_tried_again(void **state)
{
    struct world *w = *state;

    offer(w, &w->one, 10);
    wait_cosigned(w, 10);
    stop(w);
    offer(w, &w->one, 20);
    wait_failing(w, "/add-checkpoint: ");
    int64_t failed_ms = status_of(w).health.since_ms;
    offer(w, &w->one, 30);
    for (int i = 0; i < 100; i++)
        assert_int_equal(loop_turn_once(w->loop, 20), RC_OK);
    assert_int_equal(status_of(w).health.since_ms, failed_ms); /* the first failure's */
    assert_int_equal(status_of(w).cosigned, 10);
    start(w);
    wait_cosigned(w, 30);
    assert_int_equal(w->brought, 2);
}

static void a_log_that_was_put_back_is_not_signed_again(void **state)
{
    struct world *w = *state;

    offer(w, &w->one, 40);
    wait_cosigned(w, 40);
    begin(w);
    offer(w, &w->one, 30);
    wait_failing(w, "has signed a tree of 40 records, this log has 30");
    offer(w, &w->one, 41); /* it has grown past it, and is the same */
    wait_cosigned(w, 41);
}

static void another_log_is_not_signed(void **state)
{
    struct world *w = *state;

    offer(w, &w->one, 40);
    wait_cosigned(w, 40);
    offer(w, &w->two, 40);
    wait_failing(w, "has signed a tree of 40 records, and this log's of that size is another");
    offer(w, &w->two, 50);
    wait_failing(w, "the witness answers 422: ");
    begin(w);
    offer(w, &w->two, 40);
    wait_failing(w, "this log's of that size is another");
    assert_int_equal(status_of(w).cosigned, 0);
    offer(w, &w->one, 50);
    wait_cosigned(w, 50);
}

static void what_the_log_does_not_take_is_tried_again(void **state)
{
    struct world *w = *state;
    const struct audit_witnesses set = w->set;

    w->refuses = true;
    offer(w, &w->one, 10);
    wait_failing(w, "not by a witness of ours");
    w->refuses = false;
    wait_cosigned(w, 10);
    w->set = (struct audit_witnesses){ .count = 0 };
    offer(w, &w->one, 11);
    wait_failing(w, "witness.example/w is none of authority.witnesses");
    w->set = set;
    wait_cosigned(w, 11);
}

static void a_key_that_it_does_not_know_is_told(void **state)
{
    struct world *w = *state;

    signing_close(&w->signing);
    signing_open(&w->signing);
    offer(w, &w->one, 10);
    wait_failing(w, "the witness answers 403: ");
}

static void an_end_on_the_way_leaves_nothing(void **state)
{
    struct world *w = *state;

    kill(w->pid, SIGSTOP);
    offer(w, &w->one, 10);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    integration_witness_free(w->witness);
    w->witness = NULL;
    assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
    kill(w->pid, SIGCONT);
}

static void rubbish_is_no_checkpoint(void **state)
{
    struct world *w = *state;

    assert_int_equal(integration_witness_offer(w->witness, BYTES("")), RC_MALFORMED);
    assert_int_equal(integration_witness_offer(w->witness, BYTES("a\n1\n\n\n")), RC_MALFORMED);
    offer(w, &w->one, 10);
    wait_cosigned(w, 10);
}

static void urls_are_numeric(void **state)
{
    static const struct {
        const char *url;
        uint16_t port; /* 0: refused */
    } ROWS[] = {
        { "http://192.0.2.1:8070", 8070 },
        { "http://192.0.2.1:1/", 1 },
        { "http://[2001:db8::1]:65535/a/B-9_.x", 65535 },
        { "", 0 },
        { "192.0.2.1:8070", 0 },
        { "https://192.0.2.1:8443", 8443 },
        { "https://[::1]:1/a", 1 },
        { "https://", 0 },
        { "https:/192.0.2.1:8443", 0 },
        { "ftp://192.0.2.1:8443", 0 },
        { "HTTP://192.0.2.1:8070", 0 },
        { "http://", 0 },
        { "http://192.0.2.1", 0 },
        { "http://192.0.2.1:0", 0 },
        { "http://192.0.2.1:65536", 0 },
        { "http://witness.example:8070", 0 },
        { "http://user@192.0.2.1:8070", 0 },
        { "http://192.0.2.1:8070/a?b", 0 },
        { "http://192.0.2.1:8070/a#b", 0 },
        { "http://192.0.2.1:8070/%61", 0 },
        { "http://192.0.2.1:8070/a b", 0 },
        { "http://[2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:8070", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct integration_witness_url read;
        assert_int_equal(integration_witness_read_url(ROWS[i].url, &read),
                         ROWS[i].port == 0 ? RC_MALFORMED : RC_OK);
        assert_int_equal(read.port, ROWS[i].port);
        if (read.port != 0)
            assert_int_equal(read.tls, strncmp(ROWS[i].url, "https", 5) == 0);
    }
}

static void names_are_plain(void **state)
{
    static const char *const GOOD[] = { "a", "witness.example", "W-1.example", "192.0.2.1" };
    static const char *const BAD[] = {
        "", "a:b", "a b", "a/", "[::1]", "*.example", "b\xc3\xa9"
    };
    char longest[255] = "";

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_int_equal(integration_witness_check_name(GOOD[i]), RC_OK);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(integration_witness_check_name(BAD[i]), RC_MALFORMED);
    memset(longest, 'a', sizeof longest - 1);
    assert_int_equal(integration_witness_check_name(longest), RC_MALFORMED);
    longest[253] = '\0';
    assert_int_equal(integration_witness_check_name(longest), RC_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_checkpoint_comes_back_signed),
        TEST(what_it_signed_last_it_says_itself),
        TEST(what_comes_meanwhile_is_passed_over_for_the_newest),
        TEST(one_that_is_away_is_tried_again),
        TEST(a_log_that_was_put_back_is_not_signed_again),
        TEST(another_log_is_not_signed),
        TEST(what_the_log_does_not_take_is_tried_again),
        TEST(a_key_that_it_does_not_know_is_told),
        TEST(an_end_on_the_way_leaves_nothing),
        TEST(rubbish_is_no_checkpoint),
        cmocka_unit_test(urls_are_numeric),
        cmocka_unit_test(names_are_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
