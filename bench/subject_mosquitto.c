#include "bench/subject_internal.h"
#include "bench/subject_rules.h"

#include "base/file.h"
#include "base/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char DEBIANS[] = "/usr/sbin/mosquitto";

/* "mosquitto version 2.0.11" is the first line of its help, and the help is its exit code 3. */
static enum rc ask_version(struct subject *subject, const char *log)
{
    const char *const argv[] = { DEBIANS, "-h", NULL };
    AUTO_BUF(line, SUBJECT_NAME_MAX);
    const char *text;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_errno("pipe");
    AUTO_FD from = ends[0];
    AUTO_FD out = ends[1];
    TRY(subject_spawn(argv, out, log, SIGKILL, &pid));
    close(TAKE_FD(out));
    enum rc read = subject_read_line(from, &line);
    waitpid(pid, NULL, 0);
    TRY(read);
    TRY(buf_text(&line, &text));
    const char *version = strrchr(text, ' ');
    AUTO_BUF(name, SUBJECT_NAME_MAX - 1);
    buf_addf(&name, "mosquitto%s", version != NULL ? version : "");
    TRY(buf_text(&name, &text));
    memcpy(subject->name, text, name.len + 1);
    return RC_OK;
}

/* As a careful operator would who wants it fast: no Nagle, no logs, no bound on what waits. */
static enum rc write_config(const struct subject_world *world, const struct subject *subject)
{
    AUTO_BUF(text, 4096);
    AUTO_FD folder = -1;

    buf_addf(&text, "listener %u 127.0.0.1\n", subject->port);
    buf_addf(&text, "cafile %s\n", subject->ca_path);
    buf_addf(&text, "certfile %s/server.pem\n", world->folder);
    buf_addf(&text, "keyfile %s/server.key\n", world->folder);
    buf_addf(&text, "require_certificate true\n"
                    "tls_version tlsv1.3\n"
                    "allow_anonymous true\n"
                    "set_tcp_nodelay true\n"
                    "max_inflight_messages 0\n"
                    "max_queued_messages 0\n"
                    "persistence false\n"
                    "log_type error\n"
                    "log_dest stderr\n");
    TRY(subject_rules_mosquitto(world, subject->folder, &text));
    /* Otherwise it becomes a user that cannot read the temporary folder. */
    if (geteuid() == 0)
        buf_addf(&text, "user root\n");
    TRY(file_open_dir(AT_FDCWD, subject->folder, &folder));
    return file_write(folder, "mosquitto.conf", buf_bytes(&text), 0644);
}

enum rc subject_start_mosquitto(struct subject_world *world, struct subject *subject)
{
    char config[SUBJECT_PATH_MAX], log[SUBJECT_PATH_MAX];

    if (access(DEBIANS, X_OK) != 0)
        return fault(RC_NOT_FOUND, "%s is not installed (./dev deps)", DEBIANS);
    TRY(subject_path(config, subject->folder, "mosquitto.conf"));
    TRY(subject_path(log, subject->folder, "log"));
    TRY(ask_version(subject, log));
    TRY(subject_free_port(&subject->port));
    TRY(write_config(world, subject));
    const char *const argv[] = { DEBIANS, "-c", config, NULL };
    TRY(subject_spawn(argv, -1, log, SIGKILL, &subject->pids[subject->count++]));
    return subject_wait_port(subject->port, subject->pids[0]);
}
