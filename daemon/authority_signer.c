#include "daemon/authority_state.h"

#include <string.h>

#include "base/text.h"
#include "daemon/events.h"
#include "keys/entry.h"
#include "pki/hierarchy.h"

/*
 * Attaching: which keys has the signer, and which of our certificates are theirs; then its
 * journal from where it was last read to its end; only then is anything issued.
 */

static void note(struct daemon_authority *authority, enum daemon_event event, enum rc rc)
{
    if (authority->setup.log != NULL)
        log_fault(authority->setup.log, event, rc);
}

/* That it went away is touchmarkd's business, which also tells how it ended; anything else is a
 * person's. */
static void detach(struct daemon_authority *authority, enum rc rc)
{
    note(authority, DAEMON_EVENT_AUTHORITY_SIGNER_GONE, rc);
    authority->issues = false;
    if (rc != RC_CLOSED)
        daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_SIGNER);
}

/* Its journal is not what it was: that is for whoever reads the log, not only for who watches
 * the machine. Of an older registry the log is an older one, too: nothing is added to that. */
static void distrust(struct daemon_authority *authority, enum rc rc)
{
    AUTO_BUF(why, 4096);
    const char *text = NULL;

    buf_addf(&why, "%s", fault_text());
    detach(authority, rc);
    if (rc == RC_CORRUPT && buf_text(&why, &text) == RC_OK)
        daemon_authority_tell_start(authority, "signer", RC_CORRUPT, text);
}

/* ---- Issuers ---- */

static enum rc find_certificate(const struct daemon_authority *authority,
                                struct bytes public_key, struct pki_certificate *found)
{
    struct reader r = READER(buf_bytes(&authority->authorities));

    while (r.left.len > 0) {
        struct bytes der = reader_sized32(&r, PKI_CERTIFICATE_MAX);
        if (r.broken)
            return fault(RC_CORRUPT, "registry: our CAs' certificates are cut short");
        TRY(pki_certificate_read(der, found));
        if (bytes_equal(found->public_key, public_key))
            return RC_OK;
    }
    return RC_NOT_FOUND;
}

static enum rc make_template(struct daemon_authority *authority,
                             struct daemon_authority_issuer *issuer, const char *profile)
{
    static const char *const NAMES[DAEMON_AUTHORITY_KINDS] = { "", "device", "operator", "line",
                                                               "door" };
    const struct pki_issuer facts = pki_hierarchy_issuer(&issuer->certificate);
    struct pki_template *template = NULL;

    for (unsigned kind = REGISTRY_DEVICE; kind < DAEMON_AUTHORITY_KINDS; kind++) {
        if (strcmp(NAMES[kind], profile) != 0)
            continue;
        TRY(pki_template_new(pki_profile_find(profile), &facts, &template));
        pki_template_free(authority->template_of[kind]);
        authority->template_of[kind] = template;
        authority->issuer_of[kind] = issuer;
    }
    return RC_OK;
}

enum rc daemon_authority_find_key(const struct keys_list *list, const char *name,
                                  struct keys_listed *key)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->at[i].name, name) == 0) {
            *key = list->at[i];
            return RC_OK;
        }
    }
    return fault(RC_NOT_FOUND, "the signer has no key %s", name);
}

static enum rc add_issuer(struct daemon_authority *authority, const struct pki_issuing *row,
                          const struct keys_list *list)
{
    struct daemon_authority_issuer *issuer = &authority->issuers[authority->issuer_count];
    struct keys_listed key;

    TRY(daemon_authority_find_key(list, row->key, &key));
    *issuer = (struct daemon_authority_issuer){ .crl_ms = issuer->crl_ms,
                                                .crl_rest_ms = issuer->crl_rest_ms };
    memcpy(issuer->key, key.name, sizeof issuer->key);
    if (find_certificate(authority, BYTES_OF(key.public_key), &issuer->certificate) != RC_OK)
        return fault_while(RC_CORRUPT, "no certificate of key %s in the registry", row->key);
    TRY(pki_key_hash(BYTES_OF(key.public_key), issuer->key_hash));
    TRY(pki_key_hash(issuer->certificate.subject, issuer->name_hash));
    for (size_t i = 0; i < 2 && row->profiles[i] != NULL; i++)
        TRY(make_template(authority, issuer, row->profiles[i]));
    authority->issuer_count++;
    return RC_OK;
}

/* ---- Orphans and refusals ---- */

struct replay {
    struct daemon_authority *authority;
    const struct keys_entries *entries;
    uint64_t orphans, refusals; /* found */
    uint64_t last;              /* entry that was looked at */
};

static const struct daemon_authority_issuer *
find_issuer(const struct daemon_authority *authority, const uint8_t key_hash[32])
{
    for (size_t i = 0; i < authority->issuer_count; i++)
        if (bytes_equal(BYTES_OF(authority->issuers[i].key_hash),
                        (struct bytes){ key_hash, 32 }))
            return &authority->issuers[i];
    return NULL;
}

enum rc daemon_authority_record_orphan(struct store_txn *txn,
                                       const struct daemon_authority *authority,
                                       const struct registry_certificate *orphan,
                                       const uint8_t correlation[REGISTRY_CORRELATION])
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    AUTO_BUF(target, 128);
    struct daemon_authority_event event = {
        .action = "orphan",
        .correlation = correlation,
        .device = orphan->kind == REGISTRY_DEVICE ? orphan->subject : "",
        .certificate = orphan,
        .rc = RC_OK,
        .reason = "signed, never registered: revoked",
        .now_ms = clock_wall_ms(authority->setup.clock),
    };

    buf_addf(&target, "serial ");
    text_add_hex(&target, (struct bytes){ orphan->serial, orphan->serial_len });
    TRY(buf_text(&target, &event.target));
    return audit->append == NULL ? RC_OK : audit->append(audit->with, txn, &event);
}

/* The entry has the content of the INTEGER; the books have the magnitude. */
static struct bytes magnitude(const struct keys_entry *entry)
{
    struct bytes serial = { entry->serial, entry->serial_len };

    while (serial.len > 1 && serial.at[0] == 0)
        serial = (struct bytes){ serial.at + 1, serial.len - 1 };
    return serial;
}

static enum rc replay_certificate(struct store_txn *txn, struct replay *replay,
                                  const struct journal_entry *at,
                                  const struct keys_entry *entry)
{
    const struct daemon_authority_issuer *issuer =
        find_issuer(replay->authority, entry->issuer_key);

    if (issuer == NULL)
        return RC_OK; /* of a key that is no longer ours: its CRL is nobody's */
    struct bytes serial = magnitude(entry);
    enum rc rc =
        registry_orphan_add(txn, issuer->name_hash, serial, entry->not_after_s, at->wall_ms);
    if (rc == RC_EXISTS)
        return RC_OK;
    TRY(rc);
    replay->orphans++;
    struct registry_certificate orphan = { .serial_len = serial.len };
    memcpy(orphan.serial, serial.at, serial.len);
    memcpy(orphan.issuer_hash, issuer->name_hash, sizeof orphan.issuer_hash);
    memcpy(orphan.key_hash, entry->subject_key, sizeof orphan.key_hash);
    return daemon_authority_record_orphan(txn, replay->authority, &orphan, entry->correlation);
}

/* Whoever asks for what the rules forbid is in our place, or has our link: the log shall show
 * it under the signer's name, though the signer has no way to the log but this. */
static enum rc replay_refusal(struct store_txn *txn, struct replay *replay,
                              const struct journal_entry *at, const struct keys_entry *entry)
{
    static const char *const KINDS[] = {
        [KEYS_CERTIFICATE] = "certificate", [KEYS_CRL] = "CRL", [KEYS_CHECKPOINT] = "checkpoint"
    };
    const char *kind = entry->of <= KEYS_CHECKPOINT ? KINDS[entry->of] : NULL;
    const struct audit_origin origin = { .source = AUDIT_FROM_SIGNER,
                                         .sequence = at->sequence,
                                         .sparse = true,
                                         .now_ms =
                                             clock_wall_ms(replay->authority->setup.clock) };
    struct audit_record record = { .action = AUDIT_KEY_SIGN,
                                   .decision = AUDIT_DENIED,
                                   .wall_ms = at->wall_ms,
                                   .actor_kind = AUDIT_PROCESS,
                                   .actor = BYTES("authority") };
    AUTO_BUF(target, AUDIT_TARGET_MAX);
    AUTO_BUF(reason, 4 * KEYS_TEXT_MAX);
    AUTO_BUF(bytes, AUDIT_RECORD_MAX);
    bool taken = false;

    memcpy(record.correlation, entry->correlation, sizeof record.correlation);
    buf_addf(&target, "%s by key %s", kind == NULL ? "bytes" : kind,
             entry->key[0] == '\0' ? "of no name" : entry->key);
    record.target = buf_bytes(&target);
    text_add_escaped(&reason, entry->text);
    record.reason = buf_bytes(&reason);
    if (record.reason.len > AUDIT_REASON_MAX)
        record.reason.len = AUDIT_REASON_MAX;
    TRY(audit_record_write(&record, &bytes));
    TRY(audit_log_take(replay->authority->setup.audit.log, txn, &origin, buf_bytes(&bytes),
                       &taken));
    replay->refusals += taken;
    return RC_OK;
}

static enum rc replay_entry(struct store_txn *txn, struct replay *replay,
                            const struct journal_entry *at)
{
    struct keys_entry entry;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    if (entry.kind == KEYS_ENTRY_REFUSED)
        return replay_refusal(txn, replay, at, &entry);
    if (entry.kind == KEYS_ENTRY_SIGNED && entry.of == KEYS_CERTIFICATE &&
        replay->authority->walk.orphans)
        return replay_certificate(txn, replay, at, &entry);
    return RC_OK;
}

static enum rc replay_all(struct store_txn *txn, void *with)
{
    struct replay *replay = with;
    const struct keys_entries *entries = replay->entries;
    const struct daemon_authority_walk *walk = &replay->authority->walk;

    replay->orphans = replay->refusals = 0;
    for (size_t i = 0; i < entries->count && entries->at[i].sequence <= walk->most; i++) {
        TRY(replay_entry(txn, replay, &entries->at[i]));
        replay->last = entries->at[i].sequence;
    }
    return walk->orphans && replay->last > 0 ? registry_journal_see(txn, replay->last) : RC_OK;
}

/* ---- The walk ---- */

static void end_walk(struct daemon_authority *authority, enum rc rc)
{
    authority->walk.under_way = false;
    authority->walk.done(authority, rc);
}

static void tell_found(struct daemon_authority *authority, const struct replay *replay)
{
    if (replay->orphans > 0 && authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_ORPHANS,
                  LOG_NUMBER_FIELD("count", (int64_t)replay->orphans));
    if (replay->refusals > 0 && authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_SIGNER_REFUSED,
                  LOG_NUMBER_FIELD("count", (int64_t)replay->refusals));
}

static void want_crls(struct daemon_authority *authority)
{
    for (unsigned kind = REGISTRY_DEVICE; kind < DAEMON_AUTHORITY_KINDS; kind++)
        daemon_authority_crl_want(authority, (enum registry_kind)kind, NULL);
}

static enum rc read_on(struct daemon_authority *authority);

static void told_entries(void *with, enum rc rc, const struct keys_entries *entries)
{
    struct daemon_authority *authority = with;
    struct daemon_authority_walk *walk = &authority->walk;
    struct replay replay = { .authority = authority, .entries = entries };

    /* What was signed for us and waits for its commit is no orphan. */
    if (rc == RC_OK)
        rc = store_queue_commit(authority->queue);
    if (rc == RC_OK && entries->count > 0)
        rc = store_write(authority->setup.store, replay_all, &replay);
    if (rc != RC_OK || replay.last == 0) {
        end_walk(authority, rc);
        return;
    }
    tell_found(authority, &replay);
    if (replay.orphans > 0 && authority->issues)
        want_crls(authority);
    walk->refusals = replay.last;
    if (walk->orphans)
        authority->replayed = replay.last;
    rc = replay.last < walk->most ? read_on(authority) : RC_OK;
    if (rc != RC_OK || replay.last >= walk->most)
        end_walk(authority, rc);
}

static enum rc read_on(struct daemon_authority *authority)
{
    const struct daemon_authority_walk *walk = &authority->walk;
    uint64_t last = walk->orphans ? authority->replayed : walk->refusals;

    return keys_client_entries(authority->signer, last + 1, told_entries, authority);
}

enum rc daemon_authority_replay(struct daemon_authority *authority, uint64_t most,
                                void (*done)(struct daemon_authority *authority, enum rc rc))
{
    struct daemon_authority_walk *walk = &authority->walk;

    if (walk->under_way)
        return fault(RC_BUSY, "the signer's journal is being read");
    walk->most = most;
    walk->orphans = authority->signing == 0;
    walk->done = done;
    TRY(read_on(authority));
    walk->under_way = true;
    return RC_OK;
}

/* ---- Attaching ---- */

static void begin_to_issue(struct daemon_authority *authority)
{
    authority->issues = true;
    daemon_authority_tell_start(authority, "signer", RC_OK, "its journal is read");
    if (authority->walk.refusals < authority->replayed)
        authority->walk.refusals = authority->replayed;
    daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_SIGNER);
    want_crls(authority);
    if (authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_ISSUES,
                  LOG_NUMBER_FIELD("journal", (int64_t)authority->replayed));
}

static void is_replayed(struct daemon_authority *authority, enum rc rc)
{
    if (rc != RC_OK) {
        detach(authority, rc);
        return;
    }
    begin_to_issue(authority);
    daemon_authority_recover(authority);
}

/* A journal that was rolled back and went on is as long as it was: what was in it is told by
 * the hash that the newest checkpoint has of it. */
static void told_vouched(void *with, enum rc rc, const struct keys_entries *entries)
{
    struct daemon_authority *authority = with;
    const struct journal_head *vouched = &authority->vouched;

    if (rc == RC_OK && (entries->count == 0 || entries->at[0].sequence != vouched->sequence ||
                        !bytes_equal(BYTES_OF(entries->at[0].hash), BYTES_OF(vouched->hash))))
        rc = fault(RC_CORRUPT,
                   "the signer's journal has another entry %llu than the newest checkpoint "
                   "vouches for: it was rolled back",
                   (unsigned long long)vouched->sequence);
    if (rc == RC_OK)
        rc = daemon_authority_replay(authority, UINT64_MAX, is_replayed);
    if (rc != RC_OK)
        distrust(authority, rc);
}

static enum rc read_known(struct store_txn *txn, void *with)
{
    struct daemon_authority *authority = with;

    TRY(registry_journal_seen(txn, &authority->replayed));
    return audit_log_vouched(authority->setup.audit.log, txn, &authority->vouched);
}

/* The registry may know more of the journal than the log vouches for, or less: a life that
 * ended before it read on has a checkpoint of its own. */
static enum rc check_head(struct daemon_authority *authority, const struct keys_head *head)
{
    TRY(store_read(authority->setup.store, read_known, authority));
    if (authority->replayed > head->head.sequence)
        return fault(RC_CORRUPT,
                     "the signer's journal ends at %llu, and was read up to %llu: "
                     "it was rolled back",
                     (unsigned long long)head->head.sequence,
                     (unsigned long long)authority->replayed);
    if (authority->vouched.sequence > head->head.sequence)
        return fault(RC_CORRUPT,
                     "the signer's journal ends at %llu, and the newest checkpoint vouches for "
                     "%llu: it was rolled back",
                     (unsigned long long)head->head.sequence,
                     (unsigned long long)authority->vouched.sequence);
    if (authority->replayed + 1 < head->first)
        authority->replayed = head->first - 1;
    return RC_OK;
}

static void told_head(void *with, enum rc rc, const struct keys_head *head)
{
    struct daemon_authority *authority = with;

    if (rc == RC_OK)
        rc = check_head(authority, head);
    if (rc == RC_OK && authority->vouched.sequence > 0 &&
        authority->vouched.sequence >= head->first)
        rc = keys_client_entries(authority->signer, authority->vouched.sequence, told_vouched,
                                 authority);
    else if (rc == RC_OK)
        rc = daemon_authority_replay(authority, UINT64_MAX, is_replayed);
    if (rc != RC_OK)
        distrust(authority, rc);
}

enum rc daemon_authority_check_tree(struct audit_log *log, struct store_txn *txn,
                                    const struct keys_listed *key, uint64_t *records)
{
    struct proof_hash root;

    TRY(audit_log_size(log, txn, records));
    if (*records < key->tree_size)
        return fault(RC_CORRUPT,
                     "the audit log has %llu records, and the signer signed a checkpoint of "
                     "%llu: an older registry was put back, or this one was cut; "
                     "docs/backup.md",
                     (unsigned long long)*records, (unsigned long long)key->tree_size);
    if (key->tree_size == 0)
        return RC_OK;
    TRY(audit_log_root(log, txn, key->tree_size, &root));
    return bytes_equal(BYTES_OF(root.at), BYTES_OF(key->tree_root.at))
               ? RC_OK
               : fault(RC_CORRUPT,
                       "the audit log's first %llu records are not those that the signer "
                       "signed a checkpoint of: an older registry was put back, and went on; "
                       "docs/backup.md",
                       (unsigned long long)key->tree_size);
}

struct log_check {
    struct daemon_authority *authority;
    struct keys_listed key;
};

static enum rc check_records(struct store_txn *txn, void *with)
{
    struct log_check *check = with;
    struct daemon_authority *authority = check->authority;

    return daemon_authority_check_tree(authority->setup.audit.log, txn, &check->key,
                                       &authority->records);
}

static enum rc check_log(struct daemon_authority *authority, const struct keys_list *list)
{
    struct log_check check = { .authority = authority };

    TRY(daemon_authority_find_key(list, PKI_HIERARCHY_CHECKPOINT, &check.key));
    return store_read(authority->setup.store, check_records, &check);
}

static void told_list(void *with, enum rc rc, const struct keys_list *list)
{
    struct daemon_authority *authority = with;
    size_t count = 0;
    const struct pki_issuing *rows = pki_hierarchy_issuing(&count);

    authority->issuer_count = 0;
    for (size_t i = 0; rc == RC_OK && i < count; i++)
        rc = add_issuer(authority, &rows[i], list);
    if (rc == RC_OK)
        rc = check_log(authority, list);
    if (rc == RC_OK)
        rc = keys_client_head(authority->signer, told_head, authority);
    if (rc != RC_OK)
        detach(authority, rc);
}

static void signer_closed(void *with)
{
    struct daemon_authority *authority = with;

    detach(authority, RC_CLOSED);
}

enum rc daemon_authority_attach(struct daemon_authority *authority, int signer)
{
    AUTO_FD owned = signer;

    authority->issues = false;
    keys_client_close(authority->signer);
    authority->signer = NULL;
    authority->walk.refusals = 0;
    TRY(keys_client_open(authority->setup.loop, TAKE_FD(owned), signer_closed, authority,
                         &authority->signer));
    enum rc rc = keys_client_list(authority->signer, told_list, authority);
    if (rc != RC_CLOSED)
        return rc;
    detach(authority, rc); /* it was killed since: its next life comes with a fresh end */
    return RC_OK;
}
