#include "base/link_parcel.h"

#include <stdlib.h>
#include <string.h>

enum rc link_parcel_new(const struct link_message *message, int fd, struct link_parcel **parcel)
{
    struct link_parcel *made = malloc(sizeof *made + message->body.len);

    if (made == NULL)
        return fault(RC_NOMEM, "message of %zu bytes", message->body.len);
    *made = (struct link_parcel){ .message = *message, .fd = fd };
    made->message.body.at = made->body;
    if (message->body.len > 0)
        memcpy(made->body, message->body.at, message->body.len);
    *parcel = made;
    return RC_OK;
}

void link_parcel_free(struct link_parcel *parcel)
{
    if (parcel == NULL)
        return;
    own_close(&parcel->fd);
    free(parcel);
}

void link_parcel_add(struct link_queue *queue, struct link_parcel *parcel)
{
    parcel->next = NULL;
    if (queue->last != NULL)
        queue->last->next = parcel;
    else
        queue->first = parcel;
    queue->last = parcel;
    queue->count++;
}

struct link_parcel *link_parcel_take(struct link_queue *queue)
{
    struct link_parcel *parcel = queue->first;

    if (parcel == NULL)
        return NULL;
    queue->first = parcel->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    return parcel;
}

void link_parcel_clear(struct link_queue *queue)
{
    while (queue->first != NULL)
        link_parcel_free(link_parcel_take(queue));
}
