#include "policy/language_states.h"

#include <stdlib.h>
#include <string.h>

/*
 * A set as filters. At each state: what all ways agree on is behind `+`; what a way has beyond
 * that, behind its word. Levels without an edge are endless, so what they do not share with all
 * ways is no union of filters; then the hull takes it all, and what is too much is taken off as
 * exceptions. The widest filters that are allowed are taken: N is what must be held, A what
 * may.
 */
struct filters {
    struct bytes *at;
    size_t count, room, most;
};

struct cover {
    struct policy_language *language;
    struct filters *found;
    struct buf *path; /* the levels so far, each with its slash behind */
    bool system;      /* of the topics that begin with `$` */
};

/* ---- Lists of filters ---- */

static void filters_clear(struct filters *filters)
{
    for (size_t i = 0; i < filters->count; i++)
        free((void *)(uintptr_t)filters->at[i].at);
    free(filters->at);
    *filters = (struct filters){ .most = filters->most };
}

static enum rc add_filter(struct filters *filters, struct bytes text)
{
    if (filters->count == filters->most)
        return fault(RC_LIMIT, "more than %zu filters", filters->most);
    TRY(policy_language_grow(&filters->at, sizeof *filters->at, filters->count,
                             &filters->room));
    uint8_t *at = malloc(text.len + 1);
    if (at == NULL)
        return fault(RC_NOMEM, "filters of a policy");
    memcpy(at, text.at, text.len);
    filters->at[filters->count++] = (struct bytes){ at, text.len };
    return RC_OK;
}

static enum rc emit(const struct cover *cover, struct bytes last)
{
    size_t len = cover->path->len;
    struct bytes text;

    buf_add(cover->path, last);
    TRY(buf_done(cover->path, &text));
    enum rc rc = add_filter(cover->found, text);
    buf_cut(cover->path, len);
    return rc;
}

/* The path without its last slash. */
static enum rc emit_end(const struct cover *cover)
{
    struct bytes text;

    TRY(buf_done(cover->path, &text));
    return add_filter(cover->found, (struct bytes){ text.at, text.len - 1 });
}

/* ---- The cover ---- */

/* What all ways from a state have in common. */
static enum rc common(struct policy_language *language, uint32_t state, uint32_t *shared)
{
    size_t first = language->states[state].first, count = language->states[state].count;

    *shared = policy_language_other(language, state);
    for (size_t i = first; *shared != 0 && i < first + count; i++)
        TRY(policy_language_join(language, &policy_language_and, *shared, language->edges[i].to,
                                 shared));
    return RC_OK;
}

static enum rc cover_state(const struct cover *cover, uint32_t needed, uint32_t allowed,
                           uint32_t *covered);

static enum rc cover_level(const struct cover *cover, struct bytes level, uint32_t needed,
                           uint32_t allowed, uint32_t *covered)
{
    size_t len = cover->path->len;

    buf_add(cover->path, level);
    buf_add(cover->path, BYTES("/"));
    enum rc rc = cover_state(cover, needed, allowed, covered);
    buf_cut(cover->path, len);
    return rc;
}

/* One word that needs or may have something else than others; what + holds already is not
 * needed again. */
static enum rc cover_word(const struct cover *cover, uint32_t level, uint32_t needed,
                          uint32_t allowed, uint32_t by_plus)
{
    struct policy_language *language = cover->language;
    uint32_t here = policy_language_step(language, needed, level);
    uint32_t may = policy_language_step(language, allowed, level), rest = 0, covered = 0;

    TRY(policy_language_join(language, &policy_language_not, here, by_plus, &rest));
    TRY(cover_level(cover, language->words[level].text, rest, may, &covered));
    TRY(policy_language_join(language, &policy_language_or, covered, by_plus, &covered));
    return policy_language_push(language, level, covered);
}

static uint32_t level_of(const struct policy_language *language, uint32_t state, uint32_t which)
{
    const struct policy_state *from = &language->states[state];

    return which < from->count ? language->edges[from->first + which].level : POLICY_SELF;
}

static enum rc cover_words(const struct cover *cover, uint32_t needed, uint32_t allowed,
                           uint32_t by_plus)
{
    uint32_t n = 0, a = 0;

    for (;;) {
        uint32_t left = level_of(cover->language, needed, n);
        uint32_t right = level_of(cover->language, allowed, a);
        uint32_t level = left < right ? left : right;
        if (level == POLICY_SELF)
            return RC_OK;
        TRY(cover_word(cover, level, needed, allowed, by_plus));
        n += left == level;
        a += right == level;
    }
}

/* What filters with + in front may hold; all that others may, where what they need is more. */
static enum rc behind_plus(struct policy_language *language, uint32_t needed, uint32_t allowed,
                           uint32_t *may)
{
    uint32_t shared = 0, beyond = 0;

    TRY(common(language, allowed, &shared));
    TRY(policy_language_join(language, &policy_language_not, needed, shared, &beyond));
    *may = beyond == 0 ? shared : policy_language_other(language, allowed);
    return RC_OK;
}

/* What stands for all levels here. */
static struct bytes plus(const struct cover *cover)
{
    return cover->system && cover->path->len == 0 ? POLICY_ANY_SYSTEM : BYTES("+");
}

static bool is_full(const struct policy_language *language, uint32_t state)
{
    return policy_language_is_all(language, state) && state != 0;
}

static enum rc cover_state(const struct cover *cover, uint32_t needed, uint32_t allowed,
                           uint32_t *covered)
{
    struct policy_language *language = cover->language;
    size_t scratch = language->scratch_count;
    uint32_t others = policy_language_other(language, needed), may = 0, by_plus = 0;
    bool ends = language->states[needed].colour != 0;
    bool may_end = language->states[allowed].colour != 0;

    *covered = 0;
    if (needed == 0)
        return RC_OK;
    if (others != 0)
        TRY(behind_plus(language, others, allowed, &may));
    if (is_full(language, allowed) || (may_end && is_full(language, may))) {
        TRY(policy_language_all(language, 1, covered));
        return emit(cover, BYTES("#"));
    }
    if (ends)
        TRY(emit_end(cover));
    TRY(cover_level(cover, plus(cover), others, may, &by_plus));
    TRY(cover_words(cover, needed, allowed, by_plus));
    return policy_language_state(language, ends, by_plus, scratch, covered);
}

/* No topic is of no levels, or of one that is empty: a filter may hold what is none. */
static enum rc allow_no_topics(struct policy_language *language, uint32_t root, uint32_t *made)
{
    uint32_t empty = policy_language_step(language, root, 0), all = 0, end = 0;
    size_t scratch = language->scratch_count;

    TRY(policy_language_state(language, 1, 0, scratch, &end));
    TRY(policy_language_join(language, &policy_language_or, empty, end, &empty));
    TRY(policy_language_push(language, 0, empty));
    for (size_t i = 0; i < language->states[root].count; i++) {
        struct policy_edge_to edge = language->edges[language->states[root].first + i];
        if (edge.level != 0)
            TRY(policy_language_push(language, edge.level, edge.to));
    }
    TRY(policy_language_state(language, 1, policy_language_other(language, root), scratch,
                              &all));
    *made = all;
    return RC_OK;
}

/* The filters of a set, or the fewest wider ones that hold it. */
static enum rc hull(struct policy_language *language, struct policy_topics set,
                    struct filters *found)
{
    AUTO_BUF(path, POLICY_TOPIC_MAX + 1);
    const struct cover cover = { language, found, &path, false };
    const struct cover system = { language, found, &path, true };
    uint32_t allowed = 0, covered = 0;

    TRY(allow_no_topics(language, set.ordinary, &allowed));
    TRY(cover_state(&cover, set.ordinary, allowed, &covered));
    return cover_state(&system, set.system, set.system, &covered);
}

/* ---- Pieces ---- */

struct pieces {
    struct policy_language *language;
    struct filters filters, except;
    size_t most; /* filters that are left to be told */
    enum rc (*each)(void *with, const struct policy_piece *piece);
    void *with;
};

/* These filters are of a language's words, in which symbols keep their meaning. */
static enum rc make(struct policy_language *language, struct bytes filter,
                    struct policy_topics *made)
{
    return policy_language_filter(language, filter, true, 1, made);
}

static enum rc tell(struct pieces *pieces, struct bytes filter)
{
    const struct policy_piece piece = { filter, pieces->except.at, pieces->except.count };

    if (pieces->most < 1 + piece.except_count)
        return fault(RC_LIMIT, "more filters than are to be told");
    pieces->most -= 1 + piece.except_count;
    return pieces->each(pieces->with, &piece);
}

/* One filter without what is not of the set; what of the set is not left yet. */
static enum rc tell_piece(struct pieces *pieces, struct bytes filter, struct policy_topics set,
                          struct policy_topics *left)
{
    struct policy_language *language = pieces->language;
    struct policy_topics whole, excess, off;

    TRY(make(language, filter, &whole));
    TRY(policy_language_subtract(language, whole, set, &excess));
    TRY(hull(language, excess, &pieces->except));
    for (size_t i = 0; i < pieces->except.count; i++) {
        TRY(make(language, pieces->except.at[i], &off));
        TRY(policy_language_subtract(language, whole, off, &whole));
    }
    TRY(policy_language_subtract(language, *left, whole, left));
    TRY(tell(pieces, filter));
    filters_clear(&pieces->except);
    return RC_OK;
}

/* What exceptions took too much of comes as further pieces, each deeper than the last. */
static enum rc tell_all(struct pieces *pieces, struct policy_topics set)
{
    struct policy_topics left = set;

    while (!policy_language_is_empty(left)) {
        struct policy_topics before = left;
        TRY(hull(pieces->language, left, &pieces->filters));
        for (size_t i = 0; i < pieces->filters.count; i++)
            TRY(tell_piece(pieces, pieces->filters.at[i], set, &left));
        filters_clear(&pieces->filters);
        if (policy_language_equal(before, left))
            return fault(RC_LIMIT, "topics that are no simple filters");
    }
    return RC_OK;
}

enum rc policy_language_describe(struct policy_language *language, struct policy_topics set,
                                 size_t most,
                                 enum rc (*each)(void *with, const struct policy_piece *piece),
                                 void *with)
{
    struct pieces pieces = { .language = language,
                             .filters.most = most,
                             .except.most = most,
                             .most = most,
                             .each = each,
                             .with = with };
    struct policy_mark mark = policy_language_mark(language);
    size_t scratch = language->scratch_count;
    enum rc rc = tell_all(&pieces, set);

    filters_clear(&pieces.filters);
    filters_clear(&pieces.except);
    language->scratch_count = scratch;
    policy_language_return(language, mark);
    return rc;
}
