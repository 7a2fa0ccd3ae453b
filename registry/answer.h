/* The body of the authority's answer to a door, for all kinds; and the lists within. */
#pragma once

#include "registry/proposal.h"
#include "registry/question.h"

/*
 * A refusal has no body of this shape: it is an rc and a text for the door's log (link.h).
 *
 *   WATCH, SNAPSHOT      position, cursor (SNAPSHOT: of the next page, empty at the end), list
 *                        of changes
 *   LOOK_UP              verdict, then the certificate and its subject if it is known
 *                        (certificate.kind not 0)
 *   DOOR, ENROL, REENROL, OPERATOR_ADD   der: the certificate; log_number
 *   DEVICE_ADD           subject, sequence
 *   DEVICE_SHOW          subject, list of certificates, their log_numbers
 *   DEVICE_STATE, CERTIFICATE_REVOKE, OPERATOR_REVOKE   sequence
 *   DEVICE_LIST, OPERATOR_LIST   cursor, list of subjects
 *   CERTIFICATE_LIST     cursor, list of certificates, their log_numbers
 *   TOKEN_NEW            token_id, token_secret, expires_ms
 *   POLICY_SHOW          policy, text or its name (POLICY_TEXT has the octets)
 *   POLICY_PART          sequence: parts that are there
 *   POLICY_TEXT          list: the octets of that part
 *   POLICY_APPLY, POLICY_PROPOSE
 *                        accepted, policy, sequence; not accepted: text has a line an error;
 *                        proposal (number 0: it was not made one, and is done)
 *   POLICY_LIST          cursor, list of policies
 *   STATUS               status
 *   APPLIED              applied, sequence (that all doors have come to)
 *   AUDIT_*              query, in audit/'s own form (AUDIT_WATCH: a page, oldest first, whose
 *                        next is where to go on; AUDIT_ENTRIES: entries in order, each
 *                        index u64, length u32, leaf hash 32, entry; none: there are no more)
 *   SPOOL                sequence: the last one of this spool that is in the log
 *   BACKUP               text: the copy's name, a folder in authority.backups
 *   AUDIT_ERASE          sequence: the index of its log.erase
 *   AUDIT_HOLD           sequence: the hold's number
 *   EXPORTED             sequence: records in the log
 *   CRL                  list: the octets of that part
 *   PROPOSAL_LIST        cursor, list of proposals
 *   PROPOSAL_SHOW        proposal, query: its content, of the question that its act is
 *   PROPOSAL_APPROVE     proposal, policy (version 0: none was made), counts, sequence
 *   PROPOSAL_REJECT      proposal
 *   DEVICE_REVOKE_MANY   proposal, as above; counts, sequence; list: an octet for each id, in
 *                        their order, of enum registry_outcome
 *
 * A snapshot is taken page by page while changes go on. The door keeps the position of the
 * first page and watches from there: what it gets twice changes nothing, and once it has caught
 * up its projection is the registry's.
 */
struct registry_policy {
    uint64_t version;
    char author[REGISTRY_ID_MAX + 1]; /* the operator; "" for the first one's maker */
    int64_t made_ms;
    bool active;
    char why[REGISTRY_LABEL_MAX + 1]; /* as its author said, or "" */
};

enum { REGISTRY_TROUBLE_MAX = 250 };
/* Of each source of audit records (audit/action.h), by its number. */
enum { REGISTRY_SOURCES = 5 };
struct registry_source {
    uint64_t records;          /* in the log */
    uint64_t acts;             /* that they tell of: an aggregate's count, else one */
    uint64_t spooled, refused; /* as a door said last, or the authority's own */
};

struct registry_status {
    uint64_t revision, sequence; /* of the store and its feed */
    int64_t started_ms, now_ms;
    uint64_t devices[REGISTRY_REVOKED + 1]; /* by state */
    uint64_t certificates, operators, lines, orphans;
    uint64_t policy_version;
    bool signer;           /* is it there? */
    int64_t crl_ms;        /* when the oldest CRL in force was made */
    uint64_t doors_behind; /* records that the slowest door has not acknowledged */
    uint64_t records;      /* in the audit log */
    uint64_t checkpoint;   /* of them, under the newest checkpoint */
    uint64_t sinks;        /* that the log goes out to, by the settings */
    uint64_t exported;     /* records that every sink has had */
    uint64_t witnesses;    /* that checkpoints are carried to, by the settings */
    uint64_t cosigned;     /* records under the newest checkpoint that every one signed */
    uint64_t published;    /* records under the checkpoint that everybody is shown */
    struct registry_source sources[REGISTRY_SOURCES];
    char trouble[REGISTRY_TROUBLE_MAX + 1]; /* what is wrong and needs a person; "": nothing */
};

/* What became of each of many. */
enum registry_outcome {
    REGISTRY_OUTCOME_REVOKED = 1,
    REGISTRY_OUTCOME_WAS_REVOKED = 2, /* before: nothing was changed */
    REGISTRY_OUTCOME_UNKNOWN = 3,     /* there is no device of that id */
    REGISTRY_OUTCOMES
};
struct registry_counts {
    uint64_t revoked, were_revoked, unknown;
};

struct registry_answer {
    struct registry_position position;
    struct bytes cursor, list;
    enum registry_verdict verdict;
    struct registry_certificate certificate;
    struct registry_subject subject;
    struct bytes der;
    /* In the audit log, of the records that say that they were made: index + 1; 0: none. One;
     * and of a list one each, u64. */
    uint64_t log_number;
    struct bytes log_numbers;
    uint64_t sequence;
    struct bytes token_id, token_secret;
    int64_t expires_ms;
    struct registry_policy policy;
    bool accepted, applied;
    struct bytes text, query;
    struct registry_name name;
    struct registry_status status;
    struct registry_proposal proposal;
    struct registry_counts counts;
};

enum rc registry_answer_write(enum registry_ask ask, const struct registry_answer *answer,
                              struct buf *out);
/* RC_MALFORMED names the field; of a list only the frame is read: see below. */
enum rc registry_answer_read(enum registry_ask ask, struct bytes from,
                             struct registry_answer *answer);

/* Most bytes of a list in an answer. */
enum { REGISTRY_LIST_MAX = 60 * 1024, REGISTRY_CHANGE_MAX = 56 * 1024 };
enum {
    REGISTRY_LOG_NUMBERS_MAX = 500 * 8, /* a page has no more certificates */
    REGISTRY_CERTIFICATES_MAX = REGISTRY_LIST_MAX - REGISTRY_LOG_NUMBERS_MAX, /* beside those */
};

/* Append to a list whose ceiling is REGISTRY_LIST_MAX: false, and nothing appended, when it
 * does not fit. */
bool registry_answer_add_change(struct buf *list, uint64_t sequence,
                                const struct registry_change *change);
bool registry_answer_add_subject(struct buf *list, const struct registry_subject *subject);
bool registry_answer_add_certificate(struct buf *list,
                                     const struct registry_certificate *certificate);
bool registry_answer_add_policy(struct buf *list, const struct registry_policy *policy);
bool registry_answer_add_proposal(struct buf *list, const struct registry_proposal *proposal);

/* Take the next one of answer.list; RC_NOT_FOUND at the end, RC_MALFORMED. sequence is 0 in a
 * snapshot. */
enum rc registry_answer_next_change(struct reader *list, uint64_t *sequence,
                                    struct registry_change *change);
enum rc registry_answer_next_subject(struct reader *list, struct registry_subject *subject);
enum rc registry_answer_next_certificate(struct reader *list,
                                         struct registry_certificate *certificate);
/* 0 where there is none, and at the end. */
uint64_t registry_answer_next_log_number(struct reader *log_numbers);
enum rc registry_answer_next_policy(struct reader *list, struct registry_policy *policy);
enum rc registry_answer_next_proposal(struct reader *list, struct registry_proposal *proposal);
