/*
 * Decisions at 10, 1,000 and 100,000 rules: policy/'s trees beside a scan of the same rules, in
 * the same run, on the same requests.
 *
 * "any": all rules concern every device. "own": each device has ten rules of its own, which is
 * how a fleet's policy grows. "alike": words that differ only behind 100 equal bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
};

enum shape { ANY, OWN_RULES, ALIKE, SHAPES };
static const char *const SHAPE_NAMES[SHAPES] = { "any", "own", "alike" };

static const char ALIKE_WORD[] =
    "a-long-word-that-stands-before-every-name-in-this-policy-and-is-"
    "the-same-in-each-one-of-all-its-rules";

/* The floor knows the same rules as plain filters, in an array. */
struct floor_rule {
    char filter[192];
};

struct subject {
    enum shape shape;
    unsigned rules;
    bool subscribe;
    struct policy *policy;
    struct policy_session session;
    struct floor_rule *floor_rules;
    size_t floor_count;
    char id[32];
    char topics[REQUESTS][192];
    struct bytes requests[REQUESTS];
    unsigned allowed;
    double compile_ms;
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
    buf_addf(text, "publish, subscribe \"%.*s\"\n", BYTES_FMT(buf_bytes(&filter)));
    if (subject->shape == OWN_RULES && number / OWN != 0)
        return;
    memcpy(subject->floor_rules[subject->floor_count++].filter, filter.at, filter.len);
}

/* Three in four requests are what some rule is about, the rest are like it. */
static void make_requests(struct subject *subject)
{
    unsigned among = subject->shape == OWN_RULES ? OWN : subject->rules;

    for (size_t i = 0; i < REQUESTS; i++) {
        AUTO_BUF(topic, 190);
        unsigned number = roll(among);
        add_topic(&topic, subject->shape, number, subject->subscribe);
        if (roll(4) == 0)
            buf_addf(&topic, "%s", subject->subscribe ? "" : "x");
        memcpy(subject->topics[i], topic.at, topic.len);
        subject->requests[i] = (struct bytes){ (uint8_t *)subject->topics[i], topic.len };
    }
}

static void prepare(struct subject *subject)
{
    AUTO_BUF(text, POLICY_TEXT_MAX);
    struct policy_errors errors;
    static const struct policy_facts facts = { .device_id = BYTES("device-0") };

    subject->floor_rules = calloc(subject->rules, sizeof *subject->floor_rules);
    must(subject->floor_rules != NULL, "memory");
    for (unsigned i = 0; i < subject->rules; i++)
        add_rule(subject, &text, i);
    double start = cpu_ns();
    must(policy_compile(buf_bytes(&text), 1, &errors, &subject->policy) == RC_OK, "compile");
    subject->compile_ms = (cpu_ns() - start) / 1e6;
    must(policy_bind(subject->policy, &facts, &subject->session) == RC_OK, "bind");
    make_requests(subject);
}

static bool decide(const struct subject *subject, struct bytes request)
{
    if (subject->subscribe)
        return policy_decide_subscribe(&subject->session, request).allowed;
    return policy_decide(&subject->session, POLICY_PUBLISH, request).allowed;
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
    must(matched > 0, "the floor matched nothing");
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
static void percentiles(const struct subject *subject, double *p50, double *p99)
{
    static double samples[SAMPLES];
    static volatile unsigned allowed; /* keeps the decisions */

    for (size_t i = 0; i < SAMPLES; i++) {
        double start = wall_ns();
        for (size_t j = 0; j < BATCH; j++)
            allowed += decide(subject, subject->requests[(i * BATCH + j) % REQUESTS]);
        samples[i] = (wall_ns() - start) / BATCH;
    }
    qsort(samples, SAMPLES, sizeof *samples, compare);
    *p50 = samples[SAMPLES / 2];
    *p99 = samples[SAMPLES * 99 / 100];
}

struct cost {
    double cpu, p50;
};

static struct cost run(enum shape shape, unsigned rules, bool subscribe)
{
    static struct subject subject;
    double ours = 0, least = 0, cold = 0, p50, p99;

    memset(&subject, 0, sizeof subject);
    subject.shape = shape;
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
    percentiles(&subject, &p50, &p99);
    printf("{\"bench\":\"policy.%s.%s.%u\",\"ours\":%.0f,\"unit\":\"cpu_ns/op\",\"floor\":%.0f,"
           "\"ratio_floor\":%.4f,\"cold\":%.0f,\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"allowed\":"
           "%.2f,\"compile_ms\":%.1f}\n",
           SHAPE_NAMES[shape], subscribe ? "subscribe" : "publish", rules, ours, least,
           ours / least, cold, p50, p99, (double)subject.allowed / REQUESTS,
           subject.compile_ms);
    fflush(stdout);
    policy_unref(subject.policy);
    free(subject.floor_rules);
    return (struct cost){ ours, p50 };
}

/* As slow as compiling lets a policy be (half of POLICY_STEPS_MAX): a word and + beside each
 * other at eight levels, and a topic that goes every way. */
static void run_worst(void)
{
    static struct subject subject;
    AUTO_BUF(text, 1 << 16);
    struct policy_errors errors;
    static const struct policy_facts facts = { .device_id = BYTES("device-0") };
    double p50, p99;

    for (unsigned code = 0; code < 1U << 8; code++) {
        buf_addf(&text, "allow device publish \"a");
        for (unsigned i = 0; i < 8; i++)
            buf_addf(&text, code >> i & 1 ? "/+" : "/b");
        buf_addf(&text, "\"\n");
    }
    must(policy_compile(buf_bytes(&text), 1, &errors, &subject.policy) == RC_OK, "compile");
    must(policy_bind(subject.policy, &facts, &subject.session) == RC_OK, "bind");
    for (size_t i = 0; i < REQUESTS; i++)
        subject.requests[i] = BYTES("a/b/b/b/b/b/b/b/b");
    percentiles(&subject, &p50, &p99);
    printf("{\"bench\":\"policy.worst.publish.256\",\"ours\":%.0f,\"unit\":\"cpu_ns/op\","
           "\"p50_ns\":%.0f,\"p99_ns\":%.0f}\n",
           measure_ours(&subject), p50, p99);
    policy_unref(subject.policy);
}

int main(void)
{
    static const unsigned RULES[] = { 10, 1000, 100000 };

    for (enum shape shape = ANY; shape < SHAPES; shape++)
        for (int subscribe = 0; subscribe < 2; subscribe++) {
            struct cost first = run(shape, RULES[0], subscribe);
            run(shape, RULES[1], subscribe);
            struct cost last = run(shape, RULES[2], subscribe);
            printf("{\"bench\":\"policy.%s.%s.growth\",\"ours\":%.2f,\"unit\":\"ratio 10 to "
                   "100,000 rules\",\"p50\":%.2f}\n",
                   SHAPE_NAMES[shape], subscribe ? "subscribe" : "publish",
                   last.cpu / first.cpu, last.p50 / first.p50);
        }
    run_worst();
    return 0;
}
