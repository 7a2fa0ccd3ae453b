#include "pki/hierarchy.h"

#include <string.h>

#include "base/text.h"

/* Key rules say the same as the profiles, in the signer's words: what differs is refused by one
 * of them. */

enum { MINUTE_S = 60, DAY_S = 86400, CHECKPOINT_PER_S = 20, CHECKPOINT_BURST = 100 };

/* Text into the fixed room of a rule; a text that does not fit is refused by
 * keys_rules_check(). */
static void set_text(char *to, size_t room, struct bytes text)
{
    size_t len = text.len < room ? text.len : room - 1;

    memcpy(to, text.at, len);
    to[len] = '\0';
}

static void set_name(struct keys_rule *rule, const char *name)
{
    set_text(rule->name, sizeof rule->name, bytes_of_text(name));
}

static enum rc copy(struct bytes from, uint8_t *to, size_t room, size_t *len, const char *what)
{
    if (from.len > room)
        return fault(RC_LIMIT, "%s of %zu octets, limit %zu", what, from.len, room);
    memcpy(to, from.at, from.len);
    *len = from.len;
    return RC_OK;
}

static void add_uri_name(struct keys_certificate_rule *rule, const struct pki_profile *profile,
                         unsigned least)
{
    struct keys_san_rule *san = &rule->san[rule->san_count++];
    AUTO_BUF(pattern, KEYS_PATTERN_MAX);
    bool serial = profile->id_place == PKI_ID_IN_SERIAL_NUMBER;

    *san = (struct keys_san_rule){ .kind = KEYS_SAN_URI, .least = least, .most = 1 };
    buf_addf(&pattern, "%s{%s}", profile->uri_prefix, serial ? "serialNumber" : "commonName");
    set_text(san->pattern, sizeof san->pattern, buf_bytes(&pattern));
}

/* "10.0.0.0/8" as it is; a lone address is a network of one. */
static void add_host(struct keys_certificate_rule *rule, struct bytes host)
{
    struct keys_san_rule *san = &rule->san[rule->san_count++];
    AUTO_BUF(pattern, KEYS_PATTERN_MAX);
    bool v6 = memchr(host.at, ':', host.len) != NULL;
    bool network = memchr(host.at, '/', host.len) != NULL;
    bool address =
        v6 || network || (host.at[host.len - 1] >= '0' && host.at[host.len - 1] <= '9');

    *san = (struct keys_san_rule){ .kind = address ? KEYS_SAN_IP : KEYS_SAN_DNS,
                                   .most = PKI_HOSTS_MAX };
    buf_add(&pattern, host);
    if (address && !network)
        buf_addf(&pattern, v6 ? "/128" : "/32");
    set_text(san->pattern, sizeof san->pattern, buf_bytes(&pattern));
}

static void set_extensions(struct keys_certificate_rule *rule)
{
    static const enum keys_extension REQUIRED[] = {
        KEYS_AUTHORITY_KEY_IDENTIFIER, KEYS_SUBJECT_KEY_IDENTIFIER, KEYS_KEY_USAGE,
        KEYS_EXTENDED_KEY_USAGE,       KEYS_SUBJECT_ALT_NAME,
    };

    for (size_t i = 0; i < sizeof REQUIRED / sizeof *REQUIRED; i++)
        rule->extension[REQUIRED[i]].presence = KEYS_REQUIRED;
    rule->extension[KEYS_KEY_USAGE].critical = true;
    rule->extension[KEYS_BASIC_CONSTRAINTS].presence = KEYS_REQUIRED;
    rule->extension[KEYS_BASIC_CONSTRAINTS].critical = true;
}

static void add_profile(struct keys_certificate_rule *rule,
                        const struct pki_hierarchy_names *names,
                        const struct pki_profile *profile, bool alone)
{
    enum keys_attribute id =
        profile->id_place == PKI_ID_IN_SERIAL_NUMBER ? KEYS_SERIAL_NUMBER : KEYS_COMMON_NAME;

    rule->key_usage = profile->key_usage;
    rule->extended_key_usage =
        profile->purposes & PKI_SERVER_AUTH ? KEYS_SERVER_AUTH : KEYS_CLIENT_AUTH;
    if (profile->lifetime_most_s + profile->backdate_s > rule->lifetime_most_s)
        rule->lifetime_most_s = profile->lifetime_most_s + profile->backdate_s;
    rule->subject[id].presence = KEYS_REQUIRED;
    if (profile->uri_prefix != NULL)
        add_uri_name(rule, profile, alone ? 1 : 0);
    for (size_t i = 0; profile->hosts && i < names->host_count; i++)
        add_host(rule, names->hosts[i]);
}

static enum rc make_ca_rule(const struct pki_hierarchy_names *names,
                            const struct pki_issuing *row,
                            const struct pki_certificate *certificate, struct keys_rule *rule)
{
    struct keys_certificate_rule *content = &rule->certificate;
    size_t len = 0;

    set_name(rule, row->key);
    rule->purpose = KEYS_PURPOSE_CA;
    rule->kinds = KEYS_CERTIFICATE | KEYS_CRL;
    rule->rate_per_s = row->rate_per_s;
    rule->rate_burst = row->rate_burst;
    TRY(copy(certificate->public_key, rule->public_key, sizeof rule->public_key, &len, "key"));
    TRY(copy(certificate->subject, rule->issuer, sizeof rule->issuer, &rule->issuer_len,
             "name"));
    TRY(copy(certificate->key_id, rule->key_id, sizeof rule->key_id, &rule->key_id_len,
             "key id"));
    rule->not_after_s = certificate->not_after;
    rule->backdate_most_s = 10 * MINUTE_S;
    rule->postdate_most_s = MINUTE_S;
    rule->next_update_most_s = 30 * DAY_S;
    set_extensions(content);
    content->subject[KEYS_ORGANIZATION_NAME].presence = KEYS_OPTIONAL;
    set_text(content->subject[KEYS_ORGANIZATION_NAME].equals,
             sizeof content->subject[KEYS_ORGANIZATION_NAME].equals, names->organization);
    for (size_t i = 0; i < 2 && row->profiles[i] != NULL; i++)
        add_profile(content, names, pki_profile_find(row->profiles[i]),
                    row->profiles[1] == NULL);
    return RC_OK;
}

enum rc pki_hierarchy_rules(const struct pki_hierarchy_names *names,
                            const struct pki_certificate *certificates,
                            struct bytes checkpoint_key, struct keys_rules *rules)
{
    size_t count = 0, len = 0;
    const struct pki_issuing *issuing = pki_hierarchy_issuing(&count);

    memset(rules, 0, sizeof *rules);
    rules->revision = 1;
    for (size_t i = 0; i < count; i++)
        TRY(make_ca_rule(names, &issuing[i], &certificates[i], &rules->rule[rules->count++]));
    struct keys_rule *checkpoint = &rules->rule[rules->count++];
    set_name(checkpoint, PKI_HIERARCHY_CHECKPOINT);
    checkpoint->purpose = KEYS_PURPOSE_CHECKPOINT;
    checkpoint->kinds = KEYS_CHECKPOINT;
    checkpoint->rate_per_s = CHECKPOINT_PER_S;
    checkpoint->rate_burst = CHECKPOINT_BURST;
    set_text(checkpoint->origin, sizeof checkpoint->origin, bytes_of_text(names->origin));
    TRY(copy(checkpoint_key, checkpoint->public_key, sizeof checkpoint->public_key, &len,
             "key"));
    return keys_rules_check(rules);
}
