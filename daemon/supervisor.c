#include "daemon/supervisor.h"

#include "daemon/birth.h"
#include "daemon/control.h"
#include "daemon/ends.h"
#include "daemon/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

/* A child that has lost its control link could not be stopped politely: it ends by itself, or
 * is killed after this. */
enum { END_GRACE_MS = 2000 };

/* Who writes the audit log. */
static const char LISTENER[] = "authority";

/* Named for what it waits for. */
enum state {
    WAITS_FOR_TURN, /* the processes before it have to serve first */
    WAITS_FOR_READY,
    SERVES,
    WAITS_FOR_END, /* it was asked or made to end */
    WAITS_FOR_RESTART
};

struct process {
    struct loop_timer timer; /* first member: the timer is the process */
    struct daemon_supervisor *of;
    const struct daemon_process *row;
    enum state state;
    pid_t pid; /* 0: none */
    struct link *control;
    int64_t serves_since_ms, wait_ms;
    /* Of the lives since it last served: the first that failed and the last, and how many. */
    struct daemon_end failed_first, failed_last;
    unsigned failures;
};

struct daemon_supervisor {
    struct loop_timer stop_timer; /* first member */
    struct loop_timer watchdog;
    struct loop_signal signals;
    struct loop *loop;
    struct log *log;
    const struct daemon_plan *plan;
    struct daemon_birth birth;
    struct daemon_ends ends;
    struct process processes[DAEMON_PROCESSES_MAX];
    size_t count;
    bool was_ready, stopping;
    int forced; /* signals sent to what did not stop: 0, 1 (SIGTERM), 2 (SIGKILL) */
    int exit_code;
};

static enum rc start(struct process *process);

/* ---- Stopping ---- */

static void signal_group(const struct process *process, int which)
{
    if (process->pid > 0)
        kill(-process->pid, which);
}

static void ask_to_end(struct process *process)
{
    process->state = WAITS_FOR_END;
    loop_disarm(&process->timer);
    link_close(TAKE(process->control));
}

static bool listens(const struct process *process)
{
    return strcmp(process->row->name, LISTENER) == 0;
}

/* The last of the living is asked; when it is gone, and its end is told, the one before it. */
static void stop_next(struct daemon_supervisor *s)
{
    for (size_t i = s->count; i-- > 0;) {
        struct process *process = &s->processes[i];
        if (process->pid > 0) {
            if (process->state != WAITS_FOR_END && !(listens(process) && s->ends.on_its_way))
                ask_to_end(process);
            return;
        }
        loop_disarm(&process->timer);
    }
    loop_stop(s->loop);
}

static enum rc force(struct loop_timer *timer)
{
    struct daemon_supervisor *s = (struct daemon_supervisor *)timer;
    int which = s->forced++ == 0 ? SIGTERM : SIGKILL;

    for (size_t i = 0; i < s->count; i++) {
        struct process *process = &s->processes[i];
        if (process->pid == 0)
            continue;
        log_write(s->log, DAEMON_EVENT_PROCESS_FORCED,
                  LOG_TEXT_FIELD("child", process->row->name),
                  LOG_TEXT_FIELD("signal", which == SIGTERM ? "TERM" : "KILL"));
        ask_to_end(process);
        signal_group(process, which);
    }
    if (which == SIGTERM)
        return loop_arm(s->loop, timer, s->plan->stop_within_ms * 3 / 10);
    return RC_OK;
}

static enum rc stop_all(struct daemon_supervisor *s, const char *why, int exit_code)
{
    if (s->stopping)
        return RC_OK;
    s->stopping = true;
    s->exit_code = exit_code;
    log_write(s->log, DAEMON_EVENT_SUPERVISOR_STOPPING, LOG_TEXT_FIELD("why", why));
    daemon_notify_tell(&s->plan->notify, "STOPPING=1");
    for (size_t i = 0; i < s->count; i++)
        if (s->processes[i].pid == 0)
            loop_disarm(&s->processes[i].timer);
    TRY(loop_arm(s->loop, &s->stop_timer, s->plan->stop_within_ms * 6 / 10));
    stop_next(s);
    return RC_OK;
}

static enum rc refuse(struct process *process, int code)
{
    log_write(process->of->log, DAEMON_EVENT_PROCESS_REFUSED,
              LOG_TEXT_FIELD("child", process->row->name), LOG_NUMBER_FIELD("code", code),
              LOG_TEXT_FIELD("means", code == EX_NOPERM ? "wrong PIN" : "wrong settings"));
    return stop_all(process->of, "a process will not run this way", code);
}

/* ---- Starting ---- */

static enum rc start_next(struct daemon_supervisor *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->processes[i].state == WAITS_FOR_TURN)
            return start(&s->processes[i]);
        if (s->processes[i].state != SERVES)
            return RC_OK;
    }
    if (!s->was_ready) {
        s->was_ready = true;
        log_write(s->log, DAEMON_EVENT_SUPERVISOR_READY,
                  LOG_NUMBER_FIELD("processes", (int64_t)s->count));
        daemon_notify_tell(&s->plan->notify, "READY=1");
    }
    return RC_OK;
}

static void kill_slow(struct process *process)
{
    struct log *log = process->of->log;

    if (process->control == NULL)
        log_write(log, DAEMON_EVENT_PROCESS_LINK_LOST,
                  LOG_TEXT_FIELD("child", process->row->name));
    else
        log_write(log, DAEMON_EVENT_PROCESS_NOT_READY,
                  LOG_TEXT_FIELD("child", process->row->name),
                  LOG_NUMBER_FIELD("after_ms", process->of->plan->ready_within_ms));
    ask_to_end(process);
    signal_group(process, SIGKILL);
}

static enum rc on_due(struct loop_timer *timer)
{
    struct process *process = (struct process *)timer;

    if (process->state == WAITS_FOR_RESTART)
        return start(process);
    kill_slow(process);
    return RC_OK;
}

static enum rc restart_later(struct process *process)
{
    const struct daemon_plan *plan = process->of->plan;
    int64_t wait = process->wait_ms;

    process->state = WAITS_FOR_RESTART;
    process->wait_ms = wait > plan->restart_most_ms / 2 ? plan->restart_most_ms : wait * 2;
    log_write(process->of->log, DAEMON_EVENT_PROCESS_RESTART,
              LOG_TEXT_FIELD("child", process->row->name), LOG_NUMBER_FIELD("in_ms", wait));
    return loop_arm(process->of->loop, &process->timer, wait);
}

static void on_began(void *with, const struct link_reply *reply)
{
    struct process *process = with;
    struct daemon_supervisor *s = process->of;

    /* Anything but RC_OK: the link is gone, and its end is being handled. */
    if (reply->rc != RC_OK || process->state != WAITS_FOR_READY)
        return;
    process->state = SERVES;
    process->serves_since_ms = loop_now_ms(s->loop);
    process->failures = 0;
    loop_disarm(&process->timer);
    log_write(s->log, DAEMON_EVENT_PROCESS_READY, LOG_TEXT_FIELD("child", process->row->name));
    daemon_ends_tell(&s->ends);
    if (!s->stopping && start_next(s) != RC_OK) {
        log_fault(s->log, DAEMON_EVENT_SUPERVISOR_FAILED, RC_IO);
        (void)!stop_all(s, "the loop failed", EX_SOFTWARE);
    }
}

/* Usually it is ending and its code tells more: only one that lives on is killed. */
static void on_control_lost(void *with)
{
    struct process *process = with;
    struct daemon_supervisor *s = process->of;

    link_close(TAKE(process->control));
    if (loop_arm(s->loop, &process->timer, END_GRACE_MS) != RC_OK)
        signal_group(process, SIGKILL);
}

static void on_told(void *with, const struct link_reply *reply)
{
    (void)with;
    (void)reply; /* a peer that refused its channel has lost it; its own log says why */
}

static bool lives(void *with, const char *name)
{
    const struct daemon_supervisor *s = with;
    size_t place = daemon_table_find(s->plan->table, name);

    return place < s->count && s->processes[place].control != NULL;
}

/* fd is the fresh end of the channel from `from` to the living process `to`. */
static enum rc tell_peer(void *with, const char *to, const char *from, int fd)
{
    struct daemon_supervisor *s = with;
    struct process *process = &s->processes[daemon_table_find(s->plan->table, to)];

    return link_ask(process->control, DAEMON_CONTROL_PEER, bytes_of_text(from), fd, on_told,
                    NULL);
}

static enum rc watch_over(struct process *process, int control)
{
    struct daemon_supervisor *s = process->of;

    TRY(link_open(s->loop, control, daemon_control_protocol(), on_control_lost, process,
                  &process->control));
    process->state = WAITS_FOR_READY;
    enum rc rc =
        link_ask(process->control, DAEMON_CONTROL_BEGIN, BYTES(""), -1, on_began, process);
    if (rc == RC_CLOSED) {
        on_control_lost(process); /* it ended before it was asked */
        return RC_OK;
    }
    TRY(rc);
    return loop_arm(s->loop, &process->timer, s->plan->ready_within_ms);
}

/* "" if its former life did not fail. */
static const char *say_former(const struct process *process, struct buf *text)
{
    const char *said = "";

    if (process->failures > 0)
        daemon_end_say(&process->failed_first, text);
    if (process->failures > 1) {
        buf_addf(text, "; %u more ended before they served, the last: ", process->failures - 1);
        daemon_end_say(&process->failed_last, text);
    }
    return buf_text(text, &said) == RC_OK ? said : "";
}

static enum rc start(struct process *process)
{
    struct daemon_supervisor *s = process->of;
    size_t place = (size_t)(process - s->processes);
    int control = -1;
    AUTO_BUF(former, 256);
    enum rc rc = daemon_birth_give(&s->birth, place, say_former(process, &former),
                                   &process->pid, &control);

    if (rc != RC_OK) {
        log_fault(s->log, DAEMON_EVENT_PROCESS_NOT_STARTED, rc);
        if (rc == RC_NOT_FOUND || rc == RC_DENIED)
            return refuse(process, EX_CONFIG);
        return restart_later(process);
    }
    log_write(s->log, DAEMON_EVENT_PROCESS_STARTED, LOG_TEXT_FIELD("child", process->row->name),
              LOG_NUMBER_FIELD("pid", process->pid));
    return watch_over(process, control);
}

/* ---- Ends of processes ---- */

static void log_end(const struct process *process, int status)
{
    struct log *log = process->of->log;
    const char *name = process->row->name;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_write(log, DAEMON_EVENT_PROCESS_JAIL_VIOLATION, LOG_TEXT_FIELD("child", name),
                  LOG_NUMBER_FIELD("pid", process->pid));
    else if (WIFSIGNALED(status))
        log_write(log, DAEMON_EVENT_PROCESS_KILLED, LOG_TEXT_FIELD("child", name),
                  LOG_TEXT_FIELD("signal", sigabbrev_np(WTERMSIG(status))));
    else if (WEXITSTATUS(status) != 0 || process->state != WAITS_FOR_END)
        log_write(log, DAEMON_EVENT_PROCESS_EXITED, LOG_TEXT_FIELD("child", name),
                  LOG_NUMBER_FIELD("code", WEXITSTATUS(status)));
}

static struct link *listener(void *with)
{
    struct daemon_supervisor *s = with;
    size_t place = daemon_table_find(s->plan->table, LISTENER);

    return place < s->count && s->processes[place].state == SERVES ? s->processes[place].control
                                                                   : NULL;
}

static void rests(void *with)
{
    struct daemon_supervisor *s = with;

    if (s->stopping)
        stop_next(s);
}

/* The listener's own end is told to its next life as that is born. */
static void tell_end(struct process *process, int status)
{
    struct daemon_supervisor *s = process->of;
    const struct clock clock = clock_system();
    struct daemon_end end =
        daemon_end_of(process->row->name, status, process->state == WAITS_FOR_END);

    end.pid = (uint32_t)process->pid;
    end.wall_ms = clock_wall_ms(&clock);
    if (end.killed || end.code != 0) {
        process->failed_last = end;
        if (process->failures++ == 0)
            process->failed_first = end;
    }
    if (listens(process))
        return;
    daemon_ends_add(&s->ends, &end);
    daemon_ends_tell(&s->ends);
}

static bool logs_in(const struct process *process)
{
    for (size_t i = 0; i < process->row->descriptor_count; i++)
        if (strcmp(process->row->descriptors[i].name, "pin") == 0)
            return true;
    return false;
}

/* Whether all must stop. Wrong settings show before a process serves; only who has the PIN can
 * find it wrong later. From anybody else that word is one of a broken process. */
static bool is_final(const struct process *process, int status)
{
    bool served = process->serves_since_ms != 0;

    if (!WIFEXITED(status))
        return false;
    return (WEXITSTATUS(status) == EX_CONFIG && !served) ||
           (WEXITSTATUS(status) == EX_NOPERM && (!served || logs_in(process)));
}

static enum rc on_end(struct process *process, int status)
{
    struct daemon_supervisor *s = process->of;
    bool calm = process->state == SERVES &&
                loop_now_ms(s->loop) - process->serves_since_ms >= s->plan->calm_ms;

    log_end(process, status);
    tell_end(process, status);
    ask_to_end(process);
    process->pid = 0;
    daemon_birth_forget(&s->birth, process->row->name);
    if (calm)
        process->wait_ms = s->plan->restart_least_ms;
    if (s->stopping) {
        stop_next(s);
        return RC_OK;
    }
    bool final = is_final(process, status);
    process->serves_since_ms = 0;
    return final ? refuse(process, WEXITSTATUS(status)) : restart_later(process);
}

/* What a child left behind goes with it; while it is not reaped, nobody else has its number. */
static enum rc reap(struct daemon_supervisor *s, pid_t pid)
{
    int status = 0;

    kill(-pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid)
        return fault_errno("wait for process %d", pid);
    for (size_t i = 0; i < s->count; i++)
        if (s->processes[i].pid == pid)
            return on_end(&s->processes[i], status);
    return RC_OK;
}

static enum rc reap_all(struct daemon_supervisor *s)
{
    for (;;) {
        siginfo_t ended = { 0 };
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 && errno != ECHILD)
            return fault_errno("wait for processes");
        if (ended.si_pid == 0)
            return RC_OK;
        TRY(reap(s, ended.si_pid));
    }
}

/* ---- Running ---- */

static enum rc on_signal(struct loop_signal *signal, const struct signalfd_siginfo *info)
{
    struct daemon_supervisor *s =
        (struct daemon_supervisor *)((char *)signal -
                                     offsetof(struct daemon_supervisor, signals));

    switch (info->ssi_signo) {
    case SIGCHLD:
        return reap_all(s);
    case SIGHUP:
        log_write(s->log, DAEMON_EVENT_SIGNAL_IGNORED, LOG_TEXT_FIELD("signal", "HUP"));
        return RC_OK;
    default:
        return stop_all(s, info->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT", 0);
    }
}

static enum rc on_watchdog(struct loop_timer *timer)
{
    struct daemon_supervisor *s =
        (struct daemon_supervisor *)((char *)timer -
                                     offsetof(struct daemon_supervisor, watchdog));

    daemon_notify_tell(&s->plan->notify, "WATCHDOG=1");
    return loop_arm(s->loop, timer, s->plan->notify.watchdog_ms);
}

enum rc daemon_supervisor_open(struct loop *loop, struct log *log,
                               const struct daemon_plan *plan,
                               struct daemon_supervisor **supervisor)
{
    AUTO_OF(daemon_supervisor) *made = calloc(1, sizeof *made);
    sigset_t signals;

    if (made == NULL)
        return fault(RC_NOMEM, "supervisor");
    TRY(daemon_birth_open(plan, lives, tell_peer, made, &made->birth));
    made->loop = loop;
    made->log = log;
    made->plan = plan;
    made->count = plan->table->process_count;
    made->stop_timer.due = force;
    made->watchdog.due = on_watchdog;
    made->ends = (struct daemon_ends){
        .loop = loop, .listener = listener, .rests = rests, .with = made
    };
    made->signals.received = on_signal;
    for (size_t i = 0; i < made->count; i++)
        made->processes[i] = (struct process){ .timer.due = on_due,
                                               .of = made,
                                               .row = &plan->table->processes[i],
                                               .wait_ms = plan->restart_least_ms };
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    TRY(loop_add_signals(loop, &made->signals, &signals));
    *supervisor = TAKE(made);
    return RC_OK;
}

void daemon_supervisor_free(struct daemon_supervisor *supervisor)
{
    if (supervisor == NULL)
        return;
    for (size_t i = 0; i < supervisor->count; i++) {
        signal_group(&supervisor->processes[i], SIGKILL);
        ask_to_end(&supervisor->processes[i]);
    }
    loop_disarm(&supervisor->stop_timer);
    loop_disarm(&supervisor->watchdog);
    daemon_ends_stop(&supervisor->ends);
    loop_remove(&supervisor->signals.watch);
    daemon_birth_close(&supervisor->birth);
    free(supervisor);
}

int daemon_supervisor_run(struct daemon_supervisor *s)
{
    enum rc rc = RC_OK;

    if (s->plan->notify.watchdog_ms > 0)
        rc = loop_arm(s->loop, &s->watchdog, s->plan->notify.watchdog_ms);
    if (rc == RC_OK)
        rc = start_next(s);
    if (rc == RC_OK)
        rc = loop_run(s->loop);
    if (rc != RC_OK) {
        log_fault(s->log, DAEMON_EVENT_SUPERVISOR_FAILED, rc);
        s->exit_code = EX_SOFTWARE;
    }
    log_write(s->log, DAEMON_EVENT_SUPERVISOR_STOPPED, LOG_NUMBER_FIELD("code", s->exit_code));
    return s->exit_code;
}
