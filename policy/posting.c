#include "policy/posting.h"

#include "policy/room.h"

#include <stdlib.h>

enum { FIRST_ROOM = 64 };

/* ---- Obligations ---- */

bool policy_posting_obliges(const struct policy_obligations *o)
{
    return o->rate > 0 || o->payload_limited || o->lease_ms > 0 || o->until_ms != 0 ||
           o->log_full;
}

static bool is_equal(const struct policy_obligations *a, const struct policy_obligations *b)
{
    return a->rate == b->rate && a->burst == b->burst && a->rate_ms == b->rate_ms &&
           a->payload_limited == b->payload_limited && a->payload == b->payload &&
           a->lease_ms == b->lease_ms && a->until_ms == b->until_ms &&
           a->log_full == b->log_full;
}

/* The lower rate; of equal rates the smaller burst. */
static unsigned compare_limits(const struct policy_obligations *now,
                               const struct policy_obligations *more)
{
    uint64_t left = (uint64_t)now->rate * (uint64_t)more->rate_ms;
    uint64_t right = (uint64_t)more->rate * (uint64_t)now->rate_ms;

    if (more->rate == 0)
        return 0;
    if (now->rate == 0 || right < left || (right == left && more->burst < now->burst))
        return POLICY_LIMIT_STRICTER;
    return right == left && more->burst == now->burst ? POLICY_LIMIT_ALIKE : 0;
}

static unsigned compare_payloads(const struct policy_obligations *now,
                                 const struct policy_obligations *more)
{
    if (!more->payload_limited)
        return 0;
    if (!now->payload_limited || more->payload < now->payload)
        return POLICY_PAYLOAD_STRICTER;
    return more->payload == now->payload ? POLICY_PAYLOAD_ALIKE : 0;
}

/* Of two ends, the earlier; 0 is none. */
static int64_t sooner(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

unsigned policy_posting_merge(struct policy_obligations *obligations,
                              const struct policy_obligations *more)
{
    unsigned taken = compare_limits(obligations, more) | compare_payloads(obligations, more);

    if (taken & POLICY_LIMIT_STRICTER) {
        obligations->rate = more->rate;
        obligations->burst = more->burst;
        obligations->rate_ms = more->rate_ms;
    }
    if (taken & POLICY_PAYLOAD_STRICTER) {
        obligations->payload_limited = true;
        obligations->payload = more->payload;
    }
    obligations->lease_ms = sooner(obligations->lease_ms, more->lease_ms);
    obligations->until_ms = sooner(obligations->until_ms, more->until_ms);
    obligations->log_full = obligations->log_full || more->log_full;
    return taken;
}

/* ---- Places ---- */

static enum rc grow(void **at, size_t size, size_t count, size_t *room)
{
    size_t wanted = *room == 0 ? FIRST_ROOM : *room * 2;

    if (count < *room)
        return RC_OK;
    void *grown = reallocarray(*at, wanted, size);
    if (grown == NULL)
        return fault(RC_NOMEM, "policy index");
    *at = grown;
    *room = wanted;
    return RC_OK;
}

enum rc policy_posting_place(struct policy_postings *postings, uint32_t *place)
{
    void *ends = postings->ends;

    TRY(grow(&ends, sizeof *postings->ends, postings->end_count, &postings->end_room));
    postings->ends = ends;
    *place = (uint32_t)postings->end_count;
    postings->ends[postings->end_count++] =
        (struct policy_place_of_ends){ POLICY_NONE, POLICY_NONE, 0 };
    return RC_OK;
}

/* Whenever the new one applies, does the earlier one, with the same to say? */
static bool makes_idle(const struct policy_rules *rules, const struct policy_posting *earlier,
                       const struct policy_posting *added)
{
    if (earlier->effect != added->effect ||
        (earlier->condition != added->condition && earlier->condition != POLICY_ALWAYS))
        return false;
    return added->effect == POLICY_DENY || !added->obliged ||
           is_equal(&rules->at[earlier->rule].obligations, &rules->at[added->rule].obligations);
}

enum rc policy_posting_add(struct policy_postings *postings, struct policy_effort *effort,
                           const struct policy_rules *rules, uint32_t place, uint32_t number,
                           uint32_t tests)
{
    struct policy_place_of_ends *end = &postings->ends[place];
    const struct policy_rule *rule = &rules->at[number];
    struct policy_posting made = {
        .rule = number,
        .condition = rule->condition,
        .actions = (uint16_t)rule->actions,
        .effect = (uint8_t)rule->effect,
        .obliged = rule->effect == POLICY_ALLOW && policy_posting_obliges(&rule->obligations),
    };
    void *links = postings->links;

    if (end->weight > POLICY_STEPS_MAX)
        return RC_OK;
    uint64_t passed = 1;
    for (uint32_t at = end->first; at != POLICY_NONE; at = postings->links[at].next, passed++)
        if (makes_idle(rules, &postings->links[at].posting, &made))
            made.actions &= (uint16_t)~postings->links[at].posting.actions;
    TRY(policy_effort_spend(effort, passed));
    if (made.actions == 0)
        return RC_OK;
    TRY(grow(&links, sizeof *postings->links, postings->count, &postings->room));
    postings->links = links;
    uint32_t added = (uint32_t)postings->count++;
    postings->links[added] = (struct policy_link){ made, POLICY_NONE };
    if (end->first == POLICY_NONE)
        end->first = added;
    else
        postings->links[end->last].next = added;
    end->last = added;
    end->weight += tests > 0 ? tests : made.obliged;
    return RC_OK;
}

enum rc policy_posting_pack(const struct policy_postings *postings,
                            struct policy_posting **packed, uint32_t **starts)
{
    struct policy_posting *all = policy_room((postings->count + 1) * sizeof *all);
    uint32_t *first = malloc((postings->end_count + 1) * sizeof *first);
    uint32_t count = 0;

    if (all == NULL || first == NULL) {
        free(all);
        free(first);
        return fault(RC_NOMEM, "policy index");
    }
    for (size_t place = 0; place < postings->end_count; place++) {
        first[place] = count;
        for (uint32_t at = postings->ends[place].first; at != POLICY_NONE;
             at = postings->links[at].next)
            all[count++] = postings->links[at].posting;
        all[count - 1].last = true; /* a place is made for a rule */
    }
    *packed = all;
    *starts = first;
    return RC_OK;
}

void policy_posting_clear(struct policy_postings *postings)
{
    free(postings->links);
    free(postings->ends);
    *postings = (struct policy_postings){ 0 };
}
