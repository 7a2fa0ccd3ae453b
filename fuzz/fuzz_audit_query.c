/*
 * Target: audit_query_read, audit_page_read, audit_page_next, audit_batch_read,
 * audit_batch_next, audit_action_set_read, audit_network_read, audit_network_of_peer,
 * audit_topic_meets
 *
 * What crosses a link in audit's own form, and the forms of text in a query: the first octet
 * says which.
 */
#include <stdlib.h>
#include <string.h>

#include "audit/query.h"
#include "audit/spool.h"
#include "audit/topic.h"
#include "policy/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void read_query(struct bytes bytes)
{
    struct audit_query query;
    AUTO_BUF(again, AUDIT_QUERY_MAX);

    if (audit_query_read(bytes, &query) != RC_OK)
        return;
    audit_query_write(&query, &again);
    if (!bytes_equal(bytes, buf_bytes(&again)))
        abort();
}

static void read_page(struct bytes bytes)
{
    struct audit_page page;
    struct audit_hit hit;

    if (audit_page_read(bytes, &page) != RC_OK)
        return;
    while (audit_page_next(&page, &hit) == RC_OK)
        if (hit.entry.len > AUDIT_ENTRY_MAX)
            abort();
    audit_page_clear(&page);
}

static void read_batch(struct bytes bytes)
{
    struct audit_batch batch;
    struct bytes record;
    uint64_t sequence = 0, last = 0;

    if (audit_batch_read(bytes, &batch) != RC_OK)
        return;
    last = batch.sequence - 1;
    while (audit_batch_next(&batch, &sequence, &record) == RC_OK) {
        if (sequence != last + 1 || record.len > AUDIT_RECORD_MAX)
            abort();
        last = sequence;
    }
}

/* What was read is read the same again from what is written of it. */
static void read_actions(struct bytes bytes)
{
    struct audit_action_set set = { 0 }, back = { 0 };
    AUTO_BUF(text, AUDIT_QUERY_MAX);

    if (audit_action_set_read(bytes, &set) != RC_OK)
        return;
    audit_action_set_write(&set, &text);
    if (audit_action_set_read(buf_bytes(&text), &back) != RC_OK ||
        !bytes_equal(BYTES_OF(set.bits), BYTES_OF(back.bits)))
        abort();
}

static bool is_same(const struct audit_network *one, const struct audit_network *other)
{
    return one->len == other->len && one->bits == other->bits && one->port == other->port &&
           bytes_equal(BYTES_OF(one->address), BYTES_OF(other->address));
}

static void read_network(struct bytes bytes)
{
    struct audit_network network = { 0 }, back = { 0 };
    const struct audit_network peer = audit_network_of_peer(bytes);
    AUTO_BUF(text, 64);

    if (audit_network_check(&peer) != RC_OK)
        abort();
    if (audit_network_read(bytes, &network) != RC_OK)
        return;
    audit_network_add(&text, &network);
    if (audit_network_check(&network) != RC_OK ||
        audit_network_read(buf_bytes(&text), &back) != RC_OK || !is_same(&network, &back))
        abort();
    if (peer.len > 0 && network.bits == 8 * network.len && !audit_network_has(&network, &peer))
        abort();
}

/* Filter, zero, name or filter. */
static void meet_topics(struct bytes bytes)
{
    const uint8_t *zero = bytes.len == 0 ? NULL : memchr(bytes.at, 0, bytes.len);
    size_t len = zero == NULL ? bytes.len : (size_t)(zero - bytes.at);
    const struct bytes filter = { bytes.at, len };
    const struct bytes other = { bytes.at + len + (zero != NULL),
                                 bytes.len - len - (zero != NULL) };

    bool meets = audit_topic_meets(filter, other);
    if (meets != audit_topic_meets(other, filter))
        abort();
    if (policy_topic_check_filter(filter) == RC_OK && policy_topic_check_name(other) == RC_OK &&
        meets != policy_topic_match(filter, other))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static void (*const READERS[])(struct bytes) = { read_query,   read_page,    read_batch,
                                                     read_actions, read_network, meet_topics };

    if (len > 0)
        READERS[at[0] % (sizeof READERS / sizeof *READERS)]((struct bytes){ at + 1, len - 1 });
    return 0;
}
