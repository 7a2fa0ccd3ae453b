#include "daemon/authority_state.h"

#include <inttypes.h>
#include <string.h>

#include "pki/crl.h"

static const char *reason_of(const struct daemon_authority_request *request)
{
    const char *reason = pki_crl_reason_name((enum pki_reason)request->question.reason);

    return reason != NULL ? reason : "none";
}

/* What each of many records says besides: why, and by whose proposal. */
static void say_why(const struct daemon_authority_request *request, struct buf *text)
{
    buf_addf(text, "reason %s", reason_of(request));
    if (request->proposal.number != 0)
        buf_addf(text, "; proposal %" PRIu64 " of %s", request->proposal.number,
                 request->proposal.author);
}

/* ---- With its certificates ---- */

struct ending {
    struct daemon_authority_request *request;
    const char *why;
};

static enum rc record_end(struct store_txn *txn, struct registry_certificate *one, void *with)
{
    const struct ending *ending = with;

    ending->request->about = *one;
    return daemon_authority_record(txn, ending->request, RC_OK, ending->why);
}

/* Whoever searches for a certificate finds its end as he finds its beginning. */
enum rc daemon_authority_revoke(struct store_txn *txn, struct daemon_authority_request *request,
                                enum registry_kind kind, struct bytes id, const char *why)
{
    const enum audit_action as = request->as;
    AUTO_BUF(text, 2 * AUDIT_REASON_MAX);
    struct ending ending = { request, NULL };

    buf_addf(&text, "with its %s%s%s", registry_kind_name(kind), *why == '\0' ? "" : "; ", why);
    TRY(buf_text(&text, &ending.why));
    request->as = AUDIT_CERTIFICATE_REVOKE;
    enum rc rc = registry_certificate_each_active(txn, kind, id, record_end, &ending);
    request->as = as;
    request->about = (struct registry_certificate){ 0 };
    TRY(rc);
    return registry_subject_become(txn, kind, id, REGISTRY_REVOKED, request->question.reason,
                                   request->now_ms);
}

/* ---- Many ---- */

/* Each that becomes revoked has a record of its own, as if it had been asked for alone. */
static enum rc revoke_one(struct store_txn *txn, struct daemon_authority_request *request,
                          const char *why, enum registry_outcome *outcome)
{
    daemon_authority_aim(request, registry_kind_name(REGISTRY_DEVICE), request->id);
    TRY(daemon_authority_judge_revocation(txn, request, request->id));
    enum rc rc =
        daemon_authority_revoke(txn, request, REGISTRY_DEVICE, bytes_of_text(request->id), why);

    *outcome = rc == RC_OK       ? REGISTRY_OUTCOME_REVOKED
               : rc == RC_EXISTS ? REGISTRY_OUTCOME_WAS_REVOKED
                                 : REGISTRY_OUTCOME_UNKNOWN;
    if (rc == RC_EXISTS || rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    return daemon_authority_record(txn, request, RC_OK, why);
}

static enum rc revoke_each(struct store_txn *txn, struct daemon_authority_request *request,
                           const char *why)
{
    const struct policy_decision judged = request->judged;
    struct reader ids = READER(request->question.ids);
    uint64_t counts[REGISTRY_OUTCOMES] = { 0 };
    enum registry_outcome outcome = REGISTRY_OUTCOME_UNKNOWN;
    enum rc rc = RC_OK;

    buf_reset(&request->list);
    while ((rc = registry_ids_next(&ids, request->id)) == RC_OK) {
        TRY(revoke_one(txn, request, why, &outcome));
        request->judged = judged;
        buf_add_u8(&request->list, (uint8_t)outcome);
        counts[outcome]++;
    }
    if (rc != RC_NOT_FOUND)
        return rc;
    request->answer.list = buf_bytes(&request->list);
    request->answer.counts = (struct registry_counts){ counts[REGISTRY_OUTCOME_REVOKED],
                                                       counts[REGISTRY_OUTCOME_WAS_REVOKED],
                                                       counts[REGISTRY_OUTCOME_UNKNOWN] };
    return RC_OK;
}

static enum rc say_counts(struct daemon_authority_request *request)
{
    const struct registry_counts *counts = &request->answer.counts;
    const char *said = NULL, *number = NULL;
    AUTO_BUF(text, 2 * AUDIT_REASON_MAX);
    AUTO_BUF(named, 32);

    buf_addf(&text,
             "%" PRIu64 " revoked, %" PRIu64 " were before, %" PRIu64 " unknown; reason %s",
             counts->revoked, counts->were_revoked, counts->unknown, reason_of(request));
    if (request->question.why[0] != '\0')
        buf_addf(&text, "; %s", request->question.why);
    TRY(buf_text(&text, &said));
    size_t len = text.len < sizeof request->said ? text.len : sizeof request->said - 1;
    memcpy(request->said, said, len);
    request->said[len] = '\0';
    buf_addf(&named, "%zu", request->answer.list.len);
    TRY(buf_text(&named, &number));
    daemon_authority_aim(request, "devices", number);
    return RC_OK;
}

enum rc daemon_authority_revoke_many(struct store_txn *txn,
                                     struct daemon_authority_request *request)
{
    enum audit_action as = request->as;
    const char *why = NULL;
    AUTO_BUF(text, AUDIT_REASON_MAX);

    if (request->question.ids.len == 0)
        return fault(RC_MALFORMED, "devices: none is named");
    say_why(request, &text);
    TRY(buf_text(&text, &why));
    request->as = AUDIT_DEVICE_REVOKE;
    enum rc rc = revoke_each(txn, request, why);
    request->as = as;
    request->id[0] = '\0';
    request->target[0] = '\0';
    TRY(rc);
    return say_counts(request);
}

enum rc daemon_authority_count_single(struct store_txn *txn,
                                      const struct daemon_authority_request *request)
{
    const struct daemon_authority_settings *settings = &request->authority->setup.settings;
    bool one = (request->ask == REGISTRY_ASK_DEVICE_STATE &&
                request->question.state == REGISTRY_REVOKED) ||
               (request->ask == REGISTRY_ASK_CERTIFICATE_REVOKE &&
                request->about.kind == REGISTRY_DEVICE);

    if (!one || (settings->four_eyes & UINT32_C(1) << REGISTRY_ACT_REVOCATION) == 0)
        return RC_OK;
    return registry_single_add(txn, bytes_of_text(request->actor.id), settings->singles_most,
                               request->now_ms);
}
