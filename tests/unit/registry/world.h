/* A registry in a folder of its own that goes away, with the hour in the test's hand. */
#pragma once

#include "tests/unit/registry/samples.h"
#include "tests/unit/store/scratch.h"

#include "registry/change.h"
#include "registry/list.h"
#include "registry/registry.h"

enum { NOW_MS = 150000 }; /* inside the dates of sample_certificate() */

struct world {
    struct scratch scratch;
    int64_t now;
    struct clock clock;
    struct store_schema schema; /* the store's for its life */
    struct store *store;
};

/* tables: fewer than there are now, as before the last ones were added. */
static inline void world_open_with(struct world *w, size_t tables)
{
    const struct store_settings settings = { .map_bytes = 256 << 20,
                                             .clock = &w->clock,
                                             .rehearse = true };

    w->schema = (struct store_schema){ "registry", 1, registry_tables(), tables };
    assert_int_equal(store_open(w->scratch.dir, &w->schema, &settings, &w->store), RC_OK);
}

static inline void world_open(struct world *w)
{
    world_open_with(w, REGISTRY_TABLES);
}

static inline int world_prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    scratch_make(&w->scratch);
    w->clock = scratch_clock(&w->now);
    world_open(w);
    *state = w;
    return 0;
}

static inline int world_clean(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    scratch_remove(&w->scratch);
    free(w);
    return 0;
}

/* One change for tests: what to do, and to whom. */
struct act {
    enum rc (*run)(struct store_txn *txn, struct act *act);
    const char *id;
    enum registry_kind kind;
    enum registry_state state;
    struct registry_subject subject;
    struct registry_certificate certificate;
    struct registry_token token;
    uint8_t secret[32], attempt[REGISTRY_ATTEMPT];
    int64_t now_ms;
    uint64_t count, version;
    struct bytes text, why;
    uint8_t reason;
    bool known;
};

static inline enum rc run_act(struct store_txn *txn, void *with)
{
    struct act *act = with;

    return act->run(txn, act);
}

static inline enum rc world_do(struct world *w, struct act *act)
{
    if (act->now_ms == 0)
        act->now_ms = NOW_MS;
    return store_write(w->store, run_act, act);
}

static inline enum rc do_add(struct store_txn *txn, struct act *act)
{
    struct registry_subject subject = act->subject;

    return registry_subject_add(txn, &subject, act->now_ms);
}

static inline enum rc do_become(struct store_txn *txn, struct act *act)
{
    return registry_subject_become(txn, act->kind, bytes_of_text(act->id), act->state,
                                   act->reason, act->now_ms);
}

static inline enum rc do_register(struct store_txn *txn, struct act *act)
{
    struct registry_certificate one = act->certificate;

    return registry_certificate_register(txn, &one, act->now_ms);
}

static inline enum rc do_revoke(struct store_txn *txn, struct act *act)
{
    return registry_certificate_revoke(txn, &act->certificate.fingerprint, act->reason,
                                       act->now_ms);
}

static inline enum rc do_get(struct store_txn *txn, struct act *act)
{
    TRY(registry_certificate_get(txn, &act->certificate.fingerprint, &act->certificate));
    return registry_subject_get(txn, act->certificate.kind,
                                bytes_of_text(act->certificate.subject), &act->subject);
}

static inline void world_add_device(struct world *w, const char *id)
{
    struct act act = { .run = do_add, .subject = sample_device(id) };

    assert_int_equal(world_do(w, &act), RC_OK);
}

static inline enum rc world_register(struct world *w, uint8_t number, const char *id)
{
    struct act act = { .run = do_register, .certificate = sample_certificate(number, id) };

    return world_do(w, &act);
}

static inline enum rc world_become(struct world *w, const char *id, enum registry_state state)
{
    struct act act = { .run = do_become, .id = id, .kind = REGISTRY_DEVICE, .state = state };

    return world_do(w, &act);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_prepare, world_clean)
