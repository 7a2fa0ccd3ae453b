/* A registry that was put back, and an authority that is killed before each system call that
 * touches the disk as it begins: wherever it died, the next life ends in the same whole state.
 */
#include "tests/unit/store/scratch.h"

#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/file.h"
#include "daemon/authority_audit.h"
#include "store/backup.h"

enum { DATA_MAX = 4 * 1024 * 1024, MAP = 64 * 1024 * 1024, CALLS_MAX = 1000 };
static const char NOTE[] = "held against a kept checkpoint of 3 records";
static const uint8_t SECRET_HASH[32] = { 7 };

struct world {
    struct scratch live, copy, place, apart;
    struct store_table tables[DAEMON_AUTHORITY_TABLES];
    struct store_schema schema;
    int64_t now;
    struct clock clock;
    struct buf data, manifest; /* of the copy, as a restore leaves it */
};

static enum rc open_in(struct world *w, const struct scratch *folder, struct store **store)
{
    const struct store_settings settings = { .map_bytes = MAP,
                                             .clock = &w->clock,
                                             .rehearse = true };

    return store_open(folder->dir, &w->schema, &settings, store);
}

static enum rc unlock(struct audit_log *log)
{
    AUTO_SECRET(key);

    TRY(secret_set(&key, BYTES("a sealing key of thirty-two byte")));
    return audit_log_unlock(log, &key);
}

/* As touchmark-authority begins. */
static enum rc begin_life(struct world *w, const struct scratch *folder)
{
    AUTO_OF(store) *store = NULL;
    struct daemon_authority_book book;

    TRY(open_in(w, folder, &store));
    TRY(daemon_authority_book_open(&book, &w->clock));
    enum rc rc = unlock(book.log);
    if (rc == RC_OK)
        rc = daemon_authority_book_begin(&book, store);
    daemon_authority_book_close(&book);
    return rc;
}

static enum rc add_token(struct store_txn *txn, void *with)
{
    struct registry_subject device = { .kind = REGISTRY_DEVICE, .id = "dev-1" };
    struct registry_token token = { .id = "token-1", .device = "dev-1", .expires_ms = 1000000 };
    struct registry_proposal proposal = { .act = REGISTRY_ACT_POLICY,
                                          .author = "ada",
                                          .expires_ms = INT64_MAX };

    (void)with;
    memcpy(token.secret_hash, SECRET_HASH, sizeof token.secret_hash);
    TRY(registry_subject_add(txn, &device, 0));
    TRY(registry_proposal_add(txn, &proposal, BYTES("what it does"), 0));
    return registry_token_add(txn, &token);
}

static void read_copy(struct world *w)
{
    w->data = BUF_MAX(DATA_MAX);
    w->manifest = BUF_MAX(1024);
    assert_int_equal(file_read(w->copy.dir, "data.mdb", &w->data), RC_OK);
    assert_int_equal(file_read(w->copy.dir, STORE_BACKUP_MANIFEST, &w->manifest), RC_OK);
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct store *store = NULL;
    struct store_copy made;

    assert_non_null(w);
    scratch_make(&w->live);
    scratch_make(&w->copy);
    scratch_make(&w->place);
    scratch_make(&w->apart);
    w->clock = scratch_clock(&w->now);
    daemon_authority_tables(w->tables);
    w->schema = (struct store_schema){ "registry", 1, w->tables, DAEMON_AUTHORITY_TABLES };
    assert_int_equal(begin_life(w, &w->live), RC_OK);
    assert_int_equal(open_in(w, &w->live, &store), RC_OK);
    assert_int_equal(store_write(store, add_token, NULL), RC_OK);
    assert_int_equal(store_backup_copy(store, w->copy.dir, &made), RC_OK);
    store_close(store);
    assert_int_equal(store_backup_note(w->copy.dir, bytes_of_text(NOTE)), RC_OK);
    read_copy(w);
    *state = w;
    return 0;
}

static int clean(void **state)
{
    struct world *w = *state;

    scratch_remove(&w->live);
    scratch_remove(&w->copy);
    scratch_remove(&w->place);
    scratch_remove(&w->apart);
    buf_clear(&w->data);
    buf_clear(&w->manifest);
    free(w);
    return 0;
}

/* ---- What is there ---- */

struct found {
    struct audit_log *log;
    uint64_t records, restores, expired, revision;
    uint8_t lineage[STORE_LINEAGE];
};

static enum rc count_restore(void *with, const struct audit_hit *hit)
{
    struct found *found = with;

    assert_non_null(
        memmem(hit->record->reason.at, hit->record->reason.len, NOTE, sizeof NOTE - 1));
    assert_non_null(memmem(hit->record->reason.at, hit->record->reason.len, "1 unused", 8));
    found->restores++;
    return RC_OK;
}

static enum rc count_expired(void *with, const struct audit_hit *hit)
{
    struct found *found = with;

    assert_true(bytes_equal_text(hit->record->target, "proposal 1"));
    assert_true(bytes_equal_text(hit->record->reason, "policy; of ada; open in a copy"));
    found->expired++;
    return RC_OK;
}

static enum rc look_inside(struct store_txn *txn, void *with)
{
    const struct audit_query ended = { .actions = audit_action_set_of(AUDIT_PROPOSAL_EXPIRE),
                                       .most = 10 };
    const struct audit_query query = { .actions = audit_action_set_of(AUDIT_SYSTEM_RESTORE),
                                       .most = 10 };
    struct found *found = with;
    struct store_position position = store_feed_position(txn);
    uint64_t next = 0;
    bool more = false;

    memcpy(found->lineage, position.lineage, sizeof found->lineage);
    TRY(audit_log_size(found->log, txn, &found->records));
    TRY(audit_log_list(found->log, txn, &ended, count_expired, found, &next, &more));
    next = 0;
    return audit_log_list(found->log, txn, &query, count_restore, found, &next, &more);
}

static enum rc use_token(struct store_txn *txn, void *with)
{
    static const uint8_t ATTEMPT[REGISTRY_ATTEMPT] = { 1 };
    struct registry_token token;

    (void)with;
    return registry_token_reserve(txn, BYTES("token-1"), SECRET_HASH, ATTEMPT, 1, &token);
}

/* What waited when the copy was made may have been rejected since. */
static enum rc find_proposal(struct store_txn *txn, void *with)
{
    enum registry_proposal_state *state = with;
    struct registry_proposal proposal;
    struct bytes content;

    TRY(registry_proposal_get(txn, 1, &proposal, &content));
    *state = proposal.state;
    return RC_OK;
}

static struct found look(struct world *w, const struct scratch *folder, enum rc token)
{
    struct found found = { 0 };
    struct store *store = NULL;

    assert_int_equal(open_in(w, folder, &store), RC_OK);
    assert_int_equal(audit_log_new(REGISTRY_TABLES, &found.log), RC_OK);
    assert_int_equal(unlock(found.log), RC_OK);
    assert_int_equal(store_read(store, look_inside, &found), RC_OK);
    found.revision = store_revision(store);
    assert_int_equal(store_write(store, use_token, NULL), token);
    enum registry_proposal_state state = REGISTRY_PROPOSAL_REJECTED;
    assert_int_equal(store_read(store, find_proposal, &state), RC_OK);
    assert_int_equal(state,
                     token == RC_OK ? REGISTRY_PROPOSAL_OPEN : REGISTRY_PROPOSAL_EXPIRED);
    assert_int_equal(found.expired, found.restores);
    audit_log_free(found.log);
    store_close(store);
    return found;
}

static void put(const struct scratch *folder, const struct buf *data)
{
    scratch_empty(folder);
    assert_int_equal(file_write(folder->dir, "data.mdb", buf_bytes(data), 0600), RC_OK);
}

/* The state that the dead left, looked at in another folder, so that nothing is mended. */
static uint64_t count_left(struct world *w)
{
    AUTO_BUF(data, DATA_MAX);
    struct found found = { 0 };
    struct store *store = NULL;

    assert_int_equal(file_read(w->place.dir, "data.mdb", &data), RC_OK);
    put(&w->apart, &data);
    assert_int_equal(open_in(w, &w->apart, &store), RC_OK);
    assert_int_equal(audit_log_new(REGISTRY_TABLES, &found.log), RC_OK);
    assert_int_equal(unlock(found.log), RC_OK);
    assert_int_equal(store_read(store, look_inside, &found), RC_OK);
    audit_log_free(found.log);
    store_close(store);
    return found.restores;
}

static bool is_copy(const struct world *w)
{
    return faccessat(w->place.dir, STORE_BACKUP_MANIFEST, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- Killed ---- */

/* What is on the disk changes by these alone. */
static bool touches_disk(uint64_t call)
{
    static const uint64_t CALLS[] = { SYS_openat,   SYS_write,     SYS_writev,
                                      SYS_pwrite64, SYS_pwritev,   SYS_ftruncate,
                                      SYS_fsync,    SYS_fdatasync, SYS_sync_file_range,
                                      SYS_msync,    SYS_unlinkat,  SYS_renameat2 };

    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (call == CALLS[i])
            return true;
    return false;
}

/* To the stop before its next such call; false: it ended by itself, well. */
static bool next_call(pid_t child)
{
    struct __ptrace_syscall_info info = { .op = PTRACE_SYSCALL_INFO_NONE };
    int status = 0;

    while (info.op != PTRACE_SYSCALL_INFO_ENTRY || !touches_disk(info.entry.nr)) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, child, 0, 0), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return false;
        }
        assert_true(WIFSTOPPED(status));
        assert_int_equal(WSTOPSIG(status), SIGTRAP | 0x80);
        assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) > 0);
    }
    return true;
}

/* A life that is killed before the call of this number; false: it did not make so many. */
static bool killed_before(struct world *w, unsigned call)
{
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(2);
        raise(SIGSTOP);
        _exit(begin_life(w, &w->place) == RC_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(
        ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD), 0);
    for (unsigned at = 0; at <= call; at++)
        if (!next_call(child))
            return false;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return true;
}

static void whoever_dies_where_a_restore_is_whole_and_written_down_once(void **state)
{
    struct world *w = *state;
    unsigned left[2][2] = { 0 }; /* restores recorded, is a copy */
    bool killed = true;

    assert_int_equal(look(w, &w->live, RC_OK).restores, 0);
    put(&w->place, &w->data);
    assert_int_equal(
        file_write(w->place.dir, STORE_BACKUP_MANIFEST, buf_bytes(&w->manifest), 0600), RC_OK);
    assert_int_equal(begin_life(w, &w->place), RC_OK);
    const struct found whole = look(w, &w->place, RC_DENIED);
    assert_int_equal(whole.restores, 1);

    for (unsigned call = 0; killed; call++) {
        assert_true(call < CALLS_MAX);
        put(&w->place, &w->data);
        assert_int_equal(
            file_write(w->place.dir, STORE_BACKUP_MANIFEST, buf_bytes(&w->manifest), 0600),
            RC_OK);
        killed = killed_before(w, call);
        uint64_t restores = count_left(w);
        assert_true(restores <= 1);
        left[restores][is_copy(w)]++;

        assert_int_equal(begin_life(w, &w->place), RC_OK);
        assert_false(is_copy(w));
        struct found found = look(w, &w->place, RC_DENIED);
        assert_int_equal(found.restores, 1);
        assert_int_equal(found.records, whole.records);
        assert_int_equal(found.revision, whole.revision);
        struct found again = look(w, &w->place, RC_DENIED);
        assert_memory_equal(found.lineage, again.lineage, sizeof found.lineage);
    }
    print_message(
        "killed before the record %u times, between it and its adoption %u, after %u\n",
        left[0][1], left[1][1], left[1][0]);
    assert_int_equal(left[0][0], 0); /* adopted and not recorded */
    assert_true(left[0][1] > 0 && left[1][1] > 0 && left[1][0] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            whoever_dies_where_a_restore_is_whole_and_written_down_once, prepare, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
