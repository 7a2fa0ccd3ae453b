#include "registry/rows.h"

#include <string.h>

enum { KEY_COMPROMISE = 1 };

static enum rc get(struct store_txn *txn, struct bytes fingerprint,
                   struct registry_certificate *certificate)
{
    struct store_value value;
    enum rc rc = store_txn_get(txn, REGISTRY_CERTIFICATES, fingerprint, &value);

    if (rc == RC_NOT_FOUND)
        return fault(RC_NOT_FOUND, "there is no certificate of that fingerprint");
    TRY(rc);
    if (registry_certificate_read(value.bytes, certificate) != RC_OK)
        return fault_while(RC_CORRUPT, "registry: a certificate's row");
    return RC_OK;
}

enum rc registry_certificate_get(struct store_txn *txn,
                                 const struct registry_fingerprint *fingerprint,
                                 struct registry_certificate *certificate)
{
    return get(txn, BYTES_OF(fingerprint->at), certificate);
}

/* Call each() for all certificates that an index leads to; it may change their rows. */
static enum rc each_indexed(struct store_txn *txn, unsigned index, struct bytes prefix,
                            enum rc (*each)(struct store_txn *txn,
                                            struct registry_certificate *one, void *with),
                            void *with)
{
    const struct store_range range = { .prefix = prefix };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct registry_fingerprint fingerprint;
    struct registry_certificate one;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, index, &range, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        if (key.len != prefix.len + REGISTRY_FINGERPRINT)
            return fault(RC_CORRUPT, "registry: an index's key of %zu octets", key.len);
        memcpy(fingerprint.at, key.at + prefix.len, sizeof fingerprint.at);
        if (registry_certificate_get(txn, &fingerprint, &one) != RC_OK)
            return fault_while(RC_CORRUPT, "registry: an index leads nowhere");
        TRY(each(txn, &one, with));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- May it be issued? ---- */

struct wanted {
    enum registry_kind kind;
    struct bytes id;
    int64_t now_s;
    unsigned valid;
};

static enum rc check_same_key(struct store_txn *txn, struct registry_certificate *one,
                              void *with)
{
    const struct wanted *wanted = with;

    (void)txn;
    if (one->kind != wanted->kind || !bytes_equal_text(wanted->id, one->subject))
        return fault(RC_EXISTS, "this key is %s %s's: every subject has a key of its own",
                     registry_kind_name(one->kind), one->subject);
    if (one->state == REGISTRY_CERTIFICATE_REVOKED && one->reason == KEY_COMPROMISE)
        return fault(RC_DENIED, "this key was revoked as compromised");
    return RC_OK;
}

static enum rc count_valid(struct store_txn *txn, struct registry_certificate *one, void *with)
{
    struct wanted *wanted = with;

    (void)txn;
    if (one->state == REGISTRY_CERTIFICATE_ACTIVE && one->not_after_s >= wanted->now_s)
        wanted->valid++;
    return RC_OK;
}

static enum rc check_subject(struct store_txn *txn, enum registry_kind kind, struct bytes id)
{
    struct registry_subject subject;

    if (kind == REGISTRY_DOOR)
        return registry_id_check(id);
    TRY(registry_subject_get(txn, kind, id, &subject));
    if (subject.state == REGISTRY_SUSPENDED || subject.state == REGISTRY_REVOKED)
        return fault(RC_DENIED, "%s %s is %s: no certificate for it", registry_kind_name(kind),
                     subject.id, registry_state_name(subject.state));
    return RC_OK;
}

enum rc registry_certificate_check_key(struct store_txn *txn, enum registry_kind kind,
                                       struct bytes id, const uint8_t key_hash[32])
{
    static const struct registry_fingerprint ANY;
    struct registry_key by_key = registry_key_of_key(key_hash, &ANY);
    struct wanted wanted = { .kind = kind, .id = id };

    return each_indexed(txn, REGISTRY_BY_KEY, registry_key_scan(&by_key), check_same_key,
                        &wanted);
}

enum rc registry_certificate_check(struct store_txn *txn, enum registry_kind kind,
                                   struct bytes id, const uint8_t key_hash[32], int64_t now_ms)
{
    static const struct registry_fingerprint ANY;
    struct wanted wanted = { kind, id, now_ms / 1000, 0 };
    struct registry_key by_subject = registry_key_of_subject(kind, id, &ANY);

    TRY(check_subject(txn, kind, id));
    TRY(registry_certificate_check_key(txn, kind, id, key_hash));
    TRY(each_indexed(txn, REGISTRY_BY_SUBJECT, registry_key_scan(&by_subject), count_valid,
                     &wanted));
    if (wanted.valid >= REGISTRY_CERTIFICATES_PER_SUBJECT && kind != REGISTRY_DOOR)
        return fault(RC_LIMIT, "%u valid certificates already, at most %d", wanted.valid,
                     REGISTRY_CERTIFICATES_PER_SUBJECT);
    return RC_OK;
}

/* ---- Registering ---- */

static enum rc index_certificate(struct store_txn *txn, const struct registry_certificate *one)
{
    struct bytes id = bytes_of_text(one->subject);
    struct registry_key serial =
        registry_key_serial(one->issuer_hash, (struct bytes){ one->serial, one->serial_len });
    struct registry_key by_key = registry_key_of_key(one->key_hash, &one->fingerprint);
    struct registry_key by_subject = registry_key_of_subject(one->kind, id, &one->fingerprint);

    TRY(store_txn_insert(txn, REGISTRY_BY_SERIAL, registry_key_bytes(&serial),
                         BYTES_OF(one->fingerprint.at)));
    TRY(store_txn_insert(txn, REGISTRY_BY_KEY, registry_key_bytes(&by_key), BYTES("\0")));
    return store_txn_insert(txn, REGISTRY_BY_SUBJECT, registry_key_bytes(&by_subject),
                            BYTES("\0"));
}

static enum rc activate(struct store_txn *txn, enum registry_kind kind, struct bytes id,
                        int64_t now_ms)
{
    struct registry_subject subject;

    if (kind == REGISTRY_DOOR)
        return RC_OK;
    TRY(registry_subject_get(txn, kind, id, &subject));
    if (subject.state != REGISTRY_REGISTERED)
        return RC_OK;
    return registry_subject_become(txn, kind, id, REGISTRY_ACTIVE, 0, now_ms);
}

enum rc registry_certificate_register(struct store_txn *txn,
                                      struct registry_certificate *certificate, int64_t now_ms)
{
    struct bytes id = bytes_of_text(certificate->subject);
    struct bytes serial = { certificate->serial, certificate->serial_len };
    struct registry_certificate known;
    bool taken = false;

    TRY(registry_certificate_check(txn, certificate->kind, id, certificate->key_hash, now_ms));
    if (registry_certificate_get(txn, &certificate->fingerprint, &known) != RC_NOT_FOUND)
        return fault(RC_EXISTS, "this certificate is registered already");
    TRY(registry_serial_known(txn, certificate->issuer_hash, serial, &taken));
    if (taken)
        return fault(RC_EXISTS, "this issuer's serial number is taken");
    certificate->state = REGISTRY_CERTIFICATE_ACTIVE;
    certificate->reason = 0;
    certificate->issued_ms = now_ms;
    certificate->revoked_ms = 0;
    TRY(index_certificate(txn, certificate));
    TRY(registry_row_put_certificate(txn, certificate));
    return activate(txn, certificate->kind, id, now_ms);
}

/* ---- Ending ---- */

enum rc registry_certificate_end(struct store_txn *txn, struct registry_certificate *one,
                                 uint8_t reason, int64_t now_ms)
{
    struct registry_revoked revoked = { .serial_len = one->serial_len,
                                        .revoked_ms = now_ms,
                                        .not_after_s = one->not_after_s,
                                        .reason = reason };

    memcpy(revoked.serial, one->serial, one->serial_len);
    one->state = REGISTRY_CERTIFICATE_REVOKED;
    one->revoked_ms = now_ms;
    one->reason = reason;
    TRY(registry_row_put_certificate(txn, one));
    return registry_revoked_put(txn, one->issuer_hash, &revoked);
}

struct active {
    enum rc (*each)(struct store_txn *txn, struct registry_certificate *one, void *with);
    void *with;
};

static enum rc if_active(struct store_txn *txn, struct registry_certificate *one, void *with)
{
    const struct active *active = with;

    return one->state != REGISTRY_CERTIFICATE_ACTIVE ? RC_OK
                                                     : active->each(txn, one, active->with);
}

enum rc registry_certificate_each_active(
    struct store_txn *txn, enum registry_kind kind, struct bytes id,
    enum rc (*each)(struct store_txn *txn, struct registry_certificate *one, void *with),
    void *with)
{
    static const struct registry_fingerprint ANY;
    struct registry_key by_subject = registry_key_of_subject(kind, id, &ANY);
    struct active active = { each, with };

    return each_indexed(txn, REGISTRY_BY_SUBJECT, registry_key_scan(&by_subject), if_active,
                        &active);
}

enum rc registry_certificate_each(struct store_txn *txn,
                                  enum rc (*each)(struct store_txn *txn,
                                                  struct registry_certificate *one, void *with),
                                  void *with)
{
    const struct store_range all = { .backward = false };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct registry_certificate one;
    struct store_value value;
    struct bytes key;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, REGISTRY_CERTIFICATES, &all, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        TRY(get(txn, key, &one));
        TRY(each(txn, &one, with));
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

struct ending {
    uint8_t reason;
    int64_t now_ms;
};

static enum rc end(struct store_txn *txn, struct registry_certificate *one, void *with)
{
    const struct ending *ending = with;

    return registry_certificate_end(txn, one, ending->reason, ending->now_ms);
}

enum rc registry_certificate_end_all(struct store_txn *txn, enum registry_kind kind,
                                     struct bytes id, uint8_t reason, int64_t now_ms)
{
    struct ending ending = { reason, now_ms };

    return registry_certificate_each_active(txn, kind, id, end, &ending);
}

enum rc registry_certificate_revoke(struct store_txn *txn,
                                    const struct registry_fingerprint *fingerprint,
                                    uint8_t reason, int64_t now_ms)
{
    struct registry_certificate one;

    if (!registry_reason_is(reason))
        return fault(RC_MALFORMED, "RFC 5280 5.3.1: %u is no reason to revoke", reason);
    TRY(registry_certificate_get(txn, fingerprint, &one));
    if (one.state == REGISTRY_CERTIFICATE_REVOKED)
        return fault(RC_EXISTS, "it is revoked already");
    return registry_certificate_end(txn, &one, reason, now_ms);
}

/* ---- Unknown leaves ---- */

static enum rc stop_at_first(struct store_txn *txn, struct registry_certificate *one,
                             void *with)
{
    (void)txn, (void)one;
    *(bool *)with = true;
    return RC_OK;
}

static enum rc known_otherwise(struct store_txn *txn, const struct registry_leaf *leaf,
                               bool *known)
{
    static const struct registry_fingerprint ANY;
    struct registry_key by_key = registry_key_of_key(leaf->key_hash, &ANY);

    *known = false;
    if (leaf->serial.len <= REGISTRY_SERIAL_MAX)
        TRY(registry_serial_known(txn, leaf->issuer_hash, leaf->serial, known));
    if (*known)
        return RC_OK;
    return each_indexed(txn, REGISTRY_BY_KEY, registry_key_scan(&by_key), stop_at_first, known);
}

enum rc registry_certificate_look_up(struct store_txn *txn, const struct registry_leaf *leaf,
                                     int64_t now_ms, enum registry_verdict *verdict,
                                     struct registry_certificate *certificate,
                                     struct registry_subject *subject)
{
    struct registry_certificate one = { 0 };
    struct registry_subject whose = { 0 };
    bool known = false;
    enum rc rc = registry_certificate_get(txn, &leaf->fingerprint, &one);

    if (rc == RC_OK && one.kind != REGISTRY_DOOR) {
        TRY(registry_subject_get(txn, one.kind, bytes_of_text(one.subject), &whose));
        *verdict = registry_verdict_of(&one, &whose, now_ms / 1000);
    } else if (rc == RC_OK) {
        one = (struct registry_certificate){ 0 };
        *verdict = REGISTRY_FOREIGN;
    } else if (rc == RC_NOT_FOUND) {
        TRY(known_otherwise(txn, leaf, &known));
        *verdict = known ? REGISTRY_ALTERED : REGISTRY_FOREIGN;
    } else {
        return rc;
    }
    *certificate = one;
    *subject = whose;
    return RC_OK;
}
