"""The cut: how long a thousand live sessions outlive the decision that ends them, while devices are being enrolled.

Figures are printed and written to build/cut.json; what is asserted is that each is cut and that none survives.
"""
# alone
# release
import base64
import concurrent.futures
import http.client
import json
import multiprocessing
import os
import re
import select
import selectors
import ssl
import threading
import time

import pytest

import mqtt
import place
import world

SESSIONS = int(os.environ.get("TOUCHMARK_SESSIONS", "1000"))
POLICY = world.EVERYTHING_OWN + 'deny group "locked-out" connect\n'
BEFORE = world.EVERYTHING_OWN


class Herd:
    """Many live sessions, one thread that notes when each of them ends."""

    def __init__(self, system, credentials):
        self.system, self.credentials = system, credentials
        self.live, self.ended = {}, {}
        self.selector, self.lock = selectors.DefaultSelector(), threading.Lock()
        self.bell = os.pipe()
        self.selector.register(self.bell[0], selectors.EVENT_READ, None)
        self.stopping = False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def connect(self, names=None):
        """Those of these that have no session."""
        missing = [name for name in names or self.credentials if name not in self.live]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for name, client in zip(missing, pool.map(self.connect_one, missing)):
                with self.lock:
                    self.ended.pop(name, None)
                    self.live[name] = client
                    client.socket.setblocking(False)
                    self.selector.register(client.socket, selectors.EVENT_READ, (name, client))
        os.write(self.bell[1], b"!")

    def connect_one(self, name):
        credential = self.credentials[name]
        client = mqtt.Client(self.system.ports["mqtts"], world.tls_context(self.system.root, credential), name)
        assert client.connect(keep_alive=0) == mqtt.ACCEPTED
        return client

    def watch(self):
        while not self.stopping:
            for key, _ in self.selector.select():
                now = time.monotonic()
                if key.data is None:
                    os.read(self.bell[0], 1)
                else:
                    self.read(*key.data, now)

    def read(self, name, client, now):
        try:
            while octets := client.socket.recv(4096):
                client.rest += octets
            code = None
        except (ssl.SSLWantReadError, BlockingIOError):
            found, _ = mqtt.take_packet(client.rest, 5)
            if found is None or found.kind != mqtt.DISCONNECT:
                return
            code = found.code
        except OSError:
            code = None
        with self.lock:
            self.selector.unregister(client.socket)
            self.live.pop(name)
            self.ended[name] = (now, code)
        client.close()

    def wait_ended(self, names):
        names = set(names)
        place.wait_for(f"{len(names)} sessions to be cut", lambda: names <= self.ended.keys(), 120)

    def ping_all(self):
        """Each that is taken for live answers."""
        for name, client in list(self.live.items()):
            self.selector.unregister(client.socket)
            client.socket.setblocking(True)
            client.ping()
            client.close()
            self.live.pop(name)

    def stop(self):
        self.stopping = True
        os.write(self.bell[1], b"!")
        self.thread.join()
        for client in self.live.values():
            client.close()


def enrol_bulk(system, prefix, stop, count):
    """In a process of its own, so that it does not slow the watching thread down."""
    system.local = threading.local()
    while not stop.is_set():
        system.enrol_quickly(f"{prefix}-{count.value}")
        count.value += 1
    os._exit(0)


class Bulk:
    """Enrolments one after another while the block runs."""

    def __init__(self, system, prefix):
        fork = multiprocessing.get_context("fork")
        self.stop, self.count = fork.Event(), fork.Value("i", 0)
        self.process = fork.Process(target=enrol_bulk, args=(system, prefix, self.stop, self.count))

    def __enter__(self):
        self.process.start()
        place.wait_for("the bulk to begin", lambda: self.count.value > 3, 60)
        return self

    def __exit__(self, *unused):
        assert self.process.is_alive(), "the bulk of enrolments broke off"
        self.stop.set()
        self.process.join(60)


FIGURES = {}


def tell(name, began, herd, names, bulk):
    """began: {name: when it was decided}."""
    late = sorted(1000 * (herd.ended[each][0] - began[each]) for each in names)
    FIGURES[name] = {"sessions": SESSIONS, "cut": len(late), "enrolled_meanwhile": bulk.count.value,
                     "p50_ms": round(late[len(late) // 2], 2), "p99_ms": round(late[len(late) * 99 // 100], 2),
                     "most_ms": round(late[-1], 2)}
    print(json.dumps({"cut": name, **FIGURES[name]}))
    (place.SOURCE / "build").mkdir(exist_ok=True)
    (place.SOURCE / "build/cut.json").write_text(json.dumps(FIGURES, indent=1) + "\n")


@pytest.fixture(scope="module")
def system():
    with world.world(policy=BEFORE) as made:
        yield made


@pytest.fixture(scope="module")
def herd(system):
    names = [f"s-{count}" for count in range(SESSIONS)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        made = Herd(system, dict(zip(names, pool.map(lambda name: system.enrol_quickly(name, "herd"), names))))
    yield made
    made.stop()


def decide(system, herd, name, path, body=None):
    """Each by a request of its own, one after another: {device: when the request was sent}."""
    began = {}
    with Bulk(system, f"meanwhile-{name}") as bulk:
        for each in path:
            began[each] = time.monotonic()
            system.api("POST", path[each], body or {})
        herd.wait_ended(began)
    tell(name, began, herd, list(began), bulk)


def part(herd, tenths):
    """Names of that part of all: parts do not overlap."""
    names = list(herd.credentials)
    return names[tenths[0] * len(names) // 10:tenths[1] * len(names) // 10]


def test_a_policy_that_allows_them_no_longer_cuts_all(system, herd):
    herd.connect()
    assert len(herd.live) == SESSIONS
    with Bulk(system, "meanwhile-policy") as bulk:
        began = time.monotonic()
        system.apply_policy(BEFORE + 'deny group "herd" connect\n', wait=False)
        herd.wait_ended(herd.credentials)
    tell("policy", dict.fromkeys(herd.credentials, began), herd, list(herd.credentials), bulk)
    system.apply_policy(BEFORE)


def test_suspended_devices_are_cut(system, herd):
    herd.connect()
    names = part(herd, (0, 2))
    decide(system, herd, "suspension", {each: f"/v1/devices/{each}/suspend" for each in names})
    assert len(herd.live) == SESSIONS - len(names)
    for each in names:
        system.api("POST", f"/v1/devices/{each}/resume", {})
    herd.connect(names)


def test_devices_with_a_revoked_certificate_are_cut(system, herd):
    herd.connect()
    paths = {each: f"/v1/certificates/{herd.credentials[each].fingerprint}/revoke" for each in part(herd, (0, 2))}
    decide(system, herd, "certificate", paths, {"reason": "keyCompromise"})
    assert len(herd.live) == SESSIONS - len(paths)


def test_revoked_devices_are_cut_and_the_others_are_not(system, herd):
    names = part(herd, (2, 9))
    decide(system, herd, "revocation", {each: f"/v1/devices/{each}/revoke" for each in names})
    others = part(herd, (9, 10))
    assert set(herd.live) == set(others)
    herd.ping_all()


def test_each_cut_is_in_the_audit_log(system, herd):
    names = set(part(herd, (2, 9)))
    def cut():
        return {record["device"] if "device" in record else record["actor"]["id"]
                for record in system.audit(action="session.cut")}
    place.wait_for("records of all cuts", lambda: names <= cut(), 60)


# ---- what else must not outlive it ----

@pytest.fixture
def device(system, request):
    return system.enrol_quickly(re.sub("[^a-z0-9.]+", "-", request.node.name)[-60:].strip("-."))


def open_session(system, device, **more):
    client = mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, device, **more), device.id)
    assert client.connect() == mqtt.ACCEPTED
    return client


@pytest.mark.parametrize("way", ["API", "command line"])
def test_wait_returns_after_the_cut(system, device, way):
    with open_session(system, device) as client:
        if way == "API":
            assert system.revoke(device.id, wait=True)["applied"] is True
        else:
            system.touchmark("device", "revoke", device.id, "--wait")
        readable, _, _ = select.select([client.socket], [], [], 0)
        assert readable, "revoke had waited, and the session lived on"
        client.wait_end()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_resumed_tls_session_is_refused(system, device, version):
    context = world.tls_context(system.root, device, least=version, most=version)
    def resume(session=None):
        client = mqtt.Client(system.ports["mqtts"], context, device.id, session=session)
        with client:
            code = client.connect()
            client.ping()
            return code, client.socket.session, client.socket.session_reused
    code, session, _ = resume()
    code, session, reused = resume(session)
    assert code == mqtt.ACCEPTED and reused, "resumption is what this is about"
    system.revoke(device.id, wait=True)
    with pytest.raises((ssl.SSLError, mqtt.Closed, ConnectionError)):
        resume(session)
    system.wait_audit(lambda record: record["decision"] != "allowed" and record["action"] == "handshake",
                      certificate=device.fingerprint)


def renew(system, connection, device):
    """Ask for another certificate for the same key, over that connection."""
    request = world.run("openssl", "req", "-new", "-key", device.key, "-subj", f"/serialNumber={device.id}",
                        "-outform", "DER").stdout
    return system.ask(connection, "POST", "/.well-known/est/simplereenroll", base64.encodebytes(request),
                      {"Content-Type": "application/pkcs10"})


def test_a_kept_https_connection_is_refused(system, device):
    connection = system.connection("https", device)
    assert renew(system, connection, device).status == 200
    kept = connection.sock
    system.revoke(device.id, wait=True)
    try:
        answer = renew(system, connection, device)
        assert answer.status in (401, 403) and (connection.sock is kept or connection.sock is None), answer
    except (OSError, http.client.HTTPException):
        pass


def test_a_revoked_operators_kept_connection_is_refused(system):
    key, request = world.make_request("unused")
    pem = world.run("openssl", "req", "-inform", "DER", input=request).stdout.decode()
    made = system.api("POST", "/v1/operators", {"kind": "operator", "id": "brief", "role": "admin", "csr": pem})
    certificate = world.x509.load_pem_x509_certificate(made["certificate"].encode())
    brief = system.keep("operator-brief", certificate, key)
    connection = system.connection("operator", brief)
    assert system.ask(connection, "GET", "/v1/status").status == 200
    system.api("POST", "/v1/operators/brief/revoke?wait=1", {})
    connection.auto_open = False
    try:
        assert system.ask(connection, "GET", "/v1/status").status in (401, 403)
    except (OSError, http.client.HTTPException):
        pass


def test_an_expired_certificate_ends_its_session(system):
    """Its dates were moved in the registry's file: the end comes while it is connected."""
    short = system.enrol_quickly("short-lived")
    assert system.running.stop() == 0
    import forge
    forge.redate(system, short, end=time.time() + 12)
    system.start()
    with open_session(system, short) as client:
        client.wait_end(timeout=60)
    record = system.wait_audit(device="short-lived", action="session.cut")
    assert "expired" in record["reason"]
