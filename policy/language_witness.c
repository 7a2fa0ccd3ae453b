#include "policy/language_states.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A step of the search, level by level: the first that comes to a topic took the fewest. */
struct visit {
    uint32_t state, level; /* POLICY_SELF: by any other level */
    size_t from;           /* the step before; its own place at the start */
};

struct search {
    const struct policy_language *language;
    struct visit *visits;
    size_t count, room;
    uint8_t *seen;
};

static enum rc visit(struct search *search, uint32_t state, uint32_t level, size_t from)
{
    if (search->seen[state / 8] & 1U << state % 8)
        return RC_OK;
    search->seen[state / 8] |= (uint8_t)(1U << state % 8);
    TRY(policy_language_grow(&search->visits, sizeof *search->visits, search->count,
                             &search->room));
    search->visits[search->count++] = (struct visit){ state, level, from };
    return RC_OK;
}

static enum rc visit_all(struct search *search, size_t from)
{
    const struct policy_language *language = search->language;
    uint32_t state = search->visits[from].state;
    const struct policy_state *at = &language->states[state];

    for (uint32_t e = 0; e < at->count; e++)
        TRY(visit(search, language->edges[at->first + e].to,
                  language->edges[at->first + e].level, from));
    return visit(search, policy_language_other(language, state), POLICY_SELF, from);
}

static bool has_edge(const struct policy_language *language, uint32_t state, struct bytes text)
{
    const struct policy_state *from = &language->states[state];

    for (uint32_t e = 0; e < from->count; e++)
        if (bytes_equal(language->words[language->edges[from->first + e].level].text, text))
            return true;
    return false;
}

/* A word that no rule has there; one of count + 1 is free. */
static void add_free_word(const struct policy_language *language, uint32_t state, bool system,
                          struct buf *topic)
{
    char text[32];

    for (uint32_t number = 0; number <= language->states[state].count; number++) {
        struct buf word = BUF_MAX(sizeof text);
        buf_addf(&word, number == 0 ? "%sx" : "%sx%" PRIu32, system ? "$" : "", number);
        bool is_free = !has_edge(language, state, buf_bytes(&word));
        if (is_free)
            buf_add(topic, buf_bytes(&word));
        buf_clear(&word);
        if (is_free)
            return;
    }
}

static void write_topic(const struct search *search, size_t last, bool system,
                        struct buf *topic)
{
    const struct visit *visit = &search->visits[last];

    if (visit->from == last)
        return;
    write_topic(search, visit->from, system, topic);
    bool first = search->visits[visit->from].from == visit->from;
    if (!first)
        buf_addf(topic, "/");
    if (visit->level == POLICY_SELF)
        add_free_word(search->language, search->visits[visit->from].state, system && first,
                      topic);
    else
        buf_add(topic, search->language->words[visit->level].text);
}

static enum rc find(struct search *search, uint32_t root, bool system, struct buf *topic)
{
    TRY(visit(search, root, POLICY_SELF, 0));
    for (size_t i = 0; i < search->count; i++) {
        if (search->language->states[search->visits[i].state].colour != 0) {
            write_topic(search, i, system, topic);
            return RC_OK;
        }
        TRY(visit_all(search, i));
    }
    return fault(RC_NOT_FOUND, "no topic");
}

static enum rc find_from(const struct policy_language *language, uint32_t root, bool system,
                         struct buf *topic)
{
    struct search search = { .language = language, .seen = calloc(language->count / 8 + 1, 1) };
    enum rc rc = fault(RC_NOMEM, "topics of a policy");

    if (search.seen != NULL)
        rc = find(&search, root, system, topic);
    free(search.seen);
    free(search.visits);
    return rc;
}

static size_t count_levels(struct bytes topic)
{
    size_t levels = 1;

    for (size_t i = 0; i < topic.len; i++)
        levels += topic.at[i] == '/';
    return levels;
}

enum rc policy_language_witness(struct policy_language *language, struct policy_topics topics,
                                struct buf *topic)
{
    AUTO_BUF(ordinary, POLICY_TOPIC_MAX);
    AUTO_BUF(system, POLICY_TOPIC_MAX);
    enum rc rc = find_from(language, topics.ordinary, false, &ordinary);
    enum rc rc_system = find_from(language, topics.system, true, &system);
    struct bytes found = buf_bytes(&ordinary), other = buf_bytes(&system);

    if (rc == RC_NOT_FOUND ||
        (rc_system == RC_OK && rc == RC_OK && count_levels(other) < count_levels(found)))
        rc = rc_system;
    if (rc != RC_OK || (rc_system != RC_OK && rc_system != RC_NOT_FOUND))
        return rc != RC_OK ? rc : rc_system;
    bool take_system =
        rc_system == RC_OK && (found.len == 0 || count_levels(other) < count_levels(found));
    buf_add(topic, take_system ? other : found);
    return RC_OK;
}
