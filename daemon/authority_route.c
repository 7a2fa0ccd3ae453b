#include "daemon/authority_route.h"

#include <inttypes.h>
#include <string.h>

#include "audit/hold.h"
#include "base/text.h"

/* A question that has several routes stands in several rows: the first that holds. */
struct row {
    enum registry_ask ask;
    const char *route; /* {id}, {fingerprint}, {version}, {number}: of the question */
    bool (*holds)(const struct registry_question *question); /* NULL: always */
    bool too;  /* the same answer serves this one besides the one before it, */
    bool both; /* if it is of the active policy */
};

static bool suspends(const struct registry_question *q)
{
    return q->state == REGISTRY_SUSPENDED;
}

static bool resumes(const struct registry_question *q)
{
    return q->state == REGISTRY_ACTIVE;
}

static bool is_of_line(const struct registry_question *q)
{
    return q->kind == REGISTRY_LINE;
}

static bool only_checks(const struct registry_question *q)
{
    return q->only_check;
}

/* kind u8 first: daemon/authority_audit.h, audit/hold.h */
static uint8_t kind_of(const struct registry_question *q)
{
    return q->query.len > 0 ? q->query.at[0] : 0;
}

static bool is_inclusion(const struct registry_question *q)
{
    return kind_of(q) == 1;
}

static bool is_consistency(const struct registry_question *q)
{
    return kind_of(q) == 2;
}

static bool is_of_certificate(const struct registry_question *q)
{
    return kind_of(q) == 4;
}

static bool releases(const struct registry_question *q)
{
    return kind_of(q) == AUDIT_HOLD_REMOVE;
}

#define ROW(what, ...)                                                                         \
    {                                                                                          \
        .ask = REGISTRY_ASK_##what, .route = __VA_ARGS__                                       \
    }
static const struct row ROWS[] = {
    ROW(STATUS, "GET /v1/status"),
    ROW(DEVICE_LIST, "GET /v1/devices"),
    ROW(DEVICE_ADD, "POST /v1/devices"),
    ROW(DEVICE_SHOW, "GET /v1/devices/{id}"),
    ROW(DEVICE_STATE, "POST /v1/devices/{id}/suspend", .holds = suspends),
    ROW(DEVICE_STATE, "POST /v1/devices/{id}/resume", .holds = resumes),
    ROW(DEVICE_STATE, "POST /v1/devices/{id}/revoke"),
    ROW(DEVICE_REVOKE_MANY, "POST /v1/devices/revoke"),
    ROW(TOKEN_NEW, "POST /v1/devices/{id}/tokens"),
    ROW(CERTIFICATE_LIST, "GET /v1/certificates"),
    ROW(CERTIFICATE_REVOKE, "POST /v1/certificates/{fingerprint}/revoke"),
    ROW(OPERATOR_LIST, "GET /v1/operators"),
    ROW(OPERATOR_ADD, "POST /v1/operators"),
    ROW(OPERATOR_REVOKE, "POST /v1/lines/{id}/revoke", .holds = is_of_line),
    ROW(OPERATOR_REVOKE, "POST /v1/operators/{id}/revoke"),
    ROW(POLICY_LIST, "GET /v1/policies"),
    ROW(POLICY_SHOW, "GET /v1/policies/{version}"),
    ROW(POLICY_SHOW, "GET /v1/policies/{other}", .too = true, .both = true),
    ROW(POLICY_APPLY, "POST /v1/policies/check", .holds = only_checks),
    ROW(POLICY_APPLY, "POST /v1/policies"),
    ROW(POLICY_PROPOSE, "POST /v1/policies/propose"),
    ROW(AUDIT_LIST, "GET /v1/audit"),
    ROW(AUDIT_WATCH, "GET /v1/audit/follow"),
    ROW(AUDIT_ENTRIES, "GET /v1/audit/entries"),
    ROW(AUDIT_CHECKPOINT, "GET /v1/audit/checkpoint"),
    ROW(AUDIT_PROOF, "GET /v1/audit/proofs/inclusion", .holds = is_inclusion),
    ROW(AUDIT_PROOF, "GET /v1/audit/proofs/consistency", .holds = is_consistency),
    ROW(AUDIT_PROOF, "GET /v1/certificates/{hash}/proof", .holds = is_of_certificate),
    ROW(AUDIT_PROOF, "GET /v1/audit/proof"),
    ROW(AUDIT_ERASE, "POST /v1/audit/erasures"),
    ROW(AUDIT_HOLD_LIST, "GET /v1/audit/holds"),
    ROW(AUDIT_HOLD_LIST, "GET /v1/audit/erasures", .too = true),
    ROW(AUDIT_HOLD, "POST /v1/audit/holds/{hold}/release", .holds = releases),
    ROW(AUDIT_HOLD, "POST /v1/audit/holds"),
    ROW(BACKUP, "POST /v1/backups"),
    ROW(PROPOSAL_LIST, "GET /v1/proposals"),
    ROW(PROPOSAL_SHOW, "GET /v1/proposals/{number}"),
    ROW(PROPOSAL_APPROVE, "POST /v1/proposals/{number}/approve"),
    ROW(PROPOSAL_REJECT, "POST /v1/proposals/{number}/reject"),
};

static const struct row *find(enum registry_ask ask, const struct registry_question *question,
                              unsigned which)
{
    const size_t count = sizeof ROWS / sizeof *ROWS;
    size_t at = 0;

    while (at < count &&
           (ROWS[at].ask != ask || (ROWS[at].holds != NULL && !ROWS[at].holds(question))))
        at++;
    for (; which > 0 && at < count; which--)
        at = at + 1 < count && ROWS[at + 1].too ? at + 1 : count;
    return at < count ? &ROWS[at] : NULL;
}

/* The u64 or the hash that stands behind the kind in a query. */
static void add_query(const struct registry_question *question, bool hash, struct buf *route)
{
    struct reader r = READER(question->query);

    reader_u8(&r);
    if (hash)
        text_add_hex(route, r.left);
    else
        buf_addf(route, "%" PRIu64, reader_u64(&r));
}

static void add_parameter(struct bytes name, const struct registry_question *question,
                          uint64_t active, struct buf *route)
{
    bool other = bytes_equal_text(name, "other");
    bool version = other || bytes_equal_text(name, "version");

    if (bytes_equal_text(name, "id"))
        buf_addf(route, "%s", question->id);
    else if (bytes_equal_text(name, "fingerprint"))
        text_add_hex(route, BYTES_OF(question->fingerprint.at));
    else if (version && (question->version == 0) != other)
        buf_addf(route, "active");
    else if (version)
        buf_addf(route, "%" PRIu64, other ? active : question->version);
    else if (bytes_equal_text(name, "number"))
        buf_addf(route, "%" PRIu64, question->number);
    else
        add_query(question, bytes_equal_text(name, "hash"), route);
}

enum rc daemon_authority_route(enum registry_ask ask, const struct registry_question *question,
                               uint64_t active, unsigned which, struct buf *route)
{
    const struct row *row = find(ask, question, which);

    if (row == NULL || (row->both && question->version != 0 && question->version != active))
        return RC_NOT_FOUND;
    const char *at = row->route;
    for (const char *open = strchr(at, '{'); open != NULL; open = strchr(at, '{')) {
        const char *close = strchr(open, '}');
        buf_add(route, (struct bytes){ (const uint8_t *)at, (size_t)(open - at) });
        add_parameter((struct bytes){ (const uint8_t *)open + 1, (size_t)(close - open) - 1 },
                      question, active, route);
        at = close + 1;
    }
    buf_addf(route, "%s", at);
    return route->broken ? fault(RC_LIMIT, "a route") : RC_OK;
}
