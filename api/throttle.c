#include "api/throttle.h"

#include <stdlib.h>
#include <string.h>

#include "broker/origin.h"

struct entry {
    uint8_t key[BROKER_ORIGIN];
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

static struct entry *find(struct api_throttle *throttle, const uint8_t key[BROKER_ORIGIN])
{
    for (size_t i = 0; i < API_THROTTLE_ENTRIES; i++) {
        struct entry *entry = &throttle->entries[i];
        if (entry->used && bytes_equal((struct bytes){ entry->key, BROKER_ORIGIN },
                                       (struct bytes){ key, BROKER_ORIGIN }))
            return entry;
    }
    return NULL;
}

static struct entry *find_or_replace(struct api_throttle *throttle,
                                     const uint8_t key[BROKER_ORIGIN])
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
    memcpy(oldest->key, key, BROKER_ORIGIN);
    return oldest;
}

enum rc api_throttle_begin(struct api_throttle *throttle, const char *peer, int64_t now_ms)
{
    uint8_t key[BROKER_ORIGIN];

    broker_origin_of(peer, key);
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
    uint8_t key[BROKER_ORIGIN];

    broker_origin_of(peer, key);
    struct entry *entry = find(throttle, key);
    if (entry == NULL) /* forgotten in favour of others */
        return;
    if (entry->pending > 0)
        entry->pending--;
    if (end == API_THROTTLE_BAD && entry->failures++ == 0)
        entry->since_ms = now_ms;
    entry->touched_ms = now_ms;
}
