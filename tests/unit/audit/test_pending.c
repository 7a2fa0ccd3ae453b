#include "tests/unit/audit/logs.h"

#include "audit/pending.h"
#include "audit/spool.h"
#include "base/file.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MIB = 1024 * 1024, ROUNDS = 60, TARGETS = 14 };
static const char BOOT[] = "00000000-0000-4000-8000-000000000001";
static const char OTHER_BOOT[] = "00000000-0000-4000-8000-000000000002";

/* What the spool told so far; it forgets what was acknowledged by that. */
struct held {
    uint64_t acts, singles, last_single, sequence;
    bool disorder;
};

struct door {
    char path[32];
    int dir;
    struct clock clock;
    struct audit_spool *spool;
    struct audit_pending *pending;
    struct audit_pending_found found;
    struct held held;
};

static int set_up(void **state)
{
    struct door *g = calloc(1, sizeof *g);

    assert_non_null(g);
    g->clock = clock_system();
    logs_folder(g->path, &g->dir);
    *state = g;
    return 0;
}

static int tear_down(void **state)
{
    struct door *g = *state;

    logs_folder_remove(g->path, g->dir);
    free(g);
    return 0;
}

static enum rc try_to_begin(struct door *g, const char *boot, size_t bytes_most)
{
    const struct journal_limits limits = { 64 * 1024, 64 * MIB };

    assert_int_equal(audit_spool_open(g->dir, &limits, &g->clock, &g->spool), RC_OK);
    const struct audit_pending_setup setup = { .dir = g->dir,
                                               .spool = audit_spool_id(g->spool),
                                               .last = audit_spool_sequence(g->spool),
                                               .bytes_most = bytes_most,
                                               .boot = bytes_of_text(boot) };
    return audit_pending_open(&setup, &g->pending, &g->found);
}

static void begin(struct door *g)
{
    assert_int_equal(try_to_begin(g, BOOT, 16 * MIB), RC_OK);
}

static void end(struct door *g)
{
    audit_pending_close(TAKE(g->pending));
    audit_spool_close(TAKE(g->spool));
}

static struct audit_record numbered(uint64_t number)
{
    return (struct audit_record){ .action = AUDIT_PUBLISH,
                                  .decision = AUDIT_DENIED,
                                  .wall_ms = (int64_t)number };
}

static void spool_it(struct door *g, struct audit_slot *slot)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct audit_record record;

    assert_int_equal(audit_slot_read(slot, &room, &record), RC_OK);
    assert_int_equal(audit_spool_add(g->spool, &record), RC_OK);
    audit_slot_promise(slot, audit_spool_pending(g->spool));
}

/* As a life begins: what the former left goes out first. */
static void recover(struct door *g)
{
    struct audit_slot *slots[4096];
    size_t count = 0;

    while ((slots[count] = audit_pending_recovered(g->pending)) != NULL)
        spool_it(g, slots[count++]);
    assert_int_equal(count, g->found.recovered);
    assert_int_equal(audit_spool_commit(g->spool), RC_OK);
    while (count > 0)
        audit_pending_release(g->pending, slots[--count]);
}

static struct held read_spool(struct door *g)
{
    struct held *held = &g->held;

    for (;;) {
        AUTO_BUF(bytes, 64 * 1024);
        struct audit_batch batch;
        struct audit_record record;
        struct bytes one;
        uint64_t before = held->sequence;
        assert_int_equal(audit_spool_read(g->spool, before, 64 * 1024, &bytes), RC_OK);
        assert_int_equal(audit_batch_read(buf_bytes(&bytes), &batch), RC_OK);
        while (audit_batch_next(&batch, &held->sequence, &one) == RC_OK) {
            uint64_t number;
            assert_int_equal(audit_record_read(one, &record), RC_OK);
            number = (uint64_t)record.wall_ms;
            held->acts += record.aggregate.count;
            if (record.aggregate.count > 0)
                continue;
            held->disorder = held->disorder || number != held->last_single + 1;
            held->last_single = number;
            held->singles++;
        }
        if (held->sequence == before)
            return *held;
    }
}

/* ---- kill -9 ---- */

struct said {
    uint64_t acts, singles;
};

/* A door in small: acts are counted, or recorded, and then acknowledged; now and then windows
 * end and go into the spool. Until killed. */
static void act_until_killed(struct door *g, int tell, struct said said, uint64_t dice)
{
    struct audit_slot *windows[4] = { NULL }, *sent[64];
    size_t count = 0;

    begin(g);
    recover(g);
    for (;;) {
        uint64_t throw = logs_dice(&dice) % 40;
        if (throw < 30) {
            struct audit_slot **window = &windows[throw % 4];
            struct audit_record record = numbered(1);
            record.decision = AUDIT_ALLOWED;
            if (*window == NULL &&
                audit_pending_begin(g->pending, &record, TARGETS, window) != RC_OK)
                _exit(1);
            audit_slot_count(*window, 1, throw, BYTES("t"));
            said.acts++;
        } else if (throw < 34) {
            struct audit_record record = numbered(said.singles + 1);
            if (audit_pending_add(g->pending, &record, &sent[count]) != RC_OK)
                _exit(1);
            count++;
            said.singles++;
        } else if (throw < 38 && windows[throw % 4] != NULL) {
            audit_pending_end(g->pending, windows[throw % 4]);
            sent[count++] = TAKE(windows[throw % 4]);
        }
        if (write(tell, &said, sizeof said) != sizeof said)
            _exit(1);
        if (throw < 38 && count < 48)
            continue;
        for (size_t i = 0; i < count; i++)
            spool_it(g, sent[i]);
        if (audit_spool_commit(g->spool) != RC_OK)
            _exit(1);
        while (count > 0)
            audit_pending_release(g->pending, sent[--count]);
    }
}

/* What was acknowledged is told, once; of what was not, at most the act that was under way. */
static void no_kill_loses_or_doubles_what_was_acknowledged(void **state)
{
    struct door *g = *state;
    struct said said = { 0 };
    uint64_t dice = 7, recovered = 0, durable = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            act_until_killed(g, ends[1], said, dice + round);
        close(ends[1]);
        for (uint64_t i = 1 + logs_dice(&dice) % 400; i > 0; i--)
            assert_int_equal(read(ends[0], &said, sizeof said), sizeof said);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(ends[0], &said, sizeof said) == sizeof said)
            continue;
        close(ends[0]);
        begin(g);
        assert_true(g->found.killed);
        assert_int_equal(g->found.lost, 0);
        recovered += g->found.recovered;
        durable += g->found.durable;
        recover(g);
        const struct held held = read_spool(g);
        assert_in_range(held.acts, said.acts, said.acts + 1);
        assert_in_range(held.singles, said.singles, said.singles + 1);
        assert_false(held.disorder);
        said = (struct said){ held.acts, held.singles };
        assert_int_equal(audit_pending_used(g->pending), 0);
        end(g);
    }
    assert_true(recovered > 0);
    print_message("%d kills: %llu acts, %llu records; %llu recovered, %llu found durable\n",
                  ROUNDS, (unsigned long long)said.acts, (unsigned long long)said.singles,
                  (unsigned long long)recovered, (unsigned long long)durable);
}

/* Each moment between a slot and the spool, by hand: the commit tells. */
static void what_the_commit_reached_is_not_sent_again(void **state)
{
    struct door *g = *state;
    struct audit_record record = numbered(1);
    struct audit_slot *slot;

    for (unsigned moment = 0; moment < 3; moment++) {
        pid_t child = fork();
        if (child == 0) {
            begin(g);
            if (audit_pending_add(g->pending, &record, &slot) != RC_OK)
                _exit(1);
            if (moment > 0)
                spool_it(g, slot);
            if (moment > 1 && audit_spool_commit(g->spool) != RC_OK)
                _exit(1);
            raise(SIGKILL);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        begin(g);
        assert_true(g->found.killed);
        assert_int_equal(g->found.durable, moment == 2);
        assert_int_equal(g->found.recovered, moment < 2);
        recover(g);
        assert_int_equal(read_spool(g).singles, moment + 1);
        end(g);
    }
}

/* ---- Limits, and other boots ---- */

static void what_is_left_at_the_end_is_there_at_the_next_beginning(void **state)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct door *g = *state;
    struct audit_slot *slot, *window;
    struct audit_record record = numbered(1);

    begin(g);
    assert_false(g->found.killed);
    assert_int_equal(audit_pending_add(g->pending, &record, &slot), RC_OK);
    record.decision = AUDIT_ALLOWED;
    assert_int_equal(audit_pending_begin(g->pending, &record, TARGETS, &window), RC_OK);
    assert_int_equal(audit_pending_begin(g->pending, &record, AUDIT_PENDING_TARGETS, &slot),
                     RC_OK);
    for (uint64_t i = 0; i < 100; i++)
        audit_slot_count(window, 100 - (int64_t)i, 1 + i, BYTES("t"));
    end(g);
    begin(g);
    assert_false(g->found.killed);
    assert_int_equal(g->found.recovered, 2); /* nothing was counted in the third */
    assert_non_null(audit_pending_recovered(g->pending));
    window = audit_pending_recovered(g->pending);
    assert_int_equal(audit_slot_read(window, &room, &record), RC_OK);
    assert_int_equal(record.aggregate.count, 100);
    assert_int_equal(record.aggregate.targets, TARGETS);
    assert_true(bytes_equal_text(record.target, "#")); /* the first had none */
    assert_true(record.aggregate.targets_capped);
    assert_int_equal(record.aggregate.first_ms, 1);
    assert_int_equal(record.aggregate.last_ms, 100);
    assert_null(audit_pending_recovered(g->pending));
    end(g);
}

static void what_was_counted_elsewhere_is_added_to_a_window(void **state)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct door *g = *state;
    struct audit_slot *window;
    struct audit_record record = numbered(1);

    begin(g);
    assert_int_equal(audit_pending_begin(g->pending, &record, TARGETS, &window), RC_OK);
    audit_slot_count_more(window, 5, 0);
    audit_slot_count(window, 5, 7, BYTES("t"));
    assert_int_equal(audit_slot_read(window, &room, &record), RC_OK);
    assert_int_equal(record.aggregate.count, 1);
    assert_false(record.aggregate.targets_capped);
    audit_slot_count_more(window, 1000, 100);
    end(g);
    begin(g);
    window = audit_pending_recovered(g->pending);
    assert_non_null(window);
    assert_int_equal(audit_slot_read(window, &room, &record), RC_OK);
    assert_int_equal(record.aggregate.count, 101);
    assert_int_equal(record.aggregate.targets, 1);
    assert_true(record.aggregate.targets_capped);
    assert_int_equal(record.aggregate.last_ms, 1000);
    end(g);
}

/* Topics of one window: the record has their pattern, also if a kill came between. */
static void a_window_of_several_topics_tells_their_pattern(void **state)
{
    static const char *const TOPICS[] = { "plant/7/valve", "plant/7/valve", "plant/8/valve",
                                          "plant/8/valve" };
    struct door *g = *state;
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct audit_record record = numbered(1);

    for (size_t topics = 1; topics <= 4; topics++) {
        pid_t child = fork();
        if (child == 0) {
            struct audit_slot *window;
            begin(g);
            record.target = bytes_of_text(TOPICS[0]);
            if (audit_pending_begin(g->pending, &record, TARGETS, &window) != RC_OK)
                _exit(1);
            for (size_t i = 0; i < topics; i++)
                audit_slot_count(window, 1, 1 + i / 2, bytes_of_text(TOPICS[i]));
            raise(SIGKILL);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        begin(g);
        struct audit_slot *found = audit_pending_recovered(g->pending);
        assert_non_null(found);
        assert_int_equal(audit_slot_read(found, &room, &record), RC_OK);
        assert_int_equal(record.aggregate.targets, topics <= 2 ? 1 : 2);
        assert_true(
            bytes_equal_text(record.target, topics <= 2 ? "plant/7/valve" : "plant/+/valve"));
        audit_pending_release(g->pending, found);
        end(g);
    }
}

static bool is_in_file(struct door *g, const char *text)
{
    AUTO_BUF(bytes, MIB);

    assert_int_equal(file_read(g->dir, "pending", &bytes), RC_OK);
    return memmem(bytes.at, bytes.len, text, strlen(text)) != NULL;
}

/* By its release, or by the next life if a kill came between. */
static void what_is_released_is_not_in_the_file(void **state)
{
    struct door *g = *state;
    struct audit_record record = numbered(1);
    struct audit_slot *slot;

    record.target = BYTES("plant/seven/valve");
    begin(g);
    assert_int_equal(audit_pending_add(g->pending, &record, &slot), RC_OK);
    assert_true(is_in_file(g, "plant/seven/valve"));
    spool_it(g, slot);
    assert_int_equal(audit_spool_commit(g->spool), RC_OK);
    audit_pending_release(g->pending, slot);
    assert_false(is_in_file(g, "plant/seven/valve"));

    assert_int_equal(audit_pending_add(g->pending, &record, &slot), RC_OK);
    spool_it(g, slot);
    assert_int_equal(audit_spool_commit(g->spool), RC_OK);
    end(g); /* durable, and not released */
    assert_true(is_in_file(g, "plant/seven/valve"));
    begin(g);
    assert_int_equal(g->found.durable, 1);
    assert_false(is_in_file(g, "plant/seven/valve"));
    end(g);
}

static void another_boot_is_lost_and_told(void **state)
{
    struct door *g = *state;
    struct audit_slot *slot;
    struct audit_record record = numbered(1);

    begin(g);
    assert_int_equal(audit_pending_add(g->pending, &record, &slot), RC_OK);
    end(g);
    assert_int_equal(try_to_begin(g, OTHER_BOOT, 16 * MIB), RC_OK);
    assert_int_equal(g->found.recovered, 0);
    assert_int_equal(g->found.lost, 1);
    end(g);
    begin(g);
    assert_int_equal(g->found.lost, 0);
    end(g);
    assert_int_equal(try_to_begin(g, "", 16 * MIB), RC_OK); /* the machine's own */
    end(g);
}

static void there_is_an_end_to_it_and_every_record_fits(void **state)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct door *g = *state;
    char topic[AUDIT_TARGET_MAX];
    struct audit_record record = numbered(1);
    struct audit_slot *slots[512], *more;
    size_t count = 0;

    memset(topic, 't', sizeof topic);
    record.target = BYTES_OF(topic);
    assert_int_equal(try_to_begin(g, BOOT, 4096 + 3 * 64 * 1024), RC_OK);
    while (audit_pending_add(g->pending, &record, &slots[count]) == RC_OK)
        assert_int_equal(audit_pending_is_crowded(g->pending), ++count > 3 * 16 / 2);
    assert_int_equal(count, 3 * 16);
    record.target = BYTES("");
    assert_int_equal(audit_pending_add(g->pending, &record, &more), RC_LIMIT);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(audit_slot_read(slots[i], &room, &record), RC_OK);
        assert_int_equal(record.target.len, sizeof topic);
        audit_pending_release(g->pending, slots[i]);
    }
    assert_int_equal(audit_pending_used(g->pending), 0);
    assert_false(audit_pending_is_crowded(g->pending));
    end(g);
}

/* Whatever stands in the file: an answer, and never a record that is none. */
static void damage_is_lost_and_never_sent(void **state)
{
    AUTO_BUF(room, AUDIT_TARGET_MAX);
    struct door *g = *state;
    struct audit_record record = numbered(1);
    struct audit_slot *slot;
    uint64_t dice = 3, lost = 0;

    begin(g);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(audit_pending_add(g->pending, &record, &slot), RC_OK);
    end(g);
    int fd = openat(g->dir, "pending", O_RDWR | O_CLOEXEC);
    for (unsigned round = 0; round < 400; round++) {
        uint8_t octet = (uint8_t)logs_dice(&dice);
        off_t at = (off_t)(100 + logs_dice(&dice) % (4096 + 40 * 1024 - 100));
        assert_int_equal(pwrite(fd, &octet, 1, at), 1);
        assert_int_equal(try_to_begin(g, BOOT, 16 * MIB), RC_OK);
        lost += g->found.lost;
        while ((slot = audit_pending_recovered(g->pending)) != NULL)
            assert_int_equal(audit_slot_read(slot, &room, &record), RC_OK);
        end(g);
    }
    assert_true(lost > 0);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_int_equal(try_to_begin(g, BOOT, 16 * MIB), RC_CORRUPT);
    audit_spool_close(TAKE(g->spool));
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_kill_loses_or_doubles_what_was_acknowledged),
        TEST(what_the_commit_reached_is_not_sent_again),
        TEST(what_is_left_at_the_end_is_there_at_the_next_beginning),
        TEST(what_was_counted_elsewhere_is_added_to_a_window),
        TEST(a_window_of_several_topics_tells_their_pattern),
        TEST(what_is_released_is_not_in_the_file),
        TEST(another_boot_is_lost_and_told),
        TEST(there_is_an_end_to_it_and_every_record_fits),
        TEST(damage_is_lost_and_never_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
