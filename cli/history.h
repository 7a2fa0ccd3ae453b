/* The two histories of a place, which must fit together in a backup: the signer's journal and
 * the audit log in the registry. */
#pragma once

#include "audit/checkpoint.h"
#include "audit/log.h"
#include "journal/journal.h"
#include "registry/registry.h"

#include <sys/stat.h>

/* What a registry's copy holds: its audit log, up to which entry it knows the signer's journal,
 * and the journal's head that its newest checkpoint vouches for. */
struct cli_log_head {
    uint64_t size;
    struct proof_hash root;
    uint64_t journal_seen;
    struct journal_head vouched;
};

/* A walk along a signer's journal: the heads that it must hold, and what it found. */
enum { CLI_SOUGHT_MAX = 2 };
struct cli_journal {
    struct cli_sought {
        struct journal_head head;
        const char *who; /* says so; borrowed */
        bool found;
    } sought[CLI_SOUGHT_MAX];
    size_t count;
    struct journal_head head;
    uint64_t tree_size; /* of the largest checkpoint that was signed */
};

enum { CLI_HISTORY_TABLES = (int)REGISTRY_TABLES + (int)AUDIT_TABLES };
/* How the authority opens its store (daemon/authority_audit.h), with room for a file of this
 * size. settings has its clock; schema borrows tables. */
void cli_history_schema(struct store_table tables[CLI_HISTORY_TABLES],
                        struct store_schema *schema, const struct stat *file,
                        struct store_settings *settings);

/*
 * Look into a copy of the registry (store/backup.h): a copy of the copy is opened in a folder
 * that is made inside of `scratch` and removed again; nothing else changes. kept: a checkpoint
 * from elsewhere, or NULL. RC_DENIED: the log does not hold all that it covers, so that signing
 * would go on from an older state. RC_CORRUPT.
 */
enum rc cli_history_look(int copy, int scratch, const struct audit_checkpoint *kept,
                         struct cli_log_head *head);

/*
 * Copy the signer's journal, which may be in use, entry by entry, verifying its chain: the same
 * numbers, hours and hashes in segments of our own. It ends before the first checkpoint over
 * more records than log_size: those the copy of the log does not have, and with the checkpoint
 * in its memory the signer would rightly never sign again. All that the registry's copy knows
 * was signed before that checkpoint. `to` holds no journal.
 */
enum rc cli_history_copy_journal(int from, int to, uint64_t log_size,
                                 struct journal_head *head);
/* RC_DENIED: the journal lacks entries that the registry knows: an older one under a newer
 * registry, with which serials could be used twice. */
enum rc cli_history_check(const struct cli_log_head *log, const struct journal_head *journal);
void cli_history_seek(struct cli_journal *journal, const struct journal_head *head,
                      const char *who);
/* Along the chain to its end. RC_DENIED unless it holds all that is sought as it is there. */
enum rc cli_history_walk(int dir, struct cli_journal *journal);
