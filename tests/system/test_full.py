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


def until_refused(act, most=4000):
    """How many times it was done before it was not."""
    for count in range(most):
        if not act(count):
            return count
    raise AssertionError(f"{most} acts, and none was refused")


def count_of(made, **filters):
    return sum(record.get("aggregate", {}).get("count", 1) for record in made.audit(**filters))


# ---- The authority's store ----

def test_with_a_full_store_the_authority_does_nothing_that_it_cannot_record():
    with system("authority/registry", "24m") as (made, folder):
        device, other = made.enrol_quickly("dev-1"), made.enrol_quickly("dev-2")
        made.wait_applied()
        with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, device), "dev-1") as client:
            assert client.connect() == mqtt.ACCEPTED
            done, refused, revoked = [], [], []
            def revoke(count):  # it may find room where adding found none: a change of fewer pages
                status = made.call("POST", f"/v1/devices/{done[count]}/revoke", {}).status
                assert status in (200, 429)
                if status == 200:
                    revoked.append(done[count])
                return status == 200
            def read(count):
                status = made.call("GET", "/v1/devices?limit=1").status
                assert status in (200, 429)
                return status == 200
            def add(count):
                name = f"new-{count}"
                answer = made.call("POST", "/v1/devices", {"id": name, "groups": []})
                (done if answer.status == 201 else refused).append(name)
                assert answer.status in (201, 429), answer.body
                return answer.status == 201
            with disk.full(folder):
                until_refused(add)
                until_refused(revoke)
                shown = until_refused(read)
                for number in range(20):  # whoever has a session keeps it, and others open some
                    assert client.publish("t/x", b"x", qos=1) in (0, 0x10)
                with mqtt.Client(made.ports["mqtts"], world.tls_context(made.root, other), "dev-2") as another:
                    assert another.connect() == mqtt.ACCEPTED
            assert add(5000), "no restart is needed"
        died = made.running.events("process.killed") + made.running.events("process.exited")
        assert not died, died
        assert count_of(made, action="device.read", decision="allowed") == shown, "each reading that was answered"
        records = made.audit(action="device.add", decision="allowed")
        told = [record["target"].removeprefix("device ") for record in records]
        assert set(done) <= set(told) and not set(refused) & set(told) and len(told) == len(set(told))
        known = {each["id"]: each["state"] for each in made.pages("/v1/devices", "devices")}
        assert set(known) == set(told) and known["dev-2"] == "active"
        assert {name for name, state in known.items() if state == "revoked"} == set(revoked)
        told = [record["target"].removeprefix("device ") for record in made.audit(action="device.revoke")
                if record["decision"] == "allowed"]
        assert sorted(told) == sorted(revoked)
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
            until_refused(visits.visit)
            for _ in range(5):
                assert not visits.visit()
            assert made.add_device("meanwhile"), "the other door goes on"
            place.wait_for("what found no room to be counted", lambda: refused_by(made)["device-door"] > 0, 20)
            assert refused_by(made)["operator-door"] == 0
        place.wait_for("the door to let it in", visits.visit, 60)
        visits.check()


def test_a_session_whose_acts_find_no_room_for_records_is_ended():
    with system("device-door/spool", "8m", **{"device-door": {"audit_window": "500ms"}}) as (made, folder):
        visits = Visits(made)
        context = world.tls_context(made.root, visits.device)
        answered = 0
        with mqtt.Client(made.ports["mqtts"], context, "visitor") as client, disk.full(folder):
            assert client.connect() == mqtt.ACCEPTED
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
            until_refused(enrol)
            assert not enrol(5000)
            assert made.add_device("meanwhile"), "what needs no signature goes on"
            assert len(made.pages("/v1/certificates", "certificates", kind="device")) == len(enrolled)
        place.wait_for("the signer", lambda: enrol(6000) or enrol(6000 + int(time.monotonic())), 60)
        registered = {each["serial"] for each in made.pages("/v1/certificates", "certificates")}
        signed = trail.signed_serials(made.folder)["devices"]
        assert len(signed) == len(set(signed))
        assert {each.serial.lstrip("0") for each in enrolled.values()} <= {serial.lstrip("0") for serial in signed}
        strangers = {each.lstrip("0") for each in signed} - {each.lstrip("0") for each in registered}
        assert made.api("GET", "/v1/status")["orphans"] >= len(strangers)


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
