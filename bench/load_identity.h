/* Certificates and keys of many clients, made by the benchmark or read from a folder. */
#pragma once

#include "base/buf.h"

#include <openssl/ssl.h>

enum { LOAD_ID_MAX = 64 };

struct load_identity {
    char id[LOAD_ID_MAX + 1]; /* also the MQTT client id */
    X509 *certificate;
    STACK_OF(X509) * chain; /* what is sent with it, may be empty */
    EVP_PKEY *key;
};

struct load_identities {
    struct load_identity *all;
    size_t count;
};

/*
 * Read up to most of them, in the order of their names: ID.pem or ID.crt (certificate, then
 * what belongs to its chain) with the key in ID.key, or in the same file. RC_NOT_FOUND if the
 * folder has none.
 */
enum rc load_identities_read(const char *folder, size_t most, struct load_identities *out);
void load_identities_clear(struct load_identities *identities);

/*
 * Make a CA (ca.pem), a server (server.pem, server.key; for 127.0.0.1 and localhost) and count
 * clients (clients/bench-00000.pem with their keys in the file) in a folder that exists. P-256,
 * as everything here.
 */
enum rc load_identities_make(const char *folder, size_t count);
