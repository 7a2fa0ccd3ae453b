"""One disk is full and the others are not: nothing is done without its record, the rest goes on, and all comes back by
itself (docs/degradation.md)."""
# alone
import contextlib
import http.client
import ssl
import time

import disk
import mqtt
import place
import sinks
import trail
import world

pytestmark = disk.needs_root
POLICY = 'allow device connect\nallow device publish, subscribe, receive, retain "t/#"\n'
TROUBLE = (OSError, http.client.HTTPException, ssl.SSLError, mqtt.Closed)


@contextlib.contextmanager
def system(small, size, **settings):
    """With the folder small, of a place, on a disk of that size."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(place.work_folder())
        sinks.make_folder(work / "out")
        for rows in settings.values():
            rows.update({key: str(value).replace("OUT", str(work / "out")) for key, value in rows.items()})
        made = world.World(work, policy=POLICY, settings=settings)
        folder = stack.enter_context(disk.under(made.folder / small if small else work / "out", size))
        yield stack.enter_context(made), folder


def try_call(made, *words, **more):
    """The answer, also a refusal; None when there was none."""
    try:
        return made.call(*words, **more)
    except TROUBLE:
        made.local.__dict__.pop("kept", None)
        return None


def until_refused(act, most=4000, row=1):
    """
    How many times it was done before so many in a row were not. With row 1 the next may be done again: another act is
    smaller, or what the first gave back holds it. How much room a full disk leaves, the machine decides.
    """
    done = refused = 0
    for count in range(most):
        if act(count):
            done, refused = done + 1, 0
        else:
            refused += 1
        if refused == row:
            return done
    raise AssertionError(f"of {most} acts {done} were done, and no {row} in a row refused")


def count_of(made, **filters):
    return sum(record.get("aggregate", {}).get("count", 1) for record in made.audit(**filters))


# ---- The authority's store ----

class Acts:
    """Devices added and revoked, and what was answered: each act is done and recorded, or refused and undone."""

    def __init__(self, made):
        self.made, self.tried = made, 0
        self.added, self.revoked, self.refused = [], [], {"add": [], "revoke": []}

    def is_done(self, *words, done=200):
        answer = self.made.call(*words)
        assert answer.status in (done, 429), (words, answer.status, answer.body)
        return answer.status == done

    def add(self):
        self.tried += 1
        name = f"new-{self.tried}"
        done = self.is_done("POST", "/v1/devices", {"id": name, "groups": []}, done=201)
        (self.added if done else self.refused["add"]).append(name)
        return done

    def revoke(self):
        """The oldest that is not yet."""
        name = self.added[len(self.revoked)]
        done = self.is_done("POST", f"/v1/devices/{name}/revoke", {})
        (self.revoked if done else self.refused["revoke"]).append(name)
        return done

    def add_or_revoke(self, count):
        """One each in turns of two, so that each is refused in any row of four refusals."""
        return self.revoke() if count % 4 >= 2 and len(self.revoked) < len(self.added) else self.add()

    def check(self, others):
        """Others were enrolled before, and are active; nobody enrols these."""
        def told(action):
            names = [each["target"].removeprefix("device ") for each in
                     self.made.audit(action=action, decision="allowed")]
            assert len(names) == len(set(names)), f"{action} is told twice"
            return set(names)
        print(f"{len(self.added)} added, {len(self.revoked)} revoked; refused: {self.refused}")
        assert self.refused["add"] and self.refused["revoke"]
        assert told("device.add") == others | set(self.added)
        assert told("device.revoke") == set(self.revoked)
        assert not set(self.refused["add"]) & set(self.added)
        states = {each["id"]: each["state"] for each in self.made.pages("/v1/devices", "devices")}
        assert states == {**dict.fromkeys(others, "active"), **dict.fromkeys(self.added, "registered"),
                          **dict.fromkeys(self.revoked, "revoked")}


def test_with_a_full_store_the_authority_does_nothing_that_it_cannot_record():
    with system("authority/registry", "24m") as (made, folder):
        device, other = made.enrol_quickly("dev-1"), made.enrol_quickly("dev-2")
        made.wait_applied()
        with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, device), "dev-1") as client:
            assert client.connect() == mqtt.ACCEPTED
            acts = Acts(made)
            for _ in range(60):  # so that there is always one to revoke
                assert acts.add()
            with disk.full(folder):
                until_refused(acts.add_or_revoke, row=20)
                read = until_refused(lambda _: acts.is_done("GET", "/v1/devices?limit=1"), row=5)
                for number in range(20):  # whoever has a session keeps it, and others open some
                    assert client.publish("t/x", b"x", qos=1) in (0, 0x10)
                with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, other), "dev-2") as another:
                    assert another.connect() == mqtt.ACCEPTED
            place.wait_for("an add, without a restart", acts.add, 30)
            place.wait_for("a revocation, without a restart", acts.revoke, 30)
        died = made.running.events("process.killed") + made.running.events("process.exited")
        assert not died, died
        assert count_of(made, action="device.read", decision="allowed") == read, "each reading that was answered"
        acts.check({"dev-1", "dev-2"})
        place.wait_for("what the door counted in the log",
                       lambda: count_of(made, device="dev-1", action="publish") >= 20, 60)
        assert count_of(made, device="dev-1", action="publish") == 20


# ---- A door's spool ----

class Visits:
    """A device that connects, publishes, goes; and what of it was answered."""

    def __init__(self, made):
        self.made, self.device = made, made.enrol_quickly("visitor")
        made.wait_applied()
        self.tried = self.opened = self.sent = self.answered = 0

    def visit(self, _=0):
        self.tried += 1
        context = world.tls_context(self.made.root, self.device)
        try:
            with mqtt.Client(self.made.ports["mqtts"], context, "visitor") as client:
                if client.connect() != mqtt.ACCEPTED:
                    return False
                self.opened += 1
                for number in range(3):
                    self.sent += 1
                    client.publish(f"t/{number}", b"x", qos=1)
                    self.answered += 1
            return True
        except TROUBLE:
            return False

    def check(self):
        """What was answered is in the log; nothing is there that was not tried."""
        def counted():
            return (count_of(self.made, device="visitor", action="session.open", decision="allowed"),
                    count_of(self.made, device="visitor", action="publish", decision="allowed"))
        place.wait_for("the records", lambda: counted()[0] >= self.opened and counted()[1] >= self.answered, 60)
        opened, published = counted()
        print(f"{self.opened} of {self.tried} sessions were let in, {opened} are told of; {self.answered} messages of "
              f"{self.sent} were answered, {published} are told of")
        assert self.opened <= opened <= self.tried and self.answered <= published <= self.sent


def refused_by(made):
    return {each["source"]: each["refused"] for each in made.api("GET", "/v1/status")["audit_sources"]}


def test_with_a_full_spool_a_door_lets_nobody_in():
    with system("device-door/spool", "8m") as (made, folder):
        visits = Visits(made)
        assert visits.visit()
        with disk.full(folder):
            until_refused(visits.visit, row=6)
            assert made.add_device("meanwhile"), "the other door goes on"
            place.wait_for("what found no room to be counted", lambda: refused_by(made)["device-door"] > 0, 60)
            assert refused_by(made)["operator-door"] == 0
        place.wait_for("the door to let it in", visits.visit, 60)
        visits.check()


def test_a_session_whose_acts_find_no_room_for_records_is_ended():
    with system("device-door/spool", "8m", **{"device-door": {"audit_window": "500ms"}}) as (made, folder):
        visits = Visits(made)
        context = world.tls_context(made.root, visits.device)
        answered = 0
        with mqtt.Client(made.ports["mqtts"], context, "visitor") as client, contextlib.ExitStack() as later:
            assert client.connect() == mqtt.ACCEPTED
            later.enter_context(disk.full(folder))  # only now: the session's own record needs room, too
            def retain(count):
                """What is counted of a window is a record when it is over."""
                try:
                    return client.publish(f"t/{count}", b"x", qos=1, retain=True) in (0, 0x10)
                except TROUBLE:
                    return False
            answered = until_refused(retain, 60000)
            client.wait_end(30)
        print(f"{answered} messages were answered before the session was ended")
        place.wait_for("the door to let it in", visits.visit, 60)
        place.wait_for("the records", lambda: count_of(
            made, device="visitor", action="retain", decision="allowed") >= answered, 60)


# ---- The signer's journal ----

def test_with_a_full_journal_nothing_is_signed():
    with system("signer/journal", "1m") as (made, folder):
        enrolled = {}
        def enrol(count):
            with contextlib.suppress(world.Refused, *TROUBLE):
                enrolled[f"dev-{count}"] = made.enrol_quickly(f"dev-{count}")
            return f"dev-{count}" in enrolled
        with disk.full(folder):
            until_refused(enrol, row=3)
            assert made.add_device("meanwhile"), "what needs no signature goes on"
            assert len(made.pages("/v1/certificates", "certificates", kind="device")) == len(enrolled)
        place.wait_for("the signer", lambda: enrol(6000) or enrol(6000 + int(time.monotonic())), 60)
        registered = {each["serial"] for each in made.pages("/v1/certificates", "certificates")}
        signed = trail.signed_serials(made.folder)["devices"]
        assert len(signed) == len(set(signed))
        assert {each.serial.lstrip("0") for each in enrolled.values()} <= {serial.lstrip("0") for serial in signed}
        strangers = {each.lstrip("0") for each in signed} - {each.lstrip("0") for each in registered}
        place.wait_for("the orphans", lambda: made.api("GET", "/v1/status")["orphans"] >= len(strangers), 60)


# ---- A sink, and the exporter's own memory ----

def export_over_a_full_disk(small, size):
    sink = {"sink-1": {"kind": "jsonl", "file": "OUT/audit.jsonl"}}
    with system(small, size, **sink) as (made, folder):
        path = made.work / "out/audit.jsonl"
        sinks.wait_exported(made)
        with disk.full(folder):
            for number in range(300):
                made.add_device(f"dev-{number}")
            made.running.wait_event("exporter.sink-fails")
            assert "No space left" in made.wait_audit(action="log.export", decision="failed")["reason"]
            assert made.api("GET", "/v1/status")["audit_exported"] < made.api("GET", "/v1/status")["audit_records"]
        records = sinks.wait_exported(made, 60)
        doubles = sinks.assert_all_there([line["index"] for line in sinks.lines_of(path)], records)
        assert doubles == 0 and not made.running.events("process.killed")


def test_a_sink_on_a_full_disk_waits_and_then_has_each_record_once():
    export_over_a_full_disk(None, "256k")


def test_a_cursor_on_a_full_disk_stops_its_sink_and_no_record_comes_twice():
    export_over_a_full_disk("exporter", "64k")
