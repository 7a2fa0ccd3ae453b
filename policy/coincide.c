#include "policy/coincide.h"

#include <string.h>

enum { LENGTH_MAX = 4096 };

/* A level with a name of some length in place of the fact: what stands at each place. */
struct sample {
    size_t len;
    uint16_t at[LENGTH_MAX]; /* a letter, or HOLE + a place in the name */
};
enum { HOLE = 256 };

/* The `${...}` at the text's start, or nothing. */
static struct bytes symbol_of(struct bytes text)
{
    const uint8_t *end =
        bytes_start_with(text, BYTES("${")) ? memchr(text.at, '}', text.len) : NULL;

    return (struct bytes){ text.at, end == NULL ? 0 : (size_t)(end - text.at) + 1 };
}

static bool is_fact(struct bytes symbol, enum policy_fact fact)
{
    return policy_fact_by_name((struct bytes){ symbol.at + 2, symbol.len - 3 }) == fact;
}

bool policy_coincide_is_about(struct bytes level, enum policy_fact fact)
{
    bool about = false;

    while (level.len > 0) {
        struct bytes symbol = symbol_of(level);
        if (symbol.len > 0 && !is_fact(symbol, fact))
            return false;
        about = about || symbol.len > 0;
        size_t taken = symbol.len > 0 ? symbol.len : 1;
        level = (struct bytes){ level.at + taken, level.len - taken };
    }
    return about;
}

/* False: longer than any level of a topic that could be equal is looked at. */
static bool sample(struct bytes level, size_t name_len, struct sample *made)
{
    made->len = 0;
    while (level.len > 0) {
        struct bytes symbol = symbol_of(level);
        size_t taken = symbol.len > 0 ? symbol.len : 1, len = symbol.len > 0 ? name_len : 1;
        if (made->len + len > LENGTH_MAX)
            return false;
        for (size_t i = 0; i < len; i++)
            made->at[made->len++] =
                symbol.len > 0 ? (uint16_t)(HOLE + i) : (uint16_t)level.at[0];
        level = (struct bytes){ level.at + taken, level.len - taken };
    }
    return true;
}

/* Which letter a place is, or of which other place it is the same. */
static uint16_t resolve(const uint16_t *name, uint16_t at)
{
    while (at >= HOLE && name[at - HOLE] != at)
        at = name[at - HOLE];
    return at;
}

static bool unify(const struct sample *left, const struct sample *right, size_t name_len,
                  uint16_t *name)
{
    for (size_t i = 0; i < name_len; i++)
        name[i] = (uint16_t)(HOLE + i);
    for (size_t i = 0; i < left->len; i++) {
        uint16_t a = resolve(name, left->at[i]), b = resolve(name, right->at[i]);
        if (a == b)
            continue;
        if (a < HOLE && b < HOLE)
            return false;
        if (a < HOLE)
            name[b - HOLE] = a;
        else
            name[a - HOLE] = b;
    }
    return true;
}

static enum rc tell(const uint16_t *name, size_t name_len,
                    enum rc (*each)(void *with, struct bytes name), void *with)
{
    uint8_t text[POLICY_NAME_MAX];

    for (size_t i = 0; i < name_len; i++) {
        uint16_t letter = resolve(name, name[i]);
        if (letter >= HOLE)
            return RC_OK; /* of the same text */
        text[i] = (uint8_t)letter;
    }
    struct bytes made = { text, name_len };
    return policy_name_is(made) ? each(with, made) : RC_OK;
}

/* How long a level would be: letters of its own, and the fact so often. */
static void measure(struct bytes level, size_t *letters, size_t *facts)
{
    *letters = *facts = 0;
    while (level.len > 0) {
        struct bytes symbol = symbol_of(level);
        size_t taken = symbol.len > 0 ? symbol.len : 1;
        *letters += symbol.len == 0;
        *facts += symbol.len > 0;
        level = (struct bytes){ level.at + taken, level.len - taken };
    }
}

enum rc policy_coincide(struct bytes left, struct bytes right,
                        enum rc (*each)(void *with, struct bytes name), void *with)
{
    size_t left_letters, left_facts, right_letters, right_facts;
    uint16_t name[POLICY_NAME_MAX];
    struct sample a, b;

    measure(left, &left_letters, &left_facts);
    measure(right, &right_letters, &right_facts);
    for (size_t len = 1; len <= POLICY_NAME_MAX; len++) {
        if (left_letters + left_facts * len != right_letters + right_facts * len)
            continue;
        if (!sample(left, len, &a) || !sample(right, len, &b))
            return fault(RC_LIMIT, "a level of more than %d letters with a fact in it",
                         LENGTH_MAX);
        if (unify(&a, &b, len, name))
            TRY(tell(name, len, each, with));
    }
    return RC_OK;
}
