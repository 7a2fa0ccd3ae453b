#include "bench/subject_enrol.h"
#include "bench/subject_internal.h"
#include "bench/subject_rules.h"

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { LOG_MAX = 64 * 1024 * 1024, START_MS = 60000, NAP_MS = 20, CHILDREN_MAX = 4096 };

static const char *const PROGRAMS[] = { "touchmark", "touchmarkd", "touchmark-signer",
                                        "touchmark-authority", "touchmark-broker" };

/* What an operator adds who has fast devices and the room for it: as mosquitto is set up here,
 * nothing is dropped because it waits. And what a container's root may not lock. */
static const char SETTINGS[] =
    "\n[device-door]\nout_most = 16M\nqueue_most = 32768\nqueue_bytes = 64M\n"
    "\n[sandbox]\nlocked_memory = optional\n";

struct ours {
    char bin[SUBJECT_PATH_MAX], place[SUBJECT_PATH_MAX], log[SUBJECT_PATH_MAX];
    char ca[SUBJECT_PATH_MAX], url[SUBJECT_PATH_MAX];
};

static enum rc find_programs(const struct ours *ours)
{
    char program[SUBJECT_PATH_MAX];

    for (size_t i = 0; i < sizeof PROGRAMS / sizeof PROGRAMS[0]; i++) {
        TRY(subject_path(program, ours->bin, PROGRAMS[i]));
        if (access(program, X_OK) != 0)
            return fault(RC_NOT_FOUND, "%s is not built", program);
    }
    return RC_OK;
}

static enum rc find_paths(const struct subject_world *world, const struct subject *subject,
                          struct ours *ours)
{
    TRY(subject_path(ours->bin, world->programs, "bin"));
    TRY(subject_path(ours->place, subject->folder, "place"));
    TRY(subject_path(ours->log, subject->folder, "log"));
    return subject_path(ours->ca, ours->place, "ca/root.pem");
}

/* Run touchmark with these words to its end; RC_IO if it was not content. */
static enum rc touchmark(const struct ours *ours, const char *const *words)
{
    enum { WORDS_MAX = 32 };
    const char *argv[WORDS_MAX] = { 0 };
    char program[SUBJECT_PATH_MAX];
    int status;
    pid_t pid;

    TRY(subject_path(program, ours->bin, "touchmark"));
    argv[0] = program;
    for (size_t i = 0; words[i] != NULL && i + 2 < WORDS_MAX; i++)
        argv[i + 1] = words[i];
    TRY(subject_spawn(argv, -1, ours->log, SIGKILL, &pid));
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return fault(RC_IO, "touchmark %s failed, see %s", words[0], ours->log);
    return RC_OK;
}

static enum rc append(const char *folder, const char *name, const char *text)
{
    char path[SUBJECT_PATH_MAX];

    TRY(subject_path(path, folder, name));
    AUTO_FD file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0)
        return fault_errno("%s", path);
    return file_write_all(file, bytes_of_text(text));
}

static enum rc init(const struct ours *ours)
{
#define ANY_PORT "127.0.0.1:0"
    /* As root each process needs a user; nobody on Debian has these numbers. */
    const char *const words[] = {
        "init",
        ours->place,
        "--mqtts",
        ANY_PORT,
        "--https",
        ANY_PORT,
        "--http",
        ANY_PORT,
        "--operator-https",
        ANY_PORT,
        geteuid() == 0 ? "--signer-user" : NULL,
        "61001",
        "--authority-user",
        "61002",
        "--device-door-user",
        "61003",
        "--operator-door-user",
        "61004",
        "--exporter-user",
        "61006",
        NULL,
    };

    TRY(touchmark(ours, words));
    return append(ours->place, "touchmark.conf", SETTINGS);
}

/* The port in the latest line that has all of these, or 0. */
static uint16_t port_in(const char *log, const char *process, const char *listener)
{
    const char *found = NULL, *at = log;

    while ((at = strstr(at, " event=door.listening ")) != NULL) {
        const char *line = at;
        while (line > log && line[-1] != '\n')
            line--;
        const char *end = strchrnul(at, '\n');
        const char *by = strstr(line, process), *what = strstr(at, listener);
        if (by != NULL && by < end && what != NULL && what < end)
            found = strstr(what, "address=");
        at = end;
    }
    const char *colon = found != NULL ? strchr(found, ':') : NULL;
    return colon != NULL ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static bool is_ready(const char *log, struct subject *subject, struct ours *ours)
{
    uint16_t operators = port_in(log, "process=operator-door", "listener=https");

    subject->port = port_in(log, "process=device-door", "listener=mqtts");
    if (strstr(log, " event=supervisor.ready ") == NULL || operators == 0 || subject->port == 0)
        return false;
    AUTO_BUF(url, sizeof ours->url - 1);
    const char *text;
    buf_addf(&url, "https://127.0.0.1:%u", operators);
    if (buf_text(&url, &text) != RC_OK)
        return false;
    memcpy(ours->url, text, url.len + 1);
    return true;
}

static enum rc wait_ready(struct subject *subject, struct ours *ours)
{
    const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
    siginfo_t ended = { 0 };

    for (int waited = 0; waited < START_MS; waited += NAP_MS) {
        AUTO_BUF(log, LOG_MAX);
        const char *text;
        if (file_read(AT_FDCWD, ours->log, &log) == RC_OK && buf_text(&log, &text) == RC_OK &&
            is_ready(text, subject, ours))
            return RC_OK;
        if (waitid(P_PID, (id_t)subject->pids[0], &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            ended.si_pid == subject->pids[0])
            return fault(RC_CLOSED, "touchmarkd ended, see %s", ours->log);
        nanosleep(&nap, NULL);
    }
    return fault(RC_BUSY, "touchmarkd is not ready, see %s", ours->log);
}

static bool is_device_door(pid_t pid)
{
    AUTO_BUF(path, 64);
    AUTO_BUF(name, 256);
    const char *text;

    buf_addf(&path, "/proc/%d/cmdline", (int)pid);
    if (buf_text(&path, &text) != RC_OK || file_read(AT_FDCWD, text, &name) != RC_OK)
        return false;
    return bytes_start_with(buf_bytes(&name), BYTES("device-door"));
}

static enum rc find_processes(struct subject *subject)
{
    AUTO_BUF(path, 64);
    AUTO_BUF(children, CHILDREN_MAX);
    const char *text;

    buf_addf(&path, "/proc/%d/task/%d/children", (int)subject->pids[0], (int)subject->pids[0]);
    TRY(buf_text(&path, &text));
    TRY(file_read(AT_FDCWD, text, &children));
    TRY(buf_text(&children, &text));
    for (char *end; subject->count < SUBJECT_PROCESSES_MAX; text = end) {
        pid_t pid = (pid_t)strtol(text, &end, 10);
        if (end == text)
            break;
        subject->pids[subject->count++] = pid;
        if (is_device_door(pid))
            subject->door = pid;
    }
    return subject->door != 0 ? RC_OK : fault(RC_NOT_FOUND, "no device-door is running");
}

static enum rc run(struct subject *subject, struct ours *ours)
{
    char program[SUBJECT_PATH_MAX], config[SUBJECT_PATH_MAX];

    TRY(subject_path(program, ours->bin, "touchmarkd"));
    TRY(subject_path(config, ours->place, "touchmark.conf"));
    const char *const argv[] = { program, "--config", config, NULL };
    /* Ports are read from the log of this life. */
    unlink(ours->log);
    TRY(subject_spawn(argv, -1, ours->log, SIGTERM, &subject->pids[subject->count++]));
    TRY(wait_ready(subject, ours));
    return find_processes(subject);
}

struct admin {
    char ca[SUBJECT_PATH_MAX], certificate[SUBJECT_PATH_MAX], key[SUBJECT_PATH_MAX];
    struct subject_operator by;
};

static enum rc find_admin(const struct subject *subject, struct admin *admin)
{
    TRY(subject_path(admin->ca, subject->folder, "place/ca/root.pem"));
    TRY(subject_path(admin->certificate, subject->folder, "place/operator/admin.pem"));
    TRY(subject_path(admin->key, subject->folder, "place/operator/admin.key"));
    admin->by =
        (struct subject_operator){ subject->url, admin->ca, admin->certificate, admin->key };
    return RC_OK;
}

enum rc subject_apply_policy(const struct subject *subject, struct bytes text)
{
    struct admin admin;

    TRY(find_admin(subject, &admin));
    return subject_post_policy(&admin.by, text);
}

enum rc subject_wait_followed(const struct subject *subject)
{
    struct admin admin;

    TRY(find_admin(subject, &admin));
    return subject_wait_doors(&admin.by);
}

static enum rc begin(struct subject_world *world, const struct subject *subject)
{
    struct admin admin;
    AUTO_BUF(policy, SUBJECT_RULES_MAX);

    TRY(find_admin(subject, &admin));
    TRY(subject_rules_policy(world, SUBJECT_EACH, &policy));
    TRY(subject_post_policy(&admin.by, buf_bytes(&policy)));
    TRY(subject_enrol(&admin.by, &world->clients, &world->devices));
    return subject_wait_doors(&admin.by);
}

enum rc subject_start_ours(struct subject_world *world, struct subject *subject)
{
    struct ours ours = { 0 };

    memcpy(subject->name, "touchmark", sizeof "touchmark");
    TRY(find_paths(world, subject, &ours));
    TRY(find_programs(&ours));
    bool first = access(ours.place, F_OK) != 0;
    if (first)
        TRY(init(&ours));
    TRY(run(subject, &ours));
    memcpy(subject->url, ours.url, sizeof subject->url);
    TRY(subject_wait_followed(subject));
    if (first)
        TRY(begin(world, subject));
    memcpy(subject->ca_path, ours.ca, sizeof ours.ca);
    subject->clients = &world->devices;
    return RC_OK;
}
