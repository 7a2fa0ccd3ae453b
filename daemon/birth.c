#include "daemon/birth.h"

#include "base/link.h"

#include <fcntl.h>
#include <string.h>

enum { NAMES_MAX = 1024, PATH_BYTES_MAX = 4096 };

/* Under construction: fds[0..count) become the child's; the owned ones are closed here after.
 */
struct given {
    int fds[DAEMON_FD_FIRST + DAEMON_DESCRIPTORS_MAX];
    int owned[3 + DAEMON_DESCRIPTORS_MAX];
    size_t count, owned_count;
    struct buf names;
};

static void release(struct given *given)
{
    for (size_t i = 0; i < given->owned_count; i++)
        own_close(&given->owned[i]);
    buf_clear(&given->names);
}

static enum rc add(struct given *given, const char *name, int fd)
{
    if (given->count == sizeof given->fds / sizeof *given->fds)
        return fault(RC_LIMIT, "more than %d descriptors", DAEMON_DESCRIPTORS_MAX);
    given->fds[given->count++] = fd;
    if (name != NULL)
        buf_addf(&given->names, "%s%s", given->names.len > 0 ? "," : "", name);
    return RC_OK;
}

static bool is_for(const struct daemon_supply *supply, const char *process, const char *name)
{
    return strcmp(supply->name, name) == 0 &&
           (supply->process == NULL || strcmp(supply->process, process) == 0);
}

static bool is_supplied(const struct daemon_plan *plan, const char *process, const char *name)
{
    for (size_t i = 0; i < plan->supply_count; i++)
        if (is_for(&plan->supplies[i], process, name))
            return true;
    return false;
}

enum rc daemon_birth_open(const struct daemon_plan *plan,
                          bool (*lives)(void *with, const char *process),
                          enum rc (*tell)(void *with, const char *to, const char *from, int fd),
                          void *with, struct daemon_birth *birth)
{
    struct daemon_channels *channels = NULL;

    TRY(daemon_table_check(plan->table));
    for (size_t i = 0; i < plan->table->process_count; i++) {
        const struct daemon_process *row = &plan->table->processes[i];
        for (size_t k = 0; k < row->descriptor_count; k++)
            if (row->descriptors[k].kind == DAEMON_SUPPLIED &&
                !is_supplied(plan, row->name, row->descriptors[k].name))
                return fault(RC_MALFORMED, "process %s lists %s, and nothing supplies it",
                             row->name, row->descriptors[k].name);
    }
    TRY(daemon_channels_new(plan->table, &channels));
    *birth = (struct daemon_birth){ plan, channels, lives, tell, with };
    return RC_OK;
}

void daemon_birth_close(struct daemon_birth *birth)
{
    daemon_channels_free(TAKE(birth->channels));
}

void daemon_birth_forget(struct daemon_birth *birth, const char *process)
{
    daemon_channels_forget(birth->channels, process);
}

static enum rc add_supplies(const struct daemon_plan *plan, const char *process,
                            const char *name, struct given *given)
{
    for (size_t i = 0; i < plan->supply_count; i++)
        if (is_for(&plan->supplies[i], process, name) && plan->supplies[i].fd >= 0)
            TRY(add(given, name, plan->supplies[i].fd));
    return RC_OK;
}

static enum rc add_channel(struct daemon_birth *birth, const char *process, const char *peer,
                           struct given *given)
{
    AUTO_FD far = -1;
    int near = -1;

    TRY(daemon_channels_take(birth->channels, process, peer, birth->lives(birth->with, peer),
                             &near, &far));
    given->owned[given->owned_count++] = near;
    if (far >= 0)
        TRY(birth->tell(birth->with, peer, process, far));
    return add(given, peer, near);
}

static enum rc add_standard(const struct daemon_plan *plan, struct given *given, int *control)
{
    AUTO_FD ours = -1;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), theirs = -1;

    if (nothing < 0)
        return fault_errno("/dev/null");
    given->owned[given->owned_count++] = nothing;
    TRY(link_pair(&ours, &theirs));
    given->owned[given->owned_count++] = theirs;
    TRY(add(given, NULL, nothing));
    TRY(add(given, NULL, nothing));
    TRY(add(given, NULL, plan->log_fd));
    TRY(add(given, NULL, plan->settings_fd));
    TRY(add(given, NULL, theirs));
    *control = TAKE_FD(ours);
    return RC_OK;
}

static enum rc spawn(const struct daemon_plan *plan, size_t place, const char *former,
                     const struct given *given, pid_t *pid)
{
    AUTO_BUF(path, PATH_BYTES_MAX);
    AUTO_BUF(names, NAMES_MAX + 32);
    AUTO_BUF(ended, NAMES_MAX);
    const struct daemon_process *row = &plan->table->processes[place];
    struct daemon_spawn what = { .name = row->name,
                                 .fds = given->fds,
                                 .fd_count = given->count,
                                 .user = plan->users[place] };
    const char *environment[4] = { "PATH=/usr/bin:/bin" };
    struct bytes listed;

    TRY(buf_done(&given->names, &listed));
    buf_addf(&names, "TOUCHMARK_DESCRIPTORS=%.*s", BYTES_FMT(listed));
    buf_addf(&path, "%s/%s", plan->folder, row->program);
    TRY(buf_text(&names, &environment[1]));
    buf_addf(&ended, "TOUCHMARK_FORMER=%s", former);
    if (*former != '\0')
        TRY(buf_text(&ended, &environment[2]));
    TRY(buf_text(&path, &what.path));
    what.environment = environment;
    return daemon_spawn_start(&what, pid);
}

enum rc daemon_birth_give(struct daemon_birth *birth, size_t place, const char *former,
                          pid_t *pid, int *control)
{
    const struct daemon_process *row = &birth->plan->table->processes[place];
    [[gnu::cleanup(release)]] struct given given = { .names = BUF_MAX(NAMES_MAX) };
    AUTO_FD ours = -1;

    TRY(add_standard(birth->plan, &given, &ours));
    for (size_t i = 0; i < row->descriptor_count; i++) {
        const struct daemon_descriptor *each = &row->descriptors[i];
        if (each->kind == DAEMON_CHANNEL)
            TRY(add_channel(birth, row->name, each->name, &given));
        else
            TRY(add_supplies(birth->plan, row->name, each->name, &given));
    }
    TRY(spawn(birth->plan, place, former, &given, pid));
    *control = TAKE_FD(ours);
    return RC_OK;
}
