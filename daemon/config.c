#include "daemon/config.h"

#include <string.h>

#define FIELD(member) offsetof(struct daemon_config, member)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static const struct settings_row ROWS[] = {
    { "supervisor", "pid_file", SETTINGS_TEXT, FIELD(supervisor.pid_file), 0, 4000, "", NULL,
      "absolute path of a file that holds touchmarkd's process id; empty for none, as under "
      "systemd" },
    { "supervisor", "log_level", SETTINGS_CHOICE, FIELD(supervisor.log_level), 0, 0, "notice",
      "debug,info,notice,warning,error", "least level of the events that any process logs" },
    { "supervisor", "stop_within", SETTINGS_DURATION, FIELD(supervisor.stop_within_ms), 100,
      60 * SECOND, "5s", NULL,
      "time to stop everything: asked first, SIGTERM after 60 %, SIGKILL after 90 % of it" },
    { "supervisor", "ready_within", SETTINGS_DURATION, FIELD(supervisor.ready_within_ms), 100,
      10 * MINUTE, "60s", NULL,
      "a process that does not serve after this is killed and started again" },
    { "supervisor", "restart_least", SETTINGS_DURATION, FIELD(supervisor.restart_least_ms), 1,
      MINUTE, "100ms", NULL, "wait before the first restart of a process" },
    { "supervisor", "restart_most", SETTINGS_DURATION, FIELD(supervisor.restart_most_ms), 1,
      HOUR, "30s", NULL, "the wait doubles with each restart up to this" },
    { "supervisor", "calm", SETTINGS_DURATION, FIELD(supervisor.calm_ms), 1, 24 * HOUR, "60s",
      NULL, "a process that served for so long starts again after the least wait" },
    { "sandbox", "landlock", SETTINGS_CHOICE, FIELD(sandbox.landlock), 0, 0, "required",
      "required,optional",
      "whether a kernel without Landlock abi 2 is refused; optional gives up the jail for "
      "files "
      "there" },
    { "sandbox", "locked_memory", SETTINGS_CHOICE, FIELD(sandbox.locked_memory), 0, 0,
      "required", "required,optional",
      "whether a process with secrets refuses to serve when it may not lock its memory; "
      "optional "
      "is for machines without swap" },
    { "signer", "user", SETTINGS_TEXT, FIELD(signer.user), 0, 32, "", NULL,
      "name or number of the user that the signer becomes when touchmarkd is root; needed "
      "then" },
    { "signer", "pin_from", SETTINGS_TEXT, FIELD(signer.pin_from), 1, 4000,
      "credential:signer-pin", NULL,
      "where the token's PIN comes from: an absolute path, or credential:NAME for systemd's "
      "LoadCredential=NAME:FILE" },
};

static const struct settings_table TABLE = { ROWS, sizeof ROWS / sizeof *ROWS };

const struct settings_table *daemon_config_table(void)
{
    return &TABLE;
}

const char *daemon_config_user(const struct daemon_config *config, const char *process)
{
    for (size_t i = 0; i < TABLE.count; i++) {
        const struct settings_row *row = &ROWS[i];
        if (strcmp(row->section, process) == 0 && strcmp(row->key, "user") == 0) {
            const void *field = (const char *)config + row->field;
            return *(char *const *)field;
        }
    }
    return NULL;
}
