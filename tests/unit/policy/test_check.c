/* What `policy check` and `policy can` say of policies. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "policy/analysis.h"

enum { TEXT_MAX = 64 * 1024 };

static struct policy *compile(const char *text)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    if (policy_compile(bytes_of_text(text), 7, &errors, &policy) != RC_OK)
        fail_msg("%s: %s", fault_text(), text);
    return policy;
}

static enum rc size_of(void *with, struct bytes group, uint64_t *devices)
{
    (void)with;
    *devices = bytes_equal(group, BYTES("pumps")) ? 12 : 0;
    return RC_OK;
}

/* ---- Findings ---- */

static const struct finding_row {
    const char *policy, *findings;
} FINDINGS[] = {
    { "allow device connect\n", "line 1, column 1: note: every device may connect, one like "
                                "another\n" },
    { "allow device publish \"plant/${device.id}/#\"\n", "" },
    { "allow device publish \"plant/state\"\n",
      "line 1, column 1: warning: \"plant/state\": every device may publish it, one like "
      "another\n" },
    { "allow device publish \"plant/state\" when certificate.issuer = \"Plant\"\n", "" },
    { "allow device publish \"plant/state\" when message.qos = 1\n",
      "line 1, column 1: warning: \"plant/state\": every device may publish it, one like "
      "another\n" },
    { "allow anyone call \"GET /health\"\n",
      "line 1, column 1: warning: \"GET /health\": everyone: operators, lines and sinks, too, "
      "may call it, one like another\n" },
    { "allow group \"pumps\" publish \"plant/+/state\"\n",
      "line 1, column 1: warning: \"plant/+/state\": each of many devices may write under the "
      "same wildcard, so in the name of the others, too: ${device.id} would hold it to its "
      "own\n" },
    { "allow group \"pumps\" subscribe \"plant/+/state\"\n", "" },
    { "allow group \"pumps\" subscribe \"#\"\n",
      "line 1, column 1: warning: \"#\": its first level is a wildcard: it is not held to any "
      "branch of topics\n" },
    { "deny device publish \"#\"\n", "" },
    { "allow device \"d\" connect limit 1/h\n", "" },
    { "allow device \"d\" retain \"a\" limit 1/h\n",
      "line 1, column 1: warning: limit has no effect here: it is held for connect, publish, "
      "subscribe and receive\n" },
    { "allow device \"d\" publish, retain \"a\" limit 1/h payload 1 log full\n", "" },
    { "allow device \"d\" publish \"a\" lease 1m\n",
      "line 1, column 1: warning: lease has no effect here: it is held for connect\n" },
    { "allow device \"d\" subscribe \"a\" payload 1\n",
      "line 1, column 1: warning: payload has no effect here: it is held for publish, receive, "
      "retain and will\n" },
    { "allow device \"d\" connect log full\ndeny device \"e\" connect log full\n",
      "line 1, column 1: warning: log full has no effect here: it is held for publish, "
      "subscribe, receive, retain and will\n" },
    { "deny operator \"o\" revoke \"d\" log full\n",
      "line 1, column 1: warning: log full has no effect here: it is held for connect, "
      "publish, "
      "subscribe, receive, retain and will\n" },
    { "deny device \"d\" read \"a\"\n",
      "line 1, column 1: warning: nobody asks for read yet\n" },
    { "deny role \"admni\" revoke\n", "line 1, column 1: warning: nobody has the role "
                                      "\"admni\": there are admin and auditor\n" },
    { "deny operator \"o\" call \"delete /v1/devices/#\"\n",
      "line 1, column 1: warning: \"delete /v1/devices/#\": no request looks so: a method in "
      "capitals, a space, and a path from its root, as in \"GET /v1/devices\"\n" },
    { "deny operator \"o\" call \"/v1/devices\"\n",
      "line 1, column 1: warning: \"/v1/devices\": no request looks so: a method in capitals, "
      "a "
      "space, and a path from its root, as in \"GET /v1/devices\"\n" },
    { "deny operator \"o\" call \"DELETE /v1/devices/#\"\ndeny line \"l\" call \"+/v1/#\"\n",
      "" },
    { "allow group \"none\" connect\n",
      "line 1, column 1: note: no device is in the group \"none\"\n" },
    { "deny group \"none\" connect\n",
      "line 1, column 1: warning: no device is in the group \"none\"\n" },
    { "allow group \"none\" connect\ngroup \"none\" = { \"d\" }\n", "" },
    { "deny operator \"o\" revoke \"d\", group \"none\"\n",
      "line 1, column 1: warning: no device is in the group \"none\"\n" },
    { "deny operator \"o\" revoke group \"none\"\ngroup \"none\" = { \"d\" }\n"
      "expect deny operator \"o\" revoke \"e\" in \"none\"\n",
      "" },
    { "allow device \"d\" publish \"a\" when client.id = \"x\" and firmware.version > 2\n",
      "line 1, column 1: warning: it lets in by client.id and firmware.version, which the "
      "client says of itself\n"
      "line 1, column 1: warning: it never applies: nobody tells firmware.version yet\n" },
    { "deny device \"d\" publish \"a\" when client.id = \"x\"\n", "" },
    /* impossible conditions */
    { "allow device \"d\" publish \"a\" when message.size < 10 and message.size > 20\n",
      "line 1, column 1: warning: nothing can meet its condition: (message.size < 10 and "
      "message.size > 20)\n" },
    { "allow device \"d\" publish \"a\" when message.size < 10 and message.size >= 9\n", "" },
    { "allow device \"d\" publish \"a\" when message.qos = 3\n",
      "line 1, column 1: warning: nothing can meet its condition: message.qos = 3; message.qos "
      "is here 0 to 2, never 3\n" },
    { "allow device \"d\" publish \"a\" when device.id = \"e\"\n",
      "line 1, column 1: warning: nothing can meet its condition: device.id = \"e\"\n" },
    { "deny device \"d\" publish \"a\" when message.size < 10 and message.size > 20\n",
      "line 1, column 1: warning: nothing can meet its condition: (message.size < 10 and "
      "message.size > 20)\n" },
    { "allow device \"d\" publish \"a\" when certificate.issuer starts with \"x\" and "
      "certificate.issuer starts with \"y\"\n",
      "line 1, column 1: warning: nothing can meet its condition: (certificate.issuer starts "
      "with \"x\" and certificate.issuer starts with \"y\")\n" },
    { "allow device \"d\" publish \"a\" when certificate.issuer starts with \"x\" and "
      "certificate.issuer starts with \"xy\"\n",
      "" },
    { "allow device \"d\" publish \"a\" when time.weekday = \"monday\" and not time.weekday "
      "in { \"monday\", \"friday\" }\n",
      "line 1, column 1: warning: nothing can meet its condition: (time.weekday = \"monday\" "
      "and not (time.weekday in { \"friday\", \"monday\" }))\n" },
    /* shadows */
    { "allow device \"d\" publish \"a/b\"\nallow device \"d\" publish \"a/+\"\n",
      "line 1, column 1: note: \"a/b\": all of it is allowed by line 2\n" },
    { "allow device \"d\" publish \"a/b\"\nallow device \"d\" publish \"a/b\"\n",
      "line 2, column 1: note: \"a/b\": all of it is allowed by line 1\n" },
    { "allow device \"d\" publish \"a/b\", \"a/#\"\n",
      "line 1, column 1: note: \"a/b\": all of it is allowed by another part of this rule\n" },
    /* Of a rule for several it is said for whom: "a" would lose its connection with the rule.
     */
    { "set S = { \"a\", \"aa\" }\nallow device \"aa\" connect\nallow device in S connect\n",
      "line 3, column 1: note: for device \"aa\": all of it is allowed by line 2\n" },
    { "allow device \"b\", device \"b\", device \"c\" publish \"x/1\"\n"
      "allow device \"c\" publish \"x/1\"\n",
      "line 1, column 1: note: \"x/1\": for device \"b\": all of it is allowed by another part "
      "of "
      "this rule\n"
      "line 2, column 1: note: \"x/1\": all of it is allowed by line 1\n" },
    { "allow device \"d\" publish \"a/b\" limit 1/s\nallow device \"d\" publish \"a/+\"\n",
      "" },
    { "allow device \"d\" publish \"a/b\" limit 2/s\nallow device \"d\" publish \"a/+\" limit "
      "1/s\n",
      "line 1, column 1: note: \"a/b\": all of it is allowed by line 2\n" },
    /* The limit that counts is no other's. */
    { "allow device \"d\" publish \"a/b\" limit 1/s\nallow device \"d\" publish \"a/+\" limit "
      "1/s\n",
      "" },
    { "allow device \"d\" publish \"a/+\" limit 60/m burst 1\nallow device \"d\" publish "
      "\"a/b\" limit 1/s\n",
      "line 2, column 1: note: \"a/b\": all of it is allowed by line 1\n" },
    { "allow device \"d\" publish \"a\", \"b\" limit 1/s\nallow device publish \"b\", \"a\" "
      "when certificate.issuer = \"x\" limit 1/s\n",
      "" },
    { "allow device \"d\" publish \"a\", \"b\" limit 1/s\nallow group \"pumps\" publish "
      "\"a\", \"b\" limit 1/s\nallow device \"d\" publish \"b\", \"a\" limit 1/s log full\n",
      "line 1, column 1: note: \"a\": all of it is allowed by line 3\n"
      "line 1, column 1: note: \"b\": all of it is allowed by line 3\n" },
    { "allow device \"d\" publish \"x/a\" limit 1/s\nallow device \"d\" publish \"x/+\" limit "
      "1/s\nallow device \"d\" publish \"x/a\" limit 1/s log full\n",
      "" },
    { "allow device \"d\" publish \"a/b\", \"a/#\" limit 1/s\n",
      "line 1, column 1: note: \"a/b\": all of it is allowed by another part of this rule\n" },
    /* A subscription to all of it would have to do with the limit. */
    { "allow device \"d\" subscribe \"a/#\"\nallow device \"d\" subscribe \"a\", \"a/+/#\"\n"
      "allow device \"d\" subscribe \"a/b\" limit 1/s\n",
      "line 2, column 1: note: \"a\": all of it is allowed by line 1\n"
      "line 2, column 1: note: \"a/+/#\": all of it is allowed by line 1\n" },
    { "allow device \"d\" subscribe \"a/#\"\nallow device \"d\" subscribe \"a\"\n"
      "allow device \"d\" subscribe \"a/+/#\" limit 1/s\n",
      "line 2, column 1: note: \"a\": all of it is allowed by line 1\n" },
    { "allow device \"d\" subscribe \"a/+/#\" limit 1/s\nallow device \"d\" subscribe \"a\" "
      "limit 2/s\nallow device \"d\" subscribe \"a/#\" limit 3/s\n",
      "" },
    { "allow device \"d\" publish \"a/b\"\nallow device \"d\" publish \"a/+\" when message.qos "
      "= 1\n",
      "" },
    { "allow device \"d\" publish \"a/b\" when message.qos = 1\nallow device \"d\" publish "
      "\"a/+\" when message.qos = 1\n",
      "line 1, column 1: note: \"a/b\": all of it is allowed by line 2\n" },
    { "allow device \"d\" publish \"t\"\nallow device \"d\" publish \"t/+\"\nallow device "
      "\"d\" "
      "publish \"t/+/+/#\"\nallow device \"d\" publish \"t/#\" when message.qos = 1\n",
      "line 4, column 1: note: \"t/#\": all of it is allowed by line 1, line 2, line 3\n" },
    { "allow group \"pumps\" publish \"a/b\"\nallow device \"d\" publish \"a/b\"\n", "" },
    { "allow group \"pumps\" publish \"a/b\"\nallow device \"d\" publish \"a/b\"\ngroup "
      "\"pumps\" = { \"d\" }\n",
      "line 2, column 1: note: \"a/b\": all of it is allowed by line 1\n" },
    { "deny device \"d\" publish \"a/#\"\ndeny device \"d\" publish \"a/b\"\n",
      "line 2, column 1: note: \"a/b\": all of it is denied by line 1\n" },
    { "allow device \"d\" subscribe \"a\"\nallow device \"d\" receive \"a\"\n",
      "line 2, column 1: note: \"a\": all of it is allowed by line 1\n" },
    { "allow device \"d\" receive \"a\"\nallow device \"d\" subscribe \"a\"\n",
      "line 1, column 1: note: \"a\": all of it is allowed by line 2\n" },
    /* never */
    { "allow device \"d\" publish \"a/b\"\ndeny device publish \"a/#\"\n",
      "line 1, column 1: warning: \"a/b\": it never applies: all of it is denied by line 2\n" },
    { "allow device \"d\" publish \"a/b\"\ndeny device publish \"a/#\" when message.qos = 1\n",
      "" },
    { "allow device \"d\" publish \"a/b\"\ndeny group \"pumps\" publish \"a/#\"\n", "" },
    { "allow device \"d\" publish \"a/b\" when message.qos = 1\ndeny device publish \"a/#\" "
      "when "
      "message.qos = 1\n",
      "line 1, column 1: warning: \"a/b\": it never applies: all of it is denied by line 2\n" },
    { "allow device \"d\" publish \"a/${device.id}\"\ndeny device publish \"a/d\"\n",
      "line 1, column 1: warning: \"a/${device.id}\": it never applies: all of it is denied by "
      "line 2\n" },
    { "allow device \"d\" publish \"a/+\"\ndeny device publish \"a/#\"\n",
      "line 1, column 1: warning: \"a/+\": it never applies: all of it is denied by line 2\n" },
    { "allow device \"d\" publish \"a/#\"\ndeny device \"d\" publish \"a/+/#\"\n",
      "line 1, column 1: note: \"a/#\": all of it but \"a\" is denied by line 2\n" },
    { "allow device \"d\" publish \"a/#\"\ndeny device \"d\" publish \"a/b\"\n", "" },
    { "import \"x\"\nallow device \"d\" publish \"a/b\"\nfile \"x\"\n\ndeny device publish "
      "\"a/#\"\n",
      "line 2, column 1: warning: \"a/b\": it never applies: all of it is denied by line 2 of "
      "\"x\"\n" },
    /* groups of expectations */
    { "group \"own\" = { \"d\" }\nexpect deny device \"e\" in \"own\" connect\n"
      "expect deny device \"e\" in \"empty\", \"pumps\" connect\n",
      "line 3, column 1: warning: no rule is for the group \"empty\" of this expectation, and "
      "no "
      "device is in it\n" },
};

static void findings_are_these(void **state)
{
    static const struct policy_groups GROUPS = { size_of, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof FINDINGS / sizeof *FINDINGS; i++) {
        AUTO_OF(policy) *policy = compile(FINDINGS[i].policy);
        struct policy_findings findings;
        AUTO_BUF(text, TEXT_MAX);
        const char *written = NULL;
        assert_int_equal(policy_check(policy, &GROUPS, &findings), RC_OK);
        policy_findings_write(&findings, &text);
        assert_int_equal(buf_text(&text, &written), RC_OK);
        if (strcmp(written, FINDINGS[i].findings) != 0)
            fail_msg("%zu: %s%s", i, FINDINGS[i].policy, written);
        policy_findings_clear(&findings);
    }
}

/* A group that is tested may be one of the registry's, which is not there. */
static void without_a_registry_a_tested_group_is_worth_a_look(void **state)
{
    AUTO_OF(policy) *policy = compile("expect deny device \"d\" in \"g\" connect\n");
    struct policy_findings findings;

    (void)state;
    assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 1);
    assert_false(findings.at[0].grave);
    assert_true(bytes_equal_text(findings.at[0].text,
                                 "no rule is for the group \"g\" of this expectation"));
    policy_findings_clear(&findings);
}

static enum rc break_down(void *with, struct bytes group, uint64_t *devices)
{
    (void)with;
    (void)group;
    (void)devices;
    return fault(RC_IO, "no registry");
}

static void a_registry_that_fails_fails_the_check(void **state)
{
    static const struct policy_groups GROUPS = { break_down, NULL };
    AUTO_OF(policy) *policy = compile("allow group \"g\" connect\n");
    struct policy_findings findings;

    (void)state;
    assert_int_equal(policy_check(policy, &GROUPS, &findings), RC_IO);
    assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 0);
    policy_findings_clear(&findings);
}

/* ---- Derivations ---- */

static const char RULES[] =
    "allow device publish \"plant/${device.id}/#\" when message.qos = 1\n"
    "allow group \"pumps\" publish \"plant/+/state\"\n"
    "deny device \"p2\" publish \"plant/#\" when message.size > 1000 or "
    "client.id = \"x\"\n"
    "allow device subscribe \"plant/+/state\"\n"
    "allow device \"p2\" subscribe \"plant/#\"\n"
    "deny device subscribe \"plant/secret/+\"\n"
    "deny device publish \"lines/${line.id}\"\n";

static const struct derivation_row {
    const char *id, *group;
    struct policy_request request;
    const char *derivation;
} DERIVATIONS[] = {
    { "p1",
      "pumps",
      { .action = POLICY_PUBLISH, .resource = BYTES("plant/p1/state") },
      "allowed by line 2 of version 7\n"
      "line 1 allows \"plant/${device.id}/#\": it does not apply\n"
      "    message.qos = 1: not known\n"
      "line 2 allows \"plant/+/state\": it decides\n" },
    { "p1",
      NULL,
      { .action = POLICY_PUBLISH,
        .resource = BYTES("plant/p1/state"),
        .known = POLICY_KNOWS_QOS,
        .qos = 0 },
      "no rule of version 7 allows it\n"
      "line 1 allows \"plant/${device.id}/#\": it does not apply\n"
      "    message.qos = 1: no, it is 0\n"
      "nearest is line 1, which asks for message.qos = 1; it is 0\n" },
    { "p2",
      "pumps",
      { .action = POLICY_PUBLISH,
        .resource = BYTES("plant/p2/state"),
        .known = POLICY_KNOWS_SIZE | POLICY_KNOWS_QOS,
        .qos = 1,
        .size = 1001 },
      "denied by line 3 of version 7\n"
      "line 1 allows \"plant/${device.id}/#\": it applies\n"
      "    message.qos = 1: yes, it is 1\n"
      "line 2 allows \"plant/+/state\": it applies\n"
      "line 3 denies \"plant/#\": it decides\n"
      "    message.size > 1000: yes, it is 1001\n"
      "    client.id = \"x\": not known\n" },
    { "p2",
      NULL,
      { .action = POLICY_SUBSCRIBE, .resource = BYTES("plant/#") },
      "denied by line 6 of version 7\n"
      "line 4 allows \"plant/+/state\", which is some of it: it applies\n"
      "line 5 allows \"plant/#\": it applies\n"
      "line 6 denies \"plant/secret/+\", which is some of it: it decides\n" },
    { "p2",
      NULL,
      { .action = POLICY_PUBLISH, .resource = BYTES("lines/7") },
      "denied by line 7 of version 7\n"
      "line 7 denies \"lines/${line.id}\", which rests on a fact that is not known: it "
      "decides\n"
      "line 7 is for \"lines/${line.id}\"; line.id is not known\n" },
};

static void derivations_are_these(void **state)
{
    AUTO_OF(policy) *policy = compile(RULES);

    (void)state;
    for (size_t i = 0; i < sizeof DERIVATIONS / sizeof *DERIVATIONS; i++) {
        const struct derivation_row *row = &DERIVATIONS[i];
        const struct bytes group = bytes_of_text(row->group == NULL ? "" : row->group);
        const struct policy_facts facts = { .device_id = bytes_of_text(row->id),
                                            .groups = &group,
                                            .group_count = row->group != NULL };
        struct policy_session session;
        struct policy_derivation derivation;
        AUTO_BUF(text, TEXT_MAX);
        const char *written = NULL;
        assert_int_equal(policy_bind(policy, &facts, &session), RC_OK);
        assert_int_equal(policy_derive(&session, &row->request, &derivation), RC_OK);
        policy_derivation_write(&derivation, &text);
        assert_int_equal(buf_text(&text, &written), RC_OK);
        assert_string_equal(written, row->derivation);
        policy_derivation_clear(&derivation);
    }
}

/* ---- The others in words ---- */

static void reach_is_told_in_few_filters(void **state)
{
    AUTO_OF(policy) *policy = compile(RULES);
    const struct policy_facts facts = { .device_id = BYTES("p2") };
    struct policy_reach reach;
    AUTO_BUF(text, TEXT_MAX);
    const char *written = NULL;

    (void)state;
    assert_int_equal(policy_reach(policy, &facts, &reach), RC_OK);
    policy_reach_write(&reach, &text);
    assert_int_equal(buf_text(&text, &written), RC_OK);
    assert_string_equal(
        written, "publish \"plant/p2/#\" if message.qos = 1 unless (message.size > 1000 or "
                 "client.id = \"x\") (line 1)\n"
                 "subscribe, receive \"plant/#\" except \"plant/secret/+\" (line 4, line 5)\n");
    policy_reach_clear(&reach);
}

static void reach_of_who_has_no_name_is_refused(void **state)
{
    AUTO_OF(policy) *policy = compile(RULES);
    const struct policy_facts facts = { .device_id = BYTES("a/b") };
    struct policy_reach reach;

    (void)state;
    assert_int_equal(policy_reach(policy, &facts, &reach), RC_DENIED);
}

static enum rc each_pump(void *with,
                         enum rc (*visit)(void *visitor, const struct policy_facts *device),
                         void *visitor)
{
    static const struct bytes PUMPS = BYTES("pumps");
    static const struct policy_facts DEVICES[] = {
        { .device_id = BYTES("p1"), .groups = &PUMPS, .group_count = 1 },
        { .device_id = BYTES("p2"), .groups = &PUMPS, .group_count = 1 },
        { .device_id = BYTES("p3") },
    };

    (void)with;
    for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++)
        TRY(visit(visitor, &DEVICES[i]));
    return RC_OK;
}

static const struct diff_row {
    const char *old, *new, *diff;
} DIFFS[] = {
    { "allow device publish \"a\"\nallow device publish \"b\"\n",
      "allow device publish \"b\", \"a\"\n", "no request is decided otherwise\n" },
    { "", "allow device publish, retain \"plant/${device.id}/#\"\n",
      "newly allowed: device: publish, retain \"plant/${device.id}/#\" (3 devices)\n" },
    { "allow device publish \"a/#\"\n",
      "allow device publish \"a/#\"\ndeny device publish \"a/b\"\ndeny group \"pumps\" "
      "connect\n",
      "newly denied: device: publish \"a/b\" (3 devices)\n" },
    { "allow device publish \"a/#\"\n",
      "allow device publish \"a/#\"\ndeny group \"pumps\" publish \"a/b\"\n",
      "newly denied: device in \"pumps\": publish \"a/b\" (2 devices)\n" },
    { "allow group \"pumps\" publish \"a/#\"\ndeny group \"old\" publish \"a/b\"\n",
      "allow group \"pumps\" publish \"a/#\"\n",
      "newly allowed: device in \"old\", \"pumps\": publish \"a/b\" (0 devices)\n" },
    { "", "allow device connect\ndeny device \"p1\" connect\n",
      "newly allowed: device: connect (2 devices)\n" },
    { "allow device publish \"a\"\n", "allow device publish \"a\" when message.qos = 1\n",
      "may be newly denied: device: publish \"a\": if message.qos = 1; before: always "
      "(3 devices)\n" },
    { "allow device publish \"a\"\n", "allow device publish \"a\" limit 1/s\n",
      "with other obligations: device: publish \"a\" (3 devices)\n" },
    { "allow device publish \"a\" limit 1/s\n",
      "allow device publish \"a\" limit 60/m burst 1\n", "no request is decided otherwise\n" },
    { "allow device publish \"a\", \"b\" limit 1/h\n",
      "allow device publish \"a\" limit 1/h\nallow device publish \"b\" limit 1/h\n",
      "limits count otherwise: device: publish \"a\", \"b\" (3 devices)\n" },
    { "allow device publish, subscribe \"a\" limit 1/h\n",
      "allow device publish \"a\" limit 1/h\nallow device subscribe \"a\" limit 1/h\n",
      "limits count otherwise: device: publish, subscribe, receive \"a\" (3 devices)\n" },
    { "allow device \"p1\" publish \"a\", \"b\" limit 1/h\n",
      "deny device publish \"x\"\n\nallow device \"p2\", device \"p1\" publish \"b\", \"a\", "
      "\"a\" "
      "limit 1/h\n",
      "newly allowed: device \"p2\": publish \"a\", \"b\" (1 device)\n" },
    { "allow device publish \"a/+\" limit 1/h\nallow device publish \"+/b\" limit 1/h\n",
      "allow device publish \"+/b\" limit 1/h\nallow device publish \"a/+\" limit 1/h\n",
      "limits count otherwise: device: publish \"a/b\" (3 devices)\n" },
    { "allow device publish \"a\" limit 1/h\nallow device publish \"b\" limit 1/h\n",
      "allow device publish \"b\" limit 1/h\nallow device publish \"a\" limit 1/h\n",
      "no request is decided otherwise\n" },
    { "allow device subscribe \"a/#\" limit 1/h\nallow device subscribe \"b/#\" limit 1/h\n",
      "allow device subscribe \"b/#\" limit 1/h\nallow device subscribe \"a/#\" limit 1/h\n",
      "no request is decided otherwise\n" },
    { "allow device subscribe \"a\" limit 1/h\nallow device subscribe \"a/+/#\" limit 1/h\n",
      "allow device subscribe \"a/+/#\" limit 1/h\nallow device subscribe \"a\" limit 1/h\n",
      "limits count otherwise: device: subscribe \"a\" (3 devices)\n" },
    { "allow device publish \"a/+\" limit 1/h\nallow device publish \"+/b\" limit 2/h\n",
      "allow device publish \"+/b\" limit 2/h\nallow device publish \"a/+\" limit 1/h\n",
      "no request is decided otherwise\n" },
    { "allow device publish \"a\" when message.qos = 1 limit 1/h\n"
      "allow device publish \"+\" when message.retain = true limit 1/h\n",
      "allow device publish \"+\" when message.retain = true limit 1/h\n"
      "allow device publish \"a\" when message.qos = 1 limit 1/h\n",
      "limits count otherwise: device: publish \"a\" (3 devices)\n" },
    { "allow group \"pumps\" publish \"a/+\" limit 1/h\n"
      "allow group \"old\" publish \"+/b\" limit 1/h\n",
      "allow group \"old\" publish \"+/b\" limit 1/h\n"
      "allow group \"pumps\" publish \"a/+\" limit 1/h\n",
      "limits count otherwise: device in \"old\", \"pumps\": publish \"a/b\" (0 devices)\n" },
    /* What a subscription to a/# obliges to is of the rules that allow all of it. */
    { "allow device subscribe \"a/#\" limit 10/s\nallow device subscribe \"a\", \"a/+/#\" "
      "limit "
      "5/s\n",
      "allow device subscribe \"a/#\"\nallow device subscribe \"a\", \"a/+/#\" limit 5/s\n",
      "limits count otherwise: device: subscribe \"a/#\" (3 devices)\n" },
    { "allow device subscribe \"a\"\nallow device subscribe \"a/+/#\" limit 5/s\n",
      "allow device subscribe \"a/#\"\nallow device subscribe \"a\"\nallow device subscribe "
      "\"a/+/#\" limit 5/s\n",
      "limits count otherwise: device: subscribe \"a/+/#\" (3 devices)\n" },
    { "allow device subscribe \"a/#\", \"a/b\", \"b\"\nallow device subscribe \"a/+\" limit "
      "5/s\n",
      "allow device subscribe \"a/+\" limit 5/s\nallow device subscribe \"b\"\n"
      "allow device subscribe \"a/#\"\n",
      "no request is decided otherwise\n" },
    { "allow device publish \"a\" when message.qos = 1\ndeny device publish \"+\" when "
      "message.qos = 1\n",
      "", "no request is decided otherwise\n" },
    { "allow device publish \"a\" payload 5\n",
      "allow device publish \"a\" payload 5\nallow device publish \"a\" when message.qos = 1 "
      "payload 9\n",
      "no request is decided otherwise\n" },
    { "allow device publish \"a/#\"\n", "allow device publish \"a/+\"\n",
      "newly denied: device: publish \"a\", \"a/+/+/#\" (3 devices)\n" },
    { "allow group \"g\" publish \"a\"\ngroup \"g\" = { \"p3\" }\n",
      "allow group \"g\" publish \"a\"\n",
      "newly denied: device \"p3\": publish \"a\" (1 device)\n" },
    { "allow operator call \"GET /v1/#\"\n", "allow role \"admin\" call \"GET /v1/#\"\n",
      "newly denied: operator: call \"GET /v1/#\"\n" },
    { "allow device publish \"a/x-${device.id}\"\n",
      "allow device publish \"a/x-${device.id}\"\ndeny device publish \"a/x-p1\"\n",
      "newly denied: device \"p1\": publish \"a/x-p1\" (1 device)\n" },
};

static void diffs_are_these(void **state)
{
    static const struct policy_fleet FLEET = { each_pump, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof DIFFS / sizeof *DIFFS; i++) {
        AUTO_OF(policy) *old = compile(DIFFS[i].old);
        AUTO_OF(policy) *new = compile(DIFFS[i].new);
        struct policy_diff diff;
        AUTO_BUF(text, TEXT_MAX);
        const char *written = NULL;
        assert_int_equal(policy_diff(old, new, &FLEET, &diff), RC_OK);
        policy_diff_write(&diff, &text);
        assert_int_equal(buf_text(&text, &written), RC_OK);
        assert_string_equal(written, DIFFS[i].diff);
        policy_diff_clear(&diff);
    }
}

/* a${device.id} and ${device.id}a are the same for a, aa, aaa ... and for no other name. */
static void names_that_make_levels_equal_are_found(void **state)
{
    AUTO_OF(policy) *old = compile("allow device publish \"a${device.id}\"\n"
                                   "deny device publish \"${device.id}a\"\n");
    AUTO_OF(policy) *new = compile("allow device publish \"a${device.id}\"\n");
    struct policy_diff diff;

    (void)state;
    assert_int_equal(policy_diff(old, new, NULL, &diff), RC_OK);
    assert_int_equal(diff.count, 64);
    for (size_t i = 0; i < diff.count; i++) {
        assert_int_equal(diff.at[i].change, POLICY_NEWLY_ALLOWED);
        assert_int_equal(diff.at[i].name.len, i + 1);
        for (size_t letter = 0; letter <= i; letter++)
            assert_int_equal(diff.at[i].name.at[letter], 'a');
    }
    policy_diff_clear(&diff);
}

/* Line 2 is shadowed by line 1, and line 4 by line 3: from the end on, as far as it may go. */
static void looking_is_given_up_in_the_end_and_that_is_told(void **state)
{
    static const char TEXT[] = "allow device \"a\" publish \"a/#\"\n"
                               "allow device \"a\" publish \"a/b\"\n"
                               "allow device \"b\" publish \"a/#\"\n"
                               "allow device \"b\" publish \"a/b\"\n";
    struct policy *policy = compile(TEXT);
    struct policy_findings findings;
    (void)state;

    assert_int_equal(policy_check(policy, NULL, &findings), RC_OK);
    assert_int_equal(findings.count, 2);
    policy_findings_clear(&findings);
    assert_int_equal(policy_check_within(policy, NULL, 0, &findings), RC_OK);
    assert_int_equal(findings.count, 2);
    assert_int_equal(findings.at[0].concern, POLICY_UNFINISHED);
    assert_int_equal(findings.at[0].where.line, 3);
    assert_true(findings.at[0].grave);
    assert_int_equal(findings.at[1].concern, POLICY_SHADOWED);
    assert_int_equal(findings.at[1].where.line, 4);
    policy_findings_clear(&findings);
    policy_unref(policy);
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(findings_are_these),
        cmocka_unit_test(without_a_registry_a_tested_group_is_worth_a_look),
        cmocka_unit_test(a_registry_that_fails_fails_the_check),
        cmocka_unit_test(derivations_are_these),
        cmocka_unit_test(reach_is_told_in_few_filters),
        cmocka_unit_test(reach_of_who_has_no_name_is_refused),
        cmocka_unit_test(diffs_are_these),
        cmocka_unit_test(names_that_make_levels_equal_are_found),
        cmocka_unit_test(looking_is_given_up_in_the_end_and_that_is_told),
    };

    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
