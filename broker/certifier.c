#include <stdlib.h>

#include "broker/door_state.h"

enum { AGAIN_MS = 1000, AGAIN_MOST_MS = 30 * 1000, LOOK_MS = 60 * 1000 };

/*
 * Sees to it that the door has a certificate of its own: the one kept in the memfd if it is
 * good, else a new key's; another one at a third of its life (DESIGN.md D10).
 */
struct certifier {
    struct broker_door *door;
    struct broker_own_key *key;  /* in use; NULL: none yet */
    struct broker_own_key *next; /* is being certified */
    struct loop_timer timer;
    int64_t again_ms;
};

static int64_t now_s(const struct certifier *certifier)
{
    return clock_wall_ms(certifier->door->setup.clock) / 1000;
}

static struct bytes authorities(const struct certifier *certifier)
{
    return registry_projection_authorities(broker_front_projection(certifier->door->front));
}

static void arm(struct certifier *certifier, int64_t delay_ms)
{
    if (loop_arm(certifier->door->setup.loop, &certifier->timer, delay_ms) != RC_OK)
        broker_door_tell(certifier->door, BROKER_DOOR_UNCERTIFIED, "", fault_text());
}

static void try_later(struct certifier *certifier, const char *why)
{
    broker_own_key_free(TAKE(certifier->next));
    broker_door_tell(certifier->door, BROKER_DOOR_UNCERTIFIED, "", why);
    certifier->again_ms = certifier->again_ms == 0 ? AGAIN_MS : certifier->again_ms * 2;
    if (certifier->again_ms > AGAIN_MOST_MS)
        certifier->again_ms = AGAIN_MOST_MS;
    arm(certifier, certifier->again_ms);
}

static enum rc use(struct certifier *certifier, struct broker_own_key *key)
{
    AUTO_BUF(until, 64);
    const char *text = "";

    TRY(broker_own_key_chain(key, authorities(certifier)));
    TRY(broker_tls_use(certifier->door->tls, key));
    broker_own_key_free(certifier->key);
    certifier->key = key;
    certifier->again_ms = 0;
    clock_add_rfc3339(&until, broker_own_key_not_after_s(key) * 1000);
    if (buf_text(&until, &text) == RC_OK)
        broker_door_tell(certifier->door, BROKER_DOOR_CERTIFIED, "", text);
    arm(certifier, LOOK_MS);
    broker_door_open_up(certifier->door);
    return RC_OK;
}

/* ---- A new one ---- */

static enum rc take_certificate(struct certifier *certifier, struct bytes der)
{
    TRY(broker_own_key_certify(certifier->next, der));
    TRY(broker_own_key_chain(certifier->next, authorities(certifier)));
    /* Kept first: a door that dies now comes back with it. */
    TRY(broker_own_key_keep(certifier->next, certifier->door->setup.key));
    enum rc rc = use(certifier, certifier->next);
    if (rc == RC_OK)
        certifier->next = NULL;
    return rc;
}

static void on_certificate(void *with, enum rc rc, const struct registry_answer *answer,
                           struct bytes reason)
{
    struct certifier *certifier = with;
    AUTO_BUF(why, 1024);
    const char *text = "";

    if (rc == RC_OK)
        rc = take_certificate(certifier, answer->der);
    else
        buf_addf(&why, "the authority says: %.*s", BYTES_FMT(reason));
    if (rc == RC_OK)
        return;
    if (why.len == 0)
        buf_addf(&why, "%s", fault_text());
    try_later(certifier, buf_text(&why, &text) == RC_OK ? text : rc_name(rc));
}

static enum rc ask(struct certifier *certifier)
{
    struct registry_question question = { 0 };
    AUTO_BUF(csr, REGISTRY_CSR_MAX);

    TRY(broker_own_key_make(&certifier->next));
    TRY(broker_own_key_request(certifier->next, &csr));
    question.der = buf_bytes(&csr);
    return broker_front_ask(certifier->door->front, REGISTRY_ASK_DOOR, &question,
                            on_certificate, certifier);
}

/* ---- The one that was kept ---- */

static enum rc recall(struct certifier *certifier)
{
    AUTO_OF(broker_own_key) *key = NULL;

    TRY(broker_own_key_recall(certifier->door->setup.key, &key));
    if (now_s(certifier) >= broker_own_key_not_after_s(key))
        return fault(RC_NOT_FOUND, "the kept certificate has expired");
    TRY(use(certifier, key));
    (void)TAKE(key);
    return RC_OK;
}

void broker_certifier_go_on(struct certifier *certifier)
{
    if (!broker_front_is_ready(certifier->door->front) || certifier->next != NULL)
        return;
    if (certifier->key == NULL && recall(certifier) == RC_OK)
        return;
    if (certifier->key != NULL &&
        now_s(certifier) < broker_own_key_renew_at_s(certifier->key)) {
        arm(certifier, LOOK_MS);
        return;
    }
    if (ask(certifier) != RC_OK)
        try_later(certifier, fault_text());
}

static enum rc on_timer(struct loop_timer *timer)
{
    broker_certifier_go_on((void *)((char *)timer - offsetof(struct certifier, timer)));
    return RC_OK;
}

bool broker_certifier_is_done(const struct certifier *certifier)
{
    return certifier->key != NULL;
}

enum rc broker_certifier_new(struct broker_door *door, struct certifier **certifier)
{
    struct certifier *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "the door's certificate");
    made->door = door;
    made->timer.due = on_timer;
    *certifier = made;
    return RC_OK;
}

void broker_certifier_free(struct certifier *certifier)
{
    if (certifier == NULL)
        return;
    loop_disarm(&certifier->timer);
    broker_own_key_free(certifier->key);
    broker_own_key_free(certifier->next);
    free(certifier);
}
