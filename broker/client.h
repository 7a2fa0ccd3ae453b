/* An MQTT client on its connection: what its session wants is judged, done and audited. For the
 * door's own files. */
#pragma once

#include "broker/limit.h"
#include "broker/mqtt_session.h"
#include "broker/subscriptions.h"
#include "broker/tally.h"
#include "policy/policy.h"
#include "registry/subject.h"

struct connection;
struct match;
struct worker;

struct client {
    struct connection *connection;
    struct mqtt_session *session;
    struct mqtt_session_events events;
    struct subscriber subscriber;
    struct policy_facts facts;
    struct policy_session policy;
    struct broker_limit *limit; /* its device's; NULL: none was asked for yet */
    int64_t opened_ms;          /* when the connection became a client's, of the loop's clock */
    int64_t lease_ends_ms;      /* the policy's word at the last judgement; 0: never */
    bool bound;                 /* policy is */
    bool named;                 /* CONNECT had a client id, which is the device's */
    /* Of its certificate, in hexadecimal, for facts. */
    char serial[2 * REGISTRY_SERIAL_MAX + 1], fingerprint[2 * REGISTRY_FINGERPRINT + 1];
    bool asked;           /* by a CONNECT, which has its record */
    bool claimed;         /* its seat in the directory */
    bool accepted;        /* CONNACK was sent */
    bool cut;             /* by us: its will and what waited for it are gone */
    bool told;            /* the audit log knows why it ended */
    bool taken;           /* over, by another connection of its device */
    struct message *will; /* that waits for its delay after the connection; else NULL */
    uint32_t will_delay_s;
    uint64_t awaited; /* the ticket that CONNACK waits for; 0: none */
    struct client *next_opening;
    uint64_t round; /* of the worker's matching, in which match is its place */
    size_t match;
    struct tally tally;
    struct retained_walk *walks, **walks_end; /* subscriptions that wait for what is retained */
};

enum rc broker_client_new(struct connection *connection, struct client **client);
void broker_client_free(struct client *client);

/* Bytes from the device; returns how many were whole packets. */
size_t broker_client_feed(struct client *client, struct bytes bytes);
/* The record that it opens is on disk. */
void broker_client_open(struct client *client);
/* Its retained message is on disk, or why not. */
void broker_client_retained(struct client *client, uint16_t packet_id, enum rc rc,
                            struct bytes topic);
void broker_client_deliver(struct client *client, struct message *message,
                           const struct match *match);
/* A bounded step towards the retained messages that its subscriptions wait for, if it has room.
 */
void broker_client_go_on(struct client *client);
/* There are some, and room for them. */
bool broker_client_may_go_on(const struct client *client);
void broker_client_forget_walks(struct client *client);
/* Another connection has its client id now. */
void broker_client_taken_over(struct client *client);
/* The connection ends: will, seat, subscriptions. A will with a delay stays, and the seat with
 * it, so that the device's return takes it back ([MQTT-3.1.3-9]). */
void broker_client_finish(struct client *client, const char *reason);

/* The delay of its will is over. */
void broker_client_will_due(struct client *client);

/* Compile the session's facts into the worker's policy; false: it may not connect, and decided
 * says by which rule. */
struct registry_subject;
bool broker_client_bind(struct client *client, const struct registry_subject *subject,
                        struct policy_decision *decided);
/* Does its policy ask for the time, so that it is judged again every second? */
bool broker_client_is_timed(const struct client *client);
/* Judge each subscription again; what is no longer allowed is removed and audited. */
void broker_client_review(struct client *client);
/* End it, by our decision. */
void broker_client_cut(struct client *client, enum mqtt_reason reason);
