#include <string.h>

#include "base/file.h"
#include "daemon/authority_audit.h"
#include "store/seal.h"

/*
 * The key that wraps the audit log's keys lies beside the store that they are in: it comes with
 * a copy of the registry, and a copy of the store's file alone says nothing of what bodies
 * hold.
 */
struct looking {
    const struct daemon_authority_book *book;
    enum rc rc;
};

static enum rc check(struct store_txn *txn, void *with)
{
    struct looking *looking = with;

    looking->rc = audit_log_check_key(looking->book->log, txn);
    return looking->rc;
}

/* A new one, unless bodies are sealed under one that is not here. */
static enum rc make(struct daemon_authority_book *book, int dir, struct store *store)
{
    struct looking looking = { .book = book };

    if (store_read(store, check, &looking) != RC_OK)
        return fault_while(RC_NOT_FOUND, "%s is missing", DAEMON_AUTHORITY_KEY);
    TRY(secret_make_random(&book->key, STORE_SEAL_KEY));
    return file_create(dir, DAEMON_AUTHORITY_KEY, secret_bytes(&book->key), 0600);
}

/* Octets as they are: secret_read_fd() would take a last newline away. */
static enum rc read_key(struct daemon_authority_book *book, int dir)
{
    AUTO_BUF(bytes, SECRET_MAX);
    enum rc rc = file_read(dir, DAEMON_AUTHORITY_KEY, &bytes);

    if (rc == RC_OK)
        rc = secret_set(&book->key, buf_bytes(&bytes));
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.room);
    return rc;
}

enum rc daemon_authority_book_unlock(struct daemon_authority_book *book, int dir,
                                     struct store *store)
{
    struct looking looking = { .book = book };
    enum rc rc = read_key(book, dir);

    if (rc == RC_NOT_FOUND)
        rc = make(book, dir, store);
    if (rc != RC_OK)
        return fault_while(rc, "the audit log's sealing key");
    TRY(audit_log_unlock(book->log, &book->key));
    rc = store_read(store, check, &looking);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", DAEMON_AUTHORITY_KEY);
}
