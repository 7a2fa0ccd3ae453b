#include "bench/audit_ours.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"

#define MAP_BYTES (UINT64_C(16) << 30)
enum {
    PAGE = 4096,
    STORED_MAX = AUDIT_ENTRY_MAX + STORE_SEAL_OVERHEAD,
    ENTRIES_MAX = AUDIT_OURS_GROUP_MAX * STORED_MAX
};

static const struct store_table TABLES[] = {
    { "entries", STORE_KEY_NUMBER, STORED_MAX },
};
static const struct store_schema SCHEMA = { "floor", 1, TABLES, 1 };

static enum rc make_seal(struct store_seal **seal)
{
    AUTO_SECRET(key);

    TRY(secret_make_random(&key, STORE_SEAL_KEY));
    return store_seal_new(&key, 1, seal);
}

enum rc audit_floor_open(int dir, enum audit_floor_kind kind, struct audit_floor *floor)
{
    const struct store_settings settings = { .map_bytes = MAP_BYTES, .clock = &floor->clock };

    *floor = (struct audit_floor){ .fd = -1, .offset = PAGE, .clock = clock_system() };
    floor->entry = (struct buf)BUF_MAX(AUDIT_ENTRY_MAX);
    floor->entries = (struct buf)BUF_MAX(ENTRIES_MAX);
    TRY(audit_hasher_new(&floor->hasher));
    if (kind != AUDIT_FLOOR_BARE)
        TRY(make_seal(&floor->seal));
    if (kind == AUDIT_FLOOR_STORE)
        return store_open(dir, &SCHEMA, &settings, &floor->store);
    const char *name = kind == AUDIT_FLOOR_BARE ? "bare" : "floor";
    floor->fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return floor->fd >= 0 ? RC_OK : fault_errno("floor");
}

void audit_floor_close(struct audit_floor *floor)
{
    own_close(&floor->fd);
    store_close(floor->store);
    store_seal_free(floor->seal);
    audit_hasher_free(floor->hasher);
    buf_clear(&floor->entry);
    buf_clear(&floor->entries);
}

/* As it shall lie there. */
static enum rc add_entry(struct audit_floor *floor, const struct audit_entry *parts)
{
    static const uint8_t INDEX[8] = { 0 };
    static const struct store_place PLACE = { BYTES("audit_entries"), BYTES_OF(INDEX) };
    struct bytes entry = buf_bytes(&floor->entry);

    if (floor->seal == NULL) {
        buf_add(&floor->entries, entry);
        return RC_OK;
    }
    buf_add(&floor->entries, parts->leaf);
    struct bytes rest = { entry.at + parts->leaf.len, entry.len - parts->leaf.len };
    return store_seal_add(floor->seal, &PLACE, rest, &floor->entries);
}

static enum rc hash_all(struct audit_floor *floor, const struct audit_stage *stage)
{
    static const uint8_t SALT[AUDIT_SALT] = { 1 };
    struct journal_digest *digest = audit_hasher_digest(floor->hasher);
    struct proof_hash node = journal_proof_empty();
    struct audit_entry parts;

    buf_reset(&floor->entries);
    floor->count = stage->count;
    for (size_t i = 0; i < stage->count; i++) {
        buf_reset(&floor->entry);
        audit_leaf_write(floor->hasher, audit_stage_record(stage, i), SALT, &floor->entry);
        TRY(audit_leaf_read(buf_bytes(&floor->entry), &parts));
        struct proof_hash leaf = audit_leaf_hash(floor->hasher, &parts);
        node = journal_proof_node(digest, &node, &leaf);
        TRY(add_entry(floor, &parts));
        floor->ends[i] = floor->entries.len;
    }
    return RC_OK;
}

static enum rc write_at(int fd, struct bytes bytes, off_t offset)
{
    if (pwrite(fd, bytes.at, bytes.len, offset) != (ssize_t)bytes.len || fdatasync(fd) != 0)
        return fault_errno("floor");
    return RC_OK;
}

static enum rc insert(struct store_txn *txn, void *with)
{
    struct audit_floor *floor = with;
    size_t begin = 0;

    for (size_t i = 0; i < floor->count; i++) {
        const struct bytes entry = { floor->entries.at + begin, floor->ends[i] - begin };
        struct store_number key = store_key_number(floor->next + i);
        TRY(store_txn_insert(txn, 0, BYTES_OF(key.at), entry));
        begin = floor->ends[i];
    }
    return RC_OK;
}

enum rc audit_floor_write(struct audit_floor *floor, const struct audit_stage *stage)
{
    static const uint8_t page[PAGE] = { 1 };

    TRY(hash_all(floor, stage));
    if (floor->store != NULL) {
        TRY(store_write(floor->store, insert, floor));
        floor->next += floor->count;
        return RC_OK;
    }
    TRY(write_at(floor->fd, buf_bytes(&floor->entries), floor->offset));
    floor->offset += (off_t)floor->entries.len;
    return write_at(floor->fd, BYTES_OF(page), 0);
}
