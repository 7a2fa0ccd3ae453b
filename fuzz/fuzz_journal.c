/* Target: journal_verify_segment, journal_group_load, journal_segment_adopt, journal_tail_* */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "journal/verify.h"

/*
 * The first byte chooses: the rest is a whole file, or the entries of one group in a file that
 * is right around them, so that hashes of headers do not keep the fuzzer out. In the latter the
 * second byte is the count.
 */
enum { WHOLE, ENTRIES, KINDS };

/* Nothing here may differ from run to run, not even where a salt is random by right. */
static const uint8_t salt[GROUP_SALT] = "salt of fuzzing";

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void add_hash(struct buf *out, struct journal_digest *digest, struct bytes over,
                     size_t size)
{
    uint8_t hash[DIGEST_BYTES];

    journal_digest_of(digest, over, (struct bytes){ 0 }, hash);
    buf_add(out, (struct bytes){ hash, size });
}

static void wrap_entries(struct buf *file, struct journal_digest *digest, struct bytes input)
{
    AUTO_BUF(checked, 64);
    struct reader r = READER(input);
    const uint8_t zeros[JOURNAL_HASH] = { 0 };
    uint8_t count = reader_u8(&r);

    buf_add(file, BYTES("TMJOURNL"));
    buf_add_u32(file, 1);
    buf_add_u64(file, 1);
    buf_add(file, BYTES_OF(zeros));
    buf_add(file, BYTES_OF(salt));
    add_hash(file, digest, buf_bytes(file), DIGEST_BYTES);
    buf_add(&checked, BYTES_OF(salt));
    buf_add(&checked, BYTES("TMgr"));
    buf_add_u32(&checked, count);
    buf_add_u32(&checked, (uint32_t)r.left.len);
    buf_add_u64(&checked, 1);
    buf_add(file, (struct bytes){ checked.at + sizeof salt, checked.len - sizeof salt });
    add_hash(file, digest, buf_bytes(&checked), 16);
    buf_add(file, r.left);
    /* Right for one entry that is all of it. */
    AUTO_BUF(chained, 1 << 21);
    buf_add(&chained, BYTES_OF(zeros));
    buf_add(&chained, r.left);
    add_hash(file, digest, buf_bytes(&chained), DIGEST_BYTES);
    buf_add(file, BYTES("TMge"));
}

static enum rc count_entry(void *with, const struct journal_entry *entry)
{
    uint64_t *next = with;

    must(entry->sequence == *next && entry->body.len <= JOURNAL_BODY_MAX);
    (*next)++;
    return RC_OK;
}

/* What is left after cutting a torn tail off is whole, and ends in the same head. */
static void check_cut(struct segment *segment, struct journal_digest *digest, uint64_t end,
                      const struct journal_head *want)
{
    struct journal_head head = segment->before;
    const struct visitor nobody = { 0 };
    uint64_t again = 0;

    must(end >= SEGMENT_HEADER && end <= segment->source.bytes);
    segment->source.bytes = end;
    must(journal_verify_segment(segment, digest, false, &nobody, &head, &again) == RC_OK);
    must(again == end && head.sequence == want->sequence);
    must(bytes_equal(BYTES_OF(head.hash), BYTES_OF(want->hash)));
}

static void read_segment(int fd, struct journal_digest *digest)
{
    AUTO_SEGMENT segment = SEGMENT_NONE;
    uint64_t end = 0, next;

    if (journal_segment_adopt(fd, digest, &segment) != RC_OK)
        return;
    next = segment.before.sequence + 1;
    struct journal_head head = segment.before;
    const struct visitor visitor = { count_entry, &next };
    if (journal_verify_segment(&segment, digest, true, &visitor, &head, &end) != RC_OK)
        return;
    must(next == head.sequence + 1);
    check_cut(&segment, digest, end, &head);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    AUTO_OF(journal_digest) *digest = NULL;
    AUTO_BUF(file, 1 << 21);
    struct bytes rest = { at + 1, len - 1 };

    if (len < 1 || len > 1 << 20)
        return 0;
    must(journal_digest_new(&digest) == RC_OK);
    if (at[0] % KINDS == WHOLE)
        buf_add(&file, rest);
    else
        wrap_entries(&file, digest, rest);
    int fd = memfd_create("segment", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, file.at, file.len) == (ssize_t)file.len);
    read_segment(fd, digest);
    return 0;
}
