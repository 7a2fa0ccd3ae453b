#include "daemon/authority_state.h"

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
    request->denied = (struct policy_decision){ 0 };
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

enum rc daemon_authority_record(struct store_txn *txn, struct daemon_authority_request *request,
                                enum rc rc, const char *reason)
{
    const struct daemon_authority_audit *audit = &request->authority->setup.audit;
    const bool is_judged = rc == RC_DENIED && request->denied.version != 0;
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
        .policy_version = is_judged ? request->denied.version : request->answer.policy.version,
        .rule = is_judged && request->denied.by_rule ? request->denied.text_line : 0,
        .rc = rc,
        .reason = reason,
        .now_ms = request->now_ms,
    };

    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}
