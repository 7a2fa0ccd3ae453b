#include "cli/live.h"

#include <string.h>

#include "base/clock.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* When the door began: whatever was open before ended then. */
static enum rc find_start(struct cli_remote *remote, json_t **start)
{
    static const struct cli_audit_filter FILTERS[] = { { "action", "process.start" },
                                                       { "actor", "device-door" } };
    AUTO(json_value) *records = json_array();

    TRY(cli_audit_collect(remote, FILTERS, COUNT(FILTERS), records));
    *start = json_incref(json_array_get(records, 0));
    return RC_OK;
}

static const char *word(const json_t *record, const char *member)
{
    return cli_audit_text(record, member);
}

static enum rc add_session(json_t *sessions, const json_t *record)
{
    json_t *made =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}, s:{}}", "device", word(record, "actor.id"),
                  "since", word(record, "time"), "peer", word(record, "peer"), "tls",
                  word(record, "tls"), "fingerprint",
                  word(record, "actor_certificate.fingerprint"), "subscriptions", "filters");

    return json_object_set_new(sessions, word(record, "correlation"), made) == 0
               ? RC_OK
               : fault(RC_NOMEM, "sessions");
}

static enum rc take_session(json_t *sessions, const json_t *record)
{
    const char *correlation = word(record, "correlation");

    if (strcmp(word(record, "action"), "session.open") != 0)
        (void)json_object_del(sessions, correlation);
    else if (strcmp(word(record, "decision"), "allowed") == 0 &&
             strcmp(word(record, "actor.kind"), "device") == 0)
        return add_session(sessions, record);
    return RC_OK;
}

/* ---- Subscriptions ---- */

static json_int_t targets_of(const json_t *record)
{
    const json_t *targets = json_object_get(json_object_get(record, "aggregate"), "targets");

    return json_is_integer(targets) ? json_integer_value(targets) : 1;
}

/* When the last of the acts was that it tells of: RFC 3339 of one length, so letters are in
 * order of time. */
static const char *last_of(const json_t *record)
{
    const char *last = word(record, "aggregate.last");

    return *last == '\0' ? word(record, "time") : last;
}

/* {"filters":{filter:{"on","off"}}, "off"}: when each was last subscribed to, and when it was
 * given up or taken away; "off" of the session is of filters that the log does not name. */
static enum rc note(json_t *of, const char *which, const char *when)
{
    const char *known = json_string_value(json_object_get(of, which));

    if (known != NULL && strcmp(known, when) >= 0)
        return RC_OK;
    return json_object_set_new(of, which, json_string(when)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "subscriptions");
}

static enum rc note_filter(json_t *session, const char *filter, const char *which,
                           const char *when)
{
    json_t *filters = json_object_get(session, "filters");

    if (json_object_get(filters, filter) == NULL &&
        json_object_set_new(filters, filter, json_object()) != 0)
        return fault(RC_NOMEM, "subscriptions");
    return note(json_object_get(filters, filter), which, when);
}

static enum rc take_subscription(json_t *sessions, const json_t *record)
{
    json_t *session = json_object_get(sessions, word(record, "correlation"));
    const char *filter = word(record, "target");
    /* A filter that is no plain text is in the log with escapes. */
    bool many = targets_of(record) > 1 || strchr(filter, '\\') != NULL;
    bool allowed = strcmp(word(record, "decision"), "allowed") == 0;
    bool on = allowed && strcmp(word(record, "action"), "unsubscribe") != 0;

    if (session == NULL)
        return RC_OK;
    /* Refused when it was asked for: then it was not there, or is as it was. */
    if (!allowed && strncmp(word(record, "reason"), "no longer allowed", 17) != 0)
        return RC_OK;
    if (!many)
        return note_filter(session, filter, on ? "on" : "off", last_of(record));
    if (!on)
        return note(session, "off", last_of(record));
    return json_object_set_new(session, "more", json_true()) == 0
               ? RC_OK
               : fault(RC_NOMEM, "subscriptions");
}

/* Of records that count, only the last act of each is a moment: the later one holds. Two within
 * one millisecond may have come either way, and one without a name may be any. */
static enum rc settle_filter(json_t *held, const char *filter, const json_t *when,
                             const char *off_of_any)
{
    const char *on = word(when, "on"), *off = word(when, "off");
    int order = strcmp(on, off);

    if (*on == '\0' || order < 0)
        return RC_OK;
    bool sure = order > 0 && strcmp(on, off_of_any) > 0;
    return json_object_set_new(held, filter, json_boolean(sure)) == 0
               ? RC_OK
               : fault(RC_NOMEM, "subscriptions");
}

static enum rc settle(json_t *session)
{
    json_t *held = json_object_get(session, "subscriptions"), *when = NULL;
    const char *filter = NULL;

    json_object_foreach(json_object_get(session, "filters"), filter, when)
        TRY(settle_filter(held, filter, when, word(session, "off")));
    (void)json_object_del(session, "filters");
    (void)json_object_del(session, "off");
    return RC_OK;
}

/* ---- All of them ---- */

static enum rc take_all(const json_t *records,
                        enum rc (*one)(json_t *sessions, const json_t *record),
                        json_t *sessions)
{
    for (size_t i = json_array_size(records); i-- > 0;)
        TRY(one(sessions, json_array_get(records, i)));
    return RC_OK;
}

enum rc cli_live_take(const json_t *opened, const json_t *subscribed, json_t **sessions)
{
    AUTO(json_value) *made = json_object();
    const char *correlation = NULL;
    json_t *session = NULL;

    TRY(take_all(opened, take_session, made));
    TRY(take_all(subscribed, take_subscription, made));
    json_object_foreach(made, correlation, session) TRY(settle(session));
    *sessions = TAKE(made);
    return RC_OK;
}

static enum rc search(struct cli_remote *remote, const char *actions, const char *since,
                      json_t *records)
{
    const struct cli_audit_filter filters[] = { { "action", actions },
                                                { "source", "device-door" },
                                                { "since", since } };

    return cli_audit_collect(remote, filters, COUNT(filters), records);
}

enum rc cli_live_read(struct cli_remote *remote, json_t **sessions)
{
    AUTO(json_value) *start = NULL;
    AUTO(json_value) *opened = json_array();
    AUTO(json_value) *subscribed = json_array();

    TRY(find_start(remote, &start));
    const char *since = start == NULL ? NULL : word(start, "time");
    TRY(search(remote, "session.open,session.close,session.cut", since, opened));
    TRY(search(remote, "subscribe,unsubscribe", since, subscribed));
    return cli_live_take(opened, subscribed, sessions);
}

/* ---- Leases ---- */

bool cli_live_outlasts(const json_t *session, int64_t lease_ms, int64_t now_ms)
{
    int64_t since_ms = 0;

    return lease_ms > 0 &&
           clock_read_rfc3339(bytes_of_text(word(session, "since")), &since_ms) == RC_OK &&
           now_ms - since_ms >= lease_ms;
}
