#include "journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/file.h"
#include "journal/state.h"
#include "journal/verify.h"

static struct segment_place *last_place(const struct journal *journal)
{
    return &journal->segments.at[journal->segments.count - 1];
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    journal_group_clear(&journal->group);
    journal_segment_close(&journal->last);
    journal_folder_clear(&journal->segments);
    journal_digest_free(journal->digest);
    own_close(&journal->lock);
    free(journal);
}

/* flock: the lock goes with the descriptor, so a second opener in this process is refused, too.
 */
static enum rc lock_folder(int dir, int *lock)
{
    AUTO_FD fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return fault_errno("open the journal's lock");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? fault(RC_BUSY, "journal is open elsewhere")
                                    : fault_errno("lock the journal");
    *lock = TAKE_FD(fd);
    return RC_OK;
}

/* Begin the segment that continues the head, and make it the last. */
static enum rc begin_segment(struct journal *journal)
{
    AUTO_SEGMENT next = SEGMENT_NONE;

    TRY(journal_segment_create(journal->dir, journal->digest, &journal->head, &next));
    TRY(journal_folder_add(
        &journal->segments,
        (struct segment_place){ journal->head.sequence + 1, SEGMENT_HEADER }));
    journal->bytes += SEGMENT_HEADER;
    journal_segment_close(&journal->last);
    journal->last = next;
    next.source.fd = -1;
    return RC_OK;
}

/*
 * Cut the last segment to what is committed, synced before anything is written there again: if
 * a crash undid the cut, a new group would be followed by the old one's remains, which reads as
 * damage. Keeps the latest reason.
 */
static bool cut_back(const struct journal *journal)
{
    int fd = journal->last.source.fd;

    return ftruncate(fd, (off_t)last_place(journal)->bytes) == 0 && fdatasync(fd) == 0;
}

/*
 * Entries may sit in the page cache only, left by a process that died before its fdatasync, or
 * whose fdatasync failed, after which the kernel calls the pages clean although the disk has
 * something else. So write out first, then forget the cache, and judge what the disk says.
 */
static enum rc settle_last(int dir, struct journal_digest *digest)
{
    [[gnu::cleanup(journal_folder_clear)]] struct segment_list segments = { 0 };
    AUTO_SEGMENT last = SEGMENT_NONE;

    TRY(journal_folder_list(dir, &segments));
    if (segments.count == 0)
        return RC_OK;
    uint64_t first = segments.at[segments.count - 1].first;
    TRY(journal_segment_open(dir, first, O_RDWR, digest, &last));
    if (fdatasync(last.source.fd) != 0)
        return fault_errno("sync segment %" PRIu64, first);
    /* Advice only: file systems without a cache refuse it. */
    (void)posix_fadvise(last.source.fd, 0, 0, POSIX_FADV_DONTNEED);
    return RC_OK;
}

static enum rc continue_last(struct journal *journal, uint64_t torn_bytes)
{
    TRY(journal_segment_open(journal->dir, last_place(journal)->first, O_RDWR, journal->digest,
                             &journal->last));
    if (torn_bytes > 0 && !cut_back(journal))
        return fault_errno("cut %" PRIu64 " torn bytes off segment %" PRIu64, torn_bytes,
                           last_place(journal)->first);
    return file_sync_dir(journal->dir);
}

static enum rc recover(struct journal *journal, struct journal_recovery *recovery)
{
    AUTO_SURVEY(survey);
    const struct visitor nobody = { 0 };

    TRY(settle_last(journal->dir, journal->digest));
    TRY(journal_verify_folder(journal->dir, journal->digest, &nobody, &survey));
    *recovery = journal_verify_recovery(&survey);
    journal->head = survey.head;
    journal->segments = survey.segments;
    survey.segments = (struct segment_list){ 0 };
    TRY(journal->segments.count > 0 ? continue_last(journal, recovery->torn_bytes)
                                    : begin_segment(journal));
    journal->bytes = 0;
    for (size_t i = 0; i < journal->segments.count; i++)
        journal->bytes += journal->segments.at[i].bytes;
    journal_group_restart(&journal->group, &journal->head);
    return RC_OK;
}

enum rc journal_open(int dir, const struct journal_limits *limits, const struct clock *clock,
                     struct journal_recovery *recovery, struct journal **journal)
{
    AUTO_OF(journal) *made = calloc(1, sizeof *made);
    struct journal_recovery found;

    if (made == NULL)
        return fault(RC_NOMEM, "journal");
    *made = (struct journal){
        .dir = dir,
        .lock = -1,
        .limits = *limits,
        .clock = *clock,
        .last = SEGMENT_NONE,
        .group = GROUP_EMPTY,
    };
    TRY(lock_folder(dir, &made->lock));
    TRY(journal_digest_new(&made->digest));
    TRY(recover(made, &found));
    if (recovery != NULL)
        *recovery = found;
    *journal = TAKE(made);
    return RC_OK;
}

static enum rc fault_stopped(void)
{
    return fault(RC_IO, "journal is stopped since a failed commit: open it again");
}

/* A segment of no entries is never followed by another: both would have the same name. */
static bool needs_segment(const struct journal *journal)
{
    const struct segment_place *last = last_place(journal);

    return last->bytes >= journal->limits.segment_bytes &&
           journal->head.sequence >= last->first;
}

static enum rc check_room(const struct journal *journal, size_t body)
{
    uint64_t after = journal->bytes + journal_group_bytes_with(&journal->group, body);

    if (body > JOURNAL_BODY_MAX)
        return fault(RC_LIMIT, "journal entry of %zu bytes, at most %d", body,
                     JOURNAL_BODY_MAX);
    if (needs_segment(journal))
        after += SEGMENT_HEADER;
    if (after > journal->limits.bytes_max)
        return fault(RC_LIMIT, "journal would have %" PRIu64 " bytes, at most %" PRIu64, after,
                     journal->limits.bytes_max);
    return RC_OK;
}

enum rc journal_append(struct journal *journal, uint16_t kind, struct bytes body,
                       uint64_t *sequence)
{
    if (journal->stopped)
        return fault_stopped();
    TRY(check_room(journal, body.len));
    TRY(journal_group_add(&journal->group, journal->digest, clock_wall_ms(&journal->clock),
                          kind, body));
    if (sequence != NULL)
        *sequence = journal->group.head.sequence;
    return RC_OK;
}

static enum rc write_at(int fd, struct bytes bytes, uint64_t offset)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.at, bytes.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno("write a journal group");
        bytes.at += n;
        bytes.len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return RC_OK;
}

static enum rc write_group(struct journal *journal)
{
    struct bytes bytes;

    if (needs_segment(journal))
        TRY(begin_segment(journal));
    struct segment_place *place = last_place(journal);
    const struct group_source *source = &journal->last.source;
    TRY(journal_group_seal(&journal->group, journal->digest, source->salt, &bytes));

    enum rc rc = write_at(source->fd, bytes, place->bytes);
    if (rc == RC_OK && fdatasync(source->fd) != 0) {
        /* Never tried again: the kernel may have dropped the pages and would then report
         * success for nothing. Opening reads back what is there. */
        rc = fault_errno("sync a journal group");
        journal->stopped = true;
    }
    if (rc != RC_OK) {
        if (!cut_back(journal))
            journal->stopped = true;
        return rc;
    }
    place->bytes += bytes.len;
    journal->bytes += bytes.len;
    return RC_OK;
}

enum rc journal_commit(struct journal *journal)
{
    if (journal->stopped)
        return fault_stopped();
    if (journal->group.head.sequence == journal->head.sequence)
        return RC_OK;
    enum rc rc = write_group(journal);
    if (rc == RC_IO && !journal->stopped)
        rc = RC_LIMIT; /* most often a full disk; nothing of it is left */
    if (rc == RC_OK)
        journal->head = journal->group.head;
    journal_group_restart(&journal->group, &journal->head);
    return rc;
}

struct journal_head journal_head(const struct journal *journal)
{
    return journal->head;
}

struct journal_head journal_pending_head(const struct journal *journal)
{
    return journal->group.head;
}

uint64_t journal_first_sequence(const struct journal *journal)
{
    return journal->segments.at[0].first;
}

enum rc journal_trim(struct journal *journal, uint64_t before)
{
    struct segment_list *segments = &journal->segments;

    /* One at a time, oldest first, each synced: a power cut must not leave a hole. */
    while (segments->count > 1 && segments->at[1].first <= before) {
        TRY(journal_segment_remove(journal->dir, segments->at[0].first));
        journal->bytes -= segments->at[0].bytes;
        journal_folder_drop_first(segments);
    }
    return RC_OK;
}

enum rc journal_rotate(struct journal *journal)
{
    if (journal->stopped)
        return fault_stopped();
    if (journal->head.sequence < last_place(journal)->first)
        return RC_OK;
    enum rc rc = begin_segment(journal);
    return rc == RC_IO ? RC_LIMIT : rc;
}
