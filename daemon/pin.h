/* The PIN of an HSM token on its way from a file or a systemd credential to the one process
 * that uses it. */
#pragma once

#include "base/rc.h"

/*
 * from is an absolute path, or "credential:NAME" for the file NAME in $CREDENTIALS_DIRECTORY
 * (systemd.exec(5), LoadCredential). The file is regular, no symbolic link, and only its owner
 * (root or we) may read it. The PIN goes into a sealed, locked memfd and nowhere else: no
 * argument, no environment variable, no log line; what was read on the way is wiped.
 * RC_MALFORMED for a from of another form, RC_NOT_FOUND, RC_DENIED.
 */
enum rc daemon_pin_open(const char *from, int *fd);
