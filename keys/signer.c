#include "keys/signer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "keys/entry.h"
#include "keys/job.h"

enum { WORKERS_MAX = 16, TOLD_EVERY_MS = 1000 };

struct worker {
    struct keys_signer *signer;
    struct link *link;
    unsigned busy; /* requests that it has not answered */
};

struct keys_signer {
    struct loop *loop;
    const struct clock *clock;
    struct journal *journal;
    const struct keys_rules *rules;
    struct keys_memories memories;
    struct link_server *asker;
    size_t worker_count;
    struct worker workers[WORKERS_MAX];
    struct loop_turn turn;
    struct keys_job *settled, **last; /* to be committed and answered, in order */
    bool unasked;                     /* appended, to be committed, with nobody to answer */
    struct journal_cursor *reading;   /* of the asker's latest KEYS_ASK_ENTRIES */
    uint64_t reading_at;              /* the sequence that it gives next */
    enum rc outcome;
};

static void fail(struct keys_signer *signer, enum rc rc)
{
    if (signer->outcome == RC_OK)
        signer->outcome = rc;
    loop_stop(signer->loop);
}

static void put_settled(struct keys_signer *signer, struct keys_job *job)
{
    job->next = NULL;
    *signer->last = job;
    signer->last = &job->next;
}

static void answer(struct keys_signer *signer, struct keys_job *job, enum rc rc)
{
    struct keys_past *past =
        job->rule == NULL ? NULL : keys_memory_of(&signer->memories, job->rule);

    assert(past != NULL || !(job->holds || job->remembers));
    if (past != NULL && job->holds)
        past->busy = false;
    if (past != NULL && rc == RC_OK && job->remembers) {
        past->memory = job->memory;
        if (job->kind == KEYS_CHECKPOINT)
            past->vouched = job->sequence;
    }
    link_answer(&job->request, rc,
                rc == RC_OK ? buf_bytes(&job->reply) : bytes_of_text(fault_text()), -1);
    keys_job_free(job);
}

/* Journaled before it leaves: this is the only place from which an answer with a signature goes
 * out. */
static enum rc commit_and_answer(struct keys_signer *signer)
{
    struct keys_job *job = signer->settled;

    if (job == NULL && !signer->unasked)
        return RC_OK;
    signer->unasked = false;
    signer->settled = NULL;
    signer->last = &signer->settled;
    enum rc rc = journal_commit(signer->journal);
    while (job != NULL) {
        struct keys_job *next = job->next;
        answer(signer, job, rc);
        job = next;
    }
    if (rc != RC_OK) {
        signer->memories.restated = 0; /* it may have been among what was lost */
        return RC_OK;
    }
    /* It stands behind what it restates, and is committed with the next group. */
    rc = keys_memory_restate(&signer->memories, signer->journal);
    return rc == RC_LIMIT ? RC_OK : rc;
}

static enum rc turn_ended(struct loop_turn *turn)
{
    struct keys_signer *signer =
        (struct keys_signer *)((char *)turn - offsetof(struct keys_signer, turn));

    return commit_and_answer(signer);
}

/* An entry that does not fit into the journal any more is as bad as a failed commit. */
static void settle(struct keys_signer *signer, struct keys_job *job, enum rc rc)
{
    if (rc == RC_OK) {
        put_settled(signer, job);
        return;
    }
    job->remembers = false;
    answer(signer, job, rc);
    if (rc == RC_CORRUPT)
        fail(signer, rc);
}

/* rc with its fault's text goes to the asker for every item, and into the journal. */
static void refuse(struct keys_signer *signer, struct keys_job *job, enum rc rc)
{
    int64_t now = clock_monotonic_ms(signer->clock);
    bool journaled = true;
    AUTO_BUF(why, 1024);
    const char *text = NULL;

    buf_addf(&why, "%s", fault_text());
    if (rc == RC_LIMIT) {
        struct keys_past *past = job->rule == NULL
                                     ? &signer->memories.strays
                                     : keys_memory_of(&signer->memories, job->rule);
        journaled = past->told_ms == 0 || now - past->told_ms >= TOLD_EVERY_MS;
        if (journaled)
            past->told_ms = now;
        if (journaled && past->untold > 0)
            buf_addf(&why, "; and %llu more before it", (unsigned long long)past->untold);
        past->untold = journaled ? 0 : past->untold + 1;
    }
    enum rc made = buf_text(&why, &text);
    if (made == RC_OK)
        made = keys_job_refuse(job, signer->journal, journaled, rc, text);
    settle(signer, job, made);
}

static void worker_answered(void *with, const struct link_reply *reply);

/* ---- Admission ---- */

static enum rc check_checkpoint(struct keys_signer *signer, struct keys_job *job,
                                const struct keys_ask *ask)
{
    struct keys_past *past = keys_memory_of(&signer->memories, job->rule);
    const struct keys_question question = { .kind = KEYS_CHECKPOINT,
                                            .to_be_signed = ask->items[0],
                                            .proof = ask->proof,
                                            .proof_count = ask->proof_count };
    struct keys_finding finding = { 0 };

    TRY(keys_check(signer->rules, job->rule, &question, &past->memory,
                   clock_wall_ms(signer->clock) / 1000, &finding));
    TRY(keys_memory_check_head(signer->journal, past, &finding));
    job->memory = finding.memory;
    return RC_OK;
}

static enum rc admit(struct keys_signer *signer, struct keys_job *job,
                     const struct keys_ask *ask)
{
    job->rule = keys_rules_find(signer->rules, bytes_of_text(job->key));
    if (job->rule == NULL) {
        TRY(keys_memory_take_stray(&signer->memories, clock_monotonic_ms(signer->clock)));
        return fault(RC_NOT_FOUND, "no key %s in the rules", job->key);
    }
    struct keys_past *past = keys_memory_of(&signer->memories, job->rule);
    TRY(keys_memory_take(&signer->memories, job->rule, job->count,
                         clock_monotonic_ms(signer->clock)));
    if (job->kind == KEYS_CERTIFICATE)
        return RC_OK;
    if (past->busy)
        return fault(RC_BUSY, "key %s: its latest CRL or checkpoint is still under way",
                     job->key);
    if (job->kind == KEYS_CHECKPOINT)
        TRY(check_checkpoint(signer, job, ask));
    past->busy = job->holds = true;
    return RC_OK;
}

static struct worker *choose(struct keys_signer *signer)
{
    struct worker *least = NULL;

    for (size_t i = 0; i < signer->worker_count; i++)
        if (least == NULL || signer->workers[i].busy < least->busy)
            least = &signer->workers[i];
    return least;
}

static enum keys_work_request work_of(const struct keys_job *job)
{
    static const enum keys_work_request LANES[LINK_LANES] = {
        [LINK_URGENT] = KEYS_WORK_URGENT,
        [LINK_NORMAL] = KEYS_WORK_NORMAL,
        [LINK_BULK] = KEYS_WORK_BULK,
    };

    return job->kind == KEYS_CRL ? KEYS_WORK_CRL : LANES[job->request.kind->lane];
}

/* A job in a worker's hands. */
struct errand {
    struct worker *worker;
    struct keys_job *job;
};

static enum rc hand_over(struct keys_signer *signer, struct keys_job *job,
                         const struct keys_ask *ask, int fd)
{
    struct worker *worker = choose(signer);
    struct keys_work work = { .kind = job->kind, .ask = *ask };
    AUTO_BUF(body, LINK_BODY_MAX);

    if (worker == NULL)
        return fault(RC_BUSY, "no worker");
    work.memory = keys_memory_of(&signer->memories, job->rule)->memory;
    TRY(keys_protocol_write_work(&work, &body));
    struct errand *errand = malloc(sizeof *errand);
    if (errand == NULL)
        return fault(RC_NOMEM, "request");
    *errand = (struct errand){ worker, job };
    enum rc rc = link_ask(worker->link, (uint16_t)work_of(job), buf_bytes(&body), fd,
                          worker_answered, errand);
    if (rc == RC_OK)
        worker->busy++;
    else
        free(errand);
    return rc;
}

static void worker_answered(void *with, const struct link_reply *reply)
{
    struct errand *errand = with;
    struct worker *worker = errand->worker;
    struct keys_signer *signer = worker->signer;
    struct keys_job *job = errand->job;
    struct keys_results results;

    free(errand);
    worker->busy--;
    if (reply->rc != RC_OK) {
        enum rc rc = fault(RC_CLOSED, "a worker ended, or gave up: %.*s",
                           (int)(reply->body.len < 200 ? reply->body.len : 200),
                           reply->body.len > 0 ? (const char *)reply->body.at : "");
        answer(signer, job, rc);
        fail(signer, rc);
        return;
    }
    enum rc rc = keys_protocol_read_results(reply->body, &results);
    if (rc != RC_OK)
        rc = fault_while(RC_CORRUPT, "a worker's answer");
    else
        rc = keys_job_settle(job, signer->journal, keys_memory_of(&signer->memories, job->rule),
                             &results);
    settle(signer, job, rc);
}

/* fd: the memory that came along, or -1. */
static enum rc begin(struct keys_signer *signer, const struct link_request *request, int fd)
{
    enum keys_request asked = (enum keys_request)request->kind->kind;
    struct keys_job *job = NULL;
    struct keys_ask ask;

    enum rc rc = keys_protocol_read_ask(asked, request->body, &ask);
    if (rc == RC_OK)
        rc = keys_job_new(request, keys_protocol_kind(asked), &ask, &job);
    if (rc != RC_OK)
        return rc;
    rc = admit(signer, job, &ask);
    if (rc == RC_OK && ask.sealed > 0)
        rc = keys_job_read_sealed(job, fd, ask.sealed);
    if (rc == RC_OK)
        rc = hand_over(signer, job, &ask, fd);
    if (rc != RC_OK)
        refuse(signer, job, rc);
    return RC_OK;
}

/* What cannot be read is journaled with the digest of the whole request in the item's place. */
static void refuse_unread(struct keys_signer *signer, const struct link_request *request,
                          enum rc rc)
{
    struct keys_ask none = { .count = 1, .items = { request->body } };
    struct keys_job *job = NULL;
    enum keys_kind kind = keys_protocol_kind((enum keys_request)request->kind->kind);

    if (keys_memory_take_stray(&signer->memories, clock_monotonic_ms(signer->clock)) != RC_OK)
        rc = RC_LIMIT;
    if (keys_job_new(request, kind, &none, &job) == RC_OK)
        refuse(signer, job, rc);
    else
        link_answer(request, rc, bytes_of_text("request refused"), -1);
}

/* ---- Questions that need no key ---- */

static enum rc answer_head(struct keys_signer *signer, struct buf *reply)
{
    const struct keys_head head = { .first = journal_first_sequence(signer->journal),
                                    .head = journal_head(signer->journal) };

    keys_protocol_write_head(&head, reply);
    return RC_OK;
}

static enum rc read_on(struct keys_signer *signer, struct buf *reply)
{
    struct journal_entry entry;

    for (size_t i = 0; i < KEYS_ENTRIES_MAX; i++) {
        enum rc rc = journal_cursor_next(signer->reading, &entry);
        if (rc == RC_NOT_FOUND)
            return RC_OK;
        TRY(rc);
        if (!keys_protocol_add_entry(&entry, reply)) {
            signer->reading_at = 0; /* the cursor is one too far */
            return RC_OK;
        }
        signer->reading_at = entry.sequence + 1;
    }
    return RC_OK;
}

static enum rc answer_entries(struct keys_signer *signer, struct bytes body, struct buf *reply)
{
    uint64_t from = 0;

    TRY(keys_protocol_read_from(body, &from));
    if (signer->reading == NULL || signer->reading_at != from) {
        journal_cursor_close(signer->reading);
        signer->reading = NULL;
        TRY(journal_cursor_open(signer->journal, from, &signer->reading));
        signer->reading_at = from;
    }
    return read_on(signer, reply);
}

static enum rc answer_list(struct keys_signer *signer, struct buf *reply)
{
    const struct keys_rules *rules = signer->rules;
    struct keys_list list = { .revision = rules->revision, .count = rules->count };

    for (size_t i = 0; i < rules->count; i++) {
        const struct keys_rule *rule = &rules->rule[i];
        struct keys_listed *one = &list.at[i];
        memcpy(one->name, rule->name, sizeof one->name);
        one->purpose = rule->purpose;
        memcpy(one->public_key, rule->public_key, sizeof one->public_key);
        one->tree_size = keys_memory_of(&signer->memories, rule)->memory.tree_size;
        one->tree_root = keys_memory_of(&signer->memories, rule)->memory.tree_root;
        memcpy(one->origin, rule->origin, sizeof one->origin);
    }
    return keys_protocol_write_list(&list, reply);
}

static enum rc handle(void *with, const struct link_request *request)
{
    struct keys_signer *signer = with;
    AUTO_BUF(reply, LINK_BODY_MAX);
    AUTO_FD came_along = request->fd;
    enum rc rc = RC_OK;

    switch (request->kind->kind) {
    case KEYS_ASK_HEAD:
        rc = answer_head(signer, &reply);
        break;
    case KEYS_ASK_ENTRIES:
        rc = answer_entries(signer, request->body, &reply);
        break;
    case KEYS_ASK_KEYS:
        rc = answer_list(signer, &reply);
        break;
    default:
        rc = begin(signer, request, came_along);
        if (rc != RC_OK)
            refuse_unread(signer, request, rc);
        return RC_OK;
    }
    link_answer(request, rc, rc == RC_OK ? buf_bytes(&reply) : bytes_of_text(fault_text()), -1);
    return RC_OK;
}

/* ---- Life ---- */

/* What broke the link could not be answered, but is written down. */
static enum rc journal_break(struct keys_signer *signer, enum rc rc)
{
    AUTO_BUF(why, 1024);
    struct keys_entry entry = { .kind = KEYS_ENTRY_REFUSED, .rc = rc };
    uint64_t sequence = 0;

    buf_addf(&why, "%s", fault_text());
    entry.text = buf_bytes(&why);
    if (entry.text.len > KEYS_TEXT_MAX)
        entry.text.len = KEYS_TEXT_MAX;
    TRY(keys_entry_append(signer->journal, &entry, &sequence));
    signer->unasked = true; /* committed when the turn ends, with its group */
    return RC_OK;
}

static void asker_gone(void *with)
{
    struct keys_signer *signer = with;
    enum rc why = link_server_ended(signer->asker);
    enum rc rc = why == RC_MALFORMED ? journal_break(signer, why) : RC_OK;

    link_server_close(signer->asker);
    signer->asker = NULL;
    if (rc == RC_CORRUPT)
        fail(signer, rc);
}

static void worker_gone(void *with)
{
    struct worker *worker = with;
    enum rc rc = fault(RC_CLOSED, "a worker ended");
    if (commit_and_answer(worker->signer) != RC_OK)
        rc = fault_while(RC_CLOSED, "after a worker ended");
    fail(worker->signer, rc);
}

enum rc keys_signer_new(struct loop *loop, const struct clock *clock, struct journal *journal,
                        const struct keys_rules *rules, struct keys_signer **signer)
{
    struct keys_signer *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "signer");
    *made = (struct keys_signer){
        .loop = loop, .clock = clock, .journal = journal, .rules = rules
    };
    made->last = &made->settled;
    enum rc rc =
        keys_memory_recover(journal, rules, clock_monotonic_ms(clock), &made->memories);
    if (rc != RC_OK) {
        free(made);
        return rc;
    }
    made->turn.ended = turn_ended;
    loop_add_turn(loop, &made->turn);
    *signer = made;
    return RC_OK;
}

enum rc keys_signer_add_worker(struct keys_signer *signer, int fd)
{
    AUTO_FD owned = fd;

    if (signer->worker_count == WORKERS_MAX)
        return fault(RC_LIMIT, "more than %d workers", WORKERS_MAX);
    struct worker *worker = &signer->workers[signer->worker_count];
    *worker = (struct worker){ .signer = signer };
    TRY(link_open(signer->loop, TAKE_FD(owned), keys_protocol_worker(), worker_gone, worker,
                  &worker->link));
    signer->worker_count++;
    return RC_OK;
}

enum rc keys_signer_serve(struct keys_signer *signer, int fd)
{
    link_server_close(signer->asker);
    signer->asker = NULL;
    return link_serve(signer->loop, fd, keys_protocol_signer(), handle, asker_gone, signer,
                      &signer->asker);
}

enum rc keys_signer_outcome(const struct keys_signer *signer)
{
    return signer->outcome;
}

void keys_signer_free(struct keys_signer *signer)
{
    if (signer == NULL)
        return;
    loop_remove_turn(&signer->turn);
    for (size_t i = 0; i < signer->worker_count; i++)
        link_close(signer->workers[i].link);
    while (signer->settled != NULL) {
        struct keys_job *job = signer->settled;
        signer->settled = job->next;
        answer(signer, job, fault(RC_CLOSED, "the signer ends"));
    }
    link_server_close(signer->asker);
    journal_cursor_close(signer->reading);
    free(signer);
}
