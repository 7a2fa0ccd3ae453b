/* MQTT without sockets: a PUBLISH read, kept and written again, against copying its bytes;
 * matches among 10, 10,000 and 100,000 filters, against one look-up of the whole topic. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "broker/message.h"
#include "broker/subscriptions.h"

enum { ROUNDS = 5, MESSAGES = 300000, MATCHES = 200000, SUBSCRIBERS = 1000 };

static const struct topic_hash_key KEY = { 0x243f6a8885a308d3, 0x13198a2e03707344 };

static void must(bool holds)
{
    if (holds)
        return;
    fprintf(stderr, "bench_mqtt: %s\n", fault_reason());
    exit(1);
}

static double cpu_ns(void)
{
    struct rusage used;

    must(getrusage(RUSAGE_SELF, &used) == 0);
    return ((double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec) * 1e9 +
           ((double)used.ru_utime.tv_usec + (double)used.ru_stime.tv_usec) * 1e3;
}

static void keep_least(double *least, double value)
{
    *least = *least == 0 || value < *least ? value : *least;
}

static void print(const char *what, double ours, double floor_)
{
    printf("{\"bench\":\"mqtt.%s\",\"ours\":%.1f,\"unit\":\"cpu_ns/op\",\"floor\":%.1f,"
           "\"ratio_floor\":%.2f}\n",
           what, ours, floor_, ours / floor_);
}

/* In batches of this much, as a connection reads and writes. */
enum { BATCH_BYTES = 65536 };

static size_t fill(struct buf *stream, enum mqtt_version version, uint8_t qos, size_t payload)
{
    static const uint8_t zeros[1024];
    struct mqtt_publish publish = {
        .topic = BYTES("plant/line-4/press-17/temperature"),
        .payload = { zeros, payload },
        .qos = qos,
        .packet_id = qos,
    };
    size_t count = 0;

    while (stream->len + payload + 64 < BATCH_BYTES) {
        broker_mqtt_publish_write(&publish, version, stream);
        count++;
    }
    return count;
}

static void forward(struct bytes stream, enum mqtt_version version, struct message_pool *pool,
                    struct buf *out)
{
    struct mqtt_frame frame;
    struct mqtt_publish publish;
    enum mqtt_reason why;

    while (stream.len > 0) {
        struct message *message = NULL;
        must(broker_mqtt_packet_next(stream, version, 4096, &frame, &why) == RC_OK);
        must(broker_mqtt_publish_read(&frame, version, &publish, &why) == RC_OK);
        must(broker_message_new(pool, &publish, 0, &message) == RC_OK);
        struct message_delivery how = { .version = version,
                                        .qos = publish.qos,
                                        .packet_id = publish.packet_id };
        broker_message_write(message, &how, out);
        broker_message_release(message);
        stream = (struct bytes){ stream.at + frame.size, stream.len - frame.size };
    }
}

static double run_forward(const struct buf *stream, size_t count, enum mqtt_version version,
                          struct message_pool *pool, struct buf *out)
{
    double start = cpu_ns();
    size_t done = 0;

    for (; done < MESSAGES; done += count) {
        buf_reset(out);
        forward(buf_bytes(stream), version, pool, out);
    }
    return (cpu_ns() - start) / (double)done;
}

/* The bytes of each packet copied twice, to the message and to the subscriber. */
static double run_copy(const struct buf *stream, size_t count, struct buf *out)
{
    uint8_t kept[2048];
    size_t size = stream->len / count, done = 0;
    double start = cpu_ns();

    for (; done < MESSAGES; done += count) {
        buf_reset(out);
        for (size_t i = 0; i < count; i++) {
            memcpy(kept, stream->at + i * size, size);
            buf_add(out, (struct bytes){ kept, size });
        }
    }
    return (cpu_ns() - start) / (double)done;
}

static void measure_forward(const char *what, enum mqtt_version version, uint8_t qos,
                            size_t payload)
{
    AUTO_BUF(stream, BATCH_BYTES);
    AUTO_BUF(out, 2 * BATCH_BYTES);
    AUTO_OF(message_pool) *pool = NULL;
    size_t count = fill(&stream, version, qos, payload);
    double ours = 0, floor_ = 0;

    must(broker_message_pool_new(&(struct message_pool_limits){ 1 << 20, 1 << 20 }, &pool) ==
         RC_OK);
    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&floor_, run_copy(&stream, count, &out));
        keep_least(&ours, run_forward(&stream, count, version, pool, &out));
    }
    print(what, ours, floor_);
}

static void count_found(void *with, struct subscriber *subscriber,
                        const struct subscription *subscription)
{
    (void)subscriber;
    (void)subscription;
    (*(size_t *)with)++;
}

/* A tenth of the filters with +, a hundredth with #; every topic is matched by one to three. */
static void add_filters(struct subscriptions *index, struct subscriber *all, size_t filters)
{
    struct subscription subscription = { 0 };
    bool replaced;

    for (size_t i = 0; i < filters; i++) {
        AUTO_BUF(filter, 128);
        if (i % 100 == 1)
            buf_addf(&filter, "plant/line-%zu/press-%zu/#", i % 50, i);
        else if (i % 10 == 2)
            buf_addf(&filter, "plant/+/press-%zu/temperature", i);
        else
            buf_addf(&filter, "plant/line-%zu/press-%zu/temperature", i % 50, i);
        must(broker_subscriptions_add(index, &all[i % SUBSCRIBERS], buf_bytes(&filter),
                                      &subscription, &replaced) == RC_OK);
    }
}

enum { NAMES = 1024 };

static void make_names(struct buf *names, size_t filters)
{
    uint64_t random = 7;

    for (size_t i = 0; i < NAMES; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        size_t pick = (size_t)(random >> 33) % filters;
        names[i] = BUF_MAX(128);
        buf_addf(&names[i], "plant/line-%zu/press-%zu/temperature", pick % 50, pick);
    }
}

static double run_match(const struct subscriptions *index, const struct buf *names)
{
    size_t found = 0;
    struct subscriptions_finder finder = { count_found, &found };
    double start = cpu_ns();

    for (size_t i = 0; i < MATCHES; i++)
        broker_subscriptions_match(index, buf_bytes(&names[i % NAMES]), &finder);
    double cost = (cpu_ns() - start) / MATCHES;
    must(found >= MATCHES);
    return cost;
}

static double run_lookup(const struct topic_tree *flat, const struct buf *names)
{
    size_t found = 0;
    double start = cpu_ns();

    for (size_t i = 0; i < MATCHES; i++) {
        struct topic_level level = { .text = buf_bytes(&names[i % NAMES]) };
        level.hash = broker_topic_hash(&KEY, level.text);
        found += broker_topic_tree_child(flat, TOPIC_ROOT, &level) == TOPIC_NONE;
    }
    must(found == MATCHES);
    return (cpu_ns() - start) / MATCHES;
}

static void measure_match(const char *what, size_t filters)
{
    const struct subscriptions_limits limits = { 200000, 1000, { 1000000, 1 << 28 } };
    AUTO_OF(subscriptions) *index = NULL;
    AUTO_OF(topic_tree) *flat = NULL;
    struct subscriber *all = calloc(SUBSCRIBERS, sizeof *all);
    struct buf names[NAMES];
    double ours = 0, floor_ = 0;

    must(all != NULL && broker_subscriptions_new(&limits, &KEY, &index) == RC_OK &&
         broker_topic_tree_new(&limits.tree, &KEY, &flat) == RC_OK);
    add_filters(index, all, filters);
    make_names(names, filters);
    for (int round = 0; round < ROUNDS; round++) {
        keep_least(&floor_, run_lookup(flat, names));
        keep_least(&ours, run_match(index, names));
    }
    print(what, ours, floor_);
    printf("{\"bench\":\"mqtt.%s.memory\",\"ours\":%.0f,\"unit\":\"bytes/filter\"}\n", what,
           (double)broker_subscriptions_bytes(index) / (double)filters);
    for (size_t i = 0; i < NAMES; i++)
        buf_clear(&names[i]);
    free(all);
}

int main(void)
{
    measure_forward("forward.5.q0.64", MQTT_5, 0, 64);
    measure_forward("forward.5.q1.64", MQTT_5, 1, 64);
    measure_forward("forward.3.q0.64", MQTT_3_1_1, 0, 64);
    measure_forward("forward.5.q0.1024", MQTT_5, 0, 1024);
    measure_match("match.10", 10);
    measure_match("match.10000", 10000);
    measure_match("match.100000", 100000);
    return 0;
}
