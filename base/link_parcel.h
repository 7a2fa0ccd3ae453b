/* Messages that wait for credit, for room in the socket, or for their handler. Private to
 * link*.c. */
#pragma once

#include "base/link_message.h"

/* A message that waits, with a copy of its body and a descriptor of its own. */
struct link_parcel {
    struct link_parcel *next;
    struct link_message message;
    int fd;
    link_done *done; /* of the asking end */
    void *with;
    uint8_t body[];
};

struct link_queue {
    struct link_parcel *first, *last;
    size_t count;
};

/* RC_NOMEM. The parcel takes fd over only on RC_OK. */
enum rc link_parcel_new(const struct link_message *message, int fd,
                        struct link_parcel **parcel);
void link_parcel_free(struct link_parcel *parcel);
AUTO_STRUCT(link_parcel, link_parcel_free)
void link_parcel_add(struct link_queue *queue, struct link_parcel *parcel);
struct link_parcel *link_parcel_take(struct link_queue *queue); /* NULL if empty */
void link_parcel_clear(struct link_queue *queue);
