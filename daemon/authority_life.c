#include "daemon/authority_life.h"

enum { LOOK_EVERY_MS = 1000 };
static const struct bytes SELF = { (const uint8_t *)"authority", 9 };

static struct audit_record record_of(const struct daemon_authority_book *book,
                                     enum audit_action action)
{
    return (struct audit_record){ .action = action,
                                  .decision = AUDIT_ALLOWED,
                                  .wall_ms = clock_wall_ms(book->clock),
                                  .monotonic_ms = clock_monotonic_ms(book->clock),
                                  .actor_kind = AUDIT_PROCESS,
                                  .actor = SELF,
                                  .target = SELF };
}

/* ---- The former life ---- */

static enum rc note_index(void *with, const struct audit_hit *hit)
{
    uint64_t *found = with;

    *found = hit->index + 1;
    return RC_OK;
}

/* One more than the index of the latest; 0: none. */
static enum rc find_latest(const struct daemon_authority_book *book, struct store_txn *txn,
                           enum audit_action action, uint64_t *found)
{
    struct audit_query query = { .actions = audit_action_set_of(action),
                                 .actor = SELF,
                                 .sources = 1 << AUDIT_FROM_AUTHORITY,
                                 .most = 1 };
    bool more = true;

    *found = 0;
    while (more && *found == 0)
        TRY(audit_log_list(book->log, txn, &query, note_index, found, &query.before, &more));
    return RC_OK;
}

struct beginning {
    struct daemon_authority_book *book;
    struct bytes in_force;
    const char *former; /* or NULL */
};

static enum rc begin(struct store_txn *txn, void *with)
{
    const struct beginning *beginning = with;
    const struct daemon_authority_book *book = beginning->book;
    struct audit_record start = record_of(book, AUDIT_PROCESS_START);
    struct audit_record stop = record_of(book, AUDIT_PROCESS_STOP);
    uint64_t started = 0, stopped = 0;

    start.reason = beginning->in_force;

    TRY(find_latest(book, txn, AUDIT_PROCESS_START, &started));
    TRY(find_latest(book, txn, AUDIT_PROCESS_STOP, &stopped));
    stop.decision = AUDIT_FAILED;
    stop.reason = BYTES("found to have ended without a word: killed, or the machine went down");
    if (beginning->former != NULL)
        stop.reason = bytes_of_text(beginning->former);
    if (started > stopped || beginning->former != NULL)
        TRY(audit_log_append(book->log, txn, &stop, NULL));
    return audit_log_append(book->log, txn, &start, NULL);
}

/* ---- The clock ---- */

struct stepped {
    const struct daemon_authority_book *book;
    const struct audit_record *record;
};

static enum rc tell_step(struct store_txn *txn, void *with)
{
    const struct stepped *stepped = with;

    return audit_log_append(stepped->book->log, txn, stepped->record, NULL);
}

/* What finds no room is found again by the next look. */
static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority_life *life =
        (void *)((char *)timer - offsetof(struct daemon_authority_life, timer));
    AUTO_BUF(room, AUDIT_REASON_MAX);
    struct audit_record record;

    if (audit_step_find(&life->step, life->book->clock, &room, &record)) {
        record.actor_kind = AUDIT_PROCESS;
        record.actor = SELF;
        enum rc rc =
            store_write(life->store, tell_step, &(struct stepped){ life->book, &record });
        if (rc == RC_OK)
            audit_step_told(&life->step);
        else if (rc == RC_IO || rc == RC_CORRUPT)
            return rc;
    }
    return loop_arm(life->loop, timer, LOOK_EVERY_MS);
}

static enum rc note_wall(void *with, const struct audit_hit *hit)
{
    int64_t *wall_ms = with;

    *wall_ms = hit->record->wall_ms;
    return RC_OK;
}

enum rc daemon_authority_life_look(const struct daemon_authority_book *book,
                                   struct store_txn *txn)
{
    struct audit_query query = { .sources = 1u << AUDIT_FROM_AUTHORITY, .most = 1 };
    struct audit_step step;
    int64_t wall_ms = INT64_MIN;
    AUTO_BUF(room, AUDIT_REASON_MAX);
    struct audit_record record;
    bool more = true;

    while (more && wall_ms == INT64_MIN)
        TRY(audit_log_list(book->log, txn, &query, note_wall, &wall_ms, &query.before, &more));
    if (wall_ms < clock_wall_ms(book->clock))
        return RC_OK;
    audit_step_resume(&step, book->clock, wall_ms);
    if (!audit_step_find(&step, book->clock, &room, &record))
        return RC_OK;
    record.actor_kind = AUDIT_PROCESS;
    record.actor = SELF;
    return audit_log_append(book->log, txn, &record, NULL);
}

/* ---- From one to the other end ---- */

enum rc daemon_authority_life_begin(struct daemon_authority_life *life,
                                    struct daemon_authority_book *book, struct store *store,
                                    struct loop *loop, struct bytes in_force,
                                    const char *former)
{
    TRY(store_write(store, begin, &(struct beginning){ book, in_force, former }));
    *life = (struct daemon_authority_life){ .book = book, .store = store, .loop = loop };
    life->timer.due = look;
    audit_step_start(&life->step, book->clock);
    return loop_arm(loop, &life->timer, LOOK_EVERY_MS);
}

static enum rc end(struct store_txn *txn, void *with)
{
    const struct daemon_authority_book *book = with;
    const struct audit_record stop = record_of(book, AUDIT_PROCESS_STOP);

    return audit_log_append(book->log, txn, &stop, NULL);
}

void daemon_authority_life_end(struct daemon_authority_life *life, bool in_order)
{
    if (life->store == NULL)
        return;
    loop_disarm(&life->timer);
    enum rc rc = in_order ? store_write(life->store, end, life->book) : RC_OK;
    (void)rc; /* the next life tells that this one ended */
    life->store = NULL;
}
