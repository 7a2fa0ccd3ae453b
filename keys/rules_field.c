#include "keys/rules_field.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "keys/name.h"

enum { ALL = KEYS_CERTIFICATE | KEYS_CRL | KEYS_CHECKPOINT, CA = KEYS_CERTIFICATE | KEYS_CRL };

static enum rc read_purpose(struct keys_line *line, struct keys_rule *rule)
{
    size_t purpose = 0;

    TRY(keys_line_take_term(line, keys_terms_purpose(), "`ca` or `checkpoint`", &purpose));
    rule->purpose = (enum keys_purpose)purpose;
    return keys_line_end(line);
}

static void write_purpose(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s %s\n", word, keys_terms_purpose().term[rule->purpose].word);
}

static enum rc read_kinds(struct keys_line *line, struct keys_rule *rule)
{
    unsigned own = rule->purpose == KEYS_PURPOSE_CA ? CA : KEYS_CHECKPOINT;

    TRY(keys_line_take_set(line, keys_terms_kind(), "`certificate`, `crl` or `checkpoint`",
                           &rule->kinds));
    if ((rule->kinds & ~own) != 0)
        return fault(RC_MALFORMED, "line %u: a key of this purpose does not sign these kinds",
                     line->number);
    return RC_OK;
}

static void write_kinds(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s", word);
    keys_line_add_set(text, keys_terms_kind(), rule->kinds);
    buf_addf(text, "\n");
}

/* `into` has room for `most`; its length is checked by keys_rules_check(). */
static enum rc take_octets(struct keys_line *line,
                           enum rc (*decode)(struct bytes text, struct buf *out),
                           const char *what, size_t most, uint8_t *into, size_t *len)
{
    AUTO_BUF(octets, most);
    struct bytes word = keys_line_word(line), got;

    if (word.len == 0 || decode(word, &octets) != RC_OK || buf_done(&octets, &got) != RC_OK)
        return keys_line_fault(line, word, what);
    memcpy(into, got.at, got.len);
    *len = got.len;
    return keys_line_end(line);
}

static enum rc read_public_key(struct keys_line *line, struct keys_rule *rule)
{
    size_t len = 0;

    TRY(take_octets(line, text_read_base64, "base64 of a P-256 SubjectPublicKeyInfo",
                    KEYS_PUBLIC_KEY, rule->public_key, &len));
    if (len != KEYS_PUBLIC_KEY)
        return fault(
            RC_MALFORMED,
            "line %u: RFC 5480 2: a P-256 SubjectPublicKeyInfo has %d octets, found %zu",
            line->number, KEYS_PUBLIC_KEY, len);
    return RC_OK;
}

static void write_public_key(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s ", word);
    text_add_base64(text, BYTES_OF(rule->public_key));
    buf_addf(text, "\n");
}

static enum rc read_rate(struct keys_line *line, struct keys_rule *rule)
{
    uint64_t rate = 0, burst = 0;

    if (bytes_equal_text(line->rest, "unlimited")) {
        line->rest = (struct bytes){ 0 };
        return RC_OK;
    }
    TRY(keys_line_take_number(line, UINT32_MAX, &rate));
    TRY(keys_line_expect(line, "burst"));
    TRY(keys_line_take_number(line, UINT32_MAX, &burst));
    rule->rate_per_s = (uint32_t)rate;
    rule->rate_burst = (uint32_t)burst;
    return keys_line_end(line);
}

static void write_rate(const struct keys_rule *rule, const char *word, struct buf *text)
{
    if (rule->rate_per_s == 0)
        buf_addf(text, "%s unlimited\n", word);
    else
        buf_addf(text, "%s %u burst %u\n", word, rule->rate_per_s, rule->rate_burst);
}

static enum rc read_issuer(struct keys_line *line, struct keys_rule *rule)
{
    return take_octets(line, text_read_base64, "base64 of a Name of at most 512 octets",
                       sizeof rule->issuer, rule->issuer, &rule->issuer_len);
}

/* The comment below the issuer is compared like all else, so it cannot tell another story. */
static void write_issuer(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s ", word);
    text_add_base64(text, (struct bytes){ rule->issuer, rule->issuer_len });
    buf_addf(text, "\n");
}

static enum rc read_comment(struct keys_line *line, struct keys_rule *rule)
{
    (void)rule;
    line->rest = (struct bytes){ 0 };
    return RC_OK;
}

static void write_comment(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s ", word);
    /* keys_rules_check() has read this Name: a failure cannot happen, and would show as a line
     * that differs. */
    if (keys_name_describe((struct bytes){ rule->issuer, rule->issuer_len }, text) != RC_OK)
        buf_addf(text, "no Name");
    buf_addf(text, "\n");
}

static enum rc read_key_id(struct keys_line *line, struct keys_rule *rule)
{
    return take_octets(line, text_read_hex, "8 to 32 octets in hexadecimal",
                       sizeof rule->key_id, rule->key_id, &rule->key_id_len);
}

static void write_key_id(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s ", word);
    text_add_hex(text, (struct bytes){ rule->key_id, rule->key_id_len });
    buf_addf(text, "\n");
}

static enum rc read_not_after(struct keys_line *line, struct keys_rule *rule)
{
    struct bytes word = keys_line_word(line);
    int64_t wall_ms = 0;

    if (clock_read_rfc3339(word, &wall_ms) != RC_OK || wall_ms % 1000 != 0)
        return keys_line_fault(line, word, "a time such as 2036-11-22T00:00:00Z");
    rule->not_after_s = wall_ms / 1000;
    return keys_line_end(line);
}

static void write_not_after(const struct keys_rule *rule, const char *word, struct buf *text)
{
    struct civil c;

    if (clock_to_civil(rule->not_after_s, &c) != RC_OK)
        c = (struct civil){ .month = 1, .day = 1 };
    buf_addf(text, "%s %04d-%02d-%02dT%02d:%02d:%02dZ\n", word, c.year, c.month, c.day, c.hour,
             c.minute, c.second);
}

static enum rc read_basic_constraints(struct keys_line *line, struct keys_rule *rule)
{
    static const struct keys_term TERMS[] = { { .word = "end-entity" }, { .word = "ca" } };
    struct keys_certificate_rule *c = &rule->certificate;
    uint64_t length = 0;
    size_t which = 0;

    TRY(keys_line_take_term(line, (struct keys_terms){ TERMS, 2 }, "`end-entity` or `ca`",
                            &which));
    c->ca = which == 1;
    if (c->ca && line->rest.len == 0)
        c->path_length = -1;
    else if (c->ca) {
        TRY(keys_line_expect(line, "path-length"));
        TRY(keys_line_take_number(line, 9, &length));
        c->path_length = (int)length;
    }
    return keys_line_end(line);
}

static void write_basic_constraints(const struct keys_rule *rule, const char *word,
                                    struct buf *text)
{
    const struct keys_certificate_rule *c = &rule->certificate;

    buf_addf(text, "%s %s", word, c->ca ? "ca" : "end-entity");
    if (c->ca && c->path_length >= 0)
        buf_addf(text, " path-length %d", c->path_length);
    buf_addf(text, "\n");
}

static enum rc read_key_usage(struct keys_line *line, struct keys_rule *rule)
{
    unsigned set = 0;

    TRY(keys_line_take_set(line, keys_terms_key_usage(), "a name of RFC 5280 4.2.1.3", &set));
    rule->certificate.key_usage = (uint16_t)set;
    return RC_OK;
}

static void write_key_usage(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s", word);
    keys_line_add_set(text, keys_terms_key_usage(), rule->certificate.key_usage);
    buf_addf(text, "\n");
}

static enum rc read_extended_key_usage(struct keys_line *line, struct keys_rule *rule)
{
    unsigned *set = &rule->certificate.extended_key_usage;

    *set = 0;
    if (bytes_equal_text(line->rest, "none")) {
        line->rest = (struct bytes){ 0 };
        return RC_OK;
    }
    return keys_line_take_set(line, keys_terms_extended_key_usage(),
                              "`serverAuth`, `clientAuth` or `none`", set);
}

static void write_extended_key_usage(const struct keys_rule *rule, const char *word,
                                     struct buf *text)
{
    buf_addf(text, "%s%s", word, rule->certificate.extended_key_usage == 0 ? " none" : "");
    keys_line_add_set(text, keys_terms_extended_key_usage(),
                      rule->certificate.extended_key_usage);
    buf_addf(text, "\n");
}

static void write_duration(const char *word, int64_t seconds, struct buf *text)
{
    buf_addf(text, "%s", word);
    keys_line_add_duration(text, seconds);
    buf_addf(text, "\n");
}

static enum rc take_duration(struct keys_line *line, int64_t *seconds)
{
    TRY(keys_line_take_duration(line, seconds));
    return keys_line_end(line);
}

static enum rc read_backdate(struct keys_line *line, struct keys_rule *rule)
{
    return take_duration(line, &rule->backdate_most_s);
}

static void write_backdate(const struct keys_rule *rule, const char *word, struct buf *text)
{
    write_duration(word, rule->backdate_most_s, text);
}

static enum rc read_postdate(struct keys_line *line, struct keys_rule *rule)
{
    return take_duration(line, &rule->postdate_most_s);
}

static void write_postdate(const struct keys_rule *rule, const char *word, struct buf *text)
{
    write_duration(word, rule->postdate_most_s, text);
}

static enum rc read_lifetime(struct keys_line *line, struct keys_rule *rule)
{
    return take_duration(line, &rule->certificate.lifetime_most_s);
}

static void write_lifetime(const struct keys_rule *rule, const char *word, struct buf *text)
{
    write_duration(word, rule->certificate.lifetime_most_s, text);
}

static enum rc read_next_update(struct keys_line *line, struct keys_rule *rule)
{
    return take_duration(line, &rule->next_update_most_s);
}

static void write_next_update(const struct keys_rule *rule, const char *word, struct buf *text)
{
    write_duration(word, rule->next_update_most_s, text);
}

/* `optional` or `required`; nothing stands for forbidden but the line's absence. */
static enum rc take_presence(struct keys_line *line, enum keys_presence *presence)
{
    static const struct keys_term TERMS[] = { { .word = "optional" }, { .word = "required" } };
    size_t which = 0;

    TRY(keys_line_take_term(line, (struct keys_terms){ TERMS, 2 }, "`optional` or `required`",
                            &which));
    *presence = which == 0 ? KEYS_OPTIONAL : KEYS_REQUIRED;
    return RC_OK;
}

static enum rc read_subject(struct keys_line *line, struct keys_rule *rule)
{
    struct keys_terms terms = keys_terms_attribute();
    struct keys_subject_rule *made;
    size_t which = 0;

    TRY(keys_line_take_term(line, terms, "an attribute such as `serialNumber`", &which));
    made = &rule->certificate.subject[which];
    if (made->presence != KEYS_FORBIDDEN)
        return fault(RC_MALFORMED, "line %u column %u: \"%s\" given twice", line->number,
                     line->column, terms.term[which].word);
    TRY(take_presence(line, &made->presence));
    if (line->rest.len > 0) {
        TRY(keys_line_expect(line, "="));
        TRY(keys_line_take_rest(line, KEYS_VALUE_MAX, made->equals));
    }
    return keys_line_end(line);
}

static void write_subject(const struct keys_rule *rule, const char *word, struct buf *text)
{
    for (size_t i = 0; i < KEYS_ATTRIBUTES; i++) {
        const struct keys_subject_rule *s = &rule->certificate.subject[i];

        if (s->presence != KEYS_FORBIDDEN)
            buf_addf(text, "%s %s %s%s%s\n", word, keys_terms_attribute().term[i].word,
                     keys_terms_presence().term[s->presence].word, s->equals[0] ? " = " : "",
                     s->equals);
    }
}

static enum rc read_extension(struct keys_line *line, struct keys_rule *rule)
{
    static const struct keys_term TERMS[] = { { .word = "plain" }, { .word = "critical" } };
    struct keys_terms terms = keys_terms_extension();
    struct keys_extension_rule *made;
    size_t which = 0, critical = 0;

    TRY(keys_line_take_term(line, terms, "an extension such as `keyUsage`", &which));
    made = &rule->certificate.extension[which];
    if (made->presence != KEYS_FORBIDDEN)
        return fault(RC_MALFORMED, "line %u column %u: \"%s\" given twice", line->number,
                     line->column, terms.term[which].word);
    TRY(take_presence(line, &made->presence));
    TRY(keys_line_take_term(line, (struct keys_terms){ TERMS, 2 }, "`plain` or `critical`",
                            &critical));
    made->critical = critical == 1;
    if (line->rest.len > 0)
        TRY(keys_line_take_rest(line, KEYS_PATTERN_MAX, made->uri_prefix));
    return keys_line_end(line);
}

static void write_extension(const struct keys_rule *rule, const char *word, struct buf *text)
{
    for (size_t i = 0; i < KEYS_EXTENSIONS; i++) {
        const struct keys_extension_rule *e = &rule->certificate.extension[i];

        if (e->presence != KEYS_FORBIDDEN)
            buf_addf(text, "%s %s %s %s%s%s\n", word, keys_terms_extension().term[i].word,
                     keys_terms_presence().term[e->presence].word,
                     e->critical ? "critical" : "plain", e->uri_prefix[0] ? " " : "",
                     e->uri_prefix);
    }
}

static enum rc read_san(struct keys_line *line, struct keys_rule *rule)
{
    struct keys_certificate_rule *c = &rule->certificate;
    struct keys_san_rule made = { 0 };
    uint64_t least = 0, most = 0;
    size_t kind = 0;

    if (c->san_count == KEYS_SAN_RULES_MAX)
        return fault(RC_MALFORMED, "line %u: more than %d `san` lines", line->number,
                     KEYS_SAN_RULES_MAX);
    TRY(keys_line_take_term(line, keys_terms_san(), "`uri`, `dns` or `ip`", &kind));
    TRY(keys_line_take_number(line, KEYS_SAN_NAMES_MAX, &least));
    TRY(keys_line_expect(line, "to"));
    TRY(keys_line_take_number(line, KEYS_SAN_NAMES_MAX, &most));
    TRY(keys_line_take_rest(line, KEYS_PATTERN_MAX, made.pattern));
    made.kind = (enum keys_san_kind)kind;
    made.least = (unsigned)least;
    made.most = (unsigned)most;
    c->san[c->san_count++] = made;
    return keys_line_end(line);
}

static void write_san(const struct keys_rule *rule, const char *word, struct buf *text)
{
    for (size_t i = 0; i < rule->certificate.san_count; i++) {
        const struct keys_san_rule *s = &rule->certificate.san[i];

        buf_addf(text, "%s %s %u to %u %s\n", word, keys_terms_san().term[s->kind].word,
                 s->least, s->most, s->pattern);
    }
}

static enum rc read_origin(struct keys_line *line, struct keys_rule *rule)
{
    return keys_line_take_rest(line, KEYS_PATTERN_MAX, rule->origin);
}

static void write_origin(const struct keys_rule *rule, const char *word, struct buf *text)
{
    buf_addf(text, "%s %s\n", word, rule->origin);
}

static const struct keys_rules_field FIELDS[] = {
    { "purpose", ALL, false, read_purpose, write_purpose },
    { "kinds", ALL, false, read_kinds, write_kinds },
    { "public-key", ALL, false, read_public_key, write_public_key },
    { "rate", ALL, false, read_rate, write_rate },
    { "issuer", CA, false, read_issuer, write_issuer },
    { "#", CA, false, read_comment, write_comment },
    { "key-id", CA, false, read_key_id, write_key_id },
    { "not-after", CA, false, read_not_after, write_not_after },
    { "backdate", CA, false, read_backdate, write_backdate },
    { "postdate", CA, false, read_postdate, write_postdate },
    { "lifetime", KEYS_CERTIFICATE, false, read_lifetime, write_lifetime },
    { "basic-constraints", KEYS_CERTIFICATE, false, read_basic_constraints,
      write_basic_constraints },
    { "key-usage", KEYS_CERTIFICATE, false, read_key_usage, write_key_usage },
    { "ext-key-usage", KEYS_CERTIFICATE, false, read_extended_key_usage,
      write_extended_key_usage },
    { "subject", KEYS_CERTIFICATE, true, read_subject, write_subject },
    { "extension", KEYS_CERTIFICATE, true, read_extension, write_extension },
    { "san", KEYS_CERTIFICATE, true, read_san, write_san },
    { "next-update", KEYS_CRL, false, read_next_update, write_next_update },
    { "origin", KEYS_CHECKPOINT, false, read_origin, write_origin },
};

const struct keys_rules_field *keys_rules_fields(size_t *count)
{
    *count = sizeof FIELDS / sizeof *FIELDS;
    return FIELDS;
}
