#include "daemon/authority_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
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
 *
 * That it begins is in the audit log before the first octet is copied, and what became of it
 * behind that. Until it is whole its folder has a name that no answer tells; what is found
 * under such a name later goes, and the log says so.
 */
enum { HOLD_MS = 60000, NAME_BYTES = 80 };
#define UNFINISHED "unfinished-"

struct daemon_authority_backup {
    struct daemon_authority_request *request;
    struct loop_watch done;
    pthread_t thread;
    char folder[NAME_BYTES + 1]; /* UNFINISHED, then the name */
    int dir, event;
    bool runs; /* the thread */

    /* The thread's until it has written to event. */
    struct store *store;
    struct store_copy copy;
    enum rc rc;
    char reason[STORE_REASON_MAX];
};

static enum rc check(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    return audit_log_size(request->authority->setup.audit.log, txn,
                          &request->authority->records);
}

/* "registry-20261127T124501Z-r1042-n377": when, the registry's revision, the log's records (it
 * has these or more). */
static enum rc make_name(const struct daemon_authority *authority,
                         struct daemon_authority_backup *backup)
{
    AUTO_BUF(text, sizeof backup->folder);
    const char *made = NULL;
    struct civil day;

    TRY(clock_to_civil(backup->request->now_ms / 1000, &day));
    buf_addf(&text, UNFINISHED "registry-%04d%02d%02dT%02d%02d%02dZ-r%llu-n%llu", day.year,
             day.month, day.day, day.hour, day.minute, day.second,
             (unsigned long long)store_revision(authority->setup.store),
             (unsigned long long)authority->records);
    TRY(buf_text(&text, &made));
    memcpy(backup->folder, made, text.len + 1);
    return RC_OK;
}

static const char *name_of(const char *folder)
{
    return folder + sizeof UNFINISHED - 1;
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

/* What stays shows in the folder. */
static void remove_copy(int backups, const char *name)
{
    int dir = openat(backups, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = dir < 0 ? NULL : fdopendir(dir);

    if (list == NULL) {
        own_close(&dir);
        return;
    }
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0)
            (void)unlinkat(dir, one->d_name, 0);
    closedir(list);
    (void)unlinkat(backups, name, AT_REMOVEDIR);
}

static void forget(struct daemon_authority *authority)
{
    struct daemon_authority_backup *backup = authority->backup;

    loop_remove(&backup->done);
    own_close(&backup->dir);
    own_close(&backup->event);
    free(backup);
    authority->backup = NULL;
}

/* false: no place in the queue, and done() is not called. */
static bool is_queued(struct daemon_authority_request *request,
                      enum rc (*change)(struct store_txn *txn, struct store_job *job),
                      void (*done)(struct store_job *job, enum rc rc))
{
    request->job.change = change;
    request->job.done = done;
    return !request->authority->ending &&
           store_queue_add(request->authority->queue, &request->job) == RC_OK;
}

static void turn_away(struct daemon_authority_request *request)
{
    daemon_authority_turn_away(request, fault(RC_BUSY, "too many changes wait"));
}

/* ---- Left from a former life, or at the end of this one ---- */

struct unfinished {
    struct daemon_authority *authority;
    const char *name;
};

static enum rc tell_unfinished(struct store_txn *txn, void *with)
{
    const struct unfinished *unfinished = with;
    const struct daemon_authority_audit *audit = &unfinished->authority->setup.audit;
    const struct daemon_authority_event event = {
        .action = "backup",
        .as = AUDIT_SYSTEM_BACKUP,
        .target = unfinished->name,
        .device = "",
        .rc = RC_CLOSED,
        .reason = "not finished: what there was of it is removed",
        .now_ms = clock_wall_ms(unfinished->authority->setup.clock),
    };

    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

/* That there is no room for the record keeps no copy: that it began is in the log. */
static void remove_unfinished(struct daemon_authority *authority, const char *folder)
{
    struct unfinished unfinished = { authority, name_of(folder) };

    remove_copy(authority->setup.backups, folder);
    enum rc rc = store_write(authority->setup.store, tell_unfinished, &unfinished);
    if (rc != RC_OK && authority->setup.log != NULL)
        log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_BACKUP, rc);
}

void daemon_authority_backup_start(struct daemon_authority *authority)
{
    const struct bytes prefix = BYTES(UNFINISHED);
    int again = authority->setup.backups < 0
                    ? -1
                    : openat(authority->setup.backups, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = again < 0 ? NULL : fdopendir(again);

    if (list == NULL) {
        own_close(&again);
        return;
    }
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        if (bytes_start_with(bytes_of_text(one->d_name), prefix))
            remove_unfinished(authority, one->d_name);
    closedir(list);
}

/* ---- Copied ---- */

static enum rc tell_made(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    return daemon_authority_record(txn, request, RC_OK, request->said);
}

/* A copy that nothing in the log says is whole is none. */
static void is_told(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        remove_copy(request->authority->setup.backups, request->target);
        daemon_authority_refuse(request, rc);
        return;
    }
    request->answer.text = bytes_of_text(request->target);
    daemon_authority_answer(request);
}

static enum rc finish(struct daemon_authority *authority,
                      struct daemon_authority_backup *backup)
{
    int backups = authority->setup.backups;
    AUTO_BUF(said, sizeof backup->request->said);
    const char *text = NULL;

    if (backup->rc != RC_OK)
        return fault(backup->rc, "%s", backup->reason);
    TRY(add_key(authority, backup->dir));
    buf_addf(&said, "made: %llu bytes", (unsigned long long)backup->copy.bytes);
    TRY(buf_text(&said, &text));
    memcpy(backup->request->said, text, said.len + 1);
    if (renameat(backups, backup->folder, backups, name_of(backup->folder)) != 0)
        return fault_errno("rename %s", backup->folder);
    return file_sync_dir(backups);
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
    enum rc rc = finish(authority, backup);
    if (rc != RC_OK)
        remove_copy(authority->setup.backups, backup->folder);
    else if (authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_BACKUP,
                  LOG_TEXT_FIELD("name", request->target),
                  LOG_NUMBER_FIELD("bytes", (int64_t)backup->copy.bytes));
    forget(authority);
    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
    } else if (!is_queued(request, tell_made, is_told)) {
        remove_copy(authority->setup.backups, request->target);
        turn_away(request);
    }
    return RC_OK;
}

/* ---- Begin ---- */

static enum rc start(struct daemon_authority *authority, struct daemon_authority_backup *backup)
{
    struct loop *loop = authority->setup.loop;

    TRY(file_make_dir(authority->setup.backups, backup->folder, 0700, &backup->dir));
    backup->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (backup->event < 0)
        return fault_errno("eventfd");
    backup->done.ready = is_copied;
    TRY(loop_add(loop, &backup->done, backup->event, LOOP_READ));
    errno = pthread_create(&backup->thread, NULL, copy_store, backup);
    if (errno != 0)
        return fault_errno("start a thread");
    backup->runs = true;
    return RC_OK;
}

static enum rc tell_begins(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    return daemon_authority_record(txn, request, RC_OK, "begins");
}

static void is_begun(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority *authority = request->authority;
    const int64_t held_until_ms = authority->held_until_ms;

    /* Held from before the copy until after the journal's. */
    authority->held_until_ms = INT64_MAX;
    if (rc == RC_OK)
        rc = start(authority, authority->backup);
    if (rc == RC_OK)
        return;
    authority->held_until_ms = held_until_ms;
    if (authority->backup->dir >= 0)
        remove_copy(authority->setup.backups, authority->backup->folder);
    forget(authority);
    daemon_authority_refuse(request, rc);
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
    enum rc rc = make_name(authority, authority->backup);
    if (rc != RC_OK) {
        forget(authority);
        return rc;
    }
    const char *name = name_of(authority->backup->folder);
    memcpy(request->target, name, strlen(name) + 1);
    return RC_OK;
}

void daemon_authority_backup(struct daemon_authority_request *request)
{
    enum rc rc = begin(request);

    if (rc != RC_OK) {
        daemon_authority_fail(request, rc);
    } else if (!is_queued(request, tell_begins, is_begun)) {
        forget(request->authority);
        turn_away(request);
    }
}

void daemon_authority_backup_stop(struct daemon_authority *authority)
{
    struct daemon_authority_backup *backup = authority->backup;

    if (backup == NULL || !backup->runs)
        return; /* one whose beginning is not in the log yet ends with the queue */
    pthread_join(backup->thread, NULL);
    remove_unfinished(authority, backup->folder);
    daemon_authority_turn_away(backup->request, fault(RC_CLOSED, "the authority ends"));
    forget(authority);
}
