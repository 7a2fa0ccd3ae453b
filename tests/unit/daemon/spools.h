/* What a door pushes: batches of its spool. */
#pragma once

#include "tests/unit/daemon/authority_world.h"

#include "audit/spool.h"

static inline void add_act(struct buf *batch, enum audit_action action, const char *device,
                           const char *topic)
{
    const struct audit_record record = { .action = action,
                                         .decision = AUDIT_DENIED,
                                         .wall_ms = TBS_NOW_S * 1000,
                                         .correlation = { 7 },
                                         .actor_kind = AUDIT_DEVICE,
                                         .actor = bytes_of_text(device),
                                         .target = bytes_of_text(topic) };
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);

    assert_int_equal(audit_record_write(&record, &bytes), RC_OK);
    buf_add_sized16(batch, buf_bytes(&bytes));
}

static inline void add_record(struct buf *batch, const char *device, const char *topic)
{
    add_act(batch, AUDIT_PUBLISH, device, topic);
}

static inline void begin_batch(struct buf *batch, uint8_t spool, uint64_t sequence)
{
    uint8_t id[AUDIT_SPOOL_ID] = { spool };

    buf_reset(batch);
    buf_add(batch, BYTES_OF(id));
    buf_add_u64(batch, sequence);
}

static inline enum rc push(struct world *w, enum registry_channel channel,
                           const struct buf *batch, uint64_t *sequence)
{
    struct registry_question q = { .query = buf_bytes(batch) };
    AUTO_TOLD(told);

    TRY(ask_as(w, channel, 0, REGISTRY_ASK_SPOOL, &q, &told.answer, &told.reply));
    *sequence = told.answer.sequence;
    return RC_OK;
}
