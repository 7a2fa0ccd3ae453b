#include "audit/prune.h"

#include "audit/holds.h"
#include "audit/retention_state.h"

enum { VALUE_MAX = 80, RUN_MOST = 100000 };
static const int64_t DAY_MS = 86400000;
static const uint8_t ROW[] = { AUDIT_ROW_PRUNING };

struct state {
    uint32_t days;
    int64_t clock_ms;
    uint64_t next, held;           /* first not looked at; first held, or UINT64_MAX */
    uint64_t first, last, records; /* of the run that is not told of yet */
    uint64_t waiting;  /* below it all were there when one that is dated ahead was met */
    int64_t waited_ms; /* since then, by the monotonic clock */
};

/* ---- The row ---- */

static enum rc get_state(struct audit_log *log, struct store_txn *txn, struct state *state)
{
    struct store_value value;
    enum rc rc = store_txn_get(txn, log->first_table + AUDIT_HOLDS, BYTES_OF(ROW), &value);

    *state = (struct state){ .held = UINT64_MAX };
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    struct reader r = READER(value.bytes);
    state->days = reader_u32(&r);
    state->clock_ms = (int64_t)reader_u64(&r);
    state->next = reader_u64(&r);
    state->held = reader_u64(&r);
    state->first = reader_u64(&r);
    state->last = reader_u64(&r);
    state->records = reader_u64(&r);
    if (r.left.len > 0) { /* an older row ends here */
        state->waiting = reader_u64(&r);
        state->waited_ms = (int64_t)reader_u64(&r);
    }
    return reader_done(&r) ? RC_OK : fault(RC_CORRUPT, "audit log: how far pruning came");
}

static enum rc put_state(struct audit_log *log, struct store_txn *txn,
                         const struct state *state)
{
    AUTO_BUF(value, VALUE_MAX);
    struct bytes bytes;

    buf_add_u32(&value, state->days);
    buf_add_u64(&value, (uint64_t)state->clock_ms);
    buf_add_u64(&value, state->next);
    buf_add_u64(&value, state->held);
    buf_add_u64(&value, state->first);
    buf_add_u64(&value, state->last);
    buf_add_u64(&value, state->records);
    buf_add_u64(&value, state->waiting);
    buf_add_u64(&value, (uint64_t)state->waited_ms);
    TRY(buf_done(&value, &bytes));
    return store_txn_put(txn, log->first_table + AUDIT_HOLDS, BYTES_OF(ROW), bytes);
}

static uint64_t minimum(const struct state *state)
{
    return state->held < state->next ? state->held : state->next;
}

enum rc audit_prune_minimum(struct audit_log *log, struct store_txn *txn, uint64_t *index)
{
    struct state state;

    TRY(get_state(log, txn, &state));
    *index = minimum(&state);
    return RC_OK;
}

enum rc audit_prune_is_on(struct audit_log *log, struct store_txn *txn, bool *on)
{
    struct state state;

    TRY(get_state(log, txn, &state));
    *on = state.days > 0 || state.records > 0;
    return RC_OK;
}

enum rc audit_prune_again(struct audit_log *log, struct store_txn *txn)
{
    struct state state;

    TRY(get_state(log, txn, &state));
    if (state.held == UINT64_MAX)
        return RC_OK;
    state.next = minimum(&state);
    state.held = UINT64_MAX;
    return put_state(log, txn, &state);
}

/* ---- The clock ---- */

static enum rc newest_ms(struct audit_log *log, struct store_txn *txn, int64_t *wall_ms)
{
    struct audit_record head;
    struct bytes leaf;
    uint64_t size = 0;
    bool bare;

    TRY(audit_log_size(log, txn, &size));
    if (size == 0)
        return RC_OK;
    TRY(audit_log_get_leaf(log, txn, size - 1, &leaf, &bare));
    TRY(audit_record_read_head((struct bytes){ leaf.at, AUDIT_HEAD }, &head));
    if (head.wall_ms < *wall_ms)
        *wall_ms = head.wall_ms;
    return RC_OK;
}

enum rc audit_prune_set(struct audit_log *log, struct store_txn *txn, uint32_t days,
                        int64_t wall_ms, uint32_t *before)
{
    struct state state;

    TRY(get_state(log, txn, &state));
    *before = state.days;
    if (days == state.days)
        return RC_OK;
    if (state.days == 0) {
        state.clock_ms = wall_ms;
        TRY(newest_ms(log, txn, &state.clock_ms));
    }
    state.days = days;
    return put_state(log, txn, &state);
}

static void advance(struct state *state, const struct audit_prune *prune)
{
    int64_t ahead = prune->wall_ms - state->clock_ms;
    int64_t gain = prune->elapsed_ms * AUDIT_PRUNE_PACE;

    state->clock_ms += ahead < gain ? ahead : gain;
    if (state->waiting > state->next)
        state->waited_ms += prune->elapsed_ms;
}

/* ---- A step ---- */

struct step {
    struct audit_log *log;
    struct store_txn *txn;
    struct state *state;
    const struct audit_holds *holds;
    int64_t due_ms, wall_ms;
    uint64_t size; /* of the log */
};

/* Whatever it is dated: it has been there for as long as records stay. */
static bool has_waited(const struct state *state, uint64_t index)
{
    return index < state->waiting && state->waited_ms > state->days * DAY_MS;
}

static void wait_from_now(struct step *step, uint64_t index, int64_t wall_ms)
{
    if (wall_ms <= step->wall_ms || index < step->state->waiting)
        return;
    step->state->waiting = step->size;
    step->state->waited_ms = 0;
}

static void count(struct state *state, uint64_t index)
{
    if (state->records++ == 0)
        state->first = index;
    state->last = index;
}

/* Its body goes, unless it is held. One that is being erased is left to that. */
static enum rc prune_body(struct step *step, uint64_t index)
{
    struct audit_record record;
    struct audit_entry parts;
    struct bytes entry;

    TRY(audit_log_get(step->log, step->txn, index, &entry));
    TRY(audit_leaf_read(entry, &parts));
    if (parts.erased)
        return RC_OK;
    buf_reset(&step->log->record);
    TRY(audit_leaf_record(&parts, &step->log->record, &record));
    if (audit_holds_find(step->holds, &record) != NULL) {
        if (step->state->held == UINT64_MAX)
            step->state->held = index;
        return RC_OK;
    }
    TRY(audit_log_strip(step->log, step->txn, index, entry));
    count(step->state, index);
    return RC_OK;
}

static enum rc prune_one(struct step *step, uint64_t index, bool *due)
{
    struct audit_record head;
    struct bytes leaf;
    bool bare;

    TRY(audit_log_get_leaf(step->log, step->txn, index, &leaf, &bare));
    TRY(audit_record_read_head((struct bytes){ leaf.at, AUDIT_HEAD }, &head));
    *due = head.wall_ms < step->due_ms || has_waited(step->state, index);
    if (!*due)
        wait_from_now(step, index, head.wall_ms);
    if (!*due || bare || audit_action_stays(head.action))
        return RC_OK;
    return prune_body(step, index);
}

/* *more: there may be more to do at once. */
static enum rc prune_some(struct step *step, uint64_t end, unsigned most, bool *more)
{
    bool due = true;

    for (; most > 0 && step->state->next < end; most--) {
        TRY(prune_one(step, step->state->next, &due));
        if (!due)
            break;
        step->state->next++;
    }
    *more = due && step->state->next < end;
    return RC_OK;
}

static void tell(struct state *state, struct audit_pruned *pruned)
{
    pruned->run_over = true;
    pruned->first = state->first;
    pruned->last = state->last;
    pruned->records = state->records;
    state->records = 0;
}

/* It was set to 0 amid a run: that is told of, and nothing else is done. */
static enum rc end_run(struct audit_log *log, struct store_txn *txn, struct state *state,
                       struct audit_pruned *pruned)
{
    if (state->records == 0)
        return RC_OK;
    tell(state, pruned);
    return put_state(log, txn, state);
}

enum rc audit_prune_step(struct audit_log *log, struct store_txn *txn,
                         const struct audit_prune *prune, struct audit_pruned *pruned)
{
    AUTO_HOLDS(holds);
    struct state state;
    uint64_t end = 0;

    *pruned = (struct audit_pruned){ 0 };
    TRY(get_state(log, txn, &state));
    if (state.days == 0)
        return end_run(log, txn, &state, pruned);
    bool idle = state.records == 0;
    advance(&state, prune);
    TRY(audit_holds_read(log, txn, &holds));
    TRY(audit_log_size(log, txn, &end));
    struct step step = {
        log, txn, &state, &holds, state.clock_ms - state.days * DAY_MS, prune->wall_ms, end
    };
    TRY(prune_some(&step, prune->below < end ? prune->below : end, prune->most, &pruned->more));
    TRY(audit_sealing_end_windows(log->sealing, txn, minimum(&state), prune->most));
    if (state.records > 0 && (!pruned->more || state.records >= RUN_MOST))
        tell(&state, pruned);
    pruned->first = state.first;
    pruned->run_begins = idle && state.records > 0;
    return put_state(log, txn, &state);
}
