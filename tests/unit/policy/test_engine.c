/*
 * The engine against the interpreter of tests/support/policy_naive.h on made-up policies of the
 * whole language, facts known and not, and requests of every action.
 *
 * test_policy_engine [SEED] looks elsewhere; TOUCHMARK_POLICIES=N (./dev policies), at N times
 * as many policies. Eight requests are asked of each.
 */
#include "policy/limit.h"
#include "tests/support/check.h"
#include "tests/support/policy_naive.h"
#include "tests/support/policy_world.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS = 8, LEVELS = 3, TEXT_MAX = 1 << 16 };

static uint64_t seed = 20261128, dice;
static unsigned policies = 2500;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

#define PICK(list) ((list)[roll(sizeof(list) / sizeof *(list))])

/* ---- Policies ---- */

static void add_condition(struct buf *text, unsigned depth)
{
    static const char *const TESTS[] = {
        "device.id = \"d1\"",
        "device.id in names",
        "device.id starts with \"d\"",
        "device.profile != \"p\"",
        "operator.role = \"admin\"",
        "line.id is known",
        "certificate.issuer in { \"B\", \"A\", \"C\" }",
        "certificate.subject = \"d1\"",
        "certificate.serial = \"0a\"",
        "certificate.left < 30d",
        "certificate.left between 10d and 20d",
        "attestation.verdict = \"good\"",
        "attestation.age <= 1h",
        "attestation.age is not known",
        "firmware.version >= 1.2",
        "firmware.version between 1.0.0-rc.1 and v1.10.0",
        "firmware.version in { 2.0, 1.2.3-a.1 }",
        "connection.address in nets",
        "connection.address = 10.1.0.0/16",
        "connection.address not in { 2001:db8::/32, 10.1.2.3 }",
        "connection.door = \"device\"",
        "connection.tls != \"1.2\"",
        "client.id starts with \"c\"",
        "message.size > 100",
        "message.size <= 1KiB",
        "message.size between 10 and 200",
        "message.qos = 1",
        "message.qos in { 2, 0 }",
        "message.retain",
        "message.retain = false",
        "message.content_type = \"text/plain\"",
        "request.key = \"p-256\"",
        "time.now >= 2026-06-01",
        "time.now < 2026-07-01T12:00Z",
        "time.of_day between 22:00 and 06:00",
        "time.of_day between 06:00 and 12:30",
        "time.weekday in { \"saturday\", \"sunday\" }",
        "time.weekday = \"monday\"",
    };

    if (depth == 0 || roll(2) == 0) {
        buf_addf(text, "%s%s", roll(6) == 0 ? "not " : "", PICK(TESTS));
        return;
    }
    buf_addf(text, "%s(", roll(5) == 0 ? "not " : "");
    for (unsigned n = 2 + roll(2); n > 0; n--) {
        add_condition(text, depth - 1);
        buf_addf(text, "%s", n == 1 ? ")" : roll(3) == 0 ? " and " : " or ");
    }
}

static void add_filter(struct buf *text)
{
    static const char *const WORDS[] = {
        "a",
        "a",
        "b",
        "d1",
        "",
        "$s",
        "a",
        "a",
        "+",
        "+",
        "+",
        "+",
        "+",
        "+",
        "${device.id}",
        "x${device.id}",
        "${line.id}",
        "${operator.id}x",
        "x${device.profile}y",
        "$${certificate.serial}",
        "${device.profile}${line.id}",
    };
    unsigned count = 1 + roll(LEVELS), hash_in = 2;

    buf_addf(text, "\"");
    for (unsigned i = 0; i < count; i++) {
        const char *word = i + 1 == count && roll(hash_in) == 0 ? "#" : PICK(WORDS);
        buf_addf(text, "%s%s", i > 0 ? "/" : "", count == 1 && *word == '\0' ? "a" : word);
    }
    buf_addf(text, "\"");
}

static void add_obligations(struct buf *text)
{
    static const char *const LIMITS[] = { "limit 10/s", "limit 10/s burst 3",
                                          "limit 600/m burst 3", "limit 5/s burst 50",
                                          "limit 1/h" };
    static const char *const PAYLOADS[] = { "payload 64", "payload 150", "payload 1KiB",
                                            "payload 0" };
    static const char *const LEASES[] = { "lease 1h", "lease 20m" };

    if (roll(3) == 0)
        buf_addf(text, " %s", PICK(LIMITS));
    if (roll(3) == 0)
        buf_addf(text, " %s", PICK(PAYLOADS));
    if (roll(4) == 0)
        buf_addf(text, " %s", PICK(LEASES));
    if (roll(4) == 0)
        buf_addf(text, " log full");
}

static void add_what(struct buf *text)
{
    static const char *const TOPICAL[] = {
        "publish, retain",
        "subscribe",
        "subscribe",
        "receive",
        "publish, subscribe",
        "publish, subscribe, receive, retain, will, ingest, read, deliver",
    };

    switch (roll(12)) {
    case 0:
        buf_addf(text, "connect");
        break;
    case 1:
        buf_addf(text, "%s",
                 roll(2) ? "call \"GET /v1/devices\"" : "call \"+/v1/#\", \"GET /#\"");
        break;
    case 2:
        buf_addf(text, "%s", roll(2) ? "enroll" : "enroll, renew \"p\"");
        break;
    case 3:
        buf_addf(text, "%s",
                 roll(2)   ? "revoke group \"g\", group \"t\""
                 : roll(2) ? "revoke"
                           : "revoke \"d1\", \"${line.id}\", group \"h\"");
        break;
    default:
        buf_addf(text, "%s ", PICK(TOPICAL));
        add_filter(text);
        if (roll(6) == 0) {
            buf_addf(text, ", ");
            add_filter(text);
        }
    }
}

static void add_rule(struct buf *text)
{
    static const char *const WHO[] = {
        "anyone",
        "anyone",
        "device",
        "device",
        "device",
        "device \"d1\"",
        "anyone",
        "anyone",
        "group \"g\"",
        "group \"h\"",
        "device in names",
        "operator",
        "operator \"o1\"",
        "role \"admin\"",
        "line",
        "line \"l1\"",
        "sink",
        "sink \"s1\"",
        "device \"d2\", line",
        "operator, device",
    };
    bool deny = roll(5) == 0;

    buf_addf(text, "%s %s ", deny ? "deny" : "allow", PICK(WHO));
    add_what(text);
    if (roll(3) == 0) {
        buf_addf(text, " when ");
        add_condition(text, 2);
    }
    if (!deny && roll(2) == 0)
        add_obligations(text);
    if (deny && roll(3) == 0)
        buf_addf(text, " log full");
    if (roll(8) == 0)
        buf_addf(text, " until 2026-0%u-01", 5 + roll(4));
    buf_addf(text, "\n");
}

static void make_policy(struct buf *text)
{
    buf_reset(text);
    buf_addf(text, "set names = { \"d1\", \"a\" }\n"
                   "set nets = { 10.0.0.0/8, 192.0.2.7, 10.1.0.0/16, 2001:db8::/32 }\n"
                   "group \"h\" = { \"d1\", \"d3\" }\n");
    for (unsigned n = roll(10); n > 0; n--)
        add_rule(text);
}

/* ---- Facts and requests ---- */

static struct bytes maybe(const char *const *list, size_t count)
{
    return roll(3) == 0 ? (struct bytes){ NULL, 0 }
                        : bytes_of_text(list[roll((unsigned)count)]);
}

#define MAYBE(...)                                                                             \
    maybe((const char *const[]){ __VA_ARGS__ },                                                \
          sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static const int64_t JULY = 1782864000000; /* 2026-07-01 */

static void make_facts(struct policy_facts *facts, struct bytes *groups)
{
    static const char *const IDS[] = { "d1", "d1", "a", "d2", "d3" };

    *facts = (struct policy_facts){
        .asker = roll(2) ? POLICY_BY_DEVICE : roll(POLICY_BY_SINK + 1),
        .groups = groups,
        .group_count = roll(3),
        .device_id = MAYBE("d1", "a", "d2", "d3"),
        .device_profile = MAYBE("p", "q"),
        .operator_id = MAYBE("o1", "o2"),
        .operator_role = MAYBE("admin", "auditor"),
        .line_id = MAYBE("l1", "a"),
        .sink_name = MAYBE("s1", "s2"),
        .certificate_issuer = MAYBE("A", "Z"),
        .certificate_subject = MAYBE("d1", "o1"),
        .certificate_serial = MAYBE("0a", "ff"),
        .certificate_ends_ms = roll(3) == 0 ? 0 : JULY + (int64_t)roll(40) * 86400000,
        .attestation_verdict = MAYBE("good", "bad"),
        .attestation_at_ms = roll(3) == 0 ? 0 : JULY - (int64_t)roll(8) * 1800000,
        .firmware_version = MAYBE("1.2", "1.2.3-a.1", "1.10.0+7", "1.0.0-rc.1", "2.0.0",
                                  "rubbish", "1.0.0-alpha"),
        .connection_address = MAYBE("10.1.2.3", "10.2.0.1", "192.0.2.7", "192.0.2.8",
                                    "2001:db8::5", "::1", "?", "10.0.0.0/8"),
        .connection_door = MAYBE("device", "operator"),
        .connection_tls = MAYBE("1.2", "1.3"),
        .client_id = MAYBE("c1", "", "+"),
    };
    groups[0] = BYTES("g");
    groups[1] = roll(2) ? BYTES("h") : BYTES("+");
    if (facts->device_id.at == NULL && facts->asker == POLICY_BY_DEVICE)
        facts->device_id = bytes_of_text(PICK(IDS));
    if (facts->operator_id.at == NULL && facts->asker == POLICY_BY_OPERATOR)
        facts->operator_id = BYTES("o1");
    if (facts->line_id.at == NULL && facts->asker == POLICY_BY_LINE)
        facts->line_id = BYTES("l1");
    if (facts->sink_name.at == NULL && facts->asker == POLICY_BY_SINK)
        facts->sink_name = BYTES("s1");
}

static void make_topic(struct buf *topic, bool filter)
{
    static const char *const WORDS[] = { "a",   "a",  "a",   "a",   "a",   "a",  "a",
                                         "d1",  "d1", "b",   "d1",  "",    "$s", "xd1",
                                         "xpy", "l1", "o1x", "$0a", "pl1", "q",  "${device.id}",
                                         "x",   "xy" };
    unsigned count = 1 + roll(LEVELS);

    for (unsigned i = 0; i < count; i++) {
        const char *word = filter && roll(3) == 0 ? "+" : PICK(WORDS);
        if (filter && i + 1 == count && roll(3) == 0)
            word = "#";
        buf_addf(topic, "%s%s", i > 0 ? "/" : "", count == 1 && *word == '\0' ? "a" : word);
    }
}

static void make_resource(enum policy_action action, struct buf *out)
{
    static const char *const ROUTES[] = { "GET /v1/devices", "PUT /v1/devices", "GET /x" };
    static const char *const NAMES[] = { "p", "q", "d1", "l1" };

    switch (policy_action_resource(action)) {
    case POLICY_NOTHING:
        break;
    case POLICY_TOPIC:
        make_topic(out, action == POLICY_SUBSCRIBE);
        break;
    case POLICY_ROUTE:
        buf_addf(out, "%s", PICK(ROUTES));
        break;
    case POLICY_PROFILE:
    case POLICY_DEVICE:
        buf_addf(out, "%s", PICK(NAMES));
        break;
    }
}

/* A rule for who asks, if dice find one, and one of its actions. */
static const struct policy_rule *find_rule(const struct naive_world *world,
                                           struct policy_request *request)
{
    const enum policy_action asked = request->action;

    for (unsigned tries = 0; world->rules->count > 0 && tries < NAIVE_RULES_MAX; tries++) {
        const struct policy_rule *rule = &world->rules->at[roll((unsigned)world->rules->count)];
        request->action = roll(POLICY_ACTIONS);
        if (naive_concerns(world, rule))
            return rule;
    }
    request->action = asked;
    return NULL;
}

/* What its filter matches, or nearly. */
static void add_topic_of(const struct naive_world *world, const struct policy_rule *rule,
                         struct buf *resource)
{
    static const char *const WORDS[] = { "a", "a", "b", "d1", "", "$s" };
    struct naive_path path = { 0 };

    naive_bind(world, rule->filter, &path);
    for (size_t i = 0; i < path.count; i++) {
        const char *level = path.at[i];
        bool rest = level[0] == '#', wild = rest || level[0] == '+';
        bool keep = world->request->action == POLICY_SUBSCRIBE && roll(2) == 0;
        if (rest && !keep && i > 0 && roll(2) == 0)
            break;
        bool other = (wild && !keep) || strchr(level, HOLE) != NULL;
        buf_addf(resource, "%s%s", i > 0 ? "/" : "", other ? PICK(WORDS) : level);
    }
    if (resource->len == 0)
        buf_addf(resource, "a");
}

/* Most of what dice alone make is of no rule. */
static void make_like_a_rule(const struct naive_world *world, struct policy_request *request,
                             struct buf *resource)
{
    const struct policy_rule *rule = find_rule(world, request);

    if (rule == NULL)
        return;
    buf_reset(resource);
    if (policy_action_resource(request->action) == POLICY_TOPIC)
        add_topic_of(world, rule, resource);
    else
        make_resource(request->action, resource);
}

static void make_request(struct policy_request *request, struct buf *resource)
{
    static const uint64_t SIZES[] = {
        0, 10, 64, 65, 100, 101, 150, 200, 1024, 1025, UINT64_MAX
    };
    static const struct bytes GROUPS[] = { BYTES("g"), BYTES("t") };
    bool connect = roll(12) == 0, topical = roll(6) > 0;

    buf_reset(resource);
    *request = (struct policy_request){
        .action = topical ? (roll(2) ? POLICY_PUBLISH : POLICY_PUBLISH + roll(8))
                          : roll(POLICY_ACTIONS),
        .known = roll(32),
        .target_groups = GROUPS,
        .target_group_count = roll(3),
        .size = PICK(SIZES),
        .qos = roll(3),
        .retain = roll(2) == 0,
        .now_ms = JULY + ((int64_t)roll(3000) - 1500) * 1800000,
        .content_type = MAYBE("text/plain", "text/html", ""),
        .key = MAYBE("p-256", "p-384"),
    };
    if (roll(3) == 0)
        request->action = POLICY_SUBSCRIBE;
    if (connect)
        request->action = POLICY_CONNECT;
    if (request->size == UINT64_MAX) /* more than any message */
        request->known &= ~(unsigned)POLICY_KNOWS_SIZE;
    make_resource(request->action, resource);
}

/* ---- The comparison ---- */

struct tally {
    unsigned allowed, denied, none, large, obliged, subscribed;
};

static bool is_same(const struct policy_decision *a, const struct policy_decision *b)
{
    const struct policy_obligations *x = &a->obligations, *y = &b->obligations;

    if (a->allowed != b->allowed || a->by_rule != b->by_rule || a->rule != b->rule ||
        a->line != b->line || a->version != b->version || a->too_large != b->too_large ||
        !bytes_equal(a->file, b->file))
        return false;
    return (!a->allowed && x->log_full == y->log_full) ||
           (x->rate == y->rate && x->burst == y->burst && x->rate_ms == y->rate_ms &&
            x->payload_limited == y->payload_limited && x->payload == y->payload &&
            x->lease_ms == y->lease_ms && x->until_ms == y->until_ms &&
            x->log_full == y->log_full && a->limit_rule == b->limit_rule);
}

static void write_decision(const struct policy_decision *d, struct buf *out)
{
    const struct policy_obligations *o = &d->obligations;

    policy_explain(d, out);
    buf_addf(out, " (limit %u/%lldms burst %u of rule %u, payload %llu, lease %lld, log %d)",
             o->rate, (long long)o->rate_ms, o->burst, d->limit_rule,
             o->payload_limited ? (unsigned long long)o->payload : 0, (long long)o->lease_ms,
             o->log_full);
}

static void fail_with(const struct naive_world *world, const struct policy_decision *got,
                      const struct policy_decision *want, const struct buf *text)
{
    AUTO_BUF(both, 4096);
    const struct policy_request *r = world->request;
    const char *said = "";

    buf_addf(&both, "the engine: ");
    write_decision(got, &both);
    buf_addf(&both, "\nthe interpreter: ");
    write_decision(want, &both);
    (void)buf_text(&both, &said);
    fail_msg("seed %llu: asker %d device %.*s line %.*s: %s \"%.*s\" known %u size %llu qos %u "
             "now %lld\n%s\n%.*s",
             (unsigned long long)seed, world->facts->asker, BYTES_FMT(world->facts->device_id),
             BYTES_FMT(world->facts->line_id), policy_action_name(r->action),
             BYTES_FMT(r->resource), r->known, (unsigned long long)r->size, r->qos,
             (long long)r->now_ms, said, (int)text->len, (const char *)text->at);
}

/* A limit is its rule's in all versions: by a key, of which test_limit.c says what it is of. */
static uint64_t key_of(const struct policy_rules *rules, const struct policy_decision *decided)
{
    size_t i = 0;

    if (decided->obligations.rate == 0)
        return 0;
    while (rules->at[i].number != decided->limit_rule)
        i++;
    return rules->at[i].limit_key;
}

static void compare(const struct policy_session *session, const struct naive_world *world,
                    const struct buf *text, struct tally *tally)
{
    AUTO_BUF(more, 4096);
    struct policy_decision got = policy_decide_request(session, world->request);
    struct policy_decision want = naive_decide(world);

    if (!is_same(&got, &want))
        fail_with(world, &got, &want, text);
    if (got.allowed)
        assert_int_equal(got.limit_key, key_of(world->rules, &want));
    policy_explain_denial(session, world->request, &more);
    assert_false(more.broken);
    assert_true(!got.allowed || more.len == 0);
    tally->allowed += got.allowed;
    tally->denied += !got.allowed && got.by_rule;
    tally->large += got.too_large;
    tally->none += !got.by_rule;
    tally->obliged += got.allowed && (got.obligations.rate > 0 || got.obligations.lease_ms > 0);
    tally->subscribed += got.allowed && world->request->action == POLICY_SUBSCRIBE;
}

/* Somebody for whom there are rules, some of them about topics. */
static bool is_anybody(const struct naive_world *world)
{
    struct policy_request request = { .action = POLICY_PUBLISH };
    struct naive_world asked = *world;
    unsigned concerning = 0;

    asked.request = &request;
    for (size_t i = 0; i < world->rules->count; i++)
        for (unsigned action = POLICY_PUBLISH; action <= POLICY_DELIVER; action++) {
            request.action = (enum policy_action)action;
            concerning += naive_concerns(&asked, &world->rules->at[i]);
        }
    return concerning > 1;
}

static void ask_something(const struct naive_world *world, struct policy_request *request,
                          struct buf *resource)
{
    make_request(request, resource);
    if (roll(6) > 0)
        make_like_a_rule(world, request, resource);
    request->resource = buf_bytes(resource);
}

static void ask(const struct policy *policy, const struct policy_rules *rules,
                const struct buf *text, struct tally *tally)
{
    AUTO_BUF(resource, 4096);
    struct bytes groups[2];
    struct policy_facts facts;
    struct policy_request request;
    struct policy_session session;
    const struct naive_world world = { rules, &facts, &request, 7 };

    for (unsigned tries = 0; tries < 6 && (tries == 0 || !is_anybody(&world)); tries++)
        make_facts(&facts, groups);
    if (policy_bind(policy, &facts, &session) != RC_OK)
        fail_msg("%s", fault_text());
    for (unsigned i = 0; i < REQUESTS; i++) {
        unsigned tries = 1 + roll(4);
        do
            ask_something(&world, &request, &resource);
        while (--tries > 0 && !naive_decide(&world).by_rule);
        compare(&session, &world, text, tally);
    }
}

static void decides_as_the_document_says_of_all_there_is(void **state)
{
    AUTO_BUF(text, TEXT_MAX);
    struct tally tally = { 0 };

    (void)state;
    dice = seed;
    for (unsigned i = 0; i < policies; i++) {
        AUTO_OF(policy) *policy = NULL;
        struct policy_errors errors = { 0 };
        struct policy_rules rules = { 0 };
        struct policy_effort effort = { .most = UINT64_MAX };
        make_policy(&text);
        if (policy_compile(buf_bytes(&text), 7, &errors, &policy) != RC_OK)
            fail_msg("%s\n%.*s", fault_text(), (int)text.len, (const char *)text.at);
        assert_int_equal(policy_parse(buf_bytes(&text), &effort, &errors, &rules), RC_OK);
        assert_int_equal(policy_limit_keys(&rules), RC_OK);
        if (rules.count <= NAIVE_RULES_MAX)
            ask(policy, &rules, &text, &tally);
        policy_rules_clear(&rules);
    }
    world_tell_shares(tally.allowed, tally.denied, tally.none);
    print_message("seed %llu; of those allowed %u with obligations, %u subscriptions; of those "
                  "denied %u too large\n",
                  (unsigned long long)seed, tally.obliged, tally.subscribed, tally.large);
    assert_true(tally.allowed > policies && tally.denied > policies / 2);
    assert_true(tally.none < policies * REQUESTS / 2);
    assert_true(tally.obliged > 0 && tally.subscribed > 0 && tally.large > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_the_document_says_of_all_there_is),
    };

    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0);
    policies *= world_times();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
