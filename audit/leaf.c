#include "audit/leaf.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

struct audit_hasher {
    struct journal_digest *digest;
    EVP_MAC *algorithm;
    EVP_MAC_CTX *context;
};

void audit_hasher_free(struct audit_hasher *hasher)
{
    if (hasher == NULL)
        return;
    journal_digest_free(hasher->digest);
    EVP_MAC_CTX_free(hasher->context);
    EVP_MAC_free(hasher->algorithm);
    free(hasher);
}

enum rc audit_hasher_new(struct audit_hasher **hasher)
{
    char sha256[] = "SHA2-256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    AUTO_OF(audit_hasher) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "hasher");
    TRY(journal_digest_new(&made->digest));
    made->algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    made->context = EVP_MAC_CTX_new(made->algorithm);
    if (made->context == NULL || EVP_MAC_CTX_set_params(made->context, params) != 1)
        return fault(RC_CRYPTO, "HMAC-SHA-256 is not to be had from libcrypto");
    *hasher = TAKE(made);
    return RC_OK;
}

struct journal_digest *audit_hasher_digest(const struct audit_hasher *hasher)
{
    return hasher->digest;
}

/* As journal_digest_of(): a failure here means broken memory. */
static struct proof_hash commit_to(struct audit_hasher *hasher, struct bytes salt,
                                   struct bytes body)
{
    struct proof_hash made;
    size_t len = 0;

    if (EVP_MAC_init(hasher->context, salt.at, salt.len, NULL) != 1 ||
        EVP_MAC_update(hasher->context, body.at, body.len) != 1 ||
        EVP_MAC_final(hasher->context, made.at, &len, sizeof made.at) != 1 ||
        len != sizeof made.at)
        abort();
    return made;
}

void audit_leaf_write(struct audit_hasher *hasher, struct bytes record,
                      const uint8_t salt[AUDIT_SALT], struct buf *entry)
{
    struct reader r = READER(record);
    struct bytes head = reader_take(&r, AUDIT_HEAD);
    struct bytes with = { salt, AUDIT_SALT };
    struct proof_hash commitment = commit_to(hasher, with, r.left);

    buf_add(entry, head);
    buf_add(entry, BYTES_OF(commitment.at));
    buf_add(entry, with);
    buf_add(entry, r.left);
}

enum rc audit_leaf_read(struct bytes entry, struct audit_entry *parts)
{
    struct reader r = READER(entry);
    struct audit_entry made = { .leaf = { entry.at, AUDIT_LEAF } };

    made.head = reader_take(&r, AUDIT_HEAD);
    made.commitment = reader_take(&r, PROOF_HASH);
    made.erased = r.left.len == 0;
    if (!made.erased)
        made.salt = reader_take(&r, AUDIT_SALT);
    made.body = r.left;
    if (r.broken || entry.len > AUDIT_ENTRY_MAX)
        return fault(RC_MALFORMED, "audit entry: %zu octets, expected %d, or %d to %d",
                     entry.len, AUDIT_LEAF, AUDIT_LEAF + AUDIT_SALT, AUDIT_ENTRY_MAX);
    *parts = made;
    return RC_OK;
}

enum rc audit_leaf_check(struct audit_hasher *hasher, const struct audit_entry *entry)
{
    if (entry->erased)
        return RC_OK;
    struct proof_hash commitment = commit_to(hasher, entry->salt, entry->body);
    if (!bytes_equal(BYTES_OF(commitment.at), entry->commitment))
        return fault(RC_DENIED, "body or salt is not what the leaf commits to");
    return RC_OK;
}

struct proof_hash audit_leaf_hash(struct audit_hasher *hasher, const struct audit_entry *entry)
{
    return journal_proof_leaf(hasher->digest, entry->leaf);
}

enum rc audit_leaf_record(const struct audit_entry *entry, struct buf *room,
                          struct audit_record *record)
{
    struct bytes whole;

    if (entry->erased)
        return audit_record_read_head(entry->head, record);
    buf_reset(room);
    buf_add(room, entry->head);
    buf_add(room, entry->body);
    TRY(buf_done(room, &whole));
    return audit_record_read(whole, record);
}
