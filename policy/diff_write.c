#include "policy/describe.h"

#include <inttypes.h>

static void write_who(const struct policy_diff_entry *entry, struct buf *out)
{
    static const char *const KINDS[POLICY_ASKERS] = {
        [POLICY_BY_DEVICE] = "device",
        [POLICY_BY_OPERATOR] = "operator",
        [POLICY_BY_LINE] = "line",
        [POLICY_BY_SINK] = "sink",
    };

    buf_addf(out, "%s", KINDS[entry->asker]);
    if (entry->name.len > 0)
        buf_addf(out, " \"%.*s\"", BYTES_FMT(entry->name));
    for (size_t i = 0; i < entry->group_count; i++)
        buf_addf(out, "%s \"%.*s\"", i == 0 ? " in" : ",", BYTES_FMT(entry->groups[i]));
}

static void write_entry(const struct policy_diff_entry *entry, bool counted, struct buf *out)
{
    static const char *const CHANGES[] = {
        [POLICY_NEWLY_ALLOWED] = "newly allowed",
        [POLICY_NEWLY_DENIED] = "newly denied",
        [POLICY_MORE_ALLOWED] = "may be newly allowed",
        [POLICY_MORE_DENIED] = "may be newly denied",
        [POLICY_MAY_DIFFER] = "may differ",
        [POLICY_MAY_OBLIGE] = "may differ, also in obligations",
        [POLICY_OTHER_DUTIES] = "with other obligations",
        [POLICY_OTHER_METERS] = "limits count otherwise",
    };

    buf_addf(out, "%s: ", CHANGES[entry->change]);
    write_who(entry, out);
    buf_addf(out, ": ");
    policy_describe_write_actions(entry->actions, out);
    for (size_t i = 0; i < entry->area_count; i++) {
        buf_addf(out, "%s", i == 0 ? "" : ",");
        policy_describe_write_area(&entry->areas[i], out);
    }
    if (entry->after.len > 0)
        buf_addf(out, ": %.*s; before: %.*s", BYTES_FMT(entry->after),
                 BYTES_FMT(entry->before));
    if (entry->asker == POLICY_BY_DEVICE && counted)
        buf_addf(out, " (%" PRIu64 " device%s)", entry->devices,
                 entry->devices == 1 ? "" : "s");
    buf_addf(out, "\n");
}

void policy_diff_write(const struct policy_diff *diff, struct buf *out)
{
    for (size_t i = 0; i < diff->count; i++)
        write_entry(&diff->at[i], diff->counted, out);
    if (diff->count == 0)
        buf_addf(out, "no request is decided otherwise\n");
}
