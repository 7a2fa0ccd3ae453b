"""Whoever sends or reads slowly, or not at all, is ended when his time is over, costs little, and is in nobody's way
(docs/protocol/api.md says how long)."""
# alone
import contextlib
import pathlib
import select
import socket
import ssl
import threading
import time

import pytest

import mqtt
import place
import world

PATIENCE, PROGRESS, LATER = 30, 15, 5  # seconds; LATER: sweeps, and a machine with other things to do
EACH = 12
ASKED = 300  # answers of over 100 kB that one who reads nothing asks for
POLICY = 'allow device connect\nallow device publish "slow/#"\n'
ENROL = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: a\r\nContent-Type: application/pkcs10\r\n"


@pytest.fixture(scope="module", name="system")
def made_world():
    with world.world(policy=POLICY, settings={"device-door": {"connect_within": "3s"}}) as made:
        made.device = made.enrol_quickly("dev-1")
        made.wait_applied()
        yield made


def dial(system, listener, who=None):
    """Of few octets of room, so that it is the door that would have to keep the rest."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", system.ports[listener]))
    if listener == "http":
        return sock
    return world.tls_context(system.root, who).wrap_socket(sock, server_hostname="localhost")


def ends_of(sock):
    return [f"0100007F:{end[1]:04X}" for end in (sock.getsockname(), sock.getpeername())]


def is_held(ends):
    """Does a process have the other end? One that it has closed, or not accepted yet, has no inode."""
    here, there = ends
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1] == there and words[2] == here:
            return words[9] != "0"
    return False


class Slow:
    """A client in a thread; took: seconds until the door let go of it."""

    def __init__(self, system, listener, begin, drip=b"", *, who=None, reads=False, every=0.5):
        self.sock, self.drip, self.reads, self.every = dial(system, listener, who), drip, reads, every
        self.ends = ends_of(self.sock)
        place.wait_for("it to be let in", lambda: is_held(self.ends))
        self.begin, self.took = begin, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            self.sock.sendall(self.begin)
            begun = time.monotonic()
        while is_held(self.ends) and time.monotonic() < begun + 120:
            with contextlib.suppress(OSError):
                if self.drip:
                    self.sock.send(self.drip)
                if self.reads and select.select([self.sock], [], [], 0)[0]:
                    self.sock.recv(1)
            time.sleep(self.every)
        self.took = time.monotonic() - begun

    def wait(self):
        self.thread.join(130)
        self.sock.close()
        return self.took


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def most_kib(pids):
    """That a door may grow by, of some 770 MB that were asked for. ASan keeps 256 MB of what was freed."""
    sanitized = any("libasan" in pathlib.Path(f"/proc/{pid}/maps").read_text() for pid in pids)
    return (32 + (384 if sanitized else 0)) * 1024


class Others:
    """What those who are not slow see meanwhile: the longest that one waited."""

    def __init__(self, system):
        self.system, self.longest, self.count, self.ended = system, 0.0, 0, threading.Event()
        self.grown = 0
        self.pids = {pid: resident_kib(pid) for door in world.DOORS for pid in system.running.pids(door)}
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        with mqtt.Client(self.system.ports["mqtts"], world.tls_context(self.system.root, self.system.device),
                         "dev-1") as client:
            assert client.connect() == mqtt.ACCEPTED
            while not self.ended.is_set():
                begun = time.monotonic()
                assert self.system.call("GET", "/v1/devices").status == 200
                assert self.system.call("GET", "/.well-known/est/cacerts", door="https", who=None).status == 200
                assert client.publish("slow/not", b"x", qos=1) in (0, 0x10)  # nobody subscribes
                self.longest = max(self.longest, time.monotonic() - begun)
                self.count += 1
                self.grown = max([self.grown, *(resident_kib(pid) - before for pid, before in self.pids.items())])
                time.sleep(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ended.set()
        self.thread.join(60)


def test_the_slow_are_ended_and_in_nobodys_way(system):
    asked = b"GET /v1/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * ASKED
    kinds = {
        # name: (its clients, seconds at least and at most)
        "headers": (lambda: Slow(system, "https", b"GET / HTTP/1.1\r\nX-A: ", b"b"), PATIENCE, PATIENCE),
        "headers, plain": (lambda: Slow(system, "http", b"GET / HTTP/1.1\r\nX-A: ", b"b"), PATIENCE, PATIENCE),
        "nothing": (lambda: Slow(system, "https", b""), PATIENCE, PATIENCE),
        "body": (lambda: Slow(system, "https", ENROL + b"Content-Length: 4000\r\n\r\n", b"M"), PATIENCE, PATIENCE),
        "reads nothing": (lambda: Slow(system, "operator", asked, who=system.admin), PROGRESS, PROGRESS),
        # The first octet costs a whole record of TLS, which is progress enough, once.
        "reads an octet a second": (lambda: Slow(system, "operator", asked, who=system.admin, reads=True, every=1),
                                    PROGRESS, 2 * PROGRESS),
        "CONNECT": (lambda: Slow(system, "mqtts", mqtt.connect_packet("dev-1")[:4], who=system.device), 3, 3),
    }
    with Others(system) as others:
        started = {name: [make() for _ in range(EACH)] for name, (make, _, _) in kinds.items()}
        took = {name: [one.wait() for one in each] for name, each in started.items()}
    for name, (_, least, most) in kinds.items():
        print(f"{name}: ended after {min(took[name]):.1f} to {max(took[name]):.1f} s")
    print(f"others: {others.count} rounds, the longest {others.longest:.2f} s; a door grew by {others.grown} KiB")
    for name, (_, least, most) in kinds.items():
        assert all(least - 1 <= each <= most + LATER for each in took[name]), f"{name}: {took[name]}"
    assert others.count >= 60 and others.longest < 5, "others had to wait"
    assert others.grown < most_kib(others.pids)
    assert not system.running.events("process.killed")


def test_a_packet_that_comes_by_the_octet_keeps_no_session_alive(system):
    """MQTT 5.0 3.1.2.10: it is whole packets that count."""
    began = time.monotonic()
    stream = dial(system, "mqtts", system.device)
    ends = ends_of(stream)
    stream.sendall(mqtt.connect_packet("dev-1", keep_alive=2))
    assert stream.recv(4096)[0] >> 4 == mqtt.CONNACK
    for octet in mqtt.publish_packet("slow/x", b"x" * 200):
        try:
            stream.sendall(bytes([octet]))
        except (OSError, ssl.SSLError):
            break
        if not is_held(ends):
            break
        time.sleep(0.25)
    assert not is_held(ends) and 2.5 <= time.monotonic() - began <= 3 + LATER
    stream.close()
    place.wait_for("a place for another", lambda: mqtt_works(system))


def mqtt_works(system):
    with mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, system.device), "dev-1") as client:
        return client.connect() == mqtt.ACCEPTED
