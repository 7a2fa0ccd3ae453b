/* One request to the signer, from its arrival to its answer. */
#pragma once

#include "journal/journal.h"
#include "keys/memory.h"
#include "keys/protocol.h"

/*
 * The to-be-signed bytes go on to a worker at once; what stays is what the journal and the
 * answer need.
 */
struct keys_job {
    struct keys_job *next; /* among the settled */
    void *owner;
    struct link_request request;
    enum keys_kind kind;
    const struct keys_rule *rule; /* NULL: no such key */
    char key[KEYS_NAME_MAX + 1];
    uint8_t correlation[KEYS_CORRELATION];
    size_t count;
    uint8_t digest[KEYS_ITEMS_MAX][32];
    bool holds;                /* the key's memory: a CRL or checkpoint under way */
    bool remembers;            /* memory is to be the key's once it is committed */
    struct keys_memory memory; /* of a checkpoint before it is signed: what it must come to */
    uint64_t sequence;         /* of the last entry */
    struct buf reply;
};

/* Copies what stays, digests made here. A CRL stands by the digest of its request until
 * keys_job_read_sealed(). */
enum rc keys_job_new(const struct link_request *request, enum keys_kind kind,
                     const struct keys_ask *ask, struct keys_job **job);
/* The digest of what came along with it, which is so long. RC_MALFORMED: it is not, or can
 * change. */
enum rc keys_job_read_sealed(struct keys_job *job, int fd, size_t len);
void keys_job_free(struct keys_job *job);
AUTO_STRUCT(keys_job, keys_job_free)

/* Journal (not committed) and put into the reply what a worker said. RC_CORRUPT: it said
 * nonsense. */
enum rc keys_job_settle(struct keys_job *job, struct journal *journal,
                        const struct keys_past *past, const struct keys_results *results);
/* Refuse every item for this reason; not journaled unless told. */
enum rc keys_job_refuse(struct keys_job *job, struct journal *journal, bool journaled,
                        enum rc rc, const char *why);
