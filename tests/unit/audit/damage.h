/* Files of a log that lack something, have something more, or stand in each other's place. */
#pragma once

#include "tests/unit/audit/bits.h"

/* Another checkpoint's file: this one's tree does not need it. */
static inline bool damage_is_spare(const struct bits *b, const struct bits_file *file)
{
    return file->kind == BITS_TILE && file->tile.width < AUDIT_TILE_WIDTH &&
           file->tile.width <
               (unsigned)(b->size >> AUDIT_TILE_LOG * file->tile.level) % AUDIT_TILE_WIDTH;
}

static inline void damage_must_be_seen(const struct bits *b, const struct bits_file *file,
                                       const char *how, size_t length)
{
    if (bits_verify(b, file) == RC_OK)
        fail_msg("%s %s, length %zu: not seen", file->path, how, length);
}

static inline void damage_resize(struct bits *b, const struct bits_file *file, size_t length)
{
    struct bytes whole = buf_bytes(&b->content);

    assert_int_equal(ftruncate(b->fd, (off_t)length), 0);
    damage_must_be_seen(b, file, "cut", length);
    assert_int_equal(pwrite(b->fd, whole.at, whole.len, 0), (ssize_t)whole.len);
}

/* What is added looks like what is there: its last octets once more. */
static inline void damage_extend(struct bits *b, const struct bits_file *file, size_t more)
{
    struct bytes whole = buf_bytes(&b->content);

    if (more > whole.len)
        return;
    assert_int_equal(pwrite(b->fd, whole.at + whole.len - more, more, (off_t)whole.len), more);
    damage_must_be_seen(b, file, "made longer", whole.len + more);
    assert_int_equal(ftruncate(b->fd, (off_t)whole.len), 0);
}

/* Where a unit of the file ends: a record, a leaf, a hash, a line. */
static inline size_t damage_unit(const struct bits *b, const struct bits_file *file)
{
    if (file->kind == BITS_RECORDS)
        return b->rows[b->size] - b->rows[b->size - 1];
    if (file->kind == BITS_TILE)
        return file->tile.entries ? 2 + AUDIT_LEAF : PROOF_HASH;
    const uint8_t *line = memrchr(b->content.at, '\n', b->content.len - 1);
    return b->content.len - (size_t)(line + 1 - b->content.at);
}

static inline size_t damage_lengths(struct bits *b, const struct bits_file *file)
{
    size_t len = b->content.len, unit = damage_unit(b, file);
    const size_t lengths[] = { 0,       1,          unit - 1, unit,           unit + 1,
                               len / 2, len - unit, len - 2,  len - unit + 1, len - 1 };
    /* A note may have one signature more, so a line of it twice is none too many. */
    const size_t longer[] = { 1, unit - 1, unit + 1, unit, 2 * unit };
    const size_t longer_count = file->kind == BITS_NOTE ? 3 : 5;
    size_t count = 0;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (lengths[i] < len) {
            damage_resize(b, file, lengths[i]);
            count++;
        }
    for (size_t i = 0; i < longer_count; i++)
        damage_extend(b, file, longer[i]);
    return count + longer_count;
}

static inline void damage_remove(struct bits *b, const struct bits_file *file)
{
    static const char ASIDE[] = "aside";

    assert_int_equal(renameat(b->dir, file->path, b->dir, ASIDE), 0);
    if (damage_is_spare(b, file))
        assert_int_equal(bits_verify(b, file), RC_OK);
    else
        damage_must_be_seen(b, file, "removed", 0);
    assert_int_equal(renameat(b->dir, ASIDE, b->dir, file->path), 0);
}

static inline bool damage_same_shape(const struct bits_file *a, const struct bits_file *b)
{
    return a != b && a->kind == BITS_TILE && b->kind == BITS_TILE &&
           a->tile.entries == b->tile.entries && a->tile.width == b->tile.width;
}

static inline void damage_exchange(struct bits *b, const struct bits_file *one,
                                   const struct bits_file *other)
{
    assert_int_equal(renameat2(b->dir, one->path, b->dir, other->path, RENAME_EXCHANGE), 0);
    damage_must_be_seen(b, one, "in another's place", 0);
    assert_int_equal(renameat2(b->dir, one->path, b->dir, other->path, RENAME_EXCHANGE), 0);
}

struct damage_count {
    size_t lengths, removed, exchanged;
};

/* Each file: every class of lengths, removed, and in the place of each of its shape. */
static inline void damage_all(struct bits *b, struct damage_count *count)
{
    bits_must_verify(b);
    for (size_t i = 0; i < b->file_count; i++) {
        bits_open_file(b, &b->files[i]);
        count->lengths += damage_lengths(b, &b->files[i]);
        bits_close_file(b);
        damage_remove(b, &b->files[i]);
        count->removed++;
        for (size_t k = i + 1; k < b->file_count; k++)
            if (damage_same_shape(&b->files[i], &b->files[k])) {
                damage_exchange(b, &b->files[i], &b->files[k]);
                count->exchanged++;
            }
    }
    bits_must_verify(b);
}
