/* Where the operator door is, and who asks: operator.conf, which touchmark init writes beside
 * the operator's certificate. */
#pragma once

#include "base/buf.h"

/*
 * Paths in the file are relative to its folder, so that the folder can be carried to the
 * operator's own machine as it is.
 */
struct cli_profile {
    char *server;         /* "https://127.0.0.1:9443", without a slash at the end */
    char *authorities;    /* PEM: the CA of the doors */
    char *certificate;    /* PEM */
    char *key;            /* PEM, a secret */
    char *checkpoint_key; /* PEM: the public key of the audit log's checkpoints */
};

/*
 * given: a file, or NULL for the first one that exists of ./operator.conf,
 * ~/.config/touchmark/operator.conf and /etc/touchmark/operator/operator.conf (RC_NOT_FOUND
 * names them). server: in place of the file's, or NULL. RC_MALFORMED as settings_read(), and
 * for a server that is no https URL.
 */
enum rc cli_profile_read(const char *given, const char *server, struct cli_profile *profile);
void cli_profile_clear(struct cli_profile *profile);

/* "https://host:port": nothing else is spoken to. RC_MALFORMED. */
enum rc cli_profile_check_server(const char *server);
/* Append the text of an operator.conf; the names are of files beside it. */
struct cli_profile_names {
    const char *server, *authorities, *certificate, *key;
};
void cli_profile_write(struct buf *out, const struct cli_profile_names *names);
