#include "audit/cosignature.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/text.h"

/* C2SP tlog-cosignature, "Format": the type octet of the key id. */
enum {
    TYPE = 0x04,
    TIME = 8,
    SIGNATURE = 64,
    KEY_TEXT = 44,
    MESSAGE_MAX = AUDIT_NOTE_MAX + 64
};

AUTO_TYPE(EVP_PKEY, EVP_PKEY_free)
AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

/* ---- Keys ---- */

enum rc audit_witness_of(struct bytes name, const uint8_t key[AUDIT_WITNESS_KEY],
                         struct audit_witness *witness)
{
    AUTO_BUF(hashed, AUDIT_NAME_MAX + 2 + AUDIT_WITNESS_KEY);
    struct audit_witness made = { 0 };
    uint8_t hash[EVP_MAX_MD_SIZE];

    if (!audit_note_is_name(name))
        return fault(RC_MALFORMED,
                     "C2SP signed-note: a witness's name is 1 to %d printable characters "
                     "without space and plus",
                     AUDIT_NAME_MAX);
    memcpy(made.name, name.at, name.len);
    memcpy(made.key, key, sizeof made.key);
    buf_add(&hashed, name);
    buf_addf(&hashed, "\n%c", TYPE);
    buf_add(&hashed, BYTES_OF(made.key));
    if (EVP_Digest(hashed.at, hashed.len, hash, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "witness: the key's id cannot be made");
    memcpy(made.id, hash, sizeof made.id);
    *witness = made;
    return RC_OK;
}

void audit_witness_write(const struct audit_witness *witness, struct buf *vkey)
{
    uint8_t typed[1 + AUDIT_WITNESS_KEY] = { TYPE };

    memcpy(typed + 1, witness->key, sizeof witness->key);
    buf_addf(vkey, "%s+", witness->name);
    text_add_hex(vkey, BYTES_OF(witness->id));
    buf_addf(vkey, "+");
    text_add_base64(vkey, BYTES_OF(typed));
}

enum rc audit_witness_read(struct bytes vkey, struct audit_witness *witness)
{
    AUTO_BUF(id, AUDIT_KEY_ID);
    AUTO_BUF(typed, AUDIT_VKEY_MAX);
    struct reader r = READER(vkey);
    struct bytes name = audit_note_take(&r, '+'), hex = audit_note_take(&r, '+');
    struct audit_witness made;

    if (r.broken || vkey.len > AUDIT_VKEY_MAX || text_read_hex(hex, &id) != RC_OK ||
        id.len != AUDIT_KEY_ID || !audit_note_read_base64(r.left, &typed) || typed.len < 2)
        return fault(RC_MALFORMED, "C2SP signed-note: a verifier key is <name>+<8 hexadecimal "
                                   "digits>+<base64>");
    if (typed.at[0] != TYPE || typed.len != 1 + AUDIT_WITNESS_KEY)
        return fault(RC_DENIED,
                     "verifier key %.*s: of type 0x%02x; witnesses' are Ed25519 of type 0x04",
                     BYTES_FMT(name), typed.at[0]);
    TRY(audit_witness_of(name, typed.at + 1, &made));
    if (!bytes_equal(BYTES_OF(made.id), buf_bytes(&id)))
        return fault(RC_MALFORMED, "verifier key %.*s: its id is not that of name and key",
                     BYTES_FMT(name));
    *witness = made;
    return RC_OK;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static enum rc add_witness(struct audit_witnesses *set, struct bytes vkey)
{
    struct audit_witness *made = &set->at[set->count];

    if (set->count == AUDIT_WITNESSES_MAX)
        return fault(RC_LIMIT, "more than %d witnesses", AUDIT_WITNESSES_MAX);
    TRY(audit_witness_read(vkey, made));
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->at[i].name, made->name) == 0 ||
            bytes_equal(BYTES_OF(set->at[i].key), BYTES_OF(made->key)))
            return fault(RC_EXISTS, "witness %s: its name or key stands twice", made->name);
    set->count++;
    return RC_OK;
}

enum rc audit_witnesses_add(struct audit_witnesses *set, struct bytes vkeys)
{
    struct audit_witnesses made = *set;
    size_t at = 0;

    while (at < vkeys.len) {
        size_t begin = at;
        while (at < vkeys.len && !is_space(vkeys.at[at]))
            at++;
        if (at > begin)
            TRY(add_witness(&made, (struct bytes){ vkeys.at + begin, at - begin }));
        at++;
    }
    *set = made;
    return RC_OK;
}

/* ---- Signatures ---- */

static enum rc write_message(struct bytes text, uint64_t time_s, struct buf *message,
                             struct bytes *bytes)
{
    buf_addf(message, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    buf_add(message, text);
    return buf_done(message, bytes);
}

bool audit_cosignature_is_by(const struct audit_witness *witness,
                             const struct audit_note_line *line)
{
    return bytes_equal_text(line->name, witness->name) &&
           bytes_equal(line->id, BYTES_OF(witness->id));
}

static bool verifies(const struct audit_witness *witness, struct bytes message,
                     struct bytes signature)
{
    AUTO(EVP_PKEY) *key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, witness->key, sizeof witness->key);
    AUTO(EVP_MD_CTX) *context = EVP_MD_CTX_new();

    return key != NULL && context != NULL &&
           EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
           EVP_DigestVerify(context, signature.at, signature.len, message.at, message.len) == 1;
}

enum rc audit_cosignature_check(const struct audit_witness *witness, struct bytes text,
                                struct bytes signature, uint64_t *time_s)
{
    AUTO_BUF(message, MESSAGE_MAX);
    struct reader r = READER(signature);
    uint64_t when = reader_u64(&r);
    struct bytes bytes;

    if (r.broken || r.left.len != SIGNATURE || when > INT64_MAX)
        return fault(RC_DENIED,
                     "witness %s: C2SP tlog-cosignature: %zu octets are no time and "
                     "signature",
                     witness->name, signature.len);
    TRY(write_message(text, when, &message, &bytes));
    if (!verifies(witness, bytes, r.left))
        return fault(RC_DENIED, "witness %s: its signature is wrong", witness->name);
    *time_s = when;
    return RC_OK;
}

/* NULL: nobody's of the set. */
static const struct audit_witness *witness_of(const struct audit_witnesses *set,
                                              const struct audit_note_line *line)
{
    for (size_t i = 0; i < set->count; i++)
        if (audit_cosignature_is_by(&set->at[i], line))
            return &set->at[i];
    return NULL;
}

/* Who signed: a bit for each. */
static enum rc find_signers(const struct audit_witnesses *set, struct bytes text,
                            struct bytes lines, uint32_t *signers)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    struct reader r = READER(lines);
    struct audit_note_line line;
    uint32_t found = 0;
    uint64_t time_s;

    while (r.left.len > 0) {
        TRY(audit_note_next(&r, &room, &line));
        const struct audit_witness *witness = witness_of(set, &line);
        if (witness == NULL)
            continue;
        TRY(audit_cosignature_check(witness, text, line.signature, &time_s));
        found |= 1u << (witness - set->at);
    }
    *signers = found;
    return RC_OK;
}

enum rc audit_cosignature_count(const struct audit_witnesses *set, struct bytes note,
                                size_t *count)
{
    struct bytes text, lines;
    uint32_t signers = 0;

    TRY(audit_note_split(note, &text, &lines));
    TRY(find_signers(set, text, lines, &signers));
    *count = (size_t)__builtin_popcount(signers);
    return RC_OK;
}

enum rc audit_cosignature_demand(const struct audit_witnesses *set, struct bytes note)
{
    size_t count = 0;

    TRY(audit_cosignature_count(set, note, &count));
    if (count < set->quorum)
        return fault(RC_DENIED, "%zu of %zu witnesses signed this checkpoint, %zu are demanded",
                     count, set->count, set->quorum);
    return RC_OK;
}

enum rc audit_cosignature_merge(const struct audit_witnesses *set, struct bytes lines,
                                struct buf *note, size_t *added)
{
    AUTO_BUF(room, AUDIT_NOTE_MAX);
    AUTO_BUF(fresh, AUDIT_NOTE_MAX);
    struct bytes text, there, whole;
    struct audit_note_line line;
    uint32_t signers = 0, offered = 0;
    size_t count = 0;

    TRY(audit_note_split(buf_bytes(note), &text, &there));
    TRY(find_signers(set, text, there, &signers));
    TRY(find_signers(set, text, lines, &offered));
    struct reader r = READER(lines);
    while (r.left.len > 0) {
        TRY(audit_note_next(&r, &room, &line));
        const struct audit_witness *witness = witness_of(set, &line);
        uint32_t bit = witness == NULL ? 0 : 1u << (witness - set->at);
        if (bit == 0 || (signers & bit) != 0)
            continue;
        signers |= bit;
        buf_add(&fresh, line.whole);
        count++;
    }
    TRY(buf_done(&fresh, &whole));
    if (note->len + whole.len > note->max)
        return fault(RC_LIMIT, "a note of more than %zu octets", note->max);
    buf_add(note, whole);
    *added = count;
    return RC_OK;
}
