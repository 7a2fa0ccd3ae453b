#include "policy/verdict.h"

#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 256, NOBODY = UINT32_MAX, NEVER = UINT32_MAX - 1 };

struct set {
    uint32_t first, count; /* of voices */
    uint32_t next;
};

struct duties {
    struct policy_duties are;
    uint32_t next;
};

struct policy_verdicts {
    struct policy_guard *guards;
    size_t guard_count, guard_room;
    struct duties *duties;
    size_t duty_count, duty_room;
    uint32_t *duty_slots;
    size_t duty_slot_count;
    struct policy_voice *voices;
    size_t voice_count, voice_room;
    struct set *sets;
    size_t set_count, set_room;
    uint32_t *slots;
    size_t slot_count;
    struct policy_voice *made; /* a set that is being made */
    size_t made_count, made_room;
};

/* ---- Guards ---- */

static bool is_same_test(const struct policy_rules *a, const struct policy_condition *x,
                         const struct policy_rules *b, const struct policy_condition *y)
{
    if (x->fact != y->fact || x->operator!= y->operator|| x->value_count != y->value_count)
        return false;
    for (uint32_t i = 0; i < x->value_count; i++) {
        const struct policy_value *left = &a->values[x->first_value + i];
        const struct policy_value *right = &b->values[y->first_value + i];
        if (left->type != right->type || !policy_value_equal(left, right))
            return false;
    }
    return true;
}

/* The parser bounds how deep. */
static bool is_same_condition(const struct policy_rules *a, uint32_t x,
                              const struct policy_rules *b, uint32_t y)
{
    if (x == POLICY_ALWAYS || y == POLICY_ALWAYS || a == b)
        return x == y;
    const struct policy_condition *left = &a->conditions[x], *right = &b->conditions[y];
    if (left->kind != right->kind)
        return false;
    if (left->kind == POLICY_TEST)
        return is_same_test(a, left, b, right);
    return is_same_condition(a, left->left, b, right->left) &&
           (left->kind == POLICY_NOT || is_same_condition(a, left->right, b, right->right));
}

enum rc policy_verdicts_guard(struct policy_verdicts *verdicts,
                              const struct policy_guard *guard, uint32_t *number)
{
    for (size_t i = 0; i < verdicts->guard_count; i++) {
        const struct policy_guard *there = &verdicts->guards[i];
        if (bytes_equal(there->resource, guard->resource) &&
            is_same_condition(there->rules, there->condition, guard->rules, guard->condition)) {
            *number = (uint32_t)i;
            return RC_OK;
        }
    }
    TRY(policy_language_grow(&verdicts->guards, sizeof *verdicts->guards, verdicts->guard_count,
                             &verdicts->guard_room));
    *number = (uint32_t)verdicts->guard_count;
    verdicts->guards[verdicts->guard_count++] = *guard;
    return RC_OK;
}

struct policy_guard policy_verdicts_get_guard(const struct policy_verdicts *verdicts,
                                              uint32_t guard)
{
    return verdicts->guards[guard];
}

/* ---- Duties ---- */

static bool is_same_duty(const struct policy_duties *left, const struct policy_duties *right)
{
    const struct policy_obligations *a = &left->asked, *b = &right->asked;

    return a->rate == b->rate && a->burst == b->burst && a->rate_ms == b->rate_ms &&
           a->payload == b->payload && a->payload_limited == b->payload_limited &&
           a->lease_ms == b->lease_ms && a->until_ms == b->until_ms &&
           a->log_full == b->log_full && left->meter.what == right->meter.what &&
           left->meter.order == right->meter.order &&
           bytes_equal(left->meter.filter, right->meter.filter);
}

static uint64_t hash_duties(const struct policy_duties *duties)
{
    const struct policy_obligations *o = &duties->asked;
    uint64_t hash = policy_language_hash(duties->meter.what, duties->meter.order);

    hash = policy_language_hash(hash, (uint64_t)o->rate << 32 | o->burst);
    hash = policy_language_hash(hash, o->payload + (uint64_t)o->until_ms);
    for (size_t i = 0; i < duties->meter.filter.len; i++)
        hash = policy_language_hash(hash, duties->meter.filter.at[i]);
    return hash;
}

static enum rc grow_duty_slots(struct policy_verdicts *verdicts)
{
    if (verdicts->duty_count < verdicts->duty_slot_count)
        return RC_OK;
    size_t count = verdicts->duty_slot_count == 0 ? FIRST_SLOTS : verdicts->duty_slot_count * 2;
    uint32_t *made = malloc(count * sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    memset(made, 0xff, count * sizeof *made);
    free(verdicts->duty_slots);
    verdicts->duty_slots = made;
    verdicts->duty_slot_count = count;
    for (uint32_t i = 0; i < verdicts->duty_count; i++) {
        uint32_t *slot = &made[hash_duties(&verdicts->duties[i].are) & (count - 1)];
        verdicts->duties[i].next = *slot;
        *slot = i;
    }
    return RC_OK;
}

enum rc policy_verdicts_duties(struct policy_verdicts *verdicts,
                               const struct policy_duties *duties, uint32_t *number)
{
    TRY(grow_duty_slots(verdicts));
    uint32_t *slot =
        &verdicts->duty_slots[hash_duties(duties) & (verdicts->duty_slot_count - 1)];
    for (uint32_t at = *slot; at != NOBODY; at = verdicts->duties[at].next)
        if (is_same_duty(&verdicts->duties[at].are, duties)) {
            *number = at;
            return RC_OK;
        }
    TRY(policy_language_grow(&verdicts->duties, sizeof *verdicts->duties, verdicts->duty_count,
                             &verdicts->duty_room));
    verdicts->duties[verdicts->duty_count] = (struct duties){ *duties, *slot };
    *slot = *number = (uint32_t)verdicts->duty_count++;
    return RC_OK;
}

struct policy_duties policy_verdicts_get_duties(const struct policy_verdicts *verdicts,
                                                uint32_t duties)
{
    return verdicts->duties[duties].are;
}

/* ---- Sets of voices ---- */

static int compare_words(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_voices(const struct policy_voice *a, const struct policy_voice *b)
{
    int order = compare_words(a->effect, b->effect);

    order = order != 0 ? order : compare_words(a->guard, b->guard);
    order = order != 0 ? order : compare_words(a->rule, b->rule);
    return order != 0 ? order : compare_words(a->duties, b->duties);
}

static int compare(const void *left, const void *right)
{
    return compare_voices(left, right);
}

static uint64_t hash_voices(const struct policy_voice *voices, size_t count)
{
    uint64_t hash = count;

    for (size_t i = 0; i < count; i++) {
        hash = policy_language_hash(hash, (uint64_t)voices[i].guard << 1 | voices[i].effect);
        hash = policy_language_hash(hash, (uint64_t)voices[i].rule << 32 | voices[i].duties);
    }
    return hash;
}

static bool is_set(const struct policy_verdicts *verdicts, const struct set *set)
{
    if (set->count != verdicts->made_count)
        return false;
    for (size_t i = 0; i < set->count; i++)
        if (compare_voices(&verdicts->voices[set->first + i], &verdicts->made[i]) != 0)
            return false;
    return true;
}

static enum rc grow_slots(struct policy_verdicts *verdicts)
{
    if (verdicts->set_count < verdicts->slot_count)
        return RC_OK;
    size_t count = verdicts->slot_count == 0 ? FIRST_SLOTS : verdicts->slot_count * 2;
    uint32_t *made = malloc(count * sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    memset(made, 0xff, count * sizeof *made);
    free(verdicts->slots);
    verdicts->slots = made;
    verdicts->slot_count = count;
    for (uint32_t i = 0; i < verdicts->set_count; i++) {
        struct set *set = &verdicts->sets[i];
        uint64_t hash = hash_voices(verdicts->voices + set->first, set->count);
        uint32_t *slot = &verdicts->slots[hash & (count - 1)];
        set->next = *slot;
        *slot = i;
    }
    return RC_OK;
}

static enum rc add_set(struct policy_verdicts *verdicts, uint32_t *slot, uint32_t *colour)
{
    struct set set = { (uint32_t)verdicts->voice_count, (uint32_t)verdicts->made_count, *slot };

    if (verdicts->voice_count + set.count > POLICY_STATES_MAX ||
        verdicts->set_count == POLICY_STATES_MAX)
        return fault(RC_LIMIT, "these rules say more than %d different things of topics",
                     POLICY_STATES_MAX);
    TRY(policy_language_grow(&verdicts->sets, sizeof *verdicts->sets, verdicts->set_count,
                             &verdicts->set_room));
    for (size_t i = 0; i < verdicts->made_count; i++) {
        TRY(policy_language_grow(&verdicts->voices, sizeof *verdicts->voices,
                                 verdicts->voice_count + i, &verdicts->voice_room));
        verdicts->voices[verdicts->voice_count + i] = verdicts->made[i];
    }
    verdicts->voice_count += set.count;
    *slot = *colour = (uint32_t)verdicts->set_count;
    verdicts->sets[verdicts->set_count++] = set;
    return RC_OK;
}

void policy_verdicts_begin(struct policy_verdicts *verdicts)
{
    verdicts->made_count = 0;
}

enum rc policy_verdicts_put(struct policy_verdicts *verdicts, const struct policy_voice *voice)
{
    TRY(policy_language_grow(&verdicts->made, sizeof *verdicts->made, verdicts->made_count,
                             &verdicts->made_room));
    verdicts->made[verdicts->made_count++] = *voice;
    return RC_OK;
}

enum rc policy_verdicts_finish(struct policy_verdicts *verdicts, uint32_t *colour)
{
    size_t kept = 0;

    if (verdicts->made_count > 1)
        qsort(verdicts->made, verdicts->made_count, sizeof *verdicts->made, compare);
    for (size_t i = 0; i < verdicts->made_count; i++)
        if (kept == 0 || compare_voices(&verdicts->made[kept - 1], &verdicts->made[i]) != 0)
            verdicts->made[kept++] = verdicts->made[i];
    verdicts->made_count = kept;
    TRY(grow_slots(verdicts));
    uint32_t *slot =
        &verdicts->slots[hash_voices(verdicts->made, kept) & (verdicts->slot_count - 1)];
    for (uint32_t at = *slot; at != NOBODY; at = verdicts->sets[at].next)
        if (is_set(verdicts, &verdicts->sets[at])) {
            *colour = at;
            return RC_OK;
        }
    return add_set(verdicts, slot, colour);
}

enum rc policy_verdicts_voice(struct policy_verdicts *verdicts,
                              const struct policy_voice *voice, uint32_t *colour)
{
    verdicts->made_count = 0;
    TRY(policy_verdicts_put(verdicts, voice));
    return policy_verdicts_finish(verdicts, colour);
}

struct policy_voices policy_verdicts_get(const struct policy_verdicts *verdicts,
                                         uint32_t colour)
{
    const struct set *set = &verdicts->sets[colour];

    return (struct policy_voices){ verdicts->voices + set->first, set->count };
}

static enum rc join(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    struct policy_verdicts *verdicts = with;
    uint32_t sides[] = { left, right };

    verdicts->made_count = 0;
    for (size_t side = 0; side < 2; side++) {
        const struct set set = verdicts->sets[sides[side]];
        for (uint32_t i = 0; i < set.count; i++)
            TRY(policy_verdicts_put(verdicts, &verdicts->voices[set.first + i]));
    }
    return policy_verdicts_finish(verdicts, made);
}

struct policy_language_op policy_verdicts_both(struct policy_verdicts *verdicts)
{
    return (struct policy_language_op){ join, verdicts, POLICY_ZERO_YIELDS, POLICY_ZERO_YIELDS,
                                        POLICY_SAME_STAYS };
}

/* ---- What they come to ---- */

bool policy_verdicts_has(const struct policy_voices *voices, enum policy_effect effect,
                         uint32_t guard)
{
    for (size_t i = 0; i < voices->count; i++)
        if (voices->at[i].effect == effect && voices->at[i].guard == guard)
            return true;
    return false;
}

bool policy_verdicts_is_live(const struct policy_voices *voices,
                             const struct policy_voice *voice)
{
    return voice->effect == POLICY_ALLOW &&
           !policy_verdicts_has(voices, POLICY_DENY, POLICY_SURE) &&
           !policy_verdicts_has(voices, POLICY_DENY, voice->guard);
}

static bool has_live(const struct policy_voices *voices)
{
    for (size_t i = 0; i < voices->count; i++)
        if (policy_verdicts_is_live(voices, &voices->at[i]))
            return true;
    return false;
}

enum rc policy_verdicts_sense(struct policy_verdicts *verdicts, uint32_t colour,
                              uint32_t *sense)
{
    struct policy_voices voices = policy_verdicts_get(verdicts, colour);
    bool sure = policy_verdicts_has(&voices, POLICY_ALLOW, POLICY_SURE);

    *sense = 0;
    if (!has_live(&voices))
        return RC_OK;
    verdicts->made_count = 0;
    for (size_t i = 0; i < voices.count; i++) {
        struct policy_voice voice = voices.at[i];
        if (voice.effect == POLICY_ALLOW &&
            (!policy_verdicts_is_live(&voices, &voice) || (sure && voice.guard != POLICY_SURE)))
            continue;
        voice.rule = POLICY_NO_RULE;
        voice.duties = 0;
        TRY(policy_verdicts_put(verdicts, &voice));
    }
    return policy_verdicts_finish(verdicts, sense);
}

bool policy_verdicts_is_sure(const struct policy_verdicts *verdicts, uint32_t sense)
{
    struct policy_voices voices = policy_verdicts_get(verdicts, sense);

    return voices.count == 1 && voices.at[0].effect == POLICY_ALLOW &&
           voices.at[0].guard == POLICY_SURE;
}

/* ---- May it? ---- */

static enum rc sense_of_asked(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    *made = 0;
    if (left == 0)
        return RC_OK;
    TRY(policy_verdicts_sense(with, right, made));
    if (*made == 0)
        *made = NEVER;
    return RC_OK;
}

struct asked {
    const struct policy_verdicts *verdicts;
    enum policy_may may;
};

static enum rc add_sense(void *with, uint32_t sense)
{
    struct asked *asked = with;

    if (sense == NEVER)
        asked->may = POLICY_MAY_NOT;
    else if (asked->may == POLICY_MAY && !policy_verdicts_is_sure(asked->verdicts, sense))
        asked->may = POLICY_MAY_IF;
    return RC_OK;
}

enum rc policy_verdicts_may(struct policy_verdicts *verdicts, struct policy_language *language,
                            struct policy_topics asked, struct policy_topics map,
                            enum policy_may *may)
{
    const struct policy_language_op op = { sense_of_asked, verdicts, POLICY_ZERO_STAYS,
                                           POLICY_ZERO_ASKED, POLICY_SAME_ASKED };
    struct asked all = { verdicts, POLICY_MAY };
    struct policy_topics senses;

    TRY(policy_language_apply(language, &op, asked, map, &senses));
    TRY(policy_language_colours(language, senses, add_sense, &all));
    *may = all.may;
    return RC_OK;
}

/* ---- Making and freeing ---- */

enum rc policy_verdicts_new(struct policy_verdicts **verdicts)
{
    static const struct policy_guard SURE = { .condition = POLICY_ALWAYS };
    static const struct policy_duties NONE = { 0 };
    AUTO_OF(policy_verdicts) *made = calloc(1, sizeof *made);
    uint32_t none = 0;

    if (made == NULL)
        return fault(RC_NOMEM, "rules of a policy");
    TRY(policy_language_grow(&made->voices, sizeof *made->voices, 0, &made->voice_room));
    TRY(policy_language_grow(&made->made, sizeof *made->made, 0, &made->made_room));
    TRY(policy_verdicts_guard(made, &SURE, &none));
    TRY(policy_verdicts_duties(made, &NONE, &none));
    TRY(policy_verdicts_finish(made, &none)); /* the empty set, colour 0 */
    *verdicts = TAKE(made);
    return RC_OK;
}

void policy_verdicts_free(struct policy_verdicts *verdicts)
{
    if (verdicts == NULL)
        return;
    free(verdicts->guards);
    free(verdicts->duties);
    free(verdicts->duty_slots);
    free(verdicts->voices);
    free(verdicts->sets);
    free(verdicts->slots);
    free(verdicts->made);
    free(verdicts);
}
