#include "bench/audit_ours.h"

#include "audit/saying.h"
#include "store/seal.h"

#include <stdlib.h>
#include <time.h>

#define MAP_BYTES (UINT64_C(64) << 30)
enum { STAGE_MAX = AUDIT_OURS_GROUP_MAX * AUDIT_RECORD_MAX };

/* ---- Cost ---- */

static double read_clock(clockid_t clock)
{
    struct timespec time = { 0 };

    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

struct audit_cost audit_cost_now(void)
{
    return (struct audit_cost){ read_clock(CLOCK_PROCESS_CPUTIME_ID),
                                read_clock(CLOCK_MONOTONIC) };
}

void audit_cost_add(struct audit_cost *sum, const struct audit_cost *since)
{
    struct audit_cost now = audit_cost_now();

    sum->cpu_us += now.cpu_us - since->cpu_us;
    sum->wall_us += now.wall_us - since->wall_us;
}

/* ---- Life ---- */

static enum rc unlock(struct audit_log *log)
{
    AUTO_SECRET(key);

    TRY(secret_make_random(&key, STORE_SEAL_KEY));
    return audit_log_unlock(log, &key);
}

enum rc audit_ours_open(int dir, const struct audit_fleet *fleet, struct audit_ours *ours)
{
    *ours = (struct audit_ours){ .fleet = *fleet, .clock = clock_system() };
    ours->stage.bytes = (struct buf)BUF_MAX(STAGE_MAX);
    ours->schema = (struct store_schema){ "audit", 1, audit_log_tables(), AUDIT_TABLES };
    const struct store_settings settings = { .map_bytes = MAP_BYTES, .clock = &ours->clock };
    TRY(store_open(dir, &ours->schema, &settings, &ours->store));
    TRY(audit_log_new(0, &ours->log));
    return unlock(ours->log);
}

void audit_ours_close(struct audit_ours *ours)
{
    audit_log_free(ours->log);
    store_close(ours->store);
    buf_clear(&ours->stage.bytes);
    audit_fleet_clear(&ours->made);
}

/* ---- Writing ---- */

struct bytes audit_stage_record(const struct audit_stage *stage, size_t i)
{
    size_t begin = i == 0 ? 0 : stage->ends[i - 1];

    return (struct bytes){ stage->bytes.at + begin, stage->ends[i] - begin };
}

enum rc audit_ours_stage(struct audit_ours *ours, size_t count)
{
    struct audit_stage *stage = &ours->stage;

    buf_reset(&stage->bytes);
    stage->count = count;
    for (size_t i = 0; i < count; i++) {
        audit_fleet_make(&ours->fleet, ours->size + i, &ours->made);
        TRY(audit_record_write(&ours->made.record, &stage->bytes));
        stage->ends[i] = stage->bytes.len;
        stage->own[i] = audit_saying_check(AUDIT_FROM_DEVICE_DOOR, &ours->made.record) != RC_OK;
    }
    return RC_OK;
}

/* What no door may say, the authority says: so the log itself takes it. */
static enum rc append_own(struct audit_ours *ours, struct store_txn *txn, struct bytes bytes)
{
    struct audit_record record;

    TRY(audit_record_read(bytes, &record));
    return audit_log_append(ours->log, txn, &record, NULL);
}

static enum rc take(struct store_txn *txn, void *with)
{
    struct audit_ours *ours = with;
    const struct audit_stage *stage = &ours->stage;
    struct audit_taking taking = {
        .origin = { .source = AUDIT_FROM_DEVICE_DOOR,
                    .sequence = ours->sequence,
                    .now_ms =
                        FLEET_BEGAN_MS + (int64_t)(ours->size + stage->count) * FLEET_STEP_MS },
    };

    TRY(audit_log_take_begin(ours->log, txn, &taking));
    for (size_t i = 0; i < stage->count; i++) {
        bool taken = false;
        if (stage->own[i]) {
            TRY(append_own(ours, txn, audit_stage_record(stage, i)));
            continue;
        }
        taking.origin.sequence++;
        TRY(audit_log_take_one(ours->log, txn, &taking, audit_stage_record(stage, i), &taken));
        if (!taken)
            return fault(RC_CORRUPT, "record %zu of a group was there already", i);
    }
    return audit_log_take_end(ours->log, txn, &taking);
}

enum rc audit_ours_write(struct audit_ours *ours)
{
    TRY(store_write(ours->store, take, ours));
    for (size_t i = 0; i < ours->stage.count; i++)
        ours->sequence += !ours->stage.own[i];
    ours->size += ours->stage.count;
    return RC_OK;
}

struct merging {
    struct audit_log *log;
    bool due, more;
};

static enum rc is_due(struct store_txn *txn, void *with)
{
    struct merging *merging = with;

    return audit_log_index_due(merging->log, txn, &merging->due);
}

static enum rc merge(struct store_txn *txn, void *with)
{
    struct merging *merging = with;

    return audit_log_index(merging->log, txn, &merging->more);
}

enum rc audit_ours_index(struct audit_ours *ours)
{
    struct merging merging = { .log = ours->log };

    TRY(store_read(ours->store, is_due, &merging));
    for (merging.more = merging.due; merging.more;)
        TRY(store_write(ours->store, merge, &merging));
    return RC_OK;
}
