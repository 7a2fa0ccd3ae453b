/* Children of touchmarkd that behave as their names say, and touchmarkd over them. */
#pragma once

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
#include "daemon/control.h"
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

static enum rc write_end(void *with, const struct daemon_end *end)
{
    AUTO_BUF(text, 256);
    const char *said = "";

    (void)with;
    daemon_end_say(end, &text);
    TRY(buf_text(&text, &said));
    dprintf(2, "recorded %s %s\n", end->process, said);
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
    if (strcmp(name, "patient-recorder") == 0) {
        daemon_child_hear_ends(child, write_end);
        dprintf(2, "recorder's former: %s\n",
                daemon_child_former() == NULL ? "none" : daemon_child_former());
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
    "patient-hearer",         "patient-cut",       "patient-recorder",
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

/* Whether this was executed by a patient's name, and so was one. */
static bool be_patient(int *code)
{
    const char *executed = strrchr((const char *)getauxval(AT_EXECFN), '/');

    if (executed == NULL || strncmp(executed + 1, "patient-", strlen("patient-")) != 0)
        return false;
    *code = live(executed + 1);
    return true;
}
