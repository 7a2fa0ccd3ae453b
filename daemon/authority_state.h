/* What the authority's files share. Private to daemon/authority*.c. */
#pragma once

#include "audit/checkpoint.h"
#include "daemon/authority.h"
#include "daemon/authority_ends.h"
#include "integration/report.h"
#include "keys/client.h"
#include "pki/certificate.h"
#include "pki/request.h"
#include "pki/template.h"
#include "policy/policy.h"
#include "registry/answer.h"
#include "store/queue.h"

enum {
    DAEMON_AUTHORITY_WAIT_MS = 10000, /* of WATCH and APPLIED */
    DAEMON_AUTHORITY_ISSUERS = 8,
    DAEMON_AUTHORITY_KINDS = REGISTRY_DOOR + 1,
    DAEMON_AUTHORITY_TARGET_MAX = 512, /* of a request, in the audit log */
    DAEMON_AUTHORITY_READINGS = 256,
    DAEMON_AUTHORITY_STAGED = 4,
};

/* A request whose reading is in the audit log, and what was asked further for it. */
struct daemon_authority_reading {
    struct registry_preamble preamble;
    struct registry_subject actor;
    struct registry_certificate shown;
    enum registry_channel channel;
    enum registry_ask ask; /* 0: none */
    const char *action;    /* static */
    char target[DAEMON_AUTHORITY_TARGET_MAX], device[REGISTRY_ID_MAX + 1];
    struct audit_aggregate_part counted; /* and not told yet */
    bool overdue;                        /* what was counted could not be told */
    uint64_t policy_version; /* that allowed all that was counted; 0: none, or several */
    uint32_t rule;           /* likewise */
    bool wanted, telling;    /* its place is needed; it is in the job that is under way */
    /* Of AUDIT_WATCH; the loop's clock. */
    struct buf filter; /* the query's octets */
    uint64_t from;     /* the record says that all from here on is read */
    int64_t last_ms;   /* when it was asked for last */
    int64_t told_ms;   /* when something of it was told last */
};

/* One of our issuing CAs, as its certificate says, and its key's name at the signer. */
struct daemon_authority_issuer {
    char key[KEYS_NAME_MAX + 1];
    uint8_t key_hash[32], name_hash[32];
    struct pki_certificate certificate;
    bool crl_due, crl_under_way;
    uint8_t crl_for[REGISTRY_CORRELATION]; /* by one act alone; or zeros */
    int64_t crl_ms;                        /* when its CRL was made; 0: not in this life */
    int64_t crl_rest_ms;                   /* the next one not before; the loop's clock */
};

struct daemon_authority_door {
    struct daemon_authority *authority;
    enum registry_channel channel;
    struct link_server *server;
    struct registry_position acknowledged; /* latest, as the store has it */
    bool serves;                           /* the exporter, as the log says */
};

struct daemon_authority_request;

/* What needs a person; each is told once when it begins, and shown in status until it ends. */
enum daemon_authority_trouble {
    DAEMON_AUTHORITY_SIGNER,
    DAEMON_AUTHORITY_CHECKPOINTS,
    DAEMON_AUTHORITY_TILES,
    DAEMON_AUTHORITY_WITNESSES,
    DAEMON_AUTHORITY_DEVICE_SPOOL,
    DAEMON_AUTHORITY_OPERATOR_SPOOL,
    DAEMON_AUTHORITY_RETENTION,
    DAEMON_AUTHORITY_EXPORT,
    DAEMON_AUTHORITY_POLICY,
    DAEMON_AUTHORITY_CRL, /* and the numbers behind it: one for each issuer */
    DAEMON_AUTHORITY_TROUBLES = DAEMON_AUTHORITY_CRL + DAEMON_AUTHORITY_ISSUERS
};

/* A checkpoint in the making. */
struct daemon_authority_round {
    struct store_job job; /* first */
    struct daemon_authority *authority;
    struct loop_timer timer;
    bool under_way;
    struct keys_listed key;
    struct journal_head head; /* of the signer's journal */
    struct audit_checkpoint checkpoint;
    struct proof_hash proof[PROOF_NODES_MAX];
    size_t proof_count;
    struct buf text, note;
};

/* What of the log everybody is shown: authority_publish.c. */
struct daemon_authority_publisher;

/* Cosignatures that came or were refused, and are not in the audit log yet. */
struct daemon_authority_cosigned {
    int64_t told_ms; /* when a record was made of such; 0: never in this life */
    uint64_t count;
    int64_t first_ms;
    const struct daemon_authority_request *teller; /* whose record is being made; or NULL */
    uint64_t telling;                              /* of count, in that record */
};

/* The walk over what is to be erased or pruned. */
struct daemon_authority_retention {
    struct store_job job; /* first */
    struct daemon_authority *authority;
    struct loop_timer timer;
    bool under_way, wanted; /* a step is; another shall follow soon */
    /* Monotonic: when pruning looked last (-1: not in this life), and looks now. */
    int64_t looked_ms, looking_ms, elapsed_ms;

    bool more, pruned; /* of the latest run of a step */
};

/* The audit log's index in the making. */
struct daemon_authority_indexing {
    struct store_job job; /* first */
    struct daemon_authority *authority;
    struct loop_timer timer;
    bool more; /* of the latest run of a step */
};

/* A text of which parts have come. */
struct daemon_authority_staged {
    enum registry_channel channel;
    uint8_t correlation[REGISTRY_CORRELATION];
    struct registry_fingerprint shown;
    char owner[REGISTRY_ID_MAX + 1];
    struct registry_name name; /* of the whole; len 0: there is none */
    uint32_t next;             /* part */
    int64_t first_ms, last_ms; /* when these came; the loop's clock */
    struct buf octets;
};

/* A text that a thread compiles. */
struct daemon_authority_compiling;

/* The policy by which acts are judged: authority_active.c. */
struct daemon_authority_active {
    struct policy *policy; /* NULL: this version does not compile */
    uint64_t version;      /* 0: none was compiled in this life */
    struct registry_name name;
    bool starting, under_way; /* no outcome yet in this life; a thread compiles it */
    struct loop_timer timer;
    struct daemon_authority_request *bringing; /* policies that are compiled, not in force */
    struct daemon_authority_request *parked;   /* until there is an outcome, in their order */
};

/* A walk over the signer's journal. */
struct daemon_authority_walk {
    bool under_way;
    bool orphans; /* nothing is under way at the signer: what is not registered never will be */
    uint64_t most;     /* the last entry to read */
    uint64_t refusals; /* up to which refusals are in the log, in this life */
    void (*done)(struct daemon_authority *authority, enum rc rc);
};

struct daemon_authority {
    struct daemon_authority_setup setup;
    struct store_queue *queue;
    struct loop_turn woken;
    struct daemon_authority_door doors[REGISTRY_CHANNEL_LAST + 1];
    struct daemon_authority_request *waiting;   /* WATCH and APPLIED without an answer yet */
    struct daemon_authority_request *followers; /* AUDIT_WATCH, whether they wait or not */
    struct loop_timer further;                  /* of those who are behind */
    struct daemon_authority_request *undone;    /* refused, and not yet undone: no space */
    uint64_t told_revision;                     /* up to which the waiting were woken */
    bool acknowledged;                          /* since the last turn */
    int64_t started_ms;
    bool ending;

    struct daemon_authority_active active;

    struct keys_client *signer;
    bool issues;
    struct daemon_authority_starts starts; /* of it, and of the exporter */
    uint64_t replayed; /* of the signer's journal: all certificates up to here are known */
    struct journal_head vouched; /* of it, too: by the newest checkpoint; read when attaching */
    unsigned signing; /* certificates that the signer was asked for and did not answer yet */
    struct daemon_authority_walk walk;
    struct daemon_authority_round round;
    struct daemon_authority_retention retention;
    struct daemon_authority_indexing indexing;
    uint64_t records, checkpoint; /* of the audit log, when last looked at */
    struct daemon_authority_publisher *publisher;
    struct daemon_authority_cosigned cosigned, uncosigned;
    struct integration_report exported;
    int64_t exported_ms; /* when news of a sink came; the loop's clock */
    char trouble[DAEMON_AUTHORITY_TROUBLES][REGISTRY_TROUBLE_MAX + 1];
    struct buf authorities;
    struct pki_verifier *verifier;
    size_t issuer_count;
    struct daemon_authority_issuer issuers[DAEMON_AUTHORITY_ISSUERS];
    struct daemon_authority_issuer *issuer_of[DAEMON_AUTHORITY_KINDS];
    struct pki_template *template_of[DAEMON_AUTHORITY_KINDS];
    struct loop_timer crl_timer;
    struct daemon_authority_backup *backup; /* being made, or NULL */
    int64_t held_until_ms;                  /* no checkpoint before; the loop's clock */
    bool recovered;                         /* authority.recover was looked at */
    struct daemon_authority_staged staged[DAEMON_AUTHORITY_STAGED];
    struct loop_timer staged_timer;
    struct daemon_authority_compiling *compiling;
    struct daemon_authority_reading readings[DAEMON_AUTHORITY_READINGS];
    struct loop_timer reading_timer;
    struct store_job reading_job;
    struct registry_spooled spooled[REGISTRY_OPERATOR_DOOR + 1]; /* as each door said last */
    uint64_t unrecorded; /* requests whose record found no room */
    bool telling;        /* the job is in the queue */
    struct loop_timer flood_timer;
    struct store_job flood_job;
    bool telling_floods;            /* likewise */
    struct loop_timer expiry_timer; /* of proposals */
    struct store_job expiry_job;
    int64_t expiry_ms; /* wall: of the look that the job is about */
    bool expiring;     /* the job is in the queue */
};

/* A door's request from its arrival to its answer. */
struct daemon_authority_request {
    struct store_job job; /* first: a job is its request */
    struct daemon_authority *authority;
    struct daemon_authority_request *next; /* among the waiting, the undone, or the parked */
    struct link_request request;           /* body is of our copy */
    bool answered;
    /* Of one that came through no door: told instead of answered. NULL for all others. */
    void (*ended)(struct daemon_authority_request *request, enum rc rc);
    enum registry_channel channel;
    enum registry_ask ask;
    struct buf body;
    struct registry_question question; /* borrows from body */
    int64_t now_ms;
    struct loop_timer timer;

    /* Of the latest run of a change; overwritten by each. */
    struct registry_subject actor;     /* kind 0: nobody */
    struct registry_certificate shown; /* by which he asked; serial_len 0: not registered */
    struct registry_answer answer;
    struct buf list, text, cursor;
    char target[DAEMON_AUTHORITY_TARGET_MAX];
    char said[AUDIT_REASON_MAX + 1];   /* what else the audit log shall say if it succeeds */
    enum audit_action as;              /* in the audit log; 0: what the question says */
    enum registry_ask acting;          /* what an approved proposal does; 0: none */
    struct registry_certificate about; /* that a command is about */
    struct policy_decision denied;     /* version 0: no rule denied it */
    struct policy_decision judged;     /* what it said to what is done; version 0: not asked */

    /* A policy */
    struct registry_name name; /* of the one that is approved */
    struct buf whole;          /* its text, if that came in parts or is approved */
    enum rc compiled;          /* what came of it; text has its errors */
    size_t rules;              /* that it has, if it compiled */
    struct policy *brings;     /* by which acts are judged once it is in force, or NULL */
    struct registry_name brings_name;
    struct daemon_authority_request *next_bringing;

    /* Proposals */
    uint64_t decides; /* the number of the one that is approved or rejected */
    char decides_why[REGISTRY_LABEL_MAX + 1];
    struct buf content;                /* of the one that is made, or approved */
    struct registry_proposal proposal; /* of the latest run; number 0: none */
    uint8_t content_hash[32];

    /* Issuing */
    enum registry_kind kind; /* of the subject */
    char id[REGISTRY_ID_MAX + 1];
    struct pki_request csr; /* borrows from body */
    uint8_t attempt[REGISTRY_ATTEMPT], secret_hash[32];
    /* AUDIT_WATCH */
    struct daemon_authority_request *next_follower;
    bool has_news;
    bool behind;   /* more is there to be looked at */
    bool began;    /* so seen says something */
    uint64_t seen; /* the next record of the log to be looked at */
    bool reserved; /* a token, by this attempt */
    bool knows;    /* a recovery: the operator is there already */
    struct buf tbs, certificate;
    struct registry_certificate row;
    struct pki_contents contents;
    /* Why it failed, while that is being written down. */
    enum rc failed;
    char reason[STORE_REASON_MAX];
};

/* The text of a policy that is asked to be applied. */
static inline struct registry_text
daemon_authority_text(const struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    return (struct registry_text){ q->name.len > 0 ? buf_bytes(&request->whole) : q->text,
                                   q->name };
}

static inline struct daemon_authority_request *daemon_authority_of(struct store_job *job)
{
    return (struct daemon_authority_request *)(void *)job;
}

/* ---- authority.c ---- */

/* Run change() in the queue, then done(). */
void daemon_authority_queue(struct daemon_authority_request *request,
                            enum rc (*change)(struct store_txn *txn, struct store_job *job),
                            void (*done)(struct store_job *job, enum rc rc));
/* Serve a request that may be asked on its channel. */
void daemon_authority_dispatch(struct daemon_authority_request *request);
/* In a transaction, with a request: daemon_authority_check_actor() with the right it needs. */
enum rc daemon_authority_know_actor(struct store_txn *txn, void *request);
/* Answer with request->answer, and forget the request. */
void daemon_authority_answer(struct daemon_authority_request *request);
/* Answer with a refusal, its reason as fault_text(): written to the audit log first, together
 * with what must be undone (a reserved token, a signature that nobody will get). RC_BUSY is no
 * decision: it is turned away, unless there is something to undo. */
void daemon_authority_refuse(struct daemon_authority_request *request, enum rc rc);
/* Keep fault_text() in request->reason, over what may put another in its place. */
void daemon_authority_keep_reason(struct daemon_authority_request *request);
/* Likewise, of what is wrong before anything is looked at: who asks, and whether he may, is
 * looked at first. */
void daemon_authority_refuse_unread(struct daemon_authority_request *request, enum rc rc);
/* Likewise, if it is a decision about somebody who is known: what he may not, and what is not
 * there, is there already, is too much or is no question. Otherwise as below. */
void daemon_authority_fail(struct daemon_authority_request *request, enum rc rc);
/* Answer with a refusal that is no decision (what a door asks for itself, no memory), or that
 * the door tells of (RC_BUSY, RC_CLOSED: api/request.c): not audited. */
void daemon_authority_turn_away(struct daemon_authority_request *request, enum rc rc);

/* An empty one, or NULL: no memory. */
struct daemon_authority_request *
daemon_authority_request_new(struct daemon_authority *authority);
void daemon_authority_forget(struct daemon_authority_request *request);

/* ---- authority_actor.c ---- */

/* Who asks, as the registry knows him now; RC_DENIED unless he holds the right on this channel.
 * In the committing transaction. */
enum rc daemon_authority_check_actor(struct store_txn *txn,
                                     struct daemon_authority_request *request,
                                     enum registry_right right);
/* Append the audit record of this request. */
enum rc daemon_authority_record(struct store_txn *txn, struct daemon_authority_request *request,
                                enum rc rc, const char *reason);

/* ---- authority_judge.c: what the active policy says to what roles and tokens allow ---- */

/*
 * Each: RC_DENIED, as REGISTRY_POLICY_SAYS tells it, if a rule denies it to the actor of the
 * latest check, if none allows it and the setting demands one, or if there is no active policy
 * that compiles; RC_BUSY, as daemon_authority_active(); in the committing transaction.
 * What registry_right_is_kept() is not judged.
 */

/* The route that this is asked by; nothing if there is none. */
enum rc daemon_authority_judge_call(struct store_txn *txn,
                                    struct daemon_authority_request *request,
                                    enum registry_ask ask,
                                    const struct registry_question *question);
/* POLICY_ENROLL or POLICY_RENEW of request->kind, id and csr; by the device itself if there is
 * no actor. */
enum rc daemon_authority_judge_issue(struct store_txn *txn,
                                     struct daemon_authority_request *request,
                                     enum policy_action action);
enum rc daemon_authority_judge_revocation(struct store_txn *txn,
                                          struct daemon_authority_request *request,
                                          const char *device);
/* Of each that a DEVICE_REVOKE_MANY names. */
enum rc daemon_authority_judge_revocations(struct store_txn *txn,
                                           struct daemon_authority_request *request,
                                           struct bytes ids);

/* ---- authority_command.c: all that needs no signature ---- */
void daemon_authority_command(struct daemon_authority_request *request);
/* Do what this question says; no actor is looked at, and no record of the whole is written. */
enum rc daemon_authority_run(struct store_txn *txn, struct daemon_authority_request *request,
                             enum registry_ask ask);
/* "device dev-1", for the audit log. */
void daemon_authority_aim(struct daemon_authority_request *request, const char *word,
                          const char *id);

/* ---- authority_staged.c: POLICY_PART ---- */
void daemon_authority_policy_part(struct daemon_authority_request *request);
/* What was sent before under this request's correlation, into its whole. RC_BUSY: it is not
 * here; RC_MALFORMED: it is not all that is named. Either way nothing of it stays. */
enum rc daemon_authority_staged_take(struct daemon_authority_request *request);
/* Of a link that is gone. */
void daemon_authority_staged_drop(struct daemon_authority *authority,
                                  enum registry_channel channel);
void daemon_authority_staged_stop(struct daemon_authority *authority);

/* ---- authority_compile.c ---- */
/* Compile this text on a thread, then done(), with compiled, text and brings set. Its octets
 * stay as they are until then. What is not what its name says is refused, and what cannot be
 * begun is turned away, without done(). */
void daemon_authority_compile(struct daemon_authority_request *request,
                              const struct registry_text *text,
                              void (*done)(struct daemon_authority_request *request));
/* RC_BUSY: as many as may be under way at once are. */
enum rc daemon_authority_compile_check_room(const struct daemon_authority *authority,
                                            bool in_parts);
/* Likewise, of the active one (whole is owned from here on), then
 * daemon_authority_active_compiled(). */
enum rc daemon_authority_compile_active(struct daemon_authority *authority, struct buf *whole,
                                        const struct registry_name *name, uint64_t version);
void daemon_authority_compile_stop(struct daemon_authority *authority);

/* ---- authority_active.c: the policy that judges ---- */

/*
 * The active one as this transaction has it; borrowed until that ends. RC_DENIED, as
 * REGISTRY_POLICY_SAYS tells it: it does not compile; RC_BUSY: it is being compiled.
 */
enum rc daemon_authority_active(struct store_txn *txn, struct daemon_authority *authority,
                                struct policy **policy);
/* A request has a policy that it may bring into force, with its own transaction; its reference
 * is the request's from here on. */
void daemon_authority_brings(struct daemon_authority_request *request, struct policy *policy,
                             const struct registry_name *name);
/* Does it have one, of this text? */
bool daemon_authority_brings_text(const struct daemon_authority_request *request,
                                  const struct registry_text *text);
/* It will not, or not any more. No effect if it has none. */
void daemon_authority_brings_none(struct daemon_authority_request *request);
/* Its transaction is committed. */
void daemon_authority_brought(struct daemon_authority_request *request);
/* What came of daemon_authority_compile_active(): policy is owned from here on, or NULL. */
void daemon_authority_active_compiled(struct daemon_authority *authority, uint64_t version,
                                      const struct registry_name *name, enum rc rc,
                                      struct policy *policy, struct bytes errors);
/* What the active policy is asked about, before there is one: dispatched then. */
bool daemon_authority_park(struct daemon_authority_request *request);
enum rc daemon_authority_active_start(struct daemon_authority *authority);
void daemon_authority_active_stop(struct daemon_authority *authority);

/* ---- authority_revoke.c: DEVICE_REVOKE_MANY, and the count of single revocations ---- */
enum rc daemon_authority_revoke_many(struct store_txn *txn,
                                     struct daemon_authority_request *request);
/* Revoke whom the request is about, with a record of each certificate that ends with him; why
 * is for these. His own record is the caller's. */
enum rc daemon_authority_revoke(struct store_txn *txn, struct daemon_authority_request *request,
                                enum registry_kind kind, struct bytes id, const char *why);
/* Of a revocation that was run in this transaction: RC_EXISTS says that it was one too many. */
enum rc daemon_authority_count_single(struct store_txn *txn,
                                      const struct daemon_authority_request *request);

/* ---- authority_propose.c: PROPOSAL_APPROVE, PROPOSAL_REJECT, and what becomes a proposal ----
 */

/* Is it an act that needs two administrators here? */
bool daemon_authority_proposes(const struct daemon_authority_request *request);
void daemon_authority_propose(struct daemon_authority_request *request);
void daemon_authority_decide(struct daemon_authority_request *request);
/* ---- authority_expire.c ---- */

/* An open one ends as expired, with its record. */
enum rc daemon_authority_proposal_end(struct store_txn *txn,
                                      const struct daemon_authority_audit *audit,
                                      struct registry_proposal *proposal, const char *why,
                                      int64_t now_ms);
enum rc daemon_authority_proposals_start(struct daemon_authority *authority);
void daemon_authority_proposals_stop(struct daemon_authority *authority);

/* ---- authority_read.c: all that changes nothing ---- */
void daemon_authority_read(struct daemon_authority_request *request);
/* What is read, for the log: the target. Cut where it does not fit: the beginning tells. */
enum rc daemon_authority_aim_reading(struct daemon_authority_request *request);
/* store_read(): what the log has for an AUDIT_WATCH, a part of it at a time. */
enum rc daemon_authority_audit_news(struct store_txn *txn, void *with);

/* ---- authority_reading.c: what one request reads is recorded once, and counted ---- */

/* Is it in the log that this request reads? Then count what is answered further. */
bool daemon_authority_reading_goes_on(struct daemon_authority_request *request);
void daemon_authority_reading_count(struct daemon_authority_request *request);
/* Before its record is queued; and once it is durable. */
void daemon_authority_reading_begins(struct daemon_authority_request *request);
void daemon_authority_reading_remember(struct daemon_authority_request *request);
void daemon_authority_reading_start(struct daemon_authority *authority);
void daemon_authority_reading_stop(struct daemon_authority *authority);

/* ---- authority_flood.c: refusals that were counted ---- */
enum rc daemon_authority_flood_start(struct daemon_authority *authority);
void daemon_authority_flood_stop(struct daemon_authority *authority);

/* ---- authority_follow.c: WATCH, ACKNOWLEDGE, SNAPSHOT, LOOK_UP, APPLIED, CRL, POLICY_TEXT
 * ----
 */
void daemon_authority_follow(struct daemon_authority_request *request);
/* Until there is an answer, or it took too long. */
void daemon_authority_wait(struct daemon_authority_request *request);
/* It follows the log no more. */
void daemon_authority_unfollow(struct daemon_authority_request *request);
/* Answer those who wait and whose news has come. */
void daemon_authority_wake(struct daemon_authority *authority);
/* ---- authority_enrol.c: ENROL, REENROL, OPERATOR_ADD, DOOR ---- */
void daemon_authority_enrol(struct daemon_authority_request *request);
/* Of a subject's certificates. */
const char *daemon_authority_profile(enum registry_kind kind);

/* ---- authority_spool.c: SPOOL ---- */
void daemon_authority_spool(struct daemon_authority_request *request);
enum audit_source daemon_authority_source(enum registry_channel channel);

/* ---- authority_export.c: EXPORTED ---- */
/* Records under the newest checkpoint that every witness signed which the exporter carries to;
 * UINT64_MAX without any. */
uint64_t daemon_authority_witnessed(const struct daemon_authority *authority);
void daemon_authority_export(struct daemon_authority_request *request);

/* ---- authority_trouble.c ---- */

/* fault_text() says what. False if that is known already. */
bool daemon_authority_trouble_begin(struct daemon_authority *authority,
                                    enum daemon_authority_trouble what);
void daemon_authority_trouble_end(struct daemon_authority *authority,
                                  enum daemon_authority_trouble what);

/* ---- authority_signer.c ---- */

/* RC_NOT_FOUND */
enum rc daemon_authority_find_key(const struct keys_list *list, const char *name,
                                  struct keys_listed *key);
/* RC_CORRUPT: the log does not hold what the signer has signed a checkpoint of with this key.
 * *records is how many it holds. */
enum rc daemon_authority_check_tree(struct audit_log *log, struct store_txn *txn,
                                    const struct keys_listed *key, uint64_t *records);
/* What was signed, or may have been, and is nobody's: of the row's serial, issuer and key, and
 * what else it has. */
enum rc daemon_authority_record_orphan(struct store_txn *txn,
                                       const struct daemon_authority *authority,
                                       const struct registry_certificate *orphan,
                                       const uint8_t correlation[REGISTRY_CORRELATION]);
/* Read the signer's journal up to this entry: refusals go into the log, and unknown
 * certificates into the books if nothing is under way. done is called later, once, on RC_OK. */
enum rc daemon_authority_replay(struct daemon_authority *authority, uint64_t most,
                                void (*done)(struct daemon_authority *authority, enum rc rc));

/* ---- authority_checkpoint.c ---- */
enum rc daemon_authority_checkpoint_start(struct daemon_authority *authority);
void daemon_authority_checkpoint_stop(struct daemon_authority *authority);

/* ---- authority_publish.c ---- */
enum rc daemon_authority_publish_start(struct daemon_authority *authority);
void daemon_authority_publish_stop(struct daemon_authority *authority);
/* There may be something new to show: a checkpoint was kept or cosigned, or some time went by.
 */
void daemon_authority_publish(struct daemon_authority *authority);

/* ---- authority_cosign.c: AUDIT_COSIGN ---- */
void daemon_authority_cosign(struct daemon_authority_request *request);

/* ---- authority_index.c ---- */
enum rc daemon_authority_index_start(struct daemon_authority *authority);
void daemon_authority_index_stop(struct daemon_authority *authority);

/* ---- authority_retention.c: AUDIT_ERASE, AUDIT_HOLD ---- */
void daemon_authority_erase(struct daemon_authority_request *request);
void daemon_authority_hold(struct daemon_authority_request *request);
/* Do it, in the committing transaction: daemon_authority_run(). */
enum rc daemon_authority_run_erasure(struct store_txn *txn,
                                     struct daemon_authority_request *request);
enum rc daemon_authority_run_hold(struct store_txn *txn,
                                  struct daemon_authority_request *request);
/* What a proposal of it is looked at for, and how it is told: daemon/authority_propose.c. */
enum rc daemon_authority_check_erasure(struct store_txn *txn,
                                       const struct daemon_authority_request *request,
                                       const struct registry_question *asked);
void daemon_authority_say_erasure(const struct registry_question *asked, struct buf *text);
bool daemon_authority_is_release(const struct registry_question *asked);
enum rc daemon_authority_check_release(struct store_txn *txn,
                                       const struct daemon_authority_request *request,
                                       const struct registry_question *asked);
void daemon_authority_say_release(const struct registry_question *asked, struct buf *text);
enum rc daemon_authority_retention_start(struct daemon_authority *authority);
void daemon_authority_retention_stop(struct daemon_authority *authority);
/* Something is to be erased. */
void daemon_authority_retention_soon(struct daemon_authority *authority);

/* ---- authority_backup.c: BACKUP ---- */
void daemon_authority_backup(struct daemon_authority_request *request);
/* What a former life did not finish is removed. */
void daemon_authority_backup_start(struct daemon_authority *authority);
void daemon_authority_backup_stop(struct daemon_authority *authority);

/* ---- authority_recover.c ---- */

/* Once in a life, when certificates can be issued. */
void daemon_authority_recover(struct daemon_authority *authority);
/* The certificate of such a request, onto disk. */
enum rc daemon_authority_recover_keep(struct daemon_authority_request *request);

/* ---- authority_crl.c ---- */
enum rc daemon_authority_crl_start(struct daemon_authority *authority);
/* The CRL of what signs for this kind is out of date, by the act of this id; NULL: by many. */
void daemon_authority_crl_want(struct daemon_authority *authority, enum registry_kind kind,
                               const uint8_t *correlation);
