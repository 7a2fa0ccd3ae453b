#include "audit/facet.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "audit/topic.h"
#include "policy/topic.h"

/* ---- Hashes ---- */

/* Eight octets at a time, as little-endian whatever the machine is; murmur3's finish, so that
 * every bit counts. Not secret, not collision-free. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

static struct audit_facet facet_of(enum audit_facet_kind kind, uint8_t number,
                                   struct bytes value)
{
    uint64_t hash = mix(value.len, (uint64_t)kind << 8 | number), word;

    for (; value.len >= sizeof word; value.at += sizeof word, value.len -= sizeof word) {
        memcpy(&word, value.at, sizeof word);
        hash = mix(hash, le64toh(word));
    }
    word = 0;
    if (value.len > 0)
        memcpy(&word, value.at, value.len);
    hash = mix(hash, le64toh(word));
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
    return (struct audit_facet){ (uint32_t)(hash ^ hash >> 33), (uint8_t)kind };
}

static struct audit_facet facet_of_number(enum audit_facet_kind kind, uint64_t number)
{
    const uint64_t octets = htole64(number);

    return facet_of(kind, 0, (struct bytes){ (const uint8_t *)&octets, sizeof octets });
}

struct audit_facet audit_facet_of_subject(struct bytes id)
{
    return facet_of(AUDIT_BY_WHO, 0, id);
}

struct audit_facet audit_facet_of_making(struct bytes fingerprint)
{
    return facet_of(AUDIT_BY_MAKING, 0, fingerprint);
}

/* ---- Of a record ---- */

static void add(struct audit_facets *facets, struct audit_facet facet)
{
    assert(facets->count < AUDIT_FACETS_MAX);
    facets->at[facets->count++] = facet;
}

static void add_value(struct audit_facets *facets, enum audit_facet_kind kind,
                      struct bytes value)
{
    if (value.len > 0)
        add(facets, facet_of(kind, 0, value));
}

static void add_certificate(struct audit_facets *facets,
                            const struct audit_certificate *certificate)
{
    add_value(facets, AUDIT_BY_CERTIFICATE, certificate->fingerprint);
    add_value(facets, AUDIT_BY_SERIAL, certificate->serial);
    add_value(facets, AUDIT_BY_ISSUER, certificate->issuer);
    add_value(facets, AUDIT_BY_KEY, certificate->key);
}

/* Networks as wide as these are found at once, narrower ones through the next wider. */
static const uint8_t WIDTHS_V4[] = { 32, 24, 16 }, WIDTHS_V6[] = { 128, 64, 48, 32 };

static struct bytes widths_of(const struct audit_network *network)
{
    return network->len == 4 ? BYTES_OF(WIDTHS_V4) : BYTES_OF(WIDTHS_V6);
}

/* All widths are whole octets. */
static struct audit_facet facet_of_network(const struct audit_network *network, uint8_t bits)
{
    return facet_of(AUDIT_BY_PEER, bits, (struct bytes){ network->address, bits / 8u });
}

static void add_peer(struct audit_facets *facets, struct bytes peer)
{
    const struct audit_network network = audit_network_of_peer(peer);
    const struct bytes widths = widths_of(&network);

    for (size_t i = 0; network.len > 0 && i < widths.len; i++)
        add(facets, facet_of_network(&network, widths.at[i]));
}

/* From a wildcard on, every level can be anything; # is so for all that follow, too. */
static void add_wildcard(struct audit_facets *facets, bool rest, uint8_t level, bool *beyond,
                         struct bytes before)
{
    if (!*beyond)
        add(facets, facet_of(AUDIT_BY_BEYOND, 0, before));
    *beyond = true;
    const unsigned end = rest ? AUDIT_FACET_LEVELS : level + 1u;
    for (unsigned at = level; at < end; at++)
        if (at > 0)
            add(facets, facet_of(AUDIT_BY_ANY, (uint8_t)at, BYTES("")));
}

/* true: one of the facets is as good as the whole topic. */
static bool add_topic(struct audit_facets *facets, struct bytes topic)
{
    struct policy_levels levels = policy_topic_levels(topic);
    struct bytes before = { topic.at, 0 };
    bool beyond = false;

    for (uint8_t i = 0; levels.more && i < AUDIT_FACET_LEVELS; i++) {
        struct bytes level = policy_topic_next(&levels);
        bool rest = policy_topic_is_hash(level);
        if (rest || policy_topic_is_plus(level))
            add_wildcard(facets, rest, i, &beyond, before);
        if (rest)
            return false; /* and what would stand behind it, if it were a filter */
        if (policy_topic_is_plus(level))
            continue;
        before.len = (size_t)(level.at + level.len - topic.at);
        if (!beyond)
            add(facets, facet_of(AUDIT_BY_PREFIX, 0, before));
        if (i > 0)
            add(facets, facet_of(AUDIT_BY_LEVEL, i, level));
    }
    return !levels.more && !beyond;
}

static void add_target(struct audit_facets *facets, const struct audit_record *record)
{
    const struct bytes topic = audit_topic_of(record);

    if (topic.len > 0 && add_topic(facets, topic) && topic.len == record->target.len)
        return;
    add_value(facets, AUDIT_BY_TARGET, record->target);
}

void audit_facets_of(const struct audit_record *record, struct audit_facets *facets)
{
    static const uint8_t NONE[AUDIT_CORRELATION] = { 0 };

    facets->count = 0;
    add(facets, facet_of_number(AUDIT_BY_ACTION, record->action));
    add(facets, facet_of_number(AUDIT_BY_DECISION, record->decision));
    add(facets, facet_of_number(AUDIT_BY_SOURCE, record->source));
    add(facets, facet_of_number(AUDIT_BY_KIND, record->actor_kind));
    add_value(facets, AUDIT_BY_WHO, record->actor);
    add_value(facets, AUDIT_BY_WHO, record->device);
    add_certificate(facets, &record->actor_certificate);
    add_certificate(facets, &record->certificate);
    if (!bytes_equal(BYTES_OF(record->correlation), BYTES_OF(NONE)))
        add_value(facets, AUDIT_BY_CORRELATION, BYTES_OF(record->correlation));
    if (record->policy_version > 0)
        add(facets, facet_of_number(AUDIT_BY_POLICY, record->policy_version));
    if (record->policy_version > 0 || record->rule > 0)
        add(facets, facet_of_number(AUDIT_BY_RULE, record->rule));
    add_peer(facets, record->peer);
    add_target(facets, record);
}

/* ---- Of a query ---- */

enum { NARROW_BITS = 4 };

/* A term of one facet; more may be given to it as long as no other follows. */
static struct audit_term *add_term(struct audit_terms *terms, struct audit_facet facet)
{
    assert(terms->count < AUDIT_TERMS_MAX);
    terms->at[terms->count] = (struct audit_term){ .of = { facet }, .count = 1 };
    return &terms->at[terms->count++];
}

static void or_else(struct audit_term *term, struct audit_facet facet)
{
    assert(term->count < AUDIT_CHOICES_MAX);
    term->of[term->count++] = facet;
}

static void want(struct audit_terms *terms, enum audit_facet_kind kind, struct bytes value)
{
    if (value.len > 0)
        add_term(terms, facet_of(kind, 0, value));
}

static void want_number(struct audit_terms *terms, enum audit_facet_kind kind, uint64_t number)
{
    if (number != 0)
        add_term(terms, facet_of_number(kind, number));
}

/* Any of the numbers whose bit is set. */
static void want_bits(struct audit_terms *terms, enum audit_facet_kind kind, uint8_t bits)
{
    struct audit_term *term = NULL;

    for (unsigned i = 0; i < 8; i++) {
        if ((bits & 1u << i) == 0)
            continue;
        if (term == NULL)
            term = add_term(terms, facet_of_number(kind, i));
        else
            or_else(term, facet_of_number(kind, i));
    }
}

/* More than a term can hold are most of what there is. */
static void want_actions(struct audit_terms *terms, const struct audit_action_set *set)
{
    struct audit_term *term = &terms->at[terms->count++];

    *term = (struct audit_term){ 0 };
    for (unsigned action = 0; action <= AUDIT_ACTION_MOST; action++) {
        if (!audit_action_set_has(set, action))
            continue;
        if (term->count == AUDIT_CHOICES_MAX) {
            terms->count--;
            return;
        }
        or_else(term, facet_of_number(AUDIT_BY_ACTION, action));
    }
}

/* Of so few addresses each is looked for: the next wider network has many more. */
static void want_addresses(struct audit_terms *terms, struct audit_network network,
                           unsigned rest)
{
    uint8_t *last = &network.address[network.len - 1];
    struct audit_term *term = NULL;

    static_assert(1 << NARROW_BITS <= AUDIT_CHOICES_MAX, "they are choices of one term");
    for (unsigned left = 1u << rest; left > 0; left--, ++*last) {
        struct audit_facet facet = facet_of_network(&network, (uint8_t)(8 * network.len));
        if (term == NULL)
            term = add_term(terms, facet);
        else
            or_else(term, facet);
    }
}

static void want_peer(struct audit_terms *terms, const struct audit_network *network)
{
    const struct bytes widths = widths_of(network);
    const unsigned rest = 8u * network->len - network->bits;

    if (network->len > 0 && rest > 0 && rest <= NARROW_BITS) {
        want_addresses(terms, *network, rest);
        return;
    }
    for (size_t i = 0; network->len > 0 && i < widths.len; i++)
        if (widths.at[i] <= network->bits) {
            add_term(terms, facet_of_network(network, widths.at[i]));
            return;
        }
}

static void want_target(struct audit_terms *terms, struct bytes target)
{
    if (target.len > 0)
        or_else(add_term(terms, facet_of(AUDIT_BY_TARGET, 0, target)),
                facet_of(AUDIT_BY_PREFIX, 0, target));
}

/* The levels up to the first wildcard: those of a topic, or of a filter that goes beyond them
 * or has its own wildcard before. */
static void want_prefix(struct audit_terms *terms, struct bytes filter, uint8_t *count)
{
    struct policy_levels levels = policy_topic_levels(filter);
    struct audit_term beyond = { 0 };
    struct bytes before = { filter.at, 0 };

    for (*count = 0; levels.more && *count < AUDIT_FACET_LEVELS; ++*count) {
        struct bytes level = policy_topic_next(&levels);
        if (policy_topic_is_hash(level) || policy_topic_is_plus(level))
            break;
        beyond.of[beyond.count++] = facet_of(AUDIT_BY_BEYOND, 0, before);
        before.len = (size_t)(level.at + level.len - filter.at);
    }
    if (*count == 0)
        return;
    struct audit_term *term = add_term(terms, facet_of(AUDIT_BY_PREFIX, 0, before));
    for (size_t i = 0; i < beyond.count; i++)
        or_else(term, beyond.of[i]);
}

static void want_topic(struct audit_terms *terms, struct bytes filter)
{
    struct policy_levels levels = policy_topic_levels(filter);
    uint8_t known = 0;

    want_prefix(terms, filter, &known);
    for (uint8_t i = 0; levels.more && i < AUDIT_FACET_LEVELS; i++) {
        struct bytes level = policy_topic_next(&levels);
        bool wild = policy_topic_is_hash(level) || policy_topic_is_plus(level);
        if (i > 0 && i >= known && !wild)
            or_else(add_term(terms, facet_of(AUDIT_BY_LEVEL, i, level)),
                    facet_of(AUDIT_BY_ANY, i, BYTES("")));
    }
}

/* A topic is in records of these actions only, so perhaps in none that are wanted. */
static void want_topics(struct audit_terms *terms, const struct audit_action_set *wanted)
{
    struct audit_action_set set = { 0 };
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);

    for (size_t i = 0; i < count; i++)
        if ((rows[i].fields & AUDIT_TOPIC_FIELD) != 0 &&
            (audit_action_set_is_empty(wanted) || audit_action_set_has(wanted, rows[i].action)))
            audit_action_set_add(&set, rows[i].action);
    want_actions(terms, &set);
}

void audit_terms_of(const struct audit_query *query, struct audit_terms *terms)
{
    terms->count = 0;
    want(terms, AUDIT_BY_CORRELATION, query->correlation);
    want(terms, AUDIT_BY_CERTIFICATE, query->certificate);
    want(terms, AUDIT_BY_SERIAL, query->serial);
    want(terms, AUDIT_BY_KEY, query->key);
    want(terms, AUDIT_BY_WHO, query->device);
    want(terms, AUDIT_BY_WHO, query->actor);
    want_target(terms, query->target);
    want_peer(terms, &query->peer);
    if (query->topic.len > 0)
        want_topic(terms, query->topic);
    if (query->rule != 0)
        add_term(terms, facet_of_number(AUDIT_BY_RULE,
                                        query->rule == AUDIT_RULE_NONE ? 0 : query->rule));
    want_number(terms, AUDIT_BY_POLICY, query->policy_version);
    if (query->topic.len > 0)
        want_topics(terms, &query->actions);
    else if (!audit_action_set_is_empty(&query->actions))
        want_actions(terms, &query->actions);
    want_bits(terms, AUDIT_BY_DECISION, query->decisions);
    want_bits(terms, AUDIT_BY_KIND, query->kinds);
    want_bits(terms, AUDIT_BY_SOURCE, query->sources);
    want(terms, AUDIT_BY_ISSUER, query->issuer);
}
