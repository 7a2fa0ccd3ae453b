/* The real program, started as touchmarkd starts it, on a SoftHSM of its own. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/file.h"
#include "base/text.h"
#include "keys/client.h"
#include "tests/support/signer_program.h"
#include "tests/support/tbs.h"

enum { ROUNDS = 20, WAIT_MS = 60000 };

static void serves(struct signer_program *w)
{
    struct keys_list list;

    assert_int_equal(keys_client_list_and_wait(w->ask, WAIT_MS, &list), RC_OK);
    assert_int_equal(list.count, w->rules->count);
}

static void a_start_with_four_workers_never_loses_the_token(void **state)
{
    struct signer_program *w = *state;

    w->workers = 4;
    for (int i = 0; i < ROUNDS; i++) {
        signer_program_start(w);
        serves(w);
        assert_int_equal(signer_program_stop(w), 0);
    }
}

static void it_signs_from_inside_its_jail(void **state)
{
    struct signer_program *w = *state;
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
    signer_program_start(w);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(keys_client_sign_and_wait(w->ask, KEYS_ASK_CERTIFICATES, &ask, WAIT_MS,
                                                   &room, &answers),
                         RC_OK);
        assert_int_equal(answers.at[0].rc, RC_OK);
    }
    assert_int_equal(signer_program_stop(w), 0);
    assert_int_equal(signer_program_logged(w, "process.jailed"), 1 + w->workers);
    assert_int_equal(signer_program_logged(w, "process.failed"), 0);
}

static void a_wrong_pin_ends_it_for_good_after_one_try(void **state)
{
    struct signer_program *w = *state;

    w->workers = 4;
    w->pin = "4321";
    signer_program_start(w);
    assert_int_equal(signer_program_ended(w), EX_NOPERM);
    assert_int_equal(signer_program_logged(w, "CKR_PIN_INCORRECT"),
                     1); /* one worker, one try (test_token.c) */
    assert_int_equal(signer_program_logged(w, "4321"), 0);
}

static void rules_that_the_ceremony_did_not_sign_are_wrong_settings(void **state)
{
    struct signer_program *w = *state;
    AUTO_BUF(text, KEYS_RULES_TEXT_MAX);

    w->rules->rule[0].rate_burst++;
    assert_int_equal(keys_rules_write(w->rules, &text), RC_OK);
    signer_program_put_file(w, "rules", buf_bytes(&text));
    signer_program_start(w);
    assert_int_equal(signer_program_ended(w), EX_CONFIG);
}

static void a_key_that_is_not_the_rules_is_wrong_settings(void **state)
{
    struct signer_program *w = *state;

    w->pin_sha256[0] = w->pin_sha256[0] == '0' ? '1' : '0';
    signer_program_start(w);
    assert_int_equal(signer_program_ended(w), EX_CONFIG);
}

static pid_t first_worker(const struct signer_program *w)
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
    struct signer_program *w = *state;

    signer_program_start(w);
    serves(w);
    assert_int_equal(kill(first_worker(w), SIGKILL), 0);
    assert_int_equal(signer_program_ended(w), EX_TEMPFAIL);
    signer_program_start(w);
    serves(w);
    assert_int_equal(signer_program_stop(w), 0);
}

static void a_token_that_is_away_is_worth_another_start(void **state)
{
    struct signer_program *w = *state;
    AUTO_BUF(away, 128);
    const char *aside = NULL;

    buf_addf(&away, "%s.away", w->hsm.tokens);
    assert_int_equal(buf_text(&away, &aside), RC_OK);
    assert_int_equal(rename(w->hsm.tokens, aside), 0);
    signer_program_start(w);
    assert_int_equal(signer_program_ended(w), EX_TEMPFAIL);
    assert_int_equal(rename(aside, w->hsm.tokens), 0);
    signer_program_start(w);
    serves(w);
    assert_int_equal(signer_program_stop(w), 0);
}

#define WITH_PROGRAM(test)                                                                     \
    cmocka_unit_test_setup_teardown(test, signer_program_prepare, signer_program_clean)

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
