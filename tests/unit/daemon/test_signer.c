/* The real program, started as touchmarkd starts it, on a SoftHSM of its own. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/file.h"
#include "base/text.h"
#include "daemon/control.h"
#include "daemon/spawn.h"
#include "keys/ceremony.h"
#include "keys/client.h"
#include "tests/support/softhsm.h"
#include "tests/support/tbs.h"

enum { ROUNDS = 20, WAIT_MS = 60000 };

struct world {
    struct softhsm hsm;
    struct keys_rules *rules;
    char pin_sha256[65];
    const char *pin;
    int workers;
    pid_t pid;
    int ask, control;
};

static void put_file(const struct world *w, const char *name, struct bytes bytes)
{
    AUTO_FD dir = -1;

    assert_int_equal(file_open_dir(AT_FDCWD, w->hsm.dir, &dir), RC_OK);
    assert_int_equal(file_write(dir, name, bytes, 0600), RC_OK);
}

static void make_rules(struct world *w, struct keys_ceremony *ceremony)
{
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);
    AUTO_BUF(signature, 80);
    AUTO_BUF(hex, 80);
    uint8_t spki[KEYS_CEREMONY_SPKI], digest[32];

    w->rules = tbs_example_rules();
    for (size_t i = 0; i < w->rules->count; i++)
        assert_int_equal(keys_ceremony_make_key(ceremony, w->rules->rule[i].name,
                                                w->rules->rule[i].public_key),
                         RC_OK);
    assert_int_equal(keys_ceremony_make_key(ceremony, "root", spki), RC_OK);
    assert_int_equal(keys_rules_write(w->rules, &text), RC_OK);
    assert_int_equal(keys_ceremony_sign(ceremony, "root", buf_bytes(&text), &signature), RC_OK);
    put_file(w, "rules", buf_bytes(&text));
    put_file(w, "rules.sig", buf_bytes(&signature));
    put_file(w, "root.spki", BYTES_OF(spki));
    SHA256(spki, sizeof spki, digest);
    text_add_hex(&hex, BYTES_OF(digest));
    memcpy(w->pin_sha256, hex.at, 64);
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct secret so = { 0 }, user = { 0 };
    AUTO_OF(keys_ceremony) *ceremony = NULL;
    AUTO_BUF(journal, 128);
    const char *path = NULL;

    assert_non_null(w);
    *w = (struct world){ .pin = "1234", .workers = 2, .ask = -1, .control = -1 };
    softhsm_make(&w->hsm);
    buf_addf(&journal, "%s/journal", w->hsm.dir);
    assert_int_equal(buf_text(&journal, &path), RC_OK);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(secret_set(&so, BYTES("87654321")), RC_OK);
    assert_int_equal(secret_set(&user, BYTES("1234")), RC_OK);
    assert_int_equal(keys_ceremony_create(SOFTHSM_MODULE, "issuing", &so, &user, &ceremony),
                     RC_OK);
    make_rules(w, ceremony);
    *state = w;
    return 0;
}

static void write_settings(const struct world *w)
{
    AUTO_BUF(ini, 4096);

    buf_addf(&ini,
             "[supervisor]\nlog_level = debug\n[sandbox]\nlandlock = optional\n[signer]\n"
             "module = %s\nmodule_conf = %s\nmodule_folder = %s\ntoken = issuing\n"
             "workers = %d\nrules = %s/rules\nrules_signature = %s/rules.sig\n"
             "rules_key = %s/root.spki\nrules_key_sha256 = %s\njournal = %s/journal\n",
             SOFTHSM_MODULE, w->hsm.conf, w->hsm.tokens, w->workers, w->hsm.dir, w->hsm.dir,
             w->hsm.dir, w->pin_sha256, w->hsm.dir);
    put_file(w, "settings", buf_bytes(&ini));
    put_file(w, "pin", bytes_of_text(w->pin));
}

static int open_in(const struct world *w, const char *name, int flags)
{
    AUTO_BUF(path, 256);
    const char *text = NULL;

    buf_addf(&path, "%s/%s", w->hsm.dir, name);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    int fd = open(text, flags | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Beside the tests stands bin/. */
static void find_program(struct buf *path)
{
    char self[4096] = "";
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(len > 0);
    *strrchr(self, '/') = '\0';
    buf_addf(path, "%s/bin/touchmark-signer", self);
}

static void start(struct world *w)
{
    static const char *const ENVIRONMENT[] = { "TOUCHMARK_DESCRIPTORS=authority,pin", NULL };
    AUTO_BUF(path, 4200);
    int answering = -1, its_control = -1;

    write_settings(w);
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_FD log = open_in(w, "log", O_WRONLY | O_CREAT | O_APPEND);
    AUTO_FD settings = open_in(w, "settings", O_RDONLY);
    AUTO_FD pin = open_in(w, "pin", O_RDONLY);
    assert_int_equal(link_pair(&w->ask, &answering), RC_OK);
    assert_int_equal(link_pair(&w->control, &its_control), RC_OK);
    const int fds[] = { null, null, log, settings, its_control, answering, pin };
    struct daemon_spawn what = { .name = "signer",
                                 .environment = ENVIRONMENT,
                                 .fds = fds,
                                 .fd_count = sizeof fds / sizeof *fds };
    find_program(&path);
    assert_int_equal(buf_text(&path, &what.path), RC_OK);
    assert_int_equal(daemon_spawn_start(&what, &w->pid), RC_OK);
    close(answering);
    close(its_control);
}

static int ended(struct world *w)
{
    int status = 0;

    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    w->pid = 0;
    close(w->ask);
    close(w->control);
    w->ask = w->control = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int stop(struct world *w)
{
    assert_int_equal(kill(w->pid, SIGTERM), 0);
    return ended(w);
}

static int clean(void **state)
{
    struct world *w = *state;

    if (w->pid > 0) {
        kill(w->pid, SIGKILL);
        ended(w);
    }
    free(w->rules);
    softhsm_remove(&w->hsm);
    free(w);
    return 0;
}

static unsigned logged(const struct world *w, const char *text)
{
    AUTO_FD fd = open_in(w, "log", O_RDONLY);
    AUTO_BUF(log, 1024 * 1024);
    const char *at = NULL;
    unsigned count = 0;

    assert_int_equal(file_read_fd(fd, &log), RC_OK);
    assert_int_equal(buf_text(&log, &at), RC_OK);
    while ((at = strstr(at, text)) != NULL) {
        count++;
        at += strlen(text);
    }
    return count;
}

static void serves(struct world *w)
{
    struct keys_list list;

    assert_int_equal(keys_client_list_and_wait(w->ask, WAIT_MS, &list), RC_OK);
    assert_int_equal(list.count, w->rules->count);
}

static void a_start_with_four_workers_never_loses_the_token(void **state)
{
    struct world *w = *state;

    w->workers = 4;
    for (int i = 0; i < ROUNDS; i++) {
        start(w);
        serves(w);
        assert_int_equal(stop(w), 0);
    }
}

static void it_signs_from_inside_its_jail(void **state)
{
    struct world *w = *state;
    struct tbs pieces = { 0 };
    AUTO_BUF(tbs, TBS_MAX);
    AUTO_BUF(room, LINK_BODY_MAX);
    struct keys_answers answers;
    struct keys_ask ask = { .count = 1, .key = "devices" };
    int64_t now_s = 0;
    struct clock clock = clock_system();

    now_s = clock_wall_ms(&clock) / 1000;
    tbs_fill_device(&pieces, keys_rules_find(w->rules, BYTES("devices")), "dev-1");
    tbs_set_validity(&pieces, now_s - 60, now_s + 86400);
    ask.items[0] = tbs_build(&pieces, &tbs);
    tbs_clear(&pieces);
    start(w);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(keys_client_sign_and_wait(w->ask, KEYS_ASK_CERTIFICATES, &ask, WAIT_MS,
                                                   &room, &answers),
                         RC_OK);
        assert_int_equal(answers.at[0].rc, RC_OK);
    }
    assert_int_equal(stop(w), 0);
    assert_int_equal(logged(w, "process.jailed"), 1 + w->workers);
    assert_int_equal(logged(w, "process.failed"), 0);
}

static void a_wrong_pin_ends_it_for_good_after_one_try(void **state)
{
    struct world *w = *state;

    w->workers = 4;
    w->pin = "4321";
    start(w);
    assert_int_equal(ended(w), EX_NOPERM);
    assert_int_equal(logged(w, "CKR_PIN_INCORRECT"),
                     1); /* one worker, one try (test_token.c) */
    assert_int_equal(logged(w, "4321"), 0);
}

static void rules_that_the_ceremony_did_not_sign_are_wrong_settings(void **state)
{
    struct world *w = *state;
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);

    w->rules->rule[0].rate_burst++;
    assert_int_equal(keys_rules_write(w->rules, &text), RC_OK);
    put_file(w, "rules", buf_bytes(&text));
    start(w);
    assert_int_equal(ended(w), EX_CONFIG);
}

static void a_key_that_is_not_the_rules_is_wrong_settings(void **state)
{
    struct world *w = *state;

    w->pin_sha256[0] = w->pin_sha256[0] == '0' ? '1' : '0';
    start(w);
    assert_int_equal(ended(w), EX_CONFIG);
}

static pid_t first_worker(const struct world *w)
{
    AUTO_BUF(path, 64);
    AUTO_BUF(text, 4096);
    const char *name = NULL, *list = NULL;

    buf_addf(&path, "/proc/%d/task/%d/children", (int)w->pid, (int)w->pid);
    assert_int_equal(buf_text(&path, &name), RC_OK);
    assert_int_equal(file_read(AT_FDCWD, name, &text), RC_OK);
    assert_int_equal(buf_text(&text, &list), RC_OK);
    return (pid_t)strtol(list, NULL, 10);
}

static void a_killed_worker_ends_it_to_be_started_again(void **state)
{
    struct world *w = *state;

    start(w);
    serves(w);
    assert_int_equal(kill(first_worker(w), SIGKILL), 0);
    assert_int_equal(ended(w), EX_TEMPFAIL);
    start(w);
    serves(w);
    assert_int_equal(stop(w), 0);
}

static void a_token_that_is_away_is_worth_another_start(void **state)
{
    struct world *w = *state;
    AUTO_BUF(away, 128);
    const char *aside = NULL;

    buf_addf(&away, "%s.away", w->hsm.tokens);
    assert_int_equal(buf_text(&away, &aside), RC_OK);
    assert_int_equal(rename(w->hsm.tokens, aside), 0);
    start(w);
    assert_int_equal(ended(w), EX_TEMPFAIL);
    assert_int_equal(rename(aside, w->hsm.tokens), 0);
    start(w);
    serves(w);
    assert_int_equal(stop(w), 0);
}

#define WITH_PROGRAM(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROGRAM(it_signs_from_inside_its_jail),
        WITH_PROGRAM(a_start_with_four_workers_never_loses_the_token),
        WITH_PROGRAM(a_wrong_pin_ends_it_for_good_after_one_try),
        WITH_PROGRAM(rules_that_the_ceremony_did_not_sign_are_wrong_settings),
        WITH_PROGRAM(a_key_that_is_not_the_rules_is_wrong_settings),
        WITH_PROGRAM(a_killed_worker_ends_it_to_be_started_again),
        WITH_PROGRAM(a_token_that_is_away_is_worth_another_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
