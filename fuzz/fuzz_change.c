/* Target: registry_projection_apply */
#include <stdlib.h>

#include "registry/projection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A row of changes: kind u8, length u16, body. Whatever comes, certificates of doors and what
 * was never told admit nobody, and the same row again changes nothing. */
static unsigned apply_all(struct registry_projection *projection, struct bytes from)
{
    struct reader r = READER(from);
    unsigned applied = 0;

    while (r.left.len > 0 && !r.broken) {
        struct registry_change change = { .kind = (enum registry_change_kind)reader_u8(&r) };
        change.body = reader_sized16(&r, UINT16_MAX);
        if (!r.broken)
            applied += registry_projection_apply(projection, &change) == RC_OK;
    }
    return applied;
}

static void count(void *with, const struct registry_change *change)
{
    (void)change;
    ++*(unsigned *)with;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned changes = 0;
    const struct registry_observer observer = { count, &changes };
    AUTO_OF(registry_projection) *projection = NULL;
    const struct bytes all = { data, size };

    if (registry_projection_new(&observer, &projection) != RC_OK)
        return 0;
    unsigned applied = apply_all(projection, all);
    unsigned first = changes;
    if (first > applied || registry_projection_count(projection) > first)
        abort();
    registry_projection_reset(projection);
    if (registry_projection_count(projection) != 0)
        abort();
    return 0;
}
