#include "broker/recorder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "broker/metrics.h"

enum { TIDY_MS = 10 * 1000, JAMMED_MS = 1, ANSWERS_FIRST = 64, AGAIN_MS = 500 };

/* Records of one mail, until all of them are in the spool. */
struct delivery {
    struct delivery *next;
    struct broker_mail mail; /* what: struct broker_records */
    size_t durable, written; /* of them: the rest is to be written */
    bool refused;            /* whoever sent it knows that it waits */
};

struct broker_recorder {
    struct broker_recorder_setup setup;
    pthread_t thread;
    struct loop *loop;
    struct loop_watch bell;
    struct loop_timer tidy;
    struct loop_timer jam;   /* a receiver is slow: its mail is tried again */
    struct loop_timer again; /* the spool is full: it is tried again */
    struct delivery *first, **end;
    uint64_t acts;    /* that are told in what is written, and not durable yet */
    bool has_refused; /* since a batch went, which tells how many */
    /* What this turn brought, to be answered when it is committed: RETAIN with its message. */
    struct broker_mail *answers;
    size_t answer_count, answer_room;
    bool asked;     /* main waits for a batch ... */
    uint64_t after; /* ... of what follows this */
    bool stopping;
};

static void answer(struct broker_recorder *recorder, unsigned to,
                   const struct broker_mail *mail)
{
    enum rc rc = broker_post_send(recorder->setup.post, BROKER_POST_RECORDER, to, mail);

    if (rc != RC_OK)
        loop_stop(recorder->loop); /* without memory for an answer nothing goes on */
}

static enum rc note_answer(struct broker_recorder *recorder, const struct broker_mail *mail)
{
    if (recorder->answer_count == recorder->answer_room) {
        size_t room = recorder->answer_room == 0 ? ANSWERS_FIRST : recorder->answer_room * 2;
        struct broker_mail *grown = realloc(recorder->answers, room * sizeof *grown);
        if (grown == NULL)
            return fault(RC_NOMEM, "answers of the recorder");
        recorder->answers = grown;
        recorder->answer_room = room;
    }
    recorder->answers[recorder->answer_count++] = *mail;
    return RC_OK;
}

/* ---- Taking in ---- */

static enum rc take_records(struct broker_recorder *recorder, const struct broker_mail *mail)
{
    struct delivery *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "records for the spool"); /* the next life finds them */
    made->mail = *mail;
    *recorder->end = made;
    recorder->end = &made->next;
    return RC_OK;
}

static enum rc take_message(struct broker_recorder *recorder, struct broker_mail *mail)
{
    mail->rc = broker_keeper_append(recorder->setup.keeper, mail->what);
    return note_answer(recorder, mail);
}

static enum rc take(struct broker_recorder *recorder, struct broker_mail *mail)
{
    if (mail->kind == BROKER_MAIL_RECORDS)
        return take_records(recorder, mail);
    if (mail->kind == BROKER_MAIL_RETAIN)
        return take_message(recorder, mail);
    if (mail->kind == BROKER_MAIL_SPOOL) {
        recorder->asked = true;
        recorder->after = mail->number;
    } else {
        recorder->stopping = true;
    }
    return RC_OK;
}

/* ---- Into the spool, in the order in which they came ---- */

static struct broker_records *records_of(const struct delivery *delivery)
{
    return delivery->mail.what;
}

static enum rc write_slot(struct broker_recorder *recorder, struct audit_slot *slot)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct audit_record record;

    TRY(audit_slot_read(slot, &room, &record));
    TRY(audit_spool_add(recorder->setup.spool, &record));
    audit_slot_promise(slot, audit_spool_pending(recorder->setup.spool));
    recorder->acts += record.aggregate.count == 0 ? 1 : record.aggregate.count;
    return RC_OK;
}

/* RC_LIMIT: no more fits, into the spool or into one commit. */
static enum rc write_deliveries(struct broker_recorder *recorder)
{
    for (struct delivery *at = recorder->first; at != NULL; at = at->next)
        for (; at->written < records_of(at)->count; at->written++)
            TRY(write_slot(recorder, records_of(at)->slots[at->written]));
    return RC_OK;
}

static size_t settle(struct broker_recorder *recorder, struct delivery *delivery, bool durable)
{
    size_t before = delivery->durable;

    for (size_t i = before; i < delivery->written; i++) {
        struct audit_slot *slot = records_of(delivery)->slots[i];
        if (durable)
            audit_pending_release(recorder->setup.pending, slot);
        else
            audit_slot_promise(slot, 0);
    }
    if (durable)
        delivery->durable = delivery->written;
    else
        delivery->written = before;
    return delivery->durable - before;
}

static void answer_delivery(struct broker_recorder *recorder, const struct delivery *delivery,
                            enum rc rc)
{
    const struct broker_mail mail = { .kind = BROKER_MAIL_RECORDED,
                                      .number = delivery->mail.number,
                                      .rc = rc };

    answer(recorder, delivery->mail.from, &mail);
}

/* The slots are free before the spool is read on, and trimmed: a promise is kept, or void. */
static enum rc commit_written(struct broker_recorder *recorder)
{
    enum rc rc = audit_spool_commit(recorder->setup.spool);
    size_t written = 0;

    if (rc != RC_OK && rc != RC_LIMIT)
        return rc; /* what the disk holds is unknown: the promises tell the next life */
    for (struct delivery *at = recorder->first; at != NULL; at = at->next)
        written += settle(recorder, at, rc == RC_OK);
    broker_metric_add(BROKER_AUDIT_RECORDS, (int64_t)written);
    if (rc == RC_OK)
        broker_metric_add(BROKER_AUDIT_ACTS, (int64_t)recorder->acts);
    recorder->acts = 0;
    while (recorder->first != NULL &&
           recorder->first->durable == records_of(recorder->first)->count) {
        struct delivery *done = recorder->first;
        recorder->first = done->next;
        if (recorder->first == NULL)
            recorder->end = &recorder->first;
        answer_delivery(recorder, done, RC_OK);
        free(done->mail.what);
        free(done);
    }
    return rc;
}

static enum rc refuse_rest(struct broker_recorder *recorder)
{
    for (struct delivery *at = recorder->first; at != NULL; at = at->next) {
        if (at->refused)
            continue;
        at->refused = recorder->has_refused = true;
        broker_metric_add(BROKER_AUDIT_REFUSED, (int64_t)(records_of(at)->count - at->durable));
        answer_delivery(recorder, at, RC_LIMIT);
    }
    return recorder->first == NULL || recorder->stopping
               ? RC_OK
               : loop_arm(recorder->loop, &recorder->again, AGAIN_MS);
}

/* A group of the journal has an end, so one commit may not hold all. */
static enum rc spool_all(struct broker_recorder *recorder)
{
    enum rc rc;

    do {
        const struct delivery *first = recorder->first;
        size_t durable = first == NULL ? 0 : first->durable;
        rc = write_deliveries(recorder);
        if (rc != RC_OK && rc != RC_LIMIT)
            return rc;
        enum rc committed = commit_written(recorder);
        if (committed != RC_OK && committed != RC_LIMIT)
            return committed;
        bool nothing = first == recorder->first && (first == NULL || durable == first->durable);
        if (committed == RC_LIMIT || nothing)
            break;
    } while (rc == RC_LIMIT);
    broker_metric_set(BROKER_AUDIT_SPOOLED,
                      (int64_t)audit_spool_sequence(recorder->setup.spool));
    broker_metric_set(BROKER_AUDIT_PENDING,
                      (int64_t)audit_pending_used(recorder->setup.pending));
    return refuse_rest(recorder);
}

/* ---- Committing, and answering ---- */

static void set_retained(struct broker_recorder *recorder, struct broker_mail *mail,
                         enum rc committed)
{
    struct message *message = mail->what;

    if (mail->rc == RC_OK)
        mail->rc = committed;
    if (mail->rc == RC_OK)
        mail->rc = broker_keeper_set(recorder->setup.keeper, message);
    if (mail->rc != RC_OK)
        return; /* who is told needs its topic */
    broker_message_release(message);
    mail->what = NULL;
}

static enum rc keep_messages(struct broker_recorder *recorder)
{
    enum rc kept =
        recorder->answer_count > 0 ? broker_keeper_commit(recorder->setup.keeper) : RC_OK;

    for (size_t i = 0; i < recorder->answer_count; i++) {
        struct broker_mail *mail = &recorder->answers[i];
        set_retained(recorder, mail, kept);
        mail->kind = BROKER_MAIL_RETAINED;
        answer(recorder, mail->from, mail);
    }
    recorder->answer_count = 0;
    return kept == RC_IO ? RC_IO : RC_OK;
}

static enum rc commit(struct broker_recorder *recorder)
{
    enum rc spooled = spool_all(recorder);
    enum rc kept = keep_messages(recorder);

    return spooled == RC_OK ? kept : spooled;
}

/* ---- What the authority has not taken yet ---- */

static enum rc fill_batch(struct broker_recorder *recorder, struct buf *batch)
{
    if (recorder->after == BROKER_RECORDER_GREET)
        return audit_spool_greet(recorder->setup.spool, batch);
    return audit_spool_read(recorder->setup.spool, recorder->after, BROKER_RECORDER_BATCH,
                            batch);
}

/* The authority has all, and something waits: what it has makes room. If not now, since the
 * disk is full, then when it is tried again. */
static void make_room(struct broker_recorder *recorder)
{
    enum rc rc = recorder->first == NULL
                     ? RC_OK
                     : audit_spool_trim(recorder->setup.spool, recorder->after);
    (void)rc;
}

static enum rc send_batch(struct broker_recorder *recorder)
{
    struct broker_mail mail = { .kind = BROKER_MAIL_BATCH,
                                .number = audit_spool_sequence(recorder->setup.spool) };

    if (!recorder->asked)
        return RC_OK;
    if (recorder->after == mail.number) {
        make_room(recorder);
        return RC_OK;
    }
    recorder->has_refused = false;
    struct buf *batch = malloc(sizeof *batch);
    if (batch == NULL)
        return fault(RC_NOMEM, "batch of the spool");
    *batch = BUF_MAX(BROKER_RECORDER_BATCH);
    recorder->asked = false;
    mail.rc = fill_batch(recorder, batch);
    mail.what = batch;
    answer(recorder, BROKER_POST_MAIN, &mail);
    return mail.rc == RC_CORRUPT || mail.rc == RC_IO ? mail.rc : RC_OK;
}

/* ---- The thread ---- */

static enum rc on_again(struct loop_timer *timer)
{
    struct broker_recorder *recorder =
        (void *)((char *)timer - offsetof(struct broker_recorder, again));
    enum rc rc = spool_all(recorder);

    /* With a full spool there may be nothing to hand on: a batch without records tells. */
    if (recorder->has_refused && recorder->after == audit_spool_sequence(recorder->setup.spool))
        recorder->after = BROKER_RECORDER_GREET;
    if (rc == RC_OK)
        rc = send_batch(recorder);
    broker_post_deliver(recorder->setup.post, BROKER_POST_RECORDER);
    return rc;
}

static enum rc on_bell(struct loop_watch *watch, unsigned ready)
{
    struct broker_recorder *recorder =
        (void *)((char *)watch - offsetof(struct broker_recorder, bell));
    struct broker_mail mail;

    size_t taken;

    (void)ready;
    do { /* the word to stop may have come before what others had sent */
        broker_post_open(recorder->setup.post, BROKER_POST_RECORDER);
        for (taken = 0; broker_post_next(recorder->setup.post, BROKER_POST_RECORDER, &mail);
             taken++)
            TRY(take(recorder, &mail));
    } while (recorder->stopping && taken > 0);
    enum rc rc = commit(recorder);
    if (rc == RC_OK)
        rc = send_batch(recorder);
    broker_post_deliver(recorder->setup.post, BROKER_POST_RECORDER);
    if (broker_post_is_jammed(recorder->setup.post, BROKER_POST_RECORDER))
        TRY(loop_arm(recorder->loop, &recorder->jam, JAMMED_MS));
    if (recorder->stopping)
        loop_stop(recorder->loop);
    return rc;
}

static enum rc on_jam(struct loop_timer *timer)
{
    struct broker_recorder *recorder =
        (void *)((char *)timer - offsetof(struct broker_recorder, jam));

    broker_post_deliver(recorder->setup.post, BROKER_POST_RECORDER);
    if (broker_post_is_jammed(recorder->setup.post, BROKER_POST_RECORDER))
        return loop_arm(recorder->loop, timer, JAMMED_MS);
    return RC_OK;
}

/* Whoever asks for what follows has the rest. */
static void forget(struct broker_recorder *recorder)
{
    if (!recorder->asked || recorder->after == BROKER_RECORDER_GREET)
        return;
    enum rc rc = audit_spool_forget(recorder->setup.spool, recorder->after);
    (void)rc; /* without room it is tried again */
}

static enum rc on_tidy(struct loop_timer *timer)
{
    struct broker_recorder *recorder =
        (void *)((char *)timer - offsetof(struct broker_recorder, tidy));
    enum rc rc =
        recorder->setup.keeper == NULL ? RC_OK : broker_keeper_tidy(recorder->setup.keeper);

    forget(recorder);
    TRY(loop_arm(recorder->loop, timer, TIDY_MS));
    return rc == RC_IO || rc == RC_CORRUPT ? rc : RC_OK; /* a full journal is tried again */
}

static enum rc serve(struct broker_recorder *recorder)
{
    if (recorder->setup.keeper != NULL)
        broker_keeper_adopt(recorder->setup.keeper);
    TRY(loop_new(recorder->setup.clock, &recorder->loop));
    TRY(loop_add(recorder->loop, &recorder->bell,
                 broker_post_bell(recorder->setup.post, BROKER_POST_RECORDER), LOOP_READ));
    TRY(loop_arm(recorder->loop, &recorder->tidy, TIDY_MS));
    return loop_run(recorder->loop);
}

static void *run(void *with)
{
    struct broker_recorder *recorder = with;

    enum rc rc = serve(recorder);
    if (!recorder->stopping) {
        const struct broker_mail mail = {
            .kind = BROKER_MAIL_FAILED,
            .rc = rc == RC_OK ? RC_NOMEM : rc,
            .what = strdup(fault_text()),
        };
        answer(recorder, BROKER_POST_MAIN, &mail);
        broker_post_deliver(recorder->setup.post, BROKER_POST_RECORDER);
    }
    loop_remove(&recorder->bell);
    loop_disarm(&recorder->tidy);
    loop_disarm(&recorder->jam);
    loop_disarm(&recorder->again);
    loop_free(recorder->loop);
    return NULL;
}

enum rc broker_recorder_start(const struct broker_recorder_setup *setup,
                              struct broker_recorder **recorder)
{
    struct broker_recorder *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "recorder");
    made->setup = *setup;
    made->bell.ready = on_bell;
    made->tidy.due = on_tidy;
    made->jam.due = on_jam;
    made->again.due = on_again;
    made->end = &made->first;
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        free(made);
        return fault_errno("thread of the recorder");
    }
    *recorder = made;
    return RC_OK;
}

void broker_recorder_join(struct broker_recorder *recorder)
{
    if (recorder == NULL)
        return;
    pthread_join(recorder->thread, NULL);
    while (recorder->first != NULL) { /* their slots are for the next life */
        struct delivery *left = recorder->first;
        recorder->first = left->next;
        free(left->mail.what);
        free(left);
    }
    free(recorder->answers);
    free(recorder);
}
