#include "base/sandbox_landlock.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * Debian 12's <linux/landlock.h> stops at ABI 2. The rest is from include/uapi/linux/landlock.h
 * of Linux 6.12 and landlock(7): truncate with ABI 3, TCP with 4, device ioctls with 5, scopes
 * with 6. The kernel takes a shorter struct than its own, and a longer one if the excess is
 * zero.
 */
struct ruleset {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

struct net_port {
    uint64_t allowed_access, port;
};

enum { RULE_NET_PORT = 2 };

#define FS_TRUNCATE     (1ULL << 14)
#define FS_IOCTL_DEV    (1ULL << 15)
#define NET_BIND_TCP    (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT  (1ULL << 0)
#define SCOPE_SIGNAL    (1ULL << 1)

#define FS_ABI_1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)
#define FS_OF_FILES                                                                            \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
     LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_OF_MAKING                                                                           \
    (LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                          \
     LANDLOCK_ACCESS_FS_REFER)

int sandbox_landlock_abi(int most)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 0)
        return 0;
    return most > 0 && abi > most ? most : (int)abi;
}

static struct ruleset handled(const struct sandbox *jail, int abi)
{
    struct ruleset all = { .handled_access_fs = FS_ABI_1 };

    if (abi >= 2)
        all.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 4)
        all.handled_access_net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 5)
        all.handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        all.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
    if (jail->calls & SANDBOX_CALLS_CHILDREN) {
        /* A ruleset that leaves REFER out forbids it everywhere: handle it, to grant it again.
         */
        all.handled_access_fs &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REFER;
        all.handled_access_net = 0;
    }
    return all;
}

static uint64_t rights(unsigned access)
{
    uint64_t granted = 0;

    if (access & SANDBOX_READ)
        granted |= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    if (access & SANDBOX_WRITE)
        granted |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
    if (access & SANDBOX_MAKE)
        granted |= FS_OF_MAKING;
    if (access & SANDBOX_EXECUTE)
        granted |= LANDLOCK_ACCESS_FS_EXECUTE;
    return granted;
}

static enum rc allow_beneath(int ruleset, const char *path, uint64_t granted, bool optional)
{
    AUTO_FD fd = open(path, O_PATH | O_CLOEXEC);
    struct stat is;

    if (fd < 0 && errno == ENOENT)
        return optional ? RC_OK : fault(RC_NOT_FOUND, "%s: no such file or folder", path);
    if (fd < 0 || fstat(fd, &is) != 0)
        return fault_errno("%s", path);
    if (!S_ISDIR(is.st_mode))
        granted &= FS_OF_FILES;
    if (granted == 0)
        return RC_OK;

    struct landlock_path_beneath_attr rule = { .allowed_access = granted, .parent_fd = fd };
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        return fault_errno("landlock: allow %s", path);
    return RC_OK;
}

static enum rc allow_connect(int ruleset, uint16_t port)
{
    struct net_port rule = { .allowed_access = NET_CONNECT_TCP, .port = port };

    if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0)
        return fault_errno("landlock: allow TCP port %u", port);
    return RC_OK;
}

enum rc sandbox_landlock_enter(const struct sandbox *jail, int abi)
{
    struct ruleset all = handled(jail, abi);
    AUTO_FD ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);

    if (ruleset < 0)
        return fault_errno("landlock: create a ruleset of abi %d", abi);
    for (size_t i = 0; i < jail->path_count; i++) {
        const struct sandbox_path *path = &jail->paths[i];
        TRY(allow_beneath(ruleset, path->path, rights(path->access) & all.handled_access_fs,
                          path->optional));
    }
    if (jail->calls & SANDBOX_CALLS_CHILDREN && abi >= 2)
        TRY(allow_beneath(ruleset, "/", LANDLOCK_ACCESS_FS_REFER, false));
    for (size_t i = 0; all.handled_access_net != 0 && i < jail->connect_port_count; i++)
        TRY(allow_connect(ruleset, jail->connect_ports[i]));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return fault_errno("landlock: restrict oneself");
    return RC_OK;
}
