#include "daemon/authority_state.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/events.h"

enum { QUEUE_WAITING = 8192, QUEUE_GROUP = 512, REPLY_MAX = LINK_BODY_MAX, AGAIN_MS = 1000 };
enum { PRUNE_EVERY_MS = 3600 * 1000 };

/* ---- A request's life ---- */

/* A token's secret may be in it. */
static void wipe(struct buf *buf)
{
    if (buf->at != NULL)
        explicit_bzero(buf->at, buf->len);
    buf_clear(buf);
}

struct daemon_authority_request *
daemon_authority_request_new(struct daemon_authority *authority)
{
    struct daemon_authority_request *request = calloc(1, sizeof *request);

    if (request == NULL)
        return NULL;
    request->authority = authority;
    request->now_ms = clock_wall_ms(authority->setup.clock);
    request->body = BUF_MAX(LINK_BODY_MAX);
    request->content = BUF_MAX(REGISTRY_CONTENT_MAX);
    request->list = BUF_MAX(REGISTRY_LIST_MAX);
    request->text = BUF_MAX(REGISTRY_TEXT_PART);
    request->whole = BUF_MAX(REGISTRY_POLICY_MAX);
    request->cursor = BUF_MAX(REGISTRY_CURSOR_MAX);
    request->tbs = BUF_MAX(REGISTRY_CERTIFICATE_MAX);
    request->certificate = BUF_MAX(REGISTRY_CERTIFICATE_MAX);
    return request;
}

void daemon_authority_forget(struct daemon_authority_request *request)
{
    daemon_authority_unfollow(request);
    daemon_authority_brings_none(request);
    loop_disarm(&request->timer);
    wipe(&request->body);
    wipe(&request->text);
    buf_clear(&request->list);
    buf_clear(&request->whole);
    buf_clear(&request->content);
    buf_clear(&request->cursor);
    buf_clear(&request->tbs);
    buf_clear(&request->certificate);
    free(request);
}

static void reply(struct daemon_authority_request *request, enum rc rc, struct bytes body)
{
    if (request->answered)
        return;
    request->answered = true;
    if (request->ended != NULL)
        request->ended(request, rc);
    else
        link_answer(&request->request, rc, body, -1);
}

void daemon_authority_turn_away(struct daemon_authority_request *request, enum rc rc)
{
    reply(request, rc, bytes_of_text(fault_text()));
    daemon_authority_forget(request);
}

void daemon_authority_queue(struct daemon_authority_request *request,
                            enum rc (*change)(struct store_txn *txn, struct store_job *job),
                            void (*done)(struct store_job *job, enum rc rc))
{
    request->job.change = change;
    request->job.done = done;
    if (request->authority->ending)
        daemon_authority_turn_away(request, fault(RC_CLOSED, "the authority ends"));
    else if (store_queue_add(request->authority->queue, &request->job) != RC_OK)
        daemon_authority_turn_away(request, fault(RC_BUSY, "too many changes wait"));
}

void daemon_authority_answer(struct daemon_authority_request *request)
{
    AUTO_BUF(body, REPLY_MAX);
    enum rc rc = registry_answer_write(request->ask, &request->answer, &body);

    reply(request, rc, rc == RC_OK ? buf_bytes(&body) : bytes_of_text(fault_text()));
    daemon_authority_forget(request);
}

/* What was signed and will never be given away is an orphan at once, not only after a crash. */
static enum rc write_orphan(struct store_txn *txn, struct daemon_authority_request *request)
{
    struct registry_certificate orphan = request->row;
    enum rc rc = registry_orphan_add(txn, orphan.issuer_hash,
                                     (struct bytes){ orphan.serial, orphan.serial_len },
                                     orphan.not_after_s, request->now_ms);

    if (rc == RC_EXISTS)
        return RC_OK;
    TRY(rc);
    orphan.kind = request->kind;
    memcpy(orphan.subject, request->id, sizeof orphan.subject);
    return daemon_authority_record_orphan(txn, request->authority, &orphan,
                                          request->question.preamble.correlation);
}

static enum rc write_refusal(struct store_txn *txn, struct store_job *job)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (request->reserved)
        TRY(registry_token_release(txn, request->question.token_id, request->attempt));
    if (request->row.serial_len > 0)
        TRY(write_orphan(txn, request));
    return daemon_authority_record(txn, request, request->failed, request->reason);
}

static void refusal_written(struct store_job *job, enum rc rc);

static enum rc undo_again(struct loop_timer *timer)
{
    struct daemon_authority_request *request =
        (void *)((char *)timer - offsetof(struct daemon_authority_request, timer));
    struct daemon_authority_request **at = &request->authority->undone;

    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    daemon_authority_queue(request, write_refusal, refusal_written);
    return RC_OK;
}

/* While the disk is full a token cannot be given back, nor an orphan be written down: whoever
 * asked has his answer, and it is tried until there is space. */
static bool undo_later(struct daemon_authority_request *request, enum rc rc)
{
    struct daemon_authority *authority = request->authority;
    bool undo = request->reserved || request->row.serial_len > 0;

    request->timer.due = undo_again;
    if (rc != RC_LIMIT || !undo || authority->ending ||
        loop_arm(authority->setup.loop, &request->timer, AGAIN_MS) != RC_OK)
        return false;
    reply(request, rc, bytes_of_text(fault_text()));
    request->next = authority->undone;
    authority->undone = request;
    return true;
}

static void refusal_written(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc == RC_LIMIT)
        request->authority->unrecorded++;
    if (undo_later(request, rc))
        return;
    if (rc == RC_OK && request->row.serial_len > 0)
        daemon_authority_crl_want(request->authority, request->kind,
                                  request->question.preamble.correlation);
    if (rc == RC_OK)
        rc = fault(request->failed, "%s", request->reason);
    daemon_authority_turn_away(request, rc);
}

void daemon_authority_keep_reason(struct daemon_authority_request *request)
{
    struct bytes reason = bytes_of_text(fault_text());
    size_t len = reason.len < sizeof request->reason ? reason.len : sizeof request->reason - 1;

    memcpy(request->reason, reason.at, len);
    request->reason[len] = '\0';
}

void daemon_authority_refuse(struct daemon_authority_request *request, enum rc rc)
{
    if (rc == RC_BUSY && !request->reserved && request->row.serial_len == 0) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    daemon_authority_keep_reason(request);
    request->failed = rc;
    daemon_authority_queue(request, write_refusal, refusal_written);
}

static bool is_decision(enum rc rc)
{
    return rc == RC_DENIED || rc == RC_LIMIT || rc == RC_MALFORMED || rc == RC_EXISTS ||
           rc == RC_NOT_FOUND;
}

void daemon_authority_fail(struct daemon_authority_request *request, enum rc rc)
{
    if (rc == RC_DENIED || (is_decision(rc) && request->actor.kind != 0))
        daemon_authority_refuse(request, rc);
    else
        daemon_authority_turn_away(request, rc);
}

enum rc daemon_authority_know_actor(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    return daemon_authority_check_actor(txn, request, registry_right_of(request->ask));
}

void daemon_authority_refuse_unread(struct daemon_authority_request *request, enum rc rc)
{
    daemon_authority_keep_reason(request);
    enum rc known =
        store_read(request->authority->setup.store, daemon_authority_know_actor, request);
    daemon_authority_fail(request, known != RC_OK ? known : fault(rc, "%s", request->reason));
}

/* ---- Dispatch ---- */

/* Of each request, who serves it. */
static void (*const SERVED_BY[])(struct daemon_authority_request *request) = {
    [REGISTRY_ASK_WATCH] = daemon_authority_follow,
    [REGISTRY_ASK_SNAPSHOT] = daemon_authority_follow,
    [REGISTRY_ASK_LOOK_UP] = daemon_authority_follow,
    [REGISTRY_ASK_APPLIED] = daemon_authority_follow,
    [REGISTRY_ASK_AUDIT_WATCH] = daemon_authority_follow,
    [REGISTRY_ASK_CRL] = daemon_authority_follow,
    [REGISTRY_ASK_POLICY_TEXT] = daemon_authority_follow,
    [REGISTRY_ASK_ACKNOWLEDGE] = daemon_authority_follow,
    [REGISTRY_ASK_POLICY_PART] = daemon_authority_policy_part,
    [REGISTRY_ASK_DOOR] = daemon_authority_enrol,
    [REGISTRY_ASK_ENROL] = daemon_authority_enrol,
    [REGISTRY_ASK_REENROL] = daemon_authority_enrol,
    [REGISTRY_ASK_OPERATOR_ADD] = daemon_authority_enrol,
    [REGISTRY_ASK_DEVICE_ADD] = daemon_authority_command,
    [REGISTRY_ASK_DEVICE_LIST] = daemon_authority_command,
    [REGISTRY_ASK_DEVICE_SHOW] = daemon_authority_command,
    [REGISTRY_ASK_DEVICE_STATE] = daemon_authority_command,
    [REGISTRY_ASK_CERTIFICATE_LIST] = daemon_authority_command,
    [REGISTRY_ASK_CERTIFICATE_REVOKE] = daemon_authority_command,
    [REGISTRY_ASK_TOKEN_NEW] = daemon_authority_command,
    [REGISTRY_ASK_OPERATOR_LIST] = daemon_authority_command,
    [REGISTRY_ASK_OPERATOR_REVOKE] = daemon_authority_command,
    [REGISTRY_ASK_POLICY_SHOW] = daemon_authority_command,
    [REGISTRY_ASK_POLICY_APPLY] = daemon_authority_command,
    [REGISTRY_ASK_POLICY_PROPOSE] = daemon_authority_command,
    [REGISTRY_ASK_STATUS] = daemon_authority_command,
    [REGISTRY_ASK_POLICY_LIST] = daemon_authority_command,
    [REGISTRY_ASK_PROPOSAL_LIST] = daemon_authority_command,
    [REGISTRY_ASK_PROPOSAL_SHOW] = daemon_authority_command,
    [REGISTRY_ASK_DEVICE_REVOKE_MANY] = daemon_authority_command,
    [REGISTRY_ASK_AUDIT_LIST] = daemon_authority_command,
    [REGISTRY_ASK_AUDIT_CHECKPOINT] = daemon_authority_command,
    [REGISTRY_ASK_AUDIT_PROOF] = daemon_authority_command,
    [REGISTRY_ASK_AUDIT_ENTRIES] = daemon_authority_command,
    [REGISTRY_ASK_AUDIT_HOLD_LIST] = daemon_authority_command,
    [REGISTRY_ASK_PROPOSAL_APPROVE] = daemon_authority_decide,
    [REGISTRY_ASK_PROPOSAL_REJECT] = daemon_authority_decide,
    [REGISTRY_ASK_SPOOL] = daemon_authority_spool,
    [REGISTRY_ASK_BACKUP] = daemon_authority_backup,
    [REGISTRY_ASK_AUDIT_ERASE] = daemon_authority_erase,
    [REGISTRY_ASK_AUDIT_HOLD] = daemon_authority_hold,
    [REGISTRY_ASK_AUDIT_COSIGN] = daemon_authority_cosign,
    [REGISTRY_ASK_EXPORTED] = daemon_authority_export,
};

void daemon_authority_dispatch(struct daemon_authority_request *request)
{
    size_t ask = request->ask;

    if (daemon_authority_park(request))
        return;
    if (ask < sizeof SERVED_BY / sizeof *SERVED_BY && SERVED_BY[ask] != NULL)
        SERVED_BY[ask](request);
    else
        daemon_authority_turn_away(request, fault(RC_MALFORMED, "no such request"));
}

static enum rc copy_question(struct daemon_authority_request *request, struct bytes body)
{
    struct bytes copy;

    buf_add(&request->body, body);
    TRY(buf_done(&request->body, &copy));
    return registry_question_read(request->ask, copy, &request->question);
}

/* A body that cannot be read is answered, not fatal: the link's own framing was right. */
static enum rc handle(void *with, const struct link_request *arrived)
{
    struct daemon_authority_door *door = with;
    struct daemon_authority_request *request = daemon_authority_request_new(door->authority);

    if (request == NULL) {
        link_answer(arrived, RC_NOMEM, BYTES("out of memory"), -1);
        return RC_OK;
    }
    request->request = *arrived;
    request->request.body = BYTES("");
    request->channel = door->channel;
    request->ask = (enum registry_ask)arrived->kind->kind;
    if (door->channel == REGISTRY_EXPORTER && !door->serves) {
        door->serves = true;
        daemon_authority_tell_start(door->authority, "exporter", RC_OK, "it asks");
    }
    enum rc rc = copy_question(request, arrived->body);
    if (rc == RC_OK && !registry_channel_asks(request->channel, request->ask))
        daemon_authority_refuse(request,
                                fault(RC_DENIED, "%s: not asked by the %s", arrived->kind->name,
                                      registry_channel_name(request->channel)));
    else if (rc == RC_OK)
        daemon_authority_dispatch(request);
    else
        daemon_authority_turn_away(request, rc);
    return RC_OK;
}

/* ---- The authority's life ---- */

static void door_closed(void *with)
{
    struct daemon_authority_door *door = with;

    if (door->authority->setup.log != NULL)
        log_write(door->authority->setup.log, DAEMON_EVENT_AUTHORITY_DOOR_GONE,
                  LOG_TEXT_FIELD("door", registry_channel_name(door->channel)),
                  LOG_TEXT_FIELD("reason", fault_text()));
    link_server_close(door->server);
    door->server = NULL;
    daemon_authority_staged_drop(door->authority, door->channel);
    door->serves = false;
}

enum rc daemon_authority_serve(struct daemon_authority *authority,
                               enum registry_channel channel, int fd)
{
    struct daemon_authority_door *door = &authority->doors[channel];

    link_server_close(door->server);
    door->server = NULL;
    door->serves = false;
    daemon_authority_staged_drop(authority, channel);
    return link_serve(authority->setup.loop, fd, registry_door_protocol(), handle, door_closed,
                      door, &door->server);
}

static enum rc turn_ended(struct loop_turn *turn)
{
    struct daemon_authority *authority =
        (void *)((char *)turn - offsetof(struct daemon_authority, woken));

    daemon_authority_wake(authority);
    return RC_OK;
}

static enum rc begin(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;
    struct bytes authorities;
    uint64_t released = 0;

    if (registry_authorities_get(txn, &authorities) != RC_OK)
        return fault(RC_NOT_FOUND, "the registry is empty: touchmark init fills it");
    buf_reset(&authority->authorities);
    buf_add(&authority->authorities, authorities);
    return registry_token_release_all(txn, &released);
}

enum rc daemon_authority_new(const struct daemon_authority_setup *setup,
                             struct daemon_authority **authority)
{
    const struct store_queue_limits limits = { QUEUE_WAITING, QUEUE_GROUP };
    AUTO_OF(daemon_authority) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "the authority");
    made->setup = *setup;
    if (made->setup.settings.prune_every_ms == 0)
        made->setup.settings.prune_every_ms = PRUNE_EVERY_MS;
    made->authorities = BUF_MAX(LINK_BODY_MAX);
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++) {
        made->doors[i].authority = made;
        made->doors[i].channel = (enum registry_channel)i;
    }
    made->started_ms = clock_wall_ms(setup->clock);
    TRY(store_write(setup->store, begin, made));
    TRY(pki_verifier_new(&made->verifier));
    TRY(store_queue_new(setup->store, &limits, &made->queue));
    loop_add_turn(setup->loop, store_queue_turn(made->queue));
    made->woken.ended = turn_ended;
    daemon_authority_reading_start(made);
    loop_add_turn(setup->loop, &made->woken);
    daemon_authority_backup_start(made);
    TRY(daemon_authority_active_start(made));
    TRY(daemon_authority_flood_start(made));
    TRY(daemon_authority_crl_start(made));
    TRY(daemon_authority_publish_start(made));
    TRY(daemon_authority_checkpoint_start(made));
    TRY(daemon_authority_proposals_start(made));
    TRY(daemon_authority_retention_start(made));
    TRY(daemon_authority_index_start(made));
    *authority = TAKE(made);
    return RC_OK;
}

void daemon_authority_free(struct daemon_authority *authority)
{
    if (authority == NULL)
        return;
    authority->ending = true;
    daemon_authority_backup_stop(authority);
    daemon_authority_compile_stop(authority);
    daemon_authority_active_stop(authority);
    daemon_authority_staged_stop(authority);
    keys_client_close(authority->signer);
    if (authority->queue != NULL)
        loop_remove_turn(store_queue_turn(authority->queue));
    loop_remove_turn(&authority->woken);
    store_queue_free(authority->queue);
    daemon_authority_reading_stop(authority);
    daemon_authority_ends_stop(authority);
    daemon_authority_flood_stop(authority);
    while (authority->waiting != NULL) {
        struct daemon_authority_request *request = authority->waiting;
        authority->waiting = request->next;
        daemon_authority_turn_away(request, fault(RC_CLOSED, "the authority ends"));
    }
    while (authority->undone != NULL) {
        struct daemon_authority_request *request = authority->undone;
        authority->undone = request->next;
        daemon_authority_forget(request); /* undone when it starts again, as after a crash */
    }
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        link_server_close(authority->doors[i].server);
    loop_disarm(&authority->further);
    loop_disarm(&authority->crl_timer);
    daemon_authority_checkpoint_stop(authority);
    daemon_authority_proposals_stop(authority);
    daemon_authority_publish_stop(authority);
    daemon_authority_retention_stop(authority);
    daemon_authority_index_stop(authority);
    for (unsigned i = 0; i < DAEMON_AUTHORITY_KINDS; i++)
        pki_template_free(authority->template_of[i]);
    pki_verifier_free(authority->verifier);
    policy_unref(authority->active.policy);
    buf_clear(&authority->authorities);
    free(authority);
}

bool daemon_authority_issues(const struct daemon_authority *authority)
{
    return authority->issues;
}
