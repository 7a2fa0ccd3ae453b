/*
 * Decisions at 10, 1,000 and 100,000 rules: policy/'s trees beside a scan of the same rules, in
 * the same run, on the same requests.
 *
 * "any": all rules concern every device. "own": each device has ten rules of its own, which is
 * how a fleet's policy grows. "alike": words that differ only behind 100 equal bytes. "facts":
 * as "any", and each rule asks for the network, which a session answers once, and for the
 * message; only published to, since of a subscription no message is known. Of the mixes,
 * "allowed" is what a healthy fleet asks, "denied" what a broken one does.
 *
 * "bare" is the least that any judge of so many topics waits for memory: one look-up of the
 * whole topic in a hash table of topics without wildcards, no levels, no conditions, no
 * reasons.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "policy/policy.h"

enum {
    REQUESTS = 4096,
    SAMPLES = 2000,
    BATCH = 64, /* decisions a sample: a clock costs about half a decision */
    ROUNDS = 3,
    FLOOR_RULES = 2000000, /* rules that the floor looks at in a round */
    OWN = 10,
    LARGE_PAGE = 2 << 20,
};

enum shape { ANY, OWN_RULES, ALIKE, WITH_FACTS, SHAPES };
static const char *const SHAPE_NAMES[SHAPES] = { "any", "own", "alike", "facts" };

enum mix { ALLOWED, DENIED, MIXES };
static const char *const MIX_NAMES[MIXES] = { "allowed", "denied" };

/* Borrowed by every session. */
static const struct policy_facts FACTS = {
    .device_id = BYTES("device-0"),
    .connection_address = BYTES("10.20.30.40"),
};

static const char ALIKE_WORD[] =
    "a-long-word-that-stands-before-every-name-in-this-policy-and-is-"
    "the-same-in-each-one-of-all-its-rules";

/* The floor knows the same rules as plain filters, in an array. */
struct floor_rule {
    char filter[192];
};

struct bare_topic {
    uint16_t len;
    char text[190];
};

struct bare {
    struct bare_topic *topics;
    struct bare_slot {
        uint32_t mark, number; /* from 1; 0: free */
    } * slots;
    size_t slot_count;
};

struct subject {
    enum shape shape;
    enum mix mix;
    unsigned rules;
    bool subscribe;
    struct policy *policy;
    struct policy_session session;
    struct floor_rule *floor_rules;
    size_t floor_count;
    struct bare bare;
    char id[32];
    char topics[REQUESTS][192];
    struct bytes requests[REQUESTS];
    unsigned allowed;
    double compile_ms;
    size_t bytes; /* of the compiled policy */
};

static uint64_t dice = 1;

static unsigned roll(unsigned sides)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % sides;
}

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_policy: %s: %s\n", what, fault_text());
    exit(1);
}

static double wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* What the rules of each shape are about: one in ten with +, one in ten with #, one in 64 a
 * denial. */
static void add_topic(struct buf *out, enum shape shape, unsigned number, bool filter)
{
    buf_addf(out, "%s/%u/line/%u/", shape == ALIKE ? ALIKE_WORD : "plant", number % 97, number);
    if (number % 10 == 3)
        buf_addf(out, "%s", filter ? "#" : "state/battery");
    else
        buf_addf(out, "%s/temperature", filter && number % 10 == 7 ? "+" : "oven");
}

static void add_rule(struct subject *subject, struct buf *text, unsigned number)
{
    AUTO_BUF(filter, 192);

    add_topic(&filter, subject->shape, number, true);
    buf_addf(text, "%s device ", number % 64 == 5 ? "deny" : "allow");
    if (subject->shape == OWN_RULES)
        buf_addf(text, "\"device-%u\" ", number / OWN);
    buf_addf(text, "publish, subscribe \"%.*s\"%s\n", BYTES_FMT(buf_bytes(&filter)),
             subject->shape == WITH_FACTS
                 ? " when connection.address in nets and message.qos <= 1"
                 : "");
    if (subject->shape == OWN_RULES && number / OWN != 0)
        return;
    memcpy(subject->floor_rules[subject->floor_count++].filter, filter.at, filter.len);
}

/* Nineteen of twenty requests are what some allowing rule is about, or the other way round. */
static bool is_wanted(enum mix mix)
{
    return (roll(20) == 0) == (mix == DENIED);
}

/* What is denied is like what is allowed, but for its last level or its rule. */
static void make_requests(struct subject *subject)
{
    unsigned among = subject->shape == OWN_RULES ? OWN : subject->rules;

    for (size_t i = 0; i < REQUESTS; i++) {
        AUTO_BUF(topic, 190);
        bool wanted = is_wanted(subject->mix), denial = roll(4) == 0;
        unsigned number = roll(among);
        if (wanted ? number % 64 == 5 : denial && among > 64)
            number = wanted ? number - 1 : number - number % 64 + 5;
        number = number < among ? number : 0;
        add_topic(&topic, subject->shape, number, subject->subscribe && wanted);
        if (!wanted && number % 64 != 5)
            topic.at[6] = '!'; /* another plant, or another word */
        memcpy(subject->topics[i], topic.at, topic.len);
        subject->requests[i] = (struct bytes){ (uint8_t *)subject->topics[i], topic.len };
    }
}

/* On large pages, as what it is compared with. */
static void *room(size_t bytes)
{
    size_t whole = (bytes / LARGE_PAGE + 1) * LARGE_PAGE;
    void *made = aligned_alloc(LARGE_PAGE, whole);

    must(made != NULL, "memory");
    (void)madvise(made, whole, MADV_HUGEPAGE);
    memset(made, 0, whole);
    return made;
}

static uint64_t hash(struct bytes topic)
{
    uint64_t sum = topic.len, eight;

    for (; topic.len >= sizeof eight;
         topic = (struct bytes){ topic.at + sizeof eight, topic.len - sizeof eight }) {
        memcpy(&eight, topic.at, sizeof eight);
        sum = (sum ^ eight) * 0x9e3779b97f4a7c15;
        sum ^= sum >> 32;
    }
    eight = 0;
    memcpy(&eight, topic.at, topic.len);
    sum = (sum ^ eight) * 0x9e3779b97f4a7c15;
    return sum ^ sum >> 32;
}

/* The slot of this topic, or the free one where it would go. */
static struct bare_slot *find_bare(const struct bare *bare, struct bytes topic)
{
    uint64_t sum = hash(topic);
    size_t at = sum & (bare->slot_count - 1);

    for (; bare->slots[at].number != 0; at = (at + 1) & (bare->slot_count - 1)) {
        const struct bare_slot *slot = &bare->slots[at];
        const struct bare_topic *known = &bare->topics[slot->number - 1];
        if (slot->mark == sum >> 32 &&
            bytes_equal((struct bytes){ (const uint8_t *)known->text, known->len }, topic))
            break;
    }
    return &bare->slots[at];
}

static void make_bare(struct subject *subject)
{
    struct bare *bare = &subject->bare;

    for (bare->slot_count = 32; bare->slot_count < (size_t)subject->rules * 2;)
        bare->slot_count *= 2;
    bare->topics = room(subject->rules * sizeof *bare->topics);
    bare->slots = room(bare->slot_count * sizeof *bare->slots);
    for (unsigned i = 0; i < subject->rules; i++) {
        AUTO_BUF(topic, sizeof bare->topics->text);
        add_topic(&topic, subject->shape, i, false);
        bare->topics[i].len = (uint16_t)topic.len;
        memcpy(bare->topics[i].text, topic.at, topic.len);
        struct bare_slot *slot = find_bare(bare, buf_bytes(&topic));
        *slot = (struct bare_slot){ (uint32_t)(hash(buf_bytes(&topic)) >> 32), i + 1 };
    }
}

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void prepare(struct subject *subject)
{
    AUTO_BUF(text, POLICY_TEXT_MAX);
    struct policy_errors errors;

    subject->floor_rules = calloc(subject->rules, sizeof *subject->floor_rules);
    must(subject->floor_rules != NULL, "memory");
    if (subject->shape == WITH_FACTS)
        buf_addf(&text, "set nets = { 10.0.0.0/8, 192.168.0.0/16, 2001:db8::/32 }\n");
    for (unsigned i = 0; i < subject->rules; i++)
        add_rule(subject, &text, i);
    must(!text.broken, "the policy is too long");
    size_t before = in_use();
    double start = cpu_ns();
    must(policy_compile(buf_bytes(&text), 1, &errors, &subject->policy) == RC_OK, "compile");
    subject->compile_ms = (cpu_ns() - start) / 1e6;
    subject->bytes = in_use() - before;
    must(policy_bind(subject->policy, &FACTS, &subject->session) == RC_OK, "bind");
    make_requests(subject);
    make_bare(subject);
}

static bool decide(const struct subject *subject, struct bytes request)
{
    const struct policy_request asked = {
        .action = subject->subscribe ? POLICY_SUBSCRIBE : POLICY_PUBLISH,
        .resource = request,
        .known = subject->subscribe ? POLICY_KNOWS_NOW
                                    : POLICY_KNOWS_NOW | POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS,
        .size = 64,
        .qos = 1,
        .now_ms = 1795780000000,
    };

    return policy_decide_request(&subject->session, &asked).allowed;
}

static bool look_up(const struct subject *subject, struct bytes request)
{
    return find_bare(&subject->bare, request)->number != 0;
}

/* A scan that finds the permit and every denial, as a plain list of filters would be judged. */
static unsigned scan(const struct subject *subject, struct bytes request)
{
    unsigned matched = 0;

    for (size_t i = 0; i < subject->floor_count; i++)
        matched += policy_topic_match(bytes_of_text(subject->floor_rules[i].filter), request);
    return matched;
}

static double measure_floor(const struct subject *subject)
{
    size_t n = FLOOR_RULES / subject->floor_count;
    unsigned matched = 0;

    n = n > REQUESTS ? REQUESTS : n;
    double start = cpu_ns();
    for (size_t i = 0; i < n; i++)
        matched += scan(subject, subject->requests[i]);
    must(matched > 0 || subject->mix == DENIED, "the floor matched nothing");
    return (cpu_ns() - start) / (double)n;
}

static double measure_ours(struct subject *subject)
{
    unsigned allowed = 0;

    double start = cpu_ns();
    for (size_t i = 0; i < REQUESTS; i++)
        allowed += decide(subject, subject->requests[i]);
    double cost = (cpu_ns() - start) / REQUESTS;
    subject->allowed = allowed;
    return cost;
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

/* Wall time of batches, since no clock is fine enough for one. */
static void percentiles(const struct subject *subject,
                        bool (*judge)(const struct subject *, struct bytes), double *p50,
                        double *p99)
{
    static double samples[SAMPLES];
    static volatile unsigned allowed; /* keeps the decisions */

    for (size_t i = 0; i < SAMPLES; i++) {
        double start = wall_ns();
        for (size_t j = 0; j < BATCH; j++)
            allowed += judge(subject, subject->requests[(i * BATCH + j) % REQUESTS]);
        samples[i] = (wall_ns() - start) / BATCH;
    }
    qsort(samples, SAMPLES, sizeof *samples, compare);
    *p50 = samples[SAMPLES / 2];
    *p99 = samples[SAMPLES * 99 / 100];
}

struct cost {
    double cpu, p50;
};

static struct cost run(enum shape shape, enum mix mix, unsigned rules, bool subscribe)
{
    static struct subject subject;
    double ours = 0, least = 0, cold = 0, bare_p50, p50, p99;

    memset(&subject, 0, sizeof subject);
    subject.shape = shape;
    subject.mix = mix;
    subject.rules = rules;
    subject.subscribe = subscribe;
    prepare(&subject);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double floor_ns = measure_floor(&subject), ours_ns = measure_ours(&subject);
        if (round == 0)
            cold = ours_ns; /* the floor has just been through all memory */
        ours_ns = measure_ours(&subject);
        least = round == 0 || floor_ns < least ? floor_ns : least;
        ours = round == 0 || ours_ns < ours ? ours_ns : ours;
    }
    percentiles(&subject, look_up, &bare_p50, &p99);
    percentiles(&subject, decide, &p50, &p99);
    printf(
        "{\"bench\":\"policy.%s.%s.%s.%u\",\"ours\":%.0f,\"unit\":\"cpu_ns/op\",\"floor\":%.0f,"
        "\"ratio_floor\":%.4f,\"cold\":%.0f,\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
        "\"bare_p50_ns\":%.0f,\"ratio_bare\":%.1f,\"allowed\":%.2f,\"compile_ms\":%.1f,"
        "\"policy_bytes_per_rule\":%.0f}\n",
        SHAPE_NAMES[shape], MIX_NAMES[mix], subscribe ? "subscribe" : "publish", rules, ours,
        least, ours / least, cold, p50, p99, bare_p50, p50 / bare_p50,
        (double)subject.allowed / REQUESTS, subject.compile_ms, (double)subject.bytes / rules);
    fflush(stdout);
    policy_unref(subject.policy);
    free(subject.floor_rules);
    free(subject.bare.topics);
    free(subject.bare.slots);
    return (struct cost){ ours, p50 };
}

/* As slow as compiling lets a policy be (half of POLICY_STEPS_MAX): a word and + beside each
 * other at eight levels, and a topic that goes every way. */
static void run_worst(void)
{
    static struct subject subject;
    AUTO_BUF(text, 1 << 16);
    struct policy_errors errors;
    double p50, p99;

    for (unsigned code = 0; code < 1U << 8; code++) {
        buf_addf(&text, "allow device publish \"a");
        for (unsigned i = 0; i < 8; i++)
            buf_addf(&text, code >> i & 1 ? "/+" : "/b");
        buf_addf(&text, "\"\n");
    }
    must(policy_compile(buf_bytes(&text), 1, &errors, &subject.policy) == RC_OK, "compile");
    must(policy_bind(subject.policy, &FACTS, &subject.session) == RC_OK, "bind");
    for (size_t i = 0; i < REQUESTS; i++)
        subject.requests[i] = BYTES("a/b/b/b/b/b/b/b/b");
    percentiles(&subject, decide, &p50, &p99);
    printf("{\"bench\":\"policy.worst.publish.256\",\"ours\":%.0f,\"unit\":\"cpu_ns/op\","
           "\"p50_ns\":%.0f,\"p99_ns\":%.0f}\n",
           measure_ours(&subject), p50, p99);
    policy_unref(subject.policy);
}

/* As many devices as a fleet has, each with ten rules and a group: what it takes to bind them,
 * and what a session keeps. */
static void run_sessions(unsigned devices)
{
    AUTO_BUF(text, POLICY_TEXT_MAX);
    AUTO_OF(policy) *policy = NULL;
    struct policy_errors errors;
    const struct bytes group = BYTES("pumps");
    struct policy_session *sessions = calloc(devices, sizeof *sessions);
    struct policy_facts *facts = calloc(devices, sizeof *facts);
    char(*ids)[16] = calloc(devices, sizeof *ids);

    must(sessions != NULL && facts != NULL && ids != NULL, "memory");
    buf_addf(&text, "allow device connect when connection.address in { 10.0.0.0/8 }\n"
                    "allow group \"pumps\" subscribe \"plant/#\"\n");
    for (unsigned i = 0; i < devices; i++) {
        AUTO_BUF(id, sizeof *ids);
        buf_addf(&id, "d%u", i);
        memcpy(ids[i], id.at, id.len);
        facts[i] = FACTS;
        facts[i].device_id = (struct bytes){ (uint8_t *)ids[i], id.len };
        facts[i].groups = &group;
        facts[i].group_count = 1;
        buf_addf(&text, "allow device \"d%u\" publish \"plant/%u/#\"\n", i, i);
    }
    must(!text.broken && policy_compile(buf_bytes(&text), 1, &errors, &policy) == RC_OK,
         "compile");
    size_t before = in_use();
    double start = cpu_ns();
    for (unsigned i = 0; i < devices; i++)
        must(policy_bind(policy, &facts[i], &sessions[i]) == RC_OK, "bind");
    double each = (cpu_ns() - start) / devices;
    must(in_use() == before, "binding took memory");
    printf("{\"bench\":\"policy.session.%u\",\"ours\":%zu,\"unit\":\"bytes\",\"facts\":%zu,"
           "\"bind_cpu_ns\":%.0f}\n",
           devices, sizeof *sessions, sizeof *facts, each);
    free(sessions);
    free(facts);
    free(ids);
}

/* One shape, one mix, one act: how much more it costs at 100,000 rules. */
static void run_growth(enum shape shape, enum mix mix, bool subscribe)
{
    static const unsigned RULES[] = { 10, 1000, 100000 };
    struct cost first = run(shape, mix, RULES[0], subscribe);

    run(shape, mix, RULES[1], subscribe);
    struct cost last = run(shape, mix, RULES[2], subscribe);
    printf("{\"bench\":\"policy.%s.%s.%s.growth\",\"ours\":%.2f,\"unit\":\"ratio 10 to "
           "100,000 rules\",\"p50\":%.2f}\n",
           SHAPE_NAMES[shape], MIX_NAMES[mix], subscribe ? "subscribe" : "publish",
           last.cpu / first.cpu, last.p50 / first.p50);
}

int main(void)
{
    for (enum shape shape = ANY; shape < SHAPES; shape++)
        for (enum mix mix = ALLOWED; mix < MIXES; mix++)
            for (int subscribe = 0; subscribe < (shape == WITH_FACTS ? 1 : 2); subscribe++)
                run_growth(shape, mix, subscribe);
    run_worst();
    run_sessions(10);
    run_sessions(1000);
    run_sessions(99998);
    return 0;
}
