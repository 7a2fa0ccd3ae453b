#include "policy/rules.h"

/* What a fact's texts look like. A test with any other would be never so, or always: a ban of
 * "AB:CD" that bans nobody, since serials are told as "abcd". So it is an error, and the error
 * says what to write. */

enum { SERIAL_DIGITS = 40, FINGERPRINT_DIGITS = 64, WRITTEN_MAX = 2 * FINGERPRINT_DIGITS };

/* ---- Days ---- */

static enum rc check_day(struct bytes text, bool whole)
{
    static const char *const DAYS[] = { "monday", "tuesday",  "wednesday", "thursday",
                                        "friday", "saturday", "sunday" };

    for (size_t i = 0; i < sizeof DAYS / sizeof *DAYS; i++)
        if (whole ? bytes_equal_text(text, DAYS[i])
                  : bytes_start_with(bytes_of_text(DAYS[i]), text))
            return RC_OK;
    return fault(RC_MALFORMED, "time.weekday is monday to sunday, in small letters");
}

/* ---- Names ---- */

static enum rc check_name(enum policy_fact fact, struct bytes text, bool whole)
{
    if (text.len <= POLICY_NAME_MAX && policy_name_len(text) == text.len &&
        (text.len > 0 || !whole))
        return RC_OK;
    return fault(RC_MALFORMED, "%s is 1 to %d letters, digits and . _ : -",
                 policy_fact_get(fact)->name, POLICY_NAME_MAX);
}

/* ---- Hexadecimal ---- */

/* Without what other programs write between the digits; false: it is nothing of the kind. */
static bool write_digits(struct bytes text, struct buf *digits)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        bool capital = c >= 'A' && c <= 'F';
        if (c == ':' || c == ' ')
            continue;
        if (!capital && (c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        buf_addf(digits, "%c", capital ? c - 'A' + 'a' : c);
    }
    return true;
}

/* A serial is its octets, none of them a leading zero, as the doors tell it. */
static bool is_hex(enum policy_fact fact, struct bytes digits, bool whole)
{
    bool zero = bytes_start_with(digits, BYTES("00"));

    if (fact == POLICY_CERTIFICATE_FINGERPRINT)
        return whole ? digits.len == FINGERPRINT_DIGITS : digits.len <= FINGERPRINT_DIGITS;
    return digits.len <= SERIAL_DIGITS && !zero &&
           (!whole || (digits.len > 0 && digits.len % 2 == 0));
}

static enum rc check_hex(enum policy_fact fact, struct bytes text, bool whole)
{
    const char *name = policy_fact_get(fact)->name;
    AUTO_BUF(digits, WRITTEN_MAX);
    struct bytes made;

    if (write_digits(text, &digits) && buf_done(&digits, &made) == RC_OK &&
        is_hex(fact, made, whole))
        return bytes_equal(made, text) ? RC_OK
                                       : fault(RC_MALFORMED, "%s is never so: write \"%.*s\"",
                                               name, BYTES_FMT(made));
    if (fact == POLICY_CERTIFICATE_FINGERPRINT)
        return fault(RC_MALFORMED, "%s is %d digits, 0-9 and a-f (SHA-256)%s", name,
                     FINGERPRINT_DIGITS, whole ? "; fewer: starts with" : "");
    return fault(RC_MALFORMED, "%s is 2 to %d digits, 0-9 and a-f, in pairs, not 00 first",
                 name, SERIAL_DIGITS);
}

enum rc policy_form_check(enum policy_fact fact, const struct policy_value *value, bool whole)
{
    if (fact == POLICY_TIME_WEEKDAY)
        return check_day(value->text, whole);
    if (fact == POLICY_CERTIFICATE_SERIAL || fact == POLICY_CERTIFICATE_FINGERPRINT)
        return check_hex(fact, value->text, whole);
    return policy_fact_get(fact)->in_topic ? check_name(fact, value->text, whole) : RC_OK;
}
