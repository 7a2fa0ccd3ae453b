#include "base/sandbox.h"

#include "base/own.h"
#include "base/sandbox_calls.h"
#include "base/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#elif defined __has_feature
enum { SANITIZED = __has_feature(address_sanitizer) };
#else
enum { SANITIZED = 0 };
#endif

static enum rc limit(__rlimit_resource_t what, uint64_t most, const char *name)
{
    struct rlimit now;

    if (getrlimit(what, &now) != 0)
        return fault_errno("read %s", name);
    if (now.rlim_max != RLIM_INFINITY && most > now.rlim_max)
        most = now.rlim_max;
    if (setrlimit(what, &(struct rlimit){ most, most }) != 0)
        return fault_errno("set %s to %llu", name, (unsigned long long)most);
    return RC_OK;
}

enum rc sandbox_begin(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd < 0)
        return fault_errno("/dev/null");
    close(fd);
    umask(077);
    if (prctl(PR_SET_DUMPABLE, 0) != 0)
        return fault_errno("forbid dumps");
    return limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
}

static enum rc check_alone(void)
{
    struct stat threads;

    if (stat("/proc/self/task", &threads) != 0)
        return fault_errno("count threads in /proc/self/task");
    if (threads.st_nlink > 3) /* itself, its parent, and a folder for each thread */
        return fault(RC_DENIED, "%lu threads run already: Landlock would bind one of them only",
                     (unsigned long)threads.st_nlink - 2);
    return RC_OK;
}

static enum rc set_limits(const struct sandbox *jail)
{
    TRY(limit(RLIMIT_CORE, 0, "RLIMIT_CORE"));
    TRY(limit(RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE"));
    if (jail->file_bytes_max > 0)
        TRY(limit(RLIMIT_FSIZE, jail->file_bytes_max, "RLIMIT_FSIZE"));
    if (jail->files_max > 0)
        TRY(limit(RLIMIT_NOFILE, jail->files_max, "RLIMIT_NOFILE"));
    if (jail->memory_max > 0 && !SANITIZED) /* AddressSanitizer reserves terabytes */
        TRY(limit(RLIMIT_AS, jail->memory_max, "RLIMIT_AS"));
    /* ONFAULT: room that is reserved but never touched, as thread stacks, stays unlocked. */
    if (jail->lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return fault_errno("lock memory; RLIMIT_MEMLOCK (systemd: LimitMEMLOCK) is too low");
    return RC_OK;
}

static enum rc enter_landlock(const struct sandbox *jail, bool optional, int *abi)
{
    int offered = sandbox_landlock_abi(jail->landlock_abi_most);

    *abi = 0;
    if (offered >= SANDBOX_LANDLOCK_ABI_LEAST) {
        *abi = offered;
        return sandbox_landlock_enter(jail, offered);
    }
    if (optional)
        return RC_OK;
    return fault(RC_DENIED,
                 "the kernel offers Landlock abi %d, at least %d is needed: use Linux 5.19 or "
                 "later with landlock in its lsm= list, or set sandbox.landlock = optional and "
                 "go without a jail for files",
                 offered, SANDBOX_LANDLOCK_ABI_LEAST);
}

static void describe(const struct sandbox *jail, struct sandbox_report *report)
{
    static const struct {
        int abi;
        const char *lack;
    } LACKS[] = {
        { 1, "; NO LANDLOCK: every file that the uid may open stays reachable" },
        { 3, "; abi < 3: truncation is left to seccomp" },
        { 4, "; abi < 4: TCP ports are not limited" },
        { 5, "; abi < 5: ioctl on devices is left to seccomp" },
        { 6, "; abi < 6: signals are left to seccomp" },
    };
    size_t room = sizeof report->text;
    int used = snprintf(report->text, room, "landlock abi %d, seccomp%s, no dumps",
                        report->landlock_abi, jail->lock_memory ? ", locked memory" : "");

    for (size_t i = 0; i < sizeof LACKS / sizeof *LACKS; i++)
        if (report->landlock_abi < LACKS[i].abi && used > 0 && (size_t)used < room)
            used += snprintf(report->text + used, room - (size_t)used, "%s", LACKS[i].lack);
}

enum rc sandbox_enter(const struct sandbox *jail, bool landlock_optional,
                      struct sandbox_report *report)
{
    struct sandbox_report made = { 0 };

    TRY(check_alone());
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return fault_errno("jail %s: no new privileges, no dumps", jail->name);
    enum rc rc = set_limits(jail);
    if (rc == RC_OK)
        rc = enter_landlock(jail, landlock_optional, &made.landlock_abi);
    describe(jail, &made);
    if (rc == RC_OK)
        rc = sandbox_calls_enter(jail->calls);
    if (rc != RC_OK)
        return fault_while(rc, "jail %s", jail->name);
    *report = made;
    return RC_OK;
}

enum rc sandbox_become(uint32_t uid, uint32_t gid)
{
    uid_t ids[3];
    gid_t groups[3];

    if (uid == 0 || gid == 0)
        return fault(RC_DENIED, "uid %u, gid %u: a process does not serve as root", uid, gid);
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(uid, uid, uid) != 0)
        return fault_errno("become uid %u, gid %u", uid, gid);
    if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || setresgid((gid_t)-1, 0, (gid_t)-1) == 0)
        return fault(RC_DENIED, "became uid %u, but could return to root", uid);
    if (getresuid(&ids[0], &ids[1], &ids[2]) != 0 ||
        getresgid(&groups[0], &groups[1], &groups[2]) != 0)
        return fault_errno("read back the user");
    for (size_t i = 0; i < 3; i++)
        if (ids[i] != uid || groups[i] != gid)
            return fault(RC_DENIED, "became uid %u, gid %u in part", uid, gid);
    return RC_OK;
}

static enum rc drop_bounding_set(uint64_t kept)
{
    for (unsigned each = 0; each < 64; each++) {
        if (kept & 1ULL << each)
            continue;
        /* EINVAL: the kernel knows no capability of this number. */
        if (prctl(PR_CAPBSET_DROP, each, 0, 0, 0) != 0 && errno != EINVAL)
            return fault_errno("drop capability %u from the bounding set", each);
    }
    return RC_OK;
}

enum rc sandbox_keep_capabilities(const unsigned *kept, size_t count)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
    uint64_t mask = 0;

    if (geteuid() != 0)
        return RC_OK;
    for (size_t i = 0; i < count; i++)
        mask |= 1ULL << kept[i];
    TRY(drop_bounding_set(mask));
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        sets[i].permitted = sets[i].effective = (uint32_t)(mask >> 32 * i);
    if (syscall(SYS_capset, &head, sets) != 0)
        return fault_errno("reduce capabilities");
    return RC_OK;
}
