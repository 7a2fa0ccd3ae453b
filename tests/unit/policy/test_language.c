/*
 * Sets of topics against all topics of four levels over a small alphabet, of which one word
 * stands for all that no filter has, and at the first level one for those that begin with `$`:
 * filters have three levels at most, so sets that agree there agree everywhere. What a filter
 * matches is policy_topic_match()'s word, and POLICY_ANY_SYSTEM is what each `$` word makes it.
 *
 * test_policy_language [SEED [ROUNDS]] looks further than the tests do.
 */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "policy/language.h"

enum { WORDS = 6, DEPTH = 4, TOPICS = 935, WIDTH = (TOPICS + 63) / 64, FILTERS = 1000 };
enum { TEXT = 32, SETS = 6, STATES = 100000 };

static const char *const WORD[WORDS] = { "a", "b", "", "$s", "z", "$z" }; /* the last: first */

struct bits {
    uint64_t at[WIDTH];
};

static struct {
    char text[TOPICS][TEXT];
    size_t levels[TOPICS];
    char filter[FILTERS][TEXT];
    struct bits matched[FILTERS];
    size_t filter_count, rule_count; /* those that rules may have come first */
} universe;

static uint64_t dice = 20261127;
static unsigned rounds = 2400;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

/* ---- Sets of the universe ---- */

static bool has(const struct bits *set, size_t topic)
{
    return set->at[topic / 64] >> topic % 64 & 1;
}

static struct bits both(struct bits a, struct bits b)
{
    for (size_t i = 0; i < WIDTH; i++)
        a.at[i] &= b.at[i];
    return a;
}

static struct bits either(struct bits a, struct bits b)
{
    for (size_t i = 0; i < WIDTH; i++)
        a.at[i] |= b.at[i];
    return a;
}

static struct bits without(struct bits a, struct bits b)
{
    for (size_t i = 0; i < WIDTH; i++)
        a.at[i] &= ~b.at[i];
    return a;
}

static bool is_nothing(struct bits a)
{
    for (size_t i = 0; i < WIDTH; i++)
        if (a.at[i] != 0)
            return false;
    return true;
}

static struct bits matched_by(struct bytes filter)
{
    struct bits bits = { 0 };
    AUTO_BUF(spelt, TEXT);

    if (bytes_start_with(filter, POLICY_ANY_SYSTEM)) {
        buf_addf(&spelt, "$s%.*s", (int)filter.len - 2, filter.at + 2);
        bits = matched_by(buf_bytes(&spelt));
        buf_reset(&spelt);
        buf_addf(&spelt, "$z%.*s", (int)filter.len - 2, filter.at + 2);
        return either(bits, matched_by(buf_bytes(&spelt)));
    }
    for (size_t i = 0; i < TOPICS; i++)
        if (policy_topic_match(filter, bytes_of_text(universe.text[i])))
            bits.at[i / 64] |= UINT64_C(1) << i % 64;
    return bits;
}

static void add_topics(size_t *count, const char *prefix, size_t level)
{
    for (size_t i = 0; i < WORDS - (level > 1); i++) {
        AUTO_BUF(text, TEXT);
        const char *made = NULL;
        buf_addf(&text, "%s%s%s", prefix, level == 1 ? "" : "/", WORD[i]);
        assert_int_equal(buf_text(&text, &made), RC_OK);
        if (*made != '\0') {
            assert_true(*count < TOPICS);
            memcpy(universe.text[*count], made, strlen(made) + 1);
            universe.levels[(*count)++] = level;
        }
        if (level < DEPTH)
            add_topics(count, made, level + 1);
    }
}

/* Rules' filters; what is left of them may begin a level or two later. */
static void add_filters(const char *prefix, size_t level, bool of_rules)
{
    static const char *const LEVELS[] = { "#", "+", "a", "b", "", "$s", "$+" };
    size_t count = level == 1 ? 7 : level < DEPTH ? 6 : 2;

    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(text, TEXT);
        const char *made = NULL;
        buf_addf(&text, "%s%s%s", prefix, level == 1 ? "" : "/", LEVELS[i]);
        assert_int_equal(buf_text(&text, &made), RC_OK);
        if (*made != '\0' && of_rules == (level < DEPTH)) {
            assert_true(universe.filter_count < FILTERS);
            memcpy(universe.filter[universe.filter_count], made, strlen(made) + 1);
            universe.matched[universe.filter_count++] = matched_by(bytes_of_text(made));
        }
        if (level < (of_rules ? DEPTH - 1 : DEPTH + 1) && *LEVELS[i] != '#')
            add_filters(made, level + 1, of_rules);
    }
}

static int set_up(void **state)
{
    size_t count = 0;

    (void)state;
    add_topics(&count, "", 1);
    assert_int_equal(count, TOPICS);
    add_filters("", 1, true);
    universe.rule_count = universe.filter_count;
    add_filters("", 1, false);
    return 0;
}

/* ---- The same set twice ---- */

struct pair {
    struct policy_topics topics;
    struct bits bits;
};

static struct pair filter_pair(struct policy_language *language)
{
    size_t which = roll((unsigned)universe.rule_count);
    struct pair pair = { .bits = universe.matched[which] };

    assert_int_equal(policy_language_filter(language, bytes_of_text(universe.filter[which]),
                                            true, 1, &pair.topics),
                     RC_OK);
    return pair;
}

static struct pair join(struct policy_language *language, struct pair a, struct pair b,
                        unsigned how)
{
    struct pair made;

    if (how == 0) {
        made.bits = either(a.bits, b.bits);
        assert_int_equal(policy_language_union(language, a.topics, b.topics, &made.topics),
                         RC_OK);
    } else if (how == 1) {
        made.bits = both(a.bits, b.bits);
        assert_int_equal(policy_language_intersect(language, a.topics, b.topics, &made.topics),
                         RC_OK);
    } else {
        made.bits = without(a.bits, b.bits);
        assert_int_equal(policy_language_subtract(language, a.topics, b.topics, &made.topics),
                         RC_OK);
    }
    return made;
}

/* Some permits, some denials, and sometimes what is left of one policy without another. */
static struct pair random_pair(struct policy_language *language)
{
    struct pair made = filter_pair(language);

    for (unsigned i = roll(5); i > 0; i--)
        made = join(language, made, filter_pair(language), 0);
    for (unsigned i = roll(4); i > 0; i--)
        made = join(language, made, filter_pair(language), 2);
    if (roll(4) == 0)
        made = join(language, made, filter_pair(language), roll(3));
    return made;
}

static void holds_just_its_topics(struct policy_language *language, const struct pair *pair)
{
    for (size_t i = 0; i < TOPICS; i++) {
        uint32_t colour = 0;
        assert_int_equal(policy_language_colour(language, pair->topics,
                                                bytes_of_text(universe.text[i]), &colour),
                         RC_OK);
        assert_int_equal(colour != 0, has(&pair->bits, i));
    }
}

static void compares_as_they_do(struct policy_language *language, const struct pair *a,
                                const struct pair *b)
{
    bool contains = false;

    assert_int_equal(policy_language_equal(a->topics, b->topics),
                     is_nothing(without(a->bits, b->bits)) &&
                         is_nothing(without(b->bits, a->bits)));
    assert_int_equal(policy_language_is_empty(a->topics), is_nothing(a->bits));
    assert_int_equal(policy_language_contains(language, a->topics, b->topics, &contains),
                     RC_OK);
    assert_int_equal(contains, is_nothing(without(b->bits, a->bits)));
}

static void has_the_shortest_witness(struct policy_language *language, const struct pair *pair)
{
    AUTO_BUF(topic, TEXT);
    enum rc rc = policy_language_witness(language, pair->topics, &topic);
    size_t fewest = DEPTH + 1, levels = 1;
    uint32_t colour = 0;

    for (size_t i = 0; i < TOPICS; i++)
        if (has(&pair->bits, i) && universe.levels[i] < fewest)
            fewest = universe.levels[i];
    assert_int_equal(rc, is_nothing(pair->bits) ? RC_NOT_FOUND : RC_OK);
    if (rc != RC_OK)
        return;
    struct bytes found = buf_bytes(&topic);
    for (size_t i = 0; i < found.len; i++)
        levels += found.at[i] == '/';
    assert_int_equal(levels, fewest);
    assert_int_equal(policy_topic_check_name(found), RC_OK);
    assert_int_equal(policy_language_colour(language, pair->topics, found, &colour), RC_OK);
    assert_int_equal(colour, 1);
}

/* ---- Sets as filters ---- */

struct told {
    struct bits bits;
    size_t filters, exceptions;
};

static enum rc tell(void *with, const struct policy_piece *piece)
{
    struct told *told = with;
    struct bits bits = matched_by(piece->filter);

    if (!bytes_start_with(piece->filter, POLICY_ANY_SYSTEM))
        assert_int_equal(policy_topic_check_filter(piece->filter), RC_OK);
    for (size_t i = 0; i < piece->except_count; i++) {
        struct bits off = matched_by(piece->except[i]);
        assert_false(is_nothing(both(off, bits)));
        bits = without(bits, off);
    }
    assert_false(is_nothing(bits));
    told->bits = either(told->bits, bits);
    told->filters++;
    told->exceptions += piece->except_count;
    return RC_OK;
}

/* Can so many filters, or fewer, be the rest of a set? */
static bool is_coverable(const struct bits *set, struct bits left, size_t most)
{
    size_t topic = 0;

    if (is_nothing(left))
        return true;
    if (most == 0)
        return false;
    while (!has(&left, topic))
        topic++;
    for (size_t i = 0; i < universe.filter_count; i++)
        if (has(&universe.matched[i], topic) &&
            is_nothing(without(universe.matched[i], *set)) &&
            is_coverable(set, without(left, universe.matched[i]), most - 1))
            return true;
    return false;
}

static bool is_union_of_filters(const struct bits *set)
{
    struct bits held = { 0 };

    for (size_t i = 0; i < universe.filter_count; i++)
        if (is_nothing(without(universe.matched[i], *set)))
            held = either(held, universe.matched[i]);
    return is_nothing(without(*set, held));
}

static void is_told_in_the_fewest_filters(struct policy_language *language,
                                          const struct pair *pair)
{
    struct told told = { 0 };

    assert_int_equal(policy_language_describe(language, pair->topics, 200, tell, &told), RC_OK);
    assert_true(is_nothing(without(told.bits, pair->bits)));
    assert_true(is_nothing(without(pair->bits, told.bits)));
    bool simple = is_union_of_filters(&pair->bits);
    assert_int_equal(told.exceptions == 0, simple);
    if (simple && told.filters > 0 && told.filters < 5)
        assert_false(is_coverable(&pair->bits, pair->bits, told.filters - 1));
}

static void sets_are_what_their_topics_are(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rounds / SETS; i++) {
        AUTO_OF(policy_language) *language = NULL;
        struct pair sets[SETS];
        assert_int_equal(policy_language_new(STATES, &language), RC_OK);
        for (size_t s = 0; s < SETS; s++) {
            sets[s] = random_pair(language);
            holds_just_its_topics(language, &sets[s]);
            has_the_shortest_witness(language, &sets[s]);
            is_told_in_the_fewest_filters(language, &sets[s]);
        }
        for (size_t s = 0; s < SETS; s++)
            compares_as_they_do(language, &sets[s], &sets[roll(SETS)]);
    }
}

/* ---- Single claims ---- */

static void going_back_to_a_mark_forgets_what_came_after(void **state)
{
    AUTO_OF(policy_language) *language = NULL;
    struct policy_topics before, after, again;

    (void)state;
    assert_int_equal(policy_language_new(STATES, &language), RC_OK);
    assert_int_equal(policy_language_filter(language, BYTES("a/+"), true, 1, &before), RC_OK);
    for (unsigned i = 0; i < 2000; i++) {
        struct policy_mark mark = policy_language_mark(language);
        for (unsigned j = 0; j < 20; j++)
            (void)random_pair(language);
        policy_language_return(language, mark);
    }
    assert_int_equal(policy_language_filter(language, BYTES("a/b"), true, 1, &after), RC_OK);
    assert_int_equal(policy_language_union(language, before, after, &again), RC_OK);
    assert_true(policy_language_equal(before, again));
}

static void a_symbol_is_like_no_word(void **state)
{
    AUTO_OF(policy_language) *language = NULL;
    struct policy_topics symbol, word, plus;
    bool contains = false;
    uint32_t colour = 1;

    (void)state;
    assert_int_equal(policy_language_new(STATES, &language), RC_OK);
    struct bytes text = BYTES("${device.id}/a");
    assert_int_equal(policy_language_filter(language, text, true, 1, &symbol), RC_OK);
    assert_int_equal(policy_language_filter(language, text, false, 1, &word), RC_OK);
    assert_int_equal(policy_language_filter(language, BYTES("+/a"), true, 1, &plus), RC_OK);
    assert_int_equal(policy_language_contains(language, plus, symbol, &contains), RC_OK);
    assert_true(contains);
    assert_int_equal(policy_language_contains(language, plus, word, &contains), RC_OK);
    assert_false(contains);
    assert_int_equal(policy_language_colour(language, symbol, text, &colour), RC_OK);
    assert_int_equal(colour, 0);
}

static enum rc colour_most(void *with, uint32_t left, uint32_t right, uint32_t *made)
{
    (void)with;
    *made = left > right ? left : right;
    return RC_OK;
}

static enum rc add_colour(void *with, uint32_t colour)
{
    *(uint32_t *)with |= 1U << colour;
    return RC_OK;
}

static void maps_have_colours(void **state)
{
    static const struct policy_language_op MOST = { colour_most, NULL, POLICY_ZERO_YIELDS,
                                                    POLICY_ZERO_YIELDS, POLICY_SAME_STAYS };
    static const char *const FILTERS_OF[] = { "#", "a/#", "a/b/#", "a/+/c", "$s/#" };
    AUTO_OF(policy_language) *language = NULL;
    struct policy_topics all[5], made, set, part;
    uint32_t seen = 0;

    (void)state;
    assert_int_equal(policy_language_new(STATES, &language), RC_OK);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(policy_language_filter(language, bytes_of_text(FILTERS_OF[i]), true,
                                                i + 1, &all[i]),
                         RC_OK);
    assert_int_equal(policy_language_fold(language, &MOST, all, 5, &made), RC_OK);
    assert_int_equal(policy_language_colours(language, made, add_colour, &seen), RC_OK);
    assert_int_equal(seen, 0x3e);
    assert_int_equal(policy_language_filter(language, BYTES("a/b/#"), true, 1, &set), RC_OK);
    assert_int_equal(policy_language_restrict(language, set, made, &part), RC_OK);
    seen = 0;
    assert_int_equal(policy_language_colours(language, part, add_colour, &seen), RC_OK);
    assert_int_equal(seen, 1U << 3 | 1U << 4);
}

static enum rc add_filter(void *with, const struct policy_piece *piece)
{
    struct buf *text = with;

    buf_addf(text, "%s%.*s", text->len == 0 ? "" : " ", BYTES_FMT(piece->filter));
    for (size_t i = 0; i < piece->except_count; i++)
        buf_addf(text, "%s%.*s", i == 0 ? " but " : ",", BYTES_FMT(piece->except[i]));
    return RC_OK;
}

/* Of filters that are the same set, the shortest is told. */
static void sets_are_told_as_people_would(void **state)
{
    static const struct {
        const char *add, *take, *told;
    } ROWS[] = {
        { "#", NULL, "#" },          { "+/#", NULL, "#" },
        { "/#", NULL, "/#" },        { "/+/#", NULL, "/#" },
        { "+", NULL, "+" },          { "a/#", NULL, "a/#" },
        { "$s/#", NULL, "$s/#" },    { "a/#", "a", "a/+/#" },
        { "#", "a/#", "# but a/#" }, { "a/+", "a/${device.id}", "a/+ but a/${device.id}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        AUTO_OF(policy_language) *language = NULL;
        struct policy_topics set, off;
        AUTO_BUF(text, TEXT * 8);
        const char *told = NULL;
        assert_int_equal(policy_language_new(STATES, &language), RC_OK);
        assert_int_equal(
            policy_language_filter(language, bytes_of_text(ROWS[i].add), true, 1, &set), RC_OK);
        if (ROWS[i].take != NULL) {
            assert_int_equal(
                policy_language_filter(language, bytes_of_text(ROWS[i].take), true, 1, &off),
                RC_OK);
            assert_int_equal(policy_language_subtract(language, set, off, &set), RC_OK);
        }
        assert_int_equal(policy_language_describe(language, set, 9, add_filter, &text), RC_OK);
        assert_int_equal(buf_text(&text, &told), RC_OK);
        assert_string_equal(told, ROWS[i].told);
    }
}

static enum rc count_piece(void *with, const struct policy_piece *piece)
{
    *(size_t *)with += 1 + piece->except_count;
    return RC_OK;
}

/* Each level by two words or any: 3^12 filters would be asked for. */
static void limits_are_told(void **state)
{
    AUTO_OF(policy_language) *language = NULL;
    struct policy_topics all = policy_language_none(), one;
    size_t count = 0;

    (void)state;
    assert_int_equal(policy_language_new(STATES, &language), RC_OK);
    for (unsigned i = 0; i < 100; i++) {
        AUTO_BUF(filter, TEXT);
        buf_addf(&filter, "w%u/a", i);
        assert_int_equal(policy_language_filter(language, buf_bytes(&filter), true, 1, &one),
                         RC_OK);
        assert_int_equal(policy_language_union(language, all, one, &all), RC_OK);
    }
    assert_int_equal(policy_language_describe(language, all, 100, count_piece, &count), RC_OK);
    assert_int_equal(count, 100);
    assert_int_equal(policy_language_describe(language, all, 99, count_piece, &count),
                     RC_LIMIT);
}

/* The filters that differ in one of many levels have as many topics together as there are
 * subsets: it ends with an error, not never. */
static void too_many_states_are_refused(void **state)
{
    AUTO_OF(policy_language) *language = NULL;
    struct policy_topics all = policy_language_none(), one;
    enum rc rc = RC_OK;

    (void)state;
    assert_int_equal(policy_language_new(STATES, &language), RC_OK);
    for (unsigned i = 0; rc == RC_OK && i < 40; i++) {
        AUTO_BUF(filter, 256);
        for (unsigned level = 0; level < 40; level++)
            buf_addf(&filter, "%s%s", level == 0 ? "" : "/", level == i ? "a" : "+");
        buf_addf(&filter, "/w%u", i);
        assert_int_equal(policy_language_filter(language, buf_bytes(&filter), true, 1, &one),
                         RC_OK);
        rc = policy_language_union(language, all, one, &all);
    }
    assert_int_equal(rc, RC_LIMIT);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(sets_are_what_their_topics_are),
        cmocka_unit_test(going_back_to_a_mark_forgets_what_came_after),
        cmocka_unit_test(a_symbol_is_like_no_word),
        cmocka_unit_test(maps_have_colours),
        cmocka_unit_test(sets_are_told_as_people_would),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(too_many_states_are_refused),
    };

    if (argc > 1)
        dice = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        rounds = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(TESTS, set_up, NULL);
}
