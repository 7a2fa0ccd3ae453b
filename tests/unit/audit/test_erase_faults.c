/* An erasure in a store that is full, and in lives that are cut short. */
#include "tests/unit/audit/model.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- A store that is full, at each page of a step ---- */

static void a_full_store_undoes_a_step_whole(void **state)
{
    struct logs *w = *state;
    struct model *m = filled(w, 400);
    struct stat file;
    unsigned full = 0, done = 0;

    m->kind = AUDIT_DEVICE;
    m->id = BYTES("dev-1");
    assert_int_equal(fstatat(w->dir, "data.mdb", &file, 0), 0);
    for (uint64_t pages = 0; done == 0; pages++) {
        struct stepping s = { .m = m, .room = BUF_MAX(128), .most = 1000 };
        reopen(w, (uint64_t)file.st_size + pages * 4096);
        enum rc rc = m->erasing ? RC_OK : store_write(w->store, begin, m);
        if (rc == RC_OK && !m->erasing) {
            m->erasing = true;
            for (size_t i = 0; i < m->count; i++) {
                m->gone[i] = is_of(&m->records[i], m->kind, m->id);
                m->sealed[i] = lies_under(&m->records[i], m->kind, m->id);
            }
        }
        if (rc == RC_OK)
            rc = store_write(w->store, step, &s);
        assert_true(rc == RC_OK || rc == RC_LIMIT);
        full += rc == RC_LIMIT;
        done += rc == RC_OK;
        if (rc == RC_OK)
            m->erasing = !s.finished;
        compare(m);
        buf_clear(&s.room);
    }
    assert_true(full > 0);
    assert_false(m->erasing);
    free(m);
}

/* ---- Killed in the middle ---- */

static void erase_until_killed(struct logs *w)
{
    const struct store_settings settings = { .map_bytes = 256 << 20, .clock = &w->clock };
    struct model m = { .logs = w };
    struct stepping s = { .m = &m, .room = BUF_MAX(128), .most = 5 };

    if (store_open(w->dir, &w->schema, &settings, &w->store) != RC_OK ||
        audit_log_new(0, &w->log) != RC_OK)
        _exit(2);
    logs_unlock(w->log);
    enum rc rc = RC_OK;
    while (rc == RC_OK && !s.finished)
        rc = store_write(w->store, step, &s);
    /* Not found: the last step was on disk when the life before ended. */
    _exit(rc == RC_OK || rc == RC_NOT_FOUND ? 0 : 3);
}

static void goes_on_after_each_kill(void **state)
{
    struct logs *w = *state;
    struct model *m = filled(w, 400);
    unsigned kills = 0;
    int status = -1;

    m->kind = AUDIT_DEVICE;
    m->id = BYTES("dev-2");
    assert_int_equal(store_write(w->store, begin, m), RC_OK);
    m->erasing = true;
    for (size_t i = 0; i < m->count; i++) {
        m->gone[i] = is_of(&m->records[i], m->kind, m->id);
        m->sealed[i] = lies_under(&m->records[i], m->kind, m->id);
    }
    compare(m);
    for (bool finished = false; !finished;) {
        audit_log_free(w->log);
        store_close(w->store);
        w->log = NULL;
        w->store = NULL;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            erase_until_killed(w);
        usleep(3000 + (useconds_t)(logs_dice(&m->dice) % 20000) * (1 + kills / 20));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        finished = WIFEXITED(status);
        kills += !finished;
        reopen(w, 256 << 20);
        m->erasing = !finished;
        compare(m);
    }
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_store_undoes_a_step_whole, logs_set_up,
                                        logs_tear_down),
        cmocka_unit_test_setup_teardown(goes_on_after_each_kill, logs_set_up, logs_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
