#include "daemon/authority_audit.h"
#include "daemon/authority_state.h"

#include <string.h>

#include "audit/erase.h"
#include "audit/holds.h"
#include "audit/prune.h"
#include "base/text.h"
#include "daemon/authority_first.h"
#include "daemon/authority_life.h"
#include "registry/answer.h"
#include "store/backup.h"

enum { REASON_ROOM = 4096, ENTRY_HEAD = 8 + 4 + PROOF_HASH };

void daemon_authority_tables(struct store_table tables[DAEMON_AUTHORITY_TABLES])
{
    memcpy(tables, registry_tables(), REGISTRY_TABLES * sizeof *tables);
    memcpy(tables + REGISTRY_TABLES, audit_log_tables(), AUDIT_TABLES * sizeof *tables);
}

/* ---- Events as records ---- */

static enum audit_action of_state(enum registry_state state)
{
    if (state == REGISTRY_SUSPENDED)
        return AUDIT_DEVICE_SUSPEND;
    return state == REGISTRY_REVOKED ? AUDIT_DEVICE_REVOKE : AUDIT_DEVICE_RESUME;
}

/* What the authority does by itself. */
/* Refusals of one kind, as at the doors: broker/door_state.h. */
static const struct audit_flood_limits FLOODS = { .window_ms = 10000, .one_by_one = 10 };

static enum audit_action own_doing(const char *action)
{
    static const struct {
        const char *name;
        enum audit_action action;
    } DOINGS[] = { { "crl", AUDIT_CRL_ISSUE },
                   { "recover", AUDIT_SYSTEM_RECOVER },

                   { "erased", AUDIT_LOG_ERASE },
                   { "pruned", AUDIT_LOG_PRUNE },
                   { "process serves", AUDIT_PROCESS_START },
                   { "process gone", AUDIT_PROCESS_STOP } };

    for (size_t i = 0; i < sizeof DOINGS / sizeof *DOINGS; i++)
        if (strcmp(DOINGS[i].name, action) == 0)
            return DOINGS[i].action;
    return AUDIT_CERTIFICATE_ORPHAN;
}

static enum audit_action action_of(const struct daemon_authority_event *event)
{
    static const enum audit_action ACTIONS[] = {
        [REGISTRY_ASK_WATCH] = AUDIT_API_REQUEST,
        [REGISTRY_ASK_SNAPSHOT] = AUDIT_API_REQUEST,
        [REGISTRY_ASK_LOOK_UP] = AUDIT_CERTIFICATE_LOOK_UP,
        [REGISTRY_ASK_DOOR] = AUDIT_DOOR_CERTIFY,
        [REGISTRY_ASK_ENROL] = AUDIT_CERTIFICATE_ISSUE,
        [REGISTRY_ASK_REENROL] = AUDIT_CERTIFICATE_RENEW,
        [REGISTRY_ASK_DEVICE_ADD] = AUDIT_DEVICE_ADD,
        [REGISTRY_ASK_DEVICE_LIST] = AUDIT_DEVICE_READ,
        [REGISTRY_ASK_DEVICE_SHOW] = AUDIT_DEVICE_READ,
        [REGISTRY_ASK_CERTIFICATE_LIST] = AUDIT_CERTIFICATE_READ,
        [REGISTRY_ASK_CERTIFICATE_REVOKE] = AUDIT_CERTIFICATE_REVOKE,
        [REGISTRY_ASK_TOKEN_NEW] = AUDIT_TOKEN_NEW,
        [REGISTRY_ASK_OPERATOR_ADD] = AUDIT_OPERATOR_ADD,
        [REGISTRY_ASK_OPERATOR_LIST] = AUDIT_OPERATOR_READ,
        [REGISTRY_ASK_OPERATOR_REVOKE] = AUDIT_OPERATOR_REVOKE,
        [REGISTRY_ASK_POLICY_SHOW] = AUDIT_POLICY_READ,
        [REGISTRY_ASK_POLICY_APPLY] = AUDIT_POLICY_APPLY,
        [REGISTRY_ASK_STATUS] = AUDIT_STATUS_READ,
        [REGISTRY_ASK_APPLIED] = AUDIT_STATUS_READ,
        [REGISTRY_ASK_POLICY_LIST] = AUDIT_POLICY_READ,
        [REGISTRY_ASK_AUDIT_LIST] = AUDIT_LOG_READ,
        [REGISTRY_ASK_AUDIT_CHECKPOINT] = AUDIT_LOG_READ,
        [REGISTRY_ASK_AUDIT_PROOF] = AUDIT_LOG_READ,
        [REGISTRY_ASK_SPOOL] = AUDIT_LOG_SPOOL,
        [REGISTRY_ASK_AUDIT_ENTRIES] = AUDIT_LOG_READ,
        [REGISTRY_ASK_AUDIT_WATCH] = AUDIT_LOG_READ,
        [REGISTRY_ASK_BACKUP] = AUDIT_SYSTEM_BACKUP,

        [REGISTRY_ASK_AUDIT_COSIGN] = AUDIT_LOG_COSIGN,
        [REGISTRY_ASK_AUDIT_ERASE] = AUDIT_LOG_ERASE,
        [REGISTRY_ASK_AUDIT_HOLD] = AUDIT_LOG_HOLD,
        [REGISTRY_ASK_AUDIT_HOLD_LIST] = AUDIT_LOG_READ,
        [REGISTRY_ASK_EXPORTED] = AUDIT_LOG_EXPORT,
        [REGISTRY_ASK_CRL] = AUDIT_API_REQUEST,
        [REGISTRY_ASK_POLICY_PROPOSE] = AUDIT_PROPOSAL_MAKE,
        [REGISTRY_ASK_POLICY_PART] = AUDIT_POLICY_CHECK,
        [REGISTRY_ASK_POLICY_TEXT] = AUDIT_API_REQUEST,
        [REGISTRY_ASK_ACKNOWLEDGE] = AUDIT_API_REQUEST,

        [REGISTRY_ASK_PROPOSAL_LIST] = AUDIT_POLICY_READ,
        [REGISTRY_ASK_PROPOSAL_SHOW] = AUDIT_POLICY_READ,
        [REGISTRY_ASK_PROPOSAL_APPROVE] = AUDIT_PROPOSAL_APPROVE,
        [REGISTRY_ASK_PROPOSAL_REJECT] = AUDIT_PROPOSAL_REJECT,
        [REGISTRY_ASK_DEVICE_REVOKE_MANY] = AUDIT_DEVICE_REVOKE_MANY,
    };

    if (event->as != 0)
        return event->as;
    if (event->ask == 0)
        return own_doing(event->action);
    if (event->ask == REGISTRY_ASK_DEVICE_STATE)
        return of_state(event->state);
    return event->only_checks ? AUDIT_POLICY_CHECK : ACTIONS[event->ask];
}

/* No is DENIED; what could not be decided or done is FAILED. */
static enum audit_decision decision_of(enum rc rc)
{
    if (rc == RC_OK)
        return AUDIT_ALLOWED;
    if (rc == RC_DENIED || rc == RC_EXISTS || rc == RC_LIMIT || rc == RC_MALFORMED ||
        rc == RC_NOT_FOUND)
        return AUDIT_DENIED;
    return AUDIT_FAILED;
}

static bool is_there(struct bytes hash)
{
    static const uint8_t NONE[AUDIT_HASH];

    return !bytes_equal(hash, BYTES_OF(NONE));
}

/* As far as it is known: of a refused request there is the key only. */
static void add_certificate(struct audit_certificate *to,
                            const struct registry_certificate *certificate)
{
    if (is_there(BYTES_OF(certificate->fingerprint.at)))
        to->fingerprint = BYTES_OF(certificate->fingerprint.at);
    to->serial = (struct bytes){ certificate->serial, certificate->serial_len };
    if (is_there(BYTES_OF(certificate->issuer_hash)))
        to->issuer = BYTES_OF(certificate->issuer_hash);
    if (is_there(BYTES_OF(certificate->key_hash)))
        to->key = BYTES_OF(certificate->key_hash);
}

static void add_actor(struct audit_record *record, const struct daemon_authority_event *event)
{
    const struct registry_preamble *preamble = event->preamble;

    record->actor_kind = AUDIT_NOBODY;
    if (event->channel == REGISTRY_EXPORTER) {
        record->actor_kind = AUDIT_PROCESS;
        record->actor = BYTES("exporter");
        return;
    }
    if (preamble == NULL) {
        record->actor_kind = AUDIT_PROCESS;
        record->actor =
            event->process == NULL ? BYTES("authority") : bytes_of_text(event->process);
        if (event->correlation != NULL)
            memcpy(record->correlation, event->correlation, sizeof record->correlation);
        return;
    }
    if (event->actor != NULL) {
        record->actor_kind = (enum audit_actor_kind)event->actor->kind;
        record->actor = bytes_of_text(event->actor->id);
    }
    if (event->shown != NULL)
        add_certificate(&record->actor_certificate, event->shown);
    if (preamble->actor.known)
        record->actor_certificate.fingerprint = BYTES_OF(preamble->actor.fingerprint.at);
    memcpy(record->correlation, preamble->correlation, sizeof record->correlation);
    record->peer = bytes_of_text(preamble->peer);
    record->tls = bytes_of_text(preamble->tls);
}

/* A one-time token gets a record of its own: whoever searches for it finds each try. */
static enum rc append_token(const struct daemon_authority_book *book, struct store_txn *txn,
                            const struct audit_record *of, struct bytes token, enum rc rc)
{
    struct audit_record record = *of;
    AUTO_BUF(target, AUDIT_TARGET_MAX);

    record.action = AUDIT_TOKEN_USE;
    buf_addf(&target, "token ");
    text_add_escaped(&target, token);
    record.target = buf_bytes(&target);
    return audit_flood_add(book->flood, txn, &record, rc);
}

static enum rc append(void *with, struct store_txn *txn,
                      const struct daemon_authority_event *event)
{
    const struct daemon_authority_book *book = with;
    struct audit_record record = { .action = action_of(event),
                                   .decision = decision_of(event->rc),
                                   .wall_ms = event->now_ms,
                                   .monotonic_ms = clock_monotonic_ms(book->clock),
                                   .target = bytes_of_text(event->target),
                                   .aggregate = event->counted };
    const struct audit_action_row *row = audit_action_get(record.action);
    AUTO_BUF(reason, REASON_ROOM);

    add_actor(&record, event);
    /* Of the device that acted, said once: an operator may have a device's id. */
    if (record.actor_kind != AUDIT_DEVICE || !bytes_equal_text(record.actor, event->device))
        record.device = bytes_of_text(event->device);
    if (event->certificate != NULL && (row->fields & AUDIT_CERTIFICATE_FIELD) != 0)
        add_certificate(&record.certificate, event->certificate);
    if ((row->fields & AUDIT_POLICY_FIELD) != 0)
        record.policy_version = event->policy_version;
    if (record.policy_version != 0)
        record.rule = event->rule;
    text_add_shown(&reason, bytes_of_text(event->reason));
    record.reason = text_cut(buf_bytes(&reason), AUDIT_REASON_MAX);
    if (event->token.len > 0)
        TRY(append_token(book, txn, &record, event->token, event->rc));
    return audit_flood_add(book->flood, txn, &record, event->rc);
}

static enum rc flush(void *with, struct store_txn *txn, int64_t now_ms, bool all, bool *more)
{
    const struct daemon_authority_book *book = with;

    return audit_flood_flush(book->flood, txn, now_ms, all, more);
}

static bool is_flooded(void *with)
{
    return audit_flood_is_open(((const struct daemon_authority_book *)with)->flood);
}

/* ---- What doors may ask ---- */

struct listing {
    struct buf *hits;
    size_t room;
    uint64_t last;
    bool full;
};

static enum rc add_hit(void *with, const struct audit_hit *hit)
{
    struct listing *listing = with;

    if (listing->hits->len + AUDIT_ENTRY_MAX + 64 > listing->room) {
        listing->full = true;
        return RC_LIMIT;
    }
    audit_page_write_hit(listing->hits, hit);
    listing->last = hit->index;
    return RC_OK;
}

static enum rc list(const struct daemon_authority_book *book, struct store_txn *txn,
                    struct bytes asked, struct buf *answer)
{
    struct audit_query query;
    uint64_t next = 0;
    bool more = false;
    AUTO_BUF(hits, REGISTRY_LIST_MAX);
    struct listing listing = { &hits, REGISTRY_LIST_MAX - 16, 0, false };

    TRY(audit_query_read(asked, &query));
    enum rc rc = audit_log_list(book->log, txn, &query, add_hit, &listing, &next, &more);
    if (rc != RC_OK && !listing.full)
        return rc;
    if (listing.full) {
        next = listing.last;
        more = true;
    }
    audit_page_write_head(answer, next, more);
    buf_add(answer, buf_bytes(&hits));
    return RC_OK;
}

/* How many checkpoints are looked at for one that is cosigned: those behind it are an hour old.
 */
enum { LOOK_BACK = 3600 };

enum rc daemon_authority_newest(const struct daemon_authority_audit *audit,
                                struct store_txn *txn, uint64_t most, uint64_t *size,
                                struct bytes *note)
{
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < LOOK_BACK; i++) {
        TRY(audit_log_checkpoint(audit->log, txn, most, size, note));
        if (audit->witnesses == NULL || audit->witnesses->quorum == 0)
            return RC_OK;
        rc = audit_cosignature_demand(audit->witnesses, *note);
        if (rc == RC_OK || *size == 0)
            break;
        most = *size - 1;
    }
    return rc == RC_OK ? RC_OK : fault_while(RC_NOT_FOUND, "no checkpoint is cosigned");
}

enum rc daemon_authority_published(const struct daemon_authority_book *book,
                                   struct store_txn *txn, uint64_t most, uint64_t *size,
                                   struct bytes *note)
{
    const struct daemon_authority_audit audit = { .log = book->log,
                                                  .witnesses = &book->witnesses };

    if (book->published == 0)
        return fault(RC_NOT_FOUND, "no checkpoint is published yet: its tiles are being made");
    if (most > book->published)
        most = book->published;
    return daemon_authority_newest(&audit, txn, most, size, note);
}

static enum rc checkpoint(const struct daemon_authority_book *book, struct store_txn *txn,
                          struct bytes asked, struct buf *answer)
{
    struct reader r = READER(asked);
    uint64_t most = reader_u64(&r), size = 0;
    struct bytes note;

    if (!reader_done(&r))
        return fault(RC_MALFORMED, "a checkpoint is asked for by its size, u64");
    if (most == UINT64_MAX)
        TRY(audit_log_checkpoint(book->log, txn, most, &size, &note));
    else
        TRY(daemon_authority_published(book, txn, most == 0 ? UINT64_MAX : most, &size, &note));
    buf_add_u64(answer, size);
    buf_add(answer, note);
    return RC_OK;
}

static enum rc prove(const struct daemon_authority_book *book, struct store_txn *txn,
                     struct bytes asked, struct buf *answer)
{
    struct reader r = READER(asked);
    uint8_t kind = reader_u8(&r);

    if (kind == 3 || kind == 4)
        return daemon_authority_prove_file(book, txn, kind, &r, answer);
    uint64_t first = reader_u64(&r), second = reader_u64(&r);
    struct proof_hash nodes[PROOF_NODES_MAX];
    size_t count = 0;

    if (!reader_done(&r) || kind < 1 || kind > 2)
        return fault(RC_MALFORMED, "a proof is asked for by its kind, 1 to 4, and two u64");
    if (kind == 1)
        TRY(audit_log_prove_inclusion(book->log, txn, first, second, nodes, &count));
    else
        TRY(audit_log_prove_consistency(book->log, txn, first, second, nodes, &count));
    for (size_t i = 0; i < count; i++)
        buf_add(answer, BYTES_OF(nodes[i].at));
    return RC_OK;
}

/* As many as fit, from the first one wanted. */
static enum rc entries(const struct daemon_authority_book *book, struct store_txn *txn,
                       struct bytes asked, struct buf *answer)
{
    struct reader r = READER(asked);
    uint64_t index = reader_u64(&r), size = 0;
    struct bytes bytes;
    struct audit_entry entry;

    if (!reader_done(&r))
        return fault(RC_MALFORMED, "entries are asked for by the first one's index, u64");
    TRY(audit_log_size(book->log, txn, &size));
    for (; index < size; index++) {
        TRY(audit_log_get(book->log, txn, index, &bytes));
        if (answer->len + ENTRY_HEAD + bytes.len > answer->max)
            return RC_OK;
        TRY(audit_leaf_read(bytes, &entry));
        struct proof_hash leaf = audit_log_leaf_hash(book->log, &entry);
        buf_add_u64(answer, index);
        buf_add_u32(answer, (uint32_t)bytes.len);
        buf_add(answer, BYTES_OF(leaf.at));
        buf_add(answer, bytes);
    }
    return RC_OK;
}

static enum rc list_holds(const struct daemon_authority_book *book, struct store_txn *txn,
                          struct bytes asked, struct buf *answer)
{
    AUTO_HOLDS(holds);

    if (asked.len > 0)
        return fault(RC_MALFORMED, "holds are listed all");
    TRY(audit_holds_read(book->log, txn, &holds));
    buf_add_u16(answer, (uint16_t)holds.count);
    for (size_t i = 0; i < holds.count; i++) {
        buf_add_u64(answer, holds.at[i].number);
        audit_hold_write(&holds.at[i], answer);
    }
    return audit_erase_list(book->log, txn, answer);
}

static enum rc ask(void *with, struct store_txn *txn, enum registry_ask what,
                   struct bytes query, struct buf *answer)
{
    const struct daemon_authority_book *book = with;

    if (what == REGISTRY_ASK_AUDIT_LIST)
        return list(book, txn, query, answer);
    if (what == REGISTRY_ASK_AUDIT_CHECKPOINT)
        return checkpoint(book, txn, query, answer);
    if (what == REGISTRY_ASK_AUDIT_ENTRIES)
        return entries(book, txn, query, answer);
    if (what == REGISTRY_ASK_AUDIT_HOLD_LIST)
        return list_holds(book, txn, query, answer);
    return prove(book, txn, query, answer);
}

enum rc daemon_authority_book_open(struct daemon_authority_book *book,
                                   const struct clock *clock)
{
    *book = (struct daemon_authority_book){ .clock = clock, .published = UINT64_MAX };
    TRY(audit_log_new(REGISTRY_TABLES, &book->log));
    return audit_flood_new(book->log, REGISTRY_TABLES, &FLOODS, &book->flood);
}

/* ---- How it begins ---- */

struct beginning {
    struct daemon_authority_book *book;
    bool restored;
    struct bytes how;
};

static enum rc append_own(const struct daemon_authority_book *book, struct store_txn *txn,
                          enum audit_action action, const char *target, const char *reason)
{
    const struct audit_record record = { .action = action,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = clock_wall_ms(book->clock),
                                         .monotonic_ms = clock_monotonic_ms(book->clock),
                                         .actor_kind = AUDIT_PROCESS,
                                         .actor = BYTES("authority"),
                                         .target = bytes_of_text(target),
                                         .reason = bytes_of_text(reason) };

    return audit_log_append(book->log, txn, &record, NULL);
}

/* One that is open in the copy may have been rejected since. */
static enum rc end_proposals(const struct beginning *beginning, struct store_txn *txn)
{
    const struct daemon_authority_audit audit = daemon_authority_book_audit(beginning->book);
    int64_t now_ms = clock_wall_ms(beginning->book->clock);
    struct registry_proposal proposal;
    enum rc rc = RC_OK;

    while ((rc = registry_proposal_find_expired(txn, INT64_MAX, &proposal)) == RC_OK)
        TRY(daemon_authority_proposal_end(txn, &audit, &proposal, "open in a copy", now_ms));
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* A token that is open in the copy may have been used since: it has one use, in all lives. */
static enum rc put_back(const struct beginning *beginning, struct store_txn *txn)
{
    AUTO_BUF(reason, AUDIT_REASON_MAX);
    const char *text = NULL;
    uint64_t ended = 0;

    TRY(registry_token_end_all(txn, &ended));
    buf_addf(&reason, "a copy was put back to work; %llu unused tokens ended; %.*s",
             (unsigned long long)ended, BYTES_FMT(beginning->how));
    TRY(buf_text(&reason, &text));
    TRY(append_own(beginning->book, txn, AUDIT_SYSTEM_RESTORE, "registry", text));
    TRY(end_proposals(beginning, txn));
    return store_backup_record(txn);
}

/* The settings file is at the machine: whoever changed it is not known, that it was is. */
static enum rc retain(const struct daemon_authority_book *book, struct store_txn *txn)
{
    AUTO_BUF(reason, 128);
    const char *text = NULL;
    uint32_t before = 0;

    TRY(audit_prune_set(book->log, txn, book->retention, clock_wall_ms(book->clock), &before));
    if (before == book->retention)
        return RC_OK;
    buf_addf(&reason, "from %u to %u days, 0 being for ever, in the settings file", before,
             book->retention);
    TRY(buf_text(&reason, &text));
    return append_own(book, txn, AUDIT_LOG_PRUNE, "authority.audit_retention", text);
}

static enum rc begin(struct store_txn *txn, void *with)
{
    const struct beginning *beginning = with;
    const struct daemon_authority_book *book = beginning->book;
    uint64_t size = 0;
    bool more = false;

    TRY(audit_log_index(book->log, txn, &more));
    TRY(audit_log_size(book->log, txn, &size));
    TRY(daemon_authority_life_look(book, txn));
    if (size == 0) {
        TRY(append_own(book, txn, AUDIT_LOG_START, "", ""));
        TRY(append_own(book, txn, AUDIT_SYSTEM_INIT, "registry",
                       "filled from what touchmark init left"));
        TRY(daemon_authority_first_records(book, txn));
    }
    TRY(beginning->restored ? put_back(beginning, txn) : RC_OK);
    return retain(book, txn);
}

bool daemon_authority_is_restored(const struct store *store, struct bytes *how)
{
    bool restored = store_backup_unrecorded(store, how);

    if (how->len == 0)
        *how = BYTES("by hand: held against nothing that was kept");
    return restored;
}

static enum rc look_for_floods(struct store_txn *txn, void *with)
{
    return audit_flood_look(((const struct daemon_authority_book *)with)->flood, txn);
}

enum rc daemon_authority_book_begin(struct daemon_authority_book *book, struct store *store)
{
    struct beginning beginning = { .book = book };

    beginning.restored = daemon_authority_is_restored(store, &beginning.how);
    TRY(store_write(store, begin, &beginning));
    TRY(store_read(store, look_for_floods, book));
    return store_backup_adopt(store);
}

void daemon_authority_book_close(struct daemon_authority_book *book)
{
    audit_flood_free(book->flood);
    audit_log_free(book->log);
    book->log = NULL;
    secret_clear(&book->key);
}

struct daemon_authority_audit daemon_authority_book_audit(struct daemon_authority_book *book)
{
    return (struct daemon_authority_audit){
        .append = append,
        .flush = flush,
        .is_flooded = is_flooded,
        .ask = ask,
        .with = book,
        .log = book->log,
        .published = &book->published,
        .witnesses = &book->witnesses,
        .key = &book->key,
    };
}
