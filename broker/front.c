#include "broker/front.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/crls.h"
#include "broker/metrics.h"
#include "broker/policies.h"

enum { AGAIN_MS = 1000 };

struct broker_front {
    struct broker_front_setup setup;
    struct link *link;
    struct loop_timer again; /* after an answer that was no */
    struct broker_crls *crls;
    struct broker_policies *policies;

    pthread_mutex_t lock; /* of what follows up to the empty line */
    struct registry_projection *projection;

    struct registry_projection *filling; /* by a snapshot; takes the other's place when whole */
    struct buf cursor;
    struct registry_position position; /* come to; of the first page while filling */
    uint64_t applied;                  /* up to here, cuts included; 0: not even the snapshot */
    bool ready;
    bool settling; /* the next watch, which acknowledges, waits for the owner */
    bool watching; /* one is under way */
    bool changed;  /* the last apply() did something */
};

/* ---- Asking ---- */

struct asked {
    struct broker_front *front;
    enum registry_ask ask;
    broker_front_done *done;
    void *with;
};

static void on_reply(void *with, const struct link_reply *reply)
{
    struct asked *asked = with;
    struct registry_answer answer = { 0 };
    enum rc rc = reply->rc;
    struct bytes reason = reply->body;

    if (rc == RC_OK) {
        rc = registry_answer_read(asked->ask, reply->body, &answer);
        reason = rc == RC_OK ? BYTES("") : bytes_of_text(fault_text());
    }
    asked->done(asked->with, rc, rc == RC_OK ? &answer : NULL, reason);
    free(asked);
}

static enum rc send_question(struct asked *asked, const struct registry_question *question)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    TRY(registry_question_write(asked->ask, question, &body));
    return link_ask(asked->front->link, (uint16_t)asked->ask, buf_bytes(&body), -1, on_reply,
                    asked);
}

enum rc broker_front_ask(struct broker_front *front, enum registry_ask ask,
                         const struct registry_question *question, broker_front_done *done,
                         void *with)
{
    if (front->link == NULL)
        return fault(RC_BUSY, "the authority is away");
    struct asked *asked = malloc(sizeof *asked);
    if (asked == NULL)
        return fault(RC_BUSY, "no memory for a question");
    *asked = (struct asked){ front, ask, done, with };
    enum rc rc = send_question(asked, question);
    if (rc != RC_OK)
        free(asked);
    return rc == RC_OK || rc == RC_MALFORMED ? rc : RC_BUSY;
}

/* ---- Following the feed ---- */

static void watch(struct broker_front *front);
static void take_snapshot(struct broker_front *front);

static void tell(struct broker_front *front, const char *why_not)
{
    if (front->setup.observer.line != NULL)
        front->setup.observer.line(front->setup.observer.with, why_not);
}

static void try_again(struct broker_front *front)
{
    if (loop_arm(front->setup.loop, &front->again, AGAIN_MS) != RC_OK)
        tell(front, fault_text());
}

static void go_on(struct broker_front *front)
{
    if (front->filling != NULL || !front->ready)
        take_snapshot(front);
    else if (!front->settling && !front->watching)
        watch(front);
}

static enum rc on_again(struct loop_timer *timer)
{
    struct broker_front *front = (void *)((char *)timer - offsetof(struct broker_front, again));

    go_on(front);
    return RC_OK;
}

static void note_change(void *with, const struct registry_change *change)
{
    struct broker_front *front = with;

    (void)change;
    front->changed = true;
}

static enum rc new_projection(struct broker_front *front,
                              struct registry_projection **projection)
{
    const struct registry_observer observer = { note_change, front };

    return registry_projection_new(&observer, projection);
}

static void on_acknowledged(void *with, enum rc rc, const struct registry_answer *answer,
                            struct bytes reason)
{
    (void)with;
    (void)rc; /* if it did not arrive, the next watch says it */
    (void)answer;
    (void)reason;
}

/* A watch is under way since before that was applied, and may wait long. */
static void acknowledge(struct broker_front *front)
{
    const struct registry_question question = { .position = front->position };

    enum rc rc =
        broker_front_ask(front, REGISTRY_ASK_ACKNOWLEDGE, &question, on_acknowledged, front);
    (void)rc; /* likewise */
}

/* All cuts are done that the position demands; or, while a policy is fetched, which holds up
 * nobody's cut, only those before that: then watches say from where it is followed, and not
 * that this is applied. */
static void follow_on(struct broker_front *front, bool behind)
{
    if (!behind)
        front->applied = front->position.sequence;
    if (!front->watching)
        watch(front);
    else if (!behind)
        acknowledge(front);
}

/* The watch that says "applied" leaves when every cut that it stands for is done. */
static void settle(struct broker_front *front)
{
    const struct broker_front_observer *observer = &front->setup.observer;
    bool behind = broker_policies_is_behind(front->policies);

    front->settling = false;
    if (front->filling != NULL)
        return; /* the end of the snapshot comes here, too */
    broker_metric_set(BROKER_FEED_SEQUENCE, (int64_t)front->position.sequence);
    front->settling =
        !behind && !observer->is_settled(observer->with, front->position.sequence);
    if (!front->settling)
        follow_on(front, behind);
}

void broker_front_settled(struct broker_front *front)
{
    if (!front->settling)
        return;
    front->settling = false;
    if (front->filling == NULL)
        follow_on(front, broker_policies_is_behind(front->policies));
}

static void use_snapshot(struct broker_front *front)
{
    const struct broker_front_observer *observer = &front->setup.observer;

    front->ready = true;
    observer->changed(observer->with, NULL);
    tell(front, NULL);
    broker_crls_follow(front->crls);
    settle(front);
}

/* A policy that had to be fetched is here. */
static void on_policy(struct broker_front *front)
{
    static const struct registry_change POLICY = { .kind = REGISTRY_CHANGE_POLICY };
    const struct broker_front_observer *observer = &front->setup.observer;

    if (!front->ready && front->filling != NULL)
        return; /* as that ends */
    if (!front->ready) {
        use_snapshot(front);
        return;
    }
    observer->changed(observer->with, &POLICY);
    settle(front);
}

/* All of an answer under one lock: a certificate does not show before the subject that comes
 * with it. changed gets an octet for each. */
static enum rc apply_all(struct broker_front *front, struct bytes list, struct buf *changed)
{
    struct reader r = READER(list);
    struct registry_change change;
    uint64_t sequence = 0;
    enum rc rc;

    while ((rc = registry_answer_next_change(&r, &sequence, &change)) == RC_OK) {
        front->changed = false;
        TRY(registry_projection_apply(front->projection, &change));
        buf_add_u8(changed, front->changed);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc tell_changes(struct broker_front *front, struct bytes list, struct bytes changed)
{
    const struct broker_front_observer *observer = &front->setup.observer;
    struct reader r = READER(list);
    struct registry_change change;
    uint64_t sequence = 0;

    for (size_t i = 0; i < changed.len; i++) {
        TRY(registry_answer_next_change(&r, &sequence, &change));
        bool policy = change.kind == REGISTRY_CHANGE_POLICY;
        if (policy)
            broker_policies_follow(front->policies, false);
        if (changed.at[i] != 0 && !(policy && broker_policies_is_behind(front->policies)))
            observer->changed(observer->with, &change);
    }
    return RC_OK;
}

/* What was applied before a failure is told, too. */
static enum rc apply_news(struct broker_front *front, const struct registry_answer *answer)
{
    AUTO_BUF(changed, LINK_BODY_MAX);

    pthread_mutex_lock(&front->lock);
    enum rc rc = apply_all(front, answer->list, &changed);
    pthread_mutex_unlock(&front->lock);
    TRY(tell_changes(front, answer->list, buf_bytes(&changed)));
    TRY(rc);
    if (changed.broken)
        return fault(RC_NOMEM, "changes of the feed");
    front->position = answer->position;
    broker_crls_follow(front->crls);
    return RC_OK;
}

static void on_news(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason)
{
    struct broker_front *front = with;

    (void)reason;
    front->watching = false;
    if (rc == RC_OK)
        rc = apply_news(front, answer);
    if (rc == RC_OK) {
        settle(front);
    } else if (rc == RC_NOT_FOUND || rc == RC_MALFORMED) {
        /* The feed was trimmed or is another one, or we did not understand it. */
        tell(front, fault_text());
        take_snapshot(front);
    } else {
        try_again(front);
    }
}

static void watch(struct broker_front *front)
{
    /* Nothing applied yet: then the first of all changes stands for that. */
    uint64_t applied = front->applied == 0 ? 1 : front->applied;
    const struct registry_question question = {
        .position = front->position,
        .sequence = applied >= front->position.sequence ? 0 : applied,
    };

    if (front->link == NULL)
        return;
    front->watching =
        broker_front_ask(front, REGISTRY_ASK_WATCH, &question, on_news, front) == RC_OK;
    if (!front->watching)
        try_again(front);
}

/* ---- The snapshot ---- */

static void use_filled(struct broker_front *front)
{
    pthread_mutex_lock(&front->lock);
    struct registry_projection *old = front->projection;
    front->projection = TAKE(front->filling);
    pthread_mutex_unlock(&front->lock);
    registry_projection_free(old);
    front->applied = 0;
    broker_policies_follow(front->policies, true);
    if (front->ready || !broker_policies_is_behind(front->policies))
        use_snapshot(front);
}

static enum rc fill(struct broker_front *front, const struct registry_answer *answer)
{
    struct reader list = READER(answer->list);
    struct registry_change change;
    uint64_t sequence = 0;
    enum rc rc;

    if (front->cursor.len == 0)
        front->position = answer->position;
    while ((rc = registry_answer_next_change(&list, &sequence, &change)) == RC_OK)
        TRY(registry_projection_apply(front->filling, &change));
    if (rc != RC_NOT_FOUND)
        return rc;
    buf_reset(&front->cursor);
    buf_add(&front->cursor, answer->cursor);
    return front->cursor.broken ? fault(RC_NOMEM, "cursor of a snapshot") : RC_OK;
}

static void ask_page(struct broker_front *front);

static void on_page(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason)
{
    struct broker_front *front = with;

    (void)reason;
    if (rc == RC_OK)
        rc = fill(front, answer);
    if (rc != RC_OK) {
        try_again(front);
    } else if (front->cursor.len > 0) {
        ask_page(front);
    } else {
        use_filled(front);
    }
}

static void ask_page(struct broker_front *front)
{
    const struct registry_question question = { .cursor = buf_bytes(&front->cursor) };

    if (broker_front_ask(front, REGISTRY_ASK_SNAPSHOT, &question, on_page, front) != RC_OK)
        try_again(front);
}

static void take_snapshot(struct broker_front *front)
{
    registry_projection_free(TAKE(front->filling));
    buf_reset(&front->cursor);
    front->position = (struct registry_position){ 0 };
    if (new_projection(front, &front->filling) == RC_OK)
        ask_page(front);
    else
        try_again(front);
}

/* ---- Its life ---- */

enum rc broker_front_new(const struct broker_front_setup *setup, struct broker_front **front)
{
    AUTO_OF(broker_front) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "front");
    made->setup = *setup;
    made->again.due = on_again;
    made->cursor = (struct buf)BUF_MAX(REGISTRY_CURSOR_MAX);
    if (pthread_mutex_init(&made->lock, NULL) != 0)
        return fault(RC_NOMEM, "mutex of the projection");
    TRY(new_projection(made, &made->projection));
    TRY(broker_crls_new(made, setup, &made->crls));
    TRY(broker_policies_new(made, setup, on_policy, &made->policies));
    *front = TAKE(made);
    return RC_OK;
}

void broker_front_free(struct broker_front *front)
{
    if (front == NULL)
        return;
    link_close(TAKE(front->link)); /* what waits is answered, and may arm the timer */
    loop_disarm(&front->again);
    broker_crls_free(front->crls);
    broker_policies_free(front->policies);
    registry_projection_free(front->projection);
    registry_projection_free(front->filling);
    buf_clear(&front->cursor);
    pthread_mutex_destroy(&front->lock);
    free(front);
}

static void on_closed(void *with)
{
    struct broker_front *front = with;

    tell(front, fault_text());
    loop_disarm(&front->again);
    link_close(TAKE(front->link));
}

enum rc broker_front_attach(struct broker_front *front, int authority)
{
    link_close(TAKE(front->link));
    loop_disarm(&front->again);
    TRY(link_open(front->setup.loop, authority, registry_door_protocol(), on_closed, front,
                  &front->link));
    go_on(front);
    broker_policies_go_on(front->policies);
    return RC_OK;
}

bool broker_front_is_ready(const struct broker_front *front)
{
    return front->ready;
}

bool broker_front_is_connected(const struct broker_front *front)
{
    return front->link != NULL;
}

/* ---- Looking up ---- */

/* The certificate came, and its subject's change is still on the way: the authority knows more.
 */
static bool is_half_known(enum registry_verdict verdict, const struct registry_subject *holder)
{
    if (holder == NULL)
        return verdict == REGISTRY_SUBJECT_REVOKED;
    return verdict == REGISTRY_SUBJECT_SUSPENDED && holder->state == REGISTRY_REGISTERED;
}

enum registry_verdict broker_front_judge(struct broker_front *front,
                                         const struct registry_fingerprint *fingerprint,
                                         int64_t now_s,
                                         struct registry_certificate *certificate,
                                         struct registry_subject *subject)
{
    const struct registry_certificate *found = NULL;
    const struct registry_subject *holder = NULL;

    pthread_mutex_lock(&front->lock);
    enum registry_verdict verdict =
        registry_projection_judge(front->projection, fingerprint, now_s, &found, &holder);
    *certificate = found != NULL ? *found : (struct registry_certificate){ 0 };
    *subject = holder != NULL ? *holder : (struct registry_subject){ 0 };
    if (is_half_known(verdict, holder))
        verdict = REGISTRY_UNKNOWN;
    pthread_mutex_unlock(&front->lock);
    return verdict;
}

const struct registry_projection *broker_front_projection(const struct broker_front *front)
{
    return front->projection;
}

struct broker_policy *broker_front_policy(const struct broker_front *front)
{
    return broker_policies_current(front->policies);
}

struct broker_crls *broker_front_crls(const struct broker_front *front)
{
    return front->crls;
}
