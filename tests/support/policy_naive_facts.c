#include "tests/support/policy_naive.h"

#include <string.h>

static const int64_t DAY = 86400000;

/* ---- Facts ---- */

static struct policy_value text(struct bytes is)
{
    return (struct policy_value){ .type = is.at == NULL ? POLICY_UNKNOWN : POLICY_STRING,
                                  .text = is };
}

static struct policy_value number(bool known, enum policy_type type, int64_t is)
{
    return (struct policy_value){ .type = known ? type : POLICY_UNKNOWN, .number = is };
}

static struct policy_value read_by(struct bytes is,
                                   enum rc (*reader)(struct bytes, struct policy_value *))
{
    struct policy_value value = { .type = POLICY_UNKNOWN };

    if (is.at != NULL && (reader(is, &value) != RC_OK || memchr(is.at, '/', is.len) != NULL))
        value.type = POLICY_UNKNOWN;
    return value;
}

/* Days since 1970-01-01, also before it. */
static int64_t day_of(int64_t ms)
{
    return (ms - ((ms % DAY) + DAY) % DAY) / DAY;
}

static struct policy_value weekday(bool known, int64_t now)
{
    static const char *const DAYS[] = { "monday", "tuesday",  "wednesday", "thursday",
                                        "friday", "saturday", "sunday" };
    int64_t since_monday = ((day_of(now) + 3) % 7 + 7) % 7; /* day 0 was a Thursday */

    return text(known ? bytes_of_text(DAYS[since_monday]) : (struct bytes){ NULL, 0 });
}

static struct policy_value of_request(const struct policy_request *r, enum policy_fact fact)
{
    bool timed = (r->known & POLICY_KNOWS_NOW) != 0;

    switch ((int)fact) {
    case POLICY_MESSAGE_SIZE:
        return number(r->known & POLICY_KNOWS_SIZE, POLICY_NUMBER, (int64_t)r->size);
    case POLICY_MESSAGE_QOS:
        return number(r->known & POLICY_KNOWS_QOS, POLICY_NUMBER, r->qos);
    case POLICY_MESSAGE_RETAIN:
        return number(r->known & POLICY_KNOWS_RETAIN, POLICY_BOOLEAN, r->retain);
    case POLICY_MESSAGE_CONTENT_TYPE:
        return text(r->content_type);
    case POLICY_TARGET:
        return (struct policy_value){ .type = r->known & POLICY_KNOWS_TARGET ? POLICY_GROUPED
                                                                             : POLICY_UNKNOWN,
                                      .text = r->resource,
                                      .groups = r->target_groups,
                                      .number = (int64_t)r->target_group_count };
    case POLICY_REQUEST_KEY:
        return text(r->key);
    case POLICY_TIME_NOW:
        return number(timed, POLICY_TIME, r->now_ms);
    case POLICY_TIME_OF_DAY:
        return number(timed, POLICY_DURATION, r->now_ms - day_of(r->now_ms) * DAY);
    case POLICY_TIME_WEEKDAY:
        return weekday(timed, r->now_ms);
    default:
        return text((struct bytes){ NULL, 0 });
    }
}

static struct policy_value of_connection(const struct policy_facts *f, enum policy_fact fact)
{
    switch ((int)fact) {
    case POLICY_CONNECTION_ADDRESS:
        return read_by(f->connection_address, policy_value_address);
    case POLICY_CONNECTION_DOOR:
        return text(f->connection_door);
    case POLICY_CONNECTION_PROTOCOL:
        return text(f->connection_protocol);
    case POLICY_CONNECTION_TLS:
        return text(f->connection_tls);
    default:
        return text(f->client_id);
    }
}

static struct policy_value of_device(const struct naive_world *world, enum policy_fact fact)
{
    const struct policy_facts *f = world->facts;
    int64_t now = world->request->now_ms;
    bool timed = (world->request->known & POLICY_KNOWS_NOW) != 0;

    switch ((int)fact) {
    case POLICY_CERTIFICATE_ISSUER:
        return text(f->certificate_issuer);
    case POLICY_CERTIFICATE_SUBJECT:
        return text(f->certificate_subject);
    case POLICY_CERTIFICATE_SERIAL:
        return text(f->certificate_serial);
    case POLICY_CERTIFICATE_FINGERPRINT:
        return text(f->certificate_fingerprint);
    case POLICY_CERTIFICATE_LEFT:
        return number(timed && f->certificate_ends_ms != 0, POLICY_DURATION,
                      f->certificate_ends_ms - now);
    case POLICY_ATTESTATION_VERDICT:
        return text(f->attestation_verdict);
    case POLICY_ATTESTATION_AGE:
        return number(timed && f->attestation_at_ms != 0, POLICY_DURATION,
                      now - f->attestation_at_ms);
    default:
        return read_by(f->firmware_version, policy_value_version);
    }
}

struct policy_value naive_fact(const struct naive_world *world, enum policy_fact fact)
{
    const struct policy_facts *f = world->facts;
    const struct bytes names[] = { f->device_id,     f->device_profile, f->operator_id,
                                   f->operator_role, f->line_id,        f->sink_name };

    if (fact <= POLICY_SINK_NAME)
        return text(names[fact]);
    if (fact <= POLICY_FIRMWARE_VERSION)
        return of_device(world, fact);
    if (fact <= POLICY_CLIENT_ID)
        return of_connection(f, fact);
    return of_request(world->request, fact);
}

/* ---- Conditions ---- */

static bool has_bit(const uint8_t *address, unsigned bit)
{
    return address[bit / 8] >> (7 - bit % 8) & 1;
}

static bool is_in_network(const struct policy_value *network, const struct policy_value *is)
{
    for (unsigned bit = 0; bit < network->prefix; bit++)
        if (has_bit(network->address, bit) != has_bit(is->address, bit))
            return false;
    return true;
}

static int order(const struct policy_value *is, const struct policy_value *wanted)
{
    if (is->type == POLICY_VERSION)
        return policy_value_compare(is, wanted);
    return is->number < wanted->number ? -1 : is->number > wanted->number;
}

static bool same(const struct policy_value *is, const struct policy_value *wanted)
{
    if (is->type == POLICY_STRING)
        return bytes_equal(is->text, wanted->text);
    return is->type == POLICY_ADDRESS ? is_in_network(wanted, is) : order(is, wanted) == 0;
}

static bool among(const struct policy_value *is, const struct policy_value *wanted,
                  uint32_t count)
{
    bool found = false;

    while (count-- > 0)
        found = found || same(is, &wanted[count]);
    return found;
}

static bool between(enum policy_fact fact, const struct policy_value *is,
                    const struct policy_value *wanted)
{
    bool from = order(is, &wanted[0]) >= 0, to = order(is, &wanted[1]) <= 0;

    if (fact == POLICY_TIME_OF_DAY && wanted[0].number > wanted[1].number)
        return from || to; /* over midnight */
    return from && to;
}

/* Of the registry's groups and of the policy's own. */
static enum naive_truth is_grouped(const struct naive_world *world,
                                   const struct policy_value *is, struct bytes group)
{
    const struct policy_rules *rules = world->rules;

    for (size_t i = 0; i < rules->member_count; i++)
        if (bytes_equal(rules->members[i].device, world->request->resource) &&
            bytes_equal(rules->members[i].group, group))
            return NAIVE_TRUE;
    for (int64_t i = 0; is->type != POLICY_UNKNOWN && i < is->number; i++)
        if (bytes_equal(is->groups[i], group))
            return NAIVE_TRUE;
    return is->type == POLICY_UNKNOWN ? NAIVE_UNKNOWN : NAIVE_FALSE;
}

static bool holds(const struct policy_condition *c, const struct policy_value *is,
                  const struct policy_value *wanted)
{
    switch ((int)c->operator) {
    case POLICY_EQUAL:
        return same(is, wanted);
    case POLICY_NOT_EQUAL:
        return !same(is, wanted);
    case POLICY_BELOW:
        return order(is, wanted) < 0;
    case POLICY_AT_MOST:
        return order(is, wanted) <= 0;
    case POLICY_ABOVE:
        return order(is, wanted) > 0;
    case POLICY_AT_LEAST:
        return order(is, wanted) >= 0;
    case POLICY_IN:
        return among(is, wanted, c->value_count);
    case POLICY_BETWEEN:
        return between(c->fact, is, wanted);
    default:
        return bytes_start_with(is->text, wanted->text);
    }
}

static enum naive_truth test(const struct naive_world *world, const struct policy_condition *c)
{
    struct policy_value is = naive_fact(world, c->fact);

    if (c->operator== POLICY_IS_KNOWN)
        return is.type != POLICY_UNKNOWN ? NAIVE_TRUE : NAIVE_FALSE;
    if (c->operator== POLICY_IN_GROUP)
        return is_grouped(world, &is, world->rules->values[c->first_value].text);
    if (is.type == POLICY_UNKNOWN)
        return NAIVE_UNKNOWN;
    return holds(c, &is, &world->rules->values[c->first_value]) ? NAIVE_TRUE : NAIVE_FALSE;
}

/* Kleene: `and` is the lesser, `or` the greater, `not` the other way round. */
enum naive_truth naive_condition(const struct naive_world *world, uint32_t condition)
{
    if (condition == POLICY_ALWAYS)
        return NAIVE_TRUE;
    const struct policy_condition *c = &world->rules->conditions[condition];
    if (c->kind == POLICY_TEST)
        return test(world, c);
    enum naive_truth left = naive_condition(world, c->left);
    if (c->kind == POLICY_NOT)
        return NAIVE_TRUE - left;
    enum naive_truth right = naive_condition(world, c->right);
    bool lesser = left < right;
    return (c->kind == POLICY_AND) == lesser ? left : right;
}
