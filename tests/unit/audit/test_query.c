/* What a query may say: sets of actions, networks, topics; and its bytes. */
#include "tests/unit/audit/searches.h"

#include "audit/topic.h"
#include "policy/topic.h"

/* ---- Actions ---- */

static void names_and_families_of_actions_are_read(void **state)
{
    static const struct {
        const char *text;
        unsigned count; /* 0: refused */
        unsigned has, has_not;
    } ROWS[] = {
        { "publish", 1, AUDIT_PUBLISH, AUDIT_SUBSCRIBE },
        { "publish,subscribe", 2, AUDIT_SUBSCRIBE, AUDIT_RECEIVE },
        { "publish,publish", 1, AUDIT_PUBLISH, AUDIT_RECEIVE },
        { "session.*", 3, AUDIT_SESSION_CUT, AUDIT_HANDSHAKE },
        { "session.*,session.open", 3, AUDIT_SESSION_OPEN, AUDIT_HANDSHAKE },
        { "token.*,handshake", 3, AUDIT_TOKEN_USE, AUDIT_SESSION_OPEN },
        { "", 0, 0, 0 },
        { ",publish", 0, 0, 0 },
        { "publish,", 0, 0, 0 },
        { "Publish", 0, 0, 0 },
        { "*", 0, 0, 0 },
        { ".*", 0, 0, 0 },
        { "session.", 0, 0, 0 },
        { "session*", 0, 0, 0 },
        { "sess.*", 0, 0, 0 },
        { "session.open.*", 0, 0, 0 },
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct audit_action_set set = audit_action_set_of(AUDIT_WILL);
        enum rc rc = audit_action_set_read(bytes_of_text(ROWS[i].text), &set);
        unsigned count = 0;
        assert_int_equal(rc, ROWS[i].count > 0 ? RC_OK : RC_MALFORMED);
        for (unsigned action = 0; action < 300; action++)
            count += audit_action_set_has(&set, action);
        assert_int_equal(count, ROWS[i].count > 0 ? ROWS[i].count : 1);
        if (rc != RC_OK)
            continue;
        assert_true(audit_action_set_has(&set, ROWS[i].has));
        assert_false(audit_action_set_has(&set, ROWS[i].has_not));
    }
}

static void a_set_is_read_back_as_it_is_written(void **state)
{
    size_t count = 0;
    const struct audit_action_row *rows = audit_action_list(&count);
    struct audit_action_set set = { 0 }, back = { 0 };
    (void)state;

    assert_true(audit_action_set_is_empty(&set));
    for (size_t i = 0; i < count; i++) {
        AUTO_BUF(text, 2048);
        assert_true((unsigned)rows[i].action <= AUDIT_ACTION_MOST);
        audit_action_set_add(&set, rows[i].action);
        audit_action_set_write(&set, &text);
        assert_false(text.broken);
        assert_int_equal(audit_action_set_read(buf_bytes(&text), &back), RC_OK);
        assert_true(bytes_equal(BYTES_OF(set.bits), BYTES_OF(back.bits)));
    }
}

/* ---- Networks ---- */

static void networks_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *back; /* NULL: refused */
    } ROWS[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "192.0.2.1/32", "192.0.2.1" },
        { "192.0.2.0/24", "192.0.2.0/24" },
        { "0.0.0.0/0", "0.0.0.0/0" },
        { "192.0.2.1:55000", "192.0.2.1:55000" },
        { "192.0.2.1:65535", "192.0.2.1:65535" },
        { "2001:DB8::1", "2001:db8::1" },
        { "2001:db8::/32", "2001:db8::/32" },
        { "::/0", "::/0" },
        { "[2001:db8::1]:5", "[2001:db8::1]:5" },
        { "::ffff:192.0.2.1", "192.0.2.1" },
        { "::ffff:192.0.2.0/120", "192.0.2.0/24" },
        { "::ffff:0:0/96", "0.0.0.0/0" },
        { "[::ffff:192.0.2.1]:6", "192.0.2.1:6" },
        { "", NULL },
        { "192.0.2", NULL },
        { "192.0.2.256", NULL },
        { "192.0.2.1:", NULL },
        { "192.0.2.1:0", NULL },
        { "192.0.2.1:65536", NULL },
        { "192.0.2.1:1/24", NULL },
        { "192.0.2.1/", NULL },
        { "192.0.2.1/24", NULL },
        { "192.0.2.0/33", NULL },
        { "192.0.2.0/024", NULL },
        { "192.0.2.0/24/24", NULL },
        { "2001:db8::1/32", NULL },
        { "2001:db8::/129", NULL },
        { "[2001:db8::1]", NULL },
        { "[192.0.2.1]:5", NULL },
        { "/24", NULL },
        { "host.example", NULL },
        { "2001:db8::1%eth0", NULL },
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct audit_network network = { .len = 99 };
        AUTO_BUF(text, 64);
        enum rc rc = audit_network_read(bytes_of_text(ROWS[i].text), &network);
        assert_int_equal(rc, ROWS[i].back != NULL ? RC_OK : RC_MALFORMED);
        if (rc != RC_OK) {
            assert_int_equal(network.len, 99);
            continue;
        }
        assert_int_equal(audit_network_check(&network), RC_OK);
        audit_network_add(&text, &network);
        assert_true(bytes_equal_text(buf_bytes(&text), ROWS[i].back));
    }
}

static void a_network_has_its_addresses_and_no_others(void **state)
{
    static const struct {
        const char *network, *peer;
        bool has;
    } ROWS[] = {
        { "192.0.2.1", "192.0.2.1:9", true },
        { "192.0.2.1", "192.0.2.10:9", false },
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "[::ffff:192.0.2.1]:9", true },
        { "192.0.2.0/24", "192.0.2.255:9", true },
        { "192.0.2.0/24", "192.0.3.0:9", false },
        { "192.0.2.64/26", "192.0.2.127:9", true },
        { "192.0.2.64/26", "192.0.2.128:9", false },
        { "0.0.0.0/0", "203.0.113.9:1", true },
        { "0.0.0.0/0", "[2001:db8::1]:1", false },
        { "::/0", "192.0.2.1:1", false },
        { "2001:db8::/33", "[2001:db8:7fff::1]:1", true },
        { "2001:db8::/33", "[2001:db8:8000::1]:1", false },
        { "192.0.2.1:9", "192.0.2.1:9", true },
        { "192.0.2.1:9", "192.0.2.1:90", false },
        { "0.0.0.0/0", "", false },
        { "0.0.0.0/0", "nowhere", false },
        { "0.0.0.0/0", "192.0.2.1:99999", false },
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct audit_network network;
        assert_int_equal(audit_network_read(bytes_of_text(ROWS[i].network), &network), RC_OK);
        const struct audit_network peer = audit_network_of_peer(bytes_of_text(ROWS[i].peer));
        assert_int_equal(audit_network_has(&network, &peer), ROWS[i].has);
    }
}

static void a_network_that_no_text_says_is_refused(void **state)
{
    static const struct audit_network ROWS[] = {
        { .len = 5, .bits = 8 },
        { .len = 4, .bits = 33 },
        { .len = 4, .bits = 24, .address = { 1, 2, 3, 4 } },
        { .len = 4, .bits = 24, .port = 1, .address = { 1, 2, 3 } },
        { .len = 4, .bits = 32, .address = { 1, 2, 3, 4, 5 } },
        { .len = 0, .port = 7 },
        { .len = 0, .bits = 1 },
        { .len = 16, .bits = 96, .address = { [10] = 0xff, [11] = 0xff } },
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(audit_network_check(&ROWS[i]), RC_MALFORMED);
}

/* ---- Topics ---- */

static const char *const FILTERS[] = {
    "a",  "a/b", "a/+", "a/#",   "#",      "+",      "+/b",    "+/+",   "a/+/c", "a/b/c", "/",
    "/a", "a/",  "+/#", "a/+/#", "$SYS/x", "$SYS/#", "$SYS/+", "a/b/#", "b",     "+/b/c",
};
static const char *const NAMES[] = {
    "a",  "a/b", "a/b/c", "a/x/c",  "b",    "/",       "/a",
    "a/", "b/b", "b/b/c", "$SYS/x", "$SYS", "a/b/c/d", "a//c"
};

static void a_filter_meets_a_name_that_it_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++)
        for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++) {
            const struct bytes filter = bytes_of_text(FILTERS[i]),
                               name = bytes_of_text(NAMES[k]);
            assert_int_equal(audit_topic_meets(filter, name), policy_topic_match(filter, name));
            assert_int_equal(audit_topic_meets(name, filter), policy_topic_match(filter, name));
        }
}

/* Two filters meet if some name matches both: of these names enough for these filters. */
static void two_filters_meet_in_a_name(void **state)
{
    static const char *const LEVELS[] = { "a", "b", "c", "x", "", "$SYS" };
    (void)state;

    for (size_t i = 0; i < sizeof FILTERS / sizeof *FILTERS; i++)
        for (size_t k = 0; k < sizeof FILTERS / sizeof *FILTERS; k++) {
            const struct bytes one = bytes_of_text(FILTERS[i]), two = bytes_of_text(FILTERS[k]);
            bool met = false;
            for (unsigned n = 0; n < 6 + 36 + 216 + 1296; n++) {
                AUTO_BUF(name, 64);
                unsigned depth = n < 6 ? 1 : n < 42 ? 2 : n < 258 ? 3 : 4;
                unsigned code = n - (depth == 1 ? 0 : depth == 2 ? 6 : depth == 3 ? 42 : 258);
                for (unsigned level = 0; level < depth; level++, code /= 6)
                    buf_addf(&name, "%s%s", level > 0 ? "/" : "", LEVELS[code % 6]);
                met = met || (name.len > 0 && policy_topic_match(one, buf_bytes(&name)) &&
                              policy_topic_match(two, buf_bytes(&name)));
            }
            assert_int_equal(audit_topic_meets(one, two), met);
        }
}

static void the_topic_of_a_record_is_what_its_action_has(void **state)
{
    static const struct {
        enum audit_action action;
        const char *target, *topic;
    } ROWS[] = {
        { AUDIT_PUBLISH, "a/b", "a/b" },
        { AUDIT_WILL, "a/b", "a/b" },
        { AUDIT_SUBSCRIBE, "a/+", "a/+" },
        { AUDIT_SUBSCRIBE, "$share/g/a/+", "a/+" },
        { AUDIT_SUBSCRIBE, "$share/g", "$share/g" },
        { AUDIT_SUBSCRIBE, "$share/g/", "$share/g/" },
        { AUDIT_PUBLISH, "$share/g/a", "$share/g/a" },
        { AUDIT_LOG_READ, "a/b", "" },
        { AUDIT_DEVICE_ADD, "device dev-1", "" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const struct audit_record record = { .action = ROWS[i].action,
                                             .target = bytes_of_text(ROWS[i].target) };
        assert_true(bytes_equal_text(audit_topic_of(&record), ROWS[i].topic));
    }
}

/* ---- One certificate, a rule, none ---- */

static void what_is_said_of_a_certificate_holds_of_one(void **state)
{
    static const uint8_t A[AUDIT_HASH] = { 1 }, B[AUDIT_HASH] = { 2 };
    const struct audit_record record = {
        .action = AUDIT_CERTIFICATE_REVOKE,
        .actor_certificate = { BYTES_OF(A), BYTES("\1"), BYTES_OF(A), BYTES_OF(A) },
        .certificate = { BYTES_OF(B), BYTES("\2"), BYTES_OF(B), BYTES_OF(B) },
    };
    struct audit_query query = { .serial = BYTES("\1"), .issuer = BYTES_OF(A) };
    (void)state;

    assert_true(audit_query_wants(&query, &record));
    query.issuer = BYTES_OF(B);
    assert_false(audit_query_wants(&query, &record));
    query.serial = BYTES("\2");
    assert_true(audit_query_wants(&query, &record));
    query.key = BYTES_OF(A);
    assert_false(audit_query_wants(&query, &record));
}

static void no_rule_is_not_any_rule(void **state)
{
    struct audit_record record = { .action = AUDIT_PUBLISH, .policy_version = 3 };
    struct audit_query query = { .rule = AUDIT_RULE_NONE };
    (void)state;

    assert_true(audit_query_wants(&query, &record));
    query.policy_version = 2;
    assert_false(audit_query_wants(&query, &record));
    query.policy_version = 3;
    record.rule = 1;
    assert_false(audit_query_wants(&query, &record));
    record.rule = 0;
    record.policy_version = 0; /* no policy was asked at all */
    query.policy_version = 0;
    assert_false(audit_query_wants(&query, &record));
}

/* ---- Bytes ---- */

static void reads_back_queries_and_refuses_their_truncations(void **state)
{
    static struct searches w;
    uint64_t dice = 11;
    (void)state;

    searches_fill(&w, 300);
    for (size_t i = 0; i < 200; i++) {
        AUTO_BUF(buf, AUDIT_QUERY_MAX);
        AUTO_BUF(again, AUDIT_QUERY_MAX);
        struct audit_query query = searches_query(&w, &dice), back;
        audit_query_write(&query, &buf);
        assert_int_equal(audit_query_read(buf_bytes(&buf), &back), RC_OK);
        audit_query_write(&back, &again);
        assert_true(bytes_equal(buf_bytes(&buf), buf_bytes(&again)));
        for (size_t len = 0; len < buf.len; len++)
            assert_int_equal(audit_query_read((struct bytes){ buf.at, len }, &back),
                             RC_MALFORMED);
    }
}

static void the_longest_query_fits(void **state)
{
    static const uint8_t OCTETS[AUDIT_TARGET_MAX] = { [0 ... AUDIT_TARGET_MAX - 1] = 'x' };
    const struct audit_query query = { .device = { OCTETS, AUDIT_ID_MAX },
                                       .actor = { OCTETS, AUDIT_ID_MAX },
                                       .certificate = { OCTETS, AUDIT_HASH },
                                       .serial = { OCTETS, AUDIT_SERIAL_MAX },
                                       .issuer = { OCTETS, AUDIT_HASH },
                                       .key = { OCTETS, AUDIT_HASH },
                                       .correlation = { OCTETS, AUDIT_CORRELATION },
                                       .target = { OCTETS, AUDIT_TARGET_MAX },
                                       .topic = { OCTETS, AUDIT_TARGET_MAX },
                                       .most = 1 };
    struct audit_query back;
    AUTO_BUF(buf, AUDIT_QUERY_MAX - 8);
    (void)state;

    audit_query_write(&query, &buf);
    assert_int_equal(audit_query_read(buf_bytes(&buf), &back), RC_OK);
}

static void a_query_is_told_as_v1_spells_it(void **state)
{
    struct audit_query query = { .device = BYTES("dev-1"),
                                 .kinds = 1u << AUDIT_NOBODY | 1u << AUDIT_DEVICE,
                                 .serial = BYTES("\x0f\x3a"),
                                 .topic = BYTES("a/#"),
                                 .decisions = 1u << AUDIT_DENIED | 1u << AUDIT_FAILED,
                                 .sources = 1u << AUDIT_FROM_SIGNER,
                                 .policy_version = 3,
                                 .rule = AUDIT_RULE_NONE,
                                 .most = 50 };
    AUTO_BUF(text, 512);
    (void)state;

    audit_action_set_add(&query.actions, AUDIT_PUBLISH);
    audit_action_set_add(&query.actions, AUDIT_DEVICE_ADD);
    assert_int_equal(audit_network_read(BYTES("192.0.2.0/24"), &query.peer), RC_OK);
    audit_query_tell(&query, &text);
    assert_true(bytes_equal_text(
        buf_bytes(&text),
        "device=dev-1 kind=nobody,device serial=0f3a action=device.add,publish "
        "decision=denied,failed source=signer policy=3 rule=none peer=192.0.2.0/24 limit=50 "
        "topic=a/#"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_families_of_actions_are_read),
        cmocka_unit_test(a_set_is_read_back_as_it_is_written),
        cmocka_unit_test(networks_are_read_and_written),
        cmocka_unit_test(a_network_has_its_addresses_and_no_others),
        cmocka_unit_test(a_network_that_no_text_says_is_refused),
        cmocka_unit_test(a_filter_meets_a_name_that_it_matches),
        cmocka_unit_test(two_filters_meet_in_a_name),
        cmocka_unit_test(the_topic_of_a_record_is_what_its_action_has),
        cmocka_unit_test(what_is_said_of_a_certificate_holds_of_one),
        cmocka_unit_test(no_rule_is_not_any_rule),
        cmocka_unit_test(reads_back_queries_and_refuses_their_truncations),
        cmocka_unit_test(the_longest_query_fits),
        cmocka_unit_test(a_query_is_told_as_v1_spells_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
