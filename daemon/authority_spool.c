#include "daemon/authority_state.h"

#include <string.h>

#include "audit/spool.h"
#include "base/text.h"

/*
 * A door's own audit records, pushed by it (DESIGN.md D6: calls go one way), taken into the log
 * under the name of its channel, a batch in one transaction. What was taken before is passed
 * over; a batch that leaves records out is refused whole: the door shall not go on as if they
 * had never been.
 */

/* Of a batch, before its records: a door greets with no more, before each try, and ends no
 * trouble by that. */
enum { BATCH_HEAD = AUDIT_SPOOL_ID + 8 };

enum audit_source daemon_authority_source(enum registry_channel channel)
{
    return channel == REGISTRY_DEVICE_DOOR ? AUDIT_FROM_DEVICE_DOOR : AUDIT_FROM_OPERATOR_DOOR;
}

static enum daemon_authority_trouble trouble_of(enum registry_channel channel)
{
    return channel == REGISTRY_DEVICE_DOOR ? DAEMON_AUTHORITY_DEVICE_SPOOL
                                           : DAEMON_AUTHORITY_OPERATOR_SPOOL;
}

/* Whoever loses a spool begins another: that shows. */
static enum rc record_beginning(struct store_txn *txn, struct daemon_authority_request *request,
                                const struct audit_origin *origin)
{
    AUTO_BUF(target, sizeof request->target);
    const char *text = NULL;

    buf_addf(&target, "spool ");
    text_add_hex(&target, BYTES_OF(origin->spool));
    TRY(buf_text(&target, &text));
    memcpy(request->target, text, target.len + 1);
    return daemon_authority_record(txn, request, RC_OK, "a door's spool begins");
}

static enum rc take(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct audit_log *log = request->authority->setup.audit.log;
    struct audit_taking taking = {
        .origin = { .source = daemon_authority_source(request->channel),
                    .now_ms = clock_wall_ms(request->authority->setup.clock) },
    };
    struct audit_batch batch;
    struct bytes record;
    bool taken = false;
    enum rc rc;

    TRY(audit_batch_read(request->question.query, &batch));
    memcpy(taking.origin.spool, batch.spool, sizeof taking.origin.spool);
    TRY(audit_log_take_begin(log, txn, &taking));
    while ((rc = audit_batch_next(&batch, &taking.origin.sequence, &record)) == RC_OK) {
        bool begins = taking.last == 0;
        TRY(audit_log_take_one(log, txn, &taking, record, &taken));
        if (taken && begins)
            TRY(record_beginning(txn, request, &taking.origin));
    }
    if (rc != RC_NOT_FOUND)
        return rc;
    request->answer.sequence = taking.last;
    return audit_log_take_end(log, txn, &taking);
}

static void taken(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    enum daemon_authority_trouble what = trouble_of(request->channel);

    request->authority->spooled[request->channel] = request->question.spooled;
    if (rc == RC_OK) {
        if (request->question.query.len > BATCH_HEAD)
            daemon_authority_trouble_end(request->authority, what);
        daemon_authority_answer(request);
    } else if ((rc == RC_DENIED || rc == RC_MALFORMED) &&
               daemon_authority_trouble_begin(request->authority, what)) {
        daemon_authority_refuse(request, rc);
    } else {
        daemon_authority_turn_away(request, rc);
    }
}

void daemon_authority_spool(struct daemon_authority_request *request)
{
    daemon_authority_queue(request, take, taken);
}
