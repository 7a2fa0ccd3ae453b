"""From inside each running process, with its own system calls: what its jail lets out, which is nothing.

The processes are those that ship, started by touchmarkd; inject.py makes them try. A call must
end the process (SIGSYS) or fail; which of the two is the jail's business, that neither
happened is the failure.
"""
# release
import contextlib
import errno
import os
import pathlib
import re
import signal
import subprocess

import pytest

import inject
import place

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="ptrace of other users' processes needs root")

AT_FDCWD, O_RDONLY, O_WRONLY, O_CREAT = -100, 0, 1, 0o100
NOBODY = 61005
PROCESSES = ("signer", "signer-worker", "authority", "device-door", "operator-door", "exporter")
# What each keeps for itself.
KEPT = {"signer": ["signer/journal/*"], "signer-worker": ["hsm/issuing/tokens/*/*"],
        "authority": ["authority/registry/*"], "device-door": ["device-door/spool/*", "device-door/journal/*"],
        "operator-door": ["operator-door/spool/*"], "exporter": []}


def start_as_one_user(work):
    """Without root all processes have the same uid: the jail alone stands between them."""
    def drop():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.chown(work, NOBODY, NOBODY)
    subprocess.run([place.BIN / "touchmark", "init", work / "place", *place.PORTS_ZERO], check=True, preexec_fn=drop,
                   capture_output=True)
    return drop


class SameUser(place.Supervisor):
    def __init__(self, folder, drop):
        super().__init__(folder)
        self.drop = drop

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([place.BIN / "touchmarkd", "--config", self.config],
                                            stderr=log, stdout=log, preexec_fn=self.drop)
        return self


# What the system-call filter alone decides is the same in every jail; files and siblings are not.
IN_EVERY_JAIL = pytest.mark.parametrize("running", ["own uids", "own uids, landlock abi 2", "one uid"], indirect=True)
IN_ONE_JAIL = pytest.mark.parametrize("running", ["own uids"], indirect=True)
AS_EQUALS_OR_NOT = pytest.mark.parametrize("running", ["own uids", "one uid"], indirect=True)


@pytest.fixture(scope="module")
def running(request):
    sandbox = {"landlock_abi_most": 2} if "abi 2" in request.param else {}
    with place.work_folder() as work:
        folder = work / "place"
        if request.param == "one uid":
            system = SameUser(folder, start_as_one_user(work))
        else:
            place.init(folder)
            system = place.Supervisor(folder)
        place.add_settings(folder, sandbox=sandbox,
                           supervisor={"restart_least": "5ms", "restart_most": "50ms", "log_level": "info"})
        (folder / "bystander").write_text("not yours\n")
        os.chmod(folder / "bystander", 0o666)
        with system:
            if "abi 2" in request.param:
                assert "landlock abi 2" in system.log()
            yield system


def wait_for_all(running):
    place.wait_for("all processes", lambda: {*PROCESSES} <= {*running.children().values()})


def filters(pid):
    """How many system-call filters lie on it; proc(5)."""
    try:
        return int(re.search(r"^Seccomp_filters:\s*(\d+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])
    except FileNotFoundError:
        return 0


def jailed(running, name):
    """The first process of that name once it is in its own jail, not only in touchmarkd's."""
    wait_for_all(running)
    return place.wait_for(f"{name} in its jail", lambda: next(
        (pid for pid in running.pids(name) if filters(pid) > filters(running.process.pid)), None))


def attempt(running, name, call, *arguments):
    """What came of one call from inside a process of this name: an errno's or a signal's name."""
    pid = jailed(running, name)
    restarts = len(running.events("process.ready"))
    try:
        result = inject.syscall(pid, call, *arguments)
    except inject.Killed as killed:
        running.wait_event("process.ready", count=restarts + 1)
        return signal.Signals(killed.signal).name
    return errno.errorcode[-result] if result < 0 else f"result {result}"


REFUSED = {"SIGSYS", "EACCES", "EPERM"}


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("path", ["secrets/issuing.pin", "root/pin", "operator/admin.key", "bystander",
                                  "keys/rules", "/etc/shadow", "/etc/passwd", "/proc/1/environ", "/dev/zero"])
def test_files_outside_the_grant_cannot_be_read(running, name, path):
    whole = os.fsencode(running.folder / path)
    assert attempt(running, name, "openat", AT_FDCWD, whole, O_RDONLY, 0) in REFUSED


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("other", PROCESSES)
def test_what_another_process_keeps_cannot_be_read_or_written(running, name, other):
    if name == other:
        return
    for pattern in KEPT[other]:
        found = [path for path in running.folder.glob(pattern) if path.is_file()]
        assert found, pattern
        for path in (found[0], found[-1]):
            for access in (O_RDONLY, O_WRONLY):
                assert attempt(running, name, "openat", AT_FDCWD, os.fsencode(path), access, 0) in REFUSED


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("path", ["bystander", "new", "keys/rules", "hsm/issuing/tokens/new", "/tmp/touchmark-new"])
def test_nothing_outside_the_grant_can_be_written_or_made(running, name, path):
    whole = running.folder / path
    existed = whole.exists()
    assert attempt(running, name, "openat", AT_FDCWD, os.fsencode(whole), O_WRONLY | O_CREAT, 0o600) in REFUSED
    assert whole.exists() == existed


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
def test_no_file_outside_the_grant_can_be_removed_or_moved(running, name):
    victim = os.fsencode(running.folder / "bystander")
    assert attempt(running, name, "unlink", victim) in REFUSED | {"EROFS"}
    assert attempt(running, name, "rename", victim, victim + b".moved") in REFUSED | {"EXDEV"}
    assert (running.folder / "bystander").read_text() == "not yours\n"


CALLS = [
    ("socket", (2, 1, 0)),                       # AF_INET, SOCK_STREAM
    ("socket", (10, 2, 0)),                      # AF_INET6, SOCK_DGRAM
    ("socket", (1, 1, 0)),                       # AF_UNIX
    ("socket", (16, 3, 0)),                      # AF_NETLINK
    ("execve", (b"/bin/true", 0, 0)),
    ("fork", ()),
    ("clone", (0x11, 0, 0, 0, 0)),               # SIGCHLD: a process, not a thread
    ("unshare", (0x10000000,)),                  # CLONE_NEWUSER
    ("bpf", (5, 0, 0)),
    ("io_uring_setup", (8, 0)),
    ("keyctl", (0, 0)),
    ("setuid", (0,)),
    ("ptrace", (16, 1, 0, 0)),                   # PTRACE_ATTACH
    ("prctl", (4, 1, 0, 0, 0)),                  # PR_SET_DUMPABLE
    ("mmap", (0, 4096, 5, 0x22, -1, 0)),         # PROT_READ | PROT_EXEC, anonymous
    ("mprotect", (0, 4096, 5)),                  # PROT_READ | PROT_EXEC
    ("connect", (5, b"\x02\0\x1f\x90\x7f\0\0\x01" + bytes(8), 16)),  # 127.0.0.1:8080
    ("bind", (5, b"\x02\0\0\0\x7f\0\0\x01" + bytes(8), 16)),
    ("listen", (5, 1)),
    ("mount", (0, b"/", 0, 0, 0)),
    ("setns", (5, 0)),
    ("tgkill", (1, 1, 9)),
    ("perf_event_open", (0, 0, -1, -1, 0)),
    ("userfaultfd", (0,)),
    ("landlock_restrict_self", (0, 0)),
]


@IN_ONE_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("call, arguments", CALLS)
def test_calls_that_no_duty_needs_are_refused(running, name, call, arguments):
    assert attempt(running, name, call, *arguments) in REFUSED


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("call", ["socket", "execve", "fork", "ptrace", "connect"])
def test_the_worst_of_them_are_refused_in_every_jail(running, name, call):
    assert attempt(running, name, call, *dict(CALLS)[call]) in REFUSED


def victim_of(running, name, other):
    """A process of the other name, or touchmarkd; never the one that attempt() will use."""
    own = jailed(running, name)
    pids = [running.process.pid] if other == "touchmarkd" else running.pids(other)
    return next((pid for pid in pids if pid != own), None)


@AS_EQUALS_OR_NOT
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("other", [*PROCESSES, "touchmarkd"])
def test_others_cannot_be_signalled(running, name, other):
    victim = victim_of(running, name, other)
    if victim is not None:
        assert attempt(running, name, "kill", victim, signal.SIGKILL) in REFUSED
    assert running.process.poll() is None


@AS_EQUALS_OR_NOT
@pytest.mark.parametrize("name", PROCESSES)
def test_others_cannot_be_traced_or_read(running, name):
    other = "authority" if name == "signer" else "signer"
    assert attempt(running, name, "ptrace", 16, victim_of(running, name, other), 0, 0) in REFUSED
    assert attempt(running, name, "process_vm_readv", victim_of(running, name, other), 0, 0, 0, 0, 0) in REFUSED


@IN_EVERY_JAIL
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("other", PROCESSES)
def test_a_siblings_channels_cannot_be_reached(running, name, other):
    """Its descriptors are visible in /proc to an equal; opening one, or fetching it, must fail."""
    if name == other:
        return
    sibling = place.wait_for(other, lambda: running.pids(other))[0]
    for descriptor in sorted(os.listdir(f"/proc/{sibling}/fd"), key=int)[3:12]:
        path = f"/proc/{sibling}/fd/{descriptor}".encode()
        assert attempt(running, name, "openat", AT_FDCWD, path, 2, 0) in REFUSED | {"ENOENT"}
    assert attempt(running, name, "openat", AT_FDCWD, f"/proc/{sibling}/mem".encode(), 2, 0) in REFUSED | {"ENOENT"}


@AS_EQUALS_OR_NOT
@pytest.mark.parametrize("name", PROCESSES)
def test_no_descriptor_can_be_fetched_from_another_process(running, name):
    assert attempt(running, name, "pidfd_open", running.process.pid, 0) in REFUSED
    assert attempt(running, name, "pidfd_getfd", 5, 5, 0) in REFUSED


@IN_EVERY_JAIL
def test_the_supervisor_executes_nothing_but_its_programs(running):
    pid = running.process.pid
    for program in (b"/bin/sh", b"/usr/bin/openssl", os.fsencode(place.BIN / "touchmark")):
        assert inject.syscall(pid, "execve", program, 0, 0) in (-errno.EACCES, -errno.EPERM)


@IN_ONE_JAIL
def test_a_jail_violation_is_told_as_what_it_is(running):
    before = len(running.events("process.jail-violation"))
    assert attempt(running, "signer", "fork") == "SIGSYS"
    running.wait_event("process.jail-violation", count=before + 1)


def told(running, event, child):
    """How often it was told of this child."""
    return sum(f"child={child}" in str(one) for one in running.events(event))


@IN_ONE_JAIL
@pytest.mark.parametrize("code", [77, 78])
def test_no_process_that_serves_stops_the_others_by_its_exit_code(running, code):
    """Which before it serves means a wrong PIN or wrong settings, and ends all: so wait until it does."""
    wait_for_all(running)
    place.wait_for("the door to serve", lambda: told(running, "process.ready", "device-door") ==
                   told(running, "process.started", "device-door"))
    pid = running.pids("device-door")[0]
    with contextlib.suppress(OSError):  # it is gone
        inject.syscall(pid, "exit_group", code)
    place.wait_for("another", lambda: running.pids("device-door") and pid not in running.pids("device-door"))
    wait_for_all(running)
    assert running.process.poll() is None and not running.events("process.refused")


@pytest.fixture(scope="module")
def exporting():
    """With sinks and witnesses the exporter's jail is wider than without: a folder, and two ports."""
    with place.work_folder() as work:
        folder, out = work / "place", work / "out"
        out.mkdir()
        os.chown(out, place.USERS["exporter"], place.USERS["exporter"])
        place.init(folder)
        place.merge_settings(folder, "exporter", {"witness1": "http://127.0.0.1:6516"})
        (work / "ca.pem").write_bytes((folder / "ca/root.pem").read_bytes())
        os.chmod(work / "ca.pem", 0o644)
        place.add_settings(folder, **{
            "supervisor": {"restart_least": "5ms", "restart_most": "50ms", "log_level": "info"},
            "sink-1": {"kind": "jsonl", "file": out / "audit.jsonl"},
            "sink-2": {"kind": "syslog", "address": "127.0.0.1:6514", "server_name": "a", "authorities": work / "ca.pem"}})
        with place.Supervisor(folder) as system:
            place.wait_for("the file", (out / "audit.jsonl").exists)
            yield system


def address(port):
    return b"\x02\0" + port.to_bytes(2, "big") + b"\x7f\0\0\x01" + bytes(8)


def test_the_exporter_reaches_its_sinks_and_nothing_else(exporting):
    for path in ("secrets/issuing.pin", "operator/admin.key", "keys/rules", "touchmark.conf", "/etc/passwd", "../ca.pem"):
        whole = os.fsencode(exporting.folder / path)
        assert attempt(exporting, "exporter", "openat", AT_FDCWD, whole, O_RDONLY, 0) in REFUSED
    for name in ("authority", "device-door", "operator-door", "signer"):
        for pattern in KEPT[name]:
            for path in exporting.folder.glob(pattern):
                assert attempt(exporting, "exporter", "openat", AT_FDCWD, os.fsencode(path), O_RDONLY, 0) in REFUSED
    new = os.fsencode(exporting.folder / "new")
    assert attempt(exporting, "exporter", "openat", AT_FDCWD, new, O_WRONLY | O_CREAT, 0o600) in REFUSED
    own = os.fsencode(exporting.folder.parent / "out/audit.jsonl")
    assert attempt(exporting, "exporter", "openat", AT_FDCWD, own, O_RDONLY, 0).startswith("result")


def test_the_exporter_connects_where_the_settings_say_and_listens_nowhere(exporting):
    pid = jailed(exporting, "exporter")
    socket = inject.syscall(pid, "socket", 2, 1, 0)
    assert socket >= 0
    for port in (6514, 6516):
        refused = -inject.syscall(pid, "connect", socket, address(port), 16)
        assert errno.errorcode[refused] == "ECONNREFUSED"  # let through, and nobody is there
    abi = int(re.search(r"process=exporter event=process.jailed .*landlock abi (\d+)", exporting.log())[1])
    elsewhere = -inject.syscall(pid, "connect", socket, address(6515), 16)
    assert errno.errorcode[elsewhere] == ("EACCES" if abi >= 4 else "ECONNREFUSED")
    for call, arguments in (("socket", (2, 2, 0)), ("socket", (16, 3, 0)), ("bind", (socket, address(0), 16)),
                            ("listen", (socket, 1)), ("execve", (b"/bin/true", 0, 0)), ("fork", ())):
        assert attempt(exporting, "exporter", call, *arguments) in REFUSED


def test_the_injected_calls_themselves_work():
    """The control: in an unjailed process the same calls succeed."""
    with subprocess.Popen(["sleep", "60"]) as free:
        sleeping = pathlib.Path(f"/proc/{free.pid}/syscall")  # 230: clock_nanosleep
        place.wait_for("sleep", lambda: sleeping.read_text().startswith("230 "), 10)
        assert inject.syscall(free.pid, "openat", AT_FDCWD, b"/etc/passwd", O_RDONLY, 0) >= 0
        assert inject.syscall(free.pid, "socket", 2, 1, 0) >= 0
        assert inject.syscall(free.pid, "openat", AT_FDCWD, b"/nonexistent", O_RDONLY, 0) == -errno.ENOENT
        free.kill()
