#include "audit/pattern.h"

#include "audit/record.h"
#include "policy/topic.h"

enum { LEVELS = 56, REST_SHIFT = 56 };

/* How many levels come before #. */
static unsigned levels_of(uint64_t pattern)
{
    const unsigned rest = (unsigned)(pattern >> REST_SHIFT);

    return rest == 0 || rest > LEVELS ? LEVELS : rest - 1;
}

static uint64_t end_after(uint64_t pattern, unsigned levels)
{
    const uint64_t kept = (UINT64_C(1) << levels) - 1;

    return (pattern & kept) | (uint64_t)(levels + 1) << REST_SHIFT;
}

/* No wildcard in the first level stands for $SYS and its like, but # in a log does. */
static bool is_barred(unsigned level, struct bytes one, struct bytes two)
{
    return level == 0 &&
           (bytes_start_with(one, BYTES("$")) || bytes_start_with(two, BYTES("$")));
}

uint64_t audit_pattern_widen(uint64_t pattern, struct bytes first, struct bytes next)
{
    struct policy_levels f = policy_topic_levels(first), n = policy_topic_levels(next);
    const unsigned levels = levels_of(pattern);

    if (first.len == 0 || next.len == 0)
        return end_after(pattern, 0);
    for (unsigned i = 0; i < levels && (f.more || n.more); i++) {
        if (!f.more || !n.more)
            return end_after(pattern, i);
        struct bytes one = policy_topic_next(&f), two = policy_topic_next(&n);
        if (bytes_equal(one, two))
            continue;
        if (policy_topic_is_hash(one) || policy_topic_is_hash(two) || is_barred(i, one, two))
            return end_after(pattern, i);
        pattern |= UINT64_C(1) << i;
    }
    return levels == LEVELS && (f.more || n.more) ? end_after(pattern, LEVELS - 1) : pattern;
}

struct bytes audit_pattern_text(uint64_t pattern, struct bytes first, struct buf *room)
{
    struct policy_levels levels = policy_topic_levels(first);
    const unsigned kept = levels_of(pattern);
    bool rest = pattern >> REST_SHIFT != 0;

    if (pattern == 0)
        return first;
    buf_reset(room);
    for (unsigned i = 0; first.len > 0 && levels.more && (i < kept || !rest); i++) {
        struct bytes level = policy_topic_next(&levels);
        bool is_rest = policy_topic_is_hash(level); /* whatever the number says is behind it */
        if (i < LEVELS && pattern >> i & 1)
            level = BYTES("+");
        if (is_rest || room->len + 1 + level.len + 2 > AUDIT_TARGET_MAX) {
            rest = true;
            break;
        }
        buf_addf(room, i > 0 ? "/" : "");
        buf_add(room, level);
    }
    if (rest)
        buf_addf(room, room->len > 0 ? "/#" : "#");
    return buf_bytes(room);
}
