#include "store/backup.h"

#include "base/file.h"
#include "base/text.h"
#include "store/page.h"
#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/*
 * "store.copy", text, one item a line:
 *   touchmark store copy 1
 *   bytes N
 *   sha256 HEX
 * and, if it is known how the copy was put back:
 *   restored TEXT
 */
enum { HASH_BYTES = STORE_MANIFEST_HASH, LINES = 3, MANIFEST_MAX = 512 };
#define MAGIC    "touchmark store copy 1\n"
#define RESTORED BYTES("restored ")

struct mapped {
    struct bytes file;
};

static void unmap(struct mapped *mapped)
{
    if (mapped->file.len > 0)
        munmap((void *)(uintptr_t)mapped->file.at, mapped->file.len);
}
#define AUTO_MAPPED [[gnu::cleanup(unmap)]] struct mapped

static enum rc map_copy(int dir, struct mapped *mapped)
{
    AUTO_FD fd = openat(dir, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat stat;

    if (fd < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "copy: there is no data.mdb")
                               : fault_errno("copy: open data.mdb");
    if (fstat(fd, &stat) != 0)
        return fault_errno("copy: look at data.mdb");
    if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
        return fault(RC_CORRUPT, "copy: data.mdb is empty, or no regular file");
    void *map = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return fault_errno("copy: map data.mdb");
    mapped->file = (struct bytes){ map, (size_t)stat.st_size };
    return RC_OK;
}

static enum rc hash_of(struct bytes bytes, uint8_t hash[HASH_BYTES])
{
    if (EVP_Digest(bytes.at, bytes.len, hash, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "copy: SHA-256 is not to be had");
    return RC_OK;
}

static enum rc write_manifest(struct bytes file, struct buf *manifest)
{
    uint8_t hash[HASH_BYTES];
    struct bytes unused;

    TRY(hash_of(file, hash));
    buf_addf(manifest, MAGIC "bytes %zu\nsha256 ", file.len);
    text_add_hex(manifest, BYTES_OF(hash));
    buf_addf(manifest, "\n");
    return buf_done(manifest, &unused);
}

static enum rc look_inside(struct store_engine *engine, struct store_copy *copy)
{
    struct store_state state;
    struct MDB_txn *txn = NULL;

    TRY(store_engine_begin(engine, NULL, false, &txn));
    enum rc rc = store_record_read(txn, &state, copy->position.lineage);
    store_engine_abort(txn);
    TRY(rc);
    copy->revision = state.revision;
    copy->position.sequence = state.sequence;
    return RC_OK;
}

/* Every page is known to be sound, so that the engine may see the file. */
static enum rc read_copy(int dir, struct bytes file, struct store_copy *copy)
{
    AUTO_OF(store_engine) *engine = NULL;
    AUTO_BUF(path, 64);
    struct store_engine_settings settings = { .map_bytes = file.len,
                                              .tables = STORE_TABLES_MAX + STORE_OWN_TABLES,
                                              .read_only = true };
    struct store_copy got = { .bytes = file.len };

    AUTO_FD folder = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return fault_errno("copy: open the folder");
    TRY(store_page_check(file, true));
    buf_addf(&path, "/proc/self/fd/%d", folder);
    TRY(buf_text(&path, &settings.folder));
    TRY(store_engine_open(&settings, &engine));
    TRY(look_inside(engine, &got));
    *copy = got;
    return RC_OK;
}

static enum rc write_copy(struct store *store, int dir)
{
    AUTO_FD fd = openat(dir, "data.mdb", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? fault(RC_EXISTS, "copy: the folder holds a store already")
                               : fault_errno("copy: make data.mdb");
    enum rc rc = store_engine_copy(store->engine, fd);
    if (rc == RC_OK && fsync(fd) != 0)
        rc = fault_errno("copy: sync data.mdb");
    if (rc != RC_OK)
        unlinkat(dir, "data.mdb", 0);
    return rc;
}

static enum rc complete_copy(int dir, struct store_copy *copy)
{
    AUTO_MAPPED mapped = { 0 };
    AUTO_BUF(manifest, MANIFEST_MAX);
    struct store_copy got;

    TRY(map_copy(dir, &mapped));
    TRY(read_copy(dir, mapped.file, &got));
    TRY(write_manifest(mapped.file, &manifest));
    TRY(file_write(dir, STORE_BACKUP_MANIFEST, buf_bytes(&manifest), 0600));
    *copy = got;
    return RC_OK;
}

enum rc store_backup_copy(struct store *store, int dir, struct store_copy *copy)
{
    TRY(write_copy(store, dir));
    enum rc rc = complete_copy(dir, copy);
    if (rc != RC_OK)
        unlinkat(dir, "data.mdb", 0);
    return rc;
}

/* what: the lines of the copy's maker. */
static enum rc split_manifest(struct bytes stored, struct bytes *what, struct bytes *note)
{
    struct bytes left = stored, text = BYTES("");
    size_t lines = 0;

    while (lines < LINES && left.len > 0) {
        lines += left.at[0] == '\n';
        left = (struct bytes){ left.at + 1, left.len - 1 };
    }
    if (left.len > 0) {
        if (!bytes_start_with(left, RESTORED) || left.at[left.len - 1] != '\n')
            lines = 0;
        else
            text = (struct bytes){ left.at + RESTORED.len, left.len - RESTORED.len - 1 };
    }
    if (!bytes_start_with(stored, BYTES(MAGIC)) || lines < LINES || text.len > STORE_NOTE_MAX ||
        !text_is_printable(text))
        return fault(RC_CORRUPT, "copy: the manifest is damaged");
    *what = (struct bytes){ stored.at, stored.len - left.len };
    *note = text;
    return RC_OK;
}

/* RC_NOT_FOUND */
static enum rc read_manifest(int dir, struct buf *stored, struct bytes *what,
                             struct bytes *note)
{
    enum rc rc = file_read(dir, STORE_BACKUP_MANIFEST, stored);

    if (rc == RC_LIMIT)
        return fault(RC_CORRUPT, "copy: the manifest is damaged");
    TRY(rc);
    return split_manifest(buf_bytes(stored), what, note);
}

enum rc store_backup_check(int dir, struct store_copy *copy)
{
    AUTO_MAPPED mapped = { 0 };
    AUTO_BUF(manifest, MANIFEST_MAX);
    AUTO_BUF(stored, MANIFEST_MAX);
    struct bytes what, note;

    enum rc rc = read_manifest(dir, &stored, &what, &note);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND,
                     "copy: no manifest, so no copy, or one that was not finished");
    TRY(rc);
    TRY(map_copy(dir, &mapped));
    TRY(write_manifest(mapped.file, &manifest));
    if (!bytes_equal(what, buf_bytes(&manifest)))
        return fault(RC_CORRUPT, "copy: data.mdb and its manifest do not belong together");
    return read_copy(dir, mapped.file, copy);
}

/* ---- Putting it back ---- */

enum rc store_backup_note(int dir, struct bytes note)
{
    AUTO_BUF(stored, MANIFEST_MAX);
    AUTO_BUF(noted, MANIFEST_MAX);
    struct bytes what, before, bytes;

    if (note.len > STORE_NOTE_MAX)
        return fault(RC_LIMIT, "copy: a note of %zu bytes, limit %d", note.len, STORE_NOTE_MAX);
    if (!text_is_printable(note))
        return fault(RC_MALFORMED, "copy: a note is one line of printable text");
    TRY(read_manifest(dir, &stored, &what, &before));
    buf_add(&noted, what);
    buf_add(&noted, RESTORED);
    buf_add(&noted, note);
    buf_addf(&noted, "\n");
    TRY(buf_done(&noted, &bytes));
    return file_write(dir, STORE_BACKUP_MANIFEST, bytes, 0600);
}

enum rc store_backup_find(int dir, struct store_put_back *found)
{
    AUTO_BUF(stored, MANIFEST_MAX);
    struct store_put_back read = { .there = true };
    struct bytes what, note;

    enum rc rc = read_manifest(dir, &stored, &what, &note);
    if (rc == RC_NOT_FOUND) {
        *found = (struct store_put_back){ .there = false };
        return RC_OK;
    }
    TRY(rc);
    TRY(hash_of(buf_bytes(&stored), read.hash));
    if (note.len > 0)
        memcpy(read.note, note.at, note.len);
    *found = read;
    return RC_OK;
}

bool store_backup_unrecorded(const struct store *store, struct bytes *note)
{
    *note = bytes_of_text(store->put_back.note);
    return store->put_back.there && !store->put_back.recorded;
}

enum rc store_backup_record(struct store_txn *txn)
{
    if (!txn->store->put_back.there)
        return RC_OK;
    TRY(store_txn_settle(txn, store_record_put_copy(txn->store, txn->engine)));
    txn->changes++;
    return RC_OK;
}

enum rc store_backup_adopt(struct store *store)
{
    if (unlinkat(store->lock, STORE_BACKUP_MANIFEST, 0) != 0 && errno != ENOENT)
        return fault_errno("store: remove store.copy");
    TRY(file_sync_dir(store->lock));
    store->put_back.there = false;
    return RC_OK;
}
