/* An MQTT client of a door's tests, on a thread of its own. */
#pragma once

#include "tests/unit/broker/door_world.h"

struct client {
    struct world *w;
    unsigned number;
    pthread_t thread;
    SSL_CTX *context;
    SSL *tls;
    int fd;
    struct buf in;
    atomic_uint received, acknowledged;
    atomic_bool ready, ended;
    enum mqtt_reason farewell;
};

static inline bool client_read(struct client *c)
{
    uint8_t room[16384];
    int got = SSL_read(c->tls, room, sizeof room);

    if (got > 0)
        buf_add(&c->in, (struct bytes){ room, (size_t)got });
    return got > 0;
}

/* The next packet's type; 0 at the end of the connection. */
static inline unsigned client_next(struct client *c)
{
    struct mqtt_frame frame;
    enum mqtt_reason why = MQTT_SUCCESS;

    for (;;) {
        if (broker_mqtt_packet_next(buf_bytes(&c->in), MQTT_5, MIB, &frame, &why) != RC_OK)
            abort();
        if (frame.whole)
            break;
        if (!client_read(c))
            return 0;
    }
    if (frame.type == MQTT_DISCONNECT && frame.body.len > 0)
        c->farewell = (enum mqtt_reason)frame.body.at[0];
    if (c->in.len > frame.size)
        memmove(c->in.at, c->in.at + frame.size, c->in.len - frame.size);
    buf_cut(&c->in, c->in.len - frame.size);
    return frame.type;
}

static inline void client_write(struct client *c, const struct buf *bytes)
{
    if (SSL_write(c->tls, bytes->at, (int)bytes->len) != (int)bytes->len)
        atomic_store(&c->ended, true);
}

static inline bool client_shake_hands(struct client *c)
{
    const struct identity *who = &c->w->devices[c->number % CLIENTS];
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(c->w->port) };

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->in = (struct buf)BUF_MAX(4 * MIB);
    c->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(c->context, who->certificate);
    SSL_CTX_use_PrivateKey(c->context, who->key);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->tls = SSL_new(c->context);
    SSL_set_fd(c->tls, c->fd);
    return connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0 &&
           SSL_connect(c->tls) == 1;
}

static inline bool client_connect(struct client *c)
{
    const struct mqtt_connect connect_packet = { .version = MQTT_5, .clean_start = true };
    AUTO_BUF(out, 4096);

    if (!client_shake_hands(c))
        return false;
    broker_mqtt_connect_write(&connect_packet, &out);
    client_write(c, &out);
    return client_next(c) == MQTT_CONNACK;
}

static inline void client_close(struct client *c)
{
    SSL_free(c->tls);
    SSL_CTX_free(c->context);
    close(c->fd);
    buf_clear(&c->in);
}

static inline void client_subscribe(struct client *c, struct bytes filter)
{
    const struct mqtt_subscription_options options = { .qos = 1 };
    struct mqtt_subscribe subscribe = { .type = MQTT_SUBSCRIBE, .packet_id = 1, .count = 1 };
    AUTO_BUF(filters, 256);
    AUTO_BUF(out, 512);

    broker_mqtt_subscribe_add(&filters, MQTT_SUBSCRIBE, filter, &options);
    subscribe.filters = buf_bytes(&filters);
    broker_mqtt_subscribe_write(&subscribe, MQTT_5, &out);
    client_write(c, &out);
}

static inline void client_publish(struct client *c, uint16_t packet_id, bool retain)
{
    const struct mqtt_publish publish = { .topic = BYTES("t/a"),
                                          .payload = BYTES("0123456789"),
                                          .packet_id = packet_id,
                                          .qos = 1,
                                          .retain = retain };
    AUTO_BUF(out, 512);

    broker_mqtt_publish_write(&publish, MQTT_5, &out);
    client_write(c, &out);
}

/* Take what comes until so many PUBACKs, or the end. QoS 1 messages are not acknowledged: the
 * window of 1024 is larger than what is sent here. */
static inline void client_take(struct client *c, unsigned acknowledged)
{
    while (atomic_load(&c->acknowledged) < acknowledged) {
        unsigned type = client_next(c);
        if (type == 0 || type == MQTT_DISCONNECT) {
            atomic_store(&c->ended, true);
            return;
        }
        if (type == MQTT_PUBLISH)
            atomic_fetch_add(&c->received, 1);
        if (type == MQTT_PUBACK)
            atomic_fetch_add(&c->acknowledged, 1);
        if (type == MQTT_SUBACK)
            atomic_store(&c->ready, true);
    }
}

static inline void start(struct world *w, struct client *c, unsigned number,
                         void *(*run)(void *))
{
    *c = (struct client){ .w = w, .number = number };
    assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
}

static inline void turn(struct world *w)
{
    assert_int_equal(loop_turn_once(w->loop, 10), RC_OK);
}

static inline void suspend_all(struct world *w, struct buf *list)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        add_subject(w, list, i, REGISTRY_SUSPENDED);
}

static inline void *publish_only(void *with)
{
    struct client *c = with;

    if (client_connect(c)) {
        for (unsigned i = 1; i <= ROUNDS; i++)
            client_publish(c, (uint16_t)i, false);
        client_take(c, ROUNDS);
    }
    client_close(c);
    return NULL;
}
