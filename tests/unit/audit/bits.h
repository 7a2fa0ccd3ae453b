/* A log as files, each octet of which can be changed: an export, and its tiles. */
#pragma once

#include "tests/support/folder.h"
#include "tests/unit/audit/logs.h"
#include "tests/unit/audit/signing.h"

#include <stdio.h>
#include <string.h>

#include "audit/tile_file.h"
#include "audit/tile_verify.h"
#include "audit/tiles.h"
#include "audit/verify.h"
#include "base/file.h"

enum { BITS_FILES_MAX = 256, BITS_BYTES_MAX = 8 << 20, BITS_ROW_MAX = 36 + AUDIT_ENTRY_MAX };
#define BITS_MAGIC BYTES("touchmark audit 1\n")

enum bits_kind { BITS_NOTE, BITS_RECORDS, BITS_TILE };

struct bits_file {
    char path[64]; /* "tiles/tile/0/000" */
    enum bits_kind kind;
    struct audit_tile tile;
};

struct bits {
    struct logs *logs;
    struct signing_pair signing;
    struct audit_checkpoint checkpoint;
    struct proof_hash root;
    uint64_t size, lesser;
    char path[32];
    int dir, copy, tiles; /* the folder, and in it "export" and "tiles" */
    struct bits_file files[BITS_FILES_MAX];
    size_t file_count;
    size_t *rows; /* where each begins in "export/records", and its end */
    struct audit_tile_verifier *verifier;
    struct buf note, content; /* of the file that is being changed */
    int fd;
};

/* ---- Made ---- */

static inline void bits_add_file(struct bits *b, enum bits_kind kind, const char *folder,
                                 const char *name)
{
    struct bits_file *file = &b->files[b->file_count++];

    assert_true(b->file_count < BITS_FILES_MAX);
    AUTO_BUF(path, sizeof file->path - 1);
    const char *text = NULL;
    buf_addf(&path, "%s/%s", folder, name);
    assert_int_equal(buf_text(&path, &text), RC_OK);
    for (size_t i = 0; i + 1 < b->file_count; i++)
        if (strcmp(b->files[i].path, text) == 0) {
            b->file_count--; /* both checkpoints have it */
            return;
        }
    memcpy(file->path, text, path.len + 1);
    file->kind = kind;
}

static inline enum rc bits_export(struct store_txn *txn, void *with)
{
    struct bits *b = with;
    AUTO_OF(audit_export) *export = NULL;

    TRY(audit_export_new(b->copy, &export));
    for (uint64_t i = 0; i < b->size; i++) {
        struct bytes entry;
        TRY(audit_log_get(b->logs->log, txn, i, &entry));
        if (i == 10)
            entry.len = AUDIT_LEAF; /* erased */
        TRY(audit_export_add(export, entry));
    }
    TRY(audit_log_root(b->logs->log, txn, b->size, &b->root));
    signing_sign(&b->signing, b->size, &b->root, &b->note);
    return audit_export_finish(export, buf_bytes(&b->note));
}

static inline enum rc bits_bring(struct bits *b, struct store_txn *txn, uint64_t size,
                                 bool whole)
{
    struct audit_tile_walk walk = { .size = size, .partial = true };
    struct audit_tile tile;

    while (audit_tile_next(&walk, &tile)) {
        AUTO_BUF(content, AUDIT_TILE_BYTES_MAX);
        AUTO_BUF(path, AUDIT_TILE_PATH_MAX);
        const char *text = NULL;
        if (!whole && tile.width == AUDIT_TILE_WIDTH)
            continue;
        TRY(audit_tiles_read(b->logs->log, txn, &tile, &content));
        TRY(audit_tile_file_put(b->tiles, &tile, buf_bytes(&content), false,
                                &(enum audit_tile_found){ AUDIT_TILE_SAME }));
        audit_tile_write_path(&tile, &path);
        TRY(buf_text(&path, &text));
        b->files[b->file_count].tile = tile;
        bits_add_file(b, BITS_TILE, "tiles", text);
    }
    return RC_OK;
}

/* Also those of lesser width, as an older checkpoint has left them. */
static inline enum rc bits_bring_all(struct store_txn *txn, void *with)
{
    struct bits *b = with;

    TRY(bits_bring(b, txn, b->lesser, false));
    return bits_bring(b, txn, b->size, true);
}

static inline void bits_find_rows(struct bits *b, struct bytes records)
{
    struct reader r = READER(records);
    size_t count = 0;

    b->rows = calloc(b->size + 1, sizeof *b->rows);
    assert_non_null(b->rows);
    reader_take(&r, BITS_MAGIC.len);
    while (r.left.len > 0) {
        b->rows[count++] = records.len - r.left.len;
        uint32_t length = reader_u32(&r);
        reader_take(&r, PROOF_HASH + length);
    }
    assert_false(r.broken);
    assert_int_equal(count, b->size);
    b->rows[count] = records.len;
}

/* lesser: the size of an older checkpoint, whose last tiles are there too. */
static inline void bits_open(struct bits *b, uint64_t size, uint64_t lesser)
{
    struct audit_record *records = calloc(size, sizeof *records);
    AUTO_BUF(whole, BITS_BYTES_MAX);
    void *logs = NULL;

    *b = (struct bits){ .size = size, .lesser = lesser, .fd = -1 };
    logs_set_up(&logs);
    b->logs = logs;
    b->note = (struct buf)BUF_MAX(AUDIT_NOTE_MAX);
    b->content = (struct buf)BUF_MAX(BITS_BYTES_MAX);
    signing_open(&b->signing);
    logs_folder(b->path, &b->dir);
    assert_int_equal(file_make_dir(b->dir, "export", 0700, &b->copy), RC_OK);
    assert_int_equal(file_make_dir(b->dir, "tiles", 0700, &b->tiles), RC_OK);
    logs_fill_telling(b->logs, records, size, size / 2);
    free(records);
    assert_int_equal(store_read(b->logs->store, bits_export, b), RC_OK);
    bits_add_file(b, BITS_NOTE, "export", "checkpoint");
    bits_add_file(b, BITS_RECORDS, "export", "records");
    assert_int_equal(store_read(b->logs->store, bits_bring_all, b), RC_OK);
    assert_int_equal(audit_tile_file_publish(b->tiles, buf_bytes(&b->note), BYTES(""), false,
                                             &(enum audit_tile_found){ AUDIT_TILE_SAME }),
                     RC_OK);
    bits_add_file(b, BITS_NOTE, "tiles", "checkpoint");
    assert_int_equal(file_read(b->copy, "records", &whole), RC_OK);
    bits_find_rows(b, buf_bytes(&whole));
    assert_int_equal(
        audit_checkpoint_verify(b->signing.key, buf_bytes(&b->note), &b->checkpoint), RC_OK);
    assert_int_equal(audit_tile_verifier_new(b->tiles, size, &b->root, &b->verifier), RC_OK);
}

static inline void bits_close(struct bits *b)
{
    void *logs = b->logs;

    audit_tile_verifier_free(b->verifier);
    signing_close(&b->signing);
    buf_clear(&b->note);
    buf_clear(&b->content);
    free(b->rows);
    close(b->copy);
    close(b->tiles);
    close(b->dir);
    folder_remove(b->path);
    logs_tear_down(&logs);
}

static inline int bits_set_up(void **state, uint64_t size, uint64_t lesser)
{
    struct bits *b = calloc(1, sizeof *b);

    assert_non_null(b);
    bits_open(b, size, lesser);
    *state = b;
    return 0;
}

static inline int bits_tear_down(void **state)
{
    bits_close(*state);
    free(*state);
    return 0;
}

/* ---- Verified ---- */

/* As anyone does who has the folder of this file and the key. */
static inline enum rc bits_verify(const struct bits *b, const struct bits_file *file)
{
    static const struct audit_witnesses NOBODY;
    struct audit_verified verified = { 0 };
    bool tiles = bytes_start_with(bytes_of_text(file->path), BYTES("tiles/"));

    TRY(audit_verify(tiles ? b->tiles : b->copy, b->signing.key, &NOBODY, BYTES(""),
                     &verified));
    assert_int_equal(verified.records, b->size);
    assert_int_equal(verified.leaves_only, tiles);
    return RC_OK;
}

static inline enum rc bits_verify_bytes(const struct bits *b, struct bytes records)
{
    AUTO_OF(audit_verifier) *v = NULL;
    struct audit_verified verified;

    TRY(audit_verifier_new(NULL, &v));
    TRY(audit_verifier_feed(v, records));
    return audit_verifier_finish(v, &b->checkpoint, &verified);
}

/*
 * The verifier of records stops at the first wrong row, whatever came before: so one that is
 * given the rows from the changed one on stops, if the one that is given all of them does. Only
 * what such a look lets pass needs all of them.
 */
static inline enum rc bits_check_row(const struct bits *b, size_t row)
{
    struct bytes all = buf_bytes(&b->content), part = { all.at + b->rows[row], 0 };
    AUTO_OF(audit_verifier) *v = NULL;

    part.len = all.len - b->rows[row];
    if (part.len > 2 * BITS_ROW_MAX)
        part.len = 2 * BITS_ROW_MAX;
    TRY(audit_verifier_new(NULL, &v));
    TRY(audit_verifier_feed(v, BITS_MAGIC));
    TRY(audit_verifier_feed(v, part));
    return bits_verify_bytes(b, all);
}

/* The row that the octet is in; of the magic: none, all is looked at. */
static inline enum rc bits_check_records(const struct bits *b, size_t at)
{
    size_t low = 0, high = b->size;

    if (at < BITS_MAGIC.len)
        return bits_verify_bytes(b, buf_bytes(&b->content));
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (b->rows[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return bits_check_row(b, low);
}

/* What depends on the octet at this place of the opened file: by the product's own verifier, as
 * small a part as it looks at. */
static inline enum rc bits_check_part(const struct bits *b, const struct bits_file *file,
                                      size_t at)
{
    struct audit_checkpoint checkpoint;

    if (file->kind == BITS_NOTE)
        return audit_checkpoint_verify(b->signing.key, buf_bytes(&b->content), &checkpoint);
    if (file->kind == BITS_RECORDS)
        return bits_check_records(b, at);
    return audit_tile_verifier_check(b->verifier, &file->tile);
}

/* ---- Changed ---- */

static inline void bits_open_file(struct bits *b, const struct bits_file *file)
{
    buf_reset(&b->content);
    b->fd = openat(b->dir, file->path, O_RDWR | O_CLOEXEC);
    assert_true(b->fd >= 0);
    assert_int_equal(file_read_fd(b->fd, &b->content), RC_OK);
}

static inline void bits_close_file(struct bits *b)
{
    close(b->fd);
    b->fd = -1;
}

static inline void bits_flip(struct bits *b, size_t at, unsigned bit)
{
    b->content.at[at] ^= (uint8_t)(1 << bit);
    assert_int_equal(pwrite(b->fd, &b->content.at[at], 1, (off_t)at), 1);
}

/* What was tried, for whoever reads the log of a run. */
struct bits_count {
    uint64_t parts, wholes;
};

static inline void bits_must_see(struct bits *b, const struct bits_file *file, size_t at,
                                 unsigned bit, bool whole, struct bits_count *count)
{
    bits_flip(b, at, bit);
    if (bits_check_part(b, file, at) == RC_OK)
        fail_msg("%s: bit %u of octet %zu is not seen", file->path, bit, at);
    if (whole && bits_verify(b, file) == RC_OK)
        fail_msg("%s: bit %u of octet %zu is not seen by audit_verify()", file->path, bit, at);
    bits_flip(b, at, bit);
    count->parts++;
    count->wholes += whole;
}

/* Nothing but the changes made it fail. */
static inline void bits_must_verify(struct bits *b)
{
    for (size_t i = 0; i < b->file_count; i++) {
        const struct bits_file *file = &b->files[i];
        bits_open_file(b, file);
        for (size_t at = 0; at < b->content.len; at += file->kind == BITS_RECORDS ? 9973 : 1000)
            assert_int_equal(bits_check_part(b, file, at), RC_OK);
        bits_close_file(b);
    }
    for (size_t i = 0; i < b->file_count; i++)
        if (b->files[i].kind == BITS_NOTE)
            assert_int_equal(bits_verify(b, &b->files[i]), RC_OK);
}

/* The long form is asked for: ./dev torture. */
static inline bool bits_all(void)
{
    const char *given = getenv("TOUCHMARK_BITS");

    return given != NULL && strcmp(given, "all") == 0;
}

static inline void bits_tell(const struct bits *b, const struct bits_count *count)
{
    print_message("%zu files of %llu records: %llu bits changed one by one, after %llu of them "
                  "the whole was verified\n",
                  b->file_count, (unsigned long long)b->size, (unsigned long long)count->parts,
                  (unsigned long long)count->wholes);
}
