/* Target: policy_bind, policy_view_fact, policy_decide_request, policy_explain_denial */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/rules.h"
#include "policy/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static struct bytes line_of(struct bytes *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->at, '\n', rest->len) : NULL;
    struct bytes line = { rest->at, end == NULL ? rest->len : (size_t)(end - rest->at) };
    size_t used = line.len + (end != NULL);

    *rest = (struct bytes){ rest->at + used, rest->len - used };
    return line;
}

static uint8_t byte_of(struct bytes line, size_t which)
{
    return which < line.len ? line.at[which] : 0;
}

/* An empty line is a text that is not known. */
static void take_text(struct bytes *rest, struct bytes *text)
{
    struct bytes line = line_of(rest);

    *text = line.len == 0 ? (struct bytes){ NULL, 0 } : line;
}

/* One line, a space after each; the last is the rest of the line. */
static void take_groups(struct bytes *rest, struct bytes *groups, struct policy_facts *f)
{
    struct bytes line = line_of(rest);

    f->groups = groups;
    while (line.len > 0 && f->group_count < POLICY_GROUPS_MAX) {
        const uint8_t *space = memchr(line.at, ' ', line.len);
        size_t len = space == NULL ? line.len : (size_t)(space - line.at);
        groups[f->group_count++] = (struct bytes){ line.at, len };
        len += space != NULL;
        line = (struct bytes){ line.at + len, line.len - len };
    }
}

/* True if all that may stand in a topic are names. */
static bool take_facts(struct bytes *rest, struct bytes *groups, struct policy_facts *f)
{
    struct bytes *const TEXTS[] = {
        &f->device_id,
        &f->device_profile,
        &f->operator_id,
        &f->operator_role,
        &f->line_id,
        &f->sink_name,
        &f->certificate_serial,
        &f->certificate_fingerprint,
        &f->certificate_issuer,
        &f->firmware_version,
        &f->connection_address,
        &f->client_id,
        &f->attestation_verdict,
        &f->connection_door,
        &f->connection_protocol,
        &f->connection_tls,
    };
    enum { NAMES = 8 };
    bool names = true;

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        take_text(rest, TEXTS[i]);
        if (i < NAMES && TEXTS[i]->len > 0)
            names = names && policy_name_is(*TEXTS[i]);
    }
    take_groups(rest, groups, f);
    struct bytes numbers = line_of(rest);
    f->certificate_subject = f->certificate_fingerprint; /* both are names */
    f->asker = byte_of(numbers, 0) % 4;
    f->certificate_ends_ms = (int64_t)byte_of(numbers, 1) * 86400000;
    f->attestation_at_ms = -(int64_t)byte_of(numbers, 2) * (INT64_C(1) << 55);
    return names;
}

static void take_request(struct bytes *rest, struct policy_request *request)
{
    struct bytes numbers = line_of(rest);
    uint64_t size = 0;

    request->action = byte_of(numbers, 0) % POLICY_ACTIONS;
    request->known = byte_of(numbers, 1) % 32;
    request->qos = byte_of(numbers, 2) % 4;
    request->retain = byte_of(numbers, 3) % 2;
    for (size_t i = 4; i < 12; i++)
        size = size << 8 | byte_of(numbers, i);
    request->size = size;
    request->now_ms = (int64_t)(size >> 20);
    request->resource = line_of(rest);
    take_text(rest, &request->content_type);
    take_text(rest, &request->key);
}

static bool is_resource(const struct policy_request *request)
{
    if (request->action == POLICY_CONNECT)
        return true;
    return request->action == POLICY_SUBSCRIBE
               ? policy_topic_check_filter(request->resource) == RC_OK
               : policy_topic_check_name(request->resource) == RC_OK;
}

/* Kleene's logic is monotone: what is allowed of less knowledge stays allowed, unless a rule
 * asks whether something is known at all, or the message now turns out to be too large. */
static void check_monotone(const struct policy_session *session,
                           const struct policy_request *request)
{
    struct bytes text = policy_text(session->policy);
    struct policy_request less = *request;

    less.known = 0;
    less.content_type = less.key = (struct bytes){ NULL, 0 };
    struct policy_decision before = policy_decide_request(session, &less);
    struct policy_decision after = policy_decide_request(session, request);
    bool asks = memmem(text.at, text.len, "known", 5) != NULL;
    if (before.allowed && !after.allowed && !after.too_large && !asks)
        abort();
}

static void judge(const struct policy_session *session, const struct policy_request *request)
{
    AUTO_BUF(text, 1 << 20);
    AUTO_BUF(more, 1 << 20);
    struct policy_decision decision = policy_decide_request(session, request);
    const char *all = NULL;

    policy_explain(&decision, &text);
    policy_explain_denial(session, request, &more);
    if (buf_text(&text, &all) != RC_OK || more.broken || (decision.allowed && more.len > 0) ||
        (decision.allowed && !decision.by_rule))
        abort();
    check_monotone(session, request);
}

/* Sixteen lines of texts, one of groups, one of bytes (who asks, times), one of bytes (action,
 * what is known), resource, content type, key; the rest is the policy. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes rest = { at, len };
    struct bytes groups[POLICY_GROUPS_MAX];
    struct policy_facts facts = { 0 };
    struct policy_request request = { 0 };
    struct policy_session session;
    struct policy_errors errors;
    AUTO_OF(policy) *policy = NULL;

    bool names = take_facts(&rest, groups, &facts);
    take_request(&rest, &request);
    request.target_groups = groups; /* also of who is revoked */
    request.target_group_count = facts.group_count;
    if (policy_compile(rest, 1, &errors, &policy) != RC_OK)
        return 0;
    enum rc rc = policy_bind(policy, &facts, &session);
    if (rc == RC_OK ? !names : rc != RC_DENIED)
        abort();
    if (rc == RC_OK && is_resource(&request))
        judge(&session, &request);
    return 0;
}
