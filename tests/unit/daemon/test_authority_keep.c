/* wraps: unlinkat */
/* What keeps an authority alive through bad days: copies, and a lost last operator's return. */
#include "tests/unit/daemon/authority_world.h"

#include "store/backup.h"

static const char *dies_before_removing; /* a file: the authority kills itself */

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);

int __wrap_unlinkat(int dir, const char *path, int flags)
{
    if (dies_before_removing != NULL && strcmp(dies_before_removing, path) == 0)
        raise(SIGKILL);
    return __real_unlinkat(dir, path, flags);
}

static void empty_backups(struct world *w)
{
    DIR *list = opendir(w->backups.path);

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list)) {
        struct scratch inner = { .dir = -1 };
        if (one->d_name[0] == '.')
            continue;
        AUTO_BUF(path, sizeof inner.path);
        const char *text = NULL;
        buf_addf(&path, "%s/%s", w->backups.path, one->d_name);
        assert_int_equal(buf_text(&path, &text), RC_OK);
        memcpy(inner.path, text, strlen(text) + 1);
        scratch_empty(&inner);
        assert_int_equal(rmdir(inner.path), 0);
    }
    closedir(list);
}

static unsigned count_backups(const struct world *w)
{
    DIR *list = opendir(w->backups.path);
    unsigned found = 0;

    assert_non_null(list);
    for (struct dirent *one = readdir(list); one != NULL; one = readdir(list))
        found += one->d_name[0] != '.';
    closedir(list);
    return found;
}

static void copies_are_whole_and_for_administrators(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    struct store_copy copy;
    AUTO_TOLD(told);

    add_device(w, "dev-1");
    assert_int_equal(ask_as(w, REGISTRY_OPERATOR_DOOR, AUDITOR, REGISTRY_ASK_BACKUP, &q,
                            &told.answer, &told.reply),
                     RC_DENIED);
    assert_int_equal(ask_as(w, REGISTRY_DEVICE_DOOR, ADMIN, REGISTRY_ASK_BACKUP, &q,
                            &told.answer, &told.reply),
                     RC_DENIED);
    assert_int_equal(count_backups(w), 0);
    assert_int_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    AUTO_BUF(name, 128);
    const char *text = NULL;
    buf_add(&name, told.answer.text);
    assert_int_equal(buf_text(&name, &text), RC_OK);
    AUTO_FD dir = openat(w->backups.dir, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_backup_check(dir, &copy), RC_OK);
    assert_true(copy.revision > 0);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_ALLOWED), 2);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_DENIED), 2);
    empty_backups(w);
}

/* A life in which the record of a backup, after so many, is the authority's last, or finds no
 * space. Each change runs twice where nobody dies of it. */
static void live_again(struct world *w, const char *dies_at, const char *full_at, int spared)
{
    stop(w);
    w->dies_at = dies_at;
    w->full_at = full_at;
    w->full = 2;
    w->spared = dies_at != NULL ? spared : 2 * spared;
    start(w);
}

static void no_copy_is_made_before_the_log_says_that_it_begins(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    live_again(w, "backup", NULL, 0);
    assert_int_not_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    assert_int_equal(count_backups(w), 0);
    live_again(w, NULL, "backup", 0);
    assert_int_not_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    assert_int_equal(count_backups(w), 0);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_ALLOWED), 0);
    live_again(w, NULL, NULL, 0);
    assert_int_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    empty_backups(w);
}

static void a_copy_whose_end_cannot_be_told_is_removed(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    live_again(w, NULL, "backup", 1);
    assert_int_not_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    assert_int_equal(count_backups(w), 0);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_DENIED), 1);
}

/* It is named before its record: whatever has a copy's name is one, and its beginning is in the
 * log. */
static void a_kill_leaves_no_copy_of_which_the_log_does_not_know(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    AUTO_TOLD(told);

    live_again(w, "backup", NULL, 1);
    assert_int_not_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    assert_int_equal(count_backups(w), 1);
    assert_int_equal(mkdirat(w->backups.dir, "unfinished-registry-1", 0700), 0);
    AUTO_FD half = openat(w->backups.dir, "unfinished-registry-1", O_RDONLY | O_CLOEXEC);
    assert_int_equal(file_write(half, "data.mdb", BYTES("half of it"), 0600), RC_OK);
    live_again(w, NULL, NULL, 0);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_ALLOWED), 1);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_BACKUP, AUDIT_FAILED), 1);
    assert_int_equal(count_backups(w), 1);
    empty_backups(w);
}

/* The signer's journal is copied after the registry: what it vouches for meanwhile would be
 * more than the copy has. */
static void no_checkpoint_is_signed_while_the_journal_is_copied(void **state)
{
    struct world *w = *state;
    static const uint8_t NEWEST[8];
    struct registry_question q = { 0 }, newest = { .query = BYTES_OF(NEWEST) };
    AUTO_TOLD(told);

    assert_int_equal(admin(w, REGISTRY_ASK_BACKUP, q, &told), RC_OK);
    AUTO_BUF(name, 128);
    const char *text = NULL;
    buf_add(&name, told.answer.text);
    assert_int_equal(buf_text(&name, &text), RC_OK);
    const char *records = strstr(text, "-n");
    assert_non_null(records);
    uint64_t covered = strtoull(records + 2, NULL, 10);
    add_device(w, "dev-1");
    usleep(2500000);
    enum rc rc = admin(w, REGISTRY_ASK_AUDIT_CHECKPOINT, newest, &told);
    struct reader r = READER(told.answer.query);
    assert_true(rc == RC_NOT_FOUND || reader_u64(&r) <= covered);
    empty_backups(w);
}

/* ---- Recovery ---- */

static void put_request(struct world *w, const char *name, const struct soft_key *key)
{
    AUTO_BUF(csr, 4096);
    AUTO_BUF(pem, 8192);

    make_csr(key, &csr);
    pki_pem_add(&pem, "CERTIFICATE REQUEST", buf_bytes(&csr));
    assert_int_equal(file_write(w->recover.dir, name, buf_bytes(&pem), 0644), RC_OK);
}

static bool wait_gone(const struct world *w, const char *name)
{
    for (int tries = 0; tries < 1500; tries++) {
        if (faccessat(w->recover.dir, name, F_OK, 0) != 0)
            return true;
        usleep(20000);
    }
    return false;
}

static void wait_until_it_issues(struct world *w)
{
    bool issues = false;

    for (int tries = 0; !issues && tries < 1500; tries++) {
        struct registry_question none = { 0 };
        AUTO_TOLD(told);
        assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
        issues = told.answer.status.signer;
        usleep(20000);
    }
    assert_true(issues);
}

/* The fingerprint of the certificate that was left. */
static void read_left(const struct world *w, const char *name, struct registry_fingerprint *of)
{
    AUTO_BUF(pem, 16384);
    AUTO_BUF(der, 4096);
    struct pki_certificate read;

    assert_int_equal(file_read(w->recover.dir, name, &pem), RC_OK);
    struct bytes left = buf_bytes(&pem);
    assert_int_equal(pki_pem_next(&left, "CERTIFICATE", &der), RC_OK);
    assert_int_equal(pki_certificate_read(buf_bytes(&der), &read), RC_OK);
    memcpy(of->at, read.fingerprint, sizeof of->at);
}

static void a_request_in_the_folder_makes_an_administrator_once(void **state)
{
    struct world *w = *state;
    struct registry_question q = { 0 };
    struct registry_fingerprint eve;
    AUTO_TOLD(told);

    stop(w);
    put_request(w, "eve.csr", &w->device);
    start(w);
    assert_true(wait_gone(w, "eve.csr"));
    read_left(w, "eve.pem", &eve);
    q.preamble.actor = (struct registry_actor){ true, eve };
    AUTO_BUF(body, LINK_BODY_MAX);
    set_id(&q, "dev-1");
    assert_int_equal(registry_question_write(REGISTRY_ASK_DEVICE_ADD, &q, &body), RC_OK);
    assert_int_equal(link_ask_and_wait(w->doors[REGISTRY_OPERATOR_DOOR],
                                       registry_door_protocol(), REGISTRY_ASK_DEVICE_ADD,
                                       buf_bytes(&body), -1, WAIT_MS, &told.reply),
                     RC_OK);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 1);
    stop(w);
    start(w);
    wait_until_it_issues(w); /* by then it has looked into the folder again */
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 1);
}

static void wait_dead(const struct world *w)
{
    siginfo_t info = { 0 };

    for (int tries = 0; info.si_pid == 0 && tries < 1500; tries++) {
        assert_int_equal(waitid(P_PID, (id_t)w->authority, &info, WEXITED | WNOHANG | WNOWAIT),
                         0);
        usleep(20000);
    }
    assert_int_equal(info.si_status, SIGKILL);
}

static enum rc ask_as_eve(struct world *w, const struct registry_fingerprint *eve)
{
    struct registry_question q = { .preamble.actor = { true, *eve } };
    AUTO_BUF(body, LINK_BODY_MAX);
    AUTO_TOLD(told);

    assert_int_equal(registry_question_write(REGISTRY_ASK_OPERATOR_LIST, &q, &body), RC_OK);
    return link_ask_and_wait(w->doors[REGISTRY_OPERATOR_DOOR], registry_door_protocol(),
                             REGISTRY_ASK_OPERATOR_LIST, buf_bytes(&body), -1, WAIT_MS,
                             &told.reply);
}

/* The one that died at such a point is followed by one that does not. */
static void dies_and_is_done_once(struct world *w, const char *dies_at, const char *removing,
                                  uint64_t orphans)
{
    struct registry_question none = { 0 };
    struct registry_fingerprint eve;
    AUTO_TOLD(told);

    stop(w);
    put_request(w, "eve.csr", &w->device);
    w->dies_at = dies_at;
    dies_before_removing = removing;
    start(w);
    dies_before_removing = NULL;
    wait_dead(w);
    stop(w);
    w->dies_at = NULL;
    assert_int_equal(faccessat(w->recover.dir, "eve.csr", F_OK, 0), 0);
    start(w);
    assert_true(wait_gone(w, "eve.csr"));
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 1);
    read_left(w, "eve.pem", &eve);
    assert_int_equal(ask_as_eve(w, &eve), RC_OK);
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    assert_int_equal(told.answer.status.orphans, orphans);
    assert_int_equal(told.answer.status.operators, 3);
}

static void a_recovery_killed_before_its_record_begins_again(void **state)
{
    dies_and_is_done_once(*state, "recover", NULL, 1);
}

static void a_recovery_killed_after_its_record_is_not_done_again(void **state)
{
    dies_and_is_done_once(*state, NULL, "eve.csr", 0);
}

/* Its certificate lies there, but is another key's. */
static void what_lies_there_from_another_recovery_does_not_count(void **state)
{
    struct world *w = *state;
    struct registry_fingerprint first, second;
    struct soft_key other;

    soft_key_make(&other, "another");
    stop(w);
    put_request(w, "eve.csr", &w->device);
    start(w);
    assert_true(wait_gone(w, "eve.csr"));
    read_left(w, "eve.pem", &first);
    stop(w);
    put_request(w, "eve.csr", &other);
    start(w);
    assert_true(wait_gone(w, "eve.csr"));
    read_left(w, "eve.pem", &second);
    assert_memory_not_equal(first.at, second.at, sizeof first.at);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 2);
    assert_int_equal(ask_as_eve(w, &second), RC_OK);
    soft_key_clear(&other);
}

static void an_administrator_gets_another_certificate(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    AUTO_TOLD(told);

    stop(w);
    put_request(w, "first.csr", &w->device);
    start(w);
    assert_true(wait_gone(w, "first.csr"));
    assert_int_equal(admin(w, REGISTRY_ASK_STATUS, none, &told), RC_OK);
    assert_int_equal(told.answer.status.operators, 2);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 1);
}

static void wait_refusals(struct world *w, unsigned wanted)
{
    unsigned found = 0;

    for (int tries = 0; found < wanted && tries < 1500; tries++) {
        found = count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_DENIED);
        usleep(20000);
    }
    assert_int_equal(found, wanted);
}

static void what_is_no_recovery_is_refused_and_stays(void **state)
{
    struct world *w = *state;

    stop(w);
    put_request(w, "looker.csr", &w->device); /* an auditor: not by this way */
    assert_int_equal(file_write(w->recover.dir, "bad.csr", BYTES("nonsense"), 0644), RC_OK);
    assert_int_equal(file_write(w->recover.dir, "bad id.csr",
                                BYTES("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n"
                                      "-----END CERTIFICATE REQUEST-----\n"),
                                0644),
                     RC_OK);
    start(w);
    wait_refusals(w, 1);
    assert_int_equal(count_audit(w, AUDIT_SYSTEM_RECOVER, AUDIT_ALLOWED), 0);
    assert_int_equal(faccessat(w->recover.dir, "looker.csr", F_OK, 0), 0);
    assert_int_equal(faccessat(w->recover.dir, "bad.csr", F_OK, 0), 0);
    assert_int_not_equal(faccessat(w->recover.dir, "looker.pem", F_OK, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_are_whole_and_for_administrators),
        TEST(no_copy_is_made_before_the_log_says_that_it_begins),
        TEST(a_copy_whose_end_cannot_be_told_is_removed),
        TEST(a_kill_leaves_no_copy_of_which_the_log_does_not_know),
        TEST(no_checkpoint_is_signed_while_the_journal_is_copied),
        TEST(a_request_in_the_folder_makes_an_administrator_once),
        TEST(a_recovery_killed_before_its_record_begins_again),
        TEST(a_recovery_killed_after_its_record_is_not_done_again),
        TEST(what_lies_there_from_another_recovery_does_not_count),
        TEST(an_administrator_gets_another_certificate),
        TEST(what_is_no_recovery_is_refused_and_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
