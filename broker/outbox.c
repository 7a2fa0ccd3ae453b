#include "broker/outbox.h"

#include <stdlib.h>

enum { FIRST = 16, MOST = 2048 /* slots in a mail: what the recorder commits at once */ };

static enum rc make_room(struct broker_outbox *outbox)
{
    struct broker_records *records = outbox->records;

    if (records != NULL && records->count < records->room)
        return RC_OK;
    /* A turn may end a window of thousands of connections: what is full leaves at once. */
    if (records != NULL && records->count == MOST)
        broker_outbox_send(outbox);
    records = outbox->records;
    size_t room = records == NULL ? FIRST : 2 * records->room;
    struct broker_records *grown =
        realloc(records, sizeof *grown + room * sizeof grown->slots[0]);
    if (grown == NULL)
        return fault(RC_NOMEM, "audit records of a turn");
    if (records == NULL) {
        grown->count = 0;
        outbox->ticket++;
    }
    grown->room = room;
    outbox->records = grown;
    return RC_OK;
}

enum rc broker_outbox_put(struct broker_outbox *outbox, struct audit_slot *slot)
{
    TRY(make_room(outbox));
    outbox->records->slots[outbox->records->count++] = slot;
    return RC_OK;
}

enum rc broker_outbox_end(struct broker_outbox *outbox, struct audit_slot *window)
{
    TRY(make_room(outbox));
    audit_pending_end(outbox->pending, window);
    return broker_outbox_put(outbox, window);
}

enum rc broker_outbox_add(struct broker_outbox *outbox, const struct audit_record *record)
{
    struct audit_slot *slot;

    TRY(make_room(outbox));
    TRY(audit_pending_add(outbox->pending, record, &slot));
    return broker_outbox_put(outbox, slot);
}

void broker_outbox_send(struct broker_outbox *outbox)
{
    if (outbox->records == NULL || outbox->records->count == 0)
        return;
    const struct broker_mail mail = { .kind = BROKER_MAIL_RECORDS,
                                      .number = outbox->ticket,
                                      .what = outbox->records };
    if (broker_post_send(outbox->post, outbox->party, BROKER_POST_RECORDER, &mail) == RC_OK)
        outbox->records = NULL; /* else they go with the next turn's */
}

void broker_outbox_close(struct broker_outbox *outbox)
{
    free(TAKE(outbox->records));
}
