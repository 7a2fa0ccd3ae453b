#include "audit/tile_verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/leaf.h"
#include "audit/tile_file.h"

enum { LEVELS = AUDIT_TILE_LEVELS, WIDTH = AUDIT_TILE_WIDTH };

/* A tile of hashes as it was read. */
struct hashes {
    struct audit_tile tile; /* width 0: none */
    struct proof_hash at[WIDTH];
};

struct audit_tile_verifier {
    struct audit_tile_source source;
    int dir; /* of a source of files */
    uint64_t size;
    struct proof_hash root;
    struct journal_digest *digest;
    struct buf content;
    struct hashes own, above;
};

static enum rc get_file(void *with, const struct audit_tile *tile, struct buf *content)
{
    const struct audit_tile_verifier *v = with;

    return audit_tile_file_get(v->dir, tile, content);
}

enum rc audit_tile_verifier_new(int dir, uint64_t size, const struct proof_hash *root,
                                struct audit_tile_verifier **verifier)
{
    const struct audit_tile_source none = { 0 };

    TRY(audit_tile_verifier_from(&none, size, root, verifier));
    (*verifier)->dir = dir;
    (*verifier)->source = (struct audit_tile_source){ get_file, *verifier };
    return RC_OK;
}

enum rc audit_tile_verifier_from(const struct audit_tile_source *source, uint64_t size,
                                 const struct proof_hash *root,
                                 struct audit_tile_verifier **verifier)
{
    AUTO_OF(audit_tile_verifier) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "verifier of tiles");
    made->source = *source;
    made->size = size;
    made->root = *root;
    made->content = (struct buf)BUF_MAX(AUDIT_TILE_BYTES_MAX + 1);
    TRY(journal_digest_new(&made->digest));
    *verifier = TAKE(made);
    return RC_OK;
}

void audit_tile_verifier_free(struct audit_tile_verifier *v)
{
    if (v == NULL)
        return;
    journal_digest_free(v->digest);
    buf_clear(&v->content);
    free(v);
}

/* ---- What the tree has ---- */

/* Of this level of a tree of so many leaves: whole subtrees of 256^level leaves. */
static uint64_t count_of(uint64_t size, unsigned level)
{
    return size >> (AUDIT_TILE_LOG * level);
}

/* Of the tile at this place, in the tree as it is now; 0: it has none there. */
static unsigned width_of(const struct audit_tile_verifier *v, unsigned level, uint64_t index)
{
    uint64_t count = count_of(v->size, level);

    if (index < count / WIDTH)
        return WIDTH;
    return index == count / WIDTH ? (unsigned)(count % WIDTH) : 0;
}

/* ---- Files ---- */

static enum rc wrong(enum rc rc, const struct audit_tile *tile, const char *why)
{
    AUTO_BUF(path, AUDIT_TILE_PATH_MAX);
    const char *name = NULL;

    audit_tile_write_path(tile, &path);
    TRY(buf_text(&path, &name));
    return fault(rc, "%s: %s", name, why);
}

static enum rc read_file(struct audit_tile_verifier *v, const struct audit_tile *tile,
                         struct reader *r)
{
    size_t each = tile->entries ? sizeof(uint16_t) + AUDIT_LEAF : PROOF_HASH;
    struct bytes bytes;

    buf_reset(&v->content);
    enum rc rc = v->source.get(v->source.with, tile, &v->content);
    if (rc == RC_NOT_FOUND)
        return wrong(RC_DENIED, tile, "is missing");
    if (rc == RC_LIMIT)
        return wrong(RC_MALFORMED, tile, "is longer than it can be");
    TRY(rc);
    TRY(buf_done(&v->content, &bytes));
    if (bytes.len != tile->width * each)
        return wrong(RC_MALFORMED, tile, "has not the length of its width");
    *r = (struct reader)READER(bytes);
    return RC_OK;
}

static enum rc read_hashes(struct audit_tile_verifier *v, const struct audit_tile *tile,
                           struct hashes *hashes)
{
    struct reader r;

    hashes->tile.width = 0;
    TRY(read_file(v, tile, &r));
    for (size_t i = 0; i < tile->width; i++)
        reader_copy(&r, hashes->at[i].at, PROOF_HASH);
    hashes->tile = *tile;
    return RC_OK;
}

/* The tile of hashes at this place, as wide as the tree has it now. Read once as long as its
 * neighbours are asked for. */
static enum rc look_above(struct audit_tile_verifier *v, unsigned level, uint64_t index)
{
    const struct audit_tile tile = { false, level, index, width_of(v, level, index) };
    const struct audit_tile *known = &v->above.tile;

    if (known->width == tile.width && known->level == level && known->index == index)
        return RC_OK;
    return read_hashes(v, &tile, &v->above);
}

/* ---- Hashes ---- */

static bool same(const struct proof_hash *a, const struct proof_hash *b)
{
    return bytes_equal(BYTES_OF(a->at), BYTES_OF(b->at));
}

/* Pairs become their parents until one is left, in place; count is a power of two. */
static struct proof_hash fold(const struct audit_tile_verifier *v, struct proof_hash *at,
                              size_t count)
{
    for (; count > 1; count /= 2)
        for (size_t i = 0; i < count / 2; i++)
            at[i] = journal_proof_node(v->digest, &at[2 * i], &at[2 * i + 1]);
    return at[0];
}

/* RFC 9162 2.1.1: the tree is its whole subtrees, largest first, folded from the right. Those
 * of 256^level leaves that fill no tile lie in the last tile of their level. */
enum rc audit_tile_verifier_root(struct audit_tile_verifier *v, uint64_t size,
                                 struct proof_hash *root)
{
    struct proof_hash parts[64];
    size_t count = 0;

    for (unsigned level = LEVELS; level-- > 0;) {
        uint64_t index = count_of(size, level) / WIDTH;
        unsigned width = (unsigned)(count_of(size, level) % WIDTH);
        struct proof_hash *at = v->own.at;
        if (width == 0)
            continue;
        const struct audit_tile tile = { false, level, index, width_of(v, level, index) };
        TRY(read_hashes(v, &tile, &v->own));
        for (unsigned some = WIDTH / 2; some > 0; some /= 2) {
            if ((width & some) == 0)
                continue;
            parts[count++] = fold(v, at, some);
            at += some;
        }
    }
    *root = count > 0 ? parts[count - 1] : journal_proof_empty();
    while (count-- > 1)
        *root = journal_proof_node(v->digest, &parts[count - 1], root);
    return RC_OK;
}

/* ---- One file ---- */

static enum rc check_bundle(struct audit_tile_verifier *v, const struct audit_tile *tile)
{
    struct reader r;

    TRY(look_above(v, 0, tile->index));
    TRY(read_file(v, tile, &r));
    for (size_t i = 0; i < tile->width; i++) {
        struct bytes leaf = reader_sized16(&r, AUDIT_LEAF);
        if (r.broken || leaf.len != AUDIT_LEAF)
            return wrong(RC_MALFORMED, tile, "a leaf has another length than leaves have");
        struct proof_hash hash = journal_proof_leaf(v->digest, leaf);
        if (!same(&hash, &v->above.at[i]))
            return wrong(RC_DENIED, tile, "a leaf is not the one that was hashed");
    }
    return RC_OK;
}

static enum rc check_full(struct audit_tile_verifier *v, const struct audit_tile *tile)
{
    TRY(look_above(v, tile->level + 1, tile->index / WIDTH));
    TRY(read_hashes(v, tile, &v->own));
    struct proof_hash hash = fold(v, v->own.at, WIDTH);
    return same(&hash, &v->above.at[tile->index % WIDTH])
               ? RC_OK
               : wrong(RC_DENIED, tile, "is not the one that the level above was made of");
}

static enum rc check_edge(struct audit_tile_verifier *v, const struct audit_tile *tile)
{
    struct proof_hash root;

    TRY(audit_tile_verifier_root(v, v->size, &root));
    return same(&root, &v->root)
               ? RC_OK
               : wrong(RC_DENIED, tile,
                       "with the other tiles that are not full it is not what the checkpoint "
                       "is over");
}

static enum rc check_beginning(struct audit_tile_verifier *v, const struct audit_tile *tile)
{
    TRY(look_above(v, tile->level, tile->index));
    TRY(read_hashes(v, tile, &v->own));
    for (size_t i = 0; i < tile->width; i++)
        if (!same(&v->own.at[i], &v->above.at[i]))
            return wrong(RC_DENIED, tile, "is not the beginning of what took its place");
    return RC_OK;
}

enum rc audit_tile_verifier_check(struct audit_tile_verifier *v, const struct audit_tile *tile)
{
    unsigned width = tile->level < LEVELS ? width_of(v, tile->level, tile->index) : 0;

    if (tile->width == 0 || tile->width > width || (tile->entries && tile->level > 0))
        return wrong(RC_DENIED, tile, "the checkpoint's tree has no such tile");
    if (tile->entries)
        return check_bundle(v, tile);
    if (tile->width < width)
        return check_beginning(v, tile);
    return width == WIDTH ? check_full(v, tile) : check_edge(v, tile);
}

/* ---- All of them ---- */

static enum rc check_lesser(struct audit_tile_verifier *v, const struct audit_tile *last)
{
    AUTO_BUF(content, AUDIT_TILE_BYTES_MAX + 1);
    struct audit_tile tile = *last;

    for (tile.width = 1; tile.width < last->width; tile.width++) {
        buf_reset(&content);
        if (v->source.get(v->source.with, &tile, &content) != RC_NOT_FOUND)
            TRY(audit_tile_verifier_check(v, &tile));
    }
    return RC_OK;
}

static enum rc check_level(struct audit_tile_verifier *v, unsigned level, bool entries)
{
    struct audit_tile_walk walk = { .size = v->size, .partial = true, .level = level };
    struct audit_tile tile;

    while (audit_tile_next(&walk, &tile) && tile.level == level) {
        if (tile.entries != entries)
            continue;
        TRY(audit_tile_verifier_check(v, &tile));
        if (tile.width < WIDTH)
            TRY(check_lesser(v, &tile));
    }
    return RC_OK;
}

/* From the root down, so that what is named is what is wrong: all above it was right. */
static enum rc check_all(struct audit_tile_verifier *v)
{
    for (unsigned level = LEVELS; level-- > 0;)
        TRY(check_level(v, level, false));
    return check_level(v, 0, true);
}

/* Each tree has a tile that is not full, so the root was seen; but not of one without leaves.
 */
static enum rc check_root(struct audit_tile_verifier *v, const char *which, uint64_t size,
                          const struct proof_hash *expected)
{
    struct proof_hash root;

    TRY(audit_tile_verifier_root(v, size, &root));
    return same(&root, expected)
               ? RC_OK
               : fault(RC_DENIED, "tiles: their first %" PRIu64 " leaves are not those that %s",
                       size, which);
}

enum rc audit_tile_verify(int dir, const struct audit_checkpoint *checkpoint,
                          const struct audit_checkpoint *since)
{
    AUTO_OF(audit_tile_verifier) *v = NULL;

    TRY(audit_tile_verifier_new(dir, checkpoint->size, &checkpoint->root, &v));
    return audit_tile_verifier_all(v, since);
}

enum rc audit_tile_verifier_all(struct audit_tile_verifier *v,
                                const struct audit_checkpoint *since)
{
    if (since != NULL && since->size > v->size)
        return fault(RC_DENIED,
                     "tiles: the checkpoint is over %" PRIu64 " leaves, an older one over "
                     "%" PRIu64 ": the log was truncated or rolled back",
                     v->size, since->size);
    TRY(check_all(v));
    TRY(check_root(v, "the checkpoint is over", v->size, &v->root));
    if (since == NULL)
        return RC_OK;
    return check_root(v, "the older checkpoint is over: the log was rewritten", since->size,
                      &since->root);
}
