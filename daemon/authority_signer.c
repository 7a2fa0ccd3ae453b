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

static void detach(struct daemon_authority *authority, enum rc rc)
{
    note(authority, DAEMON_EVENT_AUTHORITY_SIGNER_GONE, rc);
    authority->issues = false;
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

static enum rc add_issuer(struct daemon_authority *authority, const struct pki_issuing *row,
                          const struct keys_list *list)
{
    struct daemon_authority_issuer *issuer = &authority->issuers[authority->issuer_count];
    const struct keys_listed *key = NULL;

    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->at[i].name, row->key) == 0)
            key = &list->at[i];
    if (key == NULL)
        return fault(RC_NOT_FOUND, "the signer has no key %s", row->key);
    int64_t crl_ms = issuer->crl_ms;
    *issuer = (struct daemon_authority_issuer){ .crl_ms = crl_ms };
    memcpy(issuer->key, key->name, sizeof issuer->key);
    if (find_certificate(authority, BYTES_OF(key->public_key), &issuer->certificate) != RC_OK)
        return fault_while(RC_CORRUPT, "no certificate of key %s in the registry", row->key);
    TRY(pki_key_hash(BYTES_OF(key->public_key), issuer->key_hash));
    TRY(pki_key_hash(issuer->certificate.subject, issuer->name_hash));
    for (size_t i = 0; i < 2 && row->profiles[i] != NULL; i++)
        TRY(make_template(authority, issuer, row->profiles[i]));
    authority->issuer_count++;
    return RC_OK;
}

/* ---- Orphans ---- */

struct replay {
    struct daemon_authority *authority;
    const struct keys_entries *entries;
    uint64_t orphans;
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

static enum rc record_orphan(struct store_txn *txn, const struct daemon_authority *authority,
                             struct bytes serial, int64_t now_ms)
{
    const struct daemon_authority_audit *audit = &authority->setup.audit;
    AUTO_BUF(target, 128);
    struct daemon_authority_event event = {
        .action = "orphan",
        .device = "",
        .rc = RC_OK,
        .reason = "signed, never registered: revoked",
        .now_ms = now_ms,
    };

    buf_addf(&target, "serial ");
    text_add_hex(&target, serial);
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

static enum rc replay_entry(struct store_txn *txn, struct replay *replay,
                            const struct journal_entry *at)
{
    struct keys_entry entry;
    int64_t now_ms = clock_wall_ms(replay->authority->setup.clock);

    TRY(keys_entry_read(at->kind, at->body, &entry));
    if (entry.kind != KEYS_ENTRY_SIGNED || entry.of != KEYS_CERTIFICATE)
        return RC_OK;
    const struct daemon_authority_issuer *issuer =
        find_issuer(replay->authority, entry.issuer_key);
    if (issuer == NULL)
        return RC_OK; /* of a key that is no longer ours: its CRL is nobody's */
    struct bytes serial = magnitude(&entry);
    enum rc rc =
        registry_orphan_add(txn, issuer->name_hash, serial, entry.not_after_s, at->wall_ms);
    if (rc == RC_EXISTS)
        return RC_OK;
    TRY(rc);
    replay->orphans++;
    return record_orphan(txn, replay->authority, serial, now_ms);
}

static enum rc replay_all(struct store_txn *txn, void *with)
{
    struct replay *replay = with;
    const struct keys_entries *entries = replay->entries;

    replay->orphans = 0;
    for (size_t i = 0; i < entries->count; i++)
        TRY(replay_entry(txn, replay, &entries->at[i]));
    return registry_journal_see(txn, entries->at[entries->count - 1].sequence);
}

static void begin_to_issue(struct daemon_authority *authority)
{
    authority->issues = true;
    for (unsigned kind = REGISTRY_DEVICE; kind < DAEMON_AUTHORITY_KINDS; kind++)
        daemon_authority_crl_want(authority, (enum registry_kind)kind);
    if (authority->setup.log != NULL)
        log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_ISSUES,
                  LOG_NUMBER_FIELD("journal", (int64_t)authority->replayed));
}

static void told_entries(void *with, enum rc rc, const struct keys_entries *entries)
{
    struct daemon_authority *authority = with;
    struct replay replay = { authority, entries, 0 };

    if (rc == RC_OK && entries->count == 0) {
        begin_to_issue(authority);
        return;
    }
    /* What was signed for us and waits for its commit is no orphan. */
    if (rc == RC_OK)
        rc = store_queue_commit(authority->queue);
    if (rc == RC_OK)
        rc = store_write(authority->setup.store, replay_all, &replay);
    if (rc == RC_OK) {
        authority->replayed = entries->at[entries->count - 1].sequence;
        if (replay.orphans > 0 && authority->setup.log != NULL)
            log_write(authority->setup.log, DAEMON_EVENT_AUTHORITY_ORPHANS,
                      LOG_NUMBER_FIELD("count", (int64_t)replay.orphans));
        rc = keys_client_entries(authority->signer, authority->replayed + 1, told_entries,
                                 authority);
    }
    if (rc != RC_OK)
        detach(authority, rc);
}

static enum rc read_seen(struct store_txn *txn, void *with)
{
    return registry_journal_seen(txn, with);
}

static void told_head(void *with, enum rc rc, const struct keys_head *head)
{
    struct daemon_authority *authority = with;

    if (rc == RC_OK)
        rc = store_read(authority->setup.store, read_seen, &authority->replayed);
    if (rc == RC_OK && authority->replayed > head->head.sequence)
        rc = fault(RC_CORRUPT,
                   "the signer's journal ends at %llu, and was read up to %llu: "
                   "it was rolled back",
                   (unsigned long long)head->head.sequence,
                   (unsigned long long)authority->replayed);
    if (rc == RC_OK && authority->replayed + 1 < head->first)
        authority->replayed = head->first - 1;
    if (rc == RC_OK)
        rc = keys_client_entries(authority->signer, authority->replayed + 1, told_entries,
                                 authority);
    if (rc != RC_OK)
        detach(authority, rc);
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

    keys_client_close(authority->signer);
    authority->signer = NULL;
    authority->issues = false;
    TRY(keys_client_open(authority->setup.loop, TAKE_FD(owned), signer_closed, authority,
                         &authority->signer));
    return keys_client_list(authority->signer, told_list, authority);
}
