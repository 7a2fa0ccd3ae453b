/* How a registry begins: from what touchmark init left in files. */
#pragma once

#include "daemon/authority_audit.h"

/* Files, absolute. */
struct daemon_authority_first {
    const char *chain;    /* PEM: our CAs' certificates, any order */
    const char *operator; /* PEM: the first operator's certificate comes first */
    const char *policy;   /* the first policy's text */
};

/*
 * If the registry is empty: fill it, in one transaction, the operator an admin under the
 * commonName of his certificate. If it holds anything, the files are not even opened: nobody
 * becomes an operator by changing a file later. RC_MALFORMED, RC_NOT_FOUND, RC_DENIED name the
 * file.
 */
enum rc daemon_authority_fill(struct store *store, const struct daemon_authority_first *first,
                              int64_t now_ms);

/* The log's first records: of each certificate that is there when it begins, the CAs' and those
 * in the registry, so that none is in use of which the log does not say whence it came. */
enum rc daemon_authority_first_records(const struct daemon_authority_book *book,
                                       struct store_txn *txn);
