/* Takes the audit log to where the settings say: files, syslog receivers; and its checkpoints
 * to witnesses. Reads the log and can change nothing but add witnesses' signatures; connects to
 * the ports that the settings name and listens nowhere. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "daemon/child.h"
#include "daemon/exporter.h"
#include "integration/address.h"
#include "integration/witness.h"

enum { OPEN_FILES_MAX = 64 };

struct process {
    struct daemon_child *child;
    const struct daemon_config *config;
    int state;
    char *folders[DAEMON_CONFIG_SINKS];
    struct daemon_exporter *exporter;
    bool wrong_settings;
};

/* ---- Open ---- */

static enum rc open_state(struct process *process)
{
    if (daemon_config_sinks(process->config) == 0)
        return RC_OK; /* nothing to remember: no folder is asked for */
    enum rc rc = file_open_dir(AT_FDCWD, process->config->exporter.state, &process->state);
    process->wrong_settings = rc == RC_NOT_FOUND;
    return rc;
}

static enum rc open_exporter(struct process *process)
{
    const struct daemon_exporter_setup setup = {
        .loop = daemon_child_loop(process->child),
        .log = daemon_child_log(process->child),
        .config = process->config,
        .state = process->state,
    };

    return daemon_exporter_new(&setup, &process->exporter);
}

/* ---- Jail ---- */

static enum rc grant_folder(struct process *process, const char *file, size_t place,
                            struct sandbox_path *path)
{
    const char *slash = strrchr(file, '/');

    process->folders[place] = strndup(file, (size_t)(slash - file));
    if (process->folders[place] == NULL)
        return fault(RC_NOMEM, "a folder's name");
    *path = (struct sandbox_path){ process->folders[place],
                                   SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE, true };
    return RC_OK;
}

static enum rc grant_port(struct sandbox *sandbox, uint16_t *ports, const char *address)
{
    struct integration_address read;

    TRY(integration_address_read(address, &read));
    ports[sandbox->connect_port_count++] = read.port;
    sandbox->calls |= SANDBOX_CALLS_CONNECT;
    return RC_OK;
}

static enum rc grant_witnesses(const struct process *process, struct sandbox *sandbox,
                               uint16_t *ports)
{
    for (size_t i = 0; i < DAEMON_CONFIG_WITNESSES; i++) {
        const char *text = process->config->exporter.witnesses[i].url;
        struct integration_witness_url url;
        if (*text == '\0')
            continue;
        TRY(integration_witness_read_url(text, &url));
        ports[sandbox->connect_port_count++] = url.port;
        sandbox->calls |= SANDBOX_CALLS_CONNECT;
    }
    return RC_OK;
}

static enum rc jail(struct process *process)
{
    struct sandbox_path paths[1 + DAEMON_CONFIG_SINKS];
    uint16_t ports[DAEMON_CONFIG_SINKS + DAEMON_CONFIG_WITNESSES];
    struct sandbox sandbox = {
        .name = "exporter",
        .calls = SANDBOX_CALLS_PASS, /* what the other channels' new ends come by */
        .paths = paths,
        .connect_ports = ports,
        .files_max = OPEN_FILES_MAX,
    };

    if (process->state >= 0) {
        sandbox.calls |= SANDBOX_CALLS_FILES;
        paths[sandbox.path_count++] =
            (struct sandbox_path){ process->config->exporter.state,
                                   SANDBOX_READ | SANDBOX_WRITE | SANDBOX_MAKE, false };
    }
    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++) {
        const struct daemon_config_sink *sink = &process->config->exporter.sinks[i];
        if (sink->kind == DAEMON_CONFIG_JSONL)
            TRY(grant_folder(process, sink->file, i, &paths[sandbox.path_count++]));
        if (sink->kind == DAEMON_CONFIG_SYSLOG)
            TRY(grant_port(&sandbox, ports, sink->address));
    }
    TRY(grant_witnesses(process, &sandbox, ports));
    return daemon_child_jail(process->child, &sandbox);
}

/* ---- Serve ---- */

static enum rc take_channel(void *with, const char *name, int fd)
{
    struct process *process = with;
    AUTO_FD owned = fd;

    if (strcmp(name, "authority") != 0)
        return fault(RC_DENIED, "the exporter has no channel to %s", name);
    return daemon_exporter_attach(process->exporter, TAKE_FD(owned));
}

static enum rc open_jail_serve(struct process *process)
{
    int authority = -1;

    TRY(open_state(process));
    TRY(open_exporter(process));
    TRY(jail(process));
    TRY(daemon_exporter_start(process->exporter));
    TRY(daemon_child_take(process->child, "authority", &authority));
    TRY(take_channel(process, "authority", authority));
    return daemon_child_serve(process->child, take_channel, process);
}

static void close_all(struct process *process)
{
    daemon_exporter_free(process->exporter);
    own_close(&process->state);
    for (size_t i = 0; i < DAEMON_CONFIG_SINKS; i++)
        free(process->folders[i]);
    daemon_child_free(process->child);
}

int main(void)
{
    struct process process = { .state = -1 };
    enum rc rc = daemon_child_open("exporter", &process.child);

    if (rc != RC_OK)
        return daemon_child_end(NULL, rc);
    process.config = daemon_child_config(process.child);
    rc = open_jail_serve(&process);
    int code = rc == RC_OK
                   ? 0
                   : daemon_child_refuse(process.child, rc,
                                         process.wrong_settings ? EX_CONFIG : EX_TEMPFAIL);
    close_all(&process);
    return code;
}
