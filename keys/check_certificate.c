#include "keys/check.h"

#include <openssl/evp.h>
#include <string.h>

#include "keys/certificate.h"
#include "keys/check_extension.h"
#include "keys/issuer.h"
#include "keys/public_key.h"
#include "keys/terms.h"

static enum rc check_serial(struct bytes serial)
{
    if (serial.at[0] >= 0x80)
        return fault(RC_DENIED, "RFC 5280 4.1.2.2: serial number is negative");
    if (serial.len < KEYS_SERIAL_MIN || serial.len > KEYS_SERIAL_MAX)
        return fault(RC_DENIED,
                     "RFC 5280 4.1.2.2: serial number of %zu octets, expected %d to %d",
                     serial.len, KEYS_SERIAL_MIN, KEYS_SERIAL_MAX);
    return RC_OK;
}

static enum rc check_subject(const struct keys_rules *rules, const struct keys_rule *rule,
                             const struct keys_certificate *c)
{
    for (size_t i = 0; i < KEYS_ATTRIBUTES; i++) {
        const struct keys_subject_rule *sr = &rule->certificate.subject[i];
        const char *word = keys_terms_attribute().term[i].word;
        bool present = c->attribute[i].at != NULL;

        if (sr->presence == KEYS_REQUIRED && !present)
            return fault(RC_DENIED, "RFC 5280 4.1.2.6: subject has no %s", word);
        if (sr->presence == KEYS_FORBIDDEN && present)
            return fault(RC_DENIED, "RFC 5280 4.1.2.6: subject has a %s, which is not allowed",
                         word);
        if (present && sr->equals[0] != '\0' && !bytes_equal_text(c->attribute[i], sr->equals))
            return fault(RC_DENIED, "RFC 5280 4.1.2.6: subject's %s is not \"%s\"", word,
                         sr->equals);
    }
    for (size_t i = 0; i < rules->count; i++) {
        const struct keys_rule *r = &rules->rule[i];

        if (r->issuer_len > 0 &&
            bytes_equal(c->subject, (struct bytes){ r->issuer, r->issuer_len }))
            return fault(RC_DENIED, "RFC 5280 4.1.2.6: subject is the issuer of key %s",
                         r->name);
    }
    return RC_OK;
}

static enum rc check_public_key(const struct keys_rules *rules, struct bytes public_key)
{
    TRY(keys_public_key_check(public_key));
    for (size_t i = 0; i < rules->count; i++)
        if (bytes_equal(public_key, BYTES_OF(rules->rule[i].public_key)))
            return fault(RC_DENIED, "RFC 5280 4.1.2.7: the subject's key is our own key %s",
                         rules->rule[i].name);
    return RC_OK;
}

enum rc keys_check_certificate(const struct keys_rules *rules, const struct keys_rule *rule,
                               struct bytes tbs, int64_t now_s, struct keys_finding *finding)
{
    struct keys_certificate c = { 0 };
    struct keys_finding made = *finding;
    size_t len = 0;

    TRY(keys_certificate_read(tbs, &c));
    TRY(check_serial(c.serial));
    TRY(keys_issuer_check(rule, c.algorithm, c.issuer));
    TRY(keys_issuer_check_span(rule, "RFC 5280 4.1.2.5: validity", c.not_before_s,
                               c.not_after_s, rule->certificate.lifetime_most_s, now_s));
    TRY(check_subject(rules, rule, &c));
    TRY(check_public_key(rules, c.public_key));
    TRY(keys_check_extensions(rule, &c));

    memcpy(made.serial, c.serial.at, c.serial.len);
    made.serial_len = c.serial.len;
    made.not_before_s = c.not_before_s;
    made.not_after_s = c.not_after_s;
    if (EVP_Q_digest(NULL, "SHA256", NULL, c.public_key.at, c.public_key.len, made.subject_key,
                     &len) != 1)
        return fault(RC_CRYPTO, "SHA-256 is not available");
    *finding = made;
    return RC_OK;
}
