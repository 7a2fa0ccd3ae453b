/* A world for tests of the authority: it in a process of its own, on a real store, with a real
 * signer on a SoftHSM, and the test at the doors' ends of its links. */
#pragma once

#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "audit/checkpoint.h"
#include "base/file.h"
#include "daemon/authority_audit.h"
#include "daemon/authority_policy.h"
#include "daemon/events.h"
#include "pki/hierarchy.h"
#include "pki/pem.h"
#include "registry/answer.h"
#include "tests/support/signing.h"
#include "tests/support/soft_ca.h"
#include "tests/support/tbs.h"
#include "tests/unit/store/scratch.h"

enum { ISSUING = 3, WAIT_MS = 30000 };
enum { ADMIN = 0xa1, AUDITOR = 0xa2, STRANGER = 0xee };

struct world {
    struct signing signing;
    struct soft_key root, device;
    struct scratch scratch, backups, recover;
    struct store_table tables[DAEMON_AUTHORITY_TABLES];
    struct store_schema schema;
    struct buf root_der, issuing_der[ISSUING], authorities;
    pid_t authority;
    int doors[REGISTRY_CHANNEL_LAST + 1];
    unsigned sinks, witnesses;
    const struct audit_witnesses *cosigners; /* or NULL */
    const char *dies_at; /* action at whose commit the authority kills itself */
    const char *full_at; /* action whose record finds no space, so many times */
    int full;
    int spared;            /* records of these two that pass first */
    size_t crl_most;       /* octets of a CRL; 0: as many as the signer takes */
    volatile int *blocked; /* shared: while it is not zero, no record finds space; or NULL */
    int64_t reading_window_ms;
    uint32_t four_eyes; /* registry_acts_read() */
    bool acts_by_policy;
    int log; /* a file for what it logs; 0: it is silent */
    int64_t proposal_lifetime_ms;
    uint64_t singles_most;
    uint32_t retention; /* days */
};

/* ---- The audit log, and a death in the middle of a commit ---- */

struct deadly {
    struct world *world;
    struct daemon_authority_audit audit;
};

static inline enum rc append(void *with, struct store_txn *txn,
                             const struct daemon_authority_event *event)
{
    const struct deadly *deadly = with;
    const char *dies_at = deadly->world->dies_at, *full_at = deadly->world->full_at;
    const char *named = dies_at != NULL ? dies_at : full_at;

    if (named != NULL && strcmp(named, event->action) == 0 && deadly->world->spared-- > 0)
        return deadly->audit.append(deadly->audit.with, txn, event);
    if (dies_at != NULL && strcmp(dies_at, event->action) == 0 && event->rc == RC_OK)
        raise(SIGKILL);
    if (full_at != NULL && strcmp(full_at, event->action) == 0 && deadly->world->full-- > 0)
        return fault(RC_LIMIT, "the disk is full");
    if (deadly->world->blocked != NULL && *deadly->world->blocked != 0)
        return fault(RC_LIMIT, "the disk is full");
    return deadly->audit.append(deadly->audit.with, txn, event);
}

static inline enum rc ask_log(void *with, struct store_txn *txn, enum registry_ask ask,
                              struct bytes query, struct buf *answer)
{
    const struct deadly *deadly = with;

    return deadly->audit.ask(deadly->audit.with, txn, ask, query, answer);
}

static volatile unsigned *policies_compiled; /* shared: by an authority, in whatever life */

static inline enum rc check_policy(struct bytes text, struct buf *errors,
                                   struct policy **policy)
{
    ++*policies_compiled;
    if (bytes_start_with(text, BYTES("# good slow")))
        usleep(1000000);
    if (bytes_start_with(text, BYTES("# good")))
        return daemon_authority_check_policy(text, errors, policy);
    buf_addf(errors, "line 1 column 1: not good");
    return fault(RC_MALFORMED, "not good");
}

/* ---- The world ---- */

static inline void make_hierarchy(struct world *w)
{
    const struct pki_hierarchy_names names = { .organization = BYTES("Acme"),
                                               .origin = "acme.example/log",
                                               .hosts = { BYTES("localhost"),
                                                          BYTES("127.0.0.1") },
                                               .host_count = 2 };
    const struct pki_signing by_root = { soft_key_sign, &w->root };
    struct pki_certificate root, issuing[ISSUING];
    struct pki_verifier *verifier = NULL;
    AUTO_BUF(spki, 256);
    size_t count = 0;
    const struct pki_issuing *rows = pki_hierarchy_issuing(&count);

    assert_int_equal(count, ISSUING);
    assert_int_equal(pki_verifier_new(&verifier), RC_OK);
    pki_key_add(&spki, BYTES_OF(w->root.point));
    struct pki_hierarchy_wish wish = { &names, "Root CA", buf_bytes(&spki), TBS_NOW_S };
    w->root_der = BUF_MAX(4096);
    assert_int_equal(pki_hierarchy_certify(&wish, NULL, verifier, &by_root, "", &w->root_der),
                     RC_OK);
    assert_int_equal(pki_certificate_read(buf_bytes(&w->root_der), &root), RC_OK);
    w->authorities = BUF_MAX(16384);
    buf_add_sized32(&w->authorities, buf_bytes(&w->root_der));
    for (size_t i = 0; i < count; i++) {
        const struct keys_rule *key =
            keys_rules_find(w->signing.rules, bytes_of_text(rows[i].key));
        wish.suffix = rows[i].common_name;
        wish.public_key = BYTES_OF(key->public_key);
        w->issuing_der[i] = BUF_MAX(4096);
        assert_int_equal(
            pki_hierarchy_certify(&wish, &root, verifier, &by_root, "", &w->issuing_der[i]),
            RC_OK);
        assert_int_equal(pki_certificate_read(buf_bytes(&w->issuing_der[i]), &issuing[i]),
                         RC_OK);
        buf_add_sized32(&w->authorities, buf_bytes(&w->issuing_der[i]));
    }
    const struct keys_rule *checkpoints =
        keys_rules_find(w->signing.rules, BYTES("checkpoints"));
    uint8_t checkpoint_key[KEYS_PUBLIC_KEY];
    memcpy(checkpoint_key, checkpoints->public_key, sizeof checkpoint_key);
    assert_int_equal(
        pki_hierarchy_rules(&names, issuing, BYTES_OF(checkpoint_key), w->signing.rules),
        RC_OK);
    pki_verifier_free(verifier);
}

static inline struct registry_certificate operators(uint8_t number)
{
    struct registry_certificate one = { .kind = REGISTRY_OPERATOR,
                                        .serial = { number },
                                        .serial_len = 1,
                                        .not_before_s = TBS_NOW_S - 1000,
                                        .not_after_s = TBS_NOW_S + 100000 };

    memset(one.fingerprint.at, number, sizeof one.fingerprint.at);
    memset(one.key_hash, number ^ 0xff, sizeof one.key_hash);
    return one;
}

static inline enum rc fill(struct store_txn *txn, void *with)
{
    const struct world *w = with;
    struct registry_first first = { .operator= { .id = "first", .role = REGISTRY_ADMIN },
                                    .certificate = operators(ADMIN),
                                    .authorities = buf_bytes(&w->authorities),
                                    .policy = { .octets = BYTES("# good") } };
    struct registry_subject auditor = { .kind = REGISTRY_OPERATOR,
                                        .id = "looker",
                                        .role = REGISTRY_AUDITOR };
    struct registry_certificate its = operators(AUDITOR);

    memcpy(its.subject, auditor.id, sizeof its.subject);
    TRY(registry_init(txn, &first, TBS_NOW_S * 1000));
    TRY(registry_subject_add(txn, &auditor, TBS_NOW_S * 1000));
    return registry_certificate_register(txn, &its, TBS_NOW_S * 1000);
}

static inline struct store *open_store(struct world *w)
{
    const struct store_settings settings = { .map_bytes = 256 << 20,
                                             .clock = &w->signing.clock,
                                             .rehearse = w->dies_at == NULL };
    struct store *store = NULL;

    assert_int_equal(store_open(w->scratch.dir, &w->schema, &settings, &store), RC_OK);
    return store;
}

static inline enum rc be_authority(struct world *w, const int *doors)
{
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(store) *store = open_store(w);
    AUTO_OF(log) *log = NULL;
    AUTO_OF(daemon_authority) *authority = NULL;
    struct daemon_authority_book book;

    if (w->log > 0)
        TRY(log_open(w->log, "authority", daemon_events(), LOG_NOTICE, &w->signing.clock,
                     &log));

    TRY(loop_new(&w->signing.clock, &loop));
    TRY(daemon_authority_book_open(&book, &w->signing.clock));
    TRY(daemon_authority_book_unlock(&book, w->scratch.dir, store));
    book.retention = w->retention;
    if (w->retention > 0)
        TRY(daemon_authority_book_begin(&book, store));
    struct deadly deadly = { w, daemon_authority_book_audit(&book) };
    const struct daemon_authority_setup setup = {
        .loop = loop,
        .clock = &w->signing.clock,
        .store = store,
        .log = log,
        .backups = w->backups.dir,
        .recover = w->recover.dir,
        .audit = { .append = append,
                   .ask = ask_log,
                   .with = &deadly,
                   .log = book.log,
                   .witnesses = w->cosigners,
                   .key = &book.key },
        .check_policy = check_policy,
        .settings = { .token_lifetime_ms = 3600000,
                      .crl_every_ms = 3600000,
                      .crl_valid_ms = 7 * 86400000,
                      .prune_every_ms = 100,
                      .sinks = w->sinks,
                      .witnesses = w->witnesses,
                      .crl_most = w->crl_most,
                      .reading_window_ms = w->reading_window_ms,
                      .four_eyes = w->four_eyes,
                      .acts_by_policy = w->acts_by_policy,
                      .proposal_lifetime_ms = w->proposal_lifetime_ms,
                      .singles_most = w->singles_most,
                      .door_names = "localhost,127.0.0.1" },
    };
    TRY(daemon_authority_new(&setup, &authority));
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        TRY(daemon_authority_serve(authority, (enum registry_channel)i, doors[i]));
    if (w->signing.ask >= 0)
        TRY(daemon_authority_attach(authority, w->signing.ask));
    return loop_run(loop);
}

/* The signer, then the authority, as processes. */
static inline void start(struct world *w)
{
    int answering[REGISTRY_CHANNEL_LAST + 1];

    signing_start(&w->signing);
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        assert_int_equal(link_pair(&w->doors[i], &answering[i]), RC_OK);
    w->authority = fork();
    assert_true(w->authority >= 0);
    if (w->authority == 0) {
        for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
            close(w->doors[i]);
        _exit(be_authority(w, answering) == RC_OK ? 0 : 1);
    }
    for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
        close(answering[i]);
    close(w->signing.ask);
    w->signing.ask = -1;
}

static inline void stop(struct world *w)
{
    if (w->authority > 0) {
        kill(w->authority, SIGKILL);
        waitpid(w->authority, NULL, 0);
        w->authority = 0;
        for (unsigned i = REGISTRY_DEVICE_DOOR; i <= REGISTRY_CHANNEL_LAST; i++)
            close(w->doors[i]);
    }
    signing_stop(&w->signing);
}

/* All but the authority and its signer. */
static inline struct world *make_world(void)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    policies_compiled = mmap(NULL, sizeof *policies_compiled, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true((void *)(uintptr_t)policies_compiled != MAP_FAILED);
    scratch_make(&w->scratch);
    scratch_make(&w->backups);
    scratch_make(&w->recover);
    signing_make(&w->signing);
    soft_key_make(&w->root, "root");
    soft_key_make(&w->device, "device");
    make_hierarchy(w);
    daemon_authority_tables(w->tables);
    w->schema = (struct store_schema){ "registry", 1, w->tables, DAEMON_AUTHORITY_TABLES };
    struct store *store = open_store(w);
    assert_int_equal(store_write(store, fill, w), RC_OK);
    store_close(store);
    return w;
}

static inline int prepare(void **state)
{
    struct world *w = make_world();

    start(w);
    *state = w;
    return 0;
}

static inline int clean(void **state)
{
    struct world *w = *state;

    stop(w);
    munmap((void *)(uintptr_t)policies_compiled, sizeof *policies_compiled);
    signing_remove(&w->signing);
    scratch_remove(&w->scratch);
    scratch_remove(&w->backups);
    scratch_remove(&w->recover);
    soft_key_clear(&w->root);
    soft_key_clear(&w->device);
    buf_clear(&w->root_der);
    buf_clear(&w->authorities);
    for (size_t i = 0; i < ISSUING; i++)
        buf_clear(&w->issuing_der[i]);
    free(w);
    return 0;
}

/* ---- Asking ---- */

static inline enum rc ask_as(struct world *w, enum registry_channel channel, uint8_t actor,
                             enum registry_ask ask, struct registry_question *question,
                             struct registry_answer *answer, struct buf *reply)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    question->preamble.actor.known = actor != 0;
    memset(question->preamble.actor.fingerprint.at, actor, REGISTRY_FINGERPRINT);
    question->preamble.correlation[0] = 7;
    assert_int_equal(registry_question_write(ask, question, &body), RC_OK);
    buf_reset(reply);
    TRY(link_ask_and_wait(w->doors[channel], registry_door_protocol(), (uint16_t)ask,
                          buf_bytes(&body), -1, WAIT_MS, reply));
    return registry_answer_read(ask, buf_bytes(reply), answer);
}

struct told {
    struct registry_answer answer;
    struct buf reply;
};
#define AUTO_TOLD(name)                                                                        \
    [[gnu::cleanup(told_clear)]] struct told name = { .reply = BUF_MAX(LINK_BODY_MAX) }
static inline void told_clear(struct told *told)
{
    buf_clear(&told->reply);
}

static inline enum rc admin(struct world *w, enum registry_ask ask, struct registry_question q,
                            struct told *told)
{
    return ask_as(w, REGISTRY_OPERATOR_DOOR, ADMIN, ask, &q, &told->answer, &told->reply);
}

static inline void set_id(struct registry_question *q, const char *id)
{
    assert_int_equal(registry_id_copy(bytes_of_text(id), q->id), RC_OK);
}

static inline void add_device(struct world *w, const char *id)
{
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    set_id(&q, id);
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_ADD, q, &told), RC_OK);
    assert_string_equal(told.answer.subject.id, id);
}

static inline void new_token(struct world *w, const char *device, struct told *told)
{
    struct registry_question q = { 0 };

    set_id(&q, device);
    assert_int_equal(admin(w, REGISTRY_ASK_TOKEN_NEW, q, told), RC_OK);
    assert_int_equal(told->answer.token_secret.len, 32);
}

/* A request for a certificate, as clients make them; the issuing CA's wishes are ignored. */
static inline void make_csr(const struct soft_key *key, struct buf *csr)
{
    const struct pki_hierarchy_names names = { .organization = BYTES("Acme"),
                                               .origin = "x",
                                               .host_count = 0 };
    const struct pki_signing signing = { soft_key_sign, (void *)(uintptr_t)key };
    AUTO_BUF(spki, 256);

    pki_key_add(&spki, BYTES_OF(key->point));
    struct pki_hierarchy_wish wish = { &names, "wish", buf_bytes(&spki), TBS_NOW_S };
    assert_int_equal(pki_hierarchy_request(&wish, &signing, "", csr), RC_OK);
}

/* The signer needs a moment at first: RC_BUSY says try again. */
static inline enum rc enrol(struct world *w, const struct soft_key *key,
                            const struct told *token, struct told *told)
{
    struct registry_question q = { .token_id = token->answer.token_id,
                                   .token_secret = token->answer.token_secret };
    AUTO_BUF(csr, 4096);
    enum rc rc = RC_BUSY;

    make_csr(key, &csr);
    q.der = buf_bytes(&csr);
    for (int tries = 0; rc == RC_BUSY && tries < 1500; tries++) {
        rc = ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_ENROL, &q, &told->answer,
                    &told->reply);
        if (rc == RC_BUSY)
            usleep(20000);
    }
    return rc;
}

/* What an operator finds; the page borrows from told. */
static inline void find_audit(struct world *w, const struct audit_query *query,
                              struct told *told, struct audit_page *page)
{
    AUTO_BUF(asked, AUDIT_QUERY_MAX);

    audit_query_write(query, &asked);
    const struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, told), RC_OK);
    assert_int_equal(audit_page_read(told->answer.query, page), RC_OK);
}

/* Records of an action with this decision, as an operator finds them. */
static inline unsigned count_audit(struct world *w, enum audit_action action,
                                   enum audit_decision decision)
{
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .decisions = (uint8_t)(1u << decision),
                                       .most = 100 };
    struct audit_page page;
    struct audit_hit hit;
    unsigned found = 0;
    AUTO_TOLD(told);

    find_audit(w, &query, &told, &page);
    for (; audit_page_next(&page, &hit) == RC_OK; found++)
        assert_int_equal(
            hit.record->correlation[0] == 7 || hit.record->actor_kind == AUDIT_PROCESS, true);
    audit_page_clear(&page);
    return found;
}

static inline struct audit_checkpoint_key *checkpoint_key(struct world *w)
{
    const struct keys_rule *rule = keys_rules_find(w->signing.rules, BYTES("checkpoints"));
    struct audit_checkpoint_key *key = NULL;

    assert_int_equal(audit_checkpoint_key_read(BYTES_OF(rule->public_key), &key), RC_OK);
    return key;
}

/* Waits for a verified checkpoint of at least so many records. */
static inline struct audit_checkpoint wait_checkpoint(struct world *w, uint64_t least,
                                                      struct buf *note)
{
    static const uint8_t NEWEST[8];
    struct audit_checkpoint found = { 0 };
    AUTO_OF(audit_checkpoint_key) *key = checkpoint_key(w);
    AUTO_TOLD(told);

    for (int tries = 0; found.size < least && tries < 1500; tries++) {
        struct registry_question q = { .query = BYTES_OF(NEWEST) };
        if (admin(w, REGISTRY_ASK_AUDIT_CHECKPOINT, q, &told) == RC_OK) {
            buf_reset(note);
            buf_add(note,
                    (struct bytes){ told.answer.query.at + 8, told.answer.query.len - 8 });
            assert_int_equal(audit_checkpoint_verify(key, buf_bytes(note), &found), RC_OK);
        }
        usleep(20000);
    }
    assert_true(found.size >= least);
    return found;
}

static inline void tell_trouble(struct world *w, char trouble[REGISTRY_TROUBLE_MAX + 1])
{
    struct registry_question none = { 0 };
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    memcpy(trouble, told.answer.status.trouble, REGISTRY_TROUBLE_MAX + 1);
}

/* Which CRL of this key there is. RC_NOT_FOUND: none yet. */
static inline enum rc find_crl(struct world *w, const char *key, struct registry_crl *crl)
{
    struct registry_question none = { 0 };
    struct registry_change change;
    uint64_t sequence = 0;
    AUTO_OF(registry_projection) *projection = NULL;
    AUTO_TOLD(page);

    assert_int_equal(registry_projection_new(NULL, &projection), RC_OK);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SNAPSHOT, &none,
                            &page.answer, &page.reply),
                     RC_OK);
    struct reader r = READER(page.answer.list);
    while (registry_answer_next_change(&r, &sequence, &change) == RC_OK)
        assert_int_equal(registry_projection_apply(projection, &change), RC_OK);
    return registry_projection_crl(projection, bytes_of_text(key), crl);
}

/* Its octets, as a door asks for them. RC_NOT_FOUND: there is another one by now. */
static inline enum rc fetch_crl(struct world *w, const struct registry_crl *crl,
                                struct buf *der)
{
    struct registry_question q = { .version = crl->number };

    set_id(&q, crl->key);
    buf_reset(der);
    for (; q.part < registry_crl_parts(crl); q.part++) {
        AUTO_TOLD(told);
        TRY(ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_CRL, &q, &told.answer,
                   &told.reply));
        assert_int_equal(told.answer.list.len, registry_crl_part_len(crl, q.part));
        buf_add(der, told.answer.list);
    }
    assert_int_equal(der->len, crl->len);
    return RC_OK;
}

static inline void write_pem(const char *name, struct bytes der, const char *label)
{
    AUTO_BUF(text, 16384);

    pki_pem_add(&text, label, der);
    unlink(name);
    assert_int_equal(file_write(AT_FDCWD, name, buf_bytes(&text), 0600), RC_OK);
}
