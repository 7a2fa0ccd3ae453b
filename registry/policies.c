#include "registry/rows.h"

#include <string.h>

#include "registry/question.h"

/* Row: made u64, author sized16, text or its name. The active version is a fact; the feed has
 * version, and text or name. */

static enum rc read_row(struct bytes value, struct registry_policy_row *policy)
{
    struct reader r = READER(value);

    policy->made_ms = (int64_t)reader_u64(&r);
    policy->author = reader_sized16(&r, REGISTRY_ID_MAX);
    if (r.broken || registry_text_read(r.left, &policy->text) != RC_OK)
        return fault(RC_CORRUPT, "registry: a policy's row");
    return RC_OK;
}

enum rc registry_policy_get(struct store_txn *txn, uint64_t version,
                            struct registry_policy_row *policy)
{
    struct registry_policy_row read = { 0 };
    struct store_value value;
    uint64_t active = 0;

    TRY(registry_fact_number(txn, BYTES("policy"), &active));
    read.version = version == 0 ? active : version;
    read.active = read.version == active;
    struct store_number key = store_key_number(read.version);
    enum rc rc = store_txn_get(txn, REGISTRY_POLICIES, BYTES_OF(key.at), &value);
    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "there is no policy version %llu",
                     (unsigned long long)read.version);
    TRY(rc);
    TRY(read_row(value.bytes, &read));
    rc = store_txn_get(txn, REGISTRY_POLICY_WHYS, BYTES_OF(key.at), &value);
    if (rc != RC_NOT_FOUND)
        TRY(rc);
    if (rc == RC_OK)
        read.why = value.bytes;
    *policy = read;
    return RC_OK;
}

static enum rc check_new(const struct registry_policy_new *new, uint64_t active)
{
    if (new->author.len > 0)
        TRY(registry_id_check(new->author));
    enum rc rc = registry_why_check(new->why);
    if (rc != RC_OK)
        return fault_while(rc, "why");
    if (new->replaces != active)
        return fault(RC_EXISTS, "version %llu is active, not %llu: look at it first",
                     (unsigned long long)active, (unsigned long long)new->replaces);
    return RC_OK;
}

enum rc registry_policy_put(struct store_txn *txn, const struct registry_policy_new *new,
                            int64_t now_ms, uint64_t *version)
{
    uint64_t active = 0;
    AUTO_BUF(row, STORE_VALUE_MAX);
    AUTO_BUF(change, STORE_VALUE_MAX);

    TRY(registry_fact_number(txn, BYTES("policy"), &active));
    TRY(check_new(new, active));
    TRY(registry_quota_take(txn, new->author, new->text.name.len > 0 ? 0 : new->text.octets.len,
                            REGISTRY_QUOTA_SHORT, now_ms));
    TRY(registry_text_put(txn, &new->text, new->author, now_ms));
    struct store_number key = store_key_number(active + 1);
    buf_add_u64(&row, (uint64_t)now_ms);
    buf_add_sized16(&row, new->author);
    registry_text_write(&new->text, &row);
    TRY(store_txn_insert(txn, REGISTRY_POLICIES, BYTES_OF(key.at), buf_bytes(&row)));
    TRY(store_txn_insert(txn, REGISTRY_POLICY_WHYS, BYTES_OF(key.at), new->why));
    TRY(registry_fact_put_number(txn, BYTES("policy"), active + 1));
    buf_add_u64(&change, active + 1);
    registry_text_write(&new->text, &change);
    TRY(store_feed_add(txn, REGISTRY_CHANGE_POLICY, buf_bytes(&change)));
    *version = active + 1;
    return RC_OK;
}

enum rc registry_init(struct store_txn *txn, struct registry_first *first, int64_t now_ms)
{
    uint64_t subjects = 0, version = 0;

    TRY(store_txn_count(txn, REGISTRY_SUBJECTS, &subjects));
    TRY(registry_fact_number(txn, BYTES("policy"), &version));
    if (subjects != 0 || version != 0)
        return fault(RC_EXISTS, "this registry is in use already");
    first->operator.kind = REGISTRY_OPERATOR;
    first->certificate.kind = REGISTRY_OPERATOR;
    memcpy(first->certificate.subject, first->operator.id, sizeof first->operator.id);
    TRY(registry_authorities_put(txn, first->authorities));
    TRY(registry_subject_add_active(txn, &first->operator, now_ms));
    TRY(registry_certificate_register(txn, &first->certificate, now_ms));
    const struct registry_policy_new new = { .text = first->policy,
                                             .why = BYTES("what the system began with") };
    return registry_policy_put(txn, &new, now_ms, &version);
}
