/* Refusals that come often: the first few alone, the rest counted, none lost. */
#include "tests/unit/audit/logs.h"

#include <string.h>

#include "audit/flood.h"

enum { WINDOW = 10000, ALONE = 3, FAULT = 7 };

struct ground {
    struct logs *logs;
    struct audit_flood *flood;
    struct audit_record record;
    unsigned fault;
    bool undo, all, more;
};

static int set_up(void **state)
{
    const struct audit_flood_limits limits = { WINDOW, ALONE };
    struct ground *g = calloc(1, sizeof *g);
    void *logs = NULL;

    logs_set_up(&logs);
    g->logs = logs;
    g->logs->now = 1000000;
    g->fault = FAULT;
    g->record = (struct audit_record){ .action = AUDIT_DEVICE_READ,
                                       .decision = AUDIT_DENIED,
                                       .actor_kind = AUDIT_OPERATOR,
                                       .actor = BYTES("ada"),
                                       .target = BYTES("device dev-1"),
                                       .reason = BYTES("no such right") };
    assert_int_equal(audit_flood_new(g->logs->log, 0, &limits, &g->flood), RC_OK);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct ground *g = *state;
    void *logs = g->logs;

    audit_flood_free(g->flood);
    free(g);
    return logs_tear_down(&logs);
}

static enum rc add(struct store_txn *txn, void *with)
{
    struct ground *g = with;

    TRY(audit_flood_add(g->flood, txn, &g->record, g->fault));
    return g->undo ? fault(RC_CLOSED, "undone by the test") : RC_OK;
}

static void refuse(struct ground *g, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        g->logs->now++;
        g->record.wall_ms = g->logs->now;
        assert_int_equal(store_write(g->logs->store, add, g), g->undo ? RC_CLOSED : RC_OK);
    }
}

static enum rc look_for_rows(struct store_txn *txn, void *with)
{
    return audit_flood_look(((struct ground *)with)->flood, txn);
}

static enum rc flush(struct store_txn *txn, void *with)
{
    struct ground *g = with;

    return audit_flood_flush(g->flood, txn, g->logs->now, g->all, &g->more);
}

/* ---- What the log says ---- */

struct told {
    struct ground *ground;
    uint64_t records, aggregates, acts;
    uint64_t named;                            /* acts of aggregates that name a target */
    struct audit_aggregate_part last, unnamed; /* the latter of one that names none */
    char actor[AUDIT_ID_MAX + 1], reason[AUDIT_REASON_MAX + 1];
};

static enum rc read_all(struct store_txn *txn, void *with)
{
    struct told *told = with;
    struct audit_log *log = told->ground->logs->log;
    AUTO_BUF(room, AUDIT_RECORD_MAX);
    struct audit_record record;
    struct audit_entry entry;
    struct bytes bytes;
    uint64_t size = 0;

    TRY(audit_log_size(log, txn, &size));
    for (uint64_t i = 0; i < size; i++) {
        buf_reset(&room);
        TRY(audit_log_get(log, txn, i, &bytes));
        TRY(audit_leaf_read(bytes, &entry));
        TRY(audit_leaf_record(&entry, &room, &record));
        told->records++;
        told->acts += record.aggregate.count == 0 ? 1 : record.aggregate.count;
        if (record.aggregate.count == 0)
            continue;
        told->aggregates++;
        told->last = record.aggregate;
        if (record.target.len > 0)
            told->named += record.aggregate.count;
        else
            told->unnamed = record.aggregate;
        memcpy(told->actor, record.actor.at, record.actor.len);
        memcpy(told->reason, record.reason.at, record.reason.len);
    }
    return RC_OK;
}

static struct told look(struct ground *g)
{
    struct told told = { .ground = g };

    assert_int_equal(store_read(g->logs->store, read_all, &told), RC_OK);
    return told;
}

/* ---- Tests ---- */

static void the_first_are_told_alone_and_the_rest_counted(void **state)
{
    struct ground *g = *state;

    refuse(g, 50);
    struct told told = look(g);
    assert_int_equal(told.records, ALONE);
    assert_true(audit_flood_is_open(g->flood));

    assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    assert_int_equal(look(g).records, ALONE); /* its window is open */

    g->logs->now += WINDOW;
    assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    assert_false(g->more);
    assert_false(audit_flood_is_open(g->flood));
    told = look(g);
    assert_int_equal(told.records, ALONE + 1);
    assert_int_equal(told.acts, 50);
    assert_int_equal(told.last.first_ms, 1000000 + ALONE + 1);
    assert_int_equal(told.last.last_ms, 1000050);
    assert_int_equal(told.last.targets, 1);
    assert_false(told.last.targets_capped);
    assert_string_equal(told.actor, "ada");
    assert_string_equal(told.reason, "no such right");
}

static void a_window_that_is_over_is_told_by_the_next_refusal(void **state)
{
    struct ground *g = *state;

    refuse(g, ALONE + 4);
    g->logs->now += WINDOW;
    refuse(g, 1);
    struct told told = look(g);
    assert_int_equal(told.records, ALONE + 2); /* the count, and the first of a new window */
    assert_int_equal(told.acts, ALONE + 5);
}

static void who_what_and_which_fault_are_told_apart(void **state)
{
    struct ground *g = *state;

    refuse(g, ALONE);
    g->record.actor = BYTES("otto");
    refuse(g, ALONE);
    g->fault++;
    refuse(g, ALONE);
    g->record.action = AUDIT_OPERATOR_READ;
    refuse(g, ALONE);
    g->record.decision = AUDIT_FAILED;
    refuse(g, ALONE);
    assert_int_equal(look(g).records, 5 * ALONE);
}

static void strangers_are_told_apart_by_address_and_not_by_port(void **state)
{
    struct ground *g = *state;

    g->record.actor_kind = AUDIT_NOBODY;
    g->record.actor = BYTES("");
    g->record.peer = BYTES("192.0.2.1:40000");
    refuse(g, ALONE);
    g->record.peer = BYTES("192.0.2.1:40001");
    refuse(g, 2);
    assert_int_equal(look(g).records, ALONE);
    g->record.peer = BYTES("[2001:db8::1]:40001");
    refuse(g, 2);
    assert_int_equal(look(g).records, ALONE + 2);
}

/* Each has a record of its own, and a count, until they are too many: those are told together,
 * and none of them, nor anybody else, is named for all. */
static void targets_are_told_apart_until_they_are_too_many(void **state)
{
    enum { MANY = 100, EACH = 3, APART = AUDIT_FLOOD_APART - 1 };
    struct ground *g = *state;

    refuse(g, ALONE + 4);
    g->record.correlation[0] = 9;
    for (unsigned i = 0; i < MANY; i++) {
        AUTO_BUF(name, 16);
        buf_addf(&name, "dev-%u", i);
        g->record.device = buf_bytes(&name);
        g->record.target = buf_bytes(&name);
        refuse(g, EACH);
    }
    g->all = true;
    do
        assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    while (g->more);
    struct told told = look(g);
    assert_int_equal(told.acts, ALONE + 4 + MANY * EACH);
    assert_int_equal(told.records, ALONE + 1 + 2 * APART + 1);
    assert_int_equal(told.named, 4 + APART * (EACH - 1));
    assert_int_equal(told.unnamed.count, (MANY - APART) * EACH);
    assert_int_equal(told.unnamed.targets, AUDIT_FLOOD_APART);
    assert_true(told.unnamed.targets_capped);
}

/* A window's rows end with it, and the next one tells all apart anew. */
static void the_next_window_begins_anew(void **state)
{
    struct ground *g = *state;

    for (unsigned window = 0; window < 2; window++) {
        for (unsigned i = 0; i < 2 * AUDIT_FLOOD_APART; i++) {
            AUTO_BUF(name, 16);
            buf_addf(&name, "dev-%u", i);
            g->record.target = buf_bytes(&name);
            refuse(g, 2);
        }
        g->logs->now += WINDOW;
    }
    g->all = true;
    do
        assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    while (g->more);
    struct told told = look(g);
    assert_int_equal(told.acts, 2 * 4 * AUDIT_FLOOD_APART);
    assert_int_equal(told.unnamed.count, 2 * AUDIT_FLOOD_APART);
}

static void what_was_allowed_or_signed_or_cannot_be_many_is_told_alone(void **state)
{
    struct ground *g = *state;
    static const uint8_t SERIAL[] = { 1, 2, 3 };

    g->record.decision = AUDIT_ALLOWED;
    refuse(g, 9);
    g->record.decision = AUDIT_DENIED;
    g->record.action = AUDIT_CERTIFICATE_ISSUE;
    g->record.certificate.serial = BYTES_OF(SERIAL);
    refuse(g, 9);
    g->record.certificate.serial = BYTES("");
    g->record.action = AUDIT_LOG_SPOOL;
    refuse(g, 9);
    assert_int_equal(look(g).records, 27);
}

static void what_is_undone_was_not_counted(void **state)
{
    struct ground *g = *state;

    refuse(g, ALONE + 2);
    g->undo = true;
    refuse(g, 20);
    g->undo = false;
    g->all = true;
    assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    assert_int_equal(look(g).acts, ALONE + 2);
}

/* As after a kill: nothing of this life's memory is left. */
static void another_life_tells_what_was_counted(void **state)
{
    const struct audit_flood_limits limits = { WINDOW, ALONE };
    struct ground *g = *state;

    for (unsigned i = 0; i < 70; i++) {
        AUTO_BUF(name, 16);
        buf_addf(&name, "op-%u", i);
        g->record.actor = buf_bytes(&name);
        refuse(g, ALONE + 2);
    }
    audit_flood_free(g->flood);
    assert_int_equal(audit_flood_new(g->logs->log, 0, &limits, &g->flood), RC_OK);
    assert_false(audit_flood_is_open(g->flood));
    assert_int_equal(store_read(g->logs->store, look_for_rows, g), RC_OK);
    assert_true(audit_flood_is_open(g->flood));
    g->logs->now += WINDOW;
    do
        assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    while (g->more);
    struct told told = look(g);
    assert_int_equal(told.aggregates, 70);
    assert_int_equal(told.acts, 70 * (ALONE + 2));
}

/* A clock that stepped back ends the window rather than keep it open for as long. */
static void a_clock_that_steps_back_ends_a_window(void **state)
{
    struct ground *g = *state;

    refuse(g, ALONE + 5);
    g->logs->now -= 3600000;
    assert_int_equal(store_write(g->logs->store, flush, g), RC_OK);
    struct told told = look(g);
    assert_int_equal(told.acts, ALONE + 5);
    assert_true(told.last.last_ms >= told.last.first_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(the_first_are_told_alone_and_the_rest_counted),
        TEST(a_window_that_is_over_is_told_by_the_next_refusal),
        TEST(who_what_and_which_fault_are_told_apart),
        TEST(strangers_are_told_apart_by_address_and_not_by_port),
        TEST(targets_are_told_apart_until_they_are_too_many),
        TEST(the_next_window_begins_anew),
        TEST(what_was_allowed_or_signed_or_cannot_be_many_is_told_alone),
        TEST(what_is_undone_was_not_counted),
        TEST(another_life_tells_what_was_counted),
        TEST(a_clock_that_steps_back_ends_a_window),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
