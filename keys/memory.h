/* What the signer knows of each key between requests: what it signed last, and how fast it
 * signs. */
#pragma once

#include "journal/journal.h"
#include "keys/check.h"

/*
 * The memory of a key (keys/check.h) lives in the signer's journal: each signed CRL and
 * checkpoint has it, and every few thousand entries it is restated for all keys, so that a
 * start reads only the journal's end. Rates begin full at a start.
 */
enum {
    KEYS_STRAYS_A_SECOND = 16,  /* refusals that no key's rate bounds ... */
    KEYS_STRAYS_AT_ONCE = 256,  /* ... and so many at once */
    KEYS_MEMORY_SPACING = 4096, /* entries between restatements, at most */
    KEYS_MEMORY_SPAN =
        4 * KEYS_MEMORY_SPACING /* entries read at a start; trimming leaves them */
};

struct keys_memories {
    const struct keys_rules *rules;
    uint64_t restated; /* sequence after the latest restatement, or 0 */
    struct keys_past {
        struct keys_memory memory;
        uint64_t
            vouched; /* sequence of its latest checkpoint's entry: the next must look beyond */
        bool busy;   /* a CRL or checkpoint by it is under way: the next needs its outcome */
        int64_t tokens;    /* thousandths of a signature */
        int64_t tokens_ms; /* monotonic: when they were counted */
        int64_t told_ms;   /* monotonic: when the latest "too fast" was journaled */
        uint64_t untold;   /* that were not, since */
    } of[KEYS_PER_RULES_MAX];
    struct keys_past strays; /* of which only the rate is used */
};

/* RC_CORRUPT if the journal does not hold what it should. */
enum rc keys_memory_recover(struct journal *journal, const struct keys_rules *rules,
                            int64_t monotonic_ms, struct keys_memories *memories);
/* Append every key's memory if the last time is long ago. */
enum rc keys_memory_restate(struct keys_memories *memories, struct journal *journal);
/* Take this many signatures from a key's rate: RC_LIMIT, and nothing is taken. */
enum rc keys_memory_take(struct keys_memories *memories, const struct keys_rule *rule,
                         size_t count, int64_t monotonic_ms);
/* Take one from the rate of requests that belong to no key of the rules. RC_LIMIT. */
enum rc keys_memory_take_stray(struct keys_memories *memories, int64_t monotonic_ms);
struct keys_past *keys_memory_of(struct keys_memories *memories, const struct keys_rule *rule);
/*
 * Does the head that a checkpoint vouches for stand in the signer's journal, not before
 * the key's latest checkpoint? RC_DENIED.
 */
enum rc keys_memory_check_head(struct journal *journal, const struct keys_past *past,
                               const struct keys_finding *finding);
