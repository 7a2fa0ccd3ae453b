#include "daemon/authority_state.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/secret.h"
#include "pki/issue.h"
#include "pki/name.h"
#include "pki/oid.h"
#include "pki/signed.h"

/*
 * check (a transaction) -> sign (the signer) -> register (a transaction) -> answer.
 * Whatever stops it on the way ends in daemon_authority_refuse(), which undoes what was begun.
 */

static const char *const PROFILES[DAEMON_AUTHORITY_KINDS] = {
    [REGISTRY_DEVICE] = "device",
    [REGISTRY_OPERATOR] = "operator",
    [REGISTRY_LINE] = "line",
    [REGISTRY_DOOR] = "door",
};

const char *daemon_authority_profile(enum registry_kind kind)
{
    return PROFILES[kind];
}

static enum rc set_subject(struct daemon_authority_request *request, enum registry_kind kind,
                           struct bytes id)
{
    AUTO_BUF(text, sizeof request->target);
    const char *joined = NULL;

    TRY(registry_id_copy(id, request->id));
    request->kind = kind;
    buf_addf(&text, "%s %s", registry_kind_name(kind), request->id);
    TRY(buf_text(&text, &joined));
    memcpy(request->target, joined, text.len + 1);
    return RC_OK;
}

/* ---- Who may have it, and for whom ---- */

static bool has_token(const struct daemon_authority_request *request)
{
    return request->question.token_id.len > 0;
}

static enum rc check_enrol(struct store_txn *txn, struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    struct registry_token token;
    struct bytes id = bytes_of_text(q->id);

    if (has_token(request)) {
        TRY(registry_token_reserve(txn, q->token_id, request->secret_hash, request->attempt,
                                   request->now_ms, &token));
        if (id.len > 0 && !bytes_equal_text(id, token.device))
            return fault(RC_DENIED, "the token is another device's");
        return set_subject(request, REGISTRY_DEVICE, bytes_of_text(token.device));
    }
    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_ENROL));
    if (id.len == 0 && !pki_name_find(request->csr.subject, PKI_OID_SERIAL_NUMBER, &id))
        return fault(RC_MALFORMED, "which device? none named, and no serialNumber in the "
                                   "request's subject");
    return set_subject(request, REGISTRY_DEVICE, id);
}

/* RFC 7030 4.2.2. The channel's binding is the door's word, so the key must be the registered
 * one (DESIGN.md D1). */
static enum rc check_reenrol(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_certificate old;

    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_RENEW));
    TRY(registry_certificate_get(txn, &request->question.preamble.actor.fingerprint, &old));
    if (!bytes_equal(BYTES_OF(old.key_hash), BYTES_OF(request->csr.key_hash)))
        return fault(RC_DENIED, "simple re-enrolment is for the registered key; another key "
                                "needs a token");
    return set_subject(request, old.kind, bytes_of_text(old.subject));
}

static enum rc check_operator_add(struct store_txn *txn,
                                  struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;
    struct registry_subject known;

    if (request->ended == NULL)
        TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_OPERATOR_WRITE));
    if (q->kind != REGISTRY_OPERATOR && q->kind != REGISTRY_LINE)
        return fault(RC_MALFORMED, "kind: operator or line");
    if ((q->role != REGISTRY_ROLE_NONE) != (q->kind == REGISTRY_OPERATOR))
        return fault(RC_MALFORMED, "role: an operator has one, a line has none");
    TRY(set_subject(request, q->kind, bytes_of_text(q->id)));
    /* Else one person could make himself the second. */
    if (request->ended == NULL && q->role == REGISTRY_ADMIN &&
        request->authority->setup.settings.four_eyes != 0)
        return fault(RC_EXISTS, "under four eyes administrators are made at the machine "
                                "(authority.recover, docs/recovery.md)");
    enum rc rc = registry_subject_get(txn, q->kind, bytes_of_text(q->id), &known);
    request->knows = rc == RC_OK && request->ended != NULL && known.role == q->role;
    if (rc == RC_OK && !request->knows)
        return fault(RC_EXISTS, "%s is there already", request->target);
    return request->knows || rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc check_who(struct store_txn *txn, struct daemon_authority_request *request)
{
    if (request->ask == REGISTRY_ASK_ENROL)
        return check_enrol(txn, request);
    if (request->ask == REGISTRY_ASK_REENROL)
        return check_reenrol(txn, request);
    if (request->ask == REGISTRY_ASK_OPERATOR_ADD)
        return check_operator_add(txn, request);
    return set_subject(request, REGISTRY_DOOR,
                       bytes_of_text(registry_channel_name(request->channel)));
}

/* A door's own is nobody's act, and a recovery is made at the machine. */
static enum rc judge(struct store_txn *txn, struct daemon_authority_request *request)
{
    if (request->ask == REGISTRY_ASK_DOOR || request->ended != NULL)
        return RC_OK;
    return daemon_authority_judge_issue(
        txn, request, request->ask == REGISTRY_ASK_REENROL ? POLICY_RENEW : POLICY_ENROLL);
}

static enum rc check(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    request->actor = (struct registry_subject){ 0 };
    request->denied = request->judged = (struct policy_decision){ 0 };
    request->shown = (struct registry_certificate){ 0 };
    TRY(check_who(txn, request));
    if (request->ask == REGISTRY_ASK_OPERATOR_ADD && !request->knows)
        TRY(registry_certificate_check_key(txn, request->kind, bytes_of_text(request->id),
                                           request->csr.key_hash));
    else
        TRY(registry_certificate_check(txn, request->kind, bytes_of_text(request->id),
                                       request->csr.key_hash, request->now_ms));
    return judge(txn, request);
}

/* ---- Registering ---- */

static enum rc add_operator(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_subject subject = { .kind = request->kind, .role = request->question.role };

    memcpy(subject.id, request->id, sizeof subject.id);
    memcpy(subject.label, request->question.label, sizeof subject.label);
    return registry_subject_add_active(txn, &subject, request->now_ms);
}

static const char *what_else(const struct daemon_authority_request *request)
{
    if (request->ask == REGISTRY_ASK_OPERATOR_ADD && request->kind == REGISTRY_OPERATOR)
        return request->question.role == REGISTRY_ADMIN ? "role admin" : "role auditor";
    return buf_bytes(&request->text).len > 0 ? "the request wished for more" : "";
}

/* All that the first transaction found may have changed while the signer worked. */
static enum rc enter(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct registry_certificate row = request->row;

    if (request->reserved)
        TRY(registry_token_consume(txn, request->question.token_id, request->attempt));
    else
        TRY(check_who(txn, request));
    TRY(judge(txn, request));
    if (request->ask == REGISTRY_ASK_OPERATOR_ADD && !request->knows)
        TRY(add_operator(txn, request));
    TRY(registry_certificate_register(txn, &row, request->now_ms));
    TRY(daemon_authority_record(txn, request, RC_OK, what_else(request)));
    /* Its record is the last one so far. */
    struct audit_log *log = request->authority->setup.audit.log;
    return log == NULL ? RC_OK : audit_log_size(log, txn, &request->answer.log_number);
}

static void entered(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    request->answer.der = buf_bytes(&request->certificate);
    daemon_authority_answer(request);
}

/* ---- Signing ---- */

static enum rc describe(struct daemon_authority_request *request)
{
    struct registry_certificate *row = &request->row;
    struct pki_certificate made;

    TRY(pki_certificate_read(buf_bytes(&request->certificate), &made));
    memcpy(row->fingerprint.at, made.fingerprint, sizeof row->fingerprint.at);
    row->kind = request->kind;
    memcpy(row->subject, request->id, sizeof row->subject);
    memcpy(row->key_hash, made.key_hash, sizeof row->key_hash);
    row->not_before_s = made.not_before;
    row->not_after_s = made.not_after;
    return RC_OK;
}

/* Serial and issuer are noted before the signer is asked: what he may have signed must be found
 * if it cannot be registered. */
static void note_serial(struct daemon_authority_request *request)
{
    struct registry_certificate *row = &request->row;

    memcpy(row->serial, request->contents.serial, PKI_SERIAL_LEN);
    row->serial_len = PKI_SERIAL_LEN;
    memcpy(row->issuer_hash, request->authority->issuer_of[request->kind]->name_hash,
           sizeof row->issuer_hash);
    row->not_after_s = request->contents.not_after;
}

static enum rc take_signature(struct daemon_authority_request *request,
                              const struct keys_answers *answers)
{
    const struct keys_answer *answer = &answers->at[0];

    if (answers->count != 1)
        return fault(RC_CRYPTO, "the signer answered %zu items", answers->count);
    if (answer->rc != RC_OK) {
        request->row.serial_len = 0; /* journaled as refused: there is no such certificate */
        return fault(answer->rc, "signer: %.*s", BYTES_FMT(answer->text));
    }
    TRY(pki_signed_assemble(buf_bytes(&request->tbs), answer->signature,
                            &request->certificate));
    return describe(request);
}

/* Whether it was signed is not known when the link broke: its serial becomes an orphan either
 * way, and so the client may try again. */
static void is_signed(void *with, enum rc rc, const struct keys_answers *answers)
{
    struct daemon_authority_request *request = with;

    request->authority->signing--;
    if (rc == RC_CLOSED)
        rc = fault(RC_BUSY, "the signer went away");
    if (rc == RC_OK)
        rc = take_signature(request, answers);
    if (rc == RC_OK && request->ended != NULL)
        rc = daemon_authority_recover_keep(request);
    if (rc != RC_OK)
        daemon_authority_refuse(request, rc);
    else
        daemon_authority_queue(request, enter, entered);
}

/* "localhost,127.0.0.1": addresses are told from names by their form. */
static enum rc read_hosts(const char *names, struct pki_alt_name *hosts, uint8_t (*octets)[16],
                          size_t *count)
{
    *count = 0;
    while (*names != '\0') {
        const char *end = strchrnul(names, ',');
        char one[256] = { 0 };
        size_t len = (size_t)(end - names);
        if (len == 0 || len >= sizeof one || *count == PKI_HOSTS_MAX)
            return fault(RC_MALFORMED, "door names: empty, too long or more than %d",
                         PKI_HOSTS_MAX);
        memcpy(one, names, len);
        struct pki_alt_name *host = &hosts[*count];
        if (inet_pton(AF_INET, one, octets[*count]) == 1)
            *host = (struct pki_alt_name){ PKI_ALT_ADDRESS, { octets[*count], 4 } };
        else if (inet_pton(AF_INET6, one, octets[*count]) == 1)
            *host = (struct pki_alt_name){ PKI_ALT_ADDRESS, { octets[*count], 16 } };
        else
            *host = (struct pki_alt_name){ PKI_ALT_DNS, { (const uint8_t *)names, len } };
        (*count)++;
        names = *end == ',' ? end + 1 : end;
    }
    return RC_OK;
}

static enum rc write_tbs(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    const struct pki_template *template = authority->template_of[request->kind];
    struct pki_alt_name hosts[PKI_HOSTS_MAX];
    uint8_t octets[PKI_HOSTS_MAX][16];
    struct pki_holder holder = { .id = bytes_of_text(request->id), .hosts = hosts };
    struct pki_contents *contents = &request->contents;

    if (request->kind == REGISTRY_DOOR)
        TRY(read_hosts(authority->setup.settings.door_names, hosts, octets,
                       &holder.hosts_count));
    contents->holder = &holder;
    contents->point = request->csr.point;
    TRY(pki_serial_make(contents->serial));
    TRY(pki_template_validity(template, request->now_ms / 1000, 0, &contents->not_before,
                              &contents->not_after));
    TRY(pki_profile_compare(pki_profile_find(PROFILES[request->kind]), &holder, &request->csr,
                            &request->text));
    enum rc rc = pki_issue_prepare(template, authority->verifier, contents, &request->tbs);
    contents->holder = NULL;
    return rc;
}

static enum rc ask_signer(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    struct keys_ask ask = { .count = 1 };

    if (!authority->issues)
        return fault(RC_BUSY, "the signer is away");
    TRY(write_tbs(request));
    note_serial(request);
    memcpy(ask.correlation, request->question.preamble.correlation, sizeof ask.correlation);
    memcpy(ask.key, authority->issuer_of[request->kind]->key, sizeof ask.key);
    ask.items[0] = buf_bytes(&request->tbs);
    enum rc rc =
        keys_client_sign(authority->signer, KEYS_ASK_CERTIFICATES, &ask, is_signed, request);
    if (rc != RC_OK)
        request->row.serial_len = 0;
    else
        request->authority->signing++;
    return rc;
}

static void is_checked(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc == RC_OK) {
        request->reserved = request->ask == REGISTRY_ASK_ENROL && has_token(request);
        rc = ask_signer(request);
    }
    if (rc != RC_OK)
        daemon_authority_refuse(request, rc);
}

/* ---- Begin ---- */

static enum rc read_request(struct daemon_authority_request *request)
{
    AUTO_SECRET(attempt);

    if (!request->authority->issues)
        return fault(RC_BUSY, "the signer is away");
    TRY(pki_request_read(request->authority->verifier, request->question.der, &request->csr));
    memcpy(request->row.key_hash, request->csr.key_hash, sizeof request->row.key_hash);
    if (!has_token(request))
        return RC_OK;
    TRY(secret_make_random(&attempt, REGISTRY_ATTEMPT));
    memcpy(request->attempt, attempt.at, sizeof request->attempt);
    return pki_key_hash(request->question.token_secret, request->secret_hash);
}

void daemon_authority_enrol(struct daemon_authority_request *request)
{
    enum rc rc = read_request(request);

    if (rc == RC_OK)
        daemon_authority_queue(request, check, is_checked);
    else if (rc == RC_BUSY)
        daemon_authority_turn_away(request, rc);
    else
        daemon_authority_refuse(request, rc);
}
