#include "tests/unit/audit/logs.h"

#include "audit/aggregate.h"

struct sink {
    uint64_t single, total, targets, records;
    const char *wanted; /* a target, and how many were told under it alone */
    uint64_t found;
    bool capped, broken;
    char path[32];
    int dir;
    struct audit_pending *pending;
};

static enum rc keep(void *with, const struct audit_record *record)
{
    struct sink *sink = with;

    if (sink->broken)
        return fault(RC_LIMIT, "full");
    sink->records++;
    if (sink->wanted != NULL && bytes_equal_text(record->target, sink->wanted))
        sink->found += record->aggregate.count == 0 ? 1 : record->aggregate.count;
    sink->single += record->aggregate.count == 0;
    sink->total += record->aggregate.count == 0 ? 1 : record->aggregate.count;
    sink->targets += record->aggregate.targets;
    sink->capped = sink->capped || record->aggregate.targets_capped;
    return RC_OK;
}

static enum rc take(void *with, struct audit_slot *slot)
{
    struct sink *sink = with;
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct audit_record record;

    assert_int_equal(audit_slot_read(slot, &room, &record), RC_OK);
    TRY(keep(sink, &record));
    audit_pending_end(sink->pending, slot);
    audit_pending_release(sink->pending, slot);
    return RC_OK;
}

static int set_up(void **state)
{
    static const uint8_t SPOOL[AUDIT_SPOOL_ID] = { 1 };
    struct sink *sink = calloc(1, sizeof *sink);
    struct audit_pending_found found;

    assert_non_null(sink);
    logs_folder(sink->path, &sink->dir);
    const struct audit_pending_setup setup = { .dir = sink->dir,
                                               .spool = SPOOL,
                                               .bytes_most = 1 << 20 };
    assert_int_equal(audit_pending_open(&setup, &sink->pending, &found), RC_OK);
    *state = sink;
    return 0;
}

static int tear_down(void **state)
{
    struct sink *sink = *state;

    assert_int_equal(audit_pending_used(sink->pending), 0);
    audit_pending_close(sink->pending);
    logs_folder_remove(sink->path, sink->dir);
    free(sink);
    return 0;
}

static struct audit_aggregate *make(struct sink *sink)
{
    const struct audit_aggregate_limits limits = { 1000, 3, 4, 5 };
    const struct audit_aggregate_out out = { keep, take, sink, sink->pending };
    struct audit_aggregate *aggregate = NULL;

    assert_int_equal(audit_aggregate_new(&limits, &out, &aggregate), RC_OK);
    return aggregate;
}

static struct audit_record denial(const char *device, const char *topic, int64_t now_ms)
{
    return (struct audit_record){ .action = AUDIT_PUBLISH,
                                  .decision = AUDIT_DENIED,
                                  .wall_ms = now_ms,
                                  .monotonic_ms = now_ms,
                                  .actor_kind = AUDIT_DEVICE,
                                  .actor = bytes_of_text(device),
                                  .target = bytes_of_text(topic) };
}

/* One record for each certificate and address, whatever port and session; its own reason. */
static void sessions_are_counted_by_certificate_and_address(void **state)
{
    static const struct {
        const char *peer;
        uint8_t certificate;
        const char *reason;
    } SESSIONS[] = {
        { "192.0.2.1:1025", 1, "" }, { "192.0.2.1:1026", 1, "" },   { "192.0.2.2:1025", 1, "" },
        { "192.0.2.1:1027", 2, "" }, { "192.0.2.1:1028", 1, "so" }, { "192.0.2.1:1029", 1, "" },
    };
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);

    for (size_t i = 0; i < sizeof SESSIONS / sizeof *SESSIONS; i++) {
        struct audit_record record = denial("ada", "https", (int64_t)i);
        const uint8_t fingerprint[AUDIT_HASH] = { SESSIONS[i].certificate };
        record.action = AUDIT_HANDSHAKE;
        record.decision = AUDIT_ALLOWED;
        record.actor_kind = AUDIT_OPERATOR;
        record.actor_certificate.fingerprint = BYTES_OF(fingerprint);
        record.peer = bytes_of_text(SESSIONS[i].peer);
        record.reason = bytes_of_text(SESSIONS[i].reason);
        record.correlation[0] = (uint8_t)(i + 1);
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    }
    assert_int_equal(sink->records, 0);
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_OK);
    assert_int_equal(sink->records, 4);
    assert_int_equal(sink->single, 0);
    assert_int_equal(sink->total, 6);
    assert_int_equal(sink->targets, 4);
    assert_false(sink->capped);
}

/* A new port for each try, and a new word in each reason. */
static void a_stranger_that_floods_is_one_stranger(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);

    for (int64_t i = 0; i < 900; i++) {
        AUTO_BUF(peer, 64);
        AUTO_BUF(reason, 128);
        struct audit_record record = denial("", "GET /", i);

        buf_addf(&peer, "192.0.2.1:%d", (int)i + 1024);
        buf_addf(&reason, "input.c:283: query: \"%d\" is unknown here", (int)i);
        record.action = AUDIT_API_REQUEST;
        record.actor_kind = AUDIT_NOBODY;
        record.peer = buf_bytes(&peer);
        record.reason = buf_bytes(&reason);
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    }
    assert_int_equal(audit_aggregate_flush(aggregate, 1000), RC_OK);
    assert_int_equal(sink->records, 4);
    assert_int_equal(sink->total, 900);
}

static void tells_a_flood_in_few_records_and_keeps_its_count(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);

    for (int64_t i = 0; i < 900; i++) {
        struct audit_record record = denial("dev-1", i % 2 == 0 ? "a" : "b", i);
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    }
    assert_int_equal(sink->records, 3);
    assert_int_equal(audit_aggregate_flush(aggregate, 999), RC_OK);
    assert_int_equal(sink->records, 3);
    assert_int_equal(audit_aggregate_flush(aggregate, 1000), RC_OK);
    assert_int_equal(sink->records, 5); /* of each topic one */
    assert_int_equal(sink->total, 900);
    assert_int_equal(sink->targets, 2);
    assert_false(sink->capped);
}

/* Whatever was tried before: many of one family, many families of one branch. */
static void what_is_denied_is_not_hidden_by_what_else_is(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);
    const struct audit_record secret = denial("dev-1", "valve/open", 500);

    for (size_t kind = 0; kind < 2; kind++)
        for (int64_t i = 0; i < 200; i++) {
            AUTO_BUF(topic, 64);
            struct audit_record record = denial("dev-1", "", i);
            buf_addf(&topic, kind == 0 ? "junk/%d" : "junk/%d/x", (int)i);
            record.target = buf_bytes(&topic);
            assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
        }
    for (int i = 0; i < 3; i++)
        assert_int_equal(audit_aggregate_add(aggregate, &secret), RC_OK);
    sink->wanted = "valve/open";
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_OK);
    assert_int_equal(sink->found, 3);
    assert_int_equal(sink->total, 403);
    assert_true(sink->records < 3 + 12 + 1);
}

/* Bounded: who makes up a branch each time is told by a pattern, and no count is lost. */
static void who_makes_up_branches_is_counted_together(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);

    sink->wanted = "+/+";
    for (int64_t i = 0; i < 500; i++) {
        AUTO_BUF(topic, 64);
        struct audit_record record = denial("dev-1", "", i);
        buf_addf(&topic, "%d/%d", (int)i, (int)i);
        record.target = buf_bytes(&topic);
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    }
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_OK);
    assert_int_equal(sink->records, 3 + 12 + 1);
    assert_int_equal(sink->found, 500 - 3 - 12);
    assert_int_equal(sink->total, 500);
}

static void keeps_every_count_with_more_keys_and_targets_than_it_has_room_for(void **state)
{
    static const char *const DEVICES[] = { "a", "b", "c", "d", "e", "f", "g" };
    static const char *const TOPICS[] = { "1", "2", "3", "4", "5", "6", "7", "8" };
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);
    uint64_t dice = 5;

    for (int64_t i = 0; i < 20000; i++) {
        struct audit_record record = denial(DEVICES[logs_dice(&dice) % (i < 10000 ? 7 : 3)],
                                            TOPICS[logs_dice(&dice) % 8], i / 10);
        if (logs_dice(&dice) % 3 == 0)
            record.decision = AUDIT_ALLOWED;
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    }
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_OK);
    assert_int_equal(sink->total, 20000);
    assert_true(sink->capped);
}

static void keeps_the_count_when_it_cannot_be_sent(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);
    struct audit_record record = denial("dev-1", "a", 0);

    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    sink->broken = true;
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_LIMIT);
    sink->broken = false;
    assert_int_equal(audit_aggregate_flush(aggregate, INT64_MAX), RC_OK);
    assert_int_equal(sink->total, 10);
}

static void sends_what_cannot_be_many_one_by_one(void **state)
{
    struct sink *sink = *state;
    AUTO_OF(audit_aggregate) *aggregate = make(sink);
    struct audit_record record = denial("dev-1", "a", 0);

    record.action = AUDIT_CRL_ISSUE;
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(audit_aggregate_add(aggregate, &record), RC_OK);
    assert_int_equal(sink->single, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_are_counted_by_certificate_and_address),
        TEST(a_stranger_that_floods_is_one_stranger),
        TEST(tells_a_flood_in_few_records_and_keeps_its_count),
        TEST(what_is_denied_is_not_hidden_by_what_else_is),
        TEST(who_makes_up_branches_is_counted_together),
        TEST(keeps_every_count_with_more_keys_and_targets_than_it_has_room_for),
        TEST(keeps_the_count_when_it_cannot_be_sent),
        TEST(sends_what_cannot_be_many_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
