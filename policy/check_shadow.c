#include "policy/check.h"
#include "policy/duty.h"
#include "policy/explain.h"
#include "policy/posting.h"

#include <stdlib.h>
#include <string.h>

/* ---- Who it is for ---- */

/* Every class that the rule is for: what is said of all in it counts, no more. */
static struct policy_class class_of(const struct policy_rule *rule, bool *named)
{
    struct policy_class class = { .asker = POLICY_BY_DEVICE };

    *named = false;
    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++) {
        const struct policy_kind kind = policy_kind_of((enum policy_asker)asker);
        if (rule->principal != kind.any && rule->principal != kind.one &&
            rule->principal != kind.group)
            continue;
        class.asker = (enum policy_asker)asker;
        *named = rule->principal == kind.one;
    }
    if (*named)
        class.name = rule->name;
    return class;
}

static struct policy_subject subject_of(const struct policy_rule *rule)
{
    enum policy_resource kind =
        policy_action_resource((enum policy_action)__builtin_ctz(rule->actions));
    struct policy_subject subject = { .slot = kind };

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++)
        if (policy_action_resource(action) == kind)
            subject.actions |= 1U << action;
    return subject;
}

/* ---- What others say of its topics ---- */

struct looking {
    struct policy_checker *checker;
    uint32_t place;
    const struct policy_rule *rule;
    struct policy_class class;
    struct policy_subject subject;
    struct policy_topics set, map;
    uint32_t guard;
};

static enum rc add_part(struct looking *looking, enum policy_principal principal,
                        struct bytes name)
{
    struct policy_checker *checker = looking->checker;
    const struct policy_language_op op = policy_verdicts_both(checker->study.verdicts);
    struct policy_topics part;

    TRY(policy_parts_within(checker->parts, principal, name, &looking->class, looking->subject,
                            looking->set, &part));
    return policy_language_apply(checker->study.language, &op, looking->map, part,
                                 &looking->map);
}

static enum rc add_parts(struct looking *looking, bool named)
{
    static const struct bytes NOBODY = { NULL, 0 };
    const struct policy_kind kind = policy_kind_of(looking->class.asker);
    const struct policy_rule *rule = looking->rule;
    struct policy_members members = { NULL, 0 };

    TRY(add_part(looking, POLICY_ANYONE, NOBODY));
    if (rule->principal == POLICY_ANYONE)
        return RC_OK;
    TRY(add_part(looking, kind.any, NOBODY));
    if (rule->principal != kind.any)
        TRY(add_part(looking, rule->principal, rule->name));
    if (named && looking->class.asker == POLICY_BY_DEVICE)
        members = policy_parts_members(looking->checker->rules, rule->name);
    for (size_t i = 0; i < members.count; i++)
        TRY(add_part(looking, POLICY_GROUP, members.at[i].group));
    return RC_OK;
}

static enum rc find_set(struct looking *looking)
{
    AUTO_BUF(resource, 2 * POLICY_TOPIC_MAX);
    bool open = false;

    TRY(policy_parts_bind(looking->rule, &looking->class, &resource, &open));
    const struct policy_guard guard = { looking->checker->rules, looking->rule->condition,
                                        open ? looking->rule->filter
                                             : (struct bytes){ NULL, 0 } };
    TRY(policy_verdicts_guard(looking->checker->study.verdicts, &guard, &looking->guard));
    return policy_language_filter(looking->checker->study.language, buf_bytes(&resource), true,
                                  1, &looking->set);
}

/* ---- What is left for it to do ---- */

enum left { LEFT, LEFT_BY_PERMITS, LEFT_BY_DENIALS };

/* Does another one, whose limit is alike and counts other acts, stand between both? */
static bool is_between(const struct looking *looking, struct policy_voices voices,
                       uint32_t later)
{
    const struct policy_checker *checker = looking->checker;
    const struct policy_meter *meters = checker->meters.of[0];

    for (size_t i = 0; i < voices.count; i++) {
        uint32_t rule = voices.at[i].rule;
        if (voices.at[i].effect == POLICY_ALLOW && !checker->gone[rule] &&
            rule > looking->place && rule < later &&
            meters[rule].what != meters[looking->place].what &&
            policy_duty_is_alike(&checker->rules->at[rule].obligations,
                                 &looking->rule->obligations))
            return true;
    }
    return false;
}

/* Is what the rule's limit counts here counted the same without it? Its own is of no account if
 * the other's is slower, or alike and in front of it. */
static bool is_counted(const struct looking *looking, struct policy_voices voices,
                       uint32_t other)
{
    const struct policy_rules *rules = looking->checker->rules;
    const struct policy_meter *meters = looking->checker->meters.of[0];
    const struct policy_obligations *own = &looking->rule->obligations;

    return own->rate == 0 || policy_duty_is_slower(&rules->at[other].obligations, own) ||
           other < looking->place || rules->at[other].number == looking->rule->number ||
           (meters[other].what == meters[looking->place].what &&
            !is_between(looking, voices, other));
}

/* Does the other one do for this action what the rule does? */
static bool is_cover(const struct looking *looking, struct policy_voices voices,
                     const struct policy_voice *voice, enum policy_action action)
{
    const struct policy_checker *checker = looking->checker;
    const struct policy_rule *other = &checker->rules->at[voice->rule];

    if (voice->rule == looking->place || checker->gone[voice->rule] ||
        !(other->actions & policy_subject_of(action).actions) ||
        (voice->guard != POLICY_SURE && voice->guard != looking->guard))
        return false;
    if (voice->effect == POLICY_DENY) /* of a permit, it takes all away */
        return looking->rule->effect == POLICY_ALLOW || voice->rule < looking->place ||
               !looking->rule->obligations.log_full || other->obligations.log_full;
    return looking->rule->effect == POLICY_ALLOW &&
           policy_duty_is_as_strict(&other->obligations, &looking->rule->obligations) &&
           is_counted(looking, voices, voice->rule);
}

/* Denials first: of what is denied anyhow, nothing is allowed. */
static const struct policy_voice *find_cover(const struct looking *looking,
                                             struct policy_voices voices,
                                             enum policy_action action)
{
    const struct policy_voice *found = NULL;

    for (size_t i = 0; i < voices.count; i++)
        if (is_cover(looking, voices, &voices.at[i], action) &&
            (found == NULL || voices.at[i].effect == POLICY_DENY))
            found = &voices.at[i];
    return found;
}

enum { COVERS_MAX = 4, WHOLE_MAX = 64 };

struct judged {
    struct looking *looking;
    bool alive, permits, denials; /* some of it is left to do; is done by such others */
    size_t count;
    struct cover {
        struct policy_where where;
        bool denies;
    } covers[COVERS_MAX + 1];
    /* Of subscriptions: rules that allow all of it, and does any that has to do with it oblige?
     */
    size_t whole_count;
    uint32_t whole[WHOLE_MAX];
    bool in_parts, obliges;
};

static void add_cover(struct judged *judged, const struct policy_voice *voice)
{
    const struct policy_where where =
        policy_describe_rule(judged->looking->checker->rules, voice->rule);

    if (voice->effect == POLICY_DENY)
        judged->denials = true;
    else
        judged->permits = true;
    for (size_t i = 0; i < judged->count; i++)
        if (judged->covers[i].where.rule == where.rule)
            return;
    size_t place = judged->count;
    if (judged->count <= COVERS_MAX)
        judged->count++;
    else
        place = COVERS_MAX; /* "and others" */
    for (; place > 0 && judged->covers[place - 1].where.rule > where.rule; place--)
        judged->covers[place] = judged->covers[place - 1];
    judged->covers[place] = (struct cover){ where, voice->effect == POLICY_DENY };
}

/* All of a filter must be allowed by one rule, for its obligations alone to be asked for: those
 * that were for all so far must be for this, too. */
static void look_for_whole(struct judged *judged, struct policy_voices voices)
{
    const struct looking *looking = judged->looking;
    size_t kept = 0, most = judged->in_parts ? judged->whole_count : voices.count;

    for (size_t i = 0; i < most && kept < WHOLE_MAX; i++) {
        uint32_t rule = judged->in_parts ? judged->whole[i] : voices.at[i].rule;
        bool found = false;
        for (size_t v = 0; !found && v < voices.count; v++)
            found = voices.at[v].rule == rule && voices.at[v].effect == POLICY_ALLOW &&
                    is_cover(looking, voices, &voices.at[v], POLICY_SUBSCRIBE);
        if (found)
            judged->whole[kept++] = rule;
    }
    judged->whole_count = kept;
    judged->in_parts = true;
}

static void look_at_subscriptions(struct judged *judged, struct policy_voices voices)
{
    const struct policy_checker *checker = judged->looking->checker;

    if (judged->looking->rule->effect != POLICY_ALLOW)
        return;
    for (size_t i = 0; !judged->obliges && i < voices.count; i++) {
        const struct policy_rule *rule = &checker->rules->at[voices.at[i].rule];
        judged->obliges = rule->effect == POLICY_ALLOW && !checker->gone[voices.at[i].rule] &&
                          rule->actions & 1U << POLICY_SUBSCRIBE &&
                          policy_posting_obliges(&rule->obligations);
    }
    look_for_whole(judged, voices);
}

static enum rc judge_colour(void *with, uint32_t colour)
{
    struct judged *judged = with;
    const struct looking *looking = judged->looking;
    struct policy_voices voices = policy_verdicts_get(looking->checker->study.verdicts, colour);

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        if (!(looking->rule->actions & 1U << action))
            continue;
        const struct policy_voice *cover = find_cover(looking, voices, action);
        if (cover == NULL)
            judged->alive = true;
        else
            add_cover(judged, cover);
        if (action == POLICY_SUBSCRIBE && cover != NULL && cover->effect == POLICY_ALLOW)
            look_at_subscriptions(judged, voices);
    }
    return RC_OK;
}

/* ---- Telling ---- */

static void add_lines(const struct judged *judged, bool only_denials, struct buf *text)
{
    uint32_t own = judged->looking->rule->number;
    const char *comma = "";

    for (size_t i = 0; i < judged->count && i < COVERS_MAX; i++) {
        const struct cover *cover = &judged->covers[i];
        if (only_denials && !cover->denies)
            continue;
        buf_addf(text, "%s", comma);
        comma = ", ";
        if (cover->where.rule == own)
            buf_addf(text, "another part of this rule");
        else
            policy_describe_write_where(&cover->where, text);
    }
    if (judged->count > COVERS_MAX)
        buf_addf(text, "%s", *comma == '\0' ? "others" : " and others");
}

static bool is_part_for_others(const struct policy_rule *part, const struct policy_rule *rule)
{
    return part->principal != rule->principal || !bytes_equal(part->name, rule->name);
}

/* Of a rule that is for several, what holds of one of them is not to be read as of all. The
 * parts of a rule lie together, those for one of them, too. */
static bool is_for_others(const struct policy_rules *rules, uint32_t place)
{
    const struct policy_rule *rule = &rules->at[place];

    for (uint32_t at = place; at-- > 0 && rules->at[at].number == rule->number;)
        if (is_part_for_others(&rules->at[at], rule))
            return true;
    for (uint32_t at = place + 1; at < rules->count && rules->at[at].number == rule->number;
         at++)
        if (is_part_for_others(&rules->at[at], rule))
            return true;
    return false;
}

static enum rc tell_shadow(const struct judged *judged)
{
    const struct looking *looking = judged->looking;
    bool allow = looking->rule->effect == POLICY_ALLOW;
    bool never = allow && !judged->permits;
    AUTO_BUF(text, 4096);

    if (is_for_others(looking->checker->rules, looking->place)) {
        buf_addf(&text, "for ");
        policy_explain_principal(looking->rule, &text);
        buf_addf(&text, ": ");
    }
    if (never)
        buf_addf(&text, "it never applies: all of it is denied by ");
    else if (judged->denials && allow)
        buf_addf(&text, "all of it is allowed, or denied anyhow, by ");
    else
        buf_addf(&text, "all of it is %s by ", allow ? "allowed" : "denied");
    add_lines(judged, false, &text);
    return policy_check_add(looking->checker, never ? POLICY_NEVER : POLICY_SHADOWED, never,
                            looking->place, looking->rule->filter, &text);
}

/* ---- What denials leave of a wildcard ---- */

static enum rc is_left(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    const struct looking *looking = with;
    struct policy_voices voices = policy_verdicts_get(looking->checker->study.verdicts, right);

    *made = 0;
    for (enum policy_action action = 0; left != 0 && action < POLICY_ACTIONS; action++) {
        if (!(looking->rule->actions & 1U << action))
            continue;
        const struct policy_voice *cover = find_cover(looking, voices, action);
        if (cover == NULL || cover->effect != POLICY_DENY)
            *made = 1;
    }
    return RC_OK;
}

enum { LEFT_MAX = 3 };

static enum rc add_piece(void *with, const struct policy_piece *piece)
{
    struct buf *text = with;

    if (piece->except_count > 0)
        return fault(RC_LIMIT, "no simple filter");
    buf_addf(text, text->len == 0 ? "\"" : ", \"");
    buf_add(text, piece->filter);
    buf_addf(text, "\"");
    return RC_OK;
}

/* Only where filters say it better: else the rule and its denials are how it is said. */
static enum rc tell_rest(struct looking *looking, const struct judged *judged)
{
    struct policy_study *study = &looking->checker->study;
    const struct policy_language_op op = { is_left, looking, POLICY_ZERO_STAYS,
                                           POLICY_ZERO_STAYS, POLICY_SAME_ASKED };
    struct policy_topics rest;
    AUTO_BUF(filters, 4096);
    AUTO_BUF(text, 8192);

    TRY(policy_language_apply(study->language, &op, looking->set, looking->map, &rest));
    enum rc rc = policy_language_describe(study->language, rest, LEFT_MAX, add_piece, &filters);
    if (rc == RC_LIMIT || policy_language_equal(rest, looking->set))
        return RC_OK;
    TRY(rc);
    buf_addf(&text, "all of it but %.*s is denied by ", BYTES_FMT(buf_bytes(&filters)));
    add_lines(judged, true, &text);
    return policy_check_add(looking->checker, POLICY_WIDE, false, looking->place,
                            looking->rule->filter, &text);
}

/* ---- All rules ---- */

static enum rc check_rule(struct policy_checker *checker, uint32_t place)
{
    struct policy_mark mark = policy_language_mark(checker->study.language);
    struct looking looking = { .checker = checker,
                               .place = place,
                               .rule = &checker->rules->at[place] };
    struct judged judged = { .looking = &looking };
    bool named = false;

    looking.class = class_of(looking.rule, &named);
    looking.subject = subject_of(looking.rule);
    TRY(find_set(&looking));
    TRY(add_parts(&looking, named));
    TRY(policy_language_colours(checker->study.language, looking.map, judge_colour, &judged));
    if (!judged.alive && !(judged.in_parts && judged.obliges && judged.whole_count == 0)) {
        checker->gone[place] = true;
        TRY(tell_shadow(&judged));
    } else if (judged.denials && looking.rule->effect == POLICY_ALLOW) {
        TRY(tell_rest(&looking, &judged));
    }
    policy_language_return(checker->study.language, mark);
    checker->steps += policy_language_rest(checker->study.language);
    return RC_OK;
}

static enum rc tell_unfinished(struct policy_checker *checker, uint32_t place)
{
    AUTO_BUF(text, 256);

    buf_addf(&text,
             "whether this and what stands above it is shadowed was not looked for: it takes "
             "more than %llu steps",
             (unsigned long long)checker->most);
    return policy_check_add(checker, POLICY_UNFINISHED, true, place, (struct bytes){ NULL, 0 },
                            &text);
}

/* Of two that do the same, the second is one too many; so the last are asked first. */
enum rc policy_check_shadows(struct policy_checker *checker)
{
    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++)
        for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
            const struct policy_rule rule = { .actions = 1U << action };
            TRY(policy_parts_keep(checker->parts, (enum policy_asker)asker, subject_of(&rule)));
        }
    for (uint32_t place = (uint32_t)checker->rules->count; place-- > 0;) {
        if (checker->steps > checker->most)
            return tell_unfinished(checker, place);
        if (!checker->gone[place])
            TRY(check_rule(checker, place));
    }
    return RC_OK;
}
