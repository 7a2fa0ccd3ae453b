/* Searching: each answer against a look at every record, also while the index is made anew and
 * after records were erased; and what a query may say. */
#include "tests/unit/audit/searches.h"

#include "audit/log_state.h"
#include "audit/topic.h"
#include "policy/topic.h"

enum { QUERIES = 250 };

static size_t check_many(struct searches *w, unsigned count, uint64_t dice)
{
    size_t hits = 0;

    for (unsigned i = 0; i < count; i++) {
        struct searches_asked asked = { .w = w, .query = searches_query(w, &dice) };
        unsigned pages = 0;
        hits += searches_check(&asked, &pages);
    }
    return hits;
}

static void finds_what_a_look_at_every_record_finds(void **state)
{
    struct searches *w = *state;
    struct searches_asked all = { .w = w, .query = { .most = AUDIT_QUERY_MOST } };
    unsigned pages = 0;

    searches_write(w, SEARCHES_RECORDS);
    assert_true(check_many(w, QUERIES, 7) > QUERIES);
    assert_int_equal(searches_check(&all, &pages), SEARCHES_RECORDS);
    assert_int_equal(pages, SEARCHES_RECORDS / AUDIT_QUERY_MOST);
}

/* Around the end of a block, where the look at each ends and the index begins. */
static void finds_at_every_length_of_the_log(void **state)
{
    struct searches *w = *state;
    static const size_t LENGTHS[] = { 1, 255, 256, 257, 511, 512, 513 };

    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        void *logs = w->logs;
        logs_tear_down(&logs);
        assert_int_equal(logs_set_up(&logs), 0);
        w->logs = logs;
        searches_write(w, LENGTHS[i]);
        check_many(w, 40, 11 + i);
    }
}

/* ---- The index: merged, made anew, and after erasing ---- */

static enum rc index_all(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    bool more = true;

    while (more)
        TRY(audit_log_index(w->logs->log, txn, &more));
    return audit_log_index_due(w->logs->log, txn, &more);
}

struct due {
    const struct searches *w;
    bool *due;
};

static enum rc index_is_due(struct store_txn *txn, void *with)
{
    const struct due *due = with;

    return audit_log_index_due(due->w->logs->log, txn, due->due);
}

static enum rc index_some(struct store_txn *txn, void *with)
{
    const struct searches *w = with;
    bool more = true;

    return audit_log_index(w->logs->log, txn, &more);
}

static void finds_the_same_while_blocks_are_merged_and_after(void **state)
{
    struct searches *w = *state;

    w->logs->log->far_blocks = 3;
    searches_write(w, SEARCHES_RECORDS);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
        check_many(w, 8, 100 + i);
    }
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_true(check_many(w, 120, 5) > 120);
}

/* What keys of earlier versions began with. */
static const uint8_t OLD_LEVELS[] = { 1, 2, 3, 4, 5, 6, 0x40, 0x41, 0x42, 0x80, 0x8f, 0xc0 };

/* As a log is that an earlier version wrote: no index of ours, and its own. */
static enum rc forget_index(struct store_txn *txn, void *with)
{
    TRY(searches_forget_index(txn, with));
    for (size_t i = 0; i < sizeof OLD_LEVELS; i++) {
        const uint8_t old[] = { OLD_LEVELS[i], 1, 'x', 0, 0, 0, 0, 0, 0, 0, 1 };
        TRY(store_txn_put(txn, AUDIT_SEARCH, BYTES_OF(old), BYTES("")));
    }
    return RC_OK;
}

static bool is_old(uint8_t level)
{
    for (size_t i = 0; i < sizeof OLD_LEVELS; i++)
        if (OLD_LEVELS[i] == level)
            return true;
    return false;
}

static enum rc count_old(struct store_txn *txn, void *with)
{
    const struct store_range all = { .backward = false };
    AUTO_OF(store_cursor) *cursor = NULL;
    struct store_value value;
    struct bytes key;

    TRY(store_cursor_open(txn, AUDIT_SEARCH, &all, &cursor));
    for (*(unsigned *)with = 0; store_cursor_next(cursor, &key, &value) == RC_OK;)
        *(unsigned *)with += is_old(key.at[0]);
    return RC_OK;
}

static void a_log_of_an_earlier_version_gets_its_index_step_by_step(void **state)
{
    struct searches *w = *state;
    unsigned old = 0, steps = 0;
    bool due = true;

    w->logs->log->far_blocks = 2;
    w->logs->log->step_facets = 128;
    searches_write(w, SEARCHES_RECORDS);
    assert_int_equal(store_write(w->logs->store, forget_index, NULL), RC_OK);
    check_many(w, 20, 1);
    for (; steps < 100 && due; steps++) {
        assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
        check_many(w, 3, steps);
        assert_int_equal(store_read(w->logs->store, index_is_due, &(struct due){ w, &due }),
                         RC_OK);
    }
    assert_false(due);
    assert_true(steps > 1 + 1 + 8 + 4);
    assert_int_equal(store_read(w->logs->store, count_old, &old), RC_OK);
    assert_int_equal(old, 0);
    check_many(w, 80, 2);
}

static bool has_one_of(const struct audit_facets *facets, const struct audit_term *term)
{
    for (size_t i = 0; i < facets->count; i++)
        for (size_t k = 0; k < term->count; k++)
            if (facets->at[i].kind == term->of[k].kind &&
                facets->at[i].hash == term->of[k].hash)
                return true;
    return false;
}

static bool has_each_term(const struct audit_record *record, const struct audit_query *query)
{
    struct audit_facets facets;
    struct audit_terms terms;

    audit_facets_of(record, &facets);
    audit_terms_of(query, &terms);
    for (size_t i = 0; i < terms.count; i++)
        if (!has_one_of(&facets, &terms.at[i]))
            return false;
    return true;
}

/* What lacks a term is made unreadable: whoever looks at such a record fails. */
struct damage {
    struct searches *w;
    const struct audit_query *query;
};

static enum rc damage_others(struct store_txn *txn, void *with)
{
    const struct damage *damage = with;
    const size_t whole = damage->w->count - damage->w->count % AUDIT_SPAN;

    for (size_t i = 0; i < whole; i++) {
        struct store_number key = store_key_number(i);
        if (!has_each_term(&damage->w->records[i], damage->query))
            TRY(store_txn_put(txn, AUDIT_ENTRIES, BYTES_OF(key.at), BYTES("damaged")));
    }
    return RC_OK;
}

static void a_mix_looks_at_no_record_that_lacks_a_term(void **state)
{
    static const uint8_t HASH[AUDIT_HASH] = { 3 };
    struct searches *w = *state;
    struct audit_query query = { .device = BYTES("dev-1"),
                                 .decisions = 1u << AUDIT_DENIED,
                                 .actions = audit_action_set_of(AUDIT_PUBLISH),
                                 .most = 10 };
    const struct audit_query lone = { .key = BYTES_OF(HASH), .most = AUDIT_QUERY_MOST };
    const struct damage damage = { w, &query };
    unsigned pages = 0;

    w->logs->log->far_blocks = 4;
    searches_write(w, SEARCHES_RECORDS);
    assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
    assert_int_equal(store_write(w->logs->store, damage_others, (void *)(uintptr_t)&damage),
                     RC_OK);
    struct searches_asked asked = { .w = w, .query = query };
    assert_true(searches_check(&asked, &pages) > 0);
    asked = (struct searches_asked){ .w = w, .query = lone };
    assert_int_equal(store_read(w->logs->store, searches_ask, &asked), RC_CORRUPT);
}

/* ---- Erasing ---- */

struct stripping {
    struct searches *w;
    uint64_t index;
};

static enum rc strip(struct store_txn *txn, void *with)
{
    const struct stripping *stripping = with;
    struct audit_log *log = stripping->w->logs->log;
    struct bytes entry;
    AUTO_BUF(copy, AUDIT_ENTRY_MAX);

    TRY(audit_log_get(log, txn, stripping->index, &entry));
    buf_add(&copy, entry);
    return audit_log_strip(log, txn, stripping->index, buf_bytes(&copy));
}

static void keep_head(struct audit_record *record)
{
    struct audit_record head = { .action = record->action,
                                 .decision = record->decision,
                                 .wall_ms = record->wall_ms,
                                 .source = record->source };

    memcpy(head.correlation, record->correlation, sizeof head.correlation);
    *record = head;
}

/* By what is gone they are found no more, by what is left they are: in blocks, merged or not,
 * and in the last one. */
static void erased_records_are_found_by_their_heads_alone(void **state)
{
    struct searches *w = *state;
    uint64_t dice = 23;

    w->logs->log->far_blocks = 4;
    searches_write(w, SEARCHES_RECORDS - 300);
    assert_int_equal(store_write(w->logs->store, index_some, w), RC_OK);
    for (unsigned i = 0; i < 500; i++) {
        struct stripping stripping = { w, logs_dice(&dice) % w->count };
        struct audit_record *record = &w->records[stripping.index];
        if (record->reason.len == 0)
            continue; /* gone already: each record of ours has a reason */
        if (i == 250)
            assert_int_equal(store_write(w->logs->store, index_all, w), RC_OK);
        assert_int_equal(store_write(w->logs->store, strip, &stripping), RC_OK);
        keep_head(record);
    }
    assert_true(check_many(w, 150, 3) > 50);
}

/* In pieces, and some of them for nothing: with other records at the same places. */
struct piece {
    struct searches_adding adding, after;
    size_t from, to, shift;
    enum rc ends;
};

static enum rc add_piece(struct store_txn *txn, void *with)
{
    struct piece *piece = with;
    struct searches_adding adding = piece->adding;

    for (size_t i = piece->from; i < piece->to; i++)
        TRY(searches_add(&adding, txn, &adding.w->records[i + piece->shift]));
    if (piece->ends != RC_OK)
        return fault(piece->ends, "undone");
    piece->after = adding;
    return RC_OK;
}

static void write_piece(struct searches *w, struct piece *piece, size_t to)
{
    struct piece undone = *piece;

    undone.to = to;
    undone.shift = 7;
    undone.ends = RC_BUSY;
    assert_int_equal(store_write(w->logs->store, add_piece, &undone), RC_BUSY);
    piece->to = to;
    assert_int_equal(store_write(w->logs->store, add_piece, piece), RC_OK);
    piece->from = to;
    piece->adding = piece->after;
}

static void finds_what_was_appended_and_not_what_was_undone(void **state)
{
    struct searches *w = *state;
    struct piece piece = { .adding = { .w = w } };

    searches_fill(w, SEARCHES_RECORDS);
    w->count = 1000;
    for (size_t to = 100; to <= w->count; to += 100) {
        write_piece(w, &piece, to);
        struct stripping stripping = { w, to - 3 }; /* its block is not whole yet */
        assert_int_equal(store_write(w->logs->store, strip, &stripping), RC_OK);
        keep_head(&w->records[to - 3]);
    }
    assert_true(check_many(w, 120, 9) > 50);
}

/* ---- What lies in the logs that there are ---- */

static uint64_t sum_facets(const struct audit_record *record)
{
    struct audit_facets facets;
    uint64_t sum = 0;

    audit_facets_of(record, &facets);
    for (size_t i = 0; i < facets.count; i++)
        sum = (sum ^ facets.at[i].kind ^ (uint64_t)facets.at[i].hash << 8) * 0x100000001b3u;
    return sum;
}

/*
 * The index of every log was made of these. Who means to change them gives the index new levels
 * (index.h), so that it is made anew; then, and only then, the sums below are others.
 */
static void facets_are_those_that_lie_in_logs(void **state)
{
    static const struct {
        const char *peer, *target;
        enum audit_action action;
        uint64_t sum;
    } ROWS[] = {
        { "192.0.2.7:5000", "plant/7/temperature", AUDIT_PUBLISH, 0x1cd14564cce91567u },
        { "[2001:db8::7]:5000", "$share/g/plant/+/a/#", AUDIT_SUBSCRIBE, 0xe5a07e197c3d6927u },
        { "", "$share/g/a/+//b/c/d/e/f/g/h/i", AUDIT_SUBSCRIBE, 0x536fdb68de6bd438u },
        { "192.0.2.7:5000", "dev-9", AUDIT_CERTIFICATE_ISSUE, 0x7c9e8e8d64384274u },
    };
    static const uint8_t HASHES[4][AUDIT_HASH] = { { 1 }, { 2 }, { 3 }, { 4 } };
    (void)state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct audit_record record = {
            .action = ROWS[i].action,
            .decision = AUDIT_DENIED,
            .source = AUDIT_FROM_DEVICE_DOOR,
            .actor_kind = AUDIT_DEVICE,
            .actor = BYTES("dev-1"),
            .device = BYTES("dev-2"),
            .peer = bytes_of_text(ROWS[i].peer),
            .target = bytes_of_text(ROWS[i].target),
            .correlation = { 9 },
            .policy_version = 7,
            .rule = 12,
            .actor_certificate = { .fingerprint = BYTES_OF(HASHES[0]),
                                   .serial = BYTES("serial"),
                                   .issuer = BYTES_OF(HASHES[1]),
                                   .key = BYTES_OF(HASHES[2]) },
            .certificate = { .fingerprint = BYTES_OF(HASHES[3]) },
        };
        assert_int_equal(sum_facets(&record), ROWS[i].sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facets_are_those_that_lie_in_logs),
        cmocka_unit_test_setup_teardown(finds_what_a_look_at_every_record_finds,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(finds_the_same_while_blocks_are_merged_and_after,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(a_log_of_an_earlier_version_gets_its_index_step_by_step,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(a_mix_looks_at_no_record_that_lacks_a_term,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(erased_records_are_found_by_their_heads_alone,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(finds_what_was_appended_and_not_what_was_undone,
                                        searches_set_up, searches_tear_down),
        cmocka_unit_test_setup_teardown(finds_at_every_length_of_the_log, searches_set_up,
                                        searches_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
