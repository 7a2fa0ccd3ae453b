/* Acts of one administrator that wait for another: which there are, and what is known of each.
 */
#pragma once

#include "registry/door_protocol.h"

/*
 * Four eyes, by setting: an act of this list, asked for by one administrator, is kept as a
 * proposal with all that it would do, until another administrator approves it (then it is
 * done), anyone of them rejects it, its author withdraws it, or it expires. A new act is a
 * row of proposal.c and one of daemon/authority_propose.c: registry/README.md.
 */
enum registry_act { /* numbers are on disk */
                    REGISTRY_ACT_POLICY = 1,
                    REGISTRY_ACT_REVOCATION = 2, /* of many devices at once */
                    REGISTRY_ACT_ERASURE = 3,    /* of records of the audit log */
                    REGISTRY_ACT_RELEASE = 4,    /* of a legal hold */
};
enum { REGISTRY_ACT_LAST = REGISTRY_ACT_RELEASE };

struct registry_act_row {
    enum registry_act act;
    const char *name;      /* in documents and in the log */
    const char *setting;   /* that names it, perhaps with others */
    enum registry_ask ask; /* its content is this question's, without the preamble */
};
const struct registry_act_row *registry_act_list(size_t *count);
/* NULL: none. */
const struct registry_act_row *registry_act_of(enum registry_ask ask);
const struct registry_act_row *registry_act_get(unsigned act);

/* Revocations of one device each need one administrator: so many of each in an hour at most,
 * that many devices cannot be revoked one by one. */
enum { REGISTRY_SINGLES_MOST = 1000, REGISTRY_SINGLES_WINDOW_MS = 3600000 };

/* Acts as a set: bit 1 << act. Settings' names with commas, blanks around them; "": none.
 * RC_MALFORMED says which there are. */
enum rc registry_acts_read(struct bytes names, uint32_t *acts);
/* "policy,revocation"; "none" */
void registry_acts_say(uint32_t acts, struct buf *out);

enum registry_proposal_state {
    REGISTRY_PROPOSAL_OPEN = 1,
    REGISTRY_PROPOSAL_APPROVED = 2, /* and done, in the same transaction */
    REGISTRY_PROPOSAL_REJECTED = 3,
    REGISTRY_PROPOSAL_WITHDRAWN = 4, /* rejected by its author */
    REGISTRY_PROPOSAL_EXPIRED = 5,
};
const char *registry_proposal_state_name(enum registry_proposal_state state);

struct registry_proposal {
    uint64_t number; /* 1, 2, ...; never used again. 0: there is none */
    enum registry_act act;
    enum registry_proposal_state state;
    uint64_t base; /* what it rests on: of a policy the version that it replaces; 0: nothing */
    uint8_t hash[32];                  /* SHA-256 of its content */
    char author[REGISTRY_ID_MAX + 1];  /* an operator */
    struct registry_fingerprint shown; /* the certificate by which he was known */
    char why[REGISTRY_LABEL_MAX + 1];
    int64_t made_ms, expires_ms;       /* wall */
    char decider[REGISTRY_ID_MAX + 1]; /* "" while it is open, and for one that expired */
    struct registry_fingerprint decider_shown;
    char decided_why[REGISTRY_LABEL_MAX + 1];
    int64_t decided_ms; /* 0 while it is open */
};

void registry_proposal_write(const struct registry_proposal *proposal, struct buf *out);
/* RC_MALFORMED. */
enum rc registry_proposal_read(struct bytes from, struct registry_proposal *proposal);
