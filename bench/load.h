/* Many MQTT clients over mutual TLS 1.3 on one thread: the loop, and each client's connection.
 */
#pragma once

#include "bench/load_identity.h"
#include "bench/load_mqtt.h"

struct load;

enum load_state {
    LOAD_IDLE, /* no connection */
    LOAD_CONNECTING,
    LOAD_HANDSHAKE,
    LOAD_WAITS_CONNACK,
    LOAD_LIVE,
};

/* Zero it, set who, then load_start() as often as it ended. */
struct load_client {
    struct load *load;
    const struct load_identity *who;
    enum load_state state;
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* the latest ticket, kept between connections */
    bool resumed, wants_write, dirty;
    struct buf out;
    size_t sent; /* of out */
    struct buf rest;
    int64_t started_ns, live_ns;
    struct load_client *next_dirty;
    void *with; /* the handler's */
};

struct load_handler {
    void (*live)(void *with, struct load_client *client);
    /* Any packet after CONNACK. */
    void (*packet)(void *with, struct load_client *client, const struct load_frame *frame);
    /* The connection is gone, not by load_stop(); why is a word, code a reason code or 0. */
    void (*ended)(void *with, struct load_client *client, const char *why, unsigned code);
    void *with;
};

struct load_options {
    const char *host; /* an address */
    uint16_t port;
    const char *ca_path;
    const char *server_name; /* asked for and checked; NULL: neither */
    enum load_mqtt_version version;
    uint16_t keep_alive_s;
    bool resume; /* offer the kept ticket */
};

/* Options and handler are copied; their strings are borrowed. */
enum rc load_new(const struct load_options *options, const struct load_handler *handler,
                 struct load **load);
void load_free(struct load *load);
AUTO_STRUCT(load, load_free)

const struct load_options *load_options_of(const struct load *load);
void load_set_handler(struct load *load, const struct load_handler *handler);
void load_set_resume(struct load *load, bool resume);

/* Begin to connect. RC_IO when there is no descriptor or no route. */
enum rc load_start(struct load_client *client);
/* Say DISCONNECT, close_notify, close; no effect on an idle client. */
void load_stop(struct load_client *client);
/* Close without a word, and forget buffers and ticket. */
void load_client_clear(struct load_client *client);
/* Where to write packets; they leave at the end of the turn. */
struct buf *load_out(struct load_client *client);
/* Bytes that wait in the client. */
size_t load_waiting(const struct load_client *client);

/* One turn of the loop, waiting at most this long for something to happen. */
enum rc load_turn(struct load *load, int64_t wait_ns);
/* Monotonic, read at most once a read. */
int64_t load_now_ns(const struct load *load);
int64_t load_clock_ns(void);
int64_t load_wall_ms(void);
