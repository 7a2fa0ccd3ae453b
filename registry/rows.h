/* Keys and rows of the registry's tables. Private to registry/. */
#pragma once

#include "registry/registry.h"

struct registry_key {
    uint8_t at[STORE_KEY_MAX];
    size_t len;
};
struct bytes registry_key_bytes(const struct registry_key *key);

struct registry_key registry_key_subject(enum registry_kind kind, struct bytes id);
/* issuer's hash, length, serial: so that byte order is the order of the numbers. */
struct registry_key registry_key_serial(const uint8_t issuer_hash[32], struct bytes serial);
/* Of what lies in parts: name, 0, number of the part. */
struct registry_key registry_key_part(struct bytes name, uint32_t part);
struct registry_key registry_key_of_key(const uint8_t key_hash[32],
                                        const struct registry_fingerprint *fingerprint);
struct registry_key registry_key_of_subject(enum registry_kind kind, struct bytes id,
                                            const struct registry_fingerprint *fingerprint);
/* Of the last two without the fingerprint: what to scan. */
struct bytes registry_key_scan(const struct registry_key *key);

/* Put a row, its revision filled in, and tell the feed. */
enum rc registry_row_put_subject(struct store_txn *txn, struct registry_subject *subject);
enum rc registry_row_put_certificate(struct store_txn *txn,
                                     struct registry_certificate *certificate);

/* A number under a name in the table of facts; 0 if it is not there. */
enum rc registry_fact_number(struct store_txn *txn, struct bytes name, uint64_t *number);
enum rc registry_fact_put_number(struct store_txn *txn, struct bytes name, uint64_t number);
enum rc registry_fact_add(struct store_txn *txn, struct bytes name, int change);

/* A certificate that is active becomes revoked and stands on its issuer's list. */
enum rc registry_certificate_end(struct store_txn *txn, struct registry_certificate *one,
                                 uint8_t reason, int64_t now_ms);
/* All of a subject that are active. */
enum rc registry_certificate_end_all(struct store_txn *txn, enum registry_kind kind,
                                     struct bytes id, uint8_t reason, int64_t now_ms);
enum rc registry_revoked_put(struct store_txn *txn, const uint8_t issuer_hash[32],
                             const struct registry_revoked *revoked);
