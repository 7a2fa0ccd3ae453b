#include "journal/tail.h"

/* The least that a disk writes or leaves unwritten. */
enum { SECTOR = 512 };

static bool all_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.at[i] != 0)
            return false;
    return true;
}

/* No written part is all zero by itself but inside long runs of zeros in a body: a group starts
 * and ends with other bytes. */
static bool has_unwritten_sector(struct bytes rest, uint64_t offset)
{
    struct reader r = READER(rest);
    size_t length = SECTOR - (size_t)(offset % SECTOR);

    while (r.left.len > 0) {
        if (all_zero(reader_take(&r, length < r.left.len ? length : r.left.len)))
            return true;
        length = SECTOR;
    }
    return false;
}

/* A later group was begun only after this one was synced. */
static bool has_later_group(const struct segment *segment, struct journal_digest *digest,
                            struct bytes rest, uint64_t sequence)
{
    struct group_header header;

    for (size_t i = 1; i + GROUP_HEADER <= rest.len; i++) {
        struct bytes here = { rest.at + i, GROUP_HEADER };
        if (journal_group_header_read(here, digest, segment->source.salt, &header) &&
            header.first > sequence)
            return true;
    }
    return false;
}

enum rc journal_tail_judge(const struct segment *segment, struct journal_digest *digest,
                           uint64_t offset, const struct journal_head *before, bool *torn)
{
    AUTO_BUF(rest, GROUP_MAX);
    size_t length = (size_t)(segment->source.bytes - offset);
    struct group_header header;

    if (segment->source.bytes - offset > GROUP_MAX) {
        *torn = false;
        return RC_OK;
    }
    TRY(journal_group_source_read(&segment->source, offset, length, &rest));
    if (has_later_group(segment, digest, buf_bytes(&rest), before->sequence + 1)) {
        *torn = false;
        return RC_OK;
    }
    bool cut =
        journal_group_header_read(buf_bytes(&rest), digest, segment->source.salt, &header)
            ? journal_group_end(offset, &header) > segment->source.bytes
            : length < GROUP_HEADER;
    *torn = cut || has_unwritten_sector(buf_bytes(&rest), offset);
    return RC_OK;
}
