#include "cli/history.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "cli/copy.h"
#include "keys/entry.h"
#include "store/backup.h"

enum {
    SEGMENT_BYTES = 64 * 1024 * 1024,
    GROUP_BYTES = 4 * 1024 * 1024,
    MAP_LEAST = 256 * 1024 * 1024,
};

/* ---- The audit log ---- */

struct look {
    struct audit_log *log;
    const struct audit_checkpoint *kept;
    struct cli_log_head *head;
};

static enum rc look_inside(struct store_txn *txn, void *with)
{
    const struct look *look = with;
    struct proof_hash root;

    TRY(audit_log_size(look->log, txn, &look->head->size));
    TRY(audit_log_root(look->log, txn, look->head->size, &look->head->root));
    TRY(registry_journal_seen(txn, &look->head->journal_seen));
    TRY(audit_log_vouched(look->log, txn, &look->head->vouched));
    if (look->kept == NULL)
        return RC_OK;
    if (look->kept->size > look->head->size)
        return fault(RC_DENIED,
                     "the checkpoint covers %" PRIu64 " records, the backup's log has %" PRIu64
                     ": what came after would be forgotten, and an older checkpoint signed",
                     look->kept->size, look->head->size);
    TRY(audit_log_root(look->log, txn, look->kept->size, &root));
    return bytes_equal(BYTES_OF(root.at), BYTES_OF(look->kept->root.at))
               ? RC_OK
               : fault(RC_DENIED, "the backup's log is not the one that the checkpoint covers");
}

void cli_history_schema(struct store_table tables[CLI_HISTORY_TABLES],
                        struct store_schema *schema, const struct stat *file,
                        struct store_settings *settings)
{
    memcpy(tables, registry_tables(), REGISTRY_TABLES * sizeof *tables);
    memcpy(tables + REGISTRY_TABLES, audit_log_tables(), AUDIT_TABLES * sizeof *tables);
    *schema = (struct store_schema){ "registry", 1, tables, CLI_HISTORY_TABLES };
    settings->map_bytes = MAP_LEAST + 2 * (uint64_t)file->st_size;
}

static enum rc open_and_look(int dir, const struct audit_checkpoint *kept,
                             struct cli_log_head *head)
{
    const struct clock clock = clock_system();
    struct store_table tables[CLI_HISTORY_TABLES];
    struct store_schema schema;
    struct store_settings settings = { .clock = &clock };
    AUTO_OF(audit_log) *log = NULL;
    AUTO_OF(store) *store = NULL;
    struct stat found;

    if (fstatat(dir, "data.mdb", &found, AT_SYMLINK_NOFOLLOW) != 0)
        return fault_errno("the registry's copy");
    cli_history_schema(tables, &schema, &found, &settings);
    TRY(audit_log_new(REGISTRY_TABLES, &log));
    TRY(store_open(dir, &schema, &settings, &store));
    return store_read(store, look_inside, &(struct look){ log, kept, head });
}

enum rc cli_history_look(int copy, int scratch, const struct audit_checkpoint *kept,
                         struct cli_log_head *head)
{
    static const char NAME[] = "look.tmp";
    AUTO_FD dir = -1;
    struct store_copy found;

    TRY(store_backup_check(copy, &found));
    TRY(file_make_dir(scratch, NAME, 0700, &dir));
    enum rc rc = cli_copy_file(copy, "data.mdb", dir, "data.mdb", 0600);
    if (rc == RC_OK)
        rc = open_and_look(dir, kept, head);
    unlinkat(dir, "data.mdb", 0);
    unlinkat(dir, "lock.mdb", 0);
    unlinkat(scratch, NAME, AT_REMOVEDIR);
    return rc;
}

/* ---- The signer's journal ---- */

struct replay {
    uint64_t log_size;
    struct journal *to;
    int64_t wall_ms; /* of the entry that is copied: the copy's clock */
    size_t group_bytes;
    struct journal_head head;
};

static int64_t wall_of_entry(void *with)
{
    return ((const struct replay *)with)->wall_ms;
}

/* Of the checkpoint that this entry remembers; 0: of none. */
static uint64_t tree_size_of(const struct keys_entry *entry)
{
    bool remembers = entry->kind == KEYS_ENTRY_MEMORY ||
                     (entry->kind == KEYS_ENTRY_SIGNED && entry->of == KEYS_CHECKPOINT);

    return remembers ? entry->memory.tree_size : 0;
}

static enum rc copy_entry(void *with, const struct journal_entry *entry)
{
    struct replay *replay = with;
    struct keys_entry read;

    TRY(keys_entry_read(entry->kind, entry->body, &read));
    if (tree_size_of(&read) > replay->log_size)
        return RC_CLOSED; /* enough: cli_history_copy_journal() knows */
    replay->wall_ms = entry->wall_ms;
    TRY(journal_append(replay->to, entry->kind, entry->body, NULL));
    replay->head.sequence = entry->sequence;
    memcpy(replay->head.hash, entry->hash, sizeof replay->head.hash);
    replay->group_bytes += entry->body.len;
    if (replay->group_bytes < GROUP_BYTES)
        return RC_OK;
    replay->group_bytes = 0;
    return journal_commit(replay->to);
}

enum rc cli_history_copy_journal(int from, int to, uint64_t log_size, struct journal_head *head)
{
    const struct journal_limits limits = { SEGMENT_BYTES, UINT64_MAX };
    struct replay replay = { .log_size = log_size };
    const struct clock clock = { wall_of_entry, wall_of_entry, &replay };
    AUTO_OF(journal) *journal = NULL;

    TRY(journal_open(to, &limits, &clock, NULL, &journal));
    replay.to = journal;
    enum rc rc = journal_verify(from, copy_entry, &replay, NULL, NULL);
    if (rc != RC_OK && rc != RC_CLOSED)
        return fault_while(rc, "the signer's journal");
    TRY(journal_commit(journal));
    *head = journal_head(journal);
    if (head->sequence != replay.head.sequence ||
        !bytes_equal(BYTES_OF(head->hash), BYTES_OF(replay.head.hash)))
        return fault(RC_CORRUPT,
                     "the copy of the signer's journal differs from it at entry "
                     "%" PRIu64,
                     head->sequence);
    return RC_OK;
}

enum rc cli_history_check(const struct cli_log_head *log, const struct journal_head *journal)
{
    if (journal->sequence < log->journal_seen)
        return fault(RC_DENIED,
                     "the signer's journal ends at entry %" PRIu64
                     ", the registry knows it up to %" PRIu64 ": it is older than the registry",
                     journal->sequence, log->journal_seen);
    return RC_OK;
}

void cli_history_seek(struct cli_journal *journal, const struct journal_head *head,
                      const char *who)
{
    struct cli_sought *sought = &journal->sought[journal->count++];

    *sought = (struct cli_sought){ .head = *head, .who = who, .found = head->sequence == 0 };
}

static enum rc pass_entry(void *with, const struct journal_entry *entry)
{
    struct cli_journal *journal = with;
    struct keys_entry read;

    TRY(keys_entry_read(entry->kind, entry->body, &read));
    if (tree_size_of(&read) > journal->tree_size)
        journal->tree_size = tree_size_of(&read);
    for (size_t i = 0; i < journal->count; i++) {
        struct cli_sought *sought = &journal->sought[i];
        if (entry->sequence == sought->head.sequence)
            sought->found = bytes_equal(BYTES_OF(entry->hash), BYTES_OF(sought->head.hash));
    }
    return RC_OK;
}

enum rc cli_history_walk(int dir, struct cli_journal *journal)
{
    journal->tree_size = 0;
    TRY(journal_verify(dir, pass_entry, journal, &journal->head, NULL));
    for (size_t i = 0; i < journal->count; i++)
        if (!journal->sought[i].found)
            return fault(RC_DENIED,
                         "the signer's journal does not hold entry %" PRIu64
                         " as %s has it: it was rolled back, or is another's",
                         journal->sought[i].head.sequence, journal->sought[i].who);
    return RC_OK;
}
