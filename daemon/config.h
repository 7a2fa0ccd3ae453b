/* The settings of all processes: one file, one table, one struct. */
#pragma once

#include "base/settings.h"

/* A row in config.c for each field; a field or row that nothing reads goes. */

/* A door's. What the operator door has no row for is zero there. */
struct daemon_config_door {
    char *user;
    char *mqtts, *https, *http; /* http "": none */
    int64_t workers;
    char *spool, *journal;
    int64_t spool_most, journal_most;
    int64_t connections_most, packet_most, subscriptions_most, queue_most, queue_bytes;
    int64_t out_most;
    int64_t retained_most, messages_most;
    int64_t handshake_within_ms, connect_within_ms, read_within_ms, keep_alive_most_ms;
    int64_t session_timeout_ms, sessions_most, audit_window_ms;
};

/* Where the audit log goes; kind NONE: nowhere, and the rest says nothing. */
struct daemon_config_sink {
    int kind;   /* enum daemon_config_sink_kind */
    int format; /* enum integration_format */
    char *file;
    int64_t rotate;
    char *address, *server_name, *authorities, *certificate, *key, *sd_id;
    int64_t settle_ms, renew_ms;
};
enum { DAEMON_CONFIG_ACTS_ROLES, DAEMON_CONFIG_ACTS_POLICY };
enum daemon_config_sink_kind {
    DAEMON_CONFIG_NO_SINK,
    DAEMON_CONFIG_JSONL,
    DAEMON_CONFIG_SYSLOG
};
struct daemon_config_witness {
    char *url;                /* "": none */
    char *name, *authorities; /* of https */
};
enum { DAEMON_CONFIG_SINKS = 4, DAEMON_CONFIG_WITNESSES = 4 };

struct daemon_config {
    struct {
        char *pid_file; /* "": none */
        int log_level;  /* enum log_level */
        int64_t stop_within_ms, ready_within_ms;
        int64_t restart_least_ms, restart_most_ms, calm_ms;
    } supervisor;
    struct {
        int landlock, locked_memory; /* enum daemon_config_demand */
        int64_t landlock_abi_most;   /* 0: the kernel's */
    } sandbox;
    struct {
        char *user; /* "": as touchmarkd runs, unless that is root */
        char *pin_from;
        char *module, *module_conf, *module_folder;
        int grant; /* enum keys_grant_name */
        char *token;
        int64_t workers;
        char *rules, *rules_signature, *rules_key, *rules_key_sha256;
        char *journal;
        int64_t journal_segment, journal_most;
    } signer;
    struct {
        char *user;
        char *registry;
        int64_t map;
        char *first_chain, *first_operator, *first_policy;
        char *backups, *recover; /* "": none */
        char *tiles, *witnesses; /* "": none */
        int64_t witness_quorum, witness_within_ms;
        int64_t token_lifetime_ms, crl_every_ms, crl_valid_ms;
        char *four_eyes; /* registry_acts_read() */
        int acts;        /* a choice: DAEMON_CONFIG_ACTS_* */
        int64_t proposal_lifetime_ms, singles_most;
        char *door_names;
        int64_t audit_retention; /* days */
    } authority;
    struct daemon_config_door device_door, operator_door;
    struct {
        char *user;
        char *state;
        char *host; /* "": the machine's name */
        int64_t connect_within_ms, retry_most_ms, trouble_after_ms;
        struct daemon_config_sink sinks[DAEMON_CONFIG_SINKS];
        struct daemon_config_witness witnesses[DAEMON_CONFIG_WITNESSES];
    } exporter;
};

enum daemon_config_demand { DAEMON_CONFIG_REQUIRED, DAEMON_CONFIG_OPTIONAL };

const struct settings_table *daemon_config_table(void);
static inline void daemon_config_clear(struct daemon_config *config)
{
    settings_clear(daemon_config_table(), config);
}

/* What no row can see alone; after settings_read(). RC_MALFORMED "[section] key: ...". */
enum rc daemon_config_check(const struct daemon_config *config);

/* How many sinks there are, and what they are called: "sink-1" for the first place. */
unsigned daemon_config_sinks(const struct daemon_config *config);
const char *daemon_config_sink_name(size_t place);
/* Those that checkpoints are carried to: "witness-1". */
unsigned daemon_config_witnesses(const struct daemon_config *config);
const char *daemon_config_witness_name(size_t place);

/* The setting `user` of a process's section; NULL for a process that has none. */
const char *daemon_config_user(const struct daemon_config *config, const char *process);
