/* The real program, started as touchmarkd starts it, in its jail; without a signer. */
#include "tests/support/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "audit/query.h"
#include "base/file.h"
#include "daemon/spawn.h"
#include "pki/certificate.h"
#include "pki/pem.h"
#include "registry/answer.h"
#include "store/backup.h"
#include "tests/support/soft_ca.h"
#include "tests/unit/store/scratch.h"

enum { WAIT_MS = 60000 };

struct world {
    struct scratch scratch;
    struct soft_ca ca;
    struct registry_fingerprint operator;
    pid_t pid;
    int door, operators, control;
};

static void put_file(const struct world *w, const char *name, struct bytes bytes)
{
    assert_int_equal(file_write(w->scratch.dir, name, bytes, 0600), RC_OK);
}

static void put_first_files(struct world *w)
{
    const struct pki_holder holder = { .id = BYTES("ada") };
    struct pki_certificate read;
    struct soft_key key;
    AUTO_BUF(der, 4096);
    AUTO_BUF(pem, 16384);

    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&w->ca.issuing_der));
    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&w->ca.root_der));
    put_file(w, "chain.pem", buf_bytes(&pem));
    soft_key_make(&key, "ada");
    soft_ca_issue(&w->ca, pki_profile_find("operator"), &holder, &key, &der);
    soft_key_clear(&key);
    assert_int_equal(pki_certificate_read(buf_bytes(&der), &read), RC_OK);
    memcpy(w->operator.at, read.fingerprint, sizeof w->operator.at);
    buf_reset(&pem);
    pki_pem_add(&pem, "CERTIFICATE", buf_bytes(&der));
    put_file(w, "ada.pem", buf_bytes(&pem));
    put_file(w, "policy", BYTES("# nothing\n"));
}

static int prepare(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    AUTO_BUF(settings, 4096);

    assert_non_null(w);
    w->door = w->operators = w->control = -1;
    scratch_make(&w->scratch);
    soft_ca_open(&w->ca);
    const struct clock clock = clock_system();
    w->ca.now_s = clock_wall_ms(&clock) / 1000; /* operators are held against the real one */
    assert_int_equal(mkdirat(w->scratch.dir, "registry", 0700), 0);
    assert_int_equal(mkdirat(w->scratch.dir, "backups", 0700), 0);
    put_first_files(w);
    buf_addf(&settings,
             "[sandbox]\nlandlock = optional\n[authority]\nregistry = %s/registry\n"
             "backups = %s/backups\n"
             "first_chain = %s/chain.pem\nfirst_operator = %s/ada.pem\nfirst_policy = "
             "%s/policy\nmap = 256M\n",
             w->scratch.path, w->scratch.path, w->scratch.path, w->scratch.path,
             w->scratch.path);
    put_file(w, "settings", buf_bytes(&settings));
    *state = w;
    return 0;
}

/* Beside the tests stands bin/. */
static void find_program(struct buf *path)
{
    char self[4096] = "";
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(len > 0);
    *strrchr(self, '/') = '\0';
    buf_addf(path, "%s/bin/touchmark-authority", self);
}

static void start(struct world *w)
{
    static const char *const ENVIRONMENT[] = {
        "TOUCHMARK_DESCRIPTORS=device-door,operator-door", NULL
    };
    AUTO_BUF(path, 4200);
    int answering = -1, answering_operators = -1, its_control = -1;
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_FD log =
        openat(w->scratch.dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    AUTO_FD settings = openat(w->scratch.dir, "settings", O_RDONLY | O_CLOEXEC);

    assert_int_equal(link_pair(&w->door, &answering), RC_OK);
    assert_int_equal(link_pair(&w->operators, &answering_operators), RC_OK);
    assert_int_equal(link_pair(&w->control, &its_control), RC_OK);
    find_program(&path);
    const int fds[] = {
        null, null, log, settings, its_control, answering, answering_operators
    };
    struct daemon_spawn what = { .name = "authority", .environment = ENVIRONMENT, .fds = fds };
    what.fd_count = sizeof fds / sizeof *fds;
    assert_int_equal(buf_text(&path, &what.path), RC_OK);
    enum rc rc = daemon_spawn_start(&what, &w->pid);
    close(its_control);
    close(answering);
    close(answering_operators);
    assert_int_equal(rc, RC_OK);
}

static void let_go(struct world *w)
{
    w->pid = 0;
    close(w->door);
    close(w->operators);
    close(w->control);
    w->door = w->operators = w->control = -1;
}

/* How it ends: its code, after this signal; 0: by itself. */
static int ended_by(struct world *w, int signal)
{
    int status = 0;

    assert_int_equal(kill(w->pid, signal), 0);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    let_go(w);
    assert_true(WIFEXITED(status) || signal == SIGKILL);
    return WEXITSTATUS(status);
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    return remove(path);
}

static int clean(void **state)
{
    struct world *w = *state;

    if (w->pid > 0)
        ended_by(w, SIGKILL);
    assert_int_equal(nftw(w->scratch.path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    close(w->scratch.dir);
    soft_ca_close(&w->ca);
    free(w);
    return 0;
}

static enum rc ask(struct world *w, enum registry_ask ask, struct registry_question *question,
                   struct registry_answer *answer, struct buf *reply)
{
    AUTO_BUF(body, LINK_BODY_MAX);

    assert_int_equal(registry_question_write(ask, question, &body), RC_OK);
    buf_reset(reply);
    TRY(link_ask_and_wait(w->door, registry_door_protocol(), (uint16_t)ask, buf_bytes(&body),
                          -1, WAIT_MS, reply));
    return registry_answer_read(ask, buf_bytes(reply), answer);
}

static void fill(struct world *w, struct registry_projection *projection)
{
    struct registry_question question = { 0 };
    struct registry_answer answer = { 0 };
    struct registry_change change = { 0 };
    uint64_t sequence = 0;
    AUTO_BUF(reply, LINK_BODY_MAX);

    assert_int_equal(ask(w, REGISTRY_ASK_SNAPSHOT, &question, &answer, &reply), RC_OK);
    struct reader r = READER(answer.list);
    while (registry_answer_next_change(&r, &sequence, &change) == RC_OK)
        assert_int_equal(registry_projection_apply(projection, &change), RC_OK);
    assert_int_equal(answer.cursor.len, 0);
}

static void it_serves_from_inside_its_jail_what_init_left(void **state)
{
    struct world *w = *state;
    uint64_t version = 0;
    AUTO_BUF(reply, LINK_BODY_MAX);
    struct registry_answer answer;
    AUTO_OF(registry_projection) *projection = NULL;

    assert_int_equal(registry_projection_new(NULL, &projection), RC_OK);
    for (int life = 0; life < 2; life++) {
        start(w);
        registry_projection_reset(projection);
        fill(w, projection);
        assert_int_equal(registry_projection_count(projection), 1);
        const struct registry_subject *ada =
            registry_projection_subject(projection, REGISTRY_OPERATOR, BYTES("ada"));
        assert_non_null(ada);
        assert_int_equal(ada->role, REGISTRY_ADMIN);
        assert_true(bytes_equal_text(registry_projection_policy(projection, &version).octets,
                                     "# nothing\n"));
        assert_true(registry_projection_authorities(projection).len > 0);
        struct registry_question leaf = { .der = buf_bytes(&w->ca.root_der) };
        for (int i = 0; i < 20; i++)
            assert_int_equal(ask(w, REGISTRY_ASK_LOOK_UP, &leaf, &answer, &reply), RC_OK);
        struct registry_question door = { .der = BYTES("\x30\x00") };
        assert_int_equal(ask(w, REGISTRY_ASK_DOOR, &door, &answer, &reply), RC_BUSY);
        assert_int_equal(ended_by(w, SIGTERM), 0);
        unlinkat(w->scratch.dir, "ada.pem", 0); /* read in its first life only */
    }
}

/* Through the operators' door, as ada. */
static enum rc operate(struct world *w, enum registry_ask what,
                       struct registry_question *question, struct registry_answer *answer,
                       struct buf *reply)
{
    int door = w->door;

    question->preamble.actor = (struct registry_actor){ true, w->operator};
    w->door = w->operators;
    enum rc rc = ask(w, what, question, answer, reply);
    w->door = door;
    return rc;
}

static uint64_t count_records(struct world *w, enum audit_action action)
{
    const struct audit_query query = { .actions = audit_action_set_of(action), .most = 10 };
    struct registry_answer answer = { 0 };
    struct audit_page page;
    struct audit_hit hit;
    uint64_t found = 0;
    AUTO_BUF(asked, AUDIT_QUERY_MAX);
    AUTO_BUF(reply, LINK_BODY_MAX);

    audit_query_write(&query, &asked);
    struct registry_question q = { .query = buf_bytes(&asked) };
    assert_int_equal(operate(w, REGISTRY_ASK_AUDIT_LIST, &q, &answer, &reply), RC_OK);
    assert_int_equal(audit_page_read(answer.query, &page), RC_OK);
    while (audit_page_next(&page, &hit) == RC_OK)
        found++;
    audit_page_clear(&page);
    return found;
}

static void a_copy_is_made_from_inside_the_jail_and_serves_again(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    struct registry_answer answer = { 0 };
    struct store_copy held;
    AUTO_BUF(reply, LINK_BODY_MAX);
    AUTO_BUF(path, 256);
    const char *copy = NULL;

    start(w);
    for (int times = 0; times < 2; times++)
        assert_int_equal(operate(w, REGISTRY_ASK_BACKUP, &none, &answer, &reply), RC_OK);

    assert_int_equal(count_records(w, AUDIT_SYSTEM_RESTORE), 0);
    buf_addf(&path, "backups/%.*s", BYTES_FMT(answer.text));
    assert_int_equal(buf_text(&path, &copy), RC_OK);
    AUTO_FD dir = openat(w->scratch.dir, copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_backup_check(dir, &held), RC_OK);
    assert_int_equal(ended_by(w, SIGTERM), 0);

    assert_int_equal(renameat(w->scratch.dir, "registry", w->scratch.dir, "lost"), 0);
    assert_int_equal(renameat(w->scratch.dir, copy, w->scratch.dir, "registry"), 0);
    for (int life = 0; life < 2; life++) {
        start(w);
        assert_int_equal(operate(w, REGISTRY_ASK_STATUS, &none, &answer, &reply), RC_OK);
        assert_int_equal(answer.status.operators, 1);
        assert_int_equal(count_records(w, AUDIT_SYSTEM_RESTORE), 1);
        assert_int_equal(ended_by(w, SIGTERM), 0);
    }
}

static void an_empty_registry_without_its_files_is_wrong_settings(void **state)
{
    struct world *w = *state;

    assert_int_equal(unlinkat(w->scratch.dir, "ada.pem", 0), 0);
    start(w);
    assert_int_equal(ended_by(w, 0), EX_CONFIG);
}

static void a_second_authority_on_the_same_registry_does_not_start(void **state)
{
    struct world *w = *state, second = *w;
    AUTO_OF(registry_projection) *projection = NULL;

    assert_int_equal(registry_projection_new(NULL, &projection), RC_OK);
    start(w);
    fill(w, projection);
    start(&second);
    assert_int_equal(ended_by(&second, 0), EX_TEMPFAIL);
    assert_int_equal(ended_by(w, SIGTERM), 0);
}

static void the_wrong_sealing_key_is_wrong_settings(void **state)
{
    struct world *w = *state;
    struct registry_question none = { 0 };
    struct registry_answer answer = { 0 };
    AUTO_BUF(reply, LINK_BODY_MAX);

    start(w);
    assert_int_equal(operate(w, REGISTRY_ASK_STATUS, &none, &answer, &reply), RC_OK);
    assert_int_equal(ended_by(w, SIGTERM), 0);
    assert_int_equal(renameat(w->scratch.dir, "registry/audit.key", w->scratch.dir, "kept.key"),
                     0);
    start(w);
    assert_int_equal(ended_by(w, 0), EX_CONFIG);
    assert_int_not_equal(faccessat(w->scratch.dir, "registry/audit.key", F_OK, 0), 0);
    put_file(w, "registry/audit.key", BYTES("thirty-two bytes of another key!"));
    start(w);
    assert_int_equal(ended_by(w, 0), EX_CONFIG);
    put_file(w, "registry/audit.key", BYTES("short"));
    start(w);
    assert_int_equal(ended_by(w, 0), EX_CONFIG);
    assert_int_equal(renameat(w->scratch.dir, "kept.key", w->scratch.dir, "registry/audit.key"),
                     0);
    start(w);
    assert_int_equal(operate(w, REGISTRY_ASK_STATUS, &none, &answer, &reply), RC_OK);
    assert_int_equal(ended_by(w, SIGTERM), 0);
}

static void a_change_of_retention_is_recorded_once(void **state)
{
    static const char *const DAYS[] = { "0", "30", "30", "10", "0" };
    static const uint64_t RECORDS[] = { 0, 1, 1, 2, 3 };
    struct world *w = *state;

    for (size_t i = 0; i < sizeof DAYS / sizeof *DAYS; i++) {
        AUTO_BUF(settings, 4096);
        assert_int_equal(file_read(w->scratch.dir, "settings", &settings), RC_OK);
        struct bytes before = buf_bytes(&settings);
        const uint8_t *line = memmem(before.at, before.len, "audit_retention", 15);
        if (line != NULL)
            buf_cut(&settings, (size_t)(line - before.at));
        buf_addf(&settings, "audit_retention = %s\n", DAYS[i]);
        put_file(w, "settings", buf_bytes(&settings));
        start(w);
        assert_int_equal(count_records(w, AUDIT_LOG_PRUNE), RECORDS[i]);
        assert_int_equal(ended_by(w, SIGTERM), 0);
    }
}

#define WITH_PROGRAM(test) cmocka_unit_test_setup_teardown(test, prepare, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROGRAM(it_serves_from_inside_its_jail_what_init_left),
        WITH_PROGRAM(a_copy_is_made_from_inside_the_jail_and_serves_again),
        WITH_PROGRAM(an_empty_registry_without_its_files_is_wrong_settings),
        WITH_PROGRAM(the_wrong_sealing_key_is_wrong_settings),
        WITH_PROGRAM(a_change_of_retention_is_recorded_once),
        WITH_PROGRAM(a_second_authority_on_the_same_registry_does_not_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
