#include "daemon/authority_state.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/events.h"
#include "pki/crl.h"
#include "pki/signed.h"

/*
 * A complete CRL for each issuing CA: after a revocation at once, else before the last one is
 * half as old as it may become. One is under way for a CA at a time; what is revoked meanwhile
 * goes on the next. What goes to the signer is one message, which bounds a CRL to some 1,300
 * entries.
 */
enum { LOOK_EVERY_MS = 30000, CRL_TBS_MAX = 52 * 1024, REVOKED_MAX = 2048 };

struct making {
    struct store_job job; /* first */
    struct daemon_authority *authority;
    struct daemon_authority_issuer *issuer;
    int64_t now_ms, last_ms; /* last_ms: when the registry's last one was made; 0: none */
    uint64_t number;
    bool squeezed; /* without what has expired, on a list or not: it would not fit */
    struct buf tbs, der;
    size_t count;
    struct registry_revoked at[REVOKED_MAX];
};

/* A signer that is away is told of by itself; what stays is for a person. */
static void tell(struct daemon_authority *authority,
                 const struct daemon_authority_issuer *issuer, enum rc rc)
{
    size_t place = (size_t)(issuer - authority->issuers);
    enum daemon_authority_trouble what =
        (enum daemon_authority_trouble)(DAEMON_AUTHORITY_CRL + place);

    if (rc == RC_OK)
        daemon_authority_trouble_end(authority, what);
    else if (rc != RC_CLOSED && rc != RC_BUSY) {
        enum rc told = fault_while(rc, "no new CRL of %s", issuer->key);
        (void)told; /* the text is what counts */
        daemon_authority_trouble_begin(authority, what);
    }
}

static void end(struct making *making, enum rc rc)
{
    struct daemon_authority *authority = making->authority;

    making->issuer->crl_under_way = false;
    tell(authority, making->issuer, rc);
    if (rc == RC_OK) {
        making->issuer->crl_ms = making->now_ms;
    } else {
        making->issuer->crl_due = true;
        if (authority->setup.log != NULL)
            log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NO_CRL, rc);
    }
    buf_clear(&making->tbs);
    buf_clear(&making->der);
    free(making);
}

/* ---- Contents ---- */

/* RFC 5280 3.3: an entry stays until a list that was made after the certificate's end had it;
 * but a list without it is better than none. */
static enum rc keep(void *with, const struct registry_revoked *revoked)
{
    struct making *making = with;

    if (revoked->not_after_s * 1000 < making->last_ms && revoked->revoked_ms < making->last_ms)
        return RC_OK;
    if (making->squeezed && revoked->not_after_s * 1000 < making->now_ms)
        return RC_OK;
    if (making->count == REVOKED_MAX)
        return fault(RC_LIMIT, "more than %d revocations on a CRL", REVOKED_MAX);
    making->at[making->count++] = *revoked;
    return RC_OK;
}

/* The signer refuses a number that it has signed before, in this life of the registry or
 * another; the hour is above all of them. */
static enum rc gather(struct store_txn *txn, void *with)
{
    struct making *making = with;
    struct bytes der;
    uint64_t last = 0;

    making->count = 0;
    enum rc rc = registry_crl_get(txn, bytes_of_text(making->issuer->key), &last, &der);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    making->number = (uint64_t)making->now_ms > last ? (uint64_t)making->now_ms : last + 1;
    /* A number is its list's hour, so the registry knows it over a restart too. */
    making->last_ms = last < (uint64_t)making->now_ms ? (int64_t)last : making->now_ms;
    return registry_revoked_each(txn, making->issuer->name_hash, keep, making);
}

static enum rc write_tbs(struct making *making)
{
    const struct daemon_authority_issuer *issuer = making->issuer;
    const struct daemon_authority_settings *settings = &making->authority->setup.settings;
    struct pki_revoked *revoked = calloc(making->count + 1, sizeof *revoked);
    struct pki_crl crl = {
        .issuer = issuer->certificate.subject,
        .key_id = issuer->certificate.key_id,
        .this_update = making->now_ms / 1000,
        .next_update = (making->now_ms + settings->crl_valid_ms) / 1000,
        .number = making->number,
        .revoked = revoked,
        .count = making->count,
    };

    if (revoked == NULL)
        return fault(RC_NOMEM, "a CRL of %zu entries", making->count);
    for (size_t i = 0; i < making->count; i++) {
        const struct registry_revoked *one = &making->at[i];
        revoked[i] = (struct pki_revoked){ { one->serial, one->serial_len },
                                           one->revoked_ms / 1000,
                                           (enum pki_reason)one->reason };
    }
    enum rc rc = pki_crl_write(&crl, &making->tbs);
    free(revoked);
    return rc;
}

/* ---- Signed, then kept ---- */

static enum rc put(struct store_txn *txn, struct store_job *job)
{
    struct making *making = (void *)job;
    const struct daemon_authority_audit *audit = &making->authority->setup.audit;
    const struct daemon_authority_event event = {
        .action = "crl",
        .target = making->issuer->key,
        .device = "",
        .reason = "",
        .now_ms = making->now_ms,
    };

    TRY(registry_crl_put(txn, bytes_of_text(making->issuer->key), making->number,
                         buf_bytes(&making->der)));
    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

static void kept(struct store_job *job, enum rc rc)
{
    end((void *)job, rc);
}

static void is_signed(void *with, enum rc rc, const struct keys_answers *answers)
{
    struct making *making = with;

    if (rc == RC_OK && answers->at[0].rc != RC_OK)
        rc = fault(answers->at[0].rc, "signer: %.*s", BYTES_FMT(answers->at[0].text));
    if (rc == RC_OK)
        rc = pki_signed_assemble(buf_bytes(&making->tbs), answers->at[0].signature,
                                 &making->der);
    making->job.change = put;
    making->job.done = kept;
    if (rc == RC_OK && !making->authority->ending)
        rc = store_queue_add(making->authority->queue, &making->job);
    else if (rc == RC_OK)
        rc = fault(RC_CLOSED, "the authority ends");
    if (rc != RC_OK)
        end(making, rc);
}

static enum rc fill(struct making *making)
{
    TRY(store_read(making->authority->setup.store, gather, making));
    buf_reset(&making->tbs);
    return write_tbs(making);
}

static enum rc ask(struct making *making)
{
    struct daemon_authority *authority = making->authority;
    struct keys_ask ask = { .count = 1 };

    enum rc rc = fill(making);
    if (rc == RC_LIMIT) {
        making->squeezed = true;
        rc = fill(making);
    }
    TRY(rc);
    memcpy(ask.key, making->issuer->key, sizeof ask.key);
    ask.items[0] = buf_bytes(&making->tbs);
    return keys_client_sign(authority->signer, KEYS_ASK_CRL, &ask, is_signed, making);
}

static enum rc make(struct daemon_authority *authority, struct daemon_authority_issuer *issuer)
{
    struct making *making = calloc(1, sizeof *making);

    if (making == NULL)
        return fault(RC_NOMEM, "a CRL");
    making->authority = authority;
    making->issuer = issuer;
    making->now_ms = clock_wall_ms(authority->setup.clock);
    making->tbs = BUF_MAX(CRL_TBS_MAX);
    making->der = BUF_MAX(REGISTRY_CHANGE_MAX);
    issuer->crl_under_way = true;
    issuer->crl_due = false;
    enum rc rc = ask(making);
    if (rc != RC_OK)
        end(making, rc);
    return RC_OK;
}

/* ---- When ---- */

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, crl_timer));
    int64_t now_ms = clock_wall_ms(authority->setup.clock);

    for (size_t i = 0; authority->issues && i < authority->issuer_count; i++) {
        struct daemon_authority_issuer *issuer = &authority->issuers[i];
        if (now_ms - issuer->crl_ms >= authority->setup.settings.crl_every_ms)
            issuer->crl_due = true;
        if (issuer->crl_due && !issuer->crl_under_way)
            TRY(make(authority, issuer));
    }
    return loop_arm(authority->setup.loop, &authority->crl_timer, LOOK_EVERY_MS);
}

enum rc daemon_authority_crl_start(struct daemon_authority *authority)
{
    authority->crl_timer.due = look;
    return loop_arm(authority->setup.loop, &authority->crl_timer, LOOK_EVERY_MS);
}

void daemon_authority_crl_want(struct daemon_authority *authority, enum registry_kind kind)
{
    struct daemon_authority_issuer *issuer = authority->issuer_of[kind];

    if (issuer == NULL)
        return;
    issuer->crl_due = true;
    if (loop_arm(authority->setup.loop, &authority->crl_timer, 0) != RC_OK &&
        authority->setup.log != NULL)
        log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NO_CRL, RC_NOMEM);
}
