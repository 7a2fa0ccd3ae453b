/* One HTTP request inside the api, from its first line to the last octet of its answer; what
 * handlers see of it. */
#pragma once

#include "api/answer.h"
#include "api/route.h"
#include "api/throttle.h"
#include "audit/tile.h"
#include "pki/verifier.h"

/* A stream that was adopted: one HTTP connection. It lives until libmicrohttpd lets go of it.
 */
struct api_stream {
    struct api *api;
    struct api_stream *next, **at; /* in the api's list */
    int fd;                        /* libmicrohttpd's; only ever shut down here */
    unsigned services;
    struct broker_peer peer;
    int64_t deadline_ms;          /* monotonic; 0: the authority is at work, not the peer */
    bool bound;                   /* libmicrohttpd knows it */
    struct broker_octets *octets; /* that came for it; NULL: ask its socket */
    uint64_t read;                /* of these, when the latest request was over */
    bool begun; /* a request: whatever came further is told with it, or needs no word */
    struct api_request *waiting; /* suspended, or NULL */
    void *connection;            /* of waiting */
    struct api_reading {         /* of the log's files, that no record tells of yet */
        uint64_t count;
        int64_t first_ms, last_ms;                 /* wall */
        int64_t due_ms;                            /* monotonic; 0: none was ever recorded */
        uint8_t correlation[REGISTRY_CORRELATION]; /* of the one that was */
        char target[AUDIT_TILE_PATH_MAX + 8];      /* of the first that is counted */
    } reading;
};

/*
 * Owned by libmicrohttpd's connection, and by the question that is under way: whichever ends
 * last frees it.
 */
struct api_request {
    struct api *api;
    struct api_stream *stream;
    void *connection; /* struct MHD_Connection */
    const struct api_route *route;
    struct broker_peer peer; /* as the projection says now; its correlation is the request's */
    bool vouched;            /* the projection accepts its certificate now */
    char *uri;               /* as sent */
    struct bytes path, query, method; /* borrowed from uri, and from the connection */
    struct buf body;
    size_t swallowed; /* of the body, kept or not */
    struct api_input input;
    struct api_answer answer;
    void *kept; /* json_t: an answer that waits until the doors have applied its change */
    bool asking, gone;
    bool counted;      /* in the throttle, until the authority has spoken */
    bool large;        /* one of the few with a long body or answer */
    uint64_t timed;    /* octets, by that one, when the peer's time began */
    struct bytes text; /* a policy that is sent in parts; borrowed from the input */
};

struct api {
    struct api_setup setup;
    void *daemon; /* struct MHD_Daemon */
    struct loop_watch watch;
    struct loop_timer timer, sweep;
    struct api_stream *streams;
    struct api_stream *unsent; /* ended, with readings that no record tells of yet */
    unsigned unsent_count;
    size_t stream_count, plain_count; /* the second among the first: without TLS */
    unsigned large_count;             /* requests */
    struct pki_verifier *verifier;
    struct api_throttle *throttle;
    struct buf document; /* OpenAPI */
};

/* How long a peer may take over each part of a request, and of a long answer. */
enum { API_PATIENCE_MS = 30000 };
/* Of something long, whoever sends or takes so many octets has time for as many more. */
enum { API_PACE = 512 * 1024 };

/* The first value of a header, empty if there is none; borrowed for the request's life. */
struct bytes api_request_header(const struct api_request *request, const char *name);

/*
 * Ask the authority what the route and the request's input say; route->told() answers its yes.
 * RC_BUSY, RC_MALFORMED: nothing was asked.
 */
enum rc api_request_ask(struct api_request *request);
/* The same with another question and another end. */
enum rc api_request_ask_for(struct api_request *request, enum registry_ask ask,
                            broker_front_done *done);
/* What every done() begins and ends with: false: nobody is there any more, the request is
 * freed. */
bool api_request_resume(struct api_request *request);
/* Of one that asks on: likewise, and the peer waits on. */
bool api_request_hear(struct api_request *request);
/* It becomes one of the few that are long. RC_BUSY. */
enum rc api_request_grow(struct api_request *request);
/* Answer that it did not work, by the authority's word or, ours, by the latest fault(). */
void api_request_refuse(struct api_request *request, enum rc rc, struct bytes reason);
void api_request_refuse_as(struct api_request *request, unsigned status, enum rc rc,
                           struct bytes reason);
void api_request_fail(struct api_request *request, enum rc rc);
/* The same with a status of its own, by the latest fault(). */
void api_request_fail_as(struct api_request *request, unsigned status, enum rc rc);

/* ---- tiles.c, for api.c ---- */
/* What was counted goes out when its window is over, or now. */
void api_tiles_flush(struct api_stream *stream, bool now);

/* ---- libmicrohttpd's side, for api.c ---- */
struct api_request *api_request_new(struct api *api, const char *uri);
void api_request_free(struct api_request *request);
/* Its connection is known, its headers are read: may it go on? It has answered if not. */
/* It ended before it was whole, or libmicrohttpd refused it: what that answers, if anything, is
 * not ours to know. stream: of a request that was not begun. */
void api_request_unread(struct api_request *request, struct api_stream *stream);
void api_request_begin(struct api_request *request, const char *method, const char *version);
/* More of the body. False: too much to swallow, the connection is to end. */
bool api_request_feed(struct api_request *request, struct bytes some);
/* All is there: has answered or asks. */
void api_request_handle(struct api_request *request);
