/* The authority: decides enrolments and changes, remembers them, and tells the doors. */
#pragma once

#include "audit/cosignature.h"
#include "audit/log.h"
#include "base/log.h"
#include "base/loop.h"
#include "registry/registry.h"
#include "registry/rights.h"

/*
 * One thread on one loop. It answers the doors' links (registry/door_protocol.h), asks the
 * signer (keys/client.h), and keeps the registry in a store that it has alone. A change and its
 * audit record are one transaction, committed before the answer; the changes of one turn of the
 * loop share a commit.
 *
 * A certificate is: checked in a first transaction (which reserves a token), signed, registered
 * with its audit record in a second one, and only then given away. What dies in between is
 * found in the signer's journal when the signer is next attached, and revoked as an orphan.
 *
 * Without a signer everything works but issuing, which is RC_BUSY, and fresh CRLs.
 */
struct daemon_authority;
struct policy;

/* What happened, for the audit log. Texts are borrowed for the call. */
struct daemon_authority_event {
    const char *action;    /* the request's name ("enrol"), or "crl", "orphan", "recover", .. */
    enum registry_ask ask; /* 0: the authority's own doing */
    enum audit_action as;  /* 0: what the above says */
    enum registry_state state;                /* DEVICE_STATE: what the device shall become */
    bool only_checks;                         /* POLICY_APPLY that shall not apply */
    const struct registry_preamble *preamble; /* NULL: the authority's own doing */
    const uint8_t
        *correlation; /* REGISTRY_CORRELATION octets, where preamble is NULL; or NULL */
    enum registry_channel channel;
    const struct registry_subject *actor; /* as the registry knows him; NULL: nobody known */
    const struct registry_certificate *shown; /* by which he did; NULL: not registered */
    const char *process; /* whose doing it is if nobody asked; NULL: the authority's */
    const char *target;  /* "device dev-1"; "" for none */
    const char *device;  /* that it is about; "" for none */
    const struct registry_certificate *certificate; /* that it is about; NULL for none */
    struct bytes token;                             /* id of the one presented; empty: none */
    uint64_t policy_version; /* that it made, was asked about, or that decided; 0: none */
    uint32_t rule;           /* the line of that one; 0: none */
    enum rc rc;
    const char *reason; /* why not, or what else is to be said; may be empty */
    int64_t now_ms;
    struct audit_aggregate_part counted; /* what it stands for; count 0: one act */
};

/* Called inside the committing transaction; what it returns other than RC_OK undoes the change.
 * Must be pure in it, as all changes. append NULL: nothing is written. */
struct daemon_authority_audit {
    enum rc (*append)(void *with, struct store_txn *txn,
                      const struct daemon_authority_event *event);
    /* What was refused often and only counted: tell of it, of some at a time. NULL: nothing is
     * counted. */
    enum rc (*flush)(void *with, struct store_txn *txn, int64_t now_ms, bool all, bool *more);
    bool (*is_flooded)(void *with);
    /* AUDIT_LIST, _CHECKPOINT, _PROOF: append to answer, in audit/'s own form. */
    enum rc (*ask)(void *with, struct store_txn *txn, enum registry_ask ask, struct bytes query,
                   struct buf *answer);
    void *with;
    struct audit_log *log; /* borrowed: spools go in, checkpoints are of it */
    /* Both may be NULL. The newest checkpoint that everybody is shown, as its tree's size, for
     * ask(); and whose word is demanded for it. */
    uint64_t *published;
    const struct audit_witnesses *witnesses;

    /* The key that its bodies are sealed under, which a copy of the registry needs, too. */
    const struct secret *key;
};

struct daemon_authority_settings {
    int64_t token_lifetime_ms;
    bool acts_by_policy; /* what roles and tokens allow is done if a rule allows it, too */
    uint32_t four_eyes;  /* acts that need two administrators: registry_acts_read() */
    int64_t proposal_lifetime_ms;
    uint64_t singles_most; /* revocations one by one, of an operator in an hour, under those */
    int64_t crl_every_ms, crl_valid_ms;
    int64_t witness_within_ms; /* longer without a quorum is trouble */
    unsigned sinks, witnesses; /* that the exporter serves */
    size_t crl_most; /* octets of a CRL to be signed; 0: as many as the signer takes */
    int64_t reading_window_ms; /* of what one request reads further; 0: ten seconds */
    const char *door_names;    /* host names and addresses in the doors' certificates: "a,b" */
    int64_t prune_every_ms;    /* looks for records to prune; 0: an hour */
};

struct daemon_authority_setup {
    struct loop *loop; /* all borrowed for the authority's life */
    const struct clock *clock;
    struct store *store; /* whose first tables are the registry's */
    struct log *log;     /* NULL: silent */
    struct daemon_authority_audit audit;
    /* Compile a policy's text, on any thread: RC_MALFORMED, with a line an error appended.
     * NULL: daemon_authority_check_policy(). */
    enum rc (*check_policy)(struct bytes text, struct buf *errors, struct policy **policy);
    struct daemon_authority_settings settings;
    int backups, recover, tiles; /* folders, borrowed; -1: none */
};

/* RC_NOT_FOUND: the registry was never initialised. Tokens that a dead life had reserved are
 * free again. */
enum rc daemon_authority_new(const struct daemon_authority_setup *setup,
                             struct daemon_authority **authority);
void daemon_authority_free(struct daemon_authority *authority);
AUTO_STRUCT(daemon_authority, daemon_authority_free)

/* Ends of links, owned from here on, also on failure. A new one takes the old one's place. */
enum rc daemon_authority_serve(struct daemon_authority *authority,
                               enum registry_channel channel, int fd);
enum rc daemon_authority_attach(struct daemon_authority *authority, int signer);

/* Another process ended, as touchmarkd saw it: RC_OK when that is in the log. That a channel
 * closed is no end, and no record. */
struct daemon_end;
enum rc daemon_authority_ended(struct daemon_authority *authority,
                               const struct daemon_end *end);

/* Records below this index have been had by every sink, for good: nothing else may be pruned.
 * UINT64_MAX without sinks; 0 until the exporter has told. */
uint64_t daemon_authority_exported(const struct daemon_authority *authority);

/* Has the signer been attached, and its journal been replayed? For tests and status. */
bool daemon_authority_issues(const struct daemon_authority *authority);
