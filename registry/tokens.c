#include "registry/rows.h"

#include <string.h>

/*
 * Row: state u8, secret's hash, attempt that holds it (zeros), expiry u64, made u64, device's
 * id. A token has one use: OPEN -> RESERVED -> USED, and back to OPEN only by whoever reserved
 * it or at a start, when nobody can hold it any more.
 */
enum state { OPEN = 1, RESERVED = 2, USED = 3 };

struct row {
    enum state state;
    uint8_t attempt[REGISTRY_ATTEMPT];
    struct registry_token token;
};

static enum rc put(struct store_txn *txn, const struct row *row)
{
    AUTO_BUF(out, 512);

    buf_add_u8(&out, (uint8_t)row->state);
    buf_add(&out, BYTES_OF(row->token.secret_hash));
    buf_add(&out, BYTES_OF(row->attempt));
    buf_add_u64(&out, (uint64_t)row->token.expires_ms);
    buf_add_u64(&out, (uint64_t)row->token.made_ms);
    buf_add(&out, bytes_of_text(row->token.device));
    return store_txn_put(txn, REGISTRY_TOKENS, bytes_of_text(row->token.id), buf_bytes(&out));
}

static enum rc read_row(struct bytes id, struct bytes value, struct row *row)
{
    struct row read = { 0 };
    struct reader r = READER(value);
    unsigned state = reader_u8(&r);

    reader_copy(&r, read.token.secret_hash, sizeof read.token.secret_hash);
    reader_copy(&r, read.attempt, sizeof read.attempt);
    read.token.expires_ms = (int64_t)reader_u64(&r);
    read.token.made_ms = (int64_t)reader_u64(&r);
    if (r.broken || state < OPEN || state > USED ||
        registry_id_copy(id, read.token.id) != RC_OK ||
        registry_id_copy(r.left, read.token.device) != RC_OK)
        return fault(RC_CORRUPT, "registry: a token's row");
    read.state = (enum state)state;
    *row = read;
    return RC_OK;
}

static enum rc get(struct store_txn *txn, struct bytes id, struct row *row)
{
    struct store_value value;

    if (registry_id_check(id) != RC_OK)
        return RC_NOT_FOUND;
    TRY(store_txn_get(txn, REGISTRY_TOKENS, id, &value));
    return read_row(id, value.bytes, row);
}

enum rc registry_token_add(struct store_txn *txn, const struct registry_token *token)
{
    struct row row = { .state = OPEN, .token = *token }, known;
    struct registry_subject device;

    TRY(registry_id_check(bytes_of_text(token->id)));
    TRY(registry_subject_get(txn, REGISTRY_DEVICE, bytes_of_text(token->device), &device));
    if (device.state == REGISTRY_SUSPENDED || device.state == REGISTRY_REVOKED)
        return fault(RC_DENIED, "device %s is %s: no token for it", device.id,
                     registry_state_name(device.state));
    enum rc rc = get(txn, bytes_of_text(token->id), &known);
    if (rc != RC_NOT_FOUND)
        return rc == RC_OK ? fault(RC_EXISTS, "a token of that id is there already") : rc;
    return put(txn, &row);
}

static enum rc refuse(void)
{
    return fault(RC_DENIED, "no such token, a wrong secret, used or expired");
}

enum rc registry_token_reserve(struct store_txn *txn, struct bytes id,
                               const uint8_t secret_hash[32],
                               const uint8_t attempt[REGISTRY_ATTEMPT], int64_t now_ms,
                               struct registry_token *token)
{
    struct row row;
    enum rc rc = get(txn, id, &row);

    if (rc == RC_NOT_FOUND)
        return refuse();
    TRY(rc);
    if (!bytes_equal_secret(BYTES_OF(row.token.secret_hash), (struct bytes){ secret_hash, 32 }))
        return refuse();
    if (row.state == USED || now_ms >= row.token.expires_ms)
        return refuse();
    if (row.state == RESERVED)
        return fault(RC_BUSY, "this token is being used");
    row.state = RESERVED;
    memcpy(row.attempt, attempt, sizeof row.attempt);
    TRY(put(txn, &row));
    *token = row.token;
    return RC_OK;
}

static enum rc settle(struct store_txn *txn, struct bytes id,
                      const uint8_t attempt[REGISTRY_ATTEMPT], enum state state)
{
    struct row row;
    enum rc rc = get(txn, id, &row);

    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    if (rc == RC_NOT_FOUND || row.state != RESERVED ||
        !bytes_equal(BYTES_OF(row.attempt), (struct bytes){ attempt, REGISTRY_ATTEMPT }))
        return fault(RC_DENIED, "this token is not reserved by this attempt");
    row.state = state;
    memset(row.attempt, 0, sizeof row.attempt);
    return put(txn, &row);
}

enum rc registry_token_consume(struct store_txn *txn, struct bytes id,
                               const uint8_t attempt[REGISTRY_ATTEMPT])
{
    return settle(txn, id, attempt, USED);
}

enum rc registry_token_release(struct store_txn *txn, struct bytes id,
                               const uint8_t attempt[REGISTRY_ATTEMPT])
{
    return settle(txn, id, attempt, OPEN);
}

/* All tokens of `from` become `to`; *count says how many. */
static enum rc move_all(struct store_txn *txn, enum state from, enum state to, uint64_t *count)
{
    static const struct store_range ALL;
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;
    struct row row;
    enum rc rc = RC_OK;

    TRY(store_cursor_open(txn, REGISTRY_TOKENS, &ALL, &cursor));
    while ((rc = store_cursor_next(cursor, &key, &value)) == RC_OK) {
        TRY(read_row(key, value.bytes, &row));
        if (row.state != from)
            continue;
        row.state = to;
        memset(row.attempt, 0, sizeof row.attempt);
        TRY(put(txn, &row));
        (*count)++;
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc registry_token_release_all(struct store_txn *txn, uint64_t *released)
{
    *released = 0;
    return move_all(txn, RESERVED, OPEN, released);
}

enum rc registry_token_end_all(struct store_txn *txn, uint64_t *ended)
{
    *ended = 0;
    TRY(move_all(txn, RESERVED, USED, ended));
    return move_all(txn, OPEN, USED, ended);
}
