#include "cli/ceremony.h"

#include <limits.h>
#include <string.h>

#include "base/text.h"

enum { SETTINGS_MAX = 16 * 1024, POLICY_MAX = 1024 };

static void add_path(struct buf *text, const struct cli_ceremony *c, const char *key,
                     const char *name)
{
    buf_addf(text, "%s = ", key);
    cli_place_add_path(&c->place, name, text);
    buf_addf(text, "\n");
}

static void add_signer(struct buf *text, const struct cli_ceremony *c)
{
    const struct keys_grant *grant = keys_grant_of(c->tokens.grant);

    cli_users_add_section(&c->users, CLI_SIGNER, text);
    add_path(text, c, "pin_from", CLI_TOKEN_ISSUING.pin);
    buf_addf(text, "module = %s\ngrant = %s\ntoken = %s\n", c->tokens.module, grant->name,
             CLI_TOKEN_ISSUING.label);
    if (c->tokens.grant == KEYS_GRANT_SOFTHSM) {
        add_path(text, c, "module_conf", "hsm/issuing/softhsm2.conf");
        add_path(text, c, "module_folder", "hsm/issuing/tokens");
    }
    add_path(text, c, "rules", "keys/rules");
    add_path(text, c, "rules_signature", "keys/rules.sig");
    add_path(text, c, "rules_key", "keys/ceremony.spki");
    buf_addf(text, "rules_key_sha256 = ");
    text_add_hex(text, BYTES_OF(c->rules_key_hash));
    buf_addf(text, "\n");
    add_path(text, c, "journal", "signer/journal");
}

/* A door's certificate names hosts and addresses; rules for many of them (".example.com",
 * "10.0.0.0/8") are the key's limits, no names. */
static void add_door_names(struct buf *text, const struct pki_hierarchy_names *names)
{
    const char *comma = "";

    buf_addf(text, "door_names = ");
    for (size_t i = 0; i < names->host_count; i++) {
        struct bytes host = names->hosts[i];
        if (host.at[0] == '.' || memchr(host.at, '/', host.len) != NULL)
            continue;
        buf_addf(text, "%s%.*s", comma, BYTES_FMT(host));
        comma = ",";
    }
    buf_addf(text, "\n");
}

static void add_authority(struct buf *text, const struct cli_ceremony *c)
{
    AUTO_BUF(file, PATH_MAX);
    const char *name = "";

    buf_addf(&file, "operator/%s.pem", c->operator_id);
    if (buf_text(&file, &name) != RC_OK)
        text->broken = true;
    cli_users_add_section(&c->users, CLI_AUTHORITY, text);
    add_path(text, c, "registry", "authority/registry");
    add_path(text, c, "first_chain", "ca/chain.pem");
    add_path(text, c, "first_operator", name);
    add_path(text, c, "first_policy", "policy/active.policy");
    add_path(text, c, "backups", "authority/backups");
    add_path(text, c, "recover", "authority/recover");
    add_path(text, c, "tiles", "tiles");
    add_door_names(text, &c->names);
}

static void add_listener(struct buf *text, const char *key, const char *address)
{
    if (address != NULL)
        buf_addf(text, "%s = %s\n", key, address);
}

static void add_doors(struct buf *text, const struct cli_ceremony *c)
{
    cli_users_add_section(&c->users, CLI_DEVICE_DOOR, text);
    add_listener(text, "mqtts", c->listeners.mqtts);
    add_listener(text, "https", c->listeners.https);
    add_listener(text, "http", c->listeners.http);
    add_path(text, c, "spool", "device-door/spool");
    add_path(text, c, "journal", "device-door/journal");
    cli_users_add_section(&c->users, CLI_OPERATOR_DOOR, text);
    add_listener(text, "https", c->listeners.operator_https);
    add_path(text, c, "spool", "operator-door/spool");
}

/* No sink: where the audit log goes is for whoever runs this to say. */
static void add_exporter(struct buf *text, const struct cli_ceremony *c)
{
    cli_users_add_section(&c->users, CLI_EXPORTER, text);
    add_path(text, c, "state", "exporter");
}

/* Last of all files: a place with settings is a finished one. */
enum rc cli_ceremony_write_settings(struct cli_ceremony *c)
{
    static const char NOTHING[] =
        "# Nothing is allowed until a rule says so.\n"
        "\n"
        "# What roles do anyhow, and under the setting authority.acts = policy by these rules "
        "alone.\n"
        "allow operator, line call \"+/#\"\n"
        "allow role \"admin\" revoke\n"
        "allow anyone enroll, renew\n";
    AUTO_BUF(text, SETTINGS_MAX);
    struct bytes settings;

    TRY(cli_place_add_file(&c->place, "policy/active.policy", bytes_of_text(NOTHING), false));
    buf_addf(&text,
             "# Made by touchmark init. `touchmarkd --manual` explains every setting.\n");
    add_signer(&text, c);
    add_authority(&text, c);
    add_doors(&text, c);
    add_exporter(&text, c);
    TRY(buf_done(&text, &settings));
    return cli_place_add_file(&c->place, "touchmark.conf", settings, false);
}
