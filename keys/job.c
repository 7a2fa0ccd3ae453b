#include "keys/job.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/sealed.h"
#include "keys/entry.h"

AUTO_TYPE(EVP_MD_CTX, EVP_MD_CTX_free)

enum { READ_AT_ONCE = 64 * 1024 };

static enum rc digest(struct bytes bytes, uint8_t made[32])
{
    if (EVP_Digest(bytes.at, bytes.len, made, NULL, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256");
    return RC_OK;
}

enum rc keys_job_new(const struct link_request *request, enum keys_kind kind,
                     const struct keys_ask *ask, struct keys_job **job)
{
    AUTO_OF(keys_job) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "request");
    made->request = *request;
    made->request.body = (struct bytes){ NULL, 0 };
    made->kind = kind;
    made->count = ask->count;
    made->reply = BUF_MAX(LINK_BODY_MAX);
    memcpy(made->key, ask->key, sizeof made->key);
    memcpy(made->correlation, ask->correlation, sizeof made->correlation);
    for (size_t i = 0; i < ask->count; i++)
        TRY(digest(ask->items[i], made->digest[i]));
    if (ask->sealed > 0) {
        made->count = 1;
        TRY(digest(request->body, made->digest[0]));
    }
    *job = TAKE(made);
    return RC_OK;
}

enum rc keys_job_read_sealed(struct keys_job *job, int fd, size_t len)
{
    AUTO(EVP_MD_CTX) *hash = EVP_MD_CTX_new();
    AUTO_BUF(part, READ_AT_ONCE);

    TRY(sealed_check(fd, len));
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256");
    for (size_t at = 0; at < len; at += part.len) {
        buf_reset(&part);
        TRY(sealed_read(fd, at, len - at < READ_AT_ONCE ? len - at : READ_AT_ONCE, &part));
        if (EVP_DigestUpdate(hash, part.at, part.len) != 1)
            return fault(RC_CRYPTO, "SHA-256");
    }
    if (EVP_DigestFinal_ex(hash, job->digest[0], NULL) != 1)
        return fault(RC_CRYPTO, "SHA-256");
    return RC_OK;
}

void keys_job_free(struct keys_job *job)
{
    if (job == NULL)
        return;
    buf_clear(&job->reply);
    free(job);
}

static struct keys_entry begin_entry(const struct keys_job *job, size_t item,
                                     enum keys_entry_kind kind)
{
    struct keys_entry entry = { .kind = kind, .of = job->kind };

    memcpy(entry.key, job->key, sizeof entry.key);
    memcpy(entry.correlation, job->correlation, sizeof entry.correlation);
    memcpy(entry.digest, job->digest[item], sizeof entry.digest);
    return entry;
}

/*
 * The one thing about a CRL or checkpoint that a worker cannot be believed without harm: a
 * memory that goes back would let an older one be signed.
 */
static enum rc check_memory(const struct keys_job *job, const struct keys_finding *finding,
                            const struct keys_past *past)
{
    const struct keys_memory *said = &finding->memory, *held = &past->memory;
    bool good = true;

    if (job->kind == KEYS_CRL)
        good = said->crl_number > held->crl_number && said->tree_size == held->tree_size;
    if (job->kind == KEYS_CHECKPOINT)
        good = said->tree_size == job->memory.tree_size &&
               bytes_equal(BYTES_OF(said->tree_root.at), BYTES_OF(job->memory.tree_root.at));
    return good ? RC_OK : fault(RC_CORRUPT, "a worker's memory of key %s went back", job->key);
}

static enum rc settle_signed(struct keys_job *job, struct journal *journal, size_t item,
                             const struct keys_finding *finding, uint64_t *sequence)
{
    struct keys_entry entry = begin_entry(job, item, KEYS_ENTRY_SIGNED);

    TRY(digest(BYTES_OF(job->rule->public_key), entry.issuer_key));
    entry.not_before_s = finding->not_before_s;
    entry.not_after_s = finding->not_after_s;
    if (job->kind == KEYS_CERTIFICATE) {
        memcpy(entry.serial, finding->serial, sizeof entry.serial);
        entry.serial_len = finding->serial_len;
        memcpy(entry.subject_key, finding->subject_key, sizeof entry.subject_key);
    } else {
        entry.memory = job->memory = finding->memory;
        job->remembers = true;
    }
    return keys_entry_append(journal, &entry, sequence);
}

static enum rc settle_refused(struct keys_job *job, struct journal *journal, size_t item,
                              enum rc rc, struct bytes text, uint64_t *sequence)
{
    struct keys_entry entry = begin_entry(job, item, KEYS_ENTRY_REFUSED);

    entry.rc = rc;
    entry.text = text;
    return keys_entry_append(journal, &entry, sequence);
}

/* past is only read: it moves once this is committed. */
static enum rc settle_all(struct keys_job *job, struct journal *journal,
                          const struct keys_results *results, struct keys_answers *answers)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct keys_result *one = &results->at[i];
        struct keys_answer *answer = &answers->at[i];
        *answer = (struct keys_answer){ .rc = one->rc,
                                        .signature = one->signature,
                                        .text = one->text };
        if (one->rc == RC_OK)
            TRY(settle_signed(job, journal, i, &one->finding, &answer->sequence));
        else
            TRY(settle_refused(job, journal, i, one->rc, one->text, &answer->sequence));
        job->sequence = answer->sequence;
    }
    return RC_OK;
}

enum rc keys_job_settle(struct keys_job *job, struct journal *journal,
                        const struct keys_past *past, const struct keys_results *results)
{
    struct keys_answers answers = { .count = job->count };

    if (results->count != job->count)
        return fault(RC_CORRUPT, "a worker answered %zu of %zu items", results->count,
                     job->count);
    for (size_t i = 0; i < job->count; i++)
        if (results->at[i].rc == RC_OK)
            TRY(check_memory(job, &results->at[i].finding, past));
    TRY(settle_all(job, journal, results, &answers));
    return keys_protocol_write_answers(&answers, &job->reply);
}

enum rc keys_job_refuse(struct keys_job *job, struct journal *journal, bool journaled,
                        enum rc rc, const char *why)
{
    struct keys_answers answers = { .count = job->count };
    struct bytes text = bytes_of_text(why);

    if (text.len > KEYS_TEXT_MAX)
        text.len = KEYS_TEXT_MAX;
    for (size_t i = 0; i < job->count; i++) {
        answers.at[i] = (struct keys_answer){ .rc = rc, .text = text };
        if (journaled)
            TRY(settle_refused(job, journal, i, rc, text, &answers.at[i].sequence));
    }
    return keys_protocol_write_answers(&answers, &job->reply);
}
