/* Target: audit_tile_verifier_all, audit_tile_verifier_check, audit_tile_verifier_root */
#include <stdlib.h>
#include <string.h>

#include "audit/leaf.h"
#include "audit/tile_file.h"
#include "audit/tile_verify.h"

/*
 * Input: sizes of a tree and of an older one u16 each, flags u8; then edits of its tiles, each:
 * tile u8, what u8, at u16, value u8. The tiles are right before; they must verify just if
 * those that are looked at are right still.
 */
enum { LEAVES_MOST = 600, TILES_MOST = 32, HASH = PROOF_HASH };
enum { WITH_OLDER = 1, WRONG_OLDER = 2, WRONG_ROOT = 4, SPARES = 8 };
enum { CHANGE, CUT, EXTEND, REMOVE, EXCHANGE, PUT, EDITS };

struct file {
    struct audit_tile tile;
    bool spare, there;
    struct buf right, now;
};
struct log {
    struct journal_digest *digest;
    unsigned size;
    struct proof_hash leaves[LEAVES_MOST], above[LEAVES_MOST / AUDIT_TILE_WIDTH + 1];
    struct file files[TILES_MOST];
    size_t count;
};

/* ---- A log that is right ---- */

static void leaf_of(unsigned number, uint8_t leaf[AUDIT_LEAF])
{
    memset(leaf, (int)(number & 0xff), AUDIT_LEAF);
    leaf[0] = (uint8_t)(number >> 8);
}

/* Of so many hashes (RFC 9162 2.1.1). */
static struct proof_hash root_of(struct log *log, const struct proof_hash *at, unsigned count)
{
    unsigned left = 1;

    if (count == 0)
        return journal_proof_empty();
    if (count == 1)
        return at[0];
    while (2 * left < count)
        left *= 2;
    struct proof_hash a = root_of(log, at, left), b = root_of(log, at + left, count - left);
    return journal_proof_node(log->digest, &a, &b);
}

static void hash_all(struct log *log)
{
    uint8_t leaf[AUDIT_LEAF];

    for (unsigned i = 0; i < log->size; i++) {
        leaf_of(i, leaf);
        log->leaves[i] = journal_proof_leaf(log->digest, BYTES_OF(leaf));
    }
    for (unsigned i = 0; i < log->size / AUDIT_TILE_WIDTH; i++)
        log->above[i] =
            root_of(log, &log->leaves[(size_t)i * AUDIT_TILE_WIDTH], AUDIT_TILE_WIDTH);
}

static void fill(const struct log *log, const struct audit_tile *tile, struct buf *content)
{
    const struct proof_hash *hashes = tile->level == 0 ? log->leaves : log->above;
    uint8_t leaf[AUDIT_LEAF];

    for (unsigned i = 0; i < tile->width; i++) {
        size_t at = (size_t)tile->index * AUDIT_TILE_WIDTH + i;
        leaf_of((unsigned)at, leaf);
        if (tile->entries)
            buf_add_sized16(content, BYTES_OF(leaf));
        else
            buf_add(content, BYTES_OF(hashes[at].at));
    }
}

static struct file *find(struct log *log, const struct audit_tile *tile)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct audit_tile *one = &log->files[i].tile;
        if (one->entries == tile->entries && one->level == tile->level &&
            one->index == tile->index && one->width == tile->width)
            return &log->files[i];
    }
    return NULL;
}

static void make_files(struct log *log, unsigned size, bool spare)
{
    struct audit_tile_walk walk = { .size = size, .partial = true };
    struct audit_tile tile;

    while (audit_tile_next(&walk, &tile)) {
        if (find(log, &tile) != NULL)
            continue;
        if (log->count == TILES_MOST)
            abort();
        struct file *file = &log->files[log->count++];
        *file = (struct file){ .tile = tile,
                               .spare = spare,
                               .there = true,
                               .right = BUF_MAX(AUDIT_TILE_BYTES_MAX),
                               .now = BUF_MAX(2 * AUDIT_TILE_BYTES_MAX) };
        fill(log, &tile, &file->right);
        buf_add(&file->now, buf_bytes(&file->right));
    }
}

/* ---- Edits ---- */

static void set(struct file *file, struct bytes content)
{
    AUTO_BUF(copy, 2 * AUDIT_TILE_BYTES_MAX);

    buf_add(&copy, content);
    buf_reset(&file->now);
    buf_add(&file->now, buf_bytes(&copy));
}

/* By so many octets of its own beginning. */
static void extend(struct file *file, size_t more)
{
    AUTO_BUF(copy, AUDIT_TILE_BYTES_MAX);

    buf_add(&copy, (struct bytes){ file->now.at, more });
    buf_add(&file->now, buf_bytes(&copy));
}

static void edit(struct log *log, struct reader *r)
{
    struct file *file = &log->files[reader_u8(r) % log->count];
    unsigned what = reader_u8(r) % EDITS, at = reader_u16(r), value = reader_u8(r);
    struct file *other = &log->files[value % log->count];
    struct bytes now = buf_bytes(&file->now);

    if (what == CHANGE && now.len > 0)
        file->now.at[at % now.len] ^= (uint8_t)value;
    if (what == CUT)
        set(file, (struct bytes){ now.at, now.len > 0 ? at % now.len : 0 });
    if (what == EXTEND && now.len <= AUDIT_TILE_BYTES_MAX)
        extend(file, at % (now.len + 1));
    if (what == REMOVE)
        file->there = false;
    if (what == EXCHANGE)
        set(file, buf_bytes(&other->now));
    if (what == PUT)
        set(file, reader_take(r, at < r->left.len ? at : r->left.len));
}

/* ---- The judgement ---- */

static enum rc get(void *with, const struct audit_tile *tile, struct buf *content)
{
    const struct file *file = find(with, tile);

    if (file == NULL || !file->there)
        return RC_NOT_FOUND;
    if (file->now.len > content->max)
        return RC_LIMIT;
    buf_add(content, buf_bytes(&file->now));
    return RC_OK;
}

/* One that an older checkpoint needed is looked at if one that is not full took its place. */
static bool is_looked_at(const struct log *log, const struct file *file)
{
    if (!file->spare)
        return true;
    for (size_t i = 0; i < log->count; i++) {
        const struct audit_tile *one = &log->files[i].tile;
        if (!log->files[i].spare && one->entries == file->tile.entries &&
            one->level == file->tile.level && one->index == file->tile.index)
            return one->width < AUDIT_TILE_WIDTH && file->tile.width < one->width;
    }
    return false;
}

static bool is_right(const struct log *log)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct file *file = &log->files[i];
        bool same = bytes_equal(buf_bytes(&file->now), buf_bytes(&file->right));
        if (is_looked_at(log, file) && (file->there ? !same : !file->spare))
            return false;
    }
    return true;
}

static bool verifies(struct log *log, unsigned older, unsigned flags)
{
    AUTO_OF(audit_tile_verifier) *verifier = NULL;
    const struct audit_tile_source source = { get, log };
    struct proof_hash root = root_of(log, log->leaves, log->size);
    struct audit_checkpoint since = { .size = older };

    since.root = root_of(log, log->leaves, older < log->size ? older : log->size);
    since.root.at[0] ^= (flags & WRONG_OLDER) != 0;
    root.at[HASH - 1] ^= (flags & WRONG_ROOT) != 0;
    if (audit_tile_verifier_from(&source, log->size, &root, &verifier) != RC_OK)
        abort();
    return audit_tile_verifier_all(verifier, (flags & WITH_OLDER) != 0 ? &since : NULL) ==
           RC_OK;
}

static void check(struct log *log, struct reader *r)
{
    log->size = reader_u16(r) % (LEAVES_MOST + 1);
    unsigned older = reader_u16(r) % (LEAVES_MOST + 1), flags = reader_u8(r);

    hash_all(log);
    make_files(log, log->size, false);
    if ((flags & SPARES) != 0 && older < log->size)
        make_files(log, older, true);
    while (log->count > 0 && !r->broken && r->left.len > 0)
        edit(log, r);
    bool right = is_right(log) && (flags & WRONG_ROOT) == 0;
    if ((flags & WITH_OLDER) != 0)
        right = right && older <= log->size && (flags & WRONG_OLDER) == 0;
    if (verifies(log, older, flags) != right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = { at, len };
    struct reader r = READER(input);
    struct log log = { .count = 0 };

    if (journal_digest_new(&log.digest) != RC_OK)
        return 0;
    check(&log, &r);
    for (size_t i = 0; i < log.count; i++) {
        buf_clear(&log.files[i].right);
        buf_clear(&log.files[i].now);
    }
    journal_digest_free(log.digest);
    return 0;
}
