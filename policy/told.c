#include "policy/told.h"

#include "policy/parts.h"

#define ACTION(name) (1U << POLICY_##name)
#define BY(name)     (1U << POLICY_BY_##name)

/* ---- Who asks for what ---- */

static const unsigned ASKED[POLICY_ASKERS] = {
    [POLICY_BY_DEVICE] = ACTION(CONNECT) | ACTION(PUBLISH) | ACTION(SUBSCRIBE) |
                         ACTION(RECEIVE) | ACTION(RETAIN) | ACTION(WILL) | ACTION(ENROLL) |
                         ACTION(RENEW),
    [POLICY_BY_OPERATOR] = ACTION(CALL) | ACTION(ENROLL) | ACTION(RENEW) | ACTION(REVOKE),
    [POLICY_BY_LINE] = ACTION(CALL) | ACTION(ENROLL) | ACTION(RENEW),
};

static const struct {
    unsigned asker, actions;
} SITUATIONS[POLICY_SITUATIONS] = {
    { BY(DEVICE), ACTION(CONNECT) | ACTION(SUBSCRIBE) },
    { BY(DEVICE), ACTION(PUBLISH) | ACTION(RECEIVE) | ACTION(RETAIN) | ACTION(WILL) },
    { BY(DEVICE), ACTION(ENROLL) | ACTION(RENEW) },
    { BY(OPERATOR), ACTION(CALL) | ACTION(REVOKE) },
    { BY(OPERATOR), ACTION(ENROLL) | ACTION(RENEW) },
    { BY(LINE), ACTION(CALL) },
    { BY(LINE), ACTION(ENROLL) | ACTION(RENEW) },
};

unsigned policy_told_askers(enum policy_principal principal)
{
    static const unsigned ASKERS[POLICY_PRINCIPALS] = {
        [POLICY_ANYONE] = BY(DEVICE) | BY(OPERATOR) | BY(LINE) | BY(SINK),
        [POLICY_ANY_DEVICE] = BY(DEVICE),
        [POLICY_ONE_DEVICE] = BY(DEVICE),
        [POLICY_GROUP] = BY(DEVICE),
        [POLICY_ANY_OPERATOR] = BY(OPERATOR),
        [POLICY_ONE_OPERATOR] = BY(OPERATOR),
        [POLICY_ROLE] = BY(OPERATOR),
        [POLICY_ANY_LINE] = BY(LINE),
        [POLICY_ONE_LINE] = BY(LINE),
        [POLICY_ANY_SINK] = BY(SINK),
        [POLICY_ONE_SINK] = BY(SINK),
    };

    return ASKERS[principal];
}

unsigned policy_told_who_asks(enum policy_action action)
{
    unsigned askers = 0;

    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++)
        if (ASKED[asker] & 1U << action)
            askers |= 1U << asker;
    return askers;
}

void policy_told_write_askers(unsigned askers, struct buf *out)
{
    static const char *const NAMES[POLICY_ASKERS] = { "devices", "operators", "lines",
                                                      "sinks" };
    const char *before = "";

    for (unsigned asker = 0; asker < POLICY_ASKERS; asker++) {
        if (!(askers & 1U << asker))
            continue;
        askers &= ~(1U << asker);
        buf_addf(out, "%s%s", before, NAMES[asker]);
        before = (askers & (askers - 1)) == 0 ? " and " : ", ";
    }
}

unsigned policy_told_situations(unsigned askers, unsigned actions)
{
    unsigned found = 0;

    for (unsigned i = 0; i < POLICY_SITUATIONS; i++)
        if (SITUATIONS[i].asker & askers && SITUATIONS[i].actions & actions)
            found |= 1U << i;
    return found;
}

unsigned policy_told_actions(unsigned actions, unsigned situations)
{
    unsigned found = 0;

    for (unsigned i = 0; i < POLICY_SITUATIONS; i++)
        if (situations & 1U << i)
            found |= actions & SITUATIONS[i].actions;
    return found;
}

/* ---- What is told ---- */

enum {
    DOOR = POLICY_AT_SESSION | POLICY_AT_MESSAGE, /* the device door */
    DEVICE = DOOR | POLICY_AT_DEVICE_ISSUE,
    OPERATOR = POLICY_AT_OPERATOR_ACT | POLICY_AT_OPERATOR_ISSUE,
    LINE = POLICY_AT_LINE_ACT | POLICY_AT_LINE_ISSUE,
    ISSUE = POLICY_AT_DEVICE_ISSUE | POLICY_AT_OPERATOR_ISSUE | POLICY_AT_LINE_ISSUE,
    AUTHORITY = POLICY_AT_DEVICE_ISSUE | OPERATOR | LINE,
    ANYWHERE = DEVICE | OPERATOR | LINE,
};

/* What is not here nobody tells. */
static const struct policy_told TOLD[POLICY_FACTS] = {
    [POLICY_DEVICE_ID] = { .always = DEVICE, .perhaps = OPERATOR | LINE },
    [POLICY_DEVICE_PROFILE] = { .always = DEVICE,
                                .perhaps = OPERATOR | LINE,
                                .words = { { "device", ANYWHERE } } },
    [POLICY_OPERATOR_ID] = { .always = OPERATOR },
    [POLICY_OPERATOR_ROLE] = { .always = OPERATOR,
                               .words = { { "admin", ANYWHERE }, { "auditor", ANYWHERE } } },
    [POLICY_LINE_ID] = { .always = LINE },
    [POLICY_CERTIFICATE_ISSUER] = { .perhaps = ANYWHERE },
    [POLICY_CERTIFICATE_SUBJECT] = { .always = DOOR, .perhaps = AUTHORITY },
    [POLICY_CERTIFICATE_SERIAL] = { .always = DOOR, .perhaps = AUTHORITY },
    [POLICY_CERTIFICATE_FINGERPRINT] = { .always = DOOR, .perhaps = AUTHORITY },
    [POLICY_CERTIFICATE_LEFT] = { .always = DOOR, .perhaps = AUTHORITY },
    [POLICY_CONNECTION_ADDRESS] = { .always = DOOR, .perhaps = AUTHORITY },
    [POLICY_CONNECTION_DOOR] = { .always = ANYWHERE,
                                 .words = { { "device", ANYWHERE },
                                            { "operator", AUTHORITY } } },
    [POLICY_CONNECTION_PROTOCOL] = { .always = ANYWHERE,
                                     .words = { { "mqtt", DOOR }, { "https", AUTHORITY } } },
    [POLICY_CONNECTION_TLS] = { .always = DOOR,
                                .perhaps = AUTHORITY,
                                .words = { { "1.2", ANYWHERE }, { "1.3", ANYWHERE } } },
    [POLICY_CLIENT_ID] = { .perhaps = DOOR },
    [POLICY_MESSAGE_SIZE] = { .always = POLICY_AT_MESSAGE, .ranged = true, .high = INT64_MAX },
    [POLICY_MESSAGE_QOS] = { .always = POLICY_AT_MESSAGE, .ranged = true, .high = 2 },
    [POLICY_MESSAGE_RETAIN] = { .always = POLICY_AT_MESSAGE, .ranged = true, .high = 1 },
    [POLICY_MESSAGE_CONTENT_TYPE] = { .perhaps = POLICY_AT_MESSAGE },
    [POLICY_REQUEST_KEY] = { .always = ISSUE, .words = { { "p-256", ANYWHERE } } },
    [POLICY_TARGET] = { .always = POLICY_AT_OPERATOR_ACT }, /* of revoke, which alone asks */
    [POLICY_TIME_NOW] = { .always = ANYWHERE },
    [POLICY_TIME_OF_DAY] = { .always = ANYWHERE,
                             .ranged = true,
                             .high = 24LL * 60 * 60 * 1000 - 1 },
    [POLICY_TIME_WEEKDAY] = { .always = ANYWHERE,
                              .words = { { "monday", ANYWHERE },
                                         { "tuesday", ANYWHERE },
                                         { "wednesday", ANYWHERE },
                                         { "thursday", ANYWHERE },
                                         { "friday", ANYWHERE },
                                         { "saturday", ANYWHERE },
                                         { "sunday", ANYWHERE } } },
};

const struct policy_told *policy_told(enum policy_fact fact)
{
    return &TOLD[fact];
}

size_t policy_told_word_count(const struct policy_told *told)
{
    size_t count = 0;

    while (count < POLICY_WORDS_MAX && told->words[count].text != NULL)
        count++;
    return count;
}

/* ---- Profiles ---- */

const char *policy_told_profile(unsigned askers, unsigned actions, unsigned which)
{
    static const struct {
        const char *name;
        unsigned enroll, renew; /* who asks for it: renewed is one's own */
    } PROFILES[] = {
        { "device", BY(DEVICE) | BY(OPERATOR) | BY(LINE), BY(DEVICE) },
        { "operator", BY(OPERATOR), BY(OPERATOR) },
        { "line", BY(OPERATOR), BY(LINE) },
    };

    for (size_t i = 0; i < sizeof PROFILES / sizeof *PROFILES; i++) {
        const unsigned by = (actions & ACTION(ENROLL) ? PROFILES[i].enroll : 0) |
                            (actions & ACTION(RENEW) ? PROFILES[i].renew : 0);
        if ((by & askers) != 0 && which-- == 0)
            return PROFILES[i].name;
    }
    return NULL;
}
