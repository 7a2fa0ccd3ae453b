#include "keys/memory.h"

#include "keys/entry.h"

enum { PER_SIGNATURE = 1000 };

static struct keys_past *find_past(struct keys_memories *memories, const char *key)
{
    const struct keys_rule *rule = keys_rules_find(memories->rules, bytes_of_text(key));

    return rule == NULL ? NULL : keys_memory_of(memories, rule);
}

struct keys_past *keys_memory_of(struct keys_memories *memories, const struct keys_rule *rule)
{
    return &memories->of[rule - memories->rules->rule];
}

static enum rc recall(struct keys_memories *memories, const struct journal_entry *at)
{
    struct keys_entry entry;

    TRY(keys_entry_read(at->kind, at->body, &entry));
    if (entry.kind == KEYS_ENTRY_MEMORY)
        memories->restated = at->sequence;
    struct keys_past *past = find_past(memories, entry.key);
    if (past == NULL || entry.kind == KEYS_ENTRY_REFUSED || entry.of == KEYS_CERTIFICATE)
        return RC_OK;
    past->memory = entry.memory;
    if (entry.of == KEYS_CHECKPOINT)
        past->vouched = at->sequence;
    return RC_OK;
}

static enum rc recall_from(struct keys_memories *memories, struct journal *journal,
                           uint64_t from)
{
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry at;

    TRY(journal_cursor_open(journal, from, &cursor));
    for (;;) {
        enum rc rc = journal_cursor_next(cursor, &at);
        if (rc == RC_NOT_FOUND)
            return RC_OK;
        TRY(rc);
        TRY(recall(memories, &at));
    }
}

enum rc keys_memory_recover(struct journal *journal, const struct keys_rules *rules,
                            int64_t monotonic_ms, struct keys_memories *memories)
{
    struct keys_memories made = { .rules = rules };
    uint64_t last = journal_head(journal).sequence, first = journal_first_sequence(journal);
    uint64_t from = last > KEYS_MEMORY_SPAN ? last - KEYS_MEMORY_SPAN : 1;

    if (last > 0)
        TRY(recall_from(&made, journal, from > first ? from : first));
    if (made.restated == 0 && (from > 1 || first > 1))
        return fault(RC_CORRUPT,
                     "signer journal: the keys' memory is not among its last %d entries",
                     KEYS_MEMORY_SPAN);
    for (size_t i = 0; i < rules->count; i++) {
        made.of[i].tokens = (int64_t)rules->rule[i].rate_burst * PER_SIGNATURE;
        made.of[i].tokens_ms = monotonic_ms;
    }
    made.strays.tokens = (int64_t)KEYS_STRAYS_AT_ONCE * PER_SIGNATURE;
    made.strays.tokens_ms = monotonic_ms;
    *memories = made;
    return RC_OK;
}

enum rc keys_memory_restate(struct keys_memories *memories, struct journal *journal)
{
    uint64_t now = journal_pending_head(journal).sequence, sequence = now;

    if (now < memories->restated + KEYS_MEMORY_SPACING)
        return RC_OK;
    for (size_t i = 0; i < memories->rules->count; i++) {
        const char *name = memories->rules->rule[i].name;
        struct keys_entry entry = { .kind = KEYS_ENTRY_MEMORY,
                                    .memory = memories->of[i].memory };
        for (size_t c = 0; name[c] != '\0'; c++)
            entry.key[c] = name[c];
        TRY(keys_entry_append(journal, &entry, &sequence));
    }
    memories->restated = sequence;
    return RC_OK;
}

/* A thousandth of a token a millisecond for each one a second; full long before it overflows.
 */
static bool take(struct keys_past *past, uint32_t a_second, uint32_t at_once, size_t count,
                 int64_t monotonic_ms)
{
    int64_t full = (int64_t)at_once * PER_SIGNATURE;
    int64_t wanted = (int64_t)count * PER_SIGNATURE;
    int64_t passed_ms = monotonic_ms - past->tokens_ms;
    int64_t most_ms = full / (a_second > 0 ? a_second : 1) + 1;

    past->tokens += (passed_ms < most_ms ? passed_ms : most_ms) * a_second;
    past->tokens = past->tokens < full ? past->tokens : full;
    past->tokens_ms = monotonic_ms;
    if (past->tokens < wanted)
        return false;
    past->tokens -= wanted;
    return true;
}

enum rc keys_memory_take(struct keys_memories *memories, const struct keys_rule *rule,
                         size_t count, int64_t monotonic_ms)
{
    if (rule->rate_per_s == 0 && rule->rate_burst == 0)
        return RC_OK;
    if (!take(keys_memory_of(memories, rule), rule->rate_per_s, rule->rate_burst, count,
              monotonic_ms))
        return fault(RC_LIMIT, "key %s may make %u signatures a second, at most %u at once",
                     rule->name, rule->rate_per_s, rule->rate_burst);
    return RC_OK;
}

enum rc keys_memory_take_stray(struct keys_memories *memories, int64_t monotonic_ms)
{
    if (!take(&memories->strays, KEYS_STRAYS_A_SECOND, KEYS_STRAYS_AT_ONCE, 1, monotonic_ms))
        return fault(RC_LIMIT,
                     "more than %d requests a second, %d at once, that belong to no key",
                     KEYS_STRAYS_A_SECOND, KEYS_STRAYS_AT_ONCE);
    return RC_OK;
}

enum rc keys_memory_check_head(struct journal *journal, const struct keys_past *past,
                               const struct keys_finding *finding)
{
    AUTO_OF(journal_cursor) *cursor = NULL;
    struct journal_entry at = { 0 };
    uint64_t sequence = finding->journal_sequence;

    if (sequence < past->vouched || sequence > journal_head(journal).sequence)
        return fault(
            RC_DENIED,
            "checkpoint: vouches for the signer's journal at %llu; expected %llu to %llu",
            (unsigned long long)sequence, (unsigned long long)past->vouched,
            (unsigned long long)journal_head(journal).sequence);
    if (sequence > 0) {
        TRY(journal_cursor_open(journal, sequence, &cursor));
        TRY(journal_cursor_next(cursor, &at));
    }
    if (!bytes_equal(BYTES_OF(at.hash), BYTES_OF(finding->journal_hash)))
        return fault(RC_DENIED, "checkpoint: the signer's journal has another hash at %llu",
                     (unsigned long long)sequence);
    return RC_OK;
}
