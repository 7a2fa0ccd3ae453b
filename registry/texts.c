#include "registry/rows.h"

/*
 * Texts in parts lie under their hash, so that one that comes back (a policy that is put in
 * force again, a proposal that is approved) is there once. None is ever removed: versions and
 * proposals are for ever. All parts of one are written in one transaction, so the first of
 * them stands for all.
 */

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

enum rc registry_text_put(struct store_txn *txn, const struct registry_text *text)
{
    struct bytes known;

    TRY(registry_text_check(text));
    if (text->name.len == 0)
        return RC_OK;
    enum rc rc = look(txn, &text->name, 0, &known);
    if (rc != RC_NOT_FOUND)
        return rc;
    if (text->octets.len == 0)
        return fault(RC_NOT_FOUND, "there is no such text of a policy");
    for (uint32_t part = 0; part < registry_text_parts(&text->name); part++) {
        struct registry_key row = registry_key_part(BYTES_OF(text->name.hash), part);
        struct bytes octets = { text->octets.at + (size_t)part * REGISTRY_TEXT_PART,
                                registry_text_part_len(&text->name, part) };
        TRY(store_txn_put(txn, REGISTRY_TEXTS, registry_key_bytes(&row), octets));
    }
    return RC_OK;
}
