"""kill -9 of each process at random moments under load, and a full disk: nothing that was acknowledged is missing, all
comes back by itself, the audit log verifies, and every certificate that was ever signed is registered or a revoked orphan.

TOUCHMARK_KILLS=50 is the long form (./dev torture); TOUCHMARK_SEED repeats a run's choices.
"""
# alone
import collections
import contextlib
import http.client
import os
import random
import signal
import ssl
import threading
import time

from cryptography import x509
import pytest

import disk
import mqtt
import place
import sinks
import trail
import world

KILLS = int(os.environ.get("TOUCHMARK_KILLS", "6"))
SEED = int(os.environ.get("TOUCHMARK_SEED", str(random.randrange(10**6))))
VICTIMS = ("signer", "signer-worker", "authority", "device-door", "operator-door", "exporter")
POLICY = ('allow device connect\n'
          'allow device publish, subscribe, receive, retain "kept/#"\n')
TOPICS = 40
TROUBLE = (OSError, http.client.HTTPException, ssl.SSLError, mqtt.Closed, world.Refused, ValueError)


class Load:
    """Enrols, revokes, applies policies and publishes, and remembers what was acknowledged. What was not may have
    happened or not."""

    def __init__(self, system, publisher):
        self.system, self.publisher = system, publisher
        self.enrolled, self.revoked, self.policies = {}, {}, {}
        self.kept, self.sent = {}, collections.Counter()
        self.answered = 0  # messages that were answered: kept, or refused for want of space
        self.failures = collections.Counter()
        self.queue = collections.deque()
        self.stopping = threading.Event()
        duties = [lambda: self.enrol("a"), lambda: self.enrol("b"), self.revoke, self.apply, self.publish]
        self.threads = [threading.Thread(target=duty, daemon=True) for duty in duties]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()

    def total(self):
        return len(self.enrolled) + len(self.revoked) + len(self.policies) + sum(self.kept.values())

    def attempt(self, what, act):
        """True if it was acknowledged; a refusal or a broken connection costs a moment."""
        try:
            act()
            return True
        except TROUBLE as trouble:
            self.failures[f"{what}: {type(trouble).__name__}"] += 1
            self.system.local.__dict__.pop("kept", None)
            time.sleep(0.05)
            return False

    def enrol(self, prefix):
        count = 0
        while not self.stopping.is_set():
            name = f"{prefix}-{count}"
            count += 1
            def act():
                self.enrolled[name] = self.system.enrol_quickly(name)
                self.queue.append(name)
            self.attempt("enrol", act)

    def revoke(self):
        while not self.stopping.is_set():
            if len(self.queue) < 3:
                time.sleep(0.02)
                continue
            name = self.queue.popleft()
            self.queue.popleft()
            def act():
                self.revoked[name] = self.system.revoke(name)["sequence"]
            self.attempt("revoke", act)

    def apply(self):
        count = 0
        while not self.stopping.is_set():
            count += 1
            text = f"{POLICY}# {count}\n"
            def act():
                self.policies[self.system.apply_policy(text, wait=False)] = text
            self.attempt("apply", act)
            time.sleep(0.05)

    def publish(self):
        while not self.stopping.is_set():
            self.attempt("publish", self.publish_until_it_ends)

    def publish_until_it_ends(self):
        context = world.tls_context(self.system.root, self.publisher)
        with mqtt.Client(self.system.ports["mqtts"], context, self.publisher.id, timeout=20) as client:
            if client.connect() != mqtt.ACCEPTED:
                raise mqtt.Closed("not accepted")
            while not self.stopping.is_set():
                topic = f"kept/{sum(self.sent.values()) % TOPICS}"
                self.sent[topic] += 1
                value = self.sent[topic]
                code = client.publish(topic, str(value).encode(), qos=1, retain=True)
                self.answered += 1
                if code == 0:
                    self.kept[topic] = value
                elif code != 0x97:  # quota: a full disk
                    raise AssertionError(f"PUBACK {code:#x}")


# ---- the judgement ----

def check_registry(system, load):
    certificates = {each["fingerprint"]: each for each in system.pages("/v1/certificates", "certificates")}
    devices = {each["id"]: each for each in system.pages("/v1/devices", "devices")}
    for name, credential in load.enrolled.items():
        known = certificates.get(credential.fingerprint)
        assert known and known["subject"] == name and known["serial"] == credential.serial, f"{name} is not registered"
        assert devices[name]["state"] in ("active", "revoked")
    for name in load.revoked:
        assert devices[name]["state"] == "revoked", f"{name}: its revocation did not hold"
        assert certificates[load.enrolled[name].fingerprint]["state"] == "revoked"
    for version, text in load.policies.items():
        assert system.api("GET", f"/v1/policies/{version}")["text"] == text
    assert system.active_policy()["version"] >= max(load.policies, default=0)
    return certificates


def check_retained(system, load, reader):
    with mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, reader), reader.id) as client:
        assert client.connect() == mqtt.ACCEPTED
        assert client.subscribe("kept/#") == [1]
        found = {topic: int(payload) for topic, payload in client.messages_until_ping()}
    for topic, value in load.kept.items():
        assert value <= found.get(topic, 0) <= load.sent[topic], f"{topic}: {value} was acknowledged, {found.get(topic)}"


def check_audit(system, load):
    records, _ = trail.verify(system)
    of = collections.defaultdict(list)
    for record in records:
        if record.decision == "allowed":
            of[record.action].append(record)
    made = collections.Counter(record.hex("fingerprint") for record in of["certificate.issue"])
    assert max(made.values()) == 1, "an issuing is recorded twice"
    for door in (2, 3):  # what each tells stands once and in its order
        told = [record.sequence for record in records if record.source == door]
        assert told == sorted(set(told)) and told, f"source {door}"
    issued = set(made)
    missing = [name for name, each in load.enrolled.items() if each.fingerprint not in issued]
    assert not missing, f"no record of issuing to {missing}"
    revoked = {record.fields.get("device") for record in of["device.revoke"]}
    assert load.revoked.keys() <= revoked
    assert len(of["policy.apply"]) >= len(load.policies)
    system.touchmark("audit", "verify", "--since", system.work / "early.checkpoint")
    return len(records)


def check_counts(system, load):
    """Every message that was answered is counted, none twice; and what a door made durable the log has taken."""
    def taken():
        told = {each["source"]: each for each in system.api("GET", "/v1/status")["audit_sources"]}
        return all(told[door]["records"] <= told[door]["spooled"] for door in world.DOORS) and \
            told["device-door"]["records"] == told["device-door"]["spooled"] and told
    def counted():
        return sum(record.get("aggregate", {}).get("count", 1)
                   for record in system.audit(device="publisher", action="publish", decision="allowed"))
    place.wait_for("what was answered in the log", lambda: counted() >= load.answered, 60)
    place.wait_for("the spool in the log", taken, 60)
    assert load.answered <= counted() <= sum(load.sent.values())
    return {source: (each["records"], each["acts"], each["refused"]) for source, each in taken().items()}


def crl_serials(system, key):
    answer = system.call("GET", f"/crl/{key}.crl", door="https", who=None)
    if answer.status == 503:  # the door has just started and fetches it
        return set()
    assert answer.status == 200
    return {f"{one.serial_number:x}".rjust(2, "0") for one in x509.load_der_x509_crl(answer.body)}


def same(serial):
    return serial.lstrip("0")


def check_serials(system, certificates):
    """
    What is in the journal is registered or a revoked orphan on its key's CRL, where all devices that were revoked are,
    too. There may be more orphans: a serial of which the signer did not answer is one, signed or not.
    """
    signed = trail.signed_serials(system.folder)
    registered = {same(each["serial"]) for each in certificates.values()}
    revoked = {same(each["serial"]) for each in certificates.values()
               if each["state"] == "revoked" and each["kind"] == "device"}
    orphans = 0
    for key, serials in signed.items():
        assert len(set(serials)) == len(serials), f"a serial of {key} was used twice"
        strangers = {same(serial) for serial in serials} - registered
        expected = strangers | (revoked if key == "devices" else set())
        place.wait_for(f"orphans and revoked of {key} on its CRL",
                       lambda: expected <= {same(serial) for serial in crl_serials(system, key)}, 60)
        orphans += len(strangers)
    assert system.api("GET", "/v1/status")["orphans"] >= orphans
    return orphans


def check_sink(system):
    """All that is in the log went out, in its order, without a hole; how many records came again."""
    records = sinks.wait_exported(system)
    lines = sinks.lines_of(system.work / "out/audit.jsonl")
    doubles = sinks.assert_all_there([line["index"] for line in lines], records)
    leaves = {record["index"]: record["leaf"] for record in system.audit()}
    for line in lines[:records]:
        assert line["leaf"] == leaves[line["index"]]
    return doubles


def nothing_acknowledged_is_missing(system, load, reader):
    certificates = check_registry(system, load)
    check_retained(system, load, reader)
    covered = check_audit(system, load)
    orphans = check_serials(system, certificates)
    sources = check_counts(system, load)
    again = check_sink(system)
    print(f"acknowledged: {len(load.enrolled)} enrolments, {len(load.revoked)} revocations, {len(load.policies)} policies, "
          f"{sum(load.kept.values())} retained; {orphans} orphans; {covered} audit records verified, {again} went out again; "
          f"not acknowledged: {dict(load.failures)}; records, acts, refused by source: {sources}")
    return sources


def grow(load, by=10):
    """The system works: more is acknowledged than before."""
    before = load.total()
    place.wait_for("acknowledgements", lambda: load.total() > before + by, 120)


# ---- the kills ----

@contextlib.contextmanager
def loaded(work, log=None):
    sinks.make_folder(work / "out")
    made = world.World(work, policy=POLICY, settings={"sink-1": {"kind": "jsonl", "file": work / "out/audit.jsonl"}})
    if log:
        made.running.log_path = log
    with made:
        publisher, reader = made.enrol("publisher"), made.enrol("reader")
        early = ("audit", "checkpoint", "--save", work / "early.checkpoint")
        place.wait_for("a checkpoint", lambda: made.touchmark(*early, check=False).returncode == 0, 30)
        with Load(made, publisher) as load:
            grow(load)
            yield made, load, reader


def kill_one(system, chance):
    name = chance.choice(VICTIMS)
    pid = chance.choice(place.wait_for(name, lambda: system.running.pids(name), 60))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return name


def test_nothing_acknowledged_is_lost_by_kills():
    chance = random.Random(SEED)
    killed = collections.Counter()
    print(f"TOUCHMARK_SEED={SEED}")
    with place.work_folder() as work, loaded(work) as (system, load, reader):
        for each in range(KILLS):
            killed[kill_one(system, chance)] += 1
            time.sleep(chance.uniform(0.02, 1.0))
            if each % 10 == 9:
                grow(load)
        system.wait_healthy()
        grow(load)
        load.__exit__()
        print(f"killed: {dict(killed)}")
        nothing_acknowledged_is_missing(system, load, reader)
        kill_supervisor(system)
        nothing_acknowledged_is_missing(system, load, reader)
        died_of_nothing_else(system, {"signer"})  # when its worker was killed


def died_of_nothing_else(system, enders):
    """No crash, no jail violation, no refusal; these may have ended by themselves."""
    for line in system.running.events("process.killed"):
        assert world.fields_of(line)["signal"] == "KILL", line
    for name in ("process.refused", "process.jail-violation", "process.not-ready", "process.link-lost"):
        assert not system.running.events(name), system.running.events(name)
    for line in system.running.events("process.exited"):
        assert world.fields_of(line)["child"] in enders, line


def kill_supervisor(system):
    children = system.running.children()
    system.running.process.kill()
    system.running.process.wait()
    place.wait_for("the children to end with it", lambda: not any(
        place.command_of(pid) == name for pid, name in children.items()))
    system.local = threading.local()
    system.start()


@pytest.mark.parametrize("victim", VICTIMS)
def test_each_process_comes_back_alone(quiet, victim):
    """Without load: the others keep running, and what was asked of it is answered again."""
    others = {pid: name for pid, name in quiet.running.children().items() if name != victim}
    before = quiet.running.pids(victim)
    os.kill(before[0], signal.SIGKILL)
    # A signer without one of its workers begins anew as a whole, so the others go, too.
    place.wait_for(f"{victim} to be replaced", lambda: len(now := quiet.running.pids(victim)) == len(before) and
                   not set(now) & set(before), 60)
    quiet.wait_healthy()
    quiet.enrol(f"after-{victim}")
    if not victim.startswith(("signer", "signer-worker")):
        assert others.items() <= quiet.running.children().items(), "another process was restarted, too"


@pytest.fixture(scope="module")
def quiet():
    with world.world(policy=POLICY) as made:
        yield made


# ---- the full disk ----

def disk_status(system):
    """Reading it is not recorded, so it needs no space."""
    return place.wait_for("status", lambda: try_status(system), 60)


def try_status(system):
    with contextlib.suppress(*TROUBLE):
        return system.api("GET", "/v1/status")
    system.local.__dict__.pop("kept", None)
    return None


@disk.needs_root
def test_nothing_acknowledged_is_lost_by_a_full_disk(tmp_path):
    with disk.small() as point, loaded(point, tmp_path / "log") as (system, load, reader):
        refused = 0
        for _ in range(2):
            with disk.full(point):
                refusals = sum(load.failures.values())
                place.wait_for("a refusal", lambda: sum(load.failures.values()) > refusals, 60)
                refused += place.wait_for("what found no room to be counted", lambda: sum(
                    each["refused"] for each in disk_status(system)["audit_sources"]), 60)
            system.wait_healthy(120)
            grow(load)
        load.__exit__()
        nothing_acknowledged_is_missing(system, load, reader)
        assert refused > 0, "what found no room is counted"
        died_of_nothing_else(system, {"signer", "device-door", "operator-door"})  # to find out what their disk holds
