#include "audit/spool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/file.h"

static const char ID_FILE[] = "spool.id";
enum { FORGET_MS = 6 * 3600 * 1000 };
enum { RECORD_KIND = 1, BATCH_HEAD = AUDIT_SPOOL_ID + 8, SIZE_BYTES = 2 };

/* Where the latest batch ended. Finding a place in the journal is a walk over its segment, so
 * whoever goes on where he stopped, as readers do, must not pay for it again. */
struct reading {
    struct journal_cursor *cursor; /* NULL: nowhere */
    struct journal_entry entry;    /* taken from the cursor, did not fit; sequence 0: none */
    uint64_t next;                 /* the sequence number that comes next */
};

struct audit_spool {
    struct journal *journal;
    struct reading reading;
    struct buf room;
    uint8_t id[AUDIT_SPOOL_ID];
    struct clock clock;
    bool forgot; /* in this life, the last time at this moment (monotonic) */
    int64_t forgot_ms;
};

/* The journal's lock is held, so nobody else makes one. */
static enum rc open_id(int dir, uint8_t id[AUDIT_SPOOL_ID])
{
    AUTO_BUF(octets, AUDIT_SPOOL_ID);
    uint8_t made[AUDIT_SPOOL_ID];

    enum rc rc = file_read(dir, ID_FILE, &octets);
    if (rc == RC_NOT_FOUND) {
        if (getrandom(made, sizeof made, 0) != sizeof made)
            return fault_errno("audit spool: random octets for its id");
        TRY(file_create(dir, ID_FILE, BYTES_OF(made), 0600));
        memcpy(id, made, sizeof made);
        return RC_OK;
    }
    TRY(rc);
    if (octets.len != AUDIT_SPOOL_ID)
        return fault(RC_CORRUPT, "audit spool: %s has %zu octets, expected %d", ID_FILE,
                     octets.len, AUDIT_SPOOL_ID);
    memcpy(id, octets.at, AUDIT_SPOOL_ID);
    return RC_OK;
}

enum rc audit_spool_open(int dir, const struct journal_limits *limits,
                         const struct clock *clock, struct audit_spool **spool)
{
    AUTO_OF(audit_spool) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "audit spool");
    made->room = (struct buf)BUF_MAX(AUDIT_RECORD_MAX);
    made->clock = *clock;
    TRY(journal_open(dir, limits, clock, NULL, &made->journal));
    TRY(open_id(dir, made->id));
    *spool = TAKE(made);
    return RC_OK;
}

static void stop_reading(struct reading *reading)
{
    journal_cursor_close(reading->cursor);
    *reading = (struct reading){ 0 };
}

void audit_spool_close(struct audit_spool *spool)
{
    if (spool == NULL)
        return;
    stop_reading(&spool->reading);
    if (spool->journal != NULL)
        journal_close(spool->journal);
    buf_clear(&spool->room);
    free(spool);
}

enum rc audit_spool_add(struct audit_spool *spool, const struct audit_record *record)
{
    struct audit_record ours = *record;
    struct bytes bytes;

    ours.source = 0;
    ours.source_sequence = 0;
    buf_reset(&spool->room);
    TRY(audit_record_write(&ours, &spool->room));
    TRY(buf_done(&spool->room, &bytes));
    return journal_append(spool->journal, RECORD_KIND, bytes, NULL);
}

enum rc audit_spool_commit(struct audit_spool *spool)
{
    return journal_commit(spool->journal);
}

static enum rc read_from(struct audit_spool *spool, uint64_t sequence)
{
    struct reading *reading = &spool->reading;

    if (reading->cursor != NULL && reading->next == sequence)
        return RC_OK;
    stop_reading(reading);
    TRY(journal_cursor_open(spool->journal, sequence, &reading->cursor));
    reading->next = sequence;
    return RC_OK;
}

static enum rc fill(struct reading *reading, size_t most, struct buf *batch)
{
    size_t start = batch->len;
    enum rc rc = RC_OK;

    for (;;) {
        if (reading->entry.sequence == 0)
            rc = journal_cursor_next(reading->cursor, &reading->entry);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
        if (batch->len - start + SIZE_BYTES + reading->entry.body.len > most)
            return RC_OK;
        buf_add_sized16(batch, reading->entry.body);
        reading->next = reading->entry.sequence + 1;
        reading->entry = (struct journal_entry){ 0 };
    }
}

enum rc audit_spool_read(struct audit_spool *spool, uint64_t after, size_t most,
                         struct buf *batch)
{
    uint64_t last = journal_head(spool->journal).sequence;

    if (after > last)
        return fault(RC_DENIED, "audit spool: asked what follows %llu, it ends with %llu",
                     (unsigned long long)after, (unsigned long long)last);
    TRY(read_from(spool, after + 1));
    buf_add(batch, BYTES_OF(spool->id));
    buf_add_u64(batch, after + 1);
    enum rc rc = fill(&spool->reading, most > BATCH_HEAD ? most - BATCH_HEAD : 0, batch);
    if (rc == RC_OK)
        rc = buf_done(batch, &(struct bytes){ 0 });
    if (rc != RC_OK) {
        stop_reading(&spool->reading);
        return rc;
    }
    return journal_trim(spool->journal, after + 1);
}

enum rc audit_spool_trim(struct audit_spool *spool, uint64_t after)
{
    if (after == journal_head(spool->journal).sequence) {
        TRY(journal_rotate(spool->journal));
        stop_reading(&spool->reading); /* of the segment that goes */
    }
    return journal_trim(spool->journal, after + 1);
}

enum rc audit_spool_forget(struct audit_spool *spool, uint64_t after)
{
    const int64_t now_ms = clock_monotonic_ms(&spool->clock);

    if (after != journal_head(spool->journal).sequence ||
        (spool->forgot && now_ms - spool->forgot_ms < FORGET_MS))
        return RC_OK;
    TRY(audit_spool_trim(spool, after));
    spool->forgot = true;
    spool->forgot_ms = now_ms;
    return RC_OK;
}

enum rc audit_spool_greet(const struct audit_spool *spool, struct buf *batch)
{
    struct bytes whole;

    buf_add(batch, BYTES_OF(spool->id));
    buf_add_u64(batch, journal_first_sequence(spool->journal));
    return buf_done(batch, &whole);
}

uint64_t audit_spool_pending(const struct audit_spool *spool)
{
    return journal_pending_head(spool->journal).sequence;
}

const uint8_t *audit_spool_id(const struct audit_spool *spool)
{
    return spool->id;
}

uint64_t audit_spool_sequence(const struct audit_spool *spool)
{
    return journal_head(spool->journal).sequence;
}

enum rc audit_batch_read(struct bytes bytes, struct audit_batch *batch)
{
    struct audit_batch made = { .left = READER(bytes) };

    reader_copy(&made.left, made.spool, sizeof made.spool);
    made.sequence = reader_u64(&made.left);
    if (made.left.broken || made.sequence == 0)
        return fault(RC_MALFORMED, "audit batch: its head is cut short, or sequence 0");
    *batch = made;
    return RC_OK;
}

enum rc audit_batch_next(struct audit_batch *batch, uint64_t *sequence, struct bytes *record)
{
    if (reader_done(&batch->left))
        return RC_NOT_FOUND;
    struct bytes bytes = reader_sized16(&batch->left, AUDIT_RECORD_MAX);
    if (batch->left.broken)
        return fault(RC_MALFORMED, "audit batch: record %llu is cut short or too long",
                     (unsigned long long)batch->sequence);
    *sequence = batch->sequence++;
    *record = bytes;
    return RC_OK;
}
