#include "daemon/authority_state.h"

#include <inttypes.h>

static enum rc refuse(enum registry_right right, const char *why)
{
    return fault(RC_DENIED, "%s: %s", registry_right_name(right), why);
}

enum rc daemon_authority_check_actor(struct store_txn *txn,
                                     struct daemon_authority_request *request,
                                     enum registry_right right)
{
    const struct registry_actor *actor = &request->question.preamble.actor;
    struct registry_certificate certificate;
    struct registry_subject subject;

    request->actor = (struct registry_subject){ 0 };
    request->denied = request->judged = (struct policy_decision){ 0 };
    request->shown = (struct registry_certificate){ 0 };
    if (!registry_right_passes(right, request->channel))
        return refuse(right, "not through this door");
    /* No policy judges the audit log's sinks: no rule hides from them what its author did. */
    if (right == REGISTRY_RIGHT_NONE || request->channel == REGISTRY_EXPORTER)
        return RC_OK;
    if (!actor->known)
        return refuse(right, "needs a client certificate");
    enum rc rc = registry_certificate_get(txn, &actor->fingerprint, &certificate);
    if (rc == RC_NOT_FOUND)
        return refuse(right, "the client certificate is not registered");
    TRY(rc);
    request->shown = certificate;
    if (certificate.kind == REGISTRY_DOOR)
        return refuse(right, "a door's own certificate holds no right");
    TRY(registry_subject_get(txn, certificate.kind, bytes_of_text(certificate.subject),
                             &subject));
    request->actor = subject;
    enum registry_verdict verdict =
        registry_verdict_of(&certificate, &subject, request->now_ms / 1000);
    if (verdict != REGISTRY_ACCEPTED)
        return refuse(right, registry_verdict_name(verdict));
    if (request->channel == REGISTRY_DEVICE_DOOR && subject.kind != REGISTRY_DEVICE)
        return refuse(right, "nobody is an operator or a line through the device door");
    if (!registry_right_held(right, subject.kind, subject.role))
        return fault(RC_DENIED, "%s: not a right of %s %s", registry_right_name(right),
                     registry_kind_name(subject.kind), subject.id);
    return daemon_authority_judge_call(txn, request, request->ask, &request->question);
}

static bool issues(enum registry_ask ask)
{
    return ask == REGISTRY_ASK_ENROL || ask == REGISTRY_ASK_REENROL ||
           ask == REGISTRY_ASK_OPERATOR_ADD || ask == REGISTRY_ASK_DOOR;
}

/* What the log says of who decided. */
struct said {
    uint64_t version;
    uint32_t rule;
    const char *reason;
    struct buf text;
};
#define AUTO_SAID(name)                                                                        \
    [[gnu::cleanup(said_clear)]] struct said name = { .text = BUF_MAX(2 * AUDIT_REASON_MAX) }

static void said_clear(struct said *said)
{
    buf_clear(&said->text);
}

static uint32_t rule_of(const struct policy_decision *decision)
{
    return decision->by_rule ? decision->text_line : 0;
}

/* A version that the act is about has the field; a rule of another one is told in words. */
static enum rc say_about(const struct daemon_authority_request *request, struct said *said)
{
    const struct policy_decision *judged = &request->judged;

    said->version = request->answer.policy.version;
    if (!judged->by_rule)
        return RC_OK;
    buf_addf(&said->text, "%s%sallowed by line %u of version %" PRIu64, said->reason,
             *said->reason == '\0' ? "" : "; ", judged->text_line, judged->version);
    return buf_text(&said->text, &said->reason);
}

/* What was neither denied by the policy nor done was not its decision. */
static enum rc say(const struct daemon_authority_request *request, enum rc rc,
                   struct said *said)
{
    uint64_t about = request->answer.policy.version;
    const struct policy_decision *decision = rc == RC_DENIED ? &request->denied
                                             : rc == RC_OK   ? &request->judged
                                                             : NULL;

    if (rc == RC_OK && about != 0 && about != request->judged.version)
        return say_about(request, said);
    said->version = about;
    if (decision == NULL || decision->version == 0)
        return RC_OK;
    said->version = decision->version;
    said->rule = rule_of(decision);
    return RC_OK;
}

enum rc daemon_authority_record(struct store_txn *txn, struct daemon_authority_request *request,
                                enum rc rc, const char *reason)
{
    const struct daemon_authority_audit *audit = &request->authority->setup.audit;
    AUTO_SAID(said);

    if (audit->append == NULL)
        return RC_OK;
    said.reason = reason;
    TRY(say(request, rc, &said));
    const struct daemon_authority_event event = {
        .action = request->ended == NULL ? request->request.kind->name : "recover",
        .ask = request->ended != NULL ? (enum registry_ask)0
               : request->acting != 0 ? request->acting
                                      : request->ask,
        .as = request->as,
        .state = request->question.state,
        .only_checks = request->question.only_check,
        .preamble = request->ended == NULL ? &request->question.preamble : NULL,
        .channel = request->channel,
        .actor = request->actor.kind == 0 ? NULL : &request->actor,
        .shown = request->shown.serial_len == 0 ? NULL : &request->shown,
        .target = request->target,
        .device = request->kind != REGISTRY_DEVICE ? ""
                  : request->id[0] != '\0'         ? request->id
                                                   : request->question.id,
        .certificate = issues(request->ask) ? &request->row : &request->about,
        .token = request->question.token_id,
        .policy_version = said.version,
        .rule = said.rule,
        .rc = rc,
        .reason = said.reason,
        .now_ms = request->now_ms,
    };

    return audit->append(audit->with, txn, &event);
}
