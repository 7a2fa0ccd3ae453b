#include "daemon/authority_state.h"

#include <inttypes.h>

/*
 * The policy that judges is compiled by nobody's transaction: a request that brings one has it
 * compiled before it is queued, and it takes the former's place when that request's own
 * transaction is committed. Within the transaction, and in those that share its commit, it
 * judges already: what it denies is not done from the moment on that it is active. One that was
 * active when the authority started is compiled first of all, and what asks for it waits.
 */
enum { AGAIN_MS = 1000 };

/* ---- Which one ---- */

static bool is_text(const struct policy *policy, const struct registry_name *name,
                    const struct registry_text *text)
{
    return registry_name_equal(name, &text->name) &&
           (name->len > 0 || bytes_equal(policy_text(policy), text->octets));
}

/* One that was undone with its transaction may have had the number, too. */
static bool is_it(const struct daemon_authority_active *active,
                  const struct registry_policy_row *row)
{
    if (active->version != row->version)
        return false;
    return active->policy == NULL ? registry_name_equal(&active->name, &row->text.name)
                                  : is_text(active->policy, &active->name, &row->text);
}

enum rc daemon_authority_active(struct store_txn *txn, struct daemon_authority *authority,
                                struct policy **policy)
{
    struct daemon_authority_active *active = &authority->active;
    struct registry_policy_row row;

    TRY(registry_policy_get(txn, 0, &row));
    *policy = active->policy;
    if (is_it(active, &row))
        return active->policy != NULL
                   ? RC_OK
                   : fault(RC_DENIED, REGISTRY_POLICY_SAYS "the active one does not compile");
    for (struct daemon_authority_request *at = active->bringing; at != NULL;
         at = at->next_bringing)
        if (is_text(at->brings, &at->brings_name, &row.text)) {
            policy_set_version(at->brings, row.version);
            *policy = at->brings;
            return RC_OK;
        }
    if (!active->under_way)
        TRY(loop_arm(authority->setup.loop, &active->timer, 0));
    return fault(RC_BUSY, "the active policy is being compiled");
}

/* ---- What requests bring ---- */

void daemon_authority_brings(struct daemon_authority_request *request, struct policy *policy,
                             const struct registry_name *name)
{
    struct daemon_authority_active *active = &request->authority->active;

    request->brings = policy;
    request->brings_name = *name;
    request->next_bringing = active->bringing;
    active->bringing = request;
}

bool daemon_authority_brings_text(const struct daemon_authority_request *request,
                                  const struct registry_text *text)
{
    return request->brings != NULL && is_text(request->brings, &request->brings_name, text);
}

void daemon_authority_brings_none(struct daemon_authority_request *request)
{
    struct daemon_authority_request **at = &request->authority->active.bringing;

    if (request->brings == NULL)
        return;
    while (*at != request)
        at = &(*at)->next_bringing;
    *at = request->next_bringing;
    policy_unref(request->brings);
    request->brings = NULL;
}

/* ---- What is parked ---- */

/* Who enrols is known by a token, and asked for no right that the policy is asked about. */
static bool is_issue(enum registry_ask ask)
{
    return ask == REGISTRY_ASK_ENROL || ask == REGISTRY_ASK_REENROL ||
           ask == REGISTRY_ASK_OPERATOR_ADD;
}

bool daemon_authority_park(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    struct daemon_authority_request **last = &authority->active.parked;

    if (!authority->active.starting ||
        (!is_issue(request->ask) &&
         store_read(authority->setup.store, daemon_authority_know_actor, request) != RC_BUSY))
        return false;
    while (*last != NULL)
        last = &(*last)->next;
    request->next = NULL;
    *last = request;
    return true;
}

static void let_go(struct daemon_authority *authority)
{
    struct daemon_authority_request *parked = authority->active.parked;

    authority->active.starting = false;
    authority->active.parked = NULL;
    while (parked != NULL) {
        struct daemon_authority_request *request = parked;
        parked = request->next;
        request->next = NULL;
        daemon_authority_dispatch(request);
    }
}

/* ---- What came of it ---- */

static void set(struct daemon_authority *authority, uint64_t version,
                const struct registry_name *name, struct policy *policy)
{
    struct daemon_authority_active *active = &authority->active;

    policy_unref(active->policy);
    active->policy = policy;
    active->version = version;
    active->name = *name;
    if (policy != NULL)
        policy_set_version(policy, version);
}

void daemon_authority_brought(struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;

    if (request->brings == NULL)
        return;
    set(authority, request->answer.policy.version, &request->brings_name,
        policy_ref(request->brings));
    daemon_authority_brings_none(request);
    daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_POLICY);
    let_go(authority);
}

/* The first of its errors, for the log and for status. */
static void say_broken(struct daemon_authority *authority, uint64_t version,
                       struct bytes errors)
{
    size_t len = 0;

    while (len < errors.len && errors.at[len] != '\n')
        len++;
    (void)fault(RC_MALFORMED,
                "the active policy, version %" PRIu64 ", does not compile, and denies all: "
                "%.*s",
                version, (int)len, (const char *)errors.at);
    daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_POLICY);
}

void daemon_authority_active_compiled(struct daemon_authority *authority, uint64_t version,
                                      const struct registry_name *name, enum rc rc,
                                      struct policy *policy, struct bytes errors)
{
    struct daemon_authority_active *active = &authority->active;
    bool broken = rc == RC_MALFORMED || rc == RC_LIMIT;

    active->under_way = false;
    if (active->version >= version) { /* another took its place meanwhile */
        policy_unref(policy);
    } else if (rc == RC_OK || broken) {
        set(authority, version, name, policy);
        if (broken)
            say_broken(authority, version, errors);
        else
            daemon_authority_trouble_end(authority, DAEMON_AUTHORITY_POLICY);
    } else if (rc == RC_CORRUPT) {
        (void)fault(rc, "the active policy, version %" PRIu64 ", is not what its hash names",
                    version);
        daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_POLICY);
    }
    let_go(authority); /* if there is none yet, the next act asks for it again */
}

/* ---- The one that is active at start ---- */

struct found {
    struct registry_name name;
    uint64_t version;
    struct buf whole;
};

static enum rc find(struct store_txn *txn, void *with)
{
    struct registry_policy_row row;
    struct found *found = with;

    TRY(registry_policy_get(txn, 0, &row));
    found->name = row.text.name;
    found->version = row.version;
    return registry_text_get(txn, &row.text, &found->whole);
}

static enum rc begin(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, active.timer));
    struct found found = { .whole = BUF_MAX(REGISTRY_POLICY_MAX) };

    if (authority->active.under_way)
        return RC_OK;
    enum rc rc = store_read(authority->setup.store, find, &found);
    if (rc == RC_OK)
        rc = daemon_authority_compile_active(authority, &found.whole, &found.name,
                                             found.version);
    buf_clear(&found.whole);
    authority->active.under_way = rc == RC_OK;
    if (rc == RC_OK)
        return RC_OK;
    let_go(authority);
    if (rc == RC_NOT_FOUND)
        return RC_OK;
    daemon_authority_trouble_begin(authority, DAEMON_AUTHORITY_POLICY);
    return loop_arm(authority->setup.loop, timer, AGAIN_MS);
}

enum rc daemon_authority_active_start(struct daemon_authority *authority)
{
    authority->active.starting = true;
    authority->active.timer.due = begin;
    return loop_arm(authority->setup.loop, &authority->active.timer, 0);
}

void daemon_authority_active_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->active.timer);
    authority->active.starting = false;
    while (authority->active.parked != NULL) {
        struct daemon_authority_request *request = authority->active.parked;
        authority->active.parked = request->next;
        daemon_authority_turn_away(request, fault(RC_CLOSED, "the authority ends"));
    }
}
