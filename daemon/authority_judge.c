#include "daemon/authority_state.h"

#include <string.h>

#include "base/text.h"
#include "daemon/authority_route.h"
#include "pki/name.h"
#include "pki/oid.h"

/*
 * Roles and tokens say who may act at all (registry/rights.h); the active policy's denials say
 * who may not. Where no rule applies roles have decided, unless the setting authority.acts
 * demands a rule that allows; more than a role gives no rule can give. The policy is the
 * committing transaction's, so what it denies is not done from the moment on that it is active.
 */
struct judging {
    struct policy_facts facts;
    struct registry_subject device;
    struct bytes groups[REGISTRY_GROUPS_MAX];
    struct buf serial, fingerprint;
};
#define AUTO_JUDGING(name)                                                                     \
    [[gnu::cleanup(judging_clear)]] struct judging name = {                                    \
        .serial = BUF_MAX(2 * REGISTRY_SERIAL_MAX),                                            \
        .fingerprint = BUF_MAX(2 * REGISTRY_FINGERPRINT)                                       \
    }

static void judging_clear(struct judging *judging)
{
    buf_clear(&judging->serial);
    buf_clear(&judging->fingerprint);
}

/* ---- Facts ---- */

/* Of the CAs that are ours. */
static struct bytes issuer_name(const struct daemon_authority *authority,
                                const uint8_t name_hash[32])
{
    struct reader r = READER(buf_bytes(&authority->authorities));
    struct pki_certificate one;
    uint8_t hash[32];
    struct bytes name = { NULL, 0 };

    while (r.left.len > 0 && !r.broken) {
        struct bytes der = reader_sized32(&r, PKI_CERTIFICATE_MAX);
        if (pki_certificate_read(der, &one) == RC_OK &&
            pki_key_hash(one.subject, hash) == RC_OK &&
            bytes_equal(BYTES_OF(hash), (struct bytes){ name_hash, sizeof hash }) &&
            pki_name_find(one.subject, PKI_OID_COMMON_NAME, &name))
            return name;
    }
    return (struct bytes){ NULL, 0 };
}

static void show_certificate(struct judging *judging,
                             const struct daemon_authority_request *request)
{
    const struct registry_certificate *shown = &request->shown;

    text_add_hex(&judging->serial, (struct bytes){ shown->serial, shown->serial_len });
    text_add_hex(&judging->fingerprint, BYTES_OF(shown->fingerprint.at));
    judging->facts.certificate_subject = bytes_of_text(shown->subject);
    judging->facts.certificate_serial = buf_bytes(&judging->serial);
    judging->facts.certificate_fingerprint = buf_bytes(&judging->fingerprint);
    judging->facts.certificate_ends_ms = shown->not_after_s * 1000;
    judging->facts.certificate_issuer = issuer_name(request->authority, shown->issuer_hash);
}

/* Who acts: without an actor, the device that its token is for. */
static void name_actor(struct judging *judging, const struct daemon_authority_request *request)
{
    const struct registry_subject *actor = &request->actor;
    struct bytes id = bytes_of_text(actor->id);

    if (actor->kind == REGISTRY_OPERATOR) {
        judging->facts.asker = POLICY_BY_OPERATOR;
        judging->facts.operator_id = id;
        judging->facts.operator_role = bytes_of_text(registry_role_name(actor->role));
    } else if (actor->kind == REGISTRY_LINE) {
        judging->facts.asker = POLICY_BY_LINE;
        judging->facts.line_id = id;
    } else {
        judging->facts.asker = POLICY_BY_DEVICE;
    }
    if (actor->kind != 0)
        show_certificate(judging, request);
}

/* Groups are a device's own: they do not make its operator a member. */
static enum rc name_device(struct store_txn *txn, struct judging *judging, struct bytes id)
{
    struct registry_subject *device = &judging->device;

    judging->facts.device_id = id;
    judging->facts.device_profile = BYTES("device");
    enum rc rc = registry_subject_get(txn, REGISTRY_DEVICE, id, device);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    for (size_t i = 0; i < device->groups.count; i++)
        judging->groups[i] = bytes_of_text(device->groups.names[i]);
    judging->facts.groups = judging->groups;
    judging->facts.group_count = device->groups.count;
    return RC_OK;
}

static enum rc gather(struct store_txn *txn, const struct daemon_authority_request *request,
                      const char *device, struct judging *judging)
{
    const struct registry_preamble *preamble = &request->question.preamble;

    judging->facts.connection_address = registry_peer_host(preamble->peer);
    judging->facts.connection_tls = registry_peer_tls(preamble->tls);
    judging->facts.connection_protocol = BYTES("https");
    judging->facts.connection_door =
        request->channel == REGISTRY_DEVICE_DOOR ? BYTES("device") : BYTES("operator");
    name_actor(judging, request);
    return device[0] == '\0' ? RC_OK : name_device(txn, judging, bytes_of_text(device));
}

/* ---- Judging ---- */

/* Decided against, for the log and for who asks. */
static enum rc deny(struct daemon_authority_request *request,
                    const struct policy_decision *decided)
{
    AUTO_BUF(why, STORE_REASON_MAX);
    const char *text = NULL;

    request->denied = *decided;
    policy_explain(decided, &why);
    TRY(buf_text(&why, &text));
    return fault(RC_DENIED, REGISTRY_POLICY_SAYS "%s", text);
}

/* RC_DENIED: a rule denies it. Otherwise *decided says whether one allows it. */
static enum rc ask(struct store_txn *txn, struct daemon_authority_request *request,
                   const char *device, struct policy_request *asked,
                   struct policy_decision *decided)
{
    AUTO_JUDGING(judging);
    struct policy_session session;
    struct policy *policy = NULL;

    TRY(daemon_authority_active(txn, request->authority, &policy));
    TRY(gather(txn, request, device, &judging));
    if (policy_bind(policy, &judging.facts, &session) != RC_OK)
        return fault(RC_DENIED, REGISTRY_POLICY_SAYS "who acts cannot be judged");
    asked->known |= POLICY_KNOWS_NOW;
    asked->now_ms = request->now_ms;
    if (asked->action == POLICY_REVOKE) {
        asked->known |= POLICY_KNOWS_TARGET;
        asked->target_groups = judging.groups;
        asked->target_group_count = judging.facts.group_count;
    }
    *decided = policy_decide_request(&session, asked);
    asked->target_groups = NULL;
    asked->known &= ~(unsigned)POLICY_KNOWS_TARGET;
    decided->file = (struct bytes){ NULL, 0 }; /* the policy may go before the request */
    return decided->allowed || !decided->by_rule ? RC_OK : deny(request, decided);
}

/* For the log: of several that it was asked, the last one that a rule decided. */
static enum rc allow(struct daemon_authority_request *request,
                     const struct policy_decision *decided)
{
    if (decided->by_rule || !request->judged.by_rule)
        request->judged = *decided;
    return RC_OK;
}

static enum rc demand(struct daemon_authority_request *request,
                      const struct policy_decision *decided)
{
    bool demanded = request->authority->setup.settings.acts_by_policy;

    return decided->allowed || !demanded ? allow(request, decided) : deny(request, decided);
}

static enum rc judge(struct store_txn *txn, struct daemon_authority_request *request,
                     const char *device, struct policy_request *asked)
{
    struct policy_decision decided;

    TRY(ask(txn, request, device, asked, &decided));
    return demand(request, &decided);
}

static bool is_kept(const struct daemon_authority_request *request, enum registry_right right)
{
    return request->channel == REGISTRY_OPERATOR_DOOR &&
           registry_right_is_kept(right, request->actor.kind, request->actor.role);
}

/* The device that an act is about, as far as its question names one. */
static const char *device_of(enum registry_ask ask, const struct registry_question *question)
{
    bool one = ask == REGISTRY_ASK_DEVICE_ADD || ask == REGISTRY_ASK_DEVICE_SHOW ||
               ask == REGISTRY_ASK_DEVICE_STATE || ask == REGISTRY_ASK_TOKEN_NEW ||
               (ask == REGISTRY_ASK_CERTIFICATE_LIST && question->kind == REGISTRY_DEVICE);

    return one ? question->id : "";
}

/* What has two names is denied by either, and allowed by either. */
enum rc daemon_authority_judge_call(struct store_txn *txn,
                                    struct daemon_authority_request *request,
                                    enum registry_ask what,
                                    const struct registry_question *question)
{
    struct registry_policy_row active;
    struct policy_decision decided = { 0 }, one;
    unsigned which = 0;
    enum rc rc = RC_OK;

    if (is_kept(request, registry_right_of(what)))
        return RC_OK;
    TRY(registry_policy_get(txn, 0, &active));
    for (; rc == RC_OK; which++) {
        struct policy_request asked = { .action = POLICY_CALL };
        AUTO_BUF(route, DAEMON_ROUTE_MAX);
        rc = daemon_authority_route(what, question, active.version, which, &route);
        if (rc == RC_NOT_FOUND)
            break;
        TRY(rc);
        TRY(buf_done(&route, &asked.resource));
        TRY(ask(txn, request, device_of(what, question), &asked, &one));
        if (!decided.allowed)
            decided = one;
    }
    return which == 0 ? RC_OK : demand(request, &decided);
}

enum rc daemon_authority_judge_issue(struct store_txn *txn,
                                     struct daemon_authority_request *request,
                                     enum policy_action action)
{
    struct policy_request asked = {
        .action = action,
        .resource = bytes_of_text(daemon_authority_profile(request->kind)),
        .key = BYTES("p-256"), /* pki/request.h reads no other */
    };

    if (action == POLICY_RENEW && is_kept(request, REGISTRY_RIGHT_RENEW))
        return RC_OK;
    return judge(txn, request, request->kind == REGISTRY_DEVICE ? request->id : "", &asked);
}

enum rc daemon_authority_judge_revocation(struct store_txn *txn,
                                          struct daemon_authority_request *request,
                                          const char *device)
{
    struct policy_request asked = { .action = POLICY_REVOKE,
                                    .resource = bytes_of_text(device) };

    return judge(txn, request, device, &asked);
}

enum rc daemon_authority_judge_revocations(struct store_txn *txn,
                                           struct daemon_authority_request *request,
                                           struct bytes ids)
{
    const struct policy_decision judged = request->judged;
    struct reader r = READER(ids);
    char id[REGISTRY_ID_MAX + 1];
    enum rc rc = RC_OK;

    while ((rc = registry_ids_next(&r, id)) == RC_OK)
        TRY(daemon_authority_judge_revocation(txn, request, id));
    request->judged = judged; /* that all of them be revoked: each has its own */
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
