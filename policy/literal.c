#include "policy/literal.h"

#include "base/clock.h"
#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { TIME_TEXT_MAX = 32, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };
static const int64_t DAY_MS = 24LL * HOUR_MS;

struct unit {
    const char *name;
    int64_t worth;
};

static size_t digits(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && text.at[len] >= '0' && text.at[len] <= '9')
        len++;
    return len;
}

/* Digits and one of the units behind them. */
static enum rc read_with_unit(struct bytes text, const struct unit *units, size_t count,
                              int64_t *value)
{
    struct bytes number = { text.at, digits(text) };
    struct bytes unit = { text.at + number.len, text.len - number.len };
    uint64_t read = 0;

    for (size_t i = 0; i < count; i++) {
        if (!bytes_equal_text(unit, units[i].name))
            continue;
        TRY(text_read_u64(number, (uint64_t)(INT64_MAX / units[i].worth), &read));
        *value = (int64_t)read * units[i].worth;
        return RC_OK;
    }
    return fault(RC_MALFORMED, "no such unit");
}

/* What a value of each type looks like. */
static const char *const WANTED[POLICY_TYPES] = {
    [POLICY_UNKNOWN] = "a value",
    [POLICY_STRING] = "a text in quotes",
    [POLICY_NUMBER] = "a number such as 12 or 64KiB",
    [POLICY_BOOLEAN] = "true or false",
    [POLICY_TIME] = "a time such as 2026-12-31 or 2026-12-31T23:59Z",
    [POLICY_DURATION] = "a duration such as 30s, 10m, 8h, 7d, or a time of day such as 06:30",
    [POLICY_ADDRESS] = "an address such as 192.0.2.7 or a network such as 192.0.2.0/24",
    [POLICY_VERSION] = "a version such as 1.12.0 or 2.0-rc.1",
    [POLICY_GROUPED] = "a device",
};

static enum rc other(enum policy_type type)
{
    assert(type < POLICY_TYPES);
    return fault(RC_MALFORMED, "expected %s", WANTED[type]);
}

static enum rc read_number(struct bytes text, struct policy_value *value)
{
    static const struct unit UNITS[] = {
        { "", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 }
    };

    if (read_with_unit(text, UNITS, sizeof UNITS / sizeof *UNITS, &value->number) != RC_OK)
        return other(POLICY_NUMBER);
    return RC_OK;
}

/* So many digits behind a mark. */
static bool take_digits(struct bytes *text, uint8_t mark, size_t count, int64_t *value)
{
    struct bytes number = { text->at + 1, count };

    if (text->len <= count || text->at[0] != mark || digits(number) != count)
        return false;
    *value = 0;
    for (size_t i = 0; i < count; i++)
        *value = *value * 10 + (number.at[i] - '0');
    *text = (struct bytes){ number.at + count, text->len - count - 1 };
    return true;
}

/* "06:30", "06:30:15", "06:30:15.250", up to 24:00. */
static bool read_of_day(struct bytes text, int64_t *value)
{
    int64_t hours = 0, minutes = 0, seconds = 0, ms = 0;

    if (text.len < sizeof "06:30" - 1 || digits(text) != 2)
        return false;
    hours = (text.at[0] - '0') * 10 + (text.at[1] - '0');
    text = (struct bytes){ text.at + 2, text.len - 2 };
    if (!take_digits(&text, ':', 2, &minutes))
        return false;
    if (take_digits(&text, ':', 2, &seconds))
        (void)take_digits(&text, '.', 3, &ms);
    *value = hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000 + ms;
    return text.len == 0 && minutes < 60 && seconds < 60 && *value <= DAY_MS;
}

static enum rc read_duration(struct bytes text, struct policy_value *value)
{
    static const struct unit UNITS[] = { { "ms", 1 },
                                         { "s", 1000 },
                                         { "m", MINUTE_MS },
                                         { "h", HOUR_MS },
                                         { "d", 24LL * HOUR_MS } };

    if (read_of_day(text, &value->number) ||
        read_with_unit(text, UNITS, sizeof UNITS / sizeof *UNITS, &value->number) == RC_OK)
        return RC_OK;
    return other(POLICY_DURATION);
}

/* RFC 3339 in UTC, of which seconds, or all of the time, may be left out. */
static enum rc read_time(struct bytes text, struct policy_value *value)
{
    enum { DATE = sizeof "2026-12-31" - 1, MINUTES = sizeof "2026-12-31T23:59Z" - 1 };
    AUTO_BUF(whole, TIME_TEXT_MAX);
    bool minutes = text.len == MINUTES && text.at[MINUTES - 1] == 'Z';

    buf_add(&whole, (struct bytes){ text.at, minutes ? text.len - 1 : text.len });
    if (text.len == DATE)
        buf_addf(&whole, "T00:00:00Z");
    else if (minutes)
        buf_addf(&whole, ":00Z");
    struct bytes bytes;
    if (buf_done(&whole, &bytes) != RC_OK || clock_read_rfc3339(bytes, &value->number) != RC_OK)
        return other(POLICY_TIME);
    return RC_OK;
}

static enum rc read_boolean(struct bytes text, struct policy_value *value)
{
    value->number = bytes_equal_text(text, "true");
    if (value->number == 0 && !bytes_equal_text(text, "false"))
        return other(POLICY_BOOLEAN);
    return RC_OK;
}

static enum rc read_version(struct bytes text, struct policy_value *value)
{
    if (text.len > 0 && text.at[0] == 'v')
        text = (struct bytes){ text.at + 1, text.len - 1 };
    return policy_value_version(text, value);
}

static enum rc read_word(struct bytes word, enum policy_type type, struct policy_value *value)
{
    switch (type) {
    case POLICY_NUMBER:
        return read_number(word, value);
    case POLICY_BOOLEAN:
        return read_boolean(word, value);
    case POLICY_TIME:
        return read_time(word, value);
    case POLICY_DURATION:
        return read_duration(word, value);
    case POLICY_ADDRESS:
        return policy_value_address(word, value);
    case POLICY_VERSION:
        return read_version(word, value);
    case POLICY_UNKNOWN:
    case POLICY_STRING:
    case POLICY_GROUPED:
    case POLICY_TYPES:
        break;
    }
    return other(type);
}

enum rc policy_literal_read(const struct policy_token *token, enum policy_type type,
                            struct policy_value *value)
{
    struct policy_value made = { .type = type, .text = token->text };

    if (token->kind != (type == POLICY_STRING ? POLICY_TEXT : POLICY_WORD))
        return token->kind == POLICY_TEXT
                   ? fault(RC_MALFORMED, "expected %s, without quotes", WANTED[type])
                   : other(type);
    if (type != POLICY_STRING)
        TRY(read_word(token->text, type, &made));
    made.text = token->text;
    *value = made;
    return RC_OK;
}

bool policy_literal_take(struct policy_tokens *tokens, enum policy_type type,
                         struct policy_value *value)
{
    if (tokens->next.kind == POLICY_TORN)
        return false;
    enum rc rc = policy_literal_read(&tokens->next, type, value);
    if (rc != RC_OK)
        return policy_token_complain(tokens, &tokens->next.at, rc);
    policy_token_advance(tokens);
    return true;
}
