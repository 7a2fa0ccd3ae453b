#include "tests/unit/registry/world.h"

#include <signal.h>
#include <sys/wait.h>

static const uint8_t SECRET[32] = { 7, 7, 7 };

static enum rc do_add_token(struct store_txn *txn, struct act *act)
{
    return registry_token_add(txn, &act->token);
}

static enum rc do_reserve(struct store_txn *txn, struct act *act)
{
    return registry_token_reserve(txn, bytes_of_text(act->id), act->secret, act->attempt,
                                  act->now_ms, &act->token);
}

static enum rc do_consume(struct store_txn *txn, struct act *act)
{
    return registry_token_consume(txn, bytes_of_text(act->id), act->attempt);
}

static enum rc do_release(struct store_txn *txn, struct act *act)
{
    return registry_token_release(txn, bytes_of_text(act->id), act->attempt);
}

static enum rc do_release_all(struct store_txn *txn, struct act *act)
{
    return registry_token_release_all(txn, &act->count);
}

static enum rc do_end_all(struct store_txn *txn, struct act *act)
{
    return registry_token_end_all(txn, &act->count);
}

static void add_token(struct world *w, const char *id, const char *device)
{
    struct act act = { .run = do_add_token, .token = { .expires_ms = NOW_MS + 1000 } };

    sample_text(act.token.id, bytes_of_text(id));
    sample_text(act.token.device, bytes_of_text(device));
    memcpy(act.token.secret_hash, SECRET, sizeof SECRET);
    assert_int_equal(world_do(w, &act), RC_OK);
    assert_int_equal(world_do(w, &act), RC_EXISTS);
}

static struct act attempt(enum rc (*run)(struct store_txn *, struct act *), uint8_t who)
{
    struct act act = { .run = run, .id = "token-1", .attempt = { who } };

    memcpy(act.secret, SECRET, sizeof SECRET);
    return act;
}

static enum rc try_it(struct world *w, enum rc (*run)(struct store_txn *, struct act *),
                      uint8_t who)
{
    struct act act = attempt(run, who);

    return world_do(w, &act);
}

static int prepare(void **state)
{
    int rc = world_prepare(state);

    world_add_device(*state, "dev-1");
    add_token(*state, "token-1", "dev-1");
    return rc;
}

static void a_token_is_reserved_then_used_once(void **state)
{
    struct world *w = *state;

    assert_int_equal(try_it(w, do_consume, 1), RC_DENIED);
    assert_int_equal(try_it(w, do_reserve, 1), RC_OK);
    assert_int_equal(try_it(w, do_reserve, 2), RC_BUSY);
    assert_int_equal(try_it(w, do_consume, 2), RC_DENIED);
    assert_int_equal(try_it(w, do_release, 2), RC_DENIED);
    assert_int_equal(try_it(w, do_consume, 1), RC_OK);
    assert_int_equal(try_it(w, do_consume, 1), RC_DENIED);
    assert_int_equal(try_it(w, do_release, 1), RC_DENIED);
    assert_int_equal(try_it(w, do_reserve, 3), RC_DENIED);
}

static void a_released_token_can_be_tried_again(void **state)
{
    struct world *w = *state;

    assert_int_equal(try_it(w, do_reserve, 1), RC_OK);
    assert_int_equal(try_it(w, do_release, 1), RC_OK);
    assert_int_equal(try_it(w, do_reserve, 2), RC_OK);
    assert_int_equal(try_it(w, do_consume, 2), RC_OK);
}

static void every_refusal_sounds_the_same(void **state)
{
    struct world *w = *state;
    struct act wrong = attempt(do_reserve, 1), late = wrong, absent = wrong, odd = wrong;
    char first[256];

    wrong.secret[31] ^= 1;
    late.now_ms = NOW_MS + 1000;
    absent.id = "token-2";
    odd.id = "not/an id";
    assert_int_equal(world_do(w, &wrong), RC_DENIED);
    sample_text(first, bytes_of_text(fault_text()));
    assert_int_equal(world_do(w, &late), RC_DENIED);
    assert_string_equal(fault_text(), first);
    assert_int_equal(world_do(w, &absent), RC_DENIED);
    assert_string_equal(fault_text(), first);
    assert_int_equal(world_do(w, &odd), RC_DENIED);
    assert_string_equal(fault_text(), first);
    late.now_ms = NOW_MS + 999;
    assert_int_equal(world_do(w, &late), RC_OK);
}

/* Some threads' worth of requests in any order: each step is a transaction, as it is there. */
static void many_attempts_interleaved_use_it_exactly_once(void **state)
{
    enum { ATTEMPTS = 4, STEPS = 400 };
    struct world *w = *state;
    unsigned random = 99, used = 0;
    bool holds[ATTEMPTS] = { false };

    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 1103515245 + 12345;
        unsigned who = (random >> 16) % ATTEMPTS, what = (random >> 20) % 8;
        uint8_t name = (uint8_t)(who + 1);
        if (!holds[who])
            holds[who] = try_it(w, do_reserve, name) == RC_OK;
        else if (what == 0 && step > STEPS / 2)
            used += try_it(w, do_consume, name) == RC_OK;
        else if (what < 4 && try_it(w, do_release, name) == RC_OK)
            holds[who] = false;
        unsigned holders = 0;
        for (unsigned i = 0; i < ATTEMPTS; i++)
            holders += holds[i];
        assert_true(holders <= 1);
    }
    assert_int_equal(used, 1);
}

/* A child reserves, tells, and is killed before it can consume. */
static void a_kill_between_reserve_and_use_loses_and_doubles_nothing(void **state)
{
    struct world *w = *state;
    struct act release = { .run = do_release_all };
    int told[2], status = 0;
    char octet = 0;

    store_close(w->store);
    w->store = NULL;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        world_open(w);
        octet = try_it(w, do_reserve, 1) == RC_OK ? 'y' : 'n';
        if (write(told[1], &octet, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(told[0], &octet, 1), 1);
    assert_int_equal(octet, 'y');
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(told[0]);
    close(told[1]);
    world_open(w);
    assert_int_equal(try_it(w, do_reserve, 2), RC_BUSY);
    assert_int_equal(world_do(w, &release), RC_OK);
    assert_int_equal(release.count, 1);
    assert_int_equal(try_it(w, do_consume, 1), RC_DENIED);
    assert_int_equal(try_it(w, do_reserve, 2), RC_OK);
    assert_int_equal(try_it(w, do_consume, 2), RC_OK);
    assert_int_equal(world_do(w, &release), RC_OK);
    assert_int_equal(release.count, 0);
    assert_int_equal(try_it(w, do_reserve, 3), RC_DENIED);
}

/* What is open or held in a copy may have been used since the copy was made. */
static void a_copy_put_back_has_no_token_left(void **state)
{
    struct world *w = *state;
    struct act end = { .run = do_end_all };

    add_token(w, "token-5", "dev-1");
    assert_int_equal(try_it(w, do_reserve, 1), RC_OK);
    assert_int_equal(world_do(w, &end), RC_OK);
    assert_int_equal(end.count, 2);
    assert_int_equal(try_it(w, do_consume, 1), RC_DENIED);
    assert_int_equal(try_it(w, do_reserve, 2), RC_DENIED);
    assert_int_equal(world_do(w, &end), RC_OK);
    assert_int_equal(end.count, 0);
}

static void a_device_that_is_out_gets_no_token(void **state)
{
    struct world *w = *state;
    struct act act = { .run = do_add_token, .token = { .id = "token-9", .device = "dev-9" } };

    assert_int_equal(world_do(w, &act), RC_NOT_FOUND);
    world_add_device(w, "dev-9");
    assert_int_equal(world_become(w, "dev-9", REGISTRY_REVOKED), RC_OK);
    assert_int_equal(world_do(w, &act), RC_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, world_clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_reserved_then_used_once),
        TEST(a_released_token_can_be_tried_again),
        TEST(every_refusal_sounds_the_same),
        TEST(many_attempts_interleaved_use_it_exactly_once),
        TEST(a_kill_between_reserve_and_use_loses_and_doubles_nothing),
        TEST(a_copy_put_back_has_no_token_left),
        TEST(a_device_that_is_out_gets_no_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
