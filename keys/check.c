#include "keys/check.h"

#include <openssl/evp.h>

#include "keys/terms.h"

static const char *kind_word(enum keys_kind kind)
{
    struct keys_terms terms = keys_terms_kind();

    for (size_t i = 0; i < terms.count; i++)
        if (kind == 1u << i)
            return terms.term[i].word;
    return "unknown";
}

static enum rc check_kind(const struct keys_rules *rules, const struct keys_rule *rule,
                          const struct keys_question *question,
                          const struct keys_memory *memory, int64_t now_s,
                          struct keys_finding *finding)
{
    switch (question->kind) {
    case KEYS_CERTIFICATE:
        return keys_check_certificate(rules, rule, question->to_be_signed, now_s, finding);
    case KEYS_CRL:
        return keys_check_crl(rule, question->to_be_signed, memory, now_s, finding);
    case KEYS_CHECKPOINT:
        return keys_check_checkpoint(rule, question, memory, finding);
    }
    return fault(RC_DENIED, "kind %d is unknown", (int)question->kind);
}

enum rc keys_check(const struct keys_rules *rules, const struct keys_rule *rule,
                   const struct keys_question *question, const struct keys_memory *memory,
                   int64_t now_s, struct keys_finding *finding)
{
    struct keys_finding made = { .kind = question->kind, .memory = *memory };
    size_t len = 0;

    if ((rule->kinds & (unsigned)question->kind) == 0)
        return fault(RC_DENIED, "key %s does not sign the kind \"%s\"", rule->name,
                     kind_word(question->kind));
    if (question->kind != KEYS_CHECKPOINT && question->proof_count > 0)
        return fault(RC_DENIED, "a consistency proof belongs to a checkpoint only");
    TRY(check_kind(rules, rule, question, memory, now_s, &made));
    if (EVP_Q_digest(NULL, "SHA256", NULL, question->to_be_signed.at,
                     question->to_be_signed.len, made.digest, &len) != 1)
        return fault(RC_CRYPTO, "SHA-256 is not available");
    *finding = made;
    return RC_OK;
}
