#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_MEMO = 1024 };

/* ---- What was joined before ---- */

static struct policy_memo *find_memo(const struct policy_language *language, uint32_t left,
                                     uint32_t right)
{
    size_t slot = policy_language_hash(left, right) & (language->memo_count - 1);

    while (language->memo[slot].run == language->run &&
           (language->memo[slot].left != left || language->memo[slot].right != right))
        slot = (slot + 1) & (language->memo_count - 1);
    return &language->memo[slot];
}

static enum rc grow_memo(struct policy_language *language)
{
    struct policy_memo *old = language->memo;
    size_t old_count = language->memo_count;

    if (language->memo_used * 2 < language->memo_count)
        return RC_OK;
    size_t count = old_count == 0 ? FIRST_MEMO : old_count * 2;
    struct policy_memo *made = calloc(count, sizeof *made);
    if (made == NULL)
        return fault(RC_NOMEM, "topics of a policy");
    language->memo = made;
    language->memo_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].run == language->run)
            *find_memo(language, old[i].left, old[i].right) = old[i];
    free(old);
    return RC_OK;
}

static enum rc remember(struct policy_language *language, uint32_t left, uint32_t right,
                        uint32_t made)
{
    TRY(grow_memo(language));
    *find_memo(language, left, right) =
        (struct policy_memo){ left, right, made, language->run };
    language->memo_used++;
    return RC_OK;
}

/* A run of its own for each op: what was joined for another is none of its business. */
static void begin_run(struct policy_language *language)
{
    language->memo_used = 0;
    if (++language->run == 0) {
        memset(language->memo, 0, language->memo_count * sizeof *language->memo);
        language->run = 1;
    }
}

/* ---- Joining ---- */

struct join {
    struct policy_language *language;
    const struct policy_language_op *op;
};

static enum rc join(const struct join *j, uint32_t left, uint32_t right, uint32_t *made);

static enum rc join_colours(const struct join *j, uint32_t left, uint32_t right, uint32_t *made)
{
    *made = 0;
    if (left == 0 && right == 0)
        return RC_OK;
    return j->op->colour(j->op->with, left, right, made);
}

/* Nothing is in state 0, the first that was made. */
static bool is_known(const struct join *j, uint32_t left, uint32_t right, uint32_t *made)
{
    if (left == 0 && (right == 0 || j->op->left != POLICY_ZERO_ASKED)) {
        *made = j->op->left == POLICY_ZERO_YIELDS ? right : 0;
        return true;
    }
    if (right == 0 && j->op->right != POLICY_ZERO_ASKED) {
        *made = j->op->right == POLICY_ZERO_YIELDS ? left : 0;
        return true;
    }
    *made = j->op->same == POLICY_SAME_STAYS ? left : 0;
    return left == right && j->op->same != POLICY_SAME_ASKED;
}

static enum rc join_edge(const struct join *j, uint32_t left, uint32_t right, uint32_t level)
{
    uint32_t to = 0;

    TRY(join(j, policy_language_step(j->language, left, level),
             policy_language_step(j->language, right, level), &to));
    return policy_language_push(j->language, level, to);
}

static struct policy_edge_to edge(const struct policy_language *language, uint32_t state,
                                  uint32_t which)
{
    const struct policy_state *from = &language->states[state];

    return which < from->count ? language->edges[from->first + which]
                               : (struct policy_edge_to){ POLICY_SELF, 0 };
}

/* Where one side has nothing but its edges, and nothing comes of nothing, only these count:
 * looking at one filter of many costs what that filter has. */
static bool is_narrow(const struct join *j, uint32_t state, enum policy_zero zero)
{
    return zero == POLICY_ZERO_STAYS && j->language->states[state].other == 0;
}

static enum rc join_edges(const struct join *j, uint32_t left, uint32_t right)
{
    bool narrow_left = is_narrow(j, left, j->op->left);
    bool narrow_right = !narrow_left && is_narrow(j, right, j->op->right);
    uint32_t l = 0, r = 0;

    for (;;) {
        uint32_t left_level = narrow_right ? POLICY_SELF : edge(j->language, left, l).level;
        uint32_t right_level = narrow_left ? POLICY_SELF : edge(j->language, right, r).level;
        uint32_t level = left_level < right_level ? left_level : right_level;
        if (level == POLICY_SELF)
            return RC_OK;
        TRY(join_edge(j, left, right, level));
        l += left_level == level;
        r += right_level == level;
    }
}

static enum rc join_states(const struct join *j, uint32_t left, uint32_t right, uint32_t *made)
{
    struct policy_language *language = j->language;
    size_t scratch = language->scratch_count;
    uint32_t colour = 0, other = 0;

    TRY(join_colours(j, language->states[left].colour, language->states[right].colour,
                     &colour));
    if (policy_language_is_all(language, left) && policy_language_is_all(language, right))
        return policy_language_all(language, colour, made);
    TRY(join(j, policy_language_other(language, left), policy_language_other(language, right),
             &other));
    TRY(join_edges(j, left, right));
    return policy_language_state(language, colour, other, scratch, made);
}

static enum rc join(const struct join *j, uint32_t left, uint32_t right, uint32_t *made)
{
    struct policy_language *language = j->language;

    if (is_known(j, left, right, made))
        return RC_OK;
    if (++language->steps > POLICY_LANGUAGE_STEPS)
        return fault(RC_LIMIT, "the topics of these rules take more than %d steps",
                     POLICY_LANGUAGE_STEPS);
    if (language->memo_count > 0) {
        const struct policy_memo *before = find_memo(language, left, right);
        if (before->run == language->run) {
            *made = before->made;
            return RC_OK;
        }
    }
    TRY(join_states(j, left, right, made));
    return remember(language, left, right, *made);
}

enum rc policy_language_join(struct policy_language *language,
                             const struct policy_language_op *op, uint32_t left, uint32_t right,
                             uint32_t *made)
{
    const struct join j = { language, op };

    begin_run(language);
    return join(&j, left, right, made);
}

enum rc policy_language_apply(struct policy_language *language,
                              const struct policy_language_op *op, struct policy_topics left,
                              struct policy_topics right, struct policy_topics *made)
{
    struct policy_topics joined = policy_language_none();
    const struct join j = { language, op };

    begin_run(language);
    TRY(join(&j, left.ordinary, right.ordinary, &joined.ordinary));
    TRY(join(&j, left.system, right.system, &joined.system));
    *made = joined;
    return RC_OK;
}

/* Two and two, so that no large one is copied for each small one. */
enum rc policy_language_fold(struct policy_language *language,
                             const struct policy_language_op *op, struct policy_topics *all,
                             size_t count, struct policy_topics *made)
{
    for (; count > 1; count = count / 2 + count % 2) {
        for (size_t i = 0; i + 1 < count; i += 2)
            TRY(policy_language_apply(language, op, all[i], all[i + 1], &all[i / 2]));
        if (count % 2 == 1)
            all[count / 2] = all[count - 1];
    }
    *made = count == 0 ? policy_language_none() : all[0];
    return RC_OK;
}

/* ---- Sets ---- */

static enum rc colour_or(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)with;
    *made = left != 0 || right != 0;
    return RC_OK;
}

static enum rc colour_not(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)with;
    *made = left != 0 && right == 0;
    return RC_OK;
}

/* The right one's colour, where the left one has any. */
static enum rc colour_of(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)with;
    *made = left != 0 ? right : 0;
    return RC_OK;
}

const struct policy_language_op policy_language_or = { colour_or, NULL, POLICY_ZERO_YIELDS,
                                                       POLICY_ZERO_YIELDS, POLICY_SAME_STAYS };
const struct policy_language_op policy_language_and = { colour_of, NULL, POLICY_ZERO_STAYS,
                                                        POLICY_ZERO_STAYS, POLICY_SAME_STAYS };
const struct policy_language_op policy_language_not = { colour_not, NULL, POLICY_ZERO_STAYS,
                                                        POLICY_ZERO_YIELDS, POLICY_SAME_ZERO };

enum rc policy_language_union(struct policy_language *language, struct policy_topics left,
                              struct policy_topics right, struct policy_topics *made)
{
    return policy_language_apply(language, &policy_language_or, left, right, made);
}

enum rc policy_language_intersect(struct policy_language *language, struct policy_topics left,
                                  struct policy_topics right, struct policy_topics *made)
{
    return policy_language_apply(language, &policy_language_and, left, right, made);
}

enum rc policy_language_subtract(struct policy_language *language, struct policy_topics left,
                                 struct policy_topics right, struct policy_topics *made)
{
    return policy_language_apply(language, &policy_language_not, left, right, made);
}

enum rc policy_language_restrict(struct policy_language *language, struct policy_topics set,
                                 struct policy_topics map, struct policy_topics *made)
{
    return policy_language_apply(language, &policy_language_and, set, map, made);
}

bool policy_language_is_empty(struct policy_topics topics)
{
    return policy_language_equal(topics, policy_language_none());
}

enum rc policy_language_colour(struct policy_language *language, struct policy_topics map,
                               struct bytes topic, uint32_t *colour)
{
    struct policy_levels levels = policy_topic_levels(topic);
    uint32_t state = topic.len > 0 && topic.at[0] == '$' ? map.system : map.ordinary, word = 0;

    while (levels.more) {
        TRY(policy_language_word(language, policy_topic_next(&levels), false, &word));
        state = policy_language_step(language, state, word);
    }
    *colour = language->states[state].colour;
    return RC_OK;
}

enum rc policy_language_contains(struct policy_language *language, struct policy_topics outer,
                                 struct policy_topics inner, bool *contains)
{
    struct policy_mark mark = policy_language_mark(language);
    struct policy_topics rest;

    TRY(policy_language_subtract(language, inner, outer, &rest));
    *contains = policy_language_is_empty(rest);
    policy_language_return(language, mark);
    return RC_OK;
}

/* ---- Colours ---- */

static int compare_numbers(const void *left, const void *right)
{
    uint32_t a, b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

/* All states that can be reached, each once, by number. */
struct reached {
    uint32_t *at;
    size_t count, room;
    uint8_t *seen;
};

static enum rc reach(struct reached *reached, uint32_t state)
{
    if (reached->seen[state / 8] & 1U << state % 8)
        return RC_OK;
    reached->seen[state / 8] |= (uint8_t)(1U << state % 8);
    TRY(policy_language_grow(&reached->at, sizeof *reached->at, reached->count,
                             &reached->room));
    reached->at[reached->count++] = state;
    return RC_OK;
}

static enum rc reach_all(const struct policy_language *language, struct policy_topics map,
                         struct reached *reached)
{
    TRY(reach(reached, map.ordinary));
    TRY(reach(reached, map.system));
    for (size_t i = 0; i < reached->count; i++) {
        const struct policy_state *state = &language->states[reached->at[i]];
        TRY(reach(reached, policy_language_other(language, reached->at[i])));
        for (uint32_t e = 0; e < state->count; e++)
            TRY(reach(reached, language->edges[state->first + e].to));
    }
    return RC_OK;
}

static enum rc tell_colours(const struct policy_language *language, struct reached *reached,
                            enum rc (*each)(void *with, uint32_t colour), void *with)
{
    for (size_t i = 0; i < reached->count; i++)
        reached->at[i] = language->states[reached->at[i]].colour;
    if (reached->count > 1)
        qsort(reached->at, reached->count, sizeof *reached->at, compare_numbers);
    for (size_t i = 0; i < reached->count; i++)
        if (reached->at[i] != 0 && (i == 0 || reached->at[i - 1] != reached->at[i]))
            TRY(each(with, reached->at[i]));
    return RC_OK;
}

enum rc policy_language_colours(struct policy_language *language, struct policy_topics map,
                                enum rc (*each)(void *with, uint32_t colour), void *with)
{
    struct reached reached = { .seen = calloc(language->count / 8 + 1, 1) };
    enum rc rc = fault(RC_NOMEM, "topics of a policy");

    if (reached.seen != NULL)
        rc = reach_all(language, map, &reached);
    free(reached.seen);
    if (rc == RC_OK)
        rc = tell_colours(language, &reached, each, with);
    free(reached.at);
    return rc;
}
