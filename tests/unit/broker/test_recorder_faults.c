/* threaded */
/* wraps: pwrite fdatasync fsync ftruncate */
#include "tests/support/check.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/recorder.h"
#include "tests/unit/audit/logs.h"

/*
 * A disk that fails at its Nth call, for each N of a run: of the records that were made none is
 * missing in the end and none is there twice, they stand in the order in which they were made,
 * and what was acknowledged was durable then.
 */

enum { ME = BROKER_POST_WORKER, MIB = 1024 * 1024, MAILS = 14, RECORDS_MAX = 64 };

/* ---- Which call fails ---- */

static atomic_int countdown, calls, fault_errno_is;
static atomic_bool all_after;

static void arm(int nth, int with, bool and_after)
{
    atomic_store(&calls, 0);
    atomic_store(&fault_errno_is, with);
    atomic_store(&all_after, and_after);
    atomic_store(&countdown, nth);
}

static bool fails_now(void)
{
    atomic_fetch_add(&calls, 1);
    int left = atomic_load(&countdown);
    if (left <= 0)
        return false;
    if (left == 1 && atomic_load(&all_after)) {
        errno = atomic_load(&fault_errno_is);
        return true;
    }
    if (atomic_fetch_sub(&countdown, 1) != 1)
        return false;
    errno = atomic_load(&fault_errno_is);
    return true;
}

ssize_t __real_pwrite(int fd, const void *at, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset);

/* Half of it reaches the file, as on a real disk. */
ssize_t __wrap_pwrite(int fd, const void *at, size_t n, off_t offset)
{
    bool fails = fails_now();
    ssize_t written = __real_pwrite(fd, at, fails ? n / 2 : n, offset);

    if (!fails)
        return written;
    errno = atomic_load(&fault_errno_is);
    return -1;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    return fails_now() ? -1 : __real_fdatasync(fd);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
    return fails_now() ? -1 : __real_fsync(fd);
}

int __real_ftruncate(int fd, off_t length);
int __wrap_ftruncate(int fd, off_t length);

int __wrap_ftruncate(int fd, off_t length)
{
    return fails_now() ? -1 : __real_ftruncate(fd, length);
}

/* ---- A door's writer, life after life ---- */

struct ground {
    char path[32];
    int dir;
    struct clock clock;
    struct broker_post *post;
    struct audit_spool *spool;
    struct audit_pending *pending;
    struct audit_pending_found found;
    struct broker_recorder *recorder;
    uint64_t made, acknowledged; /* numbers of records: they ascend */
    unsigned lives;
};

static enum rc try_to_open(struct ground *g)
{
    const struct journal_limits limits = { 4096, 64 * MIB };

    TRY(audit_spool_open(g->dir, &limits, &g->clock, &g->spool));
    const struct audit_pending_setup pending = { .dir = g->dir,
                                                 .spool = audit_spool_id(g->spool),
                                                 .last = audit_spool_sequence(g->spool),
                                                 .bytes_most = 4 * MIB };
    return audit_pending_open(&pending, &g->pending, &g->found);
}

static void close_disk(struct ground *g)
{
    audit_pending_close(TAKE(g->pending));
    audit_spool_close(TAKE(g->spool));
}

static void post_mail(struct ground *g, unsigned from, const struct broker_mail *mail)
{
    assert_int_equal(broker_post_send(g->post, from, BROKER_POST_RECORDER, mail), RC_OK);
    broker_post_deliver(g->post, from);
}

/* To me, or that the recorder failed. */
static struct broker_mail await_mail(struct ground *g)
{
    struct broker_mail mail = { 0 };
    struct pollfd bells[2] = {
        { broker_post_bell(g->post, ME), POLLIN, 0 },
        { broker_post_bell(g->post, BROKER_POST_MAIN), POLLIN, 0 },
    };

    while (!broker_post_next(g->post, ME, &mail) &&
           !broker_post_next(g->post, BROKER_POST_MAIN, &mail)) {
        assert_true(poll(bells, 2, 30000) > 0);
        broker_post_open(g->post, ME);
        broker_post_open(g->post, BROKER_POST_MAIN);
    }
    return mail;
}

static void end_life(struct ground *g, bool failed)
{
    struct broker_mail mail;

    if (!failed)
        post_mail(g, BROKER_POST_MAIN, &(struct broker_mail){ .kind = BROKER_MAIL_STOP });
    broker_recorder_join(TAKE(g->recorder));
    for (unsigned party = 0; party <= ME; party++) {
        broker_post_open(g->post, party);
        while (broker_post_next(g->post, party, &mail))
            if (mail.kind == BROKER_MAIL_RECORDS || mail.kind == BROKER_MAIL_FAILED)
                free(mail.what);
    }
    broker_post_free(TAKE(g->post));
    close_disk(g);
}

/* True if they are durable; a recorder that failed has ended with its life. */
static bool send(struct ground *g, struct broker_records *records, uint64_t ticket)
{
    post_mail(g, ME,
              &(struct broker_mail){
                  .kind = BROKER_MAIL_RECORDS, .number = ticket, .what = records });
    for (;;) {
        struct broker_mail mail = await_mail(g);
        if (mail.kind == BROKER_MAIL_FAILED) {
            free(mail.what);
            end_life(g, true);
            return false;
        }
        assert_int_equal(mail.kind, BROKER_MAIL_RECORDED);
        if (mail.number == ticket) /* else a former one, that waited */
            return mail.rc == RC_OK;
    }
}

static struct broker_records *new_records(size_t room)
{
    struct broker_records *made = malloc(sizeof *made + room * sizeof made->slots[0]);

    assert_non_null(made);
    *made = (struct broker_records){ .room = room };
    return made;
}

/* As a door begins: what the former life left goes first. */
static void begin_life(struct ground *g)
{
    while (g->recorder == NULL) {
        g->lives++;
        assert_true(g->lives < 100);
        if (try_to_open(g) != RC_OK) { /* once in a run, or until the disk works again */
            close_disk(g);
            arm(0, 0, false);
            continue;
        }
        assert_int_equal(broker_post_new(ME + 1, &g->post), RC_OK);
        const struct broker_recorder_setup setup = {
            .clock = &g->clock, .post = g->post, .spool = g->spool, .pending = g->pending
        };
        assert_int_equal(broker_recorder_start(&setup, &g->recorder), RC_OK);
        struct broker_records *left = new_records(RECORDS_MAX);
        while ((left->slots[left->count] = audit_pending_recovered(g->pending)) != NULL)
            assert_true(++left->count < RECORDS_MAX);
        if (left->count == 0)
            free(left);
        else
            send(g, left, 1);
    }
}

static void act(struct ground *g, uint64_t ticket)
{
    struct broker_records *records = new_records(3);

    for (size_t i = 0; i < 1 + ticket % 3; i++) {
        const struct audit_record record = { .action = AUDIT_SESSION_OPEN,
                                             .decision = AUDIT_ALLOWED,
                                             .wall_ms = (int64_t)g->made + 1 };
        if (audit_pending_add(g->pending, &record, &records->slots[records->count]) != RC_OK)
            break; /* that act is not done */
        records->count++;
        g->made++;
    }
    if (records->count == 0)
        free(records);
    else if (send(g, records, ticket))
        g->acknowledged = g->made; /* in order: those that waited, too */
}

static void check_spool(struct ground *g)
{
    struct audit_batch batch;
    struct audit_record record;
    struct bytes form;
    uint64_t sequence = 0, number = 0;
    AUTO_BUF(bytes, MIB);

    assert_int_equal(try_to_open(g), RC_OK);
    assert_int_equal(g->found.recovered, 0);
    assert_int_equal(audit_spool_read(g->spool, 0, MIB, &bytes), RC_OK);
    assert_int_equal(audit_batch_read(buf_bytes(&bytes), &batch), RC_OK);
    while (audit_batch_next(&batch, &sequence, &form) == RC_OK) {
        assert_int_equal(audit_record_read(form, &record), RC_OK);
        assert_int_equal(record.wall_ms, ++number);
    }
    assert_int_equal(number, g->made);
    assert_true(g->acknowledged <= number);
    close_disk(g);
}

/* The number of calls that it made. */
static int live(int nth, int with, bool and_after)
{
    struct ground g = { .clock = clock_system() };

    logs_folder(g.path, &g.dir);
    arm(nth, with, and_after);
    for (uint64_t ticket = 2; ticket < 2 + MAILS; ticket++) {
        begin_life(&g);
        if (and_after && ticket == 2 + MAILS / 2)
            arm(0, 0, false); /* there is space again */
        act(&g, ticket);
    }
    int made = atomic_load(&calls);
    arm(0, 0, false);
    begin_life(&g);
    struct broker_records *last = new_records(1);
    const struct audit_record record = { .action = AUDIT_SESSION_OPEN,
                                         .decision = AUDIT_ALLOWED,
                                         .wall_ms = (int64_t)++g.made };
    assert_int_equal(audit_pending_add(g.pending, &record, &last->slots[last->count++]), RC_OK);
    assert_true(send(&g, last, 99)); /* behind all that waited */
    end_life(&g, false);
    check_spool(&g);
    logs_folder_remove(g.path, g.dir);
    return made;
}

static void walk(int with, bool and_after)
{
    int all = live(0, 0, false);

    assert_true(all > MAILS);
    for (int nth = 1; nth <= all; nth++)
        live(nth, with, and_after);
    print_message("%d places\n", all);
}

static void one_failed_call_loses_and_doubles_nothing(void **state)
{
    (void)state;
    walk(EIO, false);
}

static void a_full_disk_loses_and_doubles_nothing(void **state)
{
    (void)state;
    walk(ENOSPC, false);
    walk(ENOSPC, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failed_call_loses_and_doubles_nothing),
        cmocka_unit_test(a_full_disk_loses_and_doubles_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
