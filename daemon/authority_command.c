#include "daemon/authority_state.h"

#include <string.h>

#include "base/secret.h"
#include "pki/crl.h"

enum { TOKEN_ID_LEN = 12, TOKEN_SECRET_LEN = 32 }; /* five bits each: 60 and 160 */
enum { TOKEN_LIFETIME_MOST_S = 90 * 86400 };
enum { REASON_MAX = 200 };

/* into has room for AUDIT_REASON_MAX. */
static void join(char *into, const char *word, const char *id)
{
    AUTO_BUF(text, AUDIT_REASON_MAX);
    const char *joined = NULL;

    buf_addf(&text, "%s %s", word, id);
    if (buf_text(&text, &joined) == RC_OK)
        memcpy(into, joined, text.len + 1);
}

void daemon_authority_aim(struct daemon_authority_request *request, const char *word,
                          const char *id)
{
    join(request->target, word, id);
}

static void set_target(struct daemon_authority_request *request, enum registry_kind kind,
                       const char *id)
{
    join(request->target, registry_kind_name(kind), id);
}

/* Why, in the log, too: a compromised key is another matter than one that was replaced. */
static void say_reason(struct daemon_authority_request *request)
{
    const char *reason = pki_crl_reason_name((enum pki_reason)request->question.reason);

    if (reason != NULL)
        join(request->said, "reason", reason);
}

/* ---- Changes: each with its actor and its audit record in one transaction ---- */

static enum rc device_add(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_subject device = { .kind = REGISTRY_DEVICE,
                                       .groups = request->question.groups };

    memcpy(device.id, request->question.id, sizeof device.id);
    memcpy(device.label, request->question.label, sizeof device.label);
    TRY(registry_subject_add(txn, &device, request->now_ms));
    request->answer.subject = device;
    return RC_OK;
}

static enum rc device_state(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    if (q->state == REGISTRY_REVOKED) {
        TRY(daemon_authority_judge_revocation(txn, request, q->id));
        say_reason(request);
        return daemon_authority_revoke(txn, request, REGISTRY_DEVICE, bytes_of_text(q->id),
                                       request->said);
    }
    return registry_subject_become(txn, REGISTRY_DEVICE, bytes_of_text(q->id), q->state,
                                   q->reason, request->now_ms);
}

static enum rc operator_revoke(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    uint64_t admins = 0;

    if (q->kind != REGISTRY_OPERATOR && q->kind != REGISTRY_LINE)
        return fault(RC_MALFORMED, "kind: operator or line");
    if (q->kind == REGISTRY_OPERATOR && strcmp(q->id, request->actor.id) == 0 &&
        request->actor.kind == REGISTRY_OPERATOR) {
        TRY(registry_admin_count(txn, &admins));
        if (admins <= 1)
            return fault(RC_DENIED, "the last administrator cannot revoke himself");
    }
    say_reason(request);
    return daemon_authority_revoke(txn, request, q->kind, bytes_of_text(q->id), request->said);
}

static enum rc certificate_revoke(struct store_txn *txn,
                                  struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    struct registry_certificate one;

    request->about.fingerprint = q->fingerprint;
    TRY(registry_certificate_get(txn, &q->fingerprint, &one));
    request->about = one;
    set_target(request, one.kind, one.subject);
    request->kind = one.kind;
    if (one.kind == REGISTRY_DEVICE)
        TRY(daemon_authority_judge_revocation(txn, request, one.subject));
    say_reason(request);
    return registry_certificate_revoke(txn, &q->fingerprint, q->reason, request->now_ms);
}

static enum rc token_new(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    struct registry_token token = { .made_ms = request->now_ms,
                                    .expires_ms = request->answer.expires_ms };

    memcpy(token.secret_hash, request->secret_hash, sizeof token.secret_hash);
    memcpy(token.device, q->id, sizeof token.device);
    TRY(registry_id_copy(request->answer.token_id, token.id));
    join(request->said, "token", token.id);
    return registry_token_add(txn, &token);
}

static enum rc policy_apply(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    struct registry_policy *told = &request->answer.policy;

    const char *author =
        request->proposal.number != 0 ? request->proposal.author : request->actor.id;
    const struct registry_policy_new new = { .author = bytes_of_text(author),
                                             .text = daemon_authority_text(request),
                                             .why = bytes_of_text(q->why),
                                             .replaces = q->version };
    TRY(registry_policy_put(txn, &new, request->now_ms, &told->version));
    memcpy(told->author, author, strlen(author) + 1);
    memcpy(told->why, q->why, sizeof told->why);
    memcpy(request->said, q->why, sizeof q->why);
    told->made_ms = request->now_ms;
    told->active = true;
    request->answer.accepted = true;
    AUTO_BUF(version, 32);
    const char *number = NULL;
    buf_addf(&version, "%llu", (unsigned long long)told->version);
    TRY(buf_text(&version, &number));
    join(request->target, "policy", number);
    return RC_OK;
}

enum rc daemon_authority_run(struct store_txn *txn, struct daemon_authority_request *request,
                             enum registry_ask ask)
{
    static enum rc (*const CHANGES[])(struct store_txn *, struct daemon_authority_request *) = {
        [REGISTRY_ASK_DEVICE_ADD] = device_add,
        [REGISTRY_ASK_DEVICE_STATE] = device_state,
        [REGISTRY_ASK_CERTIFICATE_REVOKE] = certificate_revoke,
        [REGISTRY_ASK_TOKEN_NEW] = token_new,
        [REGISTRY_ASK_OPERATOR_REVOKE] = operator_revoke,
        [REGISTRY_ASK_POLICY_APPLY] = policy_apply,
        [REGISTRY_ASK_DEVICE_REVOKE_MANY] = daemon_authority_revoke_many,
        [REGISTRY_ASK_AUDIT_ERASE] = daemon_authority_run_erasure,
        [REGISTRY_ASK_AUDIT_HOLD] = daemon_authority_run_hold,
    };

    return CHANGES[ask](txn, request);
}

static enum rc change(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    TRY(daemon_authority_run(txn, request, request->ask));
    TRY(daemon_authority_count_single(txn, request));
    TRY(daemon_authority_record(txn, request, RC_OK, request->said));
    request->answer.sequence = store_feed_position(txn).sequence;
    return RC_OK;
}

static void changed(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    if (request->ask == REGISTRY_ASK_CERTIFICATE_REVOKE ||
        request->ask == REGISTRY_ASK_OPERATOR_REVOKE ||
        request->ask == REGISTRY_ASK_DEVICE_REVOKE_MANY ||
        (request->ask == REGISTRY_ASK_DEVICE_STATE &&
         request->question.state == REGISTRY_REVOKED))
        daemon_authority_crl_want(request->authority, request->kind,
                                  request->question.preamble.correlation);
    if (request->ask == REGISTRY_ASK_POLICY_APPLY)
        daemon_authority_brought(request);
    daemon_authority_answer(request);
}

/* ---- What is made before the change, since a change is pure ---- */

static enum rc make_token(struct daemon_authority_request *request)
{
    const struct daemon_authority_settings *settings = &request->authority->setup.settings;
    int64_t lifetime_ms = (int64_t)request->question.lifetime_s * 1000;
    AUTO_SECRET(id);
    AUTO_SECRET(secret);

    if (request->question.lifetime_s > TOKEN_LIFETIME_MOST_S)
        return fault(RC_LIMIT, "a token lives at most %d days", TOKEN_LIFETIME_MOST_S / 86400);
    TRY(secret_make_text(&id, TOKEN_ID_LEN));
    TRY(secret_make_text(&secret, TOKEN_SECRET_LEN));
    TRY(pki_key_hash(secret_bytes(&secret), request->secret_hash));
    buf_add(&request->text, secret_bytes(&id));
    buf_add(&request->text, secret_bytes(&secret));
    struct bytes both = buf_bytes(&request->text);
    request->answer.token_id = (struct bytes){ both.at, TOKEN_ID_LEN };
    request->answer.token_secret = (struct bytes){ both.at + TOKEN_ID_LEN, TOKEN_SECRET_LEN };
    request->answer.expires_ms =
        request->now_ms + (lifetime_ms == 0 ? settings->token_lifetime_ms : lifetime_ms);
    return RC_OK;
}

/* The first error of a wrong text is in the log, whether it was to be in force or only looked
 * at. */
static enum rc record_text(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct bytes errors = buf_bytes(&request->text);
    AUTO_BUF(first, REASON_MAX);
    const char *why = NULL;
    size_t len = 0;

    while (len < errors.len && len < REASON_MAX - 1 && errors.at[len] != '\n')
        len++;
    buf_add(&first, (struct bytes){ errors.at, len });
    TRY(buf_text(&first, &why));
    return daemon_authority_record(txn, request,
                                   request->answer.accepted ? RC_OK : RC_MALFORMED, why);
}

static enum rc only_checks(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    return record_text(txn, request);
}

static void checked(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK)
        daemon_authority_refuse(request, rc);
    else
        daemon_authority_answer(request);
}

static enum rc may_write(struct store_txn *txn, void *with)
{
    return daemon_authority_check_actor(txn, with, REGISTRY_RIGHT_POLICY_WRITE);
}

/* A text that is wrong is answered with its errors, not refused: who may write policies may
 * read what is wrong with his. Nobody else's is compiled. */
static void policy_compiled(struct daemon_authority_request *request)
{
    bool good = request->compiled == RC_OK;

    if (request->brings != NULL)
        request->rules = policy_rule_count(request->brings);
    if (!good || request->question.only_check || daemon_authority_proposes(request))
        daemon_authority_brings_none(request);
    request->answer.text = buf_bytes(&request->text);
    request->answer.accepted = good;
    if (good && !request->question.only_check && daemon_authority_proposes(request))
        daemon_authority_propose(request);
    else if (good && !request->question.only_check)
        daemon_authority_queue(request, change, changed);
    else
        daemon_authority_queue(request, only_checks, checked);
}

static void apply_policy(struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    enum rc rc = store_read(request->authority->setup.store, may_write, request);
    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    rc = registry_text_check(&(struct registry_text){ q->text, q->name });
    if (rc == RC_OK)
        rc = daemon_authority_compile_check_room(request->authority, q->name.len > 0);
    if (rc == RC_OK && q->name.len > 0)
        rc = q->text.len == 0 ? daemon_authority_staged_take(request)
                              : fault(RC_MALFORMED, "policy: a text, and the name of one");
    if (rc != RC_OK) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    const struct registry_text text = daemon_authority_text(request);
    daemon_authority_compile(request, &text, policy_compiled);
}

void daemon_authority_command(struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    bool others = q->kind != 0 && (request->ask == REGISTRY_ASK_OPERATOR_REVOKE ||
                                   request->ask == REGISTRY_ASK_CERTIFICATE_LIST);
    enum rc rc = RC_OK;

    request->kind = others ? q->kind : REGISTRY_DEVICE;
    if (q->id[0] != '\0')
        set_target(request, request->kind, q->id);
    switch ((int)request->ask) {
    case REGISTRY_ASK_TOKEN_NEW:
        rc = make_token(request);
        if (rc != RC_OK)
            daemon_authority_refuse_unread(request, rc);
        else
            daemon_authority_queue(request, change, changed);
        return;
    case REGISTRY_ASK_POLICY_APPLY:
    case REGISTRY_ASK_POLICY_PROPOSE:
        apply_policy(request);
        return;
    case REGISTRY_ASK_DEVICE_REVOKE_MANY:
        if (daemon_authority_proposes(request)) {
            daemon_authority_propose(request);
            return;
        }
        daemon_authority_queue(request, change, changed);
        return;
    case REGISTRY_ASK_DEVICE_ADD:
    case REGISTRY_ASK_DEVICE_STATE:
    case REGISTRY_ASK_CERTIFICATE_REVOKE:
    case REGISTRY_ASK_OPERATOR_REVOKE:
        daemon_authority_queue(request, change, changed);
        return;
    default:
        daemon_authority_read(request);
    }
}
