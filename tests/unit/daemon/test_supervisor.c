#include "tests/support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "base/sealed.h"
#include "daemon/child.h"
#include "daemon/supervisor.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/*
 * Real processes: this binary, executed by a patient's name, is a child of touchmarkd that
 * behaves as its name says. The supervisor runs in a child of the test, which reads its log.
 */

/* ---- Patients ---- */

static enum rc break_out(struct loop_timer *timer)
{
    (void)timer;
    execl("/bin/true", "true", NULL);
    return RC_OK;
}

static enum rc crash(struct loop_timer *timer)
{
    (void)timer;
    _exit(3);
}

static enum rc hear(const char *name, int fd)
{
    char text[32] = "";

    if (recv(fd, text, sizeof text - 1, 0) <= 0)
        return fault(RC_CLOSED, "nothing heard");
    dprintf(2, "heard %s from %s\n", text, name);
    return RC_OK;
}

/* The descriptor stays open, as a link's would. */
static enum rc hear_peer(void *with, const char *name, int fd)
{
    (void)with;
    return hear(name, fd);
}

static enum rc greet_peer(void *with, const char *name, int fd)
{
    (void)with;
    (void)name;
    return dprintf(fd, "greeter-%d", getpid()) > 0 ? RC_OK : fault_errno("greet");
}

static enum rc read_pin(struct daemon_child *child)
{
    char text[32] = "";
    int fd = -1;

    TRY(daemon_child_take(child, "pin", &fd));
    if (pread(fd, text, sizeof text - 1, 0) <= 0 || pwrite(fd, "x", 1, 0) >= 0)
        return fault(RC_IO, "pin");
    dprintf(2, "pin has %zu bytes\n", strlen(text));
    return daemon_child_take(child, "pin", &fd) == RC_NOT_FOUND ? RC_OK : fault(RC_IO, "twice");
}

static enum rc cut_control(struct loop_timer *timer)
{
    (void)timer;
    close(DAEMON_FD_CONTROL);
    pause();
    return RC_OK;
}

static enum rc jail(struct daemon_child *child)
{
    const struct sandbox walls = { .name = "patient", .calls = SANDBOX_CALLS_PASS };

    return daemon_child_jail(child, &walls);
}

static void deaf(int signal)
{
    (void)signal;
}

static int be_deaf(struct daemon_child *child)
{
    enum rc rc = daemon_child_serve(child, NULL, NULL);

    signal(SIGTERM, deaf);
    if (rc != RC_OK)
        return 1;
    for (;;)
        pause();
    return 1;
}

static int be_refused(struct daemon_child *child, int code)
{
    return daemon_child_refuse(child, fault(RC_DENIED, "patient refuses"), code);
}

static enum rc serve(const char *name, struct daemon_child *child)
{
    struct loop_timer timer = { 0 };
    int fd = -1;

    if (strcmp(name, "patient-greeter") == 0) {
        TRY(daemon_child_take(child, "hearer", &fd));
        TRY(greet_peer(NULL, "hearer", fd));
        return daemon_child_serve(child, greet_peer, NULL);
    }
    if (strcmp(name, "patient-hearer") == 0) {
        TRY(daemon_child_take(child, "greeter", &fd));
        TRY(hear("greeter", fd));
        return daemon_child_serve(child, hear_peer, NULL);
    }
    if (strcmp(name, "patient-pinned") == 0)
        TRY(read_pin(child));
    TRY(jail(child));
    if (strcmp(name, "patient-crash") == 0)
        timer.due = crash;
    else if (strcmp(name, "patient-intruder") == 0)
        timer.due = break_out;
    if (timer.due != NULL)
        TRY(loop_arm(daemon_child_loop(child), &timer, 20));
    return daemon_child_serve(child, NULL, NULL);
}

static int live(const char *name)
{
    AUTO_OF(daemon_child) *child = NULL;

    if (strcmp(name, "patient-silent") == 0)
        for (;;)
            pause();
    enum rc rc = daemon_child_open(name, &child);
    if (rc == RC_OK && strcmp(name, "patient-wrong-pin") == 0)
        return be_refused(child, EX_NOPERM);
    if (rc == RC_OK && strcmp(name, "patient-wrong-settings") == 0)
        return be_refused(child, EX_CONFIG);
    if (rc == RC_OK && strcmp(name, "patient-cut") == 0) {
        struct loop_timer timer = { .due = cut_control };
        rc = loop_arm(daemon_child_loop(child), &timer, 20);
        return daemon_child_end(child,
                                rc == RC_OK ? daemon_child_serve(child, NULL, NULL) : rc);
    }
    if (rc == RC_OK && strcmp(name, "patient-deaf") == 0)
        return be_deaf(child);
    if (rc == RC_OK)
        rc = serve(name, child);
    return daemon_child_end(child, rc);
}

static const char *const PATIENTS[] = {
    "patient-steady",         "patient-crash",     "patient-intruder",
    "patient-deaf",           "patient-silent",    "patient-pinned",
    "patient-wrong-settings", "patient-wrong-pin", "patient-greeter",
    "patient-hearer",         "patient-cut",
};

/* ---- The supervisor under test ---- */

static char folder[2048];

struct run {
    pid_t pid;
    int log;
    char text[65536];
};

static struct daemon_plan plan_of(const struct daemon_table *table)
{
    static const struct daemon_user users[DAEMON_PROCESSES_MAX];

    return (struct daemon_plan){ .table = table,
                                 .folder = folder,
                                 .users = users,
                                 .notify.fd = -1,
                                 .stop_within_ms = 5000,
                                 .ready_within_ms = 20000,
                                 .restart_least_ms = 10,
                                 .restart_most_ms = 40,
                                 .calm_ms = 60000 };
}

static int supervise(struct daemon_plan *plan, const char *settings)
{
    AUTO_OF(log) *log = NULL;
    AUTO_OF(loop) *loop = NULL;
    AUTO_OF(daemon_supervisor) *supervisor = NULL;
    struct clock clock = clock_system();

    if (sealed_make("settings", bytes_of_text(settings), &plan->settings_fd) != RC_OK ||
        log_open(2, "touchmarkd", daemon_events(), LOG_DEBUG, &clock, &log) != RC_OK ||
        loop_new(&clock, &loop) != RC_OK ||
        daemon_supervisor_open(loop, log, plan, &supervisor) != RC_OK) {
        dprintf(2, "%s\n", fault_text());
        return 99;
    }
    plan->log_fd = 2;
    return daemon_supervisor_run(supervisor);
}

static void start(struct run *run, struct daemon_plan plan, const char *settings)
{
    *run = (struct run){ .log = open("log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
                                     0600) };
    assert_true(run->log >= 0);
    run->pid = fork();
    if (run->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(run->log, 2);
        _exit(supervise(&plan, settings));
    }
}

static const char *read_log(struct run *run)
{
    ssize_t len = pread(run->log, run->text, sizeof run->text - 1, 0);

    run->text[len > 0 ? len : 0] = '\0';
    return run->text;
}

/* Where the log says this for the nth time. */
static const char *wait_for(struct run *run, const char *what, int times)
{
    for (int tries = 0; tries < 2000; tries++) {
        const char *at = read_log(run);
        for (int found = 0; (at = strstr(at, what)) != NULL; at += strlen(what))
            if (++found == times)
                return at;
        usleep(10000);
    }
    print_error("'%s' did not come %d times in:\n%s\n", what, times, run->text);
    assert_true(false);
    return "";
}

static pid_t pid_after(const char *started)
{
    const char *pid = strstr(started, "pid=");

    assert_non_null(pid);
    return (pid_t)strtol(pid + 4, NULL, 10);
}

static int end_of(struct run *run)
{
    int status = 0;

    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    assert_true(WIFEXITED(status));
    read_log(run);
    close(run->log);
    return WEXITSTATUS(status);
}

static int stop(struct run *run)
{
    kill(run->pid, SIGTERM);
    return end_of(run);
}

static const struct daemon_process STEADY[] = { { "one", "patient-steady", NULL, 0 },
                                                { "two", "patient-steady", NULL, 0 } };

static const struct daemon_table STEADY_TABLE = { STEADY, 2, NULL, 0 };

static void starts_in_order_and_stops_in_the_opposite_one(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "[supervisor]\nlog_level = debug\n");
    wait_for(&run, "event=supervisor.ready", 1);
    kill(run.pid, SIGHUP);
    wait_for(&run, "event=signal.ignored", 1);
    assert_int_equal(stop(&run), 0);
    const char *one = strstr(run.text, "event=process.ready child=one");
    assert_non_null(one);
    assert_non_null(strstr(one, "event=process.started child=two"));
    assert_non_null(strstr(run.text, "event=process.jailed"));
    assert_non_null(strstr(run.text, "event=supervisor.stopped code=0"));
    assert_null(strstr(run.text, "process.exited"));
    assert_null(strstr(run.text, "process.killed"));
    assert_null(strstr(run.text, "process.forced"));
}

static void restarts_what_dies_and_waits_longer_each_time(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-steady", NULL, 0 },
                                                  { "two", "patient-crash", NULL, 0 } };
    const struct daemon_table table = { rows, 2, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.restart child=two in_ms=40", 2);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.exited child=two code=3"));
    const char *first = strstr(run.text, "child=two in_ms=10");
    assert_non_null(first);
    assert_non_null(strstr(first, "child=two in_ms=20"));
    assert_null(strstr(run.text, "child=one in_ms"));
    assert_null(
        strstr(strstr(run.text, "event=supervisor.ready") + 1, "event=supervisor.ready"));
}

static void waits_little_again_after_a_calm_while(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-crash", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.calm_ms = 1; /* it serves 20 ms each time */
    start(&run, plan, "");
    wait_for(&run, "event=process.restart child=one in_ms=10", 3);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "in_ms=20"));
}

static void restarts_what_was_killed(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "");
    wait_for(&run, "event=supervisor.ready", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=one", 1)), SIGKILL);
    wait_for(&run, "event=process.ready child=one", 2);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.killed child=one signal=KILL"));
}

static void never_restarts_wrong_settings_or_a_wrong_pin(void **state)
{
    static const struct {
        const char *program;
        int code;
        const char *means;
    } rows[] = { { "patient-wrong-settings", 78, "wrong settings" },
                 { "patient-wrong-pin", 77, "wrong PIN" },
                 { "patient-that-is-not-there", 78, "wrong settings" } };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct daemon_process processes[] = { { "one", "patient-steady", NULL, 0 },
                                                    { "two", rows[i].program, NULL, 0 } };
        const struct daemon_table table = { processes, 2, NULL, 0 };
        struct run run;
        start(&run, plan_of(&table), "");
        assert_int_equal(end_of(&run), rows[i].code);
        const char *refused = strstr(run.text, "event=process.refused child=two");
        assert_non_null(refused);
        assert_non_null(strstr(refused, rows[i].means));
        assert_non_null(strstr(refused, "event=supervisor.stopped"));
        assert_null(strstr(run.text, "event=process.restart"));
    }
}

static void settings_that_a_child_refuses_stop_everything(void **state)
{
    struct run run;

    (void)state;
    start(&run, plan_of(&STEADY_TABLE), "[supervisor]\nno_such_key = 1\n");
    assert_int_equal(end_of(&run), 78);
    assert_non_null(strstr(run.text, "no_such_key"));
}

static void calls_a_jail_violation_by_its_name(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-intruder", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.jail-violation child=one", 2);
    assert_int_equal(stop(&run), 0);
}

static void forces_what_does_not_stop(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-deaf", NULL, 0 },
                                                  { "two", "patient-silent", NULL, 0 } };
    struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.stop_within_ms = 200;
    start(&run, plan, "");
    wait_for(&run, "event=supervisor.ready", 1);
    assert_int_equal(stop(&run), 0);
    assert_non_null(strstr(run.text, "event=process.forced child=one signal=TERM"));
    assert_non_null(strstr(run.text, "event=process.forced child=one signal=KILL"));
    assert_non_null(strstr(run.text, "event=process.killed child=one signal=KILL"));
    table.process_count = 2; /* the second never becomes ready: stopped while starting */
    start(&run, plan, "");
    wait_for(&run, "event=process.started child=two", 1);
    assert_int_equal(stop(&run), 0);
}

static void kills_what_does_not_become_ready(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-silent", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    plan.ready_within_ms = 50;
    start(&run, plan, "");
    wait_for(&run, "event=process.not-ready child=one after_ms=50", 2);
    wait_for(&run, "event=process.restart child=one in_ms=20", 1);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "event=supervisor.ready"));
}

static void kills_what_lives_on_without_its_control_link(void **state)
{
    static const struct daemon_process rows[] = { { "one", "patient-cut", NULL, 0 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct run run;

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=process.link-lost child=one", 1);
    wait_for(&run, "event=process.started child=one", 2);
    assert_int_equal(stop(&run), 0);
}

static void survivors_get_fresh_channels(void **state)
{
    static const struct daemon_descriptor to_hearer[] = { { DAEMON_CHANNEL, "hearer" } };
    static const struct daemon_descriptor to_greeter[] = { { DAEMON_CHANNEL, "greeter" } };
    static const struct daemon_process rows[] = {
        { "greeter", "patient-greeter", to_hearer, 1 },
        { "hearer", "patient-hearer", to_greeter, 1 }
    };
    static const struct daemon_channel channels[] = { { "hearer", "greeter" } };
    const struct daemon_table table = { rows, 2, channels, 1 };
    struct run run;
    AUTO_BUF(text, 64);
    const char *expected = "";

    (void)state;
    start(&run, plan_of(&table), "");
    wait_for(&run, "event=supervisor.ready", 1);
    wait_for(&run, "heard greeter-", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=greeter", 1)), SIGKILL);
    wait_for(&run, "heard greeter-", 2);
    pid_t second = pid_after(wait_for(&run, "event=process.started child=greeter", 2));
    buf_addf(&text, "heard greeter-%d", second);
    assert_int_equal(buf_text(&text, &expected), RC_OK);
    wait_for(&run, expected, 1);
    kill(pid_after(wait_for(&run, "event=process.started child=hearer", 1)), SIGKILL);
    wait_for(&run, expected, 2);
    assert_int_equal(stop(&run), 0);
}

static void hands_over_what_was_supplied(void **state)
{
    static const struct daemon_descriptor pin[] = { { DAEMON_SUPPLIED, "pin" } };
    static const struct daemon_process rows[] = { { "one", "patient-pinned", pin, 1 } };
    const struct daemon_table table = { rows, 1, NULL, 0 };
    struct daemon_supply supply = { .name = "pin", .fd = -1 };
    struct daemon_plan plan = plan_of(&table);
    struct run run;

    (void)state;
    assert_int_equal(sealed_make("pin", BYTES("123456"), &supply.fd), RC_OK);
    plan.supplies = &supply;
    plan.supply_count = 1;
    start(&run, plan, "");
    wait_for(&run, "pin has 6 bytes", 1);
    wait_for(&run, "event=supervisor.ready", 1);
    kill(pid_after(wait_for(&run, "event=process.started child=one", 1)), SIGKILL);
    wait_for(&run, "pin has 6 bytes", 2);
    assert_int_equal(stop(&run), 0);
    assert_null(strstr(run.text, "123456"));
    plan.supply_count = 0;
    start(&run, plan, "");
    assert_int_equal(end_of(&run), 99);
    assert_non_null(strstr(run.text, "process one lists pin, and nothing supplies it"));
    close(supply.fd);
}

static void tells_the_service_manager(void **state)
{
    int pair[2];
    char said[64] = "";
    struct daemon_plan plan = plan_of(&STEADY_TABLE);
    struct run run;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    plan.notify = (struct daemon_notify){ .fd = pair[0], .watchdog_ms = 0 };
    start(&run, plan, "");
    assert_int_equal(recv(pair[1], said, sizeof said, 0), strlen("READY=1"));
    assert_string_equal(said, "READY=1");
    kill(run.pid, SIGINT);
    assert_int_equal(recv(pair[1], said, sizeof said, 0), strlen("STOPPING=1"));
    assert_int_equal(end_of(&run), 0);
    plan.notify.watchdog_ms = 10;
    start(&run, plan, "");
    for (bool seen = false; !seen;) {
        memset(said, 0, sizeof said);
        assert_true(recv(pair[1], said, sizeof said - 1, 0) > 0);
        seen = strcmp(said, "WATCHDOG=1") == 0;
    }
    assert_int_equal(stop(&run), 0);
    close(pair[0]);
    close(pair[1]);
}

static void each_process_has_its_own_user(void **state)
{
    static const struct daemon_user users[] = { { true, 65533, 65533 },
                                                { true, 65534, 65534 } };
    struct daemon_plan plan = plan_of(&STEADY_TABLE);
    struct run run;
    AUTO_BUF(path, 64);
    AUTO_BUF(status, 8192);
    const char *name = "", *text = "";

    (void)state;
    if (geteuid() != 0)
        skip();
    plan.users = users;
    start(&run, plan, "");
    wait_for(&run, "event=supervisor.ready", 1);
    buf_addf(&path, "/proc/%d/status",
             pid_after(wait_for(&run, "event=process.started child=two", 1)));
    assert_int_equal(buf_text(&path, &name), RC_OK);
    assert_int_equal(file_read(AT_FDCWD, name, &status), RC_OK);
    assert_int_equal(buf_text(&status, &text), RC_OK);
    assert_non_null(strstr(text, "Uid:\t65534\t65534\t65534\t65534\n"));
    assert_non_null(strstr(text, "CapEff:\t0000000000000000\n"));
    assert_non_null(strstr(text, "CapPrm:\t0000000000000000\n"));
    assert_int_equal(stop(&run), 0);
}

static int set_up(void **state)
{
    char self[2048];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);

    (void)state;
    assert_in_range(len, 1, sizeof self - 1);
    self[len] = '\0';
    assert_non_null(getcwd(folder, sizeof folder));
    for (size_t i = 0; i < COUNT(PATIENTS); i++) {
        unlink(PATIENTS[i]);
        assert_int_equal(symlink(self, PATIENTS[i]), 0);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_in_order_and_stops_in_the_opposite_one),
        cmocka_unit_test(restarts_what_dies_and_waits_longer_each_time),
        cmocka_unit_test(waits_little_again_after_a_calm_while),
        cmocka_unit_test(restarts_what_was_killed),
        cmocka_unit_test(never_restarts_wrong_settings_or_a_wrong_pin),
        cmocka_unit_test(settings_that_a_child_refuses_stop_everything),
        cmocka_unit_test(calls_a_jail_violation_by_its_name),
        cmocka_unit_test(forces_what_does_not_stop),
        cmocka_unit_test(kills_what_does_not_become_ready),
        cmocka_unit_test(kills_what_lives_on_without_its_control_link),
        cmocka_unit_test(survivors_get_fresh_channels),
        cmocka_unit_test(hands_over_what_was_supplied),
        cmocka_unit_test(tells_the_service_manager),
        cmocka_unit_test(each_process_has_its_own_user),
    };

    const char *executed = strrchr((const char *)getauxval(AT_EXECFN), '/');
    if (executed != NULL && strncmp(executed + 1, "patient-", strlen("patient-")) == 0)
        return live(executed + 1);
    return cmocka_run_group_tests(tests, set_up, NULL);
}
