#include "policy/diff.h"

#include <stdlib.h>
#include <string.h>

/*
 * Which classes are looked at. Groups are endlessly many sets, but two are enough: where a
 * device in many groups may newly do something, one of its groups (or what all devices have)
 * allows it, another one took away what denied it, and with these two alone the same is true;
 * likewise for what is newly denied. So it is with conditions, duties and limits. What the two
 * do must have changed, too: `pair_of()`.
 */
struct walk {
    struct policy_differ *d;
    enum policy_asker asker;
    const struct policy_names *groups;
    unsigned changed; /* actions for which something changed for all */
    struct touch {    /* for each group: actions */
        unsigned changed, allows, denies, obliges;
    } * touches;
};

/* ---- What is told already ---- */

bool policy_diff_is_within(const struct policy_diff_entry *entry,
                           const struct policy_class *class)
{
    if (entry->asker != class->asker ||
        (entry->name.len > 0 && !bytes_equal(entry->name, class->name)))
        return false;
    for (size_t i = 0; i < entry->group_count; i++) {
        size_t g = 0;
        while (g < class->group_count && !bytes_equal(class->groups[g], entry->groups[i]))
            g++;
        if (g == class->group_count)
            return false;
    }
    return true;
}

static enum rc hide_colour(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    *made = right != 0 && left == *(const uint32_t *)with ? 0 : left;
    return RC_OK;
}

static enum rc hide_told(struct policy_differ *d, const struct policy_class *class,
                         enum policy_action action, struct policy_topics *changes)
{
    for (size_t i = 0; i < d->diff.count && !policy_language_is_empty(*changes); i++) {
        const struct policy_diff_entry *entry = &d->diff.at[i];
        const struct policy_language_op op = { hide_colour, &d->colours[i], POLICY_ZERO_STAYS,
                                               POLICY_ZERO_YIELDS, POLICY_SAME_ASKED };
        if (!(entry->actions & 1U << action) || !policy_diff_is_within(entry, class))
            continue;
        for (size_t a = 0; a < entry->area_count; a++) {
            struct policy_topics set;
            TRY(policy_describe_set(&d->study, &entry->areas[a], class->asker, class->name,
                                    &set));
            TRY(policy_language_apply(d->study.language, &op, *changes, set, changes));
        }
    }
    return RC_OK;
}

/* ---- Telling ---- */

enum { NEWS_MAX = 256 };

/* What changes in one way, for some actions. */
struct news {
    size_t count;
    struct {
        uint32_t colour;
        struct policy_topics set;
        unsigned actions;
    } at[NEWS_MAX];
};

struct finding {
    struct policy_differ *d;
    enum policy_action action;
    struct policy_topics changes;
    struct news *news;
};

static enum rc is_colour(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)right;
    *made = left == *(const uint32_t *)with;
    return RC_OK;
}

static bool is_alike(unsigned actions, enum policy_action action)
{
    enum policy_action one = (enum policy_action)__builtin_ctz(actions);

    return policy_action_resource(one) == policy_action_resource(action);
}

static enum rc add_news(void *with, uint32_t colour)
{
    const struct finding *f = with;
    const struct policy_language_op op = { is_colour, &colour, POLICY_ZERO_STAYS,
                                           POLICY_ZERO_ASKED, POLICY_SAME_ASKED };
    struct policy_topics set;
    size_t i = 0;

    TRY(policy_language_apply(f->d->study.language, &op, f->changes, policy_language_none(),
                              &set));
    while (i < f->news->count && (f->news->at[i].colour != colour ||
                                  !policy_language_equal(f->news->at[i].set, set) ||
                                  !is_alike(f->news->at[i].actions, f->action)))
        i++;
    if (i == NEWS_MAX)
        return fault(RC_LIMIT, "more than %d different changes of who is of one kind",
                     NEWS_MAX);
    if (i == f->news->count) {
        f->news->at[f->news->count++].actions = 0;
        f->news->at[i].colour = colour;
        f->news->at[i].set = set;
    }
    f->news->at[i].actions |= 1U << f->action;
    return RC_OK;
}

static enum rc find_example(struct policy_differ *d, struct policy_topics set,
                            enum policy_action action, struct bytes *example)
{
    AUTO_BUF(topic, POLICY_TOPIC_MAX);

    if (policy_action_resource(action) == POLICY_NOTHING)
        return RC_OK;
    TRY(policy_language_witness(d->study.language, set, &topic));
    return policy_arena_copy(&d->study.arena, buf_bytes(&topic), example);
}

static enum rc add_entry(struct policy_differ *d, const struct policy_class *class,
                         uint32_t colour, struct policy_topics set, unsigned actions)
{
    const struct policy_changed changed = d->changes[colour - 1];
    struct policy_diff_entry made = { .change = changed.change,
                                      .asker = class->asker,
                                      .actions = actions,
                                      .group_count = class->group_count };

    TRY(policy_arena_copy(&d->study.arena, class->name, &made.name));
    for (size_t i = 0; i < class->group_count; i++)
        TRY(policy_arena_copy(&d->study.arena, class->groups[i], &made.groups[i]));
    enum policy_action action = (enum policy_action)__builtin_ctz(actions);
    TRY(policy_describe_areas(&d->study, set, action, &made.areas, &made.area_count));
    TRY(find_example(d, set, action, &made.example));
    if (changed.change < POLICY_OTHER_DUTIES && (changed.before != 0 || changed.after != 0)) {
        struct bytes texts[2];
        TRY(policy_describe_senses(&d->study, changed.before, changed.after, texts));
        made.before = texts[0];
        made.after = texts[1];
    }
    TRY(policy_arena_grow(&d->study.arena, &d->diff.at, sizeof made, d->diff.count));
    TRY(policy_arena_grow(&d->study.arena, &d->colours, sizeof colour, d->diff.count));
    d->colours[d->diff.count] = colour;
    d->diff.at[d->diff.count++] = made;
    return RC_OK;
}

static enum rc look_at(struct policy_differ *d, const struct policy_class *class,
                       unsigned actions, struct news *news)
{
    struct finding f = { .d = d, .news = news };

    for (f.action = 0; f.action < POLICY_ACTIONS; f.action++) {
        if (!(actions & 1U << f.action))
            continue;
        TRY(policy_diff_class(d, class, f.action, &f.changes));
        TRY(hide_told(d, class, f.action, &f.changes));
        TRY(policy_language_colours(d->study.language, f.changes, add_news, &f));
    }
    for (size_t i = 0; i < news->count; i++)
        TRY(add_entry(d, class, news->at[i].colour, news->at[i].set, news->at[i].actions));
    return RC_OK;
}

static enum rc look(struct policy_differ *d, const struct policy_class *class, unsigned actions)
{
    struct policy_mark mark = policy_language_mark(d->study.language);
    struct news *news = actions == 0 ? NULL : calloc(1, sizeof *news);

    if (actions == 0)
        return RC_OK;
    if (news == NULL)
        return fault(RC_NOMEM, "changes of a policy");
    enum rc rc = look_at(d, class, actions, news);
    free(news);
    if (rc == RC_OK)
        policy_language_return(d->study.language, mark);
    return rc;
}

/* ---- What changed at all ---- */

static const struct bytes NOBODY = { NULL, 0 };

/* One principal's rules in both policies, for this class. */
static enum rc touch(const struct walk *walk, enum policy_principal principal,
                     struct bytes named, const struct policy_class *class, struct touch *touch)
{
    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        struct policy_part parts[POLICY_SIDES];
        for (size_t side = 0; side < POLICY_SIDES; side++) {
            TRY(policy_parts_of(walk->d->parts[side], principal, named, class,
                                policy_subject_of(action), &parts[side]));
            touch->allows |= (unsigned)parts[side].allows << action;
            touch->denies |= (unsigned)parts[side].denies << action;
            touch->obliges |= (unsigned)parts[side].obliges << action;
        }
        if (!policy_language_equal(parts[POLICY_OLD].map, parts[POLICY_NEW].map))
            touch->changed |= 1U << action;
    }
    return RC_OK;
}

static enum rc touch_all(struct walk *walk)
{
    const struct policy_kind kind = policy_kind_of(walk->asker);
    const struct policy_class any = { .asker = walk->asker };
    struct touch all = { 0 };
    void *at = NULL;

    TRY(touch(walk, POLICY_ANYONE, NOBODY, &any, &all));
    TRY(touch(walk, kind.any, NOBODY, &any, &all));
    walk->changed = all.changed;
    TRY(policy_arena_take(&walk->d->study.arena, walk->groups->count * sizeof *walk->touches,
                          &at));
    walk->touches = at;
    for (size_t g = 0; g < walk->groups->count; g++)
        TRY(touch(walk, kind.group, walk->groups->at[g], &any, &walk->touches[g]));
    return RC_OK;
}

/* The one allows; the other one's denials changed. Or the one has a limit, and the other one's
 * now stands before it, or behind; or the one obliges, and who allows all of a filter changed.
 */
static unsigned pair_of(const struct walk *walk, const struct touch *a, const struct touch *b)
{
    unsigned pair = (a->allows & b->changed & b->denies) | (b->allows & a->changed & a->denies);

    if (walk->d->meters.moved)
        pair |= a->obliges & b->obliges & (a->changed | b->changed);
    return pair |
           (1U << POLICY_SUBSCRIBE & ((a->obliges & b->changed) | (b->obliges & a->changed)));
}

/* An operator has one role. */
static enum rc look_at_pairs(const struct walk *walk, struct bytes name)
{
    for (size_t g = 0; walk->asker == POLICY_BY_DEVICE && g < walk->groups->count; g++) {
        for (size_t h = g + 1; h < walk->groups->count; h++) {
            const struct bytes two[] = { walk->groups->at[g], walk->groups->at[h] };
            const struct policy_class class = { walk->asker, name, two, 2, NULL };
            TRY(look(walk->d, &class, pair_of(walk, &walk->touches[g], &walk->touches[h])));
        }
    }
    return RC_OK;
}

static enum rc look_at_any(const struct walk *walk)
{
    const struct policy_class any = { .asker = walk->asker };

    TRY(look(walk->d, &any, walk->changed));
    for (size_t g = 0; g < walk->groups->count; g++) {
        const struct policy_class class = { walk->asker, NOBODY, &walk->groups->at[g], 1,
                                            NULL };
        TRY(look(walk->d, &class, walk->changed | walk->touches[g].changed));
    }
    return look_at_pairs(walk, NOBODY);
}

/* ---- Names ---- */

/* What the policies say of the name itself, and of the groups that they put it in: if these are
 * not the same, that changed. */
static enum rc touch_name(const struct walk *walk, const struct policy_class *class,
                          struct touch *own)
{
    TRY(touch(walk, policy_kind_of(walk->asker).one, class->name, class, own));
    for (size_t side = 0; walk->asker == POLICY_BY_DEVICE && side < POLICY_SIDES; side++) {
        struct policy_members members = policy_parts_members(walk->d->rules[side], class->name);
        for (size_t i = 0; i < members.count; i++) {
            struct touch group = { 0 };
            TRY(touch(walk, POLICY_GROUP, members.at[i].group, class, &group));
            own->allows |= group.allows;
            own->denies |= group.denies;
            own->obliges |= group.obliges;
            own->changed |= group.changed | group.allows | group.denies;
        }
    }
    return RC_OK;
}

static enum rc look_at_name(const struct walk *walk, const struct policy_special *special)
{
    const struct policy_class class = { .asker = walk->asker, .name = special->name };
    struct policy_mark mark = policy_language_mark(walk->d->study.language);
    struct touch own = { 0 };
    unsigned groups = 0;

    TRY(touch_name(walk, &class, &own));
    policy_language_return(walk->d->study.language, mark);
    TRY(look(walk->d, &class, walk->changed | own.changed));
    for (size_t g = 0; g < walk->groups->count; g++) {
        const struct policy_class in = { walk->asker, special->name, &walk->groups->at[g], 1,
                                         NULL };
        unsigned actions = pair_of(walk, &own, &walk->touches[g]);
        if (special->coincides)
            actions |= walk->changed | own.changed | walk->touches[g].changed;
        groups |= walk->touches[g].changed;
        TRY(look(walk->d, &in, actions));
    }
    return special->coincides && groups != 0 ? look_at_pairs(walk, special->name) : RC_OK;
}

enum rc policy_diff_asker(struct policy_differ *d, enum policy_asker asker,
                          const struct policy_specials *specials,
                          const struct policy_names *groups)
{
    struct walk walk = { .d = d, .asker = asker, .groups = groups };

    TRY(touch_all(&walk));
    TRY(look_at_any(&walk));
    for (size_t i = 0; i < specials->count; i++)
        TRY(look_at_name(&walk, &specials->at[i]));
    return RC_OK;
}
