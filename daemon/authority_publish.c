#include "daemon/authority_state.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "audit/tile_file.h"
#include "audit/tiles.h"
#include "daemon/authority_audit.h"

/*
 * A checkpoint that was kept is shown to anybody only when the tiles of its tree are on disk,
 * and as many witnesses as are demanded signed it. The loop reads tiles from the store, a few
 * at a time; a thread of its own, which knows only the folder, holds them against the files and
 * writes what differs, since a disk may take its time. All tiles are looked at once in a life.
 */
enum { TILES_AT_A_TIME = 16, BATCH_BYTES = TILES_AT_A_TIME * AUDIT_TILE_BYTES_MAX };

/* For the thread: tiles one behind the other, then a note that is published, if there is one.
 */
struct batch {
    struct audit_tile tiles[TILES_AT_A_TIME];
    size_t ends[TILES_AT_A_TIME]; /* in content */
    size_t count;
    struct buf content, note;
    uint64_t size; /* of the note's tree */
    /* Files that are something else stay so until the log has it. */
    bool mend;
    struct buf altered; /* the first one's name */
    size_t altered_count;
};

struct daemon_authority_publisher {
    struct daemon_authority *authority;
    struct loop_watch written;
    int event, dir;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;
    pthread_cond_t work;
    bool busy, stopping; /* under the lock; while busy, what follows is the thread's */
    struct batch batch;
    enum rc rc;
    char reason[STORE_REASON_MAX];

    /* The loop's. */
    bool under_way;                  /* a batch is out */
    struct audit_tile_walk full;     /* over full tiles: from what is on disk */
    struct buf shown;                /* the note that is published */
    int64_t quorum_missing_since_ms; /* the loop's clock; 0: it is not */
};

/* ---- The thread ---- */

static void note_altered(struct batch *batch, const struct audit_tile *tile)
{
    if (batch->altered_count++ > 0)
        return;
    if (tile != NULL)
        audit_tile_write_path(tile, &batch->altered);
    else
        buf_addf(&batch->altered, "checkpoint");
}

/* A checkpoint is not published beside tiles that are not its own. */
static enum rc write_note(int dir, struct batch *batch, struct bytes former)
{
    enum audit_tile_found found = AUDIT_TILE_ABSENT;

    if (batch->note.len == 0 || (batch->altered_count > 0 && !batch->mend))
        return RC_OK;
    TRY(audit_tile_file_publish(dir, buf_bytes(&batch->note), former, batch->mend, &found));
    if (found == AUDIT_TILE_ALTERED)
        note_altered(batch, NULL);
    return RC_OK;
}

static enum rc write_batch(int dir, struct batch *batch, struct bytes former)
{
    struct bytes content = buf_bytes(&batch->content);
    size_t begin = 0;

    batch->altered_count = 0;
    buf_reset(&batch->altered);
    for (size_t i = 0; i < batch->count; i++) {
        struct bytes tile = { content.at + begin, batch->ends[i] - begin };
        enum audit_tile_found found = AUDIT_TILE_ABSENT;
        TRY(audit_tile_file_put(dir, &batch->tiles[i], tile, batch->mend, &found));
        if (found == AUDIT_TILE_ALTERED)
            note_altered(batch, &batch->tiles[i]);
        begin = batch->ends[i];
    }
    return write_note(dir, batch, former);
}

static void do_batch(struct daemon_authority_publisher *publisher)
{
    /* What is shown is changed by the loop while no batch is out. */
    enum rc rc = write_batch(publisher->dir, &publisher->batch, buf_bytes(&publisher->shown));
    struct bytes reason = bytes_of_text(rc == RC_OK ? "" : fault_text());
    size_t len =
        reason.len < sizeof publisher->reason ? reason.len : sizeof publisher->reason - 1;

    memcpy(publisher->reason, reason.at, len);
    publisher->reason[len] = '\0';
    publisher->rc = rc;
}

static void *run(void *with)
{
    struct daemon_authority_publisher *publisher = with;

    pthread_mutex_lock(&publisher->lock);
    for (;;) {
        while (!publisher->busy && !publisher->stopping)
            pthread_cond_wait(&publisher->work, &publisher->lock);
        if (publisher->stopping)
            break;
        pthread_mutex_unlock(&publisher->lock);
        do_batch(publisher);
        pthread_mutex_lock(&publisher->lock);
        publisher->busy = false;
        /* An eventfd takes 8 octets or fails for want of room, which this cannot cause. */
        (void)!write(publisher->event, &(const uint64_t){ 1 }, sizeof(uint64_t));
    }
    pthread_mutex_unlock(&publisher->lock);
    return NULL;
}

/* ---- Handing over ---- */

/* The thread begins behind the jail, which binds those that are started in it. */
static enum rc hand_over(struct daemon_authority_publisher *publisher)
{
    if (!publisher->has_thread) {
        errno = pthread_create(&publisher->thread, NULL, run, publisher);
        if (errno != 0)
            return fault_errno("start a thread");
        publisher->has_thread = true;
    }
    publisher->under_way = true;
    pthread_mutex_lock(&publisher->lock);
    publisher->busy = true;
    pthread_cond_signal(&publisher->work);
    pthread_mutex_unlock(&publisher->lock);
    return RC_OK;
}

static void empty_batch(struct batch *batch)
{
    batch->count = 0;
    batch->mend = false;
    batch->altered_count = 0;
    buf_reset(&batch->altered);
    buf_reset(&batch->content);
    buf_reset(&batch->note);
}

struct gathering {
    struct daemon_authority_publisher *publisher;
    struct audit_tile_walk walk;
};

/* The full tile of its place is on disk: whoever wants the partial one takes that. */
static bool is_outgrown(const struct daemon_authority_publisher *publisher,
                        const struct audit_tile *tile)
{
    return tile->width < AUDIT_TILE_WIDTH && tile->level < AUDIT_TILE_LEVELS - 1 &&
           tile->index < publisher->full.from >> AUDIT_TILE_LOG * (tile->level + 1);
}

static enum rc gather(struct store_txn *txn, void *with)
{
    struct gathering *g = with;
    struct batch *batch = &g->publisher->batch;
    struct audit_log *log = g->publisher->authority->setup.audit.log;

    while (batch->count < TILES_AT_A_TIME &&
           audit_tile_next(&g->walk, &batch->tiles[batch->count])) {
        if (is_outgrown(g->publisher, &batch->tiles[batch->count]))
            continue;
        TRY(audit_tiles_read(log, txn, &batch->tiles[batch->count], &batch->content));
        batch->ends[batch->count++] = batch->content.len;
    }
    return RC_OK;
}

static enum rc fill_batch(struct daemon_authority_publisher *publisher,
                          struct audit_tile_walk *walk)
{
    struct gathering g = { publisher, *walk };

    empty_batch(&publisher->batch);
    TRY(store_read(publisher->authority->setup.store, gather, &g));
    *walk = g.walk;
    return RC_OK;
}

/* ---- What is to be shown ---- */

struct looking {
    struct daemon_authority_publisher *publisher;
    uint64_t size;
    struct buf *note;
};

static enum rc look(struct store_txn *txn, void *with)
{
    struct looking *looking = with;
    const struct daemon_authority_publisher *publisher = looking->publisher;
    uint64_t most = publisher->dir < 0 ? UINT64_MAX : publisher->full.from;
    struct bytes note;

    TRY(daemon_authority_newest(&publisher->authority->setup.audit, txn, most, &looking->size,
                                &note));
    buf_add(looking->note, note);
    return RC_OK;
}

static void show(struct daemon_authority_publisher *publisher, uint64_t size, struct bytes note)
{
    uint64_t *published = publisher->authority->setup.audit.published;

    buf_reset(&publisher->shown);
    buf_add(&publisher->shown, note);
    if (published != NULL)
        *published = size;
}

/* The partial tiles at its end, then the note. */
static enum rc publish_note(struct daemon_authority_publisher *publisher, uint64_t size,
                            struct bytes note)
{
    struct audit_tile_walk partial = { .from = size, .size = size, .partial = true };

    if (publisher->dir < 0) {
        show(publisher, size, note);
        return RC_OK;
    }
    TRY(fill_batch(publisher, &partial));
    buf_add(&publisher->batch.note, note);
    publisher->batch.size = size;
    return hand_over(publisher);
}

/* A cosigned checkpoint is behind the newest by as long as witnesses take. */
static void watch_quorum(struct daemon_authority_publisher *publisher, bool missing)
{
    struct daemon_authority *authority = publisher->authority;
    const struct audit_witnesses *witnesses = authority->setup.audit.witnesses;
    int64_t now_ms = loop_now_ms(authority->setup.loop);

    if (!missing || witnesses == NULL || witnesses->quorum == 0) {
        publisher->quorum_missing_since_ms = 0;
        daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_WITNESSES);
        return;
    }
    if (publisher->quorum_missing_since_ms == 0)
        publisher->quorum_missing_since_ms = now_ms;
    if (now_ms - publisher->quorum_missing_since_ms <
        authority->setup.settings.witness_within_ms)
        return;
    (void)fault(RC_DENIED,
                "no checkpoint is published: too few of the %zu witnesses sign, %zu are "
                "demanded",
                witnesses->count, witnesses->quorum);
    daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_WITNESSES);
}

static enum rc publish_newest(struct daemon_authority_publisher *publisher)
{
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct looking looking = { .publisher = publisher, .note = &note };
    enum rc rc = store_read(publisher->authority->setup.store, look, &looking);

    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    watch_quorum(publisher, looking.size < publisher->authority->checkpoint);
    if (rc == RC_NOT_FOUND || bytes_equal(buf_bytes(&note), buf_bytes(&publisher->shown)))
        return RC_OK;
    return publish_note(publisher, looking.size, buf_bytes(&note));
}

/* ---- What was altered ---- */

static enum rc append_altered(struct store_txn *txn, void *with)
{
    const struct daemon_authority_publisher *publisher = with;
    const struct daemon_authority *authority = publisher->authority;
    const struct batch *batch = &publisher->batch;
    AUTO_BUF(reason, AUDIT_REASON_MAX);

    if (batch->altered_count > 1)
        buf_addf(&reason, "%zu files, this and others: ", batch->altered_count);
    buf_addf(&reason, "it was not what this log has");
    const struct audit_record record = {
        .action = AUDIT_LOG_PUBLISH,
        .decision = AUDIT_FAILED,
        .wall_ms = clock_wall_ms(authority->setup.clock),
        .monotonic_ms = clock_monotonic_ms(authority->setup.clock),
        .actor_kind = AUDIT_PROCESS,
        .actor = BYTES("authority"),
        .target = buf_bytes(&batch->altered),
        .reason = buf_bytes(&reason),
    };
    return audit_log_append(authority->setup.audit.log, txn, &record, NULL);
}

/* Only then are they put right: what is not told is found once more. */
static enum rc tell_altered(struct daemon_authority_publisher *publisher)
{
    return store_write(publisher->authority->setup.store, append_altered, publisher);
}

/* ---- Step by step: full tiles up to the newest checkpoint, then it ---- */

static enum rc step(struct daemon_authority_publisher *publisher)
{
    struct audit_tile_walk *full = &publisher->full;

    if (publisher->dir < 0)
        return publish_newest(publisher);
    if (full->size == full->from)
        full->size = publisher->authority->checkpoint > full->from
                         ? publisher->authority->checkpoint
                         : full->from;
    if (full->size > full->from) {
        TRY(fill_batch(publisher, full));
        if (publisher->batch.count > 0)
            return hand_over(publisher);
        *full = (struct audit_tile_walk){ .from = full->size, .size = full->size };
    }
    return publish_newest(publisher);
}

static void end_step(struct daemon_authority_publisher *publisher, enum rc rc)
{
    if (rc == RC_OK)
        daemon_authority_trouble_end(publisher->authority, DAEMON_AUTHORITY_TILES);
    else
        daemon_authority_trouble_begin(publisher->authority, DAEMON_AUTHORITY_TILES);
}

static enum rc mend_altered(struct daemon_authority_publisher *publisher)
{
    enum rc rc = tell_altered(publisher);

    publisher->under_way = false;
    if (rc == RC_IO || rc == RC_CORRUPT)
        return rc;
    if (rc == RC_OK) {
        publisher->batch.mend = true;
        rc = hand_over(publisher);
    }
    if (rc != RC_OK)
        end_step(publisher, fault_while(rc, "published files were altered"));
    return RC_OK;
}

static enum rc is_written(struct loop_watch *watch, unsigned ready)
{
    struct daemon_authority_publisher *publisher =
        (void *)((char *)watch - offsetof(struct daemon_authority_publisher, written));
    struct batch *batch = &publisher->batch;
    uint64_t count = 0;

    (void)ready;
    (void)!read(publisher->event, &count, sizeof count);
    pthread_mutex_lock(&publisher->lock);
    enum rc rc = publisher->rc;
    pthread_mutex_unlock(&publisher->lock);
    if (rc != RC_OK) { /* the batch stays, and is tried again when the clock next comes by */
        end_step(publisher, fault(rc, "tiles of the audit log: %s", publisher->reason));
        publisher->under_way = false;
        return RC_OK;
    }
    if (batch->altered_count > 0 && !batch->mend)
        return mend_altered(publisher);
    if (batch->note.len > 0)
        show(publisher, batch->size, buf_bytes(&batch->note));
    empty_batch(batch);
    publisher->under_way = false;
    end_step(publisher, step(publisher));
    return RC_OK;
}

void daemon_authority_publish(struct daemon_authority *authority)
{
    struct daemon_authority_publisher *publisher = authority->publisher;

    if (publisher == NULL || publisher->under_way || authority->ending)
        return;
    bool again = publisher->batch.count > 0 || publisher->batch.note.len > 0;
    enum rc rc = again ? hand_over(publisher) : step(publisher);
    if (rc != RC_OK || !publisher->under_way)
        end_step(publisher, rc);
}

/* ---- Life ---- */

/* What an earlier life published is shown from the start, if it is a checkpoint of this store
 * and cosigned as it must be now. */
struct beginning {
    struct daemon_authority_publisher *publisher;
    struct bytes note;
    uint64_t size;
};

static enum rc is_ours(struct store_txn *txn, void *with)
{
    struct beginning *b = with;
    const struct daemon_authority_audit *audit = &b->publisher->authority->setup.audit;
    struct bytes text, lines, kept, kept_text;
    struct audit_checkpoint checkpoint;
    uint64_t size = 0;

    TRY(audit_note_split(b->note, &text, &lines));
    TRY(audit_checkpoint_read(text, &checkpoint));
    TRY(daemon_authority_newest(audit, txn, checkpoint.size, &size, &kept));
    TRY(audit_note_split(kept, &kept_text, &lines));
    b->size = size;
    return bytes_equal(text, kept_text) ? RC_OK : fault(RC_NOT_FOUND, "another checkpoint");
}

/* Nobody shall see it for longer, whether there is room to tell or not. */
static enum rc withdraw(struct daemon_authority_publisher *publisher)
{
    note_altered(&publisher->batch, NULL);
    enum rc rc = tell_altered(publisher);
    empty_batch(&publisher->batch);
    if (rc == RC_IO || rc == RC_CORRUPT)
        return rc;
    if (rc != RC_OK)
        end_step(publisher, fault_while(rc, "the published checkpoint was altered"));
    return audit_tile_file_withdraw(publisher->dir);
}

static enum rc begin(struct daemon_authority_publisher *publisher)
{
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct beginning beginning = { .publisher = publisher };

    enum rc rc = audit_tile_file_published(publisher->dir, &note);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    beginning.note = buf_bytes(&note);
    if (rc != RC_OK || note.broken ||
        store_read(publisher->authority->setup.store, is_ours, &beginning) != RC_OK)
        return withdraw(publisher);
    show(publisher, beginning.size, beginning.note);
    return RC_OK;
}

static enum rc newest_kept(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;
    struct bytes note;
    enum rc rc = audit_log_checkpoint(authority->setup.audit.log, txn, UINT64_MAX,
                                      &authority->checkpoint, &note);

    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc start(struct daemon_authority_publisher *publisher)
{
    struct loop *loop = publisher->authority->setup.loop;

    TRY(begin(publisher));
    publisher->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (publisher->event < 0)
        return fault_errno("eventfd");
    publisher->written.ready = is_written;
    TRY(loop_add(loop, &publisher->written, publisher->event, LOOP_READ));
    return RC_OK;
}

enum rc daemon_authority_publish_start(struct daemon_authority *authority)
{
    struct daemon_authority_publisher *made;

    if (authority->setup.audit.log == NULL || authority->setup.audit.published == NULL)
        return RC_OK;
    made = calloc(1, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "what publishes checkpoints");
    authority->publisher = made;
    made->authority = authority;
    made->dir = authority->setup.tiles;
    made->event = -1;
    made->batch.content = BUF_MAX(BATCH_BYTES);
    made->batch.note = BUF_MAX(AUDIT_NOTE_MAX);
    made->batch.altered = BUF_MAX(AUDIT_TILE_PATH_MAX);
    made->shown = BUF_MAX(AUDIT_NOTE_MAX);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->work, NULL);
    *authority->setup.audit.published = 0;
    TRY(store_read(authority->setup.store, newest_kept, authority));
    return made->dir < 0 ? RC_OK : start(made);
}

void daemon_authority_publish_stop(struct daemon_authority *authority)
{
    struct daemon_authority_publisher *publisher = authority->publisher;

    if (publisher == NULL)
        return;
    if (publisher->has_thread) {
        pthread_mutex_lock(&publisher->lock);
        publisher->stopping = true;
        pthread_cond_signal(&publisher->work);
        pthread_mutex_unlock(&publisher->lock);
        pthread_join(publisher->thread, NULL);
    }
    loop_remove(&publisher->written);
    own_close(&publisher->event);
    pthread_cond_destroy(&publisher->work);
    pthread_mutex_destroy(&publisher->lock);
    buf_clear(&publisher->batch.content);
    buf_clear(&publisher->batch.note);
    buf_clear(&publisher->batch.altered);
    buf_clear(&publisher->shown);
    free(publisher);
    authority->publisher = NULL;
}
