"""What clients counted is what the audit log tells, act by act: across kills of the device door with its windows open,
and by the counters of /metrics and status.
"""
import contextlib
import os
import re
import signal
import ssl
import threading
import time

import pytest

import mqtt
import place
import trail
import world

POLICY = ('allow device connect\n'
          'allow device publish, subscribe, receive "in/#"\n')
ROUNDS = int(os.environ.get("TOUCHMARK_KILLS", "6"))
LONG = {"device-door": {"audit_window": "1h"}}
SHORT = {"device-door": {"audit_window": "200ms"}}
TROUBLE = (OSError, ssl.SSLError, mqtt.Closed)


@contextlib.contextmanager
def a_world(settings):
    with place.work_folder() as work, world.World(work, settings=settings, policy=POLICY) as made:
        yield made


def client_of(system, who):
    return mqtt.Client(system.ports["mqtts"], world.tls_context(system.root, who), who.id)


def kill(system):
    """kill -9 of the device door."""
    before = place.wait_for("a device door", lambda: system.running.pids("device-door"), 60)
    os.kill(before[0], signal.SIGKILL)
    place.wait_for("another device door", lambda: (now := system.running.pids("device-door")) and now != before, 60)
    system.wait_healthy()


def acts(record):
    return record.get("aggregate", {}).get("count", 1)


def told(system, **filters):
    return sum(acts(record) for record in system.audit(**filters))


def await_sum(system, wanted, **filters):
    """Exactly that, also when all has arrived that was under way."""
    place.wait_for(f"{wanted} of {filters}", lambda: told(system, **filters) >= wanted, 60)
    settle(system)
    assert told(system, **filters) == wanted


def sources(system):
    return {each["source"]: each for each in system.api("GET", "/v1/status")["audit_sources"]}


def settle(system):
    """The device door's records are in the log."""
    def taken():
        door = sources(system)["device-door"]
        return door["records"] == door["spooled"] > 0
    place.wait_for("the device door's spool in the log", taken, 60)


def test_no_kill_loses_a_count_that_was_acknowledged():
    """Between two messages, so that the client knows all that happened."""
    allowed, denied, killed = 0, 0, 0
    with a_world(LONG) as system:
        dev = system.enrol("dev-1")
        for each in range(ROUNDS):
            with client_of(system, dev) as client:
                assert client.connect() == mqtt.ACCEPTED
                for number in range(40 + 7 * each):
                    assert client.publish(f"in/{number % 20}", qos=1) in (0, 0x10)  # 0x10: nobody subscribed
                    allowed += 1
                for number in range(25):
                    assert client.publish(f"out/{number}", qos=1) == mqtt.NOT_AUTHORIZED
                    denied += 1
                assert client.publish("valve/open", qos=1) == mqtt.NOT_AUTHORIZED
                denied += 1
                kill(system)
                killed += 1
        await_sum(system, allowed, device="dev-1", action="publish", decision="allowed")
        await_sum(system, denied, device="dev-1", action="publish", decision="denied")
        windows = [each["aggregate"] for each in system.audit(device="dev-1", action="publish", decision="allowed")]
        told = [(each["targets"], each["targets_capped"]) for each in windows]  # four topics each, and the others
        assert sorted(told) == [(1, False)] * 4 * killed + [(14, True)] * killed
        for number in (0, 3, 19):  # whichever way it was counted, its topic finds it
            found = system.audit(device="dev-1", action="publish", decision="allowed", topic=f"in/{number}")
            assert {each["target"] for each in found} == ({f"in/{number}", "in/+"} if number < 4 else {"in/+"})
        floods = [each["aggregate"] for each in system.audit(device="dev-1", action="publish", decision="denied")
                  if "aggregate" in each]
        told = sorted((each["count"], each["targets"], each["targets_capped"]) for each in floods)
        assert told == [(1, 1, False)] * 5 * killed + [(11, 11, False)] * killed  # four topics, valve/open, and out/+
        found = system.audit(device="dev-1", action="publish", decision="denied", topic="valve/open")
        assert [each["target"] for each in found] == ["valve/open"] * killed, "the noise before it does not hide it"
        assert all(each["first"] <= each["last"] for each in windows + floods)
        found = [each for each in system.audit(action="process.stop", decision="failed")
                 if each["actor"]["id"] == "device-door"]
        assert len(found) == killed, "each kill is told by the life after it"
        trail.verify(system)


def test_what_is_allowed_and_not_done_is_told_as_failed():
    """A client that takes small packets only; what is no filter; what it gives up."""
    with a_world(SHORT) as system:
        listener, speaker = system.enrol("dev-1"), system.enrol("dev-2")
        with client_of(system, listener) as one, client_of(system, speaker) as two:
            assert one.connect(packet_max=64) == mqtt.ACCEPTED and two.connect() == mqtt.ACCEPTED
            one.subscribe("in/x", "in/y")
            for size in (1, 100, 1, 100, 100):
                two.publish("in/x", b"m" * size, qos=1)
            assert [len(one.message()[1]) for _ in range(2)] == [1, 1]
            one.unsubscribe("in/y")
            one.unsubscribe("in/never")  # nothing is given up by that
            one.subscribe("in/#/x")
            one.subscribe("$share/all/in/x")
        await_sum(system, 2, device="dev-1", action="receive", decision="allowed")
        await_sum(system, 3, device="dev-1", action="receive", decision="failed")
        await_sum(system, 5, device="dev-2", action="publish", decision="allowed")
        await_sum(system, 2, device="dev-1", action="subscribe", decision="allowed")
        await_sum(system, 1, device="dev-1", action="unsubscribe", decision="allowed")
        dropped = system.audit(device="dev-1", action="receive", decision="failed")[0]
        assert dropped["target"] == "in/x" and dropped["reason"].startswith("dropped") and dropped["rule"] == 2
        refused = {each["target"]: each["reason"] for each in
                   system.audit(device="dev-1", action="subscribe", decision="denied")}
        assert refused == {"in/#/x": "it is no topic filter",
                           "$share/all/in/x": "there are no shared subscriptions"}


def publish_until(stopping, system, who, counts):
    while not stopping.is_set():
        with contextlib.suppress(*TROUBLE), client_of(system, who) as client:
            if client.connect() != mqtt.ACCEPTED:
                continue
            while not stopping.is_set():
                counts["sent"] += 1
                assert client.publish("in/a", qos=1) in (0, 0x10)
                counts["acknowledged"] += 1
        time.sleep(0.01)


def test_kills_at_any_moment_lose_and_double_nothing():
    """Of what was under way when the door was killed the client does not know: that may be told or not."""
    counts, stopping = {"sent": 0, "acknowledged": 0}, threading.Event()
    with a_world(SHORT) as system:
        dev = system.enrol("dev-1")
        load = threading.Thread(target=publish_until, args=(stopping, system, dev, counts), daemon=True)
        load.start()
        for _ in range(ROUNDS):
            before = counts["acknowledged"]
            place.wait_for("acknowledgements", lambda: counts["acknowledged"] > before + 50, 60)
            kill(system)
        stopping.set()
        load.join(60)
        assert not load.is_alive()
        query = dict(device="dev-1", action="publish", decision="allowed")
        place.wait_for("what was acknowledged", lambda: told(system, **query) >= counts["acknowledged"], 60)
        place.wait_for("the end of its last session", lambda: len(system.audit(device="dev-1", action="session.close")), 60)
        settle(system)
        print(f"{ROUNDS} kills: {counts}, told {told(system, **query)}")
        assert counts["acknowledged"] <= told(system, **query) <= counts["sent"]
        trail.verify(system)


# ---- the counters ----

def metric(text, name):
    return int(re.search(rf"^{re.escape(name)} (\d+)$", text, re.M)[1])


def check_sources(system):
    """What status and /metrics say of each source is what stands in the log, once a checkpoint is over all of that."""
    until = system.api("GET", "/v1/status")["audit_records"]
    place.wait_for("a checkpoint over it", lambda: system.api("GET", "/v1/status")["audit_checkpoint"] >= until, 60)
    records, _ = trail.verify(system)
    seen = {source: [0, 0] for source in trail.SOURCES.values()}
    for record in records:
        seen[trail.SOURCES[record.source]][0] += 1
        seen[trail.SOURCES[record.source]][1] += record.count
    status, text = sources(system), system.call("GET", "/metrics").body.decode()
    for source in ("device-door", "signer"):  # the others have gone on by looking
        assert [status[source]["records"], status[source]["acts"]] == seen[source], source
        assert metric(text, f'touchmark_audit_source_records{{source="{source}"}}') == seen[source][0]
        assert metric(text, f'touchmark_audit_source_acts{{source="{source}"}}') == seen[source][1]
    for source in ("authority", "operator-door"):
        assert status[source]["records"] >= seen[source][0] and status[source]["acts"] >= seen[source][1]
    return seen


def test_counters_agree_with_what_clients_counted():
    each, denials = 300, 40
    with a_world(SHORT) as system:
        reader, writers = system.enrol("reader"), [system.enrol(f"writer-{number}") for number in range(3)]
        with client_of(system, reader) as listening:
            assert listening.connect() == mqtt.ACCEPTED
            assert listening.subscribe("in/#", qos=1) == [1]
            for writer in writers:
                with client_of(system, writer) as client:
                    assert client.connect() == mqtt.ACCEPTED
                    for number in range(each):
                        assert client.publish(f"in/{number}", qos=1) == 0
                    for number in range(denials):
                        assert client.publish(f"out/{number}", qos=1) == mqtt.NOT_AUTHORIZED
                    client.disconnect()
            received = sum(1 for _ in (listening.message() for _ in range(each * len(writers))))
            listening.disconnect()
        await_sum(system, each * len(writers), action="publish", decision="allowed")
        await_sum(system, denials * len(writers), action="publish", decision="denied")
        await_sum(system, received, action="receive", decision="allowed")
        await_sum(system, 1, action="subscribe")
        await_sum(system, 1 + len(writers), action="session.close")
        seen = check_sources(system)
        least = (each + denials) * len(writers) + received
        assert least < seen["device-door"][1] < least + 100
        assert sources(system)["device-door"]["refused"] == 0


@pytest.mark.parametrize("process", ("authority", "device-door", "operator-door"))
def test_each_process_says_that_it_serves_and_ends(quiet, process):
    """Orderly: no life is found to have ended without a word."""
    begun = [each for each in quiet.audit(action="process.start") if each["actor"]["id"] == process]
    ended = [each for each in quiet.audit(action="process.stop") if each["actor"]["id"] == process]
    assert [each["decision"] for each in begun] == ["allowed"] * 2
    assert [each["decision"] for each in ended] == ["allowed"]
    assert begun[1]["index"] < ended[0]["index"]


def test_an_orderly_end_of_the_exporter_is_told_before_the_authority_ends(quiet):
    ended = [each for each in quiet.audit(action="process.stop") if each["actor"]["id"] == "exporter"]
    assert [(each["decision"], each["reason"].split(",")[0]) for each in ended] == [("allowed", "ended as it was asked to")]


@pytest.fixture(scope="module")
def quiet():
    with a_world(SHORT) as made:
        made.running.stop()
        made.running.wait_end()
        made.start()
        made.wait_healthy()
        settle(made)
        yield made


# ---- what the authority itself refuses ----

def test_what_the_authority_refuses_often_is_counted_over_a_kill():
    """An administrator adds a device that is there, again and again: some told one by one, the rest in aggregate, and
    none is lost with an authority that is killed in between."""
    with a_world(SHORT) as system:
        system.add_device("dup-1")
        def refuse(times):
            for _ in range(times):
                assert system.call("POST", "/v1/devices", {"id": "dup-1"}).status == 409
        query = dict(action="device.add", decision="denied", actor="admin")
        refuse(30)
        assert told(system, **query) < 30, "the window is open"
        before = system.running.pids("authority")
        os.kill(before[0], signal.SIGKILL)
        place.wait_for("another authority",
                       lambda: (now := system.running.pids("authority")) and now != before, 60)
        system.wait_healthy()
        refuse(15)
        place.wait_for("all that was refused", lambda: told(system, **query) >= 45, 60)
        records = system.audit(**query)
        assert sum(acts(record) for record in records) == 45
        assert len(records) < 45
        counted = [record["aggregate"] for record in records if "aggregate" in record]
        assert counted and all(each["first"] <= each["last"] and each["targets"] == 1 for each in counted)
        trail.verify(system)
