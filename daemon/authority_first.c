#include "daemon/authority_first.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "pki/certificate.h"
#include "pki/name.h"
#include "pki/oid.h"
#include "pki/pem.h"
#include "registry/question.h"
#include "registry/registry.h"

enum { FILE_MAX = 64 * 1024, AUTHORITIES_MAX = 32 * 1024 };

struct filling {
    struct registry_first first;
    int64_t now_ms;
};

static enum rc is_empty(struct store_txn *txn, void *with)
{
    return store_txn_count(txn, REGISTRY_SUBJECTS, with);
}

static enum rc fill(struct store_txn *txn, void *with)
{
    const struct filling *filling = with;
    struct registry_first first = filling->first;

    return registry_init(txn, &first, filling->now_ms);
}

static enum rc read_file(const char *path, struct buf *text)
{
    enum rc rc = file_read(AT_FDCWD, path, text);

    return rc == RC_OK ? RC_OK
                       : fault_while(rc, "the registry is empty, and to begin it %s", path);
}

/* The root first, as clients like it. */
static enum rc read_chain(const char *path, struct buf *authorities)
{
    AUTO_BUF(text, FILE_MAX);
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);
    AUTO_BUF(others, AUTHORITIES_MAX);
    struct pki_certificate one;
    enum rc rc = RC_OK;

    TRY(read_file(path, &text));
    struct bytes left = buf_bytes(&text);
    while ((rc = pki_pem_next(&left, "CERTIFICATE", &der)) == RC_OK) {
        rc = pki_certificate_read(buf_bytes(&der), &one);
        if (rc != RC_OK)
            return fault_while(rc, "%s", path);
        buf_add_sized32(bytes_equal(one.subject, one.issuer) ? authorities : &others,
                        buf_bytes(&der));
        buf_reset(&der);
    }
    if (rc != RC_NOT_FOUND)
        return fault_while(rc, "%s", path);
    buf_add(authorities, buf_bytes(&others));
    if (others.broken || authorities->broken || authorities->len == 0)
        return fault(RC_MALFORMED, "%s: no certificates, or too many", path);
    return RC_OK;
}

static enum rc describe(const struct pki_certificate *one, struct registry_first *first)
{
    struct registry_certificate *row = &first->certificate;
    struct bytes id;

    if (!pki_name_find(one->subject, PKI_OID_COMMON_NAME, &id))
        return fault(RC_MALFORMED, "no commonName");
    TRY(registry_id_copy(id, first->operator.id));
    first->operator.role = REGISTRY_ADMIN;
    memcpy(row->fingerprint.at, one->fingerprint, sizeof row->fingerprint.at);
    memcpy(row->key_hash, one->key_hash, sizeof row->key_hash);
    memcpy(row->serial, one->serial.at, one->serial.len);
    row->serial_len = one->serial.len;
    row->not_before_s = one->not_before;
    row->not_after_s = one->not_after;
    return pki_key_hash(one->issuer, row->issuer_hash);
}

static enum rc read_operator(const char *path, struct registry_first *first)
{
    AUTO_BUF(text, FILE_MAX);
    AUTO_BUF(der, PKI_CERTIFICATE_MAX);
    struct pki_certificate one;

    TRY(read_file(path, &text));
    struct bytes left = buf_bytes(&text);
    enum rc rc = pki_pem_next(&left, "CERTIFICATE", &der);
    if (rc == RC_OK)
        rc = pki_certificate_read(buf_bytes(&der), &one);
    if (rc == RC_OK)
        rc = describe(&one, first);
    return rc == RC_OK ? RC_OK : fault_while(rc, "%s", path);
}

enum rc daemon_authority_fill(struct store *store, const struct daemon_authority_first *first,
                              int64_t now_ms)
{
    struct filling filling = { .now_ms = now_ms };
    AUTO_BUF(authorities, AUTHORITIES_MAX);
    AUTO_BUF(policy, REGISTRY_POLICY_MAX);
    struct registry_text *text = &filling.first.policy;
    uint64_t subjects = 0;

    TRY(store_read(store, is_empty, &subjects));
    if (subjects > 0)
        return RC_OK;
    TRY(read_chain(first->chain, &authorities));
    TRY(read_operator(first->operator, & filling.first));
    TRY(read_file(first->policy, &policy));
    filling.first.authorities = buf_bytes(&authorities);
    text->octets = buf_bytes(&policy);
    if (policy.len > REGISTRY_TEXT_PART) {
        text->name.len = (uint32_t)policy.len;
        TRY(pki_key_hash(text->octets, text->name.hash));
    }
    return store_write(store, fill, &filling);
}

/* ---- In the log ---- */

struct telling {
    const struct daemon_authority_book *book;
    struct store_txn *txn;
};

static enum rc tell(const struct telling *telling, enum audit_action action,
                    const struct audit_certificate *certificate, struct bytes target,
                    struct bytes reason)
{
    const struct clock *clock = telling->book->clock;
    const struct audit_record record = { .action = action,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = clock_wall_ms(clock),
                                         .monotonic_ms = clock_monotonic_ms(clock),
                                         .actor_kind = AUDIT_PROCESS,
                                         .actor = BYTES("authority"),
                                         .certificate = *certificate,
                                         .target = target,
                                         .reason = reason };

    return audit_log_append(telling->book->log, telling->txn, &record, NULL);
}

static enum rc tell_authority(const struct telling *telling, struct bytes der)
{
    AUTO_BUF(name, 1024);
    AUTO_BUF(text, 4096);
    struct pki_certificate one;
    uint8_t issuer[32];

    TRY(pki_certificate_read(der, &one));
    TRY(pki_key_hash(one.issuer, issuer));
    pki_name_add_text(&name, one.subject);
    text_add_escaped(&text, buf_bytes(&name));
    struct bytes reason = buf_bytes(&text);
    if (reason.len > AUDIT_REASON_MAX)
        reason.len = AUDIT_REASON_MAX;
    const struct audit_certificate certificate = { BYTES_OF(one.fingerprint), one.serial,
                                                   BYTES_OF(issuer), BYTES_OF(one.key_hash) };
    return tell(telling, AUDIT_SYSTEM_INIT, &certificate, BYTES("certificate authority"),
                reason);
}

static enum rc tell_registered(struct store_txn *txn, struct registry_certificate *one,
                               void *with)
{
    static const enum audit_action MADE[] = { [REGISTRY_DEVICE] = AUDIT_CERTIFICATE_ISSUE,
                                              [REGISTRY_OPERATOR] = AUDIT_OPERATOR_ADD,
                                              [REGISTRY_LINE] = AUDIT_OPERATOR_ADD,
                                              [REGISTRY_DOOR] = AUDIT_DOOR_CERTIFY };
    const struct audit_certificate certificate = { BYTES_OF(one->fingerprint.at),
                                                   { one->serial, one->serial_len },
                                                   BYTES_OF(one->issuer_hash),
                                                   BYTES_OF(one->key_hash) };
    AUTO_BUF(target, REGISTRY_ID_MAX + 32);

    (void)txn;
    buf_addf(&target, "%s %s", registry_kind_name(one->kind), one->subject);
    return tell(with, MADE[one->kind], &certificate, buf_bytes(&target),
                BYTES("in the registry when the log began"));
}

enum rc daemon_authority_first_records(const struct daemon_authority_book *book,
                                       struct store_txn *txn)
{
    struct telling telling = { book, txn };
    struct bytes authorities = BYTES("");
    enum rc rc = registry_authorities_get(txn, &authorities);

    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    struct reader r = READER(authorities);
    while (r.left.len > 0) {
        struct bytes der = reader_sized32(&r, PKI_CERTIFICATE_MAX);
        if (r.broken)
            return fault(RC_CORRUPT, "registry: our CAs' certificates are cut short");
        TRY(tell_authority(&telling, der));
    }
    return registry_certificate_each(txn, tell_registered, &telling);
}
