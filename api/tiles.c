/* The audit log as files (C2SP tlog-tiles), from their folder: the authority is not asked. */
#include "api/handlers.h"

#include <string.h>

#include "audit/note.h"
#include "audit/tile_file.h"

#define PREFIX "/v1/audit/log/"

/*
 * The first reading of a connection is on disk, as a record in the door's spool, before it is
 * answered. Those that follow over it are counted, and told in one record when their window is
 * over or the connection ends, under the first one's correlation id.
 */

static enum rc serve_tile(struct api_request *request, const struct audit_tile *tile)
{
    AUTO_BUF(content, AUDIT_TILE_BYTES_MAX);

    TRY(audit_tile_file_get(request->api->setup.tiles, tile, &content));
    api_answer_bytes(&request->answer, 200, "application/octet-stream", buf_bytes(&content));
    /* Whoever may read it is told by his certificate: nothing between us may keep it. */
    api_answer_header(&request->answer, "Cache-Control",
                      "private, max-age=31536000, immutable");
    request->answer.cached = true;
    return RC_OK;
}

static enum rc serve_checkpoint(struct api_request *request)
{
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    TRY(audit_tile_file_published(request->api->setup.tiles, &note));
    api_answer_bytes(&request->answer, 200, "text/plain; charset=utf-8", buf_bytes(&note));
    return RC_OK;
}

/* The path as it was sent: of the specification's spelling there is one. */
static struct bytes file_of(const struct api_request *request)
{
    size_t len = sizeof PREFIX - 1;

    return (struct bytes){ request->path.at + len, request->path.len - len };
}

static enum rc serve(struct api_request *request)
{
    struct audit_tile tile;

    if (request->api->setup.tiles < 0)
        return fault(RC_NOT_FOUND, "authority.tiles names no folder");
    if (request->route->handle == api_tiles_checkpoint)
        return serve_checkpoint(request);
    enum rc rc = audit_tile_read_path(file_of(request), &tile);
    return rc == RC_OK ? serve_tile(request, &tile) : rc;
}

/* ---- That it was read ---- */

static enum rc send(struct api_stream *stream, const struct broker_peer *peer,
                    void (*done)(void *whom, enum rc rc), void *whom)
{
    struct api_reading *reading = &stream->reading;
    const struct broker_reading told = { .peer = peer,
                                         .target = reading->target,
                                         .count = reading->count,
                                         .first_ms = reading->first_ms,
                                         .last_ms = reading->last_ms };
    const struct api_setup *setup = &stream->api->setup;

    TRY(setup->read_log(setup->with, &told, done, whom));
    reading->count = 0;
    reading->due_ms = loop_now_ms(setup->loop) + setup->audit_window_ms;
    return RC_OK;
}

static void count(const struct api_request *request)
{
    struct api_reading *reading = &request->stream->reading;
    struct bytes file = file_of(request);
    int64_t now_ms = clock_wall_ms(request->api->setup.clock);

    if (reading->count++ == 0) {
        size_t len = file.len < sizeof reading->target - 5 ? file.len : 0;
        memcpy(reading->target, "log/", 4);
        memcpy(reading->target + 4, file.at, len);
        reading->target[4 + len] = '\0';
        reading->first_ms = now_ms;
    }
    reading->last_ms = now_ms;
}

void api_tiles_flush(struct api_stream *stream, bool now)
{
    struct api_reading *reading = &stream->reading;
    struct broker_peer peer = stream->peer;

    if (reading->count == 0 || reading->due_ms == 0 ||
        (!now && loop_now_ms(stream->api->setup.loop) < reading->due_ms))
        return;
    memcpy(peer.correlation, reading->correlation, sizeof peer.correlation);
    (void)send(stream, &peer, NULL, NULL); /* what could not be sent is counted on */
}

static void recorded(void *whom, enum rc rc)
{
    struct api_request *request = whom;

    if (!api_request_resume(request))
        return;
    if (rc == RC_OK)
        rc = serve(request);
    else
        request->stream->reading.due_ms = 0; /* the next one is the first again */
    if (rc != RC_OK)
        api_request_fail(request, rc == RC_LIMIT ? RC_BUSY : rc);
}

static enum rc read_file(struct api_request *request)
{
    struct api_reading *reading = &request->stream->reading;

    TRY(serve(request)); /* what is not there is not read */
    count(request);
    if (reading->due_ms != 0)
        return RC_OK;
    memcpy(reading->correlation, request->peer.correlation, sizeof reading->correlation);
    api_answer_clear(&request->answer);
    reading->count = 1;
    TRY(send(request->stream, &request->peer, recorded, request));
    request->asking = true;
    return RC_OK;
}

enum rc api_tiles_tile(struct api_request *request)
{
    return read_file(request);
}

enum rc api_tiles_checkpoint(struct api_request *request)
{
    return read_file(request);
}
