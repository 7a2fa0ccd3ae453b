#include "daemon/authority_state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/authority_audit.h"
#include "daemon/events.h"
#include "store/backup.h"

/*
 * A copy of the registry, made by a thread of its own while the loop goes on, in a folder of
 * its own below authority.backups. Whoever asked copies the signer's journal next; for that
 * while no checkpoint is signed, so that none in the journal's copy covers more than the
 * registry's copy has (docs/backup.md).
 */
enum { HOLD_MS = 60000, NAME_BYTES = 80 };

struct daemon_authority_backup {
    struct daemon_authority_request *request;
    struct loop_watch done;
    pthread_t thread;
    char name[NAME_BYTES + 1];
    int dir, event;

    /* The thread's until it has written to event. */
    struct store *store;
    struct store_copy copy;
    enum rc rc;
    char reason[STORE_REASON_MAX];
};

static enum rc check(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    enum rc rc = daemon_authority_check_actor(txn, request, registry_right_of(request->ask));

    request->failed = rc;
    TRY(rc);
    return audit_log_size(request->authority->setup.audit.log, txn,
                          &request->authority->records);
}

/* "registry-20261127T124501Z-r1042-n377": when, the registry's revision, the log's records (it
 * has these or more). */
static enum rc make_name(const struct daemon_authority *authority, int64_t now_ms,
                         char name[NAME_BYTES + 1])
{
    AUTO_BUF(text, NAME_BYTES + 1);
    const char *made = NULL;
    struct civil day;

    TRY(clock_to_civil(now_ms / 1000, &day));
    buf_addf(&text, "registry-%04d%02d%02dT%02d%02d%02dZ-r%llu-n%llu", day.year, day.month,
             day.day, day.hour, day.minute, day.second,
             (unsigned long long)store_revision(authority->setup.store),
             (unsigned long long)authority->records);
    TRY(buf_text(&text, &made));
    memcpy(name, made, text.len + 1);
    return RC_OK;
}

static void *copy_store(void *with)
{
    struct daemon_authority_backup *backup = with;

    backup->rc = store_backup_copy(backup->store, backup->dir, &backup->copy);
    struct bytes reason = bytes_of_text(backup->rc == RC_OK ? "" : fault_text());
    size_t len = reason.len < sizeof backup->reason ? reason.len : sizeof backup->reason - 1;
    memcpy(backup->reason, reason.at, len);
    /* An eventfd takes 8 octets or fails for want of room, which one write cannot cause. */
    (void)!write(backup->event, &(const uint64_t){ 1 }, sizeof(uint64_t));
    return NULL;
}

/* Without it a copy's audit log could not be read. */
static enum rc add_key(const struct daemon_authority *authority, int dir)
{
    const struct secret *key = authority->setup.audit.key;

    return key == NULL ? RC_OK
                       : file_create(dir, DAEMON_AUTHORITY_KEY, secret_bytes(key), 0600);
}

static void remove_files(struct daemon_authority_backup *backup)
{
    (void)unlinkat(backup->dir, "data.mdb", 0); /* what stays shows in the folder */
    (void)unlinkat(backup->dir, STORE_BACKUP_MANIFEST, 0);
    backup->rc = RC_IO;
}

static void forget(struct daemon_authority *authority)
{
    struct daemon_authority_backup *backup = authority->backup;

    loop_remove(&backup->done);
    own_close(&backup->dir);
    own_close(&backup->event);
    if (backup->rc != RC_OK)
        unlinkat(authority->setup.backups, backup->name, AT_REMOVEDIR);
    free(backup);
    authority->backup = NULL;
}

/* ---- Copied, then recorded ---- */

static enum rc record(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    return daemon_authority_record(txn, request, RC_OK, "");
}

static void is_recorded(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    request->answer.text = buf_bytes(&request->text);
    daemon_authority_answer(request);
}

static enum rc is_copied(struct loop_watch *watch, unsigned ready)
{
    struct daemon_authority_backup *backup =
        (void *)((char *)watch - offsetof(struct daemon_authority_backup, done));
    struct daemon_authority_request *request = backup->request;
    struct daemon_authority *authority = request->authority;

    (void)ready;
    pthread_join(backup->thread, NULL);
    authority->held_until_ms = loop_now_ms(authority->setup.loop) + HOLD_MS;
    enum rc rc = backup->rc == RC_OK ? add_key(authority, backup->dir)
                                     : fault(backup->rc, "%s", backup->reason);
    if (backup->rc == RC_OK && rc != RC_OK)
        remove_files(backup);
    buf_reset(&request->text);
    buf_add(&request->text, bytes_of_text(backup->name));
    if (rc == RC_OK && authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_BACKUP,
                  LOG_TEXT_FIELD("name", backup->name),
                  LOG_NUMBER_FIELD("bytes", (int64_t)backup->copy.bytes));
    forget(authority);
    if (rc != RC_OK)
        daemon_authority_refuse(request, rc);
    else
        daemon_authority_queue(request, record, is_recorded);
    return RC_OK;
}

/* ---- Begin ---- */

static enum rc start(struct daemon_authority *authority, struct daemon_authority_backup *backup)
{
    struct loop *loop = authority->setup.loop;

    TRY(make_name(authority, backup->request->now_ms, backup->name));
    TRY(file_make_dir(authority->setup.backups, backup->name, 0700, &backup->dir));
    backup->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (backup->event < 0)
        return fault_errno("eventfd");
    backup->done.ready = is_copied;
    TRY(loop_add(loop, &backup->done, backup->event, LOOP_READ));
    errno = pthread_create(&backup->thread, NULL, copy_store, backup);
    if (errno != 0)
        return fault_errno("start a thread");
    return RC_OK;
}

static enum rc begin(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;

    TRY(store_read(authority->setup.store, check, request));
    if (authority->setup.backups < 0)
        return fault(RC_NOT_FOUND, "authority.backups names no folder");
    if (authority->backup != NULL)
        return fault(RC_BUSY, "a backup is being made");
    authority->backup = calloc(1, sizeof *authority->backup);
    if (authority->backup == NULL)
        return fault(RC_NOMEM, "a backup");
    *authority->backup = (struct daemon_authority_backup){ .request = request,
                                                           .dir = -1,
                                                           .event = -1,
                                                           .store = authority->setup.store,
                                                           .rc = RC_CLOSED };
    /* Held from before the copy until after the journal's. */
    authority->held_until_ms = INT64_MAX;
    enum rc rc = start(authority, authority->backup);
    if (rc != RC_OK) {
        authority->held_until_ms = 0;
        forget(authority);
    }
    return rc;
}

void daemon_authority_backup(struct daemon_authority_request *request)
{
    enum rc rc = begin(request);

    if (rc != RC_OK && request->failed == RC_DENIED)
        daemon_authority_refuse(request, rc);
    else if (rc != RC_OK)
        daemon_authority_turn_away(request, rc);
}

void daemon_authority_backup_stop(struct daemon_authority *authority)
{
    struct daemon_authority_backup *backup = authority->backup;

    if (backup == NULL)
        return;
    pthread_join(backup->thread, NULL);
    daemon_authority_turn_away(backup->request, fault(RC_CLOSED, "the authority ends"));
    forget(authority);
}
