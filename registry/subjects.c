#include "registry/rows.h"

#include <string.h>

static struct bytes count_name(enum registry_kind kind, enum registry_state state)
{
    static const uint8_t NAMES[REGISTRY_DOOR + 1][REGISTRY_REVOKED + 1][3] = {
        { "n" },
        { "n", "n11", "n12", "n13", "n14" },
        { "n", "n21", "n22", "n23", "n24" },
        { "n", "n31", "n32", "n33", "n34" },
    };

    return BYTES_OF(NAMES[kind][state]);
}

static enum rc get(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                   struct registry_subject *subject)
{
    struct registry_key key = registry_key_subject(kind, id);
    struct store_value value;

    if (store_txn_get(txn, REGISTRY_SUBJECTS, registry_key_bytes(&key), &value) != RC_OK)
        return fault(RC_NOT_FOUND, "there is no %s of that id", registry_kind_name(kind));
    if (registry_subject_read(value.bytes, subject) != RC_OK)
        return fault_while(RC_CORRUPT, "registry: a %s's row", registry_kind_name(kind));
    return RC_OK;
}

enum rc registry_subject_get(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                             struct registry_subject *subject)
{
    TRY(registry_id_check(id));
    return get(txn, kind, id, subject);
}

static enum rc check_new(const struct registry_subject *subject)
{
    AUTO_BUF(form, 4096);
    struct registry_subject read;

    TRY(registry_id_check(bytes_of_text(subject->id)));
    registry_subject_write(subject, &form);
    return registry_subject_read(buf_bytes(&form), &read);
}

static enum rc add(struct store_txn *txn, struct registry_subject *subject, int64_t now_ms)
{
    struct registry_subject known;

    subject->created_ms = subject->changed_ms = now_ms;
    TRY(check_new(subject));
    enum rc rc = get(txn, subject->kind, bytes_of_text(subject->id), &known);
    if (rc == RC_OK)
        return fault(RC_EXISTS, "%s %s is there already, %s", registry_kind_name(subject->kind),
                     subject->id, registry_state_name(known.state));
    if (rc != RC_NOT_FOUND)
        return rc;
    TRY(registry_fact_add(txn, count_name(subject->kind, subject->state), 1));
    return registry_row_put_subject(txn, subject);
}

enum rc registry_subject_add(struct store_txn *txn, struct registry_subject *subject,
                             int64_t now_ms)
{
    subject->state = REGISTRY_REGISTERED;
    return add(txn, subject, now_ms);
}

enum rc registry_subject_add_active(struct store_txn *txn, struct registry_subject *subject,
                                    int64_t now_ms)
{
    subject->state = REGISTRY_ACTIVE;
    return add(txn, subject, now_ms);
}

enum rc registry_subject_become(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                                enum registry_state state, uint8_t reason, int64_t now_ms)
{
    struct registry_subject subject;

    if (!registry_reason_is(reason))
        return fault(RC_MALFORMED, "RFC 5280 5.3.1: %u is no reason to revoke", reason);
    TRY(registry_subject_get(txn, kind, id, &subject));
    enum rc rc = registry_lifecycle_check(subject.state, state);
    if (rc != RC_OK)
        return fault_while(rc, "%s %s", registry_kind_name(kind), subject.id);
    TRY(registry_fact_add(txn, count_name(kind, subject.state), -1));
    TRY(registry_fact_add(txn, count_name(kind, state), 1));
    subject.state = state;
    subject.changed_ms = now_ms;
    TRY(registry_row_put_subject(txn, &subject));
    if (state != REGISTRY_REVOKED)
        return RC_OK;
    return registry_certificate_end_all(txn, kind, id, reason, now_ms);
}

enum rc registry_subject_count(struct store_txn *txn, enum registry_kind kind,
                               enum registry_state state, uint64_t *count)
{
    return registry_fact_number(txn, count_name(kind, state), count);
}

enum rc registry_admin_count(struct store_txn *txn, uint64_t *count)
{
    struct registry_key first = registry_key_subject(REGISTRY_OPERATOR, BYTES(""));
    const struct store_range range = { .prefix = registry_key_bytes(&first) };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct registry_subject subject;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    *count = 0;
    TRY(store_cursor_open(txn, REGISTRY_SUBJECTS, &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        TRY(registry_subject_read(value.bytes, &subject));
        *count += subject.state == REGISTRY_ACTIVE && subject.role == REGISTRY_ADMIN;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
