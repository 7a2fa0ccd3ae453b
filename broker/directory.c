#include "broker/directory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/topic_hash.h"

enum { BUCKETS = 1 << 14 };

struct entry {
    struct entry *next;
    struct broker_seat seat;
    size_t len;
    uint8_t id[];
};

/* Ids are registered devices', which nobody chooses so that they collide: a fixed key does. */
struct broker_directory {
    pthread_mutex_t lock;
    struct entry *buckets[BUCKETS];
};

enum rc broker_directory_new(struct broker_directory **directory)
{
    struct broker_directory *made = calloc(1, sizeof *made);

    if (made == NULL || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return fault(RC_NOMEM, "directory of sessions");
    }
    *directory = made;
    return RC_OK;
}

void broker_directory_free(struct broker_directory *directory)
{
    if (directory == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *next, *at = directory->buckets[i]; at != NULL; at = next) {
            next = at->next;
            free(at);
        }
    pthread_mutex_destroy(&directory->lock);
    free(directory);
}

/* Where the entry hangs, or would. */
static struct entry **find(struct broker_directory *directory, struct bytes id)
{
    static const struct topic_hash_key KEY = { 0, 0 };
    struct entry **at = &directory->buckets[broker_topic_hash(&KEY, id) % BUCKETS];

    while (*at != NULL && !bytes_equal((struct bytes){ (*at)->id, (*at)->len }, id))
        at = &(*at)->next;
    return at;
}

static enum rc add(struct entry **at, struct bytes id, const struct broker_seat *seat)
{
    struct entry *made = malloc(sizeof *made + id.len);

    if (made == NULL)
        return fault(RC_NOMEM, "seat of a session");
    *made = (struct entry){ .seat = *seat, .len = id.len };
    memcpy(made->id, id.at, id.len);
    *at = made;
    return RC_OK;
}

enum rc broker_directory_claim(struct broker_directory *directory, struct bytes id,
                               const struct broker_seat *seat, struct broker_seat *former,
                               bool *taken)
{
    enum rc rc = RC_OK;

    pthread_mutex_lock(&directory->lock);
    struct entry **at = find(directory, id);
    *taken = *at != NULL;
    if (*taken) {
        *former = (*at)->seat;
        (*at)->seat = *seat;
    } else {
        rc = add(at, id, seat);
    }
    pthread_mutex_unlock(&directory->lock);
    return rc;
}

void broker_directory_leave(struct broker_directory *directory, struct bytes id,
                            const struct broker_seat *seat)
{
    pthread_mutex_lock(&directory->lock);
    struct entry **at = find(directory, id), *found = *at;
    if (found != NULL && found->seat.party == seat->party &&
        found->seat.session == seat->session) {
        *at = found->next;
        free(found);
    }
    pthread_mutex_unlock(&directory->lock);
}
