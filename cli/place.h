/* The folder that touchmark init makes: where each thing lies, and nothing half made. */
#pragma once

#include "base/buf.h"
#include "base/own.h"
#include "base/secret.h"

#include <sys/types.h>

/*
 * The folder is made beside its final name, as NAME.partial, and renamed at the end: it is
 * there whole or not at all. Paths written into files name the final place.
 *
 *   touchmark.conf             settings of touchmarkd
 *   ca/NAME.pem                certificates: root, devices, operators, doors; chain.pem:
 * issuing and root keys/rules, rules.sig, ceremony.spki hsm/issuing/ softhsm2.conf and tokens/,
 * with SoftHSM secrets/issuing.pin, issuing.so-pin root/                      the root's HSM
 * token and PINs: to be taken away signer/                    the signer's journal
 *   policy/active.policy       what is allowed: nothing
 *   tiles/                     the audit log's, derived: for the operator door to read
 *   operator/NAME.key, NAME.pem, and what else NAME needs to use touchmark: operator.conf,
 *     doors.pem, checkpoints.pub.pem
 */
struct cli_place {
    struct buf final_path, working_path; /* absolute, unterminated */
    int dir;                             /* of the working path */
    bool finished;                       /* nothing to remove any more */
    bool opened; /* add_file() replaces: an interrupted addition is done again */
};

/* RC_EXISTS if name is there, or a NAME.partial that an interrupted run left. */
enum rc cli_place_make(const char *name, struct cli_place *place);
/* Open one that is finished, to add to it. RC_NOT_FOUND. */
enum rc cli_place_open(const char *name, struct cli_place *place);
/* Give it its final name. RC_EXISTS if somebody else took it meanwhile. */
enum rc cli_place_finish(struct cli_place *place);
/* Removes what is not finished. */
void cli_place_close(struct cli_place *place);

/* Folders and files inside; name is relative, its folder must be there. Folders 0755 or,
 * secret, 0700. */
enum rc cli_place_add_folder(const struct cli_place *place, const char *name, bool secret);
enum rc cli_place_add_file(const struct cli_place *place, const char *name, struct bytes bytes,
                           bool secret);
enum rc cli_place_read_file(const struct cli_place *place, const char *name, struct buf *out);
/* A new random PIN, also in a file of mode 0600. */
enum rc cli_place_add_pin(const struct cli_place *place, const char *name, struct secret *pin);
enum rc cli_place_read_pin(const struct cli_place *place, const char *name, struct secret *pin);
/* Hand a folder and all in it to a user. Symbolic links are not followed. */
enum rc cli_place_give(const struct cli_place *place, const char *name, uid_t uid, gid_t gid);
/* Its group may enter and look around. */
enum rc cli_place_open_to_group(const struct cli_place *place, const char *name);
/* Files below it whose names end so: for their owner to read, and for nobody to write. */
enum rc cli_place_seal(const struct cli_place *place, const char *name, const char *ending);
/* "FINAL/name" */
void cli_place_add_path(const struct cli_place *place, const char *name, struct buf *out);
