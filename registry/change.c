#include "registry/change.h"

#include <string.h>

#include "registry/rows.h"

struct gathering {
    struct buf *list;
    bool full;
};

static enum rc gather(void *with, const struct store_record *record)
{
    struct gathering *gathering = with;
    const struct registry_change change = { (enum registry_change_kind)record->kind,
                                            record->body };

    if (registry_answer_add_change(gathering->list, record->sequence, &change))
        return RC_OK;
    gathering->full = true;
    return RC_LIMIT;
}

enum rc registry_change_watch(struct store_txn *txn, struct registry_position *position,
                              struct buf *list)
{
    enum { MOST = 4096 };
    struct store_position at = { .sequence = position->sequence };
    struct gathering gathering = { list, false };

    memcpy(at.lineage, position->lineage, sizeof at.lineage);
    enum rc rc = store_feed_watch(txn, &at, MOST, gather, &gathering);
    if (rc != RC_OK && !(gathering.full && list->len > 0))
        return rc;
    position->sequence = at.sequence;
    return RC_OK;
}

/* ---- Snapshots ---- */

/* A cursor is the table that comes next (u8) and the key behind which it goes on. */
struct stage {
    struct bytes prefix; /* of its keys */
    enum registry_table table;
    enum registry_change_kind kind;
};

static const struct stage STAGES[] = {
    { { (const uint8_t *)"authorities", 11 }, REGISTRY_FACTS, REGISTRY_CHANGE_AUTHORITIES },
    { { (const uint8_t *)"crl/", 4 }, REGISTRY_FACTS, REGISTRY_CHANGE_CRL },
    { { NULL, 0 }, REGISTRY_SUBJECTS, REGISTRY_CHANGE_SUBJECT },
    { { NULL, 0 }, REGISTRY_CERTIFICATES, REGISTRY_CHANGE_CERTIFICATE },
};
enum { STAGES_COUNT = sizeof STAGES / sizeof *STAGES, POLICY_STAGE = STAGES_COUNT };

static enum rc add_policy(struct store_txn *txn, struct buf *list, bool *full)
{
    struct registry_policy_row policy;
    AUTO_BUF(body, REGISTRY_CHANGE_MAX);
    enum rc rc = registry_policy_get(txn, 0, &policy);

    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    buf_add_u64(&body, policy.version);
    registry_text_write(&policy.text, &body);
    const struct registry_change change = { REGISTRY_CHANGE_POLICY, buf_bytes(&body) };
    *full = !registry_answer_add_change(list, 0, &change);
    return RC_OK;
}

/* A door's own certificate admits nobody and stays in the books; a CRL's row of an older build
 * (crls.c) cannot be asked for. */
static bool is_for_doors(const struct stage *stage, struct bytes form)
{
    struct registry_crl crl;

    if (stage->kind == REGISTRY_CHANGE_CRL)
        return registry_crl_read(form, &crl) == RC_OK;
    return stage->kind != REGISTRY_CHANGE_CERTIFICATE ||
           (form.len > REGISTRY_FINGERPRINT && form.at[REGISTRY_FINGERPRINT] != REGISTRY_DOOR);
}

static enum rc add_stage(struct store_txn *txn, const struct stage *stage, struct bytes after,
                         struct buf *list, struct registry_key *last, bool *full)
{
    const struct store_range range = { .prefix = stage->prefix, .after = after };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, stage->table, &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        const struct registry_change change = { stage->kind, value.bytes };
        if (is_for_doors(stage, value.bytes) && !registry_answer_add_change(list, 0, &change)) {
            *full = true;
            return RC_OK;
        }
        memcpy(last->at, key.at, key.len);
        last->len = key.len;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc read_cursor(struct bytes cursor, size_t *stage, struct registry_key *last)
{
    struct reader r = READER(cursor);

    *stage = 0;
    last->len = 0;
    if (cursor.len == 0)
        return RC_OK;
    *stage = reader_u8(&r);
    if (*stage > POLICY_STAGE || r.left.len > sizeof last->at)
        return fault(RC_MALFORMED, "door protocol: not a cursor of a snapshot");
    memcpy(last->at, r.left.at, r.left.len);
    last->len = r.left.len;
    return RC_OK;
}

static void write_position(const struct store_txn *txn, struct registry_position *position)
{
    struct store_position at = store_feed_position(txn);

    memcpy(position->lineage, at.lineage, sizeof position->lineage);
    position->sequence = at.sequence;
}

enum rc registry_change_snapshot(struct store_txn *txn, struct bytes cursor, struct buf *list,
                                 struct buf *next, struct registry_position *position)
{
    struct registry_key last;
    size_t stage = 0;
    bool full = false;

    TRY(read_cursor(cursor, &stage, &last));
    write_position(txn, position);
    while (stage < STAGES_COUNT && !full) {
        const struct registry_key after = last;
        TRY(add_stage(txn, &STAGES[stage], registry_key_bytes(&after), list, &last, &full));
        if (full)
            break;
        last.len = 0;
        stage++;
    }
    if (!full)
        TRY(add_policy(txn, list, &full));
    if (!full)
        return RC_OK;
    if (list->len == 0)
        return fault(RC_CORRUPT, "registry: a row is too long for a door");
    buf_add_u8(next, (uint8_t)stage);
    buf_add(next, registry_key_bytes(&last));
    return RC_OK;
}
