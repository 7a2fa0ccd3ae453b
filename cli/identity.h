/* A private key and its certificate as files: NAME.key (0600) and NAME.pem. */
#pragma once

#include "pki/software_key.h"

/*
 * The key waits in NAME.key.new until its certificate is there: a failure leaves the folder as
 * it was, and an old pair whole. One thread's.
 */
struct cli_identity {
    int dir; /* borrowed */
    const char *name;
    struct pki_software_key *key;
    bool waiting; /* NAME.key.new is there */
};
#define CLI_IDENTITY(name) [[gnu::cleanup(cli_identity_close)]] struct cli_identity name = { 0 }

/* A new key. RC_EXISTS if either file is there, unless replace; RC_MALFORMED for a name that
 * cannot be a subject's id (registry/subject.h), so it is never a path. */
enum rc cli_identity_make(int dir, const char *name, bool replace,
                          struct cli_identity *identity);
/* The key that is there, for its next certificate. RC_NOT_FOUND. */
enum rc cli_identity_open(int dir, const char *name, struct cli_identity *identity);
/* Append a request for it, DER; subject is a Name element, or empty for commonName = name. */
enum rc cli_identity_request(const struct cli_identity *identity, struct bytes subject,
                             struct buf *der);
/* Both files in place, durably. */
enum rc cli_identity_finish(struct cli_identity *identity, struct bytes certificate_pem);
void cli_identity_close(struct cli_identity *identity);

/* What lies beside them: append the first certificate of a PEM file, DER. */
enum rc cli_identity_read_certificate(int dir, const char *file, struct buf *der);
