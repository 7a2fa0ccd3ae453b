#include "daemon/authority_state.h"

#include <string.h>

/*
 * Requests whose reading is in the log. The first record of one is durable before its answer;
 * what a door asks further under the same correlation id is counted here and told in aggregate
 * when a window has passed, when another request needs the place, and at the end. A kill loses
 * the counts of one window, never a request. Counts that find no room are kept, and until they
 * are told each further page gets a record of its own, or is refused.
 */

enum { WINDOW_MS = 10000 };

static int64_t window_ms(const struct daemon_authority *authority)
{
    int64_t set = authority->setup.settings.reading_window_ms;

    return set > 0 ? set : WINDOW_MS;
}

static struct daemon_authority_reading *place_of(struct daemon_authority_request *request)
{
    uint64_t word = 0;

    memcpy(&word, request->question.preamble.correlation, sizeof word);
    word = (word ^ (uint64_t)request->ask) * 0x9e3779b97f4a7c15u;
    return &request->authority->readings[(word >> 32) % DAEMON_AUTHORITY_READINGS];
}

static bool is_of(const struct daemon_authority_reading *reading,
                  const struct daemon_authority_request *request)
{
    static const uint8_t NONE[REGISTRY_CORRELATION];
    const struct registry_preamble *preamble = &request->question.preamble;

    return reading->ask == request->ask &&
           !bytes_equal(BYTES_OF(preamble->correlation), BYTES_OF(NONE)) &&
           bytes_equal(BYTES_OF(reading->preamble.correlation),
                       BYTES_OF(preamble->correlation)) &&
           bytes_equal(BYTES_OF(reading->preamble.actor.fingerprint.at),
                       BYTES_OF(preamble->actor.fingerprint.at));
}

bool daemon_authority_reading_goes_on(struct daemon_authority_request *request)
{
    const struct daemon_authority_reading *reading = place_of(request);

    return is_of(reading, request) && !reading->overdue;
}

/* ---- Telling ---- */

static enum rc tell(struct store_txn *txn, struct daemon_authority *authority,
                    const struct daemon_authority_reading *reading)
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    const struct daemon_authority_event event = {
        .action = reading->action,
        .ask = reading->ask,
        .preamble = &reading->preamble,
        .channel = reading->channel,
        .actor = reading->actor.kind == 0 ? NULL : &reading->actor,
        .shown = reading->shown.serial_len == 0 ? NULL : &reading->shown,
        .target = reading->target,
        .device = reading->device,
        .now_ms = reading->counted.first_ms,
        .reason = "further pages of one request",
        .counted = reading->counted,
    };

    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

static enum rc tell_all(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;

    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++)
        if (authority->readings[i].counted.count > 0)
            TRY(tell(txn, authority, &authority->readings[i]));
    return RC_OK;
}

static struct daemon_authority *of_job(struct store_job *job)
{
    return (void *)((char *)job - offsetof(struct daemon_authority, reading_job));
}

static enum rc tell_in_queue(struct store_txn *txn, struct store_job *job)
{
    return tell_all(txn, of_job(job));
}

static enum rc arm(struct daemon_authority *authority)
{
    struct loop_timer *timer = &authority->reading_timer;

    if (timer->loop != NULL)
        return RC_OK;
    return loop_arm(authority->setup.loop, timer, window_ms(authority));
}

static void told(struct store_job *job, enum rc rc)
{
    struct daemon_authority *authority = of_job(job);

    authority->telling = false;
    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++) {
        struct daemon_authority_reading *reading = &authority->readings[i];
        if (rc == RC_OK)
            reading->counted = (struct audit_aggregate_part){ 0 };
        reading->overdue = reading->counted.count > 0;
    }
    if (rc != RC_OK && !authority->ending && arm(authority) != RC_OK)
        return; /* the next page arms it */
}

static void tell_soon(struct daemon_authority *authority)
{
    if (authority->telling || authority->ending)
        return;
    authority->reading_job = (struct store_job){ .change = tell_in_queue, .done = told };
    authority->telling = store_queue_add(authority->queue, &authority->reading_job) == RC_OK;
}

static enum rc window_passed(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, reading_timer));

    tell_soon(authority);
    return authority->telling ? RC_OK : arm(authority);
}

void daemon_authority_reading_start(struct daemon_authority *authority)
{
    authority->reading_timer.due = window_passed;
}

void daemon_authority_reading_stop(struct daemon_authority *authority)
{
    uint64_t counted = 0;

    loop_disarm(&authority->reading_timer);
    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++)
        counted += authority->readings[i].counted.count;
    enum rc rc =
        counted == 0 ? RC_OK : store_write(authority->setup.store, tell_all, authority);
    (void)rc; /* as in a kill: the counts of one window */
}

/* ---- Remembering ---- */

void daemon_authority_reading_begins(struct daemon_authority_request *request)
{
    const struct daemon_authority_reading *reading = place_of(request);

    if (reading->counted.count > 0 && !is_of(reading, request))
        tell_soon(request->authority);
}

void daemon_authority_reading_remember(struct daemon_authority_request *request)
{
    struct daemon_authority_reading *reading = place_of(request);

    if (reading->counted.count > 0)
        return; /* it could not be told: this request's pages get a record each */
    *reading = (struct daemon_authority_reading){ .preamble = request->question.preamble,
                                                  .actor = request->actor,
                                                  .shown = request->shown,
                                                  .channel = request->channel,
                                                  .ask = request->ask,
                                                  .action = request->request.kind->name };
    memcpy(reading->target, request->target, sizeof reading->target);
    if (request->kind == REGISTRY_DEVICE)
        memcpy(reading->device, request->question.id, sizeof reading->device);
}

void daemon_authority_reading_count(struct daemon_authority_request *request)
{
    struct daemon_authority_reading *reading = place_of(request);
    struct audit_aggregate_part *counted = &reading->counted;

    if (counted->count == 0)
        counted->first_ms = request->now_ms;
    if (counted->last_ms < request->now_ms)
        counted->last_ms = request->now_ms;
    if (counted->last_ms < counted->first_ms)
        counted->last_ms = counted->first_ms; /* the wall clock stepped back */
    counted->count++;
    counted->targets = 1;
    if (arm(request->authority) != RC_OK)
        reading->overdue = true;
}
