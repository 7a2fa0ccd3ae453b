/* A door's own TLS key: made in memory, certified for days, kept over restarts in a memfd. */
#pragma once

#include "base/buf.h"

/*
 * DESIGN.md D10: the key never touches a disk. touchmarkd made the memfd, of one size for good
 * (it is sealed), and gives it to each life of the door; what is in it is checked when read.
 */
struct broker_own_key;
struct ssl_ctx_st;

enum { BROKER_OWN_KEY_BYTES = 16 * 1024 }; /* of the memfd */

enum rc broker_own_key_make(struct broker_own_key **key);
void broker_own_key_free(struct broker_own_key *key);
AUTO_STRUCT(broker_own_key, broker_own_key_free)

/* Append a request (PKCS#10, DER) with no wishes: what the certificate says, the authority
 * knows. */
enum rc broker_own_key_request(const struct broker_own_key *key, struct buf *csr);
/* Take the certificate that came back. RC_DENIED if it is for another key. */
enum rc broker_own_key_certify(struct broker_own_key *key, struct bytes certificate);
/* authorities: certificates, DER, each sized32. The issuer's goes along in handshakes;
 * RC_NOT_FOUND if it is not among them. */
enum rc broker_own_key_chain(struct broker_own_key *key, struct bytes authorities);

/* When to have another one, at a third of life left, and the last second of this one. */
int64_t broker_own_key_renew_at_s(const struct broker_own_key *key);
int64_t broker_own_key_not_after_s(const struct broker_own_key *key);

enum rc broker_own_key_keep(const struct broker_own_key *key, int memfd);
/* RC_NOT_FOUND: nothing is kept yet; RC_CORRUPT: what is there is not whole. */
enum rc broker_own_key_recall(int memfd, struct broker_own_key **key);

/* For tls.c: key, certificate and chain into a context. */
enum rc broker_own_key_install(const struct broker_own_key *key, struct ssl_ctx_st *context);
