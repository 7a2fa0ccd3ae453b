#include "daemon/authority_state.h"

#include <inttypes.h>
#include <string.h>

#include "audit/checkpoint.h"

/*
 * Signatures of witnesses under a checkpoint, from whoever carried it to them. Each is held
 * against the keys of the settings, so it does not matter who brings them. That they came is
 * told in the log once an hour, with their number: each record brings a new checkpoint, which
 * is cosigned again. The signatures themselves are in the notes.
 */
enum { TELL_EVERY_MS = 3600 * 1000 };

struct cosigning {
    uint64_t size;
    struct bytes lines;
    size_t added;
};

static enum rc read_question(const struct daemon_authority_request *request,
                             struct cosigning *cosigning)
{
    struct reader r = READER(request->question.query);

    *cosigning = (struct cosigning){ .size = reader_u64(&r), .lines = r.left };
    if (r.broken || r.left.len == 0)
        return fault(RC_MALFORMED, "a cosignature comes with the checkpoint's size, u64");
    return RC_OK;
}

static enum rc merge(struct store_txn *txn, struct daemon_authority_request *request,
                     struct cosigning *cosigning)
{
    static const struct audit_witnesses NOBODY;
    const struct daemon_authority_audit *audit = &request->authority->setup.audit;
    AUTO_BUF(note, AUDIT_NOTE_MAX);
    struct bytes kept;
    uint64_t size = 0;

    enum rc rc = audit_log_checkpoint(audit->log, txn, cosigning->size, &size, &kept);
    if (rc == RC_NOT_FOUND || (rc == RC_OK && size != cosigning->size))
        return fault(RC_NOT_FOUND, "no checkpoint of %" PRIu64 " records is kept",
                     cosigning->size);
    TRY(rc);
    buf_add(&note, kept);
    TRY(audit_cosignature_merge(audit->witnesses == NULL ? &NOBODY : audit->witnesses,
                                cosigning->lines, &note, &cosigning->added));
    if (cosigning->added > 0)
        TRY(audit_log_keep_checkpoint(audit->log, txn, size, buf_bytes(&note)));
    buf_reset(&request->list);
    buf_add_u64(&request->list, size);
    buf_add(&request->list, buf_bytes(&note));
    request->answer.query = buf_bytes(&request->list);
    return RC_OK;
}

/* ---- What the log says of it ---- */

static bool is_due(const struct daemon_authority_cosigned *counted, int64_t now_ms)
{
    return counted->told_ms == 0 || now_ms < counted->told_ms ||
           now_ms - counted->told_ms >= TELL_EVERY_MS;
}

/* Is this the one that a record is made of? Several may be in one commit: then the first is. */
static bool tells(struct daemon_authority_cosigned *counted,
                  const struct daemon_authority_request *request)
{
    if (counted->teller == NULL && is_due(counted, request->now_ms))
        counted->teller = request;
    return counted->teller == request;
}

/* Its life ends; counts: it is one of those that the log is to have. */
static void settle(struct daemon_authority_cosigned *counted,
                   const struct daemon_authority_request *request, bool counts)
{
    bool told = counted->teller == request;

    if (told)
        counted->teller = NULL;
    if (!counts)
        return;
    if (told) {
        counted->told_ms = counted->first_ms = request->now_ms;
        counted->count -= counted->telling;
    } else if (counted->count++ == 0) {
        counted->first_ms = request->now_ms;
    }
}

static enum rc record(struct store_txn *txn, struct daemon_authority_request *request,
                      struct daemon_authority_cosigned *counted, enum rc rc, const char *reason)
{
    struct daemon_authority *authority = request->authority;
    AUTO_BUF(target, 64);
    struct reader r = READER(request->question.query);
    struct audit_record record = { .action = AUDIT_LOG_COSIGN,
                                   .decision = rc == RC_OK ? AUDIT_ALLOWED : AUDIT_DENIED,
                                   .wall_ms = request->now_ms,
                                   .monotonic_ms = clock_monotonic_ms(authority->setup.clock),
                                   .actor_kind = AUDIT_PROCESS,
                                   .actor =
                                       bytes_of_text(registry_channel_name(request->channel)),
                                   .reason = bytes_of_text(reason) };

    buf_addf(&target, "checkpoint %" PRIu64, reader_u64(&r));
    record.target = buf_bytes(&target);
    if (record.reason.len > AUDIT_REASON_MAX)
        record.reason.len = AUDIT_REASON_MAX;
    if (counted->count > 0)
        record.aggregate = (struct audit_aggregate_part){ .count = counted->count + 1,
                                                          .first_ms = counted->first_ms,
                                                          .last_ms = request->now_ms,
                                                          .targets = counted->count + 1,
                                                          .targets_capped = true };
    counted->telling = counted->count;
    return audit_log_append(authority->setup.audit.log, txn, &record, NULL);
}

/* ---- A question's life ---- */

static enum rc cosign(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority_cosigned *counted = &request->authority->cosigned;
    AUTO_BUF(said, 64);
    const char *text = NULL;
    struct cosigning cosigning;

    TRY(read_question(request, &cosigning));
    TRY(merge(txn, request, &cosigning));
    request->answer.accepted = cosigning.added > 0;
    if (cosigning.added == 0 || !tells(counted, request))
        return RC_OK;
    buf_addf(&said, "%zu signatures of witnesses", cosigning.added);
    TRY(buf_text(&said, &text));
    return record(txn, request, counted, RC_OK, text);
}

static enum rc record_refusal(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    return record(txn, request, &request->authority->uncosigned, request->failed,
                  request->reason);
}

static void refusal_recorded(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    settle(&request->authority->uncosigned, request, rc == RC_OK);
    if (rc == RC_OK)
        rc = fault(request->failed, "%s", request->reason);
    daemon_authority_turn_away(request, rc);
}

static void refuse(struct daemon_authority_request *request, enum rc rc)
{
    struct bytes reason = bytes_of_text(fault_text());
    size_t len = reason.len < sizeof request->reason ? reason.len : sizeof request->reason - 1;

    memcpy(request->reason, reason.at, len);
    request->reason[len] = '\0';
    request->failed = rc;
    if (tells(&request->authority->uncosigned, request)) {
        daemon_authority_queue(request, record_refusal, refusal_recorded);
        return;
    }
    settle(&request->authority->uncosigned, request, true);
    daemon_authority_turn_away(request, rc);
}

static void cosigned(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority *authority = request->authority;

    settle(&authority->cosigned, request, rc == RC_OK && request->answer.accepted);
    if (rc == RC_DENIED) {
        refuse(request, rc);
        return;
    }
    if (rc != RC_OK) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    daemon_authority_answer(request);
    daemon_authority_publish(authority);
}

void daemon_authority_cosign(struct daemon_authority_request *request)
{
    if (request->authority->setup.audit.log == NULL)
        daemon_authority_turn_away(request, fault(RC_NOT_FOUND, "no audit log is kept"));
    else
        daemon_authority_queue(request, cosign, cosigned);
}
