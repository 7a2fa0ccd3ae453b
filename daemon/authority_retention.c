#include "daemon/authority_state.h"

#include <string.h>

#include "audit/erase.h"
#include "audit/holds.h"
#include "audit/prune.h"
#include "base/text.h"
#include "daemon/events.h"

/*
 * What ends of the audit log, and what must not: erasures and holds as operators ask for them,
 * then the walk over what is to be erased, and pruning, both a bounded step in a transaction
 * with a pause behind it, so that the doors are served in between.
 */
enum {
    STEP_MOST = 512,
    PAUSE_MS = 50,
    AGAIN_MS = 1000,
    ERASURES_MAX = 4096 /* to see whether there are any */
};

/* ---- What is asked ---- */

struct erasing {
    enum registry_kind kind;
    char id[REGISTRY_ID_MAX + 1];
    struct bytes reason;
};

/* kind u8, id sized16, reason sized16 */
static enum rc read_erasure(const struct registry_question *asked, struct erasing *erasing)
{
    struct reader r = READER(asked->query);
    uint8_t kind = reader_u8(&r);
    struct bytes id = reader_sized16(&r, REGISTRY_ID_MAX);

    erasing->reason = reader_sized16(&r, AUDIT_WHY_MAX);
    if (!reader_done(&r) || kind < REGISTRY_DEVICE || kind > REGISTRY_LINE)
        return fault(RC_MALFORMED, "an erasure is asked for by kind, id and reason");
    TRY(registry_id_copy(id, erasing->id));
    erasing->kind = (enum registry_kind)kind;
    return audit_why_check(erasing->reason);
}

static enum rc set_target(struct daemon_authority_request *request, const char *text,
                          const char *kind, struct bytes id)
{
    AUTO_BUF(target, sizeof request->target);
    const char *made = NULL;

    buf_addf(&target, "%s%s%s%.*s", text, kind, id.len > 0 ? " " : "", BYTES_FMT(id));
    TRY(buf_text(&target, &made));
    memcpy(request->target, made, target.len + 1);
    return RC_OK;
}

static enum rc say(struct daemon_authority_request *request, const struct buf *text)
{
    struct bytes bytes;

    TRY(buf_done(text, &bytes));
    memcpy(request->said, bytes.at, bytes.len);
    request->said[bytes.len] = '\0';
    return RC_OK;
}

/* Also whoever proposed it. */
static bool is_own(const struct daemon_authority_request *request,
                   const struct erasing *erasing)
{
    bool operators = erasing->kind == REGISTRY_OPERATOR;

    return (request->actor.kind == erasing->kind &&
            strcmp(request->actor.id, erasing->id) == 0) ||
           (operators && strcmp(request->proposal.author, erasing->id) == 0);
}

/* Who may erase may also make himself a second id, act by that and erase it, or the first with
 * it: read, say, what he should not have as an auditor. Where erasing needs two, one is not
 * enough for that. */
static bool answers_for_good(const struct daemon_authority_request *request,
                             const struct registry_subject *subject)
{
    const uint32_t by_two = UINT32_C(1) << REGISTRY_ACT_ERASURE;

    if ((request->authority->setup.settings.four_eyes & by_two) != 0)
        return false;
    return subject->kind == REGISTRY_LINE || subject->kind == REGISTRY_OPERATOR;
}

/* What one still does would be half erased, and half not. */
static enum rc check_subject(struct store_txn *txn,
                             const struct daemon_authority_request *request,
                             const struct erasing *erasing)
{
    struct registry_subject subject;

    if (is_own(request, erasing))
        return fault(RC_DENIED, "nobody erases his own traces");
    enum rc rc = registry_subject_get(txn, erasing->kind, bytes_of_text(erasing->id), &subject);
    if (rc == RC_NOT_FOUND)
        return RC_OK; /* one that the log knows by a door's word only */
    TRY(rc);
    if (answers_for_good(request, &subject))
        return fault(RC_DENIED,
                     "what %s did, %s, is not erased by one alone: authority.four_eyes names "
                     "no retention",
                     subject.id, subject.kind == REGISTRY_LINE ? "a line" : "an operator");
    if (subject.state != REGISTRY_ACTIVE)
        return RC_OK;
    return fault(RC_DENIED,
                 erasing->kind == REGISTRY_DEVICE
                     ? "device %s is active, and goes on to be recorded: suspend or revoke it "
                       "first"
                     : "%s is active, and answers for what he does: revoke him first",
                 erasing->id);
}

enum rc daemon_authority_check_erasure(struct store_txn *txn,
                                       const struct daemon_authority_request *request,
                                       const struct registry_question *asked)
{
    struct erasing erasing;

    TRY(read_erasure(asked, &erasing));
    return check_subject(txn, request, &erasing);
}

void daemon_authority_say_erasure(const struct registry_question *asked, struct buf *text)
{
    struct erasing erasing;

    if (read_erasure(asked, &erasing) == RC_OK)
        buf_addf(text, "erasure of the records of %s %s, %.*s",
                 registry_kind_name(erasing.kind), erasing.id, BYTES_FMT(erasing.reason));
}

/* Of whom it is, for the log, whatever becomes of it. */
static enum rc note_erasure(struct daemon_authority_request *request)
{
    AUTO_BUF(why, AUDIT_REASON_MAX);
    struct erasing erasing;

    TRY(read_erasure(&request->question, &erasing));
    memcpy(request->question.id, erasing.id, sizeof erasing.id);
    request->question.kind = request->kind = erasing.kind;
    TRY(set_target(request, "", registry_kind_name(erasing.kind), bytes_of_text(erasing.id)));
    buf_add(&why, erasing.reason);
    return say(request, &why);
}

enum rc daemon_authority_run_erasure(struct store_txn *txn,
                                     struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    TRY(note_erasure(request));
    TRY(daemon_authority_check_erasure(txn, request, q));
    return audit_erase_begin(request->authority->setup.audit.log, txn,
                             (enum audit_actor_kind)q->kind, bytes_of_text(q->id),
                             &request->answer.sequence);
}

static enum rc erase(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    TRY(daemon_authority_run_erasure(txn, request));
    return daemon_authority_record(txn, request, RC_OK, request->said);
}

static void is_begun(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    daemon_authority_retention_soon(request->authority);
    daemon_authority_answer(request);
}

static bool has_log(struct daemon_authority_request *request)
{
    if (request->authority->setup.audit.log != NULL)
        return true;
    daemon_authority_turn_away(request,
                               fault(RC_NOT_FOUND, "this authority keeps no audit log"));
    return false;
}

void daemon_authority_erase(struct daemon_authority_request *request)
{
    if (!has_log(request))
        return;
    enum rc rc = note_erasure(request);
    if (rc != RC_OK)
        daemon_authority_refuse_unread(request, rc);
    else if (daemon_authority_proposes(request))
        daemon_authority_propose(request);
    else
        daemon_authority_queue(request, erase, is_begun);
}

/* ---- Holds ---- */

static enum rc say_hold(struct daemon_authority_request *request, const char *what,
                        const struct audit_hold *hold, struct bytes reason)
{
    AUTO_BUF(number, 32);
    AUTO_BUF(why, AUDIT_REASON_MAX);
    const char *text = NULL;

    buf_addf(&number, "hold %llu of ", (unsigned long long)hold->number);
    TRY(buf_text(&number, &text));
    TRY(set_target(request, text,
                   hold->kind == AUDIT_NOBODY ? "all" : audit_actor_kind_name(hold->kind),
                   hold->id));
    buf_addf(&why, "%s", what);
    if (hold->since_ms != 0) {
        buf_addf(&why, " since ");
        clock_add_rfc3339(&why, hold->since_ms);
    }
    if (hold->until_ms != 0) {
        buf_addf(&why, " until ");
        clock_add_rfc3339(&why, hold->until_ms);
    }
    buf_addf(&why, ": ");
    buf_add(&why, reason);
    if (hold->kind == AUDIT_DEVICE) {
        request->kind = REGISTRY_DEVICE;
        TRY(registry_id_copy(hold->id, request->id));
    }
    return say(request, &why);
}

static enum rc add(struct store_txn *txn, struct daemon_authority_request *request,
                   struct reader *r)
{
    struct audit_log *log = request->authority->setup.audit.log;
    struct audit_hold hold;

    TRY(audit_hold_read(r, &hold));
    if (!reader_done(r))
        return fault(RC_MALFORMED, "hold: octets behind it");
    if (hold.kind != AUDIT_NOBODY)
        TRY(registry_id_check(hold.id));
    hold.made_ms = request->now_ms;
    hold.by = bytes_of_text(request->actor.id);
    TRY(audit_holds_add(log, txn, &hold, &hold.number));
    request->answer.sequence = hold.number;
    return say_hold(request, "added", &hold, hold.reason);
}

/* After AUDIT_HOLD_REMOVE: number u64, reason sized16 */
static enum rc read_release(struct reader *r, uint64_t *number, struct bytes *reason)
{
    *number = reader_u64(r);
    *reason = reader_sized16(r, AUDIT_WHY_MAX);
    if (!reader_done(r))
        return fault(RC_MALFORMED, "a hold is removed by its number and a reason");
    return audit_why_check(*reason);
}

static enum rc remove_one(struct store_txn *txn, struct daemon_authority_request *request,
                          struct reader *r)
{
    struct audit_log *log = request->authority->setup.audit.log;
    AUTO_BUF(room, AUDIT_HOLD_BYTES_MAX);
    struct audit_hold hold;
    uint64_t number = 0;
    struct bytes reason;

    TRY(read_release(r, &number, &reason));
    TRY(audit_holds_remove(log, txn, number, &room, &hold));
    request->answer.sequence = number;
    return say_hold(request, "removed", &hold, reason);
}

bool daemon_authority_is_release(const struct registry_question *asked)
{
    return asked->query.len > 0 && asked->query.at[0] == AUDIT_HOLD_REMOVE;
}

/* Whether it is there. */
enum rc daemon_authority_check_release(struct store_txn *txn,
                                       const struct daemon_authority_request *request,
                                       const struct registry_question *asked)
{
    struct reader r = READER(asked->query);
    uint64_t number = 0;
    struct bytes reason;
    AUTO_HOLDS(holds);

    (void)reader_u8(&r); /* that it is one */
    TRY(read_release(&r, &number, &reason));
    TRY(audit_holds_read(request->authority->setup.audit.log, txn, &holds));
    for (size_t i = 0; i < holds.count; i++)
        if (holds.at[i].number == number)
            return RC_OK;
    return fault(RC_NOT_FOUND, "there is no hold %llu", (unsigned long long)number);
}

void daemon_authority_say_release(const struct registry_question *asked, struct buf *text)
{
    struct reader r = READER(asked->query);
    uint64_t number = 0;
    struct bytes reason;

    (void)reader_u8(&r);
    if (read_release(&r, &number, &reason) == RC_OK)
        buf_addf(text, "release of hold %llu, %.*s", (unsigned long long)number,
                 BYTES_FMT(reason));
}

enum rc daemon_authority_run_hold(struct store_txn *txn,
                                  struct daemon_authority_request *request)
{
    struct reader r = READER(request->question.query);
    uint8_t what = reader_u8(&r);

    if (what != AUDIT_HOLD_ADD && what != AUDIT_HOLD_REMOVE)
        return fault(RC_MALFORMED, "a hold is added or removed");
    return what == AUDIT_HOLD_ADD ? add(txn, request, &r) : remove_one(txn, request, &r);
}

static enum rc hold(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    TRY(daemon_authority_run_hold(txn, request));
    return daemon_authority_record(txn, request, RC_OK, request->said);
}

static void is_held(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK)
        daemon_authority_refuse(request, rc);
    else
        daemon_authority_answer(request);
}

void daemon_authority_hold(struct daemon_authority_request *request)
{
    request->kind = (enum registry_kind)0; /* no device yet that it is about */
    if (!has_log(request))
        return;
    if (daemon_authority_proposes(request))
        daemon_authority_propose(request);
    else
        daemon_authority_queue(request, hold, is_held);
}

/* ---- The walk ---- */

static enum rc record(struct store_txn *txn, struct daemon_authority *authority,
                      const char *action, const char *target, struct bytes device,
                      const char *reason)
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    char id[AUDIT_ID_MAX + 1] = "";

    memcpy(id, device.at, device.len);
    const struct daemon_authority_event event = { .action = action,
                                                  .target = target,
                                                  .device = id,
                                                  .rc = RC_OK,
                                                  .reason = reason,
                                                  .now_ms =
                                                      clock_wall_ms(authority->setup.clock) };
    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

static enum rc tell_erased(struct store_txn *txn, struct daemon_authority *authority,
                           const struct audit_erasure *erasure)
{
    AUTO_BUF(target, REGISTRY_ID_MAX + 32);
    AUTO_BUF(reason, 64);
    const char *target_text = NULL, *reason_text = NULL;

    buf_addf(&target, "%s %.*s", audit_actor_kind_name(erasure->kind), BYTES_FMT(erasure->id));
    buf_addf(&reason, "done: %llu records", (unsigned long long)erasure->records);
    TRY(buf_text(&target, &target_text));
    TRY(buf_text(&reason, &reason_text));
    return record(txn, authority, "erased", target_text,
                  erasure->kind == AUDIT_DEVICE ? erasure->id : BYTES(""), reason_text);
}

static enum rc tell_pruned(struct store_txn *txn, struct daemon_authority *authority,
                           const struct audit_pruned *pruned)
{
    AUTO_BUF(target, 64);
    AUTO_BUF(reason, 64);
    const char *target_text = NULL, *reason_text = NULL;

    buf_addf(&target, "records %llu to %llu", (unsigned long long)pruned->first,
             (unsigned long long)pruned->last);
    buf_addf(&reason, "%llu records", (unsigned long long)pruned->records);
    TRY(buf_text(&target, &target_text));
    TRY(buf_text(&reason, &reason_text));
    return record(txn, authority, "pruned", target_text, BYTES(""), reason_text);
}

/* Before its number is known: so a copy that is made meanwhile can be told from one that lacks
 * bodies (audit/bare.h). */
static enum rc tell_pruning(struct store_txn *txn, struct daemon_authority *authority,
                            const struct audit_pruned *pruned)
{
    AUTO_BUF(target, 64);
    const char *text = NULL;

    buf_addf(&target, "records from %llu", (unsigned long long)pruned->first);
    TRY(buf_text(&target, &text));
    return record(txn, authority, "pruned", text, BYTES(""), "begins");
}

/* Not what a checkpoint does not cover yet, nor what a sink has not got. */
static enum rc find_limit(struct store_txn *txn, struct daemon_authority *authority,
                          uint64_t *below)
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    struct bytes note;
    uint64_t exported = daemon_authority_exported(authority);
    enum rc rc = audit_log_checkpoint(audit->log, txn, UINT64_MAX, below, &note);

    if (rc == RC_NOT_FOUND)
        *below = 0;
    else
        TRY(rc);
    if (exported < *below)
        *below = exported;
    return RC_OK;
}

static enum rc prune(struct store_txn *txn, struct daemon_authority_retention *retention)
{
    struct daemon_authority *authority = retention->authority;
    struct audit_prune prune = { .wall_ms = clock_wall_ms(authority->setup.clock),
                                 .elapsed_ms = retention->elapsed_ms,
                                 .most = STEP_MOST };
    struct audit_pruned pruned;

    TRY(find_limit(txn, authority, &prune.below));
    TRY(audit_prune_step(authority->setup.audit.log, txn, &prune, &pruned));
    retention->more = pruned.more;
    if (pruned.run_begins)
        TRY(tell_pruning(txn, authority, &pruned));
    return pruned.run_over ? tell_pruned(txn, authority, &pruned) : RC_OK;
}

static enum rc walk(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_retention *retention = (void *)job;
    struct daemon_authority *authority = retention->authority;
    AUTO_BUF(room, 2 + AUDIT_ID_MAX);
    struct audit_erasure erasure;
    bool finished = false;
    enum rc rc = audit_erase_step(authority->setup.audit.log, txn, STEP_MOST, &room, &erasure,
                                  &finished);

    retention->pruned = rc == RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND)
        return prune(txn, retention);
    TRY(rc);
    retention->more = true; /* another's erasure, or pruning, may be due behind it */
    return finished ? tell_erased(txn, authority, &erasure) : RC_OK;
}

/* Nothing to erase, and nothing is ever pruned: then no place in the queue is taken. */
struct finding {
    struct audit_log *log;
    bool work;
};

static enum rc find_work(struct store_txn *txn, void *with)
{
    struct finding *finding = with;
    AUTO_BUF(erasures, ERASURES_MAX);
    bool pruning = false;

    TRY(audit_prune_is_on(finding->log, txn, &pruning));
    if (!pruning)
        TRY(audit_erase_list(finding->log, txn, &erasures));
    finding->work = pruning || erasures.len > 0 || erasures.broken;
    return RC_OK;
}

static bool has_work(struct daemon_authority *authority)
{
    struct finding finding = { .log = authority->setup.audit.log };

    return store_read(authority->setup.store, find_work, &finding) != RC_OK || finding.work;
}

static void is_walked(struct store_job *job, enum rc rc)
{
    struct daemon_authority_retention *retention = (void *)job;
    struct daemon_authority *authority = retention->authority;
    int64_t pause_ms = authority->setup.settings.prune_every_ms;

    retention->under_way = false;
    if (rc == RC_OK && retention->pruned)
        retention->looked_ms = retention->looking_ms;
    if (rc == RC_OK)
        daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_RETENTION);
    else if (rc != RC_CLOSED)
        daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_RETENTION);
    if (rc != RC_OK)
        pause_ms = AGAIN_MS;
    else if (retention->more || retention->wanted)
        pause_ms = PAUSE_MS;
    if (!authority->ending)
        (void)loop_arm(authority->setup.loop, &retention->timer, pause_ms);
}

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority_retention *retention =
        (void *)((char *)timer - offsetof(struct daemon_authority_retention, timer));
    struct daemon_authority *authority = retention->authority;

    if (retention->under_way)
        return RC_OK;
    if (!has_work(authority))
        return loop_arm(authority->setup.loop, timer, authority->setup.settings.prune_every_ms);
    retention->wanted = false;
    retention->more = false;
    retention->looking_ms = clock_monotonic_ms(authority->setup.clock);
    retention->elapsed_ms =
        retention->looked_ms < 0 ? 0 : retention->looking_ms - retention->looked_ms;
    retention->job.change = walk;
    retention->job.done = is_walked;
    retention->under_way = true;
    if (store_queue_add(authority->queue, &retention->job) == RC_OK)
        return RC_OK;
    retention->under_way = false;
    return loop_arm(authority->setup.loop, timer, AGAIN_MS);
}

void daemon_authority_retention_soon(struct daemon_authority *authority)
{
    struct daemon_authority_retention *retention = &authority->retention;

    retention->wanted = true;
    /* A timer that cannot be armed finds no memory: it is due by itself, later. */
    if (!retention->under_way)
        (void)loop_arm(authority->setup.loop, &retention->timer, 0);
}

enum rc daemon_authority_retention_start(struct daemon_authority *authority)
{
    struct daemon_authority_retention *retention = &authority->retention;

    if (authority->setup.audit.log == NULL)
        return RC_OK;
    retention->authority = authority;
    retention->looked_ms = -1;
    retention->timer.due = look;
    return loop_arm(authority->setup.loop, &retention->timer, PAUSE_MS);
}

void daemon_authority_retention_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->retention.timer);
}
