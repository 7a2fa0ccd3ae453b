/* Erasing, holding and retention as operators and the settings ask for them. */
#include "tests/unit/daemon/authority_world.h"

#include "audit/erasure.h"
#include "audit/hold.h"

enum { TRIES = 3000 };

/* ---- Asking ---- */

static enum rc erase_as(struct world *w, uint8_t actor, enum registry_kind kind, const char *id,
                        const char *reason)
{
    AUTO_BUF(asked, 1024);
    AUTO_TOLD(told);

    buf_add_u8(&asked, (uint8_t)kind);
    buf_add_sized16(&asked, bytes_of_text(id));
    buf_add_sized16(&asked, bytes_of_text(reason));
    struct registry_question q = { .query = buf_bytes(&asked) };
    return ask_as(w, REGISTRY_OPERATOR_DOOR, actor, REGISTRY_ASK_AUDIT_ERASE, &q, &told.answer,
                  &told.reply);
}

static enum rc erase(struct world *w, const char *device)
{
    return erase_as(w, ADMIN, REGISTRY_DEVICE, device, "asked by its owner");
}

static enum rc hold_as(struct world *w, uint8_t actor, const struct audit_hold *hold,
                       uint64_t *number)
{
    AUTO_BUF(asked, 1024);
    AUTO_TOLD(told);

    buf_add_u8(&asked, AUDIT_HOLD_ADD);
    audit_hold_write(hold, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    TRY(ask_as(w, REGISTRY_OPERATOR_DOOR, actor, REGISTRY_ASK_AUDIT_HOLD, &q, &told.answer,
               &told.reply));
    *number = told.answer.sequence;
    return RC_OK;
}

static enum rc release(struct world *w, uint64_t number, const char *reason)
{
    AUTO_BUF(asked, 1024);
    AUTO_TOLD(told);

    buf_add_u8(&asked, AUDIT_HOLD_REMOVE);
    buf_add_u64(&asked, number);
    buf_add_sized16(&asked, bytes_of_text(reason));
    struct registry_question q = { .query = buf_bytes(&asked) };
    return admin(w, REGISTRY_ASK_AUDIT_HOLD, q, &told);
}

/* How many holds, and how many erasures under way. */
static void count_held(struct world *w, uint8_t actor, unsigned *holds, unsigned *erasures)
{
    struct registry_question q = { 0 };
    struct audit_hold hold;
    struct audit_erasure erasure;
    AUTO_TOLD(told);

    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, actor, REGISTRY_ASK_AUDIT_HOLD_LIST, &q,
                            &told.answer, &told.reply),
                     RC_OK);
    struct reader r = READER(told.answer.query);
    *holds = reader_u16(&r);
    for (unsigned i = 0; i < *holds; i++) {
        assert_true(reader_u64(&r) > 0);
        assert_int_equal(audit_hold_read(&r, &hold), RC_OK);
        assert_true(bytes_equal_text(hold.by, "first"));
    }
    for (*erasures = 0; r.left.len > 0; *erasures += 1) {
        assert_int_equal(audit_erasure_read(&r, &erasure), RC_OK);
    }
    assert_true(reader_done(&r));
}

static void become(struct world *w, const char *id, enum registry_state state)
{
    struct registry_question q = { .state = state };
    AUTO_TOLD(told);

    set_id(&q, id);
    assert_int_equal(admin(w, REGISTRY_ASK_DEVICE_STATE, q, &told), RC_OK);
}

/* Records of a device, as a search by it finds them; the last one's reason. */
struct life {
    unsigned records, erased, stays;
    char reason[AUDIT_REASON_MAX + 1];
};

static bool look_at_page(struct world *w, struct audit_query *query, struct life *life)
{
    struct audit_page page;
    struct audit_entry entry;
    struct audit_hit hit;
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_TOLD(told);

    audit_query_write(query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(admin(w, REGISTRY_ASK_AUDIT_LIST, q, &told), RC_OK);
    assert_int_equal(audit_page_read(told.answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK) {
        assert_int_equal(audit_leaf_read(hit.entry, &entry), RC_OK);
        life->erased += entry.erased;
        life->stays +=
            hit.record->action == AUDIT_LOG_ERASE || hit.record->action == AUDIT_LOG_HOLD;
        if (life->records++ == 0 && hit.record->reason.len > 0)
            memcpy(life->reason, hit.record->reason.at, hit.record->reason.len);
    }
    query->before = page.next;
    audit_page_clear(&page);
    return page.more;
}

static void look_at(struct world *w, const struct audit_query *query, struct life *life)
{
    struct audit_query page = *query;

    *life = (struct life){ 0 };
    while (look_at_page(w, &page, life))
        ;
}

static void look_at_device(struct world *w, const char *id, struct life *life)
{
    look_at(w, &(const struct audit_query){ .device = bytes_of_text(id), .most = 500 }, life);
}

static void push_records(struct world *w, const char *device, unsigned count, int64_t wall_ms,
                         uint8_t spool)
{
    static const uint8_t REST[AUDIT_SPOOL_ID - 1];
    struct audit_record record = { .action = AUDIT_PUBLISH,
                                   .decision = AUDIT_DENIED,
                                   .wall_ms = wall_ms,
                                   .correlation = { 7 },
                                   .actor_kind = AUDIT_DEVICE,
                                   .actor = bytes_of_text(device),
                                   .target = BYTES("home/bedroom") };
    AUTO_BUF(batch, REGISTRY_BATCH_MAX);
    AUTO_TOLD(told);

    buf_add_u8(&batch, spool);
    buf_add(&batch, BYTES_OF(REST));
    buf_add_u64(&batch, 1);
    for (unsigned i = 0; i < count; i++) {
        AUTO_BUF(bytes, AUDIT_RECORD_MAX);
        assert_int_equal(audit_record_write(&record, &bytes), RC_OK);
        buf_add_sized16(&batch, buf_bytes(&bytes));
    }
    struct registry_question q = { .query = buf_bytes(&batch) };
    assert_int_equal(
        ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_SPOOL, &q, &told.answer, &told.reply),
        RC_OK);
}

static void wait_until_erased(struct world *w)
{
    unsigned holds = 0, erasures = 1;

    for (int tries = 0; erasures > 0 && tries < TRIES; tries++) {
        count_held(w, ADMIN, &holds, &erasures);
        if (erasures > 0)
            usleep(20000);
    }
    assert_int_equal(erasures, 0);
}

/* ---- Claims ---- */

static void a_device_is_erased_and_begins_anew(void **state)
{
    struct world *w = *state;
    struct life life;

    add_device(w, "dev-1");
    add_device(w, "dev-2");
    push_records(w, "dev-1", 400, TBS_NOW_S * 1000, 1);
    push_records(w, "dev-2", 100, TBS_NOW_S * 1000, 2);
    assert_int_equal(erase(w, "dev-1"), RC_OK);
    /* At once, whatever the walk has still to do. */
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, life.stays + 1);
    wait_until_erased(w);
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 3); /* and who added it */
    assert_int_equal(life.stays, 2);
    assert_string_equal(life.reason, "done: 400 records");
    look_at_device(w, "dev-2", &life);
    assert_int_equal(life.records, 101);
    look_at(w,
            &(const struct audit_query){ .actions = audit_action_set_of(AUDIT_PUBLISH),
                                         .most = 1000 },
            &life);
    assert_int_equal(life.records, 500);
    assert_int_equal(life.erased, 400);

    push_records(w, "dev-1", 3, TBS_NOW_S * 1000, 3);
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 6);
    assert_int_equal(erase(w, "dev-1"), RC_OK);
    wait_until_erased(w);
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 5);
}

static void an_erasure_goes_on_in_the_next_life(void **state)
{
    struct world *w = *state;
    struct life life;

    for (uint8_t spool = 1; spool <= 3; spool++)
        push_records(w, "dev-1", 400, TBS_NOW_S * 1000, spool);
    assert_int_equal(erase(w, "dev-1"), RC_OK);
    stop(w);
    start(w);
    wait_until_erased(w);
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 2);
    assert_string_equal(life.reason, "done: 1200 records");
}

static void activate(struct world *w, const char *device)
{
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    add_device(w, device);
    new_token(w, device, &token);
    assert_int_equal(enrol(w, &w->device, &token, &told), RC_OK);
}

static void an_active_device_is_not_erased(void **state)
{
    struct world *w = *state;

    activate(w, "dev-1");
    assert_int_equal(erase(w, "dev-1"), RC_DENIED);
    assert_non_null(strstr(fault_text(), "suspend or revoke it first"));
    assert_int_equal(count_audit(w, AUDIT_LOG_ERASE, AUDIT_DENIED), 1);
    become(w, "dev-1", REGISTRY_SUSPENDED);
    assert_int_equal(erase(w, "dev-1"), RC_OK);
    wait_until_erased(w);
}

static void only_administrators_erase_and_never_themselves(void **state)
{
    struct world *w = *state;
    uint64_t number = 0;
    unsigned holds = 0, erasures = 0;
    const struct audit_hold all = { .reason = BYTES("case 4711") };

    add_device(w, "dev-1");
    assert_int_equal(erase_as(w, AUDITOR, REGISTRY_DEVICE, "dev-1", "why"), RC_DENIED);
    assert_int_equal(erase_as(w, STRANGER, REGISTRY_DEVICE, "dev-1", "why"), RC_DENIED);
    assert_int_equal(hold_as(w, AUDITOR, &all, &number), RC_DENIED);
    count_held(w, AUDITOR, &holds, &erasures);
    assert_int_equal(holds + erasures, 0);
    assert_int_equal(erase_as(w, ADMIN, REGISTRY_OPERATOR, "first", "why"), RC_DENIED);
    assert_non_null(strstr(fault_text(), "nobody erases his own traces"));
    assert_int_equal(erase_as(w, ADMIN, REGISTRY_OPERATOR, "looker", "why"), RC_DENIED);
    assert_non_null(strstr(fault_text(), "is not erased by one alone"));
    assert_int_equal(erase(w, "dev-9"), RC_NOT_FOUND);
    assert_int_equal(erase_as(w, ADMIN, REGISTRY_DEVICE, "dev-1", ""), RC_MALFORMED);
    assert_int_equal(erase_as(w, ADMIN, REGISTRY_DEVICE, "dev/1", "why"), RC_MALFORMED);
    assert_int_equal(erase_as(w, ADMIN, (enum registry_kind)4, "dev-1", "why"), RC_MALFORMED);
}

static void a_hold_prevents_until_it_is_removed(void **state)
{
    struct world *w = *state;
    const struct audit_hold hold = { .kind = AUDIT_DEVICE,
                                     .id = BYTES("dev-1"),
                                     .reason = BYTES("case 4711") };
    uint64_t number = 0, other = 0;
    unsigned holds = 0, erasures = 0;
    struct life life;

    push_records(w, "dev-1", 20, TBS_NOW_S * 1000, 1);
    push_records(w, "dev-2", 20, TBS_NOW_S * 1000, 2);
    assert_int_equal(hold_as(w, ADMIN, &hold, &number), RC_OK);
    count_held(w, AUDITOR, &holds, &erasures);
    assert_int_equal(holds, 1);
    assert_int_equal(erase(w, "dev-1"), RC_DENIED);
    assert_non_null(strstr(fault_text(), "case 4711"));
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 20 + 2);
    assert_int_equal(erase(w, "dev-2"), RC_OK);
    wait_until_erased(w);
    assert_int_equal(release(w, number + 7, "over"), RC_NOT_FOUND);
    assert_int_equal(release(w, number, ""), RC_MALFORMED);
    assert_int_equal(release(w, number, "over"), RC_OK);
    assert_int_equal(erase(w, "dev-1"), RC_OK);
    wait_until_erased(w);
    assert_int_equal(hold_as(w, ADMIN, &hold, &other), RC_OK);
    assert_int_equal(other, number + 1);
    look_at(w,
            &(const struct audit_query){ .actions = audit_action_set_of(AUDIT_LOG_HOLD),
                                         .most = 10 },
            &life);
    assert_int_equal(life.records, 5);
    assert_string_equal(life.reason, "added: case 4711");
}

static enum rc add_years(struct store_txn *txn, void *with)
{
    const struct daemon_authority_book *book = with;
    const int64_t now = (int64_t)TBS_NOW_S * 1000, day = 86400000;
    struct audit_record record = { .action = AUDIT_PUBLISH,
                                   .decision = AUDIT_DENIED,
                                   .correlation = { 7 },
                                   .actor_kind = AUDIT_DEVICE,
                                   .actor = BYTES("dev-1") };

    for (unsigned i = 0; i < 351; i++) {
        record.wall_ms = i < 300 ? now - 40 * day : i < 350 ? now - 20 * day : now;
        TRY(audit_log_append(book->log, txn, &record, NULL));
    }
    return RC_OK;
}

/* A log with a past, before the authority sees it. */
static int prepare_old(void **state)
{
    struct world *w = make_world();
    struct store *store = open_store(w);
    struct daemon_authority_book book;

    assert_int_equal(daemon_authority_book_open(&book, &w->signing.clock), RC_OK);
    assert_int_equal(daemon_authority_book_unlock(&book, w->scratch.dir, store), RC_OK);
    assert_int_equal(store_write(store, add_years, &book), RC_OK);
    daemon_authority_book_close(&book);
    store_close(store);
    w->retention = 30;
    start(w);
    *state = w;
    return 0;
}

static void old_bodies_are_pruned_by_setting(void **state)
{
    struct world *w = *state;
    struct life life = { 0 };

    for (int tries = 0; life.erased < 300 && tries < TRIES; tries++) {
        look_at(w,
                &(const struct audit_query){ .actions = audit_action_set_of(AUDIT_PUBLISH),
                                             .most = 1000 },
                &life);
        usleep(20000);
    }
    assert_int_equal(life.records, 351);
    assert_int_equal(life.erased, 300);
    look_at_device(w, "dev-1", &life);
    assert_int_equal(life.records, 51);
    look_at(w,
            &(const struct audit_query){ .actions = audit_action_set_of(AUDIT_LOG_PRUNE),
                                         .target = BYTES("authority.audit_retention"),
                                         .most = 10 },
            &life);
    assert_int_equal(life.records, 1);
    for (int tries = 0; life.records < 2 && tries < TRIES; tries++) {
        look_at(w,
                &(const struct audit_query){ .actions = audit_action_set_of(AUDIT_LOG_PRUNE),
                                             .most = 10 },
                &life);
        usleep(20000);
    }
    assert_true(life.records >= 2); /* more than one, if a checkpoint came in between */
    assert_non_null(strstr(life.reason, " records"));
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(a_device_is_erased_and_begins_anew),
        IN_A_WORLD(an_erasure_goes_on_in_the_next_life),
        IN_A_WORLD(an_active_device_is_not_erased),
        IN_A_WORLD(only_administrators_erase_and_never_themselves),
        IN_A_WORLD(a_hold_prevents_until_it_is_removed),
        cmocka_unit_test_setup_teardown(old_bodies_are_pruned_by_setting, prepare_old, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
