/* A query as text, for the record that says what was looked for. */
#include <inttypes.h>

#include "audit/query.h"
#include "base/text.h"

static void name(struct buf *text, const char *what)
{
    buf_addf(text, "%s%s=", text->len > 0 ? " " : "", what);
}

static void tell(struct buf *text, const char *what, struct bytes value)
{
    if (value.len == 0)
        return;
    name(text, what);
    text_add_escaped(text, value);
}

static void tell_hex(struct buf *text, const char *what, struct bytes value)
{
    if (value.len == 0)
        return;
    name(text, what);
    text_add_hex(text, value);
}

static void tell_number(struct buf *text, const char *what, uint64_t number)
{
    if (number == 0)
        return;
    name(text, what);
    buf_addf(text, "%" PRIu64, number);
}

static void tell_names(struct buf *text, const char *what, uint8_t bits,
                       const char *(*name_of)(unsigned number))
{
    const char *between = "";

    if (bits == 0)
        return;
    name(text, what);
    for (unsigned i = 0; i < 8; i++)
        if ((bits & 1u << i) != 0) {
            buf_addf(text, "%s%s", between, name_of(i));
            between = ",";
        }
}

static const char *decision_name(unsigned i)
{
    return audit_decision_name((enum audit_decision)i);
}

static const char *source_name(unsigned i)
{
    return audit_source_name((enum audit_source)i);
}

static const char *kind_name(unsigned i)
{
    return audit_actor_kind_name((enum audit_actor_kind)i);
}

static void tell_who(struct buf *text, const struct audit_query *query)
{
    tell(text, "device", query->device);
    tell(text, "actor", query->actor);
    tell_names(text, "kind", query->kinds, kind_name);
    tell_hex(text, "certificate", query->certificate);
    tell_hex(text, "serial", query->serial);
    tell_hex(text, "issuer", query->issuer);
    tell_hex(text, "key", query->key);
    tell_hex(text, "correlation", query->correlation);
}

static void tell_what(struct buf *text, const struct audit_query *query)
{
    if (!audit_action_set_is_empty(&query->actions)) {
        name(text, "action");
        audit_action_set_write(&query->actions, text);
    }
    tell_names(text, "decision", query->decisions, decision_name);
    tell_names(text, "source", query->sources, source_name);
    tell_number(text, "policy", query->policy_version);
    if (query->rule == AUDIT_RULE_NONE)
        tell(text, "rule", BYTES("none"));
    else
        tell_number(text, "rule", query->rule);
}

void audit_query_tell(const struct audit_query *query, struct buf *text)
{
    tell_who(text, query);
    tell_what(text, query);
    if (query->peer.len > 0) {
        name(text, "peer");
        audit_network_add(text, &query->peer);
    }
    tell_number(text, "since_ms", (uint64_t)query->since_ms);
    tell_number(text, "until_ms", (uint64_t)query->until_ms);
    tell_number(text, "before", query->before);
    tell_number(text, "limit", query->most);
    tell(text, "topic", query->topic);
    tell(text, "target", query->target);
}
