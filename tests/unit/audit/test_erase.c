/* Erasing, holding and pruning against a naive model: what was appended, who was erased, what
 * is held; over undone transactions and new lives. */
#include "tests/unit/audit/model.h"

enum { ROUNDS = 150, SEEDS = 4, DAYS = 3 };

/* ---- What happens ---- */

/* What the model says of it. */
static enum rc expect(const struct model *m)
{
    bool any = false;

    if (m->erasing)
        return RC_BUSY;
    for (size_t i = 0; i < m->count; i++)
        if (is_of(&m->records[i], m->kind, m->id) && !m->gone[i]) {
            any = true;
            if (held(m, &m->records[i]))
                return RC_DENIED;
        }
    return any ? RC_OK : RC_NOT_FOUND;
}

static bool whole(const struct model *m)
{
    for (size_t i = 0; i < m->hold_count; i++)
        if (m->holds[i].since_ms == 0 &&
            (m->holds[i].kind == AUDIT_NOBODY ||
             (m->holds[i].kind == m->kind && bytes_equal(m->holds[i].id, m->id))))
            return true;
    return false;
}

static void begin_erasure(struct model *m)
{
    static const char *const IDS[] = { "dev-1", "dev-2", "dev-3", "dev-4", "dev-10" };
    static const enum audit_actor_kind KINDS[] = { AUDIT_DEVICE, AUDIT_DEVICE, AUDIT_OPERATOR,
                                                   AUDIT_LINE };

    if (!m->erasing) {
        m->kind = KINDS[logs_dice(&m->dice) % 4];
        m->id = bytes_of_text(IDS[logs_dice(&m->dice) % 5]);
    }
    enum rc want = whole(m) && !m->erasing ? RC_DENIED : expect(m);
    enum rc rc = store_write(m->logs->store, begin, m);
    if (want == RC_NOT_FOUND) {
        /* Another's erasing or pruning may have left it without any, or records that stay have
         * its facet: then there is nothing to do. */
        assert_true(rc == RC_NOT_FOUND || rc == RC_OK || rc == RC_CLOSED);
        want = rc;
    } else if (want == RC_OK && m->undo) {
        want = RC_CLOSED;
    }
    assert_int_equal(rc, want);
    m->refused += rc == RC_DENIED;
    if (rc != RC_OK)
        return;
    m->erasing = true;
    for (size_t i = 0; i < m->count; i++) {
        m->gone[i] = m->gone[i] || is_of(&m->records[i], m->kind, m->id);
        m->sealed[i] = m->sealed[i] || lies_under(&m->records[i], m->kind, m->id);
    }
}

static void step_erasure(struct model *m)
{
    struct stepping s = { .m = m,
                          .room = BUF_MAX(128),
                          .most = 1 + (unsigned)logs_dice(&m->dice) % 200 };
    enum rc rc = store_write(m->logs->store, step, &s);

    if (!m->erasing)
        assert_int_equal(rc, RC_NOT_FOUND);
    else if (m->undo)
        assert_int_equal(rc, RC_CLOSED);
    else
        assert_int_equal(rc, RC_OK);
    if (rc == RC_OK && s.finished) {
        assert_true(bytes_equal(s.erasure.id, m->id));
        m->erasing = false;
        m->finished++;
    }
    buf_clear(&s.room);
}

struct pruning {
    struct model *m;
    struct audit_prune prune;
    struct audit_pruned pruned;
    uint64_t minimum, records;
};

static enum rc prune(struct store_txn *txn, void *with)
{
    struct pruning *p = with;

    TRY(audit_prune_step(p->m->logs->log, txn, &p->prune, &p->pruned));
    return audit_prune_minimum(p->m->logs->log, txn, &p->minimum);
}

/* All that is due, in steps of a few; then nothing that is due and not held is whole, and
 * nothing else was touched. */
static void prune_all(struct model *m)
{
    struct pruning p = {
        .m = m,
        .prune = { .wall_ms = m->logs->now,
                   .elapsed_ms = DAY,
                   .below = m->count == 0 ? 0 : logs_dice(&m->dice) % (m->count + 1),
                   .most = 1 + (unsigned)logs_dice(&m->dice) % 50 },
    };
    size_t end = 0, first_held = MOST;

    do {
        assert_int_equal(store_write(m->logs->store, prune, &p), RC_OK);
        if (p.pruned.run_over)
            p.records = p.pruned.records;
    } while (p.pruned.more);
    for (; end < p.prune.below; end++) {
        if (m->records[end].wall_ms >= m->logs->now - (int64_t)DAYS * DAY)
            break;
        if (stays(&m->records[end]) || m->gone[end])
            continue;
        bool is_held = held(m, &m->records[end]);
        if (is_held && first_held == MOST)
            first_held = end;
        m->gone[end] = m->sealed[end] = !is_held;
        m->pruned += !is_held;
    }
    assert_true(p.minimum <= (first_held < MOST ? first_held : m->count));
    assert_true(first_held < MOST || p.minimum >= end);
}

static enum rc change_hold(struct store_txn *txn, void *with)
{
    struct model *m = with;
    struct audit_hold *hold = &m->holds[m->hold_count];

    return audit_holds_add(m->logs->log, txn, hold, &hold->number);
}

static void add_hold(struct model *m)
{
    static const char *const IDS[] = { "dev-1", "dev-2" };
    struct audit_hold *hold = &m->holds[m->hold_count];

    if (m->hold_count == 2)
        return;
    *hold = (struct audit_hold){ .made_ms = m->logs->now,
                                 .by = BYTES("ada"),
                                 .reason = BYTES("case 4711") };
    if (logs_dice(&m->dice) % 4 != 0) {
        hold->kind = (enum audit_actor_kind)(1 + logs_dice(&m->dice) % 3);
        hold->id = bytes_of_text(IDS[logs_dice(&m->dice) % 2]);
    }
    if (logs_dice(&m->dice) % 2 == 0)
        hold->since_ms = m->logs->now - 2 * (int64_t)DAY;
    bool busy = m->erasing && hold->kind == m->kind && bytes_equal(hold->id, m->id);
    assert_int_equal(store_write(m->logs->store, change_hold, m), busy ? RC_BUSY : RC_OK);
    m->hold_count += !busy;
}

static enum rc drop_hold(struct store_txn *txn, void *with)
{
    struct model *m = with;
    AUTO_BUF(room, AUDIT_HOLD_BYTES_MAX);
    struct audit_hold hold;

    TRY(audit_holds_remove(m->logs->log, txn, m->holds[m->hold_count - 1].number, &room,
                           &hold));
    assert_true(bytes_equal_text(hold.reason, "case 4711"));
    return RC_OK;
}

static void remove_hold(struct model *m)
{
    if (m->hold_count == 0)
        return;
    assert_int_equal(store_write(m->logs->store, drop_hold, m), RC_OK);
    m->hold_count--;
}

static enum rc set_retention(struct store_txn *txn, void *with)
{
    struct model *m = with;
    uint32_t before = 99;

    TRY(audit_prune_set(m->logs->log, txn, DAYS, m->logs->now, &before));
    assert_true(before == 0 || before == DAYS);
    return RC_OK;
}

static enum rc index_a_part(struct store_txn *txn, void *with)
{
    struct model *m = with;
    bool more = false;

    return audit_log_index(m->logs->log, txn, &more);
}

/* Fars of one block, so that there are some, and erasures in them. */
static void index_it(struct model *m)
{
    assert_int_equal(store_write(m->logs->store, index_a_part, m), RC_OK);
}

static void one_thing(struct model *m, bool undone)
{
    static void (*const THINGS[])(struct model *) = { append_to,     append_to,    append_to,
                                                      begin_erasure, step_erasure, step_erasure,
                                                      step_erasure };
    static void (*const OTHERS[])(struct model *) = { prune_all, add_hold, remove_hold,
                                                      append_to };

    m->undo = undone;
    if (!undone && logs_dice(&m->dice) % 3 == 0)
        OTHERS[logs_dice(&m->dice) % 4](m);
    else
        THINGS[logs_dice(&m->dice) % 7](m);
    m->undo = false;
}

static void agrees_with_a_naive_model(void **state)
{
    static struct model m;
    unsigned finished = 0, refused = 0, pruned = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        void *logs = NULL;
        assert_int_equal(logs_set_up(&logs), 0);
        m = (struct model){ .logs = logs, .dice = seed };
        m.logs->now = 1000 * (int64_t)DAY;
        assert_int_equal(store_write(m.logs->store, set_retention, &m), RC_OK);
        for (unsigned round = 0; round < ROUNDS; round++) {
            m.logs->log->far_blocks = 1; /* of every life, or one would forget in other fars */
            m.logs->now += (int64_t)(logs_dice(&m.dice) % (DAY / 8));
            one_thing(&m, logs_dice(&m.dice) % 4 == 0);
            index_it(&m);
            if (logs_dice(&m.dice) % 16 == 0)
                reopen(m.logs, 256 << 20);
            m.logs->log->far_blocks = 1;
            if (round % 8 == 0 || round + 1 == ROUNDS)
                compare(&m);
        }
        assert_true(m.count > MOST / 4);
        finished += m.finished;
        refused += m.refused;
        pruned += m.pruned;
        logs_tear_down(&logs);
    }
    print_message("finished %u, refused %u, pruned %u\n", finished, refused, pruned);
    assert_true(finished > 3 && refused > 1 && pruned > 100);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_naive_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
