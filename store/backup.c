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
 */
enum { HASH_BYTES = 32, MANIFEST_MAX = 256 };

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

static enum rc write_manifest(struct bytes file, struct buf *manifest)
{
    uint8_t hash[HASH_BYTES];
    struct bytes unused;

    if (EVP_Digest(file.at, file.len, hash, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "copy: SHA-256 is not to be had");
    buf_addf(manifest, "touchmark store copy 1\nbytes %zu\nsha256 ", file.len);
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

enum rc store_backup_check(int dir, struct store_copy *copy)
{
    AUTO_MAPPED mapped = { 0 };
    AUTO_BUF(manifest, MANIFEST_MAX);
    AUTO_BUF(stored, MANIFEST_MAX);

    enum rc rc = file_read(dir, STORE_BACKUP_MANIFEST, &stored);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND,
                     "copy: no manifest, so no copy, or one that was not finished");
    if (rc == RC_LIMIT)
        return fault(RC_CORRUPT, "copy: the manifest is damaged");
    TRY(rc);
    TRY(map_copy(dir, &mapped));
    TRY(write_manifest(mapped.file, &manifest));
    if (!bytes_equal(buf_bytes(&stored), buf_bytes(&manifest)))
        return fault(RC_CORRUPT, "copy: data.mdb and its manifest do not belong together");
    return read_copy(dir, mapped.file, copy);
}
