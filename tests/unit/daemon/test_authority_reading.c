#include "tests/unit/daemon/authority_world.h"

#include <sys/mman.h>

/* What was read through /v1 is in the log before it is answered, and pages are counted. */

static struct registry_question question(uint8_t request)
{
    struct registry_question q = { 0 };

    q.preamble.correlation[1] = request;
    return q;
}

static enum rc read_devices(struct world *w, uint8_t request)
{
    AUTO_TOLD(told);

    return admin(w, REGISTRY_ASK_DEVICE_LIST, question(request), &told);
}

struct found {
    uint64_t records, acts;
    char target[AUDIT_TARGET_MAX + 1];
};

/* Of one request, as another one finds it. */
static struct found find(struct world *w, uint8_t request, enum audit_action action)
{
    const uint8_t correlation[AUDIT_CORRELATION] = { 7, request };
    const struct audit_query query = { .correlation = BYTES_OF(correlation),
                                       .actions = audit_action_set_of(action),
                                       .decisions = 1u << AUDIT_ALLOWED,
                                       .most = 100 };
    struct audit_page page;
    struct audit_hit hit;
    struct found found = { 0 };
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK) {
        uint64_t count = hit.record->aggregate.count;
        found.records++;
        found.acts += count == 0 ? 1 : count;
        memcpy(found.target, hit.record->target.at, hit.record->target.len);
        found.target[hit.record->target.len] = '\0';
    }
    audit_page_clear(&page);
    return found;
}

static struct found await_acts(struct world *w, uint8_t request, enum audit_action action,
                               uint64_t acts)
{
    struct found found = find(w, request, action);

    for (int tries = 0; found.acts < acts && tries < 1500; tries++) {
        usleep(20000);
        found = find(w, request, action);
    }
    return found;
}

static void begin_with_window(struct world *w, int64_t window_ms)
{
    stop(w);
    w->reading_window_ms = window_ms;
    start(w);
}

static void begin_again(struct world *w)
{
    begin_with_window(w, 50);
}

static void each_request_is_told_and_its_pages_are_counted(void **state)
{
    struct world *w = *state;

    begin_again(w);
    for (int page = 0; page < 6; page++)
        assert_int_equal(read_devices(w, 1), RC_OK);
    assert_int_equal(find(w, 1, AUDIT_DEVICE_READ).acts >= 1, 1);
    assert_int_equal(read_devices(w, 2), RC_OK);
    assert_int_equal(find(w, 2, AUDIT_DEVICE_READ).records, 1);
    struct found found = await_acts(w, 1, AUDIT_DEVICE_READ, 6);
    assert_int_equal(found.acts, 6);
    assert_string_equal(found.target, "list");
}

/* More requests than are remembered: each is told, and nothing that was counted is lost. */
static void what_was_counted_is_told_when_its_place_is_needed(void **state)
{
    struct world *w = *state;

    begin_again(w);
    for (int round = 0; round < 200; round++) {
        assert_int_equal(read_devices(w, (uint8_t)(1 + round)), RC_OK);
        assert_int_equal(read_devices(w, (uint8_t)(1 + round)), RC_OK);
    }
    for (int round = 0; round < 200; round++)
        assert_int_equal(await_acts(w, (uint8_t)(1 + round), AUDIT_DEVICE_READ, 2).acts, 2);
}

static void a_read_that_cannot_be_recorded_is_refused(void **state)
{
    struct world *w = *state;
    uint64_t answered = 1;

    stop(w);
    w->blocked = mmap(NULL, sizeof *w->blocked, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w->blocked, MAP_FAILED);
    begin_again(w);
    *w->blocked = 1;
    assert_int_equal(read_devices(w, 1), RC_LIMIT);
    *w->blocked = 0;
    assert_int_equal(read_devices(w, 1), RC_OK);
    *w->blocked = 1;
    while (read_devices(w, 1) == RC_OK) /* until a window has passed and could not be told */
        answered++;
    assert_int_equal(read_devices(w, 1), RC_LIMIT);
    assert_int_equal(read_devices(w, 2), RC_LIMIT);
    *w->blocked = 0;
    assert_int_equal(await_acts(w, 1, AUDIT_DEVICE_READ, answered).acts, answered);
    munmap((void *)(uintptr_t)w->blocked, sizeof *w->blocked);
    w->blocked = NULL;
}

/* By the rule in audit/action.h: all that is by request is told, and what it asked. */
static void what_is_asked_is_what_the_record_says(void **state)
{
    static const uint8_t INCLUSION[17] = { [0] = 1, [8] = 1, [16] = 2 };
    static const uint8_t NEWEST[8];
    static const struct {
        enum registry_ask ask;
        enum audit_action action;
        struct bytes query;
        const char *target;
    } ROWS[] = {
        { REGISTRY_ASK_DEVICE_LIST, AUDIT_DEVICE_READ, { 0 }, "list" },
        { REGISTRY_ASK_DEVICE_SHOW, AUDIT_DEVICE_READ, { 0 }, "device dev-1" },
        { REGISTRY_ASK_CERTIFICATE_LIST, AUDIT_CERTIFICATE_READ, { 0 }, "list id=dev-1" },
        { REGISTRY_ASK_OPERATOR_LIST, AUDIT_OPERATOR_READ, { 0 }, "list" },
        { REGISTRY_ASK_POLICY_LIST, AUDIT_POLICY_READ, { 0 }, "list" },
        { REGISTRY_ASK_POLICY_SHOW, AUDIT_POLICY_READ, { 0 }, "policy 1" },
        { REGISTRY_ASK_AUDIT_ENTRIES, AUDIT_LOG_READ, BYTES_OF(NEWEST), "entries from=0" },
        { REGISTRY_ASK_AUDIT_PROOF, AUDIT_LOG_READ, BYTES_OF(INCLUSION),
          "inclusion index=1 size=2" },
        { REGISTRY_ASK_AUDIT_CHECKPOINT, AUDIT_LOG_READ, BYTES_OF(NEWEST), "checkpoint" },
    };
    struct world *w = *state;
    AUTO_BUF(note, 4096);

    add_device(w, "dev-1");
    wait_checkpoint(w, 2, &note);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct registry_question q = question((uint8_t)(1 + i));
        AUTO_TOLD(told);
        set_id(&q, "dev-1");
        q.query = ROWS[i].query;
        assert_int_equal(audit_action_get(ROWS[i].action)->when, AUDIT_BY_REQUEST);
        assert_int_equal(admin(w, ROWS[i].ask, q, &told), RC_OK);
        struct found found = find(w, (uint8_t)(1 + i), ROWS[i].action);
        assert_int_equal(found.records, 1);

        assert_string_equal(found.target, ROWS[i].target);
    }
    AUTO_TOLD(told);
    assert_int_equal(audit_action_get(AUDIT_STATUS_READ)->when, AUDIT_NOT_ALONE);
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, question(99), &told), RC_OK);
    assert_int_equal(find(w, 99, AUDIT_STATUS_READ).records, 0);
}

/* ---- Following ---- */

struct following {
    uint8_t request;
    uint64_t from;
    enum audit_action filter;
    const char *peer;
};

static void follow(struct world *w, struct following how)
{
    const struct audit_query query = { .actions = audit_action_set_of(how.filter), .most = 10 };
    struct registry_question q = question(how.request);
    AUTO_BUF(asked, 8 + AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    buf_add_u64(&asked, how.from);
    audit_query_write(&query, &asked);
    q.query = buf_bytes(&asked);
    for (size_t i = 0; i < strlen(how.peer); i++)
        q.preamble.peer[i] = how.peer[i];
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_WATCH, q, &told), RC_OK);
}

static void who_follows_on_has_one_record_and_a_number(void **state)
{
    struct world *w = *state;

    add_device(w, "dev-1");
    begin_with_window(w, 500); /* all twenty in one, also on a slow machine */
    for (uint8_t i = 0; i < 20; i++)
        follow(w, (struct following){ (uint8_t)(1 + i), 0, AUDIT_DEVICE_ADD,
                                      i % 2 == 0 ? "192.0.2.1:5" : "192.0.2.1:6" });
    assert_int_equal(find(w, 1, AUDIT_LOG_READ).records, 1);
    struct found found = await_acts(w, 1, AUDIT_LOG_READ, 20);
    assert_int_equal(found.acts, 20);
    assert_int_equal(found.records, 2);
    for (uint8_t i = 1; i < 20; i++)
        assert_int_equal(find(w, (uint8_t)(1 + i), AUDIT_LOG_READ).records, 0);
}

static void what_the_record_of_following_does_not_say_has_its_own(void **state)
{
    static const struct following ROWS[] = {
        { 1, 1, AUDIT_DEVICE_ADD, "192.0.2.1:5" },
        { 2, 0, AUDIT_DEVICE_ADD, "192.0.2.1:5" },  /* from before */
        { 3, 0, AUDIT_LOG_START, "192.0.2.1:5" },   /* other records */
        { 4, 0, AUDIT_DEVICE_ADD, "192.0.2.11:5" }, /* from elsewhere */
        { 5, 0, AUDIT_DEVICE_ADD, "192.0.2.11:5" }, /* after a pause */
    };
    struct world *w = *state;

    add_device(w, "dev-1");
    begin_again(w);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (ROWS[i].request == 5)
            usleep(400000);
        follow(w, ROWS[i]);
        assert_int_equal(find(w, ROWS[i].request, AUDIT_LOG_READ).records, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_request_is_told_and_its_pages_are_counted),
        TEST(what_was_counted_is_told_when_its_place_is_needed),
        TEST(a_read_that_cannot_be_recorded_is_refused),
        TEST(what_is_asked_is_what_the_record_says),
        TEST(who_follows_on_has_one_record_and_a_number),
        TEST(what_the_record_of_following_does_not_say_has_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
