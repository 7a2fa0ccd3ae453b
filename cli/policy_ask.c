#include "cli/analysis.h"
#include "cli/asked.h"
#include "cli/commands.h"
#include "cli/compile.h"
#include "cli/fleet.h"
#include "cli/outcome.h"

#include <arpa/inet.h>
#include <string.h>

#include "audit/json.h"
#include "base/clock.h"
#include "base/text.h"

/* Questions about one device: can, reach. */

enum { PATH_LEN_MAX = 1024, TEXT_MAX = 64 * 1024 * 1024, SIZE_MOST = 1 << 30 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Both begin with these. */
enum { POLICY, GROUPS, COMMON };
#define COMMON_OPTIONS                                                                         \
    [POLICY] = { "--policy", "FILE", "this policy, or this version (the active one)" },        \
    [GROUPS] = { "--groups", "LIST",                                                           \
                 "as if it were in these groups, with commas; it need not exist" }

struct asking {
    const struct cli_call *call;
    struct cli_source source;
    struct policy *policy;
    struct cli_judged judged;
    const char *state;         /* NULL: it was not looked for */
    const json_t *certificate; /* that it will show; NULL: nobody knows which */
    json_t *shown;             /* as the API has it */
    json_t *answer;
};

/* ---- Who is asked about ---- */

static bool is_good(const json_t *certificate, int64_t now_ms, int64_t *ends_ms)
{
    const char *state = json_string_value(json_object_get(certificate, "state"));
    const char *ends = json_string_value(json_object_get(certificate, "not_after"));

    return state != NULL && strcmp(state, "active") == 0 && ends != NULL &&
           clock_read_rfc3339(bytes_of_text(ends), ends_ms) == RC_OK && *ends_ms > now_ms;
}

/* Of a device with one good certificate, that it will show; of several nobody knows which. */
static void add_certificate(struct asking *a)
{
    const struct clock clock = clock_system();
    const json_t *one = NULL, *certificates = json_object_get(a->shown, "certificates");
    int64_t ends_ms = 0, now_ms = clock_wall_ms(&clock);
    size_t i = 0, good = 0;

    json_array_foreach(certificates, i, one)
    {
        if (!is_good(one, now_ms, &ends_ms))
            continue;
        a->judged.facts.certificate_ends_ms = ends_ms;
        a->certificate = one;
        good++;
    }
    if (good == 1)
        return;
    a->judged.facts.certificate_ends_ms = 0;
    a->certificate = NULL;
}

static enum rc find_device(struct asking *a)
{
    AUTO_BUF(path, PATH_LEN_MAX);
    const char *wanted = NULL;

    buf_addf(&path, "/v1/devices/");
    cli_remote_add_segment(&path, a->call->words[0]);
    TRY(buf_text(&path, &wanted));
    TRY(cli_source_open(&a->source));
    TRY(cli_remote_get(&a->source.remote, wanted, &a->shown));
    const json_t *device = json_object_get(a->shown, "device");
    TRY(cli_judged_read(device, &a->judged));
    a->state = json_string_value(json_object_get(device, "state"));
    add_certificate(a);
    return RC_OK;
}

static enum rc open_all(struct asking *a)
{
    const char *policy = cli_command_value(a->call, POLICY, "active");
    const char *groups = a->call->values[GROUPS];

    a->answer = json_object();
    TRY(cli_compile(&a->source, policy, &a->policy));
    if (groups != NULL)
        TRY(cli_judged_say(a->call->words[0], groups, &a->judged));
    else
        TRY(find_device(a));
    json_t *names = json_array();
    for (size_t i = 0; i < a->judged.device.groups.count; i++)
        (void)json_array_append_new(names, json_string(a->judged.device.groups.names[i]));
    (void)json_object_set_new(a->answer, "device", json_string(a->judged.device.id));
    (void)json_object_set_new(a->answer, "state",
                              a->state == NULL ? json_null() : json_string(a->state));
    (void)json_object_set_new(a->answer, "groups", names);
    return RC_OK;
}

static void close_all(struct asking *a)
{
    policy_unref(a->policy);
    json_decref(a->shown);
    json_decref(a->answer);
    cli_source_close(&a->source);
}

/* Why no door lets it in, whatever the policy says; NULL: it would. */
static const char *kept_out(const struct asking *a)
{
    const char *state = a->state == NULL ? "" : a->state;

    return strcmp(state, "suspended") == 0 ? "suspended"
           : strcmp(state, "revoked") == 0 ? "revoked"
                                           : NULL;
}

static bool has_no_certificate(const struct asking *a)
{
    return a->state != NULL && strcmp(a->state, "registered") == 0;
}

/* ---- policy can ---- */

enum { QOS = COMMON, SIZE, RETAIN, ADDRESS, AT };
static const struct cli_option CAN_OPTIONS[] = {
    COMMON_OPTIONS,
    [QOS] = { "--qos", "N", "of the message: 0, 1 or 2 (not known)" },
    [SIZE] = { "--size", "OCTETS", "of its payload (not known)" },
    [RETAIN] = { "--retain", "YES", "yes or no: is it to be retained? (not known)" },
    [ADDRESS] = { "--address", "IP", "from which the device connects (not known)" },
    [AT] = { "--at", "TIME", "when, 2026-11-27T12:00:00Z (now)" },
};

/* Of what else there is nobody knows its message when he judges it. */
static bool has_message(enum policy_action action)
{
    return (registry_judged_untold(action) & 1U << POLICY_MESSAGE_SIZE) != 0;
}

static enum rc read_message(const struct cli_call *call, struct policy_request *request)
{
    const char *qos = call->values[QOS], *size = call->values[SIZE];
    const char *retain = call->values[RETAIN];
    uint64_t number = 0;

    if ((qos != NULL || size != NULL || retain != NULL) && !has_message(request->action))
        return fault(RC_MALFORMED, "who judges %s knows no message: no --qos, --size, --retain",
                     policy_action_name(request->action));
    if (qos != NULL) {
        if (text_read_u64(bytes_of_text(qos), 2, &number) != RC_OK)
            return fault(RC_MALFORMED, "--qos %s: 0, 1 or 2", qos);
        request->qos = (unsigned)number;
        request->known |= POLICY_KNOWS_QOS;
    }
    if (size != NULL) {
        if (text_read_u64(bytes_of_text(size), SIZE_MOST, &request->size) != RC_OK)
            return fault(RC_MALFORMED, "--size %s: octets, at most %d", size, SIZE_MOST);
        request->known |= POLICY_KNOWS_SIZE;
    }
    if (retain != NULL) {
        request->retain = strcmp(retain, "yes") == 0;
        if (!request->retain && strcmp(retain, "no") != 0)
            return fault(RC_MALFORMED, "--retain %s: yes or no", retain);
        request->known |= POLICY_KNOWS_RETAIN;
    }
    return RC_OK;
}

static enum rc read_request(const struct cli_call *call, struct policy_request *request)
{
    const struct clock clock = clock_system();
    struct cli_asked asked;

    TRY(cli_asked_read(call, 1, &asked));
    *request = (struct policy_request){
        .action = asked.action,
        .resource = asked.resource,
        .known = POLICY_KNOWS_NOW,
        .now_ms = clock_wall_ms(&clock),
    };
    if (asked.action == POLICY_ENROLL || asked.action == POLICY_RENEW)
        request->key = BYTES("p-256"); /* there is no other (daemon/authority_judge.c) */
    TRY(read_message(call, request));
    if (call->values[AT] == NULL)
        return RC_OK;
    enum rc rc = clock_read_rfc3339(bytes_of_text(call->values[AT]), &request->now_ms);
    return rc == RC_OK ? RC_OK : fault_while(rc, "--at %s", call->values[AT]);
}

/* One more act that it takes. */
struct besides {
    bool asked;
    enum cli_outcome outcome;
    struct policy_derivation derivation;
};

struct told {
    struct policy_derivation derivation;
    struct besides connect, retain; /* of cli_asked_connects(); of what is to be retained */
    enum cli_outcome outcome;
};

static void add_obligations(const struct policy_obligations *o, struct buf *out)
{
    if (o->rate > 0)
        buf_addf(out, "at most %u in %lld ms, %u at once\n", o->rate, (long long)o->rate_ms,
                 o->burst);
    if (o->payload_limited)
        buf_addf(out, "at most %llu octets each\n", (unsigned long long)o->payload);
    if (o->lease_ms > 0)
        buf_addf(out, "the session ends %lld ms after it was opened\n", (long long)o->lease_ms);
    if (o->until_ms != 0) {
        buf_addf(out, "until ");
        clock_add_rfc3339(out, o->until_ms);
        buf_addf(out, "\n");
    }
    if (o->log_full)
        buf_addf(out, "each is a record of its own\n");
}

static bool may_oblige(const struct policy_derivation *derivation)
{
    for (size_t i = 0; i < derivation->count; i++)
        if (derivation->at[i].allows && derivation->at[i].obliges &&
            derivation->at[i].applies == POLICY_IS_OPEN)
            return true;
    return false;
}

/* What is in the way, or may be. */
static void add_besides(const struct besides *besides, const char *act, struct buf *out)
{
    if (!besides->asked || besides->outcome == CLI_ALLOWED)
        return;
    buf_addf(out,
             besides->outcome == CLI_UNDECIDABLE ? "may it %s? " : "but it may not %s: ", act);
    policy_derivation_write_answer(&besides->derivation, out);
    buf_addf(out, "\n");
}

static enum rc tell_can(const struct asking *a, const struct told *told)
{
    AUTO_BUF(text, TEXT_MAX);

    policy_derivation_write(&told->derivation, &text);
    if (told->derivation.decision.allowed || told->derivation.decision.obligations.log_full)
        add_obligations(&told->derivation.decision.obligations, &text);
    if (told->derivation.allowed != POLICY_IS_NOT && may_oblige(&told->derivation))
        buf_addf(&text, "the rules that may apply can oblige it to more\n");
    if (told->outcome == CLI_ALLOWED && told->derivation.allowed != POLICY_IS_SO)
        buf_addf(&text, "no rule denies it, so roles and tokens decide\n");
    add_besides(&told->retain, "be retained", &text);
    add_besides(&told->connect, "connect", &text);
    if (kept_out(a) != NULL)
        buf_addf(&text, "but no door lets it in: it is %s\n", kept_out(a));
    if (has_no_certificate(a))
        buf_addf(&text, "once it has a certificate\n");
    return cli_command_put(a->call, &text);
}

static json_t *decision_besides(const struct besides *besides)
{
    return besides->asked ? cli_analysis_decision(&besides->derivation.decision) : json_null();
}

/* The facts that `perhaps` rests on. */
static json_t *untold_by(const struct told *told)
{
    uint32_t untold = told->derivation.untold | told->connect.derivation.untold |
                      told->retain.derivation.untold;
    json_t *names = json_array();

    for (enum policy_fact fact = 0; told->outcome == CLI_UNDECIDABLE && fact < POLICY_FACTS;
         fact++)
        if (untold >> fact & 1)
            (void)json_array_append_new(names, json_string(policy_fact_get(fact)->name));
    return names;
}

static enum rc show_can(struct asking *a, const struct policy_request *request,
                        const struct told *told)
{
    const struct policy_derivation *derivation = &told->derivation;

    if (!a->call->json)
        return tell_can(a, told);
    AUTO(json_value) *rest = json_pack(
        "{s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "can",
        (int)(told->outcome == CLI_ALLOWED), "outcome", cli_outcome_name(told->outcome),
        "action", policy_action_name(request->action), "resource",
        request->resource.len == 0 ? json_null() : audit_json_text(request->resource),
        "decision", cli_analysis_decision(&derivation->decision), "connect",
        decision_besides(&told->connect), "retain", decision_besides(&told->retain), "untold",
        untold_by(told), "rules", cli_analysis_derivation(derivation), "nearest",
        derivation->nearest.len == 0 ? json_null() : audit_json_text(derivation->nearest));
    if (rest == NULL || json_object_update(a->answer, rest) != 0)
        return fault(RC_NOMEM, "an answer");
    return cli_show_line(a->call, a->answer, "%s", "");
}

static struct bytes member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? (struct bytes){ NULL, 0 } : bytes_of_text(text);
}

/* The facts by which this action is judged, as far as they are known. */
static struct policy_facts facts_for(const struct asking *a, enum policy_action action)
{
    struct policy_facts facts = a->judged.facts;

    facts.untold = registry_judged_untold(action);
    facts.connection_address = bytes_of_text(cli_command_value(a->call, ADDRESS, ""));
    if (facts.connection_address.len == 0)
        facts.connection_address = (struct bytes){ NULL, 0 };
    if (cli_asked_is_act(action))
        facts.connection_protocol = BYTES("https");
    if (action == POLICY_ENROLL) { /* it comes with a token */
        facts.certificate_ends_ms = 0;
        return facts;
    }
    facts.certificate_subject = facts.device_id;
    if (a->certificate != NULL) {
        facts.certificate_serial = member(a->certificate, "serial");
        facts.certificate_fingerprint = member(a->certificate, "fingerprint");
    }
    return facts;
}

static enum rc derive(const struct asking *a, const struct policy_request *request,
                      struct policy_derivation *derivation)
{
    const struct policy_facts facts = facts_for(a, request->action);
    struct policy_session session;

    TRY(policy_bind(a->policy, &facts, &session));
    return policy_derive(&session, request, derivation);
}

static enum rc ask_besides(const struct asking *a, const struct policy_request *request,
                           struct told *told, struct besides *besides)
{
    besides->asked = true;
    TRY(derive(a, request, &besides->derivation));
    besides->outcome = cli_outcome_read(besides->derivation.allowed);
    told->outcome = cli_outcome_both(told->outcome, besides->outcome);
    return RC_OK;
}

static enum rc decide(struct asking *a, const struct policy_request *request, struct told *told)
{
    const struct policy_request connect = { .action = POLICY_CONNECT,
                                            .resource = BYTES(""),
                                            .known = POLICY_KNOWS_NOW,
                                            .now_ms = request->now_ms };
    struct policy_request retain = *request;
    bool retains = request->retain &&
                   (request->action == POLICY_PUBLISH || request->action == POLICY_WILL);

    retain.action = POLICY_RETAIN;
    TRY(derive(a, request, &told->derivation));
    if (cli_asked_is_act(request->action) && told->derivation.denied == POLICY_IS_OPEN) {
        told->derivation.allowed = POLICY_IS_OPEN; /* by roles, if that does not deny it */
        told->derivation.nearest.len = 0;
    }
    told->outcome = cli_asked_outcome(request->action, &told->derivation);
    if (cli_asked_connects(request->action))
        TRY(ask_besides(a, &connect, told, &told->connect));
    if (retains)
        TRY(ask_besides(a, &retain, told, &told->retain));
    if (kept_out(a) != NULL)
        told->outcome = CLI_DENIED;
    if (told->outcome != CLI_ALLOWED)
        *a->call->status = CLI_EXIT_NO;
    return RC_OK;
}

/* What is none would count as not known, and be no question at all. */
static enum rc check_address(const struct cli_call *call)
{
    const char *text = call->values[ADDRESS];
    uint8_t address[16];

    if (text == NULL || inet_pton(AF_INET, text, address) == 1 ||
        inet_pton(AF_INET6, text, address) == 1)
        return RC_OK;
    return fault(RC_MALFORMED, "--address %s: one IPv4 or IPv6 address such as 192.0.2.7",
                 text);
}

static enum rc can(const struct cli_call *call)
{
    struct asking a = { .call = call, .source.call = call };
    struct policy_request request;
    struct told told = { 0 };

    TRY(read_request(call, &request));
    TRY(check_address(call));
    enum rc rc = open_all(&a);
    if (rc == RC_OK)
        rc = decide(&a, &request, &told);
    if (rc == RC_OK)
        rc = show_can(&a, &request, &told);
    policy_derivation_clear(&told.derivation);
    policy_derivation_clear(&told.connect.derivation);
    policy_derivation_clear(&told.retain.derivation);
    close_all(&a);
    return rc;
}

const struct cli_command CLI_POLICY_CAN = {
    .name = "policy can",
    .arguments = "DEVICE ACTION [TOPIC]",
    .words_least = 2,
    .words_most = 3,
    .summary = "say whether a device may do something, and why",
    .teaching =
        "Decides as the door would, with what the registry knows of the device, and shows "
        "every rule that has\nto do with it, each test of its condition and what the fact is, "
        "and which rule decides. What the door\nwill know and no option says stays open: where "
        "the answer rests on it, `is known` included, it is\n`perhaps`, with the facts that it "
        "rests on. Anything but a sure yes is status 9: denied, perhaps,\nor it may not "
        "connect, or it is suspended or revoked.\n"
        "\n"
        "Example:\n  touchmark policy can pump-7 publish plant/pump-7/flow --qos 1\n  "
        "touchmark policy can pump-7 publish plant/pump-7/flow --policy new.policy\n",
    .options = CAN_OPTIONS,
    .option_count = COUNT(CAN_OPTIONS),
    .run = can,
    .remote = true,
};

/* ---- policy reach ---- */

static const struct cli_option REACH_OPTIONS[] = { COMMON_OPTIONS };

static enum rc show_reach(struct asking *a, const struct policy_reach *reach)
{
    AUTO_BUF(text, TEXT_MAX);
    bool connects = false;

    (void)json_object_set_new(a->answer, "reach", cli_analysis_reach(reach));
    if (a->call->json)
        return cli_show_line(a->call, a->answer, "%s", "");
    for (size_t i = 0; i < reach->count; i++)
        connects |= (reach->at[i].actions & 1U << POLICY_CONNECT) != 0;
    if (kept_out(a) != NULL)
        fprintf(a->call->messages, "No door lets it in: it is %s.\n", kept_out(a));
    if (has_no_certificate(a))
        fprintf(a->call->messages, "Once it has a certificate:\n");
    if (reach->count == 0)
        fprintf(a->call->messages, "It may do nothing.\n");
    else if (!connects)
        fprintf(a->call->messages, "It may not connect, and so do none of this over MQTT.\n");
    policy_reach_write(reach, &text);
    return cli_command_put(a->call, &text);
}

static enum rc reach_of(const struct cli_call *call)
{
    struct asking a = { .call = call, .source.call = call };
    struct policy_reach reach = { 0 };
    enum rc rc = open_all(&a);

    if (rc == RC_OK)
        rc = policy_reach(a.policy, &a.judged.facts, &reach);
    if (rc == RC_OK)
        rc = show_reach(&a, &reach);
    policy_reach_clear(&reach);
    close_all(&a);
    return rc;
}

const struct cli_command CLI_POLICY_REACH = {
    .name = "policy reach",
    .arguments = "DEVICE",
    .words_least = 1,
    .words_most = 1,
    .summary = "show everything that a device may do, as the fewest filters",
    .teaching =
        "Exact on topics: \"plant/#\" except \"plant/secret/+\" is just that. What is not "
        "known "
        "before the device\nconnects and sends stays open: a condition on it stands behind the "
        "filter. With --policy and\n--groups no server is needed.\n"
        "\n"
        "Example:\n  touchmark policy reach pump-7\n  touchmark policy reach pump-7 --policy "
        "new.policy --groups pumps\n",
    .options = REACH_OPTIONS,
    .option_count = COUNT(REACH_OPTIONS),
    .run = reach_of,
    .remote = true,
};
