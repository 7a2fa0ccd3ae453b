#include "daemon/authority_state.h"

#include <string.h>

/*
 * Requests whose reading is in the log. The first record of one is durable before its answer;
 * what a door asks further under the same correlation id is counted here and told in aggregate
 * when a window has passed, when another request needs the place, and at the end. A kill loses
 * the counts of one window, never a request. Counts that find no room are kept, and until they
 * are told each further page gets a record of its own, or is refused.
 *
 * Whoever follows the log asks again and again, each time under another correlation id. That is
 * one reading as long as the same certificate asks from the same address for the same filter,
 * no further back than the record says, and without a pause: the record is of all from there
 * on. How often he asked is told once in a while, and when he ends. A kill loses that number,
 * and he has a record of his own in the next life: what he may have read is never more than
 * from the one record to his process.stop or ours.
 */

enum {
    WINDOW_MS = 10000,
    PAUSE_WINDOWS = 3, /* who follows has ended; he asks once in ten seconds at least */
    FOLLOW_WINDOWS = 60
};

static int64_t window_ms(const struct daemon_authority *authority)
{
    int64_t set = authority->setup.settings.reading_window_ms;

    return set > 0 ? set : WINDOW_MS;
}

/* The query of an AUDIT_WATCH, behind where it begins. */
static struct bytes filter_of(const struct daemon_authority_request *request, uint64_t *from)
{
    struct reader r = READER(request->question.query);

    *from = reader_u64(&r);
    return r.left;
}

static uint64_t word_of(const struct daemon_authority_request *request)
{
    uint64_t word = 0, from = 0;

    if (request->ask == REGISTRY_ASK_AUDIT_WATCH) {
        struct bytes filter = filter_of(request, &from);
        memcpy(&word, request->question.preamble.actor.fingerprint.at, sizeof word);
        for (size_t i = 0; i < filter.len; i++)
            word = (word ^ filter.at[i]) * 0x100000001b3u;
    } else {
        memcpy(&word, request->question.preamble.correlation, sizeof word);
    }
    return word;
}

static struct daemon_authority_reading *place_of(struct daemon_authority_request *request)
{
    uint64_t word = word_of(request);

    word = (word ^ (uint64_t)request->ask) * 0x9e3779b97f4a7c15u;
    return &request->authority->readings[(word >> 32) % DAEMON_AUTHORITY_READINGS];
}

static struct bytes host_of(const struct registry_preamble *preamble)
{
    const char *colon = strrchr(preamble->peer, ':');

    return (struct bytes){ (const uint8_t *)preamble->peer,
                           colon == NULL ? strlen(preamble->peer)
                                         : (size_t)(colon - preamble->peer) };
}

static bool follows_on(const struct daemon_authority_reading *reading,
                       const struct daemon_authority_request *request)
{
    const struct registry_preamble *preamble = &request->question.preamble;
    int64_t pause_ms = loop_now_ms(request->authority->setup.loop) - reading->last_ms;
    uint64_t from = 0;
    struct bytes filter = filter_of(request, &from);

    return pause_ms < PAUSE_WINDOWS * window_ms(request->authority) && from >= reading->from &&
           bytes_equal(buf_bytes(&reading->filter), filter) &&
           bytes_equal(host_of(&reading->preamble), host_of(preamble)) &&
           bytes_equal(BYTES_OF(reading->preamble.actor.fingerprint.at),
                       BYTES_OF(preamble->actor.fingerprint.at));
}

static bool is_of(const struct daemon_authority_reading *reading,
                  const struct daemon_authority_request *request)
{
    static const uint8_t NONE[REGISTRY_CORRELATION];
    const struct registry_preamble *preamble = &request->question.preamble;

    if (reading->ask == REGISTRY_ASK_AUDIT_WATCH && request->ask == reading->ask)
        return follows_on(reading, request);
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
        .policy_version = reading->policy_version,
        .rule = reading->rule,
        .now_ms = reading->counted.first_ms,
        .reason = reading->ask == REGISTRY_ASK_AUDIT_WATCH ? "asked again, further on"
                                                           : "further pages of one request",
        .counted = reading->counted,
    };

    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

static enum rc tell_all(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;

    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++)
        if (authority->readings[i].telling)
            TRY(tell(txn, authority, &authority->readings[i]));
    return RC_OK;
}

/* Is it time to tell what was counted? */
static bool is_due(const struct daemon_authority *authority,
                   const struct daemon_authority_reading *reading)
{
    int64_t now_ms = loop_now_ms(authority->setup.loop), window = window_ms(authority);

    if (reading->counted.count == 0)
        return false;
    return reading->ask != REGISTRY_ASK_AUDIT_WATCH || authority->ending || reading->wanted ||
           reading->overdue || now_ms - reading->last_ms >= PAUSE_WINDOWS * window ||
           now_ms - reading->told_ms >= FOLLOW_WINDOWS * window;
}

static bool find_due(struct daemon_authority *authority)
{
    bool any = false;

    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++) {
        authority->readings[i].telling = is_due(authority, &authority->readings[i]);
        any = any || authority->readings[i].telling;
    }
    return any;
}

static bool has_counts(const struct daemon_authority *authority)
{
    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++)
        if (authority->readings[i].counted.count > 0)
            return true;
    return false;
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
        if (!reading->telling)
            continue;
        if (rc == RC_OK)
            reading->counted = (struct audit_aggregate_part){ 0 };
        reading->overdue = reading->counted.count > 0;
        reading->wanted = reading->telling = false;
        reading->told_ms = loop_now_ms(authority->setup.loop);
    }
    if (has_counts(authority) && !authority->ending && arm(authority) != RC_OK)
        return; /* the next page arms it */
}

static void tell_soon(struct daemon_authority *authority)
{
    if (authority->telling || authority->ending || !find_due(authority))
        return;
    authority->reading_job = (struct store_job){ .change = tell_in_queue, .done = told };
    authority->telling = store_queue_add(authority->queue, &authority->reading_job) == RC_OK;
}

static enum rc window_passed(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, reading_timer));

    tell_soon(authority);
    return authority->telling || !has_counts(authority) ? RC_OK : arm(authority);
}

void daemon_authority_reading_start(struct daemon_authority *authority)
{
    authority->reading_timer.due = window_passed;
}

void daemon_authority_reading_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->reading_timer);
    enum rc rc =
        find_due(authority) ? store_write(authority->setup.store, tell_all, authority) : RC_OK;
    (void)rc; /* as in a kill: the counts of one window */
    for (size_t i = 0; i < DAEMON_AUTHORITY_READINGS; i++)
        buf_clear(&authority->readings[i].filter);
}

/* ---- Remembering ---- */

void daemon_authority_reading_begins(struct daemon_authority_request *request)
{
    struct daemon_authority_reading *reading = place_of(request);

    if (reading->counted.count == 0 || is_of(reading, request))
        return;
    reading->wanted = true;
    tell_soon(request->authority);
}

/* Without memory for it, his next question is another reading. */
static void remember_follower(struct daemon_authority_reading *reading,
                              const struct daemon_authority_request *request)
{
    reading->filter = (struct buf)BUF_MAX(AUDIT_QUERY_MAX);
    buf_add(&reading->filter, filter_of(request, &reading->from));
    if (reading->filter.broken)
        reading->ask = (enum registry_ask)0;
    reading->last_ms = reading->told_ms = loop_now_ms(request->authority->setup.loop);
}

void daemon_authority_reading_remember(struct daemon_authority_request *request)
{
    struct daemon_authority_reading *reading = place_of(request);

    if (reading->counted.count > 0)
        return; /* it could not be told: this request's pages get a record each */
    buf_clear(&reading->filter);
    *reading = (struct daemon_authority_reading){ .preamble = request->question.preamble,
                                                  .actor = request->actor,
                                                  .shown = request->shown,
                                                  .channel = request->channel,
                                                  .ask = request->ask,
                                                  .action = request->request.kind->name };
    memcpy(reading->target, request->target, sizeof reading->target);
    if (request->kind == REGISTRY_DEVICE)
        memcpy(reading->device, request->question.id, sizeof reading->device);
    if (request->ask == REGISTRY_ASK_AUDIT_WATCH)
        remember_follower(reading, request);
}

/* One record names one rule: of what several allowed, none. */
static void note_rule(struct daemon_authority_reading *reading,
                      const struct policy_decision *judged)
{
    uint32_t rule = judged->by_rule ? judged->text_line : 0;

    if (reading->counted.count == 0) {
        reading->policy_version = judged->version;
        reading->rule = rule;
    }
    if (reading->policy_version != judged->version || reading->rule != rule) {
        reading->policy_version = 0;
        reading->rule = 0;
    }
}

void daemon_authority_reading_count(struct daemon_authority_request *request)
{
    struct daemon_authority_reading *reading = place_of(request);
    struct audit_aggregate_part *counted = &reading->counted;

    note_rule(reading, &request->judged);
    if (counted->count == 0)
        counted->first_ms = request->now_ms;
    if (counted->last_ms < request->now_ms)
        counted->last_ms = request->now_ms;
    if (counted->last_ms < counted->first_ms)
        counted->last_ms = counted->first_ms; /* the wall clock stepped back */
    counted->count++;
    counted->targets = 1;
    reading->last_ms = loop_now_ms(request->authority->setup.loop);
    if (arm(request->authority) != RC_OK)
        reading->overdue = true;
}
