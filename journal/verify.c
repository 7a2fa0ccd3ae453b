#include "journal/verify.h"

#include <fcntl.h>
#include <inttypes.h>

#include "journal/tail.h"

static enum rc tell_entries(const struct group *group, const struct visitor *visitor)
{
    struct reader entries = journal_group_entries(group);
    struct journal_entry entry;

    while (visitor->each != NULL && journal_group_next(group, &entries, &entry))
        TRY(visitor->each(visitor->with, &entry));
    return RC_OK;
}

/* Leaves the reason why the group did not load in place for RC_CORRUPT. */
static enum rc judge_tail(const struct segment *segment, struct journal_digest *digest,
                          uint64_t offset, const struct journal_head *head)
{
    bool torn = false;

    TRY(journal_tail_judge(segment, digest, offset, head, &torn));
    return torn ? RC_OK : RC_CORRUPT;
}

static bool continues(const struct segment *segment, const struct journal_head *head)
{
    return segment->before.sequence == head->sequence &&
           bytes_equal(BYTES_OF(segment->before.hash), BYTES_OF(head->hash));
}

enum rc journal_verify_segment(const struct segment *segment, struct journal_digest *digest,
                               bool last, const struct visitor *visitor,
                               struct journal_head *head, uint64_t *end)
{
    [[gnu::cleanup(journal_group_clear)]] struct group group = GROUP_EMPTY;
    struct journal_head at = *head;
    uint64_t offset = SEGMENT_HEADER;

    if (!continues(segment, head))
        return fault(RC_CORRUPT, "does not continue entry %" PRIu64, head->sequence);
    while (offset < segment->source.bytes) {
        enum rc rc = journal_group_load(&group, &segment->source, digest, offset, &at);
        if (rc == RC_CORRUPT && last) {
            TRY(judge_tail(segment, digest, offset, &at));
            break;
        }
        TRY(rc);
        TRY(tell_entries(&group, visitor));
        at = group.head;
        offset += group.bytes.len;
    }
    *head = at;
    *end = offset;
    return RC_OK;
}

static enum rc survey_segment(int dir, struct journal_digest *digest, size_t index,
                              const struct visitor *visitor, struct survey *survey)
{
    AUTO_SEGMENT segment = SEGMENT_NONE;
    struct segment_place *place = &survey->segments.at[index];
    bool last = index + 1 == survey->segments.count;

    enum rc rc = journal_segment_open(dir, place->first, O_RDONLY, digest, &segment);
    if (rc == RC_NOT_FOUND)
        return fault(RC_BUSY, "segment %" PRIu64 " was trimmed away meanwhile", place->first);
    TRY(rc);
    /* Where the oldest segment starts, only trimming knows. The first of all starts from zeros.
     */
    if (index == 0 && place->first > 1)
        survey->head = segment.before;
    rc = journal_verify_segment(&segment, digest, last, visitor, &survey->head, &place->bytes);
    if (rc != RC_OK)
        return fault_while(rc, "segment %" PRIu64, place->first);
    survey->torn_bytes = segment.source.bytes - place->bytes;
    return RC_OK;
}

enum rc journal_verify_folder(int dir, struct journal_digest *digest,
                              const struct visitor *visitor, struct survey *survey)
{
    TRY(journal_folder_list(dir, &survey->segments));
    for (size_t i = 0; i < survey->segments.count; i++)
        TRY(survey_segment(dir, digest, i, visitor, survey));
    return RC_OK;
}

void journal_verify_clear(struct survey *survey)
{
    journal_folder_clear(&survey->segments);
}

struct journal_recovery journal_verify_recovery(const struct survey *survey)
{
    return (struct journal_recovery){ survey->torn_bytes, survey->segments.count };
}

enum rc journal_verify(int dir, enum rc (*each)(void *with, const struct journal_entry *entry),
                       void *with, struct journal_head *head, struct journal_recovery *found)
{
    AUTO_OF(journal_digest) *digest = NULL;
    AUTO_SURVEY(survey);
    const struct visitor visitor = { each, with };

    TRY(journal_digest_new(&digest));
    TRY(journal_verify_folder(dir, digest, &visitor, &survey));
    if (head != NULL)
        *head = survey.head;
    if (found != NULL)
        *found = journal_verify_recovery(&survey);
    return RC_OK;
}
