/* What a thread of the door has for the recorder: records in their slots, sent once a turn. */
#pragma once

#include "audit/pending.h"
#include "broker/post.h"

/* As BROKER_MAIL_RECORDS carries them. */
struct broker_records {
    size_t count, room;
    struct audit_slot *slots[];
};

/* One thread's. All records of a mail have one ticket, its number. */
struct broker_outbox {
    struct broker_post *post; /* borrowed, both */
    struct audit_pending *pending;
    unsigned party;
    struct broker_records *records; /* that did not leave yet; NULL: none */
    uint64_t ticket;                /* of those, or of the last ones that left */
};

/* A record of its own; after an error there is none. Its ticket is outbox->ticket. */
enum rc broker_outbox_add(struct broker_outbox *outbox, const struct audit_record *record);
/* A slot that is a record already, or a window that is over: owned from here on. RC_NOMEM: it
 * is still the caller's. */
enum rc broker_outbox_put(struct broker_outbox *outbox, struct audit_slot *slot);
enum rc broker_outbox_end(struct broker_outbox *outbox, struct audit_slot *window);
/* At the end of a turn, before the post is delivered. */
void broker_outbox_send(struct broker_outbox *outbox);
/* What did not leave is for the next life. */
void broker_outbox_close(struct broker_outbox *outbox);
