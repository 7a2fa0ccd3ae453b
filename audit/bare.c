#include "audit/bare.h"

#include <inttypes.h>

#include "audit/retention_state.h"
#include "base/text.h"

/* A number between these two, and nothing else. */
static bool read_count(struct bytes text, struct bytes before, struct bytes behind,
                       uint64_t *count)
{
    struct reader r = READER(text);

    if (text.len < before.len + behind.len || !bytes_equal(reader_take(&r, before.len), before))
        return false;
    struct bytes digits = reader_take(&r, r.left.len - behind.len);
    return bytes_equal(r.left, behind) && text_read_u64(digits, UINT64_MAX, count) == RC_OK;
}

static void explain(struct audit_bare *bare, uint64_t count)
{
    bool fits = count <= UINT64_MAX - bare->explained;

    bare->explained = fits ? bare->explained + count : UINT64_MAX;
}

/* An operator asks; that it is done is said by the authority, of its own accord. */
static void hear_erasure(struct audit_bare *bare, const struct audit_record *record)
{
    uint64_t count = 0;

    if (record->actor_kind != AUDIT_PROCESS) {
        bare->erasures++;
        bare->excused = bare->bare;
    } else if (read_count(record->reason, BYTES("done: "), BYTES(" records"), &count)) {
        bare->erasures -= bare->erasures > 0;
        explain(bare, count);
    }
}

static void hear_pruning(struct audit_bare *bare, const struct audit_record *record)
{
    uint64_t count = 0;

    if (record->actor_kind != AUDIT_PROCESS)
        return;
    if (bytes_equal(record->reason, BYTES("begins"))) {
        bare->pruning = true;
        bare->excused = bare->bare;
    } else if (read_count(record->reason, BYTES(""), BYTES(" records"), &count)) {
        bare->pruning = false;
        explain(bare, count);
    }
}

enum rc audit_bare_add(struct audit_bare *bare, const struct audit_record *record, bool erased)
{
    if (erased && audit_action_stays(record->action))
        return fault(RC_DENIED, "a record of %s has no body, and is never erased",
                     audit_action_get(record->action)->name);
    bare->bare += erased;
    if (erased || record->decision != AUDIT_ALLOWED || record->source != AUDIT_FROM_AUTHORITY)
        return RC_OK;
    if (record->action == AUDIT_LOG_ERASE)
        hear_erasure(bare, record);
    if (record->action == AUDIT_LOG_PRUNE)
        hear_pruning(bare, record);
    return RC_OK;
}

bool audit_bare_under_way(const struct audit_bare *bare)
{
    return bare->erasures > 0 || bare->pruning;
}

enum rc audit_bare_check(const struct audit_bare *bare)
{
    uint64_t counted = bare->bare - (audit_bare_under_way(bare) ? bare->excused : 0);

    if (counted <= bare->explained)
        return RC_OK;
    return fault(
        RC_DENIED,
        "audit export: %" PRIu64 " records have no body, and the log says of %" PRIu64
        " that they were erased or pruned: bodies were taken out of this copy, or were "
        "erased after its checkpoint; export it anew",
        counted, bare->explained);
}
