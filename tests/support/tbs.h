/* To-be-signed certificates in exchangeable pieces, and the rules that docs/protocol shows. */
#pragma once

#include "base/buf.h"
#include "keys/check.h"

/* Pieces in the order in which they stand; TBS_UNIQUE_ID and TBS_EXTRA are empty at first. */
enum tbs_piece {
    TBS_VERSION,
    TBS_SERIAL,
    TBS_ALGORITHM,
    TBS_ISSUER,
    TBS_VALIDITY,
    TBS_SUBJECT,
    TBS_KEY,
    TBS_UNIQUE_ID,
    TBS_AKI,
    TBS_SKI,
    TBS_KU,
    TBS_EKU,
    TBS_BC,
    TBS_SAN,
    TBS_CDP,
    TBS_AIA,
    TBS_EXTRA,
    TBS_PIECES
};

enum { TBS_PIECE_MAX = 2048, TBS_MAX = 16 * 1024 };

struct tbs {
    struct buf piece[TBS_PIECES];
};

/* 2026-11-22T12:00:00Z: the hour of all these tests. */
#define TBS_NOW_S ((int64_t)1795348800)

/* A good device certificate under the key "devices" of the example. */
void tbs_fill_device(struct tbs *tbs, const struct keys_rule *rule, const char *serial_number);
/* Replace a piece by DER in hexadecimal (spaces allowed); "" leaves it out. */
void tbs_set_hex(struct tbs *tbs, enum tbs_piece piece, const char *hex);
void tbs_set_validity(struct tbs *tbs, int64_t not_before_s, int64_t not_after_s);
void tbs_set_subject(struct tbs *tbs, const char *organization, const char *serial_number);
void tbs_set_san_uri(struct tbs *tbs, const char *uri);
/* Place of a piece in what tbs_build() makes. */
struct bytes tbs_find(const struct tbs *tbs, enum tbs_piece piece, struct bytes built);
struct bytes tbs_build(const struct tbs *tbs, struct buf *out);
void tbs_clear(struct tbs *tbs);

/* Pieces in hexadecimal in place of the good ones of a device; the fault must say `expected`.
 */
struct tbs_row {
    const char *claim;
    enum tbs_piece piece;
    const char *hex;
    enum rc rc;
    const char *expected;
};

/* The state of a group of tests: the example, and its key "devices". */
struct tbs_ground {
    struct keys_rules *rules;
    const struct keys_rule *rule;
};
int tbs_prepare(void **state);
int tbs_release(void **state);

#define TBS_DEVICE "dev-00042"
enum rc tbs_check_bytes(const struct tbs_ground *ground, struct bytes built,
                        struct keys_finding *finding);
enum rc tbs_check(const struct tbs_ground *ground, const struct tbs *tbs);
/* Rows that are not refused as they say are printed, all of them, and fail the test. */
void tbs_check_rows(const struct tbs_ground *ground, const struct tbs_row *rows, size_t count);

/* The example's text, out of docs/protocol/key-rules.md. */
void tbs_example_text(struct buf *text);
/* The example, read; to be freed. */
struct keys_rules *tbs_example_rules(void);
