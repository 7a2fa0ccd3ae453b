#include "policy/condition.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- One test ---- */

static const struct policy_value *value_of(const struct policy_rules *rules,
                                           const struct policy_condition *test, uint32_t which)
{
    return &rules->values[test->first_value + which];
}

static bool is_same(const struct policy_value *wanted, const struct policy_value *fact)
{
    if (wanted->type == POLICY_ADDRESS)
        return policy_value_holds(wanted, fact);
    return policy_value_equal(wanted, fact);
}

/* From 22:00 to 06:00 goes over midnight; nothing else goes backwards. */
static bool is_between(const struct policy_value *low, const struct policy_value *high,
                       const struct policy_value *fact, bool round)
{
    bool above = policy_value_compare(fact, low) >= 0;
    bool below = policy_value_compare(fact, high) <= 0;

    return round && policy_value_compare(low, high) > 0 ? above || below : above && below;
}

/* The values are in order and, if networks, not within each other (policy_condition_sort()): so
 * only the last one that is not behind the fact can be it or hold it. */
static bool is_among(const struct policy_rules *rules, const struct policy_condition *test,
                     const struct policy_value *fact)
{
    uint32_t low = 0, high = test->value_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (policy_value_compare(value_of(rules, test, middle), fact) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && is_same(value_of(rules, test, low - 1), fact);
}

static int compare(const void *left, const void *right)
{
    return policy_value_compare(left, right);
}

size_t policy_condition_sort(struct policy_value *values, size_t count)
{
    size_t kept = 0;

    qsort(values, count, sizeof *values, compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || !is_same(&values[kept - 1], &values[i]))
            values[kept++] = values[i];
    return kept;
}

static bool compares(const struct policy_rules *rules, const struct policy_condition *test,
                     const struct policy_value *fact)
{
    int order = policy_value_compare(fact, value_of(rules, test, 0));

    if (test->operator== POLICY_BELOW)
        return order < 0;
    if (test->operator== POLICY_AT_MOST)
        return order <= 0;
    return test->operator== POLICY_ABOVE ? order > 0 : order >= 0;
}

static bool is_in_group(const struct policy_value *device, struct bytes group)
{
    for (int64_t i = 0; i < device->number; i++)
        if (bytes_equal(device->groups[i], group))
            return true;
    return false;
}

static bool passes(const struct policy_rules *rules, const struct policy_condition *test,
                   const struct policy_value *fact)
{
    switch (test->operator) {
    case POLICY_EQUAL:
    case POLICY_IN:
        return is_among(rules, test, fact);
    case POLICY_NOT_EQUAL:
        return !is_among(rules, test, fact);
    case POLICY_BETWEEN:
        return is_between(value_of(rules, test, 0), value_of(rules, test, 1), fact,
                          test->fact == POLICY_TIME_OF_DAY);
    case POLICY_STARTS_WITH:
        return bytes_start_with(fact->text, value_of(rules, test, 0)->text);
    case POLICY_IN_GROUP:
        return is_in_group(fact, value_of(rules, test, 0)->text);
    case POLICY_BELOW:
    case POLICY_AT_MOST:
    case POLICY_ABOVE:
    case POLICY_AT_LEAST:
        return compares(rules, test, fact);
    case POLICY_IS_KNOWN:
        break;
    }
    return true;
}

enum policy_truth policy_condition_test(const struct policy_rules *rules,
                                        const struct policy_condition *test,
                                        const struct policy_value *fact)
{
    if (fact->untold)
        return POLICY_PERHAPS;
    if (test->operator== POLICY_IS_KNOWN)
        return fact->type == POLICY_UNKNOWN ? POLICY_NO : POLICY_YES;
    if (fact->type == POLICY_UNKNOWN)
        return POLICY_PERHAPS;
    return passes(rules, test, fact) ? POLICY_YES : POLICY_NO;
}

/* ---- All of it: the parser bounds how deep ---- */

static enum policy_truth invert(enum policy_truth truth)
{
    return truth == POLICY_PERHAPS ? truth : truth == POLICY_YES ? POLICY_NO : POLICY_YES;
}

static enum policy_truth join(enum policy_node_kind kind, enum policy_truth left,
                              enum policy_truth right)
{
    enum policy_truth decides = kind == POLICY_AND ? POLICY_NO : POLICY_YES;

    if (left == decides || right == decides)
        return decides;
    return left == POLICY_PERHAPS ? left : right;
}

enum policy_truth policy_condition_truth(const struct policy_rules *rules, uint32_t condition,
                                         const struct policy_knowledge *knowledge)
{
    if (condition == POLICY_ALWAYS)
        return POLICY_YES;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST) {
        struct policy_value fact = knowledge->value(knowledge->with, c->fact);
        return policy_condition_test(rules, c, &fact);
    }
    enum policy_truth left = policy_condition_truth(rules, c->left, knowledge);
    if (c->kind == POLICY_NOT)
        return invert(left);
    return join(c->kind, left, policy_condition_truth(rules, c->right, knowledge));
}

static unsigned join_all(enum policy_node_kind kind, unsigned left, unsigned right)
{
    unsigned made = 0;

    for (enum policy_truth a = POLICY_NO; a <= POLICY_PERHAPS; a++)
        for (enum policy_truth b = POLICY_NO; b <= POLICY_PERHAPS; b++)
            if (left >> a & 1 && right >> b & 1)
                made |= 1U << join(kind, a, b);
    return made;
}

static unsigned invert_all(unsigned all)
{
    unsigned made = 0;

    for (enum policy_truth truth = POLICY_NO; truth <= POLICY_PERHAPS; truth++)
        if (all >> truth & 1)
            made |= 1U << invert(truth);
    return made;
}

static unsigned may_test(const struct policy_rules *rules, const struct policy_condition *test,
                         const struct policy_knowledge *knowledge)
{
    struct policy_value fact = knowledge->value(knowledge->with, test->fact);

    if (!fact.untold)
        return 1U << policy_condition_test(rules, test, &fact);
    return test->operator== POLICY_IS_KNOWN ? 1U << POLICY_NO | 1U << POLICY_YES
                                            : POLICY_ANY_TRUTH;
}

unsigned policy_condition_may(const struct policy_rules *rules, uint32_t condition,
                              const struct policy_knowledge *knowledge)
{
    if (condition == POLICY_ALWAYS)
        return 1U << POLICY_YES;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST)
        return may_test(rules, c, knowledge);
    unsigned left = policy_condition_may(rules, c->left, knowledge);
    return c->kind == POLICY_NOT
               ? invert_all(left)
               : join_all(c->kind, left, policy_condition_may(rules, c->right, knowledge));
}

/* Of `a and b`, the first that is not so; of `a or b`, the first; under a not, the other way
 * round. */
uint32_t policy_condition_blame(const struct policy_rules *rules, uint32_t condition,
                                const struct policy_knowledge *knowledge, bool *negated)
{
    const struct policy_condition *c = &rules->conditions[condition];

    for (*negated = false; c->kind != POLICY_TEST; c = &rules->conditions[condition]) {
        if (c->kind == POLICY_NOT) {
            *negated = !*negated;
            condition = c->left;
        } else {
            enum policy_truth left = policy_condition_truth(rules, c->left, knowledge);
            bool left_is_so = left == (*negated ? POLICY_NO : POLICY_YES);
            condition = left_is_so ? c->right : c->left;
        }
    }
    return condition;
}

void policy_condition_write_test(const struct policy_rules *rules, uint32_t test, bool negated,
                                 struct buf *out)
{
    buf_addf(out, "%s", negated ? "not (" : "");
    policy_condition_write(rules, test, out);
    buf_addf(out, "%s", negated ? ")" : "");
}

/* ---- Written again ---- */

static void write_of_day(int64_t ms, struct buf *out)
{
    buf_addf(out, "%02" PRId64 ":%02" PRId64, ms / 3600000, ms / 60000 % 60);
    if (ms % 60000 != 0)
        buf_addf(out, ":%02" PRId64, ms / 1000 % 60);
    if (ms % 1000 != 0)
        buf_addf(out, ".%03" PRId64, ms % 1000);
}

static void write_duration(int64_t ms, bool of_day, struct buf *out)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } UNITS[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" } };

    if (of_day) {
        write_of_day(ms, out);
        return;
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        if (ms != 0 && ms % UNITS[i].ms == 0) {
            buf_addf(out, "%" PRId64 "%s", ms / UNITS[i].ms, UNITS[i].unit);
            return;
        }
    }
    buf_addf(out, "%" PRId64 "ms", ms);
}

static void write_address(const struct policy_value *value, struct buf *out)
{
    static const uint8_t V4[12] = { [10] = 0xff, [11] = 0xff };
    bool v4 = value->prefix >= 96 && bytes_start_with(BYTES_OF(value->address), BYTES_OF(V4));
    char text[INET6_ADDRSTRLEN];

    buf_addf(
        out, "%s",
        inet_ntop(v4 ? AF_INET : AF_INET6, value->address + (v4 ? 12 : 0), text, sizeof text));
    if (value->prefix < 128)
        buf_addf(out, "/%d", value->prefix - (v4 ? 96 : 0));
}

void policy_condition_write_value(enum policy_fact fact, const struct policy_value *value,
                                  struct buf *out)
{
    switch (value->type) {
    case POLICY_NUMBER:
        buf_addf(out, "%" PRId64, value->number);
        break;
    case POLICY_BOOLEAN:
        buf_addf(out, "%s", value->number != 0 ? "true" : "false");
        break;
    case POLICY_TIME:
        clock_add_rfc3339(out, value->number);
        break;
    case POLICY_DURATION:
        write_duration(value->number, fact == POLICY_TIME_OF_DAY, out);
        break;
    case POLICY_ADDRESS:
        write_address(value, out);
        break;
    case POLICY_VERSION:
        buf_addf(out, "%.*s", BYTES_FMT(value->text));
        break;
    case POLICY_UNKNOWN:
        buf_addf(out, "unknown");
        break;
    case POLICY_STRING:
    case POLICY_GROUPED:
    case POLICY_TYPES:
        buf_addf(out, "\"");
        text_add_shown(out, value->text);
        buf_addf(out, "\"");
    }
}

static void write_test(const struct policy_rules *rules, const struct policy_condition *test,
                       struct buf *out)
{
    static const char *const OPERATORS[] = {
        [POLICY_EQUAL] = " = ",
        [POLICY_NOT_EQUAL] = " != ",
        [POLICY_BELOW] = " < ",
        [POLICY_AT_MOST] = " <= ",
        [POLICY_ABOVE] = " > ",
        [POLICY_AT_LEAST] = " >= ",
        [POLICY_IN] = " in { ",
        [POLICY_BETWEEN] = " between ",
        [POLICY_STARTS_WITH] = " starts with ",
        [POLICY_IN_GROUP] = " in group ",
        [POLICY_IS_KNOWN] = " is known",
    };

    uint32_t shown =
        test->value_count > POLICY_SHOWN_MAX ? POLICY_SHOWN_MAX : test->value_count;

    buf_addf(out, "%s%s", policy_fact_get(test->fact)->name, OPERATORS[test->operator]);
    for (uint32_t i = 0; i < shown; i++) {
        if (i > 0)
            buf_addf(out, "%s", test->operator== POLICY_BETWEEN ? " and " : ", ");
        policy_condition_write_value(test->fact, value_of(rules, test, i), out);
    }
    if (shown < test->value_count)
        buf_addf(out, ", ... %u in all", test->value_count);
    if (test->operator== POLICY_IN)
        buf_addf(out, " }");
}

void policy_condition_write(const struct policy_rules *rules, uint32_t condition,
                            struct buf *out)
{
    if (condition == POLICY_ALWAYS)
        return;
    const struct policy_condition *c = &rules->conditions[condition];
    if (c->kind == POLICY_TEST) {
        write_test(rules, c, out);
        return;
    }
    buf_addf(out, c->kind == POLICY_NOT ? "not (" : "(");
    policy_condition_write(rules, c->left, out);
    if (c->kind != POLICY_NOT) {
        buf_addf(out, c->kind == POLICY_AND ? " and " : " or ");
        policy_condition_write(rules, c->right, out);
    }
    buf_addf(out, ")");
}
