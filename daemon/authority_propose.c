#include "daemon/authority_state.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "pki/crl.h"

/*
 * Four eyes. What is asked is kept as it was asked (registry/proposal.h), and run when another
 * administrator approves it, through the same function that would have run it at once: closed,
 * done and recorded in one transaction, in which both persons are looked at again.
 */
/* Of each act, what it rests on and how it is told. check() is asked when it is proposed and
 * again when it is approved. applies() NULL: whatever the question says. */
struct act {
    enum registry_act act;
    enum rc (*check)(struct store_txn *txn, const struct daemon_authority_request *request,
                     const struct registry_question *asked);
    void (*say)(const struct registry_question *asked, struct buf *text);
    bool (*applies)(const struct registry_question *asked);
};

/* The text compiled when it was proposed; since then the compiler may have become another. */
static enum rc check_policy(struct store_txn *txn,
                            const struct daemon_authority_request *request,
                            const struct registry_question *asked)
{
    struct registry_policy_row active;

    TRY(registry_policy_get(txn, 0, &active));
    if (active.version != asked->version)
        return fault(RC_EXISTS,
                     "it replaces policy version %" PRIu64 ", and version %" PRIu64
                     " is active",
                     asked->version, active.version);
    TRY(registry_why_check(bytes_of_text(asked->why)));
    if (request->decides == 0)
        return RC_OK;
    if (request->compiled != RC_OK)
        return fault(request->compiled, "%.*s", BYTES_FMT(buf_bytes(&request->text)));
    return daemon_authority_brings_text(request,
                                        &(struct registry_text){ asked->text, asked->name })
               ? RC_OK
               : fault(RC_BUSY, "its text was not compiled");
}

static void say_policy(const struct registry_question *asked, struct buf *text)
{
    buf_addf(text, "policy in place of version %" PRIu64, asked->version);
}

static enum rc check_revocation(struct store_txn *txn,
                                const struct daemon_authority_request *request,
                                const struct registry_question *asked)
{
    struct reader ids = READER(asked->ids);
    char id[REGISTRY_ID_MAX + 1];
    struct registry_subject device;
    enum rc rc = RC_OK;

    (void)request;
    if (asked->ids.len == 0)
        return fault(RC_MALFORMED, "devices: none is named");
    if (!registry_reason_is(asked->reason))
        return fault(RC_MALFORMED, "RFC 5280 5.3.1: %u is no reason to revoke", asked->reason);
    while ((rc = registry_ids_next(&ids, id)) == RC_OK) {
        rc = registry_subject_get(txn, REGISTRY_DEVICE, bytes_of_text(id), &device);
        if (rc != RC_OK)
            return fault_while(rc, "device %s", id);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void say_revocation(const struct registry_question *asked, struct buf *text)
{
    const char *reason = pki_crl_reason_name((enum pki_reason)asked->reason);
    size_t count = 0;

    if (registry_ids_count(asked->ids, &count) == RC_OK)
        buf_addf(text, "revocation of %zu devices, reason %s", count,
                 reason != NULL ? reason : "none");
}

static const struct act ACTS[] = {
    { REGISTRY_ACT_POLICY, check_policy, say_policy, NULL },
    { REGISTRY_ACT_REVOCATION, check_revocation, say_revocation, NULL },
    { REGISTRY_ACT_ERASURE, daemon_authority_check_erasure, daemon_authority_say_erasure,
      NULL },
    { REGISTRY_ACT_RELEASE, daemon_authority_check_release, daemon_authority_say_release,
      daemon_authority_is_release },
};

static const struct act *find_act(enum registry_act act)
{
    for (size_t i = 0; i < sizeof ACTS / sizeof *ACTS; i++)
        if (ACTS[i].act == act)
            return &ACTS[i];
    return NULL;
}

/* A draft is of the act that it may become. */
static const struct registry_act_row *row_of(enum registry_ask ask)
{
    return registry_act_of(ask == REGISTRY_ASK_POLICY_PROPOSE ? REGISTRY_ASK_POLICY_APPLY
                                                              : ask);
}

static bool needs_two(const struct daemon_authority *authority, enum registry_act act)
{
    return (authority->setup.settings.four_eyes & UINT32_C(1) << act) != 0;
}

bool daemon_authority_proposes(const struct daemon_authority_request *request)
{
    const struct registry_act_row *row = row_of(request->ask);

    if (request->ask == REGISTRY_ASK_POLICY_PROPOSE)
        return true;
    if (row == NULL || !needs_two(request->authority, row->act))
        return false;
    const struct act *act = find_act(row->act);
    return act->applies == NULL || act->applies(&request->question);
}

/* ---- What the log says ---- */

/* "proposal 7" */
static void aim(struct daemon_authority_request *request, uint64_t number)
{
    AUTO_BUF(text, 32);
    const char *digits = NULL;

    buf_addf(&text, "%" PRIu64, number);
    if (buf_text(&text, &digits) == RC_OK)
        daemon_authority_aim(request, "proposal", digits);
}

/* Of one that is decided: what it was, whose, and what its decider says. */
static void say_decision(const struct daemon_authority_request *request,
                         const struct registry_question *asked, struct buf *text)
{
    const struct registry_proposal *proposal = &request->proposal;

    find_act(proposal->act)->say(asked, text);
    buf_addf(text, "; of %s", proposal->author);
    if (proposal->state == REGISTRY_PROPOSAL_WITHDRAWN)
        buf_addf(text, "; withdrawn");
    if (request->decides_why[0] != '\0')
        buf_addf(text, "; %s", request->decides_why);
}

/* ---- Making one ---- */

static enum rc record_making(struct store_txn *txn, struct daemon_authority_request *request)
{
    AUTO_BUF(text, 2 * AUDIT_REASON_MAX);
    const char *said = NULL;

    find_act(request->proposal.act)->say(&request->question, &text);
    if (request->proposal.act == REGISTRY_ACT_POLICY) /* checked: a failed test is an error */
        buf_addf(&text, "; %zu rules, compiles with its tests", request->rules);
    buf_addf(&text, "; sha256 ");
    text_add_hex(&text, BYTES_OF(request->proposal.hash));
    if (request->proposal.why[0] != '\0')
        buf_addf(&text, "; %s", request->proposal.why);
    TRY(buf_text(&text, &said));
    aim(request, request->proposal.number);
    return daemon_authority_record(txn, request, RC_OK, said);
}

static enum rc make(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    const struct registry_question *q = &request->question;
    const struct registry_act_row *row = row_of(request->ask);
    struct registry_proposal *proposal = &request->proposal;

    *proposal = (struct registry_proposal){
        .act = row->act,
        .base = q->version,
        .shown = q->preamble.actor.fingerprint,
        .expires_ms = request->now_ms + request->authority->setup.settings.proposal_lifetime_ms,
    };
    TRY(daemon_authority_check_actor(txn, request, registry_right_of(request->ask)));
    TRY(find_act(row->act)->check(txn, request, q));
    TRY(daemon_authority_judge_revocations(txn, request, q->ids));
    memcpy(proposal->author, request->actor.id, sizeof proposal->author);
    memcpy(proposal->why, q->why, sizeof proposal->why);
    memcpy(proposal->hash, request->content_hash, sizeof proposal->hash);
    if (row->act == REGISTRY_ACT_POLICY) {
        const struct registry_text text = daemon_authority_text(request);
        TRY(registry_text_propose(txn, &text, bytes_of_text(request->actor.id),
                                  request->now_ms));
    }
    TRY(registry_proposal_add(txn, proposal, buf_bytes(&request->content), request->now_ms));
    TRY(record_making(txn, request));
    request->answer.proposal = *proposal;
    request->answer.accepted = true;
    request->answer.sequence = store_feed_position(txn).sequence;
    return RC_OK;
}

static void made(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc == RC_OK) {
        daemon_authority_answer(request);
        return;
    }
    request->proposal = (struct registry_proposal){ 0 };
    request->target[0] = '\0';
    daemon_authority_refuse(request, rc);
}

void daemon_authority_propose(struct daemon_authority_request *request)
{
    request->as = AUDIT_PROPOSAL_MAKE;
    request->kind = (enum registry_kind)0; /* the record is its author's, whoever it is about */
    enum rc rc =
        registry_question_write_body(request->ask, &request->question, &request->content);
    if (rc == RC_OK)
        rc = pki_key_hash(buf_bytes(&request->content), request->content_hash);
    if (rc == RC_OK)
        daemon_authority_queue(request, make, made);
    else
        daemon_authority_refuse_unread(request, rc);
}

/* ---- Deciding ---- */

/* What is told if it is refused, and how each run begins. */
static void begin_again(struct daemon_authority_request *request)
{
    request->as = request->ask == REGISTRY_ASK_PROPOSAL_APPROVE ? AUDIT_PROPOSAL_APPROVE
                                                                : AUDIT_PROPOSAL_REJECT;
    request->acting = (enum registry_ask)0;
    request->kind = (enum registry_kind)0;
    request->answer = (struct registry_answer){ 0 };
    request->said[0] = '\0';
    aim(request, request->decides);
}

/* *asked borrows from the request's copy of the content. */
static enum rc find_open(struct store_txn *txn, struct daemon_authority_request *request,
                         struct registry_question *asked)
{
    struct registry_proposal *proposal = &request->proposal;
    struct bytes content;

    TRY(registry_proposal_get(txn, request->decides, proposal, &content));
    TRY(registry_proposal_check_open(proposal, request->now_ms));
    buf_reset(&request->content);
    buf_add(&request->content, content);
    TRY(buf_done(&request->content, &content));
    *asked = (struct registry_question){ .preamble = request->question.preamble };
    enum rc rc =
        registry_question_read_body(registry_act_get(proposal->act)->ask, content, asked);
    return rc == RC_OK ? RC_OK
                       : fault_while(rc,
                                     "proposal %" PRIu64 " was made by another version of "
                                     "Touchmark: reject it, and make it anew",
                                     request->decides);
}

static enum rc close_it(struct store_txn *txn, struct daemon_authority_request *request,
                        enum registry_proposal_state state)
{
    struct registry_proposal *proposal = &request->proposal;

    memcpy(proposal->decider, request->actor.id, sizeof proposal->decider);
    memcpy(proposal->decided_why, request->decides_why, sizeof proposal->decided_why);
    proposal->decider_shown = request->question.preamble.actor.fingerprint;
    TRY(registry_proposal_close(txn, proposal, state, request->now_ms));
    request->answer.proposal = *proposal;
    return RC_OK;
}

static enum rc record_decision(struct store_txn *txn, struct daemon_authority_request *request,
                               const struct registry_question *asked)
{
    AUTO_BUF(text, 2 * AUDIT_REASON_MAX);
    const char *said = NULL;

    say_decision(request, asked, &text);
    TRY(buf_text(&text, &said));
    return daemon_authority_record(txn, request, RC_OK, said);
}

/* The act's own record names both: the one who approves acts, by the other's proposal. */
static enum rc act(struct store_txn *txn, struct daemon_authority_request *request,
                   const struct registry_question *asked)
{
    const struct registry_act_row *row = registry_act_get(request->proposal.act);
    AUTO_BUF(text, 2 * AUDIT_REASON_MAX);
    const char *said = NULL;

    request->as = (enum audit_action)0;
    request->acting = row->ask;
    request->question = *asked;
    TRY(daemon_authority_run(txn, request, row->ask));
    buf_addf(&text, "proposal %" PRIu64 " of %s", request->proposal.number,
             request->proposal.author);
    if (request->said[0] != '\0')
        buf_addf(&text, "; %s", request->said);
    TRY(buf_text(&text, &said));
    return daemon_authority_record(txn, request, RC_OK, said);
}

static enum rc approve(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct registry_question asked;

    begin_again(request);
    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_PROPOSAL_WRITE));
    TRY(find_open(txn, request, &asked));
    bool alone = request->proposal.act == REGISTRY_ACT_POLICY &&
                 !needs_two(request->authority, REGISTRY_ACT_POLICY);
    TRY(registry_proposal_check_second(txn, &request->proposal, &request->actor,
                                       &request->question.preamble.actor.fingerprint, alone));
    TRY(daemon_authority_check_actor(
        txn, request, registry_right_of(registry_act_get(request->proposal.act)->ask)));
    TRY(daemon_authority_judge_call(txn, request, registry_act_get(request->proposal.act)->ask,
                                    &asked));
    TRY(registry_why_check(bytes_of_text(request->decides_why)));
    enum rc rc = find_act(request->proposal.act)->check(txn, request, &asked);
    if (rc != RC_OK)
        return fault_while(rc, "proposal %" PRIu64 " is stale", request->decides);
    TRY(close_it(txn, request, REGISTRY_PROPOSAL_APPROVED));
    TRY(record_decision(txn, request, &asked));
    TRY(act(txn, request, &asked));
    request->answer.sequence = store_feed_position(txn).sequence;
    return RC_OK;
}

static enum rc reject(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct registry_proposal *proposal = &request->proposal;
    struct registry_question asked;

    begin_again(request);
    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_PROPOSAL_WRITE));
    TRY(find_open(txn, request, &asked));
    bool own = strcmp(request->actor.id, proposal->author) == 0;
    TRY(close_it(txn, request, own ? REGISTRY_PROPOSAL_WITHDRAWN : REGISTRY_PROPOSAL_REJECTED));
    return record_decision(txn, request, &asked);
}

static void decided(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc != RC_OK) {
        begin_again(request);
        daemon_authority_refuse(request, rc);
        return;
    }
    if (request->acting == REGISTRY_ASK_DEVICE_REVOKE_MANY)
        daemon_authority_crl_want(request->authority, REGISTRY_DEVICE,
                                  request->question.preamble.correlation);
    if (request->acting == REGISTRY_ASK_POLICY_APPLY)
        daemon_authority_brought(request);
    if (request->acting == REGISTRY_ASK_AUDIT_ERASE)
        daemon_authority_retention_soon(request->authority);
    daemon_authority_answer(request);
}

/* A text is compiled before the transaction that puts it in force. What a number names never
 * changes; whoever may not approve it is told so there, and nothing is compiled for him. */
static enum rc find_text(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    struct registry_question asked;

    TRY(daemon_authority_check_actor(txn, request, REGISTRY_RIGHT_PROPOSAL_WRITE));
    TRY(find_open(txn, request, &asked));
    if (request->proposal.act != REGISTRY_ACT_POLICY)
        return RC_NOT_FOUND;
    request->name = asked.name;
    return registry_text_get(txn, &(struct registry_text){ asked.text, asked.name },
                             &request->whole);
}

static void queue_approval(struct daemon_authority_request *request)
{
    daemon_authority_queue(request, approve, decided);
}

void daemon_authority_decide(struct daemon_authority_request *request)
{
    const struct daemon_authority_setup *setup = &request->authority->setup;

    request->decides = request->question.number;
    memcpy(request->decides_why, request->question.why, sizeof request->decides_why);
    if (request->ask != REGISTRY_ASK_PROPOSAL_APPROVE)
        daemon_authority_queue(request, reject, decided);
    else if (store_read(setup->store, find_text, request) == RC_OK)
        daemon_authority_compile(
            request, &(const struct registry_text){ buf_bytes(&request->whole), request->name },
            queue_approval);
    else
        queue_approval(request);
}
