#include "cli/ceremony.h"

#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "cli/profile.h"
#include "journal/digest.h"
#include "keys/check.h"
#include "keys/entry.h"
#include "pki/pem.h"
#include "pki/signed.h"
#include "pki/software_key.h"

/* The first operator's certificate goes the way of all others: held against the key rules,
 * journaled, then used. */

enum {
    SEGMENT_BYTES = 64 * 1024 * 1024,
    TBS_MAX = 4096,
    PEM_MAX = 8192,
    OPERATORS = 1,
    DOORS = 2
};

static enum rc journal_signature(const struct cli_ceremony *c, const struct keys_rule *rule,
                                 const struct keys_finding *finding)
{
    const struct journal_limits limits = { SEGMENT_BYTES, 2ULL * SEGMENT_BYTES };
    const struct clock clock = clock_system();
    AUTO_OF(journal) *journal = NULL;
    AUTO_FD dir = -1;
    struct keys_entry entry = {
        .kind = KEYS_ENTRY_SIGNED,
        .of = KEYS_CERTIFICATE,
        .serial_len = finding->serial_len,
        .not_before_s = finding->not_before_s,
        .not_after_s = finding->not_after_s,
    };

    memcpy(entry.key, rule->name, sizeof entry.key);
    memcpy(entry.digest, finding->digest, sizeof entry.digest);
    memcpy(entry.serial, finding->serial, sizeof entry.serial);
    memcpy(entry.subject_key, finding->subject_key, sizeof entry.subject_key);
    TRY(pki_key_hash(BYTES_OF(rule->public_key), entry.issuer_key));
    TRY(file_open_dir(c->place.dir, "signer/journal", &dir));
    TRY(journal_open(dir, &limits, &clock, NULL, &journal));
    TRY(keys_entry_append(journal, &entry, NULL));
    return journal_commit(journal);
}

static enum rc write_contents(struct cli_ceremony *c, const struct pki_software_key *key,
                              struct buf *tbs)
{
    AUTO_OF(pki_template) *template = NULL;
    struct pki_issuer issuer = pki_hierarchy_issuer(&c->certificate[OPERATORS]);
    struct pki_holder holder = { .id = bytes_of_text(c->operator_id),
                                 .organization = c->names.organization };
    struct pki_contents contents = { .holder = &holder };

    TRY(pki_template_new(pki_profile_find("operator"), &issuer, &template));
    TRY(pki_key_read(pki_software_key_public(key), &contents.point));
    TRY(pki_serial_make(contents.serial));
    TRY(pki_template_validity(template, c->now_s, 0, &contents.not_before,
                              &contents.not_after));
    return pki_issue_prepare(template, c->verifier, &contents, tbs);
}

static enum rc sign_contents(struct cli_ceremony *c, struct bytes tbs, struct buf *certificate)
{
    AUTO_OF(keys_ceremony) *token = NULL;
    AUTO_BUF(signature, 256);
    const struct keys_rule *rule = keys_rules_find(&c->rules, BYTES("operators"));
    const struct keys_question question = { .kind = KEYS_CERTIFICATE, .to_be_signed = tbs };
    const struct keys_memory memory = { 0 };
    struct keys_finding finding;

    TRY(keys_check(&c->rules, rule, &question, &memory, c->now_s, &finding));
    TRY(cli_tokens_open(&c->tokens, &c->place, &CLI_TOKEN_ISSUING, &token));
    TRY(keys_ceremony_sign(token, rule->name, tbs, &signature));
    TRY(journal_signature(c, rule, &finding));
    return pki_signed_assemble(tbs, buf_bytes(&signature), certificate);
}

static enum rc add_file(const struct cli_ceremony *c, const char *ending, struct bytes bytes,
                        bool secret)
{
    AUTO_BUF(path, PATH_MAX);
    const char *file = NULL;

    buf_addf(&path, "operator/%s.%s", c->operator_id, ending);
    TRY(buf_text(&path, &file));
    return cli_place_add_file(&c->place, file, bytes, secret);
}

/* The host of "127.0.0.1:9443" or "[::1]:9443". */
static struct bytes host_of(struct bytes address)
{
    while (address.len > 0 && address.at[address.len - 1] != ':')
        address.len--;
    address.len -= address.len > 0;
    if (address.len < 2 || address.at[0] != '[')
        return address;
    return (struct bytes){ address.at + 1, address.len - 2 };
}

static bool is_named(const struct cli_ceremony *c, struct bytes host)
{
    for (size_t i = 0; i < c->names.host_count; i++)
        if (bytes_equal(c->names.hosts[i], host))
            return true;
    return false;
}

/* Where the operator door will be found: where it listens, if its certificate will say so; else
 * under the first name that doors may be called. */
static void add_server(const struct cli_ceremony *c, struct buf *out)
{
    const char *address = c->listeners.operator_https;

    if (address == NULL)
        address = "127.0.0.1:9443";
    bool named = is_named(c, host_of(bytes_of_text(address)));
    for (size_t i = 0; !named && i < c->names.host_count; i++) {
        struct bytes host = c->names.hosts[i];
        if (host.at[0] == '.' || memchr(host.at, '/', host.len) != NULL)
            continue;
        bool ipv6 = memchr(host.at, ':', host.len) != NULL;
        buf_addf(out, "https://%s%.*s%s%s", ipv6 ? "[" : "", BYTES_FMT(host), ipv6 ? "]" : "",
                 strrchr(address, ':'));
        return;
    }
    buf_addf(out, "https://%s", address);
}

/* The folder operator/ is all that this person needs, wherever it is carried. */
static enum rc add_profile(const struct cli_ceremony *c)
{
    AUTO_BUF(key, PEM_MAX);
    AUTO_BUF(doors, PEM_MAX);
    AUTO_BUF(text, PEM_MAX);
    AUTO_BUF(certificate_name, PATH_MAX);
    AUTO_BUF(key_name, PATH_MAX);
    AUTO_BUF(server, PATH_MAX);
    struct cli_profile_names names = { .authorities = "doors.pem" };

    pki_pem_add(&key, "PUBLIC KEY", BYTES_OF(c->checkpoint_key));
    TRY(cli_place_add_file(&c->place, "ca/checkpoints.pub.pem", buf_bytes(&key), false));
    TRY(cli_place_add_file(&c->place, "operator/checkpoints.pub.pem", buf_bytes(&key), false));
    pki_pem_add(&doors, "CERTIFICATE", buf_bytes(&c->issuing[DOORS]));
    TRY(cli_place_add_file(&c->place, "operator/doors.pem", buf_bytes(&doors), false));
    buf_addf(&certificate_name, "%s.pem", c->operator_id);
    buf_addf(&key_name, "%s.key", c->operator_id);
    add_server(c, &server);
    TRY(buf_text(&server, &names.server));
    TRY(buf_text(&certificate_name, &names.certificate));
    TRY(buf_text(&key_name, &names.key));
    cli_profile_write(&text, &names);
    return cli_place_add_file(&c->place, "operator/operator.conf", buf_bytes(&text), false);
}

enum rc cli_ceremony_enrol_operator(struct cli_ceremony *c)
{
    AUTO_OF(pki_software_key) *key = NULL;
    AUTO_BUF(tbs, TBS_MAX);
    AUTO_BUF(certificate, TBS_MAX);
    AUTO_BUF(pem, PEM_MAX);
    [[gnu::cleanup(pki_software_key_wipe)]] struct buf secret = BUF_MAX(PEM_MAX);

    TRY(pki_software_key_make(&key));
    TRY(write_contents(c, key, &tbs));
    TRY(sign_contents(c, buf_bytes(&tbs), &certificate));
    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&certificate));
    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&c->issuing[OPERATORS]));
    TRY(pki_software_key_add_pem(key, &secret));
    TRY(add_file(c, "key", buf_bytes(&secret), true));
    TRY(add_file(c, "pem", buf_bytes(&pem), false));
    return add_profile(c);
}
