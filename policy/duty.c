#include "policy/duty.h"

/* ---- Obligations ---- */

bool policy_duty_is_slower(const struct policy_obligations *a,
                           const struct policy_obligations *b)
{
    __int128 left = (__int128)a->rate * b->rate_ms, right = (__int128)b->rate * a->rate_ms;

    return a->rate > 0 &&
           (b->rate == 0 || left < right || (left == right && a->burst < b->burst));
}

bool policy_duty_is_alike(const struct policy_obligations *a,
                          const struct policy_obligations *b)
{
    return a->rate > 0 && b->rate > 0 && !policy_duty_is_slower(a, b) &&
           !policy_duty_is_slower(b, a);
}

static bool is_sooner(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || a < b);
}

static bool is_smaller(const struct policy_obligations *a, const struct policy_obligations *b)
{
    return a->payload_limited && (!b->payload_limited || a->payload < b->payload);
}

bool policy_duty_is_as_strict(const struct policy_obligations *one,
                              const struct policy_obligations *other)
{
    return !policy_duty_is_slower(other, one) && !is_smaller(other, one) &&
           !is_sooner(other->lease_ms, one->lease_ms) &&
           !is_sooner(other->until_ms, one->until_ms) && (one->log_full || !other->log_full);
}

static void take_rate(struct policy_obligations *to, const struct policy_obligations *from)
{
    to->rate = from->rate;
    to->burst = from->burst;
    to->rate_ms = from->rate_ms;
}

/* The strictest of each. */
static void add_duties(struct policy_obligations *to, const struct policy_obligations *more)
{
    if (policy_duty_is_slower(more, to))
        take_rate(to, more);
    if (is_smaller(more, to)) {
        to->payload_limited = true;
        to->payload = more->payload;
    }
    if (is_sooner(more->lease_ms, to->lease_ms))
        to->lease_ms = more->lease_ms;
    if (is_sooner(more->until_ms, to->until_ms))
        to->until_ms = more->until_ms;
    to->log_full = to->log_full || more->log_full;
}

/* What the others ask for anyhow is left out. */
static void drop_duties(struct policy_obligations *from, const struct policy_obligations *sure)
{
    static const struct policy_obligations NONE = { 0 };

    if (!policy_duty_is_slower(from, sure))
        take_rate(from, &NONE);
    if (!is_smaller(from, sure)) {
        from->payload_limited = false;
        from->payload = 0;
    }
    if (!is_sooner(from->lease_ms, sure->lease_ms))
        from->lease_ms = 0;
    if (!is_sooner(from->until_ms, sure->until_ms))
        from->until_ms = 0;
    from->log_full = from->log_full && !sure->log_full;
}

/* ---- Of a colour ---- */

static struct policy_obligations duties_under(const struct policy_verdicts *verdicts,
                                              const struct policy_voices *voices,
                                              uint32_t guard)
{
    struct policy_obligations all = { 0 };

    for (size_t i = 0; i < voices->count; i++)
        if (voices->at[i].effect == POLICY_ALLOW && voices->at[i].guard == guard) {
            const struct policy_duties duties =
                policy_verdicts_get_duties(verdicts, voices->at[i].duties);
            add_duties(&all, &duties.asked);
        }
    return all;
}

static bool is_same(const struct policy_duties *one, const struct policy_duties *other)
{
    return policy_duty_is_as_strict(&one->asked, &other->asked) &&
           policy_duty_is_as_strict(&other->asked, &one->asked) &&
           (one->asked.rate == 0 || one->meter.what == other->meter.what);
}

bool policy_duty_is_one(const struct policy_verdicts *verdicts, uint32_t left, uint32_t right)
{
    const uint32_t colours[] = { left, right };
    struct policy_duties first = { 0 };
    bool any = false;

    for (size_t side = 0; side < 2; side++) {
        const struct policy_voices voices = policy_verdicts_get(verdicts, colours[side]);
        for (size_t i = 0; i < voices.count; i++) {
            if (!policy_verdicts_is_live(&voices, &voices.at[i]))
                continue;
            struct policy_duties duties =
                policy_verdicts_get_duties(verdicts, voices.at[i].duties);
            if (any && !is_same(&first, &duties))
                return false;
            first = duties;
            any = true;
        }
    }
    return true;
}

/* 600/m burst 10 is 10/s. */
static void reduce(struct policy_obligations *o)
{
    uint64_t divisor = o->rate, rest = (uint64_t)o->rate_ms;

    while (rest != 0) {
        uint64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    if (o->rate == 0)
        return;
    o->rate = (uint32_t)(o->rate / divisor);
    o->rate_ms = o->rate_ms / (int64_t)divisor;
}

/* Under each condition what it asks for beyond what is always asked for. */
enum rc policy_duty_asked(struct policy_verdicts *verdicts, uint32_t colour, uint32_t *duty)
{
    struct policy_voices voices = policy_verdicts_get(verdicts, colour);
    struct policy_obligations sure = duties_under(verdicts, &voices, POLICY_SURE);

    policy_verdicts_begin(verdicts);
    for (size_t i = 0; i < voices.count; i++) {
        struct policy_voice voice = { POLICY_ALLOW, voices.at[i].guard, POLICY_NO_RULE, 0 };
        if (!policy_verdicts_is_live(&voices, &voices.at[i]))
            continue;
        struct policy_duties here = { .asked = duties_under(verdicts, &voices, voice.guard) };
        if (voice.guard != POLICY_SURE)
            drop_duties(&here.asked, &sure);
        reduce(&here.asked);
        TRY(policy_verdicts_duties(verdicts, &here, &voice.duties));
        if (voice.duties != 0)
            TRY(policy_verdicts_put(verdicts, &voice));
    }
    return policy_verdicts_finish(verdicts, duty);
}

/* ---- Whose limit counts ---- */

/* Of both limits the one counts the acts: the slower, and of alike ones the first. */
static bool is_ahead(const struct policy_duties *one, const struct policy_duties *other)
{
    return policy_duty_is_slower(&one->asked, &other->asked) ||
           (policy_duty_is_alike(&one->asked, &other->asked) &&
            one->meter.order < other->meter.order);
}

/* Voices that allow come first, by condition. */
static bool begins(const struct policy_voices *voices, size_t at)
{
    return voices->at[at].effect == POLICY_ALLOW &&
           (at == 0 || voices->at[at - 1].guard != voices->at[at].guard);
}

/* Of all that allow under the condition of this one, which are the next ones: without a rate if
 * there is no limit. */
static struct policy_duties counting(const struct policy_verdicts *verdicts,
                                     const struct policy_voices *voices, size_t at)
{
    struct policy_duties first = { .asked = { 0 } };
    uint32_t guard = voices->at[at].guard;

    for (; at < voices->count && voices->at[at].effect == POLICY_ALLOW &&
           voices->at[at].guard == guard;
         at++) {
        struct policy_duties more = policy_verdicts_get_duties(verdicts, voices->at[at].duties);
        if (is_ahead(&more, &first))
            first = more;
    }
    return first;
}

struct counting {
    struct policy_verdicts *verdicts;
    struct policy_voices voices;
    struct policy_duties sure; /* what counts anyhow */
};

/* Which counts if the condition is met, unless another one is met, too; or no rate. */
static struct policy_duties counting_if(const struct counting *c, size_t at)
{
    static const struct policy_duties NONE = { 0 };

    if (!begins(&c->voices, at) || !policy_verdicts_is_live(&c->voices, &c->voices.at[at]))
        return NONE;
    struct policy_duties own = counting(c->verdicts, &c->voices, at);
    return c->voices.at[at].guard == POLICY_SURE || is_ahead(&own, &c->sure) ? own : NONE;
}

/* How many are alike, stand before it, and count something else? */
static uint32_t rank_of(const struct counting *c, const struct policy_duties *own)
{
    uint32_t rank = 0;

    for (size_t i = 0; i < c->voices.count; i++) {
        struct policy_duties other = counting_if(c, i);
        rank += policy_duty_is_alike(&other.asked, &own->asked) &&
                other.meter.what != own->meter.what && other.meter.order < own->meter.order;
    }
    return rank;
}

/* With the rank in the place of the rule: in two policies, limits stand in the same order if
 * these are the same. */
enum rc policy_duty_counted(struct policy_verdicts *verdicts, uint32_t colour,
                            uint32_t *counted)
{
    struct counting c = { .verdicts = verdicts,
                          .voices = policy_verdicts_get(verdicts, colour) };

    if (c.voices.count > 0 && c.voices.at[0].effect == POLICY_ALLOW &&
        c.voices.at[0].guard == POLICY_SURE)
        c.sure = counting(verdicts, &c.voices, 0);
    policy_verdicts_begin(verdicts);
    for (size_t i = 0; i < c.voices.count; i++) {
        struct policy_duties own = counting_if(&c, i);
        const struct policy_duties told = { .meter.what = own.meter.what };
        if (own.asked.rate == 0)
            continue;
        struct policy_voice voice = { POLICY_ALLOW, c.voices.at[i].guard, rank_of(&c, &own),
                                      0 };
        TRY(policy_verdicts_duties(verdicts, &told, &voice.duties));
        TRY(policy_verdicts_put(verdicts, &voice));
    }
    return policy_verdicts_finish(verdicts, counted);
}

/* ---- Which rules allow all of a subscription ---- */

static bool covers_level(struct bytes wide, struct bytes level, bool first)
{
    bool system =
        first && level.len > 0 && level.at[0] == '$' && (level.len == 1 || level.at[1] != '{');

    return bytes_equal(wide, level) ||
           (policy_topic_is_plus(wide) && !policy_topic_is_hash(level) && !system);
}

/* As they are written: every topic of the narrow one is one of the wide one, too. */
static bool covers(struct bytes wide, struct bytes narrow)
{
    struct policy_levels w = policy_topic_levels(wide), n = policy_topic_levels(narrow);

    for (bool first = true; w.more; first = false) {
        struct bytes level = policy_topic_next(&w);
        if (policy_topic_is_hash(level))
            return !first || (narrow.len > 0 && narrow.at[0] != '$') ||
                   bytes_start_with(narrow, BYTES("${"));
        if (!n.more || !covers_level(level, policy_topic_next(&n), first))
            return false;
    }
    return !n.more;
}

/* Whatever it allows, another one allows with the same to say. */
static bool is_idle(const struct policy_verdicts *verdicts, const struct policy_voices *voices,
                    const struct policy_voice *voice)
{
    struct policy_duties own = policy_verdicts_get_duties(verdicts, voice->duties);

    for (size_t i = 0; i < voices->count; i++) {
        const struct policy_voice *other = &voices->at[i];
        struct policy_duties more = policy_verdicts_get_duties(verdicts, other->duties);
        bool same = other->duties == voice->duties;
        if (other->effect != POLICY_ALLOW || (same && other->guard == voice->guard) ||
            (other->guard != POLICY_SURE && other->guard != voice->guard) ||
            !covers(more.meter.filter, own.meter.filter) ||
            !policy_duty_is_as_strict(&more.asked, &own.asked))
            continue;
        if (own.asked.rate == 0 || is_ahead(&more, &own) || same)
            return true;
    }
    return false;
}

/* How many limits are alike, stand before it, and count something else? */
static uint32_t rank_among(const struct policy_verdicts *verdicts,
                           const struct policy_voices *voices, const struct policy_duties *own)
{
    uint32_t rank = 0;

    for (size_t i = 0; i < voices->count; i++) {
        struct policy_duties other = policy_verdicts_get_duties(verdicts, voices->at[i].duties);
        rank += policy_verdicts_is_live(voices, &voices->at[i]) &&
                policy_duty_is_alike(&other.asked, &own->asked) &&
                other.meter.what != own->meter.what && other.meter.order < own->meter.order;
    }
    return rank;
}

enum rc policy_duty_of_filters(struct policy_verdicts *verdicts, uint32_t colour, bool turns,
                               uint32_t *counted)
{
    struct policy_voices voices = policy_verdicts_get(verdicts, colour);

    policy_verdicts_begin(verdicts);
    for (size_t i = 0; i < voices.count; i++) {
        struct policy_voice voice = voices.at[i];
        struct policy_duties duties = policy_verdicts_get_duties(verdicts, voice.duties);
        if (!policy_verdicts_is_live(&voices, &voices.at[i]) ||
            is_idle(verdicts, &voices, &voices.at[i]))
            continue;
        voice.rule = turns ? POLICY_NO_RULE : rank_among(verdicts, &voices, &duties);
        duties.meter.order = turns ? duties.meter.order : 0;
        reduce(&duties.asked);
        TRY(policy_verdicts_duties(verdicts, &duties, &voice.duties));
        TRY(policy_verdicts_put(verdicts, &voice));
    }
    return policy_verdicts_finish(verdicts, counted);
}
