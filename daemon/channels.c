#include "daemon/channels.h"

#include "base/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct channel {
    const struct daemon_channel *row;
    int waiting;       /* the end of a process that is not born yet, or -1 */
    const char *whose; /* that process */
};

struct daemon_channels {
    size_t count;
    struct channel each[DAEMON_CHANNELS_MAX];
};

static void drop(struct channel *channel)
{
    own_close(&channel->waiting);
    channel->waiting = -1;
    channel->whose = NULL;
}

enum rc daemon_channels_new(const struct daemon_table *table, struct daemon_channels **channels)
{
    struct daemon_channels *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "channels");
    assert(table->channel_count <= DAEMON_CHANNELS_MAX);
    made->count = table->channel_count;
    for (size_t i = 0; i < made->count; i++)
        made->each[i] = (struct channel){ .row = &table->channels[i], .waiting = -1 };
    *channels = made;
    return RC_OK;
}

void daemon_channels_free(struct daemon_channels *channels)
{
    if (channels == NULL)
        return;
    for (size_t i = 0; i < channels->count; i++)
        drop(&channels->each[i]);
    free(channels);
}

static bool joins(const struct daemon_channel *row, const char *process)
{
    return strcmp(row->asking, process) == 0 || strcmp(row->answering, process) == 0;
}

static struct channel *find(struct daemon_channels *channels, const char *one,
                            const char *other)
{
    for (size_t i = 0; i < channels->count; i++)
        if (joins(channels->each[i].row, one) && joins(channels->each[i].row, other))
            return &channels->each[i];
    return NULL;
}

enum rc daemon_channels_take(struct daemon_channels *channels, const char *process,
                             const char *peer, bool peer_lives, int *fd, int *other)
{
    struct channel *channel = find(channels, process, peer);
    int asking, answering;

    if (channel == NULL)
        return fault(RC_NOT_FOUND, "no channel joins %s and %s", process, peer);
    if (channel->waiting >= 0 && strcmp(channel->whose, process) == 0) {
        *fd = TAKE_FD(channel->waiting);
        *other = -1;
        return RC_OK;
    }
    TRY(link_pair(&asking, &answering));
    drop(channel);
    bool asks = strcmp(channel->row->asking, process) == 0;
    int far = asks ? answering : asking;
    *fd = asks ? asking : answering;
    *other = peer_lives ? far : -1;
    if (!peer_lives) {
        channel->waiting = far;
        channel->whose = strcmp(channel->row->asking, peer) == 0 ? channel->row->asking
                                                                 : channel->row->answering;
    }
    return RC_OK;
}

void daemon_channels_forget(struct daemon_channels *channels, const char *process)
{
    for (size_t i = 0; i < channels->count; i++)
        if (joins(channels->each[i].row, process))
            drop(&channels->each[i]);
}
