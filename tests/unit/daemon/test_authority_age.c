/* An authority whose memory is older than the signer's, or the other way around: nothing is
 * issued until both know the same. */
#include "tests/unit/daemon/authority_world.h"

#include "store/backup.h"

static void refuses_to_issue(struct world *w, const char *why)
{
    struct registry_question none = { 0 };
    AUTO_TOLD(token);
    AUTO_TOLD(told);

    new_token(w, "dev-1", &token);
    for (int tries = 0; tries < 1500; tries++) {
        assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
        assert_false(told.answer.status.signer);
        if (told.answer.status.trouble[0] != '\0')
            break;
        usleep(20000);
    }
    assert_non_null(strstr(told.answer.status.trouble, why));
    struct registry_question q = { .token_id = token.answer.token_id,
                                   .token_secret = token.answer.token_secret };
    AUTO_BUF(csr, 4096);
    make_csr(&w->device, &csr);
    q.der = buf_bytes(&csr);
    assert_int_equal(
        ask_as(w, REGISTRY_DEVICE_DOOR, 0, REGISTRY_ASK_ENROL, &q, &told.answer, &told.reply),
        RC_BUSY);
}

static void copy_store(struct world *w, struct scratch *copy)
{
    struct store *store = open_store(w);
    struct store_copy made;
    AUTO_BUF(key, 64);

    scratch_make(copy);
    assert_int_equal(store_backup_copy(store, copy->dir, &made), RC_OK);
    assert_int_equal(file_read(w->scratch.dir, DAEMON_AUTHORITY_KEY, &key), RC_OK);
    assert_int_equal(file_write(copy->dir, DAEMON_AUTHORITY_KEY, buf_bytes(&key), 0600), RC_OK);
    store_close(store);
}

static void an_older_registry_issues_nothing_and_says_so(void **state)
{
    struct world *w = *state;
    struct scratch copy, newer;
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    add_device(w, "dev-1");
    stop(w);
    copy_store(w, &copy);
    start(w);
    add_device(w, "dev-2");
    add_device(w, "dev-3");
    const uint64_t covered = wait_checkpoint(w, 3, &note).size;
    stop(w);

    newer = w->scratch;
    w->scratch = copy;
    start(w);
    refuses_to_issue(w, "an older registry was put back");
    for (uint64_t i = 0; i < covered; i++)
        add_device(w, (const char[]){ 'x', (char)('a' + i), '\0' });
    stop(w);
    start(w); /* as long as the signer knows it, but another */
    refuses_to_issue(w, "an older registry was put back, and went on");
    stop(w);
    w->scratch = newer;
    start(w);
    add_device(w, "dev-4");
    wait_checkpoint(w, covered + 1, &note);
    scratch_remove(&copy);
}

/* ---- A signer's journal that is older than what is known of it ---- */

struct segment {
    char name[64];
    struct buf bytes;
};
#define AUTO_SEGMENT(name)                                                                     \
    [[gnu::cleanup(segment_clear)]] struct segment name = { .bytes = BUF_MAX(1 << 20) }
static void segment_clear(struct segment *segment)
{
    buf_clear(&segment->bytes);
}

/* Of the stopped signer, whose journal is one segment. */
static void take_journal(const struct world *w, struct segment *segment)
{
    AUTO_FD dir = open(w->signing.journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = opendir(w->signing.journal);

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        if (strstr(one->d_name, ".segment") != NULL)
            memcpy(segment->name, one->d_name, strlen(one->d_name) + 1);
    closedir(list);
    buf_reset(&segment->bytes);
    assert_int_equal(file_read(dir, segment->name, &segment->bytes), RC_OK);
}

static void put_journal(const struct world *w, const struct segment *segment)
{
    AUTO_FD dir = open(w->signing.journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(file_write(dir, segment->name, buf_bytes(&segment->bytes), 0600), RC_OK);
}

static uint64_t journal_end(const struct world *w)
{
    AUTO_FD dir = open(w->signing.journal, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct journal_head head = { 0 };

    assert_int_equal(journal_verify(dir, NULL, NULL, &head, NULL), RC_OK);
    return head.sequence;
}

/* Devices are added until a kept checkpoint vouches for an entry beyond this one, whichever
 * life it is of: each that is signed is an entry itself. */
static uint64_t wait_vouched(struct world *w, char life, uint64_t beyond)
{
    struct audit_checkpoint newest = { 0 };
    char id[] = { 'd', life, '0', '\0' };
    AUTO_BUF(note, AUDIT_NOTE_MAX);

    while (newest.journal_sequence <= beyond) {
        add_device(w, id);
        id[2]++;
        newest = wait_checkpoint(w, newest.size + 1, &note);
    }
    return newest.journal_sequence;
}

static void an_older_signers_journal_issues_nothing_and_says_so(void **state)
{
    struct world *w = *state;
    AUTO_SEGMENT(older);
    AUTO_SEGMENT(newer);

    add_device(w, "dev-1");
    wait_vouched(w, 'a', 0);
    stop(w);
    take_journal(w, &older);
    uint64_t end = journal_end(w);
    start(w);
    wait_vouched(w, 'b', end);
    stop(w);
    take_journal(w, &newer);
    end = journal_end(w);
    put_journal(w, &older);
    start(w);
    refuses_to_issue(w, "it was rolled back");
    assert_int_equal(count_audit(w, AUDIT_PROCESS_START, AUDIT_FAILED), 1);
    stop(w);
    put_journal(w, &newer);
    start(w);
    wait_vouched(w, 'c', end);
}

static enum rc see(struct store_txn *txn, void *with)
{
    return registry_journal_see(txn, *(const uint64_t *)with);
}

/* As if the registry had read the signer's journal up to here. */
static void see_journal(struct world *w, uint64_t sequence)
{
    struct store *store = open_store(w);

    assert_int_equal(store_write(store, see, &sequence), RC_OK);
    store_close(store);
}

/* By refusals: one entry each. */
static void let_journal_go_on(struct world *w, uint64_t end)
{
    const struct bytes bad = BYTES("\x30\x03\x02\x01\x00");
    struct keys_answers answers;
    struct keys_head now;
    AUTO_BUF(room, LINK_BODY_MAX);

    signing_start(&w->signing);
    assert_int_equal(keys_client_head_and_wait(w->signing.ask, WAIT_MS, &now), RC_OK);
    for (; now.head.sequence < end; now.head.sequence++)
        assert_int_equal(signing_ask(&w->signing, KEYS_ASK_CERTIFICATES, "devices", &bad, 1,
                                     &room, &answers),
                         RC_OK);
    signing_stop(&w->signing);
    assert_int_equal(journal_end(w), end);
}

/* What the registry has read tells nothing: the newest checkpoint alone does. */
static void a_journal_without_what_a_checkpoint_vouches_for_issues_nothing(void **state)
{
    enum { ROWS = 3 };
    struct world *w = *state;
    AUTO_SEGMENT(older);

    add_device(w, "dev-1");
    wait_vouched(w, 'a', 0);
    stop(w);
    take_journal(w, &older);
    const uint64_t end = journal_end(w);
    start(w);
    const uint64_t vouched = wait_vouched(w, 'b', end);
    const uint64_t ends[ROWS] = { end, vouched, vouched + 2 };
    for (size_t i = 0; i < ROWS; i++) {
        stop(w);
        put_journal(w, &older);
        let_journal_go_on(w, ends[i]);
        see_journal(w, end);
        start(w);
        refuses_to_issue(w, "newest checkpoint vouches for");
    }
}

static void a_journal_that_ends_before_what_was_read_issues_nothing(void **state)
{
    struct world *w = *state;

    add_device(w, "dev-1");
    stop(w);
    see_journal(w, journal_end(w) + 1);
    start(w);
    refuses_to_issue(w, "was read up to");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_older_registry_issues_nothing_and_says_so),
        TEST(an_older_signers_journal_issues_nothing_and_says_so),
        TEST(a_journal_without_what_a_checkpoint_vouches_for_issues_nothing),
        TEST(a_journal_that_ends_before_what_was_read_issues_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
