#include "policy/diff.h"

#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

/* Devices for which the same rules of both policies speak are one: a special name or any, and
 * those of their groups that some rule has, as places in the lists. */
struct key {
    size_t device; /* its place in the fleet, by which none is told from another */
    size_t name;   /* place and one; 0: any */
    size_t group_count;
    uint32_t groups[2 * POLICY_GROUPS_MAX]; /* of the registry and of the policy */
};
struct counted {
    struct policy_differ *d;
    const struct policy_specials *specials;
    const struct policy_names *groups;
    struct key *keys;
    size_t count, room;
};

/* ---- Gathering ---- */

static int compare_names(const void *left, const void *right)
{
    const struct bytes *a = left, *b = right;

    return bytes_compare(*a, *b);
}

static int compare_places(const void *left, const void *right)
{
    uint32_t a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static int compare_keys(const void *left, const void *right)
{
    const struct key *a = left, *b = right;

    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    if (a->group_count != b->group_count)
        return a->group_count < b->group_count ? -1 : 1;
    for (size_t i = 0; i < a->group_count; i++)
        if (a->groups[i] != b->groups[i])
            return a->groups[i] < b->groups[i] ? -1 : 1;
    return 0;
}

static enum rc add_group(struct key *key, const struct policy_names *groups, struct bytes name)
{
    const struct bytes *found = groups->count == 0 ? NULL
                                                   : bsearch(&name, groups->at, groups->count,
                                                             sizeof name, compare_names);

    if (found == NULL)
        return RC_OK;
    if (key->group_count == 2 * POLICY_GROUPS_MAX)
        return fault(RC_LIMIT, "a device in more than %d groups", POLICY_GROUPS_MAX);
    key->groups[key->group_count++] = (uint32_t)(found - groups->at);
    return RC_OK;
}

/* Groups that both policies have the device in. */
static enum rc add_members(const struct counted *c, struct bytes device, struct key *key)
{
    struct policy_members old = policy_parts_members(c->d->rules[POLICY_OLD], device);
    struct policy_members new = policy_parts_members(c->d->rules[POLICY_NEW], device);

    for (size_t i = 0; i < old.count; i++)
        for (size_t j = 0; j < new.count; j++)
            if (bytes_equal(old.at[i].group, new.at[j].group))
                TRY(add_group(key, c->groups, old.at[i].group));
    return RC_OK;
}

static void sort_groups(struct key *key)
{
    size_t kept = 0;

    qsort(key->groups, key->group_count, sizeof *key->groups, compare_places);
    for (size_t i = 0; i < key->group_count; i++)
        if (kept == 0 || key->groups[kept - 1] != key->groups[i])
            key->groups[kept++] = key->groups[i];
    key->group_count = kept;
}

static enum rc add_device(void *with, const struct policy_facts *device)
{
    struct counted *c = with;
    const struct policy_special *special =
        policy_diff_find_special(c->specials, device->device_id);
    struct key key = { .device = c->count,
                       .name = special == NULL ? 0 : (size_t)(special - c->specials->at) + 1 };

    for (size_t i = 0; i < device->group_count; i++)
        TRY(add_group(&key, c->groups, device->groups[i]));
    TRY(add_members(c, device->device_id, &key));
    sort_groups(&key);
    TRY(policy_language_grow(&c->keys, sizeof key, c->count, &c->room));
    c->keys[c->count++] = key;
    return RC_OK;
}

/* ---- Counting ---- */

struct looking {
    const struct policy_differ *d;
    enum policy_change change;
    bool found;
};

static enum rc is_change(void *with, uint32_t colour)
{
    struct looking *looking = with;

    if (looking->d->changes[colour - 1].change == looking->change)
        looking->found = true;
    return RC_OK;
}

/* Is something of the entry so for this class? */
static enum rc concerns(struct policy_differ *d, const struct policy_diff_entry *entry,
                        const struct policy_class *class, const struct policy_topics *changes,
                        bool *concerned)
{
    struct looking looking = { d, entry->change, false };

    for (enum policy_action action = 0; !looking.found && action < POLICY_ACTIONS; action++) {
        if (!(entry->actions & 1U << action) || policy_language_is_empty(changes[action]))
            continue;
        for (size_t a = 0; !looking.found && a < entry->area_count; a++) {
            struct policy_topics set, part;
            TRY(policy_describe_set(&d->study, &entry->areas[a], class->asker, class->name,
                                    &set));
            TRY(policy_language_restrict(d->study.language, set, changes[action], &part));
            TRY(policy_language_colours(d->study.language, part, is_change, &looking));
        }
    }
    *concerned = looking.found;
    return RC_OK;
}

/* *actions: those of which something changes for this class. */
static enum rc count_class(struct policy_differ *d, const struct policy_class *class,
                           uint64_t devices, unsigned *actions)
{
    struct policy_topics changes[POLICY_ACTIONS];

    *actions = 0;
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        TRY(policy_diff_class(d, class, action, &changes[action]));
        if (!policy_language_is_empty(changes[action]))
            *actions |= 1U << action;
    }
    if (*actions == 0)
        return RC_OK;
    d->diff.devices += devices;
    for (size_t i = 0; i < d->diff.count; i++) {
        bool concerned = false;
        if (policy_diff_is_within(&d->diff.at[i], class))
            TRY(concerns(d, &d->diff.at[i], class, changes, &concerned));
        if (concerned)
            d->diff.at[i].devices += devices;
    }
    return RC_OK;
}

/* Keys that are equal. */
static enum rc count_keys(struct counted *c, const struct key *key, size_t devices)
{
    struct policy_mark mark = policy_language_mark(c->d->study.language);
    struct bytes groups[2 * POLICY_GROUPS_MAX];
    struct policy_class class = { .asker = POLICY_BY_DEVICE,
                                  .groups = groups,
                                  .group_count = key->group_count };
    unsigned actions = 0;

    if (key->name > 0)
        class.name = c->specials->at[key->name - 1].name;
    for (size_t i = 0; i < key->group_count; i++)
        groups[i] = c->groups->at[key->groups[i]];
    TRY(count_class(c->d, &class, devices, &actions));
    for (size_t i = 0; i < devices; i++)
        c->d->diff.changed[key[i].device] = actions;
    policy_language_return(c->d->study.language, mark);
    return RC_OK;
}

static enum rc count_all(struct counted *c, const struct policy_fleet *fleet)
{
    void *changed = NULL;

    TRY(fleet->each(fleet->with, add_device, c));
    TRY(policy_arena_take(&c->d->study.arena, c->count * sizeof *c->d->diff.changed, &changed));
    c->d->diff.changed = changed;
    if (c->count > 1)
        qsort(c->keys, c->count, sizeof *c->keys, compare_keys);
    for (size_t i = 0, end; i < c->count; i = end) {
        for (end = i + 1; end < c->count; end++)
            if (compare_keys(&c->keys[i], &c->keys[end]) != 0)
                break;
        TRY(count_keys(c, &c->keys[i], end - i));
    }
    return RC_OK;
}

enum rc policy_diff_count(struct policy_differ *d, const struct policy_fleet *fleet,
                          const struct policy_specials *specials,
                          const struct policy_names *groups)
{
    struct counted c = { .d = d, .specials = specials, .groups = groups };
    enum rc rc = d->diff.count == 0 ? RC_OK : count_all(&c, fleet);

    free(c.keys);
    return rc;
}
