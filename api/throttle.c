#include "api/throttle.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 9, ADDRESS_MAX = 64 };

struct entry {
    uint8_t key[KEY]; /* family, then 4 or 8 octets */
    bool used;
    unsigned failures, pending;
    int64_t since_ms, touched_ms;
};

struct api_throttle {
    struct entry entries[API_THROTTLE_ENTRIES];
};

enum rc api_throttle_new(struct api_throttle **throttle)
{
    struct api_throttle *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "throttle");
    *throttle = made;
    return RC_OK;
}

void api_throttle_free(struct api_throttle *throttle)
{
    free(throttle);
}

/* What has no address counts together, under family 0. */
static void key_of(const char *peer, uint8_t key[KEY])
{
    char address[ADDRESS_MAX] = { 0 };
    uint8_t octets[16];
    const char *end = strrchr(peer, ':');
    size_t len = end == NULL ? strlen(peer) : (size_t)(end - peer);

    memset(key, 0, KEY);
    if (len >= 2 && peer[0] == '[' && peer[len - 1] == ']') {
        peer++;
        len -= 2;
    }
    if (len >= sizeof address)
        return;
    memcpy(address, peer, len);
    if (inet_pton(AF_INET, address, octets) == 1) {
        key[0] = 4;
        memcpy(key + 1, octets, 4);
    } else if (inet_pton(AF_INET6, address, octets) == 1) {
        /* RFC 4291 2.5.5.2: a listener on [::] sees every IPv4 address so. */
        static const uint8_t MAPPED[12] = { [10] = 0xff, [11] = 0xff };
        bool mapped = bytes_equal((struct bytes){ octets, sizeof MAPPED }, BYTES_OF(MAPPED));
        key[0] = mapped ? 4 : 6;
        memcpy(key + 1, mapped ? octets + 12 : octets, mapped ? 4 : 8);
    }
}

static struct entry *find(struct api_throttle *throttle, const uint8_t key[KEY])
{
    for (size_t i = 0; i < API_THROTTLE_ENTRIES; i++) {
        struct entry *entry = &throttle->entries[i];
        if (entry->used &&
            bytes_equal((struct bytes){ entry->key, KEY }, (struct bytes){ key, KEY }))
            return entry;
    }
    return NULL;
}

static struct entry *find_or_replace(struct api_throttle *throttle, const uint8_t key[KEY])
{
    struct entry *entry = find(throttle, key), *oldest = &throttle->entries[0];

    if (entry != NULL)
        return entry;
    for (size_t i = 0; i < API_THROTTLE_ENTRIES; i++) {
        entry = &throttle->entries[i];
        if (!entry->used) {
            oldest = entry;
            break;
        }
        if (entry->touched_ms < oldest->touched_ms)
            oldest = entry;
    }
    *oldest = (struct entry){ .used = true };
    memcpy(oldest->key, key, KEY);
    return oldest;
}

enum rc api_throttle_begin(struct api_throttle *throttle, const char *peer, int64_t now_ms)
{
    uint8_t key[KEY];

    key_of(peer, key);
    struct entry *entry = find_or_replace(throttle, key);
    if (entry->failures > 0 && now_ms - entry->since_ms >= API_THROTTLE_WINDOW_MS)
        entry->failures = 0;
    if (entry->failures >= API_THROTTLE_FAILURES)
        return fault(RC_LIMIT, "%d tokens failed from this address within %d s",
                     API_THROTTLE_FAILURES, API_THROTTLE_WINDOW_MS / 1000);
    if (entry->pending >= API_THROTTLE_PENDING)
        return fault(RC_LIMIT, "%d tokens are being tried from this address",
                     API_THROTTLE_PENDING);
    entry->pending++;
    entry->touched_ms = now_ms;
    return RC_OK;
}

void api_throttle_end(struct api_throttle *throttle, const char *peer, int64_t now_ms,
                      enum api_throttle_end end)
{
    uint8_t key[KEY];

    key_of(peer, key);
    struct entry *entry = find(throttle, key);
    if (entry == NULL) /* forgotten in favour of others */
        return;
    if (entry->pending > 0)
        entry->pending--;
    if (end == API_THROTTLE_BAD && entry->failures++ == 0)
        entry->since_ms = now_ms;
    entry->touched_ms = now_ms;
}
