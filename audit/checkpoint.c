#include "audit/checkpoint.h"

#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { SIGNATURE_MAX = 80 };

AUTO_TYPE(BIO, BIO_free_all)
AUTO_TYPE(X509, X509_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

struct audit_checkpoint_key {
    EVP_PKEY *key;
    uint8_t id[AUDIT_KEY_ID];
};

enum rc audit_checkpoint_write(const struct audit_checkpoint *checkpoint, struct buf *text)
{
    if (!audit_note_is_name(checkpoint->origin))
        return fault(RC_MALFORMED,
                     "C2SP tlog-checkpoint: an origin is 1 to %d printable "
                     "characters without space and plus",
                     AUDIT_ORIGIN_MAX);
    buf_addf(text, "%.*s\n%" PRIu64 "\n", BYTES_FMT(checkpoint->origin), checkpoint->size);
    text_add_base64(text, BYTES_OF(checkpoint->root.at));
    buf_addf(text, "\njournal %" PRIu64 " ", checkpoint->journal_sequence);
    text_add_base64(text, BYTES_OF(checkpoint->journal_hash));
    buf_addf(text, "\n");
    return RC_OK;
}

static const char *what_is_wrong(struct reader *r, struct audit_checkpoint *made)
{
    made->origin = audit_note_take(r, '\n');
    if (r->broken || !audit_note_is_name(made->origin))
        return "line 1 is no origin";
    if (text_read_u64(audit_note_take(r, '\n'), INT64_MAX, &made->size) != RC_OK)
        return "line 2 is no tree size";
    if (!audit_note_read_hash(audit_note_take(r, '\n'), made->root.at))
        return "line 3 is not base64 of a root hash";
    if (!bytes_equal(audit_note_take(r, ' '), BYTES("journal")) ||
        text_read_u64(audit_note_take(r, ' '), INT64_MAX, &made->journal_sequence) != RC_OK ||
        !audit_note_read_hash(audit_note_take(r, '\n'), made->journal_hash))
        return "line 4 is not \"journal <sequence> <base64 of a hash>\"";
    return reader_done(r) ? NULL : "something follows line 4";
}

enum rc audit_checkpoint_read(struct bytes text, struct audit_checkpoint *checkpoint)
{
    struct reader r = READER(text);
    struct audit_checkpoint made = { 0 };
    const char *wrong = what_is_wrong(&r, &made);

    if (wrong != NULL)
        return fault(RC_MALFORMED, "C2SP tlog-checkpoint: %s", wrong);
    *checkpoint = made;
    return RC_OK;
}

void audit_checkpoint_key_free(struct audit_checkpoint_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

static EVP_PKEY *read_key(struct bytes bytes)
{
    AUTO(BIO) *bio = NULL;
    AUTO(X509) *certificate = NULL;
    const uint8_t *at = bytes.at;

    if (bytes.len > 0 && bytes.at[0] == 0x30) {
        EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)bytes.len);
        if (at == bytes.at + bytes.len)
            return key;
        EVP_PKEY_free(key);
        return NULL;
    }
    bio = BIO_new_mem_buf(bytes.at, (int)bytes.len);
    if (bio == NULL || !bytes_start_with(bytes, BYTES("-----BEGIN CERTIFICATE-----")))
        return bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    return certificate != NULL ? X509_get_pubkey(certificate) : NULL;
}

static enum rc set_id(struct audit_checkpoint_key *key)
{
    uint8_t *spki = NULL, hash[EVP_MAX_MD_SIZE];
    int len = i2d_PUBKEY(key->key, &spki);
    bool made = len > 0 && EVP_Digest(spki, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1;

    OPENSSL_free(spki);
    if (!made)
        return fault(RC_CRYPTO, "checkpoint key: its id cannot be made");
    memcpy(key->id, hash, AUDIT_KEY_ID);
    return RC_OK;
}

enum rc audit_checkpoint_key_read(struct bytes bytes, struct audit_checkpoint_key **key)
{
    AUTO_OF(audit_checkpoint_key) *made = calloc(1, sizeof *made);
    char group[32] = "";

    if (made == NULL)
        return fault(RC_NOMEM, "checkpoint key");
    made->key = bytes.len <= AUDIT_NOTE_MAX ? read_key(bytes) : NULL;
    if (made->key == NULL)
        return fault(RC_MALFORMED,
                     "checkpoint key: neither PEM of a public key or certificate, nor DER");
    if (EVP_PKEY_get_group_name(made->key, group, sizeof group, NULL) != 1 ||
        !bytes_equal_text(BYTES("prime256v1"), group))
        return fault(RC_DENIED, "checkpoint key: not on P-256");
    TRY(set_id(made));
    *key = TAKE(made);
    return RC_OK;
}

enum rc audit_checkpoint_note(const struct audit_checkpoint_key *key, struct bytes text,
                              struct bytes signature, struct buf *note)
{
    struct audit_checkpoint checkpoint;

    TRY(audit_checkpoint_read(text, &checkpoint));
    if (signature.len > SIGNATURE_MAX)
        return fault(RC_LIMIT, "a signature of %zu octets", signature.len);
    buf_add(note, text);
    buf_addf(note, "\n");
    audit_note_add_line(note, checkpoint.origin, key->id, signature);
    return RC_OK;
}

static bool verifies(const struct audit_checkpoint_key *key, struct bytes text,
                     struct bytes signature)
{
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();

    return context != NULL &&
           EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->key) == 1 &&
           EVP_DigestVerify(context, signature.at, signature.len, text.at, text.len) == 1;
}

enum rc audit_checkpoint_of_note(struct bytes note, struct audit_checkpoint *checkpoint)
{
    struct bytes text, lines;

    TRY(audit_note_split(note, &text, &lines));
    return audit_checkpoint_read(text, checkpoint);
}

enum rc audit_checkpoint_verify(const struct audit_checkpoint_key *key, struct bytes note,
                                struct audit_checkpoint *checkpoint)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    struct audit_checkpoint made;
    struct audit_note_line line;
    struct bytes text, lines;
    bool found = false;

    TRY(audit_note_split(note, &text, &lines));
    TRY(audit_checkpoint_read(text, &made));
    struct reader r = READER(lines);
    while (r.left.len > 0) {
        TRY(audit_note_next(&r, &room, &line));
        if (!bytes_equal(line.name, made.origin) || !bytes_equal(line.id, BYTES_OF(key->id)))
            continue;
        if (!verifies(key, text, line.signature))
            return fault(RC_DENIED,
                         "C2SP signed-note: the checkpoint key's signature is wrong");
        found = true;
    }
    if (!found)
        return fault(RC_DENIED, "C2SP signed-note: not signed by the checkpoint key");
    *checkpoint = made;
    return RC_OK;
}
