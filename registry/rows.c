#include "registry/rows.h"

#include <string.h>

#include "registry/question.h"

enum { FORM_MAX = 2048 };

static const struct store_table TABLES[] = {
    [REGISTRY_SUBJECTS] = { "subjects", STORE_KEY_BYTES, FORM_MAX },
    [REGISTRY_CERTIFICATES] = { "certificates", STORE_KEY_BYTES, FORM_MAX },
    [REGISTRY_BY_SERIAL] = { "by_serial", STORE_KEY_BYTES, REGISTRY_FINGERPRINT },
    [REGISTRY_BY_KEY] = { "by_key", STORE_KEY_BYTES, 1 },
    [REGISTRY_BY_SUBJECT] = { "by_subject", STORE_KEY_BYTES, 1 },
    [REGISTRY_REVOCATIONS] = { "revocations", STORE_KEY_BYTES, 64 },
    [REGISTRY_TOKENS] = { "tokens", STORE_KEY_BYTES, 512 },
    [REGISTRY_POLICIES] = { "policies", STORE_KEY_NUMBER, STORE_VALUE_MAX },
    [REGISTRY_FACTS] = { "facts", STORE_KEY_BYTES, STORE_VALUE_MAX },
    [REGISTRY_CRLS] = { "crls", STORE_KEY_BYTES, REGISTRY_CRL_PART },
    [REGISTRY_PROPOSALS] = { "proposals", STORE_KEY_NUMBER, FORM_MAX },
    [REGISTRY_PROPOSED] = { "proposed", STORE_KEY_NUMBER, REGISTRY_CONTENT_MAX },
    [REGISTRY_POLICY_WHYS] = { "policy_whys", STORE_KEY_NUMBER, REGISTRY_LABEL_MAX },
    [REGISTRY_TEXTS] = { "texts", STORE_KEY_BYTES, REGISTRY_TEXT_PART },
};

const struct store_table *registry_tables(void)
{
    return TABLES;
}

struct bytes registry_key_bytes(const struct registry_key *key)
{
    return (struct bytes){ key->at, key->len };
}

struct bytes registry_key_scan(const struct registry_key *key)
{
    return (struct bytes){ key->at, key->len - REGISTRY_FINGERPRINT };
}

/* Parts have bounds far below STORE_KEY_MAX; one that has not is cut, and finds nothing. */
static void add(struct registry_key *key, struct bytes part)
{
    size_t room = sizeof key->at - key->len;
    size_t len = part.len < room ? part.len : room;

    if (len > 0)
        memcpy(key->at + key->len, part.at, len);
    key->len += len;
}

static void add_u8(struct registry_key *key, size_t number)
{
    uint8_t octet = (uint8_t)number;

    add(key, (struct bytes){ &octet, 1 });
}

struct registry_key registry_key_subject(enum registry_kind kind, struct bytes id)
{
    struct registry_key key = { .len = 0 };

    add_u8(&key, kind);
    add(&key, id);
    return key;
}

struct registry_key registry_key_serial(const uint8_t issuer_hash[32], struct bytes serial)
{
    struct registry_key key = { .len = 0 };

    add(&key, (struct bytes){ issuer_hash, 32 });
    add_u8(&key, serial.len);
    add(&key, serial);
    return key;
}

struct registry_key registry_key_part(struct bytes name, uint32_t part)
{
    struct registry_key key = { .len = 0 };

    add(&key, name);
    add_u8(&key, 0);
    for (int octet = 3; octet >= 0; octet--)
        add_u8(&key, part >> 8 * octet & 0xff);
    return key;
}

struct registry_key registry_key_of_key(const uint8_t key_hash[32],
                                        const struct registry_fingerprint *fingerprint)
{
    struct registry_key key = { .len = 0 };

    add(&key, (struct bytes){ key_hash, 32 });
    add(&key, BYTES_OF(fingerprint->at));
    return key;
}

struct registry_key registry_key_of_subject(enum registry_kind kind, struct bytes id,
                                            const struct registry_fingerprint *fingerprint)
{
    struct registry_key key = registry_key_subject(kind, id);

    add_u8(&key, 0);
    add(&key, BYTES_OF(fingerprint->at));
    return key;
}

enum rc registry_row_put_subject(struct store_txn *txn, struct registry_subject *subject)
{
    struct registry_key key = registry_key_subject(subject->kind, bytes_of_text(subject->id));
    struct bytes form;
    AUTO_BUF(room, FORM_MAX);

    subject->revision = store_txn_revision(txn);
    registry_subject_write(subject, &room);
    TRY(buf_done(&room, &form));
    TRY(store_txn_put(txn, REGISTRY_SUBJECTS, registry_key_bytes(&key), form));
    return store_feed_add(txn, REGISTRY_CHANGE_SUBJECT, form);
}

enum rc registry_row_put_certificate(struct store_txn *txn,
                                     struct registry_certificate *certificate)
{
    struct bytes form;
    AUTO_BUF(room, FORM_MAX);

    certificate->revision = store_txn_revision(txn);
    registry_certificate_write(certificate, &room);
    TRY(buf_done(&room, &form));
    TRY(store_txn_put(txn, REGISTRY_CERTIFICATES, BYTES_OF(certificate->fingerprint.at), form));
    if (certificate->kind == REGISTRY_DOOR)
        return RC_OK;
    return store_feed_add(txn, REGISTRY_CHANGE_CERTIFICATE, form);
}
