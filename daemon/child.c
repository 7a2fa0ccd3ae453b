#include "daemon/child.h"

#include "base/file.h"
#include "base/sandbox.h"
#include "daemon/control.h"
#include "daemon/table.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { SETTINGS_BYTES_MAX = 64 * 1024, LOOSE_MAX = DAEMON_DESCRIPTORS_MAX };

struct daemon_child {
    struct clock clock;
    struct loop *loop;
    struct log *log;
    struct daemon_config config;
    struct link_server *control;
    struct loop_signal stop;
    enum rc (*peer)(void *with, const char *name, int fd);
    enum rc (*ended)(void *with, const struct daemon_end *end);
    void *with;
    const char *names[LOOSE_MAX]; /* of descriptor DAEMON_FD_FIRST + n; NULL once taken */
    size_t name_count;
    char *listed;
};

static enum rc read_settings(struct daemon_config *config)
{
    AUTO_BUF(text, SETTINGS_BYTES_MAX);

    TRY(file_read_fd(DAEMON_FD_SETTINGS, &text));
    return settings_read(daemon_config_table(), buf_bytes(&text), config);
}

/* No execve is to come in most processes, but one that has children passes nothing on. */
static enum rc keep_from_children(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0)
        return fault(RC_DENIED, "descriptor %d is not open: touchmarkd starts this program",
                     fd);
    return RC_OK;
}

static enum rc list_descriptors(struct daemon_child *child)
{
    const char *names = getenv("TOUCHMARK_DESCRIPTORS");
    char *rest = NULL;

    if (names == NULL)
        return fault(RC_DENIED,
                     "TOUCHMARK_DESCRIPTORS is not set: touchmarkd starts this program");
    child->listed = strdup(names);
    if (child->listed == NULL)
        return fault(RC_NOMEM, "names of descriptors");
    for (char *name = strtok_r(child->listed, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        if (child->name_count == LOOSE_MAX)
            return fault(RC_LIMIT, "more than %d descriptors", LOOSE_MAX);
        TRY(keep_from_children(DAEMON_FD_FIRST + (int)child->name_count));
        child->names[child->name_count++] = name;
    }
    TRY(keep_from_children(DAEMON_FD_SETTINGS));
    return keep_from_children(DAEMON_FD_CONTROL);
}

static enum rc on_stop(struct loop_signal *signal, const struct signalfd_siginfo *info)
{
    (void)info;
    loop_stop(signal->watch.loop);
    return RC_OK;
}

static void on_control_closed(void *with)
{
    struct daemon_child *child = with;

    loop_stop(child->loop);
}

static enum rc take_peer(struct daemon_child *child, const struct link_request *request)
{
    char name[DAEMON_NAME_MAX + 1] = "";

    if (child->peer == NULL || request->body.len == 0) {
        close(request->fd);
        return fault(RC_DENIED, "a peer's channel was not expected");
    }
    memcpy(name, request->body.at, request->body.len);
    return child->peer(child->with, name, request->fd);
}

static enum rc take_end(const struct daemon_child *child, struct bytes body)
{
    struct daemon_end end;

    if (child->ended == NULL)
        return fault(RC_DENIED, "how others end is not told to this process");
    TRY(daemon_end_read(body, &end));
    return child->ended(child->with, &end);
}

static enum rc on_control(void *with, const struct link_request *request)
{
    struct daemon_child *child = with;
    enum rc rc = RC_OK;

    if (request->kind->kind == DAEMON_CONTROL_PEER)
        rc = take_peer(child, request);
    else if (request->kind->kind == DAEMON_CONTROL_ENDED)
        rc = take_end(child, request->body);
    link_answer(request, rc, rc == RC_OK ? BYTES("") : bytes_of_text(fault_text()), -1);
    return RC_OK;
}

static enum rc open_loop(struct daemon_child *child)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    if (signal(SIGINT, SIG_IGN) == SIG_ERR || signal(SIGHUP, SIG_IGN) == SIG_ERR ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return fault_errno("ignore signals");
    TRY(loop_new(&child->clock, &child->loop));
    child->stop.received = on_stop;
    TRY(loop_add_signals(child->loop, &child->stop, &stop));
    return link_serve(child->loop, DAEMON_FD_CONTROL, daemon_control_protocol(), on_control,
                      on_control_closed, child, &child->control);
}

static enum rc open_all(const char *name, struct daemon_child *child)
{
    TRY(sandbox_begin());
    TRY(list_descriptors(child));
    TRY(read_settings(&child->config));
    TRY(log_open(DAEMON_FD_LOG, name, daemon_events(),
                 (enum log_level)child->config.supervisor.log_level, &child->clock,
                 &child->log));
    return open_loop(child);
}

/* A child that could not open still says why, on what should be its log. */
static void explain(const char *name, const struct clock *clock, enum rc rc)
{
    AUTO_BUF(why, 1024);
    const char *text = "";
    AUTO_OF(log) *log = NULL;

    buf_addf(&why, "%s", fault_text());
    if (buf_text(&why, &text) == RC_OK &&
        log_open(DAEMON_FD_LOG, name, daemon_events(), LOG_NOTICE, clock, &log) == RC_OK)
        log_write(log, DAEMON_EVENT_PROCESS_FAILED, LOG_TEXT_FIELD("rc", rc_name(rc)),
                  LOG_TEXT_FIELD("reason", text));
}

enum rc daemon_child_open(const char *name, struct daemon_child **child)
{
    struct daemon_child *made = calloc(1, sizeof *made);

    if (made == NULL)
        return fault(RC_NOMEM, "process %s", name);
    made->clock = clock_system();
    enum rc rc = open_all(name, made);
    if (rc != RC_OK) {
        explain(name, &made->clock, rc);
        daemon_child_free(made);
        return rc;
    }
    *child = made;
    return RC_OK;
}

void daemon_child_free(struct daemon_child *child)
{
    if (child == NULL)
        return;
    link_server_close(child->control);
    if (child->stop.watch.loop != NULL)
        loop_remove(&child->stop.watch);
    loop_free(child->loop);
    log_close(child->log);
    daemon_config_clear(&child->config);
    free(child->listed);
    free(child);
}

struct loop *daemon_child_loop(struct daemon_child *child)
{
    return child->loop;
}

struct log *daemon_child_log(struct daemon_child *child)
{
    return child->log;
}

const struct clock *daemon_child_clock(const struct daemon_child *child)
{
    return &child->clock;
}

const struct daemon_config *daemon_child_config(const struct daemon_child *child)
{
    return &child->config;
}

enum rc daemon_child_take(struct daemon_child *child, const char *name, int *fd)
{
    for (size_t i = 0; i < child->name_count; i++)
        if (child->names[i] != NULL && strcmp(child->names[i], name) == 0) {
            child->names[i] = NULL;
            *fd = DAEMON_FD_FIRST + (int)i;
            return RC_OK;
        }
    return fault(RC_NOT_FOUND, "no descriptor is called %s", name);
}

enum rc daemon_child_jail(struct daemon_child *child, const struct sandbox *jail)
{
    struct sandbox_report report;
    struct sandbox walls = *jail;

    walls.landlock_abi_most = (int)child->config.sandbox.landlock_abi_most;
    if (walls.lock_memory != SANDBOX_LOCK_NOT &&
        child->config.sandbox.locked_memory == DAEMON_CONFIG_OPTIONAL)
        walls.lock_memory = SANDBOX_LOCK_IF_ALLOWED;
    TRY(sandbox_enter(&walls, child->config.sandbox.landlock == DAEMON_CONFIG_OPTIONAL,
                      &report));
    log_write(child->log, DAEMON_EVENT_PROCESS_JAILED, LOG_TEXT_FIELD("jail", report.text));
    return RC_OK;
}

enum rc daemon_child_serve(struct daemon_child *child,
                           enum rc (*peer)(void *with, const char *name, int fd), void *with)
{
    child->peer = peer;
    child->with = with;
    return loop_run(child->loop);
}

void daemon_child_hear_ends(struct daemon_child *child,
                            enum rc (*ended)(void *with, const struct daemon_end *end))
{
    child->ended = ended;
}

const char *daemon_child_former(void)
{
    return getenv("TOUCHMARK_FORMER");
}

int daemon_child_end(struct daemon_child *child, enum rc rc)
{
    if (child == NULL) /* daemon_child_open() has said why */
        return rc == RC_MALFORMED ? EX_CONFIG : EX_SOFTWARE;
    return rc == RC_OK ? 0 : daemon_child_refuse(child, rc, EX_SOFTWARE);
}

int daemon_child_refuse(struct daemon_child *child, enum rc rc, int code)
{
    log_fault(child->log, DAEMON_EVENT_PROCESS_FAILED, rc);
    return code;
}
