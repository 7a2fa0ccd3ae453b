#include "audit/checkpoint.h"

#include <inttypes.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* C2SP signed-note, "Format": em dash (U+2014), space. */
#define DASH BYTES("\xe2\x80\x94 ")

enum { HASH_TEXT = 44, SIGNATURE_MAX = 80 };

AUTO_TYPE(BIO, BIO_free_all)
AUTO_TYPE(X509, X509_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

struct audit_checkpoint_key {
    EVP_PKEY *key;
    uint8_t id[AUDIT_KEY_ID];
};

static bool is_origin(struct bytes origin)
{
    for (size_t i = 0; i < origin.len; i++)
        if (origin.at[i] <= ' ' || origin.at[i] > '~' || origin.at[i] == '+')
            return false;
    return origin.len > 0 && origin.len <= AUDIT_ORIGIN_MAX;
}

enum rc audit_checkpoint_write(const struct audit_checkpoint *checkpoint, struct buf *text)
{
    if (!is_origin(checkpoint->origin))
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

/* Up to this character, which is consumed, too. */
static struct bytes take_until(struct reader *r, char end)
{
    const uint8_t *at = r->left.len > 0 ? memchr(r->left.at, end, r->left.len) : NULL;
    struct bytes taken = reader_take(r, at != NULL ? (size_t)(at - r->left.at) : SIZE_MAX);

    reader_u8(r);
    return taken;
}

/* What text_read_base64() skips as white space must not be there. */
static bool read_base64(struct bytes text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ')
            return false;
    return text_read_base64(text, out) == RC_OK && !out->broken;
}

static bool read_hash(struct bytes text, uint8_t hash[PROOF_HASH])
{
    AUTO_BUF(octets, PROOF_HASH);

    if (text.len != HASH_TEXT || !read_base64(text, &octets) || octets.len != PROOF_HASH)
        return false;
    memcpy(hash, octets.at, PROOF_HASH);
    return true;
}

static const char *what_is_wrong(struct reader *r, struct audit_checkpoint *made)
{
    made->origin = take_until(r, '\n');
    if (r->broken || !is_origin(made->origin))
        return "line 1 is no origin";
    if (text_read_u64(take_until(r, '\n'), INT64_MAX, &made->size) != RC_OK)
        return "line 2 is no tree size";
    if (!read_hash(take_until(r, '\n'), made->root.at))
        return "line 3 is not base64 of a root hash";
    if (!bytes_equal(take_until(r, ' '), BYTES("journal")) ||
        text_read_u64(take_until(r, ' '), INT64_MAX, &made->journal_sequence) != RC_OK ||
        !read_hash(take_until(r, '\n'), made->journal_hash))
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
    AUTO_BUF(blob, AUDIT_KEY_ID + SIGNATURE_MAX);
    struct audit_checkpoint checkpoint;
    struct bytes signed_by;

    TRY(audit_checkpoint_read(text, &checkpoint));
    buf_add(&blob, BYTES_OF(key->id));
    buf_add(&blob, signature);
    TRY(buf_done(&blob, &signed_by));
    buf_add(note, text);
    buf_addf(note, "\n");
    buf_add(note, DASH);
    buf_addf(note, "%.*s ", BYTES_FMT(checkpoint.origin));
    text_add_base64(note, signed_by);
    buf_addf(note, "\n");
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

/* RC_NOT_FOUND: another key's line. */
static enum rc check_line(const struct audit_checkpoint_key *key, struct bytes origin,
                          struct bytes text, struct reader *r)
{
    AUTO_BUF(blob, AUDIT_NOTE_MAX);
    bool dashed = bytes_equal(reader_take(r, DASH.len), DASH);
    struct bytes name = take_until(r, ' '), octets = take_until(r, '\n');

    if (r->broken || !dashed || name.len == 0 || !read_base64(octets, &blob) ||
        blob.len <= AUDIT_KEY_ID)
        return fault(RC_MALFORMED, "C2SP signed-note: a signature line is not \"\u2014 <name> "
                                   "<base64>\"");
    struct reader signed_by = READER(buf_bytes(&blob));
    if (!bytes_equal(name, origin) ||
        !bytes_equal(reader_take(&signed_by, AUDIT_KEY_ID), BYTES_OF(key->id)))
        return RC_NOT_FOUND;
    if (!verifies(key, text, signed_by.left))
        return fault(RC_DENIED, "C2SP signed-note: the checkpoint key's signature is wrong");
    return RC_OK;
}

/* The text ends before the last empty line (C2SP signed-note, "Format"). */
static bool split(struct bytes note, struct bytes *text, struct reader *lines)
{
    for (size_t at = note.len; at >= 2; at--) {
        if (note.at[at - 1] != '\n' || note.at[at - 2] != '\n')
            continue;
        *text = (struct bytes){ note.at, at - 1 };
        *lines = READER(((struct bytes){ note.at + at, note.len - at }));
        return true;
    }
    return false;
}

static enum rc read_note(struct bytes note, struct audit_checkpoint *made, struct bytes *text,
                         struct reader *lines)
{
    if (note.len > AUDIT_NOTE_MAX || !split(note, text, lines))
        return fault(RC_MALFORMED, "C2SP signed-note: no empty line, or over %d octets",
                     AUDIT_NOTE_MAX);
    return audit_checkpoint_read(*text, made);
}

enum rc audit_checkpoint_of_note(struct bytes note, struct audit_checkpoint *checkpoint)
{
    struct reader lines;
    struct bytes text;

    return read_note(note, checkpoint, &text, &lines);
}

enum rc audit_checkpoint_verify(const struct audit_checkpoint_key *key, struct bytes note,
                                struct audit_checkpoint *checkpoint)
{
    struct audit_checkpoint made;
    struct reader lines;
    struct bytes text;
    bool found = false;

    TRY(read_note(note, &made, &text, &lines));
    while (lines.left.len > 0) {
        enum rc rc = check_line(key, made.origin, text, &lines);
        if (rc != RC_OK && rc != RC_NOT_FOUND)
            return rc;
        found = found || rc == RC_OK;
    }
    if (!found)
        return fault(RC_DENIED, "C2SP signed-note: not signed by the checkpoint key");
    *checkpoint = made;
    return RC_OK;
}
