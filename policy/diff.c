#include "policy/diff.h"

#include "policy/bound.h"
#include "policy/duty.h"
#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

/* ---- One topic ---- */

static enum rc find_change(struct policy_differ *d, const struct policy_changed *changed,
                           uint32_t *colour)
{
    for (size_t i = 0; i < d->change_count; i++) {
        const struct policy_changed *there = &d->changes[i];
        if (there->change == changed->change && there->before == changed->before &&
            there->after == changed->after) {
            *colour = (uint32_t)i + 1;
            return RC_OK;
        }
    }
    TRY(policy_language_grow(&d->changes, sizeof *d->changes, d->change_count,
                             &d->change_room));
    d->changes[d->change_count++] = *changed;
    *colour = (uint32_t)d->change_count;
    return RC_OK;
}

/* Are all conditions of this effect in the one sense in the other? What is always so is in all.
 */
static bool is_within(struct policy_voices inner, struct policy_voices outer,
                      enum policy_effect effect)
{
    for (size_t i = 0; i < inner.count; i++) {
        bool found = inner.at[i].effect != effect;
        for (size_t o = 0; !found && o < outer.count; o++)
            found = outer.at[o].effect == effect && (outer.at[o].guard == POLICY_SURE ||
                                                     outer.at[o].guard == inner.at[i].guard);
        if (!found)
            return false;
    }
    return true;
}

static bool is_more(const struct policy_verdicts *verdicts, uint32_t less, uint32_t more)
{
    struct policy_voices l = policy_verdicts_get(verdicts, less);
    struct policy_voices m = policy_verdicts_get(verdicts, more);

    return less == 0 || (is_within(l, m, POLICY_ALLOW) && is_within(m, l, POLICY_DENY));
}

static struct policy_changed compare(const struct policy_verdicts *verdicts, uint32_t before,
                                     uint32_t after)
{
    struct policy_changed changed = { POLICY_MAY_DIFFER, before, after };
    bool sure_before = before == 0 || policy_verdicts_is_sure(verdicts, before);
    bool sure_after = after == 0 || policy_verdicts_is_sure(verdicts, after);

    if (sure_before && sure_after)
        return (struct policy_changed){ before == 0 ? POLICY_NEWLY_ALLOWED
                                                    : POLICY_NEWLY_DENIED,
                                        0, 0 };
    if (after != 0 && is_more(verdicts, before, after))
        changed.change = POLICY_MORE_ALLOWED;
    else if (before != 0 && is_more(verdicts, after, before))
        changed.change = POLICY_MORE_DENIED;
    return changed;
}

/* Of what comes with the same obligations in both. */
static enum rc judge_meters(struct policy_differ *d, uint32_t left, uint32_t right,
                            uint32_t *made)
{
    static const struct policy_changed CHANGED = { POLICY_OTHER_METERS, 0, 0 };
    struct policy_verdicts *verdicts = d->study.verdicts;
    uint32_t before = 0, after = 0;

    TRY(policy_duty_counted(verdicts, left, &before));
    TRY(policy_duty_counted(verdicts, right, &after));
    if (before == after && d->of_filters) {
        TRY(policy_duty_of_filters(verdicts, left, d->meters.turns, &before));
        TRY(policy_duty_of_filters(verdicts, right, d->meters.turns, &after));
    }
    return before == after ? RC_OK : find_change(d, &CHANGED, made);
}

static enum rc judge(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    struct policy_differ *d = with;
    struct policy_verdicts *verdicts = d->study.verdicts;
    uint32_t before = 0, after = 0;
    struct policy_changed changed = { POLICY_OTHER_DUTIES, 0, 0 };

    *made = 0;
    if (left == right)
        return RC_OK;
    TRY(policy_verdicts_sense(verdicts, left, &before));
    TRY(policy_verdicts_sense(verdicts, right, &after));
    if (before != after) {
        changed = compare(verdicts, before, after);
        /* What both allow may be refused by a limit that only one of them has. */
        if (before != 0 && after != 0 && !policy_duty_is_one(verdicts, left, right))
            changed.change = POLICY_MAY_OBLIGE;
        return find_change(d, &changed, made);
    }
    if (before == 0)
        return RC_OK;
    TRY(policy_duty_asked(verdicts, left, &before));
    TRY(policy_duty_asked(verdicts, right, &after));
    if (before != after)
        return find_change(d, &changed, made);
    return before == 0 ? RC_OK : judge_meters(d, left, right, made);
}

enum rc policy_diff_class(struct policy_differ *d, const struct policy_class *class,
                          enum policy_action action, struct policy_topics *changes)
{
    const struct policy_language_op op = { judge, d, POLICY_ZERO_ASKED, POLICY_ZERO_ASKED,
                                           POLICY_SAME_ZERO };
    struct policy_topics maps[POLICY_SIDES];

    for (size_t side = 0; side < POLICY_SIDES; side++)
        TRY(policy_parts_map(d->parts[side], class, policy_subject_of(action), &maps[side]));
    *changes = policy_language_none();
    d->of_filters = action == POLICY_SUBSCRIBE && d->meters.subscriptions;
    if (policy_language_equal(maps[POLICY_OLD], maps[POLICY_NEW]))
        return RC_OK;
    return policy_language_apply(d->study.language, &op, maps[POLICY_OLD], maps[POLICY_NEW],
                                 changes);
}

/* ---- All of it ---- */

static enum rc diff_asker(struct policy_differ *d, enum policy_asker asker,
                          const struct policy_fleet *fleet)
{
    struct policy_specials specials = { 0 };
    struct policy_names groups = { 0 };

    for (size_t side = 0; side < POLICY_SIDES; side++)
        for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
            TRY(policy_parts_keep(d->parts[side], asker, policy_subject_of(action)));
    TRY(policy_diff_specials(d, asker, &specials));
    TRY(policy_diff_groups(d, asker, &groups));
    TRY(policy_diff_asker(d, asker, &specials, &groups));
    if (asker != POLICY_BY_DEVICE || fleet == NULL)
        return RC_OK;
    return policy_diff_count(d, fleet, &specials, &groups);
}

static enum rc diff_all(struct policy_differ *d, const struct policy *const *policies,
                        const struct policy_fleet *fleet)
{
    TRY(policy_study_open(&d->study));
    for (size_t side = 0; side < POLICY_SIDES; side++)
        d->rules[side] = &policies[side]->rules;
    TRY(policy_meters_make(&d->study, d->rules, POLICY_SIDES, &d->meters));
    for (size_t side = 0; side < POLICY_SIDES; side++)
        TRY(policy_parts_new(d->rules[side], NULL,
                             (struct policy_workshop){ d->study.language, d->study.verdicts,
                                                       false, d->meters.of[side] },
                             &d->parts[side]));
    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++)
        TRY(diff_asker(d, (enum policy_asker)asker, fleet));
    return RC_OK;
}

enum rc policy_diff(const struct policy *old, const struct policy *new,
                    const struct policy_fleet *fleet, struct policy_diff *diff)
{
    const struct policy *const policies[POLICY_SIDES] = { old, new };
    struct policy_differ d = { 0 };
    enum rc rc = diff_all(&d, policies, fleet);

    if (rc == RC_OK) {
        *diff = d.diff;
        diff->counted = fleet != NULL;
        diff->arena = TAKE(d.study.arena);
    }
    for (size_t side = 0; side < POLICY_SIDES; side++)
        policy_parts_free(d.parts[side]);
    free(d.changes);
    policy_study_close(&d.study);
    return rc;
}

void policy_diff_clear(struct policy_diff *diff)
{
    policy_arena_free(diff->arena);
    *diff = (struct policy_diff){ 0 };
}
