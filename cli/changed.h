/* What a new policy changes for each device, against the versions that the audit log tells of.
 */
#pragma once

#include "cli/compile.h"
#include "cli/known.h"

enum { CLI_CHANGED_MAX = 64 /* versions that are remembered */ };

/* Each version is fetched, compiled and compared once, for all devices together. */
struct cli_changed {
    struct cli_source *source; /* borrowed, as the next two */
    const struct policy *new;
    const struct cli_known *known;
    struct cli_fleet fleet; /* all that are known */
    json_t *places;         /* of the devices in the fleet, by id */
    struct cli_changed_version {
        json_int_t number;
        struct policy *old;
        bool unsure; /* too much differs for policy_diff() to say what */
        struct policy_diff diff;
    } at[CLI_CHANGED_MAX];
    size_t count; /* that were ever compared: the oldest makes room */
};
void cli_changed_clear(struct cli_changed *changed);

/*
 * Does the new policy decide any of these actions (a set of 1 << enum policy_action) otherwise
 * for the device than the version did? Exact where no conditions are; yes of everything where
 * more differs than can be told. RC_NOT_FOUND: the device is not known.
 */
enum rc cli_changed_ask(struct cli_changed *changed, json_int_t version, const char *device,
                        unsigned actions, bool *is_changed);
/* That version itself; borrowed until the next question. */
enum rc cli_changed_old(struct cli_changed *changed, json_int_t version,
                        const struct policy **old);
