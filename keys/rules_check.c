#include "keys/rules.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "keys/name.h"
#include "keys/public_key.h"
#include "keys/san.h"
#include "keys/terms.h"

enum {
    DAY_S = 86400,
    BACKDATE_MAX_S = 7 * DAY_S,
    POSTDATE_MAX_S = DAY_S,
    NEXT_UPDATE_MAX_S = 366 * DAY_S,
    DESCRIBED_MAX = 4 * 1024,
    CA_KINDS = KEYS_CERTIFICATE | KEYS_CRL,
    CA_USAGES = KEYS_KEY_CERT_SIGN | KEYS_CRL_SIGN,
    USAGES = (KEYS_CRL_SIGN << 1) - 1,
};

/* IEEE 802.1AR 8.7: an IDevID may last to the end of the calendar. */
static const int64_t LIFETIME_MAX_S = 9999LL * 366 * DAY_S;

static enum rc check_name(const char *name)
{
    size_t len = strnlen(name, KEYS_NAME_MAX + 1);
    bool good = len > 0 && len <= KEYS_NAME_MAX && name[0] >= 'a' && name[0] <= 'z';

    for (size_t i = 0; good && i < len; i++)
        good = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
               name[i] == '-';
    if (!good)
        return fault(RC_MALFORMED,
                     "a name is 1 to %d lower-case letters, digits and hyphens, a letter first",
                     KEYS_NAME_MAX);
    return RC_OK;
}

/* Would this text stand as it is in a line, after one space? */
static bool is_line_text(const char *text, size_t most)
{
    size_t len = strnlen(text, most + 1);

    return len > 0 && len <= most &&
           text_is_printable((struct bytes){ (const uint8_t *)text, len });
}

static enum rc check_span(const char *what, int64_t seconds, int64_t least, int64_t most)
{
    if (seconds < least || seconds > most)
        return fault(RC_MALFORMED, "%s of %lld s, expected %lld to %lld s", what,
                     (long long)seconds, (long long)least, (long long)most);
    return RC_OK;
}

static enum rc check_kinds(const struct keys_rule *rule)
{
    bool ca = rule->purpose == KEYS_PURPOSE_CA;

    if (!ca && rule->purpose != KEYS_PURPOSE_CHECKPOINT)
        return fault(RC_MALFORMED, "no purpose");
    if (rule->kinds == 0 || (rule->kinds & ~(unsigned)(ca ? CA_KINDS : KEYS_CHECKPOINT)) != 0)
        return fault(RC_MALFORMED, "a %s key signs %s only",
                     keys_terms_purpose().term[rule->purpose].word,
                     ca ? "certificates and CRLs" : "checkpoints");
    if ((rule->rate_per_s == 0) != (rule->rate_burst == 0))
        return fault(RC_MALFORMED, "a rate and its burst are both zero or both not");
    return RC_OK;
}

static enum rc check_issuer(const struct keys_rule *rule)
{
    AUTO_BUF(described, DESCRIBED_MAX);
    struct civil civil;

    if (rule->issuer_len > KEYS_NAME_DER_MAX)
        return fault(RC_MALFORMED, "an issuer of %zu octets", rule->issuer_len);
    TRY(keys_name_describe((struct bytes){ rule->issuer, rule->issuer_len }, &described));
    if (rule->key_id_len < KEYS_KEY_ID_MIN || rule->key_id_len > KEYS_KEY_ID_MAX)
        return fault(RC_MALFORMED, "key-id of %zu octets, expected %d to %d", rule->key_id_len,
                     KEYS_KEY_ID_MIN, KEYS_KEY_ID_MAX);
    if (clock_to_civil(rule->not_after_s, &civil) != RC_OK)
        return fault(RC_MALFORMED, "not-after outside the years 0 to 9999");
    TRY(check_span("backdate", rule->backdate_most_s, 0, BACKDATE_MAX_S));
    return check_span("postdate", rule->postdate_most_s, 0, POSTDATE_MAX_S);
}

static enum rc check_usage(const struct keys_certificate_rule *c)
{
    const struct keys_extension_rule *constraints = &c->extension[KEYS_BASIC_CONSTRAINTS];
    bool signs = (c->key_usage & CA_USAGES) != 0;

    if (c->key_usage == 0 || c->key_usage > USAGES)
        return fault(RC_MALFORMED, "no key usage, or an unknown one");
    if (c->ca && (c->key_usage & KEYS_KEY_CERT_SIGN) == 0)
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.9: a CA's key usage has keyCertSign");
    if (!c->ca && signs)
        return fault(
            RC_MALFORMED,
            "RFC 5280 4.2.1.9: an end entity's key usage has no keyCertSign or cRLSign");
    if (c->ca && (constraints->presence != KEYS_REQUIRED || !constraints->critical))
        return fault(RC_MALFORMED,
                     "RFC 5280 4.2.1.9: a CA's basicConstraints is required and critical");
    if (c->ca ? c->path_length < -1 || c->path_length > 9 : c->path_length != 0)
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.9: path length out of range");
    if ((c->extended_key_usage & ~(unsigned)(KEYS_SERVER_AUTH | KEYS_CLIENT_AUTH)) != 0)
        return fault(RC_MALFORMED, "an unknown extended key usage");
    return RC_OK;
}

/* "http://host/": without the slash behind the host, "http://host.elsewhere" would match. */
static bool is_uri_prefix(const char *prefix)
{
    const char *host = strncmp(prefix, "http://", 7) == 0    ? prefix + 7
                       : strncmp(prefix, "https://", 8) == 0 ? prefix + 8
                                                             : "/";

    return host[0] != '/' && strchr(host, '/') != NULL && strchr(prefix, ' ') == NULL &&
           is_line_text(prefix, KEYS_PATTERN_MAX);
}

static enum rc check_extension(enum keys_extension which, const struct keys_extension_rule *e)
{
    const char *word = keys_terms_extension().term[which].word;
    bool located = which == KEYS_CRL_DISTRIBUTION_POINTS || which == KEYS_AUTHORITY_INFO_ACCESS;
    bool plain_only = which == KEYS_AUTHORITY_KEY_IDENTIFIER ||
                      which == KEYS_SUBJECT_KEY_IDENTIFIER ||
                      which == KEYS_AUTHORITY_INFO_ACCESS;

    if (e->presence > KEYS_REQUIRED)
        return fault(RC_MALFORMED, "%s: an unknown presence", word);
    if (e->presence == KEYS_FORBIDDEN && (e->critical || e->uri_prefix[0] != '\0'))
        return fault(RC_MALFORMED, "%s: forbidden, and yet has a form", word);
    if (e->presence == KEYS_FORBIDDEN)
        return RC_OK;
    if (plain_only && e->critical)
        return fault(RC_MALFORMED, "RFC 5280 4.2: %s is never critical", word);
    if (located ? !is_uri_prefix(e->uri_prefix) : e->uri_prefix[0] != '\0')
        return fault(RC_MALFORMED,
                     located ? "%s: expected a prefix such as http://crl.example/"
                             : "%s: has no URIs and so no prefix",
                     word);
    return RC_OK;
}

static enum rc check_extensions(const struct keys_certificate_rule *c)
{
    const struct keys_extension_rule *e = c->extension;

    for (unsigned i = 0; i < KEYS_EXTENSIONS; i++)
        TRY(check_extension((enum keys_extension)i, &e[i]));
    if (e[KEYS_AUTHORITY_KEY_IDENTIFIER].presence != KEYS_REQUIRED ||
        e[KEYS_KEY_USAGE].presence != KEYS_REQUIRED)
        return fault(RC_MALFORMED, "authorityKeyIdentifier and keyUsage are always required");
    if (c->ca && e[KEYS_SUBJECT_KEY_IDENTIFIER].presence != KEYS_REQUIRED)
        return fault(RC_MALFORMED, "RFC 5280 4.2.1.2: a CA's subjectKeyIdentifier is required");
    if (e[KEYS_EXTENDED_KEY_USAGE].presence !=
        (c->extended_key_usage != 0 ? KEYS_REQUIRED : KEYS_FORBIDDEN))
        return fault(RC_MALFORMED,
                     "extKeyUsage is required with an ext-key-usage, forbidden with none");
    if ((e[KEYS_SUBJECT_ALT_NAME].presence == KEYS_FORBIDDEN) != (c->san_count == 0))
        return fault(RC_MALFORMED, "subjectAltName and `san` lines need each other");
    return RC_OK;
}

static enum rc check_subject(const struct keys_certificate_rule *c)
{
    bool some = false;

    for (size_t i = 0; i < KEYS_ATTRIBUTES; i++) {
        const struct keys_subject_rule *s = &c->subject[i];

        if (s->presence > KEYS_REQUIRED ||
            (s->equals[0] != '\0' &&
             (s->presence == KEYS_FORBIDDEN || !is_line_text(s->equals, KEYS_VALUE_MAX))))
            return fault(RC_MALFORMED, "subject %s: no such pattern",
                         keys_terms_attribute().term[i].word);
        some = some || s->presence == KEYS_REQUIRED;
    }
    return some ? RC_OK : fault(RC_MALFORMED, "no subject attribute is required");
}

static enum rc check_san(const struct keys_certificate_rule *c, const struct keys_san_rule *san)
{
    enum keys_attribute attribute;

    if (san->kind > KEYS_SAN_IP || !is_line_text(san->pattern, KEYS_PATTERN_MAX))
        return fault(RC_MALFORMED, "san: unknown kind, or no pattern");
    TRY(keys_san_check_pattern(san));
    if (san->most == 0 || san->least > san->most || san->most > KEYS_SAN_NAMES_MAX)
        return fault(RC_MALFORMED, "san: %u to %u names, expected 0 to 1 up to 16 to 16",
                     san->least, san->most);
    attribute = keys_san_attribute(san);
    if (attribute != KEYS_ATTRIBUTES && c->subject[attribute].presence != KEYS_REQUIRED)
        return fault(RC_MALFORMED, "san uri: \"%s\" refers to what is not required",
                     san->pattern);
    if (san->least > 0 && c->extension[KEYS_SUBJECT_ALT_NAME].presence != KEYS_REQUIRED)
        return fault(RC_MALFORMED, "san: required names in an extension that is not");
    return RC_OK;
}

static enum rc check_certificate(const struct keys_certificate_rule *c)
{
    TRY(check_span("lifetime", c->lifetime_most_s, 1, LIFETIME_MAX_S));
    TRY(check_usage(c));
    TRY(check_subject(c));
    if (c->san_count > KEYS_SAN_RULES_MAX)
        return fault(RC_MALFORMED, "%zu san patterns", c->san_count);
    TRY(check_extensions(c));
    for (size_t i = 0; i < c->san_count; i++)
        TRY(check_san(c, &c->san[i]));
    return RC_OK;
}

static enum rc check_rule(const struct keys_rule *rule)
{
    TRY(check_kinds(rule));
    TRY(keys_public_key_check(BYTES_OF(rule->public_key)));
    if ((rule->kinds & CA_KINDS) != 0)
        TRY(check_issuer(rule));
    if ((rule->kinds & KEYS_CERTIFICATE) != 0)
        TRY(check_certificate(&rule->certificate));
    if ((rule->kinds & KEYS_CRL) != 0)
        TRY(check_span("next-update", rule->next_update_most_s, 1, NEXT_UPDATE_MAX_S));
    /* C2SP signed-note: a key name, which an origin also is, has no spaces and no plus. */
    if ((rule->kinds & KEYS_CHECKPOINT) != 0 &&
        (!is_line_text(rule->origin, KEYS_PATTERN_MAX) || strpbrk(rule->origin, " +") != NULL))
        return fault(RC_MALFORMED, "origin: expected printable text without spaces and plus");
    return RC_OK;
}

static bool equal_octets(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    return bytes_equal((struct bytes){ a, a_len }, (struct bytes){ b, b_len });
}

/* What two keys may never share. */
static const char *shared(const struct keys_rule *a, const struct keys_rule *b)
{
    if (strcmp(a->name, b->name) == 0)
        return "name";
    if (bytes_equal(BYTES_OF(a->public_key), BYTES_OF(b->public_key)))
        return "public key";
    if (a->purpose != KEYS_PURPOSE_CA || b->purpose != KEYS_PURPOSE_CA)
        return a->purpose == b->purpose && strcmp(a->origin, b->origin) == 0 ? "origin" : NULL;
    if (equal_octets(a->issuer, a->issuer_len, b->issuer, b->issuer_len))
        return "issuer";
    return equal_octets(a->key_id, a->key_id_len, b->key_id, b->key_id_len) ? "key-id" : NULL;
}

static enum rc check_apart(const struct keys_rules *rules, size_t which)
{
    const struct keys_rule *rule = &rules->rule[which];

    for (size_t i = 0; i < which; i++) {
        const char *both = shared(&rules->rule[i], rule);

        if (both != NULL)
            return fault(RC_MALFORMED, "has the %s of key %s", both, rules->rule[i].name);
    }
    return RC_OK;
}

enum rc keys_rules_check(const struct keys_rules *rules)
{
    if (rules->revision == 0)
        return fault(RC_MALFORMED, "revisions count from 1");
    if (rules->count == 0 || rules->count > KEYS_PER_RULES_MAX)
        return fault(RC_MALFORMED, "%zu keys, expected 1 to %d", rules->count,
                     KEYS_PER_RULES_MAX);
    for (size_t i = 0; i < rules->count; i++) {
        const struct keys_rule *rule = &rules->rule[i];

        TRY(check_name(rule->name));
        enum rc rc = check_rule(rule);
        if (rc == RC_OK)
            rc = check_apart(rules, i);
        if (rc != RC_OK)
            return fault_while(rc, "key %s", rule->name);
    }
    return RC_OK;
}
