/* What the files of a door share: the door, its workers, their connections. For broker/'s own
 * files that run in one. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "audit/aggregate.h"
#include "audit/step.h"
#include "broker/client.h"
#include "broker/directory.h"
#include "broker/door.h"
#include "broker/identity.h"
#include "broker/outbox.h"
#include "broker/policies.h"
#include "broker/subscriptions.h"
#include "broker/tls.h"

enum {
    SCRATCH = 64 * 1024, /* octets that are read, or pumped, in one go */
    TURN_READS = 4,      /* such reads of one connection in a turn: then the others' turn */
    PEER_BUCKETS = 4096,
    FILTERS_MAX = 64,       /* in one SUBSCRIBE */
    MATCH_IDENTIFIERS = 32, /* subscription identifiers that are told with one message */
    ONE_BY_ONE = 10,        /* denials of one kind in a window of the audit */
    AGGREGATE_KEYS = 256,
    AGGREGATE_TARGETS = AUDIT_PENDING_TARGETS
};

/* ---- Connections ---- */

struct listener {
    const char *name; /* "mqtts", "https": also the context in which TLS sessions resume */
    unsigned kinds;   /* whom it lets in */
    bool mqtt;        /* else HTTP */
    enum broker_tls_demand demand;
};

enum connection_state {
    CONNECTION_HANDSHAKE,
    CONNECTION_LOOKED_UP, /* waits for the authority's word about an unknown certificate */
    CONNECTION_OPEN,
    CONNECTION_ENDING, /* what is in out still leaves */
    CONNECTION_WILL,   /* gone, but its will waits for its delay */
    CONNECTION_CLOSED  /* freed at the end of the turn */
};

struct connection {
    struct worker *worker;
    const struct listener *listener;
    uint64_t number; /* slot, and how often it was used */
    int fd;
    enum connection_state state;
    struct loop_watch watch;
    struct loop_timer timer; /* armed for the earliest of what may be due, or earlier */
    int64_t patience_ms;     /* end of handshake, look-up, farewell, or a will's delay; while it
                                is open, of HTTP's reader */
    uint64_t acknowledged;   /* octets, by that one, when his time began */
    int64_t answered_by_ms;  /* an answer over HTTP that is ending has left by then, or never */
    struct ssl_st *tls;
    struct broker_identity identity;
    struct broker_peer peer;
    struct buf in;  /* what was read and could not be handed on yet */
    struct buf out; /* what is to be written; sent of it is gone */
    size_t sent;
    uint64_t ticket; /* of the last records about it: it ends if they cannot be kept */
    struct client *client;
    struct stream *stream;
    struct connection *next_peer; /* of the same id, in the worker's table of peers */
    struct connection *next_dirty, *next_again, *next_closed;
    struct connection *next_shaking, **shaking_at; /* NULL: not in the handshake any more */
    bool admitted, dirty, again, peered, buried;
    bool held;   /* what was read is not taken in: the worker logs in full, and must wait */
    bool dry;    /* the socket had no more: what TLS still holds is part of a record */
    bool proven; /* the handshake is whole: who is there has the certificate's key */
};

/* ---- Workers ---- */

/* What a subscriber is owed of one message: overlapping subscriptions are joined. */
struct match {
    struct client *client;
    uint8_t qos;
    bool retain_as_published;
    size_t identifier; /* the first, as its place in the worker's list + 1; 0: none */
};
struct match_identifier {
    uint32_t identifier;
    size_t next; /* as above */
};

/* Connections to one listener that are closed unread, for one reason: counted together in a
 * slot of pending.h until the window ends. */
enum turned_away_why { AWAY_NO_PLACE, AWAY_NOT_TAKEN /* no memory, or the like */, AWAY_WHYS };
struct turned_away {
    struct audit_slot *slot; /* NULL: none yet, or there is none */
    uint64_t untold;         /* that wait for one, in memory */
    const struct listener *listener;
    enum turned_away_why why;
    int64_t first_ms, last_ms, tried_ms;
    char first[REGISTRY_PEER_MAX + 1];
};

struct worker {
    struct broker_door *door;
    unsigned party; /* in the post */
    pthread_t thread;
    bool started, stopping, listening;
    struct loop *loop;
    struct loop_watch bell;
    struct loop_turn turn;
    struct loop_timer window; /* of the audit's aggregates */
    struct loop_timer soon;   /* the next turn must not wait: somebody has more to read */
    struct loop_watch mqtts, https;
    struct loop_timer breather; /* of accepting: accept.c */

    struct connection **slots;
    size_t slot_room, slot_hint, connections; /* no free slot is below the hint */
    uint32_t *uses;
    struct connection *peers[PEER_BUCKETS];
    struct connection *dirty, *again, *closed;
    /* In the handshake, the oldest first: of HTTPS, of MQTT. */
    struct connection *shaking[2], **shaking_end[2];
    size_t shaking_count;
    struct turned_away away[2 * AWAY_WHYS]; /* of HTTPS, then of MQTT */
    struct client *opening; /* whose CONNACK waits for its record, the first ticket first */

    struct message_pool *pool;
    struct subscriptions *subscriptions;
    atomic_size_t subscribed; /* subscriptions: others send no messages where there are none */
    struct broker_policy *policy; /* NULL before the first */
    struct mqtt_session_limits mqtt_limits;

    struct audit_aggregate *aggregate;
    struct topic_hash_key tally_key;
    struct broker_outbox outbox;
    struct connection *about; /* whom the record that goes out is about; may be NULL */
    /* What no rule allowed last, and whom: borrowed, so for the record of it alone. */
    struct policy_request unheard;
    const struct client *unheard_of;
    bool explains;       /* the record that goes out is of that */
    int64_t explained_s; /* in this second so many records were explained */
    unsigned explained;
    bool logging; /* records are made for each act, as rules ask */

    struct match *matches; /* of the message that is being routed */
    size_t match_count, match_room;
    struct match_identifier *identifiers;
    size_t identifier_count, identifier_room;
    uint64_t round; /* of matching */
    uint8_t scratch[SCRATCH];
};

struct certifier;

/* What the door records of itself. */
struct presence {
    struct loop_timer timer;
    uint64_t ticket; /* of process.start; 0: not sent yet */
    bool recorded;   /* it is durable: the door may listen */
    bool fails;      /* its end is for others to tell */
    struct audit_step step;
};
/* Who waits for a record of the main thread's own: readings.c. */
struct recorded;

struct broker_door {
    struct broker_door_setup setup;
    struct broker_post *post;
    struct broker_front *front;
    struct broker_tls *tls;
    struct broker_directory *directory;
    struct broker_limits *limits;
    struct broker_recorder *recorder;
    struct worker *workers; /* setup.workers of them */
    struct listener mqtts, https;
    atomic_size_t connections, streams;

    /* The main thread's own: */
    struct loop_watch bell, http;
    struct loop_turn turn;
    struct loop_timer jam;
    struct certifier *certifier;
    struct pusher *pusher;
    struct lookups *lookups;
    uint64_t reviews;                      /* that were posted */
    uint64_t reviewed[BROKER_WORKERS_MAX]; /* the last one that each worker is done with */
    bool listening;
    struct broker_outbox outbox; /* the main thread's own records */
    struct audit_aggregate *refusals;
    struct recorded *waiting; /* for their records, in the order of their tickets */
    struct loop_timer window; /* of those */
    struct presence presence;
};

/* ---- worker.c ---- */
enum rc broker_worker_open(struct broker_door *door, unsigned place);
void broker_worker_close(struct worker *worker);
enum rc broker_worker_start(struct worker *worker);
int64_t broker_worker_now_s(const struct worker *worker); /* wall */
/* By its number; NULL if it is gone. */
struct connection *broker_worker_find(struct worker *worker, uint64_t number);
/* Enter into the table of peers, when it is known who is there. */
void broker_worker_add_peer(struct worker *worker, struct connection *connection);
/* The first connection of a bucket that may hold this id; follow next_peer. */
struct connection *broker_worker_peers(struct worker *worker, struct bytes id);
/* Look after it at the end of this turn: something was put in out, or its state changed. */
void broker_worker_mark(struct connection *connection);
/* Come back to it in the next turn: it has more to read than one turn may take. */
void broker_worker_mark_again(struct connection *connection);
/* It logs in full, and more of these records are on their way than half of what may be: nothing
 * is taken in until the recorder has written some. */
bool broker_worker_is_crowded(struct worker *worker);
/* It takes no more work from outside, for that or because the post is jammed. */
bool broker_worker_is_jammed(struct worker *worker);
enum rc broker_worker_admit(struct worker *worker, struct connection *connection);
/* Its handshake is over, for good or not. */
void broker_worker_note_shaken(struct connection *connection);

/* ---- accept.c ---- */
void broker_accept_prepare(struct worker *worker);
enum rc broker_accept_open(struct worker *worker);
void broker_accept_close(struct worker *worker);
/* At the end of a turn: handshakes may have ended, so that others can begin. */
enum rc broker_accept_go_on(struct worker *worker);

/* ---- turned_away.c ---- */
void broker_turned_away_count(struct worker *worker, const struct listener *listener,
                              enum turned_away_why why, const char *address);
/* What was counted goes out. */
void broker_turned_away_flush(struct worker *worker);

/* ---- connection.c ---- */
enum rc broker_connection_accept(struct worker *worker, const struct listener *listener, int fd,
                                 const char *address);
/* handshake.c: go on with it; its time is up; what TLS asks of a leaf; the authority's word. */
void broker_connection_shake_hands(struct connection *connection);
void broker_connection_give_up(struct connection *connection);
/* Somebody with a certificate is, or was, there. False: that could not be recorded, it ends. */
bool broker_connection_witness_session(struct connection *connection, const char *reason);
void broker_connection_make_way(struct connection *connection); /* for one that just came */
enum registry_verdict broker_connection_judge(void *with, const struct x509_st *leaf);
void broker_connection_learn(struct connection *connection, enum rc rc,
                             const struct registry_answer *answer);
/* Write out, read on, close: whatever can be done now. */
void broker_connection_settle(struct connection *connection);
/* Write what is in out, then close. */
void broker_connection_end(struct connection *connection);
/* The first octets of in were handed on. */
void broker_connection_consume(struct connection *connection, size_t count);
/* It may read again, and get more of what is retained: the turn had enough of it, or the post
 * was jammed. */
void broker_connection_read(struct connection *connection);
/* Close now. */
void broker_connection_close(struct connection *connection);
/* Have the timer go off no later than this (monotonic). */
void broker_connection_alarm(struct connection *connection, int64_t at_ms);
void broker_connection_free(struct connection *connection);

/* ---- witness.c: what is audited ---- */
struct witness {
    enum audit_action action;
    enum audit_decision decision;
    struct bytes target;
    const char *reason;                    /* may be NULL */
    const struct policy_decision *decided; /* NULL: no policy was asked */
    bool alone; /* a record of its own, however many there are; so has what is logged in full */
};
/* Record; the connection's ticket is then the one to wait for. Traffic that is allowed, or
 * failed for a reason of ours (plain text), is counted in the connection's own tally. False: it
 * could not be, so the act is not done, and the connection ends. */
bool broker_witness(struct connection *connection, const struct witness *what);
#define BROKER_NOT_DURABLE "it could not be made durable"
/* What became of an act of a peer whose connection may be gone; nothing ends if it cannot be
 * recorded, which is counted as dropped. */
void broker_witness_gone(struct worker *worker, const struct broker_peer *peer,
                         const struct witness *what);
/* What the connection's tally counted goes out. */
void broker_witness_flush(struct connection *connection);
/* with: worker */
enum rc broker_witness_emit(void *with, const struct audit_record *record);
enum rc broker_witness_ended(void *with, struct audit_slot *window);

/* ---- review.c: the cut ---- */
struct broker_review {
    atomic_uint holds;
    struct broker_policy *policy; /* that everybody is to be judged by; NULL: one is judged */
    char id[REGISTRY_ID_MAX + 1]; /* of that one */
};
void broker_review_release(struct broker_review *review);
enum rc broker_review_post(struct broker_door *door, const struct registry_change *change);
void broker_review_take(struct worker *worker, const struct broker_review *review);
/* Judge this one again; true if it stays. */
bool broker_review_one(struct connection *connection);

/* ---- stream.c: HTTP ---- */
struct broker_stream_offer {
    int fd;
    struct broker_octets *octets;
    struct broker_peer peer;
};
/* With what it holds. */
void broker_stream_offer_free(struct broker_stream_offer *offer);
enum rc broker_stream_open(struct connection *connection);
void broker_stream_free(struct stream *stream);
/* Bytes from TLS; what cannot be handed on stays in the connection's in. */
void broker_stream_pump(struct connection *connection);
bool broker_stream_wants_input(const struct connection *connection);
void broker_stream_half_close(struct connection *connection);
/* There may be room in out again. */
void broker_stream_settle(struct connection *connection);

/* ---- route.c ---- */
/* Hand a message to everybody of all workers who wants it and may have it. from: who published
 * it; NULL: it came from another worker. */
void broker_route(struct worker *worker, struct message *message, struct client *from);

/* ---- lookups.c, certifier.c, pusher.c: the main thread's business with the authority ---- */
struct broker_look_up {
    unsigned party;
    uint64_t session;
    struct registry_preamble preamble;
    struct buf leaf;
};
struct broker_looked_up {
    enum rc rc;
    struct registry_answer answer; /* verdict, certificate, subject */
};
struct broker_look_up *broker_look_up_new(void); /* NULL without memory */
void broker_look_up_free(struct broker_look_up *wanted);
enum rc broker_lookups_new(struct broker_door *door, struct lookups **lookups);
void broker_lookups_free(struct lookups *lookups);
void broker_lookups_ask(struct lookups *lookups, struct broker_look_up *wanted); /* owned */
enum rc broker_certifier_new(struct broker_door *door, struct certifier **certifier);
void broker_certifier_free(struct certifier *certifier);
/* The projection is there, or its CAs changed: see to a certificate. */
void broker_certifier_go_on(struct certifier *certifier);
bool broker_certifier_is_done(const struct certifier *certifier);
enum rc broker_pusher_new(struct broker_door *door, struct pusher **pusher);
void broker_pusher_free(struct pusher *pusher);
void broker_pusher_greet(struct pusher *pusher); /* the line is new */
void broker_pusher_take(struct pusher *pusher, const struct broker_mail *mail);

/* ---- presence.c ---- */
enum rc broker_presence_begin(struct broker_door *door);
void broker_presence_recorded(struct broker_door *door, const struct broker_mail *mail);
void broker_presence_end(struct broker_door *door);
/* ---- readings.c ---- */
/* The main thread's record of this ticket is on disk, or rc says why not. True if somebody
 * waited for it. */
bool broker_readings_recorded(struct broker_door *door, uint64_t ticket, enum rc rc);
void broker_readings_free(struct broker_door *door);

/* ---- door.c ---- */
/* A record of the main thread's own leaves for the recorder; *ticket (may be NULL) is its. */
enum rc broker_door_send_record(struct broker_door *door, const struct audit_record *record,
                                uint64_t *ticket);

void broker_door_tell(struct broker_door *door, enum broker_door_event event, const char *what,
                      const char *text);
/* Listen, if all that is needed is there now. */
void broker_door_open_up(struct broker_door *door);
