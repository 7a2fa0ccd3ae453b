#include "base/file.h"
#include "store/page.h"
#include "store/state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

static bool name_is_good(const char *name)
{
    struct bytes left = bytes_of_text(name);

    if (left.len == 0 || left.len > STORE_NAME_MAX)
        return false;
    for (size_t i = 0; i < left.len; i++) {
        uint8_t c = left.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

/* A schema is our own source text: what is wrong with it is a bug. */
static void assert_schema(const struct store_schema *schema)
{
    assert(name_is_good(schema->name) && schema->table_count <= STORE_TABLES_MAX);
    for (size_t i = 0; i < schema->table_count; i++) {
        const struct store_table *table = &schema->tables[i];
        assert(name_is_good(table->name) && table->value_max >= 1);
        assert(table->value_max <= STORE_VALUE_MAX);
        assert(table->key == STORE_KEY_BYTES || table->key == STORE_KEY_NUMBER);
    }
}

static enum rc lock_folder(int dir, int *lock)
{
    AUTO_FD fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return fault_errno("store: open the folder");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? fault(RC_BUSY, "store: another process has it open")
                                    : fault_errno("store: lock the folder");
    *lock = TAKE_FD(fd);
    return RC_OK;
}

static bool is_zeros(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != 0)
            return false;
    return true;
}

static enum rc check_file(int fd, size_t len, bool *never_committed)
{
    enum { NEW_MAX = 2 * 32768 }; /* two pages of LMDB's largest size */

    void *map = len > 0 ? mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    if (map == MAP_FAILED)
        return fault_errno("store: map the file");
    struct bytes file = { map, len };
    *never_committed = len <= NEW_MAX && is_zeros(file);
    enum rc rc = *never_committed ? RC_OK : store_page_check(file, false);
    if (len > 0)
        munmap(map, len);
    return rc;
}

/* A power cut while a store was made can leave a file without content: nothing was ever
 * acknowledged from it, so it is made anew. */
static enum rc prepare_file(int dir)
{
    AUTO_FD fd = openat(dir, "data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool never_committed = false;
    struct stat stat;

    if (fd < 0)
        return errno == ENOENT ? RC_OK : fault_errno("store: open data.mdb");
    if (fstat(fd, &stat) != 0)
        return fault_errno("store: look at data.mdb");
    if (!S_ISREG(stat.st_mode))
        return fault(RC_CORRUPT, "store: data.mdb is no regular file");
    TRY(check_file(fd, (size_t)stat.st_size, &never_committed));
    if (never_committed && unlinkat(dir, "data.mdb", 0) != 0)
        return fault_errno("store: remove an empty data.mdb");
    return RC_OK;
}

/* The lock on the folder is ours, so what lies in LMDB's lock file belongs to the dead. */
static enum rc remove_stale_lock(int dir)
{
    if (unlinkat(dir, "lock.mdb", 0) != 0 && errno != ENOENT)
        return fault_errno("store: remove lock.mdb");
    return RC_OK;
}

static enum rc open_engine(struct store *store)
{
    AUTO_BUF(path, 64);
    struct store_engine_settings settings = {
        .map_bytes = store->settings.map_bytes,
        .tables = (unsigned)store->schema->table_count + STORE_OWN_TABLES,
    };

    /* LMDB takes a path only; this one cannot be another folder than the locked one. */
    buf_addf(&path, "/proc/self/fd/%d", store->lock);
    TRY(buf_text(&path, &settings.folder));
    return store_engine_open(&settings, &store->engine);
}

static enum rc open_tables(struct store *store)
{
    struct MDB_txn *txn = NULL;

    TRY(store_engine_begin(store->engine, NULL, true, &txn));
    enum rc rc = store_record_open(store, txn);
    if (rc == RC_OK)
        return store_engine_commit(store->engine, txn);
    store_engine_abort(txn);
    return rc;
}

static enum rc open_locked(struct store *store)
{
    TRY(store_backup_find(store->lock, &store->put_back));
    TRY(prepare_file(store->lock));
    TRY(remove_stale_lock(store->lock));
    TRY(open_engine(store));
    TRY(open_tables(store));
    return store->put_back.recorded ? store_backup_adopt(store) : file_sync_dir(store->lock);
}

enum rc store_open(int dir, const struct store_schema *schema,
                   const struct store_settings *settings, struct store **store)
{
    assert_schema(schema);
    AUTO_OF(store) *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "store");
    made->lock = -1;
    made->schema = schema;
    made->settings = *settings;
    if (getrandom(&made->serial, sizeof made->serial, 0) != sizeof made->serial)
        return fault_errno("store: random octets");
    made->undone = made->serial;

    TRY(lock_folder(dir, &made->lock));
    TRY(open_locked(made));
    *store = TAKE(made);
    return RC_OK;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    assert(!store->in_transaction);
    store_engine_close(store->engine);
    if (store->lock >= 0)
        close(store->lock);
    free(store);
}

uint64_t store_revision(const struct store *store)
{
    return store->state.revision;
}

uint64_t store_sequence(const struct store *store)
{
    return store->state.sequence;
}

struct store_number store_key_number(uint64_t number)
{
    struct store_number key;

    for (size_t i = 0; i < sizeof key.at; i++)
        key.at[i] = (uint8_t)(number >> (8 * (sizeof key.at - 1 - i)));
    return key;
}

uint64_t store_key_read_number(struct bytes key)
{
    struct reader r = READER(key);

    uint64_t number = reader_u64(&r);
    assert(reader_done(&r));
    return number;
}
