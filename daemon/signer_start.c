#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/link.h"
#include "daemon/signer.h"
#include "daemon/spawn.h"
#include "keys/grant.h"
#include "keys/protocol.h"

enum { PATH_ROOM = 4096 };

static enum rc find_program(struct buf *path)
{
    char at[PATH_ROOM];
    ssize_t len = readlink("/proc/self/exe", at, sizeof at);

    if (len < 0 || len == sizeof at)
        return fault_errno("read /proc/self/exe");
    buf_add(path, (struct bytes){ (const uint8_t *)at, (size_t)len });
    return RC_OK;
}

static enum rc spawn(const struct daemon_config *config, int control, int work, int pin,
                     pid_t *pid)
{
    const struct keys_grant *grant = keys_grant_of((enum keys_grant_name)config->signer.grant);
    AUTO_BUF(path, PATH_ROOM);
    AUTO_BUF(conf, PATH_ROOM);
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = { null, null, DAEMON_FD_LOG, DAEMON_FD_SETTINGS, control, work, pin };
    const char *environment[] = { "TOUCHMARK_DESCRIPTORS=" DAEMON_SIGNER_WORK
                                  "," DAEMON_SIGNER_PIN,
                                  NULL, NULL };
    struct daemon_spawn what = { .name = DAEMON_SIGNER_WORKER,
                                 .environment = environment,
                                 .fds = fds,
                                 .fd_count = sizeof fds / sizeof *fds };

    if (null < 0)
        return fault_errno("open /dev/null");
    TRY(find_program(&path));
    TRY(buf_text(&path, &what.path));
    if (grant->conf_variable != NULL && config->signer.module_conf[0] != '\0') {
        buf_addf(&conf, "%s=%s", grant->conf_variable, config->signer.module_conf);
        TRY(buf_text(&conf, &environment[1]));
    }
    return daemon_spawn_start(&what, pid);
}

enum rc daemon_signer_start_worker(const struct daemon_config *config, int pin, int *link,
                                   int *code)
{
    AUTO_FD asking = -1, answering = -1, control = -1, its_control = -1;
    AUTO_BUF(nothing, 16);
    pid_t pid = 0;
    int status = 0;

    *code = 0;
    TRY(link_pair(&asking, &answering));
    TRY(link_pair(&control, &its_control));
    TRY(spawn(config, its_control, answering, pin, &pid));
    close(TAKE_FD(answering));
    close(TAKE_FD(its_control));
    enum rc rc = link_ask_and_wait(asking, keys_protocol_worker(), KEYS_WORK_READY, BYTES(""),
                                   -1, config->supervisor.ready_within_ms, &nothing);
    if (rc != RC_OK) {
        kill(pid, SIGKILL); /* no effect on one that ended: its exit code stays */
        if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
            *code = WEXITSTATUS(status);
        return fault(rc, "a worker did not become ready, exit code %d", *code);
    }
    TAKE_FD(control); /* open for our life: its closing ends the worker */
    *link = TAKE_FD(asking);
    return RC_OK;
}
