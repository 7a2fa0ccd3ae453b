/* What is known now of devices and certificates, for sessions that the audit log tells of. */
#pragma once

#include "cli/fleet.h"

struct cli_known {
    json_t *devices; /* by id, as the API has them */
    json_t *ends;    /* certificates by fingerprint, likewise */
};
#define CLI_KNOWN(name) [[gnu::cleanup(cli_known_clear)]] struct cli_known name = { 0 }
enum rc cli_known_read(struct cli_remote *remote, struct cli_known *known);
void cli_known_clear(struct cli_known *known);

/* As a record has it: id, address, TLS, fingerprint of the certificate that was shown. */
struct cli_said {
    const char *device, *peer, *tls, *fingerprint; /* "" if it is not there */
};
/*
 * The facts by which the door judged that session, with the groups that the device is in now.
 * But certificate.issuer and client.id are not known: cli_outcome_rests_on_unknown(). judged
 * borrows what was said, and from known. RC_NOT_FOUND: there is no such device.
 */
enum rc cli_known_judge(const struct cli_known *known, const struct cli_said *said,
                        struct cli_judged *judged);
