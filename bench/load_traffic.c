#include "bench/load_traffic_internal.h"

#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const int64_t TURN_NS = 5000000, PATIENCE_NS = 20000000000;

enum { TOPIC_BYTES_MAX = 1024, SHAPE_CLIENTS_MAX = 100000 };

bool load_traffic_is_pairs(const struct load_traffic *traffic)
{
    const struct load_shape *shape = &traffic->options.shape;

    return shape->self || shape->publishers == shape->subscribers;
}

struct load_publisher *load_traffic_publisher(struct load_traffic *traffic,
                                              const struct load_client *client)
{
    size_t number = (size_t)(client - traffic->crowd->clients);

    return number < traffic->options.shape.publishers ? &traffic->publishers[number] : NULL;
}

static size_t first_subscriber(const struct load_traffic *traffic)
{
    return traffic->options.shape.self ? 0 : traffic->options.shape.publishers;
}

struct load_subscriber *load_traffic_subscriber(struct load_traffic *traffic,
                                                const struct load_client *client)
{
    size_t number = (size_t)(client - traffic->crowd->clients),
           first = first_subscriber(traffic);

    if (number < first || number - first >= traffic->options.shape.subscribers)
        return NULL;
    return &traffic->subscribers[number - first];
}

size_t load_shape_clients(const struct load_shape *shape)
{
    return shape->self ? shape->publishers : shape->publishers + shape->subscribers;
}

enum rc load_shape_read(const char *text, size_t clients, struct load_shape *shape)
{
    const char *to = strstr(text, "to");
    uint64_t from_count, to_count;

    if (strcmp(text, "self") == 0) {
        *shape = (struct load_shape){ clients, clients, true };
        return RC_OK;
    }
    if (to == NULL)
        return fault(RC_MALFORMED, "a shape is 'self', or as '10to10', not '%s'", text);
    const struct bytes first = { (const uint8_t *)text, (size_t)(to - text) };
    TRY(text_read_u64(first, SHAPE_CLIENTS_MAX, &from_count));
    TRY(text_read_u64(bytes_of_text(to + 2), SHAPE_CLIENTS_MAX, &to_count));
    if (from_count == 0 || to_count == 0)
        return fault(RC_MALFORMED, "a shape of nobody");
    *shape = (struct load_shape){ (size_t)from_count, (size_t)to_count, false };
    return RC_OK;
}

/* %i and %d are replaced, the rest stands for itself. */
static void write_topic(struct buf *out, const char *topic, size_t number, const char *id)
{
    for (const char *at = topic; *at != 0; at++) {
        if (at[0] == '%' && at[1] == 'i')
            buf_addf(out, "%zu", number);
        else if (at[0] == '%' && at[1] == 'd')
            buf_addf(out, "%s", id);
        else {
            buf_add_u8(out, (uint8_t)*at);
            continue;
        }
        at++;
    }
}

/* What all publishers' topics match: a plus in the place of what differs. */
static void write_filter(struct buf *out, const char *topic)
{
    for (const char *at = topic; *at != 0; at++) {
        bool differs = at[0] == '%' && (at[1] == 'i' || at[1] == 'd');
        buf_add_u8(out, differs ? '+' : (uint8_t)*at);
        at += differs;
    }
}

static void take_live(void *with, struct load_client *client)
{
    struct load_traffic *traffic = with;

    load_crowd_count_live(traffic->crowd, client);
}

static void take_packet(void *with, struct load_client *client, const struct load_frame *frame)
{
    load_messages_take(with, client, frame);
}

static void take_end(void *with, struct load_client *client, const char *why, unsigned code)
{
    struct load_traffic *traffic = with;

    load_crowd_count_ended(traffic->crowd, client, why, code);
}

static enum rc open_clients(struct load_traffic *traffic)
{
    const struct load_shape *shape = &traffic->options.shape;
    bool pairs = load_traffic_is_pairs(traffic);
    struct load_client *clients = traffic->crowd->clients;
    size_t sets = pairs ? 1 : shape->publishers;

    assert(sets > 0);
    for (size_t i = 0; i < shape->publishers; i++) {
        struct load_publisher *publisher = &traffic->publishers[i];
        publisher->client = &clients[i];
        publisher->fanout = pairs ? 1 : shape->subscribers;
        publisher->topic = BUF_MAX(TOPIC_BYTES_MAX);
        write_topic(&publisher->topic, traffic->options.topic, i, clients[i].who->id);
        if (publisher->topic.broken)
            return fault(RC_LIMIT, "topic");
    }
    for (size_t i = 0; i < shape->subscribers; i++) {
        struct load_subscriber *subscriber = &traffic->subscribers[i];
        subscriber->client = &clients[first_subscriber(traffic) + i];
        subscriber->received = calloc(sets, sizeof *subscriber->received);
        if (subscriber->received == NULL)
            return fault(RC_NOMEM, "subscriber");
    }
    return RC_OK;
}

enum rc load_traffic_open(struct load_crowd *crowd, const struct load_traffic_options *options,
                          struct load_traffic **traffic)
{
    AUTO_OF(load_traffic) *made = calloc(1, sizeof *made);

    if (load_shape_clients(&options->shape) > crowd->count)
        return fault(RC_LIMIT, "a shape of %zu clients, but there are %zu",
                     load_shape_clients(&options->shape), crowd->count);
    if (options->shape.publishers == 0 || options->shape.subscribers == 0)
        return fault(RC_MALFORMED, "a shape of nobody");
    if (made == NULL)
        return fault(RC_NOMEM, "traffic");
    made->crowd = crowd;
    made->options = *options;
    made->publishers = calloc(options->shape.publishers, sizeof *made->publishers);
    made->subscribers = calloc(options->shape.subscribers, sizeof *made->subscribers);
    if (made->publishers == NULL || made->subscribers == NULL)
        return fault(RC_NOMEM, "traffic");
    TRY(open_clients(made));
    const struct load_handler handler = { take_live, take_packet, take_end, made };
    load_set_handler(crowd->load, &handler);
    *traffic = TAKE(made);
    return RC_OK;
}

void load_traffic_free(struct load_traffic *traffic)
{
    if (traffic == NULL)
        return;
    bool pairs = load_traffic_is_pairs(traffic);
    for (size_t i = 0; traffic->publishers != NULL && i < traffic->options.shape.publishers;
         i++) {
        buf_clear(&traffic->publishers[i].topic);
        load_set_clear(&traffic->publishers[i].acked);
        load_set_clear(&traffic->publishers[i].refused);
    }
    for (size_t i = 0; traffic->subscribers != NULL && i < traffic->options.shape.subscribers;
         i++) {
        struct load_set *received = traffic->subscribers[i].received;
        for (size_t n = 0;
             received != NULL && n < (pairs ? 1 : traffic->options.shape.publishers); n++)
            load_set_clear(&received[n]);
        free(received);
    }
    free(traffic->publishers);
    free(traffic->subscribers);
    free(traffic);
}

static void subscribe(struct load_traffic *traffic, struct load_subscriber *subscriber)
{
    size_t number = (size_t)(subscriber - traffic->subscribers);
    AUTO_BUF(filter, TOPIC_BYTES_MAX);

    if (load_traffic_is_pairs(traffic))
        buf_add(&filter, buf_bytes(&traffic->publishers[number].topic));
    else if (traffic->options.shape.publishers == 1)
        buf_add(&filter, buf_bytes(&traffic->publishers[0].topic));
    else
        write_filter(&filter, traffic->options.topic);
    load_mqtt_subscribe(load_out(subscriber->client),
                        load_options_of(traffic->crowd->load)->version, LOAD_SUBSCRIBE_ID,
                        buf_bytes(&filter), traffic->options.qos);
}

enum rc load_traffic_subscribe(struct load_traffic *traffic)
{
    size_t count = traffic->options.shape.subscribers, asked = 0, denied = 0;
    int64_t since = load_clock_ns();

    traffic->answered = 0;
    for (size_t i = 0; i < count; i++)
        if (traffic->subscribers[i].client->state == LOAD_LIVE) {
            subscribe(traffic, &traffic->subscribers[i]);
            asked++;
        }
    while (traffic->answered < asked) {
        TRY(load_turn(traffic->crowd->load, TURN_NS));
        TRY(load_crowd_check(traffic->crowd));
        if (load_clock_ns() - since > PATIENCE_NS)
            return fault(RC_BUSY, "%zu of %zu SUBSCRIBEs answered", traffic->answered, asked);
    }
    for (size_t i = 0; i < count; i++)
        denied += traffic->subscribers[i].denied;
    if (denied > 0)
        return fault(RC_DENIED, "%zu of %zu subscriptions were refused", denied, asked);
    return RC_OK;
}

static int64_t wait_most(const struct load_traffic *traffic, bool publishing)
{
    int64_t wait = TURN_NS;

    if (publishing && traffic->options.rate > 0)
        wait = (int64_t)traffic->next_due_ns - load_clock_ns();
    return wait < 0 ? 0 : wait < TURN_NS ? wait : TURN_NS;
}

enum rc load_traffic_turn(struct load_traffic *traffic, bool publishing)
{
    if (publishing)
        load_messages_publish(traffic);
    TRY(load_turn(traffic->crowd->load, wait_most(traffic, publishing)));
    return load_crowd_check(traffic->crowd);
}

enum rc load_traffic_run(struct load_traffic *traffic, int64_t for_ns)
{
    int64_t end = load_clock_ns() + for_ns;

    for (size_t i = 0; i < traffic->options.shape.publishers; i++)
        traffic->publishers[i].due_ns = 0;
    while (load_clock_ns() < end)
        TRY(load_traffic_turn(traffic, true));
    return RC_OK;
}

uint64_t load_traffic_missing(const struct load_traffic *traffic)
{
    uint64_t due = 0, acks = 0;

    for (size_t i = 0; i < traffic->options.shape.publishers; i++) {
        const struct load_publisher *publisher = &traffic->publishers[i];
        uint64_t wanted = publisher->next * publisher->fanout;
        uint64_t got = publisher->delivered + publisher->forgiven;
        due += wanted > got ? wanted - got : 0;
        if (traffic->options.qos > 0)
            acks += publisher->next - publisher->acked.count;
    }
    return due + acks;
}

enum rc load_traffic_drain(struct load_traffic *traffic, int64_t patience_ns)
{
    int64_t progress = load_clock_ns();
    uint64_t before = load_traffic_missing(traffic);

    while (before > 0) {
        TRY(load_traffic_turn(traffic, false));
        uint64_t now = load_traffic_missing(traffic);
        if (now < before)
            progress = load_clock_ns();
        before = now;
        if (load_clock_ns() - progress > patience_ns)
            return fault(RC_NOT_FOUND, "%lu deliveries and acknowledgements never came",
                         (unsigned long)before);
    }
    return RC_OK;
}

static bool is_due(const struct load_traffic *traffic, const struct load_publisher *publisher,
                   uint32_t sequence)
{
    return traffic->options.qos == 0 || (load_set_has(&publisher->acked, sequence) &&
                                         !load_set_has(&publisher->refused, sequence));
}

void load_traffic_each_lost(const struct load_traffic *traffic,
                            void (*lost)(void *with, const struct load_publisher *publisher,
                                         const struct load_subscriber *subscriber,
                                         uint32_t sequence),
                            void *with)
{
    bool pairs = load_traffic_is_pairs(traffic);

    for (size_t p = 0; p < traffic->options.shape.publishers; p++) {
        const struct load_publisher *publisher = &traffic->publishers[p];
        size_t first = pairs ? p : 0;
        size_t end = pairs ? p + 1 : traffic->options.shape.subscribers;
        for (size_t s = first; s < end; s++)
            for (uint32_t n = 0; n < publisher->next; n++)
                if (is_due(traffic, publisher, n) &&
                    !load_set_has(&traffic->subscribers[s].received[pairs ? 0 : p], n))
                    lost(with, publisher, &traffic->subscribers[s], n);
    }
}

static void count_one(void *with, const struct load_publisher *publisher,
                      const struct load_subscriber *subscriber, uint32_t sequence)
{
    uint64_t *count = with;

    (void)publisher;
    (void)subscriber;
    (void)sequence;
    (*count)++;
}

uint64_t load_traffic_lost(const struct load_traffic *traffic)
{
    uint64_t count = 0;

    load_traffic_each_lost(traffic, count_one, &count);
    return count;
}

void load_traffic_tell(struct load_traffic *traffic)
{
    for (size_t i = 0; i < traffic->options.shape.publishers; i++)
        load_messages_tell(traffic, &traffic->publishers[i]);
}

void load_traffic_resume(struct load_traffic *traffic, const struct load_client *client)
{
    struct load_publisher *publisher = load_traffic_publisher(traffic, client);
    struct load_subscriber *subscriber = load_traffic_subscriber(traffic, client);

    if (subscriber != NULL)
        subscribe(traffic, subscriber);
    if (publisher != NULL)
        load_messages_publish_again(traffic, publisher);
}
