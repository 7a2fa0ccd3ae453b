#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256, NOBODY = UINT32_MAX };

/* ---- Memory ---- */

enum rc policy_language_grow(void *array, size_t size, size_t count, size_t *room)
{
    void *start = NULL;

    if (count < *room)
        return RC_OK;
    memcpy(&start, array, sizeof start);
    size_t wanted = *room == 0 ? FIRST_ROOM : *room * 2;
    void *grown = reallocarray(start, wanted, size);
    if (grown == NULL)
        return fault(RC_NOMEM, "topics of a policy");
    *room = wanted;
    start = grown;
    memcpy(array, &start, sizeof start);
    return RC_OK;
}

uint64_t policy_language_hash(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 29;
}

static enum rc make_slots(uint32_t **slots, size_t count)
{
    uint32_t *made = malloc(count * sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "topics of a policy");
    memset(made, 0xff, count * sizeof *made);
    free(*slots);
    *slots = made;
    return RC_OK;
}

/* ---- Words ---- */

static uint64_t hash_text(struct bytes text)
{
    uint64_t hash = text.len;

    for (size_t i = 0; i < text.len; i++)
        hash = policy_language_hash(hash, text.at[i]);
    return hash;
}

static enum rc grow_words(struct policy_language *language)
{
    if (language->word_count < language->word_slot_count)
        return RC_OK;
    size_t count = language->word_slot_count == 0 ? FIRST_ROOM : language->word_slot_count * 2;
    TRY(make_slots(&language->word_slots, count));
    language->word_slot_count = count;
    for (uint32_t i = 0; i < language->word_count; i++) {
        uint32_t *slot =
            &language->word_slots[hash_text(language->words[i].text) & (count - 1)];
        language->words[i].next = *slot;
        *slot = i;
    }
    return RC_OK;
}

static enum rc copy(struct bytes text, struct bytes *made)
{
    uint8_t *at = malloc(text.len + 1);

    if (at == NULL)
        return fault(RC_NOMEM, "a level of a topic");
    if (text.len > 0)
        memcpy(at, text.at, text.len);
    made->at = at;
    made->len = text.len;
    return RC_OK;
}

enum rc policy_language_word(struct policy_language *language, struct bytes text, bool symbol,
                             uint32_t *word)
{
    struct policy_word made = { .symbol = symbol };

    TRY(grow_words(language));
    uint32_t *slot = &language->word_slots[hash_text(text) & (language->word_slot_count - 1)];
    for (uint32_t at = *slot; at != NOBODY; at = language->words[at].next) {
        const struct policy_word *there = &language->words[at];
        if (there->symbol == symbol && bytes_equal(there->text, text)) {
            *word = at;
            return RC_OK;
        }
    }
    TRY(policy_language_grow(&language->words, sizeof *language->words, language->word_count,
                             &language->word_room));
    TRY(copy(text, &made.text));
    made.next = *slot;
    *slot = *word = (uint32_t)language->word_count;
    language->words[language->word_count++] = made;
    return RC_OK;
}

/* ---- States ---- */

static uint64_t hash_state(uint32_t colour, uint32_t other, const struct policy_edge_to *edges,
                           size_t count)
{
    uint64_t hash = policy_language_hash(colour, other);

    for (size_t i = 0; i < count; i++)
        hash = policy_language_hash(hash, (uint64_t)edges[i].level << 32 | edges[i].to);
    return hash;
}

/* From the first on, so that the last made is the first in its slot: policy_language_return()
 * takes it from there. */
static enum rc grow_slots(struct policy_language *language)
{
    if (language->count < language->slot_count)
        return RC_OK;
    size_t count = language->slot_count == 0 ? FIRST_ROOM : language->slot_count * 2;
    TRY(make_slots(&language->slots, count));
    language->slot_count = count;
    for (uint32_t i = 0; i < language->count; i++) {
        struct policy_state *state = &language->states[i];
        uint32_t *slot =
            &language->slots[hash_state(state->colour, state->other,
                                        language->edges + state->first, state->count) &
                             (count - 1)];
        state->next = *slot;
        *slot = i;
    }
    return RC_OK;
}

static bool is_state(const struct policy_language *language, const struct policy_state *state,
                     uint32_t colour, uint32_t other, const struct policy_edge_to *edges,
                     size_t count)
{
    if (state->colour != colour || state->other != other || state->count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct policy_edge_to *edge = &language->edges[state->first + i];
        if (edge->level != edges[i].level || edge->to != edges[i].to)
            return false;
    }
    return true;
}

static enum rc add_state(struct policy_language *language, uint32_t colour, uint32_t other,
                         const struct policy_edge_to *edges, size_t count, uint32_t *slot,
                         uint32_t *place)
{
    struct policy_state made = { colour, other, (uint32_t)language->edge_count, (uint32_t)count,
                                 *slot };

    if (language->count + language->edge_count + count >= language->most)
        return fault(RC_LIMIT, "the topics of these rules need more than %zu states",
                     language->most);
    TRY(policy_language_grow(&language->states, sizeof *language->states, language->count,
                             &language->room));
    for (size_t i = 0; i < count; i++) {
        TRY(policy_language_grow(&language->edges, sizeof *language->edges,
                                 language->edge_count + i, &language->edge_room));
        language->edges[language->edge_count + i] = edges[i];
    }
    language->edge_count += count;
    *slot = *place = (uint32_t)language->count;
    language->states[language->count++] = made;
    return RC_OK;
}

static enum rc find_state(struct policy_language *language, uint32_t colour, uint32_t other,
                          const struct policy_edge_to *edges, size_t count, uint32_t *place)
{
    TRY(grow_slots(language));
    uint32_t *slot =
        &language->slots[hash_state(colour, other, edges, count) & (language->slot_count - 1)];
    for (uint32_t at = *slot; at != NOBODY; at = language->states[at].next)
        if (is_state(language, &language->states[at], colour, other, edges, count)) {
            *place = at;
            return RC_OK;
        }
    return add_state(language, colour, other, edges, count, slot, place);
}

enum rc policy_language_all(struct policy_language *language, uint32_t colour, uint32_t *state)
{
    return find_state(language, colour, POLICY_SELF, NULL, 0, state);
}

enum rc policy_language_push(struct policy_language *language, uint32_t level, uint32_t to)
{
    TRY(policy_language_grow(&language->scratch, sizeof *language->scratch,
                             language->scratch_count, &language->scratch_room));
    language->scratch[language->scratch_count++] = (struct policy_edge_to){ level, to };
    return RC_OK;
}

/* Edges that lead where all others do are none; a state of which all topics have its own colour
 * is that of all. */
enum rc policy_language_state(struct policy_language *language, uint32_t colour, uint32_t other,
                              size_t scratch, uint32_t *state)
{
    struct policy_edge_to *edges = language->scratch + scratch;
    size_t kept = 0;

    for (size_t i = scratch; i < language->scratch_count; i++)
        if (language->scratch[i].to != other)
            edges[kept++] = language->scratch[i];
    language->scratch_count = scratch;
    if (kept == 0 && policy_language_is_all(language, other) &&
        language->states[other].colour == colour) {
        *state = other;
        return RC_OK;
    }
    return find_state(language, colour, other, edges, kept, state);
}

uint32_t policy_language_step(const struct policy_language *language, uint32_t state,
                              uint32_t level)
{
    const struct policy_state *from = &language->states[state];
    const struct policy_edge_to *edges = language->edges + from->first;
    uint32_t low = 0, high = from->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (edges[middle].level < level)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < from->count && edges[low].level == level)
        return edges[low].to;
    return policy_language_other(language, state);
}

/* ---- Languages ---- */

struct policy_topics policy_language_none(void)
{
    return (struct policy_topics){ 0, 0 };
}

enum rc policy_language_new(size_t states_max, struct policy_language **language)
{
    AUTO_OF(policy_language) *made = calloc(1, sizeof *made);
    uint32_t none = 0, empty = 0;

    if (made == NULL)
        return fault(RC_NOMEM, "topics of a policy");
    made->most = states_max < POLICY_STATES_MAX ? states_max : POLICY_STATES_MAX;
    TRY(policy_language_grow(&made->edges, sizeof *made->edges, 0, &made->edge_room));
    TRY(policy_language_grow(&made->scratch, sizeof *made->scratch, 0, &made->scratch_room));
    TRY(policy_language_all(made, 0, &none));                            /* is state 0 */
    TRY(policy_language_word(made, (struct bytes){ 0 }, false, &empty)); /* is word 0 */
    *language = TAKE(made);
    return RC_OK;
}

void policy_language_free(struct policy_language *language)
{
    if (language == NULL)
        return;
    for (size_t i = 0; i < language->word_count; i++)
        free((void *)(uintptr_t)language->words[i].text.at);
    free(language->words);
    free(language->word_slots);
    free(language->states);
    free(language->edges);
    free(language->slots);
    free(language->scratch);
    free(language->memo);
    free(language);
}

struct policy_mark policy_language_mark(const struct policy_language *language)
{
    return (struct policy_mark){ language->count, language->edge_count };
}

void policy_language_return(struct policy_language *language, struct policy_mark mark)
{
    while (language->count > mark.nodes) {
        const struct policy_state *last = &language->states[--language->count];
        uint64_t hash =
            hash_state(last->colour, last->other, language->edges + last->first, last->count);
        language->slots[hash & (language->slot_count - 1)] = last->next;
    }
    language->edge_count = mark.edges;
}

uint64_t policy_language_rest(struct policy_language *language)
{
    uint64_t steps = language->steps;

    language->steps = 0;
    return steps;
}

/* ---- Filters ---- */

/* A filter's levels from the last to the first: what is left of topics before each. */
struct suffix {
    struct policy_language *language;
    bool of_rule;
    uint32_t state;
};

static bool is_symbol(const struct suffix *suffix, struct bytes level)
{
    return suffix->of_rule && level.len > 1 && memmem(level.at, level.len, "${", 2) != NULL;
}

/* No fact's value begins with `$`. */
static bool is_system(const struct suffix *suffix, struct bytes level)
{
    bool fact = suffix->of_rule && level.len > 1 && level.at[1] == '{';

    return level.len > 0 && level.at[0] == '$' && !fact;
}

static enum rc prepend(struct suffix *suffix, struct bytes level)
{
    size_t scratch = suffix->language->scratch_count;
    uint32_t word = 0;

    if (policy_topic_is_plus(level))
        return policy_language_state(suffix->language, 0, suffix->state, scratch,
                                     &suffix->state);
    TRY(policy_language_word(suffix->language, level, is_symbol(suffix, level), &word));
    TRY(policy_language_push(suffix->language, word, suffix->state));
    return policy_language_state(suffix->language, 0, 0, scratch, &suffix->state);
}

/* Behind the empty first level, no topic ends. */
static enum rc without_end(struct policy_language *language, uint32_t state, uint32_t *made)
{
    const struct policy_state *from = &language->states[state];
    size_t scratch = language->scratch_count, first = from->first, count = from->count;
    uint32_t other = policy_language_other(language, state);

    for (size_t i = first; i < first + count; i++)
        TRY(policy_language_push(language, language->edges[i].level, language->edges[i].to));
    return policy_language_state(language, 0, other, scratch, made);
}

static enum rc prepend_first(struct suffix *suffix, struct bytes level,
                             struct policy_topics *made)
{
    struct policy_language *language = suffix->language;
    size_t scratch = language->scratch_count;
    bool wild = policy_topic_is_plus(level) || policy_topic_is_hash(level);
    uint32_t empty = 0, ordinary = 0;

    if (!wild && level.len > 0) {
        bool any = suffix->of_rule && bytes_equal(level, POLICY_ANY_SYSTEM);
        TRY(prepend(suffix, any ? BYTES("+") : level));
        *made = is_system(suffix, level) ? (struct policy_topics){ 0, suffix->state }
                                         : (struct policy_topics){ suffix->state, 0 };
        return RC_OK;
    }
    TRY(without_end(language, suffix->state, &empty));
    TRY(policy_language_push(language, 0, empty));
    TRY(policy_language_state(language, 0, wild ? suffix->state : 0, scratch, &ordinary));
    *made = (struct policy_topics){ ordinary, 0 };
    return RC_OK;
}

enum rc policy_language_filter(struct policy_language *language, struct bytes filter,
                               bool of_rule, uint32_t colour, struct policy_topics *made)
{
    struct policy_levels levels = policy_topic_levels(filter);
    struct suffix suffix = { language, of_rule, 0 };
    struct bytes at[POLICY_LEVELS_MAX] = { policy_topic_next(&levels) };
    size_t count = 1;

    while (levels.more && count < POLICY_LEVELS_MAX)
        at[count++] = policy_topic_next(&levels);
    if (levels.more)
        return fault(RC_LIMIT, "a filter of more than %d levels", POLICY_LEVELS_MAX);
    bool hash = policy_topic_is_hash(at[count - 1]);
    if (hash)
        TRY(policy_language_all(language, colour, &suffix.state));
    else
        TRY(policy_language_state(language, colour, 0, language->scratch_count, &suffix.state));
    for (size_t i = hash && count > 1 ? count - 1 : count; i-- > 1;)
        TRY(prepend(&suffix, at[i]));
    return prepend_first(&suffix, at[0], made);
}
