#include "daemon/doors.h"

#include "broker/own_key.h"
#include "daemon/listeners.h"

#include <fcntl.h>
#include <sys/mman.h>

static const char DEVICES[] = "device-door", OPERATORS[] = "operator-door";

static void add(struct daemon_doors *doors, const char *process, const char *name, int fd)
{
    doors->supplies[doors->count++] = (struct daemon_supply){ name, fd, process };
}

static enum rc listen_on(struct daemon_doors *doors, const char *process, const char *name,
                         const char *address, size_t count)
{
    int fds[DAEMON_DOORS_WORKERS_MAX];

    TRY(daemon_listeners_open(address, count, fds));
    for (size_t i = 0; i < count; i++)
        add(doors, process, name, fds[i]);
    return RC_OK;
}

/* Of one size for good: a broken door can spoil its own key there, and nothing else. */
static enum rc make_key_memory(struct daemon_doors *doors, const char *process)
{
    AUTO_FD made = memfd_create("key", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (made < 0)
        return fault_errno("memory for the key of %s", process);
    if (ftruncate(made, BROKER_OWN_KEY_BYTES) != 0 ||
        fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return fault_errno("size of the memory for the key of %s", process);
    add(doors, process, "key", TAKE_FD(made));
    return RC_OK;
}

enum rc daemon_doors_open(const struct daemon_config *config, struct daemon_doors *doors)
{
    const struct daemon_config_door *devices = &config->device_door;

    doors->count = 0;
    TRY(listen_on(doors, DEVICES, "mqtts", devices->mqtts, (size_t)devices->workers));
    TRY(listen_on(doors, DEVICES, "https", devices->https, 1));
    if (*devices->http != '\0')
        TRY(listen_on(doors, DEVICES, "http", devices->http, 1));
    else
        add(doors, DEVICES, "http", -1);
    TRY(make_key_memory(doors, DEVICES));
    TRY(listen_on(doors, OPERATORS, "https", config->operator_door.https, 1));
    return make_key_memory(doors, OPERATORS);
}

void daemon_doors_close(struct daemon_doors *doors)
{
    for (size_t i = 0; i < doors->count; i++)
        own_close(&doors->supplies[i].fd);
    doors->count = 0;
}
