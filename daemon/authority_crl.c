#include "daemon/authority_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "daemon/events.h"
#include "pki/crl.h"
#include "pki/signed.h"

/*
 * A complete CRL for each issuing CA: after a revocation at once, else before the last one is
 * half as old as it may become. One is under way for a CA at a time; what is revoked meanwhile
 * goes on the next. Its cost grows with its length, in every process that it goes through: so
 * the next one waits a second for each MiB of the last, and enrolments go on between them.
 *
 * One that is due for a single act (a revocation, of however many) has that act's correlation
 * id, in the log and in the signer's journal; any other has an id of its own.
 *
 * What is longer than the signer takes is not made, and told as trouble.
 */
enum { LOOK_EVERY_MS = 30000, REST_OCTETS_A_MS = 1024 * 1024 / 1000 };

struct making {
    struct store_job job; /* first */
    struct daemon_authority *authority;
    struct daemon_authority_issuer *issuer;
    int64_t now_ms, last_ms; /* last_ms: when the registry's last one was made; 0: none */
    uint8_t correlation[REGISTRY_CORRELATION];
    bool is_of_act; /* whose id that is */
    bool crowded;   /* what has expired by now has no place either */
    struct pki_crl crl;
    struct pki_crl_list list;
    struct buf tbs, der;
};

static const uint8_t NO_ACT[REGISTRY_CORRELATION];

static bool is_same(const uint8_t one[REGISTRY_CORRELATION],
                    const uint8_t other[REGISTRY_CORRELATION])
{
    return bytes_equal((struct bytes){ one, REGISTRY_CORRELATION },
                       (struct bytes){ other, REGISTRY_CORRELATION });
}

/* Due, for this act or another one besides; NULL: for none that is known. */
static void want(struct daemon_authority_issuer *issuer, const uint8_t *act)
{
    bool alone = act != NULL && (!issuer->crl_due || is_same(issuer->crl_for, act));

    memcpy(issuer->crl_for, alone ? act : NO_ACT, sizeof issuer->crl_for);
    issuer->crl_due = true;
}

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

/* How long until its next one may be made. */
static int64_t rest_of(const struct daemon_authority *authority,
                       const struct daemon_authority_issuer *issuer)
{
    int64_t left_ms = issuer->crl_rest_ms - loop_now_ms(authority->setup.loop);

    return left_ms > 0 ? left_ms : 0;
}

static void look_in(struct daemon_authority *authority, int64_t ms)
{
    if (loop_arm(authority->setup.loop, &authority->crl_timer, ms) != RC_OK &&
        authority->setup.log != NULL)
        log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NO_CRL, RC_NOMEM);
}

static void end(struct making *making, enum rc rc)
{
    struct daemon_authority *authority = making->authority;
    struct daemon_authority_issuer *issuer = making->issuer;

    issuer->crl_under_way = false;
    tell(authority, issuer, rc);
    if (rc == RC_OK) {
        issuer->crl_ms = making->now_ms;
        issuer->crl_rest_ms =
            loop_now_ms(authority->setup.loop) + (int64_t)(making->der.len / REST_OCTETS_A_MS);
        if (issuer->crl_due)
            look_in(authority, rest_of(authority, issuer));
    } else {
        want(issuer, making->is_of_act ? making->correlation : NULL);
        if (rc == RC_LIMIT) /* the next revocation changes nothing */
            issuer->crl_rest_ms = loop_now_ms(authority->setup.loop) + LOOK_EVERY_MS;
        if (authority->setup.log != NULL)
            log_fault(authority->setup.log, DAEMON_EVENT_AUTHORITY_NO_CRL, rc);
    }
    buf_clear(&making->tbs);
    buf_clear(&making->der);
    free(making);
}

/* ---- Contents ---- */

/*
 * RFC 5280 3.3: an entry stays until a list that was made after the certificate's end had it.
 * Where there is no room for all, what has ended may leave without that: a list without it
 * says more than no list.
 */
static bool has_left(const struct making *making, const struct registry_revoked *revoked)
{
    int64_t end_ms = revoked->not_after_s * 1000;

    return (end_ms < making->last_ms && revoked->revoked_ms < making->last_ms) ||
           (making->crowded && end_ms < making->now_ms);
}

static enum rc add(void *with, const struct registry_revoked *revoked)
{
    struct making *making = with;
    const struct pki_revoked entry = { { revoked->serial, revoked->serial_len },
                                       revoked->revoked_ms / 1000,
                                       (enum pki_reason)revoked->reason };

    return has_left(making, revoked) ? RC_OK : pki_crl_add(&making->list, &entry);
}

static enum rc write_tbs(struct store_txn *txn, struct making *making)
{
    buf_reset(&making->tbs);
    TRY(pki_crl_begin(&making->crl, &making->tbs, &making->list));
    TRY(registry_revoked_each(txn, making->issuer->name_hash, add, making));
    return pki_crl_end(&making->list);
}

/* The signer refuses a number that it has signed before, in this life of the registry or
 * another; the hour is above all of them. */
static enum rc gather(struct store_txn *txn, void *with)
{
    struct making *making = with;
    struct registry_crl last = { 0 };

    enum rc rc = registry_crl_get(txn, bytes_of_text(making->issuer->key), &last);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    bool ahead = last.number >= (uint64_t)making->now_ms;
    making->crl.number = ahead ? last.number + 1 : (uint64_t)making->now_ms;
    /* A number is its list's hour, so the registry knows it over a restart too. */
    making->last_ms = ahead ? making->now_ms : (int64_t)last.number;
    rc = write_tbs(txn, making);
    if (rc != RC_LIMIT)
        return rc;
    making->crowded = true;
    return write_tbs(txn, making);
}

/* ---- Signed, then kept ---- */

static enum rc put(struct store_txn *txn, struct store_job *job)
{
    struct making *making = (void *)job;
    const struct daemon_authority_audit *audit = &making->authority->setup.audit;
    struct daemon_authority_event event = { .action = "crl",
                                            .device = "",
                                            .correlation = making->correlation,
                                            .now_ms = making->now_ms };
    AUTO_BUF(target, KEYS_NAME_MAX + 32);
    AUTO_BUF(reason, 128);
    uint8_t hash[32];

    TRY(pki_key_hash(buf_bytes(&making->der), hash));
    buf_addf(&target, "%s %llu", making->issuer->key, (unsigned long long)making->crl.number);
    buf_addf(&reason, "SHA-256 ");
    text_add_hex(&reason, BYTES_OF(hash));
    TRY(buf_text(&target, &event.target));
    TRY(buf_text(&reason, &event.reason));
    TRY(registry_crl_put(txn, bytes_of_text(making->issuer->key), making->crl.number,
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
    buf_clear(&making->tbs);
    making->job.change = put;
    making->job.done = kept;
    if (rc == RC_OK && !making->authority->ending)
        rc = store_queue_add(making->authority->queue, &making->job);
    else if (rc == RC_OK)
        rc = fault(RC_CLOSED, "the authority ends");
    if (rc != RC_OK)
        end(making, rc);
}

static enum rc name(struct making *making)
{
    AUTO_SECRET(random);

    if (making->is_of_act)
        return RC_OK;
    TRY(secret_make_random(&random, sizeof making->correlation));
    memcpy(making->correlation, secret_bytes(&random).at, sizeof making->correlation);
    return RC_OK;
}

static enum rc ask(struct making *making)
{
    struct daemon_authority *authority = making->authority;
    struct keys_ask ask = { .count = 1 };

    TRY(name(making));
    TRY(store_read(authority->setup.store, gather, making));
    memcpy(ask.correlation, making->correlation, sizeof ask.correlation);
    memcpy(ask.key, making->issuer->key, sizeof ask.key);
    ask.items[0] = buf_bytes(&making->tbs);
    return keys_client_sign(authority->signer, KEYS_ASK_CRL, &ask, is_signed, making);
}

static enum rc make(struct daemon_authority *authority, struct daemon_authority_issuer *issuer)
{
    const struct daemon_authority_settings *settings = &authority->setup.settings;
    struct making *making = calloc(1, sizeof *making);

    if (making == NULL)
        return fault(RC_NOMEM, "a CRL");
    making->authority = authority;
    making->issuer = issuer;
    making->now_ms = clock_wall_ms(authority->setup.clock);
    making->crl = (struct pki_crl){
        .issuer = issuer->certificate.subject,
        .key_id = issuer->certificate.key_id,
        .this_update = making->now_ms / 1000,
        .next_update = (making->now_ms + settings->crl_valid_ms) / 1000,
    };
    making->tbs = BUF_MAX(settings->crl_most > 0 ? settings->crl_most : KEYS_CRL_MAX);
    making->der = BUF_MAX(REGISTRY_CRL_MAX);
    memcpy(making->correlation, issuer->crl_for, sizeof making->correlation);
    making->is_of_act = !is_same(making->correlation, NO_ACT);
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
    int64_t now_ms = clock_wall_ms(authority->setup.clock), next_ms = LOOK_EVERY_MS;

    for (size_t i = 0; authority->issues && i < authority->issuer_count; i++) {
        struct daemon_authority_issuer *issuer = &authority->issuers[i];
        if (now_ms - issuer->crl_ms >= authority->setup.settings.crl_every_ms)
            issuer->crl_due = true;
        if (!issuer->crl_due || issuer->crl_under_way)
            continue;
        int64_t rest_ms = rest_of(authority, issuer);
        if (rest_ms == 0)
            TRY(make(authority, issuer));
        else if (rest_ms < next_ms)
            next_ms = rest_ms;
    }
    return loop_arm(authority->setup.loop, &authority->crl_timer, next_ms);
}

enum rc daemon_authority_crl_start(struct daemon_authority *authority)
{
    authority->crl_timer.due = look;
    return loop_arm(authority->setup.loop, &authority->crl_timer, LOOK_EVERY_MS);
}

void daemon_authority_crl_want(struct daemon_authority *authority, enum registry_kind kind,
                               const uint8_t *correlation)
{
    struct daemon_authority_issuer *issuer = authority->issuer_of[kind];

    if (issuer == NULL)
        return;
    want(issuer, correlation);
    look_in(authority, 0);
}
