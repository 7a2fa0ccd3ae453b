/* Touchmark's supervisor: opens what the others need, jails itself, and keeps them running. */
#include "base/file.h"
#include "base/sandbox.h"
#include "daemon/config.h"
#include "daemon/doors.h"
#include "daemon/events.h"
#include "daemon/pid_file.h"
#include "daemon/pin.h"
#include "daemon/programs.h"
#include "daemon/sealed.h"
#include "daemon/supervisor.h"
#include "daemon/users.h"

#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

static const char STANDARD_CONFIG[] = "/etc/touchmark/touchmark.conf";
enum { SETTINGS_BYTES_MAX = 64 * 1024, MANUAL_BYTES_MAX = 1024 * 1024 };

static const char HELP[] =
    "usage: touchmarkd [--config FILE]\n"
    "       touchmarkd --check FILE | --manual | --help\n"
    "\n"
    "Starts Touchmark's processes, restarts what dies, and stops all on SIGTERM.\n"
    "\n"
    "  --config FILE  settings (default /etc/touchmark/touchmark.conf)\n"
    "  --check FILE   read settings, say ok or what is wrong, and end\n"
    "  --manual       print every setting with its meaning, range and default\n"
    "  --help         print this\n"
    "\n"
    "Exit codes: 0 stopped as asked, 64 wrong usage, 70 cannot go on, 77 wrong PIN of the HSM\n"
    "token, 78 wrong settings. The log goes to standard error, one line an event.\n";

/* All that is opened before the jail, and closed at the end. */
struct supervision {
    struct clock clock;
    struct daemon_config config;
    struct daemon_user users[DAEMON_PROCESSES_MAX];
    struct daemon_programs programs;
    struct daemon_notify notify;
    struct daemon_doors doors;
    struct daemon_supply supplies[1 + DAEMON_DOORS_SUPPLIES];
    size_t supply_count;
    struct log *log;
    struct loop *loop;
    int settings, pin, pid_file;
};

static int complain(int code)
{
    fprintf(stderr, "touchmarkd: %s\n", fault_text());
    return code;
}

static int check(const char *path)
{
    struct daemon_config config = { 0 };

    if (settings_read_file(daemon_config_table(), path, &config) != RC_OK)
        return complain(EX_CONFIG);
    enum rc rc = daemon_config_check(&config);
    daemon_config_clear(&config);
    if (rc != RC_OK)
        return complain(EX_CONFIG);
    printf("%s: ok\n", path);
    return 0;
}

static int print_manual(void)
{
    AUTO_BUF(text, MANUAL_BYTES_MAX);

    settings_manual(daemon_config_table(), &text);
    if (text.broken || file_write_all(STDOUT_FILENO, buf_bytes(&text)) != RC_OK)
        return EX_SOFTWARE;
    return 0;
}

/* The children get the very text that we checked. */
static enum rc read_settings(const char *path, struct supervision *s)
{
    AUTO_BUF(text, SETTINGS_BYTES_MAX);
    struct daemon_config config = { 0 };

    TRY(file_read(AT_FDCWD, path, &text));
    enum rc rc = settings_read(daemon_config_table(), buf_bytes(&text), &config);
    if (rc != RC_OK)
        return fault_while(rc, "%s", path);
    s->config = config;
    rc = daemon_config_check(&config);
    if (rc != RC_OK)
        return fault_while(rc, "%s", path);
    return daemon_sealed_make("settings", buf_bytes(&text), &s->settings);
}

static enum rc open_log(struct supervision *s)
{
    s->clock = clock_system();
    TRY(log_open(STDERR_FILENO, "touchmarkd", daemon_events(),
                 (enum log_level)s->config.supervisor.log_level, &s->clock, &s->log));
    return loop_new(&s->clock, &s->loop);
}

static void collect_supplies(struct supervision *s)
{
    s->supplies[s->supply_count++] = (struct daemon_supply){ .name = "pin", .fd = s->pin };
    for (size_t i = 0; i < s->doors.count; i++)
        s->supplies[s->supply_count++] = s->doors.supplies[i];
}

static enum rc open_all(const char *config, struct supervision *s)
{
    TRY(sandbox_begin());
    TRY(read_settings(config, s));
    TRY(daemon_users_find(&s->config, daemon_table_shipped(), s->users));
    TRY(daemon_programs_find(daemon_table_shipped(), &s->programs));
    TRY(daemon_pin_open(s->config.signer.pin_from, &s->pin));
    TRY(daemon_doors_open(&s->config, &s->doors));
    collect_supplies(s);
    if (*s->config.supervisor.pid_file != '\0')
        TRY(daemon_pid_file_open(s->config.supervisor.pid_file, &s->pid_file));
    TRY(daemon_notify_open(&s->notify));
    return open_log(s);
}

/* Children lock their memory. In a container root may not raise the limit: then it stays, and
 * the child that finds it too low says so. */
static enum rc allow_locked_memory(void)
{
    static const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
    struct rlimit now;

    if (setrlimit(RLIMIT_MEMLOCK, &all) == 0)
        return RC_OK;
    if (getrlimit(RLIMIT_MEMLOCK, &now) != 0)
        return fault_errno("read RLIMIT_MEMLOCK");
    now.rlim_cur = now.rlim_max;
    return setrlimit(RLIMIT_MEMLOCK, &now) == 0 ? RC_OK : fault_errno("raise RLIMIT_MEMLOCK");
}

static enum rc jail(struct supervision *s)
{
    static const unsigned KEPT[] = { CAP_SETUID, CAP_SETGID, CAP_KILL };
    const struct sandbox walls = { .name = "touchmarkd",
                                   .calls = SANDBOX_CALLS_CHILDREN,
                                   .paths = s->programs.paths,
                                   .path_count = s->programs.count,
                                   .landlock_abi_most =
                                       (int)s->config.sandbox.landlock_abi_most };
    struct sandbox_report report;

    TRY(allow_locked_memory());
    TRY(sandbox_keep_capabilities(KEPT, sizeof KEPT / sizeof *KEPT));
    TRY(sandbox_enter(&walls, s->config.sandbox.landlock == DAEMON_CONFIG_OPTIONAL, &report));
    log_write(s->log, DAEMON_EVENT_PROCESS_JAILED, LOG_TEXT_FIELD("jail", report.text));
    return RC_OK;
}

static enum rc serve(struct supervision *s, int *exit_code)
{
    const struct daemon_plan plan = {
        .table = daemon_table_shipped(),
        .folder = s->programs.folder,
        .users = s->users,
        .supplies = s->supplies,
        .supply_count = s->supply_count,
        .settings_fd = s->settings,
        .log_fd = STDERR_FILENO,
        .notify = s->notify,
        .stop_within_ms = s->config.supervisor.stop_within_ms,
        .ready_within_ms = s->config.supervisor.ready_within_ms,
        .restart_least_ms = s->config.supervisor.restart_least_ms,
        .restart_most_ms = s->config.supervisor.restart_most_ms,
        .calm_ms = s->config.supervisor.calm_ms,
    };
    AUTO_OF(daemon_supervisor) *supervisor = NULL;

    TRY(daemon_supervisor_open(s->loop, s->log, &plan, &supervisor));
    *exit_code = daemon_supervisor_run(supervisor);
    return RC_OK;
}

static void close_all(struct supervision *s)
{
    loop_free(s->loop);
    log_close(s->log);
    daemon_notify_close(&s->notify);
    daemon_programs_clear(&s->programs);
    daemon_config_clear(&s->config);
    own_close(&s->settings);
    own_close(&s->pin);
    daemon_doors_close(&s->doors);
    /* Emptied, not removed: the next to hold the lock may have it open already. */
    if (s->pid_file >= 0 && ftruncate(s->pid_file, 0) != 0)
        fprintf(stderr, "touchmarkd: the pid file could not be emptied\n");
    own_close(&s->pid_file);
}

static int supervise(const char *config)
{
    struct supervision s = { .notify.fd = -1, .settings = -1, .pin = -1, .pid_file = -1 };
    int exit_code = EX_SOFTWARE;
    enum rc rc = open_all(config, &s);
    bool opened = rc == RC_OK;

    if (rc == RC_OK)
        rc = jail(&s);
    if (rc == RC_OK)
        rc = serve(&s, &exit_code);
    if (rc != RC_OK)
        exit_code = complain(opened ? EX_SOFTWARE : EX_CONFIG);
    close_all(&s);
    return exit_code;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = { { "config", required_argument, NULL, 'c' },
                                             { "check", required_argument, NULL, 'k' },
                                             { "manual", no_argument, NULL, 'm' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    const char *config = STANDARD_CONFIG;

    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;)
        switch (option) {
        case 'c':
            config = optarg;
            break;
        case 'k':
            return check(optarg);
        case 'm':
            return print_manual();
        case 'h':
            return fputs(HELP, stdout) < 0 ? EX_SOFTWARE : 0;
        default:
            return fputs(HELP, stderr) < 0 ? EX_SOFTWARE : EX_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "touchmarkd: what is %s?\n\n%s", argv[optind], HELP);
        return EX_USAGE;
    }
    return supervise(config);
}
