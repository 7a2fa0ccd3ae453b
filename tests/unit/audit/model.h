/* What the tests of erasing share: a naive model of the log, which says of each record whether
 * it may be read, must be bare, is held. */
#pragma once

#include "tests/unit/audit/logs.h"

#include <string.h>

#include "audit/erase.h"
#include "audit/holds.h"
#include "audit/log_state.h"
#include "audit/prune.h"

enum { MOST = 700, DAY = 86400000 };

/* ---- The model ---- */

struct model {
    struct logs *logs;
    struct audit_record records[MOST];
    struct proof_hash leaves[MOST];
    bool gone[MOST];   /* must be bare once all is done */
    bool sealed[MOST]; /* must be bare at once: its own key is doomed */
    size_t count;
    uint64_t dice;
    /* Under way. */
    enum audit_actor_kind kind;
    struct bytes id;
    bool erasing;
    struct audit_hold holds[8];
    size_t hold_count;
    bool undo;                          /* the change fails at its end */
    unsigned finished, refused, pruned; /* so that it can be told whether there was any */
};

static inline bool stays(const struct audit_record *record)
{
    return record->action == AUDIT_LOG_ERASE || record->action == AUDIT_LOG_HOLD ||
           record->action == AUDIT_LOG_PRUNE;
}

static inline bool is_of(const struct audit_record *record, enum audit_actor_kind kind,
                         struct bytes id)
{
    if (stays(record))
        return false;
    if (record->actor_kind == AUDIT_OPERATOR || record->actor_kind == AUDIT_LINE)
        return record->actor_kind == kind && bytes_equal(record->actor, id);
    return kind == AUDIT_DEVICE &&
           (bytes_equal(record->device, id) ||
            (record->actor_kind == AUDIT_DEVICE && bytes_equal(record->actor, id)));
}

/* The subject under whose key it lies, as sealing.h says. */
static inline bool lies_under(const struct audit_record *record, enum audit_actor_kind kind,
                              struct bytes id)
{
    if (!is_of(record, kind, id))
        return false;
    return record->actor_kind != AUDIT_DEVICE || bytes_equal(record->actor, id);
}

static inline bool held(const struct model *m, const struct audit_record *record)
{
    for (size_t i = 0; i < m->hold_count; i++)
        if (audit_hold_covers(&m->holds[i], record))
            return true;
    return false;
}

/* ---- Appending ---- */

static inline enum rc append_some(struct store_txn *txn, void *with)
{
    struct model *m = with;
    size_t more = 1 + m->dice % 23;
    uint64_t dice = m->dice;

    for (size_t i = m->count; i < m->count + more && i < MOST; i++) {
        m->records[i] = logs_record(&dice);
        m->records[i].wall_ms = m->logs->now;
        TRY(audit_log_append(m->logs->log, txn, &m->records[i], NULL));
        m->records[i].source = AUDIT_FROM_AUTHORITY;
    }
    return m->undo ? fault(RC_BUSY, "undone by the test") : RC_OK;
}

static inline enum rc read_leaves(struct store_txn *txn, void *with)
{
    struct model *m = with;
    uint64_t size = 0;
    struct bytes bytes;
    struct audit_entry entry;

    TRY(audit_log_size(m->logs->log, txn, &size));
    for (; m->count < size; m->count++) {
        TRY(audit_log_get(m->logs->log, txn, m->count, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        assert_false(entry.erased);
        m->leaves[m->count] = audit_log_leaf_hash(m->logs->log, &entry);
    }
    return RC_OK;
}

static inline void append_to(struct model *m)
{
    if (m->count + 24 > MOST)
        return;
    assert_int_equal(store_write(m->logs->store, append_some, m), m->undo ? RC_BUSY : RC_OK);
    logs_dice(&m->dice);
    assert_int_equal(store_read(m->logs->store, read_leaves, m), RC_OK);
}

/* ---- Comparing ---- */

static inline struct proof_hash naive_root(struct journal_digest *digest,
                                           const struct proof_hash *leaves, size_t count)
{
    size_t k = 1;

    if (count == 0)
        return journal_proof_empty();
    if (count == 1)
        return *leaves;
    while (2 * k < count)
        k *= 2;
    struct proof_hash left = naive_root(digest, leaves, k),
                      right = naive_root(digest, leaves + k, count - k);
    return journal_proof_node(digest, &left, &right);
}

static inline bool same_record(const struct audit_record *a, const struct audit_record *b)
{
    AUTO_BUF(one, AUDIT_RECORD_MAX);
    AUTO_BUF(two, AUDIT_RECORD_MAX);

    assert_int_equal(audit_record_write(a, &one), RC_OK);
    assert_int_equal(audit_record_write(b, &two), RC_OK);
    return bytes_equal(buf_bytes(&one), buf_bytes(&two));
}

/* Every record: whole and as it was, or bare, and then only if it may be. */
static inline enum rc compare_entries(struct store_txn *txn, struct model *m, bool bare[MOST])
{
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    struct audit_record record;
    struct audit_entry entry;
    struct bytes bytes;

    for (size_t i = 0; i < m->count; i++) {
        TRY(audit_log_get(m->logs->log, txn, i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        TRY(audit_leaf_check(m->logs->log->hasher, &entry));
        struct proof_hash leaf = audit_log_leaf_hash(m->logs->log, &entry);
        assert_memory_equal(leaf.at, m->leaves[i].at, sizeof leaf.at);
        TRY(audit_leaf_record(&entry, &room, &record));
        bare[i] = entry.erased;
        if (!entry.erased)
            assert_true(same_record(&record, &m->records[i]));
        if (entry.erased)
            assert_true(m->gone[i]);
        else
            assert_false(m->sealed[i] || (m->gone[i] && !m->erasing));
    }
    return RC_OK;
}

static inline enum rc compare_tree(struct store_txn *txn, struct model *m)
{
    struct journal_digest *digest = audit_hasher_digest(m->logs->log->hasher);
    struct proof_hash want = naive_root(digest, m->leaves, m->count), root;
    struct proof_hash nodes[PROOF_NODES_MAX];
    size_t count = 0;

    TRY(audit_log_root(m->logs->log, txn, m->count, &root));
    assert_memory_equal(root.at, want.at, sizeof root.at);
    for (unsigned i = 0; m->count > 0 && i < 5; i++) {
        uint64_t index = logs_dice(&m->dice) % m->count, old = 1 + index;
        TRY(audit_log_prove_inclusion(m->logs->log, txn, index, m->count, nodes, &count));
        TRY(journal_proof_check_inclusion(index, m->count, &m->leaves[index], nodes, count,
                                          &root));
        struct proof_hash before = naive_root(digest, m->leaves, old);
        TRY(audit_log_prove_consistency(m->logs->log, txn, old, m->count, nodes, &count));
        TRY(journal_proof_check_consistency(old, &before, m->count, &root, nodes, count));
    }
    return RC_OK;
}

struct found {
    uint64_t at[MOST];
    size_t count;
};

static inline enum rc keep(void *with, const struct audit_hit *hit)
{
    struct found *found = with;

    found->at[found->count++] = hit->index;
    return RC_OK;
}

static inline struct audit_record head_of(const struct audit_record *record)
{
    struct audit_record head = { .action = record->action,
                                 .decision = record->decision,
                                 .wall_ms = record->wall_ms,
                                 .monotonic_ms = record->monotonic_ms,
                                 .source = record->source };

    memcpy(head.correlation, record->correlation, sizeof head.correlation);
    return head;
}

static inline enum rc compare_search(struct store_txn *txn, struct model *m,
                                     const struct audit_query *query, const bool bare[MOST])
{
    static struct found found;
    uint64_t next = 0;
    bool more = false;
    size_t at = 0;

    found.count = 0;
    TRY(audit_log_list(m->logs->log, txn, query, keep, &found, &next, &more));
    assert_false(more && found.count < query->most);
    for (size_t i = m->count; i-- > 0 && at < query->most;) {
        struct audit_record seen = bare[i] ? head_of(&m->records[i]) : m->records[i];
        if ((bare[i] && query->kinds != 0) || !audit_query_wants(query, &seen))
            continue;
        assert_true(at < found.count);
        assert_int_equal(found.at[at++], i);
    }
    assert_int_equal(at, found.count);
    return RC_OK;
}

static inline enum rc compare_searches(struct store_txn *txn, struct model *m,
                                       const bool bare[MOST])
{
    static const uint8_t CORRELATION[AUDIT_CORRELATION] = { 5 };
    static const char *const IDS[] = { "dev-1", "dev-2", "dev-3", "dev-4", "dev-10" };

    for (size_t i = 0; i < 5; i++) {
        struct audit_query query = { .most = 1000, .device = bytes_of_text(IDS[i]) };
        TRY(compare_search(txn, m, &query, bare));
        query = (struct audit_query){ .most = 1000, .actor = bytes_of_text(IDS[i]) };
        TRY(compare_search(txn, m, &query, bare));
    }
    TRY(compare_search(
        txn, m,
        &(struct audit_query){ .most = 1000, .actions = audit_action_set_of(AUDIT_PUBLISH) },
        bare));
    TRY(compare_search(
        txn, m, &(struct audit_query){ .most = 1000, .decisions = 1u << AUDIT_DENIED }, bare));
    for (unsigned kind = AUDIT_NOBODY; kind <= AUDIT_PROCESS; kind++)
        TRY(compare_search(
            txn, m, &(struct audit_query){ .most = 1000, .kinds = (uint8_t)(1u << kind) },
            bare));
    return compare_search(
        txn, m, &(struct audit_query){ .most = 1000, .correlation = BYTES_OF(CORRELATION) },
        bare);
}

static inline bool has_facet(const struct audit_record *record, struct audit_facet facet)
{
    struct audit_facets facets;

    audit_facets_of(record, &facets);
    for (size_t i = 0; i < facets.count; i++)
        if (facets.at[i].kind == facet.kind && facets.at[i].hash == facet.hash)
            return true;
    return false;
}

/* What the index has of a block's records; of bare ones no more than their heads say. */
static inline enum rc compare_block(struct store_txn *txn, struct model *m, uint64_t block,
                                    struct audit_facet facet, const bool bare[MOST])
{
    struct audit_places places;

    TRY(audit_index_get(m->logs->log, txn, AUDIT_INDEX_BLOCK, block, facet, &places));
    assert_false(audit_places_is_empty(&places));
    for (unsigned at = 0; at < AUDIT_SPAN; at++) {
        const uint64_t index = block * AUDIT_SPAN + at;
        if (!audit_places_has(&places, at))
            continue;
        assert_true(index < m->count);
        struct audit_record head = head_of(&m->records[index]);
        if (bare[index] && !m->erasing)
            assert_true(has_facet(&head, facet));
    }
    return RC_OK;
}

/* A far names blocks that have the facet still. */
static inline enum rc compare_far(struct store_txn *txn, struct model *m, uint64_t far,
                                  struct audit_facet facet)
{
    const unsigned blocks = m->logs->log->far_blocks;
    struct audit_places places, inner;

    TRY(audit_index_get(m->logs->log, txn, AUDIT_INDEX_FAR, far, facet, &places));
    for (unsigned at = 0; at < AUDIT_SPAN; at++) {
        if (!audit_places_has(&places, at))
            continue;
        assert_true(at < blocks);
        TRY(audit_index_get(m->logs->log, txn, AUDIT_INDEX_BLOCK, far * blocks + at, facet,
                            &inner));
        assert_false(audit_places_is_empty(&inner));
    }
    return RC_OK;
}

/* Every cell of a row: in order, none below the row's key. */
static inline enum rc compare_row(struct store_txn *txn, struct model *m, uint8_t level,
                                  uint64_t number, struct audit_facet key, struct bytes row,
                                  const bool bare[MOST])
{
    struct reader r = READER(row);

    while (r.left.len > 0) {
        struct audit_facet facet = { .kind = reader_u8(&r) };
        facet.hash = reader_u32(&r);
        reader_take(&r, reader_u8(&r));
        assert_false(r.broken);
        assert_true(facet.kind > key.kind ||
                    (facet.kind == key.kind && facet.hash >= key.hash));
        key = audit_facet_behind(facet);
        if (level == AUDIT_INDEX_BLOCK)
            TRY(compare_block(txn, m, number, facet, bare));
        else
            TRY(compare_far(txn, m, number, facet));
    }
    return RC_OK;
}

static inline enum rc compare_index(struct store_txn *txn, struct model *m,
                                    const bool bare[MOST])
{
    const struct store_range all = { .backward = false };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    enum rc rc;

    TRY(store_cursor_open(txn, AUDIT_SEARCH, &all, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        struct reader r = READER(key);
        uint8_t level = reader_u8(&r);
        if (level < AUDIT_INDEX_FAR)
            continue;
        uint64_t number = reader_u32(&r);
        struct audit_facet facet = { .kind = reader_u8(&r) };
        facet.hash = reader_u32(&r);
        assert_true(reader_done(&r));
        bool mark = level == AUDIT_INDEX_FAR && facet.kind == AUDIT_INDEX_WHOLE;
        assert_int_equal(value.bytes.len == 0, mark);
        TRY(compare_row(txn, m, level, number, facet, value.bytes, bare));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static inline enum rc compare_all(struct store_txn *txn, void *with)
{
    static bool bare[MOST];
    struct model *m = with;

    TRY(compare_entries(txn, m, bare));
    TRY(compare_tree(txn, m));
    TRY(compare_index(txn, m, bare));
    return compare_searches(txn, m, bare);
}

static inline void compare(struct model *m)
{
    enum rc rc = store_read(m->logs->store, compare_all, m);

    if (rc != RC_OK)
        fail_msg("%s", fault_text());
}

/* ---- Erasing ---- */

static inline enum rc begin(struct store_txn *txn, void *with)
{
    struct model *m = with;
    uint64_t limit = 0;

    TRY(audit_erase_begin(m->logs->log, txn, m->kind, m->id, &limit));
    assert_int_equal(limit, m->count);
    return m->undo ? fault(RC_CLOSED, "undone by the test") : RC_OK;
}

struct stepping {
    struct model *m;
    struct audit_erasure erasure;
    struct buf room;
    bool finished;
    unsigned most;
};

static inline enum rc step(struct store_txn *txn, void *with)
{
    struct stepping *s = with;

    TRY(audit_erase_step(s->m->logs->log, txn, s->most, &s->room, &s->erasure, &s->finished));
    return s->m->undo ? fault(RC_CLOSED, "undone by the test") : RC_OK;
}

/* ---- The log again ---- */

static inline void reopen(struct logs *w, uint64_t map_bytes)
{
    const struct store_settings settings = { .map_bytes = map_bytes,
                                             .clock = &w->clock,
                                             .rehearse = true };

    audit_log_free(w->log);
    w->log = NULL;
    store_close(w->store);
    w->store = NULL;
    assert_int_equal(store_open(w->dir, &w->schema, &settings, &w->store), RC_OK);
    assert_int_equal(audit_log_new(0, &w->log), RC_OK);
    logs_unlock(w->log);
}

static inline struct model *filled(struct logs *w, size_t least)
{
    struct model *m = calloc(1, sizeof *m);

    assert_non_null(m);
    m->logs = w;
    m->dice = 77;
    w->now = 1000 * (int64_t)DAY;
    while (m->count < least)
        append_to(m);
    return m;
}
