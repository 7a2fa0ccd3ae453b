#include "registry/list.h"

#include <string.h>

#include "registry/rows.h"

enum { ROWS_MAX = 20000 }; /* looked at in one call */

struct page {
    const struct registry_question *question;
    struct buf *list;
    unsigned added;
};

enum taken { TAKEN, SKIPPED, NO_ROOM };

/* Walk a range: take() is asked for each row, and says whether it went into the list. */
static enum rc walk(struct store_txn *txn, unsigned table, const struct store_range *range,
                    struct page *page,
                    enum rc (*take)(struct store_txn *txn, struct bytes key, struct bytes value,
                                    struct page *page, enum taken *taken),
                    struct buf *next)
{
    AUTO_OF(store_cursor) *cursor = NULL;
    struct registry_key last = { .len = 0 };
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, table, range, &cursor));
    for (unsigned rows = 0; (rc = store_cursor_next(cursor, &key, &value)) == RC_OK; rows++) {
        enum taken taken = NO_ROOM;
        bool enough = rows == ROWS_MAX ||
                      (page->question->most > 0 && page->added == page->question->most);
        if (!enough)
            TRY(take(txn, key, value.bytes, page, &taken));
        if (taken == NO_ROOM) {
            if (last.len == 0)
                return fault(RC_LIMIT, "registry: a row is too long for a list");
            buf_add(next, registry_key_bytes(&last));
            return RC_OK;
        }
        page->added += taken == TAKEN;
        memcpy(last.at, key.at, key.len);
        last.len = key.len;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc take_subject(struct store_txn *txn, struct bytes key, struct bytes value,
                            struct page *page, enum taken *taken)
{
    const struct registry_question *q = page->question;
    struct registry_subject subject;

    (void)txn, (void)key;
    if (registry_subject_read(value, &subject) != RC_OK)
        return fault_while(RC_CORRUPT, "registry: a subject's row");
    if ((q->state != 0 && subject.state != q->state) ||
        (q->group[0] != '\0' &&
         !registry_groups_hold(&subject.groups, bytes_of_text(q->group))))
        *taken = SKIPPED;
    else
        *taken = registry_answer_add_subject(page->list, &subject) ? TAKEN : NO_ROOM;
    return RC_OK;
}

/* kind 0: operators and lines, which stand behind each other. */
enum rc registry_list_subjects(struct store_txn *txn, enum registry_kind kind,
                               const struct registry_question *question, struct buf *list,
                               struct buf *next)
{
    const uint8_t from = kind == 0 ? REGISTRY_OPERATOR : (uint8_t)kind;
    const uint8_t below = kind == 0 ? REGISTRY_LINE + 1 : (uint8_t)(kind + 1);
    const struct store_range range = { .from = { &from, 1 },
                                       .after = question->cursor,
                                       .below = { &below, 1 } };
    struct page page = { question, list, 0 };

    return walk(txn, REGISTRY_SUBJECTS, &range, &page, take_subject, next);
}

static enum rc take_certificate(struct store_txn *txn, struct bytes key, struct bytes value,
                                struct page *page, enum taken *taken)
{
    struct registry_certificate one;
    struct registry_fingerprint fingerprint;

    (void)value;
    if (key.len < REGISTRY_FINGERPRINT)
        return fault(RC_CORRUPT, "registry: an index's key of %zu octets", key.len);
    memcpy(fingerprint.at, key.at + key.len - REGISTRY_FINGERPRINT, sizeof fingerprint.at);
    TRY(registry_certificate_get(txn, &fingerprint, &one));
    *taken = registry_answer_add_certificate(page->list, &one) ? TAKEN : NO_ROOM;
    return RC_OK;
}

enum rc registry_list_certificates(struct store_txn *txn,
                                   const struct registry_question *question, struct buf *list,
                                   struct buf *next)
{
    static const struct registry_fingerprint ANY;
    struct registry_key of =
        registry_key_of_subject(question->kind, bytes_of_text(question->id), &ANY);
    struct store_range range = { .after = question->cursor };
    struct page page = { question, list, 0 };

    if (question->kind == 0)
        return walk(txn, REGISTRY_CERTIFICATES, &range, &page, take_certificate, next);
    range.prefix = registry_key_scan(&of);
    if (question->id[0] == '\0')
        range.prefix.len = 1; /* of whatever subject of this kind */
    return walk(txn, REGISTRY_BY_SUBJECT, &range, &page, take_certificate, next);
}

void registry_list_tell_policy(const struct registry_policy_row *row,
                               struct registry_policy *told)
{
    *told = (struct registry_policy){ .version = row->version,
                                      .made_ms = row->made_ms,
                                      .active = row->active };
    memcpy(told->author, row->author.at, row->author.len);
    if (row->why.len > 0)
        memcpy(told->why, row->why.at, row->why.len);
}

static enum rc take_policy(struct store_txn *txn, struct bytes key, struct bytes value,
                           struct page *page, enum taken *taken)
{
    struct registry_policy_row row;
    struct registry_policy policy;

    (void)value;
    TRY(registry_policy_get(txn, store_key_read_number(key), &row));
    registry_list_tell_policy(&row, &policy);
    *taken = registry_answer_add_policy(page->list, &policy) ? TAKEN : NO_ROOM;
    return RC_OK;
}

enum rc registry_list_policies(struct store_txn *txn, const struct registry_question *question,
                               struct buf *list, struct buf *next)
{
    const struct store_range range = { .after = question->cursor };
    struct page page = { question, list, 0 };

    return walk(txn, REGISTRY_POLICIES, &range, &page, take_policy, next);
}

static enum rc take_proposal(struct store_txn *txn, struct bytes key, struct bytes value,
                             struct page *page, enum taken *taken)
{
    struct registry_proposal proposal;

    (void)txn, (void)key;
    if (registry_proposal_read(value, &proposal) != RC_OK)
        return fault_while(RC_CORRUPT, "registry: a proposal's row");
    if (page->question->open && proposal.state != REGISTRY_PROPOSAL_OPEN)
        *taken = SKIPPED;
    else
        *taken = registry_answer_add_proposal(page->list, &proposal) ? TAKEN : NO_ROOM;
    return RC_OK;
}

enum rc registry_list_proposals(struct store_txn *txn, const struct registry_question *question,
                                struct buf *list, struct buf *next)
{
    const struct store_range range = { .after = question->cursor };
    struct page page = { question, list, 0 };

    return walk(txn, REGISTRY_PROPOSALS, &range, &page, take_proposal, next);
}
