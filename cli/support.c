#include "cli/commands.h"
#include "cli/conf.h"
#include "cli/copy.h"
#include "cli/remote.h"

#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/text.h"

enum { CONFIG, LOG };
static const struct cli_option OPTIONS[] = {
    [CONFIG] = { "--config", "FILE", "touchmark.conf of the place (./touchmark.conf)" },
    [LOG] = { "--log", "FILE", "where touchmarkd's messages go: its last 256 KiB are taken" },
};

enum {
    TEXT_MAX = 8 * 1024 * 1024,
    TAIL_BYTES = 256 * 1024,
    PROC_MAX = 64 * 1024,
};

struct bundle {
    const struct cli_call *call;
    const struct cli_conf *conf;
    int dir;
};

static enum rc put(const struct bundle *b, const char *name, const struct buf *text)
{
    struct bytes bytes;

    TRY(buf_done(text, &bytes));
    return file_create(b->dir, name, bytes, 0600);
}

/* ---- Settings: names and paths; a value that could be a secret is not taken ---- */

static bool sounds_secret(struct bytes key)
{
    static const char *const WORDS[] = { "pin", "secret", "password", "passphrase" };

    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (key.len > 0 && memmem(key.at, key.len, WORDS[i], strlen(WORDS[i])) != NULL)
            return true;
    return false;
}

static bool is_path(struct bytes value)
{
    while (value.len > 0 && value.at[0] == ' ')
        value = (struct bytes){ value.at + 1, value.len - 1 };
    return bytes_start_with(value, BYTES("/")) || bytes_start_with(value, BYTES("credential:"));
}

static void add_setting(struct bytes line, struct buf *out)
{
    const uint8_t *equals = line.len > 0 ? memchr(line.at, '=', line.len) : NULL;
    size_t key = equals == NULL ? 0 : (size_t)(equals - line.at);
    struct bytes value = { equals == NULL ? NULL : equals + 1,
                           equals == NULL ? 0 : line.len - key - 1 };

    if (equals != NULL && sounds_secret((struct bytes){ line.at, key }) && !is_path(value))
        buf_addf(out, "%.*s= (left out)\n", (int)key, (const char *)line.at);
    else if (line.len > 0 && line.at[0] != '#' && line.at[0] != ';')
        buf_addf(out, "%.*s\n", BYTES_FMT(line));
}

static enum rc put_settings(const struct bundle *b)
{
    AUTO_BUF(text, TEXT_MAX);
    struct bytes left = buf_bytes(&b->conf->text);

    while (left.len > 0) {
        const uint8_t *end = memchr(left.at, '\n', left.len);
        size_t len = end == NULL ? left.len : (size_t)(end - left.at);
        add_setting((struct bytes){ left.at, len }, &text);
        left =
            end == NULL ? (struct bytes){ 0 } : (struct bytes){ end + 1, left.len - len - 1 };
    }
    return put(b, "settings.conf", &text);
}

/* ---- What lies in the place: names, owners, modes and sizes, never contents ---- */

static enum rc put_listing(const struct bundle *b)
{
    AUTO_BUF(text, TEXT_MAX);
    char start[PATH_MAX] = "";
    char *paths[] = { start, NULL };
    struct bytes place = buf_bytes(&b->conf->place);

    memcpy(start, place.at, place.len < sizeof start ? place.len : 0);
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return fault_errno("walk %s", start);
    for (const FTSENT *entry; (entry = fts_read(tree)) != NULL;)
        if (entry->fts_info != FTS_DP && entry->fts_info != FTS_NS &&
            entry->fts_info != FTS_DNR && entry->fts_info != FTS_ERR)
            buf_addf(&text, "%06o %6u %6u %12" PRId64 " %s\n", entry->fts_statp->st_mode,
                     entry->fts_statp->st_uid, entry->fts_statp->st_gid,
                     (int64_t)entry->fts_statp->st_size, entry->fts_path);
    fts_close(tree);
    return put(b, "files.txt", &text);
}

/* ---- Versions, and how each process is jailed, as the kernel says ---- */

static void add_file(const char *name, struct buf *text)
{
    AUTO_BUF(content, PROC_MAX);

    if (file_read(AT_FDCWD, name, &content) == RC_OK)
        buf_add(text, buf_bytes(&content));
    else
        buf_addf(text, "%s: %s\n", name, fault_text());
}

static enum rc put_versions(const struct bundle *b)
{
    AUTO_BUF(text, TEXT_MAX);
    struct utsname machine;

    buf_addf(&text, "%s\n", cli_client_versions());
    if (uname(&machine) == 0)
        buf_addf(&text, "kernel %s %s %s\n", machine.release, machine.version, machine.machine);
    buf_addf(&text, "processors %ld\n", sysconf(_SC_NPROCESSORS_ONLN));
    add_file("/sys/kernel/security/lsm", &text);
    buf_addf(&text, "\n");
    return put(b, "versions.txt", &text);
}

static bool is_told(struct bytes line)
{
    static const char *const WANTED[] = { "Name:",    "Uid:",     "Gid:",        "NoNewPrivs:",
                                          "Seccomp:", "CapEff:",  "CapBnd:",     "VmRSS:",
                                          "VmLck:",   "Threads:", "CoreDumping:" };

    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++)
        if (bytes_start_with(line, bytes_of_text(WANTED[i])))
            return true;
    return false;
}

static void add_process(const char *pid, struct buf *text)
{
    AUTO_BUF(path, 64);
    AUTO_BUF(status, PROC_MAX);
    char program[PATH_MAX] = "";
    const char *name = NULL;

    buf_addf(&path, "/proc/%s/exe", pid);
    if (buf_text(&path, &name) != RC_OK || readlink(name, program, sizeof program - 1) < 0)
        return;
    const char *base = strrchr(program, '/');
    if (base == NULL || strncmp(base + 1, "touchmark", 9) != 0)
        return;
    buf_reset(&path);
    buf_addf(&path, "/proc/%s/status", pid);
    if (buf_text(&path, &name) != RC_OK || file_read(AT_FDCWD, name, &status) != RC_OK)
        return;
    buf_addf(text, "%s %s\n", pid, program);
    struct bytes left = buf_bytes(&status);
    while (left.len > 0) {
        const uint8_t *end = memchr(left.at, '\n', left.len);
        size_t len = end == NULL ? left.len : (size_t)(end - left.at);
        if (is_told((struct bytes){ left.at, len }))
            buf_addf(text, "  %.*s\n", (int)len, (const char *)left.at);
        left =
            end == NULL ? (struct bytes){ 0 } : (struct bytes){ end + 1, left.len - len - 1 };
    }
}

static enum rc put_jails(const struct bundle *b)
{
    AUTO_BUF(text, TEXT_MAX);
    DIR *list = opendir("/proc");

    if (list == NULL)
        return fault_errno("/proc");
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            add_process(entry->d_name, &text);
    closedir(list);
    return put(b, "processes.txt", &text);
}

/* ---- The log's end, and what the running system says of itself ---- */

static enum rc put_log(const struct bundle *b)
{
    AUTO_BUF(text, TAIL_BYTES + 1);
    const char *name = b->call->values[LOG];
    struct stat found;

    if (name == NULL)
        return RC_OK;
    AUTO_FD fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found) != 0)
        return fault(RC_NOT_FOUND, "--log %s: cannot be opened", name);
    off_t from = found.st_size > TAIL_BYTES ? found.st_size - TAIL_BYTES : 0;
    uint8_t *at = buf_extend(&text, TAIL_BYTES);
    ssize_t n = at == NULL ? -1 : pread(fd, at, TAIL_BYTES, from);
    if (n < 0)
        return fault_errno("--log %s", name);
    buf_cut(&text, (size_t)n);
    return put(b, "log.txt", &text);
}

/* A system that is down is what bundles are for: what it cannot say is written down instead. */
static enum rc put_answer(const struct bundle *b, struct cli_remote *remote, enum rc opened,
                          const char *path, const char *name)
{
    AUTO_BUF(text, TEXT_MAX);
    enum rc rc = opened;

    if (rc == RC_OK)
        rc = cli_remote_get_bytes(remote, path, &text);
    if (rc != RC_OK) {
        buf_reset(&text);
        buf_addf(&text, "%s: %s\n", path, fault_text());
    }
    return put(b, name, &text);
}

static enum rc put_answers(const struct bundle *b)
{
    CLI_REMOTE(remote);
    enum rc opened = cli_remote_open(b->call, &remote);

    TRY(put_answer(b, &remote, opened, "/v1/status", "status.json"));
    return put_answer(b, &remote, opened, "/metrics", "metrics.txt");
}

static enum rc fill(const struct bundle *b)
{
    TRY(put_settings(b));
    TRY(put_listing(b));
    TRY(put_versions(b));
    TRY(put_jails(b));
    TRY(put_log(b));
    return put_answers(b);
}

static enum rc run(const struct cli_call *call)
{
    CLI_CONF(conf);
    AUTO_FD dir = -1;
    const char *name = call->words[0];

    TRY(cli_conf_read(cli_command_value(call, CONFIG, "touchmark.conf"), &conf));
    TRY(file_make_dir(AT_FDCWD, name, 0700, &dir));
    enum rc rc = fill(&(const struct bundle){ call, &conf, dir });
    if (rc != RC_OK) {
        AUTO_BUF(reason, 1024);
        buf_addf(&reason, "%s", fault_text());
        (void)cli_copy_remove(name); /* the first failure is what is told */
        return fault(rc, "%.*s", BYTES_FMT(buf_bytes(&reason)));
    }
    AUTO(json_value) *answer = json_pack("{s:s}", "folder", name);
    return cli_show_line(call, answer,
                         "%s holds what support needs. Look at it, then send it.\n", name);
}

const struct cli_command CLI_SUPPORT_BUNDLE = {
    .name = "support-bundle",
    .arguments = "DIR",
    .words_least = 1,
    .words_most = 1,
    .summary = "at the machine: gather what support needs, without secrets",
    .teaching =
        "Makes the folder DIR with plain files that you can read before you send them: "
        "settings, names\n"
        "and modes of the place's files, versions, how each process is jailed, the log's "
        "end, status\n"
        "and metrics. No key, no PIN, no token, no certificate, no audit record. Works "
        "with the system\ndown, too.\n"
        "\n"
        "Example, as root:\n"
        "  touchmark support-bundle /tmp/bundle --config /srv/touchmark/touchmark.conf "
        "\\\n      --log /var/log/touchmark.log && tar -C /tmp -czf bundle.tgz bundle\n",
    .options = OPTIONS,
    .option_count = sizeof OPTIONS / sizeof *OPTIONS,
    .run = run,
    .remote = true,
};
