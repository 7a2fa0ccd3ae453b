#include "daemon/users.h"

#include "base/text.h"

#include <errno.h>
#include <pwd.h>

static enum rc look_up(const char *process, const char *user, struct daemon_user *found)
{
    uint64_t number = 0;
    bool numeric = text_read_u64(bytes_of_text(user), INT32_MAX, &number) == RC_OK;

    errno = 0;
    const struct passwd *entry = numeric ? getpwuid((uid_t)number) : getpwnam(user);
    if (entry == NULL && !numeric)
        return fault(RC_MALFORMED, "%s.user: there is no user %s", process, user);
    *found = (struct daemon_user){ .given = true,
                                   .uid = entry != NULL ? entry->pw_uid : (uint32_t)number,
                                   .gid = entry != NULL ? entry->pw_gid : (uint32_t)number };
    if (found->uid == 0 || found->gid == 0)
        return fault(RC_MALFORMED, "%s.user: %s is root or of its group", process, user);
    return RC_OK;
}

static enum rc find(const struct daemon_config *config, const char *process,
                    struct daemon_user *found)
{
    const char *user = daemon_config_user(config, process);

    *found = (struct daemon_user){ 0 };
    if (user == NULL || *user == '\0') {
        if (geteuid() == 0)
            return fault(RC_MALFORMED,
                         "%s.user: touchmarkd runs as root: which user shall this process be?",
                         process);
        return RC_OK;
    }
    TRY(look_up(process, user, found));
    if (geteuid() == 0)
        return RC_OK;
    if (found->uid != geteuid())
        return fault(RC_MALFORMED, "%s.user: only root can become %s (uid %u)", process, user,
                     found->uid);
    found->given = false;
    return RC_OK;
}

enum rc daemon_users_find(const struct daemon_config *config, const struct daemon_table *table,
                          struct daemon_user *users)
{
    struct daemon_user found[DAEMON_PROCESSES_MAX];

    for (size_t i = 0; i < table->process_count; i++)
        TRY(find(config, table->processes[i].name, &found[i]));
    for (size_t i = 0; i < table->process_count; i++)
        users[i] = found[i];
    return RC_OK;
}
