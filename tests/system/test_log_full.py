"""What a rule wants logged in full has a record for each act, over kills of the door, and with what is counted all acts
are told once."""
import os
import re

import pytest

import mqtt
import trail
from test_counts import a_world, acts, await_sum, client_of, kill

POLICY = ('allow device connect\n'
          'allow device publish, subscribe, receive, retain, will "in/#"\n'
          'allow device publish, receive "in/full/#" log full\n'
          'allow device retain, will, subscribe "in/full/#" log full\n'
          'deny device publish "in/barred/#" log full\n'
          'deny device publish "in/shut/#"\n')
ROUNDS = int(os.environ.get("TOUCHMARK_KILLS", "3"))
LONG = {"device-door": {"audit_window": "1h"}}


@pytest.fixture
def system():
    with a_world(LONG) as made:
        made.apply_policy(POLICY)
        yield made


def alone(system, **filters):
    return [record for record in system.audit(decision="allowed", **filters) if "aggregate" not in record]


def test_kills_lose_no_record_and_no_count(system):
    """Between two messages, so that the client knows all that happened; the windows of what is counted are open."""
    dev, full, counted = system.enrol("dev-1"), 0, 0
    for each in range(ROUNDS):
        with client_of(system, dev) as client:
            assert client.connect() == mqtt.ACCEPTED
            for number in range(30 + 11 * each):
                assert client.publish(f"in/full/{number % 7}", b"x" * number, qos=1) in (0, 0x10)
                full += 1
                if number % 3 == 0:
                    assert client.publish("in/counted", b"x", qos=1) in (0, 0x10)
                    counted += 1
            kill(system)
    await_sum(system, full + counted, device="dev-1", action="publish", decision="allowed")
    records = alone(system, device="dev-1", action="publish")
    assert len(records) == full and {record["rule"] for record in records} == {2}
    sizes = [int(re.fullmatch(r"(\d+) octets, QoS 1", record["reason"])[1]) for record in records]
    assert sorted(sizes) == sorted(number for each in range(ROUNDS) for number in range(30 + 11 * each))
    assert all(record["target"].startswith("in/full/") for record in records)
    trail.verify(system)


def test_what_goes_out_and_what_is_kept_is_told_one_by_one_too(system):
    writer, reader = system.enrol("writer"), system.enrol("reader")
    with client_of(system, reader) as listening, client_of(system, writer) as client:
        assert listening.connect() == mqtt.ACCEPTED
        assert listening.subscribe("in/#", "in/full/#", qos=1) == [1, 1]
        assert client.connect(will=mqtt.Will("in/full/will", b"gone", qos=1)) == mqtt.ACCEPTED
        for number in range(20):
            assert client.publish(f"in/full/{number}", b"1234", qos=1, retain=number % 2 == 0) == 0
            assert client.publish(f"in/other/{number}", b"1234", qos=1) == 0
        got = [listening.message() for _ in range(40)]
        assert len(got) == 40
        client.disconnect()
        listening.disconnect()
    await_sum(system, 40, action="publish", decision="allowed")
    await_sum(system, 40, action="receive", decision="allowed")
    await_sum(system, 10, action="retain", decision="allowed")
    assert [len(alone(system, action=action)) for action in ("publish", "receive", "retain")] == [20, 20, 10]
    assert [record["target"] for record in alone(system, action="subscribe")] == ["in/full/#"]
    await_sum(system, 2, action="subscribe", decision="allowed")
    assert [record["reason"] for record in alone(system, action="will")] == ["4 octets, QoS 1"]
    assert {record["reason"] for record in alone(system, action="retain")} == {"4 octets, QoS 1, retained"}
    assert sum(acts(record) for record in system.audit(action="receive", actor="reader")) == 40


def test_each_act_that_a_rule_denies_is_told_alone_if_the_rule_wants_that(system):
    """Twice as many of each as have records of their own otherwise."""
    with client_of(system, system.enrol("barred")) as client:
        assert client.connect() == mqtt.ACCEPTED
        for number in range(20):
            assert client.publish(f"in/barred/{number}", b"1234", qos=1) == 0x87
            assert client.publish(f"in/shut/{number}", b"1234", qos=1) == 0x87
        kill(system)  # what is counted is told by the life after it
    await_sum(system, 40, actor="barred", action="publish", decision="denied")
    records = [record for record in system.audit(actor="barred", decision="denied", action="publish")
               if "aggregate" not in record]
    assert [record["target"] for record in records if record["rule"] == 5] == [
        f"in/barred/{i}" for i in reversed(range(20))]
    assert {record["reason"] for record in records if record["rule"] == 5} == {"4 octets, QoS 1"}
    assert len(records) == 30
