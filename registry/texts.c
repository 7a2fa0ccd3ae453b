#include "registry/rows.h"

/*
 * Texts in parts lie under their hash, so that one that comes back (a policy that is put in
 * force again, a proposal that is approved) is there once. Versions are for ever, and so are
 * their texts. One that was new with a proposal has a mark, a part behind all others, until a
 * version has it; while it has the mark it goes with the last proposal that named it. All parts
 * of one are written in one transaction, so the first of them stands for all.
 */
enum { MARK = UINT32_MAX };

static enum rc look(struct store_txn *txn, const struct registry_name *name, uint32_t part,
                    struct bytes *octets)
{
    struct registry_key row = registry_key_part(BYTES_OF(name->hash), part);
    struct store_value value;

    TRY(store_txn_get(txn, REGISTRY_TEXTS, registry_key_bytes(&row), &value));
    if (value.bytes.len != registry_text_part_len(name, part))
        return fault(RC_CORRUPT, "registry: part %u of a policy has %zu octets", part,
                     value.bytes.len);
    *octets = value.bytes;
    return RC_OK;
}

enum rc registry_text_get_part(struct store_txn *txn, const struct registry_name *name,
                               uint32_t part, struct bytes *octets)
{
    if (registry_text_part_len(name, part) == 0)
        return fault(RC_NOT_FOUND, "a text of %u parts has no part %u",
                     registry_text_parts(name), part);
    enum rc rc = look(txn, name, part, octets);
    return rc == RC_NOT_FOUND ? fault(rc, "there is no such text of a policy") : rc;
}

enum rc registry_text_get(struct store_txn *txn, const struct registry_text *text,
                          struct buf *whole)
{
    struct bytes octets;

    buf_reset(whole);
    buf_add(whole, text->octets);
    for (uint32_t part = 0; text->octets.len == 0 && part < registry_text_parts(&text->name);
         part++) {
        TRY(registry_text_get_part(txn, &text->name, part, &octets));
        buf_add(whole, octets);
    }
    return buf_done(whole, &octets);
}

static enum rc put_parts(struct store_txn *txn, const struct registry_text *text)
{
    for (uint32_t part = 0; part < registry_text_parts(&text->name); part++) {
        struct registry_key row = registry_key_part(BYTES_OF(text->name.hash), part);
        struct bytes octets = { text->octets.at + (size_t)part * REGISTRY_TEXT_PART,
                                registry_text_part_len(&text->name, part) };
        TRY(store_txn_put(txn, REGISTRY_TEXTS, registry_key_bytes(&row), octets));
    }
    return RC_OK;
}

static enum rc remove_mark(struct store_txn *txn, const struct registry_name *name)
{
    struct registry_key mark = registry_key_part(BYTES_OF(name->hash), MARK);

    return store_txn_remove(txn, REGISTRY_TEXTS, registry_key_bytes(&mark));
}

/* Is it there? If not it is put, at the author's expense. */
static enum rc put_new(struct store_txn *txn, const struct registry_text *text,
                       struct bytes author, int64_t now_ms, bool *new)
{
    struct bytes known;

    *new = false;
    TRY(registry_text_check(text));
    if (text->name.len == 0)
        return RC_OK;
    enum rc rc = look(txn, &text->name, 0, &known);
    if (rc != RC_NOT_FOUND)
        return rc;
    if (text->octets.len == 0)
        return fault(RC_NOT_FOUND, "there is no such text of a policy");
    *new = true;
    TRY(registry_quota_take(txn, author, text->octets.len, REGISTRY_QUOTA_PARTS, now_ms));
    return put_parts(txn, text);
}

enum rc registry_text_put(struct store_txn *txn, const struct registry_text *text,
                          struct bytes author, int64_t now_ms)
{
    bool new = false;

    TRY(put_new(txn, text, author, now_ms, &new));
    if (new || text->name.len == 0)
        return RC_OK;
    enum rc rc = remove_mark(txn, &text->name);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc registry_text_propose(struct store_txn *txn, const struct registry_text *text,
                              struct bytes author, int64_t now_ms)
{
    static const uint8_t ONE[1] = { 1 };
    bool new = false;

    TRY(put_new(txn, text, author, now_ms, &new));
    if (!new)
        return RC_OK;
    struct registry_key mark = registry_key_part(BYTES_OF(text->name.hash), MARK);
    return store_txn_put(txn, REGISTRY_TEXTS, registry_key_bytes(&mark), BYTES_OF(ONE));
}

enum rc registry_text_drop(struct store_txn *txn, const struct registry_name *name)
{
    enum rc rc = name->len == 0 ? RC_NOT_FOUND : remove_mark(txn, name);

    if (rc == RC_NOT_FOUND)
        return RC_OK;
    TRY(rc);
    for (uint32_t part = 0; part < registry_text_parts(name); part++) {
        struct registry_key row = registry_key_part(BYTES_OF(name->hash), part);
        TRY(store_txn_remove(txn, REGISTRY_TEXTS, registry_key_bytes(&row)));
    }
    return RC_OK;
}
