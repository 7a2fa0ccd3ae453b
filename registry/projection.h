/* What a door must know to decide without asking: certificates, subjects, policy, CRLs. Its own
 * copy, in memory. */
#pragma once

#include "base/own.h"
#include "registry/crl.h"
#include "registry/subject.h"
#include "registry/text.h"

/*
 * A projection follows the authority's change feed (DESIGN.md D8): it is filled by a snapshot
 * and then by changes in order, and is a pure data structure: no link, no store, no clock. It
 * is one thread's.
 *
 * What it knows of a thing carries a revision (a policy its version, a CRL its number), and
 * only a higher one replaces it: a change that comes twice or late changes nothing.
 *
 * An observer is told after each change that did something, so that the door can cut sessions
 * before it acknowledges the change's sequence. After a reset() and a new snapshot the door
 * judges all its sessions again: what did not come back has no observer call.
 */
struct registry_projection;

/* Kinds of change; also the kinds of the feed's records. */
enum registry_change_kind {
    REGISTRY_CHANGE_SUBJECT = 1,     /* body: registry_subject_write() */
    REGISTRY_CHANGE_CERTIFICATE = 2, /* body: registry_certificate_write() */
    REGISTRY_CHANGE_POLICY = 3,      /* body: version u64, then registry_text_write() */
    REGISTRY_CHANGE_CRL = 4,         /* body: registry_crl_write(): there is a new one */
    REGISTRY_CHANGE_AUTHORITIES =
        5, /* body: certificates of our CAs, DER, each sized32: root first */
};

struct registry_change {
    enum registry_change_kind kind;
    struct bytes body; /* borrowed */
};

struct registry_observer {
    void (*changed)(void *with, const struct registry_change *change);
    void *with;
};

enum rc registry_projection_new(const struct registry_observer *observer,
                                struct registry_projection **projection);
void registry_projection_free(struct registry_projection *projection);
AUTO_STRUCT(registry_projection, registry_projection_free)

/* Apply one change (from a snapshot or the feed). RC_MALFORMED, RC_NOMEM: it is as before. */
enum rc registry_projection_apply(struct registry_projection *projection,
                                  const struct registry_change *change);
/* Forget everything, for a new snapshot: what the snapshot does not bring back is gone. */
void registry_projection_reset(struct registry_projection *projection);

/* NULL if not known. Certificates are borrowed until the next apply() or reset(); a subject
 * only until the next look-up of one, too (subjects are kept packed). */
const struct registry_certificate *
registry_projection_certificate(const struct registry_projection *projection,
                                const struct registry_fingerprint *fingerprint);
const struct registry_subject *
registry_projection_subject(const struct registry_projection *projection,
                            enum registry_kind kind, struct bytes id);
/* The active policy's text, or the name of one in parts, and version; empty and 0 before the
 * first. */
struct registry_text registry_projection_policy(const struct registry_projection *projection,
                                                uint64_t *version);
/* RC_NOT_FOUND. */
enum rc registry_projection_crl(const struct registry_projection *projection,
                                struct bytes issuing_key, struct registry_crl *crl);
/* All of them, borrowed as above. */
const struct registry_crl *
registry_projection_crls(const struct registry_projection *projection, size_t *count);
struct bytes registry_projection_authorities(const struct registry_projection *projection);
size_t registry_projection_count(const struct registry_projection *projection);

/*
 * May this certificate be used now (DESIGN.md D2)? REGISTRY_UNKNOWN: ask the authority; both
 * outputs are NULL. Else *certificate is set, and *subject unless it is missing.
 */
enum registry_verdict {
    REGISTRY_ACCEPTED,
    REGISTRY_UNKNOWN,
    REGISTRY_NOT_YET_VALID,
    REGISTRY_EXPIRED,
    REGISTRY_CERTIFICATE_WAS_REVOKED,
    REGISTRY_SUBJECT_SUSPENDED,
    REGISTRY_SUBJECT_REVOKED,
    REGISTRY_ALTERED, /* the authority's: another fingerprint of a certificate that we know */
    REGISTRY_FOREIGN, /* the authority's: not issued by us, or not registered */
};
const char *registry_verdict_name(enum registry_verdict verdict);
/* Of a known certificate, by its subject (NULL: revoked). Dates are inclusive (RFC 5280
 * 4.1.2.5). */
enum registry_verdict registry_verdict_of(const struct registry_certificate *certificate,
                                          const struct registry_subject *subject,
                                          int64_t now_s);
enum registry_verdict registry_projection_judge(const struct registry_projection *projection,
                                                const struct registry_fingerprint *fingerprint,
                                                int64_t now_s,
                                                const struct registry_certificate **certificate,
                                                const struct registry_subject **subject);
