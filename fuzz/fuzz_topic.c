/* Target: broker_mqtt_topic_check_filter */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriptions.h"

/* Lines are filters; the last one is a topic name. The index must find what matching finds. */
struct tally {
    struct subscriber *all;
    bool found[16];
};

static void note(void *with, struct subscriber *subscriber,
                 const struct subscription *subscription)
{
    struct tally *tally = with;

    (void)subscription;
    tally->found[subscriber - tally->all] = true;
}

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->at, '\n', rest->len);
    struct bytes line = { rest->at, end == NULL ? rest->len : (size_t)(end - rest->at) };
    size_t taken = line.len + (end != NULL);

    *rest = (struct bytes){ rest->at + taken, rest->len - taken };
    return line;
}

static void compare(struct subscriptions *index, struct subscriber *all, struct bytes name,
                    const struct bytes *filters, size_t count)
{
    struct tally tally = { .all = all };

    broker_subscriptions_match(index, name, &(struct subscriptions_finder){ note, &tally });
    for (size_t i = 0; i < count; i++)
        if (broker_mqtt_topic_matches(filters[i], name) != tally.found[i])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct subscriptions_limits limits = { 16, 1, { 10000, 1 << 24 } };
    AUTO_OF(subscriptions) *index = NULL;
    struct subscriber all[16] = { 0 };
    struct bytes filters[16], rest = { at, len }, name = { 0 };
    size_t count = 0;
    bool replaced;

    if (len == 0)
        return 0;
    if (broker_subscriptions_new(&limits, &(struct topic_hash_key){ 1, 2 }, &index) != RC_OK)
        abort();
    while (rest.len > 0) {
        struct bytes line = next_line(&rest);
        bool valid = broker_mqtt_topic_check_filter(line) == RC_OK;
        if (broker_mqtt_topic_check_name(line) == RC_OK) {
            name = line;
            if (!valid && !broker_mqtt_topic_is_shared(line))
                abort();
        }
        if (!valid || count == 16)
            continue;
        filters[count] = line;
        if (broker_subscriptions_add(index, &all[count], line, &(struct subscription){ 0 },
                                     &replaced) == RC_OK)
            count++;
    }
    if (name.len > 0)
        compare(index, all, name, filters, count);
    for (size_t i = 0; i < count; i++)
        if (!broker_subscriptions_remove(index, &all[i], filters[i]))
            abort();
    if (broker_subscriptions_count(index) != 0)
        abort();
    return 0;
}
