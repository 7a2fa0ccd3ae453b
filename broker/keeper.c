#include "broker/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "broker/metrics.h"

enum {
    ENTRY_RETAIN = 1, /* a PUBLISH of MQTT 5.0 as on the wire */
    TIDY_FACTOR = 4,  /* a journal of so many entries a message is written anew ... */
    TIDY_LEAST = 1024 /* ... if it has at least so many */
};

struct broker_keeper {
    pthread_mutex_t lock; /* of retained */
    struct retained *retained;
    struct journal *journal;
    struct message_pool *pool;
    const struct clock *clock;
    struct buf form;
    uint64_t entries; /* since the journal was written anew */
};

static enum rc read_entry(const struct journal_entry *entry, struct mqtt_publish *publish)
{
    struct mqtt_frame frame;
    enum mqtt_reason why = MQTT_SUCCESS;

    if (entry->kind != ENTRY_RETAIN)
        return fault(RC_CORRUPT, "retained: entry of kind %u", entry->kind);
    if (broker_mqtt_packet_next(entry->body, MQTT_5, MQTT_PACKET_MAX, &frame, &why) != RC_OK ||
        !frame.whole || frame.size != entry->body.len ||
        broker_mqtt_publish_read(&frame, MQTT_5, publish, &why) != RC_OK)
        return fault_while(RC_CORRUPT, "retained: entry %llu",
                           (unsigned long long)entry->sequence);
    return RC_OK;
}

/* An expiry that was kept as the seconds left goes on from the hour of its entry. */
static enum rc restore_one(struct broker_keeper *keeper, const struct journal_entry *entry)
{
    struct mqtt_publish publish;
    int64_t age_ms = clock_wall_ms(keeper->clock) - entry->wall_ms;
    AUTO_OF(message) *message = NULL;

    TRY(read_entry(entry, &publish));
    TRY(broker_message_new(keeper->pool, &publish,
                           clock_monotonic_ms(keeper->clock) - (age_ms > 0 ? age_ms : 0),
                           &message));
    keeper->entries++;
    enum rc rc = broker_retained_set(keeper->retained, message);
    return rc == RC_LIMIT ? RC_OK : rc; /* as it was when it was published */
}

static enum rc restore(struct broker_keeper *keeper)
{
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry entry;
    enum rc rc;

    TRY(journal_cursor_open(keeper->journal, journal_first_sequence(keeper->journal), &cursor));
    while ((rc = journal_cursor_next(cursor, &entry)) == RC_OK)
        TRY(restore_one(keeper, &entry));
    if (rc != RC_NOT_FOUND)
        return rc;
    broker_retained_expire(keeper->retained, clock_monotonic_ms(keeper->clock));
    broker_metric_set(BROKER_RETAINED, (int64_t)broker_retained_count(keeper->retained));
    return RC_OK;
}

enum rc broker_keeper_open(int dir, const struct journal_limits *journal,
                           const struct retained_limits *limits, const struct clock *clock,
                           struct broker_keeper **keeper)
{
    const struct message_pool_limits pool = { 2 * limits->bytes, 0 };
    struct topic_hash_key key;
    AUTO_OF(broker_keeper) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "retained messages");
    made->clock = clock;
    made->form = (struct buf)BUF_MAX(JOURNAL_BODY_MAX);
    if (pthread_mutex_init(&made->lock, NULL) != 0)
        return fault(RC_NOMEM, "mutex of retained messages");
    if (getrandom(&key, sizeof key, 0) != sizeof key)
        return fault_errno("random key of retained messages");
    TRY(broker_message_pool_new(&pool, &made->pool));
    TRY(broker_retained_new(limits, &key, &made->retained));
    TRY(journal_open(dir, journal, clock, NULL, &made->journal));
    TRY(restore(made));
    *keeper = TAKE(made);
    return RC_OK;
}

void broker_keeper_close(struct broker_keeper *keeper)
{
    if (keeper == NULL)
        return;
    if (keeper->pool != NULL)
        broker_message_pool_adopt(keeper->pool);
    if (keeper->journal != NULL)
        journal_close(keeper->journal);
    broker_retained_free(keeper->retained);
    broker_message_pool_free(keeper->pool);
    pthread_mutex_destroy(&keeper->lock);
    buf_clear(&keeper->form);
    free(keeper);
}

void broker_keeper_adopt(struct broker_keeper *keeper)
{
    broker_message_pool_adopt(keeper->pool);
}

enum rc broker_keeper_append(struct broker_keeper *keeper, const struct message *message)
{
    const struct message_delivery how = { .version = MQTT_5,
                                          .qos = broker_message_qos(message),
                                          .retain = true,
                                          .packet_id = 1,
                                          .now_ms = clock_monotonic_ms(keeper->clock) };
    struct bytes form;

    buf_reset(&keeper->form);
    broker_message_write(message, &how, &keeper->form);
    TRY(buf_done(&keeper->form, &form));
    TRY(journal_append(keeper->journal, ENTRY_RETAIN, form, NULL));
    keeper->entries++;
    return RC_OK;
}

enum rc broker_keeper_commit(struct broker_keeper *keeper)
{
    return journal_commit(keeper->journal);
}

/* A copy in the keeper's own memory: the original's worker may be short of its. */
static enum rc copy(struct broker_keeper *keeper, const struct message *message,
                    struct message **copied)
{
    const struct mqtt_publish publish = { .topic = broker_message_topic(message),
                                          .payload = broker_message_payload(message),
                                          .properties = broker_message_properties(message),
                                          .qos = broker_message_qos(message),
                                          .retain = true };

    return broker_message_new(keeper->pool, &publish, clock_monotonic_ms(keeper->clock),
                              copied);
}

enum rc broker_keeper_set(struct broker_keeper *keeper, const struct message *message)
{
    AUTO_OF(message) *copied = NULL;

    TRY(copy(keeper, message, &copied));
    pthread_mutex_lock(&keeper->lock);
    enum rc rc = broker_retained_set(keeper->retained, copied);
    size_t count = broker_retained_count(keeper->retained);
    pthread_mutex_unlock(&keeper->lock);
    broker_metric_set(BROKER_RETAINED, (int64_t)count);
    return rc;
}

struct rewriting {
    struct broker_keeper *keeper;
    enum rc rc;
};

static bool append_again(void *with, struct message *message)
{
    struct rewriting *rewriting = with;

    rewriting->rc = broker_keeper_append(rewriting->keeper, message);
    return rewriting->rc == RC_OK;
}

/* All that is retained once more at the end, and what lies before may go. The store's only
 * writer is this thread, so looking needs no lock. */
static enum rc rewrite(struct broker_keeper *keeper)
{
    struct rewriting rewriting = { keeper, RC_OK };
    const struct retained_finder finder = { append_again, &rewriting };
    uint64_t first = journal_head(keeper->journal).sequence + 1;

    keeper->entries = 0;
    broker_retained_each(keeper->retained, &finder);
    TRY(rewriting.rc);
    TRY(journal_commit(keeper->journal));
    return journal_trim(keeper->journal, first);
}

enum rc broker_keeper_tidy(struct broker_keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    broker_retained_expire(keeper->retained, clock_monotonic_ms(keeper->clock));
    size_t count = broker_retained_count(keeper->retained);
    pthread_mutex_unlock(&keeper->lock);
    broker_metric_set(BROKER_RETAINED, (int64_t)count);
    if (keeper->entries < TIDY_LEAST || keeper->entries / TIDY_FACTOR < count)
        return RC_OK;
    return rewrite(keeper);
}

bool broker_keeper_match(struct broker_keeper *keeper, struct bytes filter, int64_t now_ms,
                         size_t *steps, const struct retained_finder *finder)
{
    pthread_mutex_lock(&keeper->lock);
    bool all = broker_retained_match(keeper->retained, filter, now_ms, steps, finder);
    pthread_mutex_unlock(&keeper->lock);
    return all;
}

bool broker_keeper_walk(struct broker_keeper *keeper, struct bytes filter, int64_t now_ms,
                        size_t *steps, uint32_t *place, const struct retained_finder *finder)
{
    pthread_mutex_lock(&keeper->lock);
    bool all = broker_retained_walk(keeper->retained, filter, now_ms, steps, place, finder);
    pthread_mutex_unlock(&keeper->lock);
    return all;
}
