#include "policy/parts.h"

#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

/* What was made of a part before, for a name that is any. */
struct kept {
    struct policy_topics plain, symbols;
    bool is_made;
};

/* The rules of one principal: places in order. */
struct range {
    enum policy_principal principal;
    struct bytes name;
    size_t first, count;
    bool has_symbols;
    struct kept *kept; /* one for each slot; of anyone, for each kind of asker */
};

struct policy_parts {
    const struct policy_rules *rules;
    struct policy_workshop workshop;
    uint32_t *order;
    size_t order_count;
    struct range *ranges;
    size_t range_count;
    uint32_t *guard_of; /* of each condition: its number and 1 */
};

enum choice { PLAIN = 1, SYMBOLS = 2 };

/* ---- Kinds ---- */

struct policy_kind policy_kind_of(enum policy_asker asker)
{
    static const struct policy_kind KINDS[POLICY_ASKERS] = {
        [POLICY_BY_DEVICE] = { POLICY_ANY_DEVICE, POLICY_ONE_DEVICE, POLICY_GROUP },
        [POLICY_BY_OPERATOR] = { POLICY_ANY_OPERATOR, POLICY_ONE_OPERATOR, POLICY_ROLE },
        [POLICY_BY_LINE] = { POLICY_ANY_LINE, POLICY_ONE_LINE, POLICY_PRINCIPALS },
        [POLICY_BY_SINK] = { POLICY_ANY_SINK, POLICY_ONE_SINK, POLICY_PRINCIPALS },
    };

    return KINDS[asker];
}

static struct bytes name_of(const struct policy_facts *facts)
{
    switch (facts->asker) {
    case POLICY_BY_DEVICE:
        return facts->device_id;
    case POLICY_BY_OPERATOR:
        return facts->operator_id;
    case POLICY_BY_LINE:
        return facts->line_id;
    case POLICY_BY_SINK:
        break;
    }
    return facts->sink_name;
}

struct policy_class policy_class_of(const struct policy_facts *facts, struct policy_view *view)
{
    struct policy_class class = { .asker = facts->asker, .name = name_of(facts), .view = view };

    *view = (struct policy_view){ .facts = facts };
    if (facts->asker == POLICY_BY_DEVICE) {
        class.groups = facts->groups;
        class.group_count = facts->group_count;
    } else if (facts->asker == POLICY_BY_OPERATOR && facts->operator_role.len > 0) {
        class.groups = &facts->operator_role;
        class.group_count = 1;
    }
    return class;
}

struct policy_subject policy_subject_of(enum policy_action action)
{
    unsigned actions = 1U << action;

    if (action == POLICY_RECEIVE)
        actions |= 1U << POLICY_SUBSCRIBE;
    return (struct policy_subject){ action, actions };
}

/* ---- The index ---- */

static const struct policy_rule *rule_at(const struct policy_parts *parts, size_t place)
{
    return &parts->rules->at[parts->order[place]];
}

static int compare_who(enum policy_principal a_kind, struct bytes a,
                       enum policy_principal b_kind, struct bytes b)
{
    if (a_kind != b_kind)
        return a_kind < b_kind ? -1 : 1;
    return bytes_compare(a, b);
}

static int compare_rules(const void *left, const void *right, void *with)
{
    const struct policy_rules *rules = with;
    uint32_t a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    int order = compare_who(rules->at[a].principal, rules->at[a].name, rules->at[b].principal,
                            rules->at[b].name);
    return order != 0 ? order : (a > b) - (a < b);
}

static bool has_symbol(const struct policy_rule *rule)
{
    return rule->filter.len > 1 && memmem(rule->filter.at, rule->filter.len, "${", 2) != NULL;
}

static void add_ranges(struct policy_parts *parts)
{
    for (size_t i = 0; i < parts->order_count; i++) {
        const struct policy_rule *rule = rule_at(parts, i);
        struct range *last =
            parts->range_count == 0 ? NULL : &parts->ranges[parts->range_count - 1];
        if (last == NULL ||
            compare_who(last->principal, last->name, rule->principal, rule->name) != 0) {
            last = &parts->ranges[parts->range_count++];
            *last = (struct range){ rule->principal, rule->name, i, 0, false, NULL };
        }
        last->count++;
        last->has_symbols = last->has_symbols || has_symbol(rule);
    }
}

enum rc policy_parts_new(const struct policy_rules *rules, const bool *only,
                         struct policy_workshop workshop, struct policy_parts **parts)
{
    AUTO_OF(policy_parts) *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    made->rules = rules;
    made->workshop = workshop;
    made->order = calloc(rules->count + 1, sizeof *made->order);
    made->ranges = calloc(rules->count + 1, sizeof *made->ranges);
    made->guard_of = calloc(rules->condition_count + 1, sizeof *made->guard_of);
    if (made->order == NULL || made->ranges == NULL || made->guard_of == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    for (uint32_t i = 0; i < rules->count; i++)
        if (only == NULL || only[i])
            made->order[made->order_count++] = i;
    qsort_r(made->order, made->order_count, sizeof *made->order, compare_rules,
            (void *)(uintptr_t)rules);
    add_ranges(made);
    *parts = TAKE(made);
    return RC_OK;
}

void policy_parts_free(struct policy_parts *parts)
{
    if (parts == NULL)
        return;
    for (size_t i = 0; i < parts->range_count; i++)
        free(parts->ranges[i].kept);
    free(parts->ranges);
    free(parts->order);
    free(parts->guard_of);
    free(parts);
}

static struct range *find_range(const struct policy_parts *parts,
                                enum policy_principal principal, struct bytes name)
{
    size_t low = 0, high = parts->range_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct range *range = &parts->ranges[middle];
        int order = compare_who(range->principal, range->name, principal, name);
        if (order == 0)
            return range;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

enum rc policy_parts_names(const struct policy_parts *parts, enum policy_principal principal,
                           enum rc (*each)(void *with, struct bytes name), void *with)
{
    for (size_t i = 0; i < parts->range_count; i++)
        if (parts->ranges[i].principal == principal)
            TRY(each(with, parts->ranges[i].name));
    return RC_OK;
}

/* ---- What is known ---- */

static enum policy_truth truth_of_test(const struct policy_rules *rules,
                                       const struct policy_condition *test,
                                       const struct policy_knowledge *knowledge)
{
    struct policy_value fact = knowledge->value(knowledge->with, test->fact);

    return fact.type == POLICY_UNKNOWN ? POLICY_PERHAPS
                                       : policy_condition_test(rules, test, &fact);
}

enum policy_truth policy_parts_truth(const struct policy_rules *rules, uint32_t condition,
                                     const struct policy_knowledge *knowledge)
{
    if (condition == POLICY_ALWAYS)
        return POLICY_YES;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST)
        return truth_of_test(rules, c, knowledge);
    enum policy_truth left = policy_parts_truth(rules, c->left, knowledge);
    if (c->kind == POLICY_NOT)
        return left == POLICY_PERHAPS ? left : left == POLICY_YES ? POLICY_NO : POLICY_YES;
    enum policy_truth right = policy_parts_truth(rules, c->right, knowledge);
    enum policy_truth decides = c->kind == POLICY_AND ? POLICY_NO : POLICY_YES;
    if (left == decides || right == decides)
        return decides;
    return left == POLICY_PERHAPS ? left : right;
}

/* ---- Resources ---- */

/* A level while facts are put into it. */
struct level {
    struct bytes left;
    bool open, first;
};

/* A fact that is put in, one that stays a symbol, or one that nobody knows. */
static void add_fact(const struct policy_class *class, struct bytes symbol, struct level *level,
                     struct buf *resource)
{
    struct bytes name = { symbol.at + 2, symbol.len - 3 };
    enum policy_fact fact = policy_fact_by_name(name);
    struct bytes value = { NULL, 0 };

    if (fact == policy_fact_of(policy_kind_of(class->asker).one)) {
        buf_add(resource, class->name.len > 0 ? class->name : symbol);
        return;
    }
    if (class->view != NULL)
        value = policy_view_fact(class->view, fact).text;
    level->open = level->open || value.at == NULL;
    buf_add(resource, value.at == NULL ? symbol : value);
}

/* With what nobody knows it may be any level; but whether it begins with `$` is written. */
static void bind_level(const struct policy_class *class, struct level *level, bool *open,
                       struct buf *resource)
{
    size_t start = resource->len;
    bool system = level->first && level->left.len > 1 && level->left.at[0] == '$' &&
                  level->left.at[1] != '{';

    while (level->left.len > 0) {
        const uint8_t *end = bytes_start_with(level->left, BYTES("${"))
                                 ? memchr(level->left.at, '}', level->left.len)
                                 : NULL;
        struct bytes part = { level->left.at,
                              end == NULL ? 1 : (size_t)(end - level->left.at) + 1 };
        if (end == NULL)
            buf_add(resource, part);
        else
            add_fact(class, part, level, resource);
        level->left = (struct bytes){ level->left.at + part.len, level->left.len - part.len };
    }
    *open = *open || level->open;
    if (level->open && !resource->broken) {
        buf_cut(resource, start);
        buf_add(resource, system ? POLICY_ANY_SYSTEM : BYTES("+"));
    }
}

enum rc policy_parts_bind(const struct policy_rule *rule, const struct policy_class *class,
                          struct buf *resource, bool *open)
{
    struct policy_levels levels = policy_topic_levels(rule->filter);
    struct bytes done;

    *open = false;
    if (rule->filter.len == 0)
        buf_add(resource, BYTES("#"));
    for (bool first = true; rule->filter.len > 0 && levels.more; first = false) {
        struct level level = { policy_topic_next(&levels), false, first };
        if (!first)
            buf_add(resource, BYTES("/"));
        bind_level(class, &level, open, resource);
    }
    return buf_done(resource, &done);
}

/* ---- Maps ---- */

static enum rc find_guard(struct policy_parts *parts, uint32_t condition, struct bytes resource,
                          uint32_t *guard)
{
    const struct policy_guard made = { parts->rules, condition, resource };

    *guard = POLICY_SURE;
    if (condition == POLICY_ALWAYS && resource.len == 0)
        return RC_OK;
    if (condition == POLICY_ALWAYS || resource.len > 0)
        return policy_verdicts_guard(parts->workshop.verdicts, &made, guard);
    if (parts->guard_of[condition] == 0) {
        TRY(policy_verdicts_guard(parts->workshop.verdicts, &made, guard));
        parts->guard_of[condition] = *guard + 1;
    }
    *guard = parts->guard_of[condition] - 1;
    return RC_OK;
}

/* As the class sees the rule; truth NO: it cannot apply. */
static enum rc find_voice(struct policy_parts *parts, uint32_t place,
                          const struct policy_class *class, bool open, uint32_t *colour)
{
    const struct policy_rule *rule = &parts->rules->at[place];
    struct policy_verdicts *verdicts = parts->workshop.verdicts;
    struct policy_voice voice = { rule->effect, POLICY_SURE, POLICY_NO_RULE, 0 };
    uint32_t condition = rule->condition;

    *colour = 0;
    if (class->view != NULL && condition != POLICY_ALWAYS) {
        struct policy_knowledge knowledge = policy_view_knowledge(class->view);
        enum policy_truth truth = policy_parts_truth(parts->rules, condition, &knowledge);
        if (truth == POLICY_NO)
            return RC_OK;
        condition = truth == POLICY_YES ? POLICY_ALWAYS : condition;
    }
    TRY(find_guard(parts, condition, open ? rule->filter : (struct bytes){ NULL, 0 },
                   &voice.guard));
    if (parts->workshop.by_rule)
        voice.rule = place;
    else if (rule->effect == POLICY_ALLOW)
        TRY(policy_verdicts_duties(verdicts, &rule->obligations, &voice.duties));
    return policy_verdicts_voice(verdicts, &voice, colour);
}

static enum rc add_rule(struct policy_parts *parts, uint32_t place,
                        const struct policy_class *class, struct policy_topics *topics)
{
    AUTO_BUF(resource, 2 * POLICY_TOPIC_MAX);
    const struct policy_rule *rule = &parts->rules->at[place];
    uint32_t colour = 0;
    bool open = false;

    TRY(policy_parts_bind(rule, class, &resource, &open));
    TRY(find_voice(parts, place, class, open, &colour));
    *topics = policy_language_none();
    if (colour == 0)
        return RC_OK;
    return policy_language_filter(parts->workshop.language, buf_bytes(&resource), true, colour,
                                  topics);
}

static bool is_chosen(const struct policy_rule *rule, unsigned actions, unsigned choice)
{
    return rule->actions & actions && choice & (has_symbol(rule) ? SYMBOLS : PLAIN);
}

static enum rc make_map(struct policy_parts *parts, const struct range *range,
                        const struct policy_class *class, unsigned actions, unsigned choice,
                        struct policy_topics *map)
{
    const struct policy_language_op op = policy_verdicts_both(parts->workshop.verdicts);
    struct policy_topics *all = calloc(range->count, sizeof *all);
    enum rc rc = all == NULL ? fault(RC_NOMEM, "rules of a policy") : RC_OK;
    size_t count = 0;

    for (size_t i = range->first; rc == RC_OK && i < range->first + range->count; i++)
        if (is_chosen(rule_at(parts, i), actions, choice))
            rc = add_rule(parts, parts->order[i], class, &all[count++]);
    if (rc == RC_OK)
        rc = policy_language_fold(parts->workshop.language, &op, all, count, map);
    free(all);
    return rc;
}

static struct kept *kept_of(const struct range *range, enum policy_asker asker,
                            struct policy_subject subject)
{
    bool by_asker = range->principal == POLICY_ANYONE;

    return range->kept == NULL
               ? NULL
               : &range->kept[subject.slot + (by_asker ? POLICY_SLOTS * asker : 0)];
}

static enum rc keep_map(struct policy_parts *parts, struct range *range,
                        const struct policy_class *any, struct policy_subject subject)
{
    size_t slots =
        range->principal == POLICY_ANYONE ? (size_t)POLICY_SLOTS * POLICY_ASKERS : POLICY_SLOTS;

    if (range->kept == NULL)
        range->kept = calloc(slots, sizeof *range->kept);
    if (range->kept == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    struct kept *kept = kept_of(range, any->asker, subject);
    if (kept->is_made)
        return RC_OK;
    TRY(make_map(parts, range, any, subject.actions, PLAIN, &kept->plain));
    TRY(make_map(parts, range, any, subject.actions, SYMBOLS, &kept->symbols));
    kept->is_made = true;
    return RC_OK;
}

enum rc policy_parts_keep(struct policy_parts *parts, enum policy_asker asker,
                          struct policy_subject subject)
{
    const struct policy_kind kind = policy_kind_of(asker);
    const struct policy_class any = { .asker = asker };

    for (size_t i = 0; i < parts->range_count; i++) {
        struct range *range = &parts->ranges[i];
        if (range->principal == POLICY_ANYONE || range->principal == kind.any ||
            range->principal == kind.group)
            TRY(keep_map(parts, range, &any, subject));
    }
    return RC_OK;
}

/* Without facts and with them, apart: the first are kept, and large. */
static enum rc find_maps(struct policy_parts *parts, struct range *range,
                         const struct policy_class *class, struct policy_subject subject,
                         struct policy_topics *plain, struct policy_topics *symbols)
{
    const struct kept *kept = kept_of(range, class->asker, subject);

    *symbols = policy_language_none();
    if (class->view != NULL || kept == NULL || !kept->is_made)
        return make_map(parts, range, class, subject.actions, PLAIN | SYMBOLS, plain);
    *plain = kept->plain;
    *symbols = kept->symbols;
    if (class->name.len > 0 && range->has_symbols)
        TRY(make_map(parts, range, class, subject.actions, SYMBOLS, symbols));
    return RC_OK;
}

enum rc policy_parts_within(struct policy_parts *parts, enum policy_principal principal,
                            struct bytes named, const struct policy_class *class,
                            struct policy_subject subject, struct policy_topics set,
                            struct policy_topics *map)
{
    const struct policy_language_op op = policy_verdicts_both(parts->workshop.verdicts);
    struct policy_language *language = parts->workshop.language;
    struct range *range = find_range(parts, principal, named);
    struct policy_topics plain, symbols;

    *map = policy_language_none();
    if (range == NULL)
        return RC_OK;
    TRY(find_maps(parts, range, class, subject, &plain, &symbols));
    TRY(policy_language_restrict(language, set, plain, &plain));
    TRY(policy_language_restrict(language, set, symbols, &symbols));
    return policy_language_apply(language, &op, plain, symbols, map);
}

enum rc policy_parts_of(struct policy_parts *parts, enum policy_principal principal,
                        struct bytes named, const struct policy_class *class,
                        struct policy_subject subject, struct policy_part *part)
{
    const struct policy_language_op op = policy_verdicts_both(parts->workshop.verdicts);
    struct range *range = find_range(parts, principal, named);
    struct policy_part made = { .map = policy_language_none() };
    struct policy_topics plain, symbols;

    for (size_t i = 0; range != NULL && i < range->count; i++) {
        const struct policy_rule *rule = rule_at(parts, range->first + i);
        if (!(rule->actions & subject.actions))
            continue;
        made.allows = made.allows || rule->effect == POLICY_ALLOW;
        made.denies = made.denies || rule->effect == POLICY_DENY;
    }
    if (made.allows || made.denies) {
        TRY(find_maps(parts, range, class, subject, &plain, &symbols));
        TRY(policy_language_apply(parts->workshop.language, &op, plain, symbols, &made.map));
    }
    *part = made;
    return RC_OK;
}

/* ---- All that speaks for a class ---- */

static enum rc add_part(struct policy_parts *parts, enum policy_principal principal,
                        struct bytes named, const struct policy_class *class,
                        struct policy_subject subject, struct policy_topics *map)
{
    const struct policy_language_op op = policy_verdicts_both(parts->workshop.verdicts);
    struct policy_part part;

    TRY(policy_parts_of(parts, principal, named, class, subject, &part));
    return policy_language_apply(parts->workshop.language, &op, *map, part.map, map);
}

static int compare_devices(const void *left, const void *right)
{
    const struct policy_member *a = left, *b = right;

    return bytes_compare(a->device, b->device);
}

struct policy_members policy_parts_members(const struct policy_rules *rules,
                                           struct bytes device)
{
    const struct policy_member wanted = { .device = device }, *found = NULL;
    size_t first = 0, end = 0;

    if (rules->member_count > 0)
        found = bsearch(&wanted, rules->members, rules->member_count, sizeof wanted,
                        compare_devices);
    if (found == NULL)
        return (struct policy_members){ NULL, 0 };
    first = end = (size_t)(found - rules->members);
    while (first > 0 && bytes_equal(rules->members[first - 1].device, device))
        first--;
    while (end < rules->member_count && bytes_equal(rules->members[end].device, device))
        end++;
    return (struct policy_members){ &rules->members[first], end - first };
}

static enum rc add_members(struct policy_parts *parts, const struct policy_class *class,
                           struct policy_subject subject, struct policy_topics *map)
{
    const struct policy_members members = policy_parts_members(parts->rules, class->name);

    for (size_t i = 0; i < members.count; i++)
        TRY(add_part(parts, POLICY_GROUP, members.at[i].group, class, subject, map));
    return RC_OK;
}

enum rc policy_parts_map(struct policy_parts *parts, const struct policy_class *class,
                         struct policy_subject subject, struct policy_topics *map)
{
    const struct policy_kind kind = policy_kind_of(class->asker);
    static const struct bytes NOBODY = { NULL, 0 };
    struct policy_topics made = policy_language_none();

    TRY(add_part(parts, POLICY_ANYONE, NOBODY, class, subject, &made));
    TRY(add_part(parts, kind.any, NOBODY, class, subject, &made));
    if (class->name.len > 0)
        TRY(add_part(parts, kind.one, class->name, class, subject, &made));
    for (size_t i = 0; kind.group != POLICY_PRINCIPALS && i < class->group_count; i++)
        TRY(add_part(parts, kind.group, class->groups[i], class, subject, &made));
    if (class->asker == POLICY_BY_DEVICE && class->name.len > 0)
        TRY(add_members(parts, class, subject, &made));
    *map = made;
    return RC_OK;
}
