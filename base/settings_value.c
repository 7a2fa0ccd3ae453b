#include "base/settings_value.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct unit {
    const char *name;
    int64_t worth;
};

/* The largest first, as they are shown. */
static const struct unit DURATIONS[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { 0 },
};
static const struct unit SIZES[] = {
    { "G", 1024 * 1024 * 1024 }, { "M", 1024 * 1024 }, { "k", 1024 }, { "", 1 }, { 0 },
};

bool settings_value_is_text(enum settings_kind kind)
{
    return kind == SETTINGS_TEXT || kind == SETTINGS_PATH || kind == SETTINGS_ADDRESS;
}

/* ---- Describing ---- */

static void add_amount(struct buf *out, int64_t amount, const struct unit *units)
{
    while (units->worth > 1 && (amount == 0 || amount % units->worth != 0))
        units++;
    buf_addf(out, "%lld%s", (long long)(amount / units->worth), units->name);
}

static void add_range(struct buf *out, const struct settings_row *row, const char *what,
                      const struct unit *units)
{
    buf_addf(out, "%s from ", what);
    add_amount(out, row->low, units);
    buf_addf(out, " to ");
    add_amount(out, row->high, units);
}

static void add_choices(struct buf *out, const char *choices)
{
    buf_addf(out, "one of ");
    for (; *choices != '\0'; choices++) {
        buf_add_u8(out, (uint8_t)*choices);
        if (*choices == ',')
            buf_add_u8(out, ' ');
    }
}

void settings_value_describe(const struct settings_row *row, struct buf *out)
{
    static const struct unit PLAIN[] = { { "", 1 } };

    switch (row->kind) {
    case SETTINGS_TEXT:
        buf_addf(out, "a text of %lld to %lld bytes", (long long)row->low,
                 (long long)row->high);
        break;
    case SETTINGS_PATH:
        buf_addf(out, "an absolute path of at most %lld bytes%s", (long long)row->high,
                 row->low == 0 ? ", or nothing" : "");
        break;
    case SETTINGS_NUMBER:
        add_range(out, row, "a number", PLAIN);
        break;
    case SETTINGS_DURATION:
        add_range(out, row, "a duration (ms, s, m, h, d)", DURATIONS);
        break;
    case SETTINGS_SIZE:
        add_range(out, row, "a size in bytes (k, M, G)", SIZES);
        break;
    case SETTINGS_SWITCH:
        buf_addf(out, "on or off");
        break;
    case SETTINGS_CHOICE:
        add_choices(out, row->choices);
        break;
    case SETTINGS_ADDRESS:
        buf_addf(out, "a numeric address and a port, like 127.0.0.1:8883 or [::1]:8883%s",
                 row->low < 0 ? ", or nothing" : "");
        break;
    }
}

/* ---- Reading ---- */

static bool read_amount(struct bytes digits, int64_t worth, int64_t *amount)
{
    uint64_t count = 0;

    return text_read_u64(digits, INT64_MAX, &count) == RC_OK &&
           !__builtin_mul_overflow((int64_t)count, worth, amount);
}

static bool read_number(const struct settings_row *row, struct bytes text, int64_t *number)
{
    bool minus = row->low < 0 && bytes_start_with(text, BYTES("-"));
    struct bytes digits = { text.at + minus, text.len - minus };

    if (!read_amount(digits, 1, number))
        return false;
    *number = minus ? -*number : *number;
    return true;
}

static bool read_with_unit(struct bytes text, const struct unit *units, int64_t *amount)
{
    size_t digits = 0;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct bytes unit = { text.at + digits, text.len - digits };
    for (; units->name != NULL; units++)
        if (bytes_equal_text(unit, units->name))
            return read_amount((struct bytes){ text.at, digits }, units->worth, amount);
    return false;
}

static bool read_choice(const char *choices, struct bytes text, int64_t *place)
{
    for (int64_t i = 0; *choices != '\0'; i++) {
        size_t len = strcspn(choices, ",");
        if (bytes_equal(text, (struct bytes){ (const uint8_t *)choices, len })) {
            *place = i;
            return true;
        }
        choices += len + (choices[len] == ',');
    }
    return false;
}

static bool read_switch(struct bytes text, int64_t *on)
{
    return read_choice("off,on", text, on);
}

static bool is_host(struct bytes host)
{
    AUTO_BUF(copy, INET6_ADDRSTRLEN);
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    struct in6_addr address;
    const char *text = NULL;

    buf_add(&copy, bracketed ? (struct bytes){ host.at + 1, host.len - 2 } : host);
    return buf_text(&copy, &text) == RC_OK &&
           inet_pton(bracketed ? AF_INET6 : AF_INET, text, &address) == 1;
}

static bool is_address(struct bytes text)
{
    size_t colon = text.len;
    uint64_t port;

    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    return colon > 0 && is_host((struct bytes){ text.at, colon - 1 }) &&
           text_read_u64((struct bytes){ text.at + colon, text.len - colon }, UINT16_MAX,
                         &port) == RC_OK;
}

static bool is_within(const struct settings_row *row, int64_t amount)
{
    return amount >= row->low && amount <= row->high;
}

static bool read_plain(const struct settings_row *row, struct bytes text, int64_t *number)
{
    switch (row->kind) {
    case SETTINGS_NUMBER:
        return read_number(row, text, number) && is_within(row, *number);
    case SETTINGS_DURATION:
        return read_with_unit(text, DURATIONS, number) && is_within(row, *number);
    case SETTINGS_SIZE:
        return read_with_unit(text, SIZES, number) && is_within(row, *number);
    case SETTINGS_SWITCH:
        return read_switch(text, number);
    case SETTINGS_CHOICE:
        return read_choice(row->choices, text, number);
    case SETTINGS_PATH:
        return is_within(row, (int64_t)text.len) &&
               (text.len == 0 || bytes_start_with(text, BYTES("/")));
    case SETTINGS_TEXT:
        return is_within(row, (int64_t)text.len);
    case SETTINGS_ADDRESS:
        return is_address(text) || (row->low < 0 && text.len == 0);
    }
    return false;
}

static enum rc fault_value(const struct settings_row *row, struct bytes text)
{
    AUTO_BUF(expected, 1000);
    const char *what = "";

    settings_value_describe(row, &expected);
    TRY(buf_text(&expected, &what));
    return fault(RC_MALFORMED, "\"%.*s\" is not what is expected: %s", BYTES_FMT(text), what);
}

enum rc settings_value_read(const struct settings_row *row, struct bytes text,
                            struct settings_value *value)
{
    struct settings_value got = { 0 };

    if (!read_plain(row, text, &got.number))
        return fault_value(row, text);
    if (settings_value_is_text(row->kind)) {
        got.text = strndup(text.at != NULL ? (const char *)text.at : "", text.len);
        if (got.text == NULL)
            return fault(RC_NOMEM, "setting");
    }
    *value = got;
    return RC_OK;
}

/* ---- The field in the struct ---- */

static int64_t load_number(const struct settings_row *row, const uint8_t *field)
{
    int64_t number = 0;
    int place = 0;
    bool on = false;

    switch (row->kind) {
    case SETTINGS_SWITCH:
        memcpy(&on, field, sizeof on);
        return on;
    case SETTINGS_CHOICE:
        memcpy(&place, field, sizeof place);
        return place;
    case SETTINGS_NUMBER:
    case SETTINGS_DURATION:
    case SETTINGS_SIZE:
        memcpy(&number, field, sizeof number);
        return number;
    case SETTINGS_TEXT:
    case SETTINGS_PATH:
    case SETTINGS_ADDRESS:
        break;
    }
    return 0;
}

void settings_value_store(const struct settings_row *row, struct settings_value *value,
                          void *into)
{
    uint8_t *field = (uint8_t *)into + row->field;
    int place = (int)value->number;
    bool on = value->number != 0;

    switch (row->kind) {
    case SETTINGS_SWITCH:
        memcpy(field, &on, sizeof on);
        break;
    case SETTINGS_CHOICE:
        memcpy(field, &place, sizeof place);
        break;
    case SETTINGS_NUMBER:
    case SETTINGS_DURATION:
    case SETTINGS_SIZE:
        memcpy(field, &value->number, sizeof value->number);
        break;
    case SETTINGS_TEXT:
    case SETTINGS_PATH:
    case SETTINGS_ADDRESS:
        memcpy(field, &value->text, sizeof value->text);
        value->text = NULL;
        break;
    }
}

static void add_choice(struct buf *out, const char *choices, int64_t place)
{
    for (; place > 0; place--)
        choices += strcspn(choices, ",") + 1;
    buf_addf(out, "%.*s", (int)strcspn(choices, ","), choices);
}

void settings_value_show(const struct settings_row *row, const void *from, struct buf *out)
{
    const uint8_t *field = (const uint8_t *)from + row->field;
    int64_t number = load_number(row, field);
    const char *text = NULL;

    switch (row->kind) {
    case SETTINGS_NUMBER:
        buf_addf(out, "%lld", (long long)number);
        break;
    case SETTINGS_DURATION:
        add_amount(out, number, DURATIONS);
        break;
    case SETTINGS_SIZE:
        add_amount(out, number, SIZES);
        break;
    case SETTINGS_SWITCH:
        add_choice(out, "off,on", number);
        break;
    case SETTINGS_CHOICE:
        add_choice(out, row->choices, number);
        break;
    case SETTINGS_TEXT:
    case SETTINGS_PATH:
    case SETTINGS_ADDRESS:
        memcpy(&text, field, sizeof text);
        buf_addf(out, "%s", text);
        break;
    }
}
