#include "broker/message.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Freed blocks are kept by size: classes of 128 bytes to 64 KiB, each twice the one before. */
enum { SMALLEST_BITS = 7, CLASSES = 10, UNCLASSED = CLASSES };

struct message {
    struct message_pool *pool;
    struct message *next_free;
    atomic_uint holds;
    uint8_t size_class;
    uint8_t qos;
    bool retain;
    uint16_t topic_len;
    uint32_t block_len, payload_len;
    uint32_t expiry_at; /* where in the block the seconds stand; 0: no expiry */
    int64_t expires_ms;
    uint64_t present;
    size_t charged; /* against the pool */
    uint8_t wire[]; /* topic with length, properties with length, payload */
};

struct message_pool {
    struct message_pool_limits limits;
    size_t alive_bytes, kept_bytes, alive;
    struct message *kept[CLASSES];
    pthread_t owner;
    /* Pushed by others, taken whole by the owner: nothing is popped, so no ABA. */
    _Atomic(struct message *) returned;
};

enum rc broker_message_pool_new(const struct message_pool_limits *limits,
                                struct message_pool **pool)
{
    struct message_pool *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "message pool");
    made->limits = *limits;
    made->owner = pthread_self();
    *pool = made;
    return RC_OK;
}

void broker_message_pool_adopt(struct message_pool *pool)
{
    pool->owner = pthread_self();
}

/* By the owner: keep the block for the next message of its size, or give it back. */
static void put_back(struct message *message)
{
    struct message_pool *pool = message->pool;

    pool->alive_bytes -= message->charged;
    pool->alive--;
    if (message->size_class == UNCLASSED ||
        message->charged > pool->limits.kept_bytes - pool->kept_bytes) {
        free(message);
        return;
    }
    pool->kept_bytes += message->charged;
    message->next_free = pool->kept[message->size_class];
    pool->kept[message->size_class] = message;
}

static void take_returned(struct message_pool *pool)
{
    if (atomic_load_explicit(&pool->returned, memory_order_relaxed) == NULL)
        return;
    struct message *at = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (at != NULL) {
        struct message *next = at->next_free;
        put_back(at);
        at = next;
    }
}

void broker_message_pool_free(struct message_pool *pool)
{
    if (pool == NULL)
        return;
    take_returned(pool);
    assert(pool->alive == 0);
    for (size_t i = 0; i < CLASSES; i++)
        for (struct message *next, *at = pool->kept[i]; at != NULL; at = next) {
            next = at->next_free;
            free(at);
        }
    free(pool);
}

size_t broker_message_pool_bytes(const struct message_pool *pool)
{
    return pool->alive_bytes;
}

static uint8_t class_of(size_t size)
{
    uint8_t at = 0;

    while (at < CLASSES && size > (size_t)1 << (SMALLEST_BITS + at))
        at++;
    return at;
}

static enum rc take_block(struct message_pool *pool, size_t wire, struct message **message)
{
    size_t size = sizeof(struct message) + wire;
    uint8_t class = class_of(size);
    size_t charged = class == UNCLASSED ? size : (size_t)1 << (SMALLEST_BITS + class);

    take_returned(pool);
    if (charged > pool->limits.bytes - pool->alive_bytes)
        return fault(RC_LIMIT, "messages of more than %zu bytes", pool->limits.bytes);
    struct message *taken = class == UNCLASSED ? NULL : pool->kept[class];
    if (taken != NULL) {
        pool->kept[class] = taken->next_free;
        pool->kept_bytes -= charged;
    } else {
        taken = malloc(charged);
    }
    if (taken == NULL)
        return fault(RC_NOMEM, "message of %zu bytes", size);
    *taken = (struct message){ .pool = pool, .size_class = class, .charged = charged };
    atomic_init(&taken->holds, 1);
    pool->alive_bytes += charged;
    pool->alive++;
    *message = taken;
    return RC_OK;
}

struct message *broker_message_hold(struct message *message)
{
    atomic_fetch_add_explicit(&message->holds, 1, memory_order_relaxed);
    return message;
}

void broker_message_release(struct message *message)
{
    if (message == NULL ||
        atomic_fetch_sub_explicit(&message->holds, 1, memory_order_acq_rel) != 1)
        return;
    struct message_pool *pool = message->pool;

    if (pthread_equal(pool->owner, pthread_self())) {
        put_back(message);
        return;
    }
    struct message *head = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do
        message->next_free = head;
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &head, message,
                                                  memory_order_release, memory_order_relaxed));
}

/* Section 3.3.2.3: what concerns one connection, and the will's own, is not forwarded. */
static bool is_forwarded(enum mqtt_property id)
{
    return id != MQTT_TOPIC_ALIAS && id != MQTT_SUBSCRIPTION_ID && id != MQTT_WILL_DELAY;
}

static size_t forwarded_size(const struct mqtt_properties *properties)
{
    struct bytes rest = properties->block;
    struct mqtt_value value;
    size_t size = 0;

    while (broker_mqtt_properties_next(&rest, &value))
        size += is_forwarded(value.id) ? value.wire.len : 0;
    return size;
}

static uint8_t *put(uint8_t *at, struct bytes bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.at, bytes.len);
    return at + bytes.len;
}

static uint8_t *put_u16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static uint8_t *put_varint(uint8_t *at, size_t value)
{
    for (; value >= 128; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static const uint8_t *block_of(const struct message *message)
{
    return message->wire + 2 + message->topic_len +
           broker_mqtt_packet_varint_size(message->block_len);
}

static uint8_t *put_forwarded(struct message *message, uint8_t *at,
                              const struct mqtt_properties *properties, int64_t now_ms)
{
    const uint8_t *block = at;
    struct bytes rest = properties->block;
    struct mqtt_value value;

    while (broker_mqtt_properties_next(&rest, &value)) {
        if (!is_forwarded(value.id))
            continue;
        if (value.id == MQTT_MESSAGE_EXPIRY) {
            message->expiry_at = (uint32_t)(at - block) + 1;
            message->expires_ms = now_ms + (int64_t)value.number * 1000;
        }
        message->present |= 1ULL << value.id;
        at = put(at, value.wire);
    }
    return at;
}

enum rc broker_message_new(struct message_pool *pool, const struct mqtt_publish *publish,
                           int64_t now_ms, struct message **message)
{
    size_t block = forwarded_size(&publish->properties);
    size_t wire = 2 + publish->topic.len + broker_mqtt_packet_varint_size(block) + block +
                  publish->payload.len;
    struct message *made = NULL;

    assert(publish->topic.len > 0 && publish->topic.len <= MQTT_STRING_MAX);
    /* Room for a packet identifier that the sender's QoS 0 did not have. */
    if (wire + 2 > MQTT_REMAINING_MAX)
        return fault(RC_LIMIT, "MQTT 2.1.4: message of %zu bytes", wire);
    TRY(take_block(pool, wire, &made));
    made->qos = publish->qos;
    made->retain = publish->retain;
    made->topic_len = (uint16_t)publish->topic.len;
    made->block_len = (uint32_t)block;
    made->payload_len = (uint32_t)publish->payload.len;
    uint8_t *at = put(put_u16(made->wire, publish->topic.len), publish->topic);
    at = put_forwarded(made, put_varint(at, block), &publish->properties, now_ms);
    put(at, publish->payload);
    *message = made;
    return RC_OK;
}

struct bytes broker_message_topic(const struct message *message)
{
    return (struct bytes){ message->wire + 2, message->topic_len };
}

struct bytes broker_message_payload(const struct message *message)
{
    return (struct bytes){ block_of(message) + message->block_len, message->payload_len };
}

struct mqtt_properties broker_message_properties(const struct message *message)
{
    return (struct mqtt_properties){ { block_of(message), message->block_len },
                                     message->present };
}

uint8_t broker_message_qos(const struct message *message)
{
    return message->qos;
}

bool broker_message_is_retained(const struct message *message)
{
    return message->retain;
}

void broker_message_restart_expiry(struct message *message, int64_t now_ms)
{
    struct mqtt_properties properties = broker_message_properties(message);

    assert(atomic_load(&message->holds) == 1);
    message->expires_ms =
        now_ms +
        (int64_t)broker_mqtt_properties_number(&properties, MQTT_MESSAGE_EXPIRY, 0) * 1000;
}

bool broker_message_has_expired(const struct message *message, int64_t now_ms)
{
    return message->expiry_at != 0 && now_ms >= message->expires_ms;
}

size_t broker_message_bytes(const struct message *message)
{
    return message->charged;
}

static size_t identifiers_size(const struct message_delivery *how)
{
    size_t size = 0;

    for (size_t i = 0; i < how->identifier_count; i++)
        size += 1 + broker_mqtt_packet_varint_size(how->identifiers[i]);
    return size;
}

static size_t body_size(const struct message *message, const struct message_delivery *how)
{
    size_t size = 2U + message->topic_len + (how->qos > 0 ? 2U : 0U) + message->payload_len;

    if (how->version == MQTT_5) {
        size_t block = message->block_len + identifiers_size(how);
        size += broker_mqtt_packet_varint_size(block) + block;
    }
    return size;
}

size_t broker_message_size(const struct message *message, const struct message_delivery *how)
{
    size_t body = body_size(message, how);

    return 1 + broker_mqtt_packet_varint_size(body) + body;
}

/* [MQTT-3.3.2-6]; a second that has begun counts as left, as it does for the receiver. */
static void put_expiry(const struct message *message, uint8_t *block, int64_t now_ms)
{
    int64_t left_ms = message->expires_ms - now_ms;
    uint32_t left_s = left_ms <= 0 ? 0 : (uint32_t)((left_ms + 999) / 1000);

    put_u16(block + message->expiry_at, left_s >> 16);
    put_u16(block + message->expiry_at + 2, left_s & 0xffff);
}

static uint8_t *put_block(const struct message *message, const struct message_delivery *how,
                          uint8_t *at)
{
    uint8_t *block = put_varint(at, message->block_len + identifiers_size(how));

    at = put(block, (struct bytes){ block_of(message), message->block_len });
    if (message->expiry_at != 0)
        put_expiry(message, block, how->now_ms);
    for (size_t i = 0; i < how->identifier_count; i++) {
        *at++ = MQTT_SUBSCRIPTION_ID;
        at = put_varint(at, how->identifiers[i]);
    }
    return at;
}

void broker_message_write(const struct message *message, const struct message_delivery *how,
                          struct buf *out)
{
    size_t body = body_size(message, how);
    uint8_t *at = buf_extend(out, 1 + broker_mqtt_packet_varint_size(body) + body);

    if (at == NULL)
        return;
    *at++ = (uint8_t)(MQTT_PUBLISH << 4 | (how->dup ? 8 : 0) | how->qos << 1 |
                      (how->retain ? 1 : 0));
    at = put_varint(at, body);
    at = put(at, (struct bytes){ message->wire, 2U + message->topic_len });
    if (how->qos > 0)
        at = put_u16(at, how->packet_id);
    if (how->version == MQTT_5)
        at = put_block(message, how, at);
    put(at, broker_message_payload(message));
}
