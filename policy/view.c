#include "policy/view.h"

#include <stddef.h>
#include <string.h>

enum { ADDRESS_BITS = 128, SECOND_MS = 1000, HOURS_MS = 60 * 60 * SECOND_MS };
static const int64_t DAY_MS = 24LL * HOURS_MS;

struct policy_view policy_view_of(const struct policy_session *session,
                                  const struct policy_request *request)
{
    return (struct policy_view){ session->facts, request, session->given,
                                 session->given_count };
}

/* ---- Texts of a session ---- */

#define AT(member) (offsetof(struct policy_facts, member) + 1)

/* Where each text is, and one; 0: it is no text of a session. */
static const size_t TEXTS[POLICY_FACTS] = {
    [POLICY_DEVICE_ID] = AT(device_id),
    [POLICY_DEVICE_PROFILE] = AT(device_profile),
    [POLICY_OPERATOR_ID] = AT(operator_id),
    [POLICY_OPERATOR_ROLE] = AT(operator_role),
    [POLICY_LINE_ID] = AT(line_id),
    [POLICY_SINK_NAME] = AT(sink_name),
    [POLICY_CERTIFICATE_ISSUER] = AT(certificate_issuer),
    [POLICY_CERTIFICATE_SUBJECT] = AT(certificate_subject),
    [POLICY_CERTIFICATE_SERIAL] = AT(certificate_serial),
    [POLICY_CERTIFICATE_FINGERPRINT] = AT(certificate_fingerprint),
    [POLICY_ATTESTATION_VERDICT] = AT(attestation_verdict),
    [POLICY_FIRMWARE_VERSION] = AT(firmware_version),
    [POLICY_CONNECTION_ADDRESS] = AT(connection_address),
    [POLICY_CONNECTION_DOOR] = AT(connection_door),
    [POLICY_CONNECTION_PROTOCOL] = AT(connection_protocol),
    [POLICY_CONNECTION_TLS] = AT(connection_tls),
    [POLICY_CLIENT_ID] = AT(client_id),
};

static struct bytes text_of(const struct policy_facts *facts, enum policy_fact fact)
{
    struct bytes text;

    memcpy(&text, (const uint8_t *)facts + TEXTS[fact] - 1, sizeof text);
    return text;
}

static struct policy_value read_text(struct bytes text, enum policy_type type)
{
    struct policy_value value = { .type = POLICY_STRING, .text = text };
    enum rc rc = RC_OK;

    if (text.at == NULL)
        return (struct policy_value){ .type = POLICY_UNKNOWN };
    if (type == POLICY_VERSION)
        rc = policy_value_version(text, &value);
    else if (type == POLICY_ADDRESS)
        rc = policy_value_address(text, &value);
    if (type == POLICY_ADDRESS && value.prefix < ADDRESS_BITS) /* a network is no address */
        rc = RC_MALFORMED;
    return rc == RC_OK ? value : (struct policy_value){ .type = POLICY_UNKNOWN };
}

/* ---- Time ---- */

static bool knows_now(const struct policy_view *view, int64_t *now_ms)
{
    struct policy_value now = policy_view_fact(view, POLICY_TIME_NOW);

    *now_ms = now.number;
    return now.type != POLICY_UNKNOWN;
}

static struct policy_value weekday(int64_t now_ms)
{
    static const struct bytes DAYS[] = {
        BYTES("thursday"), BYTES("friday"),  BYTES("saturday"),  BYTES("sunday"),
        BYTES("monday"),   BYTES("tuesday"), BYTES("wednesday"),
    }; /* 1970-01-01 was a Thursday */
    int64_t ms = now_ms % (7 * DAY_MS);

    return (struct policy_value){ .type = POLICY_STRING,
                                  .text = DAYS[(ms < 0 ? ms + 7 * DAY_MS : ms) / DAY_MS] };
}

/* How far the end is, or the attestation back; neither is known without a clock. */
static struct policy_value distance(int64_t from_ms, int64_t to_ms)
{
    struct policy_value value = { .type = POLICY_DURATION };

    if (__builtin_sub_overflow(to_ms, from_ms, &value.number))
        value.type = POLICY_UNKNOWN;
    return value;
}

static struct policy_value of_clock(const struct policy_view *view, enum policy_fact fact)
{
    static const struct policy_value UNKNOWN = { .type = POLICY_UNKNOWN };
    int64_t now_ms = 0;

    if (!knows_now(view, &now_ms))
        return UNKNOWN;
    int64_t of_day = now_ms % DAY_MS;
    if (fact == POLICY_TIME_OF_DAY)
        return (struct policy_value){ .type = POLICY_DURATION,
                                      .number = of_day < 0 ? of_day + DAY_MS : of_day };
    if (fact == POLICY_TIME_WEEKDAY)
        return weekday(now_ms);
    if (fact == POLICY_CERTIFICATE_LEFT && view->facts->certificate_ends_ms != 0)
        return distance(now_ms, view->facts->certificate_ends_ms);
    if (fact == POLICY_ATTESTATION_AGE && view->facts->attestation_at_ms != 0)
        return distance(view->facts->attestation_at_ms, now_ms);
    return UNKNOWN;
}

/* ---- Requests ---- */

static struct policy_value number_of(const struct policy_request *request, unsigned known,
                                     enum policy_type type, uint64_t number)
{
    if (!(request->known & known) || number > INT64_MAX)
        return (struct policy_value){ .type = POLICY_UNKNOWN };
    return (struct policy_value){ .type = type, .number = (int64_t)number };
}

static struct policy_value of_request(const struct policy_request *request,
                                      enum policy_fact fact)
{
    if (fact == POLICY_MESSAGE_SIZE)
        return number_of(request, POLICY_KNOWS_SIZE, POLICY_NUMBER, request->size);
    if (fact == POLICY_MESSAGE_QOS)
        return number_of(request, POLICY_KNOWS_QOS, POLICY_NUMBER, request->qos);
    if (fact == POLICY_MESSAGE_RETAIN)
        return number_of(request, POLICY_KNOWS_RETAIN, POLICY_BOOLEAN, request->retain);
    if (fact == POLICY_MESSAGE_CONTENT_TYPE)
        return read_text(request->content_type, POLICY_STRING);
    if (fact == POLICY_REQUEST_KEY)
        return read_text(request->key, POLICY_STRING);
    if (fact == POLICY_TARGET && request->known & POLICY_KNOWS_TARGET)
        return (struct policy_value){ .type = POLICY_GROUPED,
                                      .text = request->resource,
                                      .groups = request->target_groups,
                                      .number = (int64_t)request->target_group_count };
    if (fact == POLICY_TIME_NOW && request->known & POLICY_KNOWS_NOW)
        return (struct policy_value){ .type = POLICY_TIME, .number = request->now_ms };
    return (struct policy_value){ .type = POLICY_UNKNOWN };
}

static struct policy_value find(const struct policy_view *view, enum policy_fact fact)
{
    const struct policy_fact_row *row = policy_fact_get(fact);

    for (uint32_t i = 0; i < view->given_count; i++)
        if (view->given[i].fact == fact)
            return view->given[i].value;
    if (TEXTS[fact] != 0)
        return read_text(text_of(view->facts, fact), row->type);
    if (row->scope == POLICY_OF_CLOCK && fact != POLICY_TIME_NOW)
        return of_clock(view, fact);
    return view->request == NULL ? (struct policy_value){ .type = POLICY_UNKNOWN }
                                 : of_request(view->request, fact);
}

struct policy_value policy_view_fact(const struct policy_view *view, enum policy_fact fact)
{
    struct policy_value value = find(view, fact);

    value.untold = value.type == POLICY_UNKNOWN && view->facts->untold >> fact & 1;
    return value;
}

static struct policy_value know(void *with, enum policy_fact fact)
{
    return policy_view_fact(with, fact);
}

struct policy_knowledge policy_view_knowledge(struct policy_view *view)
{
    return (struct policy_knowledge){ know, view };
}

/* ---- Levels ---- */

/* A part of a pattern: a letter as it is, or a fact. */
struct part {
    struct bytes text;
    bool open; /* a fact that nobody knows: any name */
};

/* The parser made sure that each ${ begins the name of a fact. */
static struct part take_part(const struct policy_view *view, struct bytes *pattern)
{
    size_t len = 1;
    struct bytes value = { pattern->at, 1 };

    if (bytes_start_with(*pattern, BYTES("${"))) {
        const uint8_t *end = memchr(pattern->at, '}', pattern->len);
        struct bytes name = { pattern->at + 2, (size_t)(end - pattern->at) - 2 };
        len = name.len + 3;
        value = bytes_equal(name, BYTES("device.id")) && view->given_count == 0
                    ? view->facts->device_id
                    : policy_view_fact(view, policy_fact_by_name(name)).text;
    }
    *pattern = (struct bytes){ pattern->at + len, pattern->len - len };
    return (struct part){ value, value.at == NULL };
}

static struct bytes skip(struct bytes text, size_t len)
{
    return (struct bytes){ text.at + len, text.len - len };
}

/* Up to the first fact that nobody knows, or all of it. False: that much differs already. */
static bool take_known(const struct policy_view *view, struct bytes *pattern,
                       struct bytes *level, bool *open)
{
    for (*open = false; pattern->len > 0;) {
        struct part part = take_part(view, pattern);
        *open = part.open;
        if (part.open)
            return true;
        if (!bytes_start_with(*level, part.text))
            return false;
        *level = skip(*level, part.text.len);
    }
    return true;
}

/* Each fact takes ten octets of a level or more, and is a name. */
enum { RUN_MAX = POLICY_FACT_LEVEL_MAX / 10 * POLICY_NAME_MAX + POLICY_FACT_LEVEL_MAX };

/* What is known up to the next fact that nobody knows, or to the end, put together; false: it
 * has no room, which no level that the parser takes can bring about. */
static bool take_run(const struct policy_view *view, struct bytes *pattern, uint8_t *room,
                     struct bytes *run, bool *open)
{
    *run = (struct bytes){ room, 0 };
    for (*open = false; pattern->len > 0 && !*open;) {
        struct part part = take_part(view, pattern);
        *open = part.open;
        if (part.open)
            continue;
        if (part.text.len > RUN_MAX - run->len)
            return false;
        memcpy(room + run->len, part.text.at, part.text.len);
        run->len += part.text.len;
    }
    return true;
}

/* Where it begins in the level, behind at least one letter of a name and nothing else; 0 if it
 * does not. */
static size_t find_run(struct bytes level, size_t name_len, struct bytes run)
{
    size_t end = name_len + run.len < level.len ? name_len + run.len : level.len;

    if (name_len == 0 || run.len == 0)
        return name_len > 0 ? 1 : 0;
    const uint8_t *at = memmem(level.at + 1, end - 1, run.at, run.len);
    return at == NULL ? 0 : (size_t)(at - level.at);
}

static bool ends_with(struct bytes level, struct bytes run)
{
    return level.len > run.len && bytes_equal(skip(level, level.len - run.len), run) &&
           policy_name_len(level) >= level.len - run.len;
}

/* What stands behind an open part: of each run the first place will do, since what an open part
 * skips is all letters of names. So a level is gone through once, however long it is. */
static bool could_be(const struct policy_view *view, struct bytes pattern, struct bytes level)
{
    uint8_t room[RUN_MAX];
    struct bytes run;
    bool open = true;

    while (take_run(view, &pattern, room, &run, &open)) {
        if (!open)
            return ends_with(level, run);
        size_t at = find_run(level, policy_name_len(level), run);
        if (at == 0)
            return false;
        level = skip(level, at + run.len);
    }
    return true;
}

enum policy_truth policy_view_level_is(const struct policy_view *view, struct bytes pattern,
                                       struct bytes level)
{
    bool open = false;

    if (!take_known(view, &pattern, &level, &open))
        return POLICY_NO;
    if (!open)
        return level.len == 0 ? POLICY_YES : POLICY_NO;
    return could_be(view, pattern, level) ? POLICY_PERHAPS : POLICY_NO;
}

uint32_t policy_view_untold(const struct policy_view *view, struct bytes resource)
{
    uint32_t untold = 0;
    enum policy_fact fact;

    while (policy_fact_next(&resource, &fact))
        if (policy_view_fact(view, fact).untold)
            untold |= 1U << fact;
    return untold;
}

/* ---- Checks ---- */

/* One level, nothing that a filter gives a meaning to, and no second ${...}. */
static enum rc check_name(const char *fact, struct bytes text)
{
    size_t good = policy_name_len(text);

    if (text.at == NULL || text.len == 0 || text.len > POLICY_NAME_MAX)
        return fault(RC_DENIED, "%s has %zu bytes, 1 to %d are allowed", fact, text.len,
                     POLICY_NAME_MAX);
    if (good < text.len)
        return fault(RC_DENIED,
                     "%s has the byte 0x%02x at %zu, letters, digits and . _ : - are allowed",
                     fact, text.at[good], good);
    return RC_OK;
}

enum rc policy_view_check(const struct policy_facts *facts)
{
    static const enum policy_fact NAMES[] = {
        [POLICY_BY_DEVICE] = POLICY_DEVICE_ID,
        [POLICY_BY_OPERATOR] = POLICY_OPERATOR_ID,
        [POLICY_BY_LINE] = POLICY_LINE_ID,
        [POLICY_BY_SINK] = POLICY_SINK_NAME,
    };

    for (enum policy_fact fact = 0; fact < POLICY_FACTS; fact++) {
        const struct policy_fact_row *row = policy_fact_get(fact);
        if (!row->in_topic)
            continue;
        struct bytes text = text_of(facts, fact);
        if (text.at != NULL || fact == NAMES[facts->asker])
            TRY(check_name(row->name, text));
    }
    return RC_OK;
}
