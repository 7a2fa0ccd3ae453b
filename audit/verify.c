#include "audit/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/bare.h"
#include "audit/tile_verify.h"
#include "base/file.h"

#define MAGIC BYTES("touchmark audit 1\n")

static const char RECORDS[] = "records", CHECKPOINT[] = "checkpoint", TILES[] = "tile";
enum { ROW_HEAD = 4 + PROOF_HASH, ROW_MAX = ROW_HEAD + AUDIT_ENTRY_MAX, PART = 64 * 1024 };

struct audit_export {
    int dir, fd;
    struct audit_hasher *hasher;
    struct buf pending;
};

void audit_export_free(struct audit_export *export)
{
    if (export == NULL)
        return;
    if (export->fd >= 0)
        close(export->fd);
    audit_hasher_free(export->hasher);
    buf_clear(&export->pending);
    free(export);
}

enum rc audit_export_new(int dir, struct audit_export **export)
{
    AUTO_OF(audit_export) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit export");
    made->dir = dir;
    made->pending = (struct buf)BUF_MAX(PART + ROW_MAX);
    made->fd = openat(dir, RECORDS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made->fd < 0 && errno == EEXIST)
        return fault(RC_EXISTS, "audit export: the folder has a file \"%s\"", RECORDS);
    if (made->fd < 0)
        return fault_errno("audit export: %s", RECORDS);
    TRY(audit_hasher_new(&made->hasher));
    buf_add(&made->pending, MAGIC);
    *export = TAKE(made);
    return RC_OK;
}

static enum rc flush(struct audit_export *export)
{
    struct bytes bytes;

    TRY(buf_done(&export->pending, &bytes));
    TRY(file_write_all(export->fd, bytes));
    buf_reset(&export->pending);
    return RC_OK;
}

enum rc audit_export_add(struct audit_export *export, struct bytes entry)
{
    struct audit_entry parts;

    TRY(audit_leaf_read(entry, &parts));
    struct proof_hash leaf = audit_leaf_hash(export->hasher, &parts);
    buf_add_u32(&export->pending, (uint32_t)entry.len);
    buf_add(&export->pending, BYTES_OF(leaf.at));
    buf_add(&export->pending, entry);
    return export->pending.len < PART ? RC_OK : flush(export);
}

enum rc audit_export_finish(struct audit_export *export, struct bytes note)
{
    TRY(flush(export));
    if (fsync(export->fd) != 0)
        return fault_errno("audit export: %s", RECORDS);
    return file_create(export->dir, CHECKPOINT, note, 0600);
}

/* stack holds the roots of the whole subtrees that the leaves so far fall into, largest first
 * (RFC 9162 2.1.2). */
struct audit_verifier {
    struct audit_hasher *hasher;
    struct buf left, room;
    bool begun;
    struct proof_hash stack[64];
    size_t depth;
    uint64_t size;
    struct audit_bare bare;
    bool has_since, since_met;
    uint64_t since_size;
    struct proof_hash since_root;
};

void audit_verifier_free(struct audit_verifier *v)
{
    if (v == NULL)
        return;
    audit_hasher_free(v->hasher);
    buf_clear(&v->left);
    buf_clear(&v->room);
    free(v);
}

static struct proof_hash root_so_far(const struct audit_verifier *v)
{
    struct proof_hash root;

    if (v->depth == 0)
        return journal_proof_empty();
    root = v->stack[v->depth - 1];
    for (size_t i = v->depth - 1; i > 0; i--)
        root = journal_proof_node(audit_hasher_digest(v->hasher), &v->stack[i - 1], &root);
    return root;
}

/* Once, when the log is as long as it was then. */
static enum rc meet_since(struct audit_verifier *v)
{
    if (!v->has_since || v->size != v->since_size)
        return RC_OK;
    struct proof_hash root = root_so_far(v);
    v->since_met = true;
    if (!bytes_equal(BYTES_OF(root.at), BYTES_OF(v->since_root.at)))
        return fault(RC_DENIED,
                     "audit log: its first %" PRIu64
                     " records are not those of the older checkpoint: it was rewritten",
                     v->size);
    return RC_OK;
}

enum rc audit_verifier_new(const struct audit_checkpoint *since, struct audit_verifier **v)
{
    AUTO_OF(audit_verifier) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit verifier");
    made->left = (struct buf)BUF_MAX(PART + ROW_MAX);
    made->room = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    TRY(audit_hasher_new(&made->hasher));
    if (since != NULL) {
        made->has_since = true;
        made->since_size = since->size;
        made->since_root = since->root;
        TRY(meet_since(made));
    }
    *v = TAKE(made);
    return RC_OK;
}

static void push(struct audit_verifier *v, struct proof_hash hash)
{
    for (uint64_t size = v->size++; (size & 1) != 0; size >>= 1)
        hash = journal_proof_node(audit_hasher_digest(v->hasher), &v->stack[--v->depth], &hash);
    v->stack[v->depth++] = hash;
}

static enum rc check_row(struct audit_verifier *v, struct bytes claimed, struct bytes bytes)
{
    struct audit_record record;
    struct audit_entry entry;

    TRY(audit_leaf_read(bytes, &entry));
    struct proof_hash leaf = audit_leaf_hash(v->hasher, &entry);
    if (!bytes_equal(claimed, BYTES_OF(leaf.at)))
        return fault(RC_DENIED, "leaf hash is not that of its head and commitment");
    TRY(audit_leaf_check(v->hasher, &entry));
    TRY(audit_leaf_record(&entry, &v->room, &record));
    TRY(audit_bare_add(&v->bare, &record, entry.erased));
    push(v, leaf);
    return meet_since(v);
}

/* RC_NOT_FOUND: the row is not whole yet. */
static enum rc take_row(struct audit_verifier *v, struct reader *r)
{
    struct reader row = *r;
    uint32_t length = reader_u32(&row);
    struct bytes claimed = reader_take(&row, PROOF_HASH);

    if (length > AUDIT_ENTRY_MAX)
        return fault(RC_MALFORMED, "audit export: record %" PRIu64 " of %u octets, limit %d",
                     v->size, length, AUDIT_ENTRY_MAX);
    struct bytes entry = reader_take(&row, length);
    if (row.broken)
        return RC_NOT_FOUND;
    uint64_t index = v->size;
    enum rc rc = check_row(v, claimed, entry);
    if (rc != RC_OK)
        return fault_while(rc, "audit export: record %" PRIu64, index);
    *r = row;
    return RC_OK;
}

static enum rc take_magic(struct audit_verifier *v, struct reader *r)
{
    if (v->begun || r->left.len < MAGIC.len)
        return RC_OK;
    if (!bytes_equal(reader_take(r, MAGIC.len), MAGIC))
        return fault(RC_MALFORMED, "audit export: does not begin with \"touchmark audit 1\"");
    v->begun = true;
    return RC_OK;
}

static enum rc feed(struct audit_verifier *v, struct bytes part)
{
    AUTO_BUF(rest, ROW_MAX);
    struct bytes all;
    enum rc rc = RC_OK;

    buf_add(&v->left, part);
    TRY(buf_done(&v->left, &all));
    struct reader r = READER(all);
    TRY(take_magic(v, &r));
    while (v->begun && rc == RC_OK && r.left.len > 0)
        rc = take_row(v, &r);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    buf_add(&rest, r.left);
    buf_reset(&v->left);
    buf_add(&v->left, buf_bytes(&rest));
    return RC_OK;
}

enum rc audit_verifier_feed(struct audit_verifier *v, struct bytes part)
{
    struct reader r = READER(part);

    while (r.left.len > 0)
        TRY(feed(v, reader_take(&r, r.left.len < PART ? r.left.len : PART)));
    return RC_OK;
}

enum rc audit_verifier_finish(struct audit_verifier *v,
                              const struct audit_checkpoint *checkpoint,
                              struct audit_verified *verified)
{
    struct proof_hash root = root_so_far(v);

    if (!v->begun || v->left.len > 0)
        return fault(RC_MALFORMED, "audit export: record %" PRIu64 " is cut short", v->size);
    if (v->size != checkpoint->size)
        return fault(RC_DENIED,
                     "audit export: %" PRIu64 " records, the checkpoint is over %" PRIu64,
                     v->size, checkpoint->size);
    if (!bytes_equal(BYTES_OF(root.at), BYTES_OF(checkpoint->root.at)))
        return fault(RC_DENIED,
                     "audit export: each record agrees with itself, but they are not "
                     "those that the checkpoint is over");
    if (v->has_since && !v->since_met)
        return fault(RC_DENIED,
                     "audit export: %" PRIu64 " records, an older checkpoint is over %" PRIu64
                     ": it was truncated or rolled back",
                     v->size, v->since_size);
    TRY(audit_bare_check(&v->bare));
    *verified = (struct audit_verified){ .records = v->size,
                                         .erased = v->bare.bare,
                                         .erasing = audit_bare_under_way(&v->bare),
                                         .checkpoint = *checkpoint };
    verified->checkpoint.origin = BYTES("");
    return RC_OK;
}

static enum rc feed_file(struct audit_verifier *v, int dir)
{
    AUTO_FD fd = openat(dir, RECORDS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    AUTO_BUF(part, PART);

    if (fd < 0)
        return fault_errno("audit export: %s", RECORDS);
    for (;;) {
        buf_reset(&part);
        uint8_t *room = buf_extend(&part, PART);
        if (room == NULL)
            return fault(RC_NOMEM, "audit export");
        ssize_t got = read(fd, room, PART);
        if (got < 0)
            return fault_errno("audit export: %s", RECORDS);
        if (got == 0)
            return RC_OK;
        TRY(audit_verifier_feed(v, (struct bytes){ room, (size_t)got }));
    }
}

static enum rc check_older(const struct audit_checkpoint *older,
                           const struct audit_checkpoint *checkpoint)
{
    if (!bytes_equal(older->origin, checkpoint->origin))
        return fault(RC_DENIED, "the older checkpoint is another log's");
    if (older->size == checkpoint->size &&
        !bytes_equal(BYTES_OF(older->root.at), BYTES_OF(checkpoint->root.at)))
        return fault(RC_DENIED,
                     "a split view: this key signed two checkpoints of %" PRIu64
                     " records with different roots",
                     older->size);
    return RC_OK;
}

/* The newer checkpoint and, if there is one, the older, with whose signatures; no origins. */
static enum rc read_checkpoints(int dir, const struct audit_checkpoint_key *key,
                                const struct audit_witnesses *witnesses, struct bytes since,
                                struct audit_verified *made, struct audit_checkpoint *older)
{
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct bytes bytes;

    TRY(file_read(dir, CHECKPOINT, &note));
    TRY(buf_done(&note, &bytes));
    TRY(audit_checkpoint_verify(key, bytes, &made->checkpoint));
    TRY(audit_cosignature_demand(witnesses, bytes));
    TRY(audit_cosignature_count(witnesses, bytes, &made->witnesses));
    if (since.len > 0) {
        enum rc rc = audit_checkpoint_verify(key, since, older);
        if (rc != RC_OK)
            return fault_while(rc, "the older checkpoint");
        TRY(check_older(older, &made->checkpoint));
        older->origin = BYTES("");
    }
    made->checkpoint.origin = BYTES("");
    return RC_OK;
}

static bool is_there(int dir, const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum rc verify_records(int dir, const struct audit_checkpoint *since,
                              struct audit_verified *made)
{
    AUTO_OF(audit_verifier) *v = NULL;
    struct audit_verified found;

    TRY(audit_verifier_new(since, &v));
    TRY(feed_file(v, dir));
    TRY(audit_verifier_finish(v, &made->checkpoint, &found));
    made->erased = found.erased;
    made->erasing = found.erasing;
    return RC_OK;
}

enum rc audit_verify(int dir, const struct audit_checkpoint_key *key,
                     const struct audit_witnesses *witnesses, struct bytes since,
                     struct audit_verified *verified)
{
    struct audit_verified made = { 0 };
    struct audit_checkpoint older = { 0 };
    const struct audit_checkpoint *since_met = since.len > 0 ? &older : NULL;

    TRY(read_checkpoints(dir, key, witnesses, since, &made, &older));
    bool tiles = is_there(dir, TILES);
    made.leaves_only = tiles && !is_there(dir, RECORDS);
    made.records = made.checkpoint.size;
    if (!made.leaves_only)
        TRY(verify_records(dir, since_met, &made));
    if (tiles)
        TRY(audit_tile_verify(dir, &made.checkpoint, since_met));
    *verified = made;
    return RC_OK;
}
