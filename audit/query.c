#include "audit/query.h"

#include "audit/topic.h"
#include "policy/topic.h"

enum { ACTION_WORDS = sizeof((struct audit_action_set *)0)->bits / sizeof(uint64_t) };

static enum rc check_length(const char *what, struct bytes value, size_t least, size_t most)
{
    if (value.len != 0 && (value.len < least || value.len > most))
        return fault(RC_MALFORMED, "audit query: %s of %zu octets, %zu to %zu are allowed",
                     what, value.len, least, most);
    return RC_OK;
}

static enum rc check_bits(const char *what, uint8_t bits, const char *(*name)(unsigned number))
{
    for (unsigned i = 0; i < 8; i++)
        if ((bits & 1u << i) != 0 && name(i) == NULL)
            return fault(RC_MALFORMED, "audit query: no %s has number %u", what, i);
    return RC_OK;
}

static const char *decision_name(unsigned number)
{
    return audit_decision_name((enum audit_decision)number);
}

static const char *source_name(unsigned number)
{
    return audit_source_name((enum audit_source)number);
}

static const char *kind_name(unsigned number)
{
    return audit_actor_kind_name((enum audit_actor_kind)number);
}

static enum rc check_actions(const struct audit_action_set *set)
{
    for (unsigned i = 0; i <= AUDIT_ACTION_MOST; i++)
        if (audit_action_set_has(set, i) && audit_action_get(i) == NULL)
            return fault(RC_MALFORMED, "audit query: no action has number %u", i);
    return RC_OK;
}

static bool is_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != 0)
            return false;
    return bytes.len > 0;
}

static enum rc check_texts(const struct audit_query *query)
{
    TRY(check_length("device", query->device, 1, AUDIT_ID_MAX));
    TRY(check_length("actor", query->actor, 1, AUDIT_ID_MAX));
    TRY(check_length("certificate", query->certificate, AUDIT_HASH, AUDIT_HASH));
    TRY(check_length("serial", query->serial, 1, AUDIT_SERIAL_MAX));
    TRY(check_length("issuer", query->issuer, AUDIT_HASH, AUDIT_HASH));
    TRY(check_length("key", query->key, AUDIT_HASH, AUDIT_HASH));
    TRY(check_length("correlation", query->correlation, AUDIT_CORRELATION, AUDIT_CORRELATION));
    TRY(check_length("target", query->target, 1, AUDIT_TARGET_MAX));
    TRY(check_length("topic", query->topic, 1, AUDIT_TARGET_MAX));
    if (is_zero(query->correlation))
        return fault(RC_MALFORMED, "audit query: a correlation id of zeros is none");
    if (query->topic.len > 0 && policy_topic_check_filter(query->topic) != RC_OK)
        return fault_while(RC_MALFORMED, "audit query: topic");
    if (audit_network_check(&query->peer) != RC_OK)
        return fault_while(RC_MALFORMED, "audit query: peer");
    return RC_OK;
}

enum rc audit_query_check(const struct audit_query *query)
{
    TRY(check_texts(query));
    TRY(check_actions(&query->actions));
    TRY(check_bits("decision", query->decisions, decision_name));
    TRY(check_bits("source", query->sources, source_name));
    TRY(check_bits("kind of actor", query->kinds, kind_name));
    if (query->since_ms < 0 || query->until_ms < 0)
        return fault(RC_MALFORMED, "audit query: a time before 1970");
    if (query->until_ms != 0 && query->until_ms < query->since_ms)
        return fault(RC_MALFORMED, "audit query: until lies before since");
    if (query->most == 0 || query->most > AUDIT_QUERY_MOST)
        return fault(RC_MALFORMED, "audit query: at most %u, 1 to %d are allowed", query->most,
                     AUDIT_QUERY_MOST);
    return RC_OK;
}

/* ---- Does a record match? ---- */

static bool wants(struct bytes given, struct bytes value)
{
    return given.len == 0 || bytes_equal(given, value);
}

static bool wants_bit(uint8_t bits, unsigned value)
{
    return bits == 0 || (bits & 1u << value) != 0;
}

static bool wants_device(struct bytes given, const struct audit_record *record)
{
    return wants(given, record->device) ||
           (record->actor_kind == AUDIT_DEVICE && bytes_equal(given, record->actor));
}

static bool wants_certificate(const struct audit_query *query,
                              const struct audit_certificate *certificate)
{
    return wants(query->certificate, certificate->fingerprint) &&
           wants(query->serial, certificate->serial) &&
           wants(query->issuer, certificate->issuer) && wants(query->key, certificate->key);
}

static bool wants_rule(const struct audit_query *query, const struct audit_record *record)
{
    if (query->policy_version != 0 && query->policy_version != record->policy_version)
        return false;
    if (query->rule == AUDIT_RULE_NONE)
        return record->policy_version > 0 && record->rule == 0;
    return query->rule == 0 || query->rule == record->rule;
}

static bool wants_place(const struct audit_query *query, const struct audit_record *record)
{
    if (!wants(query->target, record->target))
        return false;
    if (query->topic.len > 0 && !audit_topic_meets_record(query->topic, record))
        return false;
    if (query->peer.len == 0)
        return true;
    const struct audit_network peer = audit_network_of_peer(record->peer);
    return audit_network_has(&query->peer, &peer);
}

bool audit_query_wants(const struct audit_query *query, const struct audit_record *record)
{
    return (audit_action_set_is_empty(&query->actions) ||
            audit_action_set_has(&query->actions, record->action)) &&
           wants_bit(query->decisions, record->decision) &&
           wants_bit(query->sources, record->source) &&
           wants_bit(query->kinds, record->actor_kind) && wants_device(query->device, record) &&
           wants(query->actor, record->actor) &&
           (wants_certificate(query, &record->actor_certificate) ||
            wants_certificate(query, &record->certificate)) &&
           wants(query->correlation, BYTES_OF(record->correlation)) &&
           wants_rule(query, record) && record->wall_ms >= query->since_ms &&
           (query->until_ms == 0 || record->wall_ms <= query->until_ms) &&
           wants_place(query, record);
}

/* ---- Bytes ---- */

static void write_network(const struct audit_network *network, struct buf *buf)
{
    buf_add_u8(buf, network->len);
    buf_add_u8(buf, network->bits);
    buf_add_u16(buf, network->port);
    buf_add(buf, BYTES_OF(network->address));
}

void audit_query_write(const struct audit_query *query, struct buf *buf)
{
    buf_add_sized16(buf, query->device);
    buf_add_sized16(buf, query->actor);
    buf_add_sized16(buf, query->certificate);
    buf_add_sized16(buf, query->serial);
    buf_add_sized16(buf, query->issuer);
    buf_add_sized16(buf, query->key);
    buf_add_sized16(buf, query->correlation);
    buf_add_sized16(buf, query->target);
    buf_add_sized16(buf, query->topic);
    write_network(&query->peer, buf);
    for (size_t i = 0; i < ACTION_WORDS; i++)
        buf_add_u64(buf, query->actions.bits[i]);
    buf_add_u8(buf, query->kinds);
    buf_add_u8(buf, query->decisions);
    buf_add_u8(buf, query->sources);
    buf_add_u64(buf, query->policy_version);
    buf_add_u32(buf, query->rule);
    buf_add_u64(buf, (uint64_t)query->since_ms);
    buf_add_u64(buf, (uint64_t)query->until_ms);
    buf_add_u64(buf, query->before);
    buf_add_u32(buf, query->most);
}

static void read_texts(struct reader *r, struct audit_query *query)
{
    query->device = reader_sized16(r, AUDIT_ID_MAX);
    query->actor = reader_sized16(r, AUDIT_ID_MAX);
    query->certificate = reader_sized16(r, AUDIT_HASH);
    query->serial = reader_sized16(r, AUDIT_SERIAL_MAX);
    query->issuer = reader_sized16(r, AUDIT_HASH);
    query->key = reader_sized16(r, AUDIT_HASH);
    query->correlation = reader_sized16(r, AUDIT_CORRELATION);
    query->target = reader_sized16(r, AUDIT_TARGET_MAX);
    query->topic = reader_sized16(r, AUDIT_TARGET_MAX);
    query->peer.len = reader_u8(r);
    query->peer.bits = reader_u8(r);
    query->peer.port = reader_u16(r);
    reader_copy(r, query->peer.address, sizeof query->peer.address);
}

enum rc audit_query_read(struct bytes bytes, struct audit_query *query)
{
    struct reader r = READER(bytes);
    struct audit_query made = { 0 };

    read_texts(&r, &made);
    for (size_t i = 0; i < ACTION_WORDS; i++)
        made.actions.bits[i] = reader_u64(&r);
    made.kinds = reader_u8(&r);
    made.decisions = reader_u8(&r);
    made.sources = reader_u8(&r);
    made.policy_version = reader_u64(&r);
    made.rule = reader_u32(&r);
    made.since_ms = (int64_t)reader_u64(&r);
    made.until_ms = (int64_t)reader_u64(&r);
    made.before = reader_u64(&r);
    made.most = reader_u32(&r);
    if (!reader_done(&r))
        return fault(RC_MALFORMED, "audit query: cut short, or octets after its end");
    TRY(audit_query_check(&made));
    *query = made;
    return RC_OK;
}

void audit_page_write_head(struct buf *page, uint64_t next, bool more)
{
    buf_add_u64(page, next);
    buf_add_u8(page, more);
}

void audit_page_write_hit(struct buf *page, const struct audit_hit *hit)
{
    buf_add_u64(page, hit->index);
    buf_add(page, BYTES_OF(hit->leaf.at));
    buf_add_sized16(page, hit->entry);
}

enum rc audit_page_read(struct bytes bytes, struct audit_page *page)
{
    struct reader r = READER(bytes);
    uint64_t next = reader_u64(&r);
    uint8_t more = reader_u8(&r);

    if (r.broken || more > 1)
        return fault(RC_MALFORMED, "audit page: its head is cut short or no head");
    *page = (struct audit_page){
        .next = next, .more = more == 1, .left = r, .room = BUF_MAX(AUDIT_RECORD_MAX)
    };
    return RC_OK;
}

enum rc audit_page_next(struct audit_page *page, struct audit_hit *hit)
{
    struct audit_hit made = { .record = &page->record };
    struct audit_entry entry;

    if (reader_done(&page->left))
        return RC_NOT_FOUND;
    made.index = reader_u64(&page->left);
    reader_copy(&page->left, made.leaf.at, sizeof made.leaf.at);
    made.entry = reader_sized16(&page->left, AUDIT_ENTRY_MAX);
    if (page->left.broken)
        return fault(RC_MALFORMED, "audit page: a record is cut short");
    TRY(audit_leaf_read(made.entry, &entry));
    TRY(audit_leaf_record(&entry, &page->room, &page->record));
    *hit = made;
    return RC_OK;
}

void audit_page_clear(struct audit_page *page)
{
    buf_clear(&page->room);
}
