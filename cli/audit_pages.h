/* Searches of the audit log that need all that is found, page by page. */
#pragma once

#include "cli/remote.h"

/* Options that say which records: a table of options begins with them. */
enum cli_audit_facet {
    CLI_AUDIT_DEVICE,
    CLI_AUDIT_ACTOR,
    CLI_AUDIT_KIND,
    CLI_AUDIT_CERTIFICATE,
    CLI_AUDIT_SERIAL,
    CLI_AUDIT_ISSUER,
    CLI_AUDIT_KEY,
    CLI_AUDIT_CORRELATION,
    CLI_AUDIT_TARGET,
    CLI_AUDIT_TOPIC,
    CLI_AUDIT_PEER,
    CLI_AUDIT_ACTION,
    CLI_AUDIT_DECISION,
    CLI_AUDIT_SOURCE,
    CLI_AUDIT_POLICY,
    CLI_AUDIT_RULE,
    CLI_AUDIT_SINCE,
    CLI_AUDIT_UNTIL,
    CLI_AUDIT_FACETS
};
#define CLI_AUDIT_FACET_OPTIONS                                                                \
    [CLI_AUDIT_DEVICE] = { "--device", "ID", "this device did, or it is about it" },           \
    [CLI_AUDIT_ACTOR] = { "--actor", "ID", "who did it" },                                     \
    [CLI_AUDIT_KIND] = { "--kind", "WORDS",                                                    \
                         "who did it is a device, operator, line, process, or nobody" },       \
    [CLI_AUDIT_CERTIFICATE] = { "--certificate", "FINGERPRINT", "shown, or acted upon" },      \
    [CLI_AUDIT_SERIAL] = { "--serial", "HEX", "of that certificate" },                         \
    [CLI_AUDIT_ISSUER] = { "--issuer", "HASH", "of that certificate: SHA-256 of its Name" },   \
    [CLI_AUDIT_KEY] = { "--key", "HASH", "of that certificate: SHA-256 of its public key" },   \
    [CLI_AUDIT_CORRELATION] = { "--correlation", "ID",                                         \
                                "of a request or session: the request id" },                   \
    [CLI_AUDIT_TARGET] = { "--target", "TEXT", "exactly this topic, id or route" },            \
    [CLI_AUDIT_TOPIC] = { "--topic", "FILTER",                                                 \
                          "a topic that this filter matches, or a subscription to some of "    \
                          "them" },                                                            \
    [CLI_AUDIT_PEER] = { "--peer", "ADDRESS",                                                  \
                         "from there: an address, address:port, or a network as "              \
                         "192.0.2.0/24" },                                                     \
    [CLI_AUDIT_ACTION] = { "--action", "NAMES",                                                \
                           "what was done or tried, as the list shows it; "                    \
                           "publish,certificate.*" },                                          \
    [CLI_AUDIT_DECISION] = { "--decision", "WORDS", "allowed, denied, failed" },               \
    [CLI_AUDIT_SOURCE] = { "--source", "WORDS",                                                \
                           "who says so: authority, device-door, operator-door, signer" },     \
    [CLI_AUDIT_POLICY] = { "--policy", "VERSION", "this version of the policy was asked" },    \
    [CLI_AUDIT_RULE] = { "--rule", "N", "decided by this rule of its policy; none: by none" }, \
    [CLI_AUDIT_SINCE] = { "--since", "TIME", "2026-11-27T12:00:00Z, or later" },               \
    [CLI_AUDIT_UNTIL] = { "--until", "TIME", "or earlier" }

/* One filter: a parameter of GET /v1/audit. */
struct cli_audit_filter {
    const char *name, *value; /* value NULL: none */
};

/* All records that pass every filter, newest first, page by page: nothing is kept but what
 * take() keeps. */
enum rc cli_audit_each(struct cli_remote *remote, const struct cli_audit_filter *filters,
                       size_t count, enum rc (*take)(void *with, const json_t *record),
                       void *with);
enum { CLI_AUDIT_RECORDS_MAX = 1000000 };
/* The same into an array, for whoever needs them oldest first. RC_LIMIT for more. */
enum rc cli_audit_collect(struct cli_remote *remote, const struct cli_audit_filter *filters,
                          size_t count, json_t *records);
/* The text of a record's member, also "actor.id"; "" if it is not there. */
const char *cli_audit_text(const json_t *record, const char *path);
/* How many acts it stands for. */
json_int_t cli_audit_count(const json_t *record);

/* One row for what agrees in these members ("actor.id" is "actor" in a row): adds counts, keeps
 * the first and last time. rows is an array of {members..., "count", "first", "last"}; record
 * comes newest first. */
enum rc cli_audit_tally(json_t *rows, const json_t *record, const char *const *members,
                        size_t count);

/* A number of a record as an INDEX word says it. RC_MALFORMED. */
enum rc cli_audit_read_index(const char *word, uint64_t *index);
/* The record with this index. RC_NOT_FOUND. */
enum rc cli_audit_get(struct cli_remote *remote, uint64_t index, json_t **record);
