#include "cli/live.h"

#include <string.h>

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
    json_t *made = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}}", "device",
                             word(record, "actor.id"), "since", word(record, "time"), "peer",
                             word(record, "peer"), "tls", word(record, "tls"), "fingerprint",
                             word(record, "actor_certificate.fingerprint"), "subscriptions");

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

static json_int_t targets_of(const json_t *record)
{
    const json_t *targets = json_object_get(json_object_get(record, "aggregate"), "targets");

    return json_is_integer(targets) ? json_integer_value(targets) : 1;
}

static enum rc take_subscription(json_t *sessions, const json_t *record)
{
    json_t *session = json_object_get(sessions, word(record, "correlation"));
    json_t *held = json_object_get(session, "subscriptions");
    const char *filter = word(record, "target");
    /* A filter that is no plain text is in the log with escapes. */
    bool many = targets_of(record) > 1 || strchr(filter, '\\') != NULL;

    if (held == NULL)
        return RC_OK;
    if (strcmp(word(record, "action"), "unsubscribe") == 0 ||
        strcmp(word(record, "decision"), "allowed") != 0) {
        /* Refused when it was asked for: then it was not there, or is as it was. */
        bool gone = strcmp(word(record, "decision"), "allowed") == 0 ||
                    strncmp(word(record, "reason"), "no longer allowed", 17) == 0;
        if (gone && !many)
            (void)json_object_del(held, filter);
        return RC_OK;
    }
    if (many)
        return json_object_set_new(session, "more", json_true()) == 0
                   ? RC_OK
                   : fault(RC_NOMEM, "subscriptions");
    return json_object_set_new(held, filter, json_true()) == 0
               ? RC_OK
               : fault(RC_NOMEM, "subscriptions");
}

/* Records come newest first, and are taken as they happened. */
static enum rc take(struct cli_remote *remote, const char *actions, const char *since,
                    enum rc (*one)(json_t *sessions, const json_t *record), json_t *sessions)
{
    const struct cli_audit_filter filters[] = { { "action", actions },
                                                { "source", "device-door" },
                                                { "since", since } };
    AUTO(json_value) *records = json_array();

    TRY(cli_audit_collect(remote, filters, COUNT(filters), records));
    for (size_t i = json_array_size(records); i-- > 0;)
        TRY(one(sessions, json_array_get(records, i)));
    return RC_OK;
}

enum rc cli_live_read(struct cli_remote *remote, json_t **sessions)
{
    AUTO(json_value) *start = NULL;
    AUTO(json_value) *made = json_object();

    TRY(find_start(remote, &start));
    const char *since = start == NULL ? NULL : word(start, "time");
    TRY(take(remote, "session.open,session.close,session.cut", since, take_session, made));
    TRY(take(remote, "subscribe,unsubscribe", since, take_subscription, made));
    *sessions = TAKE(made);
    return RC_OK;
}
