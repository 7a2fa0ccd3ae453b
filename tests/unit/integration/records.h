/* Records for the tests of integration/: hits as a page of the log gives them. */
#pragma once

#include "tests/support/check.h"

#include <string.h>

#include "audit/query.h"

struct records {
    struct audit_hasher *hasher;
    struct buf body, entry, room;
    struct audit_record record;
    struct audit_hit hit;
};

static inline void records_open(struct records *r)
{
    *r = (struct records){ .body = BUF_MAX(AUDIT_RECORD_MAX),
                           .entry = BUF_MAX(AUDIT_ENTRY_MAX),
                           .room = BUF_MAX(AUDIT_ENTRY_MAX) };
    assert_int_equal(audit_hasher_new(&r->hasher), RC_OK);
}

static inline void records_close(struct records *r)
{
    audit_hasher_free(r->hasher);
    buf_clear(&r->body);
    buf_clear(&r->entry);
    buf_clear(&r->room);
}

/* The hit borrows from r until the next call. */
static inline const struct audit_hit *
records_hit(struct records *r, uint64_t index, const struct audit_record *record, bool erased)
{
    const uint8_t salt[AUDIT_SALT] = { (uint8_t)index, (uint8_t)(index >> 8) };
    struct audit_entry parts;

    buf_reset(&r->body);
    buf_reset(&r->entry);
    buf_reset(&r->room);
    assert_int_equal(audit_record_write(record, &r->body), RC_OK);
    audit_leaf_write(r->hasher, buf_bytes(&r->body), salt, &r->entry);
    if (erased)
        buf_cut(&r->entry, AUDIT_LEAF);
    assert_int_equal(audit_leaf_read(buf_bytes(&r->entry), &parts), RC_OK);
    assert_int_equal(audit_leaf_record(&parts, &r->room, &r->record), RC_OK);
    r->hit = (struct audit_hit){ .index = index,
                                 .leaf = audit_leaf_hash(r->hasher, &parts),
                                 .entry = buf_bytes(&r->entry),
                                 .record = &r->record };
    return &r->hit;
}

/* A plain one, told apart by its target. */
static inline const struct audit_hit *records_plain(struct records *r, uint64_t index)
{
    AUTO_BUF(target, 64);

    buf_addf(&target, "device dev-%llu", (unsigned long long)index);
    const struct audit_record record = { .action = AUDIT_DEVICE_ADD,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = 1795348800123 + (int64_t)index,
                                         .source = AUDIT_FROM_AUTHORITY,
                                         .actor_kind = AUDIT_OPERATOR,
                                         .actor = BYTES("admin"),
                                         .target = buf_bytes(&target) };
    return records_hit(r, index, &record, false);
}
