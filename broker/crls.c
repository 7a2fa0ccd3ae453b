#include "broker/crls.h"

#include <stdlib.h>
#include <string.h>

enum { CRLS_MAX = 32, AGAIN_MS = 1000, STALE_AFTER = 8 };

struct slot {
    char key[REGISTRY_CRL_KEY_MAX + 1];
    struct broker_crl *newest;
};

struct broker_crls {
    struct broker_front *front;
    struct loop *loop;
    struct broker_front_observer observer;
    struct loop_timer again; /* after an answer that was no */
    size_t count;
    struct slot slots[CRLS_MAX];
    uint64_t orders;
    bool fetching; /* what follows: a part of it is asked for */
    struct registry_crl wanted;
    uint32_t part;
    struct buf der;
    uint64_t told; /* number of the last one whose failure was told */
};

/* ---- Those that are here ---- */

void broker_crls_release(struct broker_crl *crl)
{
    if (crl == NULL || --crl->holders > 0)
        return;
    buf_clear(&crl->der);
    free(crl);
}

bool broker_crls_is_stale(const struct broker_crl *crl)
{
    return crl->replaced && crl->order + STALE_AFTER <= crl->crls->orders;
}

static struct slot *find_slot(struct broker_crls *crls, struct bytes key)
{
    for (size_t i = 0; i < crls->count; i++)
        if (bytes_equal_text(key, crls->slots[i].key))
            return &crls->slots[i];
    return NULL;
}

static void let_go(struct slot *slot)
{
    if (slot->newest != NULL)
        slot->newest->replaced = true;
    broker_crls_release(TAKE(slot->newest));
}

/* What is whole takes the old one's place; not if there is no memory or place for it. */
static enum rc install(struct broker_crls *crls)
{
    struct slot *slot = find_slot(crls, bytes_of_text(crls->wanted.key));
    struct broker_crl *made = calloc(1, sizeof *made);

    if (made == NULL || (slot == NULL && crls->count == CRLS_MAX)) {
        free(made);
        return fault(RC_NOMEM, "a CRL");
    }
    *made = (struct broker_crl){ .number = crls->wanted.number,
                                 .der = crls->der,
                                 .crls = crls,
                                 .holders = 1,
                                 .order = ++crls->orders };
    crls->der = (struct buf)BUF_MAX(0);
    if (slot == NULL) {
        slot = &crls->slots[crls->count++];
        *slot = (struct slot){ 0 };
        memcpy(slot->key, crls->wanted.key, sizeof slot->key);
    }
    let_go(slot);
    slot->newest = made;
    return RC_OK;
}

/* ---- Fetching ---- */

static void stop_fetching(struct broker_crls *crls)
{
    buf_clear(&crls->der);
    crls->fetching = false;
}

static void tell(struct broker_crls *crls)
{
    if (crls->observer.line != NULL && crls->told != crls->wanted.number)
        crls->observer.line(crls->observer.with, fault_text());
    crls->told = crls->wanted.number;
}

/* That the authority is away, or that there is a newer one by now, the front tells or knows. */
static void try_again(struct broker_crls *crls, enum rc rc)
{
    if (rc != RC_BUSY && rc != RC_CLOSED && rc != RC_NOT_FOUND)
        tell(crls);
    stop_fetching(crls);
    if (loop_arm(crls->loop, &crls->again, AGAIN_MS) != RC_OK)
        tell(crls);
}

static void on_part(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason);

static enum rc ask(struct broker_crls *crls)
{
    struct registry_question question = { .version = crls->wanted.number, .part = crls->part };

    TRY(registry_id_copy(bytes_of_text(crls->wanted.key), question.id));
    return broker_front_ask(crls->front, REGISTRY_ASK_CRL, &question, on_part, crls);
}

static bool is_wanted_still(const struct broker_crls *crls)
{
    struct registry_crl now;

    return registry_projection_crl(broker_front_projection(crls->front),
                                   bytes_of_text(crls->wanted.key), &now) == RC_OK &&
           now.number == crls->wanted.number;
}

static enum rc take_part(struct broker_crls *crls, const struct registry_answer *answer)
{
    if (answer->list.len != registry_crl_part_len(&crls->wanted, crls->part))
        return fault(RC_MALFORMED, "part %u of a CRL has %zu octets", crls->part,
                     answer->list.len);
    buf_add(&crls->der, answer->list);
    if (crls->der.broken)
        return fault(RC_NOMEM, "a CRL");
    if (++crls->part < registry_crl_parts(&crls->wanted))
        return ask(crls);
    TRY(install(crls));
    stop_fetching(crls);
    broker_crls_follow(crls);
    return RC_OK;
}

/* Whoever asks for one that is no longer there has heard of the new one, or will. */
static void on_part(void *with, enum rc rc, const struct registry_answer *answer,
                    struct bytes reason)
{
    struct broker_crls *crls = with;

    rc = rc == RC_OK ? take_part(crls, answer)
                     : fault(rc, "a CRL of %s: %.*s", crls->wanted.key, BYTES_FMT(reason));
    if (rc == RC_OK)
        return;
    if (is_wanted_still(crls)) {
        try_again(crls, rc);
        return;
    }
    stop_fetching(crls);
    broker_crls_follow(crls);
}

static void fetch(struct broker_crls *crls, const struct registry_crl *crl)
{
    crls->fetching = true;
    crls->wanted = *crl;
    crls->part = 0;
    crls->der = (struct buf)BUF_MAX(crl->len);
    enum rc rc = ask(crls);
    if (rc != RC_OK)
        try_again(crls, rc);
}

static bool is_named(const struct registry_crl *crls, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(crls[i].key, key) == 0)
            return true;
    return false;
}

void broker_crls_follow(struct broker_crls *crls)
{
    size_t count = 0;
    const struct registry_crl *named =
        registry_projection_crls(broker_front_projection(crls->front), &count);

    for (size_t i = crls->count; i > 0; i--)
        if (!is_named(named, count, crls->slots[i - 1].key)) {
            let_go(&crls->slots[i - 1]);
            crls->slots[i - 1] = crls->slots[--crls->count];
        }
    for (size_t i = 0; i < count && !crls->fetching; i++) {
        const struct slot *slot = find_slot(crls, bytes_of_text(named[i].key));
        if (slot == NULL || slot->newest->number != named[i].number)
            fetch(crls, &named[i]);
    }
}

static enum rc on_again(struct loop_timer *timer)
{
    broker_crls_follow((void *)((char *)timer - offsetof(struct broker_crls, again)));
    return RC_OK;
}

/* ---- Serving ---- */

enum rc broker_crls_hold(struct broker_crls *crls, struct bytes key, struct broker_crl **crl)
{
    const struct slot *slot = find_slot(crls, key);
    struct registry_crl named;

    if (slot != NULL) {
        slot->newest->holders++;
        *crl = slot->newest;
        return RC_OK;
    }
    TRY(registry_projection_crl(broker_front_projection(crls->front), key, &named));
    return fault(RC_BUSY, "the CRL of %s is on its way", named.key);
}

/* ---- Life ---- */

enum rc broker_crls_new(struct broker_front *front, const struct broker_front_setup *setup,
                        struct broker_crls **crls)
{
    struct broker_crls *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "CRLs of a door");
    made->front = front;
    made->loop = setup->loop;
    made->observer = setup->observer;
    made->again.due = on_again;
    *crls = made;
    return RC_OK;
}

void broker_crls_free(struct broker_crls *crls)
{
    if (crls == NULL)
        return;
    loop_disarm(&crls->again);
    stop_fetching(crls);
    while (crls->count > 0)
        let_go(&crls->slots[--crls->count]);
    free(crls);
}
