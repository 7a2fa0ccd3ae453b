/* HTTP inside a door: EST, /v1, CRLs and CA certificates; libmicrohttpd over streams that the
 * door has decrypted. */
#pragma once

#include "broker/door.h"
#include "registry/rights.h"

/*
 * Belongs to the door's main thread and its loop: libmicrohttpd's epoll descriptor is watched
 * there, it has no thread of its own. A route is a row of one table (route.h): method, path,
 * the right it needs, the most bytes of its body, its handler. What a channel does not serve,
 * it does not have: the device door has EST and the public files, the operator door /v1 as
 * well.
 *
 * Handlers do not decide: they read, ask the authority (front.h), and write what it said.
 */
struct api;
struct broker_octets;

enum api_service {
    API_PUBLIC = 1,   /* CRLs, CA certificates: all that plain HTTP may serve */
    API_EST = 2,      /* RFC 7030 */
    API_OPERATORS = 4 /* /v1, /metrics */
};

struct api_setup {
    struct loop *loop; /* all borrowed for the api's life */
    const struct clock *clock;
    struct broker_front *front;
    enum registry_channel channel;
    unsigned connections_max;
    /* NULL or: called for each request that the door itself refuses, or that the authority
     * could not answer, before the answer leaves; for the door's audit and log. status is
     * HTTP's, target "GET /v1/devices/dev-1", escaped; the peer's correlation is the
     * request's. What the authority refused it has recorded itself. */
    void (*refused)(void *with, const struct broker_peer *peer, const char *target,
                    unsigned status, const char *reason);
    void *with;
    /* Folder of the audit log's tiles, or -1; and, with it: record that they were read, as
     * broker_door_record_reading() does. */
    int tiles;
    enum rc (*read_log)(void *with, const struct broker_reading *reading,
                        void (*done)(void *whom, enum rc rc), void *whom);
    int64_t audit_window_ms;
};

enum rc api_new(const struct api_setup *setup, struct api **api);
void api_free(struct api *api);
AUTO_STRUCT(api, api_free)

/*
 * Serve HTTP/1.1 on this stream, which is owned from here on, also on failure: one end of a
 * socketpair whose other end the door pumps, or a plain socket. services is a set of enum
 * api_service. peer is copied. octets: what was pumped, likewise owned; NULL: a plain socket
 * knows that itself.
 */
enum rc api_adopt(struct api *api, int stream, unsigned services,
                  const struct broker_peer *peer, struct broker_octets *octets);
