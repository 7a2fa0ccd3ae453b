/* Which user each process becomes, and which folders of the place are then his. */
#pragma once

#include "cli/place.h"

enum cli_process {
    CLI_SIGNER,
    CLI_AUTHORITY,
    CLI_DEVICE_DOOR,
    CLI_OPERATOR_DOOR,
    CLI_EXPORTER,
    CLI_PROCESSES
};

struct cli_users {
    struct cli_user {
        const char *name; /* name or number as given, borrowed; NULL: whoever runs this */
        uid_t uid;
        gid_t gid;
    } of[CLI_PROCESSES];
};

/* The process's section of the settings, and its folder: "device-door". */
const char *cli_users_process(enum cli_process process);

/*
 * Fill in the numbers of the names that are given. As root each process needs a user of its
 * own: RC_MALFORMED; without a name it is touchmark-PROCESS, if the machine knows that one. A
 * number that the machine does not know has the group of the same number. RC_DENIED: root, or
 * two processes with one user. RC_NOT_FOUND.
 */
enum rc cli_users_find(struct cli_users *users);

/* Each process's own folders, with nothing in them. */
enum rc cli_users_add_folders(const struct cli_place *place);
/* Hand them over, with all that is in them by now. */
enum rc cli_users_give(const struct cli_users *users, const struct cli_place *place);
/* "[section]", and the setting `user` if one is needed. */
void cli_users_add_section(const struct cli_users *users, enum cli_process process,
                           struct buf *settings);
