/* A door: everything of ours that faces a network (DESIGN.md D1, D2, D13). */
#pragma once

#include "base/log.h"
#include "broker/front.h"
#include "broker/recorder.h"
#include "policy/policy.h"
#include "registry/rights.h"

/*
 * The main thread owns the front, the HTTP side and this object; a recorder thread makes things
 * durable; worker threads share nothing but what is behind a mutex or in the post: each has its
 * own listening socket, connections, subscriptions, messages and compiled policy.
 *
 * Life: new (opens nothing but what it is given), start (threads: after the jail), attach.
 * It listens once the projection is filled, its own certificate is there, and the record that
 * it serves is durable, whichever time that takes; what it waits for it tells.
 */
struct broker_door;
struct broker_octets;

enum { BROKER_WORKERS_MAX = 64 };

struct broker_door_limits {
    size_t connections;   /* of all workers together */
    size_t streams;       /* those of HTTPS among them: each costs two descriptors more */
    uint32_t packet_max;  /* octets of an MQTT packet */
    int64_t handshake_ms; /* from accept to the end of the TLS handshake */
    int64_t connect_ms;   /* from there to CONNECT */
    int64_t read_ms; /* in which HTTP's reader takes 16 KiB of what waits for him, or all */
    uint16_t keep_alive_max_s;
    size_t subscriptions;  /* of one session */
    size_t out_bytes;      /* that wait for a slow reader */
    uint16_t queue_max;    /* QoS 1 messages that wait for one session ... */
    size_t queue_bytes;    /* ... and their memory, so that one session cannot take it all */
    size_t message_bytes;  /* of all messages alive in a worker */
    int64_t tls_timeout_s; /* of a session that may be resumed */
    size_t tls_sessions;
    int64_t audit_window_ms;
};

/* For the owner's log. Called on the main thread. */
enum broker_door_event {
    BROKER_DOOR_LISTENS,     /* what: the listener; text: its address */
    BROKER_DOOR_WAITS,       /* text: for what */
    BROKER_DOOR_CERTIFIED,   /* text: until when the certificate is good */
    BROKER_DOOR_UNCERTIFIED, /* text: why; tried again */
    BROKER_DOOR_LINE,        /* text: why the authority was lost, or "" when it is back */
    BROKER_DOOR_SPOOL,       /* text: why audit records cannot be handed on */
    BROKER_DOOR_POLICY,      /* text: why the policy does not compile: all is denied */
};

struct broker_door_setup {
    struct loop *loop; /* all borrowed for the door's life, descriptors too */
    const struct clock *clock;
    enum registry_channel channel;
    struct broker_door_limits limits;
    size_t workers;
    const int *mqtts; /* one a worker; NULL: none */
    int https;        /* -1: none */
    int http;         /* plain; -1: none */
    int key;          /* the memfd */
    struct audit_spool *spool;
    struct audit_pending *pending; /* of the same folder, and what it found there */
    struct audit_pending_found found;
    struct broker_keeper *keeper; /* NULL without mqtts */
    /* Take over a stream of HTTP/1.1, owned from then on, as the count of what comes over it;
     * plain says which services it gets, and has no such count. */
    void (*adopt)(void *with, int stream, bool plain, const struct broker_peer *peer,
                  struct broker_octets *octets);
    void (*told)(void *with, enum broker_door_event event, const char *what, const char *text);
    void *with;
};

enum rc broker_door_new(const struct broker_door_setup *setup, struct broker_door **door);
/* Ends all sessions with a farewell, makes all records durable, ends the threads. */
void broker_door_free(struct broker_door *door);
AUTO_STRUCT(broker_door, broker_door_free)

/* Start the threads: the process is in its jail. */
enum rc broker_door_start(struct broker_door *door);
/* It is to end for a fault: it writes no process.stop, as whoever started it tells how it
 * ended.
 */
void broker_door_fails(struct broker_door *door);
/* An end of the channel to the authority, owned from here on. */
enum rc broker_door_attach(struct broker_door *door, int authority);
struct broker_front *broker_door_front(struct broker_door *door);
/* The audit log was read from files, without the authority: so often, in this time. */
struct broker_reading {
    const struct broker_peer *peer; /* whose correlation is the first reading's */
    const char *target;             /* the first one's */
    uint64_t count;
    int64_t first_ms, last_ms; /* wall */
};
/* Record it. done, unless NULL, is called once, later and never from inside, when it is on
 * disk, or with the rc that the spool had. On failure it is not called. */
enum rc broker_door_record_reading(struct broker_door *door,
                                   const struct broker_reading *reading,
                                   void (*done)(void *with, enum rc rc), void *with);
/* Record what the HTTP side refused; it is durable soon, not at once. */
void broker_door_record_refusal(struct broker_door *door, const struct broker_peer *peer,
                                const char *target, const char *reason);
