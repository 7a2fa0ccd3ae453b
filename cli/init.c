#include "cli/init.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/ceremony.h"

enum { CHAIN_MAX = 64 * 1024 };

enum {
    ORGANIZATION,
    ORIGIN,
    HOSTS,
    OPERATOR,
    SIGNER_USER,
    AUTHORITY_USER,
    DEVICE_DOOR_USER,
    OPERATOR_DOOR_USER,
    EXPORTER_USER,
    MQTTS,
    HTTPS,
    HTTP,
    OPERATOR_HTTPS,
    MODULE,
    UNDER,
    CHAIN
};

static const struct cli_option OPTIONS[] = {
    [ORGANIZATION] = { "--organization", "NAME", "in the CAs' names (Touchmark)" },
    [ORIGIN] = { "--origin", "NAME", "of the audit log's checkpoints (touchmark.invalid/log)" },
    [HOSTS] = { "--hosts", "LIST",
                "what doors may be called (localhost,127.0.0.1,::1); .suffix and 10.0.0.0/8 "
                "too" },
    [OPERATOR] = { "--operator", "ID", "the first operator, an administrator (admin)" },
    [SIGNER_USER] = { "--signer-user", "USER",
                      "whom the signer becomes, as root (touchmark-signer)" },
    [AUTHORITY_USER] = { "--authority-user", "USER",
                         "whom the authority becomes, as root (touchmark-authority)" },
    [DEVICE_DOOR_USER] = { "--device-door-user", "USER",
                           "whom the device door becomes, as root (touchmark-device-door)" },
    [OPERATOR_DOOR_USER] = { "--operator-door-user", "USER",
                             "whom the operator door becomes, as root "
                             "(touchmark-operator-door)" },
    [EXPORTER_USER] = { "--exporter-user", "USER",
                        "whom the exporter becomes, as root (touchmark-exporter)" },
    [MQTTS] = { "--mqtts", "ADDRESS", "where devices speak MQTT (127.0.0.1:8883)" },
    [HTTPS] = { "--https", "ADDRESS", "where devices enrol (127.0.0.1:8443)" },
    [HTTP] = { "--http", "ADDRESS",
               "where CRLs and CA certificates are served without TLS (127.0.0.1:8080)" },
    [OPERATOR_HTTPS] = { "--operator-https", "ADDRESS",
                         "where operators are served (127.0.0.1:9443)" },
    [MODULE] = { "--module", "FILE", "a PKCS#11 module instead of SoftHSM2" },
    [UNDER] = { "--under", NULL, "no root of our own: write csr/*.pem for yours to sign" },
    [CHAIN] = { "--chain", "FILE",
                "go on after --under: what your root signed, PEM, with the chain above" },
};

static const char TEACHING[] =
    "Makes the folder DIR with everything that touchmarkd needs: a root key on an HSM token of "
    "its\n"
    "own, issuing keys for devices, operators with lines, doors and checkpoints on another,\n"
    "their certificates, the rules of what each key may sign (signed by the root), a policy "
    "that\n"
    "allows nothing, the first operator's key and certificate, and settings.\n"
    "\n"
    "DIR must not exist. It appears whole or not at all. Afterwards take DIR/root away, to a "
    "safe:\n"
    "it is needed again only for a new ceremony. DIR/operator holds the operator's private "
    "key: give it\n"
    "to that person and remove it here.\n"
    "\n"
    "Under your own root:\n"
    "  touchmark init /srv/touchmark --under           then have your CA sign DIR/csr/*.pem\n"
    "  touchmark init /srv/touchmark --chain got.pem   all certificates in one file\n"
    "The root token then holds the key that signs the rules, and nothing else.\n"
    "\n"
    "As root each process gets a user of its own: those of deploy/sysusers.d if the machine "
    "has\n"
    "them, else name five with --signer-user and the like.\n"
    "\n"
    "Example:\n"
    "  touchmark init /srv/touchmark --organization Acme --hosts iot.acme.example\n"
    "  touchmarkd --config /srv/touchmark/touchmark.conf\n";

static enum rc read_hosts(struct bytes list, struct pki_hierarchy_names *names)
{
    for (;;) {
        const uint8_t *comma = list.len > 0 ? memchr(list.at, ',', list.len) : NULL;
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.at);
        if (names->host_count == PKI_HIERARCHY_HOSTS_MAX)
            return fault(RC_LIMIT, "--hosts: more than %d", PKI_HIERARCHY_HOSTS_MAX);
        names->hosts[names->host_count++] = (struct bytes){ list.at, len };
        if (comma == NULL)
            return RC_OK;
        list = (struct bytes){ comma + 1, list.len - len - 1 };
    }
}

static enum rc check_operator(const char *id)
{
    struct pki_holder holder = { .id = bytes_of_text(id) };
    enum rc rc = pki_profile_check_holder(pki_profile_find("operator"), &holder);

    return rc == RC_OK ? RC_OK : fault_while(rc, "--operator");
}

static enum rc finish_files(struct cli_ceremony *c)
{
    TRY(cli_ceremony_write_certificates(c));
    TRY(cli_ceremony_write_rules(c));
    TRY(cli_ceremony_enrol_operator(c));
    TRY(cli_ceremony_hand_over(c));
    return cli_ceremony_write_settings(c);
}

static enum rc make_whole(struct cli_ceremony *c, const char *folder)
{
    TRY(cli_place_make(folder, &c->place));
    TRY(cli_ceremony_make_keys(c));
    TRY(cli_ceremony_certify(c));
    TRY(finish_files(c));
    return cli_place_finish(&c->place);
}

static enum rc make_requests(struct cli_ceremony *c, const char *folder)
{
    TRY(cli_place_make(folder, &c->place));
    TRY(cli_ceremony_make_keys(c));
    TRY(cli_ceremony_request(c));
    TRY(cli_ceremony_hand_over(c));
    return cli_place_finish(&c->place);
}

static enum rc take_chain(struct cli_ceremony *c, const char *folder, const char *file)
{
    AUTO_BUF(pem, CHAIN_MAX);
    AUTO_BUF(settings, CHAIN_MAX);

    TRY(file_read(AT_FDCWD, file, &pem));
    TRY(cli_place_open(folder, &c->place));
    if (cli_place_read_file(&c->place, "touchmark.conf", &settings) == RC_OK)
        return fault(RC_EXISTS, "%s is finished: it has its settings already", folder);
    TRY(cli_ceremony_find_keys(c));
    TRY(cli_ceremony_take_chain(c, buf_bytes(&pem)));
    return finish_files(c);
}

static void tell_json(const struct cli_call *call, const struct cli_ceremony *c,
                      struct buf *text)
{
    buf_addf(text, "{\"folder\":\"%.*s\",\"state\":\"%s\"",
             BYTES_FMT(buf_bytes(&c->place.final_path)),
             call->values[UNDER] != NULL ? "requests" : "complete");
    if (c->root.len > 0) {
        buf_addf(text, ",\"root_sha256\":\"");
        text_add_hex(text, BYTES_OF(c->root_hash));
        buf_addf(text, "\"");
    }
    if (call->values[UNDER] == NULL) {
        buf_addf(text, ",\"rules_key_sha256\":\"");
        text_add_hex(text, BYTES_OF(c->rules_key_hash));
        buf_addf(text, "\",\"operator\":\"%s\"", c->operator_id);
    }
    buf_addf(text, "}\n");
}

static void tell(const struct cli_call *call, const struct cli_ceremony *c, struct buf *text)
{
    struct bytes folder = buf_bytes(&c->place.final_path);

    if (call->values[UNDER] != NULL) {
        buf_addf(text,
                 "Requests for your root are in %.*s/csr.\n"
                 "Next: touchmark init %.*s --chain FILE\n",
                 BYTES_FMT(folder), BYTES_FMT(folder));
        return;
    }
    buf_addf(text, "%.*s is ready.\n", BYTES_FMT(folder));
    if (c->root.len > 0) {
        buf_addf(text, "Root certificate, SHA-256: ");
        text_add_hex(text, BYTES_OF(c->root_hash));
        buf_addf(text, "\n");
    }
    buf_addf(text,
             "Take %.*s/root away to a safe place, and give %.*s/operator/%s.key to %s.\n"
             "Next: touchmarkd --config %.*s/touchmark.conf\n",
             BYTES_FMT(folder), BYTES_FMT(folder), c->operator_id, c->operator_id,
             BYTES_FMT(folder));
}

static enum rc run_ceremony(const struct cli_call *call, struct cli_ceremony *c)
{
    TRY(read_hosts(bytes_of_text(cli_command_value(call, HOSTS, "localhost,127.0.0.1,::1")),
                   &c->names));
    TRY(check_operator(c->operator_id));
    TRY(cli_ceremony_begin(c));
    if (call->values[CHAIN] != NULL)
        return take_chain(c, call->words[0], call->values[CHAIN]);
    if (call->values[UNDER] != NULL)
        return make_requests(c, call->words[0]);
    return make_whole(c, call->words[0]);
}

static enum rc run(const struct cli_call *call)
{
    const struct clock clock = clock_system();
    const char *module = cli_command_value(call, MODULE, "/usr/lib/softhsm/libsofthsm2.so");
    AUTO_BUF(text, CHAIN_MAX);
    struct cli_ceremony c = {
        .tokens = { module, call->values[MODULE] ? KEYS_GRANT_GENERIC : KEYS_GRANT_SOFTHSM },
        .place = { .dir = -1, .finished = true },
        .names = { .organization =
                       bytes_of_text(cli_command_value(call, ORGANIZATION, "Touchmark")),
                   .origin = cli_command_value(call, ORIGIN, "touchmark.invalid/log") },
        .operator_id = cli_command_value(call, OPERATOR, "admin"),
        .users.of = { [CLI_SIGNER].name = call->values[SIGNER_USER],
                      [CLI_AUTHORITY].name = call->values[AUTHORITY_USER],
                      [CLI_DEVICE_DOOR].name = call->values[DEVICE_DOOR_USER],
                      [CLI_OPERATOR_DOOR].name = call->values[OPERATOR_DOOR_USER],
                      [CLI_EXPORTER].name = call->values[EXPORTER_USER] },
        .listeners = { call->values[MQTTS], call->values[HTTPS], call->values[HTTP],
                       call->values[OPERATOR_HTTPS] },
        .now_s = clock_wall_ms(&clock) / 1000,
    };

    if (call->values[UNDER] != NULL && call->values[CHAIN] != NULL)
        return fault(RC_MALFORMED, "--under begins and --chain ends: give one of them");
    enum rc rc = run_ceremony(call, &c);
    if (rc == RC_OK && call->json)
        tell_json(call, &c, &text);
    else if (rc == RC_OK)
        tell(call, &c, &text);
    cli_ceremony_clear(&c);
    struct bytes told = buf_bytes(&text);
    if (rc == RC_OK && fwrite(told.at, 1, told.len, call->out) != told.len)
        rc = fault_errno("write the answer");
    return rc;
}

const struct cli_command CLI_INIT = {
    .name = "init",
    .arguments = "DIR",
    .words_least = 1,
    .words_most = 1,
    .summary = "make keys, CAs, rules and settings: the key ceremony",
    .teaching = TEACHING,
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof *OPTIONS,
    .run = run,
};
