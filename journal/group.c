#include "journal/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { CHECK = 16 };

#define HEADER_MAGIC  BYTES("TMgr")
#define TRAILER_MAGIC BYTES("TMge")

static struct bytes part(const struct group *group, size_t from, size_t to)
{
    return (struct bytes){ group->bytes.at + from, to - from };
}

static uint64_t count_of(const struct group *group)
{
    return group->head.sequence - group->before.sequence;
}

void journal_group_clear(struct group *group)
{
    buf_clear(&group->bytes);
    buf_clear(&group->hashes);
    buf_clear(&group->header);
}

void journal_group_restart(struct group *group, const struct journal_head *before)
{
    buf_reset(&group->bytes);
    buf_reset(&group->hashes);
    group->before = *before;
    group->head = *before;
}

size_t journal_group_bytes_with(const struct group *group, size_t body)
{
    size_t so_far = group->bytes.len > 0 ? group->bytes.len : GROUP_HEADER;

    return so_far + ENTRY_HEADER + body + GROUP_TRAILER;
}

static void chain(struct journal_digest *digest, struct bytes entry, struct journal_head *head)
{
    journal_digest_of(digest, BYTES_OF(head->hash), entry, head->hash);
    head->sequence++;
}

/* Once an entry is appended, committing it shall not fail for memory. */
static bool reserve_seal(struct group *group)
{
    buf_extend(&group->bytes, GROUP_TRAILER);
    buf_reset(&group->header);
    return buf_extend(&group->header, GROUP_HEADER) != NULL && !group->bytes.broken;
}

enum rc journal_group_add(struct group *group, struct journal_digest *digest, int64_t wall_ms,
                          uint16_t kind, struct bytes body)
{
    struct buf *bytes = &group->bytes;
    size_t before = bytes->len;

    if (journal_group_bytes_with(group, body.len) > GROUP_MAX)
        return fault(RC_LIMIT, "a journal group holds at most %d bytes", GROUP_ENTRIES_MAX);
    if (before == 0)
        buf_extend(bytes, GROUP_HEADER);
    size_t start = bytes->len;
    buf_add_u32(bytes, (uint32_t)body.len);
    buf_add_u16(bytes, kind);
    buf_add_u64(bytes, group->head.sequence + 1);
    buf_add_u64(bytes, (uint64_t)wall_ms);
    buf_add(bytes, body);
    size_t end = bytes->len;
    if (!reserve_seal(group)) {
        /* Memory ran out, since the ceiling was checked: all before this is still whole. */
        bytes->broken = false;
        buf_cut(bytes, before);
        return fault(RC_NOMEM, "journal entry of %zu bytes", body.len);
    }
    buf_cut(bytes, end);
    chain(digest, part(group, start, end), &group->head);
    return RC_OK;
}

static void header_check(struct journal_digest *digest, const uint8_t salt[GROUP_SALT],
                         const uint8_t *header, uint8_t hash[DIGEST_BYTES])
{
    journal_digest_of(digest, (struct bytes){ salt, GROUP_SALT },
                      (struct bytes){ header, GROUP_HEADER - CHECK }, hash);
}

enum rc journal_group_seal(struct group *group, struct journal_digest *digest,
                           const uint8_t salt[GROUP_SALT], struct bytes *bytes)
{
    struct buf *header = &group->header;
    uint8_t hash[DIGEST_BYTES];
    struct bytes made;

    buf_reset(header);
    buf_add(header, HEADER_MAGIC);
    buf_add_u32(header, (uint32_t)count_of(group));
    buf_add_u32(header, (uint32_t)(group->bytes.len - GROUP_HEADER));
    buf_add_u64(header, group->before.sequence + 1);
    header_check(digest, salt, header->at, hash);
    buf_add(header, (struct bytes){ hash, CHECK });
    TRY(buf_done(header, &made));
    memcpy(group->bytes.at, made.at, GROUP_HEADER);
    buf_add(&group->bytes, BYTES_OF(group->head.hash));
    buf_add(&group->bytes, TRAILER_MAGIC);
    return buf_done(&group->bytes, bytes);
}

bool journal_group_header_read(struct bytes bytes, struct journal_digest *digest,
                               const uint8_t salt[GROUP_SALT], struct group_header *header)
{
    struct reader r = READER(bytes);
    uint8_t hash[DIGEST_BYTES];

    struct bytes magic = reader_take(&r, HEADER_MAGIC.len);
    struct group_header read = {
        .count = reader_u32(&r),
        .entries_bytes = reader_u32(&r),
        .first = reader_u64(&r),
    };
    struct bytes check = reader_take(&r, CHECK);
    if (r.broken || !bytes_equal(magic, HEADER_MAGIC))
        return false;
    header_check(digest, salt, bytes.at, hash);
    if (!bytes_equal(check, (struct bytes){ hash, CHECK }))
        return false;
    *header = read;
    return true;
}

uint64_t journal_group_end(uint64_t offset, const struct group_header *header)
{
    return offset + GROUP_HEADER + header->entries_bytes + GROUP_TRAILER;
}

enum rc journal_group_source_read(const struct group_source *source, uint64_t offset,
                                  size_t length, struct buf *bytes)
{
    if (offset > source->bytes || length > source->bytes - offset)
        return fault(RC_CORRUPT, "offset %" PRIu64 ": file ends %zu bytes too early", offset,
                     (size_t)(offset + length - source->bytes));
    uint8_t *at = buf_extend(bytes, length);
    if (at == NULL)
        return fault(RC_NOMEM, "read %zu bytes of a segment", length);
    for (size_t done = 0; done < length;) {
        ssize_t n = pread(source->fd, at + done, length - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fault_errno("offset %" PRIu64 ": read", offset);
        if (n == 0)
            return fault(RC_CORRUPT, "offset %" PRIu64 ": file was cut while read", offset);
        done += (size_t)n;
    }
    return RC_OK;
}

static enum rc load_bytes(struct group *group, const struct group_source *source,
                          struct journal_digest *digest, uint64_t offset,
                          struct group_header *header)
{
    TRY(journal_group_source_read(source, offset, GROUP_HEADER, &group->bytes));
    if (!journal_group_header_read(buf_bytes(&group->bytes), digest, source->salt, header))
        return fault(RC_CORRUPT, "offset %" PRIu64 ": not a group header", offset);
    if (header->count == 0 || header->entries_bytes > GROUP_ENTRIES_MAX ||
        header->first != group->before.sequence + 1)
        return fault(RC_CORRUPT,
                     "offset %" PRIu64 ": group of %" PRIu32 " entries from %" PRIu64
                     " in %" PRIu32 " bytes does not continue %" PRIu64,
                     offset, header->count, header->first, header->entries_bytes,
                     group->before.sequence);
    return journal_group_source_read(source, offset + GROUP_HEADER,
                                     (size_t)header->entries_bytes + GROUP_TRAILER,
                                     &group->bytes);
}

/* One entry's fields; its hash stays as it was. */
static bool read_entry(struct reader *r, struct journal_entry *entry)
{
    size_t length = reader_u32(r);

    entry->kind = reader_u16(r);
    entry->sequence = reader_u64(r);
    entry->wall_ms = (int64_t)reader_u64(r);
    r->broken = r->broken || length > JOURNAL_BODY_MAX;
    entry->body = reader_take(r, length);
    return !r->broken;
}

static enum rc check_entries(struct group *group, struct journal_digest *digest,
                             uint64_t offset, uint32_t count)
{
    struct reader entries = journal_group_entries(group);

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *start = entries.left.at;
        struct journal_entry entry = { 0 };
        if (!read_entry(&entries, &entry) || entry.sequence != group->head.sequence + 1)
            return fault(RC_CORRUPT, "offset %" PRIu64 ": entry %" PRIu64 " is broken", offset,
                         group->head.sequence + 1);
        chain(digest, (struct bytes){ start, (size_t)(entries.left.at - start) }, &group->head);
        buf_add(&group->hashes, BYTES_OF(group->head.hash));
    }
    struct reader trailer =
        READER(part(group, group->bytes.len - GROUP_TRAILER, group->bytes.len));
    if (!reader_done(&entries) ||
        !bytes_equal(reader_take(&trailer, JOURNAL_HASH), BYTES_OF(group->head.hash)) ||
        !bytes_equal(trailer.left, TRAILER_MAGIC))
        return fault(RC_CORRUPT,
                     "offset %" PRIu64 ": entries %" PRIu64 " to %" PRIu64
                     " do not have the hash of their group",
                     offset, group->before.sequence + 1, group->head.sequence);
    if (group->hashes.broken)
        return fault(RC_NOMEM, "hashes of %" PRIu32 " entries", count);
    return RC_OK;
}

enum rc journal_group_load(struct group *group, const struct group_source *source,
                           struct journal_digest *digest, uint64_t offset,
                           const struct journal_head *before)
{
    struct group_header header = { 0 };

    journal_group_restart(group, before);
    enum rc rc = load_bytes(group, source, digest, offset, &header);
    if (rc == RC_OK)
        rc = check_entries(group, digest, offset, header.count);
    if (rc != RC_OK)
        journal_group_restart(group, before);
    return rc;
}

enum rc journal_group_skip(const struct group_source *source, uint64_t offset,
                           const struct group_header *header, struct journal_head *head)
{
    AUTO_BUF(trailer, GROUP_TRAILER);

    TRY(journal_group_source_read(source, journal_group_end(offset, header) - GROUP_TRAILER,
                                  GROUP_TRAILER, &trailer));
    head->sequence = header->first + header->count - 1;
    memcpy(head->hash, trailer.at, JOURNAL_HASH);
    return RC_OK;
}

struct reader journal_group_entries(const struct group *group)
{
    if (group->bytes.len == 0)
        return READER(((struct bytes){ 0 }));
    return READER(part(group, GROUP_HEADER, group->bytes.len - GROUP_TRAILER));
}

bool journal_group_next(const struct group *group, struct reader *entries,
                        struct journal_entry *entry)
{
    struct journal_entry read = { 0 };

    if (entries->left.len == 0 || !read_entry(entries, &read))
        return false;
    memcpy(read.hash,
           group->hashes.at + (read.sequence - group->before.sequence - 1) * JOURNAL_HASH,
           JOURNAL_HASH);
    *entry = read;
    return true;
}
