#include "tests/unit/registry/world.h"

/* A door: its projection, and how far it has come. */
struct door {
    struct world *world;
    struct registry_projection *projection;
    struct registry_position position;
};

struct paging {
    struct door *door;
    struct buf cursor, next, list;
    struct registry_position position;
    size_t room;
};

static enum rc take_page(struct store_txn *txn, void *with)
{
    struct paging *p = with;

    buf_clear(&p->list);
    p->list = BUF_MAX(p->room);
    buf_reset(&p->next);
    return registry_change_snapshot(txn, buf_bytes(&p->cursor), &p->list, &p->next,
                                    &p->position);
}

static unsigned apply_list(struct door *door, struct bytes list)
{
    struct reader r = READER(list);
    struct registry_change change;
    uint64_t sequence = 0;
    unsigned count = 0;

    for (; registry_answer_next_change(&r, &sequence, &change) == RC_OK; count++)
        assert_int_equal(registry_projection_apply(door->projection, &change), RC_OK);
    assert_true(reader_done(&r));
    return count;
}

/* between() runs after each page: changes go on while a door fills its projection. */
static unsigned take_snapshot(struct door *door, size_t room, void (*between)(struct world *))
{
    struct paging p = { .door = door,
                        .cursor = BUF_MAX(REGISTRY_CURSOR_MAX),
                        .next = BUF_MAX(REGISTRY_CURSOR_MAX),
                        .room = room };
    unsigned pages = 0;

    registry_projection_reset(door->projection);
    do {
        assert_int_equal(store_read(door->world->store, take_page, &p), RC_OK);
        if (pages++ == 0)
            door->position = p.position;
        apply_list(door, buf_bytes(&p.list));
        buf_reset(&p.cursor);
        buf_add(&p.cursor, buf_bytes(&p.next));
        if (between != NULL)
            between(door->world);
    } while (p.next.len > 0);
    buf_clear(&p.cursor);
    buf_clear(&p.next);
    buf_clear(&p.list);
    return pages;
}

struct watching {
    struct door *door;
    struct buf list;
};

static enum rc watch(struct store_txn *txn, void *with)
{
    struct watching *watching = with;

    buf_reset(&watching->list);
    return registry_change_watch(txn, &watching->door->position, &watching->list);
}

static void catch_up(struct door *door, size_t room)
{
    struct watching watching = { door, BUF_MAX(room) };

    do
        assert_int_equal(store_read(door->world->store, watch, &watching), RC_OK);
    while (apply_list(door, buf_bytes(&watching.list)) > 0);
    buf_clear(&watching.list);
}

enum { DEVICES_COUNT = 40, CERTIFICATES = 200 };

/* The projection against the tables, everything one by one. */
static enum rc compare(struct store_txn *txn, void *with)
{
    struct door *door = with;
    unsigned found = 0;

    for (unsigned i = 0; i < DEVICES_COUNT; i++) {
        struct registry_subject subject;
        AUTO_BUF(id, 32);
        buf_addf(&id, "dev-%u", i);
        const struct registry_subject *seen =
            registry_projection_subject(door->projection, REGISTRY_DEVICE, buf_bytes(&id));
        enum rc rc = registry_subject_get(txn, REGISTRY_DEVICE, buf_bytes(&id), &subject);
        assert_int_equal(rc == RC_OK, seen != NULL);
        if (seen != NULL)
            assert_memory_equal(seen, &subject, sizeof subject);
    }
    for (unsigned i = 1; i <= CERTIFICATES; i++) {
        struct registry_certificate sample = sample_certificate((uint8_t)i, "x"), one;
        const struct registry_certificate *seen =
            registry_projection_certificate(door->projection, &sample.fingerprint);
        enum rc rc = registry_certificate_get(txn, &sample.fingerprint, &one);
        assert_int_equal(rc == RC_OK, seen != NULL);
        if (seen != NULL)
            assert_memory_equal(seen, &one, sizeof one);
        found += seen != NULL;
    }
    assert_int_equal(registry_projection_count(door->projection), found);
    struct registry_policy_row policy = { 0 };
    uint64_t version = 0;
    struct registry_text text = registry_projection_policy(door->projection, &version);
    if (registry_policy_get(txn, 0, &policy) == RC_OK)
        assert_true(bytes_equal(text.octets, policy.text.octets));
    assert_int_equal(version, policy.version);
    return RC_OK;
}

static enum rc do_policy(struct store_txn *txn, struct act *act)
{
    const struct registry_policy_new new = { .author = BYTES("root"),
                                             .text = { .octets = act->text },
                                             .why = act->why,
                                             .replaces = act->count };

    return registry_policy_put(txn, &new, act->now_ms, &act->version);
}

/* A random change; most are refused, as they may be. */
static void change_something(struct world *w, unsigned *random, uint64_t *policy)
{
    *random = *random * 1103515245 + 12345;
    unsigned what = (*random >> 8) % 8, number = (*random >> 12) % 100000;
    struct act act = { .run = do_add };
    char id[32] = { 0 };
    AUTO_BUF(name, 32);

    buf_addf(&name, "dev-%u", number % DEVICES_COUNT);
    sample_text(id, buf_bytes(&name));
    if (what < 2) {
        act.subject = sample_device(id);
    } else if (what < 5) {
        act.run = do_register;
        act.certificate = sample_certificate((uint8_t)(1 + number % CERTIFICATES), id);
    } else if (what == 5) {
        act.run = do_revoke;
        act.certificate = sample_certificate((uint8_t)(1 + number % CERTIFICATES), id);
    } else if (what == 6) {
        act = (struct act){ .run = do_become,
                            .id = id,
                            .kind = REGISTRY_DEVICE,
                            .state = (enum registry_state)(2 + number % 3) };
    } else {
        act = (struct act){ .run = do_policy,
                            .count = *policy,
                            .text = BYTES("a policy's text"),
                            .why = BYTES("to see") };
    }
    if (world_do(w, &act) == RC_OK && what == 7)
        *policy = act.version;
}

static int prepare(void **state)
{
    struct door *door = calloc(1, sizeof *door);

    assert_non_null(door);
    assert_int_equal(world_prepare((void **)&door->world), 0);
    assert_int_equal(registry_projection_new(NULL, &door->projection), RC_OK);
    *state = door;
    return 0;
}

static int clean(void **state)
{
    struct door *door = *state;

    registry_projection_free(door->projection);
    world_clean((void **)&door->world);
    free(door);
    return 0;
}

static void following_gives_what_reading_gives(void **state)
{
    struct door *door = *state;
    unsigned random = 4711;
    uint64_t policy = 0;

    take_snapshot(door, REGISTRY_LIST_MAX, NULL);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 20; i++)
            change_something(door->world, &random, &policy);
        catch_up(door, round % 2 == 0 ? REGISTRY_LIST_MAX : 2000);
        assert_int_equal(store_read(door->world->store, compare, door), RC_OK);
    }
    assert_true(registry_projection_count(door->projection) > 20);
    take_snapshot(door, 2500, NULL);
    assert_int_equal(store_read(door->world->store, compare, door), RC_OK);
}

static void change_between(struct world *w)
{
    unsigned random = (unsigned)store_revision(w->store) * 7919;
    uint64_t policy = 0;

    for (unsigned i = 0; i < 10; i++)
        change_something(w, &random, &policy);
}

static void a_snapshot_taken_while_changes_go_on_comes_to_the_same(void **state)
{
    struct door *door = *state;
    unsigned random = 815;
    uint64_t policy = 0;

    for (unsigned i = 0; i < 300; i++)
        change_something(door->world, &random, &policy);
    assert_true(take_snapshot(door, 1000, change_between) > 5);
    catch_up(door, REGISTRY_LIST_MAX);
    assert_int_equal(store_read(door->world->store, compare, door), RC_OK);
}

static enum rc watch_nowhere(struct store_txn *txn, void *with)
{
    struct registry_position position = { .sequence = 0 };
    AUTO_BUF(list, REGISTRY_LIST_MAX);

    (void)with;
    return registry_change_watch(txn, &position, &list);
}

static void a_door_that_is_nowhere_is_sent_for_a_snapshot(void **state)
{
    struct door *door = *state;

    world_add_device(door->world, "dev-1");
    assert_int_equal(store_read(door->world->store, watch_nowhere, NULL), RC_NOT_FOUND);
}

static enum rc bad_cursor(struct store_txn *txn, void *with)
{
    struct registry_position position;
    AUTO_BUF(list, REGISTRY_LIST_MAX);
    AUTO_BUF(next, REGISTRY_CURSOR_MAX);

    return registry_change_snapshot(txn, *(struct bytes *)with, &list, &next, &position);
}

static void a_foreign_cursor_is_refused(void **state)
{
    struct door *door = *state;
    struct bytes cursor = BYTES("\x77key");

    assert_int_equal(store_read(door->world->store, bad_cursor, &cursor), RC_MALFORMED);
}

static void a_doors_own_certificate_stays_in_the_books(void **state)
{
    struct door *door = *state;
    struct act act = { .run = do_register,
                       .certificate = sample_certificate(1, "device-door") };

    act.certificate.kind = REGISTRY_DOOR;
    take_snapshot(door, REGISTRY_LIST_MAX, NULL);
    assert_int_equal(world_do(door->world, &act), RC_OK);
    catch_up(door, REGISTRY_LIST_MAX);
    assert_int_equal(registry_projection_count(door->projection), 0);
    take_snapshot(door, REGISTRY_LIST_MAX, NULL);
    assert_int_equal(registry_projection_count(door->projection), 0);
}

static enum rc do_add_with_certificate(struct store_txn *txn, struct act *act)
{
    TRY(registry_subject_add_active(txn, &act->subject, act->now_ms));
    return registry_certificate_register(txn, &act->certificate, act->now_ms);
}

static void one_added_with_its_certificate_is_let_in(void **state)
{
    struct door *door = *state;
    struct act act = { .run = do_add_with_certificate,
                       .subject = { .kind = REGISTRY_OPERATOR, .role = REGISTRY_AUDITOR },
                       .certificate = sample_certificate(1, "otto") };
    const struct registry_certificate *certificate;
    const struct registry_subject *subject;

    sample_text(act.subject.id, BYTES("otto"));
    act.certificate.kind = REGISTRY_OPERATOR;
    take_snapshot(door, REGISTRY_LIST_MAX, NULL);
    assert_int_equal(world_do(door->world, &act), RC_OK);
    catch_up(door, REGISTRY_LIST_MAX);
    assert_int_equal(registry_projection_judge(door->projection, &act.certificate.fingerprint,
                                               act.certificate.not_before_s, &certificate,
                                               &subject),
                     REGISTRY_ACCEPTED);
}

/* ---- Lists ---- */

struct listing {
    struct registry_question question;
    struct buf list, next;
};

static enum rc list_devices(struct store_txn *txn, void *with)
{
    struct listing *l = with;

    buf_reset(&l->list);
    return registry_list_subjects(txn, REGISTRY_DEVICE, &l->question, &l->list, &l->next);
}

static void lists_come_in_pages_filtered_and_complete(void **state)
{
    struct door *door = *state;
    struct listing l = { .list = BUF_MAX(REGISTRY_LIST_MAX), .next = BUF_MAX(1024) };
    struct registry_subject subject;
    unsigned found = 0, pages = 0;

    for (unsigned i = 0; i < 25; i++) {
        AUTO_BUF(name, 32);
        char id[32] = { 0 };
        buf_addf(&name, "dev-%u", 10 + i);
        sample_text(id, buf_bytes(&name));
        world_add_device(door->world, id);
        if (i % 5 == 0)
            assert_int_equal(world_become(door->world, id, REGISTRY_REVOKED), RC_OK);
    }
    l.question.most = 7;
    l.question.state = REGISTRY_REGISTERED;
    sample_text(l.question.group, BYTES("pumps"));
    AUTO_BUF(cursor, 1024);
    do {
        buf_reset(&l.next);
        l.question.cursor = buf_bytes(&cursor);
        assert_int_equal(store_read(door->world->store, list_devices, &l), RC_OK);
        struct reader r = READER(buf_bytes(&l.list));
        while (registry_answer_next_subject(&r, &subject) == RC_OK) {
            assert_int_equal(subject.state, REGISTRY_REGISTERED);
            found++;
        }
        pages++;
        buf_reset(&cursor);
        buf_add(&cursor, buf_bytes(&l.next));
    } while (l.next.len > 0);
    assert_int_equal(found, 20);
    assert_int_equal(pages, 3);
    sample_text(l.question.group, BYTES("nobody"));
    l.question.cursor = BYTES("");
    assert_int_equal(store_read(door->world->store, list_devices, &l), RC_OK);
    assert_int_equal(l.list.len, 0);
    assert_int_equal(l.next.len, 0);
    buf_clear(&l.list);
    buf_clear(&l.next);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(following_gives_what_reading_gives),
        TEST(a_snapshot_taken_while_changes_go_on_comes_to_the_same),
        TEST(a_door_that_is_nowhere_is_sent_for_a_snapshot),
        TEST(a_foreign_cursor_is_refused),
        TEST(one_added_with_its_certificate_is_let_in),
        TEST(a_doors_own_certificate_stays_in_the_books),
        TEST(lists_come_in_pages_filtered_and_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
