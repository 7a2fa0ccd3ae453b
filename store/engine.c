#include "store/engine.h"

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

struct store_engine {
    MDB_env *env;
    uint64_t map_bytes;
};

static enum rc rc_of(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return RC_OK;
    case MDB_NOTFOUND:
        return RC_NOT_FOUND;
    case MDB_KEYEXIST:
        return RC_EXISTS;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_BAD_VALSIZE:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return RC_LIMIT;
    case ENOMEM:
        return RC_NOMEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return RC_CORRUPT;
    default:
        return RC_IO;
    }
}

#define engine_fault(code, what) fault(rc_of(code), "store: %s: %s", (what), mdb_strerror(code))

static MDB_val val_of(struct bytes bytes)
{
    /* LMDB's keys and values are not const, and not written through. */
    return (MDB_val){ bytes.len, (void *)(uintptr_t)bytes.at };
}

static struct bytes bytes_of(MDB_val val)
{
    return (struct bytes){ val.mv_data, val.mv_size };
}

enum rc store_engine_open(const struct store_engine_settings *settings,
                          struct store_engine **engine)
{
    AUTO_OF(store_engine) *made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "store");

    unsigned flags = settings->read_only ? MDB_RDONLY | MDB_NOLOCK : MDB_NOTLS;
    int code = mdb_env_create(&made->env);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxdbs(made->env, settings->tables);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_mapsize(made->env, settings->map_bytes);
    if (code == MDB_SUCCESS)
        code = mdb_env_open(made->env, settings->folder, flags, 0600);
    if (code != MDB_SUCCESS)
        return engine_fault(code, "open");
    made->map_bytes = settings->map_bytes;
    *engine = TAKE(made);
    return RC_OK;
}

void store_engine_close(struct store_engine *engine)
{
    if (engine != NULL && engine->env != NULL)
        mdb_env_close(engine->env);
    free(engine);
}

enum rc store_engine_begin(struct store_engine *engine, struct MDB_txn *parent, bool writes,
                           struct MDB_txn **txn)
{
    int code = mdb_txn_begin(engine->env, parent, writes ? 0 : MDB_RDONLY, txn);

    return code == MDB_SUCCESS ? RC_OK : engine_fault(code, "begin");
}

static bool disk_is_full(struct store_engine *engine)
{
    struct statvfs space;
    int fd = -1;

    return mdb_env_get_fd(engine->env, &fd) == MDB_SUCCESS && fstatvfs(fd, &space) == 0 &&
           space.f_bavail * space.f_frsize < 64 * 1024;
}

enum rc store_engine_commit(struct store_engine *engine, struct MDB_txn *txn)
{
    int code = mdb_txn_commit(txn);

    if (code == MDB_SUCCESS)
        return RC_OK;
    /* LMDB 0.9.24 calls a short write EIO; that is how a disk that fills up looks. */
    if (code == EIO && disk_is_full(engine))
        code = ENOSPC;
    return engine_fault(code, "commit");
}

void store_engine_abort(struct MDB_txn *txn)
{
    mdb_txn_abort(txn);
}

enum rc store_engine_table(struct MDB_txn *txn, const char *name, bool create, unsigned *handle)
{
    int code = mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, handle);

    if (code == MDB_SUCCESS)
        return RC_OK;
    return fault(rc_of(code), "store: table %s: %s", name, mdb_strerror(code));
}

enum rc store_engine_is_empty(struct MDB_txn *txn, bool *empty)
{
    MDB_stat stat;
    MDB_dbi handle;

    int code = mdb_dbi_open(txn, NULL, 0, &handle);
    if (code == MDB_SUCCESS)
        code = mdb_stat(txn, handle, &stat);
    if (code != MDB_SUCCESS)
        return engine_fault(code, "list tables");
    *empty = stat.ms_entries == 0;
    return RC_OK;
}

enum rc store_engine_count(struct MDB_txn *txn, unsigned handle, uint64_t *count)
{
    MDB_stat stat;

    int code = mdb_stat(txn, handle, &stat);
    if (code != MDB_SUCCESS)
        return engine_fault(code, "count");
    *count = stat.ms_entries;
    return RC_OK;
}

enum rc store_engine_get(struct MDB_txn *txn, unsigned handle, struct bytes key,
                         struct bytes *value)
{
    MDB_val wanted = val_of(key), found;

    int code = mdb_get(txn, handle, &wanted, &found);
    if (code == MDB_NOTFOUND)
        return RC_NOT_FOUND;
    if (code != MDB_SUCCESS)
        return engine_fault(code, "get");
    *value = bytes_of(found);
    return RC_OK;
}

enum rc store_engine_put(struct MDB_txn *txn, unsigned handle, enum store_engine_how how,
                         struct bytes key, struct bytes head, struct bytes body)
{
    static const unsigned FLAGS[] = { [STORE_ENGINE_REPLACE] = 0,
                                      [STORE_ENGINE_INSERT] = MDB_NOOVERWRITE,
                                      [STORE_ENGINE_APPEND] = MDB_APPEND };
    MDB_val at = val_of(key), room = { head.len + body.len, NULL };

    int code = mdb_put(txn, handle, &at, &room, FLAGS[how] | MDB_RESERVE);
    if (code == MDB_KEYEXIST && how == STORE_ENGINE_INSERT)
        return RC_EXISTS;
    if (code != MDB_SUCCESS)
        return engine_fault(code, "put");
    uint8_t *to = room.mv_data;
    if (head.len > 0)
        memcpy(to, head.at, head.len);
    if (body.len > 0)
        memcpy(to + head.len, body.at, body.len);
    return RC_OK;
}

enum rc store_engine_remove(struct MDB_txn *txn, unsigned handle, struct bytes key)
{
    MDB_val at = val_of(key);

    int code = mdb_del(txn, handle, &at, NULL);
    if (code == MDB_NOTFOUND)
        return RC_NOT_FOUND;
    return code == MDB_SUCCESS ? RC_OK : engine_fault(code, "remove");
}

enum rc store_engine_cursor_open(struct MDB_txn *txn, unsigned handle,
                                 struct MDB_cursor **cursor)
{
    int code = mdb_cursor_open(txn, handle, cursor);

    return code == MDB_SUCCESS ? RC_OK : engine_fault(code, "scan");
}

void store_engine_cursor_close(struct MDB_cursor *cursor)
{
    mdb_cursor_close(cursor);
}

enum rc store_engine_cursor_move(struct MDB_cursor *cursor, enum store_engine_move move,
                                 struct bytes *key, struct bytes *value)
{
    static const MDB_cursor_op OPS[] = { [STORE_ENGINE_FIRST] = MDB_FIRST,
                                         [STORE_ENGINE_LAST] = MDB_LAST,
                                         [STORE_ENGINE_NEXT] = MDB_NEXT,
                                         [STORE_ENGINE_PREVIOUS] = MDB_PREV,
                                         [STORE_ENGINE_AT_LEAST] = MDB_SET_RANGE };
    MDB_val at = val_of(*key), found;

    int code = mdb_cursor_get(cursor, &at, &found, OPS[move]);
    if (code == MDB_NOTFOUND)
        return RC_NOT_FOUND;
    if (code != MDB_SUCCESS)
        return engine_fault(code, "scan");
    *key = bytes_of(at);
    *value = bytes_of(found);
    return RC_OK;
}

enum rc store_engine_copy(struct store_engine *engine, int fd)
{
    int code = mdb_env_copyfd2(engine->env, fd, MDB_CP_COMPACT);

    return code == MDB_SUCCESS ? RC_OK : engine_fault(code, "copy");
}
