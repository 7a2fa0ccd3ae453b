#include "cli/users.h"

#include <pwd.h>
#include <stdint.h>
#include <unistd.h>

#include "base/text.h"

static const struct process {
    const char *name, *option, *standard;
} PROCESSES[CLI_PROCESSES] = {
    [CLI_SIGNER] = { "signer", "--signer-user", "touchmark-signer" },
    [CLI_AUTHORITY] = { "authority", "--authority-user", "touchmark-authority" },
    [CLI_DEVICE_DOOR] = { "device-door", "--device-door-user", "touchmark-device-door" },
    [CLI_OPERATOR_DOOR] = { "operator-door", "--operator-door-user",
                            "touchmark-operator-door" },
    [CLI_EXPORTER] = { "exporter", "--exporter-user", "touchmark-exporter" },
};

/* A folder stands behind the one that it is in. Who reads it, as its group, is another process.
 */
static const enum cli_process OPERATOR_DOOR = CLI_OPERATOR_DOOR;
static const struct folder {
    enum cli_process process;
    const char *name;
    const enum cli_process *reader;
} FOLDERS[] = {
    { CLI_SIGNER, "signer/journal", NULL },
    { CLI_AUTHORITY, "authority", NULL },
    { CLI_AUTHORITY, "authority/registry", NULL },
    { CLI_AUTHORITY, "authority/backups", NULL },
    { CLI_AUTHORITY, "authority/recover", NULL },
    { CLI_DEVICE_DOOR, "device-door", NULL },
    { CLI_DEVICE_DOOR, "device-door/spool", NULL },
    { CLI_DEVICE_DOOR, "device-door/journal", NULL },
    { CLI_OPERATOR_DOOR, "operator-door", NULL },
    { CLI_OPERATOR_DOOR, "operator-door/spool", NULL },
    { CLI_EXPORTER, "exporter", NULL },
    { CLI_AUTHORITY, "tiles", &OPERATOR_DOOR },
};
enum { FOLDER_COUNT = sizeof FOLDERS / sizeof *FOLDERS };

const char *cli_users_process(enum cli_process process)
{
    return PROCESSES[process].name;
}

static enum rc read_user(const struct process *process, struct cli_user *user)
{
    const struct passwd *entry = getpwnam(user->name);
    uint64_t number = 0;

    if (entry != NULL) {
        user->uid = entry->pw_uid;
        user->gid = entry->pw_gid;
    } else {
        if (text_read_u64(bytes_of_text(user->name), INT32_MAX, &number) != RC_OK)
            return fault(RC_NOT_FOUND, "%s %s: no such user", process->option, user->name);
        user->uid = (uid_t)number;
        user->gid = (gid_t)number;
    }
    if (user->uid == 0)
        return fault(RC_DENIED, "%s: the %s is never root", process->option, process->name);
    return RC_OK;
}

static enum rc find_user(const struct process *process, struct cli_user *user)
{
    user->uid = geteuid();
    user->gid = getegid();
    if (user->name == NULL && user->uid != 0)
        return RC_OK;
    if (user->name == NULL && getpwnam(process->standard) == NULL)
        return fault(RC_MALFORMED, "as root, say which user the %s becomes: %s %s",
                     process->name, process->option, process->standard);
    if (user->name == NULL)
        user->name = process->standard;
    return read_user(process, user);
}

enum rc cli_users_find(struct cli_users *users)
{
    struct cli_users found = *users;

    for (unsigned i = 0; i < CLI_PROCESSES; i++)
        TRY(find_user(&PROCESSES[i], &found.of[i]));
    for (unsigned i = 0; geteuid() == 0 && i < CLI_PROCESSES; i++)
        for (unsigned other = 0; other < i; other++)
            if (found.of[i].uid == found.of[other].uid)
                return fault(RC_DENIED,
                             "%s and %s name one user: then one process could reach into the "
                             "other",
                             PROCESSES[other].option, PROCESSES[i].option);
    *users = found;
    return RC_OK;
}

enum rc cli_users_add_folders(const struct cli_place *place)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++)
        TRY(cli_place_add_folder(place, FOLDERS[i].name, true));
    return RC_OK;
}

enum rc cli_users_give(const struct cli_users *users, const struct cli_place *place)
{
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        const struct cli_user *user = &users->of[FOLDERS[i].process];
        const enum cli_process *reader = FOLDERS[i].reader;
        if (user->uid == geteuid())
            continue;
        TRY(cli_place_give(place, FOLDERS[i].name, user->uid,
                           reader == NULL ? user->gid : users->of[*reader].gid));
        if (reader != NULL)
            TRY(cli_place_open_to_group(place, FOLDERS[i].name));
    }
    return RC_OK;
}

void cli_users_add_section(const struct cli_users *users, enum cli_process process,
                           struct buf *settings)
{
    const struct cli_user *user = &users->of[process];

    buf_addf(settings, "[%s]\n", PROCESSES[process].name);
    if (user->name != NULL && user->uid != geteuid())
        buf_addf(settings, "user = %s\n", user->name);
}
