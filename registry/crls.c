#include "registry/rows.h"

/*
 * In the table of facts "crl/<key>" says which CRL a key has, in the feed's form; the table of
 * CRLs has its octets, in parts: key's name, 0, number of the part u32. A new one takes the old
 * one's place in one transaction.
 */
enum { NAME_ROOM = 64 };

static void add_name(struct buf *name, struct bytes key)
{
    buf_addf(name, "crl/");
    buf_add(name, key);
}

/* A row of an older build holds the list itself where its length is now: only its number
 * counts, until the next one takes its place. */
static enum rc read_row(struct bytes form, struct registry_crl *crl)
{
    struct reader r = READER(form);

    if (registry_crl_read(form, crl) == RC_OK)
        return RC_OK;
    *crl = (struct registry_crl){ 0 };
    reader_sized16(&r, REGISTRY_CRL_KEY_MAX);
    crl->number = reader_u64(&r);
    return r.broken ? fault(RC_CORRUPT, "registry: a CRL's row is cut short") : RC_OK;
}

enum rc registry_crl_get(struct store_txn *txn, struct bytes key, struct registry_crl *crl)
{
    struct store_value value;
    AUTO_BUF(name, NAME_ROOM);

    add_name(&name, key);
    TRY(store_txn_get(txn, REGISTRY_FACTS, buf_bytes(&name), &value));
    return read_row(value.bytes, crl);
}

enum rc registry_crl_get_part(struct store_txn *txn, struct bytes key, uint64_t number,
                              uint32_t part, struct bytes *octets)
{
    struct registry_key row = registry_key_part(key, part);
    struct registry_crl crl;
    struct store_value value;

    TRY(registry_crl_get(txn, key, &crl));
    size_t len = registry_crl_part_len(&crl, part);
    if (crl.number != number || len == 0)
        return fault(RC_NOT_FOUND, "part %u of CRL %llu: now it is %llu of %u parts", part,
                     (unsigned long long)number, (unsigned long long)crl.number,
                     registry_crl_parts(&crl));
    enum rc rc = store_txn_get(txn, REGISTRY_CRLS, registry_key_bytes(&row), &value);
    if (rc == RC_NOT_FOUND || (rc == RC_OK && value.bytes.len != len))
        return fault(RC_CORRUPT, "registry: part %u of a CRL is missing or cut short", part);
    TRY(rc);
    *octets = value.bytes;
    return RC_OK;
}

static enum rc put_parts(struct store_txn *txn, const struct registry_crl *crl,
                         const uint8_t *at)
{
    for (uint32_t part = 0; part < registry_crl_parts(crl); part++) {
        struct registry_key row = registry_key_part(bytes_of_text(crl->key), part);
        struct bytes octets = { at + (size_t)part * REGISTRY_CRL_PART,
                                registry_crl_part_len(crl, part) };
        TRY(store_txn_put(txn, REGISTRY_CRLS, registry_key_bytes(&row), octets));
    }
    return RC_OK;
}

/* What a longer one had behind the last part of this one. */
static enum rc remove_parts(struct store_txn *txn, const struct registry_crl *crl,
                            const struct registry_crl *old)
{
    for (uint32_t part = registry_crl_parts(crl); part < registry_crl_parts(old); part++) {
        struct registry_key row = registry_key_part(bytes_of_text(crl->key), part);
        TRY(store_txn_remove(txn, REGISTRY_CRLS, registry_key_bytes(&row)));
    }
    return RC_OK;
}

static enum rc put_row(struct store_txn *txn, const struct registry_crl *crl)
{
    struct bytes form;
    AUTO_BUF(name, NAME_ROOM);
    AUTO_BUF(room, NAME_ROOM);

    add_name(&name, bytes_of_text(crl->key));
    registry_crl_write(crl, &room);
    TRY(buf_done(&room, &form));
    TRY(store_txn_put(txn, REGISTRY_FACTS, buf_bytes(&name), form));
    return store_feed_add(txn, REGISTRY_CHANGE_CRL, form);
}

enum rc registry_crl_put(struct store_txn *txn, struct bytes key, uint64_t number,
                         struct bytes der)
{
    struct registry_crl crl = { .number = number, .len = (uint32_t)der.len }, old = { 0 };

    if (der.len == 0 || der.len > REGISTRY_CRL_MAX || key.len == 0 ||
        key.len > REGISTRY_CRL_KEY_MAX)
        return fault(RC_LIMIT, "a CRL of %zu octets, at most %d, by a key named in %zu",
                     der.len, REGISTRY_CRL_MAX, key.len);
    for (size_t i = 0; i < key.len; i++)
        crl.key[i] = (char)key.at[i];
    enum rc rc = registry_crl_get(txn, key, &old);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_OK && number <= old.number)
        return fault(RC_EXISTS, "CRL %llu is there already", (unsigned long long)old.number);
    TRY(put_parts(txn, &crl, der.at));
    TRY(remove_parts(txn, &crl, &old));
    return put_row(txn, &crl);
}
