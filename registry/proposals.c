#include "registry/rows.h"

#include <string.h>

#include "registry/question.h"

/*
 * Two facts beside the rows: "proposals" is the highest number, "open proposals" the numbers of
 * those that wait, u64 each, ascending, so that nobody walks over what ended years ago.
 */
static const struct bytes HIGHEST = { (const uint8_t *)"proposals", 9 };
static const struct bytes OPEN = { (const uint8_t *)"open proposals", 14 };

struct open {
    size_t count;
    uint64_t numbers[REGISTRY_PROPOSALS_OPEN];
};

static enum rc read_open(struct store_txn *txn, struct open *open)
{
    struct store_value value = { .bytes = { 0 } };
    enum rc rc = store_txn_get(txn, REGISTRY_FACTS, OPEN, &value);

    *open = (struct open){ 0 };
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    struct reader r = READER(value.bytes);
    while (r.left.len > 0 && !r.broken && open->count < REGISTRY_PROPOSALS_OPEN)
        open->numbers[open->count++] = reader_u64(&r);
    return reader_done(&r) ? RC_OK : fault(RC_CORRUPT, "registry: the list of open proposals");
}

static enum rc put_open(struct store_txn *txn, const struct open *open)
{
    AUTO_BUF(row, sizeof open->numbers);

    for (size_t i = 0; i < open->count; i++)
        buf_add_u64(&row, open->numbers[i]);
    if (open->count == 0)
        return store_txn_remove(txn, REGISTRY_FACTS, OPEN);
    return store_txn_put(txn, REGISTRY_FACTS, OPEN, buf_bytes(&row));
}

static enum rc put(struct store_txn *txn, const struct registry_proposal *proposal)
{
    struct store_number key = store_key_number(proposal->number);
    struct bytes form;
    AUTO_BUF(row, 2048);

    registry_proposal_write(proposal, &row);
    TRY(buf_done(&row, &form));
    return store_txn_put(txn, REGISTRY_PROPOSALS, BYTES_OF(key.at), form);
}

enum rc registry_proposal_add(struct store_txn *txn, struct registry_proposal *proposal,
                              struct bytes content, int64_t now_ms)
{
    struct open open;
    uint64_t highest = 0;

    if (content.len > REGISTRY_CONTENT_MAX)
        return fault(RC_LIMIT, "a proposal of %zu octets, at most %d", content.len,
                     REGISTRY_CONTENT_MAX);
    TRY(registry_id_check(bytes_of_text(proposal->author)));
    TRY(read_open(txn, &open));
    if (open.count == REGISTRY_PROPOSALS_OPEN)
        return fault(RC_LIMIT, "%d proposals wait: approve or reject one first",
                     REGISTRY_PROPOSALS_OPEN);
    TRY(registry_quota_take(txn, bytes_of_text(proposal->author), content.len,
                            REGISTRY_QUOTA_SHORT, now_ms));
    TRY(registry_fact_number(txn, HIGHEST, &highest));
    proposal->number = highest + 1;
    proposal->state = REGISTRY_PROPOSAL_OPEN;
    proposal->made_ms = now_ms;
    struct store_number key = store_key_number(proposal->number);
    TRY(registry_fact_put_number(txn, HIGHEST, proposal->number));
    open.numbers[open.count++] = proposal->number;
    TRY(put_open(txn, &open));
    TRY(store_txn_insert(txn, REGISTRY_PROPOSED, BYTES_OF(key.at), content));
    return put(txn, proposal);
}

static bool ended_undone(enum registry_proposal_state state)
{
    return state == REGISTRY_PROPOSAL_REJECTED || state == REGISTRY_PROPOSAL_WITHDRAWN ||
           state == REGISTRY_PROPOSAL_EXPIRED;
}

enum rc registry_proposal_get(struct store_txn *txn, uint64_t number,
                              struct registry_proposal *proposal, struct bytes *content)
{
    struct store_number key = store_key_number(number);
    struct store_value value;
    enum rc rc = store_txn_get(txn, REGISTRY_PROPOSALS, BYTES_OF(key.at), &value);

    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "there is no proposal %llu", (unsigned long long)number);
    TRY(rc);
    if (registry_proposal_read(value.bytes, proposal) != RC_OK)
        return fault_while(RC_CORRUPT, "registry: a proposal's row");
    *content = (struct bytes){ NULL, 0 };
    rc = store_txn_get(txn, REGISTRY_PROPOSED, BYTES_OF(key.at), &value);
    if (rc == RC_NOT_FOUND && ended_undone(proposal->state))
        return RC_OK;
    if (rc == RC_NOT_FOUND)
        return fault(RC_CORRUPT, "registry: a proposal without its content");
    TRY(rc);
    *content = value.bytes;
    return RC_OK;
}

enum rc registry_proposal_check_open(const struct registry_proposal *proposal, int64_t now_ms)
{
    if (proposal->state != REGISTRY_PROPOSAL_OPEN)
        return fault(RC_EXISTS, "proposal %llu was %s already",
                     (unsigned long long)proposal->number,
                     proposal->state == REGISTRY_PROPOSAL_EXPIRED
                         ? "let expire"
                         : registry_proposal_state_name(proposal->state));
    if (now_ms >= proposal->expires_ms)
        return fault(RC_EXISTS, "proposal %llu has expired: make it anew",
                     (unsigned long long)proposal->number);
    return RC_OK;
}

enum rc registry_proposal_check_second(struct store_txn *txn,
                                       const struct registry_proposal *proposal,
                                       const struct registry_subject *second,
                                       const struct registry_fingerprint *shown, bool alone)
{
    struct registry_certificate certificate;
    struct registry_subject author;

    if (second->kind != REGISTRY_OPERATOR || second->role != REGISTRY_ADMIN)
        return fault(RC_DENIED, "a proposal is approved by an administrator");
    bool same = strcmp(second->id, proposal->author) == 0 ||
                bytes_equal(BYTES_OF(shown->at), BYTES_OF(proposal->shown.at));
    if (same && !alone)
        return fault(RC_DENIED, "a proposal is approved by another than its author, %s",
                     proposal->author);
    TRY(registry_subject_get(txn, REGISTRY_OPERATOR, bytes_of_text(proposal->author), &author));
    if (author.state != REGISTRY_ACTIVE || author.role != REGISTRY_ADMIN)
        return fault(RC_DENIED, "the author, %s, is no active administrator any more",
                     proposal->author);
    TRY(registry_certificate_get(txn, &proposal->shown, &certificate));
    if (certificate.state != REGISTRY_CERTIFICATE_ACTIVE)
        return fault(RC_DENIED, "the certificate by which its author, %s, was known is revoked",
                     proposal->author);
    return RC_OK;
}

/* len 0: it names none, or its content is of another version of Touchmark. */
static struct registry_name name_in(const struct registry_proposal *proposal,
                                    struct bytes content)
{
    struct registry_question asked = { .id = "" };
    const struct registry_act_row *act = registry_act_get(proposal->act);

    if (act == NULL || registry_question_read_body(act->ask, content, &asked) != RC_OK)
        return (struct registry_name){ 0 };
    return asked.name;
}

/* What would have been done is nobody's any more; the log has its hash. */
static enum rc drop_content(struct store_txn *txn, const struct registry_proposal *ended,
                            const struct open *left)
{
    struct store_number key = store_key_number(ended->number);
    struct registry_proposal one;
    struct bytes content;
    bool named = false;

    TRY(registry_proposal_get(txn, ended->number, &one, &content));
    const struct registry_name name = name_in(ended, content);
    for (size_t i = 0; i < left->count && name.len > 0 && !named; i++) {
        TRY(registry_proposal_get(txn, left->numbers[i], &one, &content));
        const struct registry_name other = name_in(&one, content);
        named = registry_name_equal(&name, &other);
    }
    if (!named)
        TRY(registry_text_drop(txn, &name));
    return store_txn_remove(txn, REGISTRY_PROPOSED, BYTES_OF(key.at));
}

enum rc registry_proposal_close(struct store_txn *txn, struct registry_proposal *proposal,
                                enum registry_proposal_state state, int64_t now_ms)
{
    struct open open, left = { 0 };

    TRY(read_open(txn, &open));
    for (size_t i = 0; i < open.count; i++)
        if (open.numbers[i] != proposal->number)
            left.numbers[left.count++] = open.numbers[i];
    if (left.count == open.count)
        return fault(RC_CORRUPT, "registry: proposal %llu is not among the open ones",
                     (unsigned long long)proposal->number);
    TRY(put_open(txn, &left));
    if (ended_undone(state))
        TRY(drop_content(txn, proposal, &left));
    proposal->state = state;
    proposal->decided_ms = now_ms;
    return put(txn, proposal);
}

enum rc registry_proposal_find_expired(struct store_txn *txn, int64_t now_ms,
                                       struct registry_proposal *proposal)
{
    struct bytes content;
    struct open open;

    TRY(read_open(txn, &open));
    for (size_t i = 0; i < open.count; i++) {
        TRY(registry_proposal_get(txn, open.numbers[i], proposal, &content));
        if (now_ms >= proposal->expires_ms)
            return RC_OK;
    }
    return RC_NOT_FOUND;
}
