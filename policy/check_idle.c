#include "policy/check.h"

#include <string.h>

#include "base/text.h"
#include "policy/told.h"

/* What a rule asks for and nobody does: it is allowed to be there, and whoever relies on it is
 * mistaken. docs/policy-language.md, "What is asked today". */

enum { TEXT_MAX = 1024 };

#define ACTION(name) (1U << POLICY_##name)
static const unsigned UNASKED = ACTION(INGEST) | ACTION(READ) | ACTION(DELIVER);

/* By what is allowed; of a denial, log full alone. */
static const struct duty {
    const char *name;
    unsigned held; /* set of 1 << enum policy_action */
} LIMIT = { "limit", ACTION(CONNECT) | ACTION(PUBLISH) | ACTION(SUBSCRIBE) | ACTION(RECEIVE) },
  PAYLOAD = { "payload", ACTION(PUBLISH) | ACTION(RETAIN) | ACTION(WILL) | ACTION(RECEIVE) },
  LEASE = { "lease", ACTION(CONNECT) },
  LOG_FULL = { "log full", ACTION(PUBLISH) | ACTION(RETAIN) | ACTION(WILL) | ACTION(SUBSCRIBE) |
                               ACTION(RECEIVE) },
  LOG_DENIED = { "log full", ACTION(CONNECT) | ACTION(PUBLISH) | ACTION(RETAIN) | ACTION(WILL) |
                                 ACTION(SUBSCRIBE) | ACTION(RECEIVE) };

/* "publish, retain and will" */
static void add_actions(unsigned actions, struct buf *text)
{
    const char *before = "";

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        if (!(actions & 1U << action))
            continue;
        actions &= ~(1U << action);
        buf_addf(text, "%s%s", before, policy_action_name(action));
        before = (actions & (actions - 1)) == 0 ? " and " : ", ";
    }
}

static enum rc tell(struct policy_checker *checker, uint32_t place, struct buf *text)
{
    return policy_check_add(checker, POLICY_IDLE, true, place, (struct bytes){ NULL, 0 }, text);
}

static enum rc check_actions(struct policy_checker *checker, uint32_t place, unsigned actions)
{
    AUTO_BUF(text, TEXT_MAX);

    if ((actions & UNASKED) == 0)
        return RC_OK;
    buf_addf(&text, "nobody asks for ");
    add_actions(actions & UNASKED, &text);
    buf_addf(&text, " yet");
    return tell(checker, place, &text);
}

/* A rule for operators that publish, or for devices that revoke. */
static enum rc check_asker(struct policy_checker *checker, uint32_t place,
                           const struct policy_rule *rule)
{
    const unsigned askers = policy_told_askers(rule->principal);
    unsigned vain = 0, others = 0;
    AUTO_BUF(text, TEXT_MAX);

    for (enum policy_action action = 0; action < POLICY_ACTIONS; action++) {
        unsigned who = policy_told_who_asks(action);
        if (!(rule->actions & 1U << action) || who == 0 || who & askers)
            continue;
        vain |= 1U << action;
        others |= who;
    }
    if (vain == 0)
        return RC_OK;
    policy_told_write_askers(askers, &text);
    buf_addf(&text, " never ask for ");
    add_actions(vain, &text);
    buf_addf(&text, ": ");
    policy_told_write_askers(others, &text);
    buf_addf(&text, " do");
    return tell(checker, place, &text);
}

static enum rc check_duty(struct policy_checker *checker, uint32_t place, bool is_there,
                          const struct duty *duty, unsigned actions)
{
    AUTO_BUF(text, TEXT_MAX);

    if (!is_there || (actions & duty->held) != 0)
        return RC_OK;
    buf_addf(&text, "%s has no effect here: it is held for ", duty->name);
    add_actions(duty->held, &text);
    return tell(checker, place, &text);
}

static enum rc check_duties(struct policy_checker *checker, uint32_t place,
                            const struct policy_rule *rule)
{
    const struct policy_obligations *o = &rule->obligations;
    unsigned actions = rule->actions;

    TRY(check_duty(checker, place, o->rate > 0, &LIMIT, actions));
    TRY(check_duty(checker, place, o->payload_limited, &PAYLOAD, actions));
    TRY(check_duty(checker, place, o->lease_ms > 0, &LEASE, actions));
    return check_duty(checker, place, o->log_full,
                      rule->effect == POLICY_DENY ? &LOG_DENIED : &LOG_FULL, actions);
}

/* Roles are two, however the registry may grow: registry/subject.c has them. */
static enum rc check_role(struct policy_checker *checker, uint32_t place,
                          const struct policy_rule *rule)
{
    AUTO_BUF(text, TEXT_MAX);

    if (rule->principal != POLICY_ROLE || bytes_equal(rule->name, BYTES("admin")) ||
        bytes_equal(rule->name, BYTES("auditor")))
        return RC_OK;
    buf_addf(&text, "nobody has the role \"");
    text_add_shown(&text, rule->name);
    buf_addf(&text, "\": there are admin and auditor");
    return tell(checker, place, &text);
}

static bool is_method(struct bytes word)
{
    static const char *const METHODS[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" };

    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (bytes_equal_text(word, METHODS[i]))
            return true;
    return false;
}

/* "GET /v1/devices": a method, a space, a path. A wildcard or fact may stand for the first
 * level as a whole. */
static enum rc check_call(struct policy_checker *checker, uint32_t place,
                          const struct policy_rule *rule)
{
    struct policy_levels levels = policy_topic_levels(rule->filter);
    struct bytes level = policy_topic_next(&levels);
    AUTO_BUF(text, TEXT_MAX);

    if (!(rule->actions & ACTION(CALL)) || policy_topic_is_hash(level) ||
        policy_topic_is_plus(level) || memmem(level.at, level.len, "${", 2) != NULL ||
        (level.len > 1 && level.at[level.len - 1] == ' ' &&
         is_method((struct bytes){ level.at, level.len - 1 })))
        return RC_OK;
    buf_addf(&text, "no request looks so: a method in capitals, a space, and a path from its "
                    "root, as in \"GET /v1/devices\"");
    return policy_check_add(checker, POLICY_IDLE, true, place, rule->filter, &text);
}

/* A resource by itself, without wildcards and facts. */
static bool is_spelt_out(struct bytes filter)
{
    return memchr(filter.at, '+', filter.len) == NULL &&
           memchr(filter.at, '#', filter.len) == NULL &&
           memmem(filter.at, filter.len, "${", 2) == NULL;
}

static enum rc tell_resource(struct policy_checker *checker, uint32_t place, struct buf *text)
{
    return policy_check_add(checker, POLICY_IDLE, true, place, checker->rules->at[place].filter,
                            text);
}

static enum rc check_profile(struct policy_checker *checker, uint32_t place,
                             const struct policy_rule *rule)
{
    const unsigned askers = policy_told_askers(rule->principal);
    const char *name = NULL;
    AUTO_BUF(text, TEXT_MAX);

    if (policy_told_profile(askers, rule->actions, 0) == NULL || !is_spelt_out(rule->filter))
        return RC_OK;
    buf_addf(&text, "no such profile is asked for so, only ");
    for (unsigned i = 0; (name = policy_told_profile(askers, rule->actions, i)) != NULL; i++) {
        if (bytes_equal_text(rule->filter, name))
            return RC_OK;
        buf_addf(&text, "%s\"%s\"", i > 0 ? ", " : "", name);
    }
    return tell_resource(checker, place, &text);
}

/* Of a shared subscription, the filter behind the share's name is judged. */
static enum rc check_shared(struct policy_checker *checker, uint32_t place,
                            const struct policy_rule *rule)
{
    const unsigned deaf = rule->actions & (ACTION(SUBSCRIBE) | ACTION(RECEIVE));
    AUTO_BUF(text, TEXT_MAX);

    if (deaf == 0 || (!bytes_equal_text(rule->filter, "$share") &&
                      !bytes_start_with(rule->filter, BYTES("$share/"))))
        return RC_OK;
    buf_addf(&text, "no door takes such a filter to ");
    add_actions(deaf, &text);
    buf_addf(&text,
             ": of a shared subscription what stands behind $share/NAME/ would be asked");
    return tell_resource(checker, place, &text);
}

static enum rc check_device(struct policy_checker *checker, uint32_t place,
                            const struct policy_rule *rule)
{
    AUTO_BUF(text, TEXT_MAX);

    if (!(rule->actions & ACTION(REVOKE)) || !is_spelt_out(rule->filter) ||
        policy_name_is(rule->filter))
        return RC_OK;
    buf_addf(&text, "no device has such an id: it is 1 to %d letters, digits and . _ : -",
             POLICY_NAME_MAX);
    return tell_resource(checker, place, &text);
}

enum rc policy_check_idle(struct policy_checker *checker, uint32_t place,
                          enum policy_first first)
{
    const struct policy_rule *rule = &checker->rules->at[place];

    if (first >= POLICY_FIRST_OF_NAME)
        TRY(check_role(checker, place, rule));
    TRY(check_call(checker, place, rule));
    TRY(check_profile(checker, place, rule));
    TRY(check_shared(checker, place, rule));
    TRY(check_device(checker, place, rule));
    if (first >= POLICY_FIRST_OF_KIND)
        TRY(check_asker(checker, place, rule));
    if (first < POLICY_FIRST_OF_RULE) /* all parts of a rule have its actions and obligations */
        return RC_OK;
    TRY(check_actions(checker, place, rule->actions));
    return check_duties(checker, place, rule);
}
