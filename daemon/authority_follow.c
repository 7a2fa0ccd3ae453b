#include "daemon/authority_state.h"

#include <string.h>

#include "registry/change.h"

/* Of the feed: what every door has applied goes after an hour, and what no door ever takes when
 * there is too much of it: that door takes a snapshot. */
enum {
    FEED_AGE_MS = 3600000,
    FEED_MOST = 1000000,
    FEED_WORK = 256,
    FOLLOWERS_MOST = 16,
    FOLLOWERS_EACH = 4
};

/* ---- Waiting ---- */

static void park(struct daemon_authority_request *request)
{
    request->next = request->authority->waiting;
    request->authority->waiting = request;
}

static void unpark(struct daemon_authority_request *request)
{
    struct daemon_authority_request **at = &request->authority->waiting;

    while (*at != NULL && *at != request)
        at = &(*at)->next;
    if (*at != NULL)
        *at = request->next;
}

static enum rc read_news(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    buf_reset(&request->list);
    request->answer.position = request->question.position;
    TRY(registry_change_watch(txn, &request->answer.position, &request->list));
    request->answer.list = buf_bytes(&request->list);
    return RC_OK;
}

static enum rc read_applied(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    TRY(store_feed_acknowledged_by_all(txn, &request->answer.sequence));
    request->answer.applied = request->answer.sequence >= request->question.sequence;
    return RC_OK;
}

/* What is asked for while it waits: how is it read, and is it there? */
static enum rc look_for(struct daemon_authority_request *request, bool *there)
{
    struct store *store = request->authority->setup.store;

    if (request->ask == REGISTRY_ASK_AUDIT_WATCH) {
        TRY(store_read(store, daemon_authority_audit_news, request));
        *there = request->has_news;
        return RC_OK;
    }
    bool watch = request->ask == REGISTRY_ASK_WATCH;
    TRY(store_read(store, watch ? read_news : read_applied, request));
    *there = watch ? request->list.len > 0 : request->answer.applied;
    return RC_OK;
}

static enum rc look_further(struct loop_timer *timer);

/* In a turn of its own, so that nobody waits for who has a long way to go. No memory for it:
 * with the next commit, or as far as it came when its time is up. */
static void go_further(struct daemon_authority *authority)
{
    authority->further.due = look_further;
    if (authority->further.loop == NULL)
        (void)loop_arm(authority->setup.loop, &authority->further, 0);
}

/* Is there an answer now? If so, or on a failure, the request is gone. */
static bool settle(struct daemon_authority_request *request, bool late)
{
    bool there = false;
    enum rc rc = look_for(request, &there);

    if (rc != RC_OK)
        daemon_authority_fail(request, rc);
    else if (late || there)
        daemon_authority_answer(request);
    else if (request->behind)
        go_further(request->authority);
    return rc != RC_OK || late || there;
}

static enum rc time_is_up(struct loop_timer *timer)
{
    struct daemon_authority_request *request =
        (void *)((char *)timer - offsetof(struct daemon_authority_request, timer));

    unpark(request);
    settle(request, true);
    return RC_OK;
}

void daemon_authority_wait(struct daemon_authority_request *request)
{
    if (settle(request, false))
        return;
    request->timer.due = time_is_up;
    enum rc rc =
        loop_arm(request->authority->setup.loop, &request->timer, DAEMON_AUTHORITY_WAIT_MS);
    if (rc == RC_OK)
        park(request);
    else
        daemon_authority_turn_away(request, rc);
}

static void settle_all(struct daemon_authority *authority, bool only_behind)
{
    struct daemon_authority_request *request = authority->waiting;

    authority->waiting = NULL;
    while (request != NULL) {
        struct daemon_authority_request *next = request->next;
        if ((only_behind && !request->behind) || !settle(request, false))
            park(request);
        request = next;
    }
}

static enum rc look_further(struct loop_timer *timer)
{
    settle_all((void *)((char *)timer - offsetof(struct daemon_authority, further)), true);
    return RC_OK;
}

void daemon_authority_wake(struct daemon_authority *authority)
{
    uint64_t revision = store_revision(authority->setup.store);

    if (revision == authority->told_revision && !authority->acknowledged)
        return;
    authority->told_revision = revision;
    authority->acknowledged = false;
    settle_all(authority, false);
}

/* ---- WATCH: what a door asks for says what it has applied; ACKNOWLEDGE: only that ---- */

static struct registry_position applied_by(const struct registry_question *question)
{
    struct registry_position applied = question->position;

    if (question->sequence > 0)
        applied.sequence = question->sequence;
    return applied;
}

static enum rc acknowledge(struct store_txn *txn, struct store_job *job)
{
    static const struct store_feed_keep KEEP = { FEED_AGE_MS, FEED_MOST };
    const struct daemon_authority_request *request = daemon_authority_of(job);
    struct store_position position = { .sequence = applied_by(&request->question).sequence };
    size_t removed = 0;

    memcpy(position.lineage, request->question.position.lineage, sizeof position.lineage);
    TRY(store_feed_acknowledge(txn, bytes_of_text(registry_channel_name(request->channel)),
                               &position));
    return store_feed_trim(txn, &KEEP, FEED_WORK, &removed);
}

static void acknowledged(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);
    struct daemon_authority *authority = request->authority;

    if (rc != RC_OK) {
        daemon_authority_turn_away(request, rc);
        return;
    }
    authority->doors[request->channel].acknowledged = applied_by(&request->question);
    authority->acknowledged = true;
    if (request->ask == REGISTRY_ASK_WATCH)
        daemon_authority_wait(request);
    else
        daemon_authority_answer(request);
}

static bool is_known_position(const struct daemon_authority_request *request)
{
    const struct registry_position *last =
        &request->authority->doors[request->channel].acknowledged;
    const struct registry_position now = applied_by(&request->question);

    return last->sequence == now.sequence &&
           bytes_equal(BYTES_OF(last->lineage), BYTES_OF(now.lineage)) && now.sequence > 0;
}

static void watch(struct daemon_authority_request *request)
{
    if (is_known_position(request))
        daemon_authority_wait(request);
    else
        daemon_authority_queue(request, acknowledge, acknowledged);
}

/* ---- SNAPSHOT; CRL and POLICY_TEXT: a part of one that the door was told of ---- */

static void read_and_answer(struct daemon_authority_request *request,
                            enum rc (*look)(struct store_txn *txn, void *with))
{
    enum rc rc = store_read(request->authority->setup.store, look, request);

    if (rc == RC_OK)
        daemon_authority_answer(request);
    else
        daemon_authority_turn_away(request, rc);
}

static enum rc read_page(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;

    buf_reset(&request->list);
    buf_reset(&request->cursor);
    TRY(registry_change_snapshot(txn, request->question.cursor, &request->list,
                                 &request->cursor, &request->answer.position));
    request->answer.list = buf_bytes(&request->list);
    request->answer.cursor = buf_bytes(&request->cursor);
    return RC_OK;
}

static enum rc read_part(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    const struct registry_question *question = &request->question;
    struct bytes octets;

    TRY(registry_crl_get_part(txn, bytes_of_text(question->id), question->version,
                              question->part, &octets));
    buf_add(&request->list, octets);
    return buf_done(&request->list, &request->answer.list);
}

static enum rc read_text(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    struct bytes octets;

    TRY(registry_text_get_part(txn, &request->question.name, request->question.part, &octets));
    buf_add(&request->list, octets);
    return buf_done(&request->list, &request->answer.list);
}

/* ---- LOOK_UP: a leaf that no projection knows ---- */

static enum rc read_leaf(struct store_txn *txn, void *with)
{
    struct daemon_authority_request *request = with;
    struct pki_certificate leaf;
    struct registry_leaf known = { 0 };

    TRY(pki_certificate_read(request->question.der, &leaf));
    memcpy(known.fingerprint.at, leaf.fingerprint, sizeof known.fingerprint.at);
    memcpy(known.key_hash, leaf.key_hash, sizeof known.key_hash);
    TRY(pki_key_hash(leaf.issuer, known.issuer_hash));
    known.serial = leaf.serial;
    request->about.fingerprint = known.fingerprint;
    memcpy(request->about.key_hash, known.key_hash, sizeof known.key_hash);
    memcpy(request->about.issuer_hash, known.issuer_hash, sizeof known.issuer_hash);
    if (leaf.serial.len <= sizeof request->about.serial) {
        memcpy(request->about.serial, leaf.serial.at, leaf.serial.len);
        request->about.serial_len = leaf.serial.len;
    }
    return registry_certificate_look_up(txn, &known, request->now_ms, &request->answer.verdict,
                                        &request->answer.certificate, &request->answer.subject);
}

static enum rc record_altered(struct store_txn *txn, struct store_job *job)
{
    return daemon_authority_record(txn, daemon_authority_of(job), RC_DENIED,
                                   "altered: another fingerprint of a certificate or key that "
                                   "is in the registry");
}

static void looked_up(struct store_job *job, enum rc rc)
{
    struct daemon_authority_request *request = daemon_authority_of(job);

    if (rc == RC_OK)
        daemon_authority_answer(request);
    else
        daemon_authority_turn_away(request, rc);
}

/* A stranger costs a read; only what was altered costs a commit. */
static void look_up(struct daemon_authority_request *request)
{
    enum rc rc = store_read(request->authority->setup.store, read_leaf, request);

    if (rc == RC_OK && request->answer.verdict == REGISTRY_ALTERED)
        daemon_authority_queue(request, record_altered, looked_up);
    else
        looked_up(&request->job, rc);
}

/* ---- AUDIT_WATCH ---- */

static enum rc find_follower(struct store_txn *txn, void *with)
{
    return daemon_authority_check_actor(txn, with, registry_right_of(REGISTRY_ASK_AUDIT_WATCH));
}

/* Each holds a credit of its door's bulk lane, where enrolments wait, too: one operator gets a
 * part of what there is for all. */
static enum rc check_followers(const struct daemon_authority_request *request)
{
    unsigned all = 0, own = 0;

    for (const struct daemon_authority_request *at = request->authority->followers; at != NULL;
         at = at->next_follower) {
        all++;
        own += at->actor.kind == request->actor.kind &&
               strcmp(at->actor.id, request->actor.id) == 0;
    }
    if (own >= FOLLOWERS_EACH)
        return fault(RC_LIMIT, "%s %s follows the log %u times already, which is the most",
                     registry_kind_name(request->actor.kind), request->actor.id, own);
    if (all >= FOLLOWERS_MOST)
        return fault(RC_BUSY, "%u follow the log already, which is the most", all);
    return RC_OK;
}

void daemon_authority_unfollow(struct daemon_authority_request *request)
{
    struct daemon_authority_request **at = &request->authority->followers;

    while (*at != NULL && *at != request)
        at = &(*at)->next_follower;
    if (*at != NULL)
        *at = request->next_follower;
}

/* Who may not is told so as any reader is. The exporter has a channel of its own, whose credits
 * bound it: it takes nobody's place. */
static void watch_log(struct daemon_authority_request *request)
{
    if (request->channel == REGISTRY_EXPORTER) {
        daemon_authority_read(request);
        return;
    }
    enum rc rc = store_read(request->authority->setup.store, find_follower, request);

    if (rc == RC_OK)
        rc = check_followers(request);
    daemon_authority_keep_reason(request);
    if (rc != RC_OK && rc != RC_DENIED) {
        if (daemon_authority_aim_reading(request) != RC_OK)
            request->target[0] = '\0';
        daemon_authority_fail(request, fault(rc, "%s", request->reason));
        return;
    }
    request->next_follower = request->authority->followers;
    request->authority->followers = request;
    daemon_authority_read(request);
}

void daemon_authority_follow(struct daemon_authority_request *request)
{
    if (request->ask == REGISTRY_ASK_WATCH)
        watch(request);
    else if (request->ask == REGISTRY_ASK_ACKNOWLEDGE)
        daemon_authority_queue(request, acknowledge, acknowledged);
    else if (request->ask == REGISTRY_ASK_SNAPSHOT)
        read_and_answer(request, read_page);
    else if (request->ask == REGISTRY_ASK_LOOK_UP)
        look_up(request);
    else if (request->ask == REGISTRY_ASK_AUDIT_WATCH)
        watch_log(request);
    else if (request->ask == REGISTRY_ASK_CRL)
        read_and_answer(request, read_part);
    else if (request->ask == REGISTRY_ASK_POLICY_TEXT)
        read_and_answer(request, read_text);
    else
        daemon_authority_wait(request);
}
