#include "broker/recorder.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "broker/metrics.h"

enum { TIDY_MS = 10 * 1000, JAMMED_MS = 1, ANSWERS_FIRST = 64 };

struct broker_recorder {
    struct broker_recorder_setup setup;
    pthread_t thread;
    struct loop *loop;
    struct loop_watch bell;
    struct loop_timer tidy;
    struct loop_timer jam; /* a receiver is slow: its mail is tried again */
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

static enum rc add_records(struct broker_recorder *recorder, const struct buf *records)
{
    struct reader r = READER(buf_bytes(records));
    struct audit_record record;

    while (!reader_done(&r)) {
        struct bytes form = reader_sized16(&r, AUDIT_RECORD_MAX);
        TRY(audit_record_read(form, &record));
        TRY(audit_spool_add(recorder->setup.spool, &record));
        broker_metric_add(BROKER_AUDIT_RECORDS, 1);
    }
    return RC_OK;
}

static enum rc take_records(struct broker_recorder *recorder, struct broker_mail *mail)
{
    struct buf *records = mail->what;

    mail->rc = add_records(recorder, records);
    buf_clear(records);
    free(records);
    return note_answer(recorder, mail);
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

/* ---- Committing, and answering ---- */

static void set_retained(struct broker_recorder *recorder, struct broker_mail *mail,
                         enum rc committed)
{
    struct message *message = mail->what;

    if (mail->rc == RC_OK)
        mail->rc = committed;
    if (mail->rc == RC_OK)
        mail->rc = broker_keeper_set(recorder->setup.keeper, message);
    broker_message_release(message);
    mail->what = NULL;
}

static enum rc commit(struct broker_recorder *recorder)
{
    bool retained = false;

    for (size_t i = 0; i < recorder->answer_count; i++)
        retained = retained || recorder->answers[i].kind == BROKER_MAIL_RETAIN;
    enum rc spooled = audit_spool_commit(recorder->setup.spool);
    enum rc kept = retained ? broker_keeper_commit(recorder->setup.keeper) : RC_OK;

    for (size_t i = 0; i < recorder->answer_count; i++) {
        struct broker_mail *mail = &recorder->answers[i];
        if (mail->kind == BROKER_MAIL_RETAIN) {
            set_retained(recorder, mail, kept);
            mail->kind = BROKER_MAIL_RETAINED;
        } else {
            mail->kind = BROKER_MAIL_RECORDED;
            mail->rc = mail->rc == RC_OK ? spooled : mail->rc;
            mail->what = NULL;
        }
        answer(recorder, mail->from, mail);
    }
    recorder->answer_count = 0;
    return spooled == RC_IO || kept == RC_IO ? RC_IO : RC_OK;
}

/* ---- What the authority has not taken yet ---- */

static enum rc fill_batch(struct broker_recorder *recorder, struct buf *batch)
{
    if (recorder->after == BROKER_RECORDER_GREET)
        return audit_spool_greet(recorder->setup.spool, batch);
    return audit_spool_read(recorder->setup.spool, recorder->after, BROKER_RECORDER_BATCH,
                            batch);
}

static enum rc send_batch(struct broker_recorder *recorder)
{
    struct broker_mail mail = { .kind = BROKER_MAIL_BATCH,
                                .number = audit_spool_sequence(recorder->setup.spool) };

    if (!recorder->asked || recorder->after == mail.number)
        return RC_OK;
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

static enum rc on_tidy(struct loop_timer *timer)
{
    struct broker_recorder *recorder =
        (void *)((char *)timer - offsetof(struct broker_recorder, tidy));
    enum rc rc =
        recorder->setup.keeper == NULL ? RC_OK : broker_keeper_tidy(recorder->setup.keeper);

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
    free(recorder->answers);
    free(recorder);
}
