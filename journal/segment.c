#include "journal/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/file.h"

enum { VERSION = 1, NAME_MAX_BYTES = 64 };

#define MAGIC BYTES("TMJOURNL")

static void add_name(struct buf *name, uint64_t first)
{
    buf_addf(name, "%020" PRIu64 ".segment", first);
}

static enum rc make_header(struct journal_digest *digest, const struct journal_head *before,
                           struct buf *out, struct bytes *header)
{
    uint8_t salt[GROUP_SALT], hash[DIGEST_BYTES];

    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return fault_errno("random salt of a segment");
    buf_add(out, MAGIC);
    buf_add_u32(out, VERSION);
    buf_add_u64(out, before->sequence + 1);
    buf_add(out, BYTES_OF(before->hash));
    buf_add(out, BYTES_OF(salt));
    journal_digest_of(digest, (struct bytes){ 0 }, buf_bytes(out), hash);
    buf_add(out, BYTES_OF(hash));
    return buf_done(out, header);
}

enum rc journal_segment_create(int dir, struct journal_digest *digest,
                               const struct journal_head *before, struct segment *segment)
{
    AUTO_BUF(header, SEGMENT_HEADER);
    AUTO_BUF(name, NAME_MAX_BYTES);
    struct bytes bytes = { 0 };
    const char *text = NULL;

    add_name(&name, before->sequence + 1);
    TRY(buf_text(&name, &text));
    TRY(make_header(digest, before, &header, &bytes));
    /* Replacing is right: a file of this name can only be what a failed attempt left, empty. */
    TRY(file_write(dir, text, bytes, 0600));
    return journal_segment_open(dir, before->sequence + 1, O_RDWR, digest, segment);
}

static enum rc read_header(struct bytes bytes, struct journal_digest *digest,
                           struct segment *segment)
{
    uint8_t hash[DIGEST_BYTES];
    struct reader r = READER(bytes);
    struct bytes magic = reader_take(&r, MAGIC.len);
    uint32_t version = reader_u32(&r);
    uint64_t first = reader_u64(&r);

    reader_copy(&r, segment->before.hash, JOURNAL_HASH);
    reader_copy(&r, segment->source.salt, GROUP_SALT);
    struct bytes check = reader_take(&r, DIGEST_BYTES);
    journal_digest_of(digest, (struct bytes){ 0 },
                      (struct bytes){ bytes.at, bytes.len - DIGEST_BYTES }, hash);
    if (!reader_done(&r) || !bytes_equal(magic, MAGIC) || !bytes_equal(check, BYTES_OF(hash)))
        return fault(RC_CORRUPT, "not a segment header");
    if (version != VERSION || first == 0)
        return fault(RC_CORRUPT, "segment of version %" PRIu32 " from entry %" PRIu64, version,
                     first);
    segment->before.sequence = first - 1;
    return RC_OK;
}

enum rc journal_segment_adopt(int fd, struct journal_digest *digest, struct segment *segment)
{
    AUTO_SEGMENT opened = { .source.fd = fd };
    AUTO_BUF(header, SEGMENT_HEADER);
    struct stat status;

    if (fstat(fd, &status) != 0)
        return fault_errno("length of a segment");
    opened.source.bytes = (uint64_t)status.st_size;
    TRY(journal_group_source_read(&opened.source, 0, SEGMENT_HEADER, &header));
    TRY(read_header(buf_bytes(&header), digest, &opened));
    *segment = opened;
    opened.source.fd = -1;
    return RC_OK;
}

enum rc journal_segment_open(int dir, uint64_t first, int flags, struct journal_digest *digest,
                             struct segment *segment)
{
    AUTO_BUF(name, NAME_MAX_BYTES);
    AUTO_SEGMENT opened = SEGMENT_NONE;
    const char *text;

    add_name(&name, first);
    TRY(buf_text(&name, &text));
    int fd = openat(dir, text, flags | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? fault(RC_NOT_FOUND, "%s: no such segment", text)
                               : fault_errno("open %s", text);
    enum rc rc = journal_segment_adopt(fd, digest, &opened);
    if (rc != RC_OK)
        return fault_while(rc, "%s", text);
    if (opened.before.sequence != first - 1)
        return fault(RC_CORRUPT, "%s: starts with entry %" PRIu64, text,
                     opened.before.sequence + 1);
    *segment = opened;
    opened.source.fd = -1;
    return RC_OK;
}

void journal_segment_close(struct segment *segment)
{
    own_close(&segment->source.fd);
    segment->source.fd = -1;
}

enum rc journal_segment_remove(int dir, uint64_t first)
{
    AUTO_BUF(name, NAME_MAX_BYTES);
    const char *text;

    add_name(&name, first);
    TRY(buf_text(&name, &text));
    if (unlinkat(dir, text, 0) != 0 && errno != ENOENT)
        return fault_errno("remove %s", text);
    return file_sync_dir(dir);
}
