#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/support/jailed.h"

static int read_inside(void)
{
    AUTO_FD fd = open("jail/read/file", O_RDONLY);
    char byte;
    struct stat is;

    if (fd < 0 || read(fd, &byte, 1) != 1 || fstat(fd, &is) != 0)
        return errno;
    return 0;
}

static int write_inside(void)
{
    AUTO_FD fd = open("jail/write/file", O_WRONLY | O_TRUNC);

    return jailed_result(fd < 0 ? -1 : ftruncate(fd, 3));
}

static int make_inside(void)
{
    AUTO_FD fd = open("jail/make/new", O_WRONLY | O_CREAT, 0600);

    if (fd < 0 || fsync(fd) != 0 || rename("jail/make/new", "jail/make/old") != 0)
        return errno;
    return jailed_result(unlink("jail/make/old"));
}

static int open_outside(void)
{
    return jailed_result(open("/etc/passwd", O_RDONLY));
}
static int open_dotdot(void)
{
    return jailed_result(open("jail/read/../secret", O_RDONLY));
}
static int list_outside(void)
{
    return jailed_result(open("/", O_RDONLY | O_DIRECTORY));
}
static int open_own_memory(void)
{
    return jailed_result(open("/proc/self/mem", O_RDWR));
}
static int write_where_reading(void)
{
    return jailed_result(open("jail/read/file", O_WRONLY));
}
static int empty_where_reading(void)
{
    return jailed_result(open("jail/read/file", O_RDONLY | O_TRUNC));
}
static int truncate_by_path(void)
{
    return jailed_result(truncate("jail/read/file", 0));
}
static int make_where_writing(void)
{
    return jailed_result(open("jail/write/new", O_WRONLY | O_CREAT, 0600));
}
static int unlink_where_writing(void)
{
    return jailed_result(unlink("jail/write/file"));
}
static int rename_out(void)
{
    return jailed_result(rename("jail/write/file", "jail/make/stolen"));
}
static int link_in(void)
{
    return jailed_result(link("jail/secret", "jail/make/linked"));
}
static int make_symlink(void)
{
    return jailed_result(symlink("/etc/passwd", "jail/make/linked"));
}
static int make_device(void)
{
    return jailed_result(mknod("jail/make/device", S_IFCHR | 0600, 0));
}
static int make_set_uid(void)
{
    return jailed_result(open("jail/make/suid", O_WRONLY | O_CREAT, 04700));
}
static int change_mode(void)
{
    return jailed_result(chmod("jail/write/file", 0777));
}
static int connect_to(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM, 0);

    return jailed_result(connect(fd, (const struct sockaddr *)&to, sizeof to));
}
static int connect_allowed(void)
{
    return connect_to(jailed_port());
}
static int connect_forbidden(void)
{
    return connect_to((uint16_t)(jailed_port() == 9 ? 10 : 9));
}
static int connect_abstract(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "\0touchmark-jail-test" };
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return jailed_result(
        connect(fd, (const struct sockaddr *)&to, offsetof(struct sockaddr_un, sun_path) + 20));
}

static const struct jailed_probe PROBES[] = {
    { "a file below a readable folder opens", SANDBOX_CALLS_FILES, read_inside, 0 },
    { "a file below a writable folder is rewritten", SANDBOX_CALLS_FILES, write_inside, 0 },
    { "files are made where granted", SANDBOX_CALLS_FILES, make_inside, 0 },
    { "an allowed port is reached", SANDBOX_CALLS_CONNECT, connect_allowed, 0 },
    { "no file opens without the group", 0, read_inside, EACCES },
    { "nothing outside opens", SANDBOX_CALLS_FILES, open_outside, EACCES },
    { "dot-dot does not lead out", SANDBOX_CALLS_FILES, open_dotdot, EACCES },
    { "no folder outside is listed", SANDBOX_CALLS_FILES, list_outside, EACCES },
    { "one's own memory file stays shut", SANDBOX_CALLS_FILES, open_own_memory, EACCES },
    { "read-only is not written", SANDBOX_CALLS_FILES, write_where_reading, EACCES },
    { "read-only is not emptied", SANDBOX_CALLS_FILES, empty_where_reading, JAILED_KILLED },
    { "no truncate by path", SANDBOX_CALLS_FILES, truncate_by_path, JAILED_KILLED },
    { "writing is not making", SANDBOX_CALLS_FILES, make_where_writing, EACCES },
    { "writing is not removing", SANDBOX_CALLS_FILES, unlink_where_writing, EACCES },
    { "nothing moves between grants", SANDBOX_CALLS_FILES, rename_out, EACCES },
    { "no hard links", SANDBOX_CALLS_FILES, link_in, JAILED_KILLED },
    { "no symbolic links", SANDBOX_CALLS_FILES, make_symlink, JAILED_KILLED },
    { "no device nodes", SANDBOX_CALLS_FILES, make_device, JAILED_KILLED },
    { "no set-uid files", SANDBOX_CALLS_FILES, make_set_uid, JAILED_KILLED },
    { "no modes by path", SANDBOX_CALLS_FILES, change_mode, JAILED_KILLED },
};

static void each_probe_ends_as_told(void **state)
{
    (void)state;
    assert_int_equal(jailed_count_wrong(PROBES, sizeof PROBES / sizeof *PROBES, 0), 0);
}

static void each_probe_ends_as_told_at_landlock_abi_2(void **state)
{
    (void)state;
    assert_int_equal(jailed_count_wrong(PROBES, sizeof PROBES / sizeof *PROBES, 2), 0);
}

static int offered_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static void a_forbidden_port_is_refused_from_abi_4(void **state)
{
    struct sandbox jail = jailed_in(SANDBOX_CALLS_CONNECT);

    (void)state;
    if (offered_abi() < 4)
        skip();
    assert_int_equal(jailed_outcome(&jail, connect_forbidden), EACCES);
    jail.landlock_abi_most = 3;
    assert_int_equal(jailed_outcome(&jail, connect_forbidden), ECONNREFUSED);
}

static void an_abstract_socket_outside_is_refused_from_abi_6(void **state)
{
    struct sandbox jail = jailed_in(SANDBOX_CALLS_CONNECT);
    struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0touchmark-jail-test" };
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    if (offered_abi() < 6)
        skip();
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&at, offsetof(struct sockaddr_un, sun_path) + 20), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(jailed_outcome(&jail, connect_abstract), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_probe_ends_as_told),
        cmocka_unit_test(each_probe_ends_as_told_at_landlock_abi_2),
        cmocka_unit_test(a_forbidden_port_is_refused_from_abi_4),
        cmocka_unit_test(an_abstract_socket_outside_is_refused_from_abi_6),
    };
    return cmocka_run_group_tests(tests, jailed_set_up, jailed_tear_down);
}
