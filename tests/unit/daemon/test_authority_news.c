/* What a follower of the log costs: each record is looked at once, in turns of a bounded
 * length, and none that was there before he began. Shown by making unreadable what must not be
 * read. */
#include "tests/unit/daemon/authority_world.h"

#include "audit/log_state.h"
#include "daemon/authority_state.h"

struct place {
    struct world *w;
    struct store *store;
    struct daemon_authority_book book;
    struct daemon_authority authority;
};

static int set_up(void **state)
{
    struct place *at = calloc(1, sizeof *at);

    assert_non_null(at);
    at->w = make_world();
    at->store = open_store(at->w);
    assert_int_equal(daemon_authority_book_open(&at->book, &at->w->signing.clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(&at->book, at->w->scratch.dir, at->store),
                     RC_OK);
    at->authority.setup.store = at->store;
    at->authority.setup.audit = daemon_authority_book_audit(&at->book);
    *state = at;
    return 0;
}

static int tear_down(void **state)
{
    struct place *at = *state;
    void *world = at->w;

    daemon_authority_book_close(&at->book);
    store_close(at->store);
    assert_int_equal(clean(&world), 0);
    free(at);
    return 0;
}

/* ---- The log ---- */

struct many {
    struct place *at;
    uint64_t first, count;
};

static enum rc append_some(struct store_txn *txn, void *with)
{
    const struct many *many = with;
    const struct audit_record record = { .action = AUDIT_DEVICE_ADD,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = TBS_NOW_S * 1000,
                                         .device = BYTES("dev-1"),
                                         .target = BYTES("device dev-1") };

    for (uint64_t i = 0; i < many->count; i++)
        TRY(audit_log_append(many->at->book.log, txn, &record, NULL));
    return RC_OK;
}

static void grow(struct place *at, uint64_t count)
{
    struct many many = { at, 0, count };

    assert_int_equal(store_write(at->store, append_some, &many), RC_OK);
}

static enum rc spoil_some(struct store_txn *txn, void *with)
{
    const struct many *many = with;

    for (uint64_t i = 0; i < many->count; i++) {
        struct store_number key = store_key_number(many->first + i);
        TRY(store_txn_put(txn, many->at->book.log->first_table + AUDIT_ENTRIES,
                          BYTES_OF(key.at), BYTES("spoilt")));
    }
    return RC_OK;
}

/* Whoever reads one of these is told that the log is corrupt. */
static void spoil(struct place *at, uint64_t first, uint64_t count)
{
    struct many many = { at, first, count };

    assert_int_equal(store_write(at->store, spoil_some, &many), RC_OK);
}

/* ---- A follower ---- */

struct follower {
    struct daemon_authority_request request;
    struct buf query;
};

static void begin(struct place *at, struct follower *follower, uint64_t from,
                  enum audit_action action)
{
    const struct audit_query query = { .actions = audit_action_set_of(action),
                                       .most = AUDIT_QUERY_MOST };
    struct daemon_authority_request *request = &follower->request;

    *follower = (struct follower){
        .request = { .authority = &at->authority,
                     .channel = REGISTRY_OPERATOR_DOOR,
                     .ask = REGISTRY_ASK_AUDIT_WATCH,
                     .now_ms = TBS_NOW_S * 1000,
                     .list = BUF_MAX(REGISTRY_LIST_MAX) },
        .query = BUF_MAX(8 + AUDIT_QUERY_MAX),
    };
    request->question.preamble.actor.known = true;
    memset(request->question.preamble.actor.fingerprint.at, ADMIN, REGISTRY_FINGERPRINT);
    buf_add_u64(&follower->query, from);
    audit_query_write(&query, &follower->query);
    request->question.query = buf_bytes(&follower->query);
}

static void end(struct follower *follower)
{
    buf_clear(&follower->request.list);
    buf_clear(&follower->query);
}

/* As each commit wakes who waits. */
static enum rc wake(struct place *at, struct follower *follower)
{
    return store_read(at->store, daemon_authority_audit_news, &follower->request);
}

static size_t hits_of(const struct follower *follower)
{
    struct audit_page page;
    struct audit_hit hit;
    size_t count = 0;

    assert_int_equal(audit_page_read(follower->request.answer.query, &page), RC_OK);
    assert_int_equal(page.next, follower->request.seen);
    while (audit_page_next(&page, &hit) == RC_OK)
        count++;
    audit_page_clear(&page);
    return count;
}

/* ---- Tests ---- */

static void a_record_is_looked_at_once_however_often_he_is_woken(void **state)
{
    struct place *at = *state;
    struct follower follower, other;
    uint64_t size = 0; /* of the log */

    /* No block becomes whole: its records would be read once more, for the index. */
    begin(at, &follower, UINT64_MAX, AUDIT_SYSTEM_RESTORE);
    for (unsigned i = 0; i < 120; i++) {
        grow(at, 1 + i % 3);
        size += 1 + i % 3;
        if (i == 0)
            spoil(at, 0, size); /* from now: what was there before is not read */
        assert_int_equal(wake(at, &follower), RC_OK);
        assert_false(follower.request.has_news || follower.request.behind);
        assert_int_equal(follower.request.seen, size);
        assert_int_equal(hits_of(&follower), 0);
        spoil(at, 0, size); /* nor is what he has seen */
    }
    /* That spoilt records are noticed by whoever reads them. */
    begin(at, &other, size - 1, AUDIT_SYSTEM_RESTORE);
    assert_int_equal(wake(at, &other), RC_CORRUPT);
    end(&other);
    end(&follower);
}

static void what_he_waits_for_comes_after_much_that_he_does_not(void **state)
{
    struct place *at = *state;
    struct follower follower;

    grow(at, 100);
    spoil(at, 0, 100);
    begin(at, &follower, 100, AUDIT_DEVICE_ADD);
    assert_int_equal(wake(at, &follower), RC_OK);
    assert_false(follower.request.has_news);
    grow(at, 3);
    assert_int_equal(wake(at, &follower), RC_OK);
    assert_true(follower.request.has_news);
    assert_int_equal(hits_of(&follower), 3);
    end(&follower);
}

static void who_is_far_behind_comes_on_by_bounded_looks(void **state)
{
    enum { ALL = 2 * AUDIT_FOLLOW_STEPS + 7 };
    struct place *at = *state;
    struct follower follower;
    uint64_t seen = 0;

    grow(at, ALL);
    begin(at, &follower, 0, AUDIT_SYSTEM_RESTORE);
    for (unsigned turns = 0; turns < 2; turns++) {
        seen += AUDIT_FOLLOW_STEPS;
        spoil(at, seen, 1); /* not looked at in this turn */
        assert_int_equal(wake(at, &follower), RC_OK);
        assert_false(follower.request.has_news);
        assert_true(follower.request.behind);
        assert_int_equal(follower.request.seen, seen);
        assert_int_equal(hits_of(&follower), 0);
        spoil(at, 0, seen); /* nor in any other is what was */
        assert_int_equal(wake(at, &follower), RC_CORRUPT);
        follower.request.seen = ++seen;
    }
    assert_int_equal(wake(at, &follower), RC_OK);
    assert_int_equal(follower.request.seen, ALL);
    assert_false(follower.request.behind);
    assert_false(follower.request.has_news);
    end(&follower);
}

/* Who waited behind the end of a log that was put back would miss what comes before that. */
static void who_has_seen_more_than_there_is_has_seen_another_log(void **state)
{
    struct place *at = *state;
    struct follower follower;

    grow(at, 3);
    begin(at, &follower, 3, AUDIT_DEVICE_ADD);
    assert_int_equal(wake(at, &follower), RC_OK);
    end(&follower);
    begin(at, &follower, 4, AUDIT_DEVICE_ADD);
    assert_int_equal(wake(at, &follower), RC_MALFORMED);
    assert_non_null(strstr(fault_text(), "the log has 3 records"));
    end(&follower);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_looked_at_once_however_often_he_is_woken),
        TEST(what_he_waits_for_comes_after_much_that_he_does_not),
        TEST(who_is_far_behind_comes_on_by_bounded_looks),
        TEST(who_has_seen_more_than_there_is_has_seen_another_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
