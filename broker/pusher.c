#include <stdlib.h>

#include "broker/door_state.h"
#include "broker/metrics.h"

enum { AGAIN_MS = 1000 };

/*
 * Hands the audit spool on to the authority (CONTRACT: calls go one way, so the door pushes).
 * One batch is under way at a time: the recorder is asked for what follows what the authority
 * has, answers as soon as there is something, and the answer to the batch says how far it is.
 */
struct pusher {
    struct broker_door *door;
    struct loop_timer again;
    uint64_t last; /* of the spool, when the batch was read */
};

static void ask_recorder(struct pusher *pusher, uint64_t after)
{
    const struct broker_mail mail = { .kind = BROKER_MAIL_SPOOL, .number = after };

    if (broker_post_send(pusher->door->post, BROKER_POST_MAIN, BROKER_POST_RECORDER, &mail) !=
        RC_OK)
        broker_door_tell(pusher->door, BROKER_DOOR_SPOOL, "", fault_text());
}

static void try_later(struct pusher *pusher)
{
    if (loop_arm(pusher->door->setup.loop, &pusher->again, AGAIN_MS) != RC_OK)
        broker_door_tell(pusher->door, BROKER_DOOR_SPOOL, "", fault_text());
}

void broker_pusher_greet(struct pusher *pusher)
{
    ask_recorder(pusher, BROKER_RECORDER_GREET);
}

static enum rc on_again(struct loop_timer *timer)
{
    broker_pusher_greet((void *)((char *)timer - offsetof(struct pusher, again)));
    return RC_OK;
}

static void on_taken(void *with, enum rc rc, const struct registry_answer *answer,
                     struct bytes reason)
{
    struct pusher *pusher = with;
    AUTO_BUF(why, 1024);
    const char *text = "";

    if (rc == RC_OK) {
        broker_metric_set(BROKER_AUDIT_TAKEN, (int64_t)answer->sequence);
        broker_metric_set(BROKER_AUDIT_WAITING, (int64_t)(pusher->last - answer->sequence));
        ask_recorder(pusher, answer->sequence);
        return;
    }
    buf_addf(&why, "%.*s", BYTES_FMT(reason));
    if (rc != RC_CLOSED && buf_text(&why, &text) == RC_OK)
        broker_door_tell(pusher->door, BROKER_DOOR_SPOOL, "", text);
    try_later(pusher);
}

void broker_pusher_take(struct pusher *pusher, const struct broker_mail *mail)
{
    struct buf *batch = mail->what;
    const struct registry_question question = {
        .query = buf_bytes(batch),
        .spooled = { mail->number, (uint64_t)broker_metric_get(BROKER_AUDIT_REFUSED) },
    };
    enum rc rc = mail->rc;

    pusher->last = mail->number;
    if (rc == RC_OK)
        rc = broker_front_ask(pusher->door->front, REGISTRY_ASK_SPOOL, &question, on_taken,
                              pusher);
    if (mail->rc == RC_OK && rc != RC_OK && broker_front_is_connected(pusher->door->front))
        broker_door_tell(pusher->door, BROKER_DOOR_SPOOL, "", fault_text());
    else if (mail->rc != RC_OK)
        broker_door_tell(pusher->door, BROKER_DOOR_SPOOL, "",
                         "the authority is at a sequence that the spool does not have");
    if (rc != RC_OK)
        try_later(pusher);
    buf_clear(batch);
    free(batch);
}

enum rc broker_pusher_new(struct broker_door *door, struct pusher **pusher)
{
    struct pusher *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "pusher of the spool");
    made->door = door;
    made->again.due = on_again;
    *pusher = made;
    return RC_OK;
}

void broker_pusher_free(struct pusher *pusher)
{
    if (pusher == NULL)
        return;
    loop_disarm(&pusher->again);
    free(pusher);
}
