#include "daemon/authority_state.h"

#include <string.h>

/*
 * POLICY_PART: what is too long for one message comes in parts, in their order, each under the
 * correlation of the request that will name the whole. Until then they lie here: few at a time,
 * fewer of one operator, none for long after its last part, and none for long at all, or two
 * operators could keep all places by a part now and then. Nothing of them is in the store, so
 * what is never named leaves nothing.
 */
enum { EACH = 2, AGE_MS = 30000, WHOLE_MS = 60000 };

static void drop(struct daemon_authority_staged *staged)
{
    buf_clear(&staged->octets);
    *staged = (struct daemon_authority_staged){ 0 };
}

static struct daemon_authority_staged *find(const struct daemon_authority_request *request)
{
    struct daemon_authority *authority = request->authority;
    const struct registry_preamble *preamble = &request->question.preamble;

    for (size_t i = 0; i < DAEMON_AUTHORITY_STAGED; i++) {
        struct daemon_authority_staged *at = &authority->staged[i];
        if (at->name.len > 0 && at->channel == request->channel &&
            bytes_equal(BYTES_OF(at->correlation), BYTES_OF(preamble->correlation)) &&
            bytes_equal(BYTES_OF(at->shown.at), BYTES_OF(preamble->actor.fingerprint.at)))
            return at;
    }
    return NULL;
}

/* ---- Age ---- */

static bool drop_old(struct daemon_authority *authority)
{
    int64_t now_ms = loop_now_ms(authority->setup.loop);
    bool any = false;

    for (size_t i = 0; i < DAEMON_AUTHORITY_STAGED; i++) {
        struct daemon_authority_staged *at = &authority->staged[i];
        if (at->name.len > 0 &&
            (now_ms - at->last_ms >= AGE_MS || now_ms - at->first_ms >= WHOLE_MS))
            drop(at);
        any = any || at->name.len > 0;
    }
    return any;
}

static enum rc look(struct loop_timer *timer)
{
    struct daemon_authority *authority =
        (void *)((char *)timer - offsetof(struct daemon_authority, staged_timer));

    return drop_old(authority) ? loop_arm(authority->setup.loop, timer, AGE_MS) : RC_OK;
}

void daemon_authority_staged_drop(struct daemon_authority *authority,
                                  enum registry_channel channel)
{
    for (size_t i = 0; i < DAEMON_AUTHORITY_STAGED; i++)
        if (authority->staged[i].channel == channel)
            drop(&authority->staged[i]);
}

void daemon_authority_staged_stop(struct daemon_authority *authority)
{
    loop_disarm(&authority->staged_timer);
    for (size_t i = 0; i < DAEMON_AUTHORITY_STAGED; i++)
        drop(&authority->staged[i]);
}

/* ---- A part ---- */

static enum rc may_write(struct store_txn *txn, void *with)
{
    return daemon_authority_check_actor(txn, with, REGISTRY_RIGHT_POLICY_WRITE);
}

static enum rc begin(const struct daemon_authority_request *request,
                     struct daemon_authority_staged **begun)
{
    struct daemon_authority *authority = request->authority;
    const struct registry_question *q = &request->question;
    struct daemon_authority_staged *made = NULL;
    unsigned own = 0;

    for (size_t i = 0; i < DAEMON_AUTHORITY_STAGED; i++) {
        struct daemon_authority_staged *at = &authority->staged[i];
        own += at->name.len > 0 && strcmp(at->owner, request->actor.id) == 0;
        if (at->name.len == 0)
            made = at;
    }
    if (own >= EACH)
        return fault(RC_LIMIT, "%u policies of %s are on their way already, which is the most",
                     own, request->actor.id);
    if (made == NULL)
        return fault(RC_BUSY, "%d policies are on their way already, which is the most",
                     DAEMON_AUTHORITY_STAGED);
    authority->staged_timer.due = look;
    if (authority->staged_timer.loop == NULL)
        TRY(loop_arm(authority->setup.loop, &authority->staged_timer, AGE_MS));
    *made = (struct daemon_authority_staged){ .channel = request->channel,
                                              .shown = q->preamble.actor.fingerprint,
                                              .name = q->name,
                                              .first_ms = loop_now_ms(authority->setup.loop),
                                              .octets = BUF_MAX(q->name.len) };
    memcpy(made->correlation, q->preamble.correlation, sizeof made->correlation);
    memcpy(made->owner, request->actor.id, sizeof made->owner);
    *begun = made;
    return RC_OK;
}

static enum rc add(struct daemon_authority_request *request)
{
    const struct registry_question *q = &request->question;

    drop_old(request->authority);
    struct daemon_authority_staged *staged = find(request);
    TRY(registry_text_check(&(struct registry_text){ .name = q->name }));
    if (q->text.len != registry_text_part_len(&q->name, q->part) || q->text.len == 0)
        return fault(RC_MALFORMED, "policy: part %u of %u, of %zu octets", q->part,
                     registry_text_parts(&q->name), q->text.len);
    if (staged == NULL && q->part == 0)
        TRY(begin(request, &staged));
    if (staged == NULL)
        return fault(RC_BUSY, "policy: part %u came, and those before it are not here any more",
                     q->part);
    if (!registry_name_equal(&staged->name, &q->name) || q->part != staged->next)
        return fault(RC_MALFORMED, "policy: part %u came out of its order", q->part);
    buf_add(&staged->octets, q->text);
    if (staged->octets.broken) {
        drop(staged);
        return fault(RC_NOMEM, "a policy in parts");
    }
    staged->last_ms = loop_now_ms(request->authority->setup.loop);
    request->answer.sequence = ++staged->next;
    return RC_OK;
}

void daemon_authority_policy_part(struct daemon_authority_request *request)
{
    enum rc rc = store_read(request->authority->setup.store, may_write, request);

    if (rc != RC_OK) {
        daemon_authority_refuse(request, rc);
        return;
    }
    rc = add(request);
    if (rc == RC_OK)
        daemon_authority_answer(request);
    else
        daemon_authority_turn_away(request, rc);
}

enum rc daemon_authority_staged_take(struct daemon_authority_request *request)
{
    struct daemon_authority_staged *staged = find(request);
    const struct registry_name *name = &request->question.name;

    if (staged == NULL)
        return fault(RC_BUSY, "policy: its parts are not here, or not any more");
    bool whole =
        registry_name_equal(&staged->name, name) && staged->next == registry_text_parts(name);
    if (whole) {
        request->whole = staged->octets;
        staged->octets = (struct buf)BUF_MAX(0);
    }
    uint32_t next = staged->next;
    drop(staged);
    return whole ? RC_OK
                 : fault(RC_MALFORMED, "policy: %u of its %u parts came, or those of another",
                         next, registry_text_parts(name));
}
