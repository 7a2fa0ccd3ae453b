#include "audit/query.h"

static enum rc check_length(const char *what, struct bytes value, size_t least, size_t most)
{
    if (value.len != 0 && (value.len < least || value.len > most))
        return fault(RC_MALFORMED, "audit query: %s of %zu octets, %zu to %zu are allowed",
                     what, value.len, least, most);
    return RC_OK;
}

enum rc audit_query_check(const struct audit_query *query)
{
    TRY(check_length("device", query->device, 1, AUDIT_ID_MAX));
    TRY(check_length("actor", query->actor, 1, AUDIT_ID_MAX));
    TRY(check_length("certificate", query->certificate, AUDIT_HASH, AUDIT_HASH));
    TRY(check_length("correlation", query->correlation, AUDIT_CORRELATION, AUDIT_CORRELATION));
    TRY(check_length("target", query->target, 1, AUDIT_TARGET_MAX));
    TRY(check_length("peer", query->peer, 1, AUDIT_PEER_MAX));
    if (query->action != 0 && audit_action_get(query->action) == NULL)
        return fault(RC_MALFORMED, "audit query: no action has number %u", query->action);
    if (query->decision != 0 && audit_decision_name(query->decision) == NULL)
        return fault(RC_MALFORMED, "audit query: no decision has number %u", query->decision);
    if (query->since_ms < 0 || query->until_ms < 0)
        return fault(RC_MALFORMED, "audit query: a time before 1970");
    if (query->most == 0 || query->most > AUDIT_QUERY_MOST)
        return fault(RC_MALFORMED, "audit query: at most %u, 1 to %d are allowed", query->most,
                     AUDIT_QUERY_MOST);
    return RC_OK;
}

static bool wants(struct bytes given, struct bytes value)
{
    return given.len == 0 || bytes_equal(given, value);
}

static bool wants_device(struct bytes given, const struct audit_record *record)
{
    return wants(given, record->device) ||
           (record->actor_kind == AUDIT_DEVICE && bytes_equal(given, record->actor));
}

bool audit_query_wants(const struct audit_query *query, const struct audit_record *record)
{
    return wants_device(query->device, record) && wants(query->actor, record->actor) &&
           (wants(query->certificate, record->actor_certificate.fingerprint) ||
            wants(query->certificate, record->certificate.fingerprint)) &&
           wants(query->correlation, BYTES_OF(record->correlation)) &&
           wants(query->target, record->target) &&
           bytes_start_with(record->peer, query->peer) &&
           (query->action == 0 || query->action == record->action) &&
           (query->decision == 0 || query->decision == record->decision) &&
           (query->rule == 0 || query->rule == record->rule) &&
           record->wall_ms >= query->since_ms &&
           (query->until_ms == 0 || record->wall_ms <= query->until_ms);
}

void audit_query_write(const struct audit_query *query, struct buf *buf)
{
    buf_add_sized16(buf, query->device);
    buf_add_sized16(buf, query->actor);
    buf_add_sized16(buf, query->certificate);
    buf_add_sized16(buf, query->correlation);
    buf_add_sized16(buf, query->target);
    buf_add_sized16(buf, query->peer);
    buf_add_u16(buf, query->action);
    buf_add_u8(buf, query->decision);
    buf_add_u32(buf, query->rule);
    buf_add_u64(buf, (uint64_t)query->since_ms);
    buf_add_u64(buf, (uint64_t)query->until_ms);
    buf_add_u64(buf, query->before);
    buf_add_u32(buf, query->most);
}

enum rc audit_query_read(struct bytes bytes, struct audit_query *query)
{
    struct reader r = READER(bytes);
    struct audit_query made = { 0 };

    made.device = reader_sized16(&r, AUDIT_ID_MAX);
    made.actor = reader_sized16(&r, AUDIT_ID_MAX);
    made.certificate = reader_sized16(&r, AUDIT_HASH);
    made.correlation = reader_sized16(&r, AUDIT_CORRELATION);
    made.target = reader_sized16(&r, AUDIT_TARGET_MAX);
    made.peer = reader_sized16(&r, AUDIT_PEER_MAX);
    made.action = reader_u16(&r);
    made.decision = reader_u8(&r);
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
