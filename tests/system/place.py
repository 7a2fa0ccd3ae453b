"""A Touchmark of a test's own: made by `touchmark init`, run by touchmarkd, stopped by its pid."""
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

BIN = pathlib.Path(os.environ["TOUCHMARK_BIN"])
SOURCE = pathlib.Path(os.environ["TOUCHMARK_SOURCE"])
# Below systemd.exec(5)'s DynamicUser range, and nobody's on Debian.
USERS = {"signer": 61001, "authority": 61002, "device-door": 61003, "operator-door": 61004,
         "exporter": 61006}
CAP_SYS_RESOURCE = 24


def is_root():
    return os.geteuid() == 0


@contextlib.contextmanager
def work_folder():
    """A folder that other users may enter, as /srv is: pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="touchmark-test-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def touchmark(*words, check=True):
    done = subprocess.run([BIN / "touchmark", *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"touchmark {words}: {done.returncode}: {done.stderr}")
    return done


# Any free ports: several tests, or a demo, may run on this machine.
PORTS_ZERO = ("--mqtts", "127.0.0.1:0", "--https", "127.0.0.1:0", "--http", "127.0.0.1:0",
              "--operator-https", "127.0.0.1:0")


def free_port():
    """
    For a program that is told its port, or gives it back and takes it again. Below those that the kernel gives to whoever
    names none: one of those is another test's the moment nobody has it.
    """
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(10000, max(lowest, 12000))
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no free port")


def init(folder, *options):
    return json.loads(touchmark("init", folder, "--json", *users(), *PORTS_ZERO, *options).stdout)


def users():
    """The options by which root says whom each process becomes."""
    if not is_root():
        return []
    return [word for name, number in USERS.items() for word in (f"--{name}-user", str(number))]


def may_lock_memory():
    """Where a machine forbids it even to root, the tests say so in the settings, as an operator would."""
    status = pathlib.Path("/proc/self/status").read_text()
    capabilities = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return bool(capabilities >> CAP_SYS_RESOURCE & 1) or hard == resource.RLIM_INFINITY


def add_settings(folder, **sections):
    """Sections that init does not write: sandbox={"landlock": "optional"}."""
    if not may_lock_memory():
        sections.setdefault("sandbox", {}).setdefault("locked_memory", "optional")
    with open(folder / "touchmark.conf", "a") as settings:
        for section, rows in sections.items():
            print(f"[{section}]", *(f"{key} = {value}" for key, value in rows.items()),
                  sep="\n", file=settings)


def merge_settings(folder, section, rows):
    """Into a section that init wrote already."""
    conf = folder / "touchmark.conf"
    lines = "".join(f"{key} = {value}\n" for key, value in rows.items())
    conf.write_text(conf.read_text().replace(f"[{section}]\n", f"[{section}]\n{lines}", 1))


def wait_for(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


class Supervisor:
    """touchmarkd on a folder, as a context: its log, its children, its end."""

    def __init__(self, folder, *, config=None, files=None):
        """files: the most descriptors that each process may have."""
        self.folder = folder
        self.files = files
        self.log_path = folder / "test.log"
        self.config = config or folder / "touchmark.conf"
        self.process = None

    def __enter__(self):
        self.start()
        self.wait_event("supervisor.ready")
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.stop()

    def start(self):
        limit = ["prlimit", f"--nofile={self.files}:{self.files}"] if self.files else []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*limit, BIN / "touchmarkd", "--config", self.config],
                                            stderr=log, stdout=log, stdin=subprocess.DEVNULL)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self, name):
        return [line for line in self.log().splitlines() if f" event={name} " in line + " "]

    def wait_event(self, name, count=1, seconds=60):
        def seen():
            return len(self.events(name)) >= count or self.process.poll() is not None
        wait_for(f"event {name}\n{self.log()}", seen, seconds)
        if len(self.events(name)) < count:
            raise AssertionError(f"no {name} before the end:\n{self.log()}")

    def stop(self, number=signal.SIGTERM, seconds=15):
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def wait_end(self, seconds=60):
        return self.process.wait(seconds)

    def children(self, of=None):
        """{pid: argv[0]} of all descendants."""
        return {pid: command_of(pid) for pid in descendants_of(of or self.process.pid)}

    def pids(self, name):
        return sorted(pid for pid, command in self.children().items() if command == name)


def descendants_of(pid):
    """By one look at all processes; zombies are none."""
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as task:
                fields = task.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(name))
    found, waiting = [], [pid]
    while waiting:
        waiting += parents.get(waiting[0], [])
        found += parents.get(waiting.pop(0), [])
    return found


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
