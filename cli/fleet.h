/* The devices of the running system, as policies are asked about them. */
#pragma once

#include "cli/remote.h"
#include "policy/analysis.h"
#include "registry/judged.h"

/* What a device is judged by; facts borrow the rest, so it stays where it is. */
struct cli_judged {
    struct registry_subject device;
    struct bytes groups[REGISTRY_GROUPS_MAX];
    struct policy_facts facts;
};
/* From the API's form of a device: {"id","groups"}. RC_MALFORMED. */
enum rc cli_judged_read(const json_t *device, struct cli_judged *judged);
/* From what was said on the command line: groups with commas between, or NULL. */
enum rc cli_judged_say(const char *id, const char *groups, struct cli_judged *judged);

/* All devices that are not revoked, for good, as they are now. */
struct cli_fleet {
    json_t *devices;       /* of the API */
    const json_t *visited; /* the one that a visit is about */
};
#define CLI_FLEET(name) [[gnu::cleanup(cli_fleet_clear)]] struct cli_fleet name = { 0 }
enum rc cli_fleet_read(struct cli_remote *remote, struct cli_fleet *fleet);
void cli_fleet_clear(struct cli_fleet *fleet);

/* For policy_who() and policy_diff(), and for policy_check(). Both borrow. */
struct policy_fleet cli_fleet_devices(struct cli_fleet *fleet);
struct policy_groups cli_fleet_groups(struct cli_fleet *fleet);
