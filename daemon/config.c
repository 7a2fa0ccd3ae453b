#include "daemon/config.h"

#include <string.h>

#include "audit/prune.h"
#include "integration/address.h"
#include "integration/syslog.h"
#include "integration/witness.h"
#include "keys/grant.h"
#include "registry/proposal.h"

#define DEVICES(member)   offsetof(struct daemon_config, device_door.member)
#define OPERATORS(member) offsetof(struct daemon_config, operator_door.member)
#define FIELD(member)     offsetof(struct daemon_config, member)

/* The rows of a sink; the first one's stand for all in the documents. */
#define SINK(n, member) offsetof(struct daemon_config, exporter.sinks[(n)-1].member)
#define SINK_ROWS(n)                                                                           \
    { "sink-" #n,                                                                              \
      "kind",                                                                                  \
      SETTINGS_CHOICE,                                                                         \
      SINK(n, kind),                                                                           \
      0,                                                                                       \
      0,                                                                                       \
      "none",                                                                                  \
      "none,jsonl,syslog",                                                                     \
      "where audit records go: nowhere, to a file of JSON lines, to a syslog receiver over "   \
      "TLS" },                                                                                 \
        { "sink-" #n,                                                                          \
          "format",                                                                            \
          SETTINGS_CHOICE,                                                                     \
          SINK(n, format),                                                                     \
          0,                                                                                   \
          0,                                                                                   \
          "json",                                                                              \
          INTEGRATION_FORMAT_CHOICES,                                                          \
          "what a record becomes; text is for syslog only" },                                  \
        { "sink-" #n,                                                                          \
          "file",                                                                              \
          SETTINGS_PATH,                                                                       \
          SINK(n, file),                                                                       \
          0,                                                                                   \
          4000,                                                                                \
          "",                                                                                  \
          NULL,                                                                                \
          "jsonl: the file, in a folder that the exporter may write to" },                     \
        { "sink-" #n,                                                                          \
          "rotate",                                                                            \
          SETTINGS_SIZE,                                                                       \
          SINK(n, rotate),                                                                     \
          0,                                                                                   \
          1024LL * 1024 * MIB,                                                                 \
          "0",                                                                                 \
          NULL,                                                                                \
          "jsonl: size at which the file is renamed and another begun; 0 for never" },         \
        { "sink-" #n,                                                                          \
          "address",                                                                           \
          SETTINGS_ADDRESS,                                                                    \
          SINK(n, address),                                                                    \
          -1,                                                                                  \
          0,                                                                                   \
          "",                                                                                  \
          NULL,                                                                                \
          "syslog: numeric address and port of the receiver" },                                \
        { "sink-" #n,                                                                          \
          "server_name",                                                                       \
          SETTINGS_TEXT,                                                                       \
          SINK(n, server_name),                                                                \
          0,                                                                                   \
          255,                                                                                 \
          "",                                                                                  \
          NULL,                                                                                \
          "syslog: host name, or address, that the receiver's certificate must have" },        \
        { "sink-" #n,                                                                          \
          "authorities",                                                                       \
          SETTINGS_PATH,                                                                       \
          SINK(n, authorities),                                                                \
          0,                                                                                   \
          4000,                                                                                \
          "",                                                                                  \
          NULL,                                                                                \
          "syslog: certificates that the receiver's must lead to, PEM" },                      \
        { "sink-" #n,                                                                          \
          "certificate",                                                                       \
          SETTINGS_PATH,                                                                       \
          SINK(n, certificate),                                                                \
          0,                                                                                   \
          4000,                                                                                \
          "",                                                                                  \
          NULL,                                                                                \
          "syslog: what we show to the receiver, PEM, with its chain; empty for nothing" },    \
        { "sink-" #n,   "key", SETTINGS_PATH,                                                  \
          SINK(n, key), 0,     4000,                                                           \
          "",           NULL,  "syslog: the certificate's private key, PEM" },                 \
        { "sink-" #n,                                                                          \
          "sd_id",                                                                             \
          SETTINGS_TEXT,                                                                       \
          SINK(n, sd_id),                                                                      \
          3,                                                                                   \
          INTEGRATION_SD_ID_MAX,                                                               \
          "touchmark@32473",                                                                   \
          NULL,                                                                                \
          "syslog: name of the structured data; 32473 is the number for examples: put your "   \
          "organization's" },                                                                  \
        { "sink-" #n,                                                                          \
          "settle",                                                                            \
          SETTINGS_DURATION,                                                                   \
          SINK(n, settle_ms),                                                                  \
          100,                                                                                 \
          10 * MINUTE,                                                                         \
          "5s",                                                                                \
          NULL,                                                                                \
          "syslog: a connection has to last so long behind a record to deliver it" },          \
    {                                                                                          \
        "sink-" #n, "renew", SETTINGS_DURATION, SINK(n, renew_ms), 0, HOUR, "30s", NULL,       \
            "syslog: a connection with records is ended in order after so long, which shows "  \
            "that they were read; 0s for never"                                                \
    }

#define WITNESS(n, member) FIELD(exporter.witnesses[(n)-1].member)
#define WITNESS_ROWS(n, meaning)                                                               \
    { "exporter", "witness" #n, SETTINGS_TEXT, WITNESS(n, url), 0, 400, "", NULL, meaning },   \
        { "exporter",                                                                          \
          "witness" #n "_authorities",                                                         \
          SETTINGS_PATH,                                                                       \
          WITNESS(n, authorities),                                                             \
          0,                                                                                   \
          4000,                                                                                \
          "",                                                                                  \
          NULL,                                                                                \
          "https: file of the CAs that its certificate may come from" },                       \
    {                                                                                          \
        "exporter", "witness" #n "_name", SETTINGS_TEXT, WITNESS(n, name), 0, 253, "", NULL,   \
            "https: the name that its certificate must carry; empty for the URL's address"     \
    }

enum { KIB = 1024, MIB = 1024 * KIB };
enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static const struct settings_row ROWS[] = {
    { "supervisor", "pid_file", SETTINGS_TEXT, FIELD(supervisor.pid_file), 0, 4000, "", NULL,
      "absolute path of a file that holds touchmarkd's process id; empty for none, as under "
      "systemd" },
    { "supervisor", "log_level", SETTINGS_CHOICE, FIELD(supervisor.log_level), 0, 0, "notice",
      "debug,info,notice,warning,error", "least level of the events that any process logs" },
    { "supervisor", "stop_within", SETTINGS_DURATION, FIELD(supervisor.stop_within_ms), 100,
      60 * SECOND, "5s", NULL,
      "time to stop everything: asked first, SIGTERM after 60 %, SIGKILL after 90 % of it" },
    { "supervisor", "ready_within", SETTINGS_DURATION, FIELD(supervisor.ready_within_ms), 100,
      10 * MINUTE, "60s", NULL,
      "a process that does not serve after this is killed and started again" },
    { "supervisor", "restart_least", SETTINGS_DURATION, FIELD(supervisor.restart_least_ms), 1,
      MINUTE, "100ms", NULL, "wait before the first restart of a process" },
    { "supervisor", "restart_most", SETTINGS_DURATION, FIELD(supervisor.restart_most_ms), 1,
      HOUR, "30s", NULL, "the wait doubles with each restart up to this" },
    { "supervisor", "calm", SETTINGS_DURATION, FIELD(supervisor.calm_ms), 1, 24 * HOUR, "60s",
      NULL, "a process that served for so long starts again after the least wait" },
    { "sandbox", "landlock", SETTINGS_CHOICE, FIELD(sandbox.landlock), 0, 0, "required",
      "required,optional",
      "whether a kernel without Landlock abi 2 is refused; optional gives up the jail for "
      "files "
      "there" },
    { "sandbox", "landlock_abi_most", SETTINGS_NUMBER, FIELD(sandbox.landlock_abi_most), 0, 100,
      "0", NULL,
      "highest Landlock abi to use, to rehearse an older kernel (Debian 12's has 2); 0 for the "
      "kernel's own" },
    { "sandbox", "locked_memory", SETTINGS_CHOICE, FIELD(sandbox.locked_memory), 0, 0,
      "required", "required,optional",
      "whether a process with secrets refuses to serve when it may not lock its memory; "
      "optional "
      "is for machines without swap" },
    { "signer", "user", SETTINGS_TEXT, FIELD(signer.user), 0, 32, "", NULL,
      "name or number of the user that the signer becomes when touchmarkd is root; needed "
      "then" },
    { "signer", "pin_from", SETTINGS_TEXT, FIELD(signer.pin_from), 1, 4000,
      "credential:signer-pin", NULL,
      "where the token's PIN comes from: an absolute path, or credential:NAME for systemd's "
      "LoadCredential=NAME:FILE" },
    { "signer", "module", SETTINGS_PATH, FIELD(signer.module), 1, 4000,
      "/usr/lib/softhsm/libsofthsm2.so", NULL, "the PKCS#11 module" },
    { "signer", "grant", SETTINGS_CHOICE, FIELD(signer.grant), 0, 0, "softhsm",
      KEYS_GRANT_CHOICES,
      "which holes the module needs in the jail; none may execute programs" },
    { "signer", "module_conf", SETTINGS_TEXT, FIELD(signer.module_conf), 0, 4000, "", NULL,
      "absolute path of the module's own settings (SoftHSM: SOFTHSM2_CONF); empty for none" },
    { "signer", "module_folder", SETTINGS_TEXT, FIELD(signer.module_folder), 0, 4000, "", NULL,
      "the one folder that the module may use while it serves (SoftHSM: directories.tokendir); "
      "empty for none" },
    { "signer", "token", SETTINGS_TEXT, FIELD(signer.token), 1, 32, "touchmark", NULL,
      "label of the HSM token that holds the issuing keys" },
    { "signer", "workers", SETTINGS_NUMBER, FIELD(signer.workers), 1, 16, "2", NULL,
      "processes that sign; a token scales by process" },
    { "signer", "rules", SETTINGS_PATH, FIELD(signer.rules), 1, 4000,
      "/etc/touchmark/keys.rules", NULL,
      "what each key may sign (docs/protocol/key-rules.md)" },
    { "signer", "rules_signature", SETTINGS_PATH, FIELD(signer.rules_signature), 1, 4000,
      "/etc/touchmark/keys.rules.sig", NULL,
      "the ceremony key's signature over the rules, DER" },
    { "signer", "rules_key", SETTINGS_PATH, FIELD(signer.rules_key), 1, 4000,
      "/etc/touchmark/ceremony.spki", NULL,
      "the ceremony key's SubjectPublicKeyInfo, DER: a file, trusted for its hash only" },
    { "signer", "rules_key_sha256", SETTINGS_TEXT, FIELD(signer.rules_key_sha256), 0, 64, "",
      NULL,
      "SHA-256 of that file in hexadecimal; needed: it is what the rules are trusted for" },
    { "signer", "journal", SETTINGS_PATH, FIELD(signer.journal), 1, 4000,
      "/var/lib/touchmark/signer", NULL, "folder of the signer's journal" },
    { "signer", "journal_segment", SETTINGS_SIZE, FIELD(signer.journal_segment), 64 * 1024,
      1024LL * 1024 * 1024, "64M", NULL, "size at which the journal begins a new file" },
    { "signer", "journal_most", SETTINGS_SIZE, FIELD(signer.journal_most), 1024 * 1024,
      1024LL * 1024 * 1024 * 1024, "16G", NULL,
      "size of the whole journal at which nothing is signed any more" },
    { "authority", "user", SETTINGS_TEXT, FIELD(authority.user), 0, 32, "", NULL,
      "name or number of the user that the authority becomes when touchmarkd is root; needed "
      "then" },
    { "authority", "registry", SETTINGS_PATH, FIELD(authority.registry), 1, 4000,
      "/var/lib/touchmark/authority/registry", NULL,
      "folder of the registry's store, which the authority alone opens" },
    { "authority", "map", SETTINGS_SIZE, FIELD(authority.map), 64LL * 1024 * 1024,
      1024LL * 1024 * 1024 * 1024, "16G", NULL,
      "most that the registry can grow to; address space, not memory or disk" },
    { "authority", "first_chain", SETTINGS_PATH, FIELD(authority.first_chain), 1, 4000,
      "/etc/touchmark/ca/chain.pem", NULL,
      "certificates of our CAs, PEM; read once, when the registry is empty" },
    { "authority", "first_operator", SETTINGS_PATH, FIELD(authority.first_operator), 1, 4000,
      "/etc/touchmark/operator/first.pem", NULL,
      "certificate of the first operator, PEM; read once, when the registry is empty" },
    { "authority", "first_policy", SETTINGS_PATH, FIELD(authority.first_policy), 1, 4000,
      "/etc/touchmark/policy/active.policy", NULL,
      "text of the first policy; read once, when the registry is empty" },
    { "authority", "backups", SETTINGS_PATH, FIELD(authority.backups), 0, 4000, "", NULL,
      "folder where copies of the registry are made; empty for none" },
    { "authority", "recover", SETTINGS_PATH, FIELD(authority.recover), 0, 4000, "", NULL,
      "folder of certificate requests, ID.csr, that become administrators at the next start "
      "(docs/recovery.md): whoever can write to it can become one; empty for none" },
    { "authority", "token_lifetime", SETTINGS_DURATION, FIELD(authority.token_lifetime_ms),
      MINUTE, 90LL * 24 * HOUR, "24h", NULL,
      "life of a one-time enrolment token unless its maker says otherwise" },
    { "authority", "four_eyes", SETTINGS_TEXT, FIELD(authority.four_eyes), 0, 200, "", NULL,
      "acts that need two administrators, with commas: policy, revocation (of many devices at "
      "once), retention (erasing audit records, removing holds); empty for none. With any, "
      "administrators are made at the machine alone" },
    { "authority", "acts", SETTINGS_CHOICE, FIELD(authority.acts), 0, 0, "roles",
      "roles,policy",
      "who decides of calls, enrolments, renewals and revocations: roles, from which the "
      "policy's denials take away; or policy: what roles allow is done if a rule allows it, "
      "too. An administrator can put another policy in its place either way "
      "(docs/policy-language.md)" },
    { "authority", "proposal_lifetime", SETTINGS_DURATION,
      FIELD(authority.proposal_lifetime_ms), MINUTE, 90LL * 24 * HOUR, "7d", NULL,
      "life of a proposal that no other administrator approves" },
    { "authority", "single_revocations", SETTINGS_NUMBER, FIELD(authority.singles_most), 1,
      REGISTRY_SINGLES_MOST, "10", NULL,
      "devices and devices' certificates that one administrator may revoke singly within an "
      "hour when four_eyes has revocation" },
    { "authority", "crl_every", SETTINGS_DURATION, FIELD(authority.crl_every_ms), MINUTE,
      15LL * 24 * HOUR, "12h", NULL,
      "age at which a CRL is made anew; after a revocation it is made at once, a second for "
      "each MiB of the last one after that" },
    { "authority", "crl_valid", SETTINGS_DURATION, FIELD(authority.crl_valid_ms), HOUR,
      30LL * 24 * HOUR, "7d", NULL, "nextUpdate of a CRL lies so far ahead" },
    { "authority", "door_names", SETTINGS_TEXT, FIELD(authority.door_names), 1, 1000,
      "localhost,127.0.0.1", NULL,
      "host names and addresses in the doors' certificates, with commas; the key rules of the "
      "key doors must allow them" },

    { "authority", "tiles", SETTINGS_PATH, FIELD(authority.tiles), 0, 4000, "", NULL,
      "folder of the audit log's tiles and published checkpoint (docs/protocol/tiles.md), "
      "which "
      "the operator door serves; all in it is derived; empty for none" },
    { "authority", "witnesses", SETTINGS_TEXT, FIELD(authority.witnesses), 0, 2000, "", NULL,
      "verifier keys of those who may cosign checkpoints, with spaces between them, as "
      "touchmark-witness init prints them; at most 8" },
    { "authority", "witness_quorum", SETTINGS_NUMBER, FIELD(authority.witness_quorum), 0, 8,
      "0", NULL,
      "so many of them must have signed a checkpoint before it is published; 0: none" },
    { "authority", "witness_within", SETTINGS_DURATION, FIELD(authority.witness_within_ms),
      1000, 24LL * HOUR, "5m", NULL,
      "longer without that many signatures is trouble, which status shows" },
    { "authority", "audit_retention", SETTINGS_NUMBER, FIELD(authority.audit_retention), 0,
      AUDIT_PRUNE_DAYS_MAX, "0", NULL,
      "days after which the bodies of audit records are erased, unless a hold is on them; 0: "
      "never. A change is recorded at the next start" },
    { "device-door", "user", SETTINGS_TEXT, DEVICES(user), 0, 32, "", NULL,
      "name or number of the user that the device door becomes when touchmarkd is root; needed "
      "then" },
    { "device-door", "mqtts", SETTINGS_ADDRESS, DEVICES(mqtts), 0, 0, "127.0.0.1:8883", NULL,
      "where devices speak MQTT over TLS; port 0 for any free one, which the log tells" },
    { "device-door", "https", SETTINGS_ADDRESS, DEVICES(https), 0, 0, "127.0.0.1:8443", NULL,
      "where devices enrol and renew (EST)" },
    { "device-door", "http", SETTINGS_ADDRESS, DEVICES(http), -1, 0, "127.0.0.1:8080", NULL,
      "where CRLs and CA certificates are served without TLS; empty for nowhere" },
    { "device-door", "workers", SETTINGS_NUMBER, DEVICES(workers), 1, 24, "2", NULL,
      "threads that serve devices; one a processor core" },
    { "device-door", "spool", SETTINGS_PATH, DEVICES(spool), 1, 4000,
      "/var/lib/touchmark/device-door/spool", NULL,
      "folder of the audit records that the authority has not taken yet" },
    { "device-door", "spool_most", SETTINGS_SIZE, DEVICES(spool_most), MIB, 1024 * 1024LL * MIB,
      "4G", NULL, "size of the spool at which devices are turned away" },
    { "device-door", "journal", SETTINGS_PATH, DEVICES(journal), 1, 4000,
      "/var/lib/touchmark/device-door/journal", NULL, "folder of the retained messages" },
    { "device-door", "journal_most", SETTINGS_SIZE, DEVICES(journal_most), MIB,
      1024 * 1024LL * MIB, "4G", NULL, "size of it at which nothing more is retained" },
    { "device-door", "retained_most", SETTINGS_SIZE, DEVICES(retained_most), MIB,
      64 * 1024LL * MIB, "256M", NULL, "memory for retained messages" },
    { "device-door", "messages_most", SETTINGS_SIZE, DEVICES(messages_most), MIB,
      64 * 1024LL * MIB, "256M", NULL, "memory for messages under way, of each worker" },
    { "device-door", "connections_most", SETTINGS_NUMBER, DEVICES(connections_most), 1, 1000000,
      "15000", NULL, "connections at a time, of all workers together" },
    { "device-door", "packet_most", SETTINGS_SIZE, DEVICES(packet_most), 1024, 960 * KIB,
      "256k", NULL, "longest MQTT packet that a device may send" },
    { "device-door", "subscriptions_most", SETTINGS_NUMBER, DEVICES(subscriptions_most), 1,
      10000, "100", NULL, "subscriptions of one device" },
    { "device-door", "queue_most", SETTINGS_NUMBER, DEVICES(queue_most), 1, 32768, "4096", NULL,
      "QoS 1 messages that wait for one device" },
    { "device-door", "queue_bytes", SETTINGS_SIZE, DEVICES(queue_bytes), MIB, 64 * 1024LL * MIB,
      "4M", NULL,
      "memory of the messages that wait for one device; a small part of messages_most" },
    { "device-door", "out_most", SETTINGS_SIZE, DEVICES(out_most), 128 * KIB, 64 * MIB, "1M",
      NULL, "octets that wait for a device that reads slowly" },
    { "device-door", "keep_alive_most", SETTINGS_DURATION, DEVICES(keep_alive_most_ms), 0,
      18 * HOUR, "30m", NULL, "longest keep alive of MQTT 5 clients; 0s for any, or none" },
    { "device-door", "connect_within", SETTINGS_DURATION, DEVICES(connect_within_ms), 100,
      10 * MINUTE, "10s", NULL, "time from the TLS handshake to CONNECT" },
    { "device-door", "handshake_within", SETTINGS_DURATION, DEVICES(handshake_within_ms), 100,
      10 * MINUTE, "10s", NULL, "time that a TLS handshake may take" },
    { "device-door", "read_within", SETTINGS_DURATION, DEVICES(read_within_ms), SECOND,
      10 * MINUTE, "15s", NULL,
      "time in which a client of HTTPS must take 16 KiB of what waits for it, or all" },
    { "device-door", "session_timeout", SETTINGS_DURATION, DEVICES(session_timeout_ms), SECOND,
      24 * HOUR, "1h", NULL, "time for which a TLS session may be resumed" },
    { "device-door", "sessions_most", SETTINGS_NUMBER, DEVICES(sessions_most), 1, 1000000,
      "20000", NULL, "TLS sessions that are kept to be resumed" },
    { "device-door", "audit_window", SETTINGS_DURATION, DEVICES(audit_window_ms), 100, HOUR,
      "10s", NULL, "time over which allowed traffic is counted for one audit record" },
    { "operator-door", "user", SETTINGS_TEXT, OPERATORS(user), 0, 32, "", NULL,
      "name or number of the user that the operator door becomes when touchmarkd is root; "
      "needed then" },
    { "operator-door", "https", SETTINGS_ADDRESS, OPERATORS(https), 0, 0, "127.0.0.1:9443",
      NULL,
      "where operators and lines are served; port 0 for any free one, which the log tells" },
    { "operator-door", "spool", SETTINGS_PATH, OPERATORS(spool), 1, 4000,
      "/var/lib/touchmark/operator-door/spool", NULL,
      "folder of the audit records that the authority has not taken yet" },
    { "operator-door", "spool_most", SETTINGS_SIZE, OPERATORS(spool_most), MIB,
      1024 * 1024LL * MIB, "1G", NULL, "size of the spool at which nothing is served" },
    { "operator-door", "connections_most", SETTINGS_NUMBER, OPERATORS(connections_most), 1,
      15000, "500", NULL, "connections at a time" },
    { "operator-door", "handshake_within", SETTINGS_DURATION, OPERATORS(handshake_within_ms),
      100, 10 * MINUTE, "10s", NULL, "time that a TLS handshake may take" },
    { "operator-door", "read_within", SETTINGS_DURATION, OPERATORS(read_within_ms), SECOND,
      10 * MINUTE, "15s", NULL,
      "time in which a client of HTTPS must take 16 KiB of what waits for it, or all" },
    { "operator-door", "session_timeout", SETTINGS_DURATION, OPERATORS(session_timeout_ms),
      SECOND, 24 * HOUR, "1h", NULL, "time for which a TLS session may be resumed" },
    { "operator-door", "sessions_most", SETTINGS_NUMBER, OPERATORS(sessions_most), 1, 1000000,
      "20000", NULL, "TLS sessions that are kept to be resumed" },
    { "operator-door", "audit_window", SETTINGS_DURATION, OPERATORS(audit_window_ms), 100, HOUR,
      "10s", NULL, "time over which allowed traffic is counted for one audit record" },
    { "exporter", "user", SETTINGS_TEXT, FIELD(exporter.user), 0, 32, "", NULL,
      "name or number of the user that the exporter becomes when touchmarkd is root; needed "
      "then" },
    { "exporter", "state", SETTINGS_PATH, FIELD(exporter.state), 1, 4000,
      "/var/lib/touchmark/exporter", NULL, "folder that says how far each sink is" },
    { "exporter", "host", SETTINGS_TEXT, FIELD(exporter.host), 0, INTEGRATION_HOST_MAX, "",
      NULL, "HOSTNAME in syslog messages; empty for the machine's name" },
    { "exporter", "connect_within", SETTINGS_DURATION, FIELD(exporter.connect_within_ms), 100,
      10 * MINUTE, "10s", NULL, "time that a connection to a receiver may take, TLS included" },
    { "exporter", "retry_most", SETTINGS_DURATION, FIELD(exporter.retry_most_ms), SECOND, HOUR,
      "60s", NULL,
      "the wait between tries of a sink or a witness that fails doubles up to this" },
    { "exporter", "trouble_after", SETTINGS_DURATION, FIELD(exporter.trouble_after_ms), 0,
      7 * 24LL * HOUR, "5m", NULL, "status shows a sink or a witness that fails for longer" },
    WITNESS_ROWS(
        1, "where a witness takes checkpoints to cosign, like https://192.0.2.1:8443 or "
           "http://192.0.2.1:8070; empty for none; its key stands in authority.witnesses"),
    WITNESS_ROWS(2, "a second one"),
    WITNESS_ROWS(3, "a third one"),
    WITNESS_ROWS(4, "a fourth one"),
    SINK_ROWS(1),
    SINK_ROWS(2),
    SINK_ROWS(3),
    SINK_ROWS(4),
};

static const struct settings_table TABLE = { ROWS, sizeof ROWS / sizeof *ROWS };

const struct settings_table *daemon_config_table(void)
{
    return &TABLE;
}

const char *daemon_config_user(const struct daemon_config *config, const char *process)
{
    for (size_t i = 0; i < TABLE.count; i++) {
        const struct settings_row *row = &ROWS[i];
        if (strcmp(row->section, process) == 0 && strcmp(row->key, "user") == 0) {
            const void *field = (const char *)config + row->field;
            return *(char *const *)field;
        }
    }
    return NULL;
}

/* ---- Sinks ---- */

const char *daemon_config_sink_name(size_t place)
{
    static const char *const NAMES[DAEMON_CONFIG_SINKS] = { "sink-1", "sink-2", "sink-3",
                                                            "sink-4" };

    return NAMES[place];
}

unsigned daemon_config_sinks(const struct daemon_config *config)
{
    unsigned sinks = 0;

    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++)
        sinks += config->exporter.sinks[i].kind != DAEMON_CONFIG_NO_SINK;
    return sinks;
}

const char *daemon_config_witness_name(size_t place)
{
    static const char *const NAMES[DAEMON_CONFIG_WITNESSES] = { "witness-1", "witness-2",
                                                                "witness-3", "witness-4" };

    return NAMES[place];
}

unsigned daemon_config_witnesses(const struct daemon_config *config)
{
    unsigned witnesses = 0;

    for (size_t i = 0; i < DAEMON_CONFIG_WITNESSES; i++)
        witnesses += *config->exporter.witnesses[i].url != '\0';
    return witnesses;
}

static enum rc check_witness_tls(const struct daemon_config_witness *witness, size_t number,
                                 bool tls)
{
    if (!tls && (*witness->name != '\0' || *witness->authorities != '\0'))
        return fault(RC_MALFORMED,
                     "[exporter] witness%zu_authorities, witness%zu_name: are for an https URL",
                     number, number);
    if (tls && *witness->authorities == '\0')
        return fault(RC_MALFORMED,
                     "[exporter] witness%zu_authorities: must be given for an https URL",
                     number);
    enum rc rc = *witness->name == '\0' ? RC_OK : integration_witness_check_name(witness->name);
    return rc == RC_OK ? RC_OK : fault_while(rc, "[exporter] witness%zu_name", number);
}

static enum rc check_witness(const struct daemon_config_witness *witnesses, size_t place)
{
    const struct daemon_config_witness *witness = &witnesses[place];
    struct integration_witness_url url = { 0 };

    if (*witness->url == '\0')
        return check_witness_tls(witness, place + 1, false);
    enum rc rc = integration_witness_read_url(witness->url, &url);
    if (rc != RC_OK)
        return fault_while(rc, "[exporter] witness%zu", place + 1);
    TRY(check_witness_tls(witness, place + 1, url.tls));
    for (size_t i = 0; i < place; i++)
        if (strcmp(witnesses[i].url, witness->url) == 0)
            return fault(RC_MALFORMED, "[exporter] witness%zu: is witness%zu, too", place + 1,
                         i + 1);
    return RC_OK;
}

static enum rc need(const char *sink, const char *key, const char *value, const char *kind)
{
    if (*value == '\0')
        return fault(RC_MALFORMED, "[%s] %s: must be given for kind %s", sink, key, kind);
    return RC_OK;
}

static enum rc check_jsonl(const struct daemon_config_sink *sink, const char *name)
{
    const char *slash = strrchr(sink->file, '/');

    TRY(need(name, "file", sink->file, "jsonl"));
    if (slash == sink->file || slash[1] == '\0')
        return fault(RC_MALFORMED, "[%s] file: a file in a folder of its own is expected",
                     name);
    if (sink->format == INTEGRATION_TEXT)
        return fault(RC_MALFORMED, "[%s] format: a file of JSON lines is json or ocsf", name);
    return RC_OK;
}

static enum rc check_syslog(const struct daemon_config *config,
                            const struct daemon_config_sink *sink, const char *name)
{
    const struct integration_syslog_style style = {
        .format = (enum integration_format)sink->format,
        .host = config->exporter.host,
        .sd_id = sink->sd_id,
    };
    struct integration_address address;

    TRY(need(name, "address", sink->address, "syslog"));
    TRY(need(name, "server_name", sink->server_name, "syslog"));
    TRY(need(name, "authorities", sink->authorities, "syslog"));
    if ((*sink->certificate == '\0') != (*sink->key == '\0'))
        return fault(RC_MALFORMED, "[%s] certificate, key: both or neither", name);
    enum rc rc = integration_address_read(sink->address, &address);
    if (rc == RC_OK)
        rc = integration_syslog_check(&style);
    return rc == RC_OK ? RC_OK : fault_while(rc, "[%s]", name);
}

static enum rc check_sink(const struct daemon_config *config, size_t place)
{
    const struct daemon_config_sink *sink = &config->exporter.sinks[place];
    const char *name = daemon_config_sink_name(place);

    if (sink->kind == DAEMON_CONFIG_JSONL)
        return check_jsonl(sink, name);
    return sink->kind == DAEMON_CONFIG_SYSLOG ? check_syslog(config, sink, name) : RC_OK;
}

enum rc daemon_config_check(const struct daemon_config *config)
{
    uint32_t acts = 0;
    enum rc rc = registry_acts_read(bytes_of_text(config->authority.four_eyes), &acts);

    if (rc != RC_OK)
        return fault_while(rc, "[authority] four_eyes");
    for (size_t i = 0; i < DAEMON_CONFIG_WITNESSES; i++)
        TRY(check_witness(config->exporter.witnesses, i));
    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++)
        TRY(check_sink(config, i));
    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++)
        for (size_t j = 0; j < i; j++)
            if (config->exporter.sinks[i].kind == DAEMON_CONFIG_JSONL &&
                config->exporter.sinks[j].kind == DAEMON_CONFIG_JSONL &&
                strcmp(config->exporter.sinks[i].file, config->exporter.sinks[j].file) == 0)
                return fault(RC_MALFORMED, "[%s] file: [%s] writes to it already",
                             daemon_config_sink_name(i), daemon_config_sink_name(j));
    return RC_OK;
}
