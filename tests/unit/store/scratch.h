/* What the tests of store/ share: a folder that goes away, a small schema, short words. */
#pragma once

#include "tests/support/check.h"

#include "store/txn.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

struct scratch {
    char path[64];
    int dir;
};

static inline void scratch_make(struct scratch *scratch)
{
    static const char PATTERN[] = "/tmp/test_store.XXXXXX";

    for (size_t i = 0; i < sizeof PATTERN; i++)
        scratch->path[i] = PATTERN[i];
    assert_non_null(mkdtemp(scratch->path));
    scratch->dir = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(scratch->dir >= 0);
}

static inline void scratch_empty(const struct scratch *scratch)
{
    DIR *list = opendir(scratch->path);

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        unlinkat(dirfd(list), one->d_name, 0);
    closedir(list);
}

static inline void scratch_remove(struct scratch *scratch)
{
    scratch_empty(scratch);
    close(scratch->dir);
    rmdir(scratch->path);
}

enum { DEVICES, BY_NUMBER };
static const struct store_table SCRATCH_TABLES[] = {
    [DEVICES] = { "devices", STORE_KEY_BYTES, 1024 },
    [BY_NUMBER] = { "by_number", STORE_KEY_NUMBER, 4096 },
};
static const struct store_schema SCRATCH_SCHEMA = { "scratch", 1, SCRATCH_TABLES, 2 };

static inline int64_t scratch_hand(void *with)
{
    return *(const int64_t *)with;
}

/* A clock that stands where the test puts it. */
static inline struct clock scratch_clock(int64_t *now)
{
    return (struct clock){ scratch_hand, scratch_hand, now };
}

static inline enum rc scratch_open(const struct scratch *scratch, const struct clock *clock,
                                   struct store **store)
{
    const struct store_settings settings = { .map_bytes = 64 << 20,
                                             .clock = clock,
                                             .rehearse = true };

    return store_open(scratch->dir, &SCRATCH_SCHEMA, &settings, store);
}

/* A store in a folder of its own, under a clock that stands still. */
struct scratch_world {
    struct scratch scratch;
    int64_t now;
    struct clock clock;
    struct store *store;
};

static inline int scratch_set_up(void **state)
{
    struct scratch_world *w = calloc(1, sizeof *w);

    scratch_make(&w->scratch);
    w->clock = scratch_clock(&w->now);
    assert_int_equal(scratch_open(&w->scratch, &w->clock, &w->store), RC_OK);
    *state = w;
    return 0;
}

static inline int scratch_tear_down(void **state)
{
    struct scratch_world *w = *state;

    store_close(w->store);
    scratch_remove(&w->scratch);
    free(w);
    return 0;
}
