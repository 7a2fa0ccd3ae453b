#include "bench/load_traffic_internal.h"

enum { OUT_MOST = 256 * 1024 };

static bool is_acknowledged(const struct load_traffic *traffic)
{
    return traffic->options.qos == 1;
}

static enum load_mqtt_version version_of(const struct load_traffic *traffic)
{
    return load_options_of(traffic->crowd->load)->version;
}

static uint16_t packet_id_of(uint32_t sequence)
{
    return (uint16_t)(sequence % LOAD_PACKET_IDS + 1);
}

/* The latest sequence number that had this identifier: no window reaches a whole round back. */
static uint32_t sequence_of(const struct load_publisher *publisher, uint16_t packet_id)
{
    uint32_t latest = publisher->next - 1;

    return latest -
           (latest % LOAD_PACKET_IDS + LOAD_PACKET_IDS - (packet_id - 1u)) % LOAD_PACKET_IDS;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 3; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

/* The payload starts with publisher, sequence number, and when it was due, big-endian. */
static void publish(struct load_traffic *traffic, struct load_publisher *publisher,
                    uint32_t sequence, int64_t due_ns, uint8_t flags)
{
    const struct load_publish what = {
        .topic = buf_bytes(&publisher->topic),
        .payload = { traffic->payload, traffic->options.payload },
        .packet_id = is_acknowledged(traffic) ? packet_id_of(sequence) : 0,
    };
    struct buf *out = load_out(publisher->client);

    put_u32(traffic->payload, (uint32_t)(publisher - traffic->publishers));
    put_u32(traffic->payload + 4, sequence);
    put_u32(traffic->payload + 8, (uint32_t)((uint64_t)due_ns >> 32));
    put_u32(traffic->payload + 12, (uint32_t)due_ns);
    load_mqtt_publish_head(out, version_of(traffic), &what, flags);
    buf_add(out, what.payload);
}

static bool may_publish(const struct load_traffic *traffic,
                        const struct load_publisher *publisher)
{
    uint64_t window = traffic->options.window, fanout = publisher->fanout;

    return publisher->client->state == LOAD_LIVE &&
           (traffic->options.most == 0 || publisher->next < traffic->options.most) &&
           load_waiting(publisher->client) < OUT_MOST &&
           (traffic->options.only_acks_open ||
            publisher->next * fanout <
                publisher->delivered + publisher->forgiven + window * fanout) &&
           (!is_acknowledged(traffic) || publisher->next < publisher->acked.count + window);
}

static void publish_next(struct load_traffic *traffic, struct load_publisher *publisher,
                         int64_t due_ns)
{
    publish(traffic, publisher, publisher->next++, due_ns, 0);
    traffic->counts.sent++;
}

static void publish_by_window(struct load_traffic *traffic)
{
    for (size_t i = 0; i < traffic->options.shape.publishers; i++) {
        struct load_publisher *publisher = &traffic->publishers[i];
        while (may_publish(traffic, publisher))
            publish_next(traffic, publisher, load_now_ns(traffic->crowd->load));
    }
}

static bool is_finished(const struct load_traffic *traffic,
                        const struct load_publisher *publisher)
{
    return traffic->options.most > 0 && publisher->next >= traffic->options.most;
}

/* What is late keeps the time at which it was due: a server that stalls is not excused. Only a
 * publisher that is not connected has nothing due. */
static void publish_due(struct load_traffic *traffic, struct load_publisher *publisher,
                        int64_t now_ns, double every_ns)
{
    if (publisher->client->state != LOAD_LIVE)
        publisher->due_ns = (double)now_ns + every_ns;
    while (publisher->due_ns <= (double)now_ns && may_publish(traffic, publisher)) {
        publish_next(traffic, publisher, (int64_t)publisher->due_ns);
        publisher->due_ns += every_ns;
    }
}

static void publish_by_rate(struct load_traffic *traffic)
{
    int64_t now_ns = load_clock_ns();
    size_t count = traffic->options.shape.publishers;
    double every_ns = 1e9 / traffic->options.rate * (double)count;

    traffic->next_due_ns = (double)now_ns + every_ns;
    for (size_t i = 0; i < count; i++) {
        struct load_publisher *publisher = &traffic->publishers[i];
        if (publisher->due_ns == 0)
            publisher->due_ns = (double)now_ns + every_ns * (double)i / (double)count;
        publish_due(traffic, publisher, now_ns, every_ns);
        if (publisher->due_ns < traffic->next_due_ns && !is_finished(traffic, publisher))
            traffic->next_due_ns = publisher->due_ns;
    }
}

void load_messages_publish(struct load_traffic *traffic)
{
    if (traffic->options.rate > 0)
        publish_by_rate(traffic);
    else
        publish_by_window(traffic);
}

void load_messages_publish_again(struct load_traffic *traffic, struct load_publisher *publisher)
{
    enum { DUP = 0x08 };
    uint32_t reach = LOAD_WINDOW_MAX < publisher->next ? LOAD_WINDOW_MAX : publisher->next;

    if (!is_acknowledged(traffic))
        return;
    for (uint32_t n = publisher->next - reach; n < publisher->next; n++)
        if (!load_set_has(&publisher->acked, n))
            publish(traffic, publisher, n, load_now_ns(traffic->crowd->load), DUP);
}

void load_messages_tell(struct load_traffic *traffic, struct load_publisher *publisher)
{
    if (traffic->options.acked != NULL && publisher->run_from < publisher->run_to)
        traffic->options.acked(traffic->options.with, publisher->client, publisher->run_from,
                               publisher->run_to - 1);
    publisher->run_from = publisher->run_to;
}

static void take_puback(struct load_traffic *traffic, struct load_publisher *publisher,
                        const struct load_frame *frame)
{
    uint16_t id;
    uint8_t reason;

    if (publisher->next == 0 || !load_mqtt_read_ack(frame, version_of(traffic), &id, &reason) ||
        id == 0 || id > LOAD_PACKET_IDS || id > publisher->next) {
        traffic->counts.astray++;
        return;
    }
    uint32_t sequence = sequence_of(publisher, id);
    if (!load_set_add(&publisher->acked, sequence))
        return;
    traffic->counts.acked++;
    if (reason >= 0x80) {
        traffic->counts.refused++;
        load_set_add(&publisher->refused, sequence);
        publisher->forgiven += publisher->fanout;
    }
    if (sequence != publisher->run_to) {
        load_messages_tell(traffic, publisher);
        publisher->run_from = sequence;
    }
    publisher->run_to = sequence + 1;
}

static void count_delivery(struct load_traffic *traffic, struct load_subscriber *subscriber,
                           struct bytes payload)
{
    struct reader r = READER(payload);
    uint32_t number = reader_u32(&r), sequence = reader_u32(&r);
    uint64_t due_ns = reader_u64(&r);
    bool pairs = load_traffic_is_pairs(traffic);

    if (payload.len != traffic->options.payload ||
        number >= traffic->options.shape.publishers ||
        sequence >= traffic->publishers[number].next ||
        (pairs && number != (size_t)(subscriber - traffic->subscribers))) {
        traffic->counts.astray++;
    } else if (!load_set_add(&subscriber->received[pairs ? 0 : number], sequence)) {
        traffic->counts.doubled++;
    } else {
        int64_t took = load_now_ns(traffic->crowd->load) - (int64_t)due_ns;
        traffic->counts.delivered++;
        traffic->publishers[number].delivered++;
        load_histogram_add(&traffic->latency, took > 0 ? (uint64_t)took : 0);
    }
}

static void take_publish(struct load_traffic *traffic, struct load_subscriber *subscriber,
                         const struct load_frame *frame)
{
    struct load_publish what;

    if (!load_mqtt_read_publish(frame, version_of(traffic), &what)) {
        traffic->counts.astray++;
        return;
    }
    if (what.packet_id > 0)
        load_mqtt_puback(load_out(subscriber->client), what.packet_id);
    count_delivery(traffic, subscriber, what.payload);
}

static void take_suback(struct load_traffic *traffic, struct load_subscriber *subscriber,
                        const struct load_frame *frame)
{
    uint16_t id;
    uint8_t reason;

    if (!load_mqtt_read_ack(frame, version_of(traffic), &id, &reason))
        reason = 0x80;
    subscriber->denied = reason >= 0x80;
    traffic->answered++;
}

void load_messages_take(struct load_traffic *traffic, struct load_client *client,
                        const struct load_frame *frame)
{
    struct load_publisher *publisher = load_traffic_publisher(traffic, client);
    struct load_subscriber *subscriber = load_traffic_subscriber(traffic, client);
    unsigned type = load_mqtt_type(frame);

    if (type == LOAD_PUBACK && publisher != NULL)
        take_puback(traffic, publisher, frame);
    else if (type == LOAD_PUBLISH && subscriber != NULL)
        take_publish(traffic, subscriber, frame);
    else if (type == LOAD_SUBACK && subscriber != NULL)
        take_suback(traffic, subscriber, frame);
    else if (type != LOAD_PINGRESP)
        traffic->counts.astray++;
}
