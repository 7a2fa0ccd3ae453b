#include "base/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <unistd.h>

enum rc secret_set(struct secret *secret, struct bytes from)
{
    if (from.len > sizeof secret->at)
        return fault(RC_LIMIT, "secret of %zu bytes, limit %d", from.len, SECRET_MAX);
    secret_clear(secret);
    if (from.len > 0)
        memcpy(secret->at, from.at, from.len);
    secret->len = from.len;
    return RC_OK;
}

static enum rc read_whole(int fd, uint8_t *at, size_t room, size_t *len)
{
    size_t got = 0;

    while (got < room) {
        ssize_t n = pread(fd, at + got, room - got, (off_t)got);
        if (n < 0)
            return fault_errno("read a secret");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    *len = got;
    return RC_OK;
}

enum rc secret_read_fd(struct secret *secret, int fd)
{
    uint8_t text[SECRET_MAX + 2]; /* a newline, and one byte to see that there is more */
    size_t len = 0;

    enum rc rc = read_whole(fd, text, sizeof text, &len);
    if (rc == RC_OK && len > 0 && text[len - 1] == '\n')
        len--;
    if (rc == RC_OK && len == 0)
        rc = fault(RC_MALFORMED, "secret is empty");
    if (rc == RC_OK)
        rc = secret_set(secret, (struct bytes){ text, len });
    OPENSSL_cleanse(text, sizeof text);
    return rc;
}

enum rc secret_make_random(struct secret *secret, size_t len)
{
    if (len > sizeof secret->at)
        return fault(RC_LIMIT, "secret of %zu bytes, limit %d", len, SECRET_MAX);
    secret_clear(secret);
    if (RAND_priv_bytes(secret->at, (int)len) != 1)
        return fault(RC_CRYPTO, "no random bytes");
    secret->len = len;
    return RC_OK;
}

enum rc secret_make_text(struct secret *secret, size_t len)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz234567";

    TRY(secret_make_random(secret, len));
    for (size_t i = 0; i < len; i++)
        secret->at[i] = (uint8_t)LETTERS[secret->at[i] % 32];
    return RC_OK;
}

bool secret_equals(const struct secret *secret, struct bytes other)
{
    return bytes_equal_secret(secret_bytes(secret), other);
}

struct bytes secret_bytes(const struct secret *secret)
{
    return (struct bytes){ secret->at, secret->len };
}

void secret_clear(struct secret *secret)
{
    OPENSSL_cleanse(secret, sizeof *secret);
}
